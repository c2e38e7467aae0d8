//! The list of templates: filters, orders, pages.

use domain::TemplateSelector;
use domain::labels::LabelName;
use domain::templates::TemplateKey;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::error::StoreError;
use crate::page::{End, Page, Span, bounds};
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
    /// The columns of the order, which together are different for any two templates. Each has an index that begins so,
    /// except some of the trash.
    fn columns(self, state: TemplateState) -> &'static [&'static str] {
        use TemplateState::{Active, Deleted};
        match (self, state) {
            (Self::Key | Self::DeletedAt, Active) => &["template_key"],
            (Self::Name, Active) => &[r#"lower(name) COLLATE "C""#, "template_key"],
            (Self::CreatedAt, Active) => &["created_at", "template_key"],
            (Self::UpdatedAt, Active) => &["updated_at", "template_key"],
            (Self::Key, Deleted) => &["template_key", "deleted_at", "template_id"],
            (Self::Name, Deleted) => &[r#"lower(name) COLLATE "C""#, "template_key", "template_id"],
            (Self::CreatedAt, Deleted) => &["created_at", "template_key", "template_id"],
            (Self::UpdatedAt, Deleted) => &["updated_at", "template_key", "template_id"],
            (Self::DeletedAt, Deleted) => &["deleted_at", "template_key", "template_id"],
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
    let (limit, offset) = bounds(filter.limit, filter.offset);
    read!(handle.store, Some(&handle.tenant), "templates.list", connection, {
        let Some(folders) = resolve(&mut connection, handle, filter.folder.as_ref()).await? else {
            return Ok(Page { items: Vec::new(), total: 0 });
        };
        let question = Question { handle, filter, folders: &folders };
        let (rows, total) = if offset == 0 {
            let rows = question.page(&mut connection, Span { limit, offset, from: End::Front }).await?;
            let total = match Page::<TemplateSummary>::total_from_its_end(rows.len(), limit, offset) {
                Some(total) => total,
                None => question.count(&mut connection).await?,
            };
            (rows, total)
        } else {
            let total = question.count(&mut connection).await?;
            match Span::nearer(limit, offset, total) {
                Some(span) => (question.page(&mut connection, span).await?, total),
                None => (Vec::new(), total),
            }
        };
        let items = rows.into_iter().map(TemplateSummary::try_from).collect::<Result<_, _>>()?;
        Ok(Page { items, total })
    })
    .await
}

/// What is asked, without the page. Only the conditions that are asked for come into a statement: one with all of them would
/// use the index of none. The statements are not kept prepared, so that each is planned for its own values: a plan for any
/// page reads the table for a tenth of it.
struct Question<'a> {
    handle: &'a TenantStore,
    filter: &'a TemplateFilter,
    folders: &'a Folders,
}

impl Question<'_> {
    /// How many match: the same on every page, as long as nothing changes.
    async fn count(&self, connection: &mut PgConnection) -> Result<u64, StoreError> {
        let TemplateFilter { q, kind, keys, tags, owner, label, folder: _, state, reached, sort: _, order: _, limit: _, offset: _ } =
            self.filter;
        let asked = format!("templates {:?}", (q, kind, keys, tags, owner, label, state, reached, self.folders));
        let totals = self.handle.store.totals();
        let asked = totals.ask(connection, &self.handle.tenant, asked).await?;
        if let Some(total) = asked.total {
            return Ok(total);
        }
        let mut query = QueryBuilder::new("SELECT count(*)");
        self.push_conditions(&mut query);
        let count: i64 = query.build_query_scalar().persistent(false).fetch_one(&mut *connection).await?;
        totals.keep(connection, asked, u64::try_from(count).unwrap_or(0)).await
    }

    /// The rows of that span in the order that was asked for. The ids come first, from an index alone where there is one of
    /// all that is asked for, so that the rows before the page are not read.
    async fn page(&self, connection: &mut PgConnection, span: Span) -> Result<Vec<TemplateRow>, StoreError> {
        let descending = (self.filter.order == SortOrder::Descending) != (span.from == End::Back);
        let direction = if descending { " DESC" } else { "" };
        let order: Vec<String> = self.filter.sort.columns(self.filter.state).iter().map(|column| format!("{column}{direction}")).collect();
        let order = order.join(", ");
        let mut query = QueryBuilder::new("WITH page AS MATERIALIZED (SELECT template_id");
        self.push_conditions(&mut query);
        query.push(" ORDER BY ").push(&order).push(" LIMIT ").push_bind(span.limit).push(" OFFSET ").push_bind(span.offset);
        query.push(ROWS_OF_PAGE).push(" ORDER BY ").push(&order);
        let mut rows: Vec<TemplateRow> = query.build_query_as().persistent(false).fetch_all(connection).await?;
        if span.from == End::Back {
            rows.reverse();
        }
        Ok(rows)
    }

    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>) {
        let filter = self.filter;
        query.push(" FROM templates WHERE tenant_id = ").push_bind(self.handle.tenant.as_str().to_owned());
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
        match self.folders {
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
}

const ROWS_OF_PAGE: &str = ") SELECT template_id, template_key, name, description, kind, tags, owner,
            current_major, current_minor, current_patch, created_at, updated_at, folder_id,
            (SELECT path FROM template_folders f WHERE f.folder_id = templates.folder_id) AS folder_path, deleted_at, deleted_by
     FROM page JOIN templates USING (template_id)";

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
