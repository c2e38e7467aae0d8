//! Codes that work once in the whole cluster, such as those of a completed sign-in.

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;

use crate::connect::{Store, speak};
use crate::error::StoreError;

/// Rows of expired codes that one use sweeps away: more than it adds, so they never pile up.
const SWEPT_ROWS: i64 = 50;
/// How long an expired code is remembered: longer than the clocks of two replicas may differ, or the one that lags would
/// take a code again whose use the other one has swept away.
const KEPT_AFTER_EXPIRY: SignedDuration = SignedDuration::from_mins(10);

impl Store {
    /// Forgets up to `max_rows` codes that expired a while ago; says how many. For the last ones, which no further use sweeps
    /// away: call it until it forgets fewer.
    pub async fn forget_expired_codes(&self, max_rows: u32) -> Result<u64, StoreError> {
        speak!(self, "used_codes.forget", {
            let mut connection = self.acquire().await?;
            let forgotten = sqlx::query!(
                "DELETE FROM used_codes WHERE code_id IN (
                     SELECT code_id FROM used_codes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                swept_before(self) as _,
                i64::from(max_rows)
            )
            .execute(&mut *connection)
            .await?;
            Ok(forgotten.rows_affected())
        })
        .await
    }

    /// Uses a code; says whether this is its first use and it is not expired. `code_id` has 1–128 characters and names the
    /// code without being enough to use it. No tenant's data changes, so no audit event goes with it.
    pub async fn use_code(&self, code_id: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
        speak!(self, "used_codes.use", {
            let now = self.now().to_jiff();
            if expires_at <= now {
                return Ok(false);
            }
            let mut connection = self.acquire().await?;
            let used = sqlx::query!(
                "WITH swept AS (
                     DELETE FROM used_codes WHERE code_id IN (
                         SELECT code_id FROM used_codes WHERE expires_at < $3 ORDER BY expires_at LIMIT $4 FOR UPDATE SKIP LOCKED))
                 INSERT INTO used_codes (code_id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                code_id,
                expires_at.to_sqlx() as _,
                swept_before(self) as _,
                SWEPT_ROWS
            )
            .execute(&mut *connection)
            .await?;
            Ok(used.rows_affected() == 1)
        })
        .await
    }
}

/// Codes that expired before may be forgotten.
fn swept_before(store: &Store) -> jiff_sqlx::Timestamp {
    store.now().to_jiff().checked_sub(KEPT_AFTER_EXPIRY).unwrap_or(Timestamp::MIN).to_sqlx()
}
