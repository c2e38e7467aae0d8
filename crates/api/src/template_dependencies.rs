//! What a template is made with, and its theme.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use domain::ErrorCode;
use domain::template_references::{Pin, ReferenceVia};
use domain::templates::TemplateKey;
use render::Which;
use serde_json::{Value, json};
use store::{AssetDependency, Dependencies, Dependency, DependencyOutcome, TemplateKind, TemplateRecord};

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::error::ApiError;
use crate::query::Pairs;
use crate::samples::which;
use crate::template_references::requested;
use crate::templates::{known_key, unknown};

/// What a version is made with: its theme, its layout and its components, theirs in turn, and the assets of all of them.
#[utoipa::path(get, path = "/templates/{key}/dependencies", tag = "templates", params(("key" = String, Path), ("version" = Option<String>, Query), ("label" = Option<String>, Query)), responses((status = 200, description = "templates with the version each reference leads to, and assets"), (status = 404, description = "Unknown")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let found = dependencies(&setup, &caller, &key, &asked(query.as_deref())?).await?;
    let seen = |key: &TemplateKey| caller.reaches(key).is_ok();
    let all = found.templates.len();
    let templates: Vec<Value> = found.templates.iter().filter(|one| seen(&one.key) && seen(&one.used_by.0)).map(told).collect();
    let assets: Vec<Value> = found.assets.iter().filter(|one| seen(&one.used_by.0)).map(told_asset).collect();
    Ok(Json(json!({
        "templateKey": key, "version": found.version, "unseen": all - templates.len(), "templates": templates, "assets": assets,
        "truncated": found.truncated,
    })))
}

/// A version with its theme, its layout and its components in it: what is rendered.
#[utoipa::path(get, path = "/templates/{key}/effective", tag = "templates", params(("key" = String, Path), ("version" = Option<String>, Query), ("label" = Option<String>, Query)), responses((status = 200, description = "definition, and parts with the version that each reference led to"), (status = 403, description = "A part is out of this credential's reach"), (status = 404, description = "Unknown, or a part is missing")))]
pub async fn effective(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let pairs = Pairs::read(query.as_deref())?;
    let which = which(pairs.text("version"), pairs.text("label"))?;
    let whole = setup.renderer.effective(&caller.tenant, &key, which).await?;
    // What the parts say stands in it word for word.
    whole.parts.iter().try_for_each(|part| caller.reaches(&part.key))?;
    let part = |part: &document::parts::UsedPart| json!({ "key": part.key, "via": part.via.as_str(), "version": part.version });
    let parts: Vec<Value> = whole.parts.iter().map(part).collect();
    Ok(Json(json!({
        "key": key, "version": whole.version, "label": whole.via.map(|via| via.label), "definition": whole.definition, "parts": parts,
    })))
}

/// The theme of a template: what a theme says itself, or what the theme says that a template or its layout names.
#[utoipa::path(get, path = "/templates/{key}/theme", tag = "templates", params(("key" = String, Path), ("version" = Option<String>, Query), ("label" = Option<String>, Query)), responses((status = 200, description = "key, version and theme; label where one led to it"), (status = 404, description = "Unknown, or without a theme")))]
pub async fn theme(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let pin = asked(query.as_deref())?;
    let found = dependencies(&setup, &caller, &key, &pin).await?;
    let record = saved(&setup, &caller, &key, found.version).await?;
    if record.kind == TemplateKind::Theme {
        return Ok(Json(theme_of(&record, &pin)));
    }
    // Its own comes before that of its layout, as it does when it is rendered.
    let is_theme = |one: &&Dependency| one.via == ReferenceVia::Theme;
    let is_own = |one: &&Dependency| one.used_by.0 == key;
    let layout = found.templates.iter().find(|one| one.via == ReferenceVia::Layout && is_own(one)).map(|one| &one.key);
    let own = found.templates.iter().find(|one| is_theme(one) && is_own(one));
    let theme = own.or_else(|| found.templates.iter().find(|one| is_theme(one) && Some(&one.used_by.0) == layout));
    let none = || ApiError::new(ErrorCode::ThemeNotFound, format!("the template \"{key}\" has no theme"));
    let theme = theme.ok_or_else(none)?;
    caller.reaches(&theme.key)?;
    let gone = || ApiError::new(ErrorCode::ThemeNotFound, format!("there is no theme \"{}\" as \"{key}\" asks for it", theme.key));
    let version = theme.found.as_ref().and_then(|found| found.version).ok_or_else(gone)?;
    Ok(Json(theme_of(&saved(&setup, &caller, &theme.key, version).await?, &theme.pin)))
}

/// Which version the query asks for.
fn asked(query: Option<&str>) -> Result<Pin, ApiError> {
    let pairs = Pairs::read(query)?;
    Ok(match which(pairs.text("version"), pairs.text("label"))? {
        Which::Default => Pin::Default,
        Which::Current => Pin::Latest,
        Which::Version(version) => Pin::Version(version),
        Which::Label { label, .. } => Pin::Label(label),
    })
}

async fn dependencies(setup: &Setup, caller: &Caller, key: &TemplateKey, pin: &Pin) -> Result<Dependencies, ApiError> {
    let live = setup.renderer.releases().default_live_label.as_ref();
    match setup.store.tenant(caller.tenant.clone()).templates().dependencies(key, pin, live).await? {
        DependencyOutcome::Found(found) => Ok(found),
        DependencyOutcome::NotFound => Err(unknown(key)),
        DependencyOutcome::VersionNotFound => Err(match pin {
            Pin::Version(version) => ApiError::not_found(format!("there is no version {version} of a template \"{key}\"")),
            Pin::Label(label) => ApiError::not_found(format!("the template \"{key}\" has no label \"{label}\"")),
            Pin::Default | Pin::Latest => ApiError::new(
                ErrorCode::TemplateNotReleased,
                format!("no version of the template \"{key}\" has the label that is meant where none is named; send label=@latest"),
            ),
        }),
    }
}

async fn saved(
    setup: &Setup,
    caller: &Caller,
    key: &TemplateKey,
    version: domain::templates::TemplateVersion,
) -> Result<TemplateRecord, ApiError> {
    setup.store.tenant(caller.tenant.clone()).template_versions().get(key, version).await?.ok_or_else(|| unknown(key))
}

fn theme_of(record: &TemplateRecord, pin: &Pin) -> Value {
    let theme = record.definition.get("theme").cloned().unwrap_or_else(|| json!({}));
    let mut told = json!({ "key": record.key, "version": record.version, "theme": theme });
    if let Some(label) = pin.label() {
        told["label"] = json!(label);
    }
    told
}

fn told(one: &Dependency) -> Value {
    let found = one.found.as_ref();
    json!({
        "key": one.key, "via": one.via.as_str(), "requested": requested(&one.pin),
        "name": found.map(|found| &found.name), "kind": found.map(|found| found.kind.as_str()),
        "version": found.and_then(|found| found.version), "level": one.level, "pointer": one.pointer, "nodeId": one.node_id,
        "usedBy": { "key": one.used_by.0, "version": one.used_by.1 },
    })
}

fn told_asset(one: &AssetDependency) -> Value {
    json!({
        // None where data decides about the address.
        "name": one.name.as_ref().map(domain::assets::AssetName::stored), "assetId": one.asset_id, "via": one.via, "nodeIds": one.node_ids,
        "usedBy": { "key": one.used_by.0, "version": one.used_by.1 },
    })
}
