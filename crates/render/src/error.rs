//! Why there is no document, by what the caller can do about it.

use std::sync::Arc;
use std::time::Duration;

use chromium::{ChromiumError, Phase};
use document::DocumentError;
use domain::ErrorCode;
use domain::quotas::QuotaExhausted;
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
    /// The tenant has reached one of its limits.
    #[error(transparent)]
    QuotaExhausted(#[from] QuotaExhausted),
    /// Writing the document panicked: a defect of ours.
    #[error("writing the document failed")]
    Defect(#[source] tokio::task::JoinError),
}

impl RenderError {
    /// The code under which clients and the log of renders know it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Shared(error) => error.code(),
            Self::UnknownTemplate { .. } | Self::UnknownVersion { .. } => ErrorCode::NotFound,
            Self::Document(error) => error.code(),
            Self::Store(StoreError::Unavailable { .. }) => ErrorCode::ServiceUnavailable,
            Self::DeadlineExceeded { .. } => ErrorCode::RenderTimeout,
            Self::Saturated { .. } => ErrorCode::RenderSaturated,
            Self::QuotaExhausted(_) => ErrorCode::QuotaExhausted,
            Self::Pdf(PdfError::TooManyPages { .. }) => ErrorCode::TooManyPages,
            Self::Pdf(PdfError::TooLarge { .. }) => ErrorCode::PdfTooLarge,
            Self::Pdf(PdfError::Unreadable(_)) | Self::Store(_) | Self::Defect(_) => ErrorCode::InternalError,
            Self::Chromium(error) => match error {
                ChromiumError::Saturated { .. } | ChromiumError::DeadlineExceeded { phase: Phase::Queue } => ErrorCode::RenderSaturated,
                ChromiumError::DeadlineExceeded { .. } => ErrorCode::RenderTimeout,
                ChromiumError::Crashed { .. } => ErrorCode::EngineCrash,
                ChromiumError::PageTooLarge { .. } => ErrorCode::RenderInputTooLarge,
                ChromiumError::OutputTooLarge { .. } => ErrorCode::PdfTooLarge,
                ChromiumError::Refused { .. } => ErrorCode::ValidationFailed,
                ChromiumError::Closed
                | ChromiumError::NotFound { .. }
                | ChromiumError::Launch { .. }
                | ChromiumError::SandboxUnavailable { .. } => ErrorCode::ServiceUnavailable,
            },
        }
    }
}
