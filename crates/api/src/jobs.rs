//! Jobs: documents that nobody waits for, submitted, looked at, called off and removed.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use domain::ErrorCode;
use domain::ids::JobId;
use domain::jobs::{JobItemStatus, JobKind, JobStatus, Packaging};
use domain::templates::TemplateKey;
use serde_json::{Map, Value, json};
use store::{CancelJobOutcome, JobFilter, JobItemRecord, JobRecord, JobSubmission, NewJob};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{AnyJson, Path};
use crate::callbacks;
use crate::datasets;
use crate::error::ApiError;
use crate::idempotency::REPLAYED;
use crate::job_body::Submission;
use crate::job_results;
use crate::query::{Pairs, refused};
use crate::render_body::BucketHeader;

/// Jobs of a page where the query does not say.
const PAGE: u32 = 20;
/// A job with more items shows them once it has ended, or when it is asked for them.
const SHOWN_ITEMS: u32 = 100;
/// Items that an answer has at most when it is not asked for them.
const UNASKED_ITEMS: u32 = 1_000;

/// What a job takes, for the description of the interface.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes; the request is read field by field")]
pub struct JobBody {
    /// `pdf` or `html`.
    format: String,
    /// The fields of one render; or `items`.
    template: Option<String>,
    /// Up to JOB_MAX_ITEMS documents: each has the fields of a render, and may have a `reference`.
    #[schema(value_type = Option<Vec<Object>>)]
    items: Option<Vec<Value>>,
    /// Your own name for the job, up to 255 characters, to find it by.
    reference: Option<String>,
    /// With items: `zip` or `merged-pdf`, which `/render/jobs/{id}/package` then gives.
    packaging: Option<String>,
    /// Where the job's end is told; needs `webhookSecret`.
    webhook_url: Option<String>,
    /// What the message is signed with.
    webhook_secret: Option<String>,
}

/// Submits a job. Sent again with the same `Idempotency-Key` and body it is the same job.
#[utoipa::path(post, path = "/render/jobs", tag = "jobs", request_body = JobBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 202, description = "jobId, kind, format, status, createdAt and pollUrl"), (status = 409, description = "The key was used for something else"), (status = 422, description = "Something of the request is at fault"), (status = 429, description = "The tenant has too much in the queue")))]
pub async fn submit(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    headers: HeaderMap,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    let submission = Submission { caller: &caller, headers: &headers, bucket: bucket.0, limits: &setup.jobs };
    let Submitted { job, before } = inserted(&setup, &caller, &submission.read(body, None)?).await?;
    let mut body = json!({
        "jobId": job.id, "kind": job.kind.as_str(), "format": job.format, "status": job.status.as_str(), "createdAt": job.created_at,
        "pollUrl": format!("/render/jobs/{}", job.id),
    });
    if let Some(reference) = &job.reference {
        body["reference"] = reference.as_str().into();
    }
    Ok(accepted(&job, before, body))
}

/// A job in the queue, and whether it was there before under the same key.
pub(crate) struct Submitted {
    pub(crate) job: JobRecord,
    pub(crate) before: bool,
}

/// Puts a job into the queue.
pub(crate) async fn inserted(setup: &Setup, caller: &Caller, new: &NewJob) -> Result<Submitted, ApiError> {
    callbacks::judge(setup, new.callback.as_ref()).await?;
    let outcome = setup.store.tenant(caller.tenant.clone()).jobs().insert(new, setup.jobs.max_open_items, &caller.actor).await?;
    match outcome {
        JobSubmission::Inserted(job) => Ok(Submitted { job: *job, before: false }),
        JobSubmission::Repeated(job) => Ok(Submitted { job: *job, before: true }),
        JobSubmission::KeyReused => {
            let said = "something else was submitted under this Idempotency-Key; use another key for another request";
            Err(ApiError::new(ErrorCode::IdempotencyKeyReused, said))
        }
        JobSubmission::NoDataset(id) => Err(datasets::unknown(id)),
        JobSubmission::TooManyOpen { most } => {
            let said =
                format!("this tenant would have more than {most} documents in the queue; submit the job again when some of them are done");
            Err(ApiError::new(ErrorCode::RateLimited, said).retry_after(30))
        }
    }
}

pub(crate) fn accepted(job: &JobRecord, before: bool, body: Value) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    response.headers_mut().extend(before.then_some(REPLAYED));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(job.progress.look_again_in_s()));
    response
}

/// One page of the jobs, newest first.
#[utoipa::path(get, path = "/render/jobs", tag = "jobs", params(("status" = Option<String>, Query), ("since" = Option<String>, Query), ("until" = Option<String>, Query), ("reference" = Option<String>, Query), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let page = pairs.page_of(PAGE)?;
    let statuses = || JobStatus::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
    let status = pairs.text("status").map(|word| word.parse().map_err(|_| refused("status", word, &statuses()))).transpose()?;
    let filter = JobFilter {
        status,
        since: pairs.time("since")?,
        until: pairs.time("until")?,
        reference: pairs.filter("reference"),
        templates: caller.templates.clone(),
    };
    let found = setup.store.tenant(caller.tenant).jobs().list(&filter, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(|job| Value::Object(shown(job))).collect();
    Ok(page.answer(&items, found.total))
}

/// How a job stands. While it runs, `Retry-After` says when to ask again.
#[utoipa::path(get, path = "/render/jobs/{id}", tag = "jobs", params(("id" = String, Path), ("include" = Option<String>, Query, description = "items: all of them, also of a large job; without it those of a job that has ended or is small, up to 1000. content: the documents too, as base64, up to JOB_INLINE_BYTES")), responses((status = 200, description = "The job"), (status = 404, description = "Unknown"), (status = 410, description = "Its time is over")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let job = readable(&setup, &caller, &id).await?;
    let pairs = Pairs::read(query.as_deref())?;
    let wanted: Vec<&str> = pairs.text("include").map(|text| text.split(',').map(str::trim).collect()).unwrap_or_default();
    if let Some(unknown) = wanted.iter().find(|word| !["items", "content"].contains(word)) {
        return Err(refused("include", unknown, "items, content"));
    }
    let mut body = shown(&job);
    if job.status.has_ended() || job.progress.total <= SHOWN_ITEMS || !wanted.is_empty() {
        let most = if wanted.is_empty() { job.progress.total.min(UNASKED_ITEMS) } else { job.progress.total };
        let items = setup.store.tenant(caller.tenant.clone()).jobs().items(job.id, 0, most).await?;
        let mut told: Vec<Map<String, Value>> = items.iter().map(|item| shown_item(&job, item)).collect();
        if wanted.contains(&"content") {
            let mut put = |at: usize, content: Bytes| drop(told[at].insert("content".to_owned(), BASE64.encode_to_string(&content).into()));
            job_results::inline(&setup, &caller, &items, &mut put).await?;
        }
        body.insert("items".to_owned(), told.into_iter().map(Value::Object).collect());
    }
    Ok(polled(&job, Value::Object(body)))
}

/// An answer about a job, with when to ask again while it runs.
pub(crate) fn polled(job: &JobRecord, body: Value) -> Response {
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !job.status.has_ended() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(job.progress.look_again_in_s()));
    }
    response
}

/// Calls a job off. Documents that are done stay; what is being made is thrown away.
#[utoipa::path(post, path = "/render/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)), responses((status = 200, description = "The job"), (status = 404, description = "Unknown"), (status = 409, description = "It had ended before"), (status = 410, description = "Its time is over")))]
pub async fn cancel(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let job = readable(&setup, &caller, &id).await?;
    match setup.store.tenant(caller.tenant).jobs().cancel(job.id, setup.jobs.retention, &caller.actor).await? {
        CancelJobOutcome::Cancelled(job) => Ok(Json(Value::Object(shown(&job)))),
        CancelJobOutcome::NotFound => Err(unknown()),
        CancelJobOutcome::AlreadyEnded(status) => {
            Err(ApiError::new(ErrorCode::AlreadyTerminal, format!("the job has ended before: it is {}", status.as_str())))
        }
    }
}

/// Removes a job with its documents; one that runs is called off by it, and nobody is told of its end.
#[utoipa::path(delete, path = "/render/jobs/{id}", tag = "jobs", params(("id" = String, Path)), responses((status = 204, description = "It is gone"), (status = 404, description = "Unknown"), (status = 410, description = "Its time is over")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let job = readable(&setup, &caller, &id).await?;
    let removed = setup.store.tenant(caller.tenant).jobs().delete(job.id, &caller.actor).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}

/// The job of that id, if the caller's credential is for all of its templates.
pub(crate) async fn readable(setup: &Setup, caller: &Caller, id: &str) -> Result<JobRecord, ApiError> {
    let id = Uuid::parse_str(id).map(JobId::from).map_err(|_| unknown())?;
    let job = setup.store.tenant(caller.tenant.clone()).jobs().get(id).await?.ok_or_else(unknown)?;
    if caller.templates.is_some() {
        let reached = |key: &String| key.parse::<TemplateKey>().is_ok_and(|key| caller.reaches(&key).is_ok());
        if job.inline || !job.templates.iter().all(reached) {
            return Err(unknown());
        }
    }
    if job.has_expired(setup.clock.now()) {
        let said = format!("the job and its documents were kept until {}; submit it again", job.expires_at);
        return Err(ApiError::new(ErrorCode::JobExpired, said));
    }
    Ok(job)
}

pub(crate) fn unknown() -> ApiError {
    ApiError::not_found("there is no such job")
}

fn shown(job: &JobRecord) -> Map<String, Value> {
    let mut told = Map::new();
    let mut put = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
    put("jobId", json!(job.id));
    put("kind", job.kind.as_str().into());
    put("format", job.format.as_str().into());
    put("status", job.status.as_str().into());
    put("createdAt", json!(job.created_at));
    put("expiresAt", json!(job.expires_at));
    put("cancelRequested", job.cancel_requested.into());
    put("progress", json!({ "total": job.progress.total, "completed": job.progress.succeeded, "failed": job.progress.failed }));
    put("webhook", json!({ "configured": job.has_callback, "delivered": job.callback_delivered, "attempts": job.callback_attempts }));
    for (name, moment) in [("startedAt", job.started_at), ("completedAt", job.completed_at)] {
        if let Some(moment) = moment {
            put(name, json!(moment));
        }
    }
    for (name, text) in [("reference", &job.reference), ("failureCode", &job.failure_code), ("correlationId", &job.correlation_id)] {
        if let Some(text) = text {
            put(name, text.as_str().into());
        }
    }
    if let Some(metadata) = object(job.metadata.as_deref()) {
        put("metadata", metadata);
    }
    if let Some(packaging) = job.packaging.filter(|_| job.status.has_ended() && job.progress.succeeded > 0) {
        let kind = match packaging {
            Packaging::Zip => "application/zip",
            Packaging::MergedPdf => "application/pdf",
        };
        put(
            "package",
            json!({ "packaging": packaging.as_str(), "contentType": kind, "contentUrl": format!("/render/jobs/{}/package", job.id) }),
        );
    }
    told
}

fn shown_item(job: &JobRecord, item: &JobItemRecord) -> Map<String, Value> {
    let mut told = Map::new();
    let mut put = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
    put("index", item.index.into());
    put("template", item.template.as_str().into());
    put("status", item.status.as_str().into());
    if let Some(reference) = item.reference.as_ref().filter(|_| job.kind == JobKind::Batch) {
        put("reference", reference.as_str().into());
    }
    if let Some(metadata) = object(item.metadata.as_deref()) {
        put("metadata", metadata);
    }
    if let (JobItemStatus::Succeeded, Some(output)) = (item.status, &item.output) {
        put("contentUrl", format!("/render/jobs/{}/items/{}/content", job.id, item.index).into());
        put("filename", output.filename.as_str().into());
        put("disposition", output.disposition.as_str().into());
        put("contentType", output.content_type.as_str().into());
        put("sizeBytes", output.size_bytes.into());
        put("warnings", output.warnings.into());
        if output.pages > 0 {
            put("pageCount", output.pages.into());
        }
        if let Some(render) = output.usage_id {
            put("renderId", json!(render));
        }
        if let Some(document) = output.document_id {
            put("documentId", document.to_string().into());
        }
    }
    if let Some(moment) = item.ended_at {
        put("completedAt", json!(moment));
    }
    if let Some((code, message)) = &item.error {
        put("error", json!({ "code": code, "message": message }));
    }
    told
}

fn object(text: Option<&str>) -> Option<Value> {
    serde_json::from_str(text?).ok()
}
