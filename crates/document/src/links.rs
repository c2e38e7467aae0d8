//! Links of a finished document: what a reader's click would run or open on their machine is taken out.
//!
//! A PDF keeps `<a href>` as an active link, whoever wrote the address into it. Only `http`, `https`, `mailto`, `tel`,
//! places in the document and addresses without a scheme stay. Every `href=` of the markup is looked at, in whatever
//! element, quotes or comment it stands, so that no reading of HTML other than the browser's can be led astray; in text
//! for readers it is escaped or harmless. The attribute is renamed, which keeps the text of the link.

/// What may stand in front of the colon.
pub(crate) const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];
/// Data that an element shows or applies itself (`<image>`, `<link>`), and no page.
const DATA: [&str; 4] = ["image/", "font/", "application/font", "text/css"];
/// Characters of a scheme; longer ones are none that a program registers.
const SCHEME_CHARACTERS: usize = 32;

/// The document without such links, and how many there were. `None` where there are none.
pub(crate) fn without_active(html: &str) -> Option<(String, usize)> {
    let bytes = html.as_bytes();
    let mut out = String::new();
    let (mut kept, mut count) = (0, 0);
    for equals in memchr::memchr_iter(b'=', bytes) {
        let before = bytes[..equals].trim_ascii_end();
        let Some(name_at) = before.len().checked_sub(4).filter(|at| before[*at..].eq_ignore_ascii_case(b"href")) else { continue };
        if is_active(&html[equals + 1..]) {
            out.push_str(&html[kept..name_at]);
            out.push_str("data-");
            kept = name_at;
            count += 1;
        }
    }
    if count == 0 {
        return None;
    }
    out.push_str(&html[kept..]);
    Some((out, count))
}

/// Whether a value, which begins here with or without a quote, leads to a scheme that is not accepted.
fn is_active(value: &str) -> bool {
    let value = value.trim_start_matches(|character: char| character.is_ascii_whitespace());
    let value = value.strip_prefix(['"', '\'']).unwrap_or(value);
    let mut characters = Characters { rest: value };
    let mut scheme = String::new();
    loop {
        match characters.next() {
            // Browsers read addresses so: blanks and controls in front are nothing, line ends and tabs anywhere.
            Some('\t' | '\n' | '\r') => {}
            Some(character) if scheme.is_empty() && (character <= ' ') => {}
            Some(':') => break,
            // A scheme begins with a letter.
            Some(character) if scheme.is_empty() && !character.is_ascii_alphabetic() => return false,
            Some(character) if character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.') => {
                if scheme.len() == SCHEME_CHARACTERS {
                    return true;
                }
                scheme.push(character.to_ascii_lowercase());
            }
            // A path, a query, a fragment, or nothing.
            _ => return false,
        }
    }
    if scheme == "data" {
        let kind: String = characters.filter(|character| *character > ' ').take(20).collect();
        let kind = kind.to_ascii_lowercase();
        return !DATA.iter().any(|accepted| kind.starts_with(accepted));
    }
    !scheme.is_empty() && !SCHEMES.contains(&scheme.as_str())
}

/// Characters of an attribute's value with those references resolved that can be part of a scheme.
struct Characters<'v> {
    rest: &'v str,
}

impl Iterator for Characters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        const NAMED: [(&str, char); 5] = [("&colon;", ':'), ("&Tab;", '\t'), ("&NewLine;", '\n'), ("&plus;", '+'), ("&period;", '.')];
        let first = self.rest.chars().next()?;
        if first == '&' {
            if let Some((name, character)) = NAMED.into_iter().find(|(name, _)| self.rest.starts_with(name)) {
                self.rest = &self.rest[name.len()..];
                return Some(character);
            }
            if let Some((character, length)) = self.rest.strip_prefix("&#").and_then(numeric) {
                self.rest = &self.rest[2 + length..];
                return Some(character);
            }
        }
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }
}

/// The character of a numeric reference behind its `&#`, and the length of what names it. The semicolon may be missing.
fn numeric(text: &str) -> Option<(char, usize)> {
    let (radix, prefix) = if text.starts_with(['x', 'X']) { (16, 1) } else { (10, 0) };
    let mut code: u32 = 0;
    let mut end = prefix;
    for digit in text[prefix..].chars().map_while(|character| character.to_digit(radix)) {
        code = code.saturating_mul(radix).saturating_add(digit);
        end += 1;
    }
    (end > prefix).then_some(())?;
    let length = end + usize::from(text[end..].starts_with(';'));
    Some((char::from_u32(code).unwrap_or('\u{fffd}'), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_pages_mail_and_places_stay_as_they_are() {
        for html in [
            "<a href=\"https://example.com/?a=1&amp;b=javascript:x\">a</a>",
            "<a href='http://x'>",
            "<a href=mailto:a@b.example>",
            "<A HREF=\"TEL:+49123\">",
            "<a href=\"#top\">",
            "<a href=\"page.html?x:y\">",
            "<a href=\"\">",
            "<a href>",
            "<svg><image href=\"data:image/png;base64,AA==\"/></svg>",
            "<link rel=stylesheet href=\"data:text/css,p{}\">",
            "<p>a = b, href</p>",
        ] {
            assert_eq!(without_active(html), None, "{html}");
        }
    }

    #[test]
    fn every_other_scheme_loses_its_link_and_keeps_its_text() {
        for address in [
            "javascript:alert(1)",
            "JavaScript&colon;alert(1)",
            " java&#9;script&#x3A;alert(1)",
            "java\nscript:alert(1)",
            "&#0000106avascript:alert(1)",
            "&#x01;javascript&#58alert(1)",
            "file:///etc/passwd",
            "data:text/html,<script>",
            "vbscript:x",
            "smb://server/share",
        ] {
            for quote in ["\"", "'"] {
                let html = format!("<p><a class=x href = {quote}{address}{quote}>text</a></p>");
                let (clean, count) = without_active(&html).unwrap_or_else(|| panic!("{html}"));
                assert_eq!((clean, count), (html.replace("href", "data-href"), 1));
            }
        }
        let (clean, count) = without_active("<a xlink:href=javascript:x><a/href=file:x>").unwrap();
        assert_eq!((clean.as_str(), count), ("<a xlink:data-href=javascript:x><a/data-href=file:x>", 2));
    }

    #[test]
    fn a_megabyte_of_half_links_is_read_in_one_go() {
        let start = std::time::Instant::now();
        for part in ["href=", "href=a", "href= ", "=", " =", "href=&#", "href=&#1"] {
            let _ = without_active(&part.repeat(1_000_000 / part.len()));
        }
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
