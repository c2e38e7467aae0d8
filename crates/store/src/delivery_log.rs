//! What was sent, or is to be, and how that went: the log of a subscription, and the callbacks of jobs that did not arrive.

use domain::audit::AuditKind;
use domain::ids::{DeliveryId, EventId, JobId, WebhookId};
use domain::webhooks::{DeliveryStatus, EventType, TRIED_FOR};
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::reading::read;
use crate::tenants::TenantStore;
use crate::write::Write;

/// A message and how it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryRecord {
    /// Names it, in the header of every attempt too.
    pub id: DeliveryId,
    /// The subscription it is for; none for the callback of a job.
    pub webhook: Option<WebhookId>,
    /// The job whose end it tells.
    pub job: Option<JobId>,
    /// The event, which may go to several subscriptions.
    pub event: EventId,
    /// What happened.
    pub event_type: String,
    /// The delivery that this one repeats.
    pub repeats: Option<DeliveryId>,
    /// Where it goes.
    pub url: String,
    /// What is sent, byte for byte.
    pub body: String,
    /// How it stands.
    pub status: DeliveryStatus,
    /// How often it was tried in all.
    pub attempts: u32,
    /// When it is tried next, where it is to be.
    pub next_run_at: Timestamp,
    /// It is not tried after this.
    pub give_up_at: Timestamp,
    /// What the receiver answered last.
    pub last_status: Option<u16>,
    /// What was wrong with the last attempt.
    pub last_error: Option<String>,
    /// When that was.
    pub last_attempt_at: Option<Timestamp>,
    /// How long it took.
    pub last_took_ms: Option<u32>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it arrived, or was given up.
    pub ended_at: Option<Timestamp>,
}

/// Which deliveries.
#[derive(Clone, Copy, Default, Debug)]
pub struct DeliveryFilter {
    /// Only those that stand so.
    pub status: Option<DeliveryStatus>,
    /// Only those of this event.
    pub event_type: Option<EventType>,
}

/// How asking for something to be done with a delivery ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum DeliveryOutcome {
    /// It was done; how it stands now.
    Done(Box<DeliveryRecord>),
    /// There is none.
    NotFound,
    /// It stands so that this cannot be done.
    NotFrom(DeliveryStatus),
}

/// The deliveries of one tenant's subscriptions.
pub struct WebhookDeliveries<'a>(&'a TenantStore);

/// The callbacks of one tenant's jobs that did not arrive.
pub struct DeadLetters<'a>(&'a TenantStore);

impl TenantStore {
    /// What was sent to subscriptions, or is to be.
    pub fn webhook_deliveries(&self) -> WebhookDeliveries<'_> {
        WebhookDeliveries(self)
    }

    /// What was not to be told to those who asked for jobs.
    pub fn dead_letters(&self) -> DeadLetters<'_> {
        DeadLetters(self)
    }
}

impl WebhookDeliveries<'_> {
    /// A delivery of that subscription.
    pub async fn get(&self, webhook: WebhookId, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        speak!(self.0.store, "webhook_deliveries.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                DeliveryRow,
                "SELECT delivery_id, webhook_id, job_id, event_id, event_type, repeats, url, body, status, attempts_total, next_run_at,
                        give_up_at, last_status, last_error, last_attempt_at, last_took_ms, created_at, ended_at
                 FROM webhook_deliveries WHERE tenant_id = $1 AND webhook_id = $2 AND delivery_id = $3",
                self.0.tenant.as_str(),
                webhook.as_uuid(),
                id.as_uuid()
            );
            row.fetch_optional(&mut *connection).await?.map(DeliveryRecord::try_from).transpose()
        })
        .await
    }

    /// One page of the deliveries of a subscription, newest first. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(
        &self,
        webhook: WebhookId,
        filter: DeliveryFilter,
        limit: u32,
        offset: u64,
    ) -> Result<Page<DeliveryRecord>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "webhook_deliveries.list", connection, {
            let (limit, offset) = bounds(limit, offset);
            let (status, event) = (filter.status.map(DeliveryStatus::as_str), filter.event_type.map(EventType::as_str));
            let rows = sqlx::query_as!(
                DeliveryRow,
                "SELECT delivery_id, webhook_id, job_id, event_id, event_type, repeats, url, body, status, attempts_total, next_run_at,
                        give_up_at, last_status, last_error, last_attempt_at, last_took_ms, created_at, ended_at
                 FROM webhook_deliveries
                 WHERE tenant_id = $1 AND webhook_id = $2 AND ($3::text IS NULL OR status = $3) AND ($4::text IS NULL OR event_type = $4)
                 ORDER BY created_at DESC, delivery_id DESC LIMIT $5 OFFSET $6",
                self.0.tenant.as_str(),
                webhook.as_uuid(),
                status,
                event,
                limit,
                offset
            );
            let rows = rows.fetch_all(&mut *connection).await?;
            let total = if let Some(total) = Page::<DeliveryRow>::total_from_its_end(rows.len(), limit, offset) {
                total
            } else {
                let count = sqlx::query_scalar!(
                    r#"SELECT count(*) AS "count!" FROM webhook_deliveries
                           WHERE tenant_id = $1 AND webhook_id = $2 AND ($3::text IS NULL OR status = $3)
                             AND ($4::text IS NULL OR event_type = $4)"#,
                    self.0.tenant.as_str(),
                    webhook.as_uuid(),
                    status,
                    event
                );
                u64::try_from(count.fetch_one(&mut *connection).await?).unwrap_or(0)
            };
            Ok(Page { items: rows.into_iter().map(DeliveryRecord::try_from).collect::<Result<_, _>>()?, total })
        })
        .await
    }

    /// Sends the same event once more, as a delivery of its own with the same body; the one before stays in the log.
    pub async fn redeliver(&self, webhook: WebhookId, id: DeliveryId, actor: &Actor) -> Result<DeliveryOutcome, StoreError> {
        speak!(self.0.store, "webhook_deliveries.redeliver", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let row = sqlx::query_as!(
                DeliveryRow,
                "INSERT INTO webhook_deliveries (delivery_id, tenant_id, kind, webhook_id, event_id, event_type, repeats, url, target, body,
                                                 give_up_at, created_at)
                 SELECT gen_random_uuid(), d.tenant_id, d.kind, w.webhook_id, d.event_id, d.event_type, d.delivery_id, w.url, w.target, d.body,
                        now() + make_interval(secs => $4), $5
                 FROM webhook_deliveries d JOIN webhooks w USING (webhook_id)
                 WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.delivery_id = $3 AND d.status <> 'pending'
                 RETURNING delivery_id, webhook_id, job_id, event_id, event_type, repeats, url, body, status, attempts_total, next_run_at,
                           give_up_at, last_status, last_error, last_attempt_at, last_took_ms, created_at, ended_at",
                self.0.tenant.as_str(),
                webhook.as_uuid(),
                id.as_uuid(),
                TRIED_FOR.as_secs_f64(),
                self.0.store.now() as _
            );
            let Some(row) = row.fetch_optional(&mut *write).await? else {
                drop(write);
                drop(connection);
                let found = self.get(webhook, id).await?;
                return Ok(found.map_or(DeliveryOutcome::NotFound, |found| DeliveryOutcome::NotFrom(found.status)));
            };
            write.announce("delivery", &row.delivery_id.to_string()).await?;
            let event = AuditEvent::new(AuditKind::WebhookRedelivered, webhook).with("deliveryId", id.to_string());
            write.commit(event.with("repeatedBy", row.delivery_id.to_string())).await?;
            Ok(DeliveryOutcome::Done(Box::new(row.try_into()?)))
        })
        .await
    }
}

/// What is done with a callback that did not arrive.
#[derive(Clone, Copy)]
enum Act {
    Replay,
    Abandon,
}

impl DeadLetters<'_> {
    /// The callback of that id, however it stands by now.
    pub async fn get(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        speak!(self.0.store, "dead_letters.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                DeliveryRow,
                "SELECT delivery_id, webhook_id, job_id, event_id, event_type, repeats, url, body, status, attempts_total, next_run_at,
                        give_up_at, last_status, last_error, last_attempt_at, last_took_ms, created_at, ended_at
                 FROM webhook_deliveries WHERE tenant_id = $1 AND delivery_id = $2 AND kind = 'callback'",
                self.0.tenant.as_str(),
                id.as_uuid()
            );
            row.fetch_optional(&mut *connection).await?.map(DeliveryRecord::try_from).transpose()
        })
        .await
    }

    /// One page of the callbacks that did not arrive, those that were given up last first; `status` is failed or abandoned.
    pub async fn list(&self, status: Option<DeliveryStatus>, limit: u32, offset: u64) -> Result<Page<DeliveryRecord>, StoreError> {
        speak!(self.0.store, "dead_letters.list", {
            let (limit, offset) = bounds(limit, offset);
            let status = status.map(DeliveryStatus::as_str);
            let mut connection = self.0.store.acquire().await?;
            let rows = sqlx::query_as!(
                DeliveryRow,
                "SELECT delivery_id, webhook_id, job_id, event_id, event_type, repeats, url, body, status, attempts_total, next_run_at,
                        give_up_at, last_status, last_error, last_attempt_at, last_took_ms, created_at, ended_at
                 FROM webhook_deliveries
                 WHERE tenant_id = $1 AND kind = 'callback' AND status IN ('failed', 'abandoned') AND ($2::text IS NULL OR status = $2)
                 ORDER BY ended_at DESC, delivery_id DESC LIMIT $3 OFFSET $4",
                self.0.tenant.as_str(),
                status,
                limit,
                offset
            );
            let rows = rows.fetch_all(&mut *connection).await?;
            let total = if let Some(total) = Page::<DeliveryRow>::total_from_its_end(rows.len(), limit, offset) {
                total
            } else {
                let count = sqlx::query_scalar!(
                    r#"SELECT count(*) AS "count!" FROM webhook_deliveries
                           WHERE tenant_id = $1 AND kind = 'callback' AND status IN ('failed', 'abandoned')
                             AND ($2::text IS NULL OR status = $2)"#,
                    self.0.tenant.as_str(),
                    status
                );
                u64::try_from(count.fetch_one(&mut *connection).await?).unwrap_or(0)
            };
            Ok(Page { items: rows.into_iter().map(DeliveryRecord::try_from).collect::<Result<_, _>>()?, total })
        })
        .await
    }

    /// Has a callback that did not arrive tried again, for another day, under the same id.
    pub async fn replay(&self, id: DeliveryId, actor: &Actor) -> Result<DeliveryOutcome, StoreError> {
        self.act(id, Act::Replay, actor).await
    }

    /// Says that a callback that did not arrive is not wanted any more.
    pub async fn abandon(&self, id: DeliveryId, actor: &Actor) -> Result<DeliveryOutcome, StoreError> {
        self.act(id, Act::Abandon, actor).await
    }

    async fn act(&self, id: DeliveryId, act: Act, actor: &Actor) -> Result<DeliveryOutcome, StoreError> {
        speak!(self.0.store, "dead_letters.update", {
            let (next, kind) = match act {
                Act::Replay => (DeliveryStatus::Pending, AuditKind::CallbackReplayed),
                Act::Abandon => (DeliveryStatus::Abandoned, AuditKind::CallbackAbandoned),
            };
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let row = sqlx::query_as!(
                DeliveryRow,
                "UPDATE webhook_deliveries
                 SET status = $3, attempt = 0, next_run_at = now(), give_up_at = now() + make_interval(secs => $4),
                     ended_at = CASE WHEN $3 = 'pending' THEN NULL ELSE $5::timestamptz END,
                     ended_by = CASE WHEN $3 = 'pending' THEN NULL ELSE $6::text END,
                     secret = CASE WHEN $3 = 'pending' THEN secret END
                 WHERE tenant_id = $1 AND delivery_id = $2 AND kind = 'callback' AND status = 'failed'
                 RETURNING delivery_id, webhook_id, job_id, event_id, event_type, repeats, url, body, status, attempts_total, next_run_at,
                           give_up_at, last_status, last_error, last_attempt_at, last_took_ms, created_at, ended_at",
                self.0.tenant.as_str(),
                id.as_uuid(),
                next.as_str(),
                TRIED_FOR.as_secs_f64(),
                self.0.store.now() as _,
                &*actor.name
            );
            let Some(row) = row.fetch_optional(&mut *write).await? else {
                drop(write);
                drop(connection);
                let found = self.get(id).await?;
                return Ok(found.map_or(DeliveryOutcome::NotFound, |found| DeliveryOutcome::NotFrom(found.status)));
            };
            write.announce("delivery", &id.to_string()).await?;
            let job = row.job_id.map(|job| job.to_string());
            write.commit(AuditEvent::new(kind, id).with("jobId", job)).await?;
            Ok(DeliveryOutcome::Done(Box::new(row.try_into()?)))
        })
        .await
    }
}

struct DeliveryRow {
    delivery_id: Uuid,
    webhook_id: Option<Uuid>,
    job_id: Option<Uuid>,
    event_id: Uuid,
    event_type: String,
    repeats: Option<Uuid>,
    url: String,
    body: String,
    status: String,
    attempts_total: i32,
    next_run_at: jiff_sqlx::Timestamp,
    give_up_at: jiff_sqlx::Timestamp,
    last_status: Option<i32>,
    last_error: Option<String>,
    last_attempt_at: Option<jiff_sqlx::Timestamp>,
    last_took_ms: Option<i32>,
    created_at: jiff_sqlx::Timestamp,
    ended_at: Option<jiff_sqlx::Timestamp>,
}

impl TryFrom<DeliveryRow> for DeliveryRecord {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.delivery_id.into(),
            webhook: row.webhook_id.map(WebhookId::from),
            job: row.job_id.map(JobId::from),
            event: row.event_id.into(),
            event_type: row.event_type,
            repeats: row.repeats.map(DeliveryId::from),
            url: row.url,
            body: row.body,
            status: row.status.parse().map_err(|error| StoreError::inconsistent("webhook_deliveries", error))?,
            attempts: u32::try_from(row.attempts_total).unwrap_or(0),
            next_run_at: row.next_run_at.to_jiff(),
            give_up_at: row.give_up_at.to_jiff(),
            last_status: row.last_status.and_then(|status| u16::try_from(status).ok()),
            last_error: row.last_error,
            last_attempt_at: row.last_attempt_at.map(jiff_sqlx::Timestamp::to_jiff),
            last_took_ms: row.last_took_ms.and_then(|took| u32::try_from(took).ok()),
            created_at: row.created_at.to_jiff(),
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}
