//! Who may have a document made now: places for all, and not for one tenant alone while others want some.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::TenantId;
use tokio::time::Instant;

/// How long a tenant that was refused counts as one that wants in.
const WANTS_IN: Duration = Duration::from_secs(2);
/// Those that want in no more are looked for so often.
const FORGET_EVERY: Duration = Duration::from_millis(100);

/// The places of renders that are being worked on or wait for a tab.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Of all tenants together.
    places: usize,
    /// As many are worked on at once: with less under way, nobody's share is worth an idle tab.
    tabs: usize,
    /// Beyond `places`, for tenants that have nothing under way.
    reserve: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    held: usize,
    /// Those that have a place or were refused lately.
    tenants: HashMap<TenantId, Tenant>,
    forgot_at: Instant,
}

#[derive(Debug, Default)]
struct Tenant {
    held: usize,
    refused_at: Option<Instant>,
}

impl State {
    fn forget(&mut self, now: Instant) {
        if now.saturating_duration_since(self.forgot_at) >= FORGET_EVERY {
            self.forgot_at = now;
            self.tenants.retain(|_, tenant| {
                tenant.held > 0 || tenant.refused_at.is_some_and(|refused_at| now.saturating_duration_since(refused_at) < WANTS_IN)
            });
        }
    }
}

/// A place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    admission: &'a Admission,
    tenant: TenantId,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.held -= 1;
        if let Some(tenant) = state.tenants.get_mut(&self.tenant) {
            tenant.held -= 1;
            if tenant.held == 0 && tenant.refused_at.is_none() {
                state.tenants.remove(&self.tenant);
            }
        }
    }
}

impl Admission {
    /// So many places over so many tabs.
    pub(crate) fn new(places: usize, tabs: usize) -> Self {
        let (places, tabs) = (places.max(1), tabs.max(1));
        let state = State { held: 0, tenants: HashMap::new(), forgot_at: Instant::now() };
        Self { places, tabs, reserve: (places / 4).clamp(1, tabs), state: Mutex::new(state) }
    }

    /// A place, if there is one for this tenant at this moment.
    pub(crate) fn enter(&self, tenant: &TenantId) -> Option<Admitted<'_>> {
        self.enter_at(tenant, Instant::now())
    }

    fn enter_at(&self, tenant: &TenantId, now: Instant) -> Option<Admitted<'_>> {
        let mut state = self.state();
        if !self.has_place_for(&mut state, tenant, now) {
            return None;
        }
        state.held += 1;
        let entry = state.tenants.entry(tenant.clone()).or_default();
        entry.held += 1;
        entry.refused_at = None;
        Some(Admitted { admission: self, tenant: tenant.clone() })
    }

    /// Whether [`Admission::enter`] would refuse this tenant at this moment.
    pub(crate) fn refuses(&self, tenant: &TenantId) -> bool {
        !self.has_place_for(&mut self.state(), tenant, Instant::now())
    }

    /// Places that are taken.
    pub(crate) fn taken(&self) -> usize {
        self.state().held
    }

    /// A tenant may have its share of the places, more while tabs would be idle otherwise, and a first one when there are no more.
    fn has_place_for(&self, state: &mut State, tenant: &TenantId, now: Instant) -> bool {
        state.forget(now);
        let held = state.tenants.get(tenant).map_or(0, |tenant| tenant.held);
        let others = state.tenants.len() - usize::from(state.tenants.contains_key(tenant));
        let share = self.places.div_ceil(others + 1);
        let has = if state.held < self.places {
            held < share || state.held < self.tabs
        } else {
            held == 0 && state.held < self.places + self.reserve
        };
        if !has {
            state.tenants.entry(tenant.clone()).or_default().refused_at = Some(now);
        }
        has
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change to it is complete before anything could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    fn fill<'a>(admission: &'a Admission, name: &str) -> Vec<Admitted<'a>> {
        fill_at(admission, name, Instant::now())
    }

    fn fill_at<'a>(admission: &'a Admission, name: &str, now: Instant) -> Vec<Admitted<'a>> {
        std::iter::from_fn(|| admission.enter_at(&tenant(name), now)).take(1000).collect()
    }

    #[test]
    fn one_tenant_alone_has_all_places_and_with_others_its_share() {
        let admission = Admission::new(9, 3);
        let mut flood = fill(&admission, "a");
        assert_eq!(flood.len(), 9);
        let newcomer = admission.enter(&tenant("b"));
        assert!(newcomer.is_some(), "who has nothing under way is let in beside a flood");
        let mut others = vec![newcomer];
        assert!(admission.refuses(&tenant("b")), "and waits with the next one until the flood has gone down");
        for _ in 0..4 {
            flood.pop();
            others.push(admission.enter(&tenant("b")));
            assert!(admission.refuses(&tenant("a")), "the flood has more than its share");
        }
        assert_eq!((flood.len(), others.iter().flatten().count()), (5, 4));
        assert!(admission.refuses(&tenant("b")), "all places are taken");
        drop(others);
        assert_eq!(fill(&admission, "a").len(), 0, "the other one wanted in a moment ago");
        let later = Instant::now() + WANTS_IN + FORGET_EVERY;
        assert_eq!(fill_at(&admission, "a", later).len(), 4, "and wants no more");
    }

    #[test]
    fn no_share_leaves_a_tab_idle_and_no_crowd_is_without_bound() {
        let admission = Admission::new(4, 3);
        let one = admission.enter(&tenant("b")).unwrap();
        // Two tenants share four places.
        assert_eq!(fill(&admission, "a").len(), 2);
        drop(one);
        let crowd: Vec<_> = (0..100).filter_map(|number| admission.enter(&tenant(&format!("t{number}")))).collect();
        assert_eq!(crowd.len(), 5);
        drop(crowd);
        assert_eq!(admission.taken(), 0);
        // All of the crowd were refused lately: each share is one place, and yet all tabs work.
        assert_eq!(fill(&admission, "t99").len(), 3);
    }
}
