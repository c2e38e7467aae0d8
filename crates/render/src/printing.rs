//! From the HTML of one document to its PDF.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chromium::{Outline, PrintJob, Printed, Priority, Tagged};
use domain::options::{Bookmarks, Metadata};
use domain::usage::{RenderMode, RenderOutcome};
use tokio::time::Instant;
use tracing::{Instrument as _, debug_span};

use crate::error::RenderError;
use crate::format_options::{FormatOptions, HtmlOptions};
use crate::hashes::hash_of_output;
use crate::request::{FileKind, Format, RenderRequest, Rendered};
use crate::run::Renderer;
use crate::tabular::TabularFile;
use crate::usage::{Output, Record};

/// Finishing costs about a millisecond for so many bytes.
const FINISHED_INLINE_BYTES: usize = 1024 * 1024;

/// A document whose HTML is written.
pub(crate) struct Prepared {
    pub(crate) html: String,
    pub(crate) format: Format,
    pub(crate) format_options: FormatOptions,
    /// The file, where no browser is needed for it.
    pub(crate) file: Option<TabularFile>,
    pub(crate) tenant: String,
    pub(crate) priority: Priority,
    pub(crate) bookmarks: Option<Bookmarks>,
    pub(crate) stamp: pdf::Stamp,
    pub(crate) filename: Option<String>,
    pub(crate) warnings: Vec<(&'static str, usize)>,
    /// Destinations whose pages the document names.
    pub(crate) anchors: Vec<String>,
}

/// What came of a render.
pub(crate) struct Document {
    pub(crate) body: Bytes,
    pub(crate) kind: FileKind,
    pub(crate) filename: Option<String>,
    pub(crate) warnings: Vec<(&'static str, usize)>,
    pub(crate) pages: u32,
}

/// Who waits for a single document goes before batches and jobs.
pub(crate) fn priority_of(mode: RenderMode) -> Priority {
    match mode {
        RenderMode::Single => Priority::Interactive,
        RenderMode::Batch | RenderMode::Async | RenderMode::Scheduled => Priority::Batch,
    }
}

impl Renderer {
    /// Begins to note a render, if its tenant has not reached a limit.
    pub(crate) async fn begin(&self, request: &mut RenderRequest) -> Result<(Record, Instant), RenderError> {
        let started = Instant::now();
        let turn = self.0.usage.gate().enter(&request.tenant, self.0.clock.now()).await?;
        Ok((self.0.usage.begin(request, turn, started), started))
    }

    /// Everything before the browser: which version, the data, the HTML.
    pub(crate) async fn prepare(&self, mut request: RenderRequest, record: &mut Record, started: Instant) -> Result<Prepared, RenderError> {
        let deadline = self.deadline(started);
        let (found, compiled) = self.resolve(&mut request, deadline).instrument(debug_span!("template")).await?;
        if let Some((version, via)) = found {
            record.version = Some(version);
            record.via = via;
        }
        let now = request.now.unwrap_or_else(|| self.0.clock.now());
        let data = self.resolve_data(&mut request, deadline).instrument(debug_span!("data")).await?;
        let (data_sha256, written) = self.write(&mut request, data, &compiled, now, deadline).instrument(debug_span!("html")).await?;
        record.data_sha256 = Some(data_sha256);
        let (written, file) = written?;
        phase("html", started);
        let warnings = self.warnings(&written);
        Ok(Prepared {
            html: written.html,
            format: request.format,
            format_options: request.format_options,
            file,
            tenant: request.tenant.to_string(),
            priority: priority_of(record.mode()),
            bookmarks: request.options.bookmarks,
            stamp: pdf::Stamp { now, metadata: pdf_metadata(written.metadata) },
            filename: written.filename,
            warnings,
            anchors: written.headings.into_iter().map(|heading| heading.anchor).collect(),
        })
    }

    /// The document, printed where it is to be a PDF.
    pub(crate) async fn print(&self, prepared: Prepared, deadline: Instant) -> Result<Document, RenderError> {
        let Prepared { html, format, format_options, file, tenant, priority, bookmarks, stamp, filename, mut warnings, anchors } = prepared;
        if let Some(TabularFile { bytes, kind }) = file {
            return Ok(Document { body: bytes.into(), kind, filename, warnings, pages: 0 });
        }
        if format == Format::Html {
            let body = shown(html, format_options.html, &mut warnings).await?;
            return Ok(Document { body, kind: FileKind::HTML, filename, warnings, pages: 0 });
        }
        let job = |html: String| {
            let mut job = PrintJob::new(html, tenant.clone());
            job.priority = priority;
            if bookmarks == Some(Bookmarks::FromHeadings) {
                // Chromium builds the outline from the tags.
                job.print.outline = Outline::Yes;
                job.print.tagged = Tagged::Yes;
            }
            job
        };
        let printing = Instant::now();
        let printed = if anchors.is_empty() {
            self.0.pool.print(job(html), deadline).await?
        } else {
            self.print_numbered(&html, anchors, job, deadline).await?
        };
        phase("print", printing);
        if printed.blocked_requests > 0 {
            warnings.push(("RESOURCE_BLOCKED", printed.blocked_requests as usize));
        }
        let finishing = Instant::now();
        let finished = finish(printed.pdf, stamp, self.pdf_limits()).instrument(debug_span!("finish")).await?;
        phase("finish", finishing);
        let pages = finished.page_count;
        if format != Format::Image {
            return Ok(Document { body: finished.bytes, kind: FileKind::PDF, filename, warnings, pages });
        }
        let drawing = Instant::now();
        let drawn = self.draw(finished.bytes, format_options.image, deadline).instrument(debug_span!("draw")).await?;
        phase("draw", drawing);
        if drawn.incomplete > 0 {
            warnings.push(("PICTURE_INCOMPLETE", drawn.incomplete));
        }
        Ok(Document { body: drawn.bytes, kind: drawn.kind, filename, warnings, pages })
    }

    /// Prints a document whose contents name pages: first without the numbers, then with those of the first print. Where the
    /// second has other pages, the numbers in which the two differ are left out of a third.
    async fn print_numbered(
        &self,
        html: &str,
        anchors: Vec<String>,
        job: impl Fn(String) -> PrintJob,
        deadline: Instant,
    ) -> Result<Printed, RenderError> {
        let anchors = Arc::new(anchors);
        let mut printed = self.0.pool.print(job(html.to_owned()), deadline).await?;
        let told = pages_of(&printed, &anchors).await?;
        printed = self.0.pool.print(job(document::with_page_numbers(html, &told)), deadline).await?;
        let found = pages_of(&printed, &anchors).await?;
        if found != told {
            tracing::warn!("a document's pages changed when its contents were given their numbers");
            let agreed: Vec<Option<u32>> = told.into_iter().zip(found).map(|(told, found)| told.filter(|_| told == found)).collect();
            printed = self.0.pool.print(job(document::with_page_numbers(html, &agreed)), deadline).await?;
        }
        Ok(printed)
    }

    /// Ends the noting of a render.
    pub(crate) async fn conclude(&self, record: Record, outcome: Result<Document, RenderError>) -> Result<Rendered, RenderError> {
        match outcome {
            Ok(Document { body, kind, filename, warnings, pages }) => {
                let sha256 = hash_of_output(&body).await;
                let output = Output { pages, size_bytes: body.len() as u64, sha256: Some(sha256) };
                let (version, via) = (record.version, record.via.clone());
                let usage_id = record.end(RenderOutcome::Succeeded, &output);
                Ok(Rendered { body, kind, version, via, filename, warnings, pages, usage_id, sha256 })
            }
            Err(error) => {
                record.end(RenderOutcome::Failed(error.code()), &Output::default());
                Err(error)
            }
        }
    }

    pub(crate) fn pdf_limits(&self) -> pdf::Limits {
        pdf::Limits { max_bytes: self.0.limits.max_output_bytes as u64, max_pages: self.0.limits.max_pages }
    }

    /// The moment by which a render that starts now has to end.
    pub(crate) fn deadline(&self, started: Instant) -> Instant {
        started + Duration::from_millis(self.0.limits.deadline_ms)
    }
}

/// The HTML as it is asked for. A large one takes long enough to hold up other requests of its thread.
async fn shown(html: String, options: HtmlOptions, warnings: &mut Vec<(&'static str, usize)>) -> Result<Bytes, RenderError> {
    if options == HtmlOptions::AsPrinted {
        return Ok(html.into());
    }
    let (html, outside) = tokio::task::spawn_blocking(move || document::self_contained(&html)).await.map_err(RenderError::Defect)?;
    if outside > 0 {
        warnings.push(("RESOURCE_BLOCKED", outside));
    }
    Ok(html.into())
}

/// The pages of destinations, read off the request threads.
async fn pages_of(printed: &Printed, anchors: &Arc<Vec<String>>) -> Result<Vec<Option<u32>>, RenderError> {
    let (pdf, anchors) = (printed.pdf.clone(), Arc::clone(anchors));
    let reading = tokio::task::spawn_blocking(move || {
        let names: Vec<&str> = anchors.iter().map(String::as_str).collect();
        pdf::pages_of(&pdf, &names)
    });
    Ok(reading.await.map_err(RenderError::Defect)??)
}

/// A large file takes long enough to hold up other requests of its thread.
async fn finish(pdf: Bytes, stamp: pdf::Stamp, limits: pdf::Limits) -> Result<pdf::Finished, RenderError> {
    if pdf.len() < FINISHED_INLINE_BYTES {
        return Ok(pdf::finish(pdf.into(), &stamp, limits)?);
    }
    let finished = tokio::task::spawn_blocking(move || pdf::finish(pdf.into(), &stamp, limits)).await;
    Ok(finished.map_err(RenderError::Defect)??)
}

pub(crate) fn phase(name: &'static str, since: Instant) {
    metrics::histogram!("pulp_render_phase_seconds", "phase" => name).record(since.elapsed().as_secs_f64());
}

fn pdf_metadata(metadata: Metadata) -> pdf::Metadata {
    let Metadata { title, subject, author, keywords, creator } = metadata;
    pdf::Metadata { title, subject, author, keywords, creator }
}
