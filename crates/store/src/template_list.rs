//! The list of templates: filters, orders, pages.

use domain::TemplateSelector;
use domain::templates::TemplateKey;

use crate::connect::speak;
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::templates::{TemplateKind, TemplateRow, TemplateSummary};
use crate::tenants::TenantStore;

/// Which templates, in which order, how many. What is empty or `None` filters nothing.
#[derive(Clone, Debug)]
pub struct TemplateFilter {
    /// Part of the key or the name, in any case of letters.
    pub q: Option<String>,
    /// Of this kind only.
    pub kind: Option<TemplateKind>,
    /// One of these keys.
    pub keys: Vec<TemplateKey>,
    /// With all of these tags.
    pub tags: Vec<String>,
    /// Looked after by exactly this owner.
    pub owner: Option<String>,
    /// Within the reach of these only; `None` means of all.
    pub reached: Option<Vec<TemplateSelector>>,
    /// What the order goes by. Equal ones follow their keys, so that pages neither repeat nor skip a row.
    pub sort: TemplateSort,
    /// Which way.
    pub order: SortOrder,
    /// The most rows to give, up to [`crate::MAX_PAGE_ROWS`].
    pub limit: u32,
    /// How many matching rows come before the page.
    pub offset: u64,
}

impl Default for TemplateFilter {
    /// The first 50 of all, by key.
    fn default() -> Self {
        Self {
            q: None,
            kind: None,
            keys: Vec::new(),
            tags: Vec::new(),
            owner: None,
            reached: None,
            sort: TemplateSort::Key,
            order: SortOrder::Ascending,
            limit: 50,
            offset: 0,
        }
    }
}

/// What a list of templates is ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TemplateSort {
    /// The key, byte by byte.
    Key,
    /// The name, in lower case, code point by code point.
    Name,
    /// The first save.
    CreatedAt,
    /// The last save.
    UpdatedAt,
}

/// Which way a list goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortOrder {
    /// Smallest or oldest first.
    Ascending,
    /// Largest or newest first.
    Descending,
}

/// A page in one of the orders. Each order is a statement of its own: a statement that chose by a parameter could use no
/// index, and one put together at run time could not be checked.
macro_rules! rows_ordered_by {
    ($order:tt, $arguments:expr, $connection:expr) => {
        sqlx::query_as!(
            TemplateRow,
            "SELECT template_id, template_key, name, description, kind, tags, owner,
                    current_major, current_minor, current_patch, created_at, updated_at
             FROM templates
             WHERE tenant_id = $1 AND deleted_at IS NULL
               AND ($2::text IS NULL OR template_key ILIKE $2 OR name ILIKE $2)
               AND ($3::text IS NULL OR kind = $3)
               AND ($4::text[] IS NULL OR template_key = ANY ($4))
               AND ($5::text[] IS NULL OR tags @> $5)
               AND ($6::text IS NULL OR owner = $6)
               AND ($9::text[] IS NULL OR template_key LIKE ANY ($9))
             ORDER BY "
                + $order
                + " LIMIT $7 OFFSET $8",
            $arguments.tenant,
            $arguments.pattern,
            $arguments.kind,
            $arguments.keys,
            $arguments.tags,
            $arguments.owner,
            $arguments.limit,
            $arguments.offset,
            $arguments.reached
        )
        .fetch_all($connection)
        .await?
    };
}

/// The filter as parameters of a statement.
struct Arguments<'a> {
    tenant: &'a str,
    pattern: Option<String>,
    kind: Option<&'static str>,
    keys: Option<&'a [String]>,
    tags: Option<&'a [String]>,
    owner: Option<&'a str>,
    limit: i64,
    offset: i64,
    reached: Option<&'a [String]>,
}

pub(crate) async fn list(handle: &TenantStore, filter: &TemplateFilter) -> Result<Page<TemplateSummary>, StoreError> {
    let keys: Vec<String> = filter.keys.iter().map(ToString::to_string).collect();
    let reached: Option<Vec<String>> = filter.reached.as_ref().map(|selectors| selectors.iter().map(selected_pattern).collect());
    let (limit, offset) = bounds(filter.limit, filter.offset);
    let arguments = Arguments {
        tenant: handle.tenant.as_str(),
        pattern: filter.q.as_deref().filter(|text| !text.is_empty()).map(contains_pattern),
        kind: filter.kind.map(TemplateKind::as_str),
        keys: (!keys.is_empty()).then_some(keys.as_slice()),
        tags: (!filter.tags.is_empty()).then_some(filter.tags.as_slice()),
        owner: filter.owner.as_deref(),
        limit,
        offset,
        reached: reached.as_deref(),
    };
    speak!(handle.store, "templates.list", {
        let mut connection = handle.store.acquire().await?;
        let rows = ordered_rows(&mut connection, filter, &arguments).await?;
        let total = match Page::<TemplateSummary>::total_from_its_end(rows.len(), limit, offset) {
            Some(total) => total,
            None => count(&mut connection, &arguments).await?,
        };
        let items = rows.into_iter().map(TemplateSummary::try_from).collect::<Result<_, _>>()?;
        Ok(Page { items, total })
    })
    .await
}

async fn ordered_rows(
    connection: &mut sqlx::PgConnection,
    filter: &TemplateFilter,
    arguments: &Arguments<'_>,
) -> Result<Vec<TemplateRow>, StoreError> {
    use SortOrder::{Ascending, Descending};
    Ok(match (filter.sort, filter.order) {
        (TemplateSort::Key, Ascending) => rows_ordered_by!("template_key", arguments, connection),
        (TemplateSort::Key, Descending) => rows_ordered_by!("template_key DESC", arguments, connection),
        (TemplateSort::Name, Ascending) => rows_ordered_by!(r#"lower(name) COLLATE "C", template_key"#, arguments, connection),
        (TemplateSort::Name, Descending) => rows_ordered_by!(r#"lower(name) COLLATE "C" DESC, template_key DESC"#, arguments, connection),
        (TemplateSort::CreatedAt, Ascending) => rows_ordered_by!("created_at, template_key", arguments, connection),
        (TemplateSort::CreatedAt, Descending) => rows_ordered_by!("created_at DESC, template_key DESC", arguments, connection),
        (TemplateSort::UpdatedAt, Ascending) => rows_ordered_by!("updated_at, template_key", arguments, connection),
        (TemplateSort::UpdatedAt, Descending) => rows_ordered_by!("updated_at DESC, template_key DESC", arguments, connection),
    })
}

async fn count(connection: &mut sqlx::PgConnection, arguments: &Arguments<'_>) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM templates
           WHERE tenant_id = $1 AND deleted_at IS NULL
             AND ($2::text IS NULL OR template_key ILIKE $2 OR name ILIKE $2)
             AND ($3::text IS NULL OR kind = $3)
             AND ($4::text[] IS NULL OR template_key = ANY ($4))
             AND ($5::text[] IS NULL OR tags @> $5)
             AND ($6::text IS NULL OR owner = $6)
             AND ($7::text[] IS NULL OR template_key LIKE ANY ($7))"#,
        arguments.tenant,
        arguments.pattern,
        arguments.kind,
        arguments.keys,
        arguments.tags,
        arguments.owner,
        arguments.reached
    )
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// A pattern for ILIKE that finds `text` anywhere, with its `%`, `_` and `\` taken as they are.
fn contains_pattern(text: &str) -> String {
    format!("%{}%", literal(text))
}

/// A pattern for LIKE that finds what the selector selects.
fn selected_pattern(selector: &TemplateSelector) -> String {
    match selector.as_str().strip_suffix('*') {
        Some(beginning) => format!("{}%", literal(beginning)),
        None => literal(selector.as_str()),
    }
}

fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_search_mean_themselves() {
        assert_eq!(contains_pattern(r"50%_\"), r"%50\%\_\\%");
    }
}
