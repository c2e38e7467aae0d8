//! Datasets: data that is uploaded once, and rendered from by its id.

use std::pin::Pin;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::ErrorCode;
use domain::datasets::DatasetId;
use futures_util::stream::{self, StreamExt as _};
use render::{BlobError, DatasetUpload};
use serde_json::{Map, Value, json};
use store::{TemporaryDataset, TemporaryDatasetOutcome};

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBytes, Path};
use crate::documents::hex;
use crate::error::ApiError;
use crate::idempotency::REPLAYED;
use crate::job_body::idempotency_key;
use crate::query::Pairs;

/// Keeps JSON of any kind for a while; `dataRef` renders from it.
#[utoipa::path(post, path = "/datasets", tag = "datasets", params(("ttlSeconds" = Option<u32>, Query, description = "How long it lives")), request_body = Value, responses((status = 201, description = "id, sizeBytes, sha256, createdAt and expiresAt"), (status = 409, description = "The tenant has as many or as large datasets as it may"), (status = 413, description = "Too large")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    JsonBytes(json): JsonBytes,
) -> Result<Response, ApiError> {
    refuse_render_tokens(&caller)?;
    let pairs = Pairs::read(query.as_deref())?;
    let datasets = setup.renderer.datasets();
    let limits = datasets.limits();
    let life_seconds = limits
        .life_seconds(pairs.text("ttlSeconds"), "/ttlSeconds")
        .map_err(|issue| ApiError::invalid(ErrorCode::ValidationFailed, vec![issue]))?;
    if json.len() as u64 > limits.max_bytes {
        let said = format!("the dataset has {} bytes; at most {} are kept", json.len(), limits.max_bytes);
        return Err(ApiError::new(ErrorCode::PayloadTooLarge, said));
    }
    let upload = DatasetUpload { life_seconds, idempotency_key: idempotency_key(&headers)? };
    match datasets.put(&caller.tenant, json, upload, &caller.actor).await? {
        TemporaryDatasetOutcome::Stored(record) => Ok((StatusCode::CREATED, Json(Value::from(shown(&record)))).into_response()),
        TemporaryDatasetOutcome::Repeated(record) => {
            Ok((StatusCode::CREATED, [REPLAYED], Json(Value::from(shown(&record)))).into_response())
        }
        TemporaryDatasetOutcome::Full(full) => Err(ApiError::new(ErrorCode::DatasetLimitExceeded, full.to_string())),
        TemporaryDatasetOutcome::KeyReused => {
            let said = "something else was uploaded under this Idempotency-Key; use another key for another upload";
            Err(ApiError::new(ErrorCode::IdempotencyKeyReused, said))
        }
    }
}

/// What is known of a dataset, and its data as it was uploaded.
#[utoipa::path(get, path = "/datasets/{id}", tag = "datasets", params(("id" = String, Path)), responses((status = 200, description = "id, sizeBytes, sha256, createdAt, expiresAt and data", content_type = "application/json"), (status = 404, description = "Unknown, or its time is over")))]
pub async fn get(State(setup): State<Setup>, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Result<Response, ApiError> {
    refuse_render_tokens(&caller)?;
    let opened = setup.renderer.datasets().open(&caller.tenant, known_id(&id)?).await?;
    let (record, content) = opened.ok_or_else(none)?;
    // The data stands in the answer as it came, without being read again.
    let mut head = Value::Object(shown(&record)).to_string();
    head.pop();
    head.push_str(",\"data\":");
    let length = head.len() as u64 + content.length_bytes() + 1;
    let one = |piece: Bytes| stream::iter([Ok::<_, BlobError>(piece)]);
    let pieces = one(head.into()).chain(Pin::from(Box::new(content))).chain(one(Bytes::from_static(b"}")));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
        (CONTENT_LENGTH, HeaderValue::from(length)),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Removes a dataset, also from under jobs that wait.
#[utoipa::path(delete, path = "/datasets/{id}", tag = "datasets", params(("id" = String, Path)), responses((status = 204, description = "It is gone"), (status = 404, description = "Unknown, or its time is over")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    refuse_render_tokens(&caller)?;
    let removed = setup.store.tenant(caller.tenant).temporary_datasets().delete(known_id(&id)?, &caller.actor).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(none()) }
}

/// Whoever opens a page has its render token: it renders from datasets, and neither fills, reads nor empties the store of them.
fn refuse_render_tokens(caller: &Caller) -> Result<(), ApiError> {
    if caller.render_token.is_none() {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::RenderTokenConstraint,
        "a render token is for documents; a dataset is uploaded, read and removed with a key",
    ))
}

fn shown(record: &TemporaryDataset) -> Map<String, Value> {
    let shown = json!({
        "id": record.id, "sizeBytes": record.size_bytes, "sha256": hex(&record.sha256),
        "createdAt": record.created_at.to_string(), "expiresAt": record.expires_at.to_string(),
    });
    if let Value::Object(shown) = shown { shown } else { Map::new() }
}

fn known_id(text: &str) -> Result<DatasetId, ApiError> {
    text.parse().map_err(|_| none())
}

fn none() -> ApiError {
    ApiError::new(ErrorCode::DatasetNotFound, "there is no such dataset, or its time is over")
}

/// The dataset that a request names is not there.
pub(crate) fn unknown(id: DatasetId) -> ApiError {
    ApiError::new(ErrorCode::DatasetNotFound, format!("there is no dataset \"{id}\", or its time is over"))
}
