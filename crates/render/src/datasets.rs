//! Datasets: data that is uploaded once and rendered from a while later, often by many renders.

use std::fmt;
use std::sync::Arc;

use blobs::{BlobCache, BlobContent, BlobError, BlobKey, BlobKind, BlobSource, Blobs, CacheBounds};
use bytes::Bytes;
use domain::caches::CacheReport;
use domain::datasets::{DatasetId, DatasetLimits};
use domain::usage::RenderMode;
use domain::{Actor, TenantId};
use store::{NewTemporaryDataset, Store, TemporaryDataset, TemporaryDatasetOutcome};

use crate::error::RenderError;

/// What is kept in memory of the datasets that were rendered from lately; loads take as much again at their peak.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// The datasets of all tenants. Cloning shares everything.
#[derive(Clone)]
pub struct Datasets(Arc<Inner>);

struct Inner {
    store: Store,
    blobs: Blobs,
    cache: BlobCache,
    limits: DatasetLimits,
}

/// Data to be kept.
#[derive(Clone, Copy, Debug)]
pub struct DatasetUpload<'a> {
    /// How long it lives, in seconds.
    pub life_seconds: u32,
    /// The caller's key, 1–255 characters: the same upload under it is the same dataset.
    pub idempotency_key: Option<&'a str>,
}

impl Datasets {
    pub(crate) fn new(store: Store, blobs: Blobs, limits: DatasetLimits) -> Self {
        let bounds = CacheBounds { total_bytes: KEPT_BYTES.max(limits.max_bytes), blob_bytes: limits.max_bytes };
        Self(Arc::new(Inner { store, cache: BlobCache::new("dataset_bytes", blobs.clone(), bounds), blobs, limits }))
    }

    /// How the cache of their bytes does.
    pub(crate) fn cache(&self) -> CacheReport {
        self.0.cache.report()
    }

    /// What they may be here.
    pub fn limits(&self) -> DatasetLimits {
        self.0.limits
    }

    /// Keeps JSON: its bytes first, then its row. When it fails, nothing is kept that anybody could find.
    pub async fn put(
        &self,
        tenant: &TenantId,
        json: Bytes,
        upload: DatasetUpload<'_>,
        actor: &Actor,
    ) -> Result<TemporaryDatasetOutcome, RenderError> {
        let size_bytes = json.len() as u64;
        if size_bytes > self.0.limits.max_bytes {
            return Err(RenderError::Blobs(BlobError::TooLarge { limit_bytes: self.0.limits.max_bytes }));
        }
        let sha256: [u8; 32] = crate::hashes::hash_of_output(&json).await;
        self.0.blobs.put(&key(tenant, sha256), BlobSource::bytes(json)).await?;
        let new = NewTemporaryDataset { sha256, size_bytes, life_seconds: upload.life_seconds, idempotency_key: upload.idempotency_key };
        Ok(self.0.store.tenant(tenant.clone()).temporary_datasets().insert(new, self.0.limits, actor).await?)
    }

    /// A dataset and its bytes as a stream; none where its time is over.
    pub async fn open(&self, tenant: &TenantId, id: DatasetId) -> Result<Option<(TemporaryDataset, BlobContent)>, RenderError> {
        let Some(record) = self.0.store.tenant(tenant.clone()).temporary_datasets().get(id).await? else { return Ok(None) };
        match self.0.blobs.get(&key(tenant, record.sha256), None).await {
            Ok(Some(content)) => Ok(Some((record, content))),
            Ok(None) | Err(BlobError::Corrupt { .. }) => Err(missing(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// The JSON of a dataset that is rendered from. Whoever renders from the same one at the same time waits for one read. For
    /// documents of a job it is there until the job ends.
    pub(crate) async fn json(&self, tenant: &TenantId, id: DatasetId, mode: RenderMode) -> Result<Bytes, RenderError> {
        let handle = self.0.store.tenant(tenant.clone());
        let found = match mode {
            RenderMode::Async => handle.temporary_datasets().get_for_job(id).await?,
            _ => handle.temporary_datasets().get(id).await?,
        };
        let record = found.ok_or(RenderError::UnknownDataset { id })?;
        match self.0.cache.get(&key(tenant, record.sha256)).await {
            Ok(Some(json)) => Ok(json),
            Ok(None) | Err(BlobError::Corrupt { .. }) => Err(missing(id)),
            Err(error) => Err(error.into()),
        }
    }
}

fn key(tenant: &TenantId, sha256: [u8; 32]) -> BlobKey {
    BlobKey::new(tenant.clone(), BlobKind::Datasets, sha256)
}

fn missing(id: DatasetId) -> RenderError {
    RenderError::DatasetBytesMissing { id }
}

impl fmt::Debug for Datasets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Datasets").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}
