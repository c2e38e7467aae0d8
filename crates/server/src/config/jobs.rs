//! What jobs may use, and how this server takes part in them.

use std::time::Duration;

use super::reader::Values;
use super::settings as known;

/// How jobs are done.
#[derive(Clone, Copy, Debug)]
pub struct Jobs {
    /// Documents of jobs that are made at once; none for taking no part.
    pub concurrency: usize,
    /// How long after the death of its server a document is somebody else's.
    pub lease_for: Duration,
    /// Attempts that count before a document fails.
    pub max_attempts: u32,
    /// Documents of one job.
    pub max_items: usize,
    /// Documents that a tenant may have in the queue.
    pub max_open_items: u32,
    /// Bytes of documents in one answer.
    pub max_inline_bytes: u64,
    /// How long a job is kept after its end.
    pub retention: Duration,
}

impl Jobs {
    /// Reads it. `tabs` are those that batches may have.
    pub(super) fn read(values: &Values, tabs: usize) -> Self {
        Self {
            concurrency: values.parsed(&known::JOB_CONCURRENCY).unwrap_or(tabs.max(1)),
            lease_for: Duration::from_millis(values.required(&known::JOB_LEASE_MS)),
            max_attempts: values.required(&known::JOB_MAX_ATTEMPTS),
            max_items: values.required(&known::JOB_MAX_ITEMS),
            max_open_items: values.required(&known::JOB_MAX_OPEN_ITEMS),
            max_inline_bytes: values.required(&known::JOB_INLINE_BYTES),
            retention: Duration::from_secs(values.required(&known::WEBHOOK_JOB_RETENTION_SECONDS)),
        }
    }
}
