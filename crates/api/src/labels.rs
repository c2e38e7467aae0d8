//! Labels: which version `prod` is, and making it another one.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use document::compatibility::{Compatibility, Impact};
use domain::labels::{InvalidLabelName, LabelName, MAX_LABELS};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::variants::{TrafficSplit, Variants};
use domain::{ErrorCode, Issue};
use render::Which;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Approval, LabelExpected, LabelMove, LabelOutcome, LabelRecord, LabelSplit, LabelThen, LabelUse};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path};
use crate::error::ApiError;
use crate::label_proofs::{Answer, Consent, approve, moved_meanwhile};
use crate::preconditions::{etag, expected_label, stale_label};
use crate::query::{Pairs, Switch};
use crate::templates::{full_body, known_key, unknown};

/// How often a comparison is made anew because the label was moved meanwhile.
const MOST_COMPARISONS: usize = 5;

/// What a label is to be.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelBody {
    /// The version it is to lead to.
    version: String,
    /// The percentage of bucket keys that get this version, 0 to 100; the others get that of the control. Absent ends a split.
    #[serde(default)]
    traffic_split: Option<u64>,
    /// The label whose version the others get; this server's live label when absent.
    #[serde(default)]
    control_label: Option<String>,
    /// Moves a protected label whatever its proof says. Needs a note.
    #[serde(default)]
    force: Option<bool>,
    /// Why, up to 1000 characters, for the history and the audit log.
    #[serde(default)]
    note: Option<String>,
}

/// Lists a template's labels by name.
#[utoipa::path(get, path = "/templates/{key}/labels", tag = "labels", params(("key" = String, Path)), responses((status = 200, description = "items: label, version, trafficSplit, controlLabel, revision, movedAt, movedBy"), (status = 404, description = "Unknown template")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let head = setup.store.tenant(caller.tenant).labels().head(&key).await?.ok_or_else(|| unknown(&key))?;
    let items: Vec<Value> = head.labels.iter().map(shown).collect();
    Ok(Json(json!({ "items": items })))
}

/// The template with the definition of the version that a label leads to, or led to at a moment.
#[utoipa::path(get, path = "/templates/{key}/labels/{label}", tag = "labels", params(("key" = String, Path), ("label" = String, Path), ("asOf" = Option<String>, Query)), responses((status = 200, description = "The template; ETag is the label's revision"), (status = 404, description = "Unknown template or label"), (status = 422, description = "The label is younger than asOf")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (key, label) = (known_key(&key)?, known_label(&label)?);
    let as_of = Pairs::read(query.as_deref())?.time("asOf")?;
    let tenant = setup.store.tenant(caller.tenant);
    let (version, standing) = match as_of {
        None => {
            let head = tenant.labels().head(&key).await?.ok_or_else(|| unknown(&key))?;
            let found = head.labels.into_iter().find(|found| found.label == label).ok_or_else(|| unknown_label(&key, &label))?;
            (found.version, Some(found))
        }
        Some(as_of) => {
            Which::Label { label: label.clone(), as_of: Some(as_of) }.refuse_the_future(setup.clock.now())?;
            let then = tenant.labels().at(&key, &label, as_of).await?.ok_or_else(|| unknown(&key))?;
            let (key, label) = (key.to_string(), label.to_string());
            match then {
                LabelThen::Was { version, .. } => (version, None),
                LabelThen::Removed => return Err(render::RenderError::LabelWasRemoved { key, label, as_of }.into()),
                LabelThen::NotYet { made_at } => return Err(render::RenderError::AsOfBeforeHistory { key, label, as_of, made_at }.into()),
                LabelThen::Never => return Err(render::RenderError::UnknownLabel { key, label }.into()),
            }
        }
    };
    let record = tenant.template_versions().get(&key, version).await?.ok_or_else(|| no_version(&key, &version.to_string()))?;
    let mut body = full_body(&record);
    body["label"] = json!(label);
    let Some(standing) = standing else { return Ok(Json(body).into_response()) };
    body["revision"] = json!(standing.revision);
    Ok(([(header::ETAG, etag(standing.revision))], Json(body)).into_response())
}

/// Moves a label to a version, or makes it. What the body does not say is no more: a split ends.
#[utoipa::path(put, path = "/templates/{key}/labels/{label}", tag = "labels", params(("key" = String, Path), ("label" = String, Path), ("requireCompatible" = Option<bool>, Query, description = "refuse a version that would refuse data which fits the one in use")), request_body = LabelBody, responses((status = 200, description = "Moved; ETag is the label's revision"), (status = 404, description = "Unknown template or version"), (status = 409, description = "breaking_contract_change with compatibility; approval_required with proof"), (status = 412, description = "Somebody else moved it meanwhile")))]
pub async fn set(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    JsonBody(body): JsonBody<LabelBody>,
) -> Result<Response, ApiError> {
    let (key, label) = (known_key(&key)?, new_label(&label)?);
    let compare = Pairs::read(query.as_deref())?.switch("requireCompatible", Switch::Off)?;
    let expected = expected_label(&headers)?;
    let version = version_of(&key, &body.version)?;
    let (split, consent) = (split(&setup, &body)?, Consent::read(body.force, body.note.as_deref())?);
    let mut proofs = Vec::new();
    for _ in 0..MOST_COMPARISONS {
        // A comparison holds for the label as it was read, so the move is made only if it still is that.
        let compared = if compare { Some(refuse_breaking(&setup, &caller, &key, &label, version).await?) } else { None };
        let approval = Approval { protected: &setup.renderer.releases().protected, proofs: &proofs, note: consent.note.as_ref() };
        let wanted = LabelMove { label: &label, version, split: split.clone(), expected: expected.or(compared), approval };
        match setup.store.tenant(caller.tenant.clone()).labels().set(&key, wanted, &caller.actor).await? {
            LabelOutcome::Written(moved) => {
                setup.renderer.template_changed(&caller.tenant, &key).await;
                return Ok(([(header::ETAG, etag(moved.revision))], Json(shown(&moved))).into_response());
            }
            LabelOutcome::Stale { .. } if expected.is_none() => {}
            LabelOutcome::Unproven { needed } if proofs.is_empty() => {
                proofs = approve(&setup, &caller, &key, &label, needed, &consent).await?;
            }
            LabelOutcome::Unproven { .. } => return Err(moved_meanwhile(&label)),
            refused => return Err(why_not(&key, &label, &body, refused)),
        }
    }
    Err(ApiError::new(ErrorCode::Conflict, format!("the label \"{label}\" is being moved by others all the time; try again")))
}

/// Removes a label. Its history stays. A protected one is removed with force and a note only: afterwards its callers get nothing.
#[utoipa::path(delete, path = "/templates/{key}/labels/{label}", tag = "labels", params(("key" = String, Path), ("label" = String, Path), ("force" = Option<bool>, Query), ("note" = Option<String>, Query)), responses((status = 204, description = "Removed"), (status = 404, description = "Unknown template or label"), (status = 409, description = "label_in_use, default_label_protected or approval_required")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let (key, label, pairs) = (known_key(&key)?, known_label(&label)?, Pairs::read(query.as_deref())?);
    let consent = Consent::read(Some(pairs.switch("force", Switch::Off)?), pairs.text("note"))?;
    if setup.renderer.releases().default_live_label.as_ref() == Some(&label) {
        let said = format!("\"{label}\" renders by default here (DEFAULT_LIVE_LABEL) and is not removed; move it to another version");
        return Err(ApiError::new(ErrorCode::DefaultLabelProtected, said));
    }
    let expected = expected_label(&headers)?;
    let tenant = setup.store.tenant(caller.tenant.clone());
    if setup.renderer.releases().protected.contains(&label) && consent.answer == Answer::Nobody {
        tenant.labels().get(&key, &label).await?.ok_or_else(|| unknown_label(&key, &label))?;
        let said =
            format!("the label \"{label}\" is protected, and without it its callers get nothing; with force and a note it is removed");
        return Err(ApiError::new(ErrorCode::ApprovalRequired, said));
    }
    match tenant.labels().delete(&key, &label, expected, consent.note.as_ref(), &caller.actor).await? {
        LabelOutcome::Written(()) => {
            setup.renderer.template_changed(&caller.tenant, &key).await;
            Ok(StatusCode::NO_CONTENT)
        }
        LabelOutcome::TemplateNotFound => Err(unknown(&key)),
        LabelOutcome::Stale { current } => Err(stale_label(current.as_deref())),
        LabelOutcome::InUse(LabelUse::ControlOf(other)) => {
            Err(ApiError::new(ErrorCode::LabelInUse, format!("\"{label}\" is the control of the label \"{other}\"; end that split first")))
        }
        LabelOutcome::InUse(LabelUse::PendingMove(event)) => {
            Err(ApiError::new(ErrorCode::LabelInUse, format!("a move of \"{label}\" is to come ({event}); cancel it first")))
        }
        _ => Err(unknown_label(&key, &label)),
    }
}

/// Refuses a version that would refuse data which fits the label's present one; gives what was looked at.
async fn refuse_breaking(
    setup: &Setup,
    caller: &Caller,
    key: &TemplateKey,
    label: &LabelName,
    version: TemplateVersion,
) -> Result<LabelExpected, ApiError> {
    // A label that does not exist has nobody who relies on it.
    let Some(before) = setup.store.tenant(caller.tenant.clone()).labels().get(key, label).await? else {
        return Ok(LabelExpected::Revision(0));
    };
    let base = setup.renderer.template(&caller.tenant, key, Which::Version(before.version)).await?;
    let candidate = setup.renderer.template(&caller.tenant, key, Which::Version(version)).await?;
    let found = setup.renderer.compare(base.compiled, candidate.compiled).await?;
    if found.compatible { Ok(LabelExpected::Revision(before.revision.get())) } else { Err(breaking(before.version, version, &found)) }
}

fn breaking(base: TemplateVersion, candidate: TemplateVersion, found: &Compatibility) -> ApiError {
    let message = format!("{candidate} would refuse data that fits {base}; what changed is in compatibility");
    let broken = found.changes.iter().filter(|change| change.impact == Impact::Breaking);
    let issues = broken.map(|change| Issue::new(change.path.clone(), change.message.clone())).collect();
    let compatibility = json!({
        "base": base, "candidate": candidate, "compatible": found.compatible, "changes": found.changes, "truncated": found.truncated,
    });
    ApiError::new(ErrorCode::BreakingContractChange, message).with_issues(issues).compatibility(compatibility)
}

fn split(setup: &Setup, body: &LabelBody) -> Result<Option<LabelSplit>, ApiError> {
    let Some(percent) = body.traffic_split else {
        return if body.control_label.is_none() { Ok(None) } else { Err(ApiError::field("/controlLabel", "belongs to trafficSplit")) };
    };
    let releases = setup.renderer.releases();
    if releases.variants == Variants::Off {
        return Err(ApiError::field("/trafficSplit", "splits are switched off on this server; VARIANTS_ENABLED=true allows them"));
    }
    let percent = u8::try_from(percent).ok().and_then(|percent| TrafficSplit::try_from(percent).ok());
    let percent = percent.ok_or_else(|| ApiError::field("/trafficSplit", "must be a whole number of percent from 0 to 100"))?;
    let given = body.control_label.as_deref().map(str::parse).transpose();
    let given = given.map_err(|error: InvalidLabelName| ApiError::field("/controlLabel", error.to_string()))?;
    let control = given.or_else(|| releases.default_live_label.clone());
    let control = control.ok_or_else(|| ApiError::field("/controlLabel", "is missing; name the label whose version the others get"))?;
    Ok(Some(LabelSplit { percent, control }))
}

fn why_not(key: &TemplateKey, label: &LabelName, body: &LabelBody, refused: LabelOutcome) -> ApiError {
    match refused {
        LabelOutcome::VersionNotFound => no_version(key, &body.version),
        LabelOutcome::Stale { current } => stale_label(current.as_deref()),
        LabelOutcome::TooMany => {
            ApiError::new(ErrorCode::Conflict, format!("a template has up to {MAX_LABELS} labels; remove one that nobody uses"))
        }
        LabelOutcome::ControlNotFound => ApiError::field("/controlLabel", format!("must be another label of \"{key}\" than \"{label}\"")),
        LabelOutcome::SplitControl { control } => {
            ApiError::field("/controlLabel", format!("\"{control}\" would be both split and a control; a control leads to one version"))
        }
        _ => unknown(key),
    }
}

/// A label as the interface shows it.
pub fn shown(label: &LabelRecord) -> Value {
    json!({
        "label": label.label, "version": label.version, "trafficSplit": label.split.as_ref().map(|split| split.percent),
        "controlLabel": label.split.as_ref().map(|split| &split.control), "revision": label.revision,
        "movedAt": label.moved_at.to_string(), "movedBy": label.moved_by,
    })
}

/// A label from a path. What is no label's name names no label either.
pub fn known_label(text: &str) -> Result<LabelName, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("there is no such label"))
}

/// A label from a path that may be made.
pub fn new_label(text: &str) -> Result<LabelName, ApiError> {
    text.parse().map_err(|error: InvalidLabelName| ApiError::field("", error.to_string()))
}

/// The version that a body names.
pub fn version_of(key: &TemplateKey, text: &str) -> Result<TemplateVersion, ApiError> {
    text.parse().map_err(|_| no_version(key, text))
}

pub fn no_version(key: &TemplateKey, version: &str) -> ApiError {
    let version: String = version.chars().take(40).collect();
    ApiError::not_found(format!("the template \"{key}\" has no version {version}; a label leads to a version that exists"))
}

pub fn unknown_label(key: &TemplateKey, label: &LabelName) -> ApiError {
    ApiError::not_found(format!("the template \"{key}\" has no label \"{label}\""))
}
