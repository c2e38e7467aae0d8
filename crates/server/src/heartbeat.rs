//! What this server tells the other replicas of itself, every few seconds.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use worker::{Heartbeat, HeartbeatSetup};

use crate::logs;

/// Begins to say that this server is alive and how it stands. Nothing of tenants and nothing secret is in it.
pub fn start(version: &str, store: store::Store, renderer: render::Renderer, readiness: api::Readiness) -> Heartbeat {
    let held = store.clone();
    let standing = Arc::new(move || {
        let pool = renderer.pool_status();
        let listener = held.listener_standing();
        let leases: Map<String, Value> =
            held.held_leases().into_iter().map(|(kind, held)| (kind.as_str().to_owned(), held.into())).collect();
        json!({
            "accepting": readiness.is_on(),
            "rendersUnderWay": renderer.renders_under_way(),
            "tabs": { "all": pool.tabs, "healthy": pool.healthy_tabs, "inUse": pool.in_use, "queued": pool.queued },
            "engine": pool.version,
            "leases": leases,
            "listener": {
                "connected": listener.connected,
                "lastNoticeAgoMs": listener.last_notice.map(logs::whole_ms),
            },
        })
    });
    Heartbeat::start(HeartbeatSetup { store, version: version.to_owned(), standing })
}
