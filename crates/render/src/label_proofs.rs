//! A proof, step by step: what the stored data of a template looks like with the version that a label leads to, and with the one
//! that it is to lead to.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blobs::{BlobKey, BlobKind, BlobSource, Blobs};
use bytes::Bytes;
use document::compatibility::Compatibility;
use document::{Bindings, Compiled};
use domain::label_proofs::{DatasetProof, PROOF_DATASETS, PROOF_PAGES, PROOF_PICTURES, ProofOutcome, ProofPair};
use domain::labels::LabelName;
use domain::options::RenderOptions;
use domain::template_datasets::DATASETS_LIMIT;
use domain::templates::{TemplateKey, TemplateVersion};
use domain::usage::RenderMode;
use domain::{Actor, TenantId};
use jiff::Timestamp;
use pdf::{CompareLimits, Comparison, PageChange, RasterLimits};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::{DatasetRecord, LabelProofRecord, NewLabelProof, ProofPicture};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::error::RenderError;
use crate::format_options::FormatOptions;
use crate::labels::Which;
use crate::request::{Attribution, Format, RenderRequest, Source};
use crate::run::{Renderer, StopOnDrop};

/// How long one proof may take. What is not looked at by then counts as unexplained.
const DEADLINE: Duration = Duration::from_mins(1);
/// Proofs under way on this replica, each of another tenant: each keeps one tab busy.
const AT_ONCE: usize = 2;
/// When a proof that found no place is likely to find one.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How large pages are compared: small print is readable, and an A4 page takes 3.6 MB.
const RASTER: RasterLimits = RasterLimits { dpi: 96, max_page_pixels: 4_000_000 };
/// Pictures of one proof: on average 1 MB for each.
const PICTURE_BYTES: u64 = 48 * 1024 * 1024;

/// What is to be proven, and on whose behalf.
#[derive(Clone, Debug)]
pub struct ProofOrder {
    /// Whose template.
    pub tenant: TenantId,
    /// Its key.
    pub key: TemplateKey,
    /// The label that is to move.
    pub label: LabelName,
    /// From where to where.
    pub pair: ProofPair,
    /// Who asked.
    pub actor: Actor,
    /// What the log of renders says about who asked.
    pub attribution: Attribution,
}

/// What proofs share on this replica.
pub(crate) struct Proofs {
    blobs: Blobs,
    places: Semaphore,
    tenants: Mutex<BTreeSet<TenantId>>,
    /// One drawing at a time: it takes a whole core and some 20 MB.
    drawing: Arc<Semaphore>,
}

impl Proofs {
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self { blobs, places: Semaphore::new(AT_ONCE), tenants: Mutex::default(), drawing: Arc::new(Semaphore::new(1)) }
    }

    /// The turn of a tenant, which has one at a time.
    fn turn(&self, tenant: &TenantId) -> Result<Turn<'_>, RenderError> {
        let is_first = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone());
        if is_first { Ok(Turn(self, tenant.clone())) } else { Err(RenderError::ProofUnderWay { retry_after: RETRY_AFTER }) }
    }
}

/// Ends with the proof, however that ends.
struct Turn<'a>(&'a Proofs, TenantId);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// What the documents of both versions are made from.
struct Subject<'a> {
    order: &'a ProofOrder,
    versions: Readied,
    /// The same for both, so that a date that changes daily changes nothing.
    now: Timestamp,
    deadline: Instant,
}

/// Data that both versions are rendered with.
struct Case {
    /// None for the sample.
    dataset: Option<(String, u32)>,
    data: Value,
    expect_invalid: bool,
}

/// What became of one case.
struct Found {
    result: DatasetProof,
    message: Option<String>,
    comparison: Option<Comparison>,
    /// Whether both versions refuse the data, as they are to: that says nothing about what their documents look like.
    is_refusal: bool,
}

impl Found {
    fn said(result: DatasetProof, message: impl Into<String>) -> Self {
        Self { result, message: Some(message.into()), comparison: None, is_refusal: false }
    }
}

/// Both versions, made ready; or why one of them makes no document at all any more.
type Readied = Result<(Arc<Compiled>, Arc<Compiled>), String>;

impl Renderer {
    /// Finds out what a move would change, and keeps what was found: the pictures first and the row second. The documents count
    /// as renders. What the template or its data did wrong is a finding; what the server lacks is an error, and then nothing is kept.
    pub async fn prove(&self, order: ProofOrder) -> Result<LabelProofRecord, RenderError> {
        let _turn = self.proofs().turn(&order.tenant)?;
        let _place = self.proofs().places.try_acquire().map_err(|_| RenderError::Saturated { retry_after: RETRY_AFTER })?;
        let started = Instant::now();
        let versions = self.readied(&order).await?;
        let compatibility = match &versions {
            Ok((base, candidate)) => Some(self.compare(Arc::clone(base), Arc::clone(candidate)).await?),
            Err(_) => None,
        };
        let subject = Subject { order: &order, versions, now: self.now(), deadline: started + DEADLINE };
        let (names, left_out) = self.names(&order).await?;
        let (mut shown, mut results, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
        let mut room = Room { pictures: PROOF_PICTURES, bytes: PICTURE_BYTES };
        for name in names {
            let Some(case) = self.case(&order, name).await? else { continue };
            let begun = Instant::now();
            let found = match timeout_at(subject.deadline, Box::pin(self.look(&subject, &case, room))).await {
                Ok(found) => found?,
                Err(_) => Found::said(DatasetProof::NotCompared, format!("the proof took its {} s", DEADLINE.as_secs())),
            };
            let numbers = self.keep(&order.tenant, found.comparison.as_ref(), &mut room, &mut pictures).await?;
            if !found.is_refusal {
                results.push(found.result);
            }
            shown.push(finding(&case, &found, &numbers, begun.elapsed()));
        }
        if left_out > 0 {
            results.push(DatasetProof::NotCompared);
        }
        let outcome = match &compatibility {
            None => ProofOutcome::Failed,
            Some(found) if found.compatible => ProofOutcome::of(results),
            Some(_) => ProofOutcome::Breaking,
        };
        let findings = json!({
            "compatibility": compatibility.map(|found| compatibility_shown(order.pair, &found)), "now": subject.now.to_string(),
            "datasets": shown, "datasetsLeftOut": left_out, "dpi": RASTER.dpi, "message": subject.versions.err(),
        });
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        metrics::counter!("pulp_label_proofs_total", "outcome" => outcome.as_str()).increment(1);
        metrics::histogram!("pulp_label_proof_seconds").record(started.elapsed().as_secs_f64());
        let new = NewLabelProof { label: &order.label, pair: order.pair, outcome, findings: &findings, pictures: &pictures, took_ms };
        let kept = self.assets().store().tenant(order.tenant.clone()).label_proofs().insert(&order.key, new, &order.actor).await?;
        kept.ok_or_else(|| RenderError::UnknownTemplate { key: order.key.to_string() })
    }

    /// The PNG of a picture.
    pub async fn proof_picture(&self, tenant: &TenantId, picture: ProofPicture) -> Result<Bytes, RenderError> {
        let key = BlobKey::new(tenant.clone(), BlobKind::Proofs, picture.sha256);
        let missing = || RenderError::AssetBinaryMissing { name: key.to_string() };
        Ok(self.proofs().blobs.get(&key, None).await?.ok_or_else(missing)?.collect(picture.size_bytes).await?)
    }

    /// Both versions made ready. That a part of one went away or became another is a finding: somebody may answer for leaving it.
    async fn readied(&self, order: &ProofOrder) -> Result<Readied, RenderError> {
        let mut compiled = Vec::with_capacity(2);
        for (which, version) in [("old", order.pair.base), ("new", order.pair.candidate)] {
            match self.template(&order.tenant, &order.key, Which::Version(version)).await {
                Ok(template) => compiled.push(template.compiled),
                Err(error) if error.is_of_the_template() => {
                    return Ok(Err(format!("the {which} version {version} makes no document: {error}")));
                }
                Err(error) => return Err(error),
            }
        }
        let [base, candidate] = [compiled.swap_remove(0), compiled.swap_remove(0)];
        Ok(Ok((base, candidate)))
    }

    /// The datasets that documents are made of before those that are to be refused, each by name; then none for the sample where
    /// no dataset makes a document. And how many are left out.
    async fn names(&self, order: &ProofOrder) -> Result<(Vec<Option<domain::template_datasets::DatasetName>>, u64), RenderError> {
        let most = u32::try_from(DATASETS_LIMIT).unwrap_or(u32::MAX);
        let tenant = self.assets().store().tenant(order.tenant.clone());
        let page = tenant.template_datasets().list(&order.key, None, most, 0).await?;
        let page = page.ok_or_else(|| RenderError::UnknownTemplate { key: order.key.to_string() })?;
        let (refused, mut taken): (Vec<_>, Vec<_>) = page.items.into_iter().partition(|dataset| dataset.expect_invalid);
        let sample = taken.is_empty().then_some(None);
        taken.extend(refused);
        taken.truncate(PROOF_DATASETS);
        let left_out = page.total.saturating_sub(taken.len() as u64);
        Ok((taken.into_iter().map(|dataset| Some(dataset.name)).chain(sample).collect(), left_out))
    }

    /// The data; none where it was removed meanwhile, or there is no sample.
    async fn case(&self, order: &ProofOrder, name: Option<domain::template_datasets::DatasetName>) -> Result<Option<Case>, RenderError> {
        let tenant = self.assets().store().tenant(order.tenant.clone());
        Ok(match name {
            None => tenant.samples().get(&order.key).await?.map(|data| Case { dataset: None, data, expect_invalid: false }),
            Some(name) => tenant.template_datasets().get(&order.key, &name).await?.map(|DatasetRecord { summary, data }| Case {
                dataset: Some((summary.name.to_string(), summary.revision)),
                data,
                expect_invalid: summary.expect_invalid,
            }),
        })
    }

    /// Makes both documents and compares them.
    async fn look(&self, subject: &Subject<'_>, case: &Case, room: Room) -> Result<Found, RenderError> {
        let (base, candidate) = match &subject.versions {
            Ok(versions) => versions,
            Err(message) => return Ok(Found::said(DatasetProof::Failed, message)),
        };
        if case.expect_invalid {
            let refused_by = async |compiled: &Arc<Compiled>| {
                Ok::<_, RenderError>(!self.validate(Arc::clone(compiled), case.data.clone()).await?.is_empty())
            };
            match (refused_by(base).await?, refused_by(candidate).await?) {
                (true, true) => {
                    let found = Found::said(DatasetProof::Unchanged, "both versions refuse it, as they are to");
                    return Ok(Found { is_refusal: true, ..found });
                }
                (true, false) => return Ok(Found::said(DatasetProof::Changed, "only the old version refuses it, and both are to")),
                (false, true) => return Ok(Found::said(DatasetProof::Changed, "only the new version refuses it, and both are to")),
                (false, false) => {}
            }
        }
        let pair = subject.order.pair;
        let mut documents = Vec::with_capacity(2);
        for (which, version) in [("old", pair.base), ("new", pair.candidate)] {
            match self.document_of(subject, version, &case.data).await {
                Ok(document) => documents.push(document),
                Err(error) if error.is_of_the_template() => {
                    return Ok(Found::said(
                        DatasetProof::Failed,
                        format!("the {which} version {version} makes no document of it: {error}"),
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        let [old, new] = [documents.swap_remove(0), documents.swap_remove(0)];
        if old == new {
            return Ok(Found::said(DatasetProof::Unchanged, "both documents have the same bytes"));
        }
        let comparison = match self.drawn(old, new, room, subject.deadline).await {
            Ok(comparison) => comparison,
            Err(RenderError::Pdf(error)) => return Ok(Found::said(DatasetProof::NotCompared, error.to_string())),
            Err(RenderError::Defect(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, template = %subject.order.key, "drawing a document panicked");
                return Ok(Found::said(DatasetProof::NotCompared, "the pages cannot be drawn"));
            }
            Err(error) => return Err(error),
        };
        let is_unknown = comparison.differences.iter().any(|page| page.change == PageChange::Unknown);
        let result = if comparison.differences.iter().any(|page| page.change != PageChange::Unknown) {
            DatasetProof::Changed
        } else if comparison.left_out() > 0 || is_unknown {
            DatasetProof::NotCompared
        } else {
            DatasetProof::Unchanged
        };
        let message = match (comparison.left_out(), is_unknown) {
            (0, false) => None,
            (0, true) => Some("something on a page cannot be drawn here".to_owned()),
            (left_out, _) => Some(format!("{left_out} pages were not looked at")),
        };
        Ok(Found { result, message, comparison: Some(comparison), is_refusal: false })
    }

    async fn document_of(&self, subject: &Subject<'_>, version: TemplateVersion, data: &Value) -> Result<Bytes, RenderError> {
        let order = subject.order;
        let request = RenderRequest {
            tenant: order.tenant.clone(),
            source: Source::Stored { key: order.key.clone(), which: Which::Version(version), bucket_key: None },
            data: data.clone().into(),
            fixed_data: None,
            options: RenderOptions::default(),
            now: Some(subject.now),
            bindings: Bindings::Lenient,
            format: Format::Pdf,
            format_options: FormatOptions::default(),
            attribution: Attribution { mode: RenderMode::Batch, ..order.attribution.clone() },
            output: None,
        };
        Ok(self.render(request).await?.body)
    }

    /// Compares two documents page by page, away from the request threads. Stops when nobody waits any more.
    async fn drawn(&self, old: Bytes, new: Bytes, room: Room, deadline: Instant) -> Result<Comparison, RenderError> {
        let limits = CompareLimits { raster: RASTER, max_pages: PROOF_PAGES, max_pictures: room.pictures, max_picture_bytes: room.bytes };
        let acquired = Arc::clone(&self.proofs().drawing).acquire_owned().await;
        let permit = acquired.map_err(|_| RenderError::Saturated { retry_after: RETRY_AFTER })?;
        let stop = StopOnDrop(Arc::default());
        let stopped: Arc<AtomicBool> = Arc::clone(&stop.0);
        let drawing = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            pdf::compare(old, new, &limits, || !stopped.load(Ordering::Relaxed) && Instant::now() < deadline)
        });
        Ok(drawing.await.map_err(RenderError::Defect)??)
    }

    /// Puts the pictures of one case where they belong; gives the number of each difference, where it has a picture.
    async fn keep(
        &self,
        tenant: &TenantId,
        comparison: Option<&Comparison>,
        room: &mut Room,
        pictures: &mut Vec<ProofPicture>,
    ) -> Result<Vec<Option<usize>>, RenderError> {
        let mut numbers = Vec::new();
        for difference in comparison.into_iter().flat_map(|comparison| &comparison.differences) {
            let Some(png) = &difference.picture else {
                numbers.push(None);
                continue;
            };
            let picture = ProofPicture { sha256: Sha256::digest(png).into(), size_bytes: png.len() as u64 };
            let key = BlobKey::new(tenant.clone(), BlobKind::Proofs, picture.sha256);
            self.proofs().blobs.put(&key, BlobSource::bytes(png.clone())).await?;
            *room = Room { pictures: room.pictures.saturating_sub(1), bytes: room.bytes.saturating_sub(picture.size_bytes) };
            pictures.push(picture);
            numbers.push(Some(pictures.len()));
        }
        Ok(numbers)
    }
}

/// How many pictures a proof may still have.
#[derive(Clone, Copy)]
struct Room {
    pictures: u32,
    bytes: u64,
}

fn finding(case: &Case, found: &Found, numbers: &[Option<usize>], took: Duration) -> Value {
    let mut shown = json!({
        "dataset": case.dataset.as_ref().map(|(name, _)| name), "revision": case.dataset.as_ref().map(|(_, revision)| revision),
        "result": found.result.as_str(), "message": found.message, "tookMs": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    });
    if let Some(comparison) = &found.comparison {
        let differences = comparison.differences.iter().zip(numbers).map(|(difference, number)| {
            let change = match difference.change {
                PageChange::Changed => "changed",
                PageChange::Added => "added",
                PageChange::Removed => "removed",
                PageChange::Unknown => "unknown",
            };
            json!({ "page": difference.page, "change": change, "pixels": difference.pixels, "picture": number })
        });
        shown["basePages"] = json!(comparison.old_pages);
        shown["pages"] = json!(comparison.new_pages);
        shown["pagesCompared"] = json!(comparison.compared);
        shown["differences"] = differences.collect();
    }
    shown
}

fn compatibility_shown(pair: ProofPair, found: &Compatibility) -> Value {
    json!({
        "base": pair.base, "candidate": pair.candidate, "compatible": found.compatible, "changes": found.changes,
        "truncated": found.truncated,
    })
}
