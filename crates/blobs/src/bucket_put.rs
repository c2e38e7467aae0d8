//! A put into a bucket: small bytes in one request, others in parts, which become an object only when all have come.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::blobs::within;
use crate::bucket::{Bucket, Failure, failure};
use crate::error::BlobError;
use crate::intake::Intake;
use crate::key::BlobKey;

/// S3 takes no upload of more parts.
const MOST_PARTS: i32 = 10_000;

/// An upload whose parts are kept until it is completed or aborted. Dropping it aborts it.
struct Upload {
    bucket: Bucket,
    object: String,
    /// None once it is completed.
    id: Option<String>,
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (bucket, object) = (self.bucket.clone(), std::mem::take(&mut self.object));
        runtime.spawn(async move {
            let abort = bucket.client.abort_multipart_upload().bucket(&*bucket.name).key(&object).upload_id(id);
            let aborted = Box::pin(async { abort.send().await.map_err(|error| failure("put", &error)) });
            let aborted = within("put", bucket.limits.call, async { Ok(aborted.await) }).await;
            if let Err(error) | Ok(Err(Failure::Other(error))) = aborted {
                // The parts take space until a rule of the bucket removes unfinished uploads.
                tracing::warn!(%error, object, "an unfinished upload could not be aborted");
            }
        });
    }
}

impl Bucket {
    pub(crate) async fn put(&self, key: &BlobKey, mut intake: Intake, _turn: OwnedSemaphorePermit) -> Result<u64, BlobError> {
        let object = self.object(key);
        let mut rest = Bytes::new();
        let first = intake.fill(self.limits.part_bytes, &mut rest).await?;
        if intake.has_ended() && rest.is_empty() {
            self.put_whole(&object, first).await?;
            return Ok(intake.taken_bytes());
        }
        let upload = self.begin(object).await?;
        let mut parts = Vec::new();
        let mut part = first;
        while !part.is_empty() {
            let number = i32::try_from(parts.len() + 1).ok().filter(|number| *number <= MOST_PARTS);
            let number = number.ok_or(BlobError::TooLarge { limit_bytes: self.limits.part_bytes as u64 * 10_000 })?;
            parts.push(upload.part(number, part).await?);
            part = intake.fill(self.limits.part_bytes, &mut rest).await?;
        }
        upload.complete(parts, key, intake.taken_bytes()).await?;
        Ok(intake.taken_bytes())
    }

    async fn put_whole(&self, object: &str, bytes: Bytes) -> Result<(), BlobError> {
        let size_bytes = bytes.len() as u64;
        let put = self.client.put_object().bucket(&*self.name).key(object).content_length(signed(size_bytes)).body(ByteStream::from(bytes));
        let sent = put.customize().config_override(self.patient(size_bytes)).send();
        let sent = async { sent.await.map(drop).map_err(|error| failure("put", &error).into_error("put")) };
        within("put", self.all_attempts(size_bytes), sent).await
    }

    async fn begin(&self, object: String) -> Result<Upload, BlobError> {
        let begun = async {
            let created = self.client.create_multipart_upload().bucket(&*self.name).key(&object).send().await;
            created.map_err(|error| failure("put", &error).into_error("put"))
        };
        let created = within("put", self.limits.call, begun).await?;
        let id = created.upload_id().ok_or_else(|| BlobError::away("put", "the store gave no name for the upload"))?.to_owned();
        Ok(Upload { bucket: self.clone(), object, id: Some(id) })
    }

    /// What a request that sends so many bytes may take with all its attempts and the pauses between them.
    fn all_attempts(&self, bytes: u64) -> std::time::Duration {
        self.limits.call.max(self.limits.attempt_with(bytes) * self.limits.attempts.max(1))
    }
}

impl Upload {
    async fn part(&self, number: i32, bytes: Bytes) -> Result<CompletedPart, BlobError> {
        let (bucket, size_bytes) = (&self.bucket, bytes.len() as u64);
        let part = bucket.client.upload_part().bucket(&*bucket.name).key(&self.object).set_upload_id(self.id.clone());
        let part = part.part_number(number).content_length(signed(size_bytes)).body(ByteStream::from(bytes));
        let sent = part.customize().config_override(bucket.patient(size_bytes)).send();
        let sent = async { sent.await.map_err(|error| failure("put", &error).into_error("put")) };
        let sent = within("put", bucket.all_attempts(size_bytes), sent).await?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag().map(ToOwned::to_owned)).build())
    }

    async fn complete(mut self, parts: Vec<CompletedPart>, key: &BlobKey, size_bytes: u64) -> Result<(), BlobError> {
        let bucket = self.bucket.clone();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = bucket.client.complete_multipart_upload().bucket(&*bucket.name).key(&self.object).set_upload_id(self.id.clone());
        // Stores put the parts together before they answer.
        let complete = complete.multipart_upload(parts).customize().config_override(bucket.patient(size_bytes));
        let completed = async { Ok(complete.send().await.map(drop).map_err(|error| failure("put", &error))) };
        match within("put", bucket.all_attempts(size_bytes), completed).await? {
            Ok(()) => {}
            // An attempt whose answer was lost may have done it.
            Err(Failure::NoSuchUpload | Failure::NoSuchKey) if bucket.stat(key).await? == Some(size_bytes) => {}
            Err(failure) => return Err(failure.into_error("put")),
        }
        self.id = None;
        Ok(())
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
