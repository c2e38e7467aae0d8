//! What renders cost, summed up by one of their properties.

use crate::connect::Store;
use crate::error::StoreError;
use crate::reading::read;
use crate::usage::{Usage, UsageOfAll};
use crate::usage_list::{Arguments, UsageFilter, of_filtered};

/// The most groups of one summary; of more, those with the most renders are told.
pub const MAX_USAGE_GROUPS: u32 = 10_000;

/// What renders are summed up by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UsageGroup {
    /// Who asked.
    Actor,
    /// The stored template's key.
    Template,
    /// Whose they are.
    Tenant,
    /// The day in UTC, as `2026-11-21`.
    Day,
    /// `pdf`, `html`, ….
    Format,
    /// How they ended: `succeeded`, `cancelled` or the error code.
    Status,
}

impl UsageGroup {
    /// Every property.
    pub const ALL: [Self; 6] = [Self::Actor, Self::Template, Self::Tenant, Self::Day, Self::Format, Self::Status];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Template => "template",
            Self::Tenant => "tenant",
            Self::Day => "day",
            Self::Format => "format",
            Self::Status => "status",
        }
    }

    /// The property of that word, if there is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.as_str() == word)
    }
}

/// Whether durations are looked at one by one, which costs sorting them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Percentiles {
    /// Only their sum.
    Omitted,
    /// The 50th, 95th and 99th percentile as well.
    Included,
}

/// Durations that so many of the renders did not exceed, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DurationPercentiles {
    /// Half of them.
    pub p50_ms: u32,
    /// 95 of 100.
    pub p95_ms: u32,
    /// 99 of 100.
    pub p99_ms: u32,
}

/// What the renders of one group cost together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageSummary {
    /// What they have in common; none where the property has no value, such as the template of an inline definition.
    pub group: Option<String>,
    /// How many there were.
    pub renders: u64,
    /// How many of them did not end in a document.
    pub failed: u64,
    /// Pages of their PDFs.
    pub pages: u64,
    /// Bytes of their documents.
    pub size_bytes: u64,
    /// Milliseconds of all of them.
    pub duration_ms: u64,
    /// Where asked for.
    pub percentiles: Option<DurationPercentiles>,
}

/// The groups of a filter, those with the most renders first; days in their order.
macro_rules! summarize {
    ($($scope:ident)+, $percentiles:tt, $arguments:expr, $by:expr) => {
        of_filtered!(
            $($scope)+,
            query_as!(SummaryRow),
            [r#"SELECT CASE $12::text
                           WHEN 'actor' THEN actor
                           WHEN 'template' THEN template_key
                           WHEN 'tenant' THEN tenant_id
                           WHEN 'day' THEN to_char(rendered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                           WHEN 'format' THEN format
                           ELSE outcome
                       END AS "group",
                       count(*) AS "renders!",
                       count(*) FILTER (WHERE outcome <> 'succeeded') AS "failed!",
                       sum(pages) AS "pages!",
                       sum(size_bytes)::bigint AS "size_bytes!",
                       sum(duration_ms) AS "duration_ms!", "# + $percentiles],
            ["GROUP BY 1 ORDER BY CASE WHEN $12 = 'day' THEN 0 ELSE -count(*) END, 1 LIMIT $13"],
            $arguments,
            $by.as_str(),
            i64::from(MAX_USAGE_GROUPS)
        )
    };
}

/// Percentiles as a column; the durations are sorted only where it is asked for.
macro_rules! with {
    ($percentiles:expr, $rows:ident!($($scope:ident)+, $arguments:expr, $by:expr), $connection:expr) => {
        match $percentiles {
            Percentiles::Omitted => {
                $rows!($($scope)+, r#"NULL::int[] AS "percentiles""#, $arguments, $by).fetch_all($connection).await?
            }
            Percentiles::Included => {
                $rows!(
                    $($scope)+,
                    r#"percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms) AS "percentiles""#,
                    $arguments,
                    $by
                )
                .fetch_all($connection)
                .await?
            }
        }
    };
}

impl Usage<'_> {
    /// The renders of a filter in groups, up to [`MAX_USAGE_GROUPS`] of them.
    pub async fn summary(&self, filter: &UsageFilter, by: UsageGroup, percentiles: Percentiles) -> Result<Vec<UsageSummary>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "usage.summary", connection, {
            let arguments = Arguments::of(filter, Some(&self.0.tenant));
            let rows = with!(percentiles, summarize!(one tenant, arguments, by), &mut *connection);
            Ok(rows.into_iter().map(UsageSummary::from).collect())
        })
        .await
    }
}

impl UsageOfAll<'_> {
    /// The renders of all tenants in groups, up to [`MAX_USAGE_GROUPS`] of them.
    pub async fn summary(&self, filter: &UsageFilter, by: UsageGroup, percentiles: Percentiles) -> Result<Vec<UsageSummary>, StoreError> {
        let store: &Store = self.0;
        read!(store, None, "usage.summary_of_all", connection, {
            let arguments = Arguments::of(filter, None);
            let rows = with!(percentiles, summarize!(all tenants, arguments, by), &mut *connection);
            Ok(rows.into_iter().map(UsageSummary::from).collect())
        })
        .await
    }
}

struct SummaryRow {
    group: Option<String>,
    renders: i64,
    failed: i64,
    pages: i64,
    size_bytes: i64,
    duration_ms: i64,
    percentiles: Option<Vec<i32>>,
}

impl From<SummaryRow> for UsageSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            group: row.group,
            renders: count(row.renders),
            failed: count(row.failed),
            pages: count(row.pages),
            size_bytes: count(row.size_bytes),
            duration_ms: count(row.duration_ms),
            percentiles: row.percentiles.as_deref().and_then(percentiles),
        }
    }
}

/// No sum of these is negative.
pub(crate) fn count(sum: i64) -> u64 {
    u64::try_from(sum).unwrap_or(0)
}

pub(crate) fn percentiles(three: &[i32]) -> Option<DurationPercentiles> {
    let milliseconds = |duration: &i32| u32::try_from(*duration).unwrap_or(0);
    let [p50, p95, p99] = three else { return None };
    Some(DurationPercentiles { p50_ms: milliseconds(p50), p95_ms: milliseconds(p95), p99_ms: milliseconds(p99) })
}
