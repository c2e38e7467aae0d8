//! Duties: what is done again and again without anybody asking, by one replica at a time.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Connection as _;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::lease::{Attempts, Lease, LeasedTable};

const TABLE: LeasedTable = LeasedTable { name: "duties", key: "duty", key_type: "text" };

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DutyOutcome {
    /// All that was to be done is done.
    Succeeded,
    /// It was given up because of an error.
    Failed,
    /// It took longer than it may; what it had done stays done.
    TimedOut,
}

impl DutyOutcome {
    /// One word for the row, the metrics and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// How a duty stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DutyRecord {
    /// Its name.
    pub duty: String,
    /// Whether it can be claimed in this moment.
    pub due: bool,
    /// The process that is at it, or that died over it.
    pub lease_owner: Option<String>,
    /// Times it was taken since it last succeeded.
    pub attempt: u32,
    /// When it is due, if nobody is at it.
    pub next_run_at: Timestamp,
    /// When the last run that was finished ended.
    pub last_run_at: Option<Timestamp>,
    /// How that ended, see [`DutyOutcome::as_str`].
    pub last_outcome: Option<String>,
    /// When a run last succeeded.
    pub last_success_at: Option<Timestamp>,
}

/// The right to carry out a duty, for as long as it is renewed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct DutyLease {
    duty: String,
    lease: Lease,
}

impl DutyLease {
    /// The duty.
    pub fn duty(&self) -> &str {
        &self.duty
    }

    /// From 1: how often it was claimed since it last succeeded.
    pub fn attempt(&self) -> u32 {
        self.lease.attempt
    }

    /// The moment of the claim by the database's clock.
    pub fn claimed_at(&self) -> Timestamp {
        self.lease.claimed_at
    }
}

/// The duties of the whole installation.
pub struct Duties<'a>(&'a Store);

impl Store {
    /// What is done without anybody asking.
    pub fn duties(&self) -> Duties<'_> {
        Duties(self)
    }
}

impl Duties<'_> {
    /// How a duty stands; none when it was never inserted.
    pub async fn get(&self, duty: &str) -> Result<Option<DutyRecord>, StoreError> {
        speak!(self.0, "duties.get", {
            let mut connection = self.0.acquire().await?;
            let row = sqlx::query!(
                r#"SELECT duty, next_run_at <= now() AND (lease_until IS NULL OR lease_until < now()) AS "due!", lease_owner, attempt,
                          next_run_at, last_run_at, last_outcome, last_success_at
                   FROM duties WHERE duty = $1"#,
                duty
            )
            .fetch_optional(&mut *connection)
            .await?;
            Ok(row.map(|row| DutyRecord {
                duty: row.duty,
                due: row.due,
                lease_owner: row.lease_owner,
                attempt: u32::try_from(row.attempt).unwrap_or(0),
                next_run_at: row.next_run_at.to_jiff(),
                last_run_at: row.last_run_at.map(jiff_sqlx::Timestamp::to_jiff),
                last_outcome: row.last_outcome,
                last_success_at: row.last_success_at.map(jiff_sqlx::Timestamp::to_jiff),
            }))
        })
        .await
    }

    /// Makes a duty known, due at once; one that is known stays as it is. A name has 1–64 characters.
    pub async fn insert(&self, duty: &str) -> Result<(), StoreError> {
        speak!(self.0, "duties.insert", {
            let mut connection = self.0.acquire().await?;
            sqlx::query!("INSERT INTO duties (duty) VALUES ($1) ON CONFLICT DO NOTHING", duty).execute(&mut *connection).await?;
            Ok(())
        })
        .await
    }

    /// Takes a duty for `lease_for`, when it is due and nobody is at it.
    pub async fn claim(&self, duty: &str, lease_for: Duration) -> Result<Option<DutyLease>, StoreError> {
        speak!(self.0, "duties.claim", {
            let mut connection = self.0.acquire().await?;
            let lease = TABLE.claim(&mut connection, duty, self.0.instance_id(), lease_for).await?;
            Ok(lease.map(|lease| DutyLease { duty: duty.to_owned(), lease }))
        })
        .await
    }

    /// Keeps a duty for `lease_for` from now on; false when it was lost to another replica. Do it at a third of that time.
    pub async fn renew(&self, lease: &DutyLease, lease_for: Duration) -> Result<bool, StoreError> {
        speak!(self.0, "duties.renew", {
            let mut connection = self.0.acquire().await?;
            TABLE.renew(&mut connection, &lease.duty, &lease.lease, lease_for).await
        })
        .await
    }

    /// Says how a run ended, and that the next one is due after `next_in`; false when it was lost to another replica, which
    /// says so itself.
    pub async fn finish(&self, lease: &DutyLease, outcome: DutyOutcome, next_in: Duration) -> Result<bool, StoreError> {
        speak!(self.0, "duties.finish", {
            let succeeded = outcome == DutyOutcome::Succeeded;
            let attempts = if succeeded { Attempts::Forget } else { Attempts::Keep };
            let mut connection = self.0.acquire().await?;
            let mut transaction = connection.begin().await?;
            if !TABLE.finish(&mut transaction, &lease.duty, &lease.lease, attempts, next_in).await? {
                return Ok(false);
            }
            sqlx::query!(
                "UPDATE duties SET last_run_at = now(), last_outcome = $2,
                                   last_success_at = CASE WHEN $3 THEN now() ELSE last_success_at END
                 WHERE duty = $1",
                lease.duty,
                outcome.as_str(),
                succeeded
            )
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Lets go of a duty that was not carried out, without counting the attempt; false when it was lost to another replica.
    pub async fn give_back(&self, lease: DutyLease) -> Result<bool, StoreError> {
        speak!(self.0, "duties.give_back", {
            let mut connection = self.0.acquire().await?;
            TABLE.give_back(&mut connection, &lease.duty, &lease.lease).await
        })
        .await
    }
}
