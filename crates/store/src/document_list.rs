//! The list of stored documents: filters and pages, the newest first.

use domain::TemplateSelector;
use domain::documents::DocumentSource;
use domain::usage::UsageMetadata;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::documents::{DocumentRecord, DocumentRow, Documents};
use crate::error::StoreError;
use crate::page::{End, Page, Span, bounds};
use crate::reading::read;
use crate::template_list::selected_patterns;

/// Which documents, and how many of them. What is `None` or empty filters nothing.
#[derive(Clone, Debug, Default)]
pub struct DocumentFilter {
    /// Made from the template of this key.
    pub template: Option<String>,
    /// Of this kind of file.
    pub format: Option<String>,
    /// That came about so.
    pub source: Option<DocumentSource>,
    /// Stored at that moment or later.
    pub from: Option<Timestamp>,
    /// Stored before that moment.
    pub to: Option<Timestamp>,
    /// With all of these words.
    pub metadata: UsageMetadata,
    /// That this actor asked for.
    pub actor: Option<String>,
    /// Made from templates within the reach of these only; `None` means of all, and without a template.
    pub reached: Option<Vec<TemplateSelector>>,
}

const COLUMNS: &str = "document_id, format, content_type, filename, disposition, sha256, size_bytes, pages, source, template_key, \
     template_version, label, job_id, item_index, usage_id, request_id, actor, metadata::text AS metadata, created_at, expires_at, \
     download_count, max_downloads, last_downloaded_at, link_version";

impl Documents<'_> {
    /// One page of the documents whose time is not over, the newest first.
    pub async fn list(&self, filter: &DocumentFilter, limit: u32, offset: u64) -> Result<Page<DocumentRecord>, StoreError> {
        let (limit, offset) = bounds(limit, offset);
        read!(self.0.store, Some(&self.0.tenant), "documents.list", connection, {
            let question = Question { tenant: self.0.tenant.as_str(), now: self.0.store.now(), filter };
            let (rows, total) = if offset == 0 {
                let rows = question.page(&mut connection, Span { limit, offset, from: End::Front }).await?;
                let total = match Page::<DocumentRecord>::total_from_its_end(rows.len(), limit, offset) {
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
            let items = rows.into_iter().map(DocumentRow::record).collect::<Result<_, _>>()?;
            Ok(Page { items, total })
        })
        .await
    }
}

/// What is asked, without the page. Only the conditions that are asked for come into a statement, and each is planned for its
/// own values: see the list of templates.
struct Question<'a> {
    tenant: &'a str,
    now: jiff_sqlx::Timestamp,
    filter: &'a DocumentFilter,
}

impl Question<'_> {
    async fn count(&self, connection: &mut PgConnection) -> Result<u64, StoreError> {
        let mut query = QueryBuilder::new("SELECT count(*)");
        self.push_conditions(&mut query);
        let count: i64 = query.build_query_scalar().persistent(false).fetch_one(connection).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn page(&self, connection: &mut PgConnection, span: Span) -> Result<Vec<DocumentRow>, StoreError> {
        let order =
            if span.from == End::Back { " ORDER BY created_at, document_id" } else { " ORDER BY created_at DESC, document_id DESC" };
        let mut query = QueryBuilder::new("SELECT ");
        query.push(COLUMNS);
        self.push_conditions(&mut query);
        query.push(order).push(" LIMIT ").push_bind(span.limit).push(" OFFSET ").push_bind(span.offset);
        let mut rows: Vec<DocumentRow> = query.build_query_as().persistent(false).fetch_all(connection).await?;
        if span.from == End::Back {
            rows.reverse();
        }
        Ok(rows)
    }

    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>) {
        let filter = self.filter;
        query.push(" FROM documents WHERE tenant_id = ").push_bind(self.tenant.to_owned());
        query.push(" AND expires_at > ").push_bind(self.now);
        let texts = [(" AND template_key = ", &filter.template), (" AND format = ", &filter.format), (" AND actor = ", &filter.actor)];
        for (condition, value) in texts {
            if let Some(value) = value {
                query.push(condition).push_bind(value.clone());
            }
        }
        if let Some(source) = filter.source {
            query.push(" AND source = ").push_bind(source.as_str());
        }
        for (condition, moment) in [(" AND created_at >= ", filter.from), (" AND created_at < ", filter.to)] {
            if let Some(moment) = moment {
                query.push(condition).push_bind(moment.to_sqlx());
            }
        }
        if !filter.metadata.is_empty() {
            query.push(" AND metadata @> ").push_bind(filter.metadata.to_string()).push("::text::jsonb");
        }
        if let Some(reached) = &filter.reached {
            query.push(" AND template_key LIKE ANY (").push_bind(selected_patterns(reached)).push(")");
        }
    }
}
