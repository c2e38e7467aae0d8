//! The older way to submit batches that nobody waits for: the same jobs under other names.

use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use domain::ErrorCode;
use domain::jobs::JobKind;
use render::Format;
use serde_json::{Map, Value, json};

use crate::Setup;
use crate::auth::Caller;
use crate::body::{AnyJson, Path};
use crate::error::ApiError;
use crate::job_body::Submission;
use crate::job_results;
use crate::jobs::{JobBody, Submitted, accepted, inserted, polled, readable, unknown};
use crate::render_body::BucketHeader;

/// Submits a batch of PDFs; its end is told to `webhookUrl`, and can be asked for.
#[utoipa::path(post, path = "/render/batch/async", tag = "jobs", request_body = JobBody, responses((status = 202, description = "jobId, status, createdAt and pollUrl"), (status = 422, description = "Something of the request is at fault")))]
pub async fn submit(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    headers: HeaderMap,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    let missing = |name: &str| body.get(name).is_none_or(Value::is_null);
    if missing("items") {
        return Err(ApiError::field("/items", "is missing; /render/jobs takes one document"));
    }
    for name in ["webhookUrl", "webhookSecret"] {
        if missing(name) {
            return Err(ApiError::field(
                &format!("/{name}"),
                "is missing; a batch whose end nobody is told of is submitted to /render/jobs",
            ));
        }
    }
    if body.get("format").is_some_and(|format| !format.is_null() && format != Format::Pdf.as_str()) {
        return Err(ApiError::field("/format", "must be \"pdf\" here; /render/jobs takes the other formats"));
    }
    let submission = Submission { caller: &caller, headers: &headers, bucket: bucket.0, limits: &setup.jobs };
    let Submitted { job, before } = inserted(&setup, &caller, &submission.read(body, Some(Format::Pdf))?).await?;
    let body = json!({
        "jobId": job.id, "status": job.status.as_str(), "createdAt": job.created_at, "pollUrl": format!("/render/batch/jobs/{}", job.id),
    });
    Ok(accepted(&job, before, body))
}

/// How a batch stands, with its documents once it has ended; where they are more than one answer holds, with their addresses.
#[utoipa::path(get, path = "/render/batch/jobs/{id}", tag = "jobs", params(("id" = String, Path)), responses((status = 200, description = "jobId, status, itemCount, and results when it has ended"), (status = 404, description = "Unknown"), (status = 410, description = "Its time is over")))]
pub async fn get(State(setup): State<Setup>, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let job = readable(&setup, &caller, &id).await?;
    if job.kind != JobKind::Batch {
        return Err(unknown());
    }
    let metadata: Option<Value> = job.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let mut body = json!({
        "jobId": job.id, "status": job.status.as_str(), "createdAt": job.created_at, "completedAt": job.completed_at, "format": job.format,
        "itemCount": job.progress.total, "webhookDelivered": job.callback_delivered, "metadata": metadata, "correlationId": job.correlation_id,
    });
    if job.status.has_ended() {
        let items = setup.store.tenant(caller.tenant.clone()).jobs().items(job.id, 0, job.progress.total).await?;
        let mut results: Vec<Map<String, Value>> = Vec::with_capacity(items.len());
        for item in &items {
            let mut told = Map::from_iter([
                ("index".to_owned(), item.index.into()),
                ("template".to_owned(), item.template.as_str().into()),
                ("success".to_owned(), item.output.is_some().into()),
            ]);
            if let Some(reference) = &item.reference {
                told.insert("reference".to_owned(), reference.as_str().into());
            }
            if let Some(output) = &item.output {
                told.insert("filename".to_owned(), output.filename.as_str().into());
                told.insert("contentUrl".to_owned(), format!("/render/jobs/{}/items/{}/content", job.id, item.index).into());
                told.extend(output.document_id.map(|document| ("documentId".to_owned(), document.to_string().into())));
            } else {
                let (code, message) =
                    item.error.clone().unwrap_or_else(|| ("cancelled".to_owned(), "the job was called off before".to_owned()));
                told.insert("error".to_owned(), json!({ "code": code, "message": message }));
            }
            results.push(told);
        }
        // As batches that are waited for have them: HTML as text, anything else as base64.
        let mut put = |at: usize, content: Bytes| {
            let text = if job.format == Format::Html.as_str() {
                String::from_utf8_lossy(&content).into_owned()
            } else {
                BASE64.encode_to_string(&content)
            };
            drop(results[at].insert(job.format.clone(), text.into()));
        };
        match job_results::inline(&setup, &caller, &items, &mut put).await {
            Ok(()) => {}
            Err(error) if error.code() == ErrorCode::PayloadTooLarge => {}
            Err(error) => return Err(error),
        }
        let failed = job.progress.total - job.progress.succeeded;
        body["results"] = json!({ "total": job.progress.total, "succeeded": job.progress.succeeded, "failed": failed, "results": results });
    }
    Ok(polled(&job, body))
}
