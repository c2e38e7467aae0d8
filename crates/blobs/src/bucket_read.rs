//! Reading from a bucket: a read that breaks is taken up again where it broke.

use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::stream::{StreamExt, try_unfold};

use crate::blobs::within;
use crate::bucket::{Bucket, Failure, failure};
use crate::content::{ByteRange, Found};
use crate::error::BlobError;
use crate::key::BlobKey;

/// Before a broken read is taken up again.
const PAUSE: Duration = Duration::from_millis(100);

struct Reading {
    bucket: Bucket,
    key: BlobKey,
    body: ByteStream,
    at: u64,
    end: u64,
    size_bytes: u64,
    attempts_left: u32,
}

impl Bucket {
    pub(crate) async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Option<Found>, BlobError> {
        if range.is_some_and(|range| range.last.is_some_and(|last| last < range.first)) {
            return Err(self.behind_the_end(key).await);
        }
        let answer = match self.open_at(key, range).await {
            Ok(answer) => answer,
            Err(Failure::NoSuchKey) => return Ok(None),
            Err(Failure::InvalidRange) => return Err(self.behind_the_end(key).await),
            Err(other) => return Err(other.into_error("get")),
        };
        let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let length = length.ok_or_else(|| BlobError::away("get", "the store does not say how many bytes come"))?;
        let size_bytes = match (range, answer.content_range()) {
            (None, _) => length,
            (Some(_), Some(said)) => {
                whole_size(said).ok_or_else(|| BlobError::away("get", format!("the store names no range: {said:?}")))?
            }
            // Some stores give an empty object whatever was asked.
            (Some(_), None) if length == 0 => 0,
            (Some(_), None) => return Err(BlobError::away("get", "the store gave another range than asked")),
        };
        let (first, length_bytes) = range.map_or(Ok((0, size_bytes)), |range| range.within(size_bytes))?;
        if length_bytes != length {
            return Err(BlobError::away("get", format!("the store gave {length} bytes, {length_bytes} were asked")));
        }
        let (bucket, key, end) = (self.clone(), key.clone(), first + length_bytes);
        let attempts_left = self.limits.attempts.max(1) - 1;
        let reading = Reading { bucket, key, body: answer.body, at: first, end, size_bytes, attempts_left };
        let pieces = try_unfold(reading, async |mut reading| Ok(reading.next().await?.map(|piece| (piece, reading)))).boxed();
        Ok(Some(Found { size_bytes, first, length_bytes, pieces }))
    }

    async fn open_at(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<GetObjectOutput, Failure> {
        let get = self.client.get_object().bucket(&*self.name).key(self.object(key));
        let range = range.map(|range| format!("bytes={}-{}", range.first, range.last.map(|last| last.to_string()).unwrap_or_default()));
        get.set_range(range).send().await.map_err(|error| failure("get", &error))
    }

    async fn behind_the_end(&self, key: &BlobKey) -> BlobError {
        match self.stat(key).await {
            Ok(size_bytes) => BlobError::OutOfRange { size_bytes: size_bytes.unwrap_or(0) },
            Err(error) => error,
        }
    }
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        while self.at < self.end {
            let idle = self.bucket.limits.idle;
            let broken = match tokio::time::timeout(idle, self.body.next()).await {
                Ok(Some(Ok(piece))) if piece.is_empty() => continue,
                Ok(Some(Ok(mut piece))) => {
                    piece.truncate(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
                    self.at += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Ok(Some(Err(error))) => error.to_string(),
                Ok(None) => "the connection ended before the bytes did".to_owned(),
                Err(_) => format!("no bytes within {} s", idle.as_secs_f32()),
            };
            self.take_up(broken).await?;
        }
        Ok(None)
    }

    async fn take_up(&mut self, broken: String) -> Result<(), BlobError> {
        if self.attempts_left == 0 {
            return Err(BlobError::away("get", broken));
        }
        self.attempts_left -= 1;
        metrics::counter!("pulp_blob_reads_resumed_total").increment(1);
        tracing::info!(key = %self.key, at = self.at, broken, "a read broke off and is taken up again");
        tokio::time::sleep(PAUSE).await;
        let range = ByteRange { first: self.at, last: Some(self.end - 1) };
        let opened = Box::pin(self.bucket.open_at(&self.key, Some(range)));
        let opened = within("get", self.bucket.limits.call, async { Ok(opened.await) }).await?;
        let answer = opened.map_err(|failure| failure.into_error("get"))?;
        if answer.content_range().and_then(whole_size) != Some(self.size_bytes) {
            return Err(BlobError::away("get", "the store gave another range than asked"));
        }
        self.body = answer.body;
        Ok(())
    }
}

/// The size of the whole in `bytes 0-9/100`.
fn whole_size(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}
