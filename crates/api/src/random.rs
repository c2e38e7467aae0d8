//! Random bytes for new credentials.

use domain::ErrorCode;

use crate::error::ApiError;

/// Bytes from the system's random source.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => {
            tracing::error!(%error, "the system gives no random bytes");
            Err(ApiError::new(ErrorCode::ServiceUnavailable, "no secret can be made at the moment").retry_after(2))
        }
    }
}
