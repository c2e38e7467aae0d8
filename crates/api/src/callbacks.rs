//! Where the end of a job is told.

use domain::ErrorCode;
use serde_json::Value;

use crate::error::ApiError;

/// Reads where to call back and what to sign with.
pub(crate) fn read(url: Option<Value>, secret: Option<Value>) -> Result<Option<(String, String)>, ApiError> {
    if url.is_none() && secret.is_none() {
        return Ok(None);
    }
    Err(ApiError::new(ErrorCode::NotImplemented, "webhookUrl is not available in this version; leave it out and ask for the job"))
}
