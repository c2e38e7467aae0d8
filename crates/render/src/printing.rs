//! From the HTML of one document to its PDF.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chromium::{Outline, PrintJob, Printed, Priority, Tagged};
use document::{Heading, PrintSheet};
use domain::options::{Bookmarks, Metadata};
use domain::usage::{RenderMode, RenderOutcome};
use tokio::time::{Instant, timeout_at};
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
    /// What of the document is on pages that it names.
    pub(crate) headings: Vec<Heading>,
    /// The sheet around its pages, where that is larger.
    pub(crate) sheet: Option<PrintSheet>,
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
            headings: written.headings,
            sheet: written.sheet,
        })
    }

    /// The document, printed where it is to be a PDF.
    pub(crate) async fn print(&self, prepared: Prepared, deadline: Instant) -> Result<Document, RenderError> {
        let Prepared { html, format, format_options, file, tenant, priority, bookmarks, stamp, filename, mut warnings, headings, sheet } =
            prepared;
        if let Some(TabularFile { bytes, kind }) = file {
            return Ok(Document { body: bytes.into(), kind, filename, warnings, pages: 0 });
        }
        if format == Format::Html {
            let body = timeout_at(deadline, shown(html, format_options.html, &mut warnings)).await.map_err(|_| self.late())??;
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
        let printed = if headings.is_empty() {
            self.0.pool.print(job(html), deadline).await?
        } else {
            self.print_numbered(&html, headings, job, deadline).await?
        };
        phase("print", printing);
        if printed.blocked_requests > 0 {
            warnings.push(("RESOURCE_BLOCKED", printed.blocked_requests as usize));
        }
        let finishing = Instant::now();
        let pdf = match sheet {
            Some(sheet) => timeout_at(deadline, produced(printed.pdf, sheet)).await.map_err(|_| self.late())??,
            None => printed.pdf,
        };
        let finished = finish(pdf, stamp, self.pdf_limits()).instrument(debug_span!("finish")).await?;
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

    /// Prints a document that says on which pages its headings are: first without that, then with what the first print shows. Where
    /// the second has other pages, what the two differ in is left out of a third.
    async fn print_numbered(
        &self,
        html: &str,
        headings: Vec<Heading>,
        job: impl Fn(String) -> PrintJob,
        deadline: Instant,
    ) -> Result<Printed, RenderError> {
        let headings = Arc::new(headings);
        let mut printed = self.0.pool.print(job(html.to_owned()), deadline).await?;
        let told = timeout_at(deadline, pages_of(&printed, &headings)).await.map_err(|_| self.late())??;
        printed = self.0.pool.print(job(document::with_pages(html, &headings, &told)), deadline).await?;
        let found = timeout_at(deadline, pages_of(&printed, &headings)).await.map_err(|_| self.late())??;
        if found != told {
            tracing::warn!("a document's pages changed when it was told on which its headings are");
            let agreed: Vec<Option<u32>> = told.into_iter().zip(found).map(|(told, found)| told.filter(|_| told == found)).collect();
            printed = self.0.pool.print(job(document::with_pages(html, &headings, &agreed)), deadline).await?;
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

/// The pages of headings, read off the request threads.
async fn pages_of(printed: &Printed, headings: &Arc<Vec<Heading>>) -> Result<Vec<Option<u32>>, RenderError> {
    let (pdf, headings) = (printed.pdf.clone(), Arc::clone(headings));
    let reading = tokio::task::spawn_blocking(move || {
        let names: Vec<&str> = headings.iter().map(|heading| heading.anchor.as_str()).collect();
        pdf::pages_of(&pdf, &names)
    });
    Ok(reading.await.map_err(RenderError::Defect)??)
}

/// The print with the boxes and the marks of its sheet.
async fn produced(pdf: Bytes, sheet: PrintSheet) -> Result<Bytes, RenderError> {
    #[expect(clippy::cast_possible_truncation, reason = "a sheet has at most 14,400 points on a side")]
    let points = |mm: f64| (mm / 25.4 * 72.0) as f32;
    let production = pdf::Production {
        width_pt: points(sheet.width_mm),
        height_pt: points(sheet.height_mm),
        around_pt: points(sheet.around_mm),
        bleed_pt: points(sheet.bleed_mm),
        marks: sheet.marks.map(|marks| pdf::Marks { offset_pt: points(marks.offset_mm), length_pt: points(marks.length_mm) }),
    };
    let producing = tokio::task::spawn_blocking(move || pdf::produce(&pdf, &production));
    Ok(producing.await.map_err(RenderError::Defect)??.into())
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
