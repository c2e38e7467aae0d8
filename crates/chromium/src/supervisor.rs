//! Keeps a browser serving: restarts a dead one, brings a warm successor for one that is due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::ChromiumError;
use crate::browser::Browser;
use crate::recycle;
use crate::slots::Slots;
use crate::tab::Tab;

/// The first pause after a failed restart; it doubles up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A browser that lived this long was healthy: the next restart is immediate.
const HEALTHY_AGE: Duration = Duration::from_secs(10);
/// After a successor could not be brought up, how long the old browser goes on before another try.
const HOLD_OFF: Duration = Duration::from_secs(30);
/// How long a retired browser may take to finish its prints; longer than any sensible deadline of a job.
const FAREWELL: Duration = Duration::from_mins(5);

enum Turn {
    Died(String),
    Due(&'static str),
    TabDied,
}

/// Launches a browser and opens all its tabs, warm.
pub(crate) async fn open_warm(slots: &Slots, generation: u64) -> Result<(Arc<Browser>, Vec<Tab>), ChromiumError> {
    let browser = Browser::launch(&slots.options, generation, &slots.browsers, &slots.tasks).await?;
    let mut tabs = Vec::with_capacity(slots.options.tabs);
    for _ in 0..slots.options.tabs {
        match Tab::open_warm(&browser).await {
            Ok(tab) => tabs.push(tab),
            Err(error) => return Err(abandon(&browser, format!("a tab could not be opened: {error:?}")).await),
        }
    }
    Ok((browser, tabs))
}

async fn abandon(browser: &Browser, reason: String) -> ChromiumError {
    let stderr_tail = browser.stderr_tail();
    browser.close().await;
    ChromiumError::Launch { reason, stderr_tail }
}

/// Runs until the pool closes; afterwards nothing of any browser is left.
pub(crate) async fn supervise(slots: Arc<Slots>, mut browser: Arc<Browser>) {
    let mut pause = Duration::ZERO;
    let mut not_before = Instant::now();
    loop {
        let turn = tokio::select! {
            () = slots.closing.cancelled() => break,
            how = browser.died() => Turn::Died(how),
            reason = recycle::due(&browser, not_before) => Turn::Due(reason),
            () = browser.connection.target_crashed() => Turn::TabDied,
        };
        match turn {
            Turn::TabDied => slots.replace_dead(),
            Turn::Died(how) => {
                tracing::error!(how, tail = browser.stderr_tail(), prints = browser.prints(), "the browser died");
                metrics::counter!("pulp_chromium_browser_restarts_total", "reason" => "died").increment(1);
                slots.restarts.fetch_add(1, Ordering::Relaxed);
                slots.uninstall();
                if browser.age() > HEALTHY_AGE {
                    pause = Duration::ZERO;
                }
                let generation = browser.generation + 1;
                let dead = browser.clone();
                slots.spawn(async move { dead.close().await });
                match restart(&slots, generation, &mut pause).await {
                    Some(successor) => browser = successor,
                    None => break,
                }
            }
            Turn::Due(reason) => match successor(&slots, browser.generation + 1).await {
                Ok(None) => break,
                Ok(Some((successor, tabs))) => {
                    metrics::counter!("pulp_chromium_browser_restarts_total", "reason" => reason).increment(1);
                    slots.recycles.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(reason, prints = browser.prints(), "a warm successor takes over from the browser");
                    slots.install(&successor, tabs);
                    let old = std::mem::replace(&mut browser, successor);
                    slots.spawn(retire(slots.clone(), old));
                }
                Err(error) => {
                    tracing::warn!(reason, %error, "no successor for the browser; it goes on");
                    not_before = Instant::now() + HOLD_OFF;
                }
            },
        }
    }
    slots.uninstall();
    browser.close().await;
}

/// A warm browser with its tabs, or nothing when the pool closes meanwhile.
async fn successor(slots: &Slots, generation: u64) -> Result<Option<(Arc<Browser>, Vec<Tab>)>, ChromiumError> {
    tokio::select! {
        () = slots.closing.cancelled() => Ok(None),
        opened = open_warm(slots, generation) => opened.map(Some),
    }
}

/// Brings a new browser until it works or the pool closes. It serves from its first tab on; the others follow.
async fn restart(slots: &Arc<Slots>, generation: u64, pause: &mut Duration) -> Option<Arc<Browser>> {
    loop {
        tokio::select! {
            () = slots.closing.cancelled() => return None,
            () = sleep(*pause) => {}
        }
        *pause = (*pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let launched = tokio::select! {
            () = slots.closing.cancelled() => return None,
            launched = Browser::launch(&slots.options, generation, &slots.browsers, &slots.tasks) => launched,
        };
        let failure = match launched {
            Ok(browser) => match Tab::open_warm(&browser).await {
                Ok(tab) => {
                    slots.install(&browser, vec![tab]);
                    for _ in 1..slots.options.tabs {
                        slots.spawn(slots.clone().refill(browser.clone()));
                    }
                    return Some(browser);
                }
                Err(error) => abandon(&browser, format!("a tab could not be opened: {error:?}")).await,
            },
            Err(error) => error,
        };
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(error = %failure, pause_ms, "the browser could not be restarted");
    }
}

/// Lets the prints of a replaced browser finish, then ends it.
async fn retire(slots: Arc<Slots>, browser: Arc<Browser>) {
    browser.tabs.close();
    tokio::select! {
        _ = timeout(FAREWELL, browser.tabs.wait()) => {}
        () = slots.closing.cancelled() => {}
        _ = browser.died() => {}
    }
    browser.close().await;
}
