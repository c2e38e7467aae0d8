//! The body of a render request, read so that every wrong field is named. Jobs keep such bodies and have them read again
//! when their time comes, so that an item renders exactly as the request would have.

use std::sync::Arc;

use std::fmt;

use document::Bindings;
use document::data_input::DataInput;
use domain::data_urls::DataUrl;
use domain::documents::DocumentOutput;
use domain::issues::near_names;
use domain::labels::{InvalidLabelName, LATEST};
use domain::options::RenderOptions;
use domain::templates::TemplateKey;
use domain::usage::{RenderMode, UsageMetadata};
use domain::variants::{BucketKey, InvalidBucketKey};
use domain::{Actor, ErrorCode, Issue, TenantId};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::data_sources::DataSource;
use crate::format_options::FormatOptions;
use crate::labels::Which;
use crate::request::{Attribution, Format, RenderRequest, Source};

/// What a document from a template takes.
const OF_A_RENDER: &[&str] = &[
    "template",
    "definition",
    "data",
    "dataInput",
    "dataUrl",
    "dataHeaders",
    "dataRef",
    "version",
    "label",
    "asOf",
    "bucketKey",
    "options",
    "metadata",
    "strictBindings",
    "now",
    "dryRun",
    "output",
    "tableId",
    "csv",
    "xlsx",
    "html",
    "image",
];
/// What says which version of a stored template is meant.
const OF_A_STORED_TEMPLATE: [&str; 4] = ["version", "label", "asOf", "bucketKey"];
/// What the data can come from.
const OF_THE_DATA: [&str; 4] = ["data", "dataInput", "dataUrl", "dataRef"];
/// What a conversion takes.
const OF_A_CONVERSION: &[&str] =
    &["html", "data", "dataInput", "dataUrl", "dataHeaders", "dataRef", "options", "locale", "metadata", "strictBindings", "now", "output"];
/// Published fields that this version does not have.
const LATER: [&str; 3] = ["parameters", "aiNarratives", "email"];

/// Whether a document is wanted, or only to know what it would meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The document.
    Document,
    /// What it would meet.
    DryRun,
}

/// Who asks for a document.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Whose templates.
    pub tenant: TenantId,
    /// On whose behalf.
    pub actor: Actor,
    /// Through which door.
    pub mode: RenderMode,
    /// What the caller calls the whole of which this is a part, up to 200 characters.
    pub correlation_id: Option<Box<str>>,
}

/// Why a body is no render request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedBody {
    /// The code that clients know it by.
    pub code: ErrorCode,
    /// What is wrong and what is accepted; empty where the issues say it.
    pub message: String,
    /// Each thing that is wrong, with a JSON Pointer to it.
    pub issues: Vec<Issue>,
}

impl RefusedBody {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), issues: Vec::new() }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    fn invalid(code: ErrorCode, issues: Vec<Issue>) -> Self {
        Self { code, message: String::new(), issues }
    }

    pub(crate) fn field(path: &str, message: impl Into<String>) -> Self {
        Self::invalid(ErrorCode::ValidationFailed, vec![Issue::new(path, message)])
    }
}

impl fmt::Display for RefusedBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.issues.as_slice() {
            [] => formatter.write_str(&self.message),
            [first, ..] => write!(formatter, "{}: {}", first.path, first.message),
        }
    }
}

impl std::error::Error for RefusedBody {}

/// Reads a render request.
pub fn read(body: Value, bucket: Option<BucketKey>, asker: Asker, format: Format) -> Result<(RenderRequest, Wanted), RefusedBody> {
    let Value::Object(mut object) = body else {
        return Err(RefusedBody::bad_request("the body must be an object with \"template\" or \"definition\""));
    };
    refuse_unknown(&object, OF_A_RENDER)?;
    // Taken out, not copied: they can be large.
    let definition = object.shift_remove("definition").filter(|definition| !definition.is_null());
    let data = data_source(&mut object, asker.mode)?;
    let object = &object;
    let format_options = FormatOptions::read(object, format)?;
    let source = match (field(object, "template"), definition) {
        (Some(template), None) => stored(object, template, bucket)?,
        (None, Some(definition)) => match OF_A_STORED_TEMPLATE.iter().find(|name| field(object, name).is_some()) {
            None => Source::Inline(Arc::new(definition)),
            Some(name) => {
                return Err(RefusedBody::bad_request(format!("{name} belongs to a stored template; leave it out with definition")));
            }
        },
        (Some(_), Some(_)) => return Err(RefusedBody::bad_request("template and definition exclude each other; send one of them")),
        (None, None) => return Err(RefusedBody::bad_request("send template (the key of a stored template) or definition")),
    };
    let wanted = if boolean(object, "dryRun")? { Wanted::DryRun } else { Wanted::Document };
    let request = request(object, data, source, asker, format)?;
    Ok((RenderRequest { format_options, ..request }, wanted))
}

/// Reads a conversion: HTML instead of a template.
pub fn read_conversion(body: Value, asker: Asker) -> Result<RenderRequest, RefusedBody> {
    let Value::Object(mut object) = body else {
        return Err(RefusedBody::bad_request("the body must be an object with \"html\""));
    };
    if object.contains_key("url") {
        return Err(RefusedBody::new(ErrorCode::ConvertUrlNotAllowed, "this server fetches no pages; send the page itself as html"));
    }
    refuse_unknown(&object, OF_A_CONVERSION)?;
    let data = data_source(&mut object, asker.mode)?;
    let object = &object;
    let html =
        field(object, "html").and_then(Value::as_str).ok_or_else(|| RefusedBody::bad_request("html is missing; send the page as text"))?;
    let definition = json!({ "key": "convert", "name": "Conversion", "html": html });
    let mut request = request(object, data, Source::Inline(Arc::new(definition)), asker, Format::Pdf)?;
    if let Some(locale) = field(object, "locale") {
        let given = RenderOptions::from_json(&json!({ "locale": locale }), "")
            .map_err(|refused| RefusedBody::invalid(refused.code, refused.issues))?;
        if request.options.locale.is_none() {
            (request.options.locale, request.options.number_locale) = (given.locale, given.number_locale);
        }
    }
    Ok(request)
}

fn request(
    object: &Map<String, Value>,
    data: DataSource,
    source: Source,
    asker: Asker,
    format: Format,
) -> Result<RenderRequest, RefusedBody> {
    let options = match field(object, "options") {
        Some(options) => {
            RenderOptions::from_json(options, "/options").map_err(|refused| RefusedBody::invalid(refused.code, refused.issues))?
        }
        None => RenderOptions::default(),
    };
    let now = match field(object, "now") {
        Some(now) => Some(now.as_str().and_then(|text| text.parse::<Timestamp>().ok()).ok_or_else(|| {
            RefusedBody::invalid(
                ErrorCode::ValidationFailed,
                vec![Issue::new("/now", "must be an ISO 8601 time with its zone, such as \"2026-11-21T10:00:00Z\"")],
            )
        })?),
        None => None,
    };
    let metadata = UsageMetadata::from_json(object.get("metadata").unwrap_or(&Value::Null), "/metadata")
        .map_err(|issue| RefusedBody::invalid(ErrorCode::ValidationFailed, vec![issue]))?;
    let output = DocumentOutput::from_json(object.get("output").unwrap_or(&Value::Null), "/output")
        .map_err(|issues| RefusedBody::invalid(ErrorCode::ValidationFailed, issues))?;
    let Asker { tenant, actor, mode, correlation_id } = asker;
    let attribution = Attribution { actor: Some(actor), mode, metadata, correlation_id };
    let bindings = if boolean(object, "strictBindings")? { Bindings::Strict } else { Bindings::Lenient };
    let format_options = FormatOptions::default();
    Ok(RenderRequest { tenant, source, data, fixed_data: None, options, now, bindings, format, format_options, attribution, output })
}

/// Where the data comes from; taken out, as it can be large.
fn data_source(object: &mut Map<String, Value>, mode: RenderMode) -> Result<DataSource, RefusedBody> {
    let given: Vec<&str> = OF_THE_DATA.into_iter().filter(|name| field(object, name).is_some()).collect();
    if let [one, other, ..] = given.as_slice() {
        return Err(RefusedBody::bad_request(format!("{one} and {other} exclude each other; send one of them")));
    }
    if field(object, "dataHeaders").is_some() && field(object, "dataUrl").is_none() {
        return Err(RefusedBody::bad_request("dataHeaders belongs to dataUrl; send dataUrl with it"));
    }
    let mut take = |name: &str| object.shift_remove(name).filter(|value| !value.is_null());
    if let Some(data) = take("data") {
        return if data.is_object() { Ok(data.into()) } else { Err(RefusedBody::field("/data", "must be an object")) };
    }
    if let Some(input) = take("dataInput") {
        let input = DataInput::from_json(input, "/dataInput");
        return input.map(DataSource::from).map_err(|refused| RefusedBody::invalid(refused.code(), refused.issues()));
    }
    if let Some(reference) = take("dataRef") {
        let text = reference.as_str().ok_or_else(|| RefusedBody::field("/dataRef", "must be the id of a dataset, as text"))?;
        let unknown = |_| {
            let shown: String = text.chars().take(100).collect();
            RefusedBody::new(ErrorCode::DatasetNotFound, format!("there is no dataset \"{shown}\", or its time is over"))
        };
        return text.parse().map(|id| DataSource::Reference { id, mode }).map_err(unknown);
    }
    let headers = take("dataHeaders");
    if let Some(url) = take("dataUrl") {
        let from =
            DataUrl::from_json(&url, headers.as_ref()).map_err(|issue| RefusedBody::invalid(ErrorCode::ValidationFailed, vec![issue]))?;
        return Ok(DataSource::Url(Arc::new(from)));
    }
    Ok(DataSource::default())
}

fn stored(object: &Map<String, Value>, template: &Value, bucket: Option<BucketKey>) -> Result<Source, RefusedBody> {
    let text = template.as_str().ok_or_else(|| RefusedBody::bad_request("template must be the key of a stored template, as text"))?;
    let key: TemplateKey = text
        .parse()
        .map_err(|_| RefusedBody::not_found(format!("there is no template \"{}\"", text.chars().take(100).collect::<String>())))?;
    let word = |name: &str| match field(object, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(RefusedBody::bad_request(format!("{name} must be text"))),
    };
    let mut which = which(word("version")?, word("label")?)?;
    if let Some(text) = word("asOf")? {
        let Which::Label { as_of, .. } = &mut which else {
            return Err(RefusedBody::bad_request("asOf is about a label: send label with it, and not @latest"));
        };
        *as_of = Some(moment("/asOf", text)?);
    }
    let own =
        word("bucketKey")?.map(|text| text.parse().map_err(|error: InvalidBucketKey| RefusedBody::field("/bucketKey", error.to_string())));
    Ok(Source::Stored { key, which, bucket_key: own.transpose()?.or(bucket) })
}

/// An ISO 8601 time with its offset.
fn moment(path: &str, text: &str) -> Result<Timestamp, RefusedBody> {
    text.parse().map_err(|_| RefusedBody::field(path, "must be an ISO 8601 time with its offset, such as \"2026-11-21T10:00:00Z\""))
}

fn refuse_unknown(object: &Map<String, Value>, known: &[&str]) -> Result<(), RefusedBody> {
    for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
        if LATER.contains(&name.as_str()) {
            if object[name].is_null() {
                continue;
            }
            return Err(RefusedBody::new(ErrorCode::NotImplemented, format!("{name} is not available in this version; leave it out")));
        }
        let near = near_names(name, known.iter().copied());
        let hint = near.first().map_or_else(|| ".".to_owned(), |near| format!("; did you mean \"{near}\"?"));
        return Err(RefusedBody::bad_request(format!("\"{name}\" is no field of this request{hint} Accepted: {}", known.join(", "))));
    }
    Ok(())
}

fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn boolean(object: &Map<String, Value>, name: &str) -> Result<bool, RefusedBody> {
    field(object, name)
        .map_or(Ok(false), |value| value.as_bool().ok_or_else(|| RefusedBody::bad_request(format!("{name} must be true or false"))))
}

/// The version that `version` or `label` asks for; `@latest` is the current one. Without either it is the live label's, where
/// the installation has one.
pub fn which(version: Option<&str>, label: Option<&str>) -> Result<Which, RefusedBody> {
    match (version, label) {
        (None, None) => Ok(Which::Default),
        (None, Some(LATEST)) => Ok(Which::Current),
        (Some(_), Some(_)) => Err(RefusedBody::bad_request("version and label exclude each other; send one of them")),
        (Some(version), None) => {
            version.parse().map(Which::Version).map_err(|_| RefusedBody::not_found("there is no such version; versions look like 1.0.3"))
        }
        (None, Some(label)) => {
            let label =
                label.parse().map_err(|error: InvalidLabelName| RefusedBody::not_found(format!("there is no such label: {error}")))?;
            Ok(Which::Label { label, as_of: None })
        }
    }
}
