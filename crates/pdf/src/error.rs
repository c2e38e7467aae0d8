//! What can be wrong with a PDF.

/// Why a PDF was not handed on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PdfError {
    /// The file has more bytes than the caller accepts.
    #[error("the PDF has {size_bytes} bytes; at most {max_bytes} are accepted")]
    TooLarge {
        /// Found.
        size_bytes: u64,
        /// Accepted.
        max_bytes: u64,
    },
    /// The document has more pages than the caller accepts.
    #[error("the PDF has {pages} pages; at most {max_pages} are accepted")]
    TooManyPages {
        /// Found.
        pages: u32,
        /// Accepted.
        max_pages: u32,
    },
    /// The bytes are no PDF of the kind that Chromium writes; the text says which part is missing or odd.
    #[error("the PDF cannot be read: {0}")]
    Unreadable(&'static str),
    /// A page has no size that could be drawn, or its picture could not be written.
    #[error("a page of the PDF cannot be drawn")]
    Undrawable,
    /// A page is asked for that the document does not have.
    #[error("there is no page {page}: the document has {pages}")]
    NoSuchPage {
        /// Asked for.
        page: u32,
        /// There are.
        pages: u32,
    },
    /// More pages are to become pictures than the caller accepts.
    #[error("{pages} pages would become pictures; at most {max_pages} are accepted, so name some in image.pages")]
    TooManyPictures {
        /// Asked for.
        pages: u32,
        /// Accepted.
        max_pages: u32,
    },
    /// A picture would have more pixels than the caller accepts.
    #[error("page {page} would have {width} × {height} pixels; at most {max_pixels} together are accepted")]
    PictureTooLarge {
        /// Which, from 1.
        page: u32,
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
        /// Accepted.
        max_pixels: u32,
    },
    /// The pictures have more bytes together than the caller accepts.
    #[error("the pictures have more than {max_bytes} bytes together; ask for fewer pages or a smaller width")]
    PicturesTooLarge {
        /// Accepted.
        max_bytes: u64,
    },
    /// Nobody waits any more.
    #[error("the pages were still being drawn when nobody waited for them any more")]
    Stopped,
    /// The bytes, which somebody brought, are no PDF that can be read; the text says which part is missing or odd.
    #[error("the file is no PDF that can be read: {0}")]
    Invalid(&'static str),
    /// The file is encrypted, be it with an empty password.
    #[error("the PDF is encrypted; remove its protection and send it again")]
    Encrypted,
    /// Reading the file would cost more than a file may cost.
    #[error("the PDF has too many {what} to be read")]
    TooMuch {
        /// Of what there is too much.
        what: &'static str,
    },
}
