//! How this server is set up, for its operators. No setting's value is in it that could be a secret.

use axum::Json;
use axum::extract::{Extension, State};
use domain::Scope;
use serde_json::{Value, json};

use crate::Setup;
use crate::auth::Caller;
use crate::identity::Tenancy;

/// How this server is set up, and as whom the caller is seen.
#[utoipa::path(get, path = "/admin/system", tag = "system", responses((status = 200, description = "version, instanceId, session, tenancy, engine and limits")))]
pub async fn system(State(setup): State<Setup>, Extension(caller): Extension<Caller>) -> Json<Value> {
    let pool = setup.renderer.pool_status();
    Json(json!({
        "version": setup.version,
        "instanceId": setup.store.instance_id(),
        "timestamp": setup.clock.now().to_string(),
        "session": {
            "actor": &*caller.actor.name, "scope": caller.scope, "tenantId": caller.tenant,
            "superAdmin": caller.scope == Scope::SuperAdmin,
        },
        "multiTenant": setup.identity.tenancy() == Tenancy::Multi,
        "credentialsRequired": setup.identity.is_required(),
        "editorTokenTtlMinutes": setup.identity.editor_tokens().ttl_minutes,
        "engine": { "version": pool.version, "tabs": pool.tabs, "healthyTabs": pool.healthy_tabs, "inUse": pool.in_use },
        "limits": { "requestBodyBytes": setup.body_limit_bytes, "connections": setup.max_connections },
    }))
}
