//! The list of assets: filters, orders, pages, and what to filter by.

use domain::assets::{AssetFolder, AssetKind};
use uuid::Uuid;

use crate::assets::{AssetRecord, AssetRow};
use crate::error::StoreError;
use crate::page::{End, Page, Span, bounds};
use crate::patterns::{contains_pattern, literal};
use crate::reading::read;
use crate::template_list::SortOrder;
use crate::tenants::TenantStore;

/// The most folders and the most tags of [`Facets`].
const MOST_FACETS: i64 = 1_000;

/// Which assets, in which order, how many. What is empty or `None` filters nothing.
#[derive(Clone, Debug)]
pub struct AssetFilter {
    /// Part of the slug, the file's name or the words for readers, in any case of letters.
    pub q: Option<String>,
    /// Of exactly this type.
    pub mime_type: Option<String>,
    /// Of this kind only.
    pub kind: Option<AssetKind>,
    /// With all of these tags.
    pub tags: Vec<String>,
    /// In this folder.
    pub folder: Option<AssetFolder>,
    /// Whether folders inside it count too.
    pub subfolders: Subfolders,
    /// SVGs that were not cleaned, or all others.
    pub uncleaned_svg: Option<bool>,
    /// What the order goes by. Equal ones follow their ids, so that pages neither repeat nor skip a row.
    pub sort: AssetSort,
    /// Which way.
    pub order: SortOrder,
    /// The most rows to give, up to [`crate::MAX_PAGE_ROWS`].
    pub limit: u32,
    /// How many matching rows come before the page.
    pub offset: u64,
}

impl Default for AssetFilter {
    /// The newest 50 of all.
    fn default() -> Self {
        Self {
            q: None,
            mime_type: None,
            kind: None,
            tags: Vec::new(),
            folder: None,
            subfolders: Subfolders::Without,
            uncleaned_svg: None,
            sort: AssetSort::CreatedAt,
            order: SortOrder::Descending,
            limit: 50,
            offset: 0,
        }
    }
}

/// Whether a folder means what is inside its folders as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subfolders {
    /// It does.
    With,
    /// It does not.
    Without,
}

/// What a list of assets is ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AssetSort {
    /// The upload.
    CreatedAt,
    /// The last change.
    UpdatedAt,
    /// The file's name, in lower case, code point by code point.
    Name,
    /// The number of bytes.
    SizeBytes,
}

/// A folder or a tag, and how many assets have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The folder's path or the tag.
    pub value: String,
    /// Assets with it, those in folders inside not counted.
    pub count: u64,
}

/// What assets can be found by: the first thousand of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// Folders by path.
    pub folders: Vec<Facet>,
    /// Tags, the most used first.
    pub tags: Vec<Facet>,
}

/// The filter as parameters of a statement.
struct Arguments<'a> {
    tenant: &'a str,
    pattern: Option<String>,
    mime_type: Option<&'a str>,
    kind: Option<&'static str>,
    tags: Option<&'a [String]>,
    folder: Option<&'a str>,
    inside: Option<String>,
    uncleaned_svg: Option<bool>,
    limit: i64,
    offset: i64,
}

impl Arguments<'_> {
    fn filters_nothing(&self) -> bool {
        self.pattern.is_none()
            && self.mime_type.is_none()
            && self.kind.is_none()
            && self.tags.is_none()
            && self.folder.is_none()
            && self.uncleaned_svg.is_none()
    }
}

/// The ids of a page in one of the orders. Each order is a statement of its own: a statement that chose by a parameter could
/// use no index, and one put together at run time could not be checked. Without a filter the index alone is read.
macro_rules! ids_ordered_by {
    ($order:tt, $arguments:expr, $connection:expr) => {
        if $arguments.filters_nothing() {
            sqlx::query_scalar!(
                "SELECT asset_id FROM assets WHERE tenant_id = $1 ORDER BY " + $order + " LIMIT $2 OFFSET $3",
                $arguments.tenant,
                $arguments.limit,
                $arguments.offset
            )
            .fetch_all($connection)
            .await?
        } else {
            sqlx::query_scalar!(
                "SELECT asset_id FROM assets
                 WHERE tenant_id = $1
                   AND ($2::text IS NULL OR slug ILIKE $2 OR original_name ILIKE $2 OR alt_text ILIKE $2)
                   AND ($3::text IS NULL OR mime_type = $3)
                   AND ($4::text IS NULL OR kind = $4)
                   AND ($5::text[] IS NULL OR tags @> $5)
                   AND ($6::text IS NULL OR folder = $6 OR folder LIKE $7)
                   AND ($8::bool IS NULL OR (mime_type = 'image/svg+xml' AND NOT svg_sanitized) = $8)
                 ORDER BY "
                    + $order
                    + " LIMIT $9 OFFSET $10",
                $arguments.tenant,
                $arguments.pattern,
                $arguments.mime_type,
                $arguments.kind,
                $arguments.tags,
                $arguments.folder,
                $arguments.inside,
                $arguments.uncleaned_svg,
                $arguments.limit,
                $arguments.offset
            )
            .fetch_all($connection)
            .await?
        }
    };
}

pub(crate) async fn list(handle: &TenantStore, filter: &AssetFilter) -> Result<Page<AssetRecord>, StoreError> {
    let (limit, offset) = bounds(filter.limit, filter.offset);
    let folder = filter.folder.as_ref().map(AssetFolder::as_str);
    let mut arguments = Arguments {
        tenant: handle.tenant.as_str(),
        pattern: filter.q.as_deref().filter(|text| !text.is_empty()).map(contains_pattern),
        mime_type: filter.mime_type.as_deref(),
        kind: filter.kind.map(AssetKind::as_str),
        tags: (!filter.tags.is_empty()).then_some(filter.tags.as_slice()),
        folder,
        inside: folder.filter(|_| filter.subfolders == Subfolders::With).map(|folder| format!("{}/%", literal(folder))),
        uncleaned_svg: filter.uncleaned_svg,
        limit,
        offset,
    };
    read!(handle.store, Some(&handle.tenant), "assets.list", connection, {
        let total = count(&mut connection, &arguments).await?;
        let Some(span) = Span::nearer(limit, offset, total) else { return Ok(Page { items: Vec::new(), total }) };
        (arguments.limit, arguments.offset) = (span.limit, span.offset);
        let order = if span.from == End::Back { reversed(filter.order) } else { filter.order };
        let mut ids = ordered_ids(&mut connection, filter, order, &arguments).await?;
        if span.from == End::Back {
            ids.reverse();
        }
        let items = records(&mut connection, handle, &ids).await?;
        Ok(Page { items, total })
    })
    .await
}

fn reversed(order: SortOrder) -> SortOrder {
    match order {
        SortOrder::Ascending => SortOrder::Descending,
        SortOrder::Descending => SortOrder::Ascending,
    }
}

async fn ordered_ids(
    connection: &mut sqlx::PgConnection,
    filter: &AssetFilter,
    order: SortOrder,
    arguments: &Arguments<'_>,
) -> Result<Vec<Uuid>, StoreError> {
    use SortOrder::{Ascending, Descending};
    Ok(match (filter.sort, order) {
        (AssetSort::CreatedAt, Ascending) => ids_ordered_by!("created_at, asset_id", arguments, connection),
        (AssetSort::CreatedAt, Descending) => ids_ordered_by!("created_at DESC, asset_id DESC", arguments, connection),
        (AssetSort::UpdatedAt, Ascending) => ids_ordered_by!("updated_at, asset_id", arguments, connection),
        (AssetSort::UpdatedAt, Descending) => ids_ordered_by!("updated_at DESC, asset_id DESC", arguments, connection),
        (AssetSort::Name, Ascending) => ids_ordered_by!(r#"lower(original_name) COLLATE "C", asset_id"#, arguments, connection),
        (AssetSort::Name, Descending) => ids_ordered_by!(r#"lower(original_name) COLLATE "C" DESC, asset_id DESC"#, arguments, connection),
        (AssetSort::SizeBytes, Ascending) => ids_ordered_by!("size_bytes, asset_id", arguments, connection),
        (AssetSort::SizeBytes, Descending) => ids_ordered_by!("size_bytes DESC, asset_id DESC", arguments, connection),
    })
}

/// The assets of these ids in their order. One that went meanwhile is left out.
async fn records(connection: &mut sqlx::PgConnection, handle: &TenantStore, ids: &[Uuid]) -> Result<Vec<AssetRecord>, StoreError> {
    let rows = sqlx::query_as!(
        AssetRow,
        "SELECT a.asset_id, a.slug, a.alt_text, a.tags, a.folder, a.current_version, a.kind, a.original_name, a.mime_type, a.size_bytes,
                a.content_hash, a.svg_sanitized, a.created_at, a.created_by, a.updated_at, a.updated_by
         FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (asset_id, place)
         JOIN assets a ON a.asset_id = wanted.asset_id AND a.tenant_id = $1 ORDER BY wanted.place",
        handle.tenant.as_str(),
        ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(AssetRecord::try_from).collect()
}

async fn count(connection: &mut sqlx::PgConnection, arguments: &Arguments<'_>) -> Result<u64, StoreError> {
    let count = if arguments.filters_nothing() {
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM assets WHERE tenant_id = $1"#, arguments.tenant)
            .fetch_one(connection)
            .await?
    } else {
        sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM assets
               WHERE tenant_id = $1
                 AND ($2::text IS NULL OR slug ILIKE $2 OR original_name ILIKE $2 OR alt_text ILIKE $2)
                 AND ($3::text IS NULL OR mime_type = $3)
                 AND ($4::text IS NULL OR kind = $4)
                 AND ($5::text[] IS NULL OR tags @> $5)
                 AND ($6::text IS NULL OR folder = $6 OR folder LIKE $7)
                 AND ($8::bool IS NULL OR (mime_type = 'image/svg+xml' AND NOT svg_sanitized) = $8)"#,
            arguments.tenant,
            arguments.pattern,
            arguments.mime_type,
            arguments.kind,
            arguments.tags,
            arguments.folder,
            arguments.inside,
            arguments.uncleaned_svg
        )
        .fetch_one(connection)
        .await?
    };
    Ok(u64::try_from(count).unwrap_or(0))
}

pub(crate) async fn facets(handle: &TenantStore) -> Result<Facets, StoreError> {
    read!(handle.store, Some(&handle.tenant), "assets.facets", connection, {
        let folders = sqlx::query!(
            r#"SELECT folder AS "value!", count(*) AS "count!" FROM assets
               WHERE tenant_id = $1 AND folder IS NOT NULL GROUP BY folder ORDER BY folder LIMIT $2"#,
            handle.tenant.as_str(),
            MOST_FACETS
        )
        .fetch_all(&mut *connection)
        .await?;
        let tags = sqlx::query!(
            r#"SELECT tag AS "value!", count(*) AS "count!" FROM assets, unnest(tags) AS tag
               WHERE tenant_id = $1 GROUP BY tag ORDER BY count(*) DESC, tag COLLATE "C" LIMIT $2"#,
            handle.tenant.as_str(),
            MOST_FACETS
        )
        .fetch_all(&mut *connection)
        .await?;
        let number = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok(Facets {
            folders: folders.into_iter().map(|row| Facet { value: row.value, count: number(row.count) }).collect(),
            tags: tags.into_iter().map(|row| Facet { value: row.value, count: number(row.count) }).collect(),
        })
    })
    .await
}
