//! How editor tokens are signed and how long they are valid.

use jiff::Timestamp;

use super::keys::needs;
use super::problems::Problem;
use super::reader::Values;
use super::secrets::{Distinct, Secret};
use super::settings as known;

/// How editor tokens are signed and how long they are valid.
#[derive(Debug)]
pub struct EditorTokens {
    /// What they are signed with; where it is not set, it is derived from the admin and editor keys.
    pub secret: Option<Secret>,
    /// What they may have been signed with before a rotation.
    pub previous_secret: Option<Secret>,
    /// How long one is valid.
    pub ttl_minutes: u32,
    /// Those made before are refused.
    pub issued_after: Option<Timestamp>,
}

/// Reads what is said about editor tokens.
pub fn read(values: &Values, secrets: &mut Distinct, problems: &mut Vec<Problem>) -> EditorTokens {
    let secret = values.secret(&known::EDITOR_TOKEN_SECRET);
    let previous_secret = values.secret(&known::EDITOR_TOKEN_SECRET_PREVIOUS);
    let named = [(&known::EDITOR_TOKEN_SECRET, &secret), (&known::EDITOR_TOKEN_SECRET_PREVIOUS, &previous_secret)];
    for (setting, secret) in named {
        if let Some(secret) = secret {
            secrets.add(setting.name, secret, problems);
        }
    }
    if previous_secret.is_some() {
        needs(&known::EDITOR_TOKEN_SECRET_PREVIOUS, &known::EDITOR_TOKEN_SECRET, values, problems);
    }
    EditorTokens {
        secret,
        previous_secret,
        ttl_minutes: values.parsed(&known::EDITOR_TOKEN_TTL_MINUTES).unwrap_or_default(),
        issued_after: values.parsed(&known::EDITOR_TOKEN_ISSUED_AFTER),
    }
}
