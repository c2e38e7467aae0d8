//! What templates are made with and who uses them: what a limited credential may name, and what refusals tell.

use domain::template_references::{Pin, ReferenceVia, TemplateReference, template_references};
use domain::templates::TemplateKey;
use domain::{ErrorCode, Issue};
use serde_json::{Map, Value, json};
use store::{PartUsage, PartUser};

use crate::Setup;
use crate::auth::Caller;
use crate::error::ApiError;

/// Refuses a definition with parts that this credential is not for, unless the current version of the template has them already.
pub async fn within_reach(setup: &Setup, caller: &Caller, definition: &Value, key: Option<&TemplateKey>) -> Result<(), ApiError> {
    let out_of_reach = |reference: &TemplateReference| caller.reaches(&reference.key).is_err();
    let mut strange: Vec<TemplateReference> = template_references(definition).into_iter().filter(out_of_reach).collect();
    if strange.is_empty() {
        return Ok(());
    }
    if let Some(key) = key
        && let Some(current) = setup.store.tenant(caller.tenant.clone()).templates().get_current(key).await?
    {
        let kept = template_references(&current.definition);
        // The same version of it in the same part: another one may say what this credential was never shown.
        strange.retain(|own| !kept.iter().any(|kept| (&kept.key, kept.via, &kept.pin) == (&own.key, own.via, &own.pin)));
    }
    let Some(first) = strange.first() else { return Ok(()) };
    Err(ApiError::new(
        ErrorCode::ApiKeyTemplateNotAllowed,
        format!("this credential is limited to other templates than \"{}\", which {} names", first.key, first.pointer),
    ))
}

/// A definition names a template that went away between its check and its saving, or since the old version was made.
pub fn part_missing(part: &TemplateKey) -> ApiError {
    let said = format!("there is no template \"{part}\", which this one is made with; take it out of the trash, or name another one");
    ApiError::invalid(ErrorCode::ValidationFailed, vec![Issue::new("", said)])
}

/// Others use what was to go. A limited credential is told of those it reaches.
pub fn in_use(usage: &PartUsage, key: &TemplateKey, caller: &Caller, way_out: &str) -> ApiError {
    let seen: Vec<&PartUser> = usage.named_by.iter().filter(|user| caller.reaches(&user.key).is_ok()).collect();
    let names: Vec<&str> = seen.iter().take(5).map(|user| user.key.as_str()).collect();
    let more = usage.total.saturating_sub(names.len() as u64);
    let who = match (names.is_empty(), more) {
        (true, 1) => "one that this credential cannot see".to_owned(),
        (true, more) => format!("{more} that this credential cannot see"),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    };
    let is_layout = usage.named_by.iter().any(|user| user.via.contains(&ReferenceVia::Layout));
    let code = if is_layout { ErrorCode::LayoutInUse } else { ErrorCode::TemplateInUse };
    let told: Vec<Value> = seen.into_iter().map(told).collect();
    ApiError::new(code, format!("templates are made with \"{key}\": {who}; {way_out}")).referenced_by(told.into())
}

/// One that uses a template.
pub fn told(user: &PartUser) -> Value {
    let via: Vec<&str> = user.via.iter().map(|via| via.as_str()).collect();
    let requested: Vec<Value> = user.pins.iter().map(requested).collect();
    json!({
        "key": user.key, "name": user.name, "kind": user.kind.as_str(), "currentVersion": user.current_version, "via": via,
        "nodeIds": user.node_ids, "versions": user.versions, "requested": requested,
    })
}

/// Which version is asked for: `version`, `label`, or nothing.
pub fn requested(pin: &Pin) -> Value {
    let mut asked = Map::new();
    if let Some(version) = pin.version() {
        asked.insert("version".to_owned(), json!(version));
    }
    if let Some(label) = pin.label() {
        asked.insert("label".to_owned(), json!(label));
    }
    Value::Object(asked)
}
