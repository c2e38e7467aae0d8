//! API keys of a tenant: making, changing, rotating and withdrawing them.

use domain::api_keys::{ApiKeyLookup, ApiKeyRules, ApiKeyText};
use domain::audit::AuditKind;
use domain::ids::ApiKeyId;
use domain::networks::IpNetwork;
use domain::peppers::KeyMac;
use domain::{Actor, AuditEvent, Scope, TemplateSelector};
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::installation_secrets::KeptSecret;
use crate::listing::Listing;
use crate::page::Page;
use crate::template_list::SortOrder;
use crate::tenants::TenantStore;
use crate::write::{Needs, Write};

/// The longest name of an API key, in characters (a CHECK of the table).
pub const API_KEY_NAME_LIMIT_CHARS: usize = 200;
/// The most templates and beginnings of templates that a key can name (a CHECK of the table).
pub const API_KEY_TEMPLATES_LIMIT: usize = 100;

/// A key that does not exist yet. Its text never comes here.
#[derive(Clone, Copy, Debug)]
pub struct NewApiKey<'a> {
    /// For people; 1–[`API_KEY_NAME_LIMIT_CHARS`].
    pub name: &'a str,
    /// One of [`Scope::OF_KEYS`].
    pub scope: Scope,
    /// The public part of its text.
    pub lookup: &'a ApiKeyLookup,
    /// What is kept of its text.
    pub secret: &'a KeptSecret,
    /// The first moment at which it does not work any more.
    pub expires_at: Option<Timestamp>,
    /// The templates it reaches, up to [`API_KEY_TEMPLATES_LIMIT`]; all when there are none.
    pub allowed_templates: &'a [TemplateSelector],
    /// Where it may be used from, up to [`IpNetwork::MAX_LIST`]; anywhere when there are none.
    pub allowed_ips: &'a [IpNetwork],
    /// Requests a minute, up to [`domain::rate_limits::MOST_REQUESTS_PER_MINUTE`]; what the deployment says where there is none.
    pub requests_per_minute: Option<u32>,
}

/// A change of a key. What is absent stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApiKeyPatch<'a> {
    /// For people; 1–[`API_KEY_NAME_LIMIT_CHARS`].
    pub name: Option<&'a str>,
    /// The first moment at which it does not work any more; `Some(None)` takes the end away.
    pub expires_at: Option<Option<Timestamp>>,
    /// The templates it reaches; an empty list means all.
    pub allowed_templates: Option<&'a [TemplateSelector]>,
    /// Where it may be used from; an empty list means anywhere.
    pub allowed_ips: Option<&'a [IpNetwork]>,
    /// Requests a minute; `Some(None)` takes the key's own limit away.
    pub requests_per_minute: Option<Option<u32>>,
}

/// A key as its tenant's admin sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiKeyRecord {
    /// Names it for ever.
    pub id: ApiKeyId,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// The public part of its text.
    pub lookup: ApiKeyLookup,
    /// The last four characters of its text.
    pub hint: String,
    /// Until when the text before the last rotation works or worked.
    pub previous_until: Option<Timestamp>,
    /// The first moment at which it does not work any more.
    pub expires_at: Option<Timestamp>,
    /// The templates it reaches; all when there are none.
    pub allowed_templates: Vec<TemplateSelector>,
    /// Where it may be used from; anywhere when there are none.
    pub allowed_ips: Vec<IpNetwork>,
    /// Requests a minute; what the deployment says where there is none.
    pub requests_per_minute: Option<u32>,
    /// Since when it is withdrawn.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it was last changed, rotated or withdrawn.
    pub updated_at: Timestamp,
    /// When it last let somebody in, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// How a change of a key ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum ApiKeyOutcome {
    /// Done; what there is now.
    Written(Box<ApiKeyRecord>),
    /// There is no such key; nothing was changed.
    NotFound,
    /// The key is withdrawn, for good; nothing was changed.
    Revoked(Box<ApiKeyRecord>),
}

/// The API keys of one tenant.
pub struct ApiKeys<'a>(&'a TenantStore);

impl TenantStore {
    /// The keys that programs use.
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys(self)
    }
}

impl ApiKeys<'_> {
    /// The key of that id, withdrawn ones too.
    pub async fn get(&self, id: ApiKeyId) -> Result<Option<ApiKeyRecord>, StoreError> {
        speak!(self.0.store, "api_keys.get", {
            let mut connection = self.0.store.acquire().await?;
            self.read(&mut connection, id).await
        })
        .await
    }

    async fn read(&self, connection: &mut PgConnection, id: ApiKeyId) -> Result<Option<ApiKeyRecord>, StoreError> {
        let row = sqlx::query_as!(
            ApiKeyRow,
            "SELECT api_key_id, name, scope, lookup, secret_mac, hint, previous_mac, previous_until, expires_at, allowed_templates,
                    allowed_ips, requests_per_minute, revoked_at, created_at, created_by, updated_at, last_used_at
             FROM api_keys WHERE tenant_id = $1 AND api_key_id = $2",
            self.0.tenant.as_str(),
            id.as_uuid()
        )
        .fetch_optional(connection)
        .await?;
        row.map(ApiKeyRecord::try_from).transpose()
    }

    /// One page of the keys, oldest first, withdrawn ones too. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, limit: u32, offset: u64) -> Result<Page<ApiKeyRecord>, StoreError> {
        speak!(self.0.store, "api_keys.list", {
            let listing = Listing {
                tenant: Some(&self.0.tenant),
                table: "api_keys",
                id: "api_key_id",
                columns: "api_key_id, name, scope, lookup, secret_mac, hint, previous_mac, previous_until, expires_at, allowed_templates,
                          allowed_ips, requests_per_minute, revoked_at, created_at, created_by, updated_at, last_used_at",
                order: &[("created_at", "timestamptz"), ("api_key_id", "uuid")],
                direction: SortOrder::Ascending,
                filter: Some(String::new()),
                conditions: &|query| {
                    query.push("tenant_id = ").push_bind(self.0.tenant.as_str().to_owned());
                },
            };
            let mut connection = self.0.store.acquire().await?;
            let (rows, total) = listing.page::<ApiKeyRow>(&self.0.store, &mut connection, limit, offset).await?;
            let items = rows.into_iter().map(ApiKeyRecord::try_from).collect::<Result<_, _>>()?;
            Ok(Page { items, total })
        })
        .await
    }

    /// Keeps a new key. A lookup that exists already is a [`StoreError::Conflict`]: make another key.
    pub async fn insert(&self, new: NewApiKey<'_>, actor: &Actor) -> Result<ApiKeyRecord, StoreError> {
        speak!(self.0.store, "api_keys.insert", {
            let id = ApiKeyId::generate();
            let (templates, networks) = (texts(new.allowed_templates), texts(new.allowed_ips));
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let row = sqlx::query_as!(
                ApiKeyRow,
                "INSERT INTO api_keys (api_key_id, tenant_id, name, scope, lookup, secret_mac, hint, expires_at, allowed_templates,
                                       allowed_ips, requests_per_minute, created_at, created_by, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $13, $11, $12, $11)
                 RETURNING api_key_id, name, scope, lookup, secret_mac, hint, previous_mac, previous_until, expires_at, allowed_templates,
                           allowed_ips, requests_per_minute, revoked_at, created_at, created_by, updated_at, last_used_at",
                id.as_uuid(),
                self.0.tenant.as_str(),
                new.name,
                new.scope.as_str(),
                new.lookup.as_str(),
                new.secret.mac.as_bytes().as_slice(),
                &new.secret.hint,
                new.expires_at.map(Timestamp::to_sqlx) as _,
                &templates,
                &networks,
                self.0.store.now() as _,
                &*actor.name,
                new.requests_per_minute.map(as_count)
            )
            .fetch_one(&mut *write)
            .await?;
            write.announce("api_key", new.lookup.as_str()).await?;
            let event = AuditEvent::new(AuditKind::ApiKeyCreated, id)
                .with("name", new.name)
                .with("scope", new.scope.as_str())
                .with("hint", new.secret.hint.as_str())
                .with("expiresAt", new.expires_at.map(|at| at.to_string()))
                .with("allowedTemplates", templates)
                .with("allowedIps", networks)
                .with("requestsPerMinute", new.requests_per_minute);
            write.commit(event).await?;
            row.try_into()
        })
        .await
    }

    /// Changes what `patch` names.
    pub async fn update(&self, id: ApiKeyId, patch: ApiKeyPatch<'_>, actor: &Actor) -> Result<ApiKeyOutcome, StoreError> {
        speak!(self.0.store, "api_keys.update", {
            let (templates, networks) = (patch.allowed_templates.map(texts), patch.allowed_ips.map(texts));
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let row = sqlx::query_as!(
                ApiKeyRow,
                "UPDATE api_keys
                 SET name = COALESCE($3, name), expires_at = CASE WHEN $4 THEN $5 ELSE expires_at END,
                     allowed_templates = COALESCE($6, allowed_templates), allowed_ips = COALESCE($7, allowed_ips), updated_at = $8,
                     requests_per_minute = CASE WHEN $9 THEN $10 ELSE requests_per_minute END
                 WHERE tenant_id = $1 AND api_key_id = $2 AND revoked_at IS NULL
                 RETURNING api_key_id, name, scope, lookup, secret_mac, hint, previous_mac, previous_until, expires_at, allowed_templates,
                           allowed_ips, requests_per_minute, revoked_at, created_at, created_by, updated_at, last_used_at",
                self.0.tenant.as_str(),
                id.as_uuid(),
                patch.name,
                patch.expires_at.is_some(),
                patch.expires_at.flatten().map(Timestamp::to_sqlx) as _,
                templates.as_deref(),
                networks.as_deref(),
                self.0.store.now() as _,
                patch.requests_per_minute.is_some(),
                patch.requests_per_minute.flatten().map(as_count)
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else { return self.untouched(write, id).await };
            let mut event = AuditEvent::new(AuditKind::ApiKeyUpdated, id);
            if let Some(name) = patch.name {
                event = event.with("name", name);
            }
            if let Some(expires_at) = patch.expires_at {
                event = event.with("expiresAt", expires_at.map(|at| at.to_string()));
            }
            if let Some(templates) = templates {
                event = event.with("allowedTemplates", templates);
            }
            if let Some(networks) = networks {
                event = event.with("allowedIps", networks);
            }
            if let Some(most) = patch.requests_per_minute {
                event = event.with("requestsPerMinute", most);
            }
            write.announce("api_key", &row.lookup).await?;
            write.commit(event).await?;
            Ok(ApiKeyOutcome::Written(Box::new(row.try_into()?)))
        })
        .await
    }

    /// Gives a key another text with the same lookup. The text before works for `overlap_seconds` more, at most
    /// [`ApiKeyText::MAX_OVERLAP_SECONDS`]; with 0, and for a text before that one, at once no more.
    pub async fn rotate(&self, id: ApiKeyId, next: &KeptSecret, overlap_seconds: u32, actor: &Actor) -> Result<ApiKeyOutcome, StoreError> {
        speak!(self.0.store, "api_keys.rotate", {
            let now = self.0.store.now().to_jiff();
            let overlap = SignedDuration::from_secs(overlap_seconds.min(ApiKeyText::MAX_OVERLAP_SECONDS).into());
            let until = now.checked_add(overlap).ok().filter(|_| !overlap.is_zero());
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let row = sqlx::query_as!(
                ApiKeyRow,
                "UPDATE api_keys
                 SET secret_mac = $3, hint = $4, previous_mac = CASE WHEN $5::timestamptz IS NOT NULL THEN secret_mac END,
                     previous_until = $5, updated_at = $6
                 WHERE tenant_id = $1 AND api_key_id = $2 AND revoked_at IS NULL
                 RETURNING api_key_id, name, scope, lookup, secret_mac, hint, previous_mac, previous_until, expires_at, allowed_templates,
                           allowed_ips, requests_per_minute, revoked_at, created_at, created_by, updated_at, last_used_at",
                self.0.tenant.as_str(),
                id.as_uuid(),
                next.mac.as_bytes().as_slice(),
                &next.hint,
                until.map(Timestamp::to_sqlx) as _,
                now.to_sqlx() as _
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else { return self.untouched(write, id).await };
            write.announce("api_key", &row.lookup).await?;
            let event = AuditEvent::new(AuditKind::ApiKeyRotated, id)
                .with("hint", next.hint.as_str())
                .with("previousUntil", until.map(|until| until.to_string()));
            write.commit(event).await?;
            Ok(ApiKeyOutcome::Written(Box::new(row.try_into()?)))
        })
        .await
    }

    /// Withdraws a key for good, with its text before the last rotation. It only takes away, so it also happens to keys of
    /// an archived tenant, which still read.
    pub async fn revoke(&self, id: ApiKeyId, actor: &Actor) -> Result<ApiKeyOutcome, StoreError> {
        speak!(self.0.store, "api_keys.revoke", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let row = sqlx::query_as!(
                ApiKeyRow,
                "UPDATE api_keys SET revoked_at = $3, updated_at = $3, previous_mac = NULL, previous_until = NULL
                 WHERE tenant_id = $1 AND api_key_id = $2 AND revoked_at IS NULL
                 RETURNING api_key_id, name, scope, lookup, secret_mac, hint, previous_mac, previous_until, expires_at, allowed_templates,
                           allowed_ips, requests_per_minute, revoked_at, created_at, created_by, updated_at, last_used_at",
                self.0.tenant.as_str(),
                id.as_uuid(),
                self.0.store.now() as _
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else { return self.untouched(write, id).await };
            write.announce("api_key", &row.lookup).await?;
            write.commit(AuditEvent::new(AuditKind::ApiKeyRevoked, id).with("name", row.name.as_str())).await?;
            Ok(ApiKeyOutcome::Written(Box::new(row.try_into()?)))
        })
        .await
    }

    /// Why no row was changed.
    async fn untouched(&self, mut write: Write<'_>, id: ApiKeyId) -> Result<ApiKeyOutcome, StoreError> {
        Ok(self.read(&mut write, id).await?.map_or(ApiKeyOutcome::NotFound, |key| ApiKeyOutcome::Revoked(Box::new(key))))
    }
}

/// As Postgres takes it.
fn as_count(requests: u32) -> i32 {
    i32::try_from(requests).unwrap_or(i32::MAX)
}

/// As Postgres takes them.
fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[derive(sqlx::FromRow)]
pub(crate) struct ApiKeyRow {
    pub(crate) api_key_id: Uuid,
    pub(crate) name: String,
    pub(crate) scope: String,
    pub(crate) lookup: String,
    pub(crate) secret_mac: Vec<u8>,
    pub(crate) hint: String,
    pub(crate) previous_mac: Option<Vec<u8>>,
    pub(crate) previous_until: Option<jiff_sqlx::Timestamp>,
    pub(crate) expires_at: Option<jiff_sqlx::Timestamp>,
    pub(crate) allowed_templates: Vec<String>,
    pub(crate) allowed_ips: Vec<String>,
    pub(crate) requests_per_minute: Option<i32>,
    pub(crate) revoked_at: Option<jiff_sqlx::Timestamp>,
    pub(crate) created_at: jiff_sqlx::Timestamp,
    pub(crate) created_by: String,
    pub(crate) updated_at: jiff_sqlx::Timestamp,
    pub(crate) last_used_at: Option<jiff_sqlx::Timestamp>,
}

impl ApiKeyRow {
    /// What decides whether the key lets somebody in. A limit that cannot be read is an error and never no limit.
    pub(crate) fn rules(&self) -> Result<ApiKeyRules, StoreError> {
        let previous = match (self.previous_mac.as_deref(), self.previous_until) {
            (Some(previous), Some(until)) => Some((mac(previous)?, until.to_jiff())),
            _ => None,
        };
        Ok(ApiKeyRules {
            current: mac(&self.secret_mac)?,
            previous,
            expires_at: self.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
            revoked_at: self.revoked_at.map(jiff_sqlx::Timestamp::to_jiff),
            allowed_ips: parsed(&self.allowed_ips)?,
        })
    }
}

impl TryFrom<ApiKeyRow> for ApiKeyRecord {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.api_key_id.into(),
            name: row.name,
            scope: row.scope.parse().map_err(inconsistent)?,
            lookup: row.lookup.parse().map_err(inconsistent)?,
            hint: row.hint,
            previous_until: row.previous_until.map(jiff_sqlx::Timestamp::to_jiff),
            expires_at: row.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
            allowed_templates: parsed(&row.allowed_templates)?,
            allowed_ips: parsed(&row.allowed_ips)?,
            requests_per_minute: row.requests_per_minute.map(i32::unsigned_abs),
            revoked_at: row.revoked_at.map(jiff_sqlx::Timestamp::to_jiff),
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            updated_at: row.updated_at.to_jiff(),
            last_used_at: row.last_used_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

fn inconsistent(error: impl std::fmt::Display) -> StoreError {
    StoreError::inconsistent("api_keys", error)
}

fn mac(bytes: &[u8]) -> Result<KeyMac, StoreError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| inconsistent("a MAC is not 32 bytes"))?;
    Ok(bytes.into())
}

pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(texts: &[String]) -> Result<Vec<T>, StoreError> {
    texts.iter().map(|text| text.parse().map_err(inconsistent)).collect()
}
