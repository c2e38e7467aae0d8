//! A page as pixels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_syntax::Pdf;
use hayro::hayro_syntax::page::Page;
use hayro::vello_cpu::Pixmap;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};

use crate::error::PdfError;

/// A page has that many points to the inch.
const POINTS_PER_INCH: f32 = 72.0;
/// No side has more pixels: two pages beside each other fit into what the rasteriser counts with.
const MOST_SIDE_PIXELS: f32 = 16_000.0;

/// How large a page becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RasterLimits {
    /// Pixels to the inch. An A4 page has 794 × 1122 pixels at 96.
    pub dpi: u16,
    /// The most pixels of a page; a larger one is made smaller. Four bytes each.
    pub max_page_pixels: u32,
}

/// A picture without transparency, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels from left to right.
    pub width: u16,
    /// Pixels from top to bottom.
    pub height: u16,
    /// Red, green, blue and 255 for each pixel.
    pub rgba: Vec<u8>,
}

impl Picture {
    /// The picture in one colour.
    pub(crate) fn blank(width: u16, height: u16, colour: [u8; 3]) -> Self {
        let [red, green, blue] = colour;
        Self { width, height, rgba: [red, green, blue, 255].repeat(usize::from(width) * usize::from(height)) }
    }

    /// The pixel there; none outside.
    pub(crate) fn pixel(&self, x: u16, y: u16) -> Option<[u8; 3]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let at = self.at(x, y);
        self.rgba.get(at..at + 3).and_then(|pixel| pixel.try_into().ok())
    }

    /// Makes the pixel there, if there is one, another one.
    pub(crate) fn set(&mut self, x: u16, y: u16, colour: [u8; 3]) {
        let at = self.at(x, y);
        if let Some(pixel) = self.rgba.get_mut(at..at + 3).filter(|_| x < self.width && y < self.height) {
            pixel.copy_from_slice(&colour);
        }
    }

    fn at(&self, x: u16, y: u16) -> usize {
        (usize::from(y) * usize::from(self.width) + usize::from(x)) * 4
    }

    /// The picture as a PNG file.
    pub fn into_png(self) -> Result<Bytes, PdfError> {
        let mut pixmap = Pixmap::new(self.width, self.height);
        pixmap.data_as_u8_slice_mut().copy_from_slice(&self.rgba);
        pixmap.set_may_have_transparency(false);
        pixmap.into_png().map(Bytes::from).map_err(|_| PdfError::Undrawable)
    }
}

/// An opened document. What its pages share is read once.
pub(crate) struct Pages<'a> {
    pdf: &'a Pdf,
    cache: RenderCache<'a>,
    settings: InterpreterSettings,
    doubts: Arc<AtomicBool>,
}

/// Opens a document for [`Pages`].
pub(crate) fn open(pdf: Bytes) -> Result<Pdf, PdfError> {
    Pdf::new(Arc::new(pdf)).map_err(|_| PdfError::Unreadable("the rasteriser does not take it for a PDF"))
}

impl<'a> Pages<'a> {
    pub(crate) fn of(pdf: &'a Pdf) -> Self {
        let doubts = Arc::new(AtomicBool::new(false));
        let [warned, fontless] = [(); 2].map(|()| Arc::clone(&doubts));
        let settings = InterpreterSettings {
            // Chromium embeds every font: one that is asked for here is one that the page lacks.
            font_resolver: Arc::new(move |_| {
                fontless.store(true, Ordering::Relaxed);
                None
            }),
            warning_sink: Arc::new(move |_| warned.store(true, Ordering::Relaxed)),
            ..InterpreterSettings::default()
        };
        Self { pdf, cache: RenderCache::new(), settings, doubts }
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.pdf.pages().len()).unwrap_or(u32::MAX)
    }

    /// The page at that place, from 0, on white paper. The picture is in doubt when something of the page could not be drawn.
    pub(crate) fn draw(&self, index: u32, limits: RasterLimits) -> Result<(Picture, Doubt), PdfError> {
        let scale = scale(self.page(index)?.render_dimensions(), limits)?;
        self.draw_by(index, scale)
    }

    /// The same, so many pixels wide. One that would have more pixels than `max_page_pixels` is refused.
    pub(crate) fn draw_in_width(&self, index: u32, width_px: u16, max_page_pixels: u32) -> Result<(Picture, Doubt), PdfError> {
        let (width, height) = self.page(index)?.render_dimensions();
        let scale = scale_to_width((width, height), width_px)?;
        let (width_px, height_px) = (u32::from(width_px), whole(height * scale));
        if width_px.saturating_mul(height_px) > max_page_pixels || height * scale > MOST_SIDE_PIXELS {
            return Err(PdfError::PictureTooLarge { page: index + 1, width: width_px, height: height_px, max_pixels: max_page_pixels });
        }
        self.draw_by(index, scale)
    }

    fn page(&self, index: u32) -> Result<&'a Page<'a>, PdfError> {
        usize::try_from(index).ok().and_then(|index| self.pdf.pages().get(index)).ok_or(PdfError::Undrawable)
    }

    fn draw_by(&self, index: u32, scale: f32) -> Result<(Picture, Doubt), PdfError> {
        let page = self.page(index)?;
        self.doubts.store(false, Ordering::Relaxed);
        let output = PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE };
        // Hints depend on which letters are embedded: one word more would change the look of all others.
        let settings = RenderSettings { hinting: false, ..RenderSettings::default() };
        let pixmap = hayro::render(page, &self.cache, &self.settings, &settings, &output);
        let picture = Picture { width: pixmap.width(), height: pixmap.height(), rgba: pixmap.data_as_u8_slice().to_vec() };
        Ok((picture, if self.doubts.load(Ordering::Relaxed) { Doubt::Some } else { Doubt::None }))
    }
}

/// Whether everything of a page is in its picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doubt {
    /// It is.
    None,
    /// A font, an image or a note could not be drawn.
    Some,
}

/// Draws one page, counted from 0.
pub fn rasterise(pdf: Bytes, page: u32, limits: RasterLimits) -> Result<Picture, PdfError> {
    let pdf = open(pdf)?;
    Ok(Pages::of(&pdf).draw(page, limits)?.0)
}

/// Pixels for each point, within the limits.
fn scale((width, height): (f32, f32), limits: RasterLimits) -> Result<f32, PdfError> {
    if !(width.is_finite() && height.is_finite() && width >= 1.0 && height >= 1.0) {
        return Err(PdfError::Undrawable);
    }
    #[expect(clippy::cast_precision_loss, reason = "a limit of some millions is near enough")]
    let by_area = (limits.max_page_pixels as f32 / (width * height)).sqrt();
    let scale = (f32::from(limits.dpi) / POINTS_PER_INCH).min(by_area).min(MOST_SIDE_PIXELS / width.max(height));
    // A page so thin that it has less than a pixel cannot be drawn.
    if width * scale >= 1.0 && height * scale >= 1.0 { Ok(scale) } else { Err(PdfError::Undrawable) }
}

/// Pixels for each point, so that the page becomes so many pixels wide. What is cut off at the end of a pixel is not to cost one.
fn scale_to_width((width, height): (f32, f32), width_px: u16) -> Result<f32, PdfError> {
    if !(width.is_finite() && height.is_finite() && width >= 1.0 && height >= 1.0) || width_px == 0 {
        return Err(PdfError::Undrawable);
    }
    let scale = (f32::from(width_px) + 0.01) / width;
    if height * scale >= 1.0 { Ok(scale) } else { Err(PdfError::Undrawable) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a side of a page is positive and saturates")]
fn whole(side: f32) -> u32 {
    side as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RasterLimits = RasterLimits { dpi: 96, max_page_pixels: 4_000_000 };

    #[test]
    fn a_page_of_usual_size_has_the_dpi_that_was_asked_for_and_a_large_one_fits_the_limit() {
        assert!((scale((595.0, 842.0), LIMITS).unwrap() - 96.0 / 72.0).abs() < 0.001);
        for (width, height) in [(14_400.0, 14_400.0), (3_000.0, 3_000.0), (14_400.0, 20.0), (20.0, 14_400.0)] {
            let scale = scale((width, height), LIMITS).unwrap();
            assert!(width * scale * height * scale <= 4_000_100.0, "{width}x{height}");
            assert!(width * scale <= MOST_SIDE_PIXELS + 1.0 && height * scale <= MOST_SIDE_PIXELS + 1.0, "{width}x{height}");
        }
        for odd in [(0.0, 10.0), (10.0, f32::NAN), (f32::INFINITY, 10.0), (1.0, 1_000_000.0)] {
            assert_eq!(scale(odd, LIMITS), Err(PdfError::Undrawable), "{odd:?}");
        }
    }

    #[test]
    fn what_is_no_pdf_is_refused() {
        assert!(matches!(rasterise(Bytes::from_static(b"hello"), 0, LIMITS), Err(PdfError::Unreadable(_))));
    }
}
