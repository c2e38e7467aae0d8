//! Who is made with a template.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use serde_json::{Value, json};
use store::{Dependent, Reach};

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::error::ApiError;
use crate::query::{Pairs, Switch};
use crate::template_references::told;
use crate::templates::{known_key, unknown};

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
    let found = setup.store.tenant(caller.tenant.clone()).templates().dependents(&key, reach).await?.ok_or_else(|| unknown(&key))?;
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
