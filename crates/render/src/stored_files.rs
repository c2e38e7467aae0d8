//! Whether the place of stored files answers, for those who ask again and again.

use std::time::Duration;

use blobs::Blobs;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::run::Renderer;

/// How long an answer is good. A bucket is paid by the call, and balancers ask twice a second.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// A place that answers needs milliseconds; one that does not is not waited for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// What is known of the place.
#[derive(Debug)]
pub(crate) struct StoredFiles {
    blobs: Blobs,
    known: Mutex<Option<(Instant, bool)>>,
}

impl StoredFiles {
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self { blobs, known: Mutex::new(None) }
    }
}

impl Renderer {
    /// Whether the folder or bucket of stored files answers, as it was at most 5 s ago. One question at a time, which is given up
    /// after 1 s; who asks meanwhile waits for its answer.
    pub async fn has_stored_files(&self) -> bool {
        let StoredFiles { blobs, known } = &self.0.stored_files;
        let mut known = known.lock().await;
        if let Some((since, answers)) = *known
            && since.elapsed() < GOOD_FOR
        {
            return answers;
        }
        let answers = matches!(timeout(ANSWERS_WITHIN, blobs.probe()).await, Ok(Ok(())));
        *known = Some((Instant::now(), answers));
        answers
    }
}
