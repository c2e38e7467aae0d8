//! Several documents in one request, answered in one piece, line by line, or packed.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use domain::ErrorCode;
use domain::documents::{DocumentOutput, RespondWith};
use domain::issues::near_names;
use domain::jobs::Packaging;
use domain::usage::RenderMode;
use domain::variants::BucketKey;
use render::render_body::{self, Wanted};
use render::{Format, Printing, RenderRequest, Source};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::batch_answers::{self, About, Answer, Collected, WantedLink};
use crate::body::AnyJson;
use crate::document_links::Here;
use crate::error::ApiError;
use crate::idempotency::{Attempt, hash_of_json, once};
use crate::packages::{self, Package, word};
use crate::render_body::{BucketHeader, asker};
use crate::renders::{is_stored, reach};

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
    /// How each document is kept, as in a render, where its item says nothing else.
    #[schema(value_type = Option<Object>)]
    output: Option<Value>,
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
#[utoipa::path(post, path = "/render/batch", tag = "render", request_body = BatchBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "total, succeeded, failed and results; lines of them; or the package", content_type = "application/json"), (status = 422, description = "The request is at fault, or a package would lack documents"), (status = 503, description = "Saturated; see Retry-After")))]
pub async fn pdf(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    headers: HeaderMap,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    Asked { setup, caller, bucket, here, headers }.batch(attempt, body, Format::Pdf).await
}

/// HTML documents from templates and data, otherwise as `/render/batch`.
#[utoipa::path(post, path = "/render/batch/html", tag = "render", request_body = BatchBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "total, succeeded, failed and results; lines of them; or the package", content_type = "application/json"), (status = 422, description = "The request is at fault, or a package would lack documents")))]
pub async fn html(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    headers: HeaderMap,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    Asked { setup, caller, bucket, here, headers }.batch(attempt, body, Format::Html).await
}

/// Tables as comma-separated values, otherwise as `/render/batch`. Each result holds its file in base64.
#[utoipa::path(post, path = "/render/batch/csv", tag = "render", request_body = BatchBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "total, succeeded, failed and results; lines of them; or the package", content_type = "application/json"), (status = 422, description = "The request is at fault, or a package would lack documents")))]
pub async fn csv(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    headers: HeaderMap,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    Asked { setup, caller, bucket, here, headers }.batch(attempt, body, Format::Csv).await
}

/// Workbooks with tables, otherwise as `/render/batch`. Each result holds its file in base64.
#[utoipa::path(post, path = "/render/batch/xlsx", tag = "render", request_body = BatchBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "total, succeeded, failed and results; lines of them; or the package", content_type = "application/json"), (status = 422, description = "The request is at fault, or a package would lack documents")))]
pub async fn xlsx(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    headers: HeaderMap,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    Asked { setup, caller, bucket, here, headers }.batch(attempt, body, Format::Xlsx).await
}

/// What a batch came with beside its body.
struct Asked {
    setup: Setup,
    caller: Caller,
    bucket: BucketHeader,
    here: Here,
    headers: HeaderMap,
}

impl Asked {
    /// Answers, once under its key where a document is stored.
    async fn batch(self, attempt: Attempt, body: Value, format: Format) -> Result<Response, ApiError> {
        let of_an_item = || body.get("items").and_then(Value::as_array).is_some_and(|items| items.iter().any(is_stored));
        let stores = is_stored(&body) || of_an_item();
        let named = if stores { attempt.of(&self.caller, || hash_of_json(&body))? } else { None };
        let Some(named) = named else { return batch(self, body, format).await };
        let (setup, caller) = (self.setup.clone(), self.caller.clone());
        let work = |caller| async move { batch(Self { caller, ..self }, body, format).await.into_response() };
        Ok(once(&setup, &caller, named, work).await)
    }
}

async fn batch(asked: Asked, body: Value, format: Format) -> Result<Response, ApiError> {
    let Asked { setup, caller, bucket, here, headers } = asked;
    if caller.render_token.is_some() {
        return Err(ApiError::new(
            ErrorCode::RenderTokenConstraint,
            "a render token is for one document at a time; use /render/pdf, /render/html, /render/csv, /render/xlsx or /render/image",
        ));
    }
    let body = BatchRequest::read(body, format, setup.renderer.limits().batch_items)?;
    let mut requests = Vec::with_capacity(body.items.len());
    let mut about = Vec::with_capacity(body.items.len());
    let mut refused = Vec::new();
    for (index, item) in body.items.into_iter().enumerate() {
        let (named, read) = read_item(item, bucket.0.clone(), &caller, format);
        let link = read.as_ref().ok().and_then(link_of);
        if link.is_some() && body.packaging.is_some() {
            let said = "is for answers without packaging; in a package documents are files, and their documentId is in the list";
            return Err(ApiError::field(&format!("/items/{index}/output/respondWith"), said));
        }
        about.push(About { link, ..named });
        match read {
            Ok(request) => requests.push((index, with_definition(request, body.definition.as_ref()))),
            Err(error) => refused.push((index, Err(error))),
        }
    }
    let batch = setup.renderer.batch(&caller.tenant, requests, body.printing)?;
    let answer = Answer { setup, caller, here, format, about };
    match body.packaging {
        None if wants_lines(&headers) => Ok(batch_answers::lines(answer, refused, batch)),
        None => {
            let collected = Collected::of(&answer, refused, batch).await;
            Ok(batch_answers::json(answer, collected))
        }
        Some(Packaging::Zip) => batch_answers::zip(&answer, Collected::of(&answer, refused, batch).await, body.package).await,
        Some(Packaging::MergedPdf) => batch_answers::merged(&answer, Collected::of(&answer, refused, batch).await, body.package).await,
    }
}

/// The link that is wanted instead of the document.
fn link_of(request: &RenderRequest) -> Option<WantedLink> {
    let output = request.output.as_ref().filter(|output| output.respond_with == RespondWith::Link);
    output.map(|output| WantedLink { ttl_seconds: output.link_ttl_seconds })
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
        let mut take = |name: &str| body.shift_remove(name).filter(|value| !value.is_null());
        let Some(Value::Array(items)) = take("items") else {
            return Err(ApiError::bad_request("items is missing; send an array with what each document is made from"));
        };
        if items.is_empty() || items.len() > most_items {
            return Err(ApiError::field("/items", format!("has {} items; accepted: 1 to {most_items}", items.len())));
        }
        let [definition, now, metadata, output] = ["definition", "now", "metadata", "output"].map(&mut take);
        if metadata.as_ref().is_some_and(|metadata| !metadata.is_object()) {
            return Err(ApiError::field("/metadata", "must be an object with texts"));
        }
        DocumentOutput::from_json(output.as_ref().unwrap_or(&Value::Null), "/output")
            .map_err(|issues| ApiError::invalid(ErrorCode::ValidationFailed, issues))?;
        let packaging = packages::packaging(take("packaging").as_ref(), format == Format::Pdf)?;
        let printing = word(take("mode").as_ref(), "/mode", &[("ordinary", Printing::Alone), ("mail-merge", Printing::Together)])?;
        if printing == Some(Printing::Together) && format != Format::Pdf {
            return Err(ApiError::field("/mode", format!("mail-merge is a way to print; {format} is not printed")));
        }
        let package = Package::read(take("packageOptions").as_ref(), packaging)?;
        let of_all = OfAll { now, metadata, output };
        let mut whole = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            whole.push(with_shared(index, item, definition.as_ref(), &of_all)?);
        }
        let definition = definition.map(Arc::new);
        Ok(Self { items: whole, definition, packaging, package, printing: printing.unwrap_or(Printing::Alone) })
    }
}

/// What items have from the batch unless they say otherwise themselves.
struct OfAll {
    now: Option<Value>,
    metadata: Option<Value>,
    output: Option<Value>,
}

/// An item with what it has from the batch. What is no object stays as it is and is refused as an item.
fn with_shared(index: usize, item: Value, definition: Option<&Value>, of_all: &OfAll) -> Result<Value, ApiError> {
    let Value::Object(mut item) = item else { return Ok(item) };
    if let Some(definition) = definition {
        if let Some(name) = OF_A_TEMPLATE.iter().find(|name| item.get(**name).is_some_and(|value| !value.is_null())) {
            let path = format!("/items/{index}/{name}");
            return Err(ApiError::field(&path, "the batch has a definition, which all items share; leave this out"));
        }
        item.insert("definition".to_owned(), json!({ "key": definition.get("key") }));
    }
    for (name, value) in [("now", &of_all.now), ("output", &of_all.output)] {
        if let (Some(value), true) = (value, item.get(name).is_none_or(Value::is_null)) {
            item.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(Value::Object(shared)) = &of_all.metadata {
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
        link: None,
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
