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
}
