//! Character classes of the language: what JavaScript calls white space and what may stand in a name.

/// What `\s` matches in JavaScript.
pub(crate) fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c != '\u{85}' && c.is_whitespace())
}

/// Whether a bare name may contain the character.
pub(crate) fn is_name(c: char) -> bool {
    match c {
        '!' | '"' | '#' | '%'..=',' | '.' | '/' | ';'..='>' | '@' | '['..='^' | '`' | '{'..='~' => false,
        _ => !is_space(c),
    }
}

/// Length in bytes of the white space at the start.
pub(crate) fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_space).len()
}

/// The array index a name spells, if it spells one the way JavaScript would print it.
pub(crate) fn array_index(name: &str) -> Option<usize> {
    let bytes = name.as_bytes();
    let plain = matches!(bytes, [b'0'] | [b'1'..=b'9', ..]) && bytes.len() <= 10 && bytes.iter().all(u8::is_ascii_digit);
    // JavaScript's largest index is 2^32 - 2.
    plain.then(|| name.parse().ok()).flatten().filter(|index| *index < 4_294_967_295_usize)
}
