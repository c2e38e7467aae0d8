//! What a job is submitted with, read so that whatever would be refused at once as a request is refused at once.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use domain::datasets::DatasetId;
use domain::documents::RespondWith;
use domain::ids::JobId;
use domain::jobs::{JobKind, Packaging, REFERENCE_CHARS};
use domain::usage::{RenderMode, UsageMetadata};
use domain::variants::BucketKey;
use domain::{ErrorCode, Issue};
use render::render_body::{self, RefusedBody, Wanted};
use render::{DataSource, Format, Source};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use store::{IdempotencyKey, NewJob, NewJobItem};

use crate::auth::Caller;
use crate::error::ApiError;
use crate::packages::{self, Package};
use crate::render_body::asker;
use crate::renders::reach;
use crate::requests::current_correlation_id;
use crate::{JobLimits, callbacks};

/// What a job takes beside what a document takes.
const OF_A_JOB: [&str; 8] = ["format", "reference", "correlationId", "webhookUrl", "webhookSecret", "packaging", "packageOptions", "items"];
/// What a job with items takes beside that.
const OF_ALL_ITEMS: [&str; 4] = ["definition", "now", "metadata", "output"];
/// What an item cannot have where all share one definition.
const OF_A_TEMPLATE: [&str; 6] = ["template", "definition", "version", "label", "asOf", "bucketKey"];
/// The longest correlation id and idempotency key.
const SHORT_TEXT: usize = 200;
const KEY_CHARS: usize = 255;
/// The longest word that an item is shown under.
const SHOWN_CHARS: usize = 200;
/// Refusals of items that one answer lists.
const MOST_ISSUES: usize = 100;
/// What the items of a job keep at most of what they have from all: far above words to find a render by, far below a full queue.
const MOST_COPIED_BYTES: usize = 16 << 20;

/// A caller, and what its request brought beside the body.
pub(crate) struct Submission<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) bucket: Option<BucketKey>,
    pub(crate) limits: &'a JobLimits,
}

impl Submission<'_> {
    /// Reads a job. `format` is the one that the path names, where it names one.
    pub(crate) fn read(&self, body: Value, format: Option<Format>) -> Result<NewJob, ApiError> {
        if self.caller.render_token.is_some() {
            let said =
                "a render token is for one document at a time; use /render/pdf, /render/html, /render/csv, /render/xlsx or /render/image";
            return Err(ApiError::new(ErrorCode::RenderTokenConstraint, said));
        }
        let idempotency = self.idempotency(&body)?;
        let Value::Object(mut body) = body else {
            return Err(ApiError::bad_request("the body must be an object with \"template\", \"definition\" or \"items\""));
        };
        let mut take = |name: &str| body.shift_remove(name).filter(|value| !value.is_null());
        let [given, reference, correlation, url, secret, packaging, options, items] = OF_A_JOB.map(&mut take);
        let format = format.map_or_else(|| known_format(given.as_ref()), Ok)?;
        let reference = text("/reference", reference, REFERENCE_CHARS)?;
        let correlation_id = text("/correlationId", correlation, SHORT_TEXT)?.map(Box::from).or_else(current_correlation_id);
        let packaging = packaging_of(packaging.as_ref(), format, items.is_some())?;
        Package::read(options.as_ref(), packaging)?;
        let callback = callbacks::read(url, secret)?;
        let mut job = NewJob {
            id: JobId::generate(),
            kind: if items.is_some() { JobKind::Batch } else { JobKind::Single },
            format: format.as_str(),
            reference,
            metadata: None,
            correlation_id,
            packaging,
            package_options: options.map(|options| options.to_string()),
            definition: None,
            inline: false,
            datasets: Vec::new(),
            idempotency,
            callback,
            items: Vec::new(),
            retention: self.limits.retention,
        };
        match items {
            None => {
                let (item, dataset) = self.item(body, format, None).map_err(ApiError::from)?;
                job.datasets.extend(dataset);
                job.metadata.clone_from(&item.metadata);
                job.inline = !item.is_stored;
                job.items.push(NewJobItem { reference: None, ..item });
            }
            Some(items) => self.items(&mut job, body, items, format)?,
        }
        Ok(job)
    }

    /// The documents of a batch, each with what it has from all.
    fn items(&self, job: &mut NewJob, mut body: Map<String, Value>, items: Value, format: Format) -> Result<(), ApiError> {
        let Value::Array(items) = items else { return Err(ApiError::field("/items", "must be an array")) };
        let most = self.limits.max_items;
        if items.is_empty() || items.len() > most {
            return Err(ApiError::field("/items", format!("has {} items; accepted: 1 to {most}", items.len())));
        }
        let mut take = |name: &str| body.shift_remove(name).filter(|value| !value.is_null());
        let [definition, now, metadata, output] = OF_ALL_ITEMS.map(&mut take);
        if let Some(name) = body.keys().find(|name| !body[name.as_str()].is_null()) {
            let accepted = OF_A_JOB.iter().chain(&OF_ALL_ITEMS).copied().collect::<Vec<_>>().join(", ");
            return Err(ApiError::bad_request(format!(
                "\"{name}\" is no field of a job with items; it may belong to each item. Accepted: {accepted}"
            )));
        }
        let shared = UsageMetadata::from_json(metadata.as_ref().unwrap_or(&Value::Null), "/metadata")
            .map_err(|issue| ApiError::invalid(ErrorCode::ValidationFailed, vec![issue]))?;
        // Each item keeps what it has from all: a small request is not to become a large job.
        let copied = [("/metadata", &metadata), ("/output", &output)]
            .map(|(path, value)| (path, value.as_ref().map_or(0, |value| value.to_string().len())));
        let largest = copied.into_iter().max_by_key(|(_, bytes)| *bytes);
        if let Some((path, _)) =
            largest.filter(|_| copied.iter().map(|(_, bytes)| bytes).sum::<usize>().saturating_mul(items.len()) > MOST_COPIED_BYTES)
        {
            let said = format!(
                "is kept with each of {} items, and all of them together keep up to {MOST_COPIED_BYTES} bytes; say less, or submit several jobs",
                items.len()
            );
            return Err(ApiError::field(path, said));
        }
        job.metadata = (!shared.is_empty()).then(|| shared.to_string());
        let (mut issues, mut datasets) = (Vec::new(), BTreeSet::new());
        for (index, item) in items.into_iter().enumerate() {
            let Value::Object(mut item) = item else {
                issues.push(Issue::new(format!("/items/{index}"), "must be an object"));
                continue;
            };
            for (name, value) in [("now", &now), ("output", &output)] {
                if let (Some(value), true) = (value, item.get(name).is_none_or(Value::is_null)) {
                    item.insert(name.to_owned(), value.clone());
                }
            }
            let own = merged_metadata(&shared, item.shift_remove("metadata"));
            item.extend(own.map(|own| ("metadata".to_owned(), own)));
            match self.item(item, format, definition.as_ref()) {
                Ok((item, dataset)) => {
                    datasets.extend(dataset);
                    job.inline |= !item.is_stored;
                    job.items.push(item);
                }
                // What the credential is not for is the whole request's refusal, as it would be for one document.
                Err(ItemRefusal::Api(error)) => return Err(error),
                Err(ItemRefusal::Body(refused)) => issues.extend(refused_item(index, &refused)),
            }
            if issues.len() >= MOST_ISSUES {
                break;
            }
        }
        if !issues.is_empty() {
            return Err(ApiError::invalid(ErrorCode::ValidationFailed, issues));
        }
        job.definition = definition.map(|definition| definition.to_string());
        job.datasets = datasets.into_iter().collect();
        Ok(())
    }

    /// One document: read as its render will be, without its data and its definition, which are looked at then. With it the
    /// dataset that it is made from.
    fn item(
        &self,
        mut item: Map<String, Value>,
        format: Format,
        shared: Option<&Value>,
    ) -> Result<(NewJobItem, Option<DatasetId>), ItemRefusal> {
        let reference = text("/reference", item.shift_remove("reference").filter(|value| !value.is_null()), REFERENCE_CHARS)?;
        if let Some(bucket) = self.bucket.as_ref().filter(|_| shared.is_none() && item.get("template").is_some()) {
            item.entry("bucketKey").or_insert_with(|| Value::from(bucket.as_str()));
        }
        if let Some(name) = OF_A_TEMPLATE.iter().find(|name| shared.is_some() && item.get(**name).is_some_and(|value| !value.is_null())) {
            return Err(field(&format!("/{name}"), "the job has a definition, which all items share; leave this out").into());
        }
        let mut sketch = Map::with_capacity(item.len() + 1);
        for (name, value) in &item {
            let large = matches!(name.as_str(), "data" | "definition") && value.is_object();
            let kept = match value {
                Value::Object(input) if name == "dataInput" => without_content(input),
                _ if large => json!({}),
                value => value.clone(),
            };
            sketch.insert(name.clone(), kept);
        }
        if shared.is_some() {
            sketch.insert("definition".to_owned(), json!({}));
        }
        let (request, wanted) = render_body::read(Value::Object(sketch), None, asker(self.caller, RenderMode::Async), format)?;
        if wanted == Wanted::DryRun {
            return Err(field("/dryRun", "is answered at once by /render/pdf and /render/html; leave it out of a job").into());
        }
        if request.output.as_ref().is_some_and(|output| output.respond_with == RespondWith::Link) {
            let said = "nobody waits for this answer; a link is made at /documents/{documentId}/links once the item has ended";
            return Err(field("/output/respondWith", said).into());
        }
        reach(self.caller, &request.source)?;
        let (template, is_stored) = match &request.source {
            Source::Stored { key, .. } => (key.to_string(), true),
            Source::Inline(_) => (shown(item.get("definition").or(shared)), false),
        };
        let metadata = (!request.attribution.metadata.is_empty()).then(|| request.attribution.metadata.to_string());
        let dataset = match request.data {
            DataSource::Reference { id, .. } => Some(id),
            _ => None,
        };
        Ok((NewJobItem { request: Value::Object(item).to_string(), template, is_stored, reference, metadata }, dataset))
    }

    fn idempotency(&self, body: &Value) -> Result<Option<IdempotencyKey>, ApiError> {
        let Some(key) = idempotency_key(self.headers)? else { return Ok(None) };
        // The same object in another order is the same request.
        let mut body = body.clone();
        body.sort_all_objects();
        Ok(Some(IdempotencyKey { key: key.to_owned(), request_sha256: Sha256::digest(body.to_string()).into() }))
    }
}

/// The key that tells a repeated request from another one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(given) = headers.get("idempotency-key") else { return Ok(None) };
    let printable = |key: &&str| (1..=KEY_CHARS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    given.to_str().ok().filter(printable).map(Some).ok_or_else(|| {
        let said = format!("Idempotency-Key must be 1 to {KEY_CHARS} printable ASCII characters without spaces");
        ApiError::new(ErrorCode::IdempotencyKeyInvalid, said)
    })
}

/// How a file is to be read, without the file: that is looked at when it is converted.
fn without_content(input: &Map<String, Value>) -> Value {
    let kept = input.iter().map(|(name, value)| {
        let large = name == "content" && value.is_string();
        (name.clone(), if large { Value::from("") } else { value.clone() })
    });
    Value::Object(kept.collect())
}

/// Why an item is not taken.
enum ItemRefusal {
    /// What it asks for is at fault.
    Body(RefusedBody),
    /// Anything else.
    Api(ApiError),
}

impl From<RefusedBody> for ItemRefusal {
    fn from(refused: RefusedBody) -> Self {
        Self::Body(refused)
    }
}

impl From<ApiError> for ItemRefusal {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<ItemRefusal> for ApiError {
    fn from(refusal: ItemRefusal) -> Self {
        match refusal {
            ItemRefusal::Body(refused) => refused.into(),
            ItemRefusal::Api(error) => error,
        }
    }
}

/// What is wrong with an item, with pointers into the whole request.
fn refused_item(index: usize, refused: &RefusedBody) -> Vec<Issue> {
    let code = refused.code.as_str();
    let at = |path: &str, message: &str| Issue::new(format!("/items/{index}{path}"), message).with_code(code);
    if refused.issues.is_empty() {
        return vec![at("", &refused.message)];
    }
    let of = |issue: &Issue| Issue { node: issue.node.clone(), ..at(&issue.path, &issue.message) };
    refused.issues.iter().map(of).collect()
}

/// An item's words over those of all; what is no object stays for its reader to refuse.
fn merged_metadata(shared: &UsageMetadata, own: Option<Value>) -> Option<Value> {
    match own.filter(|own| !own.is_null()) {
        None if shared.is_empty() => None,
        None => Some(shared.iter().map(|(name, word)| (name.to_owned(), Value::from(word))).collect::<Map<_, _>>().into()),
        Some(Value::Object(mut own)) => {
            for (name, word) in shared.iter() {
                own.entry(name).or_insert_with(|| Value::from(word));
            }
            Some(Value::Object(own))
        }
        other => other,
    }
}

fn shown(definition: Option<&Value>) -> String {
    let key = definition.and_then(|definition| definition.get("key")).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    let key: String = key.chars().filter(|character| !character.is_control()).take(SHOWN_CHARS).collect();
    if key.is_empty() { "inline".to_owned() } else { key }
}

fn known_format(given: Option<&Value>) -> Result<Format, ApiError> {
    let Some(given) = given else { return Err(ApiError::field("/format", format!("is missing; accepted: {}", Format::words()))) };
    let word = given.as_str().unwrap_or_default();
    if let Some(format) = Format::of_word(word) {
        return Ok(format);
    }
    if matches!(word, "docx" | "pptx" | "email") {
        return Err(ApiError::new(
            ErrorCode::NotImplemented,
            format!("the format {word} is not available in this version; available: {}", Format::words()),
        ));
    }
    Err(ApiError::field("/format", format!("accepted: {}", Format::words())))
}

fn packaging_of(given: Option<&Value>, format: Format, has_items: bool) -> Result<Option<Packaging>, ApiError> {
    let packaging = packages::packaging(given, format == Format::Pdf)?;
    if packaging.is_some() && !has_items {
        return Err(ApiError::new(ErrorCode::PackagingUnsupported, "packaging is for jobs with items"));
    }
    Ok(packaging)
}

fn field(path: &str, message: impl Into<String>) -> RefusedBody {
    let issues = vec![Issue::new(path, message.into())];
    RefusedBody { code: ErrorCode::ValidationFailed, message: String::new(), issues }
}

fn text(path: &str, given: Option<Value>, most: usize) -> Result<Option<String>, RefusedBody> {
    let Some(given) = given else { return Ok(None) };
    let fits = |text: &&str| !text.is_empty() && text.chars().count() <= most && !text.contains(char::is_control);
    let found = given.as_str().filter(fits).map(str::to_owned);
    found.map(Some).ok_or_else(|| field(path, format!("must be text of 1 to {most} characters without control characters")))
}
