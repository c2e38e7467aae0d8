//! Why there is no document, by what the caller can do about it.

use std::sync::Arc;
use std::time::Duration;

use blobs::BlobError;
use chromium::{ChromiumError, Phase};
use document::DocumentError;
use domain::ErrorCode;
use domain::datasets::DatasetId;
use domain::quotas::QuotaExhausted;
use jiff::Timestamp;
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
    /// The template has no such label.
    #[error("the template \"{key}\" has no label \"{label}\"")]
    UnknownLabel {
        /// The key that was asked for.
        key: String,
        /// The label that was asked for.
        label: String,
    },
    /// No version of the template is the live one.
    #[error(
        "the template \"{key}\" is not released: it has no label \"{label}\", which renders by default here; move that label to a version, or ask for a version, another label or @latest"
    )]
    NotReleased {
        /// The key that was asked for.
        key: String,
        /// The installation's live label.
        label: String,
    },
    /// The label is younger than the moment that was asked for.
    #[error("the template \"{key}\" had no label \"{label}\" at {as_of}; its history begins at {made_at}")]
    AsOfBeforeHistory {
        /// The key that was asked for.
        key: String,
        /// The label that was asked for.
        label: String,
        /// The moment that was asked for.
        as_of: Timestamp,
        /// When the label was made.
        made_at: Timestamp,
    },
    /// The label was removed before the moment that was asked for, and made again after it if at all.
    #[error("the template \"{key}\" had no label \"{label}\" at {as_of}: it was removed before")]
    LabelWasRemoved {
        /// The key that was asked for.
        key: String,
        /// The label that was asked for.
        label: String,
        /// The moment that was asked for.
        as_of: Timestamp,
    },
    /// The moment that was asked for has not come.
    #[error("asOf is {as_of}, and it is {now}: what a label will be then is not known")]
    AsOfInFuture {
        /// The moment that was asked for.
        as_of: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// The definition, the data or an option is at fault.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// What the template is made with is not there any more, or does not fit it any more: nothing is rendered without it.
    #[error("a part of the template is missing or does not fit: {}", issues.first().map_or("", |issue| issue.message.as_str()))]
    Part {
        /// What is wrong with the first of them.
        code: ErrorCode,
        /// All of them, with JSON pointers into the template's definition.
        issues: Vec<domain::Issue>,
    },
    /// What the request says about keeping the document is not accepted here.
    #[error("{}: {}", .0.path, .0.message)]
    OutputRefused(Box<domain::Issue>),
    /// The tenant keeps as much as it may; the document was rendered and is not kept.
    #[error("the document is not stored: this tenant keeps as many bytes as it may; remove something, or let documents live shorter")]
    StorageFull(Box<domain::quotas::QuotaStanding>),
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
    /// The form of another PDF is being read; there is one at a time.
    #[error("forms of another PDF are being read; try again in a moment")]
    FormsBusy {
        /// When that is likely over.
        retry_after: Duration,
    },
    /// A proof of the same tenant is under way; there is one at a time.
    #[error("a proof of this tenant is being made; ask again when it is done")]
    ProofUnderWay {
        /// When that is likely.
        retry_after: Duration,
    },
    /// The tenant has reached one of its limits.
    #[error(transparent)]
    QuotaExhausted(#[from] QuotaExhausted),
    /// An asset is known, and its bytes are not where they were put.
    #[error("the bytes of the asset \"{name}\" are missing; restore them, or upload the file again")]
    AssetBinaryMissing {
        /// As it was asked for.
        name: String,
    },
    /// A finished document is known, and its bytes are not where they were put, or not what they were.
    #[error("the bytes of the document \"{name}\" are missing or damaged; restore them, or render it again")]
    DocumentBytesMissing {
        /// What the file is called.
        name: String,
    },
    /// The tenant has no such dataset, or its time is over.
    #[error("there is no dataset \"{id}\", or its time is over")]
    UnknownDataset {
        /// As it was asked for.
        id: DatasetId,
    },
    /// A dataset is known, and its bytes are not where they were put, or not what they were.
    #[error("the bytes of the dataset \"{id}\" are missing or damaged; upload it again")]
    DatasetBytesMissing {
        /// Which one.
        id: DatasetId,
    },
    /// What the data was to come from is JSON, and no object.
    #[error("what {field} leads to is {is}; data is an object")]
    DataUnfit {
        /// The field of the request.
        field: &'static str,
        /// What it is instead.
        is: &'static str,
    },
    /// The operator has not allowed that data is got from addresses.
    #[error("this server gets no data from addresses (DATA_URL_ENABLED); send data, or upload it to /datasets and send dataRef")]
    DataUrlsOff,
    /// Nothing is got from the address in `dataUrl`.
    #[error("no data is got from dataUrl: {0}")]
    DataUrlRejected(String),
    /// The address in `dataUrl` gave no data.
    #[error("dataUrl gave no data: {0}")]
    DataFetchFailed(String),
    /// The address in `dataUrl` gave more than is read.
    #[error("dataUrl gave more than the {limit_bytes} bytes that are read")]
    DataFromUrlTooLarge {
        /// So many are read.
        limit_bytes: usize,
    },
    /// The place of stored files failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// An uploaded file was not taken.
    #[error(transparent)]
    Upload(#[from] media::Refusal),
    /// An uploaded file is of another kind than the asset whose next version it was to be.
    #[error("the asset is of the kind {is}, and the file is {given}; upload it as an asset of its own")]
    OtherKind {
        /// The asset's kind.
        is: &'static str,
        /// The file's type.
        given: String,
    },
    /// Several files could not be put into one.
    #[error("the files of the document could not be packed")]
    Packing(#[from] std::io::Error),
    /// Writing the document panicked: a defect of ours.
    #[error("writing the document failed")]
    Defect(#[source] tokio::task::JoinError),
}

impl RenderError {
    /// Whether the template or its data is at fault, and no limit of the server or of the moment.
    pub fn is_of_the_template(&self) -> bool {
        match self {
            Self::Shared(error) => error.is_of_the_template(),
            Self::Document(_) | Self::Part { .. } => true,
            _ => matches!(
                self.code(),
                ErrorCode::RenderTimeout
                    | ErrorCode::TooManyPages
                    | ErrorCode::PdfTooLarge
                    | ErrorCode::RenderInputTooLarge
                    | ErrorCode::AssetBlocked
                    | ErrorCode::ValidationFailed
            ),
        }
    }

    /// The code under which clients and the log of renders know it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Shared(error) => error.code(),
            Self::UnknownTemplate { .. } | Self::UnknownVersion { .. } | Self::UnknownLabel { .. } | Self::LabelWasRemoved { .. } => {
                ErrorCode::NotFound
            }
            Self::NotReleased { .. } => ErrorCode::TemplateNotReleased,
            Self::AsOfBeforeHistory { .. } => ErrorCode::AsOfBeforeHistory,
            Self::AsOfInFuture { .. }
            | Self::OutputRefused(_)
            | Self::DataUnfit { .. }
            | Self::Pdf(PdfError::NoSuchPage { .. } | PdfError::PictureTooLarge { .. }) => ErrorCode::ValidationFailed,
            Self::Document(error) => error.code(),
            Self::Part { code, .. } => *code,
            Self::StorageFull(_) => ErrorCode::QuotaExceeded,
            Self::DeadlineExceeded { .. } | Self::Pdf(PdfError::Stopped) => ErrorCode::RenderTimeout,
            Self::Saturated { .. } | Self::FormsBusy { .. } => ErrorCode::RenderSaturated,
            Self::ProofUnderWay { .. } => ErrorCode::RateLimited,
            Self::QuotaExhausted(_) => ErrorCode::QuotaExhausted,
            Self::Pdf(PdfError::TooManyPages { .. } | PdfError::TooManyPictures { .. }) => ErrorCode::TooManyPages,
            Self::Pdf(PdfError::TooLarge { .. } | PdfError::TooMuch { .. } | PdfError::PicturesTooLarge { .. }) => ErrorCode::PdfTooLarge,
            Self::Pdf(PdfError::Invalid(_)) => ErrorCode::InvalidPdf,
            Self::Pdf(PdfError::Encrypted) => ErrorCode::PdfEncrypted,
            Self::UnknownDataset { .. } => ErrorCode::DatasetNotFound,
            Self::DataUrlRejected(_) | Self::DataUrlsOff => ErrorCode::DataUrlRejected,
            Self::DataFetchFailed(_) => ErrorCode::DataFetchFailed,
            Self::DataFromUrlTooLarge { .. } => ErrorCode::DataSourceResponseTooLarge,
            Self::AssetBinaryMissing { .. }
            | Self::DocumentBytesMissing { .. }
            | Self::DatasetBytesMissing { .. }
            | Self::Blobs(BlobError::Corrupt { .. }) => ErrorCode::AssetBinaryMissing,
            Self::Blobs(BlobError::TooLarge { .. }) => ErrorCode::PayloadTooLarge,
            Self::Blobs(BlobError::OutOfRange { .. }) => ErrorCode::BadRequest,
            Self::Store(StoreError::TenantArchived) => ErrorCode::TenantArchived,
            Self::Store(StoreError::TakenOver) => ErrorCode::IdempotencyKeyInUse,
            Self::Store(StoreError::Unavailable { .. }) | Self::Blobs(_) => ErrorCode::ServiceUnavailable,
            Self::Upload(refusal) => crate::asset_uploads::code_of(refusal),
            Self::OtherKind { .. } => ErrorCode::AssetMimeMismatch,
            Self::Pdf(PdfError::Unreadable(_) | PdfError::Undrawable) | Self::Store(_) | Self::Packing(_) | Self::Defect(_) => {
                ErrorCode::InternalError
            }
            Self::Chromium(error) => match error {
                ChromiumError::Saturated { .. } | ChromiumError::DeadlineExceeded { phase: Phase::Queue } => ErrorCode::RenderSaturated,
                ChromiumError::DeadlineExceeded { .. } => ErrorCode::RenderTimeout,
                ChromiumError::Crashed { .. } => ErrorCode::EngineCrash,
                ChromiumError::NoWorker { .. } => ErrorCode::RenderWorkerUnavailable,
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
