//! What an SVG may refer to: its own parts, and pictures and fonts that it carries.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::declared::DeclaredType;
use crate::inspect::{Content, inspect_at};
use crate::limits::Limits;
use crate::media_type::Kind;

/// How many SVGs may be inside each other.
const MOST_LEVELS: usize = 2;
/// As browsers read it: padding may be missing or left over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// Looks at the references of one SVG.
pub(crate) struct References<'l> {
    limits: &'l Limits,
    level: usize,
    pixels: u64,
}

impl<'l> References<'l> {
    pub(crate) fn new(limits: &'l Limits, level: usize) -> Self {
        Self { limits, level, pixels: 0 }
    }

    /// The reference as it may stay; `None` when it leads elsewhere.
    pub(crate) fn local(reference: &str) -> Option<String> {
        let name = reference.trim().strip_prefix('#')?;
        let is_plain = !name.chars().any(|c| c.is_control() || c.is_whitespace() || ['"', '\'', '(', ')', '\\', '<', '>'].contains(&c));
        is_plain.then(|| format!("#{name}"))
    }

    /// The picture or font in a `data:` URI, under the type that it is; `None` when it is none that is accepted.
    pub(crate) fn carried(&mut self, uri: &str, wanted: &[Kind]) -> Option<String> {
        let uri = uri.trim();
        let start = uri.get(..5).filter(|start| start.eq_ignore_ascii_case("data:"))?;
        let (header, payload) = uri[start.len()..].split_once(',')?;
        let is_base64 = header.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
        let raw: Vec<u8> = percent_encoding::percent_decode_str(payload).collect();
        let bytes = if is_base64 {
            BASE64.decode(raw.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>()).ok()?
        } else {
            raw
        };
        if self.level >= MOST_LEVELS {
            return None;
        }
        // Browsers go by the bytes and not by the type that is written before them.
        let media = inspect_at(&DeclaredType::default(), Cursor::new(&bytes), self.limits, self.level + 1).ok()?;
        let kept = match &media.content {
            _ if !wanted.contains(&media.kind()) => return None,
            Content::Picture(picture) => {
                self.pixels = self.pixels.saturating_add(u64::from(picture.width) * u64::from(picture.height));
                (self.pixels <= self.limits.picture_pixels).then_some(bytes.as_slice())?
            }
            Content::Svg(svg) => svg.bytes.as_slice(),
            Content::Font(_) => bytes.as_slice(),
            Content::Document => return None,
        };
        Some(format!("data:{};base64,{}", media.media_type.mime(), base64::prelude::BASE64_STANDARD.encode(kept)))
    }
}
