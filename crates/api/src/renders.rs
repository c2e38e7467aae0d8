//! Documents from templates and data.

use std::pin::Pin;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use document::ExpressionProblem;
use domain::documents::{DocumentName, RespondWith};
use domain::options::Disposition;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use render::{FileKind, Format, Origin, RenderError, RenderRequest, Rendered, Source};
use serde_json::{Value, json};

use crate::Setup;
use crate::auth::Caller;
use crate::body::AnyJson;
use crate::document_links::{self, Here};
use crate::documents::{DOCUMENT_ID, SANDBOX};
use crate::error::{ApiError, IssueBody};
use crate::idempotency::{Attempt, hash_of_json, once};
use crate::render_body::{self, BucketHeader, ConversionBody, RenderBody, Wanted};
use crate::render_tokens;

/// A PDF from a template and data; with `dryRun`, what that would meet.
#[utoipa::path(post, path = "/render/pdf", tag = "render", request_body = RenderBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "The PDF, or the dry run's report", content_type = "application/pdf"), (status = 201, description = "The document is stored, and this is a link to it"), (status = 404, description = "Unknown template"), (status = 422, description = "The data or the template is at fault"), (status = 503, description = "Saturated; see Retry-After")))]
pub async fn pdf(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    Asked { setup, caller, here }.render(attempt, body, bucket, Format::Pdf).await
}

/// The whole HTML document that would be printed.
#[utoipa::path(post, path = "/render/html", tag = "render", request_body = RenderBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "The HTML, or the dry run's report", content_type = "text/html"), (status = 404, description = "Unknown template"), (status = 422, description = "The data or the template is at fault")))]
pub async fn html(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    Asked { setup, caller, here }.render(attempt, body, bucket, Format::Html).await
}

/// The texts of a table of the document as comma-separated values. With several tables name one in `tableId`, or take all in an archive.
#[utoipa::path(post, path = "/render/csv", tag = "render", request_body = RenderBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "The table; an archive of several; or the dry run's report", content((String = "text/csv"), (String = "application/zip"))), (status = 404, description = "Unknown template"), (status = 422, description = "The data or the template is at fault, or has no such table")))]
pub async fn csv(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    Asked { setup, caller, here }.render(attempt, body, bucket, Format::Csv).await
}

/// A workbook with a sheet for each table of the document: numbers as numbers, dates as dates, everything else as text.
#[utoipa::path(post, path = "/render/xlsx", tag = "render", request_body = RenderBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "The workbook, or the dry run's report", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), (status = 404, description = "Unknown template"), (status = 422, description = "The data or the template is at fault, or has no such table")))]
pub async fn xlsx(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    Asked { setup, caller, here }.render(attempt, body, bucket, Format::Xlsx).await
}

/// Pictures of the printed pages: of one page the picture, of several an archive.
#[utoipa::path(post, path = "/render/image", tag = "render", request_body = RenderBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "The picture; an archive of several; or the dry run's report", content((String = "image/png"), (String = "image/jpeg"), (String = "image/webp"), (String = "application/zip"))), (status = 404, description = "Unknown template"), (status = 422, description = "The data or the template is at fault, or there is no such page"), (status = 503, description = "Saturated; see Retry-After")))]
pub async fn image(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    Asked { setup, caller, here }.render(attempt, body, bucket, Format::Image).await
}

/// The old name of `/render/pdf`.
#[utoipa::path(post, path = "/render", tag = "render", request_body = RenderBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "As /render/pdf", content_type = "application/pdf")))]
pub async fn deprecated(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    here: Here,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Response {
    let mut response = Asked { setup, caller, here }.render(attempt, body, bucket, Format::Pdf).await.into_response();
    let headers = response.headers_mut();
    headers.insert("deprecation", HeaderValue::from_static("true"));
    headers.insert("sunset", HeaderValue::from_static("Thu, 31 Dec 2027 23:59:59 GMT"));
    headers.insert(header::LINK, HeaderValue::from_static("</render/pdf>; rel=\"successor-version\""));
    response
}

/// A PDF from HTML and data that come with the request.
#[utoipa::path(post, path = "/render/convert/pdf", tag = "render", request_body = ConversionBody, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "The PDF", content_type = "application/pdf"), (status = 422, description = "The HTML or the data is at fault")))]
pub async fn convert(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    here: Here,
    attempt: Attempt,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    caller.is_for_all_templates()?;
    let asked = Asked { setup, caller, here };
    asked
        .kept_once(attempt, body, |asked, body| {
            Box::pin(async move {
                let request = render_body::read_conversion(body, &asked.caller)?;
                document(&asked.setup, &asked.caller, &asked.here, request).await
            })
        })
        .await
}

/// Whether a template would render this data.
#[utoipa::path(post, path = "/render/validate", tag = "render", request_body = Value, responses((status = 200, description = "valid and issues")))]
pub async fn validate(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    bucket: BucketHeader,
    AnyJson(mut body): AnyJson,
) -> Result<Json<Value>, ApiError> {
    if let Some(object) = body.as_object_mut() {
        object.remove("formats");
        // Here, and only here, an inline definition comes as the template.
        if object.get("template").is_some_and(Value::is_object)
            && let Some(definition) = object.shift_remove("template")
        {
            object.insert("definition".to_owned(), definition);
        }
    }
    let (request, _) = render_body::read(body, bucket.0, &caller, Format::Pdf)?;
    reach(&caller, &request.source)?;
    let report = setup.renderer.dry_run(request).await?;
    let problems = report.expressions.errors.iter().map(render_issue);
    let issues: Vec<IssueBody> = report.validation.errors.into_iter().map(Into::into).chain(problems).collect();
    Ok(Json(json!({ "valid": issues.is_empty(), "issues": issues })))
}

fn render_issue(problem: &ExpressionProblem) -> IssueBody {
    IssueBody { path: String::new(), code: Some("RENDER_ERROR"), ..problem.as_issue().into() }
}

/// Who asks, and where.
struct Asked {
    setup: Setup,
    caller: Caller,
    here: Here,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send>>;

impl Asked {
    async fn render(self, attempt: Attempt, body: Value, bucket: BucketHeader, format: Format) -> Result<Response, ApiError> {
        self.kept_once(attempt, body, move |asked, body| {
            // What renders is large, and nobody but this holds it.
            Box::pin(async move { Box::pin(render(&asked.setup, &asked.caller, &asked.here, body, bucket, format)).await })
        })
        .await
    }

    /// Answers, once under its key where something is stored. Everything else can be repeated as it is and asks nobody about a key.
    async fn kept_once(
        self,
        attempt: Attempt,
        body: Value,
        answer: impl FnOnce(Self, Value) -> Answering + Send + 'static,
    ) -> Result<Response, ApiError> {
        let stores = is_stored(&body) && body.get("dryRun") != Some(&Value::Bool(true));
        let named = if stores { attempt.of(&self.caller, || hash_of_json(&body))? } else { None };
        let Some(named) = named else { return answer(self, body).await };
        let (setup, caller) = (self.setup.clone(), self.caller.clone());
        let work = |caller| async move { answer(Self { caller, ..self }, body).await.into_response() };
        Ok(once(&setup, &caller, named, work).await)
    }
}

/// Whether a request, or an item of one, asks to have its document stored.
pub(crate) fn is_stored(body: &Value) -> bool {
    body.pointer("/output/store") == Some(&Value::Bool(true))
}

async fn render(
    setup: &Setup,
    caller: &Caller,
    here: &Here,
    body: Value,
    bucket: BucketHeader,
    format: Format,
) -> Result<Response, ApiError> {
    let (mut request, wanted) = render_body::read(body, bucket.0, caller, format)?;
    let taken = render_tokens::take(setup, caller, &mut request, wanted).await?;
    reach(caller, &request.source)?;
    let answer = if wanted == Wanted::DryRun {
        setup.renderer.dry_run(request).await.map(|report| Json(report).into_response()).map_err(ApiError::from)
    } else {
        document(setup, caller, here, request).await
    };
    match (answer, taken) {
        (Err(refusal), Some(taken)) => Err(taken.refused(refusal).await),
        (answer, _) => answer,
    }
}

/// Refuses what a limited credential is not for.
pub(crate) fn reach(caller: &Caller, source: &Source) -> Result<(), ApiError> {
    match source {
        Source::Stored { key, .. } => caller.reaches(key),
        Source::Inline(_) => caller.is_for_all_templates(),
    }
}

async fn document(setup: &Setup, caller: &Caller, here: &Here, request: RenderRequest) -> Result<Response, ApiError> {
    let disposition = request.options.disposition;
    let fallback = match &request.source {
        Source::Stored { key, .. } => key.to_string(),
        Source::Inline(_) => "document".to_owned(),
    };
    let link = request.output.as_ref().filter(|output| output.respond_with == RespondWith::Link).map(|output| output.link_ttl_seconds);
    let origin = Origin::of(request.attribution.mode);
    let (rendered, kept) = setup.renderer.render_and_keep(request, origin).await.map_err(|error| refusal(setup, error))?;
    let mut headers = document_headers(&rendered, &fallback, disposition);
    let Some(kept) = kept else { return Ok((headers, rendered.body).into_response()) };
    headers.extend(HeaderValue::from_str(&kept.id.to_string()).map(|id| (DOCUMENT_ID, id)));
    let Some(ttl_seconds) = link else { return Ok((headers, rendered.body).into_response()) };
    for of_the_file in [header::CONTENT_TYPE, header::CONTENT_DISPOSITION, header::CONTENT_SECURITY_POLICY] {
        headers.remove(of_the_file);
    }
    Ok((StatusCode::CREATED, headers, Json(document_links::stored(setup, caller, here, &kept, ttl_seconds))).into_response())
}

/// A limit that is reached says when it is worth to try again.
pub(crate) fn refusal(setup: &Setup, error: RenderError) -> ApiError {
    let RenderError::QuotaExhausted(exhausted) = &error else { return error.into() };
    let wait_s = exhausted.retry_after_s(setup.clock.now());
    ApiError::from(error).retry_after(wait_s)
}

const RESOLVED_VERSION: HeaderName = HeaderName::from_static("x-pulpengine-resolved-version");
const RESOLVED_LABEL: HeaderName = HeaderName::from_static("x-pulpengine-resolved-label");
const VARIANT: HeaderName = HeaderName::from_static("x-pulpengine-variant");
const BUCKET: HeaderName = HeaderName::from_static("x-pulpengine-bucket");
const WARNINGS: HeaderName = HeaderName::from_static("x-render-warnings");

fn document_headers(rendered: &Rendered, fallback: &str, disposition: Disposition) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let extension = rendered.kind.extension;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(rendered.kind.media_type));
    // Whoever opens a document in a browser must not let it run anything of ours.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if rendered.kind == FileKind::HTML {
        headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    }
    let mut insert = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    let name = rendered.filename.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(fallback);
    insert(header::CONTENT_DISPOSITION, content_disposition(name, extension, disposition));
    if let Some(version) = rendered.version {
        insert(RESOLVED_VERSION, version.to_string());
    }
    if let Some(via) = &rendered.via {
        insert(RESOLVED_LABEL, via.label.to_string());
        if let Some(choice) = via.choice {
            insert(VARIANT, choice.variant.as_str().to_owned());
            if let Some(bucket) = choice.bucket {
                insert(BUCKET, bucket.number().to_string());
            }
        }
    }
    if !rendered.warnings.is_empty() {
        let count: usize = rendered.warnings.iter().map(|(_, count)| count).sum();
        let codes: Vec<&str> = rendered.warnings.iter().map(|(code, _)| *code).collect();
        insert(WARNINGS, format!("count={count}; codes={}", codes.join(",")));
    }
    headers
}

/// The name with the extension, once.
pub(crate) fn with_extension(name: &str, extension: &str) -> String {
    let suffix = format!(".{extension}");
    if name.to_lowercase().ends_with(&suffix) { name.to_owned() } else { format!("{name}{suffix}") }
}

/// Both spellings of the name: ASCII for old receivers, UTF-8 for all others (RFC 6266).
pub(crate) fn content_disposition(name: &str, extension: &str, disposition: Disposition) -> String {
    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let name = DocumentName::of(name, extension);
    let name = name.as_str();
    let ascii: String =
        name.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/') || c == ' ' { c } else { '_' }).collect();
    let kind = match disposition {
        Disposition::Inline => "inline",
        Disposition::Attachment => "attachment",
    };
    format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{}", utf8_percent_encode(name, UNRESERVED))
}
