//! Whole blobs in the memory of this replica, so that what many renders need is got once.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use domain::caches::{CacheBound, CacheCounts, CacheRead, CacheReport, CacheSize};
use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::blobs::Blobs;
use crate::error::BlobError;
use crate::key::BlobKey;

/// Loads reserve room in units of this.
const UNIT_BYTES: u64 = 1024;
/// What an entry takes beside its bytes, roughly.
const ENTRY_BYTES: u64 = 256;

/// How much a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheBounds {
    /// Bytes kept, and at the same time bytes of loads under way: at the peak twice as many.
    pub total_bytes: u64,
    /// Bytes that one blob may have to be got through the cache; at most `total_bytes`.
    pub blob_bytes: u64,
}

/// Bytes by key. A key names its content, so nothing here goes stale; only space evicts. Clones share it.
#[derive(Clone)]
pub struct BlobCache {
    blobs: Blobs,
    kept: Cache<BlobKey, Bytes>,
    /// Room for loads under way, in units.
    room: Arc<Semaphore>,
    bounds: CacheBounds,
    name: &'static str,
    counts: Arc<CacheCounts>,
}

/// Why a load gave nothing to keep.
#[derive(Debug)]
enum Nothing {
    Absent,
    Failed(BlobError),
}

impl BlobCache {
    /// An empty cache in front of `blobs`, called `name` in metrics.
    pub fn new(name: &'static str, blobs: Blobs, bounds: CacheBounds) -> Self {
        let weigher = |_: &BlobKey, bytes: &Bytes| u32::try_from(bytes.len() as u64 + ENTRY_BYTES).unwrap_or(u32::MAX);
        let kept = Cache::builder().max_capacity(bounds.total_bytes).weigher(weigher).build();
        let blob_bytes = bounds.blob_bytes.min(bounds.total_bytes);
        let units = usize::try_from(blob_units(bounds.total_bytes)).unwrap_or(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS)));
        Self { blobs, kept, room, bounds: CacheBounds { blob_bytes, ..bounds }, name, counts: Arc::default() }
    }

    /// All bytes under this key; nothing when there are none. Callers that ask for the same key at the same time wait for one
    /// load. What failed or was not there is asked for again by the next. More than `blob_bytes` are [`BlobError::TooLarge`].
    pub async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, BlobError> {
        if let Some(bytes) = self.kept.get(key).await {
            self.counts.count(CacheRead::Hit);
            return Ok(Some(bytes));
        }
        let mut loaded = false;
        let load = async {
            loaded = true;
            self.load(key).await
        };
        let result = self.kept.try_get_with_by_ref(key, load).await;
        self.counts.count(if loaded { CacheRead::Miss } else { CacheRead::Joined });
        if loaded {
            // Evictions wait for a good moment otherwise, which with large blobs is too late.
            self.kept.run_pending_tasks().await;
        }
        match result.as_ref().map_err(Arc::as_ref) {
            Ok(bytes) => Ok(Some(bytes.clone())),
            Err(Nothing::Absent) => Ok(None),
            Err(Nothing::Failed(error)) => Err(error.clone()),
        }
    }

    /// How it does.
    pub fn report(&self) -> CacheReport {
        let size = CacheSize { entries: self.kept.entry_count(), bytes: Some(self.kept.weighted_size()) };
        self.counts.report(self.name, CacheBound::Bytes(self.bounds.total_bytes), None, size)
    }

    /// How many bytes it keeps, with what their entries take.
    pub fn held_bytes(&self) -> u64 {
        self.kept.weighted_size()
    }

    /// Forgets a key whose bytes were deleted.
    pub async fn forget(&self, key: &BlobKey) {
        self.kept.invalidate(key).await;
    }

    async fn load(&self, key: &BlobKey) -> Result<Bytes, Nothing> {
        let content = self.blobs.get(key, None).await.map_err(Nothing::Failed)?.ok_or(Nothing::Absent)?;
        let too_large = BlobError::TooLarge { limit_bytes: self.bounds.blob_bytes };
        if content.length_bytes() > self.bounds.blob_bytes {
            return Err(Nothing::Failed(too_large));
        }
        let units = u32::try_from(blob_units(content.length_bytes())).map_err(|_| Nothing::Failed(too_large))?;
        let room = self.blobs.room(&self.room, units).await.map_err(Nothing::Failed)?;
        let bytes = content.collect(self.bounds.blob_bytes).await.map_err(Nothing::Failed)?;
        drop(room);
        Ok(bytes)
    }
}

fn blob_units(bytes: u64) -> u64 {
    bytes.div_ceil(UNIT_BYTES)
}

impl fmt::Debug for BlobCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BlobCache").field("blobs", &self.blobs).field("bounds", &self.bounds).finish_non_exhaustive()
    }
}
