//! Which targets are busy or away, as this replica has seen it. Kept for each tenant by itself: nobody's failing address keeps
//! messages from somebody else's on the same host.

use std::collections::HashMap;
use std::time::Duration;

use domain::TenantId;
use tokio::time::Instant;

/// Messages that go to one target of a tenant at the same moment: one that hangs holds no more than these places.
pub(crate) const MOST_PER_TARGET: u32 = 4;
/// Failures in a row after which a target is left alone.
const FAILURES: u32 = 5;
/// For how long at first, doubled with every further failure, and at most.
const LEFT_ALONE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(10));
/// Targets that are remembered; beyond that those that are not away are forgotten.
const REMEMBERED: usize = 10_000;

/// How an attempt at a target ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tenant: TenantId,
    pub(crate) target: String,
    /// Whether it is away; none where it was not asked.
    pub(crate) away: Option<bool>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    under_way: u32,
    failures: u32,
    left_alone_until: Option<Instant>,
}

/// The targets that something is under way to, or went wrong at.
pub(crate) struct Targets {
    seen: HashMap<String, Seen>,
    gauge: &'static str,
}

impl Targets {
    /// None so far. Those that are left alone are counted in that gauge.
    pub(crate) fn measured_as(gauge: &'static str) -> Self {
        Self { seen: HashMap::new(), gauge }
    }

    pub(crate) fn begin(&mut self, tenant: &TenantId, target: &str) {
        self.seen.entry(name(tenant, target)).or_default().under_way += 1;
    }

    /// None for an attempt that panicked: its place is lost until it is the only one.
    pub(crate) fn ended(&mut self, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        let name = name(&outcome.tenant, &outcome.target);
        let seen = self.seen.entry(name.clone()).or_default();
        seen.under_way = seen.under_way.saturating_sub(1);
        match outcome.away {
            None => {}
            Some(false) => (seen.failures, seen.left_alone_until) = (0, None),
            Some(true) => {
                seen.failures = seen.failures.saturating_add(1);
                if seen.failures >= FAILURES {
                    let pause = LEFT_ALONE.0.saturating_mul(1 << (seen.failures - FAILURES).min(10)).min(LEFT_ALONE.1);
                    seen.left_alone_until = Some(Instant::now() + pause);
                }
            }
        }
        if seen.under_way == 0 && seen.failures == 0 {
            self.seen.remove(&name);
        }
        if self.seen.len() > REMEMBERED {
            self.seen.retain(|_, seen| seen.under_way > 0 || seen.left_alone_until.is_some());
        }
        let away = self.seen.values().filter(|seen| seen.left_alone_until.is_some()).count();
        metrics::gauge!(self.gauge).set(f64::from(u32::try_from(away).unwrap_or(u32::MAX)));
    }

    /// Those that nothing goes to now, as the claim names them. One that was away gets a single message to see.
    pub(crate) fn passed_over(&self, now: Instant) -> Vec<String> {
        let over = |seen: &Seen| {
            let most = if seen.failures >= FAILURES { 1 } else { MOST_PER_TARGET };
            seen.under_way >= most || seen.left_alone_until.is_some_and(|until| until > now)
        };
        self.seen.iter().filter(|(_, seen)| over(seen)).map(|(name, _)| name.clone()).collect()
    }
}

fn name(tenant: &TenantId, target: &str) -> String {
    format!("{tenant} {target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(away: bool) -> Outcome {
        Outcome { tenant: TenantId::default_tenant(), target: "a:443".to_owned(), away: Some(away) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_away_is_left_alone_for_longer_and_longer_and_comes_back_with_one_success() {
        let (mut targets, tenant) = (Targets::measured_as("test"), TenantId::default_tenant());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert!(targets.passed_over(Instant::now()).is_empty());
            targets.begin(&tenant, "a:443");
            targets.ended(Some(outcome(true)));
            let began = Instant::now();
            while !targets.passed_over(Instant::now()).is_empty() {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            pauses.push(began.elapsed().as_secs());
        }
        assert_eq!(pauses, [0, 0, 0, 0, 30, 60, 120, 240, 480, 600, 600, 600]);
        targets.begin(&tenant, "a:443");
        assert_eq!(targets.passed_over(Instant::now()), ["default a:443"], "one message to see");
        targets.ended(Some(outcome(false)));
        assert!(targets.seen.is_empty(), "and nothing is remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_takes_so_many_messages_at_a_time_and_another_tenants_as_many() {
        let (mut targets, tenant) = (Targets::measured_as("test"), TenantId::default_tenant());
        for _ in 0..MOST_PER_TARGET {
            assert!(targets.passed_over(Instant::now()).is_empty());
            targets.begin(&tenant, "a:443");
        }
        assert_eq!(targets.passed_over(Instant::now()), ["default a:443"]);
        targets.begin(&"other".parse().unwrap(), "a:443");
        assert_eq!(targets.passed_over(Instant::now()).len(), 1);
        targets.ended(Some(outcome(false)));
        assert!(targets.passed_over(Instant::now()).is_empty());
    }
}
