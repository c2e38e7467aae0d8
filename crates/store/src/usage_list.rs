//! The log of renders: pages, single rows, and batches for whoever reads all of it.

use domain::TenantId;
use domain::ids::UsageId;
use domain::usage::{RenderMode, RenderOutcome, UsageMetadata, UsageWindow};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::reading::read;
use crate::usage::{Usage, UsageOfAll, UsageRecord};

/// How the renders in question ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UsageStatus {
    /// In a document.
    Succeeded,
    /// In anything else.
    Failed,
    /// Exactly so: `cancelled`, or an error code.
    Exactly(String),
}

/// Which renders. What is `None` or empty filters nothing.
#[derive(Clone, Debug)]
pub struct UsageFilter {
    /// Those that ended in it.
    pub window: UsageWindow,
    /// Of this stored template.
    pub template: Option<String>,
    /// Asked for by exactly this actor.
    pub actor: Option<String>,
    /// That came about so.
    pub mode: Option<RenderMode>,
    /// That ended so.
    pub status: Option<UsageStatus>,
    /// `pdf`, `html`, ….
    pub format: Option<String>,
    /// Whose version this label led to.
    pub label: Option<String>,
    /// That have all of these words.
    pub metadata: UsageMetadata,
}

impl UsageFilter {
    /// All renders of a window.
    pub fn all(window: UsageWindow) -> Self {
        Self {
            window,
            template: None,
            actor: None,
            mode: None,
            status: None,
            format: None,
            label: None,
            metadata: UsageMetadata::default(),
        }
    }
}

/// Where a reader of all rows stands: after this one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageCursor {
    tenant: TenantId,
    rendered_at: Timestamp,
    usage_id: UsageId,
}

impl UsageRecord {
    /// The place after this row.
    pub fn cursor(&self) -> UsageCursor {
        UsageCursor { tenant: self.tenant.clone(), rendered_at: self.rendered_at, usage_id: self.usage_id }
    }
}

/// The filter as parameters of a statement.
pub(crate) struct Arguments<'a> {
    pub(crate) tenant: Option<&'a str>,
    pub(crate) from: jiff_sqlx::Timestamp,
    pub(crate) to: jiff_sqlx::Timestamp,
    pub(crate) template: Option<&'a str>,
    pub(crate) actor: Option<&'a str>,
    pub(crate) mode: Option<&'static str>,
    pub(crate) outcome: Option<&'a str>,
    /// Whether the outcome is to be this one, or any other.
    pub(crate) outcome_is: bool,
    pub(crate) format: Option<&'a str>,
    pub(crate) metadata: Option<String>,
    pub(crate) label: Option<&'a str>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn of(filter: &'a UsageFilter, tenant: Option<&'a TenantId>) -> Self {
        let (outcome, outcome_is) = match &filter.status {
            None => (None, true),
            Some(UsageStatus::Succeeded) => (Some(RenderOutcome::SUCCEEDED), true),
            Some(UsageStatus::Failed) => (Some(RenderOutcome::SUCCEEDED), false),
            Some(UsageStatus::Exactly(word)) => (Some(word.as_str()), true),
        };
        Self {
            tenant: tenant.map(TenantId::as_str),
            from: filter.window.from().to_sqlx(),
            to: filter.window.to().to_sqlx(),
            template: filter.template.as_deref(),
            actor: filter.actor.as_deref(),
            mode: filter.mode.map(RenderMode::as_str),
            outcome,
            outcome_is,
            format: filter.format.as_deref(),
            metadata: (!filter.metadata.is_empty()).then(|| filter.metadata.to_string()),
            label: filter.label.as_deref(),
        }
    }
}

/// A statement over the rows of a filter: what comes before FROM, and what after WHERE. One tenant's and all tenants' are
/// statements of their own: one that chose by a parameter could not rely on the index.
macro_rules! of_filtered {
    (one tenant, $($rest:tt)+) => { of_filtered!(@ "tenant_id = $1", $($rest)+) };
    (all tenants, $($rest:tt)+) => { of_filtered!(@ "$1::text IS NULL", $($rest)+) };
    (@ $scope:tt, $query:ident!($($row:ident)?), [$($before:tt)+], [$($after:tt)+], $arguments:expr $(, $more:expr)*) => {
        sqlx::$query!(
            $($row,)?
            $($before)+
                + " FROM render_usage WHERE "
                + $scope
                + " AND rendered_at >= $2 AND rendered_at < $3
                    AND ($4::text IS NULL OR template_key = $4)
                    AND ($5::text IS NULL OR actor = $5)
                    AND ($6::text IS NULL OR mode = $6)
                    AND ($7::text IS NULL OR (outcome = $7) = $8)
                    AND ($9::text IS NULL OR format = $9)
                    AND ($10::text IS NULL OR metadata @> $10::text::jsonb)
                    AND ($11::text IS NULL OR label = $11) "
                + $($after)+,
            $arguments.tenant,
            $arguments.from as _,
            $arguments.to as _,
            $arguments.template,
            $arguments.actor,
            $arguments.mode,
            $arguments.outcome,
            $arguments.outcome_is,
            $arguments.format,
            $arguments.metadata,
            $arguments.label
            $(, $more)*
        )
    };
}
pub(crate) use of_filtered;

/// Whole rows of the log.
macro_rules! records_of_filtered {
    ($($scope:ident)+, $after:tt, $($arguments:tt)+) => {
        of_filtered!(
            $($scope)+,
            query_as!(UsageRow),
            ["SELECT tenant_id, rendered_at, usage_id, actor, credential_scope, request_id, instance_id, template_key,
                     template_version, label, format, mode, outcome, duration_ms, pages, size_bytes, data_sha256, output_sha256,
                     metadata::text AS metadata, correlation_id"],
            [$after],
            $($arguments)+
        )
    };
}

impl Usage<'_> {
    /// One page of the renders, newest first.
    pub async fn list(&self, filter: &UsageFilter, limit: u32, offset: u64) -> Result<Page<UsageRecord>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "usage.list", connection, {
            let (limit, offset) = bounds(limit, offset);
            let arguments = Arguments::of(filter, Some(&self.0.tenant));
            let rows =
                records_of_filtered!(one tenant, "ORDER BY rendered_at DESC, usage_id DESC LIMIT $12 OFFSET $13", arguments, limit, offset)
                    .fetch_all(&mut *connection)
                    .await?;
            let known = Page::<UsageRecord>::total_from_its_end(rows.len(), limit, offset);
            let total = if let Some(total) = known {
                total
            } else {
                let count = of_filtered!(one tenant, query_scalar!(), [r#"SELECT count(*) AS "count!""#], [""], arguments);
                u64::try_from(count.fetch_one(&mut *connection).await?).unwrap_or(0)
            };
            Ok(Page { items: records(rows)?, total })
        })
        .await
    }

    /// The render of that id. The id's own time tells where to look.
    pub async fn get(&self, usage_id: UsageId) -> Result<Option<UsageRecord>, StoreError> {
        speak!(self.0.store, "usage.get", {
            let Some(moment) = usage_id.moment() else { return Ok(None) };
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                UsageRow,
                "SELECT tenant_id, rendered_at, usage_id, actor, credential_scope, request_id, instance_id, template_key,
                        template_version, label, format, mode, outcome, duration_ms, pages, size_bytes, data_sha256, output_sha256,
                        metadata::text AS metadata, correlation_id
                 FROM render_usage
                 WHERE tenant_id = $1 AND rendered_at >= $2 AND rendered_at < $2::timestamptz + interval '1 ms' AND usage_id = $3",
                self.0.tenant.as_str(),
                moment.to_sqlx() as _,
                usage_id.as_uuid()
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(UsageRecord::try_from).transpose()
        })
        .await
    }

    /// The next rows after a place, oldest first; an empty batch is the end. Up to [`crate::MAX_PAGE_ROWS`] at a time. No
    /// connection is held between two batches, and rows written meanwhile neither repeat nor hide others.
    pub async fn batch(&self, filter: &UsageFilter, after: Option<&UsageCursor>, limit: u32) -> Result<Vec<UsageRecord>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "usage.batch", connection, {
            let arguments = Arguments::of(filter, Some(&self.0.tenant));
            let (after_time, after_id) = place(after, arguments.from);
            let rows = records_of_filtered!(
                one tenant,
                "AND (rendered_at, usage_id) > ($12::timestamptz, $13::uuid) ORDER BY rendered_at, usage_id LIMIT $14",
                arguments,
                after_time as _,
                after_id,
                bounds(limit, 0).0
            )
            .fetch_all(&mut *connection)
            .await?;
            records(rows)
        })
        .await
    }
}

impl UsageOfAll<'_> {
    /// As [`Usage::batch`] for all tenants, one tenant after the other.
    pub async fn batch(&self, filter: &UsageFilter, after: Option<&UsageCursor>, limit: u32) -> Result<Vec<UsageRecord>, StoreError> {
        let store: &Store = self.0;
        read!(store, None, "usage.batch_of_all", connection, {
            let arguments = Arguments::of(filter, None);
            let (after_time, after_id) = place(after, arguments.from);
            let after_tenant = after.map_or("", |after| after.tenant.as_str());
            let rows = records_of_filtered!(
                all tenants,
                "AND (tenant_id, rendered_at, usage_id) > ($12::text, $13::timestamptz, $14::uuid)
                 ORDER BY tenant_id, rendered_at, usage_id LIMIT $15",
                arguments,
                after_tenant,
                after_time as _,
                after_id,
                bounds(limit, 0).0
            )
            .fetch_all(&mut *connection)
            .await?;
            records(rows)
        })
        .await
    }
}

/// The place as two columns; before all rows when there is none.
fn place(after: Option<&UsageCursor>, from: jiff_sqlx::Timestamp) -> (jiff_sqlx::Timestamp, Uuid) {
    after.map_or((from, Uuid::nil()), |after| (after.rendered_at.to_sqlx(), after.usage_id.as_uuid()))
}

struct UsageRow {
    tenant_id: String,
    rendered_at: jiff_sqlx::Timestamp,
    usage_id: Uuid,
    actor: Option<String>,
    credential_scope: Option<String>,
    request_id: Option<Uuid>,
    instance_id: String,
    template_key: Option<String>,
    template_version: Option<String>,
    label: Option<String>,
    format: String,
    mode: String,
    outcome: String,
    duration_ms: i32,
    pages: i32,
    size_bytes: i64,
    data_sha256: Option<Vec<u8>>,
    output_sha256: Option<Vec<u8>>,
    metadata: Option<String>,
    correlation_id: Option<String>,
}

fn records(rows: Vec<UsageRow>) -> Result<Vec<UsageRecord>, StoreError> {
    rows.into_iter().map(UsageRecord::try_from).collect()
}

impl TryFrom<UsageRow> for UsageRecord {
    type Error = StoreError;

    fn try_from(row: UsageRow) -> Result<Self, StoreError> {
        let metadata = row.metadata.as_deref().map(serde_json::from_str::<std::collections::BTreeMap<String, String>>).transpose();
        Ok(Self {
            usage_id: row.usage_id.into(),
            tenant: row.tenant_id.parse().map_err(|error| StoreError::inconsistent("render_usage", error))?,
            rendered_at: row.rendered_at.to_jiff(),
            actor: row.actor,
            credential_scope: row.credential_scope,
            request_id: row.request_id.map(Into::into),
            instance_id: row.instance_id,
            template: row.template_key,
            version: row.template_version,
            label: row.label,
            format: row.format,
            mode: row.mode,
            outcome: row.outcome,
            duration_ms: u32::try_from(row.duration_ms).unwrap_or(0),
            pages: u32::try_from(row.pages).unwrap_or(0),
            size_bytes: u64::try_from(row.size_bytes).unwrap_or(0),
            data_sha256: row.data_sha256,
            output_sha256: row.output_sha256,
            metadata: UsageMetadata::of(metadata.map_err(|error| StoreError::inconsistent("render_usage", error))?.unwrap_or_default()),
            correlation_id: row.correlation_id,
        })
    }
}
