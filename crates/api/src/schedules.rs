//! Schedules: made, looked at, changed, copied and removed. A credential for some templates reaches the schedules of those alone, and
//! schedules nothing that it may not render.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::ids::ScheduleId;
use domain::labels::LATEST;
use domain::schedule_secrets::{keep, take};
use domain::schedules::{SCHEDULE_NAME_LIMIT_CHARS, ScheduleInput};
use domain::templates::TemplateKey;
use domain::{ErrorCode, Issue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use store::{NewSchedule, SCHEDULES_LIMIT, ScheduleFilter, ScheduleRecord, ScheduleRemoved, ScheduleWritten, TenantStore};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{AnyJson, MaybeJsonBody, Path};
use crate::error::ApiError;
use crate::idempotency::REPLAYED;
use crate::job_body::idempotency_key;
use crate::preconditions::{etag, expected};
use crate::query::{Pairs, Switch};
use crate::webhooks;

/// What a schedule takes, for the description of the interface.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes; the request is read field by field")]
pub struct ScheduleBody {
    /// For people, up to 200 characters.
    name: String,
    /// Whether the clock starts it; true when absent.
    enabled: Option<bool>,
    /// Five fields, or six with seconds in front, such as `0 8 * * 1-5`.
    cron_expression: String,
    /// An IANA name such as `Europe/Berlin`; UTC when absent.
    timezone: Option<String>,
    /// The template.
    template_key: String,
    /// Where this label leads; or `templateVersion`, or its newest version.
    template_label: Option<String>,
    /// One version of it.
    template_version: Option<String>,
    /// `pdf` or `html`.
    format: Option<String>,
    /// Several of them.
    formats: Option<Vec<String>>,
    /// `attachments` or `zip`.
    packaging: Option<String>,
    /// Where the data comes from: `{"type": "static" | "url" | "template", …}`.
    #[schema(value_type = Object)]
    data_source: Value,
    /// Where documents go: `{"type": "email" | "s3" | "webhook" | "folder", …}`.
    #[schema(value_type = Option<Vec<Object>>)]
    delivery_targets: Option<Vec<Value>>,
    /// The `options` of a render.
    #[schema(value_type = Option<Object>)]
    render_options: Option<Value>,
    /// Names with values, or dates told from the day of a run.
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    /// When nothing is delivered.
    #[schema(value_type = Option<Object>)]
    delivery_condition: Option<Value>,
    /// One document for each element of a list.
    #[schema(value_type = Option<Object>)]
    burst: Option<Value>,
    /// Whose holidays.
    calendar_id: Option<String>,
    /// `skip`, `next-business-day` or `previous-business-day`.
    holiday_rule: Option<String>,
    /// Only on that business day of each month; from -1 backwards from its end.
    business_day_of_month: Option<i32>,
    /// Dates on which nothing comes.
    skip_dates: Option<Vec<String>>,
    /// Nothing before: a time, or a date in the schedule's zone.
    valid_from: Option<String>,
    /// Nothing after.
    valid_until: Option<String>,
    /// No more runs by the clock than so many.
    max_runs: Option<u32>,
    /// What becomes of runs that were missed: `fire-once`, `skip` or `catch-up`.
    misfire: Option<String>,
    /// How many `catch-up` makes up for, 1 to 100; 10 when absent.
    misfire_limit: Option<u32>,
}

/// How a copy is called.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DuplicateBody {
    /// Up to 200 characters; the name of the original with "(copy)" when absent.
    #[serde(default)]
    name: Option<String>,
}

/// One page of the schedules, newest first.
#[utoipa::path(get, path = "/schedules", tag = "schedules", params(("templateKey" = Option<String>, Query), ("templateLabel" = Option<String>, Query), ("enabled" = Option<bool>, Query), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let page = pairs.page()?;
    let filter = ScheduleFilter {
        template_key: pairs.filter("templateKey"),
        template_label: pairs.filter("templateLabel"),
        enabled: pairs.text("enabled").map(|_| pairs.switch("enabled", Switch::Off)).transpose()?,
        templates: caller.templates.clone(),
    };
    let found = setup.store.tenant(caller.tenant).schedules().list(&filter, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// Makes a schedule. Sent again with the same `Idempotency-Key` it is the same schedule.
#[utoipa::path(post, path = "/schedules", tag = "schedules", request_body = ScheduleBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 201, description = "The schedule, with `nextFireAt`"), (status = 409, description = "The key was used for something else, or there are as many schedules as there may be"), (status = 422, description = "Something of it is not acceptable; issues names each field")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    let (input, secrets) = checked(&setup, &caller, &body, None).await?;
    let id = idempotency_key(&headers)?.map(|key| id_of(&caller, key));
    let tenant = setup.store.tenant(caller.tenant.clone());
    let new = NewSchedule { id, input: &input, secrets: &secrets };
    if let Some(made) = made_before(&tenant, new).await? {
        return Ok(made);
    }
    let written = tenant.schedules().insert(new, &caller.actor).await;
    // A twin of this request may have made it in the meantime.
    if !matches!(written, Ok(ScheduleWritten::Written(_)))
        && let Some(made) = made_before(&tenant, new).await?
    {
        return Ok(made);
    }
    Ok(answer(StatusCode::CREATED, &written_or_refused(written?)?))
}

/// The answer where there is a schedule of that id already: the key of the request was sent before.
async fn made_before(tenant: &TenantStore, new: NewSchedule<'_>) -> Result<Option<Response>, ApiError> {
    let Some(id) = new.id else { return Ok(None) };
    let Some((made, known)) = tenant.schedules().get_whole(id).await? else { return Ok(None) };
    if made.revision == 1 && (made.input != *new.input || known != *new.secrets) {
        let said = "another schedule was made under this Idempotency-Key; use another key for another request";
        return Err(ApiError::new(ErrorCode::IdempotencyKeyReused, said));
    }
    let mut response = answer(StatusCode::CREATED, &made);
    response.headers_mut().extend([REPLAYED]);
    Ok(Some(response))
}

/// One schedule, without its secrets.
#[utoipa::path(get, path = "/schedules/{id}", tag = "schedules", params(("id" = String, Path)), responses((status = 200, description = "The schedule; its revision is the ETag"), (status = 404, description = "Unknown")))]
pub async fn get(State(setup): State<Setup>, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Result<Response, ApiError> {
    Ok(answer(StatusCode::OK, &readable(&setup, &caller, &id).await?))
}

/// Replaces a schedule. A secret that is left out stays where its target's URL is the same.
#[utoipa::path(put, path = "/schedules/{id}", tag = "schedules", params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = ScheduleBody, responses((status = 200, description = "The schedule"), (status = 404, description = "Unknown"), (status = 412, description = "It has another revision by now"), (status = 422, description = "Something of it is not acceptable")))]
pub async fn replace(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    let before = whole(&setup, &caller, &id).await?;
    write(&setup, &caller, &headers, &before, &body).await
}

/// Changes the fields of a schedule that are sent; null takes a field back to what it is without being set.
#[utoipa::path(patch, path = "/schedules/{id}", tag = "schedules", params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = Object, responses((status = 200, description = "The schedule"), (status = 404, description = "Unknown"), (status = 412, description = "It has another revision by now"), (status = 422, description = "Something of it is not acceptable")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    let before = whole(&setup, &caller, &id).await?;
    let patch = body.as_object().ok_or_else(|| ApiError::bad_request("the body must be an object with the fields to change"))?;
    let mut changed = before.0.input.changed_by(patch);
    // What a patch does not name is as it was, so nobody has to have sent it.
    if let Value::Object(changed) = &mut changed {
        changed.retain(|_, value| !value.is_null());
    }
    let headers = match expected::<u32>(&headers, REVISION)? {
        Some(_) => headers,
        // Between reading and writing nobody else's change is lost.
        None => HeaderMap::from_iter([(header::IF_MATCH, etag(before.0.revision))]),
    };
    write(&setup, &caller, &headers, &before, &changed).await
}

/// Removes a schedule. What is under way of it is called off; what came of it before can be seen until its time is over.
#[utoipa::path(delete, path = "/schedules/{id}", tag = "schedules", params(("id" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204, description = "It is gone"), (status = 404, description = "Unknown"), (status = 412, description = "It has another revision by now")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let expected = expected(&headers, REVISION)?;
    let schedule = readable(&setup, &caller, &id).await?;
    match setup.store.tenant(caller.tenant).schedules().delete(schedule.id, expected, &caller.actor).await? {
        ScheduleRemoved::Removed => Ok(StatusCode::NO_CONTENT),
        ScheduleRemoved::NotFound => Err(unknown()),
        ScheduleRemoved::Stale { current } => Err(stale(current)),
    }
}

/// Copies a schedule with its secrets; the copy is switched off.
#[utoipa::path(post, path = "/schedules/{id}/duplicate", tag = "schedules", params(("id" = String, Path)), request_body = DuplicateBody, responses((status = 201, description = "The copy"), (status = 404, description = "Unknown"), (status = 409, description = "There are as many schedules as there may be")))]
pub async fn duplicate(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    MaybeJsonBody(body): MaybeJsonBody<DuplicateBody>,
) -> Result<Response, ApiError> {
    let original = readable(&setup, &caller, &id).await?;
    reaches(&caller, &original.input)?;
    let name = body.and_then(|body| body.name).unwrap_or_else(|| {
        let begin: String = original.input.name.chars().take(SCHEDULE_NAME_LIMIT_CHARS - 7).collect();
        format!("{begin} (copy)")
    });
    let fits =
        !name.trim().is_empty() && name.chars().count() <= SCHEDULE_NAME_LIMIT_CHARS && !name.contains(domain::invisible::is_invisible);
    if !fits {
        return Err(ApiError::field("/name", format!("must be text of 1 to {SCHEDULE_NAME_LIMIT_CHARS} characters, on one line")));
    }
    let written = setup.store.tenant(caller.tenant).schedules().duplicate(original.id, &name, &caller.actor).await?;
    Ok(answer(StatusCode::CREATED, &written_or_refused(written)?))
}

pub(crate) const REVISION: &str = "one revision of the schedule in double quotes, such as \"7\"";

async fn write(
    setup: &Setup,
    caller: &Caller,
    headers: &HeaderMap,
    before: &(ScheduleRecord, Map<String, Value>),
    body: &Value,
) -> Result<Response, ApiError> {
    let revision = expected(headers, REVISION)?;
    let (input, secrets) = checked(setup, caller, body, Some(before)).await?;
    let new = NewSchedule { id: None, input: &input, secrets: &secrets };
    let written = setup.store.tenant(caller.tenant.clone()).schedules().update(before.0.id, revision, new, &caller.actor).await?;
    Ok(answer(StatusCode::OK, &written_or_refused(written)?))
}

/// Reads a schedule, and refuses what could never run: other people's templates, ones that are not there, and addresses that nothing is
/// sent to. Gives its secrets apart.
async fn checked(
    setup: &Setup,
    caller: &Caller,
    body: &Value,
    before: Option<&(ScheduleRecord, Map<String, Value>)>,
) -> Result<(ScheduleInput, Map<String, Value>), ApiError> {
    let mut input = ScheduleInput::from_json(body).map_err(|issues| ApiError::invalid(ErrorCode::ValidationFailed, issues))?;
    let unreadable = render::check_schedule_words(&input.definition);
    if !unreadable.is_empty() {
        return Err(ApiError::invalid(ErrorCode::ValidationFailed, unreadable));
    }
    reaches(caller, &input)?;
    is_there(setup, caller, &input).await?;
    for (index, url) in webhook_urls(&input.definition) {
        webhooks::judge_url(setup, &format!("/deliveryTargets/{index}/url"), url).await?;
    }
    let (definition, secrets) =
        before.map_or_else(Default::default, |(record, secrets)| (record.input.definition.clone(), secrets.clone()));
    keep(&mut input.definition, &definition, &secrets).map_err(|issues| ApiError::invalid(ErrorCode::ScheduleSecretRequired, issues))?;
    let secrets = take(&mut input.definition);
    Ok((input, secrets))
}

/// Refuses templates that the credential is not for, those of messages too.
pub(crate) fn reaches(caller: &Caller, input: &ScheduleInput) -> Result<(), ApiError> {
    for key in input.templates() {
        match key.parse::<TemplateKey>() {
            Ok(key) => caller.reaches(&key)?,
            Err(_) => caller.is_for_all_templates()?,
        }
    }
    Ok(())
}

async fn is_there(setup: &Setup, caller: &Caller, input: &ScheduleInput) -> Result<(), ApiError> {
    let (tenant, key) = (setup.store.tenant(caller.tenant.clone()), &input.template_key);
    if tenant.templates().get(key).await?.is_none() {
        return Err(ApiError::field("/templateKey", format!("there is no template \"{key}\"; GET /templates lists them")));
    }
    if let Some(version) = input.template_version
        && tenant.template_versions().get(key, version).await?.is_none()
    {
        return Err(ApiError::field("/templateVersion", format!("the template \"{key}\" has no version {version}")));
    }
    if let Some(label) = input.template_label.as_ref().filter(|label| label.as_str() != LATEST)
        && tenant.labels().get(key, label).await?.is_none()
    {
        return Err(ApiError::field("/templateLabel", format!("the template \"{key}\" has no label \"{label}\"")));
    }
    Ok(())
}

fn webhook_urls(definition: &Map<String, Value>) -> impl Iterator<Item = (usize, &str)> {
    let targets = definition.get("deliveryTargets").and_then(Value::as_array).into_iter().flatten().enumerate();
    targets.filter(|(_, target)| target["type"] == "webhook").filter_map(|(index, target)| Some((index, target["url"].as_str()?)))
}

/// The id of what a caller makes under a key of its own: whoever sends that again means the same.
fn id_of(caller: &Caller, key: &str) -> ScheduleId {
    let mut hash = Sha256::new();
    for part in ["schedule", caller.tenant.as_str(), &*caller.actor.name, key] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().into()
}

/// The schedule of that id, if the caller's credential is for its template.
pub(crate) async fn readable(setup: &Setup, caller: &Caller, id: &str) -> Result<ScheduleRecord, ApiError> {
    let id = schedule_id(id)?;
    let found = setup.store.tenant(caller.tenant.clone()).schedules().get(id).await?.ok_or_else(unknown)?;
    caller.reaches(&found.input.template_key).map_err(|_| unknown())?;
    Ok(found)
}

async fn whole(setup: &Setup, caller: &Caller, id: &str) -> Result<(ScheduleRecord, Map<String, Value>), ApiError> {
    let id = schedule_id(id)?;
    let found = setup.store.tenant(caller.tenant.clone()).schedules().get_whole(id).await?.ok_or_else(unknown)?;
    caller.reaches(&found.0.input.template_key).map_err(|_| unknown())?;
    reaches(caller, &found.0.input)?;
    Ok(found)
}

pub(crate) fn schedule_id(text: &str) -> Result<ScheduleId, ApiError> {
    Uuid::parse_str(text).map(ScheduleId::from).map_err(|_| unknown())
}

pub(crate) fn unknown() -> ApiError {
    ApiError::not_found("there is no such schedule")
}

pub(crate) fn no_calendar() -> ApiError {
    ApiError::invalid(
        ErrorCode::ValidationFailed,
        vec![Issue::new("/calendarId", "there is no such calendar; GET /schedules/calendars lists them".to_owned())],
    )
}

fn stale(current: u32) -> ApiError {
    let said = format!("the schedule has revision {current} by now; read it, merge your change and send If-Match: \"{current}\"");
    ApiError::new(ErrorCode::PreconditionFailed, said)
}

fn written_or_refused(written: ScheduleWritten) -> Result<ScheduleRecord, ApiError> {
    match written {
        ScheduleWritten::Written(record) => Ok(*record),
        ScheduleWritten::NotFound => Err(unknown()),
        ScheduleWritten::Stale { current } => Err(stale(current)),
        ScheduleWritten::NoCalendar => Err(no_calendar()),
        ScheduleWritten::LimitReached => {
            let said = format!("there are {SCHEDULES_LIMIT} schedules, which is as many as there may be; remove one");
            Err(ApiError::new(ErrorCode::QuotaExceeded, said))
        }
    }
}

fn answer(status: StatusCode, schedule: &ScheduleRecord) -> Response {
    let mut response = (status, Json(shown(schedule))).into_response();
    response.headers_mut().insert(header::ETAG, etag(schedule.revision));
    response
}

pub(crate) fn shown(schedule: &ScheduleRecord) -> Value {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(schedule.id));
    shown.extend(schedule.input.to_json());
    shown.insert("revision".to_owned(), schedule.revision.into());
    shown.insert("runCount".to_owned(), schedule.run_count.into());
    shown.insert("nextFireAt".to_owned(), json!(schedule.next_run_at));
    shown.insert("lastFiredAt".to_owned(), json!(schedule.last_fired_at));
    shown.insert("createdAt".to_owned(), json!(schedule.created_at));
    shown.insert("createdBy".to_owned(), schedule.created_by.as_str().into());
    shown.insert("updatedAt".to_owned(), json!(schedule.updated_at));
    Value::Object(shown)
}
