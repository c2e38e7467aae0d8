//! The planned moves of labels, made when their time has come.
//!
//! No lease: every replica looks, and the row of each move goes to one of them. So no move waits for the lease of a
//! replica that died, and none needs to be given back.

use std::time::Duration;

use domain::Actor;
use domain::labels::LabelName;
use store::{DueOutcome, PendingMove, Store, StoreError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::jitter::jittered;

/// From one look to the next, give or take a tenth: moves are planned on other replicas too.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The pause after a look that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Moves made between two looks.
const BATCH_ROWS: u32 = 100;
/// Rests between two tries at moves that another replica is just making.
const BESIDE_OTHERS: Duration = Duration::from_millis(50);

/// Looks after the moves until it is told to stop; what is under way then is finished.
pub async fn keep(store: Store, protected: Vec<LabelName>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match make_due(&store, &protected, &stop).await {
            Ok(next) => next.map_or_else(|| jittered(LOOK_EVERY), |due_in| due_in.max(BESIDE_OTHERS).min(jittered(LOOK_EVERY))),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "planned moves of labels could not be looked at");
                jittered(AFTER_FAILURE)
            }
        };
        stop.run_until_cancelled(sleep(pause)).await;
    }
}

/// Makes what is due; says how long until the next one, if that is known.
async fn make_due(store: &Store, protected: &[LabelName], stop: &CancellationToken) -> Result<Option<Duration>, StoreError> {
    let actor = Actor::system("label-moves");
    let mut failures = 0;
    let moves = store.next_label_moves(BATCH_ROWS).await?;
    for pending in &moves {
        if !pending.due_in.is_zero() {
            return Ok(Some(pending.due_in));
        }
        if stop.is_cancelled() {
            break;
        }
        if let Err(error) = make(store, pending, protected, &actor).await {
            failures += 1;
            metrics::counter!("pulp_label_moves_total", "outcome" => "error").increment(1);
            tracing::warn!(error = &error as &dyn std::error::Error, event = %pending.id, "a planned move of a label was not made; it is tried again");
        }
    }
    // More may be due, unless it is the same ones again.
    Ok((failures < moves.len() && !moves.is_empty()).then_some(Duration::ZERO))
}

async fn make(store: &Store, pending: &PendingMove, protected: &[LabelName], actor: &Actor) -> Result<(), StoreError> {
    match store.tenant(pending.tenant.clone()).labels().make_due(pending.id, protected, actor).await? {
        DueOutcome::Applied { key, late_by } => {
            metrics::counter!("pulp_label_moves_total", "outcome" => "applied").increment(1);
            metrics::histogram!("pulp_label_move_late_seconds").record(late_by.as_secs_f64());
            tracing::info!(template = %key, event = %pending.id, late_ms = u64::try_from(late_by.as_millis()).unwrap_or(u64::MAX), "made a planned move of a label");
        }
        DueOutcome::Failed { reason } => {
            metrics::counter!("pulp_label_moves_total", "outcome" => "failed").increment(1);
            tracing::warn!(event = %pending.id, reason, "a planned move of a label cannot be made");
        }
        DueOutcome::NotOurs => {}
    }
    Ok(())
}
