//! The list of stored documents: filters and pages, the newest first.

use domain::TemplateSelector;
use domain::documents::DocumentSource;
use domain::usage::UsageMetadata;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{Postgres, QueryBuilder};

use crate::documents::{DocumentRecord, DocumentRow, Documents};
use crate::error::StoreError;
use crate::listing::Listing;
use crate::page::Page;
use crate::reading::read;
use crate::template_list::{SortOrder, selected_patterns};

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
        read!(self.0.store, Some(&self.0.tenant), "documents.list", connection, {
            let now = self.0.store.now();
            let listing = Listing {
                tenant: Some(&self.0.tenant),
                table: "documents",
                id: "document_id",
                columns: COLUMNS,
                order: &[("created_at", "timestamptz"), ("document_id", "uuid")],
                direction: SortOrder::Descending,
                // Documents end with their time.
                filter: None,
                conditions: &|query| self.push_conditions(query, filter, now),
            };
            let (rows, total) = listing.page::<DocumentRow>(&self.0.store, &mut connection, limit, offset).await?;
            let items = rows.into_iter().map(DocumentRow::record).collect::<Result<_, _>>()?;
            Ok(Page { items, total })
        })
        .await
    }

    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>, filter: &DocumentFilter, now: jiff_sqlx::Timestamp) {
        query.push("tenant_id = ").push_bind(self.0.tenant.as_str().to_owned()).push(" AND expires_at > ").push_bind(now);
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
