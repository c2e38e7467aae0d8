//! The list of schedules.

use domain::TemplateSelector;
use sqlx::AssertSqlSafe;

use crate::error::StoreError;
use crate::jobs::pattern;
use crate::page::{Page, bounds};
use crate::reading::read;
use crate::schedules::{COLUMNS, ScheduleRecord, ScheduleRow, Schedules};

/// Which schedules are wanted; what is none wants all.
#[derive(Clone, Default, Debug)]
pub struct ScheduleFilter {
    /// Of that template.
    pub template_key: Option<String>,
    /// Of where that label leads.
    pub template_label: Option<String>,
    /// Those that are switched on, or those that are not.
    pub enabled: Option<bool>,
    /// Of templates that one of these selects.
    pub templates: Option<Vec<TemplateSelector>>,
}

impl Schedules<'_> {
    /// One page of the schedules, newest first. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, filter: &ScheduleFilter, limit: u32, offset: u64) -> Result<Page<ScheduleRecord>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "schedules.list", connection, {
            let (limit, offset) = bounds(limit, offset);
            let patterns: Option<Vec<String>> = filter.templates.as_ref().map(|selectors| selectors.iter().map(pattern).collect());
            let wanted = "tenant_id = $1 AND ($2::text IS NULL OR template_key = $2) AND ($3::text IS NULL OR template_label = $3)
                          AND ($4::boolean IS NULL OR enabled = $4) AND ($5::text[] IS NULL OR template_key LIKE ANY ($5))";
            let statement =
                format!("SELECT {COLUMNS} FROM schedules WHERE {wanted} ORDER BY created_at DESC, schedule_id DESC LIMIT $6 OFFSET $7");
            let rows: Vec<ScheduleRow> = sqlx::query_as(AssertSqlSafe(statement))
                .bind(self.0.tenant.as_str())
                .bind(&filter.template_key)
                .bind(&filter.template_label)
                .bind(filter.enabled)
                .bind(&patterns)
                .bind(limit)
                .bind(offset)
                .fetch_all(&mut *connection)
                .await?;
            let total = if let Some(total) = Page::<ScheduleRecord>::total_from_its_end(rows.len(), limit, offset) {
                total
            } else {
                let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM schedules WHERE {wanted}")))
                    .bind(self.0.tenant.as_str())
                    .bind(&filter.template_key)
                    .bind(&filter.template_label)
                    .bind(filter.enabled)
                    .bind(&patterns)
                    .fetch_one(&mut *connection)
                    .await?;
                u64::try_from(count).unwrap_or(0)
            };
            let items: Result<Vec<_>, StoreError> = rows.into_iter().map(ScheduleRecord::try_from).collect();
            Ok(Page { items: items?, total })
        })
        .await
    }
}
