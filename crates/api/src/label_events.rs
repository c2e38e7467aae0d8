//! What happened to a label, and moving it later.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::ErrorCode;
use domain::ids::LabelEventId;
use domain::labels::{LabelEventState, MAX_PENDING_MOVES};
use domain::local_times::{InvalidLocalTime, moment_of};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Approval, CancelOutcome, LabelEvent, ScheduleOutcome};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path};
use crate::error::ApiError;
use crate::label_proofs::{Consent, approve, moved_meanwhile};
use crate::labels::{known_label, new_label, no_version, version_of};
use crate::preconditions::takes_no_condition;
use crate::query::{Pairs, refused};
use crate::render_body::moment;
use crate::templates::{known_key, unknown};

/// How far ahead a move is planned: two years.
const FARTHEST: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);

/// A move that is to come.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleBody {
    /// The version the label is to lead to. A split stays.
    version: String,
    /// When, in ISO 8601 with its offset; this or `effectiveLocal` with `timeZone`.
    #[serde(default)]
    effective_at: Option<String>,
    /// When, as clocks in `timeZone` show it, such as `2026-12-31T23:59:00`. A time that those clocks skip or show twice is refused.
    #[serde(default)]
    effective_local: Option<String>,
    /// An IANA name such as `Europe/Berlin`.
    #[serde(default)]
    time_zone: Option<String>,
    /// Plans a move of a protected label whatever its proof says. Needs a note.
    #[serde(default)]
    force: Option<bool>,
    /// Why, up to 1000 characters, for the history and the audit log.
    #[serde(default)]
    note: Option<String>,
}

/// What happened to a label and what is to come, the newest entry first. It outlives the label.
#[utoipa::path(get, path = "/templates/{key}/labels/{label}/history", tag = "labels", params(("key" = String, Path), ("label" = String, Path), ("status" = Option<String>, Query, description = "pending, applied, cancelled or failed"), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "A page of events"), (status = 404, description = "Unknown template, or a label that never was")))]
pub async fn history(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (key, label) = (known_key(&key)?, known_label(&label)?);
    let pairs = Pairs::read(query.as_deref())?;
    let page = pairs.page()?;
    let read = |word: &str| word.parse::<LabelEventState>().map_err(|_| refused("status", word, "pending, applied, cancelled, failed"));
    let status = pairs.text("status").map(read).transpose()?;
    let found = setup.store.tenant(caller.tenant).labels().history(&key, &label, status, page.limit, page.offset).await?;
    let found = found.ok_or_else(|| unknown(&key))?;
    if found.total == 0 && status.is_none() {
        return Err(ApiError::not_found(format!("the template \"{key}\" never had a label \"{label}\"")));
    }
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// Plans a move of a label.
#[utoipa::path(post, path = "/templates/{key}/labels/{label}/schedule", tag = "labels", params(("key" = String, Path), ("label" = String, Path)), request_body = ScheduleBody, responses((status = 201, description = "The event"), (status = 400, description = "With If-Match, which this operation does not take, or not acceptable"), (status = 404, description = "Unknown template or version"), (status = 409, description = "approval_required with proof"), (status = 422, description = "The time is past, too far ahead, or not a moment")))]
pub async fn schedule(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label)): Path<(String, String)>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ScheduleBody>,
) -> Result<Response, ApiError> {
    takes_no_condition(&headers)?;
    let (key, label) = (known_key(&key)?, new_label(&label)?);
    let version = version_of(&key, &body.version)?;
    let effective_at = effective_at(&body, setup.clock.now())?;
    let consent = Consent::read(body.force, body.note.as_deref())?;
    let tenant = setup.store.tenant(caller.tenant.clone());
    let protected = &setup.renderer.releases().protected;
    let approval = Approval { protected, proofs: &[], note: consent.note.as_ref() };
    let mut outcome = tenant.labels().schedule(&key, &label, version, effective_at, approval, &caller.actor).await?;
    if let ScheduleOutcome::Unproven { needed } = outcome {
        let proofs = approve(&setup, &caller, &key, &label, needed, &consent).await?;
        let approval = Approval { proofs: &proofs, ..approval };
        outcome = tenant.labels().schedule(&key, &label, version, effective_at, approval, &caller.actor).await?;
    }
    match outcome {
        ScheduleOutcome::Unproven { .. } => Err(moved_meanwhile(&label)),
        ScheduleOutcome::Written(event) => Ok((StatusCode::CREATED, Json(shown(&event))).into_response()),
        ScheduleOutcome::TemplateNotFound => Err(unknown(&key)),
        ScheduleOutcome::VersionNotFound => Err(no_version(&key, &body.version)),
        ScheduleOutcome::TooMany => Err(ApiError::new(
            ErrorCode::Conflict,
            format!("{MAX_PENDING_MOVES} moves of labels of this template are to come already; cancel one that is not needed"),
        )),
    }
}

/// Calls a planned move off.
#[utoipa::path(delete, path = "/templates/{key}/labels/{label}/schedule/{event}", tag = "labels", params(("key" = String, Path), ("label" = String, Path), ("event" = String, Path)), responses((status = 200, description = "The event, which is cancelled"), (status = 404, description = "Unknown"), (status = 409, description = "label_event_not_pending")))]
pub async fn cancel(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label, event)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (key, label) = (known_key(&key)?, known_label(&label)?);
    let unknown = || ApiError::not_found("there is no such planned move of this label");
    let id = LabelEventId::from(Uuid::parse_str(&event).map_err(|_| unknown())?);
    match setup.store.tenant(caller.tenant).labels().cancel(&key, &label, id, &caller.actor).await? {
        CancelOutcome::Written(event) => Ok(Json(shown(&event))),
        CancelOutcome::NotFound => Err(unknown()),
        CancelOutcome::NotPending { state } => {
            let said = format!("this move is {} already; only one that is pending can be called off", state.as_str());
            Err(ApiError::new(ErrorCode::LabelEventNotPending, said))
        }
    }
}

/// The moment that a body means: in the future, and not too far.
fn effective_at(body: &ScheduleBody, now: Timestamp) -> Result<Timestamp, ApiError> {
    let (path, at) = match (body.effective_at.as_deref(), body.effective_local.as_deref(), body.time_zone.as_deref()) {
        (Some(text), None, None) => ("/effectiveAt", moment("/effectiveAt", text)?),
        (None, Some(local), Some(zone)) => ("/effectiveLocal", moment_of(local, zone).map_err(|error| not_a_moment(&error))?),
        _ => return Err(ApiError::field("/effectiveAt", "send effectiveAt, or effectiveLocal together with timeZone")),
    };
    if at <= now {
        return Err(ApiError::field(path, format!("is {at}, which is past (it is {now}); move the label with PUT to move it now")));
    }
    if at > now + FARTHEST {
        return Err(ApiError::field(path, format!("is {at}; a move is planned up to two years ahead")));
    }
    Ok(at)
}

fn not_a_moment(error: &InvalidLocalTime) -> ApiError {
    match error {
        InvalidLocalTime::Zone { .. } => ApiError::field("/timeZone", error.to_string()).coded(ErrorCode::InvalidTimeZone),
        _ => ApiError::field("/effectiveLocal", error.to_string()),
    }
}

fn shown(event: &LabelEvent) -> Value {
    json!({
        "id": event.id, "label": event.label, "status": event.state.as_str(), "version": event.version,
        "previousVersion": event.previous, "trafficSplit": event.split.as_ref().map(|split| split.percent),
        "controlLabel": event.split.as_ref().map(|split| &split.control), "effectiveAt": event.effective_at.to_string(),
        "createdAt": event.created_at.to_string(), "createdBy": event.created_by,
        "settledAt": event.settled_at.map(|moment| moment.to_string()), "settledBy": event.settled_by, "reason": event.reason,
        "act": event.act.as_str(), "note": event.note, "proofId": event.proof,
    })
}
