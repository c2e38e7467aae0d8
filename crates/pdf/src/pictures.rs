//! Pages of a document as pictures.

use bytes::Bytes;
use image_webp::{ColorType as WebPColor, WebPEncoder};
use jpeg_encoder::{ColorType, Encoder};

use crate::error::PdfError;
use crate::raster::{Doubt, Pages, Picture, open};

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// Without loss.
    Png,
    /// Smaller, with loss.
    Jpeg {
        /// From 1, the smallest file, to 100, the best picture.
        quality: u8,
    },
    /// Without loss, and smaller than PNG.
    WebP,
}

/// Which pages become pictures and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureOptions {
    /// How pictures are written.
    pub format: PictureFormat,
    /// Pixels from left to right of each picture; its height follows from its page. Without it 96 to the inch, fewer where that is more
    /// pixels than accepted.
    pub width_px: Option<u16>,
    /// The first page, from 1.
    pub first_page: u32,
    /// The last page; without it the document's last.
    pub last_page: Option<u32>,
    /// Pictures of one document.
    pub max_pictures: u32,
    /// Pixels of one picture, four bytes each while it is drawn.
    pub max_page_pixels: u32,
    /// Bytes of all pictures together.
    pub max_bytes: u64,
}

/// Pictures of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pictures {
    /// The number of each page, from 1, and its file.
    pub files: Vec<(u32, Bytes)>,
    /// Pages of which something could not be drawn.
    pub incomplete: usize,
}

/// Draws pages. Holds the pixels of one page at a time, and the files that it gives back. `goes_on` is asked before each page.
///
/// # Errors
/// [`PdfError::NoSuchPage`], [`PdfError::TooManyPictures`], [`PdfError::PictureTooLarge`] and [`PdfError::PicturesTooLarge`] of what is
/// asked for, [`PdfError::Stopped`] once `goes_on` says no, and those of a file that cannot be read or drawn.
pub fn pictures(pdf: Bytes, options: &PictureOptions, goes_on: impl Fn() -> bool) -> Result<Pictures, PdfError> {
    let pdf = open(pdf)?;
    let pages = Pages::of(&pdf);
    let (first, last) = (options.first_page, options.last_page.unwrap_or(pages.count()));
    if first == 0 || first > last || last > pages.count() {
        return Err(PdfError::NoSuchPage { page: if first == 0 || first > pages.count() { first } else { last }, pages: pages.count() });
    }
    let wanted = last - first + 1;
    if wanted > options.max_pictures {
        return Err(PdfError::TooManyPictures { pages: wanted, max_pages: options.max_pictures });
    }
    let mut made = Pictures { files: Vec::new(), incomplete: 0 };
    let mut room = options.max_bytes;
    for page in first..=last {
        if !goes_on() {
            return Err(PdfError::Stopped);
        }
        let (picture, doubt) = match options.width_px {
            Some(width_px) => pages.draw_in_width(page - 1, width_px, options.max_page_pixels)?,
            None => pages.draw(page - 1, crate::RasterLimits { dpi: 96, max_page_pixels: options.max_page_pixels })?,
        };
        made.incomplete += usize::from(doubt == Doubt::Some);
        let file = written(picture, options.format)?;
        room = room.checked_sub(file.len() as u64).ok_or(PdfError::PicturesTooLarge { max_bytes: options.max_bytes })?;
        made.files.push((page, file));
    }
    Ok(made)
}

fn written(picture: Picture, format: PictureFormat) -> Result<Bytes, PdfError> {
    let (width, height) = (picture.width, picture.height);
    let mut out = Vec::new();
    match format {
        PictureFormat::Png => return picture.into_png(),
        PictureFormat::Jpeg { quality } => {
            let encoder = Encoder::new(&mut out, quality.clamp(1, 100));
            encoder.encode(&picture.rgba, width, height, ColorType::Rgba).map_err(|_| PdfError::Undrawable)?;
        }
        PictureFormat::WebP => {
            let rgb: Vec<u8> = picture.rgba.chunks_exact(4).flat_map(|pixel| pixel.iter().take(3).copied()).collect();
            let encoder = WebPEncoder::new(&mut out);
            encoder.encode(&rgb, width.into(), height.into(), WebPColor::Rgb8).map_err(|_| PdfError::Undrawable)?;
        }
    }
    Ok(out.into())
}
