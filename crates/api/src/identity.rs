//! Finds out who calls: which credential counts, which tenant it is for, and what is remembered of both.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, header};
use domain::api_keys::ApiKeyLookup;
use domain::caches::CacheReport;
use domain::ids::RenderTokenId;
use domain::peppers::Pepper;
use domain::render_tokens::RenderToken;
use domain::secrets::Secrets;
use domain::tenants::TenantStatus;
use domain::users::UserId;
use domain::{Actor, Clock, ErrorCode, Scope, TenantId};
use jiff::Timestamp;
use store::{ApiKeyCredential, ApiKeyUses, ChangeEvent, Store, UserCredential};

use crate::auth::{Caller, Credential};
use crate::cached::{Cached, Missed};
use crate::configured_keys::ConfiguredKeys;
use crate::error::ApiError;
use crate::people::Oidc;
use crate::rate_limits::{OverLimit, RateKeeper, RateLimits};
use crate::rate_windows::Standing;
use crate::rates::Rate;
use crate::refusal::Refusal;
use crate::requests::current_request_id;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const EDITOR_TOKEN: HeaderName = HeaderName::from_static("x-editor-token");
const TENANT: HeaderName = HeaderName::from_static("x-pulpengine-tenant-id");

/// Headers of which a second one would say something else, to us or to a proxy in front.
const ONLY_ONCE: [(HeaderName, &str); 4] = [
    (API_KEY, "X-Api-Key"),
    (EDITOR_TOKEN, "X-Editor-Token"),
    (TENANT, "X-PulpEngine-Tenant-Id"),
    (header::AUTHORIZATION, "Authorization"),
];

/// Who passes without a credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WithoutCredential {
    /// Nobody.
    NobodyPasses,
    /// Programs of this machine, as admin of the default tenant.
    ThisMachinePasses,
    /// Everybody, as admin of the default tenant.
    EverybodyPasses,
}

/// Whether there are other tenants than `default`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tenancy {
    /// All belongs to `default`; the registry of tenants is not served.
    Single,
    /// Tenants are made and archived while the server runs.
    Multi,
}

/// What editor tokens are made and checked with.
#[derive(Clone)]
pub struct EditorTokens {
    /// Signs and verifies.
    pub secrets: Secrets,
    /// How long a token lasts unless its caller wants less.
    pub ttl_minutes: u16,
    /// Tokens issued before are refused.
    pub issued_after: Option<Timestamp>,
}

/// What an [`Identity`] works with.
pub struct IdentitySetup {
    /// The keys of the configuration.
    pub keys: ConfiguredKeys,
    /// Who passes without a credential.
    pub without_credential: WithoutCredential,
    /// What editor tokens are made and checked with.
    pub editor_tokens: EditorTokens,
    /// Whether there are other tenants than `default`.
    pub tenancy: Tenancy,
    /// How old the known status of a tenant may be when no notice of a change arrives.
    pub tenant_ttl: Duration,
    /// The same for users and for keys of the database.
    pub user_ttl: Duration,
    /// What the keys of the database are kept under.
    pub pepper: Pepper,
    /// How many credentials that nobody has one address may send.
    pub guesses: Rate,
    /// How many requests credentials and tenants may send.
    pub rate_limits: RateLimits,
    /// The identity provider whose people may come in.
    pub oidc: Option<Oidc>,
    /// Where keys, users and tenants are.
    pub store: Store,
    /// Tells the time that tokens are judged by.
    pub clock: Clock,
}

/// Knows every credential. Clones share what they know.
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<Inner>);

/// What requests need to know of their tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownTenant {
    pub(crate) status: TenantStatus,
    /// The limit that it has of its own, in requests a minute.
    requests_per_minute: Option<u32>,
}

pub(crate) struct Inner {
    pub(crate) setup: IdentitySetup,
    rates: RateKeeper,
    pub(crate) tenants: Cached<TenantId, KnownTenant>,
    pub(crate) keys: Cached<ApiKeyLookup, Arc<ApiKeyCredential>>,
    pub(crate) users: Cached<(TenantId, UserId), Arc<UserCredential>>,
    pub(crate) of_provider: Cached<UserId, Arc<UserCredential>>,
    pub(crate) user_keys: Cached<[u8; 32], Arc<UserCredential>>,
    pub(crate) any_user: Cached<(), ()>,
    pub(crate) render_tokens: Cached<(TenantId, RenderTokenId), ()>,
    pub(crate) key_uses: ApiKeyUses,
}

impl Identity {
    /// Hears of changes for as long as the store is open. Call it within a runtime.
    pub fn new(setup: IdentitySetup) -> Self {
        let key_uses = ApiKeyUses::new(setup.store.clone());
        let tenants = Cached::new("tenants", setup.tenant_ttl, |tenant, _| Some(tenant));
        let keys = Cached::new("api_keys", setup.user_ttl, |_, key: Option<&Arc<ApiKeyCredential>>| key.map(|key| &key.tenant));
        let users = Cached::new("users", setup.user_ttl, |(tenant, _), _| Some(tenant));
        let of_provider =
            Cached::new("users_of_provider", setup.user_ttl, |_, user: Option<&Arc<UserCredential>>| user.map(|user| &user.user.tenant));
        let user_keys =
            Cached::new("user_keys", setup.user_ttl, |_, user: Option<&Arc<UserCredential>>| user.map(|user| &user.user.tenant));
        let any_user = Cached::new("any_user", setup.user_ttl, |(), _| None);
        let render_tokens = Cached::new("render_tokens", setup.user_ttl, |(tenant, _), _| Some(tenant));
        let rates = RateKeeper::new(setup.rate_limits, setup.store.clone());
        let identity =
            Self(Arc::new(Inner { setup, rates, tenants, keys, users, of_provider, user_keys, any_user, render_tokens, key_uses }));
        tokio::spawn(identity.clone().listen());
        identity
    }

    async fn listen(self) {
        let mut changes = self.0.setup.store.changes();
        while let Some(event) = changes.next().await {
            match event {
                ChangeEvent::Changed(change) => self.heard(&change.kind, &change.tenant),
                ChangeEvent::Reconnected => self.missed(Missed::Perhaps),
                ChangeEvent::Overrun => self.missed(Missed::Surely),
            }
        }
    }

    /// What is remembered of that kind of things of the tenant is asked for again.
    fn heard(&self, kind: &str, tenant: &TenantId) {
        match kind {
            "tenant" => self.0.tenants.changed_of(tenant),
            "api_key" => self.0.keys.changed_of(tenant),
            "render_token" => self.0.render_tokens.changed_of(tenant),
            "user" => {
                self.0.users.changed_of(tenant);
                self.0.of_provider.changed_of(tenant);
                self.0.user_keys.changed_of(tenant);
                self.0.any_user.changed_of(tenant);
            }
            _ => {}
        }
    }

    /// Whether callers must bring a credential.
    pub fn is_required(&self) -> bool {
        self.0.setup.without_credential == WithoutCredential::NobodyPasses
    }

    /// Who passes without a credential.
    pub(crate) fn without_credential(&self) -> WithoutCredential {
        self.0.setup.without_credential
    }

    /// Whether there are other tenants than `default`.
    pub fn tenancy(&self) -> Tenancy {
        self.0.setup.tenancy
    }

    /// The tenant, or its keys, users or render tokens, were changed here, before this replica hears of it.
    pub(crate) fn changed(&self, tenant: &TenantId) {
        for kind in ["tenant", "api_key", "user", "render_token"] {
            self.heard(kind, tenant);
        }
    }

    /// Anything may have changed in the meantime, of any tenant.
    fn missed(&self, missed: Missed) {
        let Inner { tenants, keys, users, of_provider, user_keys, any_user, render_tokens, .. } = &*self.0;
        tenants.missed(missed);
        keys.missed(missed);
        users.missed(missed);
        of_provider.missed(missed);
        user_keys.missed(missed);
        any_user.missed(missed);
        render_tokens.missed(missed);
    }

    /// The caches of this process that tell who calls.
    pub fn caches(&self) -> Vec<CacheReport> {
        let Inner { tenants, keys, users, of_provider, user_keys, any_user, render_tokens, .. } = &*self.0;
        vec![
            tenants.report(),
            keys.report(),
            users.report(),
            of_provider.report(),
            user_keys.report(),
            any_user.report(),
            render_tokens.report(),
        ]
    }

    /// The identity provider whose people may come in.
    pub(crate) fn oidc(&self) -> Option<&Oidc> {
        self.0.setup.oidc.as_ref()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.setup.store
    }

    /// Whether people come in under their own names: there are users, or an identity provider that knows some.
    pub(crate) async fn has_named_users(&self) -> bool {
        let ask = async { Ok(self.0.setup.store.has_users().await?.then_some(())) };
        self.oidc().is_some() || self.0.any_user.get((), ask).await.is_ok_and(|any| any.is_some())
    }

    /// What the keys of the database are kept under.
    pub(crate) fn pepper(&self) -> &Pepper {
        &self.0.setup.pepper
    }

    /// What editor tokens are made and checked with.
    pub(crate) fn editor_tokens(&self) -> &EditorTokens {
        &self.0.setup.editor_tokens
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.setup.clock.now()
    }

    /// The caller of a request. A key counts first: a stale token beside a valid key does no harm.
    pub(crate) async fn identify(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Caller, ApiError> {
        let found = self.find(headers, address).await;
        let named = match found {
            Ok(caller) => self.in_tenant(caller, headers).await,
            Err(refusal) => Err(refusal),
        };
        named.map_err(|refusal| self.guessed(refusal, address).answer(headers, address))
    }

    /// Counts a credential that nobody has against the address it came from. One that is good never comes here.
    fn guessed(&self, refusal: Refusal, address: Option<IpAddr>) -> Refusal {
        match address {
            Some(address) if refusal.is_of_a_guess() => match self.0.setup.guesses.take(address) {
                Ok(()) => refusal,
                Err(wait) => Refusal::TooManyGuesses { wait },
            },
            _ => refusal,
        }
    }

    /// Counts something else that nobody made, such as a forged link, like a credential that nobody has: refused with the time to
    /// wait when the address has sent too many.
    pub(crate) fn count_guess(&self, address: IpAddr) -> Result<(), Duration> {
        self.0.setup.guesses.take(address)
    }

    async fn find(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Caller, Refusal> {
        for (header, name) in ONLY_ONCE {
            if headers.get_all(header).iter().nth(1).is_some() {
                return Err(Refusal::Doubled(name));
            }
        }
        if let Some(key) = headers.get(API_KEY) {
            return self.of_key(key.as_bytes(), address).await;
        }
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer).ok_or(Refusal::Unreadable("Authorization"))?;
            if RenderToken::is_one(token) {
                return self.of_render_token(token, headers).await;
            }
            return match self.oidc() {
                Some(oidc) if oidc.provider.may_have_issued(token) => self.of_bearer(oidc, token).await,
                _ => self.of_token(token, Credential::Bearer, address).await,
            };
        }
        if let Some(value) = headers.get(EDITOR_TOKEN) {
            let token = value.to_str().map_err(|_| Refusal::Unreadable("X-Editor-Token"))?;
            return self.of_token(token, Credential::EditorToken, address).await;
        }
        match self.0.setup.without_credential {
            WithoutCredential::NobodyPasses => Err(Refusal::NoCredential),
            // Whether it comes from this machine was asked before, of every request (`loopback.rs`).
            WithoutCredential::ThisMachinePasses | WithoutCredential::EverybodyPasses => Ok(anybody()),
        }
    }

    /// The tenant that a request is for: the credential's own, or the one that a super-admin names.
    async fn in_tenant(&self, mut caller: Caller, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let named = match headers.get(TENANT) {
            Some(value) => Some(value.to_str().ok().and_then(|text| text.parse::<TenantId>().ok()).ok_or(Refusal::TenantUnknown)?),
            None => None,
        };
        match named {
            Some(tenant) if tenant != caller.tenant => {
                if caller.scope != Scope::SuperAdmin {
                    return Err(Refusal::TenantMismatch { actor: caller.actor.name.into(), named: tenant });
                }
                caller.tenant = tenant;
            }
            _ => {}
        }
        if self.0.setup.tenancy == Tenancy::Multi {
            match self.status_of(&caller.tenant).await.map_err(Refusal::Away)? {
                None | Some(TenantStatus::Purged) => return Err(Refusal::TenantUnknown),
                Some(TenantStatus::Active | TenantStatus::Archived) => {}
            }
        }
        Ok(caller)
    }

    pub(crate) async fn status_of(&self, tenant: &TenantId) -> Result<Option<TenantStatus>, store::StoreError> {
        Ok(self.known_tenant(tenant).await?.map(|known| known.status))
    }

    async fn known_tenant(&self, tenant: &TenantId) -> Result<Option<KnownTenant>, store::StoreError> {
        let ask = async {
            let found = self.0.setup.store.tenants().get(tenant).await?;
            Ok(found.map(|found| KnownTenant { status: found.status, requests_per_minute: found.quotas.requests_per_minute }))
        };
        self.0.tenants.get(tenant.clone(), ask).await
    }

    /// Counts a request against the limits of its credential and its tenant; says how the scarcer one stands, where there is one.
    pub(crate) async fn admit(&self, caller: &Caller) -> Result<Result<Option<Standing>, OverLimit>, ApiError> {
        let of_tenant = match self.0.setup.tenancy {
            Tenancy::Single => None,
            Tenancy::Multi => self.known_tenant(&caller.tenant).await?.and_then(|known| known.requests_per_minute),
        };
        Ok(self.0.rates.admit(caller, of_tenant).await)
    }

    /// Refuses a tenant that takes no writes.
    pub(crate) async fn refuse_archived(&self, tenant: &TenantId) -> Result<(), ApiError> {
        if self.0.setup.tenancy == Tenancy::Single || self.status_of(tenant).await? == Some(TenantStatus::Active) {
            return Ok(());
        }
        metrics::counter!("tenant_archive_rejections_total").increment(1);
        Err(ApiError::new(ErrorCode::TenantArchived, "this tenant is archived: it can be read, and nothing else"))
    }
}

/// Whoever it is, where nobody has to say.
fn anybody() -> Caller {
    Caller {
        actor: Actor::new("anonymous", Scope::Admin, current_request_id()),
        scope: Scope::Admin,
        tenant: TenantId::default_tenant(),
        templates: None,
        actions: None,
        credential: Credential::NotAsked,
        api_key: None,
        requests_per_minute: None,
        display_name: None,
        render_token: None,
    }
}

/// What follows the scheme `Bearer`, which is written in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
