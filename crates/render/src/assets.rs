//! Assets as documents need them: what their names mean, known without asking the database, and their bytes from memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blobs::{BlobCache, BlobContent, BlobKey, BlobKind, BlobSource, Blobs, ByteRange, CacheBounds};
use document::{AssetMap, InlineAsset};
use domain::TenantId;
use domain::assets::{AssetKind, AssetName};
use domain::caches::{CacheBound, CacheCounts, CacheRead, CacheReport, CacheSize};
use moka::future::Cache;
use store::{AssetVersionRecord, ChangeEvent, Store, StoreError};
use tokio::time::{Instant, timeout};

use crate::error::RenderError;
use crate::form_fields::FormReading;

/// After this long a name's meaning is asked for again, should the notice of a change have been lost.
const HEAD_TTL: Duration = Duration::from_secs(10);
/// How long a render waits for newer meanings when it has old ones.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long old meanings serve before the database is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Meanings kept: about 500 bytes each.
const HEADS: u64 = 50_000;
/// Tenants whose last change is remembered.
const TENANTS: u64 = 10_000;
/// Assets that one document may name.
const MOST_ASSETS: usize = 1_000;
/// What is kept of bytes. The largest that a document takes fits twice.
const CACHE: CacheBounds = CacheBounds { total_bytes: 128 * 1024 * 1024, blob_bytes: 40 * 1024 * 1024 };

type Name = (TenantId, AssetName);

/// What a name means, as of a moment in the order of changes.
#[derive(Clone)]
struct Head {
    found: Option<Arc<AssetVersionRecord>>,
    as_of: u64,
    read_at: Instant,
}

/// The assets of all tenants. Cloning shares everything.
#[derive(Clone)]
pub struct Assets {
    store: Store,
    blobs: Blobs,
    cache: BlobCache,
    heads: Cache<Name, Head>,
    /// As of templates: a meaning that was read before a change and kept after it would be stale for its whole life.
    changes: Arc<AtomicU64>,
    changed: Cache<TenantId, u64>,
    everything_changed: Arc<AtomicU64>,
    forms: FormReading,
    counts: Arc<CacheCounts>,
}

impl Assets {
    pub(crate) fn new(store: Store, blobs: Blobs) -> Self {
        Self {
            store,
            cache: BlobCache::new("asset_bytes", blobs.clone(), CACHE),
            blobs,
            heads: Cache::builder().max_capacity(HEADS).build(),
            changes: Arc::default(),
            // Longer than any meaning that could be older is fresh.
            changed: Cache::builder().max_capacity(TENANTS).time_to_live(HEAD_TTL * 2).build(),
            everything_changed: Arc::default(),
            forms: FormReading::default(),
            counts: Arc::default(),
        }
    }

    /// How the caches do.
    pub(crate) fn caches(&self) -> [CacheReport; 2] {
        let size = CacheSize { entries: self.heads.entry_count(), bytes: None };
        [self.counts.report("asset_names", CacheBound::Entries(HEADS), Some(HEAD_TTL), size), self.cache.report()]
    }

    /// To be called after a change of a tenant's assets, so that this replica's next render sees it.
    pub async fn changed(&self, tenant: &TenantId) {
        let count = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.changed.insert(tenant.clone(), count).await;
    }

    /// Something changed on whichever replica.
    pub(crate) async fn heard(&self, event: &ChangeEvent) {
        match event {
            ChangeEvent::Reconnected | ChangeEvent::Overrun => {
                let count = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
                self.everything_changed.store(count, Ordering::SeqCst);
            }
            ChangeEvent::Changed(change) if change.kind == "asset" => self.changed(&change.tenant).await,
            ChangeEvent::Changed(_) => {}
        }
    }

    /// What these names mean, added to what is known already. Warm ones cost no word to the database or the place of bytes.
    pub(crate) async fn extend(
        &self,
        known: &AssetMap,
        tenant: &TenantId,
        names: &[AssetName],
        limits: &document::Limits,
    ) -> Result<AssetMap, RenderError> {
        let mut map = known.clone();
        let wanted: Vec<AssetName> = names.iter().filter(|name| !map.knows(name)).cloned().collect();
        if wanted.is_empty() {
            return Ok(map);
        }
        if wanted.len() > MOST_ASSETS {
            return Err(document::DocumentError::TooLarge { what: "assets", limit: MOST_ASSETS as u64 }.into());
        }
        let mut room = limits.html_bytes as u64;
        for (name, found) in self.meanings(tenant, &wanted).await? {
            let asset = match found {
                None => None,
                Some(version) => Some(Arc::new(self.inline(tenant, &name, &version, limits, &mut room).await?)),
            };
            map.insert(name, asset);
        }
        Ok(map)
    }

    /// An asset as it stands in a document. What no document takes is not even got.
    async fn inline(
        &self,
        tenant: &TenantId,
        name: &AssetName,
        version: &AssetVersionRecord,
        limits: &document::Limits,
        room: &mut u64,
    ) -> Result<InlineAsset, RenderError> {
        let content = &version.content;
        let taken = match content.kind {
            AssetKind::Image => content.size_bytes <= limits.image_bytes as u64,
            AssetKind::Font => content.size_bytes <= limits.font_bytes as u64,
            AssetKind::Document => false,
        };
        let mut uri = String::new();
        if taken {
            *room = room
                .checked_sub(content.size_bytes)
                .ok_or(document::DocumentError::TooLarge { what: "assets (bytes)", limit: limits.html_bytes as u64 })?;
            let bytes = self.cache.get(&key_of(tenant, version)).await?;
            let bytes = bytes.ok_or_else(|| RenderError::AssetBinaryMissing { name: name.to_string() })?;
            uri = format!("data:{};base64,", content.mime_type);
            base64_simd::STANDARD.encode_append(&bytes, &mut uri);
        }
        Ok(InlineAsset { uri, kind: content.kind, size_bytes: content.size_bytes, size_px: content.size_px, font: content.font.clone() })
    }

    /// What the names mean, in any order.
    async fn meanings(
        &self,
        tenant: &TenantId,
        names: &[AssetName],
    ) -> Result<Vec<(AssetName, Option<Arc<AssetVersionRecord>>)>, RenderError> {
        let last_change = self.changed.get(tenant).await.unwrap_or(0).max(self.everything_changed.load(Ordering::SeqCst));
        let mut found = Vec::with_capacity(names.len());
        let (mut stale, mut old) = (Vec::new(), BTreeMap::new());
        for name in names {
            let known = self.heads.get(&(tenant.clone(), name.clone())).await;
            match known {
                Some(head) if head.as_of >= last_change && head.read_at.elapsed() < HEAD_TTL => found.push((name.clone(), head.found)),
                known => {
                    stale.push(name.clone());
                    old.extend(known.map(|head| (name.clone(), head)));
                }
            }
        }
        self.counts.count_many(CacheRead::Hit, found.len());
        if stale.is_empty() {
            return Ok(found);
        }
        self.counts.count_many(CacheRead::Miss, stale.len());
        let all_known = old.len() == stale.len();
        let reading = self.read(tenant, &stale);
        // Nobody waits long for a database that may be away while it is known what was meant a moment ago.
        let read = if all_known { timeout(PATIENCE, reading).await.ok() } else { Some(reading.await) };
        match read {
            None | Some(Err(StoreError::Unavailable { .. })) if all_known => {
                self.counts.count_many(CacheRead::Stale, stale.len());
                tracing::warn!("the database is away; assets are rendered as they were known last");
                for (name, head) in old {
                    let almost_old = Instant::now().checked_sub(HEAD_TTL.saturating_sub(RETRY_AFTER));
                    let as_of = self.changes.load(Ordering::SeqCst);
                    let kept = Head { found: head.found.clone(), as_of, read_at: almost_old.unwrap_or(head.read_at) };
                    self.heads.insert((tenant.clone(), name.clone()), kept).await;
                    found.push((name, head.found));
                }
            }
            Some(read) => found.extend(read?),
            None => return Err(StoreError::Unavailable { why: store::Outage::TooSlow, source: None }.into()),
        }
        Ok(found)
    }

    async fn read(&self, tenant: &TenantId, names: &[AssetName]) -> Result<Vec<(AssetName, Option<Arc<AssetVersionRecord>>)>, StoreError> {
        let as_of = self.changes.load(Ordering::SeqCst);
        let versions = self.store.tenant(tenant.clone()).assets().resolve(names).await?;
        let mut found = Vec::with_capacity(names.len());
        for (name, version) in names.iter().zip(versions) {
            let version = version.map(Arc::new);
            let head = Head { found: version.clone(), as_of, read_at: Instant::now() };
            self.heads.insert((tenant.clone(), name.clone()), head).await;
            found.push((name.clone(), version));
        }
        Ok(found)
    }

    /// The bytes of a version as a stream, or a part of them.
    pub async fn open(
        &self,
        tenant: &TenantId,
        version: &AssetVersionRecord,
        range: Option<ByteRange>,
    ) -> Result<BlobContent, RenderError> {
        let content = self.blobs.get(&key_of(tenant, version), range).await?;
        content.ok_or_else(|| RenderError::AssetBinaryMissing { name: version.asset_id.to_string() })
    }

    /// Puts bytes where they belong.
    pub(crate) async fn put(&self, tenant: &TenantId, sha256: [u8; 32], bytes: Kept) -> Result<u64, RenderError> {
        let key = BlobKey::new(tenant.clone(), BlobKind::Assets, sha256);
        let source = match bytes {
            Kept::File(file) => BlobSource::file(file),
            Kept::Memory(bytes) => BlobSource::bytes(bytes),
        };
        Ok(self.blobs.put(&key, source).await?)
    }

    pub(crate) fn forms(&self) -> &FormReading {
        &self.forms
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}

/// Where the bytes to keep are.
pub(crate) enum Kept {
    /// In a file of ours.
    File(File),
    /// In memory: an SVG that was written anew.
    Memory(Vec<u8>),
}

fn key_of(tenant: &TenantId, version: &AssetVersionRecord) -> BlobKey {
    BlobKey::new(tenant.clone(), BlobKind::Assets, *version.content.hash.as_bytes())
}
