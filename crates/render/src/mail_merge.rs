//! Documents of one template printed together and cut apart again, which costs a fraction of printing each.
//!
//! Only on request, of one tenant, and only where `document::sheaf` knows of nothing that could make a difference. Whatever does
//! not work out for several is done for each.

use chromium::{Lane, PrintJob};
use document::sheaf::{self, Leaf};
use tokio::time::Instant;

use crate::error::RenderError;
use crate::printing::{Document, Prepared, phase};
use crate::request::{FileKind, Format, RenderRequest, Rendered};
use crate::run::Renderer;
use crate::usage::Record;

/// Of more than some twenty together nothing is gained any more, and more of them wait for the slowest.
pub(crate) const DOCUMENTS_PER_PRINT: usize = 20;
/// HTML of one print: more may keep a tab for too long.
const BYTES_PER_PRINT: usize = 2 * 1024 * 1024;

/// A document on its way.
struct Member {
    index: usize,
    record: Record,
    prepared: Prepared,
    /// Its part of a sheaf, where it can stand in one.
    leaf: Option<Leaf>,
}

/// One of several: its place among them, and what came of it.
type Outcome = (usize, Result<Rendered, RenderError>);

impl Renderer {
    /// Renders requests of one tenant, those that fit each other with one print.
    pub(crate) async fn render_together(&self, requests: Vec<(usize, RenderRequest)>) -> Vec<Outcome> {
        let mut results = Vec::with_capacity(requests.len());
        let mut members = Vec::with_capacity(requests.len());
        for (index, mut request) in requests {
            let (mut record, started) = match self.begin(&mut request).await {
                Ok(begun) => begun,
                Err(error) => {
                    results.push((index, Err(error)));
                    continue;
                }
            };
            match Box::pin(self.prepare(request, &mut record, started)).await {
                Ok(prepared) => {
                    let leaf = leaf_of(&prepared);
                    members.push(Member { index, record, prepared, leaf });
                }
                Err(error) => results.push((index, self.conclude(record, Err(error)).await)),
            }
        }
        for group in groups(members) {
            results.extend(self.print_group(group).await);
        }
        results
    }

    async fn print_group(&self, group: Vec<Member>) -> Vec<Outcome> {
        let together = if group.len() > 1 { self.print_together(&group).await } else { None };
        let way = if together.is_some() { "together" } else { "alone" };
        metrics::counter!("pulp_mail_merge_documents_total", "printed" => way).increment(group.len() as u64);
        let mut finished = together.map(Vec::into_iter);
        let mut results = Vec::with_capacity(group.len());
        for Member { index, record, prepared, .. } in group {
            let outcome = match finished.as_mut().and_then(Iterator::next) {
                Some(Ok(pdf)) => {
                    let Prepared { filename, warnings, .. } = prepared;
                    Ok(Document { body: pdf.bytes, kind: FileKind::PDF, filename, warnings, pages: pdf.page_count })
                }
                Some(Err(error)) => Err(error.into()),
                None => Box::pin(self.print(prepared, self.deadline(Instant::now()))).await,
            };
            results.push((index, self.conclude(record, outcome).await));
        }
        results
    }

    /// One print of all of them, cut apart; nothing where that did not work out, whatever the reason.
    async fn print_together(&self, group: &[Member]) -> Option<Vec<Result<pdf::Finished, pdf::PdfError>>> {
        let leaves: Vec<&Leaf> = group.iter().filter_map(|member| member.leaf.as_ref()).collect();
        let first = &group.first()?.prepared;
        let mut job = PrintJob::new(sheaf::bind(&leaves), first.tenant.clone());
        job.priority = first.priority;
        let printing = Instant::now();
        let printed = match self.0.pool.print(job, self.deadline(printing)).await {
            Ok(printed) if printed.blocked_requests == 0 => printed,
            // Whose request it was is not known.
            Ok(_) => return None,
            Err(error) => {
                tracing::info!(%error, documents = group.len(), "documents could not be printed together and are printed alone");
                return None;
            }
        };
        phase("print_together", printing);
        let stamps: Vec<_> = group.iter().map(|member| member.prepared.stamp.clone()).collect();
        let limits = self.pdf_limits();
        let cutting = tokio::task::spawn_blocking(move || {
            let marks = sheaf::marks(stamps.len());
            let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
            let sheaf::Ruler { mark, width_pt, height_pt } = sheaf::RULER;
            let pieces = pdf::split(&printed.pdf, &marks, Some(pdf::Ruler { mark, width_pt, height_pt }))?;
            let documents = pieces.into_iter().step_by(2);
            Ok(documents.zip(&stamps).map(|(piece, stamp)| pdf::finish(piece.into(), stamp, limits)).collect::<Vec<_>>())
        });
        match cutting.await.map_err(RenderError::Defect).and_then(|cut| cut.map_err(|error: pdf::PdfError| error.into())) {
            Ok(finished) => Some(finished),
            Err(error) => {
                tracing::warn!(%error, documents = group.len(), "a print of several could not be cut and its documents are printed alone");
                None
            }
        }
    }
}

fn leaf_of(prepared: &Prepared) -> Option<Leaf> {
    // An outline and contents go over the whole print.
    let is_plain = prepared.format == Format::Pdf
        && prepared.bookmarks.is_none()
        && prepared.headings.is_empty()
        && prepared.sheet.is_none()
        && chromium::scan(&prepared.html) == Lane::Fast;
    if is_plain { Leaf::of(&prepared.html) } else { None }
}

/// Members that fit each other, in prints of a bounded size; whoever fits nobody is alone.
fn groups(members: Vec<Member>) -> Vec<Vec<Member>> {
    let mut groups: Vec<(usize, Vec<Member>)> = Vec::new();
    for member in members {
        let size = member.leaf.as_ref().map_or(0, Leaf::size_bytes);
        let fitting = groups.iter_mut().find(|(bytes, group)| {
            let fits = |other: &Member| match (&member.leaf, &other.leaf) {
                (Some(leaf), Some(other_leaf)) => leaf.fits(other_leaf) && member.prepared.tenant == other.prepared.tenant,
                _ => false,
            };
            bytes + size <= BYTES_PER_PRINT && group.len() < DOCUMENTS_PER_PRINT && group.first().is_some_and(fits)
        });
        match fitting {
            Some((bytes, group)) => {
                *bytes += size;
                group.push(member);
            }
            None => groups.push((size, vec![member])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}
