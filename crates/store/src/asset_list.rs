//! The list of assets: filters, orders, pages, and what to filter by.

use domain::assets::{AssetFolder, AssetKind};
use sqlx::{Postgres, QueryBuilder};

use crate::assets::{AssetRecord, AssetRow};
use crate::error::StoreError;
use crate::listing::Listing;
use crate::page::Page;
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

impl AssetSort {
    /// The columns of the order with their types, which together are different for any two assets. Each has an index that
    /// begins so.
    fn columns(self) -> &'static [(&'static str, &'static str)] {
        const ID: (&str, &str) = ("asset_id", "uuid");
        match self {
            Self::CreatedAt => &[("created_at", "timestamptz"), ID],
            Self::UpdatedAt => &[("updated_at", "timestamptz"), ID],
            Self::Name => &[(r#"lower(original_name) COLLATE "C""#, "text"), ID],
            Self::SizeBytes => &[("size_bytes", "bigint"), ID],
        }
    }
}

pub(crate) async fn list(handle: &TenantStore, filter: &AssetFilter) -> Result<Page<AssetRecord>, StoreError> {
    let AssetFilter { q, mime_type, kind, tags, folder, subfolders, uncleaned_svg, sort, order, limit, offset } = filter;
    read!(handle.store, Some(&handle.tenant), "assets.list", connection, {
        let listing = Listing {
            tenant: Some(&handle.tenant),
            table: "assets",
            id: "asset_id",
            columns: COLUMNS,
            order: sort.columns(),
            direction: *order,
            filter: Some(format!("{:?}", (q, mime_type, kind, tags, folder, subfolders, uncleaned_svg))),
            conditions: &|query| push_conditions(query, handle, filter),
        };
        let (rows, total) = listing.page::<AssetRow>(&handle.store, &mut connection, *limit, *offset).await?;
        let items = rows.into_iter().map(AssetRecord::try_from).collect::<Result<_, _>>()?;
        Ok(Page { items, total })
    })
    .await
}

const COLUMNS: &str = "asset_id, slug, alt_text, tags, folder, current_version, kind, original_name, mime_type, size_bytes, \
                       content_hash, svg_sanitized, created_at, created_by, updated_at, updated_by";

fn push_conditions(query: &mut QueryBuilder<Postgres>, handle: &TenantStore, filter: &AssetFilter) {
    query.push("tenant_id = ").push_bind(handle.tenant.as_str().to_owned());
    if let Some(text) = filter.q.as_deref().filter(|text| !text.is_empty()) {
        let pattern = contains_pattern(text);
        query.push(" AND (slug ILIKE ").push_bind(pattern.clone()).push(" OR original_name ILIKE ").push_bind(pattern.clone());
        query.push(" OR alt_text ILIKE ").push_bind(pattern).push(")");
    }
    if let Some(mime_type) = &filter.mime_type {
        query.push(" AND mime_type = ").push_bind(mime_type.clone());
    }
    if let Some(kind) = filter.kind {
        query.push(" AND kind = ").push_bind(kind.as_str());
    }
    if !filter.tags.is_empty() {
        query.push(" AND tags @> ").push_bind(filter.tags.clone());
    }
    if let Some(folder) = filter.folder.as_ref().map(AssetFolder::as_str) {
        query.push(" AND (folder = ").push_bind(folder.to_owned());
        if filter.subfolders == Subfolders::With {
            query.push(" OR folder LIKE ").push_bind(format!("{}/%", literal(folder)));
        }
        query.push(")");
    }
    if let Some(uncleaned) = filter.uncleaned_svg {
        query.push(" AND (mime_type = 'image/svg+xml' AND NOT svg_sanitized) = ").push_bind(uncleaned);
    }
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
