//! The fields of forms in PDFs, read off the request threads and one PDF at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::TenantId;
use pdf::{FormFields, PdfError};
use store::AssetVersionRecord;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::assets::Assets;
use crate::error::RenderError;

/// The largest PDF whose form is read: it is in memory as a whole. Forms have some megabytes.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// How long one waits for those before it. Reading takes milliseconds, of a hostile file some seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The one place for reading forms. Clones share it.
#[derive(Clone)]
pub(crate) struct FormReading(Arc<Semaphore>);

impl Default for FormReading {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl FormReading {
    async fn turn(&self) -> Result<OwnedSemaphorePermit, RenderError> {
        match timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(RenderError::FormsBusy { retry_after: PATIENCE }),
        }
    }
}

impl Assets {
    /// At most `limit` of the fields of an asset that is a PDF of at most 32 MiB, from the `offset`th on.
    pub async fn form_fields(
        &self,
        tenant: &TenantId,
        version: &AssetVersionRecord,
        limit: usize,
        offset: usize,
    ) -> Result<FormFields, RenderError> {
        small_enough(version.content.size_bytes)?;
        // Before the bytes are got, which then are in memory.
        let turn = self.forms().turn().await?;
        let bytes = self.open(tenant, version, None).await?.collect(MAX_BYTES).await?;
        read(turn, bytes, limit, offset).await
    }

    /// The same of a PDF in base64 that came with a request.
    pub async fn form_fields_of(&self, base64: String, limit: usize, offset: usize) -> Result<FormFields, RenderError> {
        small_enough(base64.len() as u64 / 4 * 3)?;
        let turn = self.forms().turn().await?;
        let bytes = base64_simd::STANDARD.decode_to_vec(base64.as_bytes());
        drop(base64);
        let bytes = bytes.map_err(|_| PdfError::Invalid("it is not written in base64"))?;
        read(turn, bytes.into(), limit, offset).await
    }
}

fn small_enough(size_bytes: u64) -> Result<(), PdfError> {
    if size_bytes > MAX_BYTES { Err(PdfError::TooLarge { size_bytes, max_bytes: MAX_BYTES }) } else { Ok(()) }
}

/// The turn is over when the reading is, also when nobody waits for it any more.
async fn read(turn: OwnedSemaphorePermit, bytes: Bytes, limit: usize, offset: usize) -> Result<FormFields, RenderError> {
    let reading = tokio::task::spawn_blocking(move || {
        let found = pdf::form_fields(&bytes, limit, offset);
        drop(turn);
        found
    });
    Ok(reading.await.map_err(RenderError::Defect)??)
}
