//! Who is calling, and may they.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use domain::{ErrorCode, Scope, TenantId};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::ApiError;
use crate::loopback;

/// The configured keys, kept as digests. Without any key every request passes as admin; the server
/// starts like that only on a loopback address.
#[derive(Clone, Default)]
pub struct Keys(Arc<[(Scope, [u8; 32])]>);

impl Keys {
    /// Keeps the digests of `keys`.
    pub fn new(keys: impl IntoIterator<Item = (Scope, String)>) -> Self {
        Self(keys.into_iter().map(|(scope, key)| (scope, Sha256::digest(key).into())).collect())
    }

    /// Whether callers must bring a key.
    pub fn required(&self) -> bool {
        !self.0.is_empty()
    }

    /// The scope of a key. Digests are compared in constant time and all of them always,
    /// so the time taken tells nothing about which key came close.
    pub fn scope_of(&self, key: &[u8]) -> Option<Scope> {
        let digest = Sha256::digest(key);
        let mut found = None;
        for (scope, known) in self.0.iter() {
            if bool::from(known[..].ct_eq(&digest[..])) {
                found = Some(*scope);
            }
        }
        found
    }

    fn identify(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let tenant = TenantId::default_tenant();
        if headers.get("x-pulpengine-tenant-id").is_some_and(|named| named != tenant.as_str()) {
            return Err(ApiError::new(
                ErrorCode::TenantMismatch,
                "this credential belongs to another tenant than X-PulpEngine-Tenant-Id names",
            ));
        }
        if !self.required() {
            loopback::check(headers)?;
            return Ok(Caller { scope: Scope::Admin, tenant });
        }
        let scope = headers.get("x-api-key").and_then(|key| self.scope_of(key.as_bytes()));
        let scope = scope.ok_or_else(|| {
            metrics::counter!("pulp_engine_auth_failures_total").increment(1);
            tracing::info!(key_given = headers.contains_key("x-api-key"), "refused a request without a valid key");
            ApiError::new(ErrorCode::Unauthorized, "send a valid API key in the header X-Api-Key")
        })?;
        Ok(Caller { scope, tenant })
    }
}

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What the credential may do.
    pub scope: Scope,
    /// Whose data it reaches.
    pub tenant: TenantId,
}

/// The scopes that may use a group of routes.
#[derive(Clone, Copy)]
pub struct Allowed(pub &'static [Scope]);

/// Lets the request through if its key has one of the allowed scopes, and tells the handler who calls.
pub async fn require(State((keys, allowed)): State<(Keys, Allowed)>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let caller = keys.identify(request.headers())?;
    if !allowed.0.contains(&caller.scope) {
        tracing::info!(scope = %caller.scope, "refused a request outside its scope");
        let accepted: Vec<&str> = allowed.0.iter().map(|scope| scope.as_str()).collect();
        return Err(ApiError::new(ErrorCode::Forbidden, format!("this operation needs a key of scope {}", accepted.join(" or "))));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}
