//! The running windows of rate limits: requests that replicas lease in blocks, so that they need not ask for each one.

use std::time::Duration;

use crate::connect::{Store, speak};
use crate::error::StoreError;

/// A replica gets this part of what is left, divided by the number of replicas: the blocks shrink towards the end of a window, so
/// that little lies unused with a replica that gets no more requests.
const PART: u32 = 16;

/// What a replica wants of a window.
#[derive(Clone, Copy, Debug)]
pub struct RateLeaseRequest {
    /// SHA-256 of whose window it is.
    pub subject: [u8; 32],
    /// Requests that the whole cluster lets through in a window.
    pub limit: u32,
    /// How long a window is, for the one that may begin with this.
    pub window: Duration,
    /// Requests that wait for this answer.
    pub wanted: u32,
    /// Requests that the replica let through without asking, while it could not.
    pub spent: u32,
}

/// What a replica may let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLease {
    /// So many requests; none when nothing is left.
    pub granted: u32,
    /// What is left in the window for whoever asks next.
    pub left: u32,
    /// When the window is over, by the database's clock; at most the whole window.
    pub ends_in: Duration,
}

impl Store {
    /// Leases requests of a window, or of the one that begins now when the last is over: as many as wait, or a part of what is
    /// left where that is more. Windows begin with their first request.
    pub async fn lease_requests(&self, request: RateLeaseRequest) -> Result<RateLease, StoreError> {
        speak!(self, "rate_windows.lease", {
            let share = PART.saturating_mul(self.replicas_alive().max(1));
            let mut connection = self.acquire().await?;
            let row = sqlx::query!(
                r#"WITH asked AS (SELECT $1::bytea AS subject, now() + make_interval(secs => $3) AS ends_at,
                                        $2::bigint AS most, $4::bigint AS spent, $5::bigint AS wanted, $6::bigint AS share)
                   INSERT INTO rate_windows AS w (subject, ends_at, granted, last_block)
                   SELECT subject, ends_at, spent + block, block
                   FROM asked, LATERAL (SELECT LEAST(GREATEST(wanted, (most - spent) / share), GREATEST(most - spent, 0)) AS block) AS first
                   ON CONFLICT (subject) DO UPDATE SET (ends_at, granted, last_block) = (
                       SELECT CASE WHEN w.ends_at <= now() THEN asked.ends_at ELSE w.ends_at END, used + block, block
                       FROM asked, LATERAL (SELECT CASE WHEN w.ends_at <= now() THEN 0 ELSE w.granted END + spent AS used) AS before,
                            LATERAL (SELECT LEAST(GREATEST(wanted, (most - used) / share), GREATEST(most - used, 0)) AS block) AS next)
                   RETURNING last_block AS "block!", GREATEST($2 - granted, 0) AS "left!",
                             EXTRACT(EPOCH FROM ends_at - now())::float8 AS "ends_in!""#,
                request.subject.as_slice(),
                i64::from(request.limit),
                request.window.as_secs_f64(),
                i64::from(request.spent),
                i64::from(request.wanted),
                i64::from(share)
            )
            .fetch_one(&mut *connection)
            .await?;
            let count = |number: i64| u32::try_from(number).unwrap_or(0);
            // Who waited for the row of another reads its own clock of before that wait, by which the window may seem longer than it is.
            let ends_in = Duration::try_from_secs_f64(row.ends_in).unwrap_or_default().min(request.window);
            Ok(RateLease { granted: count(row.block), left: count(row.left), ends_in })
        })
        .await
    }

    /// Forgets up to `max_rows` windows that have been over for an hour; says how many. Call it until it forgets fewer.
    pub async fn forget_ended_rate_windows(&self, max_rows: u32) -> Result<u64, StoreError> {
        speak!(self, "rate_windows.forget", {
            let mut connection = self.acquire().await?;
            let forgotten = sqlx::query!(
                "DELETE FROM rate_windows WHERE ctid = ANY (ARRAY (
                     SELECT ctid FROM rate_windows WHERE ends_at <= now() - interval '1 hour' ORDER BY ends_at LIMIT $1 FOR UPDATE SKIP LOCKED))",
                i64::from(max_rows)
            )
            .execute(&mut *connection)
            .await?;
            Ok(forgotten.rows_affected())
        })
        .await
    }
}
