//! Template versions as renders need them: compiled, cached, and known to be current without asking the database.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use document::{Compiled, Limits};
use domain::TenantId;
use domain::caches::{CacheBound, CacheCounts, CacheRead, CacheReport, CacheSize};
use domain::ids::TemplateId;
use domain::labels::Releases;
use domain::templates::{TemplateKey, TemplateVersion};
use domain::variants::BucketKey;
use moka::future::Cache;
use serde_json::Value;
use store::{ChangeEvent, Store, StoreError, TemplateFilter};
use tokio::time::{Instant, timeout};

use crate::error::RenderError;
use crate::labels::{Asked, HeadLabel, Via, Which};
use crate::parts::{Recipe, Reference, references_of};

/// After this long a cached head is asked for again, should the notice of a change have been lost.
const HEAD_TTL: Duration = Duration::from_secs(10);
/// How long a render waits for a newer head when it has an old one.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long an old head serves before the database is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Templates whose last change is remembered.
const HEADS: u64 = 100_000;
/// Bytes of heads kept: some 150,000 without labels.
const HEAD_BYTES: u64 = 32 * 1024 * 1024;
/// About what a head takes, and each of its labels.
const BYTES_OF_A_HEAD: (u32, u32) = (200, 150);
/// Bytes of references kept: those of some 150,000 versions that have none.
const REFERENCE_BYTES: u64 = 32 * 1024 * 1024;
/// About what a reference takes.
const BYTES_OF_A_REFERENCE: u32 = 250;
/// Bytes of definitions kept as they are stored, so that parts need not be read for each template that uses them.
const DEFINITION_BYTES: u64 = 64 * 1024 * 1024;
/// About how many times its text JSON takes.
const BYTES_OF_JSON_IN_MEMORY: u32 = 4;
/// Bytes of definitions kept compiled; the compiled form is a small multiple of it.
const COMPILED_BYTES: u64 = 64 * 1024 * 1024;

/// A template version, ready to write documents from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Which version it is.
    pub version: TemplateVersion,
    /// The label that led to it, where one did.
    pub via: Option<Via>,
    /// The checked definition.
    pub compiled: Arc<Compiled>,
}

pub(crate) type Name = (TenantId, TemplateKey);
/// A version of a template, whatever it is called by now.
pub(crate) type VersionId = (TemplateId, TemplateVersion);

/// What is current, as of a moment in the order of changes.
#[derive(Clone)]
pub(crate) struct Head {
    id: TemplateId,
    pub(crate) version: TemplateVersion,
    labels: Arc<[HeadLabel]>,
    as_of: u64,
    read_at: Instant,
}

impl Head {
    fn weight(&self) -> u32 {
        let labels = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
        labels.saturating_mul(BYTES_OF_A_HEAD.1).saturating_add(BYTES_OF_A_HEAD.0)
    }
}

/// The cache of heads (which version is current) and of what never changes: what a version refers to, its definition, and
/// what it is compiled to with certain versions of its parts.
#[derive(Clone)]
pub struct Templates {
    store: Store,
    pub(crate) limits: Arc<Limits>,
    releases: Arc<Releases>,
    heads: Cache<Name, Head>,
    references: Cache<VersionId, Arc<[Reference]>>,
    definitions: Cache<VersionId, (u32, Arc<Value>)>,
    pub(crate) compiled: Cache<Recipe, (u32, Arc<Compiled>)>,
    /// Counts the changes heard of. A head read before a change and cached after it would be stale for its whole life;
    /// so each head remembers the count at which its reading began, and each change the count at which it came.
    changes: Arc<AtomicU64>,
    changed: Cache<Name, u64>,
    everything_changed: Arc<AtomicU64>,
    counts: Arc<Counts>,
}

/// Looks into each of the caches.
#[derive(Debug, Default)]
struct Counts {
    heads: CacheCounts,
    references: CacheCounts,
    definitions: CacheCounts,
    compiled: CacheCounts,
}

impl Templates {
    pub(crate) fn new(store: Store, limits: Limits, releases: Releases) -> Self {
        Self {
            store,
            limits: Arc::new(limits),
            releases: Arc::new(releases),
            heads: Cache::builder().max_capacity(HEAD_BYTES).weigher(|_, head: &Head| head.weight()).build(),
            references: Cache::builder().max_capacity(REFERENCE_BYTES).weigher(|_, list: &Arc<[Reference]>| weight_of(list)).build(),
            definitions: Cache::builder().max_capacity(DEFINITION_BYTES).weigher(|_, (bytes, _): &(u32, _)| *bytes).build(),
            compiled: Cache::builder().max_capacity(COMPILED_BYTES).weigher(|_, (bytes, _): &(u32, _)| *bytes).build(),
            changes: Arc::default(),
            // Longer than any head that could be older is fresh.
            changed: Cache::builder().max_capacity(HEADS).time_to_live(HEAD_TTL * 2).build(),
            everything_changed: Arc::default(),
            counts: Arc::default(),
        }
    }

    /// How the caches do.
    pub(crate) fn caches(&self) -> [CacheReport; 4] {
        let Counts { heads, references, definitions, compiled } = &*self.counts;
        [
            heads.report("template_heads", CacheBound::Bytes(HEAD_BYTES), Some(HEAD_TTL), size_of(&self.heads)),
            references.report("template_references", CacheBound::Bytes(REFERENCE_BYTES), None, size_of(&self.references)),
            definitions.report("template_definitions", CacheBound::Bytes(DEFINITION_BYTES), None, size_of(&self.definitions)),
            compiled.report("compiled_templates", CacheBound::Bytes(COMPILED_BYTES), None, size_of(&self.compiled)),
        ]
    }

    /// Counts a look for something that is got once for all who ask at the same time.
    pub(crate) fn count_compiled(&self, read: CacheRead) {
        self.counts.compiled.count(read);
    }

    /// The version to render. A warm one costs no word to the database, by whichever label, unless the past is asked for.
    pub(crate) async fn resolve(
        &self,
        tenant: &TenantId,
        key: &TemplateKey,
        which: &Which,
        bucket_key: Option<&BucketKey>,
    ) -> Result<Resolved, RenderError> {
        let name = (tenant.clone(), key.clone());
        let (id, version, via) = self.choose(&name, which, bucket_key).await?;
        let compiled = self.compiled_with_parts(&name, (id, version), bucket_key).await?;
        Ok(Resolved { version, via, compiled })
    }

    /// Which version is meant, and the label that led to it.
    pub(crate) async fn choose(
        &self,
        name: &Name,
        which: &Which,
        bucket_key: Option<&BucketKey>,
    ) -> Result<(TemplateId, TemplateVersion, Option<Via>), RenderError> {
        let head = self.head(name).await?;
        let (store, releases) = (&self.store, &*self.releases);
        let asked = Asked { store, releases, tenant: &name.0, key: &name.1, bucket_key, current: head.version, labels: &head.labels };
        let (version, via) = asked.choose(which).await?;
        Ok((head.id, version, via))
    }

    /// How labels are used here.
    pub(crate) fn releases(&self) -> &Releases {
        &self.releases
    }

    /// Something about a template changed, here or on another replica.
    pub(crate) async fn forget(&self, tenant: &TenantId, key: &TemplateKey) {
        let count = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.changed.insert((tenant.clone(), key.clone()), count).await;
    }

    /// Anything may have changed.
    fn forget_all(&self) {
        let count = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.everything_changed.store(count, Ordering::SeqCst);
    }

    /// Something changed on whichever replica.
    pub(crate) async fn heard(&self, event: &ChangeEvent) {
        match event {
            ChangeEvent::Reconnected | ChangeEvent::Overrun => self.forget_all(),
            ChangeEvent::Changed(change) if change.kind == "template" => {
                if let Ok(key) = change.key.parse() {
                    self.forget(&change.tenant, &key).await;
                }
            }
            ChangeEvent::Changed(_) => {}
        }
    }

    pub(crate) async fn head(&self, name: &Name) -> Result<Head, RenderError> {
        let known = self.heads.get(name).await;
        let last_change = self.changed.get(name).await.unwrap_or(0).max(self.everything_changed.load(Ordering::SeqCst));
        let fresh = known.clone().filter(|head| head.as_of >= last_change && head.read_at.elapsed() < HEAD_TTL);
        self.counts.heads.count(if fresh.is_some() { CacheRead::Hit } else { CacheRead::Miss });
        if let Some(head) = fresh {
            return Ok(head);
        }
        let Some(old) = known else { return self.read_head(name).await };
        // Nobody waits long for a database that may be away while there is a version that was current a moment ago.
        match timeout(PATIENCE, self.read_head(name)).await {
            Err(_) | Ok(Err(RenderError::Store(StoreError::Unavailable { .. }))) => Ok(self.keep_old(name, old).await),
            Ok(outcome) => outcome,
        }
    }

    /// Goes on with a head for a moment, although it may have changed: the database is away.
    async fn keep_old(&self, name: &Name, old: Head) -> Head {
        self.counts.heads.count(CacheRead::Stale);
        tracing::warn!(template = %name.1, "the database is away; the version known last is rendered");
        let almost_old = Instant::now().checked_sub(HEAD_TTL.saturating_sub(RETRY_AFTER));
        let head = Head { read_at: almost_old.unwrap_or(old.read_at), as_of: self.changes.load(Ordering::SeqCst), ..old };
        self.heads.insert(name.clone(), head.clone()).await;
        head
    }

    async fn read_head(&self, name: &Name) -> Result<Head, RenderError> {
        let as_of = self.changes.load(Ordering::SeqCst);
        let found = self.store.tenant(name.0.clone()).labels().head(&name.1).await?;
        let Some(found) = found else {
            self.heads.invalidate(name).await;
            return Err(RenderError::UnknownTemplate { key: name.1.to_string() });
        };
        let labels = found.labels.into_iter().map(HeadLabel::from).collect();
        let head = Head { id: found.template_id, version: found.current_version, labels, as_of, read_at: Instant::now() };
        self.heads.insert(name.clone(), head.clone()).await;
        Ok(head)
    }

    /// A definition as it is stored, read once however many ask for it.
    pub(crate) async fn definition(&self, name: &Name, version: VersionId) -> Result<Arc<Value>, RenderError> {
        if let Some((_, known)) = self.definitions.get(&version).await {
            self.counts.definitions.count(CacheRead::Hit);
            return Ok(known);
        }
        let mut asked = false;
        let reading = async {
            asked = true;
            let record = self.store.tenant(name.0.clone()).template_versions().get(&name.1, version.1).await?;
            let unknown = || RenderError::UnknownVersion { key: name.1.to_string(), version: version.1.to_string() };
            let definition = record.ok_or_else(unknown)?.definition;
            let bytes = u32::try_from(definition.to_string().len()).unwrap_or(u32::MAX).saturating_mul(BYTES_OF_JSON_IN_MEMORY);
            Ok((bytes, Arc::new(definition)))
        };
        let read = self.definitions.try_get_with(version, reading).await;
        self.counts.definitions.count(if asked { CacheRead::Miss } else { CacheRead::Joined });
        read.map(|(_, definition)| definition).map_err(RenderError::Shared)
    }

    /// What a version refers to, each template once.
    pub(crate) async fn references(&self, name: &Name, version: VersionId) -> Result<Arc<[Reference]>, RenderError> {
        let known = self.references.get(&version).await;
        self.counts.references.count(if known.is_some() { CacheRead::Hit } else { CacheRead::Miss });
        if let Some(known) = known {
            return Ok(known);
        }
        let definition = self.definition(name, version).await?;
        let references: Arc<[Reference]> = references_of(&definition).into();
        self.references.insert(version, Arc::clone(&references)).await;
        Ok(references)
    }

    /// Keys of templates that may be suggested.
    pub(crate) async fn keys(&self, tenant: &TenantId, filter: &TemplateFilter) -> Result<Vec<TemplateKey>, RenderError> {
        let page = self.store.tenant(tenant.clone()).templates().list(filter).await?;
        Ok(page.items.into_iter().map(|found| found.key).collect())
    }
}

fn weight_of(references: &[Reference]) -> u32 {
    u32::try_from(references.len()).unwrap_or(u32::MAX).saturating_mul(BYTES_OF_A_REFERENCE).saturating_add(BYTES_OF_A_HEAD.0)
}

/// How full a cache is that is bounded in bytes.
fn size_of<K, V>(cache: &Cache<K, V>) -> CacheSize
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    CacheSize { entries: cache.entry_count(), bytes: Some(cache.weighted_size()) }
}
