//! Template versions as renders need them: compiled, cached, and known to be current without asking the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use document::{Compiled, Limits};
use domain::TenantId;
use domain::ids::TemplateId;
use domain::templates::{TemplateKey, TemplateVersion};
use moka::future::Cache;
use store::{ChangeEvent, Store, TemplateRecord};

use crate::error::RenderError;

/// After this long a cached head is asked for again, should the notice of a change have been lost.
const HEAD_TTL: Duration = Duration::from_secs(10);
/// Heads kept: about 200 bytes each.
const HEADS: u64 = 100_000;
/// Bytes of definitions kept compiled; the compiled form is a small multiple of it.
const COMPILED_BYTES: u64 = 64 * 1024 * 1024;

/// Which version of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that renders by default.
    Current,
    /// That one.
    Version(TemplateVersion),
}

/// A template version, ready to write documents from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Which version it is.
    pub version: TemplateVersion,
    /// The checked definition.
    pub compiled: Arc<Compiled>,
}

type Name = (TenantId, TemplateKey);

/// What is current, as of a moment in the order of changes.
#[derive(Clone, Copy)]
struct Head {
    id: TemplateId,
    version: TemplateVersion,
    as_of: u64,
}

/// The cache of heads (which version is current) and of compiled versions (immutable).
#[derive(Clone)]
pub struct Templates {
    store: Store,
    limits: Arc<Limits>,
    heads: Cache<Name, Head>,
    compiled: Cache<(TemplateId, TemplateVersion), (u32, Arc<Compiled>)>,
    /// Counts the changes heard of. A head read before a change and cached after it would be stale for its whole life;
    /// so each head remembers the count at which its reading began, and each change the count at which it came.
    changes: Arc<AtomicU64>,
    changed: Cache<Name, u64>,
    everything_changed: Arc<AtomicU64>,
}

impl Templates {
    pub(crate) fn new(store: Store, limits: Limits) -> Self {
        Self {
            store,
            limits: Arc::new(limits),
            heads: Cache::builder().max_capacity(HEADS).time_to_live(HEAD_TTL).build(),
            compiled: Cache::builder().max_capacity(COMPILED_BYTES).weigher(|_, (bytes, _): &(u32, _)| *bytes).build(),
            changes: Arc::default(),
            // Longer than any head that could be older lives.
            changed: Cache::builder().max_capacity(HEADS).time_to_live(HEAD_TTL * 2).build(),
            everything_changed: Arc::default(),
        }
    }

    /// The version to render. A warm one costs no word to the database.
    pub(crate) async fn resolve(&self, tenant: &TenantId, key: &TemplateKey, which: Which) -> Result<Resolved, RenderError> {
        let name = (tenant.clone(), key.clone());
        let head = match self.cached_head(&name).await {
            Some(head) => head,
            None => self.read_head(&name).await?.ok_or_else(|| RenderError::UnknownTemplate { key: key.to_string() })?,
        };
        let version = match which {
            Which::Current => head.version,
            Which::Version(version) => version,
        };
        if let Some((_, compiled)) = self.compiled.get(&(head.id, version)).await {
            return Ok(Resolved { version, compiled });
        }
        let record = self.store.tenant(tenant.clone()).template_versions().get(key, version).await?;
        let record = record.ok_or_else(|| RenderError::UnknownVersion { key: key.to_string(), version: version.to_string() })?;
        let compiled = self.keep(&record).await?;
        Ok(Resolved { version, compiled })
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

    /// Hears of changes until the store is closed.
    pub(crate) async fn listen(self) {
        let mut listener = self.store.changes();
        while let Some(event) = listener.next().await {
            match event {
                ChangeEvent::Reconnected => self.forget_all(),
                ChangeEvent::Changed(change) if change.kind == "template" => {
                    if let Ok(key) = change.key.parse() {
                        self.forget(&change.tenant, &key).await;
                    }
                }
                ChangeEvent::Changed(_) => {}
            }
        }
    }

    async fn cached_head(&self, name: &Name) -> Option<Head> {
        let head = self.heads.get(name).await?;
        let last_change = self.changed.get(name).await.unwrap_or(0).max(self.everything_changed.load(Ordering::SeqCst));
        let fresh = head.as_of >= last_change;
        metrics::counter!("pulp_cache_reads_total", "cache" => "template_heads", "outcome" => if fresh { "hit" } else { "miss" })
            .increment(1);
        fresh.then_some(head)
    }

    async fn read_head(&self, name: &Name) -> Result<Option<Head>, RenderError> {
        let as_of = self.changes.load(Ordering::SeqCst);
        let Some(record) = self.store.tenant(name.0.clone()).templates().get_current(&name.1).await? else {
            return Ok(None);
        };
        self.keep(&record).await?;
        let head = Head { id: record.template_id, version: record.version, as_of };
        self.heads.insert(name.clone(), head).await;
        Ok(Some(head))
    }

    async fn keep(&self, record: &TemplateRecord) -> Result<Arc<Compiled>, RenderError> {
        let (definition, limits) = (record.definition.clone(), Arc::clone(&self.limits));
        let compiling = tokio::task::spawn_blocking(move || {
            let bytes = u32::try_from(definition.to_string().len()).unwrap_or(u32::MAX);
            Compiled::compile(&definition, &limits).map(|compiled| (bytes, Arc::new(compiled)))
        });
        let (bytes, compiled) = compiling.await.map_err(RenderError::Defect)??;
        self.compiled.insert((record.template_id, record.version), (bytes, Arc::clone(&compiled))).await;
        Ok(compiled)
    }
}
