//! What stands before the first element: the encoding, and a DOCTYPE with its entities.

use std::borrow::Cow;

use crate::bytes::length;
use crate::limits::Limits;
use crate::media_type::MediaType::Svg;
use crate::refusal::{Refusal, at_most, broken};

/// The text in UTF-8. Browsers and XML know more encodings; those in which SVGs are found are read.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let utf_16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, odd) = bytes.as_chunks::<2>();
        let text = String::from_utf16(&pairs.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok().filter(|_| odd.is_empty());
        text.map(Cow::Owned).ok_or_else(|| broken(Svg, "its text is not in the encoding it says"))
    };
    let bytes = match bytes {
        [0xff, 0xfe, rest @ ..] => return utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf_16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => rest,
        bytes => bytes,
    };
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_ascii_lowercase();
    let declared = start.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).and_then(|(rest, _)| rest.split_once("encoding"));
    let name = declared.and_then(|(_, rest)| rest.split(['"', '\'']).nth(1).map(str::to_owned));
    match name.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii") => {
            let text = std::str::from_utf8(bytes).map_err(|_| broken(Svg, "its text is not in the encoding it says"))?;
            Ok(Cow::Borrowed(text))
        }
        // Every byte is the character with its number; old versions of Illustrator wrote so.
        Some("iso-8859-1" | "latin1") => Ok(Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())),
        Some(other) => Err(broken(Svg, format!("its encoding is {}; accepted are UTF-8, UTF-16 and ISO-8859-1", other.escape_debug()))),
    }
}

/// The text without its DOCTYPE, and with the entities that it declares put in. Only entities of plain text are accepted: they cannot
/// multiply. Whatever is misread here, the parser behind it refuses every DOCTYPE and every entity that is left.
pub(crate) fn without_doctype<'t>(text: &'t str, limits: &Limits) -> Result<Cow<'t, str>, Refusal> {
    let Some(start) = doctype_start(text) else { return Ok(Cow::Borrowed(text)) };
    let (end, subset) = doctype_end(&text[start..]).ok_or_else(|| broken(Svg, "its DOCTYPE has no end"))?;
    let entities = entities(subset)?;
    let (before, after) = (&text[..start], &text[start + end..]);
    let mut out = String::with_capacity(text.len());
    out.push_str(before);
    let mut rest = after;
    while let Some(at) = rest.find('&') {
        let (plain, reference) = rest.split_at(at);
        out.push_str(plain);
        let name = reference[1..].split_once(';').map(|(name, _)| name).filter(|name| name.len() <= 64);
        if let Some((name, value)) = name.and_then(|name| entities.iter().find(|(known, _)| *known == name)) {
            out.push_str(value);
            rest = &reference[name.len() + 2..];
        } else {
            out.push('&');
            rest = &reference[1..];
        }
        at_most(Svg, "bytes with its entities", length(out.len()), limits.svg_bytes)?;
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

fn doctype_start(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let skipped = rest.trim_start();
        at += rest.len() - skipped.len();
        let end = match skipped {
            _ if skipped.starts_with("<?") => "?>",
            _ if skipped.starts_with("<!--") => "-->",
            _ => return skipped.starts_with("<!DOCTYPE").then_some(at),
        };
        at += skipped.find(end)? + end.len();
    }
}

/// Where the DOCTYPE ends, and what stands between its brackets.
fn doctype_end(text: &str) -> Option<(usize, &str)> {
    let mut brackets = None;
    let mut at = "<!DOCTYPE".len();
    loop {
        let rest = &text[at..];
        let next = rest.find(['"', '\'', '[', ']', '>', '<'])?;
        let sign = *rest.as_bytes().get(next)?;
        at += next + 1;
        match sign {
            b'<' if text[at..].starts_with("!--") => at += text[at..].find("-->")? + 3,
            quote @ (b'"' | b'\'') => at += text[at..].find(char::from(quote))? + 1,
            b'[' if brackets.is_none() => brackets = Some((at, None)),
            b']' => brackets = Some((brackets?.0, Some(at - 1))),
            b'>' => match brackets {
                None => return Some((at, "")),
                Some((from, Some(to))) => return Some((at, &text[from..to])),
                Some((_, None)) => {}
            },
            _ => {}
        }
    }
}

/// The entities that are declared, in order, at most 64.
fn entities(subset: &str) -> Result<Vec<(&str, String)>, Refusal> {
    let mut found: Vec<(&str, String)> = Vec::new();
    if subset.contains('%') {
        return Err(broken(Svg, "its DOCTYPE has parameter entities"));
    }
    for declared in subset.split("<!ENTITY").skip(1) {
        let declared = declared.trim_start();
        let (name, rest) = declared.split_once(|c: char| c.is_whitespace()).unwrap_or((declared, ""));
        let rest = rest.trim_start();
        let value = rest.chars().next().filter(|quote| ['"', '\''].contains(quote)).and_then(|quote| rest[1..].split_once(quote));
        let Some((value, _)) = value else {
            return Err(broken(Svg, "its DOCTYPE has an entity from elsewhere"));
        };
        if value.contains(['<', '&']) {
            return Err(broken(Svg, "its DOCTYPE has an entity with markup or with other entities in it"));
        }
        let is_built_in = ["lt", "gt", "amp", "quot", "apos"].contains(&name);
        if !is_built_in && !found.iter().any(|(known, _)| *known == name) {
            found.push((name, value.replace('"', "&quot;").replace('\'', "&apos;").replace('>', "&gt;")));
        }
        if found.len() > 64 {
            return Err(broken(Svg, "its DOCTYPE has more than 64 entities"));
        }
    }
    Ok(found)
}
