//! Whose key or token it is: configured keys, keys and users of the database, signed tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use domain::api_keys::{ApiKeyGeneration, ApiKeyLookup, ApiKeyRefusal, ApiKeyText};
use domain::editor_tokens::{EditorToken, Holder};
use domain::render_tokens::RenderToken;
use domain::users::{UserId, UserKey};
use domain::{Action, Actor, Scope, TemplateSelector, TenantId};
use store::{ApiKeyCredential, Outage, StoreError, UserCredential};
use tokio::time::Instant;

use crate::auth::{Caller, Credential};
use crate::configured_keys::ConfiguredKey;
use crate::identity::{Identity, Tenancy};
use crate::refusal::Refusal;
use crate::render_tokens::RenderTokenUse;
use crate::requests::current_request_id;

impl Identity {
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
        self.of_user_key(&key, address).await
    }

    async fn of_database_key(&self, key: &ApiKeyText, address: Option<IpAddr>) -> Result<Caller, Refusal> {
        let setup = &self.0.setup;
        let lookup = key.lookup();
        let (asked, mac) = (Instant::now(), setup.pepper.mac(key.reveal()));
        let mut found = self.stored_key(&lookup, address).await?;
        let mut judged = found.rules.judge(&mac, self.now(), address);
        if judged == Err(ApiKeyRefusal::WrongSecret)
            && let Some(newer) = self.rotated_key(asked, &lookup, address).await
        {
            judged = newer.rules.judge(&mac, self.now(), address);
            found = newer;
        }
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
            api_key: Some(lookup),
            requests_per_minute: found.requests_per_minute,
            display_name: Some(found.name.clone()),
            render_token: None,
        })
    }

    /// The key of the database with that public part. For an address that guessed too often the database is asked about keys
    /// that are known alone: whether they still are.
    async fn stored_key(&self, lookup: &ApiKeyLookup, guesser: Option<IpAddr>) -> Result<Arc<ApiKeyCredential>, Refusal> {
        let guesser = if self.0.keys.knows(lookup).await { None } else { guesser };
        let ask = async {
            self.unless_guessing(guesser)?;
            Ok(self.store().api_key_by_lookup(lookup).await?.map(Arc::new))
        };
        let found = self.0.keys.get(lookup.clone(), ask).await;
        found.map_err(|error| self.not_asked(error, guesser))?.ok_or(Refusal::UnknownKey)
    }

    /// The key as it is now: another replica may just have rotated it, and its caller be faster than the notice. Counts as a guess
    /// where it was none.
    async fn rotated_key(&self, since: Instant, lookup: &ApiKeyLookup, guesser: Option<IpAddr>) -> Option<Arc<ApiKeyCredential>> {
        let ask = async {
            self.unless_guessing(guesser)?;
            Ok(self.store().api_key_by_lookup(lookup).await?.map(Arc::new))
        };
        self.0.keys.newer_than(since, lookup.clone(), ask).await.ok().flatten()
    }

    fn unless_guessing(&self, guesser: Option<IpAddr>) -> Result<(), StoreError> {
        match self.spent(guesser) {
            // To the memory of credentials this is a question without an answer.
            Some(_) => Err(StoreError::Unavailable { why: Outage::NoConnection, source: None }),
            None => Ok(()),
        }
    }

    fn not_asked(&self, error: StoreError, guesser: Option<IpAddr>) -> Refusal {
        self.spent(guesser).map_or(Refusal::Away(error), |wait| Refusal::TooManyGuesses { wait })
    }

    fn spent(&self, guesser: Option<IpAddr>) -> Option<Duration> {
        guesser.and_then(|address| self.0.setup.guesses.spent(address))
    }

    async fn of_user_key(&self, key: &UserKey, guesser: Option<IpAddr>) -> Result<Caller, Refusal> {
        let store = &self.0.setup.store;
        let mac = self.0.setup.pepper.mac(key.reveal());
        let guesser = if self.0.user_keys.knows(mac.as_bytes()).await { None } else { guesser };
        let ask = async {
            self.unless_guessing(guesser)?;
            Ok(store.user_by_key_mac(&mac).await?.map(Arc::new))
        };
        let found = self.0.user_keys.get(*mac.as_bytes(), ask).await;
        let found = found.map_err(|error| self.not_asked(error, guesser))?.ok_or(Refusal::UnknownKey)?;
        self.of_user(&found)
    }

    /// The registered user of that id, as a token of theirs finds it.
    pub(crate) async fn known(&self, tenant: &TenantId, id: &UserId) -> Result<Option<Arc<UserCredential>>, Refusal> {
        let ask = async { Ok(self.store().tenant(tenant.clone()).users().credential(id).await?.map(Arc::new)) };
        self.0.users.get((tenant.clone(), id.clone()), ask).await.map_err(Refusal::Away)
    }

    /// The person whom the identity provider calls so, in whatever tenant.
    pub(crate) async fn known_of_provider(&self, id: &UserId) -> Result<Option<Arc<UserCredential>>, Refusal> {
        let ask = async { Ok(self.store().user_of_provider(id).await?.map(Arc::new)) };
        self.0.of_provider.get(id.clone(), ask).await.map_err(Refusal::Away)
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
            api_key: None,
            requests_per_minute: None,
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
            api_key: None,
            requests_per_minute: key.requests_per_minute,
            display_name: None,
            render_token: None,
        })
    }

    pub(crate) async fn of_token(&self, text: &str, credential: Credential, address: Option<IpAddr>) -> Result<Caller, Refusal> {
        let tokens = &self.0.setup.editor_tokens;
        let verified = EditorToken::verify(text, &tokens.secrets, self.now(), tokens.issued_after).map_err(Refusal::Token)?;
        let token = verified.token;
        if token.holder == Holder::RegisteredUser {
            return self.of_users_token(token, credential).await;
        }
        let (templates, requests_per_minute) = match &token.api_key {
            Some(lookup) => self.still_of_key(lookup, &token, address).await?,
            None => (token.templates, None),
        };
        // Only these are ever minted for a key.
        if !matches!(token.scope, Scope::Admin | Scope::Editor) {
            return Err(Refusal::ForeignScope { name: token.name, scope: token.scope });
        }
        Ok(Caller {
            actor: Actor::new(&token.name, token.scope, current_request_id()),
            scope: token.scope,
            tenant: self.own_tenant(&token.tenant)?,
            templates,
            actions: token.actions,
            credential,
            api_key: token.api_key,
            requests_per_minute,
            display_name: None,
            render_token: None,
        })
    }

    /// A render token renders, and nothing else; what exactly is judged where the render is known.
    pub(crate) async fn of_render_token(&self, text: &str, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let tokens = &self.0.setup.editor_tokens;
        let verified = RenderToken::verify(text, &tokens.secrets, self.now(), tokens.issued_after).map_err(Refusal::Token)?;
        let token = verified.token;
        self.refuse_withdrawn(&token).await?;
        let origin = headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
        Ok(Caller {
            actor: Actor::new(&format!("render-token:{}", token.id), Scope::Render, current_request_id()),
            scope: Scope::Render,
            tenant: self.own_tenant(&token.tenant)?,
            templates: Some(token.templates.iter().map(TemplateSelector::from).collect()),
            actions: Some(vec![Action::DocumentRender]),
            credential: Credential::RenderToken,
            api_key: None,
            requests_per_minute: None,
            display_name: token.subject.clone(),
            render_token: Some(RenderTokenUse::new(token, origin)),
        })
    }

    /// Refuses a token that was withdrawn, before anything of its request is read. The count of its uses is asked about later.
    async fn refuse_withdrawn(&self, token: &RenderToken) -> Result<(), Refusal> {
        let tokens = self.store().tenant(token.tenant.clone());
        let ask = async { Ok(tokens.render_tokens().get(token.id).await?.filter(|known| known.revoked_at.is_none()).map(|_| ())) };
        let known = self.0.render_tokens.get((token.tenant.clone(), token.id), ask).await.map_err(Refusal::Away)?;
        known.ok_or(Refusal::WithdrawnToken { id: token.id })
    }

    /// The templates of a token that was exchanged for a stored key, if the key still lets its bearer in: those that both
    /// reach. With it the key's own limit of requests.
    async fn still_of_key(
        &self,
        lookup: &ApiKeyLookup,
        token: &EditorToken,
        address: Option<IpAddr>,
    ) -> Result<(Option<Vec<TemplateSelector>>, Option<u32>), Refusal> {
        let found = self.stored_key(lookup, None).await?;
        let judged = found.rules.judge_bearer(self.now(), address);
        judged.map_err(|why| Refusal::DatabaseKey { name: found.name.clone(), id: found.id, why })?;
        if found.tenant != token.tenant {
            return Err(Refusal::TenantMismatch { actor: token.name.clone(), named: token.tenant.clone() });
        }
        let templates = match (&token.templates, found.allowed_templates.as_slice()) {
            (own, []) => own.clone(),
            (None, of_key) => Some(of_key.to_vec()),
            (Some(own), of_key) => Some(TemplateSelector::reached_by_both(own, of_key)),
        };
        Ok((templates, found.requests_per_minute))
    }

    /// A token of a registered user has the role that the registry gives them now, and the token's limits.
    async fn of_users_token(&self, token: EditorToken, credential: Credential) -> Result<Caller, Refusal> {
        let id: UserId = token.name.parse().map_err(|_| Refusal::NoSuchUser { id: token.name.clone() })?;
        let found = self.known(&token.tenant, &id).await?.ok_or_else(|| Refusal::NoSuchUser { id: id.to_string() })?;
        // An id can be given again; what its first owner held is not the second one's.
        if token.issued_at.as_millisecond() < found.user.created_at.as_millisecond() {
            return Err(Refusal::BeforeCutOver { id: token.name });
        }
        if found.user.token_issued_after.is_some_and(|cut_over| token.issued_at < cut_over) {
            return Err(Refusal::BeforeCutOver { id: token.name });
        }
        Ok(Caller { templates: token.templates, actions: token.actions, credential, ..self.of_user(&found)? })
    }
}
