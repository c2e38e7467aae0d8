//! The database that a backup is restored into: what is in it, and how far a restore has come that was begun before.

use sqlx::{Connection as _, PgConnection, Row as _};

use crate::backup_load::BackupLoad;
use crate::backup_snapshot::{columns, connect, execute, quoted};
use crate::backup_tables::BACKUP_TABLES;
use crate::error::StoreError;
use crate::migrations::{UNFINISHED_RESTORE, applied};
use crate::replicas::REPLICA_ALIVE;

/// The advisory lock of all releases under which a backup is restored: "pulp_res" as a number.
const LOCK: i64 = 0x7075_6c70_5f72_6573;
/// What the migrations themselves put into a new database.
const OF_MIGRATIONS: [(&str, &str); 2] =
    [("tenants", "tenant_id <> 'default'"), ("audit_chains", "tenant_id <> 'default' OR last_seq > 0")];

/// How far a restore has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestoreStage {
    /// Objects are being copied; of the rows there is none yet.
    Begun,
    /// All rows are there, in the schema of the backup.
    Loaded,
}

impl RestoreStage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Loaded => "loaded",
        }
    }
}

/// What is in the database before a restore.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetStanding {
    /// The migrations that it has, oldest first.
    pub migrations: Vec<i64>,
    /// Tables of ours that have rows which no migration put there.
    pub filled_tables: Vec<&'static str>,
    /// The restore that has not ended: the id of the backup, and how far it came.
    pub unfinished: Option<(String, RestoreStage)>,
    /// Servers that were seen lately.
    pub alive: Vec<String>,
}

/// The database that a backup is restored into, over a connection of its own.
#[derive(Debug)]
pub struct BackupTarget {
    connection: PgConnection,
}

impl BackupTarget {
    /// Connects, and keeps other restores out for as long as it lives; nothing when another one is at it. `url` must lead past poolers.
    pub async fn open(url: &str) -> Result<Option<Self>, StoreError> {
        let mut connection = connect(url).await?;
        let ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut connection).await?;
        Ok(ours.then_some(Self { connection }))
    }

    /// What is in it.
    pub async fn standing(&mut self) -> Result<TargetStanding, StoreError> {
        let migrations = applied(&mut self.connection).await?;
        let mut filled_tables = Vec::new();
        for table in BACKUP_TABLES {
            if columns(&mut self.connection, table.name).await?.is_empty() {
                continue;
            }
            let own = OF_MIGRATIONS.iter().find(|(name, _)| *name == table.name).map_or("true", |(_, own)| own);
            let look = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {own})", quoted(table.name));
            if sqlx::query_scalar::<_, bool>(sqlx::AssertSqlSafe(look)).fetch_one(&mut self.connection).await? {
                filled_tables.push(table.name);
            }
        }
        Ok(TargetStanding { migrations, filled_tables, unfinished: self.unfinished().await?, alive: self.alive().await? })
    }

    /// Says that a restore of this backup has begun. No server starts on the database until [`Self::end`].
    pub async fn begin(&mut self, backup_id: &str) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin().await?;
        execute(
            &mut transaction,
            format!(
                "CREATE TABLE IF NOT EXISTS {UNFINISHED_RESTORE} (backup_id text NOT NULL, stage text NOT NULL, begun_at timestamptz NOT NULL);
                 DELETE FROM {UNFINISHED_RESTORE}"
            ),
        )
        .await?;
        let note = "INSERT INTO unfinished_restore (backup_id, stage, begun_at) VALUES ($1, $2, now())";
        sqlx::query(note).bind(backup_id).bind(RestoreStage::Begun.as_str()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Begins to replace all rows, in one transaction that others see nothing of before it ends: takes away what is there, brings
    /// the tables to the schema with these migrations, and leaves them empty.
    pub async fn load(&mut self, migrations: &[i64]) -> Result<BackupLoad<'_>, StoreError> {
        BackupLoad::begin(&mut self.connection, migrations).await
    }

    /// Lets the planner know how much there is now, and says that the restore has ended: from here on servers start.
    pub async fn end(mut self) -> Result<(), StoreError> {
        for table in BACKUP_TABLES {
            if !columns(&mut self.connection, table.name).await?.is_empty() {
                execute(&mut self.connection, format!("ANALYZE {}", quoted(table.name))).await?;
            }
        }
        execute(&mut self.connection, format!("DROP TABLE IF EXISTS {UNFINISHED_RESTORE}")).await?;
        let _ = self.connection.close().await;
        Ok(())
    }

    async fn unfinished(&mut self) -> Result<Option<(String, RestoreStage)>, StoreError> {
        if columns(&mut self.connection, UNFINISHED_RESTORE).await?.is_empty() {
            return Ok(None);
        }
        let row = sqlx::query("SELECT backup_id, stage FROM unfinished_restore").fetch_optional(&mut self.connection).await?;
        let Some(row) = row else { return Ok(None) };
        let stage: String = row.try_get(1)?;
        let stage = if stage == RestoreStage::Loaded.as_str() { RestoreStage::Loaded } else { RestoreStage::Begun };
        Ok(Some((row.try_get(0)?, stage)))
    }

    /// Servers that were seen lately.
    pub async fn alive(&mut self) -> Result<Vec<String>, StoreError> {
        if columns(&mut self.connection, "replicas").await?.is_empty() {
            return Ok(Vec::new());
        }
        let look = "SELECT instance_id FROM replicas WHERE seen_at > now() - make_interval(secs => $1) ORDER BY instance_id";
        Ok(sqlx::query_scalar(look).bind(REPLICA_ALIVE.as_secs_f64()).fetch_all(&mut self.connection).await?)
    }
}

/// Notes within the transaction that the rows are there.
pub(crate) async fn note_loaded(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("UPDATE unfinished_restore SET stage = $1").bind(RestoreStage::Loaded.as_str()).execute(connection).await?;
    Ok(())
}
