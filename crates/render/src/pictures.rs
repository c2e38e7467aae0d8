//! From the PDF of a document to pictures of its pages, so that a picture shows what is printed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use pdf::{PictureFormat, PictureOptions, Pictures};
use tokio::time::{Instant, timeout_at};

use crate::error::RenderError;
use crate::format_options::ImageOptions;
use crate::request::FileKind;
use crate::run::{Renderer, StopOnDrop};
use crate::several;

/// Pixels of one picture: an A4 page is 3,360 of them wide. 64 MB while it is drawn.
const PAGE_PIXELS: u32 = 16_000_000;

/// Pictures of a document as one file.
pub(crate) struct PictureFile {
    pub(crate) bytes: Bytes,
    pub(crate) kind: FileKind,
    /// Pages of which something could not be drawn.
    pub(crate) incomplete: usize,
}

impl Renderer {
    /// Draws pages, a few documents at a time and off the request threads. Stops between two pages when nobody waits any more.
    pub(crate) async fn draw(&self, pdf: Bytes, options: ImageOptions, deadline: Instant) -> Result<PictureFile, RenderError> {
        let acquired = timeout_at(deadline, Arc::clone(self.drawings()).acquire_owned()).await.map_err(|_| self.late())?;
        let permit = acquired.map_err(|_| self.late())?;
        let stop = StopOnDrop(Arc::default());
        let stopped = Arc::clone(&stop.0);
        let ordered = self.ordered(options);
        let drawing = tokio::task::spawn_blocking(move || {
            // Held by the work and not by its caller, who may leave before the work has noticed.
            let _permit = permit;
            let goes_on = || !stopped.load(Ordering::Relaxed) && Instant::now() < deadline;
            let pictures = pdf::pictures(pdf, &ordered, goes_on)?;
            file_of(pictures, ordered.format)
        });
        let drawn = timeout_at(deadline, drawing).await.map_err(|_| self.late())?.map_err(RenderError::Defect)?;
        drawn.map_err(|error| if matches!(error, RenderError::Pdf(pdf::PdfError::Stopped)) { self.late() } else { error })
    }

    fn ordered(&self, options: ImageOptions) -> PictureOptions {
        let limits = self.limits();
        PictureOptions {
            format: options.format,
            width_px: options.width_px,
            first_page: options.first_page,
            last_page: options.last_page,
            max_pictures: limits.pictures,
            max_page_pixels: PAGE_PIXELS,
            max_bytes: limits.max_output_bytes as u64,
        }
    }
}

/// One picture as it is, several in an archive.
fn file_of(pictures: Pictures, format: PictureFormat) -> Result<PictureFile, RenderError> {
    let kind = match format {
        PictureFormat::Png => FileKind::PNG,
        PictureFormat::Jpeg { .. } => FileKind::JPEG,
        PictureFormat::WebP => FileKind::WEBP,
    };
    let Pictures { mut files, incomplete } = pictures;
    if files.len() == 1
        && let Some((_, bytes)) = files.pop()
    {
        return Ok(PictureFile { bytes, kind, incomplete });
    }
    let named = files.into_iter().map(|(page, bytes)| (format!("page-{page:03}.{}", kind.extension), bytes));
    let bytes = several::packed(named)?;
    Ok(PictureFile { bytes: bytes.into(), kind: FileKind::ZIP, incomplete })
}
