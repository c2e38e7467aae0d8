//! Where the end of a job is told.

use domain::invisible::is_invisible;
use serde_json::Value;

use crate::Setup;
use crate::error::ApiError;
use crate::webhooks::judge_url;

/// Characters of a secret. Callers bring their own, so it may be shorter than those made here.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 8..=255;

/// Reads where to call back and what to sign with: both or none.
pub(crate) fn read(url: Option<Value>, secret: Option<Value>) -> Result<Option<(String, String)>, ApiError> {
    let (url, secret) = match (url, secret) {
        (None, None) => return Ok(None),
        (Some(Value::String(url)), Some(Value::String(secret))) => (url, secret),
        (Some(Value::String(_)), None) => {
            return Err(ApiError::field("/webhookSecret", "is missing; the message to webhookUrl is signed with it"));
        }
        (None, Some(_)) => return Err(ApiError::field("/webhookUrl", "is missing beside webhookSecret")),
        (Some(Value::String(_)), Some(_)) => return Err(ApiError::field("/webhookSecret", "must be a text")),
        (Some(_), _) => return Err(ApiError::field("/webhookUrl", "must be a text")),
    };
    if !SECRET_CHARS.contains(&secret.chars().count()) || secret.contains(is_invisible) {
        let (from, to) = (SECRET_CHARS.start(), SECRET_CHARS.end());
        return Err(ApiError::field("/webhookSecret", format!("accepted: {from} to {to} printable characters")));
    }
    Ok(Some((url, secret)))
}

/// Refuses to tell it at a URL that messages are not sent to.
pub(crate) async fn judge(setup: &Setup, callback: Option<&(String, String)>) -> Result<(), ApiError> {
    match callback {
        None => Ok(()),
        Some((url, _)) => judge_url(setup, "/webhookUrl", url).await,
    }
}
