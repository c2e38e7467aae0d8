//! What changed between two versions of a template, and whether the newer one takes what the older one took.

use axum::Json;
use axum::extract::{Extension, State};
use document::compatibility::Compatibility;
use document::diff::TemplateDiff;
use domain::templates::{TemplateKey, TemplateVersion};
use render::Which;
use serde::{Deserialize, Serialize};
use store::TemplateRecord;
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path, Query};
use crate::error::ApiError;
use crate::samples::which;
use crate::templates::{known_key, unknown};

/// Which two versions to compare, each by its number or by a label.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DiffBody {
    /// The older side; without it the version saved before the newer one.
    before_version: Option<String>,
    /// The newer side; without it the current version.
    after_version: Option<String>,
    /// The older side by a label.
    before_label: Option<String>,
    /// The newer side by a label.
    after_label: Option<String>,
}

/// What changed, with what was compared.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffAnswer {
    template_key: TemplateKey,
    before_version: TemplateVersion,
    after_version: TemplateVersion,
    #[serde(flatten)]
    diff: TemplateDiff,
}

/// Which two versions to compare: `current`, a version such as `1.0.3` or `version:1.0.3`, or a label such as `label:prod`.
#[derive(Deserialize)]
pub struct CompatibilityQuery {
    base: Option<String>,
    candidate: Option<String>,
}

/// Whether data goes on being accepted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompatibilityAnswer {
    template_key: TemplateKey,
    base: TemplateVersion,
    candidate: TemplateVersion,
    #[serde(flatten)]
    compatibility: Compatibility,
}

/// What changed between two versions, node by node.
#[utoipa::path(post, path = "/templates/{key}/diff", tag = "versions", params(("key" = String, Path)), request_body = DiffBody, responses((status = 200, description = "Metadata, schema, mappings and nodes that changed, with their places and how many"), (status = 404, description = "Unknown template, version or label")))]
pub async fn diff(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    JsonBody(body): JsonBody<DiffBody>,
) -> Result<Json<DiffAnswer>, ApiError> {
    let key = known_key(&key)?;
    let side = |version: &Option<String>, label: &Option<String>| match (version, label) {
        (None, None) => Ok(None),
        (version, label) => which(version.as_deref(), label.as_deref()).map(Some),
    };
    let (before, after) = (side(&body.before_version, &body.before_label)?, side(&body.after_version, &body.after_label)?);
    let after = version_of(&setup, &caller, &key, after.unwrap_or(Which::Current)).await?;
    let before = match before {
        Some(which) => version_of(&setup, &caller, &key, which).await?,
        None => TemplateVersion { patch: after.patch.saturating_sub(1), ..after },
    };
    let (old, new) = (read(&setup, &caller, &key, before).await?, read(&setup, &caller, &key, after).await?);
    let diff = setup.renderer.diff(old.definition, new.definition).await?;
    Ok(Json(DiffAnswer { template_key: key, before_version: before, after_version: after, diff }))
}

/// Whether every data that the base takes is taken by the candidate.
#[utoipa::path(get, path = "/templates/{key}/compatibility", tag = "versions", params(("key" = String, Path), ("base" = String, Query, description = "current, 1.0.3, version:1.0.3 or label:prod"), ("candidate" = Option<String>, Query, description = "the same; current without it")), responses((status = 200, description = "compatible, and each change to the disadvantage of callers"), (status = 404, description = "Unknown template, version or label")))]
pub async fn compatibility(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    Query(query): Query<CompatibilityQuery>,
) -> Result<Json<CompatibilityAnswer>, ApiError> {
    let key = known_key(&key)?;
    let base = query.base.ok_or_else(|| ApiError::bad_request(format!("base is missing; accepted: {ACCEPTED}")))?;
    let (base, candidate) = (named("base", &base)?, named("candidate", query.candidate.as_deref().unwrap_or("current"))?);
    let base = setup.renderer.template(&caller.tenant, &key, base).await?;
    let candidate = setup.renderer.template(&caller.tenant, &key, candidate).await?;
    let compatibility = setup.renderer.compare(base.compiled, candidate.compiled).await?;
    Ok(Json(CompatibilityAnswer { template_key: key, base: base.version, candidate: candidate.version, compatibility }))
}

const ACCEPTED: &str = "current, a version such as 1.0.3 or version:1.0.3, a label such as label:prod";

fn named(name: &str, text: &str) -> Result<Which, ApiError> {
    match text.split_once(':') {
        Some(("label", label)) => which(None, Some(label)),
        Some(("version", version)) => which(Some(version), None),
        None if matches!(text, "current" | "@latest") => Ok(Which::Current),
        None if text.parse::<TemplateVersion>().is_ok() => which(Some(text), None),
        _ => Err(ApiError::bad_request(format!("{name} is not understood; accepted: {ACCEPTED}"))),
    }
}

/// The number of a version. What is only compared does not have to be fit for a render, so nothing is compiled where a
/// label does not ask for it.
async fn version_of(setup: &Setup, caller: &Caller, key: &TemplateKey, which: Which) -> Result<TemplateVersion, ApiError> {
    match which {
        Which::Version(version) => Ok(version),
        Which::Current => {
            let found = setup.store.tenant(caller.tenant.clone()).templates().get(key).await?;
            Ok(found.ok_or_else(|| unknown(key))?.current_version)
        }
        which => Ok(setup.renderer.template(&caller.tenant, key, which).await?.version),
    }
}

async fn read(setup: &Setup, caller: &Caller, key: &TemplateKey, version: TemplateVersion) -> Result<TemplateRecord, ApiError> {
    let found = setup.store.tenant(caller.tenant.clone()).template_versions().get(key, version).await?;
    found.ok_or_else(|| ApiError::not_found(format!("there is no version {version} of a template \"{key}\"")))
}
