//! What this server does without a request, beside the others of its database.

use blobs::Blobs;
use domain::Clock;
use outbound::Outbound;
use render::{Outputs, Renderer};
use store::Store;
use worker::{DeliverySetup, Duties, ExecutionSetup, JobOptions, JobSetup, Options, Participation, ScheduleTickSetup, Setup, Timing};

use crate::config::Config;
use crate::error::ServerError;
use crate::schedule_deliveries;

/// Executions of schedules that are begun at the same moment: while some wait for their data, others are reckoned.
const PREPARED_AT_ONCE: usize = 4;

/// Makes the months that the next rows go to. Nothing depends on it at once: without them rows have a place too, so a failure
/// stops no start, and the duty tries again.
pub async fn prepare(options: &Options, store: &Store) {
    if options.partitions == Participation::TakesPart
        && let Err(error) = worker::make_months(store).await
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "the months ahead could not be made; it is tried again later");
    }
}

/// Begins to take part in what is switched on.
pub fn start(
    config: &Config,
    blobs: Blobs,
    renderer: Renderer,
    store: Store,
    clock: Clock,
    outbound: Outbound,
) -> Result<Duties, ServerError> {
    let options = config.duties;
    let mut taken = worker::duties(options);
    let outputs = Outputs::new(blobs.clone());
    taken.extend(config.assets.sweep_after.map(|grace| worker::asset_sweep(blobs, grace)));
    let mut duties = Duties::start(Setup { store: store.clone(), clock: clock.clone(), timing: Timing::default() }, taken);
    if config.outbound.deliveries == Participation::TakesPart {
        duties = duties.with_deliveries(DeliverySetup {
            store: store.clone(),
            outbound: outbound.clone(),
            clock: clock.clone(),
            most_attempts: config.outbound.most_attempts,
            concurrency: config.outbound.concurrency,
        });
    }
    if config.schedules.engine == Participation::TakesPart {
        duties = duties.with_schedule_ticks(ScheduleTickSetup { store: store.clone(), most: config.schedules.tick_limit });
        duties = duties.with_schedule_executions(ExecutionSetup {
            store: store.clone(),
            renderer: renderer.clone(),
            concurrency: PREPARED_AT_ONCE,
            max_open_items: config.jobs.max_open_items,
            lease_for: config.schedule_deliveries.lease_for,
            retention: config.schedule_deliveries.artifacts,
        });
    }
    if config.schedule_deliveries.takes_part == Participation::TakesPart {
        duties = duties.with_schedule_deliveries(schedule_deliveries::setup(config, &renderer, &store, &outputs, clock, outbound)?);
    }
    if config.jobs.concurrency > 0 {
        let jobs = JobOptions {
            concurrency: config.jobs.concurrency,
            lease_for: config.jobs.lease_for,
            max_attempts: config.jobs.max_attempts,
            retention: config.jobs.retention,
            schedule_retention: config.schedule_deliveries.artifacts,
        };
        duties = duties.with_jobs(JobSetup { store: store.clone(), renderer, outputs, options: jobs });
    }
    Ok(match options.label_moves {
        Participation::TakesPart => duties.with_label_moves(store, config.releases.protected.clone()),
        Participation::LeavesAlone => duties,
    })
}
