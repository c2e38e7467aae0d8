//! One render, step by step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chromium::Pool;
use chromium::fonts::{Coverage, FontsError};
use document::bindings::BindingList;
use document::compatibility::{self, Compatibility};
use document::diff::{self, TemplateDiff};
use document::inference::{self, RequiredWhen, Sample};
use document::{AssetMap, Bindings, Compiled, DocumentError, DryRun, Input, Written};
use domain::assets::AssetName;
use domain::caches::CacheReport;
use domain::datasets::DatasetLimits;
use domain::labels::Releases;
use domain::options::RenderOptions;
use domain::quotas::QuotaStanding;
use domain::templates::{TemplateKey, TemplateVersion};
use domain::{Clock, TenantId};
use jiff::Timestamp;
use serde_json::{Map, Value};
use store::Store;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::admission::Admission;
use crate::assets::Assets;
use crate::batches::Batches;
use crate::data_urls::DataUrls;
use crate::datasets::Datasets;
use crate::documents::{DocumentOptions, Documents};
use crate::error::RenderError;
use crate::hashes::hash_of_data;
use crate::label_proofs::Proofs;
use crate::labels::{Via, Which};
use crate::limits::Limits;
use crate::parts::{Checking, EffectiveTemplate};
use crate::request::{RenderRequest, Rendered, Source};
use crate::stored_files::StoredFiles;
use crate::tabular::{TabularFile, TabularOrder};
use crate::templates::{Resolved, Templates};
use crate::usage::{Usage, UsageOptions};

/// How far behind the deadline work may notice it: its own error says more than ours.
const OVERTIME: Duration = Duration::from_millis(500);
/// How often render workers are asked for their fonts until one says.
const FONTS_AGAIN: Duration = Duration::from_secs(5);

/// What a renderer works with.
pub struct Setup {
    /// Where templates come from.
    pub store: Store,
    /// What prints.
    pub pool: Pool,
    /// What `now` is when a request does not say.
    pub clock: Clock,
    /// What one render may use.
    pub limits: Limits,
    /// Where the bytes of assets are.
    pub blobs: blobs::Blobs,
    /// How what was rendered is kept until it is written.
    pub usage: UsageOptions,
    /// Which version renders when none is named.
    pub releases: Releases,
    /// How documents are kept whose requests ask for it.
    pub documents: DocumentOptions,
    /// What datasets may be.
    pub datasets: DatasetLimits,
    /// The way to addresses that data is got from; none where that is not allowed.
    pub data_urls: Option<DataUrls>,
}

/// Renders documents. Cloning shares everything.
#[derive(Clone)]
pub struct Renderer(pub(crate) Arc<Inner>);

/// What all clones share.
pub(crate) struct Inner {
    pub(crate) pool: Pool,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    templates: Templates,
    assets: Assets,
    pub(crate) stored_files: StoredFiles,
    proofs: Proofs,
    documents: Documents,
    datasets: Datasets,
    pub(crate) data_urls: Option<DataUrls>,
    pub(crate) usage: Usage,
    /// Batches under way, and places for documents of batches.
    pub(crate) batches: Batches,
    pub(crate) batch_renders: Semaphore,
    renders: Admission,
    checks: Semaphore,
    writers: Arc<Semaphore>,
    conversions: Arc<Semaphore>,
    drawings: Arc<Semaphore>,
    fonts: Arc<OnceLock<Coverage>>,
}

impl Renderer {
    /// A renderer that hears of changes for as long as the store is open, and keeps what it rendered until
    /// [`Renderer::drain_usage`]. Call it within a runtime.
    pub fn new(setup: Setup) -> Self {
        let usage = Usage::new(setup.store.clone(), setup.clock.clone(), setup.usage);
        let templates = Templates::new(setup.store.clone(), setup.limits.document, setup.releases);
        let proofs = Proofs::new(setup.blobs.clone());
        let documents = Documents::new(setup.store.clone(), setup.blobs.clone(), setup.clock.clone(), setup.documents);
        let datasets = Datasets::new(setup.store.clone(), setup.blobs.clone(), setup.datasets);
        let stored_files = StoredFiles::new(setup.blobs.clone());
        let assets = Assets::new(setup.store.clone(), setup.blobs);
        tokio::spawn(listen(setup.store, templates.clone(), assets.clone(), usage.clone()));
        tokio::spawn(usage.clone().keep());
        let fonts = Arc::new(OnceLock::new());
        tokio::spawn(read_fonts(setup.pool.clone(), Arc::clone(&fonts)));
        let writers = Arc::new(Semaphore::new(setup.limits.concurrent_writes.max(1)));
        let conversions = Arc::new(Semaphore::new(setup.limits.concurrent_conversions.max(1)));
        let drawings = Arc::new(Semaphore::new(setup.limits.concurrent_drawings.max(1)));
        let renders = Admission::new(setup.limits.in_flight, setup.limits.tabs);
        let checks = Semaphore::new(setup.limits.in_flight.max(1));
        let batch_renders = Semaphore::new(setup.limits.batch_renders.max(1));
        Self(Arc::new(Inner {
            pool: setup.pool,
            clock: setup.clock,
            limits: setup.limits,
            templates,
            assets,
            stored_files,
            proofs,
            documents,
            datasets,
            data_urls: setup.data_urls,
            usage,
            batches: Batches::default(),
            batch_renders,
            renders,
            checks,
            writers,
            conversions,
            drawings,
            fonts,
        }))
    }

    /// Renders one document. Dropping the future stops the work.
    ///
    /// Every render that was let through is a row of usage, however it ends; who was refused at the door is not.
    pub async fn render(&self, request: RenderRequest) -> Result<Rendered, RenderError> {
        let _admitted = self.0.renders.enter(&request.tenant).ok_or_else(|| self.saturated())?;
        self.render_admitted(request).await
    }

    /// Renders one document for which there is a place.
    pub(crate) async fn render_admitted(&self, mut request: RenderRequest) -> Result<Rendered, RenderError> {
        let (mut record, started) = self.begin(&mut request).await?;
        let outcome = Box::pin(async {
            let prepared = self.prepare(request, &mut record, started).await?;
            self.print(prepared, self.deadline(started)).await
        })
        .await;
        self.conclude(record, outcome).await
    }

    /// Checks everything that a render would do, short of printing.
    pub async fn dry_run(&self, mut request: RenderRequest) -> Result<DryRun, RenderError> {
        let _admitted = self.admit(&self.0.checks)?;
        let deadline = self.deadline(Instant::now());
        let compiled = match self.resolve(&mut request, deadline).await {
            Ok((_, compiled)) => compiled,
            Err(RenderError::Document(error)) => return Ok(document::refused(error)?),
            Err(error) => return Err(error),
        };
        let now = request.now.unwrap_or_else(|| self.0.clock.now());
        let data = self.resolve_data(&mut request, deadline).await?;
        let work = Arc::new(Work::of(&mut request, data, &compiled, now));
        let mut assets = self.assets_of(&work, &AssetMap::default(), compiled.assets(), deadline).await?;
        loop {
            let (with, known) = (Arc::clone(&work), assets.clone());
            let checking =
                self.compute(deadline, move |limits, cancelled| document::check(&with.compiled, &with.input(&known, cancelled), limits));
            match checking.await {
                Err(RenderError::Document(DocumentError::AssetsNeeded(names))) => {
                    assets = self.assets_of(&work, &assets, &names, deadline).await?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Places for files with data that are being read.
    pub(crate) fn conversions(&self) -> &Arc<Semaphore> {
        &self.0.conversions
    }

    /// Places for documents whose pages are being drawn.
    pub(crate) fn drawings(&self) -> &Arc<Semaphore> {
        &self.0.drawings
    }

    /// A place for something that is only looked at.
    pub(crate) fn admit_check(&self) -> Result<SemaphorePermit<'_>, RenderError> {
        self.admit(&self.0.checks)
    }

    pub(crate) fn proofs(&self) -> &Proofs {
        &self.0.proofs
    }

    /// The moment that a document believes it is when nobody says otherwise.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The kept documents of all tenants.
    pub fn documents(&self) -> &Documents {
        &self.0.documents
    }

    /// Whether data may come from addresses that requests name.
    pub fn gets_data_from_urls(&self) -> bool {
        self.0.data_urls.is_some()
    }

    /// The datasets of all tenants.
    pub fn datasets(&self) -> &Datasets {
        &self.0.datasets
    }

    /// The assets of all tenants.
    pub fn assets(&self) -> &Assets {
        &self.0.assets
    }

    /// A stored template version, compiled.
    pub async fn template(&self, tenant: &TenantId, key: &TemplateKey, which: Which) -> Result<Resolved, RenderError> {
        which.refuse_the_future(self.0.clock.now())?;
        self.0.templates.resolve(tenant, key, &which, None).await
    }

    /// How this installation uses labels.
    pub fn releases(&self) -> &Releases {
        self.0.templates.releases()
    }

    /// What fits `data` to the template's schema, after its mappings.
    pub async fn validate(&self, compiled: Arc<Compiled>, data: Value) -> Result<Vec<domain::Issue>, RenderError> {
        let _admitted = self.admit(&self.0.checks)?;
        let deadline = self.deadline(Instant::now());
        let now = self.0.clock.now();
        self.compute(deadline, move |limits, cancelled| document::validate(&compiled, &data, now, limits, Some(cancelled))).await
    }

    /// What callers who send what `base` takes would meet at `candidate`.
    pub async fn compare(&self, base: Arc<Compiled>, candidate: Arc<Compiled>) -> Result<Compatibility, RenderError> {
        let _admitted = self.admit(&self.0.checks)?;
        let deadline = self.deadline(Instant::now());
        self.compute(deadline, move |_, _| Ok(compatibility::compare_versions(&base, &candidate))).await
    }

    /// What changed between two definitions.
    pub async fn diff(&self, before: Value, after: Value) -> Result<TemplateDiff, RenderError> {
        let _admitted = self.admit(&self.0.checks)?;
        let deadline = self.deadline(Instant::now());
        self.compute(deadline, move |_, _| Ok(diff::diff(&before, &after))).await
    }

    /// A schema that `sample` fits.
    pub async fn infer_schema(&self, sample: Sample, required: RequiredWhen) -> Result<Value, RenderError> {
        let _admitted = self.admit(&self.0.checks)?;
        let deadline = self.deadline(Instant::now());
        self.compute(deadline, move |_, _| inference::infer_schema(&sample, required)).await
    }

    /// Every path of the data that a template names.
    pub async fn bindings(&self, compiled: Arc<Compiled>) -> Result<BindingList, RenderError> {
        let _admitted = self.admit(&self.0.checks)?;
        let deadline = self.deadline(Instant::now());
        self.compute(deadline, move |_, _| Ok(compiled.bindings())).await
    }

    /// Checks a definition together with what it is made with, and keeps nothing.
    ///
    /// References that lead nowhere, to another kind of template or into a circle, and whatever does not compile as a whole, are
    /// [`DocumentError::Definition`] with pointers into the definition and near names.
    pub async fn check(&self, tenant: &TenantId, definition: Value, checking: Checking) -> Result<Compiled, RenderError> {
        let _admitted = self.admit(&self.0.checks)?;
        let deadline = self.deadline(Instant::now());
        self.compiled(tenant, Arc::new(definition), &checking, deadline).await
    }

    async fn compiled(
        &self,
        tenant: &TenantId,
        definition: Arc<Value>,
        checking: &Checking,
        deadline: Instant,
    ) -> Result<Compiled, RenderError> {
        let gathering = self.0.templates.parts_of(tenant, &definition, checking);
        let parts = tokio::time::timeout_at(deadline, gathering).await.map_err(|_| self.late())??;
        self.compute(deadline, move |limits, _| {
            // What cannot be read as a reference leaves nothing to put together, and is refused by the compiler.
            if parts.is_empty() {
                return Compiled::compile(&definition, limits);
            }
            document::effective(&definition, &parts, limits)?.compile(limits)
        })
        .await
    }

    /// A stored version with its theme, its layout and its components in it, and which versions those are.
    pub async fn effective(&self, tenant: &TenantId, key: &TemplateKey, which: Which) -> Result<EffectiveTemplate, RenderError> {
        which.refuse_the_future(self.0.clock.now())?;
        let _admitted = self.admit(&self.0.checks)?;
        let deadline = self.deadline(Instant::now());
        let putting_together = self.0.templates.effective(tenant, key, &which);
        tokio::time::timeout_at(deadline, putting_together).await.map_err(|_| self.late())?
    }

    /// To be called after a write, so that this replica's next render sees it.
    pub async fn template_changed(&self, tenant: &TenantId, key: &TemplateKey) {
        self.0.templates.forget(tenant, key).await;
    }

    /// Where the tenant stands with each of its limits on renders: the whole cluster's sums of this month, a moment old,
    /// and the renders under way on this replica. Empty for a tenant without such limits.
    pub async fn quota_standings(&self, tenant: &TenantId) -> Vec<QuotaStanding> {
        self.0.usage.gate().standings(tenant, self.0.clock.now()).await
    }

    /// Writes what was rendered and is not yet written, until `deadline` at the latest; gives how many rows were lost. To
    /// be called once, after the last render and before the store is closed.
    pub async fn drain_usage(&self, deadline: Instant) -> usize {
        self.0.usage.drain(deadline).await
    }

    /// Sets the gauge `pulp_usage_queue_rows`; call it before the metrics are read.
    pub fn record_usage_metrics(&self) {
        self.0.usage.record_metrics();
    }

    /// The caches of this process that renders use.
    pub fn caches(&self) -> Vec<CacheReport> {
        let mut caches = Vec::from(self.0.templates.caches());
        caches.extend(self.0.assets.caches());
        caches.push(self.0.datasets.cache());
        caches.push(self.0.usage.gate().cache());
        caches
    }

    /// Sets the gauges of render workers; call it before the metrics are read.
    pub fn record_pool_metrics(&self) {
        self.0.pool.record_metrics();
    }

    /// What the browsers are doing.
    pub fn pool_status(&self) -> chromium::PoolStatus {
        self.0.pool.status()
    }

    /// Renders that have a place at this moment, those of batches and jobs included.
    pub fn renders_under_way(&self) -> usize {
        let taken = |places: &Semaphore, all: usize| all.max(1).saturating_sub(places.available_permits());
        self.0.renders.taken() + taken(&self.0.batch_renders, self.0.limits.batch_renders)
    }

    /// A place among those that are being worked on. Who finds none is told at once, before anything is done for them.
    fn admit<'p>(&self, places: &'p Semaphore) -> Result<SemaphorePermit<'p>, RenderError> {
        places.try_acquire().map_err(|_| self.saturated())
    }

    fn saturated(&self) -> RenderError {
        RenderError::Saturated { retry_after: self.0.pool.retry_after() }
    }

    /// What a render of this tenant would be told at this moment before anything is done for it; none where there is a place. To be
    /// asked before more is read of a large request.
    pub fn refusal_of(&self, tenant: &TenantId) -> Option<RenderError> {
        self.0.renders.refuses(tenant).then(|| self.saturated())
    }

    pub(crate) async fn resolve(
        &self,
        request: &mut RenderRequest,
        deadline: Instant,
    ) -> Result<(Option<Found>, Arc<Compiled>), RenderError> {
        match &mut request.source {
            Source::Stored { key, which, bucket_key } => {
                which.refuse_the_future(self.0.clock.now())?;
                let resolving = self.0.templates.resolve(&request.tenant, key, which, bucket_key.as_ref());
                let resolved = tokio::time::timeout_at(deadline, resolving).await.map_err(|_| self.late())??;
                Ok((Some((resolved.version, resolved.via)), resolved.compiled))
            }
            Source::Inline(definition) => {
                let definition = Arc::clone(definition);
                let compiled = self.compiled(&request.tenant, definition, &Checking::default(), deadline).await?;
                Ok((None, Arc::new(compiled)))
            }
        }
    }

    pub(crate) fn late(&self) -> RenderError {
        RenderError::DeadlineExceeded { deadline_ms: self.0.limits.deadline_ms }
    }

    /// The hash of the data, and the HTML that became of it; of a format of tables alone also the file.
    pub(crate) async fn write(
        &self,
        request: &mut RenderRequest,
        data: Value,
        compiled: &Arc<Compiled>,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<([u8; 32], Result<(Written, Option<TabularFile>), RenderError>), RenderError> {
        let order = TabularOrder::of(request.format, &request.format_options).map(Arc::new);
        let work = Arc::new(Work::of(request, data, compiled, now));
        let mut assets = self.assets_of(&work, &AssetMap::default(), compiled.assets(), deadline).await?;
        loop {
            let (with, known, order) = (Arc::clone(&work), assets.clone(), order.clone());
            let writing = self.compute(deadline, move |limits, cancelled| {
                let input = with.input(&known, cancelled);
                let written = match &order {
                    None => document::write_html(&with.compiled, &input, limits).map(|written| (written, None)).map_err(RenderError::from),
                    Some(order) => tabular(order, &with, &input, limits, cancelled),
                };
                Ok((hash_of_data(&with.data), written))
            });
            match writing.await? {
                // Data named others than the template does. It names them all at once, so this happens once.
                (_, Err(RenderError::Document(DocumentError::AssetsNeeded(names)))) => {
                    assets = self.assets_of(&work, &assets, &names, deadline).await?;
                }
                outcome => return Ok(outcome),
            }
        }
    }

    /// What is known of assets, and what these names mean beside it.
    async fn assets_of(&self, work: &Work, known: &AssetMap, names: &[AssetName], deadline: Instant) -> Result<AssetMap, RenderError> {
        let extending = self.0.assets.extend(known, &work.tenant, names, &self.0.limits.document);
        tokio::time::timeout_at(deadline, extending).await.map_err(|_| self.late())?
    }

    /// Runs pure work off the request threads: a few at a time, within the deadline, stopped when nobody waits any more.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&document::Limits, &AtomicBool) -> Result<T, document::DocumentError> + Send + 'static,
    ) -> Result<T, RenderError> {
        self.compute_in(&self.0.writers, deadline, work).await
    }

    /// The same, among those that share these places.
    pub(crate) async fn compute_in<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        deadline: Instant,
        work: impl FnOnce(&document::Limits, &AtomicBool) -> Result<T, document::DocumentError> + Send + 'static,
    ) -> Result<T, RenderError> {
        let acquired = tokio::time::timeout_at(deadline, Arc::clone(places).acquire_owned()).await.map_err(|_| self.late())?;
        let permit = acquired.map_err(|_| self.late())?;
        let mut limits = self.0.limits.document;
        limits.budget.deadline = Some(deadline.into_std());
        let stop = StopOnDrop(Arc::default());
        let cancelled = Arc::clone(&stop.0);
        let work = move || {
            // Held by the work and not by its caller, who may leave before the work has noticed.
            let _permit = permit;
            work(&limits, &cancelled)
        };
        let working = tokio::task::spawn_blocking(work);
        // The work looks at the deadline itself; should it fail to, its caller at least is told in time.
        let outcome = tokio::time::timeout_at(deadline + OVERTIME, working).await.map_err(|_| self.late())?;
        Ok(outcome.map_err(RenderError::Defect)??)
    }

    pub(crate) fn warnings(&self, written: &Written) -> Vec<(&'static str, usize)> {
        let mut warnings: Vec<(&'static str, usize)> = Vec::new();
        if !written.unresolved_bindings.is_empty() {
            warnings.push(("UNRESOLVED_BINDING", written.unresolved_bindings.len()));
        }
        for warning in &written.warnings {
            match warnings.iter_mut().find(|(code, _)| *code == warning.code) {
                Some((_, count)) => *count += 1,
                None => warnings.push((warning.code, 1)),
            }
        }
        // A document that brings its own fonts may draw what no installed font can.
        let own_fonts = !written.html.is_ascii() && written.html.contains("@font-face");
        if let Some(fonts) = self.0.fonts.get().filter(|_| !own_fonts && !written.html.is_ascii()) {
            let missing = fonts.missing(&written.html);
            if missing.occurrences > 0 {
                warnings.push(("MISSING_GLYPH", missing.occurrences));
            }
        }
        warnings
    }
}

/// The document and the file of its tables.
fn tabular(
    order: &TabularOrder,
    with: &Work,
    input: &Input<'_>,
    limits: &document::Limits,
    cancelled: &AtomicBool,
) -> Result<(Written, Option<TabularFile>), RenderError> {
    let (written, tables) = document::write_tables(&with.compiled, input, limits)?;
    let file = order.file(tables, &written, with.now, limits, cancelled)?;
    Ok((written, Some(file)))
}

/// What a document is written from, kept until it is: with data that names assets it is written twice.
struct Work {
    tenant: TenantId,
    compiled: Arc<Compiled>,
    data: Value,
    fixed_data: Option<Map<String, Value>>,
    options: RenderOptions,
    now: Timestamp,
    bindings: Bindings,
}

impl Work {
    /// Takes what is fixed out of the request.
    fn of(request: &mut RenderRequest, data: Value, compiled: &Arc<Compiled>, now: Timestamp) -> Self {
        Self {
            tenant: request.tenant.clone(),
            compiled: Arc::clone(compiled),
            data,
            fixed_data: request.fixed_data.take(),
            options: request.options.clone(),
            now,
            bindings: request.bindings,
        }
    }

    fn input<'a>(&'a self, assets: &'a AssetMap, cancelled: &'a AtomicBool) -> Input<'a> {
        Input {
            data: &self.data,
            fixed_data: self.fixed_data.as_ref(),
            options: &self.options,
            now: self.now,
            bindings: self.bindings,
            assets: Some(assets),
            cancelled: Some(cancelled),
        }
    }
}

/// A stored version, and the label that led to it.
pub(crate) type Found = (TemplateVersion, Option<Via>);

/// Hears of changes until the store is closed.
async fn listen(store: Store, templates: Templates, assets: Assets, usage: Usage) {
    let mut listener = store.changes();
    while let Some(event) = listener.next().await {
        templates.heard(&event).await;
        assets.heard(&event).await;
        usage.gate().heard(&event);
    }
}

/// Tells the work that its caller has gone.
pub(crate) struct StopOnDrop(pub(crate) Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Learns what the fonts draw that documents are printed with. Render workers may come later than this server.
async fn read_fonts(pool: Pool, fonts: Arc<OnceLock<Coverage>>) {
    let mut found = pool.installed_fonts().await;
    while matches!(found, Err(FontsError::NoWorker)) && !pool.is_closed() {
        tokio::time::sleep(FONTS_AGAIN).await;
        found = pool.installed_fonts().await;
    }
    match found {
        Ok(coverage) => {
            if !coverage.draws('A') {
                tracing::error!("no installed font draws Latin letters: every document prints without text; install fonts-liberation");
            }
            drop(fonts.set(coverage));
        }
        Err(error @ FontsError::None) => tracing::error!(%error, "every document prints without text; install fonts-liberation"),
        Err(error) => tracing::warn!(%error, "missing glyphs will not be reported"),
    }
}
