//! Calendars of holidays, and filling them from iCalendar files. They are the tenant's, so a credential for some templates has none.

use axum::Json;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::calendars::{
    CALENDAR_DESCRIPTION_LIMIT_CHARS, CALENDAR_NAME_LIMIT_CHARS, HOLIDAYS_LIMIT, Holidays, ICAL_LIMIT_BYTES, holidays_from_json,
    holidays_to_json, read_ical,
};
use domain::ids::ScheduleCalendarId;
use domain::invisible::is_invisible;
use domain::{ErrorCode, Issue};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use store::{CalendarOutcome, CalendarRecord, NewCalendar, SCHEDULE_CALENDARS_LIMIT};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{AnyJson, Path};
use crate::error::ApiError;
use crate::incoming;
use crate::preconditions::{etag, expected};
use crate::query::{Pairs, refused};

/// What a calendar takes, for the description of the interface.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes; the request is read field by field")]
pub struct CalendarBody {
    /// Each name once, up to 128 characters.
    name: String,
    /// For people, up to 1000 characters.
    description: Option<String>,
    /// For people, an IANA name: holidays are days of each schedule's own zone.
    timezone: Option<String>,
    /// Up to 5000 dates, or objects with `date` and `name`.
    #[schema(value_type = Option<Vec<Object>>)]
    holidays: Option<Vec<Value>>,
}

const REVISION: &str = "one revision of the calendar in double quotes, such as \"7\"";
const KNOWN: [&str; 4] = ["name", "description", "timezone", "holidays"];
const SHOWN: [&str; 5] = ["id", "revision", "createdAt", "createdBy", "updatedAt"];

/// A calendar as it was sent.
struct Given {
    name: String,
    description: Option<String>,
    timezone: Option<String>,
    holidays: Holidays,
}

impl Given {
    fn to_keep(&self) -> NewCalendar<'_> {
        NewCalendar {
            name: &self.name,
            description: self.description.as_deref(),
            timezone: self.timezone.as_deref(),
            holidays: &self.holidays,
        }
    }
}

/// One page of the calendars, by name.
#[utoipa::path(get, path = "/schedules/calendars", tag = "schedules", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    let page = Pairs::read(query.as_deref())?.page()?;
    let found = setup.store.tenant(caller.tenant).schedule_calendars().list(page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// Makes a calendar.
#[utoipa::path(post, path = "/schedules/calendars", tag = "schedules", request_body = CalendarBody, responses((status = 201, description = "The calendar"), (status = 409, description = "The name is taken, or there are as many as there may be"), (status = 422, description = "Something of it is not acceptable")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    caller.is_for_all_templates()?;
    let given = given(&body)?;
    let outcome = setup.store.tenant(caller.tenant).schedule_calendars().insert(given.to_keep(), &caller.actor).await?;
    Ok(answer(StatusCode::CREATED, &written(outcome)?))
}

/// One calendar.
#[utoipa::path(get, path = "/schedules/calendars/{id}", tag = "schedules", params(("id" = String, Path)), responses((status = 200, description = "The calendar; its revision is the ETag"), (status = 404, description = "Unknown")))]
pub async fn get(State(setup): State<Setup>, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Result<Response, ApiError> {
    Ok(answer(StatusCode::OK, &readable(&setup, &caller, &id).await?))
}

/// Replaces a calendar. Schedules that follow it are due anew.
#[utoipa::path(put, path = "/schedules/calendars/{id}", tag = "schedules", params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = CalendarBody, responses((status = 200, description = "The calendar"), (status = 404, description = "Unknown"), (status = 409, description = "The name is taken"), (status = 412, description = "It has another revision by now"), (status = 422, description = "Something of it is not acceptable")))]
pub async fn replace(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    let before = readable(&setup, &caller, &id).await?;
    write(&setup, &caller, expected(&headers, REVISION)?, before.id, &given(&body)?).await
}

/// Changes the fields of a calendar that are sent.
#[utoipa::path(patch, path = "/schedules/calendars/{id}", tag = "schedules", params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = Object, responses((status = 200, description = "The calendar"), (status = 404, description = "Unknown"), (status = 409, description = "The name is taken"), (status = 412, description = "It has another revision by now"), (status = 422, description = "Something of it is not acceptable")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    let before = readable(&setup, &caller, &id).await?;
    let patch = body.as_object().ok_or_else(|| ApiError::bad_request("the body must be an object with the fields to change"))?;
    let mut whole: Map<String, Value> = shown(&before).as_object().cloned().unwrap_or_default();
    whole.extend(patch.iter().map(|(name, value)| (name.clone(), value.clone())));
    // Between reading and writing nobody else's change is lost.
    let revision = expected(&headers, REVISION)?.unwrap_or(before.revision);
    write(&setup, &caller, Some(revision), before.id, &given(&Value::Object(whole))?).await
}

/// Removes a calendar that no schedule follows.
#[utoipa::path(delete, path = "/schedules/calendars/{id}", tag = "schedules", params(("id" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204, description = "It is gone"), (status = 404, description = "Unknown"), (status = 409, description = "Schedules follow it"), (status = 412, description = "It has another revision by now")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    caller.is_for_all_templates()?;
    let expected = expected(&headers, REVISION)?;
    let outcome = setup.store.tenant(caller.tenant).schedule_calendars().delete(calendar_id(&id)?, expected, &caller.actor).await?;
    written(outcome).map(|_| StatusCode::NO_CONTENT)
}

/// Takes the all-day events of an iCalendar file over as holidays, beside those that are there or instead of them.
#[utoipa::path(post, path = "/schedules/calendars/{id}/import", tag = "schedules", params(("id" = String, Path), ("mode" = Option<String>, Query, description = "merge, the default, or replace")), request_body(content = String, content_type = "text/calendar"), responses((status = 200, description = "imported and ignored, and the calendar"), (status = 404, description = "Unknown"), (status = 415, description = "The body is no text/calendar"), (status = 422, description = "The file is none, or has too many days")))]
pub async fn import(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let merge = match pairs.text("mode") {
        None | Some("merge") => true,
        Some("replace") => false,
        Some(other) => return Err(refused("mode", other, "merge, replace")),
    };
    let before = readable(&setup, &caller, &id).await?;
    is_ical(&headers)?;
    let bytes = incoming::read(request, setup.body_limit_bytes.min(ICAL_LIMIT_BYTES)).await?;
    let text = str::from_utf8(&bytes).map_err(|_| ApiError::field("", "must be text in UTF-8"))?;
    let imported = read_ical(text).map_err(|error| ApiError::field("", error.to_string()))?;
    let mut holidays = if merge { before.holidays.clone() } else { Holidays::new() };
    let count = imported.holidays.len();
    holidays.extend(imported.holidays);
    if holidays.len() > HOLIDAYS_LIMIT {
        return Err(ApiError::field("", format!("the calendar would have {} days; at most {HOLIDAYS_LIMIT} are accepted", holidays.len())));
    }
    let given = Given { name: before.name, description: before.description, timezone: before.timezone, holidays };
    let calendars = setup.store.tenant(caller.tenant.clone());
    let outcome = calendars.schedule_calendars().update(before.id, Some(before.revision), given.to_keep(), &caller.actor).await?;
    let calendar = written(outcome)?;
    Ok(Json(json!({ "imported": count, "ignored": imported.ignored, "calendar": shown(&calendar) })))
}

fn is_ical(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("text/calendar") {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::UnsupportedMediaType, "the body must be an iCalendar file: send Content-Type: text/calendar"))
}

async fn write(setup: &Setup, caller: &Caller, revision: Option<u32>, id: ScheduleCalendarId, given: &Given) -> Result<Response, ApiError> {
    let calendars = setup.store.tenant(caller.tenant.clone());
    let outcome = calendars.schedule_calendars().update(id, revision, given.to_keep(), &caller.actor).await?;
    Ok(answer(StatusCode::OK, &written(outcome)?))
}

async fn readable(setup: &Setup, caller: &Caller, id: &str) -> Result<CalendarRecord, ApiError> {
    caller.is_for_all_templates()?;
    let id = calendar_id(id)?;
    setup.store.tenant(caller.tenant.clone()).schedule_calendars().get(id).await?.ok_or_else(unknown)
}

fn calendar_id(text: &str) -> Result<ScheduleCalendarId, ApiError> {
    Uuid::parse_str(text).map(ScheduleCalendarId::from).map_err(|_| unknown())
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such calendar")
}

fn given(body: &Value) -> Result<Given, ApiError> {
    let object = body.as_object().ok_or_else(|| ApiError::bad_request("the body must be an object such as {\"name\": \"Germany\"}"))?;
    let mut issues: Vec<Issue> = object
        .keys()
        .filter(|name| !KNOWN.contains(&name.as_str()) && !SHOWN.contains(&name.as_str()))
        .map(|name| Issue::new(format!("/{name}"), format!("is not known here; accepted: {}", KNOWN.join(", "))))
        .collect();
    let field = |name: &str| object.get(name).filter(|value| !value.is_null());
    let mut text = |name: &'static str, most: usize, fits: fn(char) -> bool| {
        let given = field(name)?;
        let found = given.as_str().map(str::trim).filter(|text| !text.is_empty() && text.chars().count() <= most && text.chars().all(fits));
        if found.is_none() {
            issues.push(Issue::new(format!("/{name}"), format!("must be text of 1 to {most} characters")));
        }
        found.map(str::to_owned)
    };
    let name = text("name", CALENDAR_NAME_LIMIT_CHARS, |character| !is_invisible(character));
    let description = text("description", CALENDAR_DESCRIPTION_LIMIT_CHARS, |character| character == '\n' || !character.is_control());
    let timezone = text("timezone", 64, |character| character.is_ascii_graphic());
    if field("name").is_none() {
        issues.push(Issue::new("/name", "is missing; send one such as \"Germany\""));
    }
    if timezone.as_ref().is_some_and(|zone| TimeZone::get(zone).is_err()) {
        issues.push(Issue::new("/timezone", "is no time zone; send an IANA name such as \"Europe/Berlin\""));
    }
    let holidays = field("holidays").map_or_else(|| Ok(Holidays::new()), |value| holidays_from_json(value, "/holidays"));
    match (holidays, name) {
        (Ok(holidays), Some(name)) if issues.is_empty() => Ok(Given { name, description, timezone, holidays }),
        (holidays, _) => {
            issues.extend(holidays.err().unwrap_or_default());
            Err(ApiError::invalid(ErrorCode::ValidationFailed, issues))
        }
    }
}

fn written(outcome: CalendarOutcome) -> Result<CalendarRecord, ApiError> {
    match outcome {
        CalendarOutcome::Written(calendar) => Ok(*calendar),
        CalendarOutcome::NotFound => Err(unknown()),
        CalendarOutcome::Stale { current } => {
            let said = format!("the calendar has revision {current} by now; read it, merge your change and send If-Match: \"{current}\"");
            Err(ApiError::new(ErrorCode::PreconditionFailed, said))
        }
        CalendarOutcome::NameTaken => Err(ApiError::new(ErrorCode::Conflict, "another calendar has that name")),
        CalendarOutcome::InUse(schedules) => {
            let said = format!("{schedules} schedules follow this calendar; give them another calendarId, or null, first");
            Err(ApiError::new(ErrorCode::Conflict, said))
        }
        CalendarOutcome::LimitReached => {
            let said = format!("there are {SCHEDULE_CALENDARS_LIMIT} calendars, which is as many as there may be; remove one");
            Err(ApiError::new(ErrorCode::QuotaExceeded, said))
        }
    }
}

fn answer(status: StatusCode, calendar: &CalendarRecord) -> Response {
    let mut response = (status, Json(shown(calendar))).into_response();
    response.headers_mut().insert(header::ETAG, etag(calendar.revision));
    response
}

fn shown(calendar: &CalendarRecord) -> Value {
    json!({
        "id": calendar.id, "name": calendar.name, "description": calendar.description, "timezone": calendar.timezone,
        "holidays": holidays_to_json(&calendar.holidays), "revision": calendar.revision, "createdAt": calendar.created_at,
        "createdBy": calendar.created_by, "updatedAt": calendar.updated_at,
    })
}
