//! The gate that holds tenants to their limits, by what this replica knows without asking anybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::caches::{CacheBound, CacheCounts, CacheRead, CacheReport, CacheSize};
use domain::quotas::{QuotaExhausted, QuotaStanding, UsageTotals};
use domain::{Month, Quotas, TenantId};
use jiff::Timestamp;
use store::{ChangeEvent, NewUsage, TenantQuotas, UsagePeriod};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

/// Limits and sums are asked for again after this long, should the notice of a change have been lost.
const TTL: Duration = Duration::from_secs(10);
/// The same for a tenant without limits.
const UNLIMITED_TTL: Duration = Duration::from_mins(1);
/// How long the first render of a tenant waits for its limits. Afterwards it goes on without: a database that is away
/// stops nobody.
const PATIENCE: Duration = Duration::from_millis(500);
/// When limits that could not be read are asked for again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Tenants kept in mind; about 200 bytes each.
const TENANTS: usize = 100_000;

/// What a tenant has used and may use.
#[derive(Default)]
struct Tenant {
    quotas: Quotas,
    /// When the limits and sums are old; `None` before they were first read.
    good_until: Option<Instant>,
    /// Somebody has asked for them already.
    wanted: bool,
    /// What the sums are about.
    month: Option<Month>,
    /// The cluster's sums as last told by the database.
    known: UsageTotals,
    /// What is not in them yet.
    pending: UsageTotals,
    /// Renders under way on this replica.
    running: u32,
}

impl Tenant {
    /// The sums begin anew when a month is over.
    fn turn_to(&mut self, month: Month) {
        if self.month.is_none_or(|known| known < month) {
            self.month = Some(month);
            (self.known, self.pending) = (UsageTotals::default(), UsageTotals::default());
        }
    }

    fn used(&self) -> UsageTotals {
        self.known.plus(self.pending)
    }
}

/// Lets renders through while their tenants' limits allow it.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Inner>);

struct Inner {
    tenants: Mutex<HashMap<TenantId, Tenant>>,
    /// Tenants whose limits somebody waits for or finds old.
    wanted: Mutex<Vec<TenantId>>,
    wake: Arc<Notify>,
    loads: watch::Sender<u64>,
    counts: CacheCounts,
}

/// A render that was let through. Until it is settled it counts as one that will succeed, so that many at once do not
/// pass a limit together.
pub(crate) struct Turn {
    gate: Gate,
    tenant: TenantId,
    settled: bool,
}

impl Turn {
    /// The render has ended, and this is what it adds to its month.
    pub(crate) fn settle(&mut self, row: &NewUsage) {
        self.leave(Some((Month::of(row.rendered_at), row.totals())));
    }

    fn leave(&mut self, used: Option<(Month, UsageTotals)>) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let mut tenants = self.gate.tenants();
        let Some(tenant) = tenants.get_mut(&self.tenant) else { return };
        tenant.running = tenant.running.saturating_sub(1);
        if let Some((month, totals)) = used {
            tenant.turn_to(month);
            if tenant.month == Some(month) {
                tenant.pending = tenant.pending.plus(totals);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.leave(None);
    }
}

impl Gate {
    /// `wake` calls whoever reads limits: see [`Gate::take_wanted`].
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        let inner = Inner {
            tenants: Mutex::default(),
            wanted: Mutex::default(),
            wake,
            loads: watch::Sender::new(0),
            counts: CacheCounts::default(),
        };
        Self(Arc::new(inner))
    }

    /// How what is known of tenants does: an old answer is used while it is read again.
    pub(crate) fn cache(&self) -> CacheReport {
        let size = CacheSize { entries: self.tenants().len() as u64, bytes: None };
        self.0.counts.report("tenant_quotas", CacheBound::Entries(TENANTS as u64), Some(UNLIMITED_TTL), size)
    }

    /// Lets one more render of the tenant through, or says which limit is reached. Only the first render of a tenant
    /// waits, for its limits to be read.
    pub(crate) async fn enter(&self, tenant: &TenantId, now: Timestamp) -> Result<Turn, QuotaExhausted> {
        self.know(tenant, now).await;
        let mut tenants = self.tenants();
        let known = tenants.entry(tenant.clone()).or_default();
        known.turn_to(Month::of(now));
        let used = UsageTotals { renders: known.used().renders.saturating_add(known.running.into()), ..known.used() };
        if let Err(refused) = known.quotas.admit(used, known.running, now) {
            metrics::counter!("pulp_quota_refusals_total", "dimension" => refused.0.dimension.as_str()).increment(1);
            return Err(refused);
        }
        known.running += 1;
        drop(tenants);
        Ok(Turn { gate: self.clone(), tenant: tenant.clone(), settled: false })
    }

    /// Where the tenant stands with each of its limits on renders.
    pub(crate) async fn standings(&self, tenant: &TenantId, now: Timestamp) -> Vec<QuotaStanding> {
        self.know(tenant, now).await;
        let mut tenants = self.tenants();
        let known = tenants.entry(tenant.clone()).or_default();
        known.turn_to(Month::of(now));
        known.quotas.standings(known.used(), known.running, now).collect()
    }

    /// Sees to it that something is known of the tenant, and that what is old is read again.
    async fn know(&self, tenant: &TenantId, now: Timestamp) {
        let mut loads = self.0.loads.subscribe();
        let asked_at = Instant::now();
        if self.ask_if_old(tenant, now, asked_at) {
            return;
        }
        while timeout_at(asked_at + PATIENCE, loads.changed()).await.is_ok_and(|changed| changed.is_ok()) {
            if self.tenants().get(tenant).is_some_and(|tenant| tenant.good_until.is_some()) {
                return;
            }
        }
        self.not_loaded(std::slice::from_ref(tenant));
    }

    /// Whether there is something to judge by.
    fn ask_if_old(&self, tenant: &TenantId, now: Timestamp, at: Instant) -> bool {
        let mut tenants = self.tenants();
        if tenants.len() >= TENANTS && !tenants.contains_key(tenant) {
            tenants.retain(|_, tenant| tenant.running > 0 || tenant.pending != UsageTotals::default());
        }
        let known = tenants.entry(tenant.clone()).or_default();
        let new_month = known.month.is_some_and(|month| month < Month::of(now));
        let old = new_month || known.good_until.is_none_or(|good_until| good_until <= at);
        let usable = known.good_until.is_some();
        if old && !std::mem::replace(&mut known.wanted, true) {
            drop(tenants);
            self.want([tenant.clone()]);
        }
        self.0.counts.count(if usable { CacheRead::Hit } else { CacheRead::Miss });
        usable
    }

    fn want(&self, tenants: impl IntoIterator<Item = TenantId>) {
        self.wanted().extend(tenants);
        self.0.wake.notify_one();
    }

    /// Something changed on whichever replica.
    pub(crate) fn heard(&self, event: &ChangeEvent) {
        match event {
            ChangeEvent::Reconnected | ChangeEvent::Overrun => self.everything_changed(),
            ChangeEvent::Changed(change) if change.kind == "tenant" => self.changed(&change.tenant),
            ChangeEvent::Changed(_) => {}
        }
    }

    /// The limits of this tenant may have changed.
    fn changed(&self, tenant: &TenantId) {
        let known = self.tenants().get_mut(tenant).is_some_and(|known| !std::mem::replace(&mut known.wanted, true));
        if known {
            self.want([tenant.clone()]);
        }
    }

    /// The limits of every tenant may have changed.
    fn everything_changed(&self) {
        let mut tenants = self.tenants();
        let asked = tenants.iter_mut().filter_map(|(tenant, known)| (!std::mem::replace(&mut known.wanted, true)).then(|| tenant.clone()));
        let asked: Vec<_> = asked.collect();
        drop(tenants);
        if !asked.is_empty() {
            self.want(asked);
        }
    }

    /// Some of the tenants whose limits are to be read, or none. Each one has to come back through [`Gate::loaded`] or
    /// [`Gate::not_loaded`].
    pub(crate) fn take_wanted(&self, most: usize) -> Vec<TenantId> {
        let mut wanted = self.wanted();
        let left = wanted.len().saturating_sub(most);
        wanted.split_off(left)
    }

    /// What was read about the tenants that were wanted, while no row was being written.
    pub(crate) fn loaded(&self, asked: &[TenantId], month: Month, found: Vec<TenantQuotas>) {
        let mut found: HashMap<TenantId, TenantQuotas> = found.into_iter().map(|found| (found.tenant.clone(), found)).collect();
        let now = Instant::now();
        let mut tenants = self.tenants();
        for tenant in asked {
            let Some(known) = tenants.get_mut(tenant) else { continue };
            let (quotas, used) = found.remove(tenant).map(|found| (found.quotas, found.used)).unwrap_or_default();
            known.wanted = false;
            known.quotas = quotas;
            known.good_until = Some(now + if quotas.limit_renders() { TTL } else { UNLIMITED_TTL });
            known.turn_to(month);
            if known.month == Some(month) {
                known.known = used;
            }
        }
        drop(tenants);
        self.0.loads.send_modify(|loads| *loads += 1);
    }

    /// Nothing could be read about these tenants: what is known goes on for a moment, and what is not limits nobody.
    pub(crate) fn not_loaded(&self, asked: &[TenantId]) {
        let mut tenants = self.tenants();
        for tenant in asked {
            let Some(known) = tenants.get_mut(tenant) else { continue };
            known.wanted = false;
            known.good_until = Some(Instant::now() + RETRY_AFTER);
        }
        drop(tenants);
        self.0.loads.send_modify(|loads| *loads += 1);
    }

    /// These rows are written or lost, and this is what their tenants have used now, where it was told.
    pub(crate) fn flushed<'r>(&self, rows: impl IntoIterator<Item = &'r NewUsage>, periods: &[UsagePeriod]) {
        let mut tenants = self.tenants();
        for row in rows {
            let Some(known) = tenants.get_mut(&row.tenant) else { continue };
            if known.month == Some(Month::of(row.rendered_at)) {
                known.pending = known.pending.minus(row.totals());
            }
        }
        for period in periods {
            let Some(known) = tenants.get_mut(&period.tenant) else { continue };
            known.turn_to(period.month);
            if known.month == Some(period.month) {
                known.known = period.totals;
            }
        }
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<TenantId, Tenant>> {
        // Every change to it is complete before anything could panic.
        self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self) -> MutexGuard<'_, Vec<TenantId>> {
        self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
