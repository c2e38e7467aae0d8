//! From the configuration to what the interface knows credentials by.

use std::time::Duration;

use api::{ConfiguredKey, ConfiguredKeys, EditorTokens, IdentitySetup, Oidc, Rate, RolesBy};
use domain::secrets::{RolledKeys, Secret, Secrets};
use domain::{Clock, Scope, TenantId};
use store::Store;

use crate::config::{self, Config};
use crate::error::ServerError;

/// What credentials are judged by.
pub async fn setup(config: &Config, store: Store, clock: Clock) -> Result<IdentitySetup, ServerError> {
    Ok(IdentitySetup {
        keys: keys(&config.identity),
        without_credential: config.identity.without_credential,
        editor_tokens: EditorTokens {
            secrets: token_secrets(&config.identity, &store.token_binding(random()?).await?)?,
            ttl_minutes: u16::try_from(config.identity.editor_tokens.ttl_minutes).unwrap_or(u16::MAX),
            issued_after: config.identity.editor_tokens.issued_after,
        },
        tenancy: config.tenancy.tenants,
        tenant_ttl: Duration::from_millis(config.tenancy.status_cache_ttl_ms),
        pepper: store.pepper(random()?).await?,
        user_ttl: Duration::from_millis(config.identity.users_cache_ttl_ms),
        rate_limits: config.identity.rate_limits,
        guesses: Rate::of_guesses(config.identity.auth_failures_per_minute),
        oidc: config.identity.oidc.as_ref().map(|oidc| provider(oidc, clock.clone())).transpose()?,
        store,
        clock,
    })
}

/// Asks the provider nothing yet: one that is away stops no start.
fn provider(oidc: &config::Oidc, clock: Clock) -> Result<Oidc, ServerError> {
    let cookie_secret = oidc.cookie_secret.reveal().into();
    let mut settings = openid::Settings::new(&oidc.discovery_url, &oidc.client_id, &oidc.redirect_uri, cookie_secret, clock);
    settings.cookie_secrets.previous = oidc.previous_cookie_secret.as_ref().map(|secret| secret.reveal().into());
    settings.client_secret = Some(oidc.client_secret.reveal().into());
    settings.scopes = oidc.scopes.join(" ");
    settings.audience = Some(oidc.audience.clone());
    settings.claim_names = openid::ClaimNames {
        subject: oidc.claims.sub.clone(),
        email: oidc.claims.email.clone(),
        display_name: oidc.claims.display_name.clone(),
        groups: oidc.claims.groups.clone(),
        tenant: oidc.claims.tenant.clone(),
        role: oidc.claims.role.clone(),
    };
    Ok(Oidc {
        provider: openid::Provider::new(settings)?,
        newcomers: oidc.newcomers,
        default_tenant: oidc.default_tenant.clone(),
        default_role: oidc.default_role,
        roles: if oidc.claims.role.is_some() { RolesBy::Provider } else { RolesBy::Admins },
        callbacks: Rate::of_callbacks(),
    })
}

fn keys(identity: &config::Identity) -> ConfiguredKeys {
    let own = identity.keys.current.iter().map(|(scope, key)| {
        let about = ConfiguredKey {
            actor: format!("env:{scope}"),
            scope: *scope,
            tenant: TenantId::default_tenant(),
            requests_per_minute: None,
            expires_at: None,
            allowed_templates: Vec::new(),
            allowed_ips: Vec::new(),
        };
        (key.reveal().to_owned(), about)
    });
    let listed = identity.listed_keys.iter().map(|listed| {
        let about = ConfiguredKey {
            actor: format!("apikey:json:{}", listed.id),
            scope: listed.scope,
            tenant: listed.tenant.clone(),
            requests_per_minute: listed.requests_per_minute,
            expires_at: listed.expires_at,
            allowed_templates: listed.allowed_templates.clone(),
            allowed_ips: listed.allowed_ips.clone(),
        };
        (listed.key.reveal().to_owned(), about)
    });
    ConfiguredKeys::new(own.chain(listed))
}

/// Whose keys count as an admin's.
const ADMINS: &[Scope] = &[Scope::Admin, Scope::SuperAdmin];

/// The operator's secret; else one made of the keys, so that a new key ends what the old one opened, and of what only this
/// installation knows, so that nobody who holds the keys can sign.
fn token_secrets(identity: &config::Identity, installation: &[u8; 32]) -> Result<Secrets, ServerError> {
    if let Some(secret) = &identity.editor_tokens.secret {
        let secret_of = |secret: &config::Secret| Secret::new(secret.reveal()).map_err(|_| ServerError::Random);
        let previous = identity.editor_tokens.previous_secret.iter().map(secret_of).collect::<Result<_, _>>()?;
        return Ok(Secrets { current: secret_of(secret)?, previous });
    }
    let of = |keys: &[(Scope, config::Secret)], scopes: &[Scope]| -> Vec<String> {
        keys.iter().filter(|(scope, _)| scopes.contains(scope)).map(|(_, key)| key.reveal().to_owned()).collect()
    };
    // The list changes often, and every change of what the secret is made of ends all sessions: it only counts where there
    // is nothing else.
    let listed: Vec<(Scope, config::Secret)> = identity.listed_keys.iter().map(|key| (key.scope, key.key.clone())).collect();
    let current = if identity.keys.current.is_empty() { &listed } else { &identity.keys.current };
    let (admins, editors) = (of(current, ADMINS), of(current, &[Scope::Editor]));
    let (old_admins, old_editors) = (of(&identity.keys.previous, ADMINS), of(&identity.keys.previous, &[Scope::Editor]));
    let [admins, old_admins, editors, old_editors] =
        [&admins, &old_admins, &editors, &old_editors].map(|keys| keys.iter().map(String::as_str).collect::<Vec<_>>());
    let derived = Secrets::derived_from_keys(
        RolledKeys { current: &admins, previous: &old_admins },
        RolledKeys { current: &editors, previous: &old_editors },
    );
    Ok(match derived {
        Some(secrets) => secrets.bound_to(installation),
        None => Secrets { current: Secret::from_random(*installation), previous: Vec::new() },
    })
}

/// The operator's secret for links to documents; else the one that the installation made.
pub async fn link_secrets(config: &config::Documents, store: &Store) -> Result<Secrets, ServerError> {
    let secret_of = |secret: &config::Secret| Secret::new(secret.reveal()).map_err(|_| ServerError::Random);
    let Some(secret) = &config.link_secret else {
        return Ok(Secret::from_random(store.document_link_secret(random()?).await?).into());
    };
    let previous = config.previous_link_secret.iter().map(secret_of).collect::<Result<_, _>>()?;
    Ok(Secrets { current: secret_of(secret)?, previous })
}

fn random() -> Result<[u8; 32], ServerError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| ServerError::Random)?;
    Ok(bytes)
}
