//! How much a tenant may use, and the judgement whether it may go on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::months::Month;

/// The limits of one tenant. What is absent is not limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quotas {
    /// Documents in a calendar month (UTC). Failed renders do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renders_per_month: Option<u64>,
    /// Seconds that renders take in a calendar month (UTC), from their admission to their end, however they end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub render_seconds_per_month: Option<u64>,
    /// Renders under way at the same time on one replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_renders: Option<u32>,
    /// Bytes of stored documents and assets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<u64>,
    /// Requests a minute, of all its credentials and over all replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
}

/// What a tenant used in one month.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UsageTotals {
    /// Renders that ended in a document.
    pub renders: u64,
    /// Milliseconds of all renders.
    pub render_ms: u64,
    /// Pages of their PDFs.
    pub pages: u64,
    /// Bytes of the documents.
    pub size_bytes: u64,
}

impl UsageTotals {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            renders: self.renders.saturating_add(other.renders),
            render_ms: self.render_ms.saturating_add(other.render_ms),
            pages: self.pages.saturating_add(other.pages),
            size_bytes: self.size_bytes.saturating_add(other.size_bytes),
        }
    }

    /// This without a part of it.
    #[must_use]
    pub fn minus(self, part: Self) -> Self {
        Self {
            renders: self.renders.saturating_sub(part.renders),
            render_ms: self.render_ms.saturating_sub(part.render_ms),
            pages: self.pages.saturating_sub(part.pages),
            size_bytes: self.size_bytes.saturating_sub(part.size_bytes),
        }
    }
}

/// What a limit is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaDimension {
    /// Documents.
    Renders,
    /// Seconds of rendering.
    RenderSeconds,
    /// Renders at the same time.
    ConcurrentRenders,
    /// Bytes that are kept.
    StorageBytes,
}

impl QuotaDimension {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renders => "renders",
            Self::RenderSeconds => "render_seconds",
            Self::ConcurrentRenders => "concurrent_renders",
            Self::StorageBytes => "storage_bytes",
        }
    }
}

/// Where a tenant stands with one of its limits: the `quota` object of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaStanding {
    /// Whose limit it is: always `tenant`.
    pub scope: &'static str,
    /// What it is counted over: `month`, or `now` for what there is at the moment.
    pub period: &'static str,
    /// What is counted.
    pub dimension: QuotaDimension,
    /// How much there may be.
    pub limit: u64,
    /// How much there is.
    pub used: u64,
    /// How much is left.
    pub remaining: u64,
    /// When it is counted from zero again; of what there is at the moment, when a try may help.
    pub reset_at: Timestamp,
}

/// A limit is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the tenant has used {} of {} {} of this {}", .0.used, .0.limit, .0.dimension.as_str(), .0.period)]
pub struct QuotaExhausted(pub QuotaStanding);

impl QuotaExhausted {
    /// Whole seconds after `now` until a try may help, at least 1.
    pub fn retry_after_s(&self, now: Timestamp) -> u64 {
        let left = self.0.reset_at.duration_since(now);
        u64::try_from(left.as_secs() + i64::from(left.subsec_nanos() > 0)).unwrap_or(0).max(1)
    }
}

/// When a render under way may have made room.
const CONCURRENT_RETRY_MS: i64 = 1_000;

impl Quotas {
    /// Reads what a table keeps. What a newer release may have added is left out.
    pub fn from_stored(value: &Value) -> Self {
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        Self {
            renders_per_month: number("rendersPerMonth"),
            render_seconds_per_month: number("renderSecondsPerMonth"),
            concurrent_renders: number("concurrentRenders").map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
            storage_bytes: number("storageBytes"),
            requests_per_minute: number("requestsPerMinute").map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        }
    }

    /// Whether a render can be refused by them at all.
    pub fn limit_renders(&self) -> bool {
        self.renders_per_month.is_some() || self.render_seconds_per_month.is_some() || self.concurrent_renders.is_some()
    }

    /// Where the tenant stands with each limit on renders, given what it used in the month of `now` and how many of its
    /// renders are under way on this replica.
    pub fn standings(&self, used: UsageTotals, running: u32, now: Timestamp) -> impl Iterator<Item = QuotaStanding> + use<> {
        let month_ends = Month::of(now).end();
        let soon = now.checked_add(jiff::SignedDuration::from_millis(CONCURRENT_RETRY_MS)).unwrap_or(now);
        let rows = [
            (QuotaDimension::Renders, self.renders_per_month, used.renders, "month", month_ends),
            (QuotaDimension::RenderSeconds, self.render_seconds_per_month, used.render_ms / 1_000, "month", month_ends),
            (QuotaDimension::ConcurrentRenders, self.concurrent_renders.map(u64::from), u64::from(running), "now", soon),
        ];
        rows.into_iter().filter_map(|(dimension, limit, used, period, reset_at)| {
            let limit = limit?;
            Some(QuotaStanding { scope: "tenant", period, dimension, limit, used, remaining: limit.saturating_sub(used), reset_at })
        })
    }

    /// Where the tenant stands with its limit on what is kept, where it has one. Nothing resets it: room comes from removing.
    pub fn storage_standing(&self, used_bytes: u64, now: Timestamp) -> Option<QuotaStanding> {
        let limit = self.storage_bytes?;
        Some(QuotaStanding {
            scope: "tenant",
            period: "now",
            dimension: QuotaDimension::StorageBytes,
            limit,
            used: used_bytes,
            remaining: limit.saturating_sub(used_bytes),
            reset_at: now,
        })
    }

    /// Refuses one more render when a limit is reached.
    pub fn admit(&self, used: UsageTotals, running: u32, now: Timestamp) -> Result<(), QuotaExhausted> {
        self.standings(used, running, now).find(|standing| standing.remaining == 0).map_or(Ok(()), |full| Err(QuotaExhausted(full)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-12-31T23:59:00Z".parse().unwrap()
    }

    #[test]
    fn the_last_allowed_render_passes_and_the_next_is_told_when_to_come_back() {
        let quotas = Quotas { renders_per_month: Some(3), ..Quotas::default() };
        let used = |renders| UsageTotals { renders, ..UsageTotals::default() };
        assert_eq!(quotas.admit(used(2), 100, now()), Ok(()));
        let refused = quotas.admit(used(3), 0, now()).unwrap_err();
        assert_eq!(refused.to_string(), "the tenant has used 3 of 3 renders of this month");
        assert_eq!(refused.retry_after_s(now()), 60);
        assert_eq!(
            serde_json::to_value(refused.0).unwrap(),
            json!({"scope": "tenant", "period": "month", "dimension": "renders", "limit": 3, "used": 3, "remaining": 0,
                   "resetAt": "2027-01-01T00:00:00Z"})
        );
    }

    #[test]
    fn each_limit_refuses_by_itself() {
        let used = UsageTotals { renders: 5, render_ms: 10_000, ..UsageTotals::default() };
        let by = |quotas: Quotas| quotas.admit(used, 2, now()).map_err(|refused| refused.0.dimension);
        assert_eq!(by(Quotas::default()), Ok(()));
        assert_eq!(by(Quotas { storage_bytes: Some(0), ..Quotas::default() }), Ok(()), "storage does not stop renders");
        assert_eq!(by(Quotas { render_seconds_per_month: Some(11), ..Quotas::default() }), Ok(()));
        assert_eq!(by(Quotas { render_seconds_per_month: Some(10), ..Quotas::default() }), Err(QuotaDimension::RenderSeconds));
        assert_eq!(by(Quotas { concurrent_renders: Some(3), ..Quotas::default() }), Ok(()));
        assert_eq!(by(Quotas { concurrent_renders: Some(2), ..Quotas::default() }), Err(QuotaDimension::ConcurrentRenders));
        assert_eq!(by(Quotas { renders_per_month: Some(0), ..Quotas::default() }), Err(QuotaDimension::Renders));
    }

    #[test]
    fn callers_may_not_invent_limits_but_a_newer_release_may() {
        let given = json!({"rendersPerMonth": 10, "storageBytes": 5});
        let read: Quotas = serde_json::from_value(given.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), given);
        let newer = json!({"rendersPerMonth": 10, "storageBytes": 5, "pagesPerMonth": 7});
        assert!(serde_json::from_value::<Quotas>(newer.clone()).is_err());
        assert_eq!(Quotas::from_stored(&newer), read);
        assert!(serde_json::from_value::<Quotas>(json!({"rendersPerMonth": -1})).is_err());
    }
}
