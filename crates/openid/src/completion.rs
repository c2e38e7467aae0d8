//! The code that carries a finished login from the callback to the page, on whichever replica that page asks.

use domain::Clock;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::OpenIdError;
use crate::identity::Identity;
use crate::seal::{Purpose, Sealer, Sealers, equal, sha256};

const SECONDS: i64 = 60;
/// It travels in an address.
const CODE_BYTES: usize = 4096;

/// A code for the browser. Put it into the fragment of the address, which servers and logs never see.
#[derive(Clone, Debug)]
pub struct SealedCompletion {
    /// At most 4096 letters, digits, `-`, `_` and one dot.
    pub code: String,
    /// What marks it as used.
    pub code_id: Uuid,
    /// 60 seconds after it was made.
    pub expires_at: Timestamp,
}

/// What a code says once it was verified. It must be used only once: insert `code_id` where it is unique, and refuse when it was
/// there. Such a row can go after `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What marks the code as used.
    pub code_id: Uuid,
    /// When the code ends.
    pub expires_at: Timestamp,
    /// As in [`Identity`].
    pub issuer: String,
    /// As in [`Identity`].
    pub subject: String,
    /// As in [`Identity`].
    pub email: Option<String>,
    /// As in [`Identity`].
    pub email_verified: bool,
    /// As in [`Identity`].
    pub display_name: Option<String>,
    /// As in [`Identity`], less what the caller took out before sealing.
    pub groups: Vec<String>,
    /// As in [`Identity`], or what the caller made of it.
    pub tenant: Option<String>,
    /// As in [`Identity`], or what the caller made of it.
    pub role: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    id: Uuid,
    exp: i64,
    /// The hash of the login's cookie: a code that was seen in passing is of no use in another browser.
    browser: String,
    iss: String,
    sub: String,
    email: Option<String>,
    verified: bool,
    name: Option<String>,
    groups: Vec<String>,
    tenant: Option<String>,
    role: Option<String>,
}

pub(crate) fn seal(sealers: &Sealers, clock: &Clock, identity: &Identity, cookie: &str) -> Result<SealedCompletion, OpenIdError> {
    let refuse = |reason: String| OpenIdError::Completion { reason };
    let code_id = Uuid::now_v7();
    let expires_at = clock.now() + SignedDuration::from_secs(SECONDS);
    let sealed = Sealed {
        id: code_id,
        exp: expires_at.as_millisecond(),
        browser: sha256(cookie),
        iss: identity.issuer.clone(),
        sub: identity.subject.clone(),
        email: identity.email.clone(),
        verified: identity.email_verified,
        name: identity.display_name.clone(),
        groups: identity.groups.clone(),
        tenant: identity.tenant.clone(),
        role: identity.role.clone(),
    };
    let code = sealers.current.seal(Purpose::Completion, &sealed).map_err(|error| refuse(error.to_string()))?;
    if code.len() > CODE_BYTES {
        return Err(refuse(format!("it would have {} bytes with {} groups", code.len(), identity.groups.len())));
    }
    Ok(SealedCompletion { code, code_id, expires_at })
}

pub(crate) fn open(sealers: &Sealers, clock: &Clock, code: &str, cookie: &str) -> Result<Completion, OpenIdError> {
    let refuse = |reason: String| OpenIdError::Completion { reason };
    let opened: Option<(Sealed, &Sealer)> = if code.len() > CODE_BYTES { None } else { sealers.open(Purpose::Completion, code) };
    let (sealed, _) = opened.ok_or_else(|| refuse("it was not made with our secret".into()))?;
    let expires_at = Timestamp::from_millisecond(sealed.exp).map_err(|error| refuse(error.to_string()))?;
    let left = expires_at.duration_since(clock.now());
    // More than there ever was is left when our clock, or that of the replica that made it, is wrong.
    if left <= SignedDuration::ZERO || left > SignedDuration::from_secs(2 * SECONDS) {
        return Err(refuse(format!("it expired at {expires_at}")));
    }
    if !equal(&sealed.browser, &sha256(cookie)) {
        return Err(refuse("another browser logged in".into()));
    }
    let Sealed {
        id: code_id, iss: issuer, sub: subject, email, verified: email_verified, name: display_name, groups, tenant, role, ..
    } = sealed;
    Ok(Completion { code_id, expires_at, issuer, subject, email, email_verified, display_name, groups, tenant, role })
}
