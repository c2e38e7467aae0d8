//! Style sheets as they hold for documents of a sheaf: rules about `body` become rules about each document, and whatever
//! reaches beyond its document is refused.

use crate::sheaf::{HEIGHT_HOLDS, find};

/// Blocks in blocks.
const MAX_DEPTH: usize = 8;
/// What is said about `html` and does no more than be inherited or paint the paper.
const OF_HTML: [&str; 12] = [
    "font",
    "color",
    "line-height",
    "background",
    "box-sizing",
    "text-",
    "-webkit-",
    "print-color-adjust",
    "letter-spacing",
    "word-",
    "hyphens",
    "--",
];
/// What of `body` holds for the whole page.
const NOT_OF_BODY: [&str; 6] = ["background", "direction", "writing-mode", "overflow", "container", "position"];
/// What changes numbers, places things by the page, or lets content leave its box along the page.
const REFUSED: [&str; 38] = [
    "counter",
    "writing-mode",
    "contain",
    "content-visibility",
    "aspect-ratio",
    "zoom",
    "column",
    "animation",
    "view-t",
    "anchor",
    "page",
    "grid-template-rows",
    "grid-auto-rows",
    "line-clamp",
    "-webkit-line-clamp",
    "-webkit-columns",
    "shape",
    "inset",
    "clip-path",
    "mask",
    // What paints or stands away from its place can reach a page of another document.
    "top",
    "bottom",
    "transform",
    "translate",
    "scale",
    "rotate",
    "offset",
    "perspective",
    "filter",
    "backdrop",
    "outline",
    "border-image",
    "box-shadow",
    "text-shadow",
    "text-underline-offset",
    "text-box",
    "text-stroke",
    "-webkit-box-reflect",
];
/// Properties that begin as a refused one and are harmless.
const ALLOWED: [&str; 7] =
    ["column-gap", "page-break-inside", "page-break-before", "page-break-after", "column-rule", "column-span", "column-fill"];

/// Properties whose sizes move what stands beside or below, or paint beside a line.
const SIZED: [&str; 5] = ["margin", "padding", "border", "font-size", "gap"];
/// The longest of their sizes in each unit, some two centimetres: behind pages of nothing browsers break pages in places where they
/// would not otherwise. Numbers without a unit are colours' and weights'.
const MODERATE: [(&str, f32); 11] = [
    ("", 1000.0),
    ("px", 80.0),
    ("pt", 60.0),
    ("pc", 5.0),
    ("mm", 21.0),
    ("cm", 2.1),
    ("q", 84.0),
    ("in", 0.84),
    ("em", 5.0),
    ("rem", 5.0),
    ("%", 20.0),
];

/// What declarations are about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum On<'a> {
    /// The root of the page.
    Html,
    /// The body of a document.
    Body,
    /// An element of this name; empty for any.
    Element(&'a str),
}

/// The sheet for a sheaf, or nothing where it is not known to mean the same there.
pub(crate) fn style_sheet(css: &str) -> Option<String> {
    // Escapes could spell any of the words that are looked for.
    if css.contains('\\') || css.contains("<!--") {
        return None;
    }
    let css = without_comments(css)?;
    let mut out = String::with_capacity(css.len());
    let end = rules(&css, 0, 0, &mut out)?;
    (end == css.len()).then_some(out)
}

/// Whether each declaration keeps to its document.
pub(crate) fn declarations(text: &str, on: On<'_>) -> Option<()> {
    if text.contains(['\\', '{', '}']) || find(text, "/*").is_some() {
        return None;
    }
    let mut rest = text;
    loop {
        let end = end_of(rest, b";")?;
        let declaration = rest[..end].trim();
        if !declaration.is_empty() {
            let (name, value) = declaration.split_once(':')?;
            harmless(name.trim(), value.trim(), on)?;
        }
        match rest.get(end + 1..) {
            Some(next) => rest = next,
            None => return Some(()),
        }
    }
}

fn harmless(name: &str, value: &str, on: On<'_>) -> Option<()> {
    let (name, value) = (name.to_ascii_lowercase(), value.to_ascii_lowercase());
    let (name, value) = (name.as_str(), value.as_str());
    let begins = |list: &[&str]| list.iter().any(|start| name.starts_with(start));
    let plain = name.strip_prefix("-webkit-").unwrap_or(name);
    let is_refused = (begins(&REFUSED) || REFUSED.iter().any(|start| plain.starts_with(start))) && !ALLOWED.contains(&name);
    let by_place = match on {
        On::Html => !begins(&OF_HTML),
        // How words wrap is inherited and holds for no page.
        On::Body => begins(&NOT_OF_BODY) && name != "overflow-wrap",
        On::Element(_) => false,
    };
    let by_value = match name {
        "position" => !matches!(value.trim_end_matches("!important").trim(), "relative" | "static"),
        "height" | "max-height" | "block-size" | "max-block-size" => {
            let holds = matches!(on, On::Element(element) if HEIGHT_HOLDS.contains(&element));
            !holds && !matches!(value, "auto" | "none" | "100%")
        }
        "grid" | "grid-template" | "float" => name != "float" && !matches!(value, "none"),
        // Thick lines leave the line of their text.
        _ if name.starts_with("text-decoration") => value.contains(|character: char| character.is_ascii_digit() || character == '('),
        // By a length, text leaves its line.
        "vertical-align" | "baseline-shift" | "alignment-baseline" => {
            value.contains(|character: char| character.is_ascii_digit() || character == '(')
        }
        // Lines that are lower than their letters do not hold them.
        "line-height" => !holds_letters(value),
        "font" => value.split_once('/').is_some_and(|(_, rest)| !holds_letters(rest.split_ascii_whitespace().next().unwrap_or_default())),
        _ if name.contains("break") => ["left", "right", "recto", "verso"].iter().any(|side| value.contains(side)),
        // The value of a variable can stand in any declaration.
        _ if name.starts_with("--") => value.contains("counter") || ["absolute", "fixed", "-"].iter().any(|word| value.contains(word)),
        _ => false,
    };
    let by_size = SIZED.iter().any(|word| plain.contains(word)) && !is_moderate(value);
    let elsewhere = ["counter(", "counters(", "open-quote", "close-quote", "url(#", "url(\"#", "url('#", "running(", "expression("];
    let by_word = elsewhere.iter().any(|word| value.contains(word));
    (!is_refused && !by_place && !by_value && !by_size && !by_word).then_some(())
}

/// Whether a line height is at least that of the letters, and no whole page.
fn holds_letters(value: &str) -> bool {
    let value = value.trim_end_matches("!important").trim();
    matches!(value, "normal" | "inherit") || value.parse::<f32>().is_ok_and(|factor| (1.0..=5.0).contains(&factor))
}

/// Whether no length of a value leads backwards or over more than a part of a page.
fn is_moderate(value: &str) -> bool {
    // What is calculated could be anything.
    if value.contains('(') && !value.contains("rgb") && !value.contains("hsl") {
        return false;
    }
    value.split(|character: char| character.is_ascii_whitespace() || matches!(character, ',' | '/')).all(|word| {
        let is_number = word.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '.' | '+' | '-'));
        if !is_number {
            return true;
        }
        let unit_at =
            word.find(|character: char| !(character.is_ascii_digit() || matches!(character, '.' | '+' | '-'))).unwrap_or(word.len());
        let (number, unit) = word.split_at(unit_at);
        let most = MODERATE.iter().find(|(known, _)| *known == unit.trim_end_matches("!important")).map_or(0.0, |(_, most)| *most);
        number.parse::<f32>().is_ok_and(|number| (0.0..=most).contains(&number))
    })
}

/// Copies rules up to the end of their block; gives where that is.
fn rules(css: &str, mut at: usize, depth: usize, out: &mut String) -> Option<usize> {
    if depth > MAX_DEPTH {
        return None;
    }
    loop {
        at += css[at..].len() - css[at..].trim_start().len();
        match css.as_bytes().get(at) {
            None => return (depth == 0).then_some(at),
            Some(b'}') => return (depth > 0).then_some(at + 1),
            Some(_) => {}
        }
        let open = at + end_of(&css[at..], b"{")?;
        // Something that ends without a block, such as an import.
        if open >= css.len() || css[at..open].contains(';') {
            return None;
        }
        let prelude = css[at..open].trim();
        if let Some(rule) = prelude.strip_prefix('@') {
            let name: String = rule.chars().take_while(|character| character.is_ascii_alphabetic() || *character == '-').collect();
            let about = rule[name.len()..].trim();
            match name.to_ascii_lowercase().as_str() {
                "media" | "supports" => {
                    out.push_str(prelude);
                    out.push('{');
                    at = rules(css, open + 1, depth + 1, out)?;
                    out.push('}');
                }
                kind @ ("page" | "font-face") if about.is_empty() => {
                    let end = end_of_block(css, open + 1)?;
                    let block = &css[open + 1..end];
                    // A drawing of a whole page lies over the mark at the end of a print.
                    if kind == "page" && ["counter", "element(", "data:image/svg"].iter().any(|word| find(block, word).is_some()) {
                        return None;
                    }
                    out.push_str(&css[at..=end]);
                    at = end + 1;
                }
                _ => return None,
            }
        } else {
            let end = open + 1 + end_of(&css[open + 1..], b"}")?;
            let block = css.get(open + 1..end)?;
            css.as_bytes().get(end)?;
            let selectors = selectors(prelude)?;
            for on in &selectors.on {
                declarations(block, *on)?;
            }
            out.push_str(&selectors.text);
            out.push('{');
            out.push_str(block.trim());
            out.push('}');
            at = end + 1;
        }
    }
}

/// Selectors for a sheaf, and what each is about.
struct Selectors<'p> {
    text: String,
    on: Vec<On<'p>>,
}

fn selectors(prelude: &str) -> Option<Selectors<'_>> {
    if prelude.is_empty() || find(prelude, ":has").is_some() || prelude.contains(['&', '"', '\'']) && !prelude.contains('[') {
        return None;
    }
    let mut text = String::with_capacity(prelude.len() + 16);
    let mut on = Vec::new();
    let mut rest = prelude;
    loop {
        let end = end_of(rest, b",")?;
        let one = rest.get(..end)?.trim();
        on.push(selector(one, &mut text)?);
        match rest.get(end + 1..) {
            Some(next) => rest = next,
            None => return Some(Selectors { text, on }),
        }
        text.push(',');
    }
}

/// One selector without commas at its top.
fn selector<'p>(one: &'p str, text: &mut String) -> Option<On<'p>> {
    if one.is_empty() {
        return None;
    }
    if one.eq_ignore_ascii_case("html") || one.eq_ignore_ascii_case(":root") {
        text.push_str(one);
        return Some(On::Html);
    }
    let (bytes, mut at, mut in_brackets, mut last_compound, mut names_body) = (one.as_bytes(), 0, 0_u32, "", false);
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'[' => in_brackets += 1,
            b']' => in_brackets = in_brackets.checked_sub(1)?,
            // Behind a combinator begins another compound.
            b' ' | b'\n' | b'\t' | b'\r' | b'>' | b'+' | b'~' if in_brackets == 0 => last_compound = "",
            _ => {}
        }
        let begins = in_brackets == 0 && (byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80);
        let before = at.checked_sub(1).map(|before| bytes[before]);
        if !begins || matches!(before, Some(b'.' | b'#' | b':' | b'-' | b'0'..=b'9')) {
            // A class, an id or a pseudo-class is skipped whole.
            let length = if begins { ident_length(&bytes[at..]) } else { one[at..].chars().next()?.len_utf8() };
            text.push_str(&one[at..at + length]);
            at += length;
            continue;
        }
        let length = ident_length(&bytes[at..]);
        let ident = &one[at..at + length];
        if ident.eq_ignore_ascii_case("html") {
            return None;
        }
        if ident.eq_ignore_ascii_case("body") {
            if bytes.get(at + length) == Some(&b':') {
                return None;
            }
            names_body = true;
            text.push_str("pulp-body");
        } else {
            text.push_str(ident);
        }
        last_compound = ident;
        at += length;
    }
    if find(one, ":root").is_some() {
        return None;
    }
    // A rule that names the body and something in it is held to what holds for either.
    Some(if names_body && (last_compound.eq_ignore_ascii_case("body") || one.contains('(')) {
        On::Body
    } else {
        On::Element(last_compound)
    })
}

fn ident_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || *byte >= 0x80)).unwrap_or(bytes.len())
}

/// Where one of `ends` stands outside of strings, parentheses and brackets; the length where none does.
fn end_of(text: &str, ends: &[u8]) -> Option<usize> {
    let (mut quote, mut depth) = (None, 0_u32);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, byte) if depth == 0 && ends.contains(&byte) => return Some(at),
            (None, b'(' | b'[') => depth += 1,
            (None, b')' | b']') => depth = depth.checked_sub(1)?,
            // A text that does not end, or a block inside of what has none.
            (Some(_), b'\n') | (None, b'{' | b'}') => return None,
            _ => {}
        }
    }
    (quote.is_none() && depth == 0).then_some(text.len())
}

/// Where the block ends that begins here, with the blocks in it.
fn end_of_block(css: &str, from: usize) -> Option<usize> {
    let (mut quote, mut depth) = (None, 0_u32);
    for (at, byte) in css.bytes().enumerate().skip(from) {
        match (quote, byte) {
            (Some(open), byte) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth == 0 => return Some(at),
            (None, b'}') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn without_comments(css: &str) -> Option<String> {
    if !css.contains("/*") {
        return Some(css.to_owned());
    }
    let mut out = String::with_capacity(css.len());
    let mut quote = None;
    let mut rest = css;
    while let Some(first) = rest.chars().next() {
        if quote.is_none() && rest.starts_with("/*") {
            rest = &rest[rest.find("*/")? + 2..];
            out.push(' ');
            continue;
        }
        match (quote, first) {
            (Some(open), first) if open == first => quote = None,
            (None, '"' | '\'') => quote = Some(first),
            _ => {}
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    Some(out)
}
