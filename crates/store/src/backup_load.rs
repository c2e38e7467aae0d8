//! Fills the tables from a backup, all of them in one transaction.

use std::collections::BTreeSet;

use bytes::Bytes;
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, PgTransaction, Row as _};

use crate::backup_snapshot::{BackupMonth, SESSION, TableShape, columns, execute, quoted, quoted_all};
use crate::backup_tables::{BACKUP_TABLES, NOT_IN_BACKUPS};
use crate::backup_target::note_loaded;
use crate::error::StoreError;
use crate::migrations::{UNFINISHED_RESTORE, applied, apply};

/// The transaction of a restore. Dropping it leaves the database as it was.
#[derive(Debug)]
pub struct BackupLoad<'a> {
    transaction: PgTransaction<'a>,
}

impl<'a> BackupLoad<'a> {
    pub(crate) async fn begin(connection: &'a mut PgConnection, migrations: &[i64]) -> Result<Self, StoreError> {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(SESSION).execute(&mut *transaction).await?;
        if applied(&mut transaction).await? != migrations {
            drop_all(&mut transaction).await?;
            apply(&mut transaction, migrations.last().copied()).await?;
        }
        let there = existing(&mut transaction).await?;
        execute(&mut transaction, format!("TRUNCATE {}", there.join(", "))).await?;
        Ok(Self { transaction })
    }

    /// Makes the month of a table, where it is missing.
    pub async fn make_month(&mut self, wanted: BackupMonth) -> Result<(), StoreError> {
        let (table, month) = (wanted.table.as_str(), wanted.month);
        let statement = format!(
            "CREATE TABLE IF NOT EXISTS {} PARTITION OF {table} FOR VALUES FROM ('{}') TO ('{}')",
            wanted.table.partition(month),
            month.start(),
            month.end()
        );
        execute(&mut self.transaction, statement).await
    }

    /// Writes the rows of a table, in pieces of the text that [`crate::BackupSnapshot::copy_out`] gave; says how many there were.
    pub async fn copy_in<E: From<StoreError>>(
        &mut self,
        shape: &TableShape,
        mut next: impl FnMut() -> Result<Option<Bytes>, E>,
    ) -> Result<u64, E> {
        let known = columns(&mut self.transaction, &shape.name).await?;
        let is_table = BACKUP_TABLES.iter().any(|table| table.name == shape.name);
        if !is_table || shape.columns.iter().any(|column| !known.contains(column)) {
            return Err(StoreError::inconsistent("the backup", format!("{} has other columns than in its schema", shape.name)).into());
        }
        let statement = format!("COPY {} ({}) FROM STDIN", quoted(&shape.name), quoted_all(&shape.columns));
        let mut copy = self.transaction.copy_in_raw(&statement).await.map_err(StoreError::from)?;
        loop {
            match next() {
                Ok(Some(piece)) => {
                    copy.send(piece).await.map_err(StoreError::from)?;
                }
                Ok(None) => return Ok(copy.finish().await.map_err(StoreError::from)?),
                Err(error) => {
                    let _ = copy.abort("the backup cannot be read").await;
                    return Err(error);
                }
            }
        }
    }

    /// Makes all of it count.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        continue_numbers(&mut self.transaction).await?;
        note_loaded(&mut self.transaction).await?;
        self.transaction.commit().await?;
        Ok(())
    }
}

/// Our tables that are there, as SQL has their names.
async fn existing(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let kept = ["_sqlx_migrations", UNFINISHED_RESTORE];
    let others = NOT_IN_BACKUPS.iter().map(|(name, _)| *name).filter(|name| !kept.contains(name));
    let mut found = Vec::new();
    for name in BACKUP_TABLES.iter().map(|table| table.name).chain(others) {
        if !columns(connection, name).await?.is_empty() {
            found.push(quoted(name));
        }
    }
    Ok(found)
}

/// Takes away the tables and what belongs to them, so that the migrations can make them as they were in the backup's schema. What
/// is not ours stays.
async fn drop_all(connection: &mut PgConnection) -> Result<(), StoreError> {
    let tables = existing(connection).await?;
    if !tables.is_empty() {
        let names: Vec<String> = tables.iter().map(|table| format!("'{table}'::regclass")).collect();
        let functions = format!(
            "SELECT DISTINCT p.oid::regprocedure::text FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
             WHERE t.tgrelid IN ({}) AND NOT t.tgisinternal",
            names.join(", ")
        );
        let functions: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(functions)).fetch_all(&mut *connection).await?;
        // Functions over rows of ours go with them.
        execute(connection, format!("DROP TABLE {} CASCADE", tables.join(", "))).await?;
        for function in functions.into_iter().collect::<BTreeSet<_>>() {
            execute(connection, format!("DROP FUNCTION {function}")).await?;
        }
    }
    execute(connection, "DROP TABLE IF EXISTS _sqlx_migrations".to_owned()).await
}

/// Rows that come after get numbers behind those of the backup.
async fn continue_numbers(connection: &mut PgConnection) -> Result<(), StoreError> {
    for table in BACKUP_TABLES {
        let look = "SELECT attname::text FROM pg_attribute
                    WHERE attrelid = to_regclass(quote_ident($1)) AND attidentity <> '' AND NOT attisdropped";
        let numbered = sqlx::query(look).bind(table.name).fetch_all(&mut *connection).await?;
        for column in numbered.iter().map(|row: &PgRow| row.try_get::<String, _>(0)) {
            let (column, name) = (column?, quoted(table.name));
            let highest = format!(
                "SELECT setval(pg_get_serial_sequence('{name}', '{column}'), COALESCE(max({0}), 1), max({0}) IS NOT NULL) FROM {name}",
                quoted(&column)
            );
            execute(connection, highest).await?;
        }
    }
    Ok(())
}
