//! The DevTools steps of one print, as a list.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::cdp::{CloseStream, GetFrameTree, PrintReply, PrintToPdf, ReadStream, SetDocumentContent, StreamChunk};
use crate::session::{CallError, Seen};
use crate::tab::Tab;
use crate::{Budgets, ChromiumError, Outline, PageSize, Paint, Phase, PrintJob, PrintOptions, Scripts, Tagged, Turn, script};

/// How long nothing may happen after a refused request before it is asked whether the load event will come at all.
const QUIET: Duration = Duration::from_millis(300);
/// The caller's deadline comes first.
const FOREVER: Duration = Duration::from_hours(24);
/// A crash is told up to 100 ms after the print it made fail.
const CRASH_NOTICE: Duration = Duration::from_millis(500);
/// Bytes of the PDF per `IO.read`.
const CHUNK_BYTES: usize = 1024 * 1024;
/// The page that makes a new tab load its default fonts.
const WARM_UP: &str = "<!DOCTYPE html><meta charset=utf-8><title>-</title><p style='font-family:Arial,sans-serif'>a<b>b</b><i>c</i></p>\
    <p style='font-family:Times,serif'>d</p><p style='font-family:monospace'>e</p>";

/// What an attempt came to.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) pdf: Bytes,
    pub(crate) load: Duration,
    pub(crate) print: Duration,
    pub(crate) blocked_requests: u32,
}

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The renderer or the browser died: worth another try elsewhere.
    Lost(CallError),
    /// Another try would end the same way.
    Final(ChromiumError),
}

/// Prints one document in a tab: set the content, wait for its load event, print.
pub(crate) async fn print(tab: &Tab, job: &PrintJob, budgets: &Budgets, deadline: Instant) -> Result<Sheet, Failure> {
    let before = tab.session.seen();
    let loading = Instant::now();
    match job.scripts {
        Scripts::Off => by(deadline, Phase::Load, load(tab, &job.html, &before)).await?,
        Scripts::On => by(deadline, Phase::Load, script::load(tab, &job.html, &before)).await?,
    }
    let printing = Instant::now();
    let pdf = by(deadline, Phase::Print, pdf(tab, job, budgets)).await?;
    stayed(&tab.session.seen(), &before)?;
    Ok(Sheet { pdf, load: printing - loading, print: printing.elapsed(), blocked_requests: tab.session.seen().refused - before.refused })
}

/// Prints a small page, so that the first customer does not pay for fonts and code pages.
pub(crate) async fn warm_up(tab: &Tab) -> Result<(), CallError> {
    let job = PrintJob::new(WARM_UP.to_owned(), String::new());
    let before = tab.session.seen();
    let budgets = &tab.browser.options.budgets;
    let printed = match load(tab, &job.html, &before).await {
        Ok(()) => pdf(tab, &job, budgets).await,
        Err(failure) => Err(failure),
    };
    match printed {
        Ok(_) => Ok(()),
        Err(Failure::Lost(error)) => Err(error),
        Err(Failure::Final(error)) => Err(CallError::Refused(error.to_string())),
    }
}

/// Puts the document into the tab and waits for its load event.
pub(crate) async fn load(tab: &Tab, html: &str, before: &Seen) -> Result<(), Failure> {
    let mut changes = tab.session.changes();
    tab.session.call(&SetDocumentContent { frame_id: &tab.frame_id, html }).await?;
    loop {
        let seen = changes.borrow_and_update().clone();
        if seen.crashed || seen.gone {
            return Err(Failure::Lost(CallError::Crashed));
        }
        stayed(&seen, before)?;
        // Counted by document, so that a late event of the previous one is not taken for ours.
        if seen.loaded_document > before.documents {
            return Ok(());
        }
        let was_refused = seen.refused > before.refused;
        match timeout(if was_refused { QUIET } else { FOREVER }, changes.changed()).await {
            Ok(Err(_)) => return Err(Failure::Lost(CallError::Gone)),
            // A script sent the page elsewhere while it was parsed: what is there is cut off in the middle.
            Err(_) if seen.departures > before.departures => return Err(navigates()),
            Err(_) if has_use(html) && is_at_rest(tab, &mut changes).await? => return Ok(()),
            _ => {}
        }
    }
}

/// Whether the document has `<use>`: one that refers to another origin is refused and keeps the load event away for ever.
fn has_use(html: &str) -> bool {
    memchr::memchr_iter(b'<', html.as_bytes())
        .any(|at| html.as_bytes()[at + 1..].get(..3).is_some_and(|name| name.eq_ignore_ascii_case(b"use")))
}

/// Whether the renderer has nothing to do: it answers, and still tells nothing new.
async fn is_at_rest(tab: &Tab, changes: &mut watch::Receiver<Seen>) -> Result<bool, Failure> {
    tab.session.call(&GetFrameTree {}).await?;
    Ok(timeout(QUIET, changes.changed()).await.is_err())
}

/// Refuses when something else than the document is in the tab: it was replaced by a navigation of its own.
fn stayed(now: &Seen, before: &Seen) -> Result<(), Failure> {
    if now.navigations == before.navigations {
        return Ok(());
    }
    Err(navigates())
}

fn navigates() -> Failure {
    let reason = "it navigates to another address (a refresh or a script does that)".to_owned();
    Failure::Final(ChromiumError::Refused { reason })
}

/// Has the loaded document printed: small ones in one message, large ones as a stream.
async fn pdf(tab: &Tab, job: &PrintJob, budgets: &Budgets) -> Result<Bytes, Failure> {
    let too_large = || Failure::Final(ChromiumError::OutputTooLarge { limit_bytes: budgets.output_bytes });
    let streamed = job.html.len() >= budgets.large_html_bytes;
    let reply = match tab.session.call_raw(&command(&job.print, streamed)).await {
        Ok(reply) => reply,
        // What a print in flight answers when its renderer has just died.
        Err(CallError::Refused(reason)) if reason.contains("Printing failed") => {
            let mut changes = tab.session.changes();
            let _ = timeout(CRASH_NOTICE, changes.wait_for(|seen| seen.crashed || seen.gone)).await;
            return Err(Failure::Lost(CallError::Refused(reason)));
        }
        Err(CallError::TooLarge) => return Err(too_large()),
        Err(error) => return Err(error.into()),
    };
    let reply: PrintReply<'_> = parse(&reply)?;
    let Some(handle) = reply.stream else {
        let pdf = decode(&reply.data)?;
        return if pdf.len() > budgets.output_bytes { Err(too_large()) } else { Ok(pdf.into()) };
    };
    let mut pdf = Vec::new();
    loop {
        let chunk = tab.session.call_raw(&ReadStream { handle: &handle, size: CHUNK_BYTES }).await?;
        let chunk: StreamChunk<'_> = parse(&chunk)?;
        if chunk.base64_encoded {
            base64_simd::STANDARD.decode_append(chunk.data.as_bytes(), &mut pdf).map_err(malformed)?;
        } else {
            pdf.extend_from_slice(chunk.data.as_bytes());
        }
        if pdf.len() > budgets.output_bytes {
            return Err(too_large());
        }
        if chunk.eof {
            break;
        }
    }
    tab.session.call(&CloseStream { handle: &handle }).await?;
    Ok(pdf.into())
}

fn command(print: &PrintOptions, streamed: bool) -> PrintToPdf<'_> {
    PrintToPdf {
        landscape: print.turn == Turn::Landscape,
        print_background: print.paint == Paint::Backgrounds,
        scale: print.scale,
        paper_width: print.paper_width_in,
        paper_height: print.paper_height_in,
        margin_top: print.margins.top_in,
        margin_bottom: print.margins.bottom_in,
        margin_left: print.margins.left_in,
        margin_right: print.margins.right_in,
        page_ranges: &print.page_ranges,
        prefer_css_page_size: print.page_size == PageSize::PreferCss,
        transfer_mode: if streamed { "ReturnAsStream" } else { "ReturnAsBase64" },
        generate_tagged_pdf: print.tagged == Tagged::Yes,
        generate_document_outline: print.outline == Outline::Yes,
    }
}

/// Runs a phase up to the deadline.
pub(crate) async fn by<T>(deadline: Instant, phase: Phase, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match timeout_at(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Final(ChromiumError::DeadlineExceeded { phase })),
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(reply: &'a Bytes) -> Result<T, Failure> {
    serde_json::from_slice(reply).map_err(malformed)
}

fn decode(data: &str) -> Result<Vec<u8>, Failure> {
    base64_simd::STANDARD.decode_to_vec(data.as_bytes()).map_err(malformed)
}

fn malformed(error: impl std::fmt::Display) -> Failure {
    Failure::Lost(CallError::Malformed(error.to_string()))
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(reason) => Self::Final(ChromiumError::Refused { reason }),
            error => Self::Lost(error),
        }
    }
}
