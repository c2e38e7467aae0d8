//! The last step of a render: limits, dates, ids and metadata.

use bytes::Bytes;
use jiff::Timestamp;

use crate::error::PdfError;
use crate::info::{self, Metadata};
use crate::objects::Layout;
use crate::structure_ids;

/// How large a PDF may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the file, before metadata is added.
    pub max_bytes: u64,
    /// Pages of the document.
    pub max_pages: u32,
}

/// What is written into a file so that it depends on the request alone.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The moment that becomes creation and modification date, to the second.
    pub now: Timestamp,
    /// What the document says about itself; the default changes nothing.
    pub metadata: Metadata,
}

/// A file ready to be answered.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The PDF.
    pub bytes: Bytes,
    /// Its pages.
    pub page_count: u32,
}

/// Checks a PDF printed by Chromium against `limits` and stamps it.
///
/// Two prints of the same page with the same stamp come out byte-identical. Dates and ids are overwritten where they
/// stand, which costs microseconds; only metadata makes the file longer.
pub fn finish(mut pdf: Vec<u8>, stamp: &Stamp, limits: Limits) -> Result<Finished, PdfError> {
    let size_bytes = pdf.len() as u64;
    if size_bytes > limits.max_bytes {
        return Err(PdfError::TooLarge { size_bytes, max_bytes: limits.max_bytes });
    }
    let layout = Layout::read(&pdf)?;
    let (pages, tagged) = pages(&pdf, &layout)?;
    if pages > limits.max_pages {
        return Err(PdfError::TooManyPages { pages, max_pages: limits.max_pages });
    }
    let info = layout.trailer_object(&pdf, b"Info").ok_or(PdfError::Unreadable("it has no information dictionary"))?;
    info::patch_dates(&mut pdf, &info, stamp.now)?;
    if tagged == Tagged::Yes {
        structure_ids::renumber(&mut pdf);
    }
    info::replace(&mut pdf, &layout, &info, &stamp.metadata)?;
    Ok(Finished { bytes: pdf.into(), page_count: pages })
}

/// The number of pages of a PDF printed by Chromium, from the root of its page tree.
pub fn page_count(pdf: &[u8]) -> Result<u32, PdfError> {
    Ok(pages(pdf, &Layout::read(pdf)?)?.0)
}

#[derive(PartialEq, Eq)]
enum Tagged {
    Yes,
    No,
}

fn pages(pdf: &[u8], layout: &Layout) -> Result<(u32, Tagged), PdfError> {
    let catalog = layout.trailer_object(pdf, b"Root").ok_or(PdfError::Unreadable("it has no catalog"))?.dictionary;
    let tagged = if catalog.value(pdf, b"StructTreeRoot").is_some() { Tagged::Yes } else { Tagged::No };
    let tree = catalog.reference(pdf, b"Pages").and_then(|number| layout.object(pdf, number));
    let count = tree.and_then(|tree| tree.dictionary.number(pdf, b"Count")).and_then(|count| u32::try_from(count).ok());
    Ok((count.ok_or(PdfError::Unreadable("its page tree has no count"))?, tagged))
}
