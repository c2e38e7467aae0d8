//! Images inside data URIs: which are accepted, and how large they become when a browser decodes them.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::limits::Limits;
use crate::tags::decode;

/// What browsers decode and this room can measure.
const ACCEPTED: &str = "data:image/png, image/jpeg, image/gif, image/webp or image/svg+xml";
/// Enough for the header of everything but a JPEG with long metadata.
const HEADER_BYTES: usize = 4096;
/// As browsers read it: padding may be missing or left over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// Checks the images of one document against its limits, each different one once.
pub(crate) struct ImageCheck<'l> {
    limits: &'l Limits,
    seen: HashSet<Box<str>>,
    pixels: u64,
}

impl<'l> ImageCheck<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self { limits, seen: HashSet::new(), pixels: 0 }
    }

    /// Checks one URI; the error says what was found and what would be accepted.
    pub(crate) fn check(&mut self, uri: &str) -> Result<(), String> {
        if self.seen.contains(uri) {
            return Ok(());
        }
        let (media_type, payload) = split(uri).ok_or_else(|| format!("the image is no data URI; accepted: {ACCEPTED}"))?;
        let kind = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_base64 = media_type.split(';').skip(1).any(|parameter| parameter.trim().eq_ignore_ascii_case("base64"));
        let size_bytes = if is_base64 { payload.len() / 4 * 3 } else { payload.len() };
        if size_bytes > self.limits.image_bytes {
            return Err(format!("the image has about {size_bytes} bytes; at most {} are accepted", self.limits.image_bytes));
        }
        match kind.as_str() {
            // A vector has no pixels, and inside <img> its scripts and loads are inert.
            "image/svg+xml" => return Ok(()),
            "image/png" | "image/jpeg" | "image/jpg" | "image/gif" | "image/webp" => {}
            other => return Err(format!("the image is of type \"{}\"; accepted: {ACCEPTED}", crate::issues::clip(other, 40))),
        }
        let decoded = |bytes| if is_base64 { decode_base64(payload, bytes) } else { decode_percent(payload, bytes) };
        // A browser goes by the bytes and not by the declared type, so they are what is measured.
        let size = size_of(&decoded(HEADER_BYTES)).or_else(|| size_of(&decoded(usize::MAX)));
        let (width, height) = size.ok_or("the image's bytes are no PNG, JPEG, GIF or WebP, or are cut off")?;
        self.admit(width, height)?;
        self.seen.insert(uri.into());
        Ok(())
    }

    /// Takes one more picture of so many pixels.
    pub(crate) fn admit(&mut self, width: u32, height: u32) -> Result<(), String> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.limits.image_pixels {
            return Err(format!("the image is {width} × {height} pixels; at most {} pixels are accepted", self.limits.image_pixels));
        }
        self.pixels += pixels;
        if self.pixels > self.limits.all_image_pixels {
            let limit = self.limits.all_image_pixels;
            return Err(format!("the document's images have more than {limit} pixels together"));
        }
        Ok(())
    }

    /// Checks every `data:image/…` in finished HTML. Images without content (`data:image/png;base64,`) show nothing and pass.
    pub(crate) fn check_all(&mut self, html: &str) -> Result<(), String> {
        let starts = memchr::memmem::find_iter(html.as_bytes(), b":image/")
            .filter_map(|colon| colon.checked_sub(4).filter(|at| html.as_bytes()[*at..colon].eq_ignore_ascii_case(b"data")));
        let mut starts = starts.peekable();
        while let Some(at) = starts.next() {
            // No URI reaches into the next one: the colon in it is no base64. So every byte is looked at once.
            let uri = &html[at..starts.peek().copied().unwrap_or(html.len())];
            let end = uri.find(['"', '\'', ')', '>', ' ', '\n']).unwrap_or(uri.len());
            // Quotes inside an SVG that is not encoded end the scan early, which is harmless.
            // Escaping turned the padding of base64 into character references, which a browser undoes.
            let uri = if uri[..end].contains('&') { Cow::Owned(decode(&uri[..end])) } else { Cow::Borrowed(&uri[..end]) };
            if split(&uri).is_some_and(|(_, payload)| !payload.is_empty()) {
                self.check(&uri)?;
            }
        }
        Ok(())
    }
}

/// Media type and payload of a data URI.
fn split(uri: &str) -> Option<(&str, &str)> {
    let start = uri.get(..5).filter(|start| start.eq_ignore_ascii_case("data:"))?;
    uri[start.len()..].split_once(',')
}

fn decode_base64(payload: &str, max_bytes: usize) -> Vec<u8> {
    let wanted = max_bytes.div_ceil(3).saturating_mul(4);
    // Browsers skip white space and resolve %xx inside the payload as well.
    let mut text: Vec<u8> =
        decode_percent(payload, wanted).into_iter().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').collect();
    // A piece of one character cannot be decoded.
    if text.len() % 4 == 1 {
        text.pop();
    }
    BASE64.decode(text).unwrap_or_default()
}

fn decode_percent(payload: &str, max_bytes: usize) -> Vec<u8> {
    let bytes = payload.as_bytes();
    let mut out = Vec::with_capacity(bytes.len().min(max_bytes));
    let mut at = 0;
    while at < bytes.len() && out.len() < max_bytes {
        let escaped = (bytes[at] == b'%').then(|| payload.get(at + 1..at + 3)).flatten();
        if let Some(byte) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

/// Width and height from the header; `None` where the bytes are something else or end too early.
fn size_of(bytes: &[u8]) -> Option<(u32, u32)> {
    let be16 = |at: usize| Some(u32::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let be32 = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let le16 = |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let le24 = |at: usize| Some(le16(at)? | u32::from(*bytes.get(at + 2)?) << 16);
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((be32(16)?, be32(20)?));
    }
    if bytes.starts_with(b"GIF8") {
        return Some((le16(6)?, le16(8)?));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP" {
        return match bytes.get(12..16)? {
            b"VP8X" => Some((le24(24)? + 1, le24(27)? + 1)),
            b"VP8 " => Some((le16(26)? & 0x3fff, le16(28)? & 0x3fff)),
            b"VP8L" => {
                let packed = le16(21)? | le16(23)? << 16;
                Some(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
            }
            _ => None,
        };
    }
    if !bytes.starts_with(b"\xff\xd8") {
        return None;
    }
    let mut at = 2;
    loop {
        match (*bytes.get(at)?, *bytes.get(at + 1)?) {
            // Fill bytes before a marker.
            (0xff, 0xff) => at += 1,
            // Start of frame, of any kind: precision, then height and width.
            (0xff, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf) => return Some((be16(at + 7)?, be16(at + 5)?)),
            // Markers without a length.
            (0xff, 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => at += 2 + usize::try_from(be16(at + 2)?).ok()?,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(kind: &str, bytes: &[u8]) -> String {
        format!("data:image/{kind};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x06\0\0\0"].concat()
    }

    #[test]
    fn the_size_of_every_accepted_kind_is_read_from_its_header() {
        assert_eq!(size_of(&png(3, 4)), Some((3, 4)));
        assert_eq!(size_of(b"GIF89a\x03\0\x04\0"), Some((3, 4)));
        assert_eq!(size_of(b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x02\0\0\x03\0\0"), Some((3, 4)));
        assert_eq!(size_of(b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x03\0\x04\0"), Some((3, 4)));
        assert_eq!(size_of(b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x02\xc0\0\0"), Some((3, 4)));
        let jpeg = [b"\xff\xd8\xff\xe1\x20\0".as_slice(), &[7; 0x1ffe], b"\xff\xc2\0\x11\x08\0\x04\0\x03"].concat();
        assert_eq!(size_of(&jpeg), Some((3, 4)));
        let limits = Limits::default();
        assert_eq!(ImageCheck::new(&limits).check(&uri("jpeg", &jpeg)), Ok(()));
    }

    #[test]
    fn an_image_bomb_is_refused_by_its_header_whatever_it_calls_itself() {
        let limits = Limits::default();
        let mut check = ImageCheck::new(&limits);
        let said = check.check(&uri("gif", &png(50_000, 50_000))).unwrap_err();
        assert!(said.contains("50000 × 50000") && said.contains("100000000"), "{said}");
        let html = format!("<p style='background:url({})'>", uri("png", &png(50_000, 50_000)));
        assert!(check.check_all(&html.replace("data", "DATA")).is_err());
        for number in 0..4 {
            check.check(&uri("png", &png(10_000, 10_000 - number))).unwrap();
        }
        let again = uri("png", &png(10_000, 10_000));
        check.check(&again).unwrap();
        assert!(check.check(&uri("png", &png(10_000, 9_000))).unwrap_err().contains("together"));
    }

    #[test]
    fn what_is_no_accepted_image_is_told_what_is() {
        let limits = Limits { image_bytes: 1000, ..Limits::default() };
        let mut check = ImageCheck::new(&limits);
        for (uri, part) in [
            ("http://x/a.png".to_owned(), "no data URI"),
            (uri("tiff", b"II*"), "image/tiff"),
            (uri("png", b"hello"), "no PNG, JPEG"),
            (uri("png", &[0; 5000]), "at most 1000"),
            ("data:text/html,<b>".to_owned(), "text/html"),
        ] {
            let said = check.check(&uri).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(check.check("data:image/svg+xml,%3Csvg/%3E"), Ok(()));
        assert_eq!(check.check_all("<img src=\"data:image/png;base64,\"> data:image/svg+xml,<svg>"), Ok(()));
    }
}
