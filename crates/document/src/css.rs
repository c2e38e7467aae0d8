//! Text that becomes part of a style sheet, made so that it cannot become anything else.

mod loads;

use std::fmt::Write as _;

pub(crate) use loads::{elements_without_loads, without_loads};

/// `text` as a CSS string with its quotes. Everything but plain characters is written as an escape.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            // `<` so that no style element can be closed from inside a string.
            '"' | '\\' | '<' | '>' | '&' | '\0'..='\x1f' | '\x7f' => {
                // Writing to a String does not fail. Code point 0 is no character in CSS.
                let _ = write!(out, "\\{:x} ", u32::from(character).max(1));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

/// A colour: a name, `#` with digits, or a colour function.
pub(crate) fn is_color(text: &str) -> bool {
    let name = (1..=30).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let hex = text
        .strip_prefix('#')
        .is_some_and(|digits| matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let function = text.len() <= 60
        && text.strip_suffix(')').and_then(|text| text.split_once('(')).is_some_and(|(name, arguments)| {
            matches!(name, "rgb" | "rgba" | "hsl" | "hsla" | "oklch" | "lab" | "lch")
                && arguments.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b',' | b'.' | b'%' | b'/' | b'-'))
        });
    name || hex || function
}

/// A length or share: a number with one of the units of paper or type.
pub(crate) fn is_length(text: &str) -> bool {
    const UNITS: [&str; 9] = ["rem", "em", "mm", "cm", "in", "pt", "pc", "px", "%"];
    let number = UNITS.iter().find_map(|unit| text.strip_suffix(unit)).or((text == "0").then_some(text));
    number.is_some_and(|number| {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str, max: usize| (1..=max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        digits(whole, 4) && digits(fraction, 4)
    })
}

/// The author's style sheet as it may stand in a style element: nothing in it can close the element.
pub(crate) fn in_style_element(sheet: &str) -> String {
    let mut out = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some(at) = find_ignoring_case(rest, "</style") {
        out.push_str(&rest[..at]);
        // Inside a CSS string `\/` is `/`; anywhere else the author's text was no CSS anyway.
        out.push_str("<\\/");
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    out
}

fn starts_ignoring_case(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

pub(crate) fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    let first = needle.as_bytes().first()?;
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text.as_bytes())
        .find(|at| starts_ignoring_case(&text[*at..], needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_cannot_leave_its_quotes_or_its_style_element() {
        assert_eq!(string("a\"b\\c\n</style>"), "\"a\\22 b\\5c c\\a \\3c /style\\3e \"");
        assert_eq!(in_style_element("p{}</STYLE ><script>"), "p{}<\\/STYLE ><script>");
    }

    #[test]
    fn only_plain_colours_and_lengths_pass() {
        for good in ["red", "#fff", "#11223344", "rgb(1, 2, 3)", "rgba(0 0 0 / 50%)"] {
            assert!(is_color(good), "{good}");
        }
        for bad in ["", "#ff", "red;", "url(x)", "rgb(1;2)", "expression(1)", "#ggg", "r\\65 d"] {
            assert!(!is_color(bad), "{bad}");
        }
        for good in ["0", "1pt", "1.5em", "20mm", "100%"] {
            assert!(is_length(good), "{good}");
        }
        for bad in ["", "1", "-1pt", "pt", "1..2pt", "1e3pt", "1pt;", "calc(1pt)", "12345pt", "1.pt"] {
            assert!(!is_length(bad), "{bad}");
        }
    }
}
