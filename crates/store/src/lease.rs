//! The lease: one of many replicas takes a row to work on, keeps it while it works, and loses it when it dies.
//!
//! A table takes part by having the columns `lease_owner, lease_token, lease_until, attempt, next_run_at` and a
//! [`LeasedTable`]. All times are the database's, so that the clocks of the replicas do not matter. Whoever claims gets a
//! token; renewing, finishing and giving back do nothing without it, so that a worker that was thought dead cannot spoil
//! what its successor does. Nothing but the lease's end rescues a row: there is no second way to lose one.

use std::time::Duration;

use domain::ids::LeaseToken;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::error::StoreError;

/// A table whose rows are worked on under a lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeasedTable {
    pub(crate) name: &'static str,
    /// The column that names a row.
    pub(crate) key: &'static str,
    /// Its type in SQL.
    pub(crate) key_type: &'static str,
}

/// The right to work on a row, as long as its token is the one in the row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lease {
    token: Uuid,
    /// From 1: how often the row was claimed since it last succeeded.
    pub(crate) attempt: u32,
    /// When it was claimed, by the database's clock.
    pub(crate) claimed_at: jiff::Timestamp,
}

/// What the end of a piece of work does to the count of attempts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Attempts {
    /// It is done: the next one is a first one.
    Forget,
    /// It failed and counts.
    Keep,
}

impl LeasedTable {
    /// Takes the row of that key, when it is due and nobody has it. A row that somebody is just claiming is theirs.
    pub(crate) async fn claim(
        self,
        connection: &mut PgConnection,
        key: &str,
        owner: &str,
        lease_for: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let Self { name, key: column, key_type } = self;
        let statement = format!(
            "WITH free AS (
                 SELECT {column} FROM {name}
                 WHERE {column} = $1::text::{key_type} AND next_run_at <= now() AND (lease_until IS NULL OR lease_until < now())
                 FOR UPDATE SKIP LOCKED)
             UPDATE {name} leased
             SET lease_owner = $2, lease_token = $3, lease_until = now() + make_interval(secs => $4), attempt = attempt + 1
             FROM free WHERE leased.{column} = free.{column}
             RETURNING attempt, now() AS claimed_at"
        );
        let token = domain::ids::LeaseToken::generate().as_uuid();
        let statement = sqlx::query(AssertSqlSafe(statement)).bind(key).bind(owner).bind(token).bind(lease_for.as_secs_f64());
        let Some(row) = statement.fetch_optional(connection).await? else { return Ok(None) };
        let claimed_at: jiff_sqlx::Timestamp = row.try_get("claimed_at")?;
        let attempt: i32 = row.try_get("attempt")?;
        Ok(Some(Lease { token, attempt: u32::try_from(attempt).unwrap_or(1), claimed_at: claimed_at.to_jiff() }))
    }

    /// Keeps the row for `lease_for` from now on; false when it is somebody else's by now. Do it at a third of that time.
    pub(crate) async fn renew(
        self,
        connection: &mut PgConnection,
        key: &str,
        lease: &Lease,
        lease_for: Duration,
    ) -> Result<bool, StoreError> {
        let statement = format!("UPDATE {} SET lease_until = now() + make_interval(secs => $3) WHERE {}", self.name, self.held());
        let statement = sqlx::query(AssertSqlSafe(statement)).bind(key).bind(lease.token).bind(lease_for.as_secs_f64());
        Ok(statement.execute(connection).await?.rows_affected() == 1)
    }

    /// Ends the work; the row is due again after `next_in`. False when it is somebody else's by now: then nothing of what the
    /// work led to may be kept, so do this first in the transaction that keeps it.
    pub(crate) async fn finish(
        self,
        connection: &mut PgConnection,
        key: &str,
        lease: &Lease,
        attempts: Attempts,
        next_in: Duration,
    ) -> Result<bool, StoreError> {
        let statement = format!(
            "UPDATE {} SET lease_owner = NULL, lease_token = NULL, lease_until = NULL, attempt = CASE WHEN $3 THEN 0 ELSE attempt END,
                           next_run_at = now() + make_interval(secs => $4)
             WHERE {}",
            self.name,
            self.held()
        );
        let statement = sqlx::query(AssertSqlSafe(statement)).bind(key).bind(lease.token);
        let statement = statement.bind(attempts == Attempts::Forget).bind(next_in.as_secs_f64());
        Ok(statement.execute(connection).await?.rows_affected() == 1)
    }

    /// Lets go of work that was not done, as if it had not been claimed; false when it is somebody else's by now.
    pub(crate) async fn give_back(self, connection: &mut PgConnection, key: &str, lease: &Lease) -> Result<bool, StoreError> {
        let statement = format!(
            "UPDATE {} SET lease_owner = NULL, lease_token = NULL, lease_until = NULL, attempt = GREATEST(attempt - 1, 0) WHERE {}",
            self.name,
            self.held()
        );
        let statement = sqlx::query(AssertSqlSafe(statement)).bind(key).bind(lease.token);
        Ok(statement.execute(connection).await?.rows_affected() == 1)
    }

    /// The condition of every statement after the claim: the row `$1`, under the token `$2`.
    fn held(self) -> String {
        format!("{} = $1::text::{} AND lease_token = $2", self.key, self.key_type)
    }
}

/// A table of which one replica works on many rows at a time, those first that come first in its order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeasedQueue {
    pub(crate) name: &'static str,
    /// The columns that name a row, each with its type in SQL.
    pub(crate) key: [(&'static str, &'static str); 2],
    /// What is true of rows that are still to be worked on: the condition of the index that has them in order.
    pub(crate) open: &'static str,
    /// The columns of that index.
    pub(crate) order: &'static str,
}

/// A row that somebody holds: its key, as text, and the token.
pub(crate) type Held = ([String; 2], LeaseToken);

impl LeasedQueue {
    /// Takes up to `most` rows that are due and that nobody has, under one token. Of each it gives the columns `returning`
    /// beside `attempt`. Rows that somebody is just claiming are theirs.
    pub(crate) async fn claim(
        self,
        connection: &mut PgConnection,
        owner: &str,
        lease_for: Duration,
        most: u32,
        returning: &str,
    ) -> Result<(LeaseToken, Vec<PgRow>), StoreError> {
        let Self { name, key: [(first, _), (second, _)], open, order } = self;
        let statement = format!(
            "WITH free AS MATERIALIZED (
                 SELECT {first}, {second} FROM {name}
                 WHERE {open} AND next_run_at <= now() AND (lease_until IS NULL OR lease_until < now())
                 ORDER BY {order} LIMIT $4 FOR UPDATE SKIP LOCKED)
             UPDATE {name} leased
             SET lease_owner = $1, lease_token = $2, lease_until = now() + make_interval(secs => $3), attempt = attempt + 1
             FROM free WHERE leased.{first} = free.{first} AND leased.{second} = free.{second}
             RETURNING leased.attempt, {returning}"
        );
        let token = LeaseToken::generate();
        let statement = sqlx::query(AssertSqlSafe(statement)).bind(owner).bind(token.as_uuid()).bind(lease_for.as_secs_f64());
        let rows = statement.bind(i64::from(most)).fetch_all(connection).await?;
        Ok((token, rows))
    }

    /// Keeps rows for `lease_for` from now on, and gives the places in `held` of those that are still the holder's. Do it at a
    /// third of that time.
    pub(crate) async fn renew(self, connection: &mut PgConnection, held: &[Held], lease_for: Duration) -> Result<Vec<usize>, StoreError> {
        let Self { name, key: [(first, first_type), (second, second_type)], .. } = self;
        let statement = format!(
            "UPDATE {name} leased SET lease_until = now() + make_interval(secs => $4)
             FROM unnest($1::text[], $2::text[], $3::uuid[]) WITH ORDINALITY AS held(first, second, token, place)
             WHERE leased.{first} = held.first::{first_type} AND leased.{second} = held.second::{second_type}
               AND leased.lease_token = held.token
             RETURNING held.place"
        );
        let [firsts, seconds] = [0, 1].map(|at| held.iter().map(|(key, _)| key[at].clone()).collect::<Vec<_>>());
        let tokens: Vec<Uuid> = held.iter().map(|(_, token)| token.as_uuid()).collect();
        let statement = sqlx::query_scalar(AssertSqlSafe(statement)).bind(firsts).bind(seconds).bind(tokens).bind(lease_for.as_secs_f64());
        let places: Vec<i64> = statement.fetch_all(connection).await?;
        Ok(places.into_iter().filter_map(|place| usize::try_from(place - 1).ok()).collect())
    }
}
