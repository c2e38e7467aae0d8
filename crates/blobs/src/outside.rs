//! Buckets that are somebody else's: objects are put there under names that are told, and nothing is read.

use std::fmt;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::bucket::{Bucket, failure};
use crate::error::BlobError;
use crate::settings::{BucketSettings, Limits};

/// Puts into one such bucket at the same time; each has its object in memory.
const PUTS: usize = 4;
/// Bytes that a name may have.
const KEY_BYTES: usize = 1024;

/// A bucket that the operator declared for others to be given objects in. Cheap to clone.
#[derive(Clone)]
pub struct OutsideBucket {
    bucket: Bucket,
    turns: Arc<Semaphore>,
}

/// An object to be put there.
#[derive(Clone, Debug)]
pub struct OutsideObject<'a> {
    /// Its name, up to 1024 bytes; the bucket's prefix comes before it.
    pub key: &'a str,
    /// Its media type.
    pub content_type: &'a str,
    /// What browsers do with it: `inline` or `attachment`.
    pub content_disposition: Option<&'a str>,
    /// Words kept with it: names of letters, digits and `-`, texts in ASCII.
    pub metadata: &'a [(String, String)],
    /// What it is.
    pub bytes: Bytes,
}

impl OutsideBucket {
    /// Prepares the way; nothing is asked yet, as a bucket that is away stops no start.
    pub fn open(settings: &BucketSettings) -> Result<Self, BlobError> {
        Ok(Self { bucket: Bucket::open(settings, &Limits::default())?, turns: Arc::new(Semaphore::new(PUTS)) })
    }

    /// Puts an object there, in the place of one of that name.
    pub async fn put(&self, object: OutsideObject<'_>) -> Result<(), BlobError> {
        const CALL: &str = "put_outside";
        if object.key.is_empty() || object.key.len() > KEY_BYTES || object.key.contains(char::is_control) {
            return Err(BlobError::denied(CALL, format!("an object's name has 1 to {KEY_BYTES} bytes and no control characters")));
        }
        let limits = Arc::clone(&self.bucket.limits);
        let _turn = timeout(limits.turn, self.turns.acquire()).await.ok().and_then(Result::ok).ok_or(BlobError::Busy { call: CALL })?;
        let size_bytes = object.bytes.len() as u64;
        let mut request = self
            .bucket
            .client
            .put_object()
            .bucket(&*self.bucket.name)
            .key(self.bucket.named(object.key))
            .content_type(object.content_type)
            .set_content_disposition(object.content_disposition.map(str::to_owned))
            .body(ByteStream::from(object.bytes));
        for (name, value) in object.metadata {
            request = request.metadata(name, value);
        }
        let sent = request.customize().config_override(self.bucket.patient(size_bytes)).send().await;
        let outcome = sent.map(drop).map_err(|error| failure(CALL, &error).into_error(CALL));
        let word = outcome.as_ref().map_or_else(BlobError::outcome, |()| "ok");
        metrics::counter!("pulp_blob_calls_total", "call" => CALL, "outcome" => word).increment(1);
        outcome
    }

    /// Which bucket, and where.
    pub fn describe(&self) -> String {
        self.bucket.describe()
    }
}

impl fmt::Debug for OutsideBucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.describe())
    }
}
