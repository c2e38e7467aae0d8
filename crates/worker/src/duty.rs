//! A duty: what is done, how often, and how long it may take.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use store::Store;

use crate::error::WorkerError;

/// How often a duty is done.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// From the end of a run that succeeded to the next one, give or take a tenth.
    pub every: Duration,
    /// A run that takes longer is cut off; the next one goes on where it was.
    pub at_most: Duration,
}

/// One run of a duty.
#[derive(Clone, Debug)]
pub struct Run {
    /// The database.
    pub store: Store,
    /// The moment that counts as the present for the whole run: the earlier one of this machine's clock and the database's,
    /// so that one wrong clock alone makes nothing look old that is not.
    pub now: Timestamp,
}

type Act = dyn Fn(Run) -> BoxFuture<'static, Result<(), WorkerError>> + Send + Sync;

/// Something that is done again and again, by one replica at a time.
#[derive(Clone)]
pub struct Duty {
    name: &'static str,
    rhythm: Rhythm,
    act: Arc<Act>,
}

impl Duty {
    /// A duty of that name, which has 1–64 characters and is the same on all replicas. The future of `act` is dropped when the
    /// server stops, when its time is over and when the lease is lost: each of its steps has to be whole for itself.
    pub fn new<F>(name: &'static str, rhythm: Rhythm, act: impl Fn(Run) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), WorkerError>> + Send + 'static,
    {
        Self { name, rhythm, act: Arc::new(move |run| Box::pin(act(run))) }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn rhythm(&self) -> Rhythm {
        self.rhythm
    }

    pub(crate) fn begin(&self, run: Run) -> BoxFuture<'static, Result<(), WorkerError>> {
        (self.act)(run)
    }
}

impl fmt::Debug for Duty {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Duty").field("name", &self.name).field("rhythm", &self.rhythm).finish_non_exhaustive()
    }
}
