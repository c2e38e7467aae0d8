//! The list of templates: filters, orders, pages.

use domain::TemplateSelector;
use domain::labels::LabelName;
use domain::templates::TemplateKey;
use sqlx::{Postgres, QueryBuilder};

use crate::error::StoreError;
use crate::listing::Listing;
use crate::page::Page;
use crate::patterns::{contains_pattern, literal};
use crate::reading::read;
use crate::template_folder_tree::{FolderFilter, Folders, resolve};
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
    /// With this label.
    pub label: Option<LabelName>,
    /// Lying there. A folder that nobody knows has none.
    pub folder: Option<FolderFilter>,
    /// In the trash, or not.
    pub state: TemplateState,
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
            label: None,
            folder: None,
            state: TemplateState::Active,
            reached: None,
            sort: TemplateSort::Key,
            order: SortOrder::Ascending,
            limit: 50,
            offset: 0,
        }
    }
}

/// Whether a list is of the templates there are, or of the trash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TemplateState {
    /// Those that can be used.
    #[default]
    Active,
    /// Those in the trash. One key can be there several times.
    Deleted,
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
    /// When it was put into the trash. Those that are not there follow their keys.
    DeletedAt,
}

impl TemplateSort {
    /// The columns of the order with their types, which together are different for any two templates. Each has an index that
    /// begins so, except some of the trash.
    fn columns(self, state: TemplateState) -> &'static [(&'static str, &'static str)] {
        use TemplateState::{Active, Deleted};
        const KEY: (&str, &str) = ("template_key", "text");
        const NAME: (&str, &str) = (r#"lower(name) COLLATE "C""#, "text");
        const CREATED: (&str, &str) = ("created_at", "timestamptz");
        const UPDATED: (&str, &str) = ("updated_at", "timestamptz");
        const DELETED: (&str, &str) = ("deleted_at", "timestamptz");
        const ID: (&str, &str) = ("template_id", "uuid");
        match (self, state) {
            (Self::Key | Self::DeletedAt, Active) => &[KEY],
            (Self::Name, Active) => &[NAME, KEY],
            (Self::CreatedAt, Active) => &[CREATED, KEY],
            (Self::UpdatedAt, Active) => &[UPDATED, KEY],
            (Self::Key, Deleted) => &[KEY, DELETED, ID],
            (Self::Name, Deleted) => &[NAME, KEY, ID],
            (Self::CreatedAt, Deleted) => &[CREATED, KEY, ID],
            (Self::UpdatedAt, Deleted) => &[UPDATED, KEY, ID],
            (Self::DeletedAt, Deleted) => &[DELETED, KEY, ID],
        }
    }
}

/// Which way a list goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortOrder {
    /// Smallest or oldest first.
    Ascending,
    /// Largest or newest first.
    Descending,
}

pub(crate) async fn list(handle: &TenantStore, filter: &TemplateFilter) -> Result<Page<TemplateSummary>, StoreError> {
    read!(handle.store, Some(&handle.tenant), "templates.list", connection, {
        let Some(folders) = resolve(&mut connection, handle, filter.folder.as_ref()).await? else {
            return Ok(Page { items: Vec::new(), total: 0 });
        };
        let TemplateFilter { q, kind, keys, tags, owner, label, folder: _, state, reached, sort, order, limit, offset } = filter;
        let listing = Listing {
            tenant: Some(&handle.tenant),
            table: "templates",
            id: "template_id",
            columns: COLUMNS,
            order: sort.columns(*state),
            direction: *order,
            filter: Some(format!("{:?}", (q, kind, keys, tags, owner, label, state, reached, &folders))),
            conditions: &|query| push_conditions(query, handle, filter, &folders),
        };
        let (rows, total) = listing.page::<TemplateRow>(&handle.store, &mut connection, *limit, *offset).await?;
        let items = rows.into_iter().map(TemplateSummary::try_from).collect::<Result<_, _>>()?;
        Ok(Page { items, total })
    })
    .await
}

fn push_conditions(query: &mut QueryBuilder<Postgres>, handle: &TenantStore, filter: &TemplateFilter, folders: &Folders) {
    query.push("tenant_id = ").push_bind(handle.tenant.as_str().to_owned());
    query.push(match filter.state {
        TemplateState::Active => " AND deleted_at IS NULL",
        TemplateState::Deleted => " AND deleted_at IS NOT NULL",
    });
    if let Some(text) = filter.q.as_deref().filter(|text| !text.is_empty()) {
        let pattern = contains_pattern(text);
        query.push(" AND (template_key ILIKE ").push_bind(pattern.clone()).push(" OR name ILIKE ").push_bind(pattern).push(")");
    }
    if let Some(kind) = filter.kind {
        query.push(" AND kind = ").push_bind(kind.as_str());
    }
    if !filter.keys.is_empty() {
        let keys: Vec<String> = filter.keys.iter().map(ToString::to_string).collect();
        query.push(" AND template_key = ANY (").push_bind(keys).push(")");
    }
    if !filter.tags.is_empty() {
        query.push(" AND tags @> ").push_bind(filter.tags.clone());
    }
    if let Some(owner) = &filter.owner {
        query.push(" AND owner = ").push_bind(owner.clone());
    }
    if let Some(label) = &filter.label {
        query
            .push(" AND EXISTS (SELECT FROM template_labels l WHERE l.template_id = templates.template_id AND l.label = ")
            .push_bind(label.as_str().to_owned())
            .push(")");
    }
    match folders {
        Folders::Any => {}
        Folders::Top => {
            query.push(" AND folder_id IS NULL");
        }
        Folders::Of(folders) => {
            query.push(" AND folder_id = ANY (").push_bind(folders.clone()).push(")");
        }
    }
    if let Some(reached) = &filter.reached {
        query.push(" AND template_key LIKE ANY (").push_bind(selected_patterns(reached)).push(")");
    }
}

const COLUMNS: &str = "template_id, template_key, name, description, kind, tags, owner,
            current_major, current_minor, current_patch, created_at, updated_at, folder_id,
            (SELECT path FROM template_folders f WHERE f.folder_id = templates.folder_id) AS folder_path, deleted_at, deleted_by";

/// Patterns for LIKE that find what the selectors select.
pub(crate) fn selected_patterns(selectors: &[TemplateSelector]) -> Vec<String> {
    selectors.iter().map(selected_pattern).collect()
}

/// A pattern for LIKE that finds what the selector selects.
fn selected_pattern(selector: &TemplateSelector) -> String {
    match selector.as_str().strip_suffix('*') {
        Some(beginning) => format!("{}%", literal(beginning)),
        None => literal(selector.as_str()),
    }
}
