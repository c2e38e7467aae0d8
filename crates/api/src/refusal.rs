//! Why a credential is refused: all of it for the operator's log, next to nothing for the caller.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use domain::api_keys::ApiKeyRefusal;
use domain::ids::{ApiKeyId, RenderTokenId};
use domain::signed_tokens::TokenRefusal;
use domain::{ErrorCode, Scope, TenantId};
use openid::OpenIdError;
use store::StoreError;

use crate::error::ApiError;

/// Why a credential is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no credential was sent")]
    NoCredential,
    #[error("the header {0} cannot be read")]
    Unreadable(&'static str),
    #[error("no such key")]
    UnknownKey,
    #[error("the key of {actor} has expired")]
    KeyExpired { actor: String },
    #[error("the key of {actor} is not for use from this address")]
    AddressNotAllowed { actor: String },
    #[error("the key {id} ({name}) is refused: {why}")]
    DatabaseKey { name: String, id: ApiKeyId, why: ApiKeyRefusal },
    #[error("there is no user {id}")]
    NoSuchUser { id: String },
    #[error("the user {id} is deactivated")]
    Deactivated { id: String },
    #[error("the token of {id} was issued before the user's cut-over")]
    BeforeCutOver { id: String },
    #[error("the token of {name} has the scope {scope}, which no key's token has")]
    ForeignScope { name: String, scope: Scope },
    #[error("the header {0} was sent more than once")]
    Doubled(&'static str),
    #[error("the token is refused: {0}")]
    Token(TokenRefusal),
    #[error("the render token {id} was withdrawn, or is none of this tenant")]
    WithdrawnToken { id: RenderTokenId },
    #[error("{0}")]
    OpenId(OpenIdError),
    #[error("the completion code of {subject} was used before")]
    CodeUsed { subject: String },
    #[error("{id} is no user, and OIDC_AUTO_PROVISION is off")]
    Newcomer { id: String },
    #[error("the user {id} comes in with a key, and the identity provider does not speak for them")]
    HasKey { id: String },
    #[error("{id} cannot become a user: the tenant {tenant} has as many as it may have")]
    TenantFull { id: String, tenant: TenantId },
    #[error("the identity provider sees {id} in the tenant {tenant:?}: {why}")]
    NotInTenant { id: String, tenant: String, why: &'static str },
    #[error("{actor} names the foreign tenant {named}")]
    TenantMismatch { actor: String, named: TenantId },
    #[error("there is no such tenant")]
    TenantUnknown,
    #[error("this address sent too many credentials that nobody has")]
    TooManyGuesses { wait: Duration },
    #[error("the database cannot be asked: {0}")]
    Away(StoreError),
}

impl Refusal {
    fn label(&self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::Unreadable(_) => "unreadable",
            Self::UnknownKey => "unknown_key",
            Self::KeyExpired { .. } => "key_expired",
            Self::AddressNotAllowed { .. } => "address_not_allowed",
            Self::DatabaseKey { .. } => "database_key",
            Self::NoSuchUser { .. } => "no_such_user",
            Self::Deactivated { .. } => "deactivated",
            Self::BeforeCutOver { .. } => "before_cut_over",
            Self::ForeignScope { .. } => "foreign_scope",
            Self::Doubled(_) => "doubled_header",
            Self::Token(_) => "token",
            Self::WithdrawnToken { .. } => "withdrawn_token",
            Self::OpenId(_) => "openid",
            Self::CodeUsed { .. } => "code_used",
            Self::Newcomer { .. } => "newcomer",
            Self::HasKey { .. } => "has_key",
            Self::TenantFull { .. } => "tenant_full",
            Self::NotInTenant { .. } => "not_in_tenant",
            Self::TenantMismatch { .. } => "tenant_mismatch",
            Self::TenantUnknown => "tenant_unknown",
            Self::TooManyGuesses { .. } => "guess_rate",
            Self::Away(_) => "database_away",
        }
    }

    /// Whether somebody tried a credential that nobody has. One that was good once is none: it may come from a page that was
    /// left open.
    pub(crate) fn is_of_a_guess(&self) -> bool {
        matches!(
            self,
            Self::Unreadable(_)
                | Self::UnknownKey
                | Self::DatabaseKey { why: ApiKeyRefusal::WrongSecret, .. }
                | Self::Token(TokenRefusal::TooLong { .. } | TokenRefusal::Malformed(_) | TokenRefusal::BadSignature { .. })
        )
    }

    /// Tells the operator everything, and makes the answer that tells an attacker nothing.
    pub(crate) fn answer(self, headers: &HeaderMap, address: Option<IpAddr>) -> ApiError {
        metrics::counter!("pulp_engine_auth_failures_total", "reason" => self.label()).increment(1);
        if matches!(self, Self::TooManyGuesses { .. }) {
            // The guesses before are in the log; whoever goes on does not fill it.
            tracing::debug!(reason = %self, ?address, "refused a credential");
        } else {
            tracing::info!(reason = %self, ?address, brought = brought(headers), "refused a credential");
        }
        match self {
            Self::KeyExpired { .. } | Self::DatabaseKey { why: ApiKeyRefusal::Expired { .. }, .. } => {
                ApiError::new(ErrorCode::ApiKeyExpired, "this API key has expired")
            }
            Self::AddressNotAllowed { .. } | Self::DatabaseKey { why: ApiKeyRefusal::Address { .. }, .. } => {
                ApiError::new(ErrorCode::ApiKeyIpNotAllowed, "this API key is not for use from this address")
            }
            Self::TenantMismatch { .. } => {
                ApiError::new(ErrorCode::TenantMismatch, "this credential belongs to another tenant than X-PulpEngine-Tenant-Id names")
            }
            Self::TooManyGuesses { wait } => {
                ApiError::new(ErrorCode::RateLimited, "too many wrong credentials from this address").retry_after(wait.as_secs().max(1))
            }
            Self::TenantUnknown => ApiError::new(ErrorCode::TenantUnknown, "there is no such tenant for this credential"),
            Self::Away(error) => error.into(),
            Self::Deactivated { .. } => ApiError::new(ErrorCode::AccountDeactivated, "this account is deactivated"),
            // Nothing is decided: the same login or token may be accepted in a moment.
            Self::OpenId(OpenIdError::Away { .. }) => {
                ApiError::new(ErrorCode::ServiceUnavailable, "the identity provider does not answer").retry_after(PROVIDER_PAUSE_S)
            }
            Self::Newcomer { .. } | Self::HasKey { .. } | Self::TenantFull { .. } | Self::NotInTenant { .. } => {
                ApiError::new(ErrorCode::Forbidden, "this account may not come in here; the operator's log says why")
            }
            Self::Token(_)
            | Self::WithdrawnToken { .. }
            | Self::ForeignScope { .. }
            | Self::OpenId(_)
            | Self::CodeUsed { .. }
            | Self::NoSuchUser { .. }
            | Self::BeforeCutOver { .. } => unauthorized("this token is not valid here; log in again").invalid_token(),
            Self::Unreadable(_) if headers.contains_key(header::AUTHORIZATION) => unauthorized(SEND).invalid_token(),
            Self::Doubled(name) => ApiError::bad_request(format!("the header {name} was sent more than once")),
            Self::NoCredential | Self::Unreadable(_) | Self::UnknownKey | Self::DatabaseKey { .. } => unauthorized(SEND),
        }
    }
}

const SEND: &str = "send a valid API key in the header X-Api-Key, or a token in X-Editor-Token or Authorization: Bearer";

/// When a provider that was away is asked again, in seconds (the pause of its caches).
const PROVIDER_PAUSE_S: u64 = 10;

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, message)
}

/// Which headers with credentials were sent, without what was in them.
fn brought(headers: &HeaderMap) -> String {
    let names = ["x-api-key", "authorization", "x-editor-token", "x-pulpengine-tenant-id"];
    names.into_iter().filter(|name| headers.contains_key(*name)).collect::<Vec<_>>().join(" ")
}
