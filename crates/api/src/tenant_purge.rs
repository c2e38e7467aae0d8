//! Taking a tenant away, and looking first at what would go.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use domain::ErrorCode;
use domain::tenants::TenantStatus;
use serde_json::{Value, json};
use store::{PurgeCount, PurgeFate, PurgeOptions, PurgeOutcome, Retention};

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::error::ApiError;
use crate::query::{Pairs, Switch, refused};
use crate::tenants::{served, tenant_id, unknown};

/// What a tenant has, and what a purge would do with it.
#[utoipa::path(get, path = "/admin/tenants/{id}/purge-preview", tag = "tenants", params(("id" = String, Path)), responses((status = 200, description = "tenantId and tables, each with rows, sizeBytes and fate")))]
pub async fn preview(State(setup): State<Setup>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    served(&setup)?;
    let id = tenant_id(&id)?;
    let counts = setup.store.tenants().purge_preview(&id).await?.ok_or_else(|| unknown(&id))?;
    let tables: Vec<Value> = counts.iter().map(counted).collect();
    Ok(Json(json!({ "tenantId": id, "tables": tables })))
}

/// Takes an archived tenant away, for good: `purge=true`, its id again in `confirm`, and whether the audit log and the
/// usage stay. Without `purge` it archives the tenant.
#[utoipa::path(delete, path = "/admin/tenants/{id}", tag = "tenants", params(("id" = String, Path), ("purge" = Option<bool>, Query), ("confirm" = Option<String>, Query), ("retainAudit" = Option<bool>, Query), ("retainUsage" = Option<bool>, Query)), responses((status = 204, description = "Archived, or nothing of what was to go is left"), (status = 403, description = "This tenant is never purged"), (status = 409, description = "It has to be archived first")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    served(&setup)?;
    let pairs = Pairs::read(query.as_deref())?;
    if !pairs.switch("purge", Switch::Off)? {
        let Json(_) = crate::tenants::set_status(&setup, &caller, &id, TenantStatus::Archived).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let id = tenant_id(&id)?;
    if pairs.text("confirm") != Some(id.as_str()) {
        return Err(refused("confirm", pairs.text("confirm").unwrap_or_default(), "the tenant's id again"));
    }
    let retention = |retain: bool| if retain { Retention::Kept } else { Retention::Removed };
    let options = PurgeOptions {
        audit: retention(pairs.switch("retainAudit", Switch::On)?),
        usage: retention(pairs.switch("retainUsage", Switch::Off)?),
    };
    let outcome = setup.store.tenants().purge(&id, options, &caller.actor).await?;
    setup.identity.changed(&id);
    match outcome {
        PurgeOutcome::Purged { removed_rows } => {
            tracing::info!(tenant = %id, removed_rows, "a tenant was purged");
            Ok(StatusCode::NO_CONTENT)
        }
        PurgeOutcome::NotFound => Err(unknown(&id)),
        PurgeOutcome::Forbidden => Err(ApiError::new(ErrorCode::TenantPurgeForbidden, "the tenant \"default\" is never purged")),
        PurgeOutcome::NotFrom(_) => Err(ApiError::new(ErrorCode::TenantNotArchived, format!("archive the tenant \"{id}\" first"))),
    }
}

fn counted(count: &PurgeCount) -> Value {
    let fate = match count.fate {
        PurgeFate::Removed => "removed",
        PurgeFate::AsAudit => "as retainAudit says",
        PurgeFate::AsUsage => "as retainUsage says",
        PurgeFate::Kept => "kept",
    };
    json!({ "table": count.table, "rows": count.rows, "sizeBytes": count.size_bytes, "fate": fate })
}
