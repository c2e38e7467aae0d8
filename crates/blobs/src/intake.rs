//! Watches over the bytes of a put: how many, how fast, and whether they are those of the key.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use crate::error::BlobError;
use crate::key::BlobKey;
use crate::settings::Limits;
use crate::source::BlobSource;

pub(crate) struct Intake {
    source: BlobSource,
    key: BlobKey,
    hasher: Sha256,
    taken_bytes: u64,
    limit_bytes: u64,
    idle: Duration,
    ended: bool,
}

impl Intake {
    pub(crate) fn new(key: &BlobKey, source: BlobSource, limits: &Limits) -> Result<Self, BlobError> {
        let limit_bytes = limits.blob_bytes;
        if source.size_bytes().is_some_and(|size| size > limit_bytes) {
            return Err(BlobError::TooLarge { limit_bytes });
        }
        Ok(Self { source, key: key.clone(), hasher: Sha256::new(), taken_bytes: 0, limit_bytes, idle: limits.idle, ended: false })
    }

    /// How many bytes came so far.
    pub(crate) fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Whether all bytes came, and were those of the key.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next bytes; nothing once all came and are those of the key.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        if self.ended {
            return Ok(None);
        }
        let refused = |reason: String| BlobError::Source { reason };
        let next = tokio::time::timeout(self.idle, self.source.next()).await;
        let next = next.map_err(|_| refused(format!("nothing came within {} s", self.idle.as_secs_f32())))?;
        let Some(bytes) = next.map_err(|error| refused(error.to_string()))? else {
            self.check()?;
            self.ended = true;
            return Ok(None);
        };
        self.taken_bytes += bytes.len() as u64;
        if self.taken_bytes > self.limit_bytes {
            return Err(BlobError::TooLarge { limit_bytes: self.limit_bytes });
        }
        self.hasher.update(&bytes);
        Ok(Some(bytes))
    }

    /// As many bytes as fit into `at_most`; fewer only when no more come.
    pub(crate) async fn fill(&mut self, at_most: usize, rest: &mut Bytes) -> Result<Bytes, BlobError> {
        let announced = self.source.size_bytes().map(|size| size.saturating_sub(self.taken_bytes).saturating_add(rest.len() as u64));
        let expected = announced.and_then(|size| usize::try_from(size).ok()).unwrap_or(at_most);
        let mut part = BytesMut::with_capacity(expected.min(at_most));
        loop {
            let fits = rest.split_to(rest.len().min(at_most - part.len()));
            part.extend_from_slice(&fits);
            if part.len() == at_most {
                return Ok(part.freeze());
            }
            match self.next().await? {
                Some(bytes) => *rest = bytes,
                None => return Ok(part.freeze()),
            }
        }
    }

    fn check(&self) -> Result<(), BlobError> {
        if let Some(announced) = self.source.size_bytes().filter(|size| *size != self.taken_bytes) {
            return Err(BlobError::Source { reason: format!("{announced} bytes were announced and {} came", self.taken_bytes) });
        }
        let found: [u8; 32] = self.hasher.clone().finalize().into();
        if found == *self.key.sha256() {
            return Ok(());
        }
        Err(BlobError::Corrupt { key: self.key.to_string(), reason: format!("their SHA-256 is {}", hex::encode(found)) })
    }
}
