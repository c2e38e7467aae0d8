//! What one batch may use.

use super::reader::Values;
use super::settings as known;

/// Limits of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Documents.
    pub max_items: usize,
    /// Bytes of all documents together, where they wait for the last.
    pub max_output_bytes: u64,
    /// Milliseconds within which all have to begin.
    pub timeout_ms: u64,
}

impl Batch {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            max_items: values.required(&known::BATCH_MAX_ITEMS),
            max_output_bytes: values.required(&known::BATCH_MAX_OUTPUT_BYTES),
            timeout_ms: values.required(&known::BATCH_TIMEOUT_MS),
        }
    }
}
