//! What a batch is answered with: one JSON, lines, an archive, or one PDF.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io::{Cursor, Write as _};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use domain::ErrorCode;
use domain::options::Disposition;
use futures_util::stream;
use render::{Batch, Format, Rendered};
use serde_json::{Map, Value, json};
use store::DocumentRecord;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::Setup;
use crate::auth::Caller;
use crate::document_links::{self, Here};
use crate::error::ApiError;
use crate::packages::{Bookmarks, Package};
use crate::renders::{content_disposition, refusal, with_extension};

/// What an item is called.
#[derive(Default)]
pub(crate) struct About {
    pub(crate) template: Box<str>,
    pub(crate) reference: Option<Box<str>>,
    pub(crate) metadata: Option<Value>,
    /// The link that it is answered with instead of its document, where the request says so.
    pub(crate) link: Option<WantedLink>,
}

/// A link to a stored document.
#[derive(Clone, Copy)]
pub(crate) struct WantedLink {
    /// How long it works; the server's default where it is not said.
    pub(crate) ttl_seconds: Option<u32>,
}

/// What an answer is made with.
pub(crate) struct Answer {
    pub(crate) setup: Setup,
    pub(crate) caller: Caller,
    pub(crate) here: Here,
    pub(crate) format: Format,
    /// Of each item, by its number.
    pub(crate) about: Vec<About>,
}

/// What came of an item.
pub(crate) struct Finished {
    rendered: Rendered,
    kept: Option<DocumentRecord>,
}

type Outcome = Result<Finished, ApiError>;

impl Answer {
    fn name_of(&self, index: usize, rendered: &Rendered) -> String {
        let named = rendered.filename.as_deref().filter(|name| !name.trim().is_empty());
        let fallback = || self.about.get(index).map_or("document", |about| &about.template);
        with_extension(named.unwrap_or_else(fallback), rendered.kind.extension)
    }

    /// What is told about an item in each kind of answer.
    fn told(&self, index: usize, outcome: &Outcome) -> Map<String, Value> {
        let mut told = Map::new();
        let mut put = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
        put("index", json!(index));
        if let Some(about) = self.about.get(index) {
            put("template", json!(about.template));
            put("success", json!(outcome.is_ok()));
            if let Some(reference) = &about.reference {
                put("reference", json!(reference));
            }
            if let Some(metadata) = &about.metadata {
                put("metadata", metadata.clone());
            }
        }
        match outcome {
            Ok(Finished { rendered, kept }) => {
                put("filename", json!(self.name_of(index, rendered)));
                if let Some(version) = rendered.version {
                    put("version", json!(version.to_string()));
                }
                if let Some(via) = &rendered.via {
                    put("label", json!(via.label.to_string()));
                }
                if self.format == Format::Pdf {
                    put("pages", json!(rendered.pages));
                }
                if !rendered.warnings.is_empty() {
                    put("warnings", rendered.warnings.iter().map(|(code, _)| *code).collect());
                }
                if let Some(kept) = kept {
                    put("documentId", json!(kept.id));
                    put("expiresAt", json!(kept.expires_at.to_string()));
                    if let Some(WantedLink { ttl_seconds }) = self.link(index) {
                        let (url, expires_at) = document_links::made(&self.setup, &self.caller, &self.here, kept, ttl_seconds);
                        put("downloadUrl", json!(url));
                        put("downloadUrlExpiresAt", json!(expires_at.to_string()));
                    }
                }
            }
            Err(error) => put("error", error.of_item()),
        }
        told
    }

    fn link(&self, index: usize) -> Option<WantedLink> {
        self.about.get(index).and_then(|about| about.link)
    }

    /// What a batch gave, as it is told. A document that is answered with its link is not held any more.
    fn finished(&self, (index, outcome): render::Item) -> (usize, Outcome) {
        let outcome = outcome.map(|(mut rendered, kept)| {
            if kept.is_some() && self.link(index).is_some() {
                rendered.body = Bytes::new();
            }
            Finished { rendered, kept }
        });
        (index, outcome.map_err(|error| refusal(&self.setup, error)))
    }

    /// A result with the document in it.
    fn result(&self, index: usize, outcome: &Outcome) -> Map<String, Value> {
        let mut told = self.told(index, outcome);
        if let (Ok(Finished { rendered, .. }), None) = (outcome, self.link(index)) {
            // HTML is text; anything else may be bytes.
            let content = match self.format {
                Format::Html => String::from_utf8_lossy(&rendered.body).into_owned(),
                Format::Pdf | Format::Csv | Format::Xlsx | Format::Image => BASE64.encode_to_string(&rendered.body),
            };
            told.insert(self.format.as_str().to_owned(), Value::String(content));
            if matches!(self.format, Format::Csv | Format::Xlsx) {
                told.insert("contentType".to_owned(), rendered.kind.media_type.into());
            }
        }
        told
    }
}

/// All results, in the order of the items.
pub(crate) struct Collected {
    outcomes: Vec<Outcome>,
    succeeded: usize,
}

impl Collected {
    /// Waits for all. What goes beyond the bytes that may wait fails, and so does what has not been rendered by then.
    pub(crate) async fn of(answer: &Answer, refused: Vec<(usize, Outcome)>, mut batch: Batch) -> Self {
        let most_bytes = answer.setup.renderer.limits().batch_output_bytes;
        let mut outcomes: Vec<Option<Outcome>> = answer.about.iter().map(|_| None).collect();
        let mut keep = |index: usize, outcome| {
            if let Some(place) = outcomes.get_mut(index) {
                *place = Some(outcome);
            }
        };
        for (index, outcome) in refused {
            keep(index, outcome);
        }
        let mut bytes = 0;
        let mut is_full = false;
        while let Some(item) = batch.next().await {
            let (index, outcome) = answer.finished(item);
            bytes += outcome.as_ref().map_or(0, |finished| finished.rendered.body.len() as u64);
            if bytes > most_bytes {
                is_full = true;
                break;
            }
            keep(index, outcome);
        }
        // Stops the rest.
        drop(batch);
        let missing = || if is_full { too_much(most_bytes) } else { lost() };
        let outcomes: Vec<Outcome> = outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(missing()))).collect();
        let succeeded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        Self { outcomes, succeeded }
    }

    fn counts(&self) -> [(&'static str, usize); 3] {
        counts(self.outcomes.len(), self.succeeded)
    }
}

fn counts(total: usize, succeeded: usize) -> [(&'static str, usize); 3] {
    [("total", total), ("succeeded", succeeded), ("failed", total - succeeded)]
}

fn too_much(most_bytes: u64) -> ApiError {
    let message =
        format!("the documents of this batch have more than {most_bytes} bytes together; send fewer items, or take them line by line");
    ApiError::new(ErrorCode::PdfTooLarge, message)
}

/// A worker ended without a word.
fn lost() -> ApiError {
    tracing::error!("an item of a batch has no result");
    ApiError::new(ErrorCode::InternalError, "something is broken on our side; the log has the details under this requestId")
}

/// One JSON, of which one document at a time is written out.
pub(crate) fn json(answer: Answer, collected: Collected) -> Response {
    let mut opening = String::from("{");
    for (name, count) in collected.counts() {
        opening.extend(["\"", name, "\":", &count.to_string(), ","]);
    }
    opening.push_str("\"results\":[");
    let results = collected.outcomes.into_iter().enumerate().map(move |(index, outcome)| {
        let text = Value::Object(answer.result(index, &outcome)).to_string();
        if index == 0 { text } else { format!(",{text}") }
    });
    let pieces = std::iter::once(opening).chain(results).chain(std::iter::once("]}".to_owned()));
    let body = Body::from_stream(stream::iter(pieces.map(|piece| Ok::<_, Infallible>(Bytes::from(piece)))));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A line for each result as soon as it is there, then the summary.
pub(crate) fn lines(answer: Answer, refused: Vec<(usize, Outcome)>, batch: Batch) -> Response {
    let missing: HashSet<usize> = (0..answer.about.len()).collect();
    let state = Lines { answer, refused: refused.into_iter(), batch: Some(batch), missing, succeeded: 0 };
    let body = Body::from_stream(stream::unfold(Some(state), |state| async {
        let mut state = state?;
        match state.next().await {
            Some((index, outcome)) => {
                let line = state.line(index, &outcome);
                Some((Ok::<_, Infallible>(line), Some(state)))
            }
            None => Some((Ok(state.summary()), None)),
        }
    }));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// The lines still to be told.
struct Lines {
    answer: Answer,
    refused: std::vec::IntoIter<(usize, Outcome)>,
    batch: Option<Batch>,
    missing: HashSet<usize>,
    succeeded: usize,
}

impl Lines {
    async fn next(&mut self) -> Option<(usize, Outcome)> {
        if let Some(refused) = self.refused.next() {
            return Some(refused);
        }
        if let Some(batch) = &mut self.batch {
            if let Some(item) = batch.next().await {
                return Some(self.answer.finished(item));
            }
            self.batch = None;
        }
        let index = self.missing.iter().min().copied()?;
        Some((index, Err(lost())))
    }

    fn line(&mut self, index: usize, outcome: &Outcome) -> Bytes {
        self.missing.remove(&index);
        self.succeeded += usize::from(outcome.is_ok());
        let mut line = Map::from_iter([("type".to_owned(), json!("result"))]);
        line.extend(self.answer.result(index, outcome));
        format!("{}\n", Value::Object(line)).into()
    }

    fn summary(&self) -> Bytes {
        let mut line = Map::from_iter([("type".to_owned(), json!("summary"))]);
        line.extend(counts(self.answer.about.len(), self.succeeded).map(|(name, count)| (name.to_owned(), json!(count))));
        format!("{}\n", Value::Object(line)).into()
    }
}

/// An archive of the documents with a list of all items. What failed is in the list; where nothing succeeded there is no archive.
pub(crate) async fn zip(answer: &Answer, collected: Collected, package: Package) -> Result<Response, ApiError> {
    if collected.succeeded == 0 {
        return Err(failures(answer, &collected));
    }
    let counts = collected.counts();
    let mut names = HashSet::new();
    let mut items = Vec::with_capacity(collected.outcomes.len());
    let mut files = Vec::with_capacity(collected.succeeded);
    for (index, outcome) in collected.outcomes.into_iter().enumerate() {
        let mut told = answer.told(index, &outcome);
        if let Ok(Finished { rendered, .. }) = outcome {
            let name = free_name(&mut names, &answer.name_of(index, &rendered), index);
            told.insert("file".to_owned(), json!(name));
            files.push((name, rendered.body));
        }
        items.push(Value::Object(told));
    }
    let mut manifest: Map<String, Value> = counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    manifest.insert("items".to_owned(), Value::Array(items));
    let packing = tokio::task::spawn_blocking(move || pack(&Value::Object(manifest), files));
    let archive = packing.await.map_err(|error| ApiError::internal(&error))?.map_err(|error| ApiError::internal(&error))?;
    Ok(file("application/zip", package.filename.as_deref().unwrap_or("batch"), "zip", counts, archive))
}

/// A name that no other file of the archive has, in no way of writing.
pub(crate) fn free_name(names: &mut HashSet<String>, wanted: &str, index: usize) -> String {
    // Separators would be folders, and what unpacks may follow them anywhere.
    let wanted: String = wanted
        .chars()
        .map(|character| if matches!(character, '/' | '\\' | ':') || character.is_control() { '-' } else { character })
        .collect();
    let wanted = wanted.trim_start_matches('.');
    let (stem, extension) = wanted.rsplit_once('.').unwrap_or((wanted, ""));
    let numbered = || format!("{stem}-{}.{extension}", index + 1);
    let mut name = if stem.is_empty() || wanted.eq_ignore_ascii_case("manifest.json") { numbered() } else { wanted.to_owned() };
    if !names.insert(name.to_lowercase()) {
        name = numbered();
        let mut again = 1;
        while !names.insert(name.to_lowercase()) {
            again += 1;
            name = format!("{stem}-{}-{again}.{extension}", index + 1);
        }
    }
    name
}

fn pack(manifest: &Value, files: Vec<(String, Bytes)>) -> Result<Vec<u8>, zip::result::ZipError> {
    // What is in a PDF is compressed already.
    let (stored, packed) = (
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
        SimpleFileOptions::default().compression_method(CompressionMethod::Deflated),
    );
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("manifest.json", packed)?;
    archive.write_all(format!("{manifest:#}\n").as_bytes())?;
    for (name, content) in files {
        let is_pdf = name.to_lowercase().ends_with(".pdf");
        archive.start_file(name, if is_pdf { stored } else { packed })?;
        archive.write_all(&content)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// One PDF of all documents, which it only is when none failed.
pub(crate) async fn merged(answer: &Answer, collected: Collected, package: Package) -> Result<Response, ApiError> {
    if collected.succeeded < collected.outcomes.len() {
        return Err(failures(answer, &collected));
    }
    let counts = collected.counts();
    let mut parts = Vec::with_capacity(collected.outcomes.len());
    for (index, Finished { rendered, .. }) in collected.outcomes.into_iter().flatten().enumerate() {
        let reference = answer.about.get(index).and_then(|about| about.reference.as_deref()).map(str::to_owned);
        let title = || {
            reference
                .clone()
                .or_else(|| rendered.filename.clone())
                .unwrap_or_else(|| format!("{} {}", answer.about[index].template, index + 1))
        };
        let title = (package.bookmarks == Bookmarks::Documents).then(title);
        parts.push((rendered.body, title));
    }
    let merging = answer.setup.renderer.merge(parts, package.title).await;
    let merged = merging.map_err(|error| refusal(&answer.setup, error))?;
    Ok(file("application/pdf", package.filename.as_deref().unwrap_or("batch"), "pdf", counts, merged))
}

fn failures(answer: &Answer, collected: &Collected) -> ApiError {
    let failed = collected.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_err());
    let failed: Vec<Value> = failed.map(|(index, outcome)| Value::Object(answer.told(index, outcome))).collect();
    let message = format!("{} of {} items failed, and the package would lack them; see failures", failed.len(), collected.outcomes.len());
    ApiError::new(ErrorCode::BatchItemsFailed, message).failures(failed)
}

fn file(kind: &'static str, name: &str, extension: &str, counts: [(&'static str, usize); 3], content: impl Into<Body>) -> Response {
    let disposition = content_disposition(name, extension, Disposition::Attachment);
    let mut response = ([(header::CONTENT_TYPE, kind)], content.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    let names = ["x-batch-total", "x-batch-succeeded", "x-batch-failed"];
    for (name, (_, count)) in names.into_iter().zip(counts) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(count));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_an_archive_have_names_that_no_other_has_and_that_lead_nowhere() {
        let mut names = HashSet::new();
        let wanted = [
            "invoice.pdf",
            "Invoice.PDF",
            "invoice.pdf",
            "../../etc/passwd.pdf",
            "a/b.pdf",
            ".pdf",
            "manifest.json",
            "invoice-3.pdf",
            "invoice.pdf",
        ];
        let given: Vec<String> = wanted.iter().enumerate().map(|(index, name)| free_name(&mut names, name, index)).collect();
        assert_eq!(names.len(), wanted.len(), "{given:?}");
        assert!(given.iter().all(|name| !name.contains(['/', '\\']) && !name.starts_with('.') && name != "manifest.json"), "{given:?}");
        assert_eq!(given[0], "invoice.pdf");
    }
}
