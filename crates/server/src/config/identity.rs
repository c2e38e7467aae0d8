//! Who may come in, and by what: keys, people, tokens and an identity provider.

use std::time::Duration;

use api::{RateLimits, WithoutCredential};

use super::Secret;
use super::editor_tokens::{self, EditorTokens};
use super::editor_users::{self, ListedUser};
use super::keys::{self, ScopedKeys};
use super::listed_keys::{self, ListedKey};
use super::oidc::{self, Oidc};
use super::problems::Problem;
use super::reader::Values;
use super::secrets::Distinct;
use super::settings as known;

/// Who may come in, and by what.
#[derive(Debug)]
pub struct Identity {
    /// The keys that have a setting of their own.
    pub keys: ScopedKeys,
    /// The keys of `API_KEYS_JSON`.
    pub listed_keys: Vec<ListedKey>,
    /// The people of `EDITOR_USERS_JSON`.
    pub users: Vec<ListedUser>,
    /// The longest time that a replica goes on with what it knew of a user.
    pub users_cache_ttl_ms: u64,
    /// How editor tokens are signed and how long they are valid.
    pub editor_tokens: EditorTokens,
    /// The identity provider whose people may log in.
    pub oidc: Option<Oidc>,
    /// Who passes where no credential is configured.
    pub without_credential: WithoutCredential,
    /// How many credentials that nobody has one address may send in a minute.
    pub auth_failures_per_minute: u32,
    /// How many requests credentials and tenants may send.
    pub rate_limits: RateLimits,
    /// What `/metrics` asks for.
    pub metrics_token: Option<Secret>,
}

/// Reads who may come in. No two secrets are the same.
pub fn read(values: &Values, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> Identity {
    let mut secrets = Distinct::default();
    let keys = keys::read(values, &mut secrets, problems);
    let listed_keys = listed_keys::read(values, &mut secrets, problems);
    let users = editor_users::read(values, &mut secrets, problems);
    let editor_tokens = editor_tokens::read(values, &mut secrets, problems);
    let oidc = oidc::read(values, &mut secrets, problems, warnings);
    let metrics_token = values.secret(&known::METRICS_TOKEN);
    if let Some(token) = &metrics_token {
        secrets.add(known::METRICS_TOKEN.name, token, problems);
    }
    Identity {
        keys,
        listed_keys,
        users,
        users_cache_ttl_ms: values.parsed(&known::EDITOR_USERS_CACHE_TTL_MS).unwrap_or_default(),
        editor_tokens,
        oidc,
        without_credential: keys::without_credential(values, problems, warnings),
        auth_failures_per_minute: values.parsed(&known::AUTH_FAILURES_PER_MINUTE).unwrap_or_default(),
        rate_limits: RateLimits {
            per_key: values.parsed(&known::RATE_LIMIT_KEY_REQUESTS_PER_MINUTE),
            per_tenant: values.parsed(&known::RATE_LIMIT_TENANT_REQUESTS_PER_MINUTE),
            window: Duration::from_secs(values.required(&known::RATE_LIMIT_WINDOW_SECONDS)),
        },
        metrics_token,
    }
}
