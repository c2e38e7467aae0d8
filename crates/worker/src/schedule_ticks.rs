//! The loop that has schedules executed when they are due.
//!
//! No lease: every replica looks, and the rows of each tick go to one of them within one transaction. So no tick waits for a replica
//! that died, and none needs to be given back. What time it is says the database.

use std::sync::Arc;
use std::time::Duration;

use store::{Change, Store, Tick};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::hints::wake_on;
use crate::jitter::jittered;

/// From one look to the next, give or take a tenth, should nobody say that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a look that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Rests between two looks at what another replica is just at.
const BESIDE_OTHERS: Duration = Duration::from_millis(20);

/// What the loop needs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The database.
    pub store: Store,
    /// Schedules of one tick at most, from 1.
    pub most: u32,
}

/// Looks after schedules until it is told to stop; a tick that is under way then is finished.
pub(crate) async fn keep(setup: Setup, stop: CancellationToken) {
    let wake = Arc::new(Notify::new());
    // Of a tick, only those want to know who carry out what it made.
    let concerns: fn(&Change) -> bool = |change| change.kind == "schedule" && change.key != "tick";
    let listening = tokio::spawn(wake_on(setup.store.clone(), Arc::clone(&wake), stop.clone(), concerns));
    while !stop.is_cancelled() {
        let pause = match setup.store.schedule_ticks().run(setup.most).await {
            Ok(tick) => {
                tell(tick);
                pause_after(tick, setup.most)
            }
            Err(error) => {
                metrics::counter!("pulp_schedule_ticks_total", "outcome" => "error").increment(1);
                tracing::warn!(error = &error as &dyn std::error::Error, "what is due of schedules could not be looked at");
                jittered(AFTER_FAILURE)
            }
        };
        if pause.is_zero() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = wake.notified() => {}
            () = sleep(pause) => {}
        }
    }
    listening.abort();
}

/// More may be due after a full tick; otherwise it looks when the next schedule is due, at the latest a second later.
fn pause_after(tick: Tick, most: u32) -> Duration {
    match (tick.schedules, tick.next_in) {
        (found, _) if found >= most => Duration::ZERO,
        (0, Some(next_in)) => next_in.max(BESIDE_OTHERS).min(jittered(LOOK_EVERY)),
        (0, None) => jittered(LOOK_EVERY),
        _ => BESIDE_OTHERS,
    }
}

fn tell(tick: Tick) {
    if tick.schedules == 0 {
        return;
    }
    metrics::counter!("pulp_schedule_ticks_total", "outcome" => "done").increment(1);
    metrics::counter!("pulp_schedule_executions_made_total").increment(tick.executions.into());
    metrics::counter!("pulp_schedule_runs_missed_total").increment(tick.missed.into());
    metrics::histogram!("pulp_schedule_tick_late_seconds").record(tick.late_by.as_secs_f64());
    tracing::debug!(
        schedules = tick.schedules,
        executions = tick.executions,
        late_s = tick.late_by.as_secs_f64(),
        "had schedules executed"
    );
    if tick.missed > 0 {
        tracing::warn!(missed = tick.missed, "runs of schedules passed while no server looked after them");
    }
}
