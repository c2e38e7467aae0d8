//! The body of a render request as the description of the interface shows it, and what the caller adds to it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::usage::RenderMode;
use domain::variants::{BucketKey, InvalidBucketKey};
use jiff::Timestamp;
use render::render_body::{Asker, RefusedBody};
use render::{Format, RenderRequest};
use serde_json::Value;
use utoipa::ToSchema;

pub use render::render_body::Wanted;

use crate::auth::Caller;
use crate::data_conversion::DataInputBody;
use crate::error::ApiError;
use crate::requests::current_correlation_id;

/// What a render takes, for the description of the interface; [`render::render_body`] reads it and says more about what is wrong.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes; the request is read field by field")]
pub struct RenderBody {
    /// Key of a stored template; this or `definition`.
    template: Option<String>,
    /// A whole definition that comes with the request.
    definition: Option<Value>,
    /// The data, before the template's field mappings.
    #[schema(value_type = Object)]
    data: Option<Value>,
    /// A CSV, XLSX or XML file that the data is made from; instead of `data`.
    data_input: Option<DataInputBody>,
    /// The id of a dataset that holds the data; instead of `data`.
    data_ref: Option<String>,
    /// An address that the data is got from, where the operator allows that; instead of `data`.
    data_url: Option<String>,
    /// Headers that are sent to that address.
    #[schema(value_type = Option<Object>)]
    data_headers: Option<Value>,
    /// A version such as `1.0.3`; this or `label`. Without either, the version of the live label, or the current one where
    /// this server has no live label.
    version: Option<String>,
    /// A label, whose version is rendered; `@latest` is the current version, whatever the live label.
    label: Option<String>,
    /// A moment in the past, in ISO 8601: the version that `label` led to then.
    as_of: Option<String>,
    /// Who gets the same side of a split label each time, such as a customer's number; the header `x-pulp-engine-bucket`
    /// says the same. Without it the side is the control.
    bucket_key: Option<String>,
    /// `paperSize`, `orientation`, `margins`, `locale`, `timeZone`, `direction`, `metadata`, `filename`, `disposition`,
    /// `bookmarks`, `pageHeader`, `pageFooter`, `watermark`, `printProduction`.
    #[schema(value_type = Object)]
    options: Option<Value>,
    /// Words to find the render by in the log of renders: up to 50 names with text.
    #[schema(value_type = Object)]
    metadata: Option<Value>,
    /// Refuse bindings without a value instead of printing nothing.
    strict_bindings: Option<bool>,
    /// The moment the document believes it is, in ISO 8601; makes the bytes repeatable.
    now: Option<String>,
    /// Only check, and answer with what was found.
    dry_run: Option<bool>,
    /// Of `/render/csv` and `/render/xlsx`: the id of the node whose table is wanted.
    table_id: Option<String>,
    /// Of `/render/csv`: `tables`, `one` or `all`; `bom`, whether the file begins with a byte order mark.
    #[schema(value_type = Option<Object>)]
    csv: Option<Value>,
    /// Of `/render/xlsx`: `layout`, `document` (as shown) or `data` (heads and items alone); `cellTyping`, `typed` or `text`.
    #[schema(value_type = Option<Object>)]
    xlsx: Option<Value>,
    /// Of `/render/html`: `selfContained`, whether the page forbids browsers to load anything.
    #[schema(value_type = Option<Object>)]
    html: Option<Value>,
    /// Of `/render/image`: `format`, `png`, `jpeg` or `webp`; `width` in pixels, 16 to 4096; `quality` of JPEG, 1 to 100; `pages`, `all`,
    /// one such as `1` or a range such as `2-5`.
    #[schema(value_type = Option<Object>)]
    image: Option<Value>,
}

/// What a conversion takes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes; the request is read field by field")]
pub struct ConversionBody {
    /// The page, with expressions.
    html: String,
    /// The data.
    #[schema(value_type = Object)]
    data: Option<Value>,
    /// As for a render.
    #[schema(rename = "dataInput")]
    data_input: Option<DataInputBody>,
    /// As for a render.
    #[schema(rename = "dataRef")]
    data_ref: Option<String>,
    /// As for a render.
    #[schema(rename = "dataUrl")]
    data_url: Option<String>,
    /// As for a render.
    #[schema(rename = "dataHeaders")]
    #[schema(value_type = Option<Object>)]
    data_headers: Option<Value>,
    /// As for a render.
    #[schema(value_type = Object)]
    options: Option<Value>,
    /// The language of the page, as a BCP 47 tag.
    locale: Option<String>,
    /// As for a render.
    now: Option<String>,
}

/// Reads a render request.
pub fn read(body: Value, bucket: Option<BucketKey>, caller: &Caller, format: Format) -> Result<(RenderRequest, Wanted), ApiError> {
    Ok(render::render_body::read(body, bucket, asker(caller, RenderMode::Single), format)?)
}

/// Reads a conversion: HTML instead of a template.
pub fn read_conversion(body: Value, caller: &Caller) -> Result<RenderRequest, ApiError> {
    Ok(render::render_body::read_conversion(body, asker(caller, RenderMode::Single))?)
}

/// Who asks, as the log of renders keeps it.
pub fn asker(caller: &Caller, mode: RenderMode) -> Asker {
    Asker { tenant: caller.tenant.clone(), actor: caller.actor.clone(), mode, correlation_id: current_correlation_id() }
}

impl From<RefusedBody> for ApiError {
    fn from(refused: RefusedBody) -> Self {
        if refused.issues.is_empty() { Self::new(refused.code, refused.message) } else { Self::invalid(refused.code, refused.issues) }
    }
}

/// An ISO 8601 time with its offset; `path` is a JSON Pointer to it.
pub fn moment(path: &str, text: &str) -> Result<Timestamp, ApiError> {
    text.parse().map_err(|_| ApiError::field(path, "must be an ISO 8601 time with its offset, such as \"2026-11-21T10:00:00Z\""))
}

/// What the header `x-pulp-engine-bucket` says, for callers that cannot change the body.
pub struct BucketHeader(pub Option<BucketKey>);

impl<S: Send + Sync> FromRequestParts<S> for BucketHeader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let Some(given) = parts.headers.get("x-pulp-engine-bucket") else { return Ok(Self(None)) };
        let wrong = |error: InvalidBucketKey| ApiError::bad_request(format!("x-pulp-engine-bucket: {error}"));
        std::str::from_utf8(given.as_bytes()).map_err(|_| InvalidBucketKey).and_then(str::parse).map(Some).map(Self).map_err(wrong)
    }
}
