//! Text that becomes part of a style sheet, made so that it cannot become anything else.

use std::fmt::Write as _;

use domain::assets::AssetName;

use crate::report::{Warning, warn};

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

/// Takes `@import` rules and every `url()` that is neither a data URI nor the address of an asset out of a style sheet, with a warning each.
///
/// Names may be written with escapes (`u\72l(`): a sheet with a backslash outside of strings is refused as a whole,
/// because only a full CSS parser could tell what it loads.
pub(crate) fn without_loads(sheet: &str, warnings: &mut Vec<Warning>) -> String {
    let mut out = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some(first) = rest.chars().next() {
        if let Some(end) = rest.starts_with("/*").then(|| rest[2..].find("*/").map_or(rest.len(), |end| end + 4)) {
            rest = &rest[end..];
        } else if matches!(first, '"' | '\'') {
            let end = string_end(rest, first);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if first == '\\' {
            warn(warnings, "css_escape", || {
                "customCss was left out: it holds a backslash outside of a string, so what it loads cannot be told".into()
            });
            return String::new();
        } else if starts_ignoring_case(rest, "@import") {
            let end = rest.find(';').map_or(rest.len(), |end| end + 1);
            warn(warnings, "css_import", || "an @import rule of customCss was left out".into());
            rest = &rest[end..];
        } else if let Some(name) = ["url(", "image-set(", "src("].into_iter().find(|name| starts_ignoring_case(rest, name)) {
            let (argument, end) = function_argument(&rest[name.len()..]);
            let inside = argument.trim().trim_matches(['"', '\'']);
            // What names an asset is replaced by its bytes before the sheet is used.
            if name == "url(" && (starts_ignoring_case(inside, "data:") || AssetName::of_address(inside).is_some()) {
                out.push_str(&rest[..name.len() + end]);
            } else {
                warn(warnings, "css_url", || format!("a {name}) of customCss was left out; only data: and asset: are accepted"));
                out.push_str("none");
            }
            rest = &rest[name.len() + end..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn string_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // An unclosed string ends with its line.
            '\n' | '\r' | '\x0c' => return at,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What stands before the closing parenthesis, and the place behind it.
fn function_argument(text: &str) -> (&str, usize) {
    let mut at = 0;
    let mut depth = 0_usize;
    while let Some(character) = text[at..].chars().next() {
        match character {
            '"' | '\'' => {
                at += string_end(&text[at..], character);
                continue;
            }
            '(' => depth += 1,
            ')' if depth == 0 => return (&text[..at], at + 1),
            ')' => depth -= 1,
            _ => {}
        }
        at += character.len_utf8();
    }
    (text, text.len())
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

    #[test]
    fn a_custom_sheet_loads_nothing() {
        let mut warnings = Vec::new();
        let sheet = "@import 'http://x/a.css';p{background:URL( \"http://x/(b).png\" ) red}/* url(x) */q{content:\"url(\";background:url(data:image/png;base64,AA)}";
        let clean = without_loads(sheet, &mut warnings);
        assert_eq!(clean, "p{background:none red}q{content:\"url(\";background:url(data:image/png;base64,AA)}");
        assert_eq!(warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["css_import", "css_url"]);
        for end in ["\n", "\r", "\x0c"] {
            let open = format!("p{{content:'{end};background:url(http://x)}}");
            assert!(!without_loads(&open, &mut warnings).contains("http"), "{open}");
        }
        assert_eq!(without_loads("p{background:u\\72l(http://x)}", &mut warnings), "");
    }
}
