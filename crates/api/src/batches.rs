//! Several documents in one request, answered in one piece, line by line, or packed.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use domain::issues::near_names;
use domain::usage::RenderMode;
use domain::variants::BucketKey;
use domain::{ErrorCode, Issue};
use render::render_body::{self, Wanted};
use render::{Format, Printing, RenderRequest, Source};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::batch_answers::{self, About, Answer, Bookmarks, Collected, Package, Packaging};
use crate::body::AnyJson;
use crate::error::ApiError;
use crate::render_body::{BucketHeader, asker};
use crate::renders::reach;

/// What a batch takes.
const OF_A_BATCH: [&str; 8] = ["items", "definition", "now", "output", "metadata", "packaging", "packageOptions", "mode"];
/// What an item has beside what a render takes.
const REFERENCE: &str = "reference";
/// What an item cannot have where all share one definition.
const OF_A_TEMPLATE: [&str; 6] = ["template", "definition", "version", "label", "asOf", "bucketKey"];
/// Characters of a reference, and of what a package is called.
const SHORT_TEXT: usize = 200;

/// What a batch takes, for the description of the interface.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes; the request is read field by field")]
pub struct BatchBody {
    /// What each document is made from: the fields of a render, and `reference`, a text of up to 200 characters that comes back
    /// with its result.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// A whole definition that all items share; they then name no template.
    #[schema(value_type = Option<Object>)]
    definition: Option<Value>,
    /// The moment all documents believe it is, where an item says no other.
    now: Option<String>,
    /// Words to find the renders by, under those of the items.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// `zip` or `merged-pdf`: one file instead of the list of results.
    packaging: Option<String>,
    /// `filename`; for `merged-pdf` also `title` and `bookmarks`: `documents` (an entry for each, as without) or `own`.
    #[schema(value_type = Option<Object>)]
    package_options: Option<Value>,
    /// `mail-merge` prints documents of one template together, which costs a fraction and changes nothing about them.
    mode: Option<String>,
}

/// PDFs from templates and data. Items fail one by one; with `Accept: application/x-ndjson` each result is a line as soon as it
/// is there, and a summary ends them.
#[utoipa::path(post, path = "/render/batch", tag = "render", request_body = BatchBody, responses((status = 200, description = "total, succeeded, failed and results; lines of them; or the package", content_type = "application/json"), (status = 422, description = "The request is at fault, or a package would lack documents"), (status = 503, description = "Saturated; see Retry-After")))]
pub async fn pdf(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    headers: HeaderMap,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    batch(&setup, &caller, body, bucket, &headers, Format::Pdf).await
}

/// HTML documents from templates and data, otherwise as `/render/batch`.
#[utoipa::path(post, path = "/render/batch/html", tag = "render", request_body = BatchBody, responses((status = 200, description = "total, succeeded, failed and results; lines of them; or the package", content_type = "application/json"), (status = 422, description = "The request is at fault, or a package would lack documents")))]
pub async fn html(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    headers: HeaderMap,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    batch(&setup, &caller, body, bucket, &headers, Format::Html).await
}

async fn batch(
    setup: &Setup,
    caller: &Caller,
    body: Value,
    bucket: BucketHeader,
    headers: &HeaderMap,
    format: Format,
) -> Result<Response, ApiError> {
    if caller.render_token.is_some() {
        return Err(ApiError::new(
            ErrorCode::RenderTokenConstraint,
            "a render token is for one document at a time; use /render/pdf or /render/html",
        ));
    }
    let body = BatchRequest::read(body, format, setup.renderer.limits().batch_items)?;
    let mut requests = Vec::with_capacity(body.items.len());
    let mut about = Vec::with_capacity(body.items.len());
    let mut refused = Vec::new();
    for (index, item) in body.items.into_iter().enumerate() {
        let (named, read) = read_item(item, bucket.0.clone(), caller, format);
        about.push(named);
        match read {
            Ok(request) => requests.push((index, with_definition(request, body.definition.as_ref()))),
            Err(error) => refused.push((index, Err(error))),
        }
    }
    let batch = setup.renderer.batch(&caller.tenant, requests, body.printing)?;
    let answer = Answer { setup: setup.clone(), format, about };
    match body.packaging {
        None if wants_lines(headers) => Ok(batch_answers::lines(answer, refused, batch)),
        None => {
            let collected = Collected::of(&answer, refused, batch).await;
            Ok(batch_answers::json(answer, collected))
        }
        Some(Packaging::Zip) => batch_answers::zip(&answer, Collected::of(&answer, refused, batch).await, body.package).await,
        Some(Packaging::MergedPdf) => batch_answers::merged(&answer, Collected::of(&answer, refused, batch).await, body.package).await,
    }
}

fn wants_lines(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|value| value.split(',')).any(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/x-ndjson")
}

/// What a batch asks for.
pub(crate) struct BatchRequest {
    /// Each as a render request would be, with its reference.
    pub(crate) items: Vec<Value>,
    /// What all items are made from. Items have a small one in its place, so that a large one is there once.
    pub(crate) definition: Option<Arc<Value>>,
    pub(crate) packaging: Option<Packaging>,
    pub(crate) package: Package,
    pub(crate) printing: Printing,
}

impl BatchRequest {
    /// Reads what holds for all items, and gives each item what it has from all.
    pub(crate) fn read(body: Value, format: Format, most_items: usize) -> Result<Self, ApiError> {
        let Value::Object(mut body) = body else { return Err(ApiError::bad_request("the body must be an object with \"items\"")) };
        if let Some(name) = body.keys().find(|name| !OF_A_BATCH.contains(&name.as_str())) {
            let near = near_names(name, OF_A_BATCH.iter().copied());
            let hint = near.first().map_or_else(|| ".".to_owned(), |near| format!("; did you mean \"{near}\"?"));
            return Err(ApiError::bad_request(format!("\"{name}\" is no field of a batch{hint} Accepted: {}", OF_A_BATCH.join(", "))));
        }
        if body.get("output").is_some_and(|output| !output.is_null()) {
            return Err(no_output());
        }
        let mut take = |name: &str| body.shift_remove(name).filter(|value| !value.is_null());
        let Some(Value::Array(items)) = take("items") else {
            return Err(ApiError::bad_request("items is missing; send an array with what each document is made from"));
        };
        if items.is_empty() || items.len() > most_items {
            return Err(ApiError::field("/items", format!("has {} items; accepted: 1 to {most_items}", items.len())));
        }
        let (definition, now, metadata) = (take("definition"), take("now"), take("metadata"));
        if metadata.as_ref().is_some_and(|metadata| !metadata.is_object()) {
            return Err(ApiError::field("/metadata", "must be an object with texts"));
        }
        let packaging = word(take("packaging"), "/packaging", &[("zip", Packaging::Zip), ("merged-pdf", Packaging::MergedPdf)])?;
        if packaging == Some(Packaging::MergedPdf) && format != Format::Pdf {
            return Err(ApiError::new(ErrorCode::PackagingUnsupported, "only PDFs can be merged into one; accepted here: zip"));
        }
        let printing = word(take("mode"), "/mode", &[("ordinary", Printing::Alone), ("mail-merge", Printing::Together)])?;
        if printing == Some(Printing::Together) && format != Format::Pdf {
            return Err(ApiError::field("/mode", "mail-merge is a way to print; HTML is not printed"));
        }
        let package = package_options(take("packageOptions"), packaging)?;
        let mut whole = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            whole.push(with_shared(index, item, definition.as_ref(), now.as_ref(), metadata.as_ref())?);
        }
        let definition = definition.map(Arc::new);
        Ok(Self { items: whole, definition, packaging, package, printing: printing.unwrap_or(Printing::Alone) })
    }
}

/// Documents are not kept yet.
fn no_output() -> ApiError {
    ApiError::new(ErrorCode::NotImplemented, "output is not available in batches in this version; leave it out")
}

/// An item with what it has from the batch. What is no object stays as it is and is refused as an item.
fn with_shared(
    index: usize,
    item: Value,
    definition: Option<&Value>,
    now: Option<&Value>,
    metadata: Option<&Value>,
) -> Result<Value, ApiError> {
    let Value::Object(mut item) = item else { return Ok(item) };
    if item.get("output").is_some_and(|output| !output.is_null()) {
        return Err(no_output());
    }
    if let Some(definition) = definition {
        if let Some(name) = OF_A_TEMPLATE.iter().find(|name| item.get(**name).is_some_and(|value| !value.is_null())) {
            let path = format!("/items/{index}/{name}");
            return Err(ApiError::field(&path, "the batch has a definition, which all items share; leave this out"));
        }
        item.insert("definition".to_owned(), json!({ "key": definition.get("key") }));
    }
    if let (Some(now), None) = (now, item.get("now").filter(|now| !now.is_null())) {
        item.insert("now".to_owned(), now.clone());
    }
    if let Some(Value::Object(shared)) = metadata {
        match item.get_mut("metadata") {
            None | Some(Value::Null) => drop(item.insert("metadata".to_owned(), Value::Object(shared.clone()))),
            Some(Value::Object(own)) => {
                for (name, value) in shared {
                    own.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
            Some(_) => {}
        }
    }
    Ok(Value::Object(item))
}

/// What an item is called in its result, and the render it asks for.
fn read_item(item: Value, bucket: Option<BucketKey>, caller: &Caller, format: Format) -> (About, Result<RenderRequest, ApiError>) {
    let Value::Object(mut item) = item else {
        return (About::default(), Err(ApiError::bad_request("an item must be an object with \"template\" or \"definition\"")));
    };
    let reference = item.shift_remove(REFERENCE).filter(|reference| !reference.is_null());
    let about = About {
        template: template_of(&item),
        reference: reference.as_ref().and_then(Value::as_str).map(Box::from),
        metadata: item.get("metadata").filter(|metadata| metadata.is_object()).cloned(),
    };
    if reference.is_some_and(|reference| reference.as_str().is_none_or(|text| text.chars().count() > SHORT_TEXT)) {
        return (
            About { reference: None, ..about },
            Err(ApiError::field("/reference", format!("must be text of at most {SHORT_TEXT} characters"))),
        );
    }
    let read = || {
        let (request, wanted) = render_body::read(Value::Object(item), bucket, asker(caller, RenderMode::Batch), format)?;
        if wanted == Wanted::DryRun {
            return Err(ApiError::field("/dryRun", "belongs to single renders; leave it out"));
        }
        reach(caller, &request.source)?;
        Ok(request)
    };
    (about, read())
}

/// The request, made from what all items share.
fn with_definition(mut request: RenderRequest, shared: Option<&Arc<Value>>) -> RenderRequest {
    if let Some(definition) = shared {
        request.source = Source::Inline(Arc::clone(definition));
    }
    request
}

/// The template's key; of a definition that came along its own.
fn template_of(item: &Map<String, Value>) -> Box<str> {
    let key = item.get("template").or_else(|| item.get("definition").and_then(|definition| definition.get("key")));
    key.and_then(Value::as_str).unwrap_or("inline").chars().take(SHORT_TEXT).collect()
}

/// One of a few words.
fn word<T: Copy>(given: Option<Value>, path: &str, known: &[(&str, T)]) -> Result<Option<T>, ApiError> {
    let Some(given) = given else { return Ok(None) };
    let found = given.as_str().and_then(|text| known.iter().find(|(word, _)| *word == text));
    let accepted = || known.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| ApiError::field(path, format!("accepted: {}", accepted())))
}

fn package_options(given: Option<Value>, packaging: Option<Packaging>) -> Result<Package, ApiError> {
    let known: &[&str] = match packaging {
        Some(Packaging::MergedPdf) => &["filename", "title", "bookmarks"],
        _ => &["filename"],
    };
    let Some(given) = given else { return Ok(Package::default()) };
    let Value::Object(mut given) = given else { return Err(ApiError::field("/packageOptions", "must be an object")) };
    if packaging.is_none() {
        return Err(ApiError::field("/packageOptions", "belongs to packaging; send \"packaging\": \"zip\" or \"merged-pdf\" with it"));
    }
    if let Some(name) = given.keys().find(|name| !known.contains(&name.as_str())) {
        let path = format!("/packageOptions/{}", name.chars().take(SHORT_TEXT).collect::<String>());
        return Err(ApiError::field(&path, format!("is no option of this package; accepted: {}", known.join(", "))));
    }
    let mut text = |name: &str| match given.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() && text.chars().count() <= SHORT_TEXT => Ok(Some(text)),
        Some(_) => {
            let issue = Issue::new(format!("/packageOptions/{name}"), format!("must be text of at most {SHORT_TEXT} characters"));
            Err(ApiError::invalid(ErrorCode::ValidationFailed, vec![issue]))
        }
    };
    let (filename, title) = (text("filename")?, text("title")?);
    let known = [("documents", Bookmarks::Documents), ("own", Bookmarks::Own)];
    let bookmarks = word(given.shift_remove("bookmarks").filter(|value| !value.is_null()), "/packageOptions/bookmarks", &known)?;
    Ok(Package { filename, title, bookmarks: bookmarks.unwrap_or_default() })
}
