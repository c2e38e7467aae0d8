//! The body of a render request, read so that every wrong field is named.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use document::Bindings;
use domain::issues::near_names;
use domain::options::RenderOptions;
use domain::templates::TemplateKey;
use domain::usage::{RenderMode, UsageMetadata};
use domain::variants::{BucketKey, InvalidBucketKey};
use domain::{ErrorCode, Issue};
use jiff::Timestamp;
use render::{Attribution, Format, RenderRequest, Source, Which};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::error::ApiError;
use crate::requests::current_correlation_id;
use crate::samples::which;

/// What a document from a template takes.
const OF_A_RENDER: &[&str] =
    &["template", "definition", "data", "version", "label", "asOf", "bucketKey", "options", "metadata", "strictBindings", "now", "dryRun"];
/// What says which version of a stored template is meant.
const OF_A_STORED_TEMPLATE: [&str; 4] = ["version", "label", "asOf", "bucketKey"];
/// What a conversion takes.
const OF_A_CONVERSION: &[&str] = &["html", "data", "options", "locale", "metadata", "strictBindings", "now"];
/// Published fields that this version does not have.
const LATER: [&str; 13] = [
    "dataInput",
    "dataUrl",
    "dataHeaders",
    "dataRef",
    "tableId",
    "parameters",
    "aiNarratives",
    "output",
    "csv",
    "email",
    "html",
    "image",
    "xlsx",
];

/// What a render takes, for the description of the interface; [`read`] reads it and says more about what is wrong.
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
    /// `bookmarks`, `pageHeader`, `pageFooter`.
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
    #[schema(value_type = Object)]
    options: Option<Value>,
    /// The language of the page, as a BCP 47 tag.
    locale: Option<String>,
    /// As for a render.
    now: Option<String>,
}

/// Whether a document is wanted, or only to know what it would meet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Document,
    DryRun,
}

/// Reads a render request.
pub fn read(body: Value, bucket: Option<BucketKey>, caller: &Caller, format: Format) -> Result<(RenderRequest, Wanted), ApiError> {
    let Value::Object(mut object) = body else {
        return Err(ApiError::bad_request("the body must be an object with \"template\" or \"definition\""));
    };
    refuse_unknown(&object, OF_A_RENDER)?;
    // Taken out, not copied: they can be large.
    let definition = object.shift_remove("definition").filter(|definition| !definition.is_null());
    let data = object.shift_remove("data");
    let object = &object;
    let source = match (field(object, "template"), definition) {
        (Some(template), None) => stored(object, template, bucket)?,
        (None, Some(definition)) => match OF_A_STORED_TEMPLATE.iter().find(|name| field(object, name).is_some()) {
            None => Source::Inline(definition),
            Some(name) => return Err(ApiError::bad_request(format!("{name} belongs to a stored template; leave it out with definition"))),
        },
        (Some(_), Some(_)) => return Err(ApiError::bad_request("template and definition exclude each other; send one of them")),
        (None, None) => return Err(ApiError::bad_request("send template (the key of a stored template) or definition")),
    };
    let wanted = if boolean(object, "dryRun")? { Wanted::DryRun } else { Wanted::Document };
    Ok((request(object, data, source, caller, format)?, wanted))
}

/// Reads a conversion: HTML instead of a template.
pub fn read_conversion(body: Value, caller: &Caller) -> Result<RenderRequest, ApiError> {
    let Value::Object(mut object) = body else {
        return Err(ApiError::bad_request("the body must be an object with \"html\""));
    };
    if object.contains_key("url") {
        return Err(ApiError::new(ErrorCode::ConvertUrlNotAllowed, "this server fetches no pages; send the page itself as html"));
    }
    refuse_unknown(&object, OF_A_CONVERSION)?;
    let data = object.shift_remove("data");
    let object = &object;
    let html =
        field(object, "html").and_then(Value::as_str).ok_or_else(|| ApiError::bad_request("html is missing; send the page as text"))?;
    let definition = json!({ "key": "convert", "name": "Conversion", "html": html });
    let mut request = request(object, data, Source::Inline(definition), caller, Format::Pdf)?;
    if let Some(locale) = field(object, "locale") {
        let given = RenderOptions::from_json(&json!({ "locale": locale }), "")
            .map_err(|refused| ApiError::invalid(refused.code, refused.issues))?;
        request.options.locale = request.options.locale.or(given.locale);
    }
    Ok(request)
}

fn request(
    object: &Map<String, Value>,
    data: Option<Value>,
    source: Source,
    caller: &Caller,
    format: Format,
) -> Result<RenderRequest, ApiError> {
    let options = match field(object, "options") {
        Some(options) => {
            RenderOptions::from_json(options, "/options").map_err(|refused| ApiError::invalid(refused.code, refused.issues))?
        }
        None => RenderOptions::default(),
    };
    let now = match field(object, "now") {
        Some(now) => Some(now.as_str().and_then(|text| text.parse::<Timestamp>().ok()).ok_or_else(|| {
            ApiError::invalid(
                ErrorCode::ValidationFailed,
                vec![Issue::new("/now", "must be an ISO 8601 time with its zone, such as \"2026-11-21T10:00:00Z\"")],
            )
        })?),
        None => None,
    };
    let data = data.filter(|data| !data.is_null()).unwrap_or_else(|| json!({}));
    if !data.is_object() {
        return Err(ApiError::invalid(ErrorCode::ValidationFailed, vec![Issue::new("/data", "must be an object")]));
    }
    let metadata = UsageMetadata::from_json(object.get("metadata").unwrap_or(&Value::Null), "/metadata")
        .map_err(|issue| ApiError::invalid(ErrorCode::ValidationFailed, vec![issue]))?;
    let attribution =
        Attribution { actor: Some(caller.actor.clone()), mode: RenderMode::Single, metadata, correlation_id: current_correlation_id() };
    let bindings = if boolean(object, "strictBindings")? { Bindings::Strict } else { Bindings::Lenient };
    let tenant = caller.tenant.clone();
    Ok(RenderRequest { tenant, source, data, fixed_data: None, options, now, bindings, format, attribution })
}

fn stored(object: &Map<String, Value>, template: &Value, bucket: Option<BucketKey>) -> Result<Source, ApiError> {
    let text = template.as_str().ok_or_else(|| ApiError::bad_request("template must be the key of a stored template, as text"))?;
    let key: TemplateKey = text
        .parse()
        .map_err(|_| ApiError::not_found(format!("there is no template \"{}\"", text.chars().take(100).collect::<String>())))?;
    let word = |name: &str| match field(object, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(ApiError::bad_request(format!("{name} must be text"))),
    };
    let mut which = which(word("version")?, word("label")?)?;
    if let Some(text) = word("asOf")? {
        let Which::Label { as_of, .. } = &mut which else {
            return Err(ApiError::bad_request("asOf is about a label: send label with it, and not @latest"));
        };
        *as_of = Some(moment("/asOf", text)?);
    }
    let own =
        word("bucketKey")?.map(|text| text.parse().map_err(|error: InvalidBucketKey| ApiError::field("/bucketKey", error.to_string())));
    Ok(Source::Stored { key, which, bucket_key: own.transpose()?.or(bucket) })
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

fn refuse_unknown(object: &Map<String, Value>, known: &[&str]) -> Result<(), ApiError> {
    for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
        if LATER.contains(&name.as_str()) {
            if object[name].is_null() {
                continue;
            }
            return Err(ApiError::new(ErrorCode::NotImplemented, format!("{name} is not available in this version; leave it out")));
        }
        let near = near_names(name, known.iter().copied());
        let hint = near.first().map_or_else(|| ".".to_owned(), |near| format!("; did you mean \"{near}\"?"));
        return Err(ApiError::bad_request(format!("\"{name}\" is no field of this request{hint} Accepted: {}", known.join(", "))));
    }
    Ok(())
}

fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn boolean(object: &Map<String, Value>, name: &str) -> Result<bool, ApiError> {
    field(object, name)
        .map_or(Ok(false), |value| value.as_bool().ok_or_else(|| ApiError::bad_request(format!("{name} must be true or false"))))
}
