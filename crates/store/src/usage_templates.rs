//! What each template costs, and which are not used at all.

use domain::usage::UsageWindow;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;

use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::reading::read;
use crate::usage::Usage;
use crate::usage_summary::{DurationPercentiles, count, percentiles};

/// What the list is ordered by; the largest first, the key last to first only where it is the order itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UsageTemplateSort {
    /// How often it was rendered.
    #[default]
    Renders,
    /// How often that ended in an error.
    Failed,
    /// Pages of all its PDFs.
    Pages,
    /// Bytes of all its documents.
    SizeBytes,
    /// Milliseconds of all its renders.
    DurationMs,
    /// Half of its renders took no longer.
    P50,
    /// 95 of 100 took no longer.
    P95,
    /// 99 of 100 took no longer.
    P99,
    /// When it was rendered last.
    LastRenderedAt,
    /// Its key, from the first to the last.
    Key,
}

impl UsageTemplateSort {
    /// Every order.
    pub const ALL: [Self; 10] = [
        Self::Renders,
        Self::Failed,
        Self::Pages,
        Self::SizeBytes,
        Self::DurationMs,
        Self::P50,
        Self::P95,
        Self::P99,
        Self::LastRenderedAt,
        Self::Key,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renders => "renders",
            Self::Failed => "failed",
            Self::Pages => "pages",
            Self::SizeBytes => "sizeBytes",
            Self::DurationMs => "durationMs",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::LastRenderedAt => "lastRenderedAt",
            Self::Key => "key",
        }
    }

    /// The order of that word, if there is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == word)
    }
}

/// Whether templates that nobody rendered are in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unused {
    /// They are not.
    Omitted,
    /// They are, with zero renders.
    Included,
}

/// What one template cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateUsage {
    /// Which one; it may have been deleted since.
    pub template: String,
    /// What it is called now; none when it has been deleted.
    pub name: Option<String>,
    /// How often it was rendered.
    pub renders: u64,
    /// How often that did not end in a document.
    pub failed: u64,
    /// Pages of all its PDFs.
    pub pages: u64,
    /// Bytes of all its documents.
    pub size_bytes: u64,
    /// Milliseconds of all its renders.
    pub duration_ms: u64,
    /// None when nobody rendered it.
    pub percentiles: Option<DurationPercentiles>,
    /// When it was rendered last, within the window.
    pub last_rendered_at: Option<Timestamp>,
}

impl Usage<'_> {
    /// One page of the templates in an order. `limit` counts up to [`crate::MAX_PAGE_ROWS`]. A page past the last template
    /// has no items, and its total is 0.
    pub async fn templates(
        &self,
        window: UsageWindow,
        unused: Unused,
        sort: UsageTemplateSort,
        limit: u32,
        offset: u64,
    ) -> Result<Page<TemplateUsage>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "usage.templates", connection, {
            let (limit, offset) = bounds(limit, offset);
            let rows = sqlx::query_as!(
                TemplateUsageRow,
                r#"WITH used AS (
                       SELECT template_key, count(*) AS renders, count(*) FILTER (WHERE outcome <> 'succeeded') AS failed,
                              sum(pages) AS pages, sum(size_bytes)::bigint AS size_bytes, sum(duration_ms) AS duration_ms,
                              percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms) AS percentiles,
                              max(rendered_at) AS last_rendered_at
                       FROM render_usage
                       WHERE tenant_id = $1 AND rendered_at >= $2 AND rendered_at < $3 AND template_key IS NOT NULL
                       GROUP BY 1),
                   known AS (SELECT template_key, name FROM templates WHERE tenant_id = $1 AND deleted_at IS NULL)
                   SELECT template_key AS "template!", name AS "name?", COALESCE(renders, 0) AS "renders!", COALESCE(failed, 0) AS "failed!",
                          COALESCE(pages, 0) AS "pages!", COALESCE(size_bytes, 0) AS "size_bytes!",
                          COALESCE(duration_ms, 0) AS "duration_ms!", percentiles AS "percentiles?",
                          last_rendered_at AS "last_rendered_at?: jiff_sqlx::Timestamp", count(*) OVER () AS "total!"
                   FROM used FULL JOIN known USING (template_key)
                   WHERE $4 OR used.renders > 0
                   ORDER BY CASE $5::text
                                WHEN 'renders' THEN renders
                                WHEN 'failed' THEN failed
                                WHEN 'pages' THEN pages
                                WHEN 'sizeBytes' THEN size_bytes
                                WHEN 'durationMs' THEN duration_ms
                                WHEN 'p50' THEN percentiles[1]
                                WHEN 'p95' THEN percentiles[2]
                                WHEN 'p99' THEN percentiles[3]
                                WHEN 'lastRenderedAt' THEN extract(epoch FROM last_rendered_at) * 1000000
                            END DESC NULLS LAST, template_key
                   LIMIT $6 OFFSET $7"#,
                self.0.tenant.as_str(),
                window.from().to_sqlx() as _,
                window.to().to_sqlx() as _,
                unused == Unused::Included,
                sort.as_str(),
                limit,
                offset
            )
            .fetch_all(&mut *connection)
            .await?;
            let total = rows.first().map_or(0, |row| count(row.total));
            Ok(Page { items: rows.into_iter().map(TemplateUsage::from).collect(), total })
        })
        .await
    }
}

struct TemplateUsageRow {
    template: String,
    name: Option<String>,
    renders: i64,
    failed: i64,
    pages: i64,
    size_bytes: i64,
    duration_ms: i64,
    percentiles: Option<Vec<i32>>,
    last_rendered_at: Option<jiff_sqlx::Timestamp>,
    total: i64,
}

impl From<TemplateUsageRow> for TemplateUsage {
    fn from(row: TemplateUsageRow) -> Self {
        Self {
            template: row.template,
            name: row.name,
            renders: count(row.renders),
            failed: count(row.failed),
            pages: count(row.pages),
            size_bytes: count(row.size_bytes),
            duration_ms: count(row.duration_ms),
            percentiles: row.percentiles.as_deref().and_then(percentiles),
            last_rendered_at: row.last_rendered_at.map(jiff_sqlx::Timestamp::to_jiff),
        }
    }
}
