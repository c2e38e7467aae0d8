//! The one way in: what the bytes are, and whether they are taken.

use std::io::{Read, Seek};

use crate::bytes::Bytes;
use crate::declared::DeclaredType;
use crate::font::{self, FontInfo};
use crate::foreign::check_no_zip;
use crate::limits::Limits;
use crate::media_type::{Kind, MediaType};
use crate::refusal::{Refusal, at_most, broken};
use crate::sniff::{HEAD_BYTES, sniff};
use crate::svg::{self, Svg};
use crate::{avif, gif, jpeg, pdf, png, webp};

/// Bytes that were taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// What they are.
    pub media_type: MediaType,
    /// How many there are. An SVG is stored in its sanitised form, whose length is its own.
    pub size_bytes: u64,
    /// What is in them.
    pub content: Content,
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A picture of pixels.
    Picture(Picture),
    /// An SVG in its sanitised form, which is the one to keep.
    Svg(Svg),
    /// A font.
    Font(FontInfo),
    /// A document, of which nothing more is known.
    Document,
}

/// The size of a picture of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Frames of an animation; 1 for a still picture.
    pub frames: u64,
}

impl Media {
    /// What it is used for.
    pub fn kind(&self) -> Kind {
        self.media_type.kind()
    }
}

/// Walks the bytes from the first to the last and says what they are. Memory stays below 1 MiB for pictures and documents of any
/// length; an SVG or a font is read whole, within its own limit.
///
/// Time: a PNG, WebP, AVIF or PDF costs a few reads per chunk, a JPEG or GIF is read through once (about 1 s per GB).
pub fn inspect<R: Read + Seek>(declared: &DeclaredType<'_>, source: R, limits: &Limits) -> Result<Media, Refusal> {
    inspect_at(declared, source, limits, 0)
}

/// How many pictures inside pictures lie around: an SVG may have an SVG in it.
pub(crate) fn inspect_at<R: Read + Seek>(declared: &DeclaredType<'_>, source: R, limits: &Limits, level: usize) -> Result<Media, Refusal> {
    let mut bytes = Bytes::new(source)?;
    let size_bytes = bytes.end;
    let found = sniff(bytes.up_to(0, HEAD_BYTES)?).map_err(|what| declared.unsupported(what))?;
    declared.check(found)?;
    let content = match found {
        MediaType::Png => Content::Picture(png::walk(&mut bytes, limits)?),
        MediaType::Jpeg => Content::Picture(jpeg::walk(&mut bytes, limits)?),
        MediaType::Gif => Content::Picture(gif::walk(&mut bytes, limits)?),
        MediaType::Webp => Content::Picture(webp::walk(&mut bytes, limits)?),
        MediaType::Avif => Content::Picture(avif::walk(&mut bytes, limits)?),
        MediaType::Svg => {
            at_most(found, "bytes", size_bytes, limits.svg_bytes)?;
            Content::Svg(svg::sanitise(&bytes.all()?, limits, level)?)
        }
        MediaType::Ttf | MediaType::Otf | MediaType::Woff | MediaType::Woff2 => {
            at_most(found, "bytes", size_bytes, limits.font_bytes)?;
            Content::Font(font::inspect(found, &bytes.all()?, limits)?)
        }
        MediaType::Pdf => {
            pdf::walk(&mut bytes)?;
            Content::Document
        }
    };
    if found != MediaType::Svg {
        check_no_zip(&mut bytes, found)?;
    }
    Ok(Media { media_type: found, size_bytes, content })
}

pub(crate) fn check_pixels(of: MediaType, width: u32, height: u32, limits: &Limits) -> Result<(), Refusal> {
    if width == 0 || height == 0 {
        return Err(broken(of, "it is no pixels wide or high"));
    }
    at_most(of, "pixels", u64::from(width) * u64::from(height), limits.picture_pixels)
}
