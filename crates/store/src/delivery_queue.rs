//! The messages of all tenants that are to be sent: who is next, who is at it, and how it went. Nobody's change is behind that, so it
//! goes past `write`; what people do to deliveries is in `delivery_log`.
//!
//! The rules are those of `lease`; a claim of its own is here because tenants take turns and what is away is passed over.

use std::time::Duration;

use domain::ids::{DeliveryId, LeaseToken, WebhookId};
use domain::webhooks::{DeliveryStatus, FAILING_BEFORE_PAUSE, FAILURES_BEFORE_PAUSE};
use domain::{SecretText, TenantId};
use sqlx::{Connection as _, FromRow};
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;

/// A message that this process is to send.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    /// The right to it.
    pub lease: DeliveryLease,
    /// Whose it is.
    pub tenant: TenantId,
    /// What happened, for a header.
    pub event_type: String,
    /// Where it goes.
    pub url: String,
    /// Host and port of that.
    pub target: String,
    /// What it is signed with, the current one first; at least one.
    pub secrets: Vec<SecretText>,
    /// What is sent, byte for byte.
    pub body: String,
    /// From 1: how often it was begun since it, or somebody, last began.
    pub attempt: u32,
    /// How long it may still be tried; zero when that is over.
    pub left: Duration,
}

/// The right to send a message, as long as its token is the one in the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliveryLease {
    /// Which.
    pub id: DeliveryId,
    token: LeaseToken,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct DeliveryAttempt {
    /// How the delivery stands after it: delivered, failed, or pending when it is tried again.
    pub status: DeliveryStatus,
    /// Until the next attempt.
    pub next_in: Duration,
    /// What the receiver answered.
    pub answered: Option<u16>,
    /// What was wrong, at most 500 characters; none where it arrived.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What is to be said about the end of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum AttemptEnd {
    /// It is written down.
    Told,
    /// And nothing has arrived at its subscription for so long that it is to be paused.
    Dead {
        /// The subscription.
        webhook: WebhookId,
        /// Attempts that failed in a row.
        failures: u32,
    },
    /// The delivery is somebody else's by now, or gone.
    Lost,
}

/// Which deliveries are passed over.
#[derive(Clone, Copy, Debug)]
pub struct PassedOver<'a> {
    /// Tenants and targets that are away or busy, each as `tenant target`.
    pub targets: &'a [String],
    /// The most of one claim that may go to one target of one tenant.
    pub most_per_target: u32,
}

/// The messages of all tenants.
pub struct DeliveryQueue<'a>(&'a Store);

impl Store {
    /// What is to be sent.
    pub fn delivery_queue(&self) -> DeliveryQueue<'_> {
        DeliveryQueue(self)
    }
}

#[derive(FromRow)]
struct ClaimedRow {
    delivery_id: Uuid,
    tenant_id: String,
    event_type: String,
    url: String,
    target: String,
    secret: Option<String>,
    previous: Option<String>,
    body: String,
    attempt: i32,
    left_s: f64,
}

/// Tenants first, found by leaps through the index; of each of them what has waited longest.
const CLAIM: &str = "
WITH RECURSIVE owners AS (
    (SELECT tenant_id FROM webhook_deliveries WHERE status = 'pending' ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.tenant_id FROM webhook_deliveries d
            WHERE d.status = 'pending' AND d.tenant_id > h.tenant_id ORDER BY d.tenant_id LIMIT 1)
    FROM owners h WHERE h.tenant_id IS NOT NULL),
candidates AS (
    SELECT c.delivery_id, c.next_run_at,
           row_number() OVER (PARTITION BY h.tenant_id, c.target ORDER BY c.next_run_at) AS of_target,
           row_number() OVER (PARTITION BY h.tenant_id ORDER BY c.next_run_at) AS turn
    FROM owners h CROSS JOIN LATERAL (
        SELECT d.delivery_id, d.next_run_at, d.target
        FROM webhook_deliveries d LEFT JOIN webhooks w USING (webhook_id)
        WHERE d.tenant_id = h.tenant_id AND d.status = 'pending' AND d.next_run_at <= now()
          AND (d.lease_until IS NULL OR d.lease_until < now())
          AND (d.give_up_at <= now()
               OR (d.tenant_id || ' ' || d.target) <> ALL ($1)
                  AND (w.webhook_id IS NULL OR d.event_type = 'webhook.ping' OR (w.enabled AND w.paused_at IS NULL)))
        ORDER BY d.next_run_at LIMIT $2) c
    WHERE h.tenant_id IS NOT NULL),
chosen AS (
    SELECT delivery_id FROM candidates WHERE of_target <= $3 ORDER BY turn, next_run_at LIMIT $2),
free AS (
    SELECT d.delivery_id, d.webhook_id FROM webhook_deliveries d JOIN chosen USING (delivery_id)
    WHERE d.status = 'pending' AND d.next_run_at <= now() AND (d.lease_until IS NULL OR d.lease_until < now())
    FOR UPDATE OF d SKIP LOCKED)
UPDATE webhook_deliveries d
SET lease_owner = $4, lease_token = $5, lease_until = now() + make_interval(secs => $6), attempt = d.attempt + 1,
    attempts_total = d.attempts_total + 1
FROM free LEFT JOIN webhooks w USING (webhook_id)
WHERE d.delivery_id = free.delivery_id
RETURNING d.delivery_id, d.tenant_id, d.event_type, d.url, d.target, COALESCE(w.secret, d.secret) AS secret,
          CASE WHEN w.previous_until > now() THEN w.previous_secret END AS previous, d.body, d.attempt,
          GREATEST(extract(epoch FROM d.give_up_at - now()), 0)::float8 AS left_s";

impl DeliveryQueue<'_> {
    /// Takes up to `most` messages that are due and that nobody has, tenants in turn. `lease_for` has to be longer than an
    /// attempt can last: it is not renewed.
    pub async fn claim(&self, most: u32, lease_for: Duration, passed_over: PassedOver<'_>) -> Result<Vec<ClaimedDelivery>, StoreError> {
        speak!(self.0, "delivery_queue.claim", {
            let token = LeaseToken::generate();
            let mut connection = self.0.acquire().await?;
            let rows: Vec<ClaimedRow> = sqlx::query_as(CLAIM)
                .bind(passed_over.targets)
                .bind(i64::from(most))
                .bind(i64::from(passed_over.most_per_target))
                .bind(self.0.instance_id())
                .bind(token.as_uuid())
                .bind(lease_for.as_secs_f64())
                .fetch_all(&mut *connection)
                .await?;
            let claimed = rows.into_iter().map(|row| {
                Ok(ClaimedDelivery {
                    lease: DeliveryLease { id: row.delivery_id.into(), token },
                    tenant: row.tenant_id.parse().map_err(|error| StoreError::inconsistent("webhook_deliveries", error))?,
                    event_type: row.event_type,
                    url: row.url,
                    target: row.target,
                    secrets: [row.secret, row.previous].into_iter().flatten().map(SecretText::new).collect(),
                    body: row.body,
                    attempt: u32::try_from(row.attempt).unwrap_or(1),
                    left: Duration::try_from_secs_f64(row.left_s).unwrap_or_default(),
                })
            });
            claimed.collect()
        })
        .await
    }

    /// Writes down how an attempt ended, where the delivery, its subscription and its job say it.
    pub async fn finish(&self, lease: DeliveryLease, attempt: &DeliveryAttempt) -> Result<AttemptEnd, StoreError> {
        speak!(self.0, "delivery_queue.finish", {
            let now = self.0.now();
            let delivered = attempt.status == DeliveryStatus::Delivered;
            let mut connection = self.0.acquire().await?;
            let mut transaction = connection.begin().await?;
            let row = sqlx::query!(
                "UPDATE webhook_deliveries
                 SET lease_owner = NULL, lease_token = NULL, lease_until = NULL, status = $3,
                     next_run_at = now() + make_interval(secs => $4), last_status = $5, last_error = left($6, 500), last_attempt_at = $7::timestamptz,
                     last_took_ms = $8, ended_at = CASE WHEN $3 = 'pending' THEN NULL ELSE $7::timestamptz END,
                     secret = CASE WHEN $3 = 'delivered' THEN NULL ELSE secret END
                 WHERE delivery_id = $1 AND lease_token = $2 RETURNING webhook_id, job_id, attempts_total",
                lease.id.as_uuid(),
                lease.token.as_uuid(),
                attempt.status.as_str(),
                attempt.next_in.as_secs_f64(),
                attempt.answered.map(i32::from),
                attempt.error.as_deref(),
                now as _,
                i32::try_from(attempt.took.as_millis()).unwrap_or(i32::MAX)
            );
            let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(AttemptEnd::Lost) };
            if let Some(job) = row.job_id {
                sqlx::query!(
                    "UPDATE jobs SET callback_attempts = $2, callback_delivered_at = CASE WHEN $3 THEN $4::timestamptz ELSE callback_delivered_at END
                     WHERE job_id = $1",
                    job,
                    row.attempts_total,
                    delivered,
                    now as _
                )
                .execute(&mut *transaction)
                .await?;
            }
            let mut end = AttemptEnd::Told;
            if let Some(webhook) = row.webhook_id {
                if delivered {
                    // A busy subscription is not written to for every message.
                    sqlx::query!(
                        "UPDATE webhooks SET failures = 0, failing_since = NULL, last_success_at = $2::timestamptz
                         WHERE webhook_id = $1
                           AND (failures > 0 OR last_success_at IS NULL OR last_success_at < $2::timestamptz - interval '10 seconds')",
                        webhook,
                        now as _
                    )
                    .execute(&mut *transaction)
                    .await?;
                } else {
                    let counted = sqlx::query!(
                        r#"UPDATE webhooks SET failures = failures + 1, failing_since = COALESCE(failing_since, $2::timestamptz), last_failure_at = $2::timestamptz
                           WHERE webhook_id = $1
                           RETURNING failures, paused_at IS NULL AND failures >= $3
                                     AND failing_since <= $2::timestamptz - make_interval(secs => $4) AS "dead!""#,
                        webhook,
                        now as _,
                        i32::try_from(FAILURES_BEFORE_PAUSE).unwrap_or(i32::MAX),
                        FAILING_BEFORE_PAUSE.as_secs_f64()
                    );
                    if let Some(counted) = counted.fetch_optional(&mut *transaction).await?
                        && counted.dead
                    {
                        end = AttemptEnd::Dead { webhook: webhook.into(), failures: u32::try_from(counted.failures).unwrap_or(0) };
                    }
                }
            }
            transaction.commit().await?;
            Ok(end)
        })
        .await
    }

    /// Lets go of a message that was not sent, without counting the attempt; false when it is somebody else's by now.
    pub async fn give_back(&self, lease: DeliveryLease) -> Result<bool, StoreError> {
        speak!(self.0, "delivery_queue.give_back", {
            let mut connection = self.0.acquire().await?;
            let given = sqlx::query!(
                "UPDATE webhook_deliveries
                 SET lease_owner = NULL, lease_token = NULL, lease_until = NULL, attempt = GREATEST(attempt - 1, 0),
                     attempts_total = GREATEST(attempts_total - 1, 0)
                 WHERE delivery_id = $1 AND lease_token = $2",
                lease.id.as_uuid(),
                lease.token.as_uuid()
            );
            Ok(given.execute(&mut *connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// How many are open, and for how long the one that has been due longest has waited: what an operator watches.
    pub async fn backlog(&self) -> Result<(u64, Duration), StoreError> {
        speak!(self.0, "delivery_queue.backlog", {
            let mut connection = self.0.acquire().await?;
            let row = sqlx::query!(
                r#"SELECT count(*) AS "open!", COALESCE(extract(epoch FROM now() - min(next_run_at)), 0)::float8 AS "late_s!"
                   FROM webhook_deliveries WHERE status = 'pending'"#
            )
            .fetch_one(&mut *connection)
            .await?;
            Ok((u64::try_from(row.open).unwrap_or(0), Duration::try_from_secs_f64(row.late_s).unwrap_or_default()))
        })
        .await
    }

    /// Forgets up to `max_rows` deliveries of all tenants that ended before; says how many. Call it until it forgets fewer.
    pub async fn forget_ended(&self, before: jiff::Timestamp, max_rows: u32) -> Result<u64, StoreError> {
        speak!(self.0, "delivery_queue.forget", {
            let mut connection = self.0.acquire().await?;
            let gone = sqlx::query!(
                "DELETE FROM webhook_deliveries WHERE delivery_id IN (
                     SELECT delivery_id FROM webhook_deliveries WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                jiff_sqlx::ToSqlx::to_sqlx(before) as _,
                i64::from(max_rows)
            );
            Ok(gone.execute(&mut *connection).await?.rows_affected())
        })
        .await
    }
}
