//! What this server tells the other replicas of itself, every few seconds.

use std::sync::Arc;

use serde_json::json;
use worker::{Heartbeat, HeartbeatSetup};

/// Begins to say that this server is alive and how it stands. Nothing of tenants and nothing secret is in it.
pub fn start(version: &str, store: store::Store, renderer: render::Renderer, readiness: api::Readiness) -> Heartbeat {
    let standing = Arc::new(move || {
        let pool = renderer.pool_status();
        json!({
            "accepting": readiness.is_on(),
            "rendersUnderWay": renderer.renders_under_way(),
            "tabs": { "all": pool.tabs, "healthy": pool.healthy_tabs, "inUse": pool.in_use, "queued": pool.queued },
        })
    });
    Heartbeat::start(HeartbeatSetup { store, version: version.to_owned(), standing })
}
