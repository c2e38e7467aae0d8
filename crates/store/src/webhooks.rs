//! Subscriptions to events: where they lead, what they ask for, and how messages have arrived there.

use domain::audit::AuditKind;
use domain::ids::{DeliveryId, WebhookId};
use domain::templates::TemplateKey;
use domain::webhooks::{EventPattern, EventType, target};
use domain::{Actor, AuditEvent, SecretText};
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use serde_json::Map;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::tenants::TenantStore;
use crate::webhook_deliveries::{NewEvent, enqueue_ping};
use crate::write::{Needs, Write};

/// Subscriptions that one tenant may have: every change looks at all of them.
pub const WEBHOOKS_LIMIT: u32 = 50;

/// A subscription without its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookRecord {
    /// Names it.
    pub id: WebhookId,
    /// Where messages go.
    pub url: String,
    /// What it asks for.
    pub events: Vec<String>,
    /// The templates that it is limited to; none where it is about everything.
    pub template_keys: Option<Vec<String>>,
    /// For people.
    pub description: Option<String>,
    /// Whether it gets messages.
    pub enabled: bool,
    /// The secret before the last rotation signs as well until then.
    pub previous_until: Option<Timestamp>,
    /// Since when the server tries no more, because nothing arrived for long.
    pub paused_at: Option<Timestamp>,
    /// Why.
    pub pause_reason: Option<String>,
    /// Attempts that failed since one last succeeded.
    pub failures: u32,
    /// When the first of those was.
    pub failing_since: Option<Timestamp>,
    /// When something last arrived, some seconds late.
    pub last_success_at: Option<Timestamp>,
    /// When something last did not.
    pub last_failure_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it was last changed by somebody.
    pub updated_at: Timestamp,
}

/// A subscription to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewWebhook<'a> {
    /// Where messages go; judged before.
    pub url: &'a str,
    /// What it asks for, 1 to [`domain::webhooks::PATTERNS_LIMIT`].
    pub events: &'a [EventPattern],
    /// The templates that it is limited to, 1 to [`domain::webhooks::TEMPLATE_KEYS_LIMIT`].
    pub template_keys: Option<&'a [TemplateKey]>,
    /// For people, at most [`domain::webhooks::DESCRIPTION_LIMIT_CHARS`].
    pub description: Option<&'a str>,
    /// Whether it gets messages.
    pub enabled: bool,
    /// What they are signed with.
    pub secret: &'a SecretText,
}

/// A change of a subscription; what is none stays. Another URL, and switching it on, end a pause.
#[derive(Clone, Copy, Default, Debug)]
pub struct WebhookPatch<'a> {
    /// Where messages go, also those that are open; judged before.
    pub url: Option<&'a str>,
    /// What it asks for.
    pub events: Option<&'a [EventPattern]>,
    /// The templates that it is limited to; `Some(None)` lifts the limit.
    pub template_keys: Option<Option<&'a [TemplateKey]>>,
    /// For people.
    pub description: Option<Option<&'a str>>,
    /// Whether it gets messages.
    pub enabled: Option<bool>,
}

/// How making a subscription ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum WebhookInsertion {
    /// There it is.
    Made(Box<WebhookRecord>),
    /// The tenant has [`WEBHOOKS_LIMIT`].
    LimitReached,
}

/// The subscriptions of one tenant.
pub struct Webhooks<'a>(&'a TenantStore);

impl TenantStore {
    /// The subscriptions to events.
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks(self)
    }
}

impl Webhooks<'_> {
    /// The subscription of that id.
    pub async fn get(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        speak!(self.0.store, "webhooks.get", {
            let mut connection = self.0.store.acquire().await?;
            self.read(&mut connection, id).await
        })
        .await
    }

    async fn read(&self, connection: &mut PgConnection, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        let row = sqlx::query_as!(
            WebhookRow,
            "SELECT webhook_id, url, events, template_keys, description, enabled, previous_until, paused_at, pause_reason, failures,
                    failing_since, last_success_at, last_failure_at, created_at, created_by, updated_at
             FROM webhooks WHERE tenant_id = $1 AND webhook_id = $2",
            self.0.tenant.as_str(),
            id.as_uuid()
        );
        Ok(row.fetch_optional(connection).await?.map(WebhookRecord::from))
    }

    /// One page of the subscriptions, oldest first. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, limit: u32, offset: u64) -> Result<Page<WebhookRecord>, StoreError> {
        speak!(self.0.store, "webhooks.list", {
            let (limit, offset) = bounds(limit, offset);
            let tenant = self.0.tenant.as_str();
            let mut connection = self.0.store.acquire().await?;
            let rows = sqlx::query_as!(
                WebhookRow,
                "SELECT webhook_id, url, events, template_keys, description, enabled, previous_until, paused_at, pause_reason, failures,
                        failing_since, last_success_at, last_failure_at, created_at, created_by, updated_at
                 FROM webhooks WHERE tenant_id = $1 ORDER BY created_at, webhook_id LIMIT $2 OFFSET $3",
                tenant,
                limit,
                offset
            );
            let rows = rows.fetch_all(&mut *connection).await?;
            let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM webhooks WHERE tenant_id = $1"#, tenant);
            let total = u64::try_from(count.fetch_one(&mut *connection).await?).unwrap_or(0);
            Ok(Page { items: rows.into_iter().map(WebhookRecord::from).collect(), total })
        })
        .await
    }

    /// Makes a subscription.
    pub async fn insert(&self, new: NewWebhook<'_>, actor: &Actor) -> Result<WebhookInsertion, StoreError> {
        speak!(self.0.store, "webhooks.insert", {
            let id = WebhookId::generate();
            let (events, keys) = (patterns(new.events), new.template_keys.map(keys));
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            // Counted behind the lock of the chain: of two that make the last one, one is told.
            let end = write.chain_end().await?;
            let tenant = self.0.tenant.as_str();
            let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM webhooks WHERE tenant_id = $1"#, tenant);
            if count.fetch_one(&mut *write).await? >= i64::from(WEBHOOKS_LIMIT) {
                return Ok(WebhookInsertion::LimitReached);
            }
            let row = sqlx::query_as!(
                WebhookRow,
                "INSERT INTO webhooks (webhook_id, tenant_id, url, target, events, template_keys, description, enabled, secret, created_at,
                                       created_by, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $10)
                 RETURNING webhook_id, url, events, template_keys, description, enabled, previous_until, paused_at, pause_reason, failures,
                           failing_since, last_success_at, last_failure_at, created_at, created_by, updated_at",
                id.as_uuid(),
                tenant,
                new.url,
                target(new.url),
                &events,
                keys.as_deref(),
                new.description,
                new.enabled,
                new.secret.reveal(),
                self.0.store.now() as _,
                &*actor.name
            )
            .fetch_one(&mut *write)
            .await?;
            let event = AuditEvent::new(AuditKind::WebhookCreated, id)
                .with("target", target(new.url))
                .with("events", events)
                .with("templateKeys", keys)
                .with("enabled", new.enabled);
            write.commit_at(end, event).await?;
            Ok(WebhookInsertion::Made(Box::new(row.into())))
        })
        .await
    }

    /// Changes what `patch` names.
    pub async fn update(&self, id: WebhookId, patch: WebhookPatch<'_>, actor: &Actor) -> Result<Option<WebhookRecord>, StoreError> {
        speak!(self.0.store, "webhooks.update", {
            let events = patch.events.map(patterns);
            let keys = patch.template_keys.map(|named| named.map(keys));
            let named_keys = keys.clone().flatten();
            let target = patch.url.map(target);
            let resumes = patch.url.is_some() || patch.enabled == Some(true);
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let row = sqlx::query_as!(
                WebhookRow,
                "UPDATE webhooks
                 SET url = COALESCE($3, url), target = COALESCE($4, target), events = COALESCE($5, events),
                     template_keys = CASE WHEN $6 THEN $7 ELSE template_keys END,
                     description = CASE WHEN $8 THEN $9 ELSE description END, enabled = COALESCE($10, enabled), updated_at = $11,
                     paused_at = CASE WHEN $12 THEN NULL ELSE paused_at END, pause_reason = CASE WHEN $12 THEN NULL ELSE pause_reason END,
                     failures = CASE WHEN $12 THEN 0 ELSE failures END, failing_since = CASE WHEN $12 THEN NULL ELSE failing_since END
                 WHERE tenant_id = $1 AND webhook_id = $2
                 RETURNING webhook_id, url, events, template_keys, description, enabled, previous_until, paused_at, pause_reason, failures,
                           failing_since, last_success_at, last_failure_at, created_at, created_by, updated_at",
                self.0.tenant.as_str(),
                id.as_uuid(),
                patch.url,
                target.as_deref(),
                events.as_deref(),
                keys.is_some(),
                named_keys.as_deref(),
                patch.description.is_some(),
                patch.description.flatten(),
                patch.enabled,
                self.0.store.now() as _,
                resumes
            );
            let Some(row) = row.fetch_optional(&mut *write).await? else { return Ok(None) };
            // What waits for one that gets nothing is not looked at until it does.
            let held = !row.enabled || row.paused_at.is_some();
            sqlx::query!(
                "UPDATE webhook_deliveries
                 SET url = COALESCE($2, url), target = COALESCE($3, target),
                     next_run_at = CASE WHEN $4 THEN give_up_at WHEN $5 THEN now() ELSE next_run_at END
                 WHERE webhook_id = $1 AND status = 'pending' AND event_type <> $6",
                id.as_uuid(),
                patch.url,
                target.as_deref(),
                held,
                resumes,
                EventType::WebhookPing.as_str()
            )
            .execute(&mut *write)
            .await?;
            write.announce("delivery", &id.to_string()).await?;
            let mut event = AuditEvent::new(AuditKind::WebhookUpdated, id);
            if let Some(target) = target {
                event = event.with("target", target);
            }
            if let Some(events) = events {
                event = event.with("events", events);
            }
            if let Some(keys) = keys {
                event = event.with("templateKeys", keys);
            }
            if let Some(enabled) = patch.enabled {
                event = event.with("enabled", enabled);
            }
            write.commit(event).await?;
            Ok(Some(row.into()))
        })
        .await
    }

    /// Removes a subscription with its deliveries; says whether there was one. It only takes away, so it also happens to those
    /// of an archived tenant.
    pub async fn delete(&self, id: WebhookId, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "webhooks.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let gone = sqlx::query_scalar!(
                "DELETE FROM webhooks WHERE tenant_id = $1 AND webhook_id = $2 RETURNING target",
                self.0.tenant.as_str(),
                id.as_uuid()
            );
            let Some(target) = gone.fetch_optional(&mut *write).await? else { return Ok(false) };
            write.commit(AuditEvent::new(AuditKind::WebhookDeleted, id).with("target", target)).await?;
            Ok(true)
        })
        .await
    }

    /// Gives a subscription another secret. The one before signs as well for `overlap_seconds` more, at most
    /// [`domain::webhooks::MAX_OVERLAP_SECONDS`]; with 0, and for one before that one, at once no more.
    pub async fn rotate(
        &self,
        id: WebhookId,
        next: &SecretText,
        overlap_seconds: u32,
        actor: &Actor,
    ) -> Result<Option<WebhookRecord>, StoreError> {
        speak!(self.0.store, "webhooks.rotate", {
            let now = self.0.store.now().to_jiff();
            let overlap = SignedDuration::from_secs(overlap_seconds.min(domain::webhooks::MAX_OVERLAP_SECONDS).into());
            let until = now.checked_add(overlap).ok().filter(|_| !overlap.is_zero());
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let row = sqlx::query_as!(
                WebhookRow,
                "UPDATE webhooks
                 SET secret = $3, previous_secret = CASE WHEN $4::timestamptz IS NOT NULL THEN secret END, previous_until = $4, updated_at = $5
                 WHERE tenant_id = $1 AND webhook_id = $2
                 RETURNING webhook_id, url, events, template_keys, description, enabled, previous_until, paused_at, pause_reason, failures,
                           failing_since, last_success_at, last_failure_at, created_at, created_by, updated_at",
                self.0.tenant.as_str(),
                id.as_uuid(),
                next.reveal(),
                until.map(Timestamp::to_sqlx) as _,
                now.to_sqlx() as _
            );
            let Some(row) = row.fetch_optional(&mut *write).await? else { return Ok(None) };
            let event = AuditEvent::new(AuditKind::WebhookSecretRotated, id);
            write.commit(event.with("previousUntil", until.map(|until| until.to_string()))).await?;
            Ok(Some(row.into()))
        })
        .await
    }

    /// Sends a message that only shows that messages arrive, also where the subscription is off or paused; gives its delivery.
    pub async fn ping(&self, id: WebhookId, actor: &Actor) -> Result<Option<DeliveryId>, StoreError> {
        speak!(self.0.store, "webhooks.ping", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let mut data = Map::new();
            data.insert("webhookId".to_owned(), id.to_string().into());
            data.insert("actor".to_owned(), (&*actor.name).into());
            let event = NewEvent { event: EventType::WebhookPing, templates: &[], correlation_id: None, data };
            let Some(delivery) = enqueue_ping(&mut write, self.0, id, event).await? else { return Ok(None) };
            let event = AuditEvent::new(AuditKind::WebhookPinged, id).with("deliveryId", delivery.to_string());
            write.commit(event).await?;
            Ok(Some(delivery))
        })
        .await
    }

    /// Tries no more for a subscription where nothing arrived for long; false when it is paused already, or gone.
    pub async fn pause(&self, id: WebhookId, reason: &str, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "webhooks.pause", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let target = sqlx::query_scalar!(
                "UPDATE webhooks SET paused_at = $3, pause_reason = left($4, 500)
                 WHERE tenant_id = $1 AND webhook_id = $2 AND paused_at IS NULL RETURNING target",
                self.0.tenant.as_str(),
                id.as_uuid(),
                self.0.store.now() as _,
                reason
            );
            let Some(target) = target.fetch_optional(&mut *write).await? else { return Ok(false) };
            sqlx::query!(
                "UPDATE webhook_deliveries SET next_run_at = give_up_at
                 WHERE webhook_id = $1 AND status = 'pending' AND lease_token IS NULL AND event_type <> $2",
                id.as_uuid(),
                EventType::WebhookPing.as_str()
            )
            .execute(&mut *write)
            .await?;
            write.commit(AuditEvent::new(AuditKind::WebhookPaused, id).with("target", target).with("reason", reason)).await?;
            Ok(true)
        })
        .await
    }
}

/// As Postgres takes them.
fn patterns(events: &[EventPattern]) -> Vec<String> {
    events.iter().map(|event| event.as_str().to_owned()).collect()
}

fn keys(keys: &[TemplateKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

struct WebhookRow {
    webhook_id: Uuid,
    url: String,
    events: Vec<String>,
    template_keys: Option<Vec<String>>,
    description: Option<String>,
    enabled: bool,
    previous_until: Option<jiff_sqlx::Timestamp>,
    paused_at: Option<jiff_sqlx::Timestamp>,
    pause_reason: Option<String>,
    failures: i32,
    failing_since: Option<jiff_sqlx::Timestamp>,
    last_success_at: Option<jiff_sqlx::Timestamp>,
    last_failure_at: Option<jiff_sqlx::Timestamp>,
    created_at: jiff_sqlx::Timestamp,
    created_by: String,
    updated_at: jiff_sqlx::Timestamp,
}

impl From<WebhookRow> for WebhookRecord {
    fn from(row: WebhookRow) -> Self {
        let time = |moment: Option<jiff_sqlx::Timestamp>| moment.map(jiff_sqlx::Timestamp::to_jiff);
        Self {
            id: row.webhook_id.into(),
            url: row.url,
            events: row.events,
            template_keys: row.template_keys,
            description: row.description,
            enabled: row.enabled,
            previous_until: time(row.previous_until),
            paused_at: time(row.paused_at),
            pause_reason: row.pause_reason,
            failures: u32::try_from(row.failures).unwrap_or(0),
            failing_since: time(row.failing_since),
            last_success_at: time(row.last_success_at),
            last_failure_at: time(row.last_failure_at),
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            updated_at: row.updated_at.to_jiff(),
        }
    }
}
