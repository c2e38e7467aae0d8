//! Small readings of HTML: where a tag ends, its attributes, and character references.

/// The place behind the tag that begins at 0; quotes may hold `>`.
pub(crate) fn tag_end(html: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in html.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at + 1),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// Names in lower case and decoded values, at most 20.
pub(crate) fn attributes_of(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(|character: char| character.is_ascii_whitespace() || character == '/');
    while !rest.is_empty() && found.len() < 20 {
        let name_end = rest.find(|character: char| character.is_ascii_whitespace() || matches!(character, '=' | '/')).unwrap_or(rest.len());
        let name = rest[..name_end].to_ascii_lowercase();
        rest = rest[name_end..].trim_start();
        let mut value = "";
        if let Some(given) = rest.strip_prefix('=') {
            let given = given.trim_start();
            let quote = given.chars().next().filter(|first| matches!(first, '"' | '\''));
            (value, rest) = match quote {
                Some(quote) => given[1..].split_once(quote).unwrap_or((&given[1..], "")),
                None => given.split_at(given.find(|character: char| character.is_ascii_whitespace()).unwrap_or(given.len())),
            };
        }
        if !name.is_empty() {
            found.push((name, decode(value)));
        }
        rest = rest.trim_start_matches(|character: char| character.is_ascii_whitespace() || matches!(character, '/' | '='));
    }
    found
}

/// The character references that people write and those that our own escaping makes.
pub(crate) fn decode(text: &str) -> String {
    const NAMED: [(&str, &str); 17] = [
        ("amp", "&"),
        ("lt", "<"),
        ("gt", ">"),
        ("quot", "\""),
        ("apos", "'"),
        ("nbsp", "\u{a0}"),
        ("copy", "©"),
        ("reg", "®"),
        ("trade", "™"),
        ("middot", "·"),
        ("bull", "•"),
        ("ndash", "–"),
        ("mdash", "—"),
        ("hellip", "…"),
        ("euro", "€"),
        ("pound", "£"),
        ("sect", "§"),
    ];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // No further than the longest name, so that a text of ampersands is read in one go.
        let end = rest.bytes().skip(1).take(11).position(|byte| byte == b';');
        let reference = end.and_then(|end| rest.get(1..=end));
        let decoded = reference.and_then(|name| match name.strip_prefix('#') {
            Some(number) => {
                let hex = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16));
                hex.unwrap_or_else(|| number.parse()).ok().and_then(char::from_u32).map(String::from)
            }
            None => NAMED.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()),
        });
        if let (Some(name), Some(decoded)) = (reference, decoded) {
            out.push_str(&decoded);
            rest = &rest[name.len() + 2..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}
