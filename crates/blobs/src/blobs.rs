//! The five verbs, with their turns, deadlines and counts.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bucket::Bucket;
use crate::content::{BlobContent, ByteRange};
use crate::error::BlobError;
use crate::folder::Folder;
use crate::intake::Intake;
use crate::key::{BlobKey, BlobKind, Listed};
use crate::settings::{Limits, Place, Settings};
use crate::source::BlobSource;

/// The most lines of one list; S3 has the same bound.
const LIST_LINES: usize = 1000;

/// A folder or a bucket of bytes. Clones share it.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    backend: Backend,
    limits: Limits,
    calls: Arc<Semaphore>,
    puts: Arc<Semaphore>,
    reads: Arc<Semaphore>,
}

/// The futures of the SDK are so large that they are kept off the stack.
enum Backend {
    Folder(Folder),
    Bucket(Bucket),
}

impl Blobs {
    /// Opens a place. A folder is made when it is not there, and is written to; a bucket is not asked yet: [`Self::probe`] does.
    pub async fn open(settings: Settings) -> Result<Self, BlobError> {
        let Settings { place, limits } = settings;
        let backend = match place {
            Place::Folder(path) => Backend::Folder(Folder::open(path, &limits).await?),
            Place::FolderToRead(path) => Backend::Folder(Folder::open_to_read(path, &limits).await?),
            Place::Bucket(bucket) => Backend::Bucket(Bucket::open(&bucket, &limits)?),
        };
        let (calls, puts) = (Arc::new(Semaphore::new(limits.concurrent_calls)), Arc::new(Semaphore::new(limits.concurrent_puts)));
        let reads = Arc::new(Semaphore::new(limits.open_reads));
        Ok(Self(Arc::new(Inner { backend, limits, calls, puts, reads })))
    }

    /// Stores bytes, one part of them in memory at a time, and gives their number. They can be read under the key once this
    /// returns and not before; when it fails or is dropped, the key is as it was. Bytes that are not those of the key are
    /// [`BlobError::Corrupt`]. Storing what is there already makes it new, which keeps it from a sweep of old ones.
    pub async fn put(&self, key: &BlobKey, source: BlobSource) -> Result<u64, BlobError> {
        let acted = async {
            let turn = self.turn(&self.0.puts, "put").await?;
            let intake = Intake::new(key, source, &self.0.limits)?;
            match &self.0.backend {
                Backend::Folder(folder) => folder.put(key, intake, turn).await,
                Backend::Bucket(bucket) => Box::pin(bucket.put(key, intake, turn)).await,
            }
        };
        let written = self.counted("put", acted, |_| "ok").await?;
        metrics::counter!("pulp_blob_bytes_total", "direction" => "put").increment(written);
        Ok(written)
    }

    /// Bytes as a stream; nothing when there are none under this key. Without a range all of them. Each one being read
    /// counts towards [`Limits::open_reads`] until it is dropped.
    pub async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<BlobContent>, BlobError> {
        let acted = async {
            let open = self.turn(&self.0.reads, "get").await?;
            let turn = self.turn(&self.0.calls, "get").await?;
            let found = match &self.0.backend {
                Backend::Folder(folder) => self.limited("get", folder.get(key, range, turn)).await?,
                Backend::Bucket(bucket) => self.limited("get", Box::pin(bucket.get(key, range))).await?,
            };
            Ok(found.map(|found| BlobContent::new(key.clone(), found, open)))
        };
        let found = self.counted("get", acted, presence).await?;
        if let Some(content) = &found {
            metrics::counter!("pulp_blob_bytes_total", "direction" => "get").increment(content.length_bytes());
        }
        Ok(found)
    }

    /// How many bytes are under this key; nothing when there are none.
    pub async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        let acted = async {
            let turn = self.turn(&self.0.calls, "stat").await?;
            match &self.0.backend {
                Backend::Folder(folder) => self.limited("stat", folder.stat(key, turn)).await,
                Backend::Bucket(bucket) => self.limited("stat", Box::pin(bucket.stat(key))).await,
            }
        };
        self.counted("stat", acted, presence).await
    }

    /// A tenant's keys of one kind behind `after`, in the order of their hashes; at most `limit` and at most 1000 of them. Fewer
    /// than that means that there are no more. What has no key of ours for a name is left out. Nothing lists several tenants:
    /// stores do not agree on the order of names whose folders begin alike.
    pub async fn list(&self, tenant: &TenantId, kind: BlobKind, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        let limit = limit.min(LIST_LINES);
        let acted = async {
            let turn = self.turn(&self.0.calls, "list").await?;
            match &self.0.backend {
                Backend::Folder(folder) => self.limited("list", folder.list(tenant, kind, after, limit, turn)).await,
                Backend::Bucket(bucket) => self.limited("list", Box::pin(bucket.list(tenant, kind, after, limit))).await,
            }
        };
        self.counted("list", acted, |_| "ok").await
    }

    /// Removes the bytes under this key. That there are none is no error.
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let acted = async {
            let turn = self.turn(&self.0.calls, "delete").await?;
            match &self.0.backend {
                Backend::Folder(folder) => self.limited("delete", folder.delete(key, turn)).await,
                Backend::Bucket(bucket) => self.limited("delete", Box::pin(bucket.delete(key))).await,
            }
        };
        self.counted("delete", acted, |()| "ok").await
    }

    /// Whether the place answers and lets us read. Cheap enough for a readiness probe.
    pub async fn probe(&self) -> Result<(), BlobError> {
        let acted = async {
            let turn = self.turn(&self.0.calls, "probe").await?;
            match &self.0.backend {
                Backend::Folder(folder) => self.limited("probe", folder.probe(turn)).await,
                Backend::Bucket(bucket) => self.limited("probe", Box::pin(bucket.probe())).await,
            }
        };
        self.counted("probe", acted, |()| "ok").await
    }

    /// Whether the place takes bytes: writes a few under a name that is no key and removes them. For the start and for `doctor`.
    pub async fn probe_writing(&self) -> Result<(), BlobError> {
        let acted = async {
            let turn = self.turn(&self.0.calls, "probe_writing").await?;
            match &self.0.backend {
                Backend::Folder(folder) => self.limited("probe_writing", folder.probe_writing(turn)).await,
                Backend::Bucket(bucket) => self.limited("probe_writing", Box::pin(bucket.probe_writing())).await,
            }
        };
        self.counted("probe_writing", acted, |()| "ok").await
    }

    /// Where it is, for the log: the folder, or the bucket and its endpoint.
    pub fn describe(&self) -> String {
        match &self.0.backend {
            Backend::Folder(folder) => folder.describe(),
            Backend::Bucket(bucket) => bucket.describe(),
        }
    }

    async fn turn(&self, of: &Arc<Semaphore>, call: &'static str) -> Result<OwnedSemaphorePermit, BlobError> {
        match tokio::time::timeout(self.0.limits.turn, of.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(BlobError::Busy { call }),
        }
    }

    /// Waits for room of the cache like for a turn.
    pub(crate) async fn room(&self, of: &Arc<Semaphore>, units: u32) -> Result<OwnedSemaphorePermit, BlobError> {
        match tokio::time::timeout(self.0.limits.turn, of.clone().acquire_many_owned(units)).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => Err(BlobError::Busy { call: "get" }),
        }
    }

    async fn limited<T>(&self, call: &'static str, acting: impl Future<Output = Result<T, BlobError>>) -> Result<T, BlobError> {
        within(call, self.0.limits.call, acting).await
    }

    async fn counted<T>(
        &self,
        call: &'static str,
        acting: impl Future<Output = Result<T, BlobError>>,
        outcome: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, BlobError> {
        let since = Instant::now();
        let result = acting.await;
        let outcome = result.as_ref().map_or_else(BlobError::outcome, outcome);
        let backend = match self.0.backend {
            Backend::Folder(_) => "folder",
            Backend::Bucket(_) => "bucket",
        };
        metrics::counter!("pulp_blob_calls_total", "backend" => backend, "call" => call, "outcome" => outcome).increment(1);
        metrics::histogram!("pulp_blob_call_seconds", "call" => call).record(since.elapsed().as_secs_f64());
        result
    }
}

#[expect(clippy::ref_option, reason = "it is called with what a verb found")]
fn presence<T>(found: &Option<T>) -> &'static str {
    if found.is_some() { "ok" } else { "absent" }
}

/// What is not done within `limit` is away.
pub(crate) async fn within<T>(
    call: &'static str,
    limit: Duration,
    acting: impl Future<Output = Result<T, BlobError>>,
) -> Result<T, BlobError> {
    let slow = |_| BlobError::away(call, format!("no answer within {} s", limit.as_secs_f32()));
    tokio::time::timeout(limit, acting).await.map_err(slow)?
}

impl fmt::Debug for Blobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Blobs").field(&self.describe()).finish()
    }
}
