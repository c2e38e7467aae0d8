//! Who is made with a template, and whether they would still be whole with another version of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use domain::Issue;
use domain::templates::{TemplateKey, TemplateVersion};
use render::{Checking, RenderError};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Dependent, Dependents, Reach};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path};
use crate::error::{ApiError, IssueBody};
use crate::query::{Pairs, Switch};
use crate::template_references::{told, within_reach};
use crate::templates::{known_key, unknown};

/// The most versions that one call compiles, and as many as it does where it is not said.
const MOST_CHECKED: usize = 100;
/// How long that may take together. What is not begun by then is told as not checked.
const ALL_CHECKS: Duration = Duration::from_secs(30);

/// The templates that use this one in their current version, in one with a label, or in one that a label is going to lead to.
#[utoipa::path(get, path = "/templates/{key}/dependents", tag = "templates", params(("key" = String, Path), ("transitive" = Option<bool>, Query, description = "those that use it through others too"), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "A page, the nearest first; scanned, truncated, and unseen: how many this credential cannot see"), (status = 404, description = "Unknown")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let pairs = Pairs::read(query.as_deref())?;
    let page = pairs.page()?;
    let reach = if pairs.switch("transitive", Switch::Off)? { Reach::Transitive } else { Reach::Direct };
    let found = dependents(&setup, &caller, &key, reach).await?;
    let seen: Vec<&Dependent> = found.items.iter().filter(|one| caller.reaches(&one.user.key).is_ok()).collect();
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let items: Vec<Value> = seen.iter().skip(offset).take(limit).map(|one| listed(one, &caller)).collect();
    Ok(Json(json!({
        "items": items, "total": seen.len(), "limit": page.limit, "offset": page.offset,
        "scanned": found.items.len(), "truncated": found.truncated, "unseen": found.items.len() - seen.len(),
    })))
}

fn listed(one: &Dependent, caller: &Caller) -> Value {
    let mut item = told(&one.user);
    item["level"] = json!(one.level);
    item["uses"] = one.user.uses.iter().filter(|key| caller.reaches(key).is_ok()).map(|key| json!(key)).collect();
    item
}

/// What others are to be tried with. Nothing at all tries what is current.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidateBody {
    /// What the template may say next.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    definition: Option<Value>,
    /// How many versions of others are tried at most, from 1 to 100.
    #[serde(default)]
    limit: Option<usize>,
}

/// Compiles every version in use that is made with this template, as if the template said `definition`, and saves nothing. Those
/// that ask for a version or a label of it stay with that, and are tried as they are.
#[utoipa::path(post, path = "/templates/{key}/dependents/validate", tag = "templates", params(("key" = String, Path)), request_body = ValidateBody, responses((status = 200, description = "valid, and for each version whether it is and its issues; checked, truncated, unseen"), (status = 404, description = "Unknown"), (status = 422, description = "The definition itself is not valid")))]
pub async fn validate(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    JsonBody(body): JsonBody<ValidateBody>,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let limit = body.limit.unwrap_or(MOST_CHECKED);
    if !(1..=MOST_CHECKED).contains(&limit) {
        return Err(ApiError::bad_request(format!("limit must be a whole number from 1 to {MOST_CHECKED}")));
    }
    let current = setup.store.tenant(caller.tenant.clone()).templates().get_current(&key).await?.ok_or_else(|| unknown(&key))?;
    let definition = match body.definition {
        Some(definition) => {
            within_reach(&setup, &caller, &definition, Some(&key)).await?;
            definition
        }
        None => current.definition,
    };
    let _turn = setup.heavy_reads.turn(&caller.tenant).await?;
    let replacing = Some((key.clone(), Arc::new(definition.clone())));
    let checking = Checking { replacing, reached: caller.templates.clone() };
    setup.renderer.check(&caller.tenant, definition, checking.clone()).await?;
    let found = dependents(&setup, &caller, &key, Reach::Transitive).await?;
    let seen: Vec<&Dependent> = found.items.iter().filter(|one| caller.reaches(&one.user.key).is_ok()).collect();
    let versions: Vec<(&Dependent, TemplateVersion)> =
        seen.iter().flat_map(|one| one.user.versions.iter().rev().map(move |version| (*one, *version))).collect();
    let deadline = Instant::now() + ALL_CHECKS;
    let (mut items, mut valid) = (Vec::new(), true);
    for (one, version) in versions.iter().take(limit) {
        if Instant::now() >= deadline {
            break;
        }
        let Some(issues) = issues_with(&setup, &caller, &one.user.key, *version, &checking).await? else { continue };
        valid &= issues.is_empty();
        let mut item = told(&one.user);
        item["version"] = json!(version);
        item["valid"] = json!(issues.is_empty());
        item["issues"] = issues.into_iter().map(|issue| json!(IssueBody::from(issue))).collect();
        items.push(item);
    }
    let truncated = found.truncated || items.len() < versions.len();
    Ok(Json(json!({
        "templateKey": key, "valid": valid, "checked": items.len(), "total": versions.len(), "truncated": truncated,
        "scanned": found.items.len(), "unseen": found.items.len() - seen.len(), "items": items,
    })))
}

/// What is wrong with a version as things would be; none at all where it has gone meanwhile.
async fn issues_with(
    setup: &Setup,
    caller: &Caller,
    key: &TemplateKey,
    version: TemplateVersion,
    checking: &Checking,
) -> Result<Option<Vec<Issue>>, ApiError> {
    let record = setup.store.tenant(caller.tenant.clone()).template_versions().get(key, version).await?;
    let Some(record) = record else { return Ok(None) };
    match setup.renderer.check(&caller.tenant, record.definition, checking.clone()).await {
        Ok(_) => Ok(Some(Vec::new())),
        Err(RenderError::Document(error)) => {
            let mut issues = error.issues();
            if issues.is_empty() {
                issues.push(Issue::new("", error.to_string()).with_code(error.code().as_str()));
            }
            Ok(Some(issues))
        }
        Err(error) => Err(error.into()),
    }
}

async fn dependents(setup: &Setup, caller: &Caller, key: &TemplateKey, reach: Reach) -> Result<Dependents, ApiError> {
    setup.store.tenant(caller.tenant.clone()).templates().dependents(key, reach).await?.ok_or_else(|| unknown(key))
}
