//! What a failed render or a failed statement is on the wire: the other half of the mapping to HTTP.

use std::time::Duration;

use document::DocumentError;
use domain::ErrorCode;
use render::{BlobError, ChromiumError, Phase, RenderError};
use store::StoreError;

use crate::error::ApiError;

/// Whoever waited a whole deadline in vain meets a server that is far behind.
const SHED_RETRY_AFTER_S: u64 = 30;

impl From<RenderError> for ApiError {
    fn from(error: RenderError) -> Self {
        Self::from_render(&error)
    }
}

impl ApiError {
    fn from_render(error: &RenderError) -> Self {
        let said = error.to_string();
        match error {
            RenderError::Shared(error) => Self::from_render(error),
            RenderError::Upload(render::Refusal::Read(error)) | RenderError::Packing(error) => Self::internal(error),
            RenderError::UnknownTemplate { .. }
            | RenderError::UnknownVersion { .. }
            | RenderError::UnknownLabel { .. }
            | RenderError::NotReleased { .. }
            | RenderError::AsOfBeforeHistory { .. }
            | RenderError::LabelWasRemoved { .. }
            | RenderError::AsOfInFuture { .. }
            | RenderError::Upload(_)
            | RenderError::OtherKind { .. }
            | RenderError::UnknownDataset { .. }
            | RenderError::DataUrlRejected(_)
            | RenderError::DataUrlsOff
            | RenderError::DataFetchFailed(_)
            | RenderError::DataFromUrlTooLarge { .. }
            | RenderError::Pdf(
                render::PdfError::TooMuch { .. }
                | render::PdfError::TooLarge { .. }
                | render::PdfError::TooManyPages { .. }
                | render::PdfError::TooManyPictures { .. }
                | render::PdfError::PicturesTooLarge { .. }
                | render::PdfError::Invalid(_)
                | render::PdfError::Encrypted,
            ) => Self::new(error.code(), said),
            RenderError::Document(error) => document_refusal(error),
            RenderError::Part { issues, .. } => Self::new(error.code(), said).with_issues(issues.clone()),
            RenderError::DataUnfit { field, .. } => Self::field(&format!("/{field}"), said),
            RenderError::OutputRefused(issue) => Self::invalid(error.code(), vec![issue.as_ref().clone()]),
            RenderError::StorageFull(standing) => Self::new(error.code(), said).quota(**standing),
            RenderError::Store(error) => Self::from_store(error),
            RenderError::DeadlineExceeded { .. } | RenderError::Pdf(render::PdfError::Stopped) => Self::new(ErrorCode::RenderTimeout, said),
            RenderError::Saturated { retry_after } => Self::saturated(*retry_after),
            RenderError::ProofUnderWay { retry_after } | RenderError::FormsBusy { retry_after } => {
                Self::new(error.code(), said).retry_after(retry_after.as_secs())
            }
            RenderError::QuotaExhausted(exhausted) => Self::new(ErrorCode::QuotaExhausted, said).quota(exhausted.0),
            RenderError::Pdf(render::PdfError::NoSuchPage { .. }) => Self::field("/image/pages", said),
            RenderError::Pdf(render::PdfError::PictureTooLarge { .. }) => Self::field("/image/width", said),
            RenderError::Pdf(error @ (render::PdfError::Unreadable(_) | render::PdfError::Undrawable)) => Self::internal(error),
            RenderError::Defect(error) => Self::internal(error),
            RenderError::AssetBinaryMissing { .. } => {
                tracing::error!(error = %said, "the bytes of an asset are missing");
                Self::new(ErrorCode::AssetBinaryMissing, said)
            }
            RenderError::DocumentBytesMissing { .. } | RenderError::DatasetBytesMissing { .. } => {
                tracing::error!(error = %said, "the bytes of a document or dataset are missing or damaged");
                Self::new(error.code(), said)
            }
            RenderError::Blobs(error) => Self::from_blobs(error),
            RenderError::Chromium(error) => match error {
                ChromiumError::Saturated { retry_after, .. } => Self::saturated(*retry_after),
                ChromiumError::DeadlineExceeded { phase: Phase::Queue } => {
                    Self::new(ErrorCode::RenderSaturated, "no tab became free within the deadline").retry_after(SHED_RETRY_AFTER_S)
                }
                ChromiumError::DeadlineExceeded { phase } => {
                    Self::new(ErrorCode::RenderTimeout, format!("the render did not end in time; the deadline passed in the phase {phase}"))
                }
                ChromiumError::Crashed { .. } => {
                    Self::new(ErrorCode::EngineCrash, "the browser crashed under this document, also on the second attempt")
                }
                ChromiumError::NoWorker { retry_after } => {
                    Self::new(ErrorCode::RenderWorkerUnavailable, "no render worker answers; try again in a moment")
                        .retry_after(retry_after.as_secs())
                }
                ChromiumError::PageTooLarge { .. } => Self::new(ErrorCode::RenderInputTooLarge, said),
                ChromiumError::OutputTooLarge { .. } => Self::new(ErrorCode::PdfTooLarge, said),
                ChromiumError::Refused { .. } => Self::new(ErrorCode::ValidationFailed, said),
                ChromiumError::Closed
                | ChromiumError::NotFound { .. }
                | ChromiumError::Launch { .. }
                | ChromiumError::SandboxUnavailable { .. } => {
                    tracing::error!(error = %said, "no browser");
                    Self::new(ErrorCode::ServiceUnavailable, "the browser is away; try again in a moment").retry_after(2)
                }
            },
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::from_store(&error)
    }
}

/// What is wrong with a definition, its data or an option.
pub(crate) fn document_refusal(error: &DocumentError) -> ApiError {
    ApiError::new(error.code(), error.to_string()).with_issues(error.issues())
}

impl ApiError {
    fn saturated(retry_after: Duration) -> Self {
        Self::new(ErrorCode::RenderSaturated, "all render slots and queue places are taken").retry_after(retry_after.as_secs().max(1))
    }

    fn from_blobs(error: &BlobError) -> Self {
        match error {
            BlobError::Corrupt { .. } => {
                tracing::error!(%error, "the bytes of a stored file are not what they were");
                Self::new(
                    ErrorCode::AssetBinaryMissing,
                    "the bytes of an asset are not what they were; restore them, or upload the file again",
                )
            }
            BlobError::TooLarge { limit_bytes } => {
                Self::new(ErrorCode::PayloadTooLarge, format!("the file has more than {limit_bytes} bytes"))
            }
            BlobError::OutOfRange { .. } => Self::bad_request("the file is not as long as that"),
            BlobError::Denied { .. } | BlobError::Setting { .. } => {
                tracing::error!(%error, "the place of stored files does not let us in");
                Self::new(ErrorCode::ServiceUnavailable, "the place of stored files is away; try again in a moment").retry_after(30)
            }
            BlobError::Away { .. } | BlobError::Busy { .. } | BlobError::Source { .. } => {
                tracing::warn!(%error, "the place of stored files is away");
                Self::new(ErrorCode::ServiceUnavailable, "the place of stored files is away; try again in a moment").retry_after(5)
            }
        }
    }

    fn from_store(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the database is away");
                Self::new(ErrorCode::ServiceUnavailable, "the database is away; try again in a moment").retry_after(2)
            }
            StoreError::TenantArchived => Self::new(ErrorCode::TenantArchived, "this tenant is archived: it can be read, and nothing else"),
            StoreError::TakenOver => {
                let said = "another server carries this request out by now; send it again under its Idempotency-Key to get the answer";
                Self::new(ErrorCode::IdempotencyKeyInUse, said).retry_after(2)
            }
            StoreError::NoSuchTenant => Self::new(ErrorCode::TenantUnknown, "there is no such tenant"),
            StoreError::Conflict { .. } => Self::new(ErrorCode::Conflict, "somebody else changed this in the same moment; read it again"),
            StoreError::Refused { .. } => {
                Self::new(ErrorCode::ValidationFailed, "a value is too long or holds a character that cannot be stored (NUL)")
            }
            _ => Self::internal(error),
        }
    }
}
