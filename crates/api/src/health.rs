//! Is the process alive, is it ready, does it ask for keys.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::{Setup, oidc};

/// The published bound of the storage check.
const STORAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// The process is alive.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, description = "Alive")))]
pub async fn live(State(setup): State<Setup>) -> Json<Value> {
    Json(json!({ "status": "ok", "version": setup.version, "timestamp": setup.clock.now().to_string() }))
}

/// New work is welcome: the database answers and a browser can print. Without the stored files most of it is too.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses((status = 200, description = "Ready; `degraded` while the stored files are away, which `checks.storedFiles` says"), (status = 503, description = "Degraded; `checks` names the part")))]
pub async fn ready(State(setup): State<Setup>) -> Response {
    let (storage, stored_files) = tokio::join!(setup.store.ping(STORAGE_TIMEOUT), setup.renderer.has_stored_files());
    let storage = storage.is_ok();
    let browser = setup.renderer.pool_status().healthy_tabs > 0;
    let accepting = setup.readiness.is_on();
    let word = |good: bool| if good { "ok" } else { "error" };
    let good = storage && browser && accepting;
    let body = json!({
        "status": if good && stored_files { "ok" } else { "degraded" },
        "version": setup.version,
        "timestamp": setup.clock.now().to_string(),
        "checks": { "storage": word(storage), "browser": word(browser), "accepting": word(accepting), "storedFiles": word(stored_files) },
    });
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// This server takes requests: it is not about to end, and a browser can print. What all servers miss alike, such as the database, is no
/// reason to send nothing to any of them, as documents of templates that were rendered before are made without it. For balancers.
#[utoipa::path(get, path = "/health/serving", tag = "health", responses((status = 200, description = "Send requests here"), (status = 503, description = "Send them elsewhere; `checks` says why")))]
pub async fn serving(State(setup): State<Setup>) -> Response {
    let browser = setup.renderer.pool_status().healthy_tabs > 0;
    let accepting = setup.readiness.is_on();
    let word = |good: bool| if good { "ok" } else { "error" };
    let good = browser && accepting;
    let body = json!({
        "status": if good { "ok" } else { "degraded" },
        "version": setup.version,
        "timestamp": setup.clock.now().to_string(),
        "checks": { "browser": word(browser), "accepting": word(accepting) },
    });
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// Whether unsaved templates can be shown.
#[utoipa::path(get, path = "/render/preview/status", tag = "render", responses((status = 200, description = "available, and why not")))]
pub async fn preview_status() -> Json<Value> {
    Json(json!({ "available": false, "reason": "routes_disabled" }))
}

/// Whether callers need a key.
#[utoipa::path(get, path = "/auth/status", tag = "auth", responses((status = 200, description = "How to log in")))]
pub async fn auth_status(State(setup): State<Setup>) -> Json<Value> {
    let named = setup.identity.has_named_users().await;
    Json(json!({
        "authRequired": setup.identity.is_required(),
        "editorLoginAvailable": setup.identity.is_required(),
        "identityMode": if named { "named-users" } else { "shared-key" },
        "oidcLoginUrl": setup.identity.oidc().map(|_| oidc::LOGIN_PATH),
        "loginUnavailableReason": (!setup.identity.is_required()).then_some("this server asks for no credential"),
    }))
}
