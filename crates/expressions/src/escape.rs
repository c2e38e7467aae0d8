//! HTML escaping, character for character as handlebars.js does it, and the escaping of values in style sheets.

/// What stands for a byte, for the seven that need it.
fn reference(byte: u8) -> &'static str {
    match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'"' => "&quot;",
        b'\'' => "&#x27;",
        b'`' => "&#x60;",
        _ => "&#x3D;",
    }
}

static NEEDS_REFERENCE: [bool; 256] = {
    let mut table = [false; 256];
    let special = b"&<>\"'`=";
    let mut at = 0;
    while at < special.len() {
        table[special[at] as usize] = true;
        at += 1;
    }
    table
};

/// Hands `text` to `emit` in pieces, escaped.
pub(crate) fn each_escaped<E>(text: &str, mut emit: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| NEEDS_REFERENCE[usize::from(byte)]) {
        emit(&rest[..at])?;
        emit(reference(rest.as_bytes()[at]))?;
        rest = &rest[at + 1..];
    }
    emit(rest)
}

/// Appends `text`, escaped.
pub(crate) fn push_escaped(text: &str, out: &mut String) {
    let done: Result<(), std::convert::Infallible> = each_escaped(text, |piece| {
        out.push_str(piece);
        Ok(())
    });
    match done {
        Ok(()) => {}
        Err(never) => match never {},
    }
}

/// Hands `text` to `emit` in pieces, escaped for a style sheet.
pub(crate) fn each_css_escaped<E>(text: &str, mut emit: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    // `/` and `*` would begin a comment, `;` and `}` end a declaration, `(` call `url`. Beyond ASCII nothing has a meaning.
    let is_plain = |character: char| !character.is_ascii() || character.is_ascii_alphanumeric() || " #%.,-_+".contains(character);
    if is_color_function(text) {
        return emit(text);
    }
    let mut rest = text;
    while let Some((at, character)) = rest.char_indices().find(|(_, character)| !is_plain(*character)) {
        emit(&rest[..at])?;
        // A backslash, up to six digits and the space that ends them; code point 0 is no character in CSS.
        emit(&format!("\\{:x} ", u32::from(character).max(1)))?;
        rest = &rest[at + character.len_utf8()..];
    }
    emit(rest)
}

/// A colour function with nothing but numbers.
fn is_color_function(text: &str) -> bool {
    let parts = text.strip_suffix(')').and_then(|text| text.split_once('('));
    text.len() <= 60
        && parts.is_some_and(|(name, arguments)| {
            matches!(name, "rgb" | "rgba" | "hsl" | "hsla" | "oklch" | "lab" | "lch")
                && arguments.bytes().all(|byte| byte.is_ascii_digit() || b" ,.%-".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn css(text: &str) -> String {
        let mut out = String::new();
        let done: Result<(), std::convert::Infallible> = each_css_escaped(text, |piece| {
            out.push_str(piece);
            Ok(())
        });
        match done {
            Ok(()) => out,
            Err(never) => match never {},
        }
    }

    #[test]
    fn a_value_in_a_style_sheet_stays_inside_its_declaration() {
        for kept in ["red", "#12ab34", "12.5", "-3px", "50%", "Noto Sans, Größe_1", "rgb(1, 2, 3)", "hsl(1 20% 30%)"] {
            assert_eq!(css(kept), kept);
        }
        assert_eq!(css("red}.total{display:none"), "red\\7d .total\\7b display\\3a none");
        for hostile in [
            "a;b",
            "url(http://x)",
            "a\"b",
            "a'b",
            "a\\b",
            "/* x",
            "a*/",
            "@import x",
            "a\nb",
            "</style",
            "a!important",
            "rgb(url(x))",
            "a\0b",
        ] {
            let escaped = css(hostile);
            let meant = |character: char| ";{}()\"'/*@<>!:\n\0".contains(character);
            assert!(!escaped.contains(meant), "{escaped}");
            assert!(escaped.contains('\\'), "{escaped}");
        }
    }
}
