//! API keys as authentication sees them: found without knowing the tenant, and noted when they were used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::api_keys::{ApiKeyLookup, ApiKeyRules};
use domain::ids::ApiKeyId;
use domain::tenants::TenantStatus;
use domain::{Scope, TemplateSelector, TenantId};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use crate::api_keys::{ApiKeyRow, parsed};
use crate::connect::{Store, speak};
use crate::error::StoreError;

/// What a key must say of itself before it lets anybody in, and what it then allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiKeyCredential {
    /// Names the key for ever.
    pub id: ApiKeyId,
    /// Whose data it reaches.
    pub tenant: TenantId,
    /// What that tenant takes.
    pub tenant_status: TenantStatus,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// Whether it lets somebody in.
    pub rules: ApiKeyRules,
    /// The templates it reaches; all when there are none.
    pub allowed_templates: Vec<TemplateSelector>,
    /// Requests a minute; what the deployment says where there is none.
    pub requests_per_minute: Option<u32>,
}

impl Store {
    /// The key with that public part, whatever tenant it belongs to. For authentication alone: everything else goes through a
    /// tenant's handle.
    pub async fn api_key_by_lookup(&self, lookup: &ApiKeyLookup) -> Result<Option<ApiKeyCredential>, StoreError> {
        speak!(self, "api_keys.by_lookup", {
            let mut connection = self.acquire().await?;
            let row = sqlx::query!(
                "SELECT k.tenant_id, t.status, k.api_key_id, k.name, k.scope, k.lookup, k.secret_mac, k.hint, k.previous_mac,
                        k.previous_until, k.expires_at, k.allowed_templates, k.allowed_ips, k.requests_per_minute, k.revoked_at, k.created_at, k.created_by,
                        k.updated_at, k.last_used_at
                 FROM api_keys k JOIN tenants t USING (tenant_id) WHERE k.lookup = $1",
                lookup.as_str()
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let key = ApiKeyRow {
                api_key_id: row.api_key_id,
                name: row.name,
                scope: row.scope,
                lookup: row.lookup,
                secret_mac: row.secret_mac,
                hint: row.hint,
                previous_mac: row.previous_mac,
                previous_until: row.previous_until,
                expires_at: row.expires_at,
                allowed_templates: row.allowed_templates,
                allowed_ips: row.allowed_ips,
                requests_per_minute: row.requests_per_minute,
                revoked_at: row.revoked_at,
                created_at: row.created_at,
                created_by: row.created_by,
                updated_at: row.updated_at,
                last_used_at: row.last_used_at,
            };
            Ok(Some(ApiKeyCredential {
                id: key.api_key_id.into(),
                tenant: row.tenant_id.parse().map_err(|error| StoreError::inconsistent("api_keys", error))?,
                tenant_status: row.status.parse().map_err(|error| StoreError::inconsistent("tenants", error))?,
                rules: key.rules()?,
                scope: key.scope.parse().map_err(|error| StoreError::inconsistent("api_keys", error))?,
                allowed_templates: parsed(&key.allowed_templates)?,
                requests_per_minute: key.requests_per_minute.map(i32::unsigned_abs),
                name: key.name,
            }))
        })
        .await
    }

    /// Notes that a key was used at `at`, unless a later use or one of the minute before is known. It is no change by a person,
    /// so no audit event goes with it, and nobody's cache hears of it.
    pub(crate) async fn note_api_key_use(&self, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        speak!(self, "api_keys.note_use", {
            let mut connection = self.acquire().await?;
            sqlx::query!(
                "UPDATE api_keys SET last_used_at = $2
                 WHERE api_key_id = $1 AND (last_used_at IS NULL OR last_used_at <= $2::timestamptz - interval '1 minute')",
                id.as_uuid(),
                jiff_sqlx::ToSqlx::to_sqlx(at) as _
            )
            .execute(&mut *connection)
            .await?;
            Ok(())
        })
        .await
    }
}

/// How often the use of one key is written.
const NOTE_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// Keys remembered at a time; beyond, all are forgotten and some are noted once more than needed.
const REMEMBERED_KEYS: usize = 10_000;
/// Notes being written at a time. What finds none free is left to the key's next use.
const NOTES_UNDER_WAY: usize = 4;

/// Notes in the background when keys are used, each key at most once a minute. Cloning shares what it remembers.
#[derive(Clone)]
pub struct ApiKeyUses(Arc<Remembered>);

struct Remembered {
    store: Store,
    noted: Mutex<HashMap<ApiKeyId, Timestamp>>,
    free: Arc<Semaphore>,
}

impl ApiKeyUses {
    /// Nothing is remembered at first. One for each process.
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Remembered { store, noted: Mutex::default(), free: Arc::new(Semaphore::new(NOTES_UNDER_WAY)) }))
    }

    /// The key let somebody in just now. Never waits and never fails: a note that is not written is a number that is a
    /// minute older. Within a tokio runtime only.
    pub fn note(&self, id: ApiKeyId) {
        let now = self.0.store.now().to_jiff();
        let Some(permit) = self.take(id, now) else { return };
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            if let Err(error) = shared.store.note_api_key_use(id, now).await {
                tracing::debug!(%error, key = %id, "the use of an API key was not noted");
            }
            drop(permit);
        });
    }

    /// The right to write this note, if it is worth one.
    fn take(&self, id: ApiKeyId, now: Timestamp) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let mut noted = self.0.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&id).is_some_and(|last| now.duration_since(*last) < NOTE_EVERY) {
            return None;
        }
        let permit = Arc::clone(&self.0.free).try_acquire_owned().ok()?;
        if noted.len() >= REMEMBERED_KEYS {
            noted.clear();
        }
        noted.insert(id, now);
        Some(permit)
    }
}
