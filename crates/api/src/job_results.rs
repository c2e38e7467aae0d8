//! The documents of jobs: one by one, or packed.

use std::collections::HashSet;
use std::io;
use std::pin::Pin;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::ErrorCode;
use domain::jobs::Packaging;
use domain::options::Disposition;
use futures_util::{Stream, StreamExt as _, stream};
use render::{BlobContent, Fetch};
use serde_json::{Map, Value, json};
use store::{JobItemOutput, JobItemRecord, JobRecord};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::Setup;
use crate::auth::Caller;
use crate::batch_answers::free_name;
use crate::body::Path;
use crate::documents::{self, SANDBOX};
use crate::error::ApiError;
use crate::jobs::readable;
use crate::packages::{Bookmarks, Package};
use crate::renders::{content_disposition, refusal};
use crate::zip_stream::ZipStream;

/// One document of a job. One that is stored too is fetched as that: counted, by whoever may read it, as long as it is there.
#[utoipa::path(get, path = "/render/jobs/{id}/items/{index}/content", tag = "jobs", params(("id" = String, Path), ("index" = u32, Path)), responses((status = 200, description = "The document"), (status = 404, description = "Unknown"), (status = 409, description = "There is none yet, or there will be none"), (status = 410, description = "The time of the job is over, or the stored document was downloaded as often as it may be")))]
pub async fn content(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((id, index)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let job = readable(&setup, &caller, &id).await?;
    let no_item = || ApiError::not_found(format!("the job has no such item; its items are 0 to {}", job.progress.total.saturating_sub(1)));
    let index: u32 = index.parse().map_err(|_| no_item())?;
    let items = setup.store.tenant(caller.tenant.clone()).jobs().items(job.id, index, 1).await?;
    let item = items.into_iter().find(|item| item.index == index).ok_or_else(no_item)?;
    let Some(output) = &item.output else { return Err(not_there(&job, &item)) };
    if let Some(document) = output.document_id {
        let record = documents::readable(&setup, &caller, &document.to_string()).await?;
        return documents::fetched(&setup, &caller, record, &method, &headers).await;
    }
    let bytes = opened(&setup, &caller, output).await?;
    let body = Body::from_stream(Pin::from(Box::new(bytes)));
    Ok((headers_of(output), body).into_response())
}

fn not_there(job: &JobRecord, item: &JobItemRecord) -> ApiError {
    let said = match &item.error {
        Some((code, message)) => format!("there is no document: {code}: {message}"),
        None if job.status.has_ended() => "there is no document: the job was called off before it was made".to_owned(),
        None => "there is no document yet; the job says when there is".to_owned(),
    };
    ApiError::new(ErrorCode::JobNotCompleted, said)
}

fn headers_of(output: &JobItemOutput) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let disposition = if output.disposition == "inline" { Disposition::Inline } else { Disposition::Attachment };
    let extension = output.filename.rsplit_once('.').map_or("", |(_, extension)| extension);
    let texts = [
        (header::CONTENT_TYPE, output.content_type.clone()),
        (header::CONTENT_DISPOSITION, content_disposition(&output.filename, extension, disposition)),
        (header::CONTENT_LENGTH, output.size_bytes.to_string()),
    ];
    headers.extend(texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::from_str(&text).ok()?))));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if output.content_type.starts_with("text/html") {
        headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    }
    headers
}

/// The bytes of a finished document; of one that is stored, as a fetch of that.
async fn opened(setup: &Setup, caller: &Caller, output: &JobItemOutput) -> Result<BlobContent, ApiError> {
    let Some(document) = output.document_id else {
        return Ok(setup.outputs.open(&caller.tenant, output.sha256, &output.filename, None).await?);
    };
    let record = documents::readable(setup, caller, &document.to_string()).await?;
    let fetch = Fetch { link_version: None, range: None };
    let opened = setup.renderer.documents().open(&caller.tenant, record.id, fetch).await?;
    opened.map(|(_, content)| content).map_err(documents::no_download)
}

/// Whether that is about the stored document or who asks, and not about the server.
fn is_withheld(error: &ApiError) -> bool {
    matches!(
        error.code(),
        ErrorCode::NotFound | ErrorCode::Forbidden | ErrorCode::ApiKeyTemplateNotAllowed | ErrorCode::DocumentLinkExpired
    )
}

/// The documents of these items, each with its place among them, without those that are stored and not for the caller any more.
/// More than the limit together is refused.
pub(crate) async fn inline(
    setup: &Setup,
    caller: &Caller,
    items: &[JobItemRecord],
    give: &mut (dyn FnMut(usize, Bytes) + Send),
) -> Result<(), ApiError> {
    let _turn = setup.heavy_reads.turn(&caller.tenant).await?;
    let most = setup.jobs.max_inline_bytes;
    let total: u64 = items.iter().filter_map(|item| item.output.as_ref()).map(|output| output.size_bytes).sum();
    if total > most {
        let said = format!("the documents have {total} bytes together, and one answer holds up to {most}; get them by their contentUrl");
        return Err(ApiError::new(ErrorCode::PayloadTooLarge, said));
    }
    for (at, item) in items.iter().enumerate() {
        let Some(output) = &item.output else { continue };
        let content = match opened(setup, caller, output).await {
            Ok(content) => content,
            Err(error) if is_withheld(&error) => continue,
            Err(error) => return Err(error),
        };
        give(at, content.collect(most).await.map_err(render::RenderError::from)?);
    }
    Ok(())
}

/// All documents of a job in one piece, as it was asked for: a ZIP with `manifest.json`, or one PDF.
#[utoipa::path(get, path = "/render/jobs/{id}/package", tag = "jobs", params(("id" = String, Path)), responses((status = 200, description = "The package", content_type = "application/zip"), (status = 404, description = "Unknown"), (status = 409, description = "The job has not ended"), (status = 410, description = "Its time is over"), (status = 422, description = "It was not asked for, or the package would lack documents")))]
pub async fn package(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let job = readable(&setup, &caller, &id).await?;
    let Some(packaging) = job.packaging else {
        return Err(ApiError::new(
            ErrorCode::PackagingUnsupported,
            "this job was submitted without packaging; get its documents one by one",
        ));
    };
    if !job.status.has_ended() {
        return Err(ApiError::new(ErrorCode::JobNotCompleted, "the job has not ended yet").retry_after(job.progress.look_again_in_s()));
    }
    let turn = setup.heavy_reads.turn(&caller.tenant).await?;
    let mut items = setup.store.tenant(caller.tenant.clone()).jobs().items(job.id, 0, job.progress.total).await?;
    for item in &mut items {
        withhold(&setup, &caller, item).await?;
    }
    let failed = items.iter().filter(|item| item.output.is_none()).count();
    if failed == items.len() || (failed > 0 && packaging == Packaging::MergedPdf) {
        let said = format!("{failed} of {} documents are missing, and the package would lack them", items.len());
        return Err(ApiError::new(ErrorCode::BatchItemsFailed, said));
    }
    let counts = [items.len(), items.len() - failed, failed];
    let options: Option<Value> = job.package_options.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let package = Package::read(options.as_ref(), Some(packaging))?;
    let (body, kind, extension) = match packaging {
        Packaging::Zip => (zipped(&setup, &caller, items, counts)?, "application/zip", "zip"),
        Packaging::MergedPdf => (merged(&setup, &caller, &items, &package).await?, "application/pdf", "pdf"),
    };
    drop(turn);
    let name = package.filename.as_deref().or(job.reference.as_deref()).unwrap_or("batch");
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    let headers = response.headers_mut();
    headers.extend(
        HeaderValue::from_str(&content_disposition(name, extension, Disposition::Attachment))
            .map(|text| (header::CONTENT_DISPOSITION, text)),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, count) in ["x-batch-total", "x-batch-succeeded", "x-batch-failed"].into_iter().zip(counts) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(count));
    }
    Ok(response)
}

/// Takes a stored document that is not for the caller any more out of a package.
async fn withhold(setup: &Setup, caller: &Caller, item: &mut JobItemRecord) -> Result<(), ApiError> {
    let Some(document) = item.output.as_ref().and_then(|output| output.document_id) else { return Ok(()) };
    match documents::readable(setup, caller, &document.to_string()).await {
        Ok(record) if record.max_downloads.is_none_or(|most| record.download_count < most) => return Ok(()),
        Err(error) if !is_withheld(&error) => return Err(error),
        _ => {}
    }
    item.output = None;
    let said =
        format!("the document was stored as {document}, which is there no more, was downloaded as often as it may be, or is not yours");
    item.error = Some((ErrorCode::RenderArtifactExpired.as_str().to_owned(), said));
    Ok(())
}

async fn merged(setup: &Setup, caller: &Caller, items: &[JobItemRecord], package: &Package) -> Result<Body, ApiError> {
    let most = setup.jobs.max_inline_bytes;
    let total: u64 = items.iter().filter_map(|item| item.output.as_ref()).map(|output| output.size_bytes).sum();
    if total > most {
        let said = format!("the documents have {total} bytes together, and one file is made of up to {most}; get them one by one");
        return Err(ApiError::new(ErrorCode::PdfTooLarge, said));
    }
    let mut parts = Vec::with_capacity(items.len());
    for (item, output) in items.iter().filter_map(|item| Some((item, item.output.as_ref()?))) {
        let content = opened(setup, caller, output).await?;
        let title = || item.reference.clone().unwrap_or_else(|| output.filename.trim_end_matches(".pdf").to_owned());
        let title = (package.bookmarks == Bookmarks::Documents).then(title);
        parts.push((content.collect(most).await.map_err(render::RenderError::from)?, title));
    }
    let merging = setup.renderer.merge(parts, package.title.clone()).await;
    Ok(Body::from(merging.map_err(|error| refusal(setup, error))?))
}

/// A ZIP of the documents, written as they are read. A failure in its middle breaks the answer off: the archive then has no
/// end, and no program takes it for a whole one.
fn zipped(setup: &Setup, caller: &Caller, items: Vec<JobItemRecord>, counts: [usize; 3]) -> Result<Body, ApiError> {
    let mut names = HashSet::new();
    let mut listed = Vec::with_capacity(items.len());
    let mut files = Vec::with_capacity(counts[1]);
    for item in items {
        let mut told = Map::from_iter([("index".to_owned(), json!(item.index)), ("template".to_owned(), json!(item.template))]);
        told.insert("success".to_owned(), item.output.is_some().into());
        if let Some(reference) = item.reference {
            told.insert("reference".to_owned(), reference.into());
        }
        if let Some((code, message)) = item.error {
            told.insert("error".to_owned(), json!({ "code": code, "message": message }));
        }
        if let Some(output) = item.output {
            let name = free_name(&mut names, &output.filename, usize::try_from(item.index).unwrap_or(0));
            told.insert("file".to_owned(), json!(name));
            files.push((name, output));
        }
        listed.push(Value::Object(told));
    }
    let manifest = json!({ "total": counts[0], "succeeded": counts[1], "failed": counts[2], "items": listed });
    let archive = ZipStream::begin(&format!("{manifest:#}\n")).map_err(|error| ApiError::internal(&error))?;
    Ok(Body::from_stream(pieces(setup.clone(), caller.clone(), files, archive)))
}

fn pieces(
    setup: Setup,
    caller: Caller,
    files: Vec<(String, JobItemOutput)>,
    archive: ZipStream,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let state = Packing { setup, caller, files: files.into_iter(), archive, open: None };
    stream::try_unfold(Some(state), async |state| {
        let Some(mut state) = state else { return Ok(None) };
        loop {
            let Some(open) = &mut state.open else {
                let Some((name, output)) = state.files.next() else { return Ok(Some((state.archive.end()?, None))) };
                // Document by document: whoever reads slowly takes no turn meanwhile.
                let turn = state.setup.heavy_reads.next_turn(&state.caller.tenant).await.map_err(io::Error::other)?;
                let opening = opened(&state.setup, &state.caller, &output).await;
                drop(turn);
                state.open = Some(Box::pin(opening.map_err(|error| io::Error::other(error.code().as_str()))?));
                start_file(&mut state.archive, &name, &output)?;
                continue;
            };
            match open.next().await {
                Some(piece) => {
                    let bytes = state.archive.add(&piece.map_err(io::Error::other)?)?;
                    return Ok(Some((bytes, Some(state))));
                }
                None => state.open = None,
            }
        }
    })
}

struct Packing {
    setup: Setup,
    caller: Caller,
    files: std::vec::IntoIter<(String, JobItemOutput)>,
    archive: ZipStream,
    open: Option<Pin<Box<BlobContent>>>,
}

/// Begins the file of a document.
fn start_file(archive: &mut ZipStream, name: &str, output: &JobItemOutput) -> io::Result<()> {
    // What is in a PDF is compressed already.
    let method = if output.content_type == "application/pdf" { CompressionMethod::Stored } else { CompressionMethod::Deflated };
    archive.start_file(name, SimpleFileOptions::default().compression_method(method))
}
