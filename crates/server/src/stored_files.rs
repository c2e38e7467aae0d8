//! The folder or bucket of stored files, and the folder where files arrive.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;

use blobs::{BlobError, Blobs};
use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::error::{ServerError, with_causes};

/// How long a start waits for a bucket that does not answer: what starts beside us may take a while.
const PATIENCE: Duration = Duration::from_mins(1);

/// Opens the place and proves that it takes files. A start without it would answer every upload with a failure.
pub async fn open(config: &Config) -> Result<Blobs, ServerError> {
    let blobs = Blobs::open(config.assets.blobs.clone()).await?;
    let patience = Instant::now() + PATIENCE;
    loop {
        match blobs.probe_writing().await {
            Err(error @ (BlobError::Away { .. } | BlobError::Busy { .. })) if Instant::now() < patience => {
                tracing::warn!(
                    error = with_causes(&error),
                    place = blobs.describe(),
                    "the place of stored files is not there yet; it is tried again"
                );
                sleep(Duration::from_secs(1)).await;
            }
            probed => return probed.map(|()| blobs).map_err(ServerError::from),
        }
    }
}

/// The folder where files arrive, made where it is missing. Nothing in it outlives a request.
pub fn uploads_dir(config: &Config) -> Result<PathBuf, ServerError> {
    let path = config.data_dir.join("uploads");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
    made.map_err(|source| ServerError::DataDir { path: path.clone(), source })?;
    Ok(path)
}
