//! Why there is no document, by what the caller can do about it.

use std::sync::Arc;
use std::time::Duration;

use chromium::ChromiumError;
use document::DocumentError;
use pdf::PdfError;
use store::StoreError;

/// Why a render did not end in a document.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The tenant has no such template.
    #[error("there is no template \"{key}\"")]
    UnknownTemplate {
        /// The key that was asked for.
        key: String,
    },
    /// The template has no such version.
    #[error("the template \"{key}\" has no version {version}")]
    UnknownVersion {
        /// The key that was asked for.
        key: String,
        /// The version that was asked for.
        version: String,
    },
    /// The definition, the data or an option is at fault.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The browser could not print the page.
    #[error(transparent)]
    Chromium(#[from] ChromiumError),
    /// The PDF is over a limit or cannot be read.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Everyone who waited for the same version meets the same failure.
    #[error(transparent)]
    Shared(Arc<RenderError>),
    /// The deadline passed before the page could be printed.
    #[error("the deadline of {deadline_ms} ms passed while the document was being written")]
    DeadlineExceeded {
        /// The whole render's budget.
        deadline_ms: u64,
    },
    /// As many are being worked on or wait as may; come back in a moment.
    #[error("all render slots and queue places are taken")]
    Saturated {
        /// When a place is likely, from how long prints took lately.
        retry_after: Duration,
    },
    /// Writing the document panicked: a defect of ours.
    #[error("writing the document failed")]
    Defect(#[source] tokio::task::JoinError),
}
