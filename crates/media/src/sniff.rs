//! What the first bytes look like.

use crate::media_type::MediaType;

/// How many first bytes are looked at.
pub(crate) const HEAD_BYTES: usize = 4096;

/// An accepted type, or words for what it is instead.
pub(crate) fn sniff(head: &[u8]) -> Result<MediaType, &'static str> {
    let found = match head {
        [] => return Err("an empty file"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => MediaType::Png,
        [0xff, 0xd8, 0xff, ..] => MediaType::Jpeg,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => MediaType::Gif,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => MediaType::Webp,
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand {
            [b'a', b'v', b'i', b'f' | b's', ..] => MediaType::Avif,
            [b'h', b'e', b'i' | b'v', ..] | [b'm', b'i', b'f', b'1', ..] => return Err("a HEIF picture"),
            _ => return Err("a video"),
        },
        [0, 1, 0, 0, ..] | [b't', b'r', b'u', b'e', ..] => MediaType::Ttf,
        [b'O', b'T', b'T', b'O', ..] => MediaType::Otf,
        [b'w', b'O', b'F', b'F', ..] => MediaType::Woff,
        [b'w', b'O', b'F', b'2', ..] => MediaType::Woff2,
        [b'%', b'P', b'D', b'F', b'-', ..] => MediaType::Pdf,
        [b't', b't', b'c', b'f', ..] => return Err("a collection of fonts (take one font out of it)"),
        [b'P', b'K', 3 | 5, ..] => return Err("a ZIP archive"),
        [0x1f, 0x8b, ..] => return Err("a file packed with gzip (unpack it)"),
        [b'B', b'M', ..] => return Err("a BMP picture"),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => return Err("a TIFF picture"),
        [0, 0, 1, 0, ..] => return Err("an icon"),
        [b'M', b'Z', ..] | [0x7f, b'E', b'L', b'F', ..] => return Err("a program"),
        _ => return markup(head),
    };
    Ok(found)
}

fn markup(head: &[u8]) -> Result<MediaType, &'static str> {
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        // UTF-16: which element it is, the SVG's own parser finds out.
        let text: Vec<u8> = head.iter().copied().filter(|byte| *byte != 0).collect();
        return markup_text(&text[2.min(text.len())..]);
    }
    markup_text(head.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(head))
}

fn markup_text(head: &[u8]) -> Result<MediaType, &'static str> {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.trim_start();
    if !rest.starts_with('<') {
        let printable = head.iter().all(|byte| *byte >= 0x20 || byte.is_ascii_whitespace());
        return Err(if printable { "text" } else { "a file of an unknown type" });
    }
    loop {
        rest = rest.trim_start();
        let end = match rest {
            _ if rest.starts_with("<?") => "?>",
            _ if rest.starts_with("<!--") => "-->",
            _ => break,
        };
        // A prolog that is longer than the head: only an SVG may have the benefit of the doubt.
        let Some((_, behind)) = rest.split_once(end) else { return Ok(MediaType::Svg) };
        rest = behind;
    }
    if rest.is_empty() {
        return Ok(MediaType::Svg);
    }
    let name =
        |start: &str| -> String { start.trim_start().chars().take_while(|c| !c.is_whitespace() && !['>', '/', '['].contains(c)).collect() };
    let root = match rest.get(..9).filter(|start| start.eq_ignore_ascii_case("<!doctype")) {
        Some(start) => name(&rest[start.len()..]),
        None => name(rest.strip_prefix('<').unwrap_or_default()),
    };
    match root.rsplit(':').next().unwrap_or_default() {
        "svg" => Ok(MediaType::Svg),
        local if local.eq_ignore_ascii_case("html") => Err("HTML"),
        _ => Err("markup that is no SVG"),
    }
}
