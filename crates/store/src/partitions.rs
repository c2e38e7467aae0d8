//! The months that big tables are cut into: made ahead, dropped when they are too old.
//!
//! A partition is called after its table and its month in UTC, `render_usage_2026_11`, and nothing else is ever dropped.
//! `<table>_default` takes what falls into no month; making that month later moves it there. Each act waits a moment for
//! its locks and then gives up rather than make everybody wait behind it: the next round of the duty tries again.

use domain::Month;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgTransaction};

use crate::connect::{Store, speak};
use crate::error::StoreError;

/// How many months are made ahead of the present one.
pub const PARTITION_MONTHS_AHEAD: u16 = 3;
/// The advisory lock of all releases under which partitions are made and dropped: "pulp_par" as a number.
const LOCK: i64 = 0x7075_6c70_5f70_6172;
/// How long an act may wait for a lock that stops others.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";

/// A table that is cut into months. There is no way to name another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartitionedTable {
    /// One row for each render, by the moment it ended.
    RenderUsage,
    /// One row for each change, by the moment it happened.
    AuditEvents,
}

impl PartitionedTable {
    /// Every such table.
    pub const ALL: [Self; 2] = [Self::RenderUsage, Self::AuditEvents];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RenderUsage => "render_usage",
            Self::AuditEvents => "audit_events",
        }
    }

    fn column(self) -> &'static str {
        match self {
            Self::RenderUsage => "rendered_at",
            Self::AuditEvents => "occurred_at",
        }
    }

    /// What the partition of a month is called.
    pub fn partition(self, month: Month) -> String {
        format!("{}_{:04}_{:02}", self.as_str(), month.year(), month.number())
    }

    /// The month of a partition of that name.
    fn month_of(self, partition: &str) -> Option<Month> {
        let (year, month) = partition.strip_prefix(self.as_str())?.strip_prefix('_')?.split_once('_')?;
        let found = Month::new(year.parse().ok()?, month.parse().ok()?)?;
        // Not every spelling of the numbers is ours.
        (self.partition(found) == partition).then_some(found)
    }
}

/// The partitions of one table.
pub struct Partitions<'a> {
    store: &'a Store,
    table: PartitionedTable,
}

impl Store {
    /// The months of a table.
    pub fn partitions(&self, table: PartitionedTable) -> Partitions<'_> {
        Partitions { store: self, table }
    }
}

impl Partitions<'_> {
    /// The months that have a partition, oldest first.
    pub async fn list(&self) -> Result<Vec<Month>, StoreError> {
        speak!(self.store, "partitions.list", {
            let mut connection = self.store.acquire().await?;
            months(&mut connection, self.table).await
        })
        .await
    }

    /// Makes the partitions of the present month and of `ahead` months after it, where they are missing; gives those it
    /// made. Another replica that is at it makes this one do nothing.
    pub async fn ensure(&self, ahead: u16) -> Result<Vec<Month>, StoreError> {
        let present = Month::of(self.store.now().to_jiff());
        self.ensure_from(present, ahead).await
    }

    /// As [`Partitions::ensure`], from a month on.
    pub async fn ensure_from(&self, first: Month, ahead: u16) -> Result<Vec<Month>, StoreError> {
        let existing = self.list().await?;
        let mut made = Vec::new();
        // A transaction for each, so that no lock outlives the work it is for.
        for month in (0..=ahead).map(|months| first.plus(months)).filter(|month| !existing.contains(month)) {
            if self.make(month).await? {
                made.push(month);
            }
        }
        Ok(made)
    }

    async fn make(&self, month: Month) -> Result<bool, StoreError> {
        speak!(self.store, "partitions.make", {
            let mut connection = self.store.acquire().await?;
            let mut transaction = connection.begin().await?;
            if !take_turn(&mut transaction).await? || months(&mut transaction, self.table).await?.contains(&month) {
                return Ok(false);
            }
            let (table, column, partition) = (self.table.as_str(), self.table.column(), self.table.partition(month));
            let (from, to) = (month.start(), month.end());
            // Attached and not made in its place, which would lock the whole table. The default partition is locked for
            // this moment, as nothing of the month may come into it while what is there is moved.
            for statement in [
                LOCK_TIMEOUT.to_owned(),
                format!("CREATE TABLE {partition} (LIKE {table} INCLUDING ALL)"),
                format!("LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE"),
                format!(
                    "WITH moved AS (DELETE FROM {table}_default WHERE {column} >= '{from}' AND {column} < '{to}' RETURNING *)
                     INSERT INTO {partition} SELECT * FROM moved"
                ),
                format!("ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ('{from}') TO ('{to}')"),
            ] {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            tracing::debug!(partition, "made a partition");
            Ok(true)
        })
        .await
    }

    /// Drops the partitions whose every row is older than `cut_off`; gives their months. Rows of that age in the month of
    /// the cut-off and in the default partition stay, for [`Partitions::delete_before`]. A month of audit events is dropped only
    /// when it is empty: its rows go through [`crate::Audit::purge`], or their chains would have a hole.
    pub async fn drop_before(&self, cut_off: Timestamp) -> Result<Vec<Month>, StoreError> {
        let mut dropped = Vec::new();
        for month in self.list().await?.into_iter().filter(|month| month.end() <= cut_off) {
            if self.drop_month(month).await? {
                dropped.push(month);
            }
        }
        Ok(dropped)
    }

    async fn drop_month(&self, month: Month) -> Result<bool, StoreError> {
        speak!(self.store, "partitions.drop", {
            let mut connection = self.store.acquire().await?;
            let mut transaction = connection.begin().await?;
            if !take_turn(&mut transaction).await? || !months(&mut transaction, self.table).await?.contains(&month) {
                return Ok(false);
            }
            let partition = self.table.partition(month);
            sqlx::query(LOCK_TIMEOUT).execute(&mut *transaction).await?;
            if self.table == PartitionedTable::AuditEvents && !is_empty(&mut transaction, self.table, &partition).await? {
                tracing::info!(partition, "not dropped: it still has rows");
                return Ok(false);
            }
            sqlx::query(AssertSqlSafe(format!("DROP TABLE {partition}"))).execute(&mut *transaction).await?;
            transaction.commit().await?;
            tracing::info!(partition, "dropped a partition");
            Ok(true)
        })
        .await
    }

    /// Deletes up to `max_rows` rows that are older than `cut_off`, oldest month first; says how many. For the month of the
    /// cut-off and the default partition: call it until it deletes fewer.
    pub async fn delete_before(&self, cut_off: Timestamp, max_rows: u32) -> Result<u64, StoreError> {
        speak!(self.store, "partitions.delete", {
            let mut connection = self.store.acquire().await?;
            let (table, column) = (self.table.as_str(), self.table.column());
            let with_old_rows = months(&mut connection, self.table).await?.into_iter().filter(|month| month.start() < cut_off);
            let names = with_old_rows.map(|month| self.table.partition(month)).chain([format!("{table}_default")]);
            let mut deleted = 0;
            for name in names {
                let left = i64::from(max_rows).saturating_sub(i64::try_from(deleted).unwrap_or(i64::MAX));
                if left <= 0 {
                    break;
                }
                // By place: the oldest rows lie at the beginning, and no index leads with the time alone.
                let statement =
                    format!("DELETE FROM {name} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {name} WHERE {column} < $1 LIMIT $2))");
                let statement = sqlx::query(AssertSqlSafe(statement)).bind(cut_off.to_sqlx()).bind(left);
                deleted += statement.execute(&mut *connection).await?.rows_affected();
            }
            Ok(deleted)
        })
        .await
    }
}

/// Whether nobody else is making or dropping partitions until this transaction ends.
async fn take_turn(transaction: &mut PgTransaction<'_>) -> Result<bool, StoreError> {
    let taken = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "taken!""#, LOCK).fetch_one(&mut **transaction).await?;
    Ok(taken)
}

/// Whether a partition has no row, and gets none before this transaction ends.
async fn is_empty(transaction: &mut PgTransaction<'_>, table: PartitionedTable, partition: &str) -> Result<bool, StoreError> {
    let look = format!("SELECT NOT EXISTS (SELECT 1 FROM {partition})");
    let mut empty = sqlx::query_scalar::<_, bool>(AssertSqlSafe(look.as_str())).fetch_one(&mut **transaction).await?;
    if empty {
        // The table before the partition, as everybody else. Others wait for the second look, so it may not take long; the
        // first one left it little to do.
        for statement in ["SET LOCAL statement_timeout = '3s'", &format!("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE", table.as_str())] {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut **transaction).await?;
        }
        empty = sqlx::query_scalar(AssertSqlSafe(look)).fetch_one(&mut **transaction).await?;
    }
    Ok(empty)
}

pub(crate) async fn months(connection: &mut PgConnection, table: PartitionedTable) -> Result<Vec<Month>, StoreError> {
    let names = sqlx::query_scalar!(
        r#"SELECT child.relname::text AS "name!" FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
           WHERE inhparent = to_regclass($1::text)"#,
        table.as_str()
    )
    .fetch_all(connection)
    .await?;
    let mut months: Vec<Month> = names.iter().filter_map(|name| table.month_of(name)).collect();
    months.sort_unstable();
    Ok(months)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_scheme_are_partitions() {
        let table = PartitionedTable::RenderUsage;
        let november = Month::new(2026, 11).unwrap();
        assert_eq!(table.partition(november), "render_usage_2026_11");
        assert_eq!(table.month_of("render_usage_2026_11"), Some(november));
        for other in
            ["render_usage_default", "render_usage_2026_1", "render_usage_2026_13", "render_usage_+2026_11", "audit_events_2026_11"]
        {
            assert_eq!(table.month_of(other), None, "{other}");
        }
    }
}
