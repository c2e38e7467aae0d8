//! Several documents in one request: a few at a time, beside those that somebody waits for and behind them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::TenantId;
use store::DocumentRecord;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::documents::{Keeping, Origin};
use crate::error::RenderError;
use crate::mail_merge::DOCUMENTS_PER_PRINT;
use crate::request::{RenderRequest, Rendered};
use crate::run::Renderer;

/// How the documents of a batch are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printing {
    /// Each for itself.
    Alone,
    /// Those of one template together, and cut apart again, where nothing in them could tell the difference.
    Together,
}

/// One of a batch: its place in the request, and what came of it, with the stored document where it was to be kept.
pub type Item = (usize, Result<(Rendered, Option<DocumentRecord>), RenderError>);

/// A batch that is being rendered. Dropping it stops the work.
#[derive(Debug)]
pub struct Batch {
    results: mpsc::Receiver<Item>,
    _workers: JoinSet<()>,
    _place: Place,
}

impl Batch {
    /// What ended next, in whatever order; none when all has been told. Results that nobody takes hold up the batch and no tab.
    pub async fn next(&mut self) -> Option<Item> {
        self.results.recv().await
    }
}

impl Renderer {
    /// Renders requests of one tenant, each under its number.
    ///
    /// Every request is a render of its own in usage and limits. One that fails fails alone. Those that have not begun by the
    /// deadline of batches fail with [`RenderError::DeadlineExceeded`]. More batches at a time than may be, of all tenants or of
    /// this one, are [`RenderError::Saturated`].
    pub fn batch(&self, tenant: &TenantId, items: Vec<(usize, RenderRequest)>, printing: Printing) -> Result<Batch, RenderError> {
        let limits = &self.0.limits;
        let place = self.0.batches.enter(tenant, limits.batches);
        let place = place.ok_or_else(|| RenderError::Saturated { retry_after: self.0.pool.retry_after() })?;
        let most = match printing {
            Printing::Alone => 1,
            Printing::Together => DOCUMENTS_PER_PRINT,
        };
        // All workers have something to do before one of them has much.
        let workers = limits.batch_renders.max(1);
        let size = items.len().div_ceil(workers).clamp(1, most);
        let mut waiting = VecDeque::with_capacity(items.len().div_ceil(size));
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            waiting.push_back(items.by_ref().take(size).collect::<Vec<_>>());
        }
        let workers = workers.min(waiting.len());
        let deadline = Instant::now() + Duration::from_millis(limits.batch_deadline_ms);
        let (sender, results) = mpsc::channel(1);
        let work = Arc::new(Work { renderer: self.clone(), waiting: Mutex::new(waiting), deadline, results: sender });
        let mut tasks = JoinSet::new();
        for _ in 0..workers {
            let work = Arc::clone(&work);
            tasks.spawn(async move { work.go_on().await }.in_current_span());
        }
        Ok(Batch { results, _workers: tasks, _place: place })
    }

    /// Finished PDFs as one, each under an entry of the outline where it has a title.
    pub async fn merge(&self, parts: Vec<(Bytes, Option<String>)>, title: Option<String>) -> Result<Bytes, RenderError> {
        let stamp = pdf::Stamp { now: self.0.clock.now(), metadata: pdf::Metadata { title, ..pdf::Metadata::default() } };
        let limits = pdf::Limits { max_bytes: self.0.limits.batch_output_bytes, max_pages: self.0.limits.max_pages };
        let merging = tokio::task::spawn_blocking(move || {
            let parts: Vec<_> = parts.into_iter().map(|(pdf, title)| pdf::Part { pdf, title }).collect();
            pdf::merge(&parts, &stamp, limits)
        });
        Ok(merging.await.map_err(RenderError::Defect)??.bytes)
    }

    /// What one render and one batch may use.
    pub fn limits(&self) -> &crate::Limits {
        &self.0.limits
    }
}

/// What the workers of a batch share.
struct Work {
    renderer: Renderer,
    waiting: Mutex<VecDeque<Vec<(usize, RenderRequest)>>>,
    deadline: Instant,
    results: mpsc::Sender<Item>,
}

impl Work {
    async fn go_on(&self) {
        while let Some(next) = self.next() {
            for item in self.render(next).await {
                if self.results.send(item).await.is_err() {
                    return;
                }
            }
        }
    }

    fn next(&self) -> Option<Vec<(usize, RenderRequest)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Renders, and keeps what is to be kept. What cannot be kept as it asks is not rendered.
    async fn render(&self, items: Vec<(usize, RenderRequest)>) -> Vec<Item> {
        let documents = self.renderer.documents();
        let (mut ended, mut keepings) = (Vec::with_capacity(items.len()), HashMap::new());
        let mut wanted = Vec::with_capacity(items.len());
        for (index, request) in items {
            match documents.keeping(&request) {
                Ok(keeping) => {
                    keepings.extend(keeping.map(|keeping| (index, (keeping, Origin::of(request.attribution.mode)))));
                    wanted.push((index, request));
                }
                Err(error) => ended.push((index, Err(error))),
            }
        }
        for (index, outcome) in self.printed(wanted).await {
            ended.push((index, self.kept(outcome, keepings.remove(&index)).await));
        }
        ended
    }

    async fn kept(
        &self,
        outcome: Result<Rendered, RenderError>,
        keeping: Option<(Keeping, Origin)>,
    ) -> Result<(Rendered, Option<DocumentRecord>), RenderError> {
        let rendered = outcome?;
        let Some((keeping, origin)) = keeping else { return Ok((rendered, None)) };
        let kept = self.renderer.documents().keep(&keeping, &rendered, origin).await?;
        Ok((rendered, Some(kept)))
    }

    async fn printed(&self, mut items: Vec<(usize, RenderRequest)>) -> Vec<(usize, Result<Rendered, RenderError>)> {
        let renderer = &self.renderer;
        // First come, first served: as each batch asks for a few places at a time, batches have turns. A free place is had
        // whatever the time, so that the time is asked for too.
        let place = timeout_at(self.deadline, renderer.0.batch_renders.acquire()).await;
        let Some(_place) = place.ok().and_then(Result::ok).filter(|_| Instant::now() < self.deadline) else {
            let late = || RenderError::DeadlineExceeded { deadline_ms: renderer.0.limits.batch_deadline_ms };
            return items.into_iter().map(|(index, _)| (index, Err(late()))).collect();
        };
        match items.pop() {
            Some((index, only)) if items.is_empty() => vec![(index, renderer.render_admitted(only).await)],
            Some(last) => {
                items.push(last);
                Box::pin(renderer.render_together(items)).await
            }
            None => Vec::new(),
        }
    }
}

/// How many batches each tenant has under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batches(Arc<Mutex<HashMap<TenantId, usize>>>);

impl Batches {
    /// A place for one more, of which a tenant has half of all at most.
    fn enter(&self, tenant: &TenantId, most: usize) -> Option<Place> {
        let mut under_way = self.under_way();
        let (of_all, of_tenant) = (under_way.values().sum::<usize>(), under_way.get(tenant).copied().unwrap_or(0));
        if of_all >= most || of_tenant >= most.div_ceil(2) {
            return None;
        }
        under_way.insert(tenant.clone(), of_tenant + 1);
        Some(Place { batches: self.clone(), tenant: tenant.clone() })
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropping it gives it back.
#[derive(Debug)]
struct Place {
    batches: Batches,
    tenant: TenantId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.batches.under_way();
        if let Some(count) = under_way.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_leaves_half_of_the_places_to_others_and_gives_its_own_back() {
        let batches = Batches::default();
        let (one, other): (TenantId, TenantId) = ("one".parse().unwrap(), "other".parse().unwrap());
        let first = batches.enter(&one, 4).unwrap();
        let _second = batches.enter(&one, 4).unwrap();
        assert!(batches.enter(&one, 4).is_none());
        let _third = batches.enter(&other, 4).unwrap();
        drop(first);
        let _again = batches.enter(&one, 4).unwrap();
        let _fourth = batches.enter(&other, 4).unwrap();
        assert!(batches.enter(&"third".parse().unwrap(), 4).is_none(), "all are taken");
        assert!(Batches::default().enter(&one, 1).is_some());
    }
}
