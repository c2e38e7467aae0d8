//! A tab on loan to one job. However the job ends, its future dropped included, the tab finds its way.

use std::sync::Arc;

use tokio::time::Instant;

use crate::page::{self, Failure, Sheet, by};
use crate::session::CallError;
use crate::slots::{Held, Slots};
use crate::tab::Tab;
use crate::{ChromiumError, Isolation, Lane, Phase, PrintJob, Scripts};

/// From these sizes on a renderer may have grown enough to be worth a look.
const LOOK_AT_HTML_BYTES: usize = 200 * 1024;
const LOOK_AT_PDF_BYTES: usize = 1024 * 1024;

/// A tab on loan.
#[derive(Debug)]
pub(crate) struct Lease {
    slots: Arc<Slots>,
    tab: Option<Tab>,
    /// The tab of its own that a document with scripts gets; the leased one then only stands for the place.
    scripted: Option<Tab>,
    held: Held,
    used: bool,
    counted: bool,
    since: Instant,
}

impl Lease {
    pub(crate) fn new(slots: &Arc<Slots>, tab: Tab, held: Held) -> Self {
        Self { slots: slots.clone(), tab: Some(tab), scripted: None, held, used: false, counted: true, since: Instant::now() }
    }

    /// Takes the tab back without any accounting, for when the lease never reached its caller.
    pub(crate) fn disarm(mut self) -> Option<Tab> {
        self.counted = false;
        self.tab.take()
    }

    /// Makes one attempt and sends the tab where its outcome says.
    pub(crate) async fn print(mut self, job: &PrintJob, lane: Lane, deadline: Instant) -> Result<Sheet, Failure> {
        let result = match job.scripts {
            Scripts::Off => self.print_quiet(job, deadline).await,
            Scripts::On => self.print_scripted(job, deadline).await,
        };
        self.finish(job, lane, &result);
        result
    }

    async fn print_quiet(&mut self, job: &PrintJob, deadline: Instant) -> Result<Sheet, Failure> {
        by(deadline, Phase::Load, self.move_to_tenant(job)).await?;
        self.used = true;
        let Some(tab) = &mut self.tab else { return Err(Failure::Lost(CallError::Gone)) };
        tab.prints += 1;
        tab.browser.count_print();
        page::print(tab, job, &self.slots.options.budgets, deadline).await
    }

    async fn print_scripted(&mut self, job: &PrintJob, deadline: Instant) -> Result<Sheet, Failure> {
        let Some(browser) = self.tab.as_ref().map(|tab| tab.browser.clone()) else {
            return Err(Failure::Lost(CallError::Gone));
        };
        browser.count_print();
        let tab = by(deadline, Phase::Load, async { Ok(self.slots.scripted(&browser).await?) }).await?;
        let tab = self.scripted.insert(tab);
        page::print(tab, job, &self.slots.options.budgets, deadline).await
    }

    /// With tenants kept apart, a tab that has served another tenant is exchanged for one with a context of its own.
    async fn move_to_tenant(&mut self, job: &PrintJob) -> Result<(), Failure> {
        if self.slots.options.isolation == Isolation::Shared {
            return Ok(());
        }
        let Some(tab) = &mut self.tab else { return Ok(()) };
        if tab.tenant.as_ref().is_some_and(|tenant| *tenant != job.tenant) {
            self.used = true;
            let fresh = Tab::open_warm(&tab.browser).await?;
            let old = std::mem::replace(tab, fresh);
            self.slots.spawn(old.close());
        }
        tab.tenant = Some(job.tenant.clone());
        Ok(())
    }

    fn finish(&mut self, job: &PrintJob, lane: Lane, result: &Result<Sheet, Failure>) {
        if let Some(scripted) = self.scripted.take() {
            let browser = scripted.browser.clone();
            self.slots.spawn(scripted.close());
            self.slots.prepare_scripted(browser);
        }
        let Some(tab) = self.tab.take() else { return };
        // Tabs wear out at the same time; one after the other keeps the rest at work.
        let turn = if tab.prints >= self.slots.options.recycle.renders_per_tab { self.slots.turn_to_renew() } else { None };
        match result {
            _ if !self.used => self.slots.put(tab),
            Err(Failure::Lost(_)) => self.slots.replace(tab, "crashed"),
            Err(Failure::Final(ChromiumError::DeadlineExceeded { .. })) => self.slots.replace(tab, "deadline"),
            Err(Failure::Final(ChromiumError::OutputTooLarge { .. })) => self.slots.replace(tab, "output_too_large"),
            _ if tab.session.seen().strayed => self.slots.replace(tab, "strayed"),
            _ if turn.is_some() => self.slots.replace_in_turn(tab, "worn", turn),
            Ok(sheet) if (job.html.len() > LOOK_AT_HTML_BYTES || sheet.pdf.len() > LOOK_AT_PDF_BYTES) && tab.is_bloated() => {
                self.slots.replace(tab, "memory");
            }
            Ok(_) if lane == Lane::Fast => self.slots.put(tab),
            Ok(_) | Err(_) => self.reset(tab),
        }
    }

    /// Empties the tab off the critical path before it is given out again.
    fn reset(&self, tab: Tab) {
        let slots = self.slots.clone();
        self.slots.spawn(async move {
            match tab.reset().await {
                Ok(()) if !tab.session.seen().strayed => slots.put(tab),
                _ => slots.replace(tab, "reset_failed"),
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(scripted) = self.scripted.take() {
            self.slots.spawn(scripted.close());
        }
        match self.tab.take() {
            Some(tab) if self.used => self.slots.replace(tab, "cancelled"),
            Some(tab) => self.slots.put(tab),
            None => {}
        }
        if self.counted {
            self.slots.end_lease(self.held, self.since.elapsed());
        }
    }
}
