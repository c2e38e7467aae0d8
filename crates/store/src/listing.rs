//! One page of a list: its rows from the nearest place that is known, and how many there are in all. The first page, the last one
//! and the one after a page that was read cost the same, however long the list is.

use domain::TenantId;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, Row as _};

use crate::connect::Store;
use crate::error::StoreError;
use crate::page::{End, Page, Span, bounds};
use crate::template_list::SortOrder;
use crate::totals::{Hears, Place};

/// Nearer to the beginning than this, in rows, no place is worth remembering.
const NEAR: i64 = 500;

/// What is asked, without the page. Only the conditions that are asked for come into a statement: one with all of them would
/// use the index of none. The statements are not kept prepared, so that each is planned for its own values: a plan for any
/// page reads the table for a tenth of it.
pub(crate) struct Listing<'a> {
    /// Whose rows; `None` for the tenants themselves.
    pub(crate) tenant: Option<&'a TenantId>,
    /// Where they are.
    pub(crate) table: &'static str,
    /// The columns that name a row.
    pub(crate) id: &'static str,
    /// What is read of a row.
    pub(crate) columns: &'static str,
    /// The columns of the order with their types, which together are different for any two rows. No NULL is in them.
    pub(crate) order: &'static [(&'static str, &'static str)],
    /// Which way.
    pub(crate) direction: SortOrder,
    /// What is filtered by; no other filter says the same. `None` where rows come or go and the audit chain does not tell: then
    /// nothing is remembered.
    pub(crate) filter: Option<String>,
    /// Says it after WHERE.
    pub(crate) conditions: &'a (dyn Fn(&mut QueryBuilder<Postgres>) + Sync),
}

impl Listing<'_> {
    /// The page's rows in the order that was asked for, and how many there are in all.
    pub(crate) async fn page<Row>(
        &self,
        store: &Store,
        connection: &mut PgConnection,
        limit: u32,
        offset: u64,
    ) -> Result<(Vec<Row>, u64), StoreError>
    where
        Row: for<'r> FromRow<'r, PgRow> + Send,
    {
        let (limit, offset) = bounds(limit, offset);
        let mut first = None;
        if offset == 0 {
            let rows = self.rows(connection, &Span { limit, skip: 0, from: End::Front }).await?;
            if let Some(total) = Page::<Row>::total_from_its_end(rows.0.len(), limit, offset) {
                return Ok((rows.0, total));
            }
            first = Some(rows);
        }
        let (totals, hears) = (store.totals(), if store.listener_standing().connected { Hears::Changes } else { Hears::Nothing });
        let asked = match &self.filter {
            Some(filter) => {
                let question = format!("{} {:?} {:?} {filter}", self.table, self.order, self.direction);
                Some(totals.ask(connection, (self.tenant.cloned(), question), offset, hears).await?)
            }
            None => None,
        };
        let total = match asked.as_ref().and_then(|asked| asked.total) {
            Some(total) => total,
            None => self.count(connection).await?,
        };
        let known = asked.as_ref().and_then(|asked| asked.place.as_ref());
        let (rows, ends) = match (first, Span::nearest(limit, offset, total, known)) {
            // They were read before the version was: it does not vouch for where they stand.
            (Some((rows, _)), _) => (rows, Vec::new()),
            (None, Some(span)) => self.rows(connection, &span).await?,
            (None, None) => (Vec::new(), Vec::new()),
        };
        let last = offset.saturating_add(i64::try_from(rows.len()).unwrap_or(i64::MAX)) - 1;
        let places: Vec<_> = [offset, last].into_iter().zip(ends).filter(|(row, _)| *row >= NEAR).collect();
        if let Some(asked) = asked.filter(|asked| asked.total.is_none() || !places.is_empty()) {
            totals.keep(connection, asked, total, places, hears).await?;
        }
        Ok((rows, total))
    }

    async fn count(&self, connection: &mut PgConnection) -> Result<u64, StoreError> {
        let mut query = QueryBuilder::new("SELECT count(*) FROM ");
        query.push(self.table).push(" WHERE ");
        (self.conditions)(&mut query);
        let count: i64 = query.build_query_scalar().persistent(false).fetch_one(connection).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The rows of that span, and the places of the first and the last one. The ids come first, from an index alone where there is one of all
    /// that is asked for, so that the rows before the page are not read.
    async fn rows<Row>(&self, connection: &mut PgConnection, span: &Span<'_>) -> Result<(Vec<Row>, Vec<Place>), StoreError>
    where
        Row: for<'r> FromRow<'r, PgRow>,
    {
        let backwards = matches!(span.from, End::Back);
        let descending = (self.direction == SortOrder::Descending) != backwards;
        let direction = if descending { " DESC" } else { "" };
        let order: Vec<String> = self.order.iter().map(|(column, _)| format!("{column}{direction}")).collect();
        let order = order.join(", ");
        let columns: Vec<&str> = self.order.iter().map(|(column, _)| *column).collect();
        let mut query = QueryBuilder::new("WITH page AS MATERIALIZED (SELECT ");
        query.push(self.id).push(" FROM ").push(self.table).push(" WHERE ");
        (self.conditions)(&mut query);
        if let End::Place(place) = span.from {
            query.push(" AND (").push(columns.join(", ")).push(if descending { ") <= (" } else { ") >= (" });
            let mut values = query.separated(", ");
            for ((_, kind), value) in self.order.iter().zip(place) {
                values.push_bind(value.clone()).push_unseparated("::text::").push_unseparated(kind);
            }
            query.push(")");
        }
        query.push(" ORDER BY ").push(&order).push(" LIMIT ").push_bind(span.limit).push(" OFFSET ").push_bind(span.skip);
        query.push(") SELECT ").push(self.columns).push(", ARRAY[").push(columns.join("::text, ")).push("::text] AS place FROM page JOIN ");
        query.push(self.table).push(" USING (").push(self.id).push(") ORDER BY ").push(&order);
        let mut rows = query.build().persistent(false).fetch_all(connection).await?;
        if backwards {
            rows.reverse();
        }
        let ends = rows.first().into_iter().chain(rows.last()).map(|row| row.try_get("place")).collect::<Result<_, _>>()?;
        Ok((rows.iter().map(Row::from_row).collect::<Result<_, _>>()?, ends))
    }
}
