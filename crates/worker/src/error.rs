//! Why a duty was not done.

/// What ended a run before it was done. It is run again after a pause.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The database was away or refused something.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The place of stored files was away or refused something.
    #[error(transparent)]
    Blobs(#[from] blobs::BlobError),
    /// A defect of the duty.
    #[error("the duty panicked: {0}")]
    Panicked(String),
}

/// Something failed that is tried again.
pub(crate) fn warn_of(error: &(dyn std::error::Error + 'static), what: &str) {
    tracing::warn!(error, "{what}");
}
