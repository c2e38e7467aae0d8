//! Replicas: the processes that serve this database, as they say of themselves every few seconds. All times are the database's, so
//! that the clocks of replicas do not matter. Rows of the installation and of no tenant.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::connect::{Store, speak};
use crate::error::{Outage, StoreError};
use crate::migrations::newest_migration;

/// A replica that was last seen longer ago is not counted as alive: three beats.
pub const REPLICA_ALIVE: Duration = Duration::from_secs(15);
/// Rows of replicas that died are kept for this long.
const REMEMBERED: Duration = Duration::from_hours(1);
/// The most replicas that a view shows, the ones seen last first.
const MOST_ROWS: i64 = 500;

/// One process, as it was last seen.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplicaRecord {
    /// Its name, new with each start.
    pub instance_id: String,
    /// Its release.
    pub version: String,
    /// The newest migration that its release knows.
    pub schema_version: i64,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was last seen.
    pub seen_at: Timestamp,
    /// How long that was ago when the database was asked.
    pub unseen_for: Duration,
    /// What it said of itself, an object.
    pub standing: Value,
}

impl ReplicaRecord {
    /// Whether it was seen within [`REPLICA_ALIVE`].
    pub fn is_alive(&self) -> bool {
        self.unseen_for <= REPLICA_ALIVE
    }
}

/// All replicas of the database, those seen last first: alive ones, and ones that died within an hour. 500 at most.
#[derive(Clone, PartialEq, Debug)]
pub struct ClusterView {
    /// The replicas.
    pub replicas: Vec<ReplicaRecord>,
    /// When the database said so, by its clock.
    pub at: Timestamp,
    /// The newest migration that the database has.
    pub schema_version: i64,
    /// Duties that somebody is at.
    pub duties: Vec<HeldDuty>,
}

/// A duty that somebody is at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldDuty {
    /// Its name.
    pub duty: String,
    /// The replica.
    pub held_by: String,
}

impl ClusterView {
    /// Those that are alive.
    pub fn alive(&self) -> impl Iterator<Item = &ReplicaRecord> {
        self.replicas.iter().filter(|replica| replica.is_alive())
    }
}

/// What this process knows of the others without asking.
#[derive(Debug, Default)]
pub(crate) struct Known {
    view: Option<(ClusterView, Instant)>,
    /// When the database could be asked again after it could not.
    back_since: Option<Instant>,
    away: bool,
}

/// The replicas of the database.
pub struct Replicas<'a>(&'a Store);

impl Store {
    /// The processes that serve this database.
    pub fn replicas(&self) -> Replicas<'_> {
        Replicas(self)
    }

    /// How many replicas are alive as far as this one knows, itself included: 1 or more. Asks nobody, and what was known last counts
    /// while the database is away.
    pub fn replicas_alive(&self) -> u32 {
        self.shared.replicas_alive.load(Ordering::Relaxed).max(1)
    }

    /// What was last known of the cluster, and how long ago; none before the first heartbeat.
    pub fn last_known_cluster(&self) -> Option<(ClusterView, Duration)> {
        let known = self.shared.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        known.view.as_ref().map(|(view, at)| (view.clone(), at.elapsed()))
    }
}

impl Replicas<'_> {
    /// Says that this process is alive and how it stands (an object of at most 16 KB), and learns which others are. Gives up after
    /// `timeout`. `up_for` is how long it has been running.
    pub async fn beat(&self, version: &str, up_for: Duration, standing: &Value, timeout: Duration) -> Result<(), StoreError> {
        let ask = async {
            let mut connection = self.0.acquire().await?;
            // Rows of the dead are removed by whoever comes by; two that meet there do not wait for each other.
            sqlx::query!(
                "WITH dead AS (
                     SELECT instance_id FROM replicas
                     WHERE seen_at < now() - make_interval(secs => $6) AND instance_id <> $1 LIMIT 100 FOR UPDATE SKIP LOCKED),
                 forgotten AS (DELETE FROM replicas USING dead WHERE replicas.instance_id = dead.instance_id)
                 INSERT INTO replicas AS known (instance_id, version, schema_version, started_at, seen_at, standing)
                 VALUES ($1, left($2, 64), $3, now() - make_interval(secs => $4), now(), $5)
                 ON CONFLICT (instance_id) DO UPDATE
                 SET seen_at = GREATEST(known.seen_at, EXCLUDED.seen_at), standing = EXCLUDED.standing",
                self.0.instance_id(),
                version,
                newest_migration(),
                up_for.as_secs_f64(),
                standing,
                REMEMBERED.as_secs_f64()
            )
            .execute(&mut *connection)
            .await?;
            list(&mut connection).await
        };
        let view = speak!(self.0, "replicas.beat", { within(timeout, ask).await }).await;
        self.remember(view).map(drop)
    }

    /// All replicas as the database knows them now, asked for at most `timeout`.
    pub async fn list(&self, timeout: Duration) -> Result<ClusterView, StoreError> {
        let ask = async {
            let mut connection = self.0.acquire().await?;
            list(&mut connection).await
        };
        let view = speak!(self.0, "replicas.list", { within(timeout, ask).await }).await;
        self.remember(view)
    }

    /// This process stops: it is not alive from now on.
    pub async fn delete_own(&self) -> Result<(), StoreError> {
        speak!(self.0, "replicas.delete", {
            let mut connection = self.0.acquire().await?;
            sqlx::query!("DELETE FROM replicas WHERE instance_id = $1", self.0.instance_id()).execute(&mut *connection).await?;
            Ok(())
        })
        .await
    }

    fn remember(&self, view: Result<ClusterView, StoreError>) -> Result<ClusterView, StoreError> {
        let mut known = self.0.shared.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        match &view {
            Ok(view) => {
                if std::mem::take(&mut known.away) {
                    known.back_since = Some(Instant::now());
                }
                // After an outage every row is old, until each replica has had the time for a beat.
                let settling = known.back_since.is_some_and(|since| since.elapsed() < REPLICA_ALIVE);
                let alive = u32::try_from(view.alive().count()).unwrap_or(u32::MAX).max(1);
                let before = self.0.replicas_alive();
                self.0.shared.replicas_alive.store(if settling { alive.max(before) } else { alive }, Ordering::Relaxed);
                known.view = Some((view.clone(), Instant::now()));
            }
            Err(_) => known.away = true,
        }
        view
    }
}

/// Late is not broken: the server may be busy, so the other connections stay trusted.
async fn within<T>(timeout: Duration, ask: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(timeout, ask).await.unwrap_or(Err(StoreError::unavailable(Outage::TooSlow)))
}

async fn list(connection: &mut sqlx::PgConnection) -> Result<ClusterView, StoreError> {
    // The table of the migrations runner, which the checked statements do not know.
    let schema_version: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *connection).await?;
    let rows = sqlx::query!(
        r#"SELECT now() AS "at!", instance_id AS "instance_id?", version AS "version?", schema_version AS "schema_version?",
                  started_at AS "started_at?", seen_at AS "seen_at?", extract(epoch FROM now() - seen_at)::float8 AS unseen_s, standing AS "standing?"
           FROM (SELECT) one LEFT JOIN replicas ON true
           ORDER BY seen_at DESC NULLS LAST, instance_id LIMIT $1"#,
        MOST_ROWS
    )
    .fetch_all(&mut *connection)
    .await?;
    let Some(first) = rows.first() else { return Err(StoreError::inconsistent("replicas", "no moment")) };
    let duties = sqlx::query_as!(
        HeldDuty,
        r#"SELECT duty, lease_owner AS "held_by!" FROM duties WHERE lease_until >= now() AND lease_owner IS NOT NULL ORDER BY duty LIMIT 100"#
    )
    .fetch_all(connection)
    .await?;
    let (at, schema_version) = (first.at.to_jiff(), schema_version.unwrap_or(0));
    let replicas = rows.into_iter().filter_map(|row| {
        Some(ReplicaRecord {
            instance_id: row.instance_id?,
            version: row.version?,
            schema_version: row.schema_version?,
            started_at: row.started_at?.to_jiff(),
            seen_at: row.seen_at?.to_jiff(),
            unseen_for: Duration::from_secs_f64(row.unseen_s?.max(0.0)),
            standing: row.standing?,
        })
    });
    Ok(ClusterView { replicas: replicas.collect(), at, schema_version, duties })
}
