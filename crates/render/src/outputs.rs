//! Finished documents of jobs: bytes that are there before anything says so.

use blobs::{BlobContent, BlobError, BlobKey, BlobKind, BlobSource, Blobs, ByteRange};
use bytes::Bytes;
use domain::TenantId;

use crate::error::RenderError;

/// Where finished documents are kept. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Outputs(Blobs);

impl Outputs {
    /// The finished documents of that place.
    pub fn new(blobs: Blobs) -> Self {
        Self(blobs)
    }

    /// Keeps a document under its SHA-256. The same document is kept once; what no row names is swept after a while.
    pub async fn put(&self, tenant: &TenantId, sha256: [u8; 32], body: Bytes) -> Result<(), RenderError> {
        self.0.put(&BlobKey::new(tenant.clone(), BlobKind::Outputs, sha256), BlobSource::bytes(body)).await?;
        Ok(())
    }

    /// A document as a stream, or a part of it. `name` is what is said where the bytes are missing.
    pub async fn open(
        &self,
        tenant: &TenantId,
        sha256: [u8; 32],
        name: &str,
        range: Option<ByteRange>,
    ) -> Result<BlobContent, RenderError> {
        found(self.0.get(&BlobKey::new(tenant.clone(), BlobKind::Outputs, sha256), range).await, name)
    }
}

/// The bytes of a document that is known: those that are lost are a document's, not an asset's.
pub(crate) fn found(got: Result<Option<BlobContent>, BlobError>, name: &str) -> Result<BlobContent, RenderError> {
    match got {
        Ok(Some(content)) => Ok(content),
        Ok(None) | Err(BlobError::Corrupt { .. }) => Err(RenderError::DocumentBytesMissing { name: name.to_owned() }),
        Err(error) => Err(error.into()),
    }
}
