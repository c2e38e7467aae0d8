//! How this server is set up and how it does, for its operators. No setting's value is in it that could be a secret, and nothing of
//! tenants.

use axum::Json;
use axum::extract::{Extension, State};
use domain::Scope;
use domain::caches::{CacheBound, CacheRead, CacheReport};
use serde_json::{Map, Value, json};

use crate::Setup;
use crate::auth::Caller;
use crate::cluster::{self, whole_ms};
use crate::identity::Tenancy;

/// How this server is set up, how it and the others do, and as whom the caller is seen. What is away is said to be so within about a
/// second.
#[utoipa::path(get, path = "/admin/system", tag = "system", responses((status = 200, description = "version, instanceId, session, tenancy, limits; cluster; engine, database, listener, leases, storedFiles and caches of this replica")))]
pub async fn system(State(setup): State<Setup>, Extension(caller): Extension<Caller>) -> Json<Value> {
    let (cluster, stored_files) = tokio::join!(cluster::known(&setup.store), setup.renderer.has_stored_files());
    let pool = setup.renderer.pool_status();
    let connections = setup.store.connections();
    let listener = setup.store.listener_standing();
    let leases: Map<String, Value> =
        setup.store.held_leases().into_iter().map(|(kind, held)| (kind.as_str().to_owned(), held.into())).collect();
    Json(json!({
        "version": setup.version,
        "instanceId": setup.store.instance_id(),
        "timestamp": setup.clock.now().to_string(),
        "uptimeSeconds": setup.started.elapsed().as_secs(),
        "accepting": setup.readiness.is_on(),
        "session": {
            "actor": &*caller.actor.name, "scope": caller.scope, "tenantId": caller.tenant,
            "superAdmin": caller.scope == Scope::SuperAdmin,
        },
        "multiTenant": setup.identity.tenancy() == Tenancy::Multi,
        "credentialsRequired": setup.identity.is_required(),
        "editorTokenTtlMinutes": setup.identity.editor_tokens().ttl_minutes,
        "cluster": cluster.told(),
        "engine": {
            "version": pool.version, "tabs": pool.tabs, "healthyTabs": pool.healthy_tabs, "inUse": pool.in_use, "queued": pool.queued,
            "browsers": pool.browsers, "restarts": pool.restarts, "recycles": pool.recycles,
            "rendersUnderWay": setup.renderer.renders_under_way(),
        },
        "database": {
            "reachable": cluster.answered_in.is_some(),
            "latencyMs": cluster.answered_in.map(|took| took.as_secs_f64() * 1_000.0),
            "read": setup.store.reading_standing().map(|read| json!({
                "reachable": read.reachable, "behindMs": read.behind.map(whole_ms), "used": read.used,
            })),
            "connections": { "used": connections.used, "idle": connections.idle, "most": connections.most },
        },
        "listener": {
            "connected": listener.connected,
            "forMs": whole_ms(listener.since),
            "lastNoticeAgoMs": listener.last_notice.map(whole_ms),
        },
        "leases": leases,
        "storedFiles": { "reachable": stored_files },
        "caches": setup.caches().iter().map(told_of).collect::<Vec<_>>(),
        "limits": { "requestBodyBytes": setup.body_limit_bytes, "connections": setup.connections.most },
    }))
}

fn told_of(cache: &CacheReport) -> Value {
    let reads: Map<String, Value> =
        cache.reads.iter().map(|(read, count)| (CacheRead::as_str(*read).to_owned(), (*count).into())).collect();
    let (unit, most) = match cache.bound {
        CacheBound::Entries(most) => ("entries", most),
        CacheBound::Bytes(most) => ("bytes", most),
    };
    json!({
        "name": cache.name,
        "entries": cache.size.entries,
        "bytes": cache.size.bytes,
        "bound": { "unit": unit, "most": most },
        "ttlMs": cache.ttl.map(whole_ms),
        "reads": reads,
        "hitRate": cache.hit_rate(),
    })
}

impl Setup {
    /// Every cache of this process.
    pub fn caches(&self) -> Vec<CacheReport> {
        let mut caches = self.renderer.caches();
        caches.extend(self.identity.caches());
        caches
    }
}
