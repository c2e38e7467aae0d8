//! What this server can do.

use axum::Json;
use axum::extract::State;
use domain::variants::Variants;
use render::{Format, PICTURE_WIDTHS};
use serde_json::{Value, json};

use crate::Setup;
use crate::identity::Tenancy;

/// What this server can do; what is not listed answers 501.
#[utoipa::path(get, path = "/capabilities", tag = "health", responses((status = 200, description = "Formats, kinds of definition and limits")))]
pub async fn capabilities(State(setup): State<Setup>) -> Json<Value> {
    let pool = setup.renderer.pool_status();
    let datasets = setup.renderer.datasets().limits();
    let mut capabilities = json!({
        "version": setup.version,
        "formats": Format::ALL.map(Format::as_str),
        "definitions": ["document", "html"],
        "features": [
            "templates", "versions", "templateMeta", "templateFolders", "templateTrash", "labels", "labelProofs", "labelRollback", "samples", "assets", "diff", "compatibility", "drafts", "inferSchema", "formMetadata", "bindings", "dependencies", "dependents", "dryRun", "convert", "batches", "mailMerge", "jobs", "datasets", "dataInput", "editorTokens", "documents", "schedules", "renderTokens", "apiKeys", "users", "audit", "usage", "webhooks",
        ],
        "defaultLiveLabel": setup.renderer.releases().default_live_label,
        "protectedLabels": setup.renderer.releases().protected,
        "variants": setup.renderer.releases().variants == Variants::On,
        "multiTenant": setup.identity.tenancy() == Tenancy::Multi,
        "limits": { "requestBodyBytes": setup.body_limit_bytes, "assetBytes": setup.uploads.max_bytes(), "concurrentPages": pool.tabs, "batchItems": setup.renderer.limits().batch_items, "jobItems": setup.jobs.max_items, "datasetBytes": datasets.max_bytes, "pictures": setup.renderer.limits().pictures, "pictureWidthPx": { "min": PICTURE_WIDTHS.0, "max": PICTURE_WIDTHS.1 } },
        "engine": pool.version,
    });
    if let (Some(features), true) = (capabilities["features"].as_array_mut(), setup.renderer.gets_data_from_urls()) {
        features.push("dataUrl".into());
    }
    Json(capabilities)
}
