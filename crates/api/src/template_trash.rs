//! The trash: templates that come back, or go for good.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use domain::ErrorCode;
use domain::templates::TemplateKey;
use serde_json::Value;
use store::TrashOutcome;

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::error::ApiError;
use crate::template_references::in_use;
use crate::templates::{known_key, summary, unknown};

/// Takes a template out of the trash, the one that was deleted last where several had the key.
#[utoipa::path(post, path = "/templates/{key}/undelete", tag = "templates", params(("key" = String, Path)), responses((status = 200, description = "The template as a list shows it"), (status = 404, description = "No template of that key is there"), (status = 409, description = "It is not in the trash (`template_not_in_trash`), or the key has another template by now")))]
pub async fn undelete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let outcome = setup.store.tenant(caller.tenant.clone()).templates().undelete(&key, &caller.actor).await?;
    let back = done(outcome, &key, &caller)?;
    setup.renderer.template_changed(&caller.tenant, &key).await;
    Ok(Json(summary(&back)))
}

/// Removes a template from the trash for good, unless others are made with it.
pub async fn purge(setup: &Setup, caller: &Caller, key: &TemplateKey) -> Result<StatusCode, ApiError> {
    let outcome = setup.store.tenant(caller.tenant.clone()).templates().purge(key, &caller.actor).await?;
    done(outcome, key, caller)?;
    Ok(StatusCode::NO_CONTENT)
}

fn done<T>(outcome: TrashOutcome<T>, key: &TemplateKey, caller: &Caller) -> Result<T, ApiError> {
    match outcome {
        TrashOutcome::Done(what) => Ok(what),
        TrashOutcome::NotFound => Err(unknown(key)),
        TrashOutcome::NotInTrash => Err(ApiError::new(
            ErrorCode::TemplateNotInTrash,
            format!("the template \"{key}\" is not in the trash; DELETE without permanent=true puts it there"),
        )),
        TrashOutcome::InUse(usage) => {
            Err(in_use(&usage, key, caller, "change them first; what others are made with is not removed for good"))
        }
        TrashOutcome::KeyTaken => Err(ApiError::new(
            ErrorCode::Conflict,
            format!("there is another template \"{key}\" by now; delete it before the one in the trash comes back"),
        )),
    }
}
