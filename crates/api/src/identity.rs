//! Finds out who a credential belongs to: configured keys, keys and users of the database, tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, header};
use domain::api_keys::{ApiKeyGeneration, ApiKeyLookup, ApiKeyText};
use domain::editor_tokens::{EditorToken, Holder};
use domain::peppers::Pepper;
use domain::render_tokens::RenderToken;
use domain::secrets::Secrets;
use domain::tenants::TenantStatus;
use domain::users::{UserId, UserKey};
use domain::{Action, Actor, Clock, ErrorCode, Scope, TemplateSelector, TenantId};
use jiff::Timestamp;
use store::{ApiKeyCredential, ApiKeyUses, ChangeEvent, Store, UserCredential};

use crate::auth::{Caller, Credential};
use crate::cached::Cached;
use crate::configured_keys::{ConfiguredKey, ConfiguredKeys};
use crate::error::ApiError;
use crate::loopback;
use crate::people::Oidc;
use crate::refusal::Refusal;
use crate::render_tokens::RenderTokenUse;
use crate::requests::current_request_id;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const EDITOR_TOKEN: HeaderName = HeaderName::from_static("x-editor-token");
const TENANT: HeaderName = HeaderName::from_static("x-pulpengine-tenant-id");

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
    /// The identity provider whose people may come in.
    pub oidc: Option<Oidc>,
    /// Where keys, users and tenants are.
    pub store: Store,
    /// Tells the time that tokens are judged by.
    pub clock: Clock,
}

/// Knows every credential. Clones share what they know.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    setup: IdentitySetup,
    tenants: Cached<TenantId, TenantStatus>,
    keys: Cached<ApiKeyLookup, Arc<ApiKeyCredential>>,
    users: Cached<UserId, Arc<UserCredential>>,
    user_keys: Cached<[u8; 32], Arc<UserCredential>>,
    any_user: Cached<(), ()>,
    key_uses: ApiKeyUses,
}

impl Identity {
    /// Hears of changes for as long as the store is open. Call it within a runtime.
    pub fn new(setup: IdentitySetup) -> Self {
        let (tenants, keys) = (Cached::new(setup.tenant_ttl), Cached::new(setup.user_ttl));
        let (users, user_keys) = (Cached::new(setup.user_ttl), Cached::new(setup.user_ttl));
        let (key_uses, any_user) = (ApiKeyUses::new(setup.store.clone()), Cached::new(setup.user_ttl));
        let identity = Self(Arc::new(Inner { setup, tenants, keys, users, user_keys, any_user, key_uses }));
        tokio::spawn(identity.clone().listen());
        identity
    }

    async fn listen(self) {
        let mut changes = self.0.setup.store.changes();
        while let Some(event) = changes.next().await {
            let kind = match &event {
                ChangeEvent::Changed(change) => change.kind.as_str(),
                ChangeEvent::Reconnected => "",
            };
            if matches!(kind, "" | "tenant") {
                self.0.tenants.changed();
            }
            if matches!(kind, "" | "api_key") {
                self.0.keys.changed();
            }
            if matches!(kind, "" | "user") {
                self.0.users.changed();
                self.0.user_keys.changed();
                self.0.any_user.changed();
            }
        }
    }

    /// Whether callers must bring a credential.
    pub fn is_required(&self) -> bool {
        self.0.setup.without_credential == WithoutCredential::NobodyPasses
    }

    /// Whether there are other tenants than `default`.
    pub fn tenancy(&self) -> Tenancy {
        self.0.setup.tenancy
    }

    /// Tenants, keys or users were changed here: this replica knows before it hears of it.
    pub(crate) fn changed(&self) {
        self.0.tenants.changed();
        self.0.keys.changed();
        self.0.users.changed();
        self.0.user_keys.changed();
        self.0.any_user.changed();
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
        named.map_err(|refusal| refusal.answer(headers, address))
    }

    async fn find(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Caller, Refusal> {
        if let Some(key) = headers.get(API_KEY) {
            return self.of_key(key.as_bytes(), address).await;
        }
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer).ok_or(Refusal::Unreadable("Authorization"))?;
            if RenderToken::is_one(token) {
                return self.of_render_token(token, headers);
            }
            return match self.oidc() {
                Some(oidc) if oidc.provider.may_have_issued(token) => self.of_bearer(oidc, token).await,
                _ => self.of_token(token, Credential::Bearer).await,
            };
        }
        if let Some(value) = headers.get(EDITOR_TOKEN) {
            let token = value.to_str().map_err(|_| Refusal::Unreadable("X-Editor-Token"))?;
            return self.of_token(token, Credential::EditorToken).await;
        }
        match self.0.setup.without_credential {
            WithoutCredential::NobodyPasses => Err(Refusal::NoCredential),
            WithoutCredential::ThisMachinePasses => {
                loopback::check(headers).map_err(Refusal::Answered)?;
                Ok(anybody())
            }
            WithoutCredential::EverybodyPasses => Ok(anybody()),
        }
    }

    /// Whether the operator configured that key.
    pub(crate) fn is_configured_key(&self, text: &str) -> bool {
        self.0.setup.keys.find(text.as_bytes()).is_some()
    }

    /// The caller that a key belongs to.
    pub(crate) async fn of_key(&self, text: &[u8], address: Option<IpAddr>) -> Result<Caller, Refusal> {
        if let Some(key) = self.0.setup.keys.find(text) {
            return self.of_configured(key, address);
        }
        let text = std::str::from_utf8(text).map_err(|_| Refusal::UnknownKey)?;
        if let Ok(key) = text.parse::<ApiKeyText>() {
            return self.of_database_key(&key, address).await;
        }
        let key: UserKey = text.parse().map_err(|_| Refusal::UnknownKey)?;
        self.of_user_key(&key).await
    }

    async fn of_database_key(&self, key: &ApiKeyText, address: Option<IpAddr>) -> Result<Caller, Refusal> {
        let setup = &self.0.setup;
        let lookup = key.lookup();
        let ask = async { Ok(setup.store.api_key_by_lookup(&lookup).await?.map(Arc::new)) };
        let found = self.0.keys.get(lookup.clone(), ask).await.map_err(Refusal::Away)?.ok_or(Refusal::UnknownKey)?;
        let judged = found.rules.judge(&setup.pepper.mac(key.reveal()), self.now(), address);
        let generation = judged.map_err(|why| Refusal::DatabaseKey { name: found.name.clone(), id: found.id, why })?;
        if let ApiKeyGeneration::Previous { until } = generation {
            tracing::debug!(key = %found.id, name = found.name, %until, "a key from before its rotation is still in use");
        }
        self.0.key_uses.note(found.id);
        Ok(Caller {
            actor: Actor::new(&format!("apikey:{}", found.id), found.scope, current_request_id()),
            scope: found.scope,
            tenant: self.own_tenant(&found.tenant)?,
            templates: (!found.allowed_templates.is_empty()).then(|| found.allowed_templates.clone()),
            actions: None,
            credential: Credential::ApiKey,
            display_name: Some(found.name.clone()),
            render_token: None,
        })
    }

    async fn of_user_key(&self, key: &UserKey) -> Result<Caller, Refusal> {
        let store = &self.0.setup.store;
        let mac = self.0.setup.pepper.mac(key.reveal());
        let ask = async { Ok(store.user_by_key_mac(&mac).await?.map(Arc::new)) };
        let found = self.0.user_keys.get(*mac.as_bytes(), ask).await.map_err(Refusal::Away)?.ok_or(Refusal::UnknownKey)?;
        self.of_user(&found)
    }

    /// The registered user of that id, as a token of theirs finds it.
    pub(crate) async fn known(&self, id: &UserId) -> Result<Option<Arc<UserCredential>>, Refusal> {
        let ask = async { Ok(self.store().user_by_id(id).await?.map(Arc::new)) };
        self.0.users.get(id.clone(), ask).await.map_err(Refusal::Away)
    }

    /// A user in person, with the role that the registry has now.
    pub(crate) fn of_user(&self, found: &UserCredential) -> Result<Caller, Refusal> {
        let user = &found.user;
        if user.deactivated_at.is_some() {
            return Err(Refusal::Deactivated { id: user.id.to_string() });
        }
        Ok(Caller {
            actor: Actor::new(user.id.as_str(), user.role, current_request_id()),
            scope: user.role,
            tenant: self.own_tenant(&user.tenant)?,
            templates: None,
            actions: None,
            credential: Credential::User,
            display_name: Some(user.display_name.clone()),
            render_token: None,
        })
    }

    /// The tenant of a stored credential. Where there is one tenant only, what belongs to others is not known.
    fn own_tenant(&self, tenant: &TenantId) -> Result<TenantId, Refusal> {
        if self.0.setup.tenancy == Tenancy::Single && *tenant != TenantId::default_tenant() {
            return Err(Refusal::UnknownKey);
        }
        Ok(tenant.clone())
    }

    fn of_configured(&self, key: &ConfiguredKey, address: Option<IpAddr>) -> Result<Caller, Refusal> {
        if key.expires_at.is_some_and(|end| end <= self.now()) {
            return Err(Refusal::KeyExpired { actor: key.actor.clone() });
        }
        let from_there = |address: IpAddr| key.allowed_ips.iter().any(|network| network.contains(address));
        if !key.allowed_ips.is_empty() && !address.is_some_and(from_there) {
            return Err(Refusal::AddressNotAllowed { actor: key.actor.clone() });
        }
        Ok(Caller {
            actor: Actor::new(&key.actor, key.scope, current_request_id()),
            scope: key.scope,
            tenant: key.tenant.clone(),
            templates: (!key.allowed_templates.is_empty()).then(|| key.allowed_templates.clone()),
            actions: None,
            credential: Credential::ApiKey,
            display_name: None,
            render_token: None,
        })
    }

    async fn of_token(&self, text: &str, credential: Credential) -> Result<Caller, Refusal> {
        let tokens = &self.0.setup.editor_tokens;
        let verified = EditorToken::verify(text, &tokens.secrets, self.now(), tokens.issued_after).map_err(Refusal::Token)?;
        let token = verified.token;
        if token.holder == Holder::RegisteredUser {
            return self.of_users_token(token, credential).await;
        }
        Ok(Caller {
            actor: Actor::new(&token.name, token.scope, current_request_id()),
            scope: token.scope,
            tenant: self.own_tenant(&token.tenant)?,
            templates: token.templates,
            actions: token.actions,
            credential,
            display_name: None,
            render_token: None,
        })
    }

    /// A render token renders, and nothing else; what exactly is judged where the render is known.
    fn of_render_token(&self, text: &str, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let tokens = &self.0.setup.editor_tokens;
        let verified = RenderToken::verify(text, &tokens.secrets, self.now(), tokens.issued_after).map_err(Refusal::Token)?;
        let token = verified.token;
        let origin = headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
        Ok(Caller {
            actor: Actor::new(&format!("render-token:{}", token.id), Scope::Render, current_request_id()),
            scope: Scope::Render,
            tenant: self.own_tenant(&token.tenant)?,
            templates: Some(token.templates.iter().map(TemplateSelector::from).collect()),
            actions: Some(vec![Action::DocumentRender]),
            credential: Credential::RenderToken,
            display_name: token.subject.clone(),
            render_token: Some(RenderTokenUse::new(token, origin)),
        })
    }

    /// A token of a registered user has the role and the tenant that the registry gives them now, and the token's limits.
    async fn of_users_token(&self, token: EditorToken, credential: Credential) -> Result<Caller, Refusal> {
        let id: UserId = token.name.parse().map_err(|_| Refusal::NoSuchUser { id: token.name.clone() })?;
        let found = self.known(&id).await?.ok_or_else(|| Refusal::NoSuchUser { id: id.to_string() })?;
        if found.user.token_issued_after.is_some_and(|cut_over| token.issued_at < cut_over) {
            return Err(Refusal::BeforeCutOver { id: token.name });
        }
        if found.user.tenant != token.tenant {
            return Err(Refusal::TenantMismatch { actor: token.name, named: token.tenant });
        }
        Ok(Caller { templates: token.templates, actions: token.actions, credential, ..self.of_user(&found)? })
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
        let ask = async { Ok(self.0.setup.store.tenants().get(tenant).await?.map(|record| record.status)) };
        self.0.tenants.get(tenant.clone(), ask).await
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
        display_name: None,
        render_token: None,
    }
}

/// What follows the scheme `Bearer`, which is written in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
