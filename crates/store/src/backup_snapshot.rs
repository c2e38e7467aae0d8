//! One moment of the whole database, read out while others go on writing: a read-only transaction that sees nothing of what is committed
//! after its beginning. It goes past the pool and its time limits, over the way that leads past poolers.

use std::time::Duration;

use domain::Month;
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};
use tokio::time::timeout;

use crate::backup_tables::BACKUP_TABLES;
use crate::connect::{check_server_version, parameters};
use crate::error::{Outage, StoreError};
use crate::migrations::{KnownMigration, applied, known_migrations, unfinished_restore};
use crate::partitions::PartitionedTable;

/// How long opening the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The next piece of a table comes within this time, or the way to the database is broken.
const PIECE_TIMEOUT: Duration = Duration::from_mins(5);
/// What values look like as text, whatever the server's settings are; and no limits that are meant for requests.
pub(crate) const SESSION: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SET LOCAL lock_timeout = '30s'; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; \
    SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1";

/// What a table of a backup looks like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableShape {
    /// Its name.
    pub name: String,
    /// Its columns in their order, without those that the database computes.
    pub columns: Vec<String>,
}

/// A month that a table has a partition for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackupMonth {
    /// The table.
    pub table: PartitionedTable,
    /// The month.
    pub month: Month,
}

/// One moment of the database. Dropping it ends the transaction.
#[derive(Debug)]
pub struct BackupSnapshot {
    pub(crate) connection: PgConnection,
    migrations: Vec<KnownMigration>,
}

impl BackupSnapshot {
    /// Begins at this moment. `url` must lead past poolers that lend connections by the statement.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let mut connection = connect(url).await?;
        sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut connection).await?;
        sqlx::raw_sql(SESSION).execute(&mut connection).await?;
        if let Some(backup_id) = unfinished_restore(&mut connection).await? {
            return Err(StoreError::RestoreUnfinished { backup: backup_id });
        }
        let versions = applied(&mut connection).await?;
        let known = known_migrations();
        let newest = known.last().map_or(0, |migration| migration.version);
        match versions.last() {
            None => return Err(StoreError::NotMigrated),
            Some(&found) if found > newest => return Err(StoreError::NewerSchema { found, known: newest }),
            Some(_) => {}
        }
        let migrations = known.into_iter().filter(|migration| versions.contains(&migration.version)).collect();
        Ok(Self { connection, migrations })
    }

    /// The migrations that the database has, oldest first.
    pub fn migrations(&self) -> &[KnownMigration] {
        &self.migrations
    }

    /// The tables of a backup as they are here, in the order in which they are to be filled. What the database does not have yet
    /// is left out.
    pub async fn tables(&mut self) -> Result<Vec<TableShape>, StoreError> {
        let mut shapes = Vec::new();
        for table in BACKUP_TABLES {
            let columns = columns(&mut self.connection, table.name).await?;
            if !columns.is_empty() {
                shapes.push(TableShape { name: table.name.to_owned(), columns });
            }
        }
        Ok(shapes)
    }

    /// The months that big tables are cut into.
    pub async fn months(&mut self) -> Result<Vec<BackupMonth>, StoreError> {
        let mut found = Vec::new();
        for table in PartitionedTable::ALL {
            let months = crate::partitions::months(&mut self.connection, table).await?;
            found.extend(months.into_iter().map(|month| BackupMonth { table, month }));
        }
        Ok(found)
    }

    /// Gives the rows of a table to `sink`, in the order of its key, as the text of COPY: a line each. Says how many.
    pub async fn copy_out<E: From<StoreError>>(
        &mut self,
        shape: &TableShape,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let key = key(&mut self.connection, &shape.name).await?;
        let (columns, table) = (quoted_all(&shape.columns), quoted(&shape.name));
        let order = if key.is_empty() { String::new() } else { format!(" ORDER BY {}", key.join(", ")) };
        let statement = format!("COPY (SELECT {columns} FROM {table}{order}) TO STDOUT");
        let mut pieces = self.connection.copy_out_raw(&statement).await.map_err(StoreError::from)?;
        let mut rows = 0;
        loop {
            let next = timeout(PIECE_TIMEOUT, pieces.try_next()).await;
            let next = next.map_err(|_| StoreError::unavailable(Outage::ConnectionLost))?.map_err(StoreError::from)?;
            let Some(piece) = next else { return Ok(rows) };
            // Within a row, the end of a line is written as two characters.
            rows += piece.split(|byte| *byte == b'\n').count() as u64 - 1;
            sink(&piece)?;
        }
    }

    /// Ends it. What it had read stays valid.
    pub async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the connection of a backup did not close cleanly");
        }
    }
}

/// A connection of our own.
pub(crate) async fn connect(url: &str) -> Result<PgConnection, StoreError> {
    let options = parameters(url, "pulp-engine backup")?;
    let connection = timeout(CONNECT_TIMEOUT, options.connect()).await.map_err(|_| StoreError::unavailable(Outage::NoConnection))??;
    check_server_version(connection.server_version_num())?;
    Ok(connection)
}

/// The columns of a table that can be written; none where there is no such table.
pub(crate) async fn columns(connection: &mut PgConnection, table: &str) -> Result<Vec<String>, StoreError> {
    let columns = sqlx::query_scalar(
        "SELECT attname::text FROM pg_attribute
         WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
    );
    Ok(columns.bind(table).fetch_all(connection).await?)
}

/// What rows are put in order by: the primary key, texts byte by byte.
async fn key(connection: &mut PgConnection, table: &str) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT a.attname::text, a.attcollation <> 0
         FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS place (attnum, number)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = place.attnum
         WHERE i.indrelid = to_regclass(quote_ident($1)) AND i.indisprimary ORDER BY place.number",
    );
    let rows = rows.bind(table).fetch_all(connection).await?;
    let one = |row: sqlx::postgres::PgRow| -> Result<String, sqlx::Error> {
        let (name, is_text): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        Ok(if is_text { format!("{} COLLATE \"C\"", quoted(&name)) } else { quoted(&name) })
    };
    Ok(rows.into_iter().map(one).collect::<Result<_, _>>()?)
}

/// Runs a statement that no request has a part in.
pub(crate) async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// A name as SQL has it, whatever is in it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn quoted_all(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}
