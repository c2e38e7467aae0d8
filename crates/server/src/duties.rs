//! What this server does without a request, beside the others of its database.

use domain::Clock;
use store::Store;
use worker::{Duties, Options, Participation, Setup, Timing};

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
pub fn start(options: Options, store: Store, clock: Clock) -> Duties {
    let duties = Duties::start(Setup { store: store.clone(), clock, timing: Timing::default() }, worker::duties(options));
    match options.label_moves {
        Participation::TakesPart => duties.with_label_moves(store),
        Participation::LeavesAlone => duties,
    }
}
