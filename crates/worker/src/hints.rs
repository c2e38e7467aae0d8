//! Notices of changes, as hints that there may be something to do before the next look.

use std::sync::Arc;

use store::{Change, ChangeEvent, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Wakes whoever looks for work on each change that concerns them, and whenever one may have been missed, until `stop`.
pub(crate) async fn wake_on(store: Store, wake: Arc<Notify>, stop: CancellationToken, concerns: fn(&Change) -> bool) {
    let mut changes = store.changes();
    while let Some(Some(event)) = stop.run_until_cancelled(changes.next()).await {
        match event {
            ChangeEvent::Changed(change) if !concerns(&change) => {}
            _ => wake.notify_one(),
        }
    }
}
