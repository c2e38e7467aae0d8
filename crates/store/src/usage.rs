//! Usage: one row for each render, written in groups, and the sums per tenant and month that come with them.

use std::borrow::Borrow;

use domain::ids::{RequestId, UsageId};
use domain::quotas::UsageTotals;
use domain::templates::{TemplateKey, TemplateVersion};
use domain::usage::{RenderMode, RenderOutcome, UsageMetadata};
use domain::{Actor, Month, Scope, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::tenants::TenantStore;

/// The most rows that one [`UsageOfAll::insert`] takes: about a megabyte of statement.
pub const MAX_USAGE_INSERT_ROWS: usize = 2_000;

/// A render that has ended.
#[derive(Clone, Debug)]
pub struct NewUsage {
    /// Whose it is.
    pub tenant: TenantId,
    /// Names it; made with [`UsageId::generate_at`] from `rendered_at`. Two rows of the same id are one.
    pub usage_id: UsageId,
    /// When it ended.
    pub rendered_at: Timestamp,
    /// Who asked for it.
    pub actor: Option<Actor>,
    /// The stored template; none for a definition that came with the request.
    pub template: Option<TemplateKey>,
    /// The version of it that was rendered.
    pub version: Option<TemplateVersion>,
    /// The label that led to the version, up to 128 characters.
    pub label: Option<Box<str>>,
    /// `pdf`, `html`, … up to 16 characters.
    pub format: &'static str,
    /// How it came about.
    pub mode: RenderMode,
    /// How it ended.
    pub outcome: RenderOutcome,
    /// Milliseconds from the admission to the end, the wait for a tab included.
    pub duration_ms: u32,
    /// Pages of a PDF; zero for anything else.
    pub pages: u32,
    /// Bytes of the document.
    pub size_bytes: u64,
    /// SHA-256 of the data as compact JSON in the order it came in; none when it ended before the data was looked at.
    pub data_sha256: Option<[u8; 32]>,
    /// SHA-256 of the document.
    pub output_sha256: Option<[u8; 32]>,
    /// What the caller gave to find it by.
    pub metadata: UsageMetadata,
    /// What the caller calls the whole of which this is a part, up to 200 characters.
    pub correlation_id: Option<Box<str>>,
}

impl NewUsage {
    /// What it adds to its tenant's month.
    pub fn totals(&self) -> UsageTotals {
        UsageTotals {
            renders: u64::from(self.outcome == RenderOutcome::Succeeded),
            render_ms: self.duration_ms.into(),
            pages: self.pages.into(),
            size_bytes: self.size_bytes,
        }
    }
}

/// What a tenant has used in a month, in the whole cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsagePeriod {
    /// Which tenant.
    pub tenant: TenantId,
    /// Which month.
    pub month: Month,
    /// How much.
    pub totals: UsageTotals,
}

/// A render as the log has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageRecord {
    /// Names it.
    pub usage_id: UsageId,
    /// Whose it is.
    pub tenant: TenantId,
    /// When it ended.
    pub rendered_at: Timestamp,
    /// Who asked for it.
    pub actor: Option<String>,
    /// The scope of the credential it was asked for with.
    pub credential_scope: Option<String>,
    /// The request it belongs to.
    pub request_id: Option<RequestId>,
    /// The process that rendered.
    pub instance_id: String,
    /// The stored template; none for a definition that came with the request.
    pub template: Option<String>,
    /// The version of it.
    pub version: Option<String>,
    /// The label that led to the version.
    pub label: Option<String>,
    /// `pdf`, `html`, ….
    pub format: String,
    /// `single`, `batch`, `async` or `scheduled`.
    pub mode: String,
    /// `succeeded`, `cancelled` or the error code.
    pub outcome: String,
    /// Milliseconds from the admission to the end.
    pub duration_ms: u32,
    /// Pages of a PDF.
    pub pages: u32,
    /// Bytes of the document.
    pub size_bytes: u64,
    /// SHA-256 of the data, 32 bytes.
    pub data_sha256: Option<Vec<u8>>,
    /// SHA-256 of the document, 32 bytes.
    pub output_sha256: Option<Vec<u8>>,
    /// What the caller gave to find it by.
    pub metadata: UsageMetadata,
    /// What the caller calls the whole of which this is a part.
    pub correlation_id: Option<String>,
}

/// The renders of one tenant.
pub struct Usage<'a>(pub(crate) &'a TenantStore);

/// The renders of all tenants. Only what acts for the whole installation has a reason to ask for them.
pub struct UsageOfAll<'a>(pub(crate) &'a Store);

impl TenantStore {
    /// What was rendered.
    pub fn usage(&self) -> Usage<'_> {
        Usage(self)
    }
}

impl Store {
    /// What was rendered for all tenants.
    pub fn usage(&self) -> UsageOfAll<'_> {
        UsageOfAll(self)
    }
}

impl Usage<'_> {
    /// What the tenant has used in a month.
    pub async fn totals(&self, month: Month) -> Result<UsageTotals, StoreError> {
        speak!(self.0.store, "usage.totals", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query!(
                "SELECT renders, render_ms, pages, size_bytes FROM usage_periods WHERE tenant_id = $1 AND period_start = $2",
                self.0.tenant.as_str(),
                month.start().to_sqlx() as _
            )
            .fetch_optional(&mut *connection)
            .await?;
            Ok(row.map_or_else(UsageTotals::default, |row| totals(row.renders, row.render_ms, row.pages, row.size_bytes)))
        })
        .await
    }

    /// Removes up to `max_rows` of the tenant's rows, and with the last of them its sums; says how many rows went. For
    /// taking a tenant away: call it until it removes fewer.
    pub async fn delete_all(&self, max_rows: u32) -> Result<u64, StoreError> {
        speak!(self.0.store, "usage.delete_all", {
            let mut connection = self.0.store.acquire().await?;
            let deleted = sqlx::query!(
                "DELETE FROM render_usage
                 WHERE tenant_id = $1 AND (rendered_at, usage_id) IN
                       (SELECT rendered_at, usage_id FROM render_usage WHERE tenant_id = $1 ORDER BY rendered_at, usage_id LIMIT $2)",
                self.0.tenant.as_str(),
                i64::from(max_rows)
            )
            .execute(&mut *connection)
            .await?
            .rows_affected();
            if deleted < u64::from(max_rows) {
                sqlx::query!("DELETE FROM usage_periods WHERE tenant_id = $1", self.0.tenant.as_str()).execute(&mut *connection).await?;
            }
            Ok(deleted)
        })
        .await
    }
}

impl UsageOfAll<'_> {
    /// Writes up to [`MAX_USAGE_INSERT_ROWS`] rows and counts those that were not there before into their months, all or
    /// nothing. Gives what their tenants have used in those months, whichever replica counted it.
    ///
    /// Writing the same rows again changes nothing, so a call whose answer was lost is simply repeated. It is no change
    /// by a person, so no audit event goes with it; one statement needs no transaction around it.
    pub async fn insert(&self, rows: &[impl Borrow<NewUsage> + Sync]) -> Result<Vec<UsagePeriod>, StoreError> {
        speak!(self.0, "usage.insert", {
            let columns = Columns::of(rows, self.0.instance_id());
            let mut connection = self.0.acquire().await?;
            let counted = columns.insert(&mut connection).await?;
            let mut periods: Vec<(TenantId, Month)> =
                rows.iter().map(Borrow::borrow).map(|row: &NewUsage| (row.tenant.clone(), Month::of(row.rendered_at))).collect();
            periods.sort_unstable();
            periods.dedup();
            if counted.len() >= periods.len() {
                return Ok(counted);
            }
            // Nothing of theirs was new, so nothing was said about them.
            periods_of(&mut connection, &periods).await
        })
        .await
    }
}

async fn periods_of(connection: &mut sqlx::PgConnection, periods: &[(TenantId, Month)]) -> Result<Vec<UsagePeriod>, StoreError> {
    let tenants: Vec<String> = periods.iter().map(|(tenant, _)| tenant.to_string()).collect();
    let starts: Vec<jiff_sqlx::Timestamp> = periods.iter().map(|(_, month)| month.start().to_sqlx()).collect();
    let rows = sqlx::query_as!(
        PeriodRow,
        "SELECT tenant_id, period_start, renders, render_ms, pages, size_bytes FROM usage_periods
         WHERE (tenant_id, period_start) IN (SELECT * FROM UNNEST($1::text[], $2::timestamptz[]))",
        &tenants,
        &starts as _
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(UsagePeriod::try_from).collect()
}

/// Rows turned into columns, which is how one statement takes many of them.
#[derive(Default)]
struct Columns {
    tenants: Vec<String>,
    rendered_at: Vec<jiff_sqlx::Timestamp>,
    ids: Vec<Uuid>,
    actors: Vec<Option<String>>,
    scopes: Vec<Option<&'static str>>,
    requests: Vec<Option<Uuid>>,
    instance: String,
    templates: Vec<Option<String>>,
    versions: Vec<Option<String>>,
    labels: Vec<Option<String>>,
    formats: Vec<&'static str>,
    modes: Vec<&'static str>,
    outcomes: Vec<&'static str>,
    durations: Vec<i32>,
    pages: Vec<i32>,
    sizes: Vec<i64>,
    data: Vec<Option<Vec<u8>>>,
    outputs: Vec<Option<Vec<u8>>>,
    metadata: Vec<Option<String>>,
    correlations: Vec<Option<String>>,
}

impl Columns {
    fn of(rows: &[impl Borrow<NewUsage>], instance_id: &str) -> Self {
        let mut columns = Self { instance: storable(instance_id, 128), ..Self::default() };
        for row in rows.iter().take(MAX_USAGE_INSERT_ROWS).map(Borrow::borrow) {
            columns.push(row);
        }
        columns
    }

    fn push(&mut self, row: &NewUsage) {
        self.tenants.push(row.tenant.to_string());
        self.rendered_at.push(row.rendered_at.to_sqlx());
        self.ids.push(row.usage_id.as_uuid());
        self.actors.push(row.actor.as_ref().map(|actor| storable(&actor.name, Actor::NAME_CHARS)));
        self.scopes.push(row.actor.as_ref().and_then(|actor| actor.scope).map(Scope::as_str));
        self.requests.push(row.actor.as_ref().and_then(|actor| actor.request_id).map(RequestId::as_uuid));
        self.templates.push(row.template.as_ref().map(ToString::to_string));
        self.versions.push(row.version.as_ref().map(ToString::to_string));
        self.labels.push(row.label.as_deref().map(|label| storable(label, 128)));
        self.formats.push(row.format);
        self.modes.push(row.mode.as_str());
        self.outcomes.push(row.outcome.as_str());
        self.durations.push(i32::try_from(row.duration_ms).unwrap_or(i32::MAX));
        self.pages.push(i32::try_from(row.pages).unwrap_or(i32::MAX));
        self.sizes.push(i64::try_from(row.size_bytes).unwrap_or(i64::MAX));
        self.data.push(row.data_sha256.map(Vec::from));
        self.outputs.push(row.output_sha256.map(Vec::from));
        self.metadata.push((!row.metadata.is_empty()).then(|| row.metadata.to_string()));
        self.correlations.push(row.correlation_id.as_deref().map(|id| storable(id, 200)));
    }

    async fn insert(self, connection: &mut sqlx::PgConnection) -> Result<Vec<UsagePeriod>, StoreError> {
        // The order of the sums is the same in every replica, so that two flushes never wait for each other in a circle.
        let rows = sqlx::query_as!(
            PeriodRow,
            r#"WITH inserted AS (
                   INSERT INTO render_usage (tenant_id, rendered_at, usage_id, actor, credential_scope, request_id, instance_id,
                                             template_key, template_version, label, format, mode, outcome, duration_ms, pages,
                                             size_bytes, data_sha256, output_sha256, metadata, correlation_id)
                   SELECT tenant_id, rendered_at, usage_id, actor, credential_scope, request_id, $20, template_key, template_version,
                          label, format, mode, outcome, duration_ms, pages, size_bytes, data_sha256, output_sha256,
                          metadata::jsonb, correlation_id
                   FROM UNNEST($1::text[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[],
                               $9::text[], $10::text[], $11::text[], $12::text[], $13::int[], $14::int[], $15::bigint[], $16::bytea[],
                               $17::bytea[], $18::text[], $19::text[])
                        AS row (tenant_id, rendered_at, usage_id, actor, credential_scope, request_id, template_key, template_version,
                                label, format, mode, outcome, duration_ms, pages, size_bytes, data_sha256, output_sha256, metadata,
                                correlation_id)
                   ON CONFLICT DO NOTHING
                   RETURNING tenant_id, rendered_at, outcome, duration_ms, pages, size_bytes)
               INSERT INTO usage_periods AS period (tenant_id, period_start, renders, render_ms, pages, size_bytes)
               SELECT tenant_id, date_trunc('month', rendered_at, 'UTC'), count(*) FILTER (WHERE outcome = 'succeeded'),
                      sum(duration_ms), sum(pages), sum(size_bytes)
               FROM inserted GROUP BY 1, 2 ORDER BY 1, 2
               ON CONFLICT (tenant_id, period_start) DO UPDATE
               SET renders = period.renders + EXCLUDED.renders, render_ms = period.render_ms + EXCLUDED.render_ms,
                   pages = period.pages + EXCLUDED.pages, size_bytes = period.size_bytes + EXCLUDED.size_bytes
               RETURNING tenant_id, period_start, renders, render_ms, pages, size_bytes"#,
            &self.tenants,
            &self.rendered_at as _,
            &self.ids,
            &self.actors as _,
            &self.scopes as _,
            &self.requests as _,
            &self.templates as _,
            &self.versions as _,
            &self.labels as _,
            &self.formats as _,
            &self.modes as _,
            &self.outcomes as _,
            &self.durations,
            &self.pages,
            &self.sizes,
            &self.data as _,
            &self.outputs as _,
            &self.metadata as _,
            &self.correlations as _,
            self.instance
        )
        .fetch_all(connection)
        .await?;
        rows.into_iter().map(UsagePeriod::try_from).collect()
    }
}

/// A text that its column takes: one that it refused would keep all rows of its group from being written.
fn storable(text: &str, most_chars: usize) -> String {
    text.chars().take(most_chars).map(|character| if character == '\0' { '\u{FFFD}' } else { character }).collect()
}

struct PeriodRow {
    tenant_id: String,
    period_start: jiff_sqlx::Timestamp,
    renders: i64,
    render_ms: i64,
    pages: i64,
    size_bytes: i64,
}

impl TryFrom<PeriodRow> for UsagePeriod {
    type Error = StoreError;

    fn try_from(row: PeriodRow) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: row.tenant_id.parse().map_err(|error| StoreError::inconsistent("usage_periods", error))?,
            month: Month::of(row.period_start.to_jiff()),
            totals: totals(row.renders, row.render_ms, row.pages, row.size_bytes),
        })
    }
}

/// The sums as they come; a CHECK keeps them from being negative.
pub(crate) fn totals(renders: i64, render_ms: i64, pages: i64, size_bytes: i64) -> UsageTotals {
    let [renders, render_ms, pages, size_bytes] = [renders, render_ms, pages, size_bytes].map(|sum| u64::try_from(sum).unwrap_or(0));
    UsageTotals { renders, render_ms, pages, size_bytes }
}
