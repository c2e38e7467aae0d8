//! Style sheets that load nothing: `@import` rules and addresses of elsewhere are taken out.
//!
//! A sheet is read as CSS Syntax 3 tells its tokens apart, as far as those matter that load: comments, strings, names with their
//! escapes, and `url()` without quotes, which ends at its first parenthesis.

use domain::assets::AssetName;

use super::starts_ignoring_case;
use crate::report::{Warning, warn};
use crate::tags::tag_end;

/// Functions whose arguments are loaded.
const LOADING: [&str; 4] = ["url", "src", "image-set", "-webkit-image-set"];

/// Takes `@import` rules and every `url()` that is neither a data URI nor the address of an asset out of a style sheet, with a
/// warning each; `what` is the sheet in them.
pub(crate) fn without_loads(sheet: &str, what: &str, warnings: &mut Vec<Warning>) -> String {
    let mut out = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("/*") => {
                // What stands around a comment does not become one name.
                out.push(' ');
                rest = rest[2..].find("*/").map_or("", |end| &rest[end + 4..]);
                continue;
            }
            '"' | '\'' => string_end(rest, first),
            '@' => 1 + name(&rest[1..]).1,
            _ => name(rest).1.max(first.len_utf8()),
        };
        let (token, behind) = rest.split_at(length);
        rest = behind;
        if first == '@' && name(&token[1..]).0.eq_ignore_ascii_case("import") {
            warn(warnings, "css_import", || format!("an @import rule of {what} was left out"));
            rest = &rest[statement_end(rest)..];
            continue;
        }
        let function = if behind.starts_with('(') { name(token).0.to_ascii_lowercase() } else { String::new() };
        if let Some(function) = LOADING.into_iter().find(|known| *known == function) {
            let (argument, end) = function_argument(&rest[1..]);
            if function == "url" && is_ours(argument) {
                out.push_str(token);
                out.push_str(&rest[..=end]);
            } else {
                warn(warnings, "css_url", || format!("a {function}() of {what} was left out; only data: and asset: are accepted"));
                out.push_str("none");
            }
            rest = &rest[end + 1..];
            continue;
        }
        out.push_str(token);
    }
    out
}

/// The same for every style element of a page.
pub(crate) fn elements_without_loads(html: String, warnings: &mut Vec<Warning>) -> String {
    let Some(mut at) = super::find_ignoring_case(&html, "<style") else { return html };
    let (mut out, mut kept) = (String::with_capacity(html.len()), 0);
    while let Some(opened) = tag_end(&html[at..]).map(|end| at + end) {
        let closed = super::find_ignoring_case(&html[opened..], "</style").map_or(html.len(), |end| opened + end);
        out.push_str(&html[kept..opened]);
        out.push_str(&without_loads(&html[opened..closed], "a style element", warnings));
        kept = closed;
        let Some(next) = super::find_ignoring_case(&html[closed..], "<style") else { break };
        at = closed + next;
    }
    out.push_str(&html[kept..]);
    out
}

/// The name that begins here with its escapes read, and the bytes it takes; nothing where none begins.
fn name(text: &str) -> (String, usize) {
    let (mut read, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        if first == '\\' {
            let Some((character, behind)) = escape(&rest[1..]) else { break };
            read.push(character);
            rest = behind;
        } else if first.is_ascii_alphanumeric() || matches!(first, '-' | '_') || !first.is_ascii() {
            read.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            break;
        }
    }
    (read, text.len() - rest.len())
}

/// The character of an escape, whose backslash is read already, and what stands behind it.
fn escape(text: &str) -> Option<(char, &str)> {
    let digits = text.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
    if digits > 0 {
        let behind = text[digits..].strip_prefix("\r\n").or_else(|| text[digits..].strip_prefix([' ', '\t', '\n', '\r', '\x0c']));
        let code = u32::from_str_radix(&text[..digits], 16).ok().filter(|code| *code != 0);
        return Some((code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER), behind.unwrap_or(&text[digits..])));
    }
    let first = text.chars().next().filter(|first| !matches!(first, '\n' | '\r' | '\x0c'))?;
    Some((first, &text[first.len_utf8()..]))
}

/// Whether an argument of `url()` is one string or one bare address, and of what needs no loading.
fn is_ours(argument: &str) -> bool {
    let argument = argument.trim_matches([' ', '\t', '\n', '\r', '\x0c']);
    let inside = match argument.chars().next() {
        Some(quote @ ('"' | '\'')) if string_end(argument, quote) == argument.len() && argument.len() > 1 && argument.ends_with(quote) => {
            &argument[1..argument.len() - 1]
        }
        _ if argument.contains(|character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '(')) => return false,
        _ => argument,
    };
    let mut address = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        address.push_str(&rest[..at]);
        let Some((character, behind)) = escape(&rest[at + 1..]) else { return false };
        address.push(character);
        rest = behind;
    }
    address.push_str(rest);
    // What names an asset is replaced by its bytes before the sheet is used.
    starts_ignoring_case(&address, "data:") || AssetName::of_address(&address).is_some()
}

/// The place behind the semicolon that ends a rule.
fn statement_end(text: &str) -> usize {
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        at += match first {
            ';' => return at + 1,
            '"' | '\'' => string_end(&text[at..], first),
            '(' => 1 + function_argument(&text[at + 1..]).1,
            '\\' => 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
            _ => first.len_utf8(),
        };
    }
    text.len()
}

fn string_end(text: &str, quote: char) -> usize {
    let (mut escaped, mut line_end_goes_on) = (false, false);
    for (at, character) in text.char_indices().skip(1) {
        // The two characters of one line end.
        if std::mem::take(&mut line_end_goes_on) && character == '\n' {
            continue;
        }
        match character {
            _ if escaped => (escaped, line_end_goes_on) = (false, character == '\r'),
            '\\' => escaped = true,
            // An unclosed string ends with its line.
            '\n' | '\r' | '\x0c' => return at,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What stands before the closing parenthesis, and the place behind it. Without quotes that is the first one.
fn function_argument(text: &str) -> (&str, usize) {
    let mut at = 0;
    let mut depth = 0_usize;
    while let Some(character) = text[at..].chars().next() {
        match character {
            '"' | '\'' => {
                at += string_end(&text[at..], character);
                continue;
            }
            '\\' => at += text[at + 1..].chars().next().map_or(0, char::len_utf8),
            '(' => depth += 1,
            ')' if depth == 0 => return (&text[..at], at + 1),
            ')' => depth -= 1,
            _ => {}
        }
        at += character.len_utf8();
    }
    (text, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_loads_nothing() {
        let mut warnings = Vec::new();
        let sheet = "@import 'http://x/a;b.css';p{background:URL( \"http://x/(b).png\" ) red}/* url(x) */q{content:\"url(\";background:url(data:image/png;base64,AA)}";
        let clean = without_loads(sheet, "customCss", &mut warnings);
        assert_eq!(clean, "p{background:none red} q{content:\"url(\";background:url(data:image/png;base64,AA)}");
        assert_eq!(warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["css_import", "css_url"]);
        assert_eq!(warnings[0].message, "an @import rule of customCss was left out");
    }

    #[test]
    fn no_way_to_write_a_load_gets_through() {
        for sheet in [
            "p{content:'\n;background:url(http://x)}",
            "p{content:'\r;background:url(http://x)}",
            "p{content:'\x0c;background:url(http://x)}",
            "p{background:u\\72l(http://x)}",
            "p{background:\\75 \\72\tl(http://x)}",
            "@\\69mport 'http://x';",
            "@import url(http://x/;) screen;",
            "p{background:u/**/rl(http://x)}@imp/**/ort 'http://x';",
            "p{background:url(data:\"a)}q{background:url(http://x)}b\")}",
            "p{background:url(data:a(b)}q{background:url(http://x))}",
            "p{background:image-set('http://x' 1x)}",
            "p{background:-webkit-image-set(url(http://x) 1x)}",
            "p{background:url(\"data:a\" http://x)}",
            "p{background:url(\\68ttp://x)}",
            "p{background:url(http://x",
        ] {
            let mut warnings = Vec::new();
            let clean = without_loads(sheet, "css", &mut warnings);
            let left = ["url(", "@import", "image-set", "\\"].into_iter().find(|load| clean.to_ascii_lowercase().contains(load));
            assert_eq!(left, None, "{sheet} became {clean}");
        }
    }

    #[test]
    fn what_loads_nothing_stays_as_it_is() {
        for sheet in [
            "p{color:red;content:'\\201c ';width:calc((1px + 2px)*3)}\n@media print{.a\\:b{margin:0}}",
            "p{background:url(data:image/png;base64,AA==) url(\"data:image/svg+xml,<svg x='(1)'>\")}",
            "p{background:url(asset:logo);content:url('data\\3a image\\2f png\\3b base64\\2c AA')}",
            ".curl(1){} #important{} @important x; p{--a:\"url(http://x)\"}",
        ] {
            let mut warnings = Vec::new();
            assert_eq!(without_loads(sheet, "css", &mut warnings), sheet);
            assert_eq!(warnings, []);
        }
    }

    #[test]
    fn every_style_element_of_a_page_is_gone_over_and_nothing_else() {
        let mut warnings = Vec::new();
        let page = "<p>@import x;</p><STYLE title=\"a>\">@import 'http://x';p{}</STYLE ><i>url(x)</i><style>q{background:url(//x)}";
        let clean = elements_without_loads(page.to_owned(), &mut warnings);
        assert_eq!(clean, "<p>@import x;</p><STYLE title=\"a>\">p{}</STYLE ><i>url(x)</i><style>q{background:none}");
        assert_eq!(warnings.len(), 2);
    }
}
