//! The handle the rest of the product holds: start, print, ask, close. Where the browsers are is known here alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument as _, debug_span};

use crate::container::{ContainerError, ContainerOptions, Containers};
use crate::fonts::{Coverage, FontsError};
use crate::local::LocalPool;
use crate::remote::{RemoteError, RemoteOptions, WorkerStanding, Workers};
use crate::{ChromiumError, Lane, PoolOptions, PoolStatus, PrintJob, Printed, Timings};

/// What prints. Cheap to clone; the last handle dropped ends it.
#[derive(Debug, Clone)]
pub struct Pool(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Tabs of a browser of our own.
    Local(LocalPool),
    /// Workers that have the browsers.
    Remote(Arc<Connected>),
    /// A container for each document.
    Contained(Arc<Contained>),
}

/// Ends the background work when the last handle is gone.
#[derive(Debug)]
struct Connected(Workers);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The same of containers.
#[derive(Debug)]
struct Contained(Arc<Containers>);

impl Drop for Contained {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Pool {
    /// Starts a browser and all its tabs, each of which has printed a small page before this returns.
    ///
    /// Removes profile directories that dead processes left in the runtime directory.
    ///
    /// # Errors
    /// [`ChromiumError::Launch`] or [`ChromiumError::SandboxUnavailable`]; later failures never end the pool.
    pub async fn start(options: PoolOptions) -> Result<Self, ChromiumError> {
        LocalPool::start(options).await.map(Kind::Local).map(Self)
    }

    /// Uses render workers and starts no browser. Waits up to three seconds for their first answers; that none answers is no error,
    /// since they may come, and [`Pool::status`] has no healthy tab until then.
    ///
    /// # Errors
    /// [`RemoteError::Certificate`], and [`RemoteError::Unprotected`] for a port without secret or certificates.
    pub async fn connect(options: RemoteOptions) -> Result<Self, RemoteError> {
        Ok(Self(Kind::Remote(Arc::new(Connected(Workers::connect(options).await?)))))
    }

    /// Prints every document in a container of its own. Removes the containers that a process with the same label left, and returns
    /// when the first one is warm; later failures never end the pool.
    ///
    /// # Errors
    /// [`ContainerError`] when the runtime is away or the image is no render worker.
    pub async fn contain(options: ContainerOptions) -> Result<Self, ContainerError> {
        Ok(Self(Kind::Contained(Arc::new(Contained(Containers::start(options).await?)))))
    }

    /// When a place in the queue is likely, between one second and one minute, from how long prints took lately.
    pub fn retry_after(&self) -> Duration {
        match &self.0 {
            Kind::Local(local) => local.retry_after(),
            Kind::Remote(remote) => remote.0.retry_after(),
            Kind::Contained(contained) => contained.0.retry_after(),
        }
    }

    /// Prints one document. Dropping the future gives its place in the queue back and cleans the tab, wherever it is.
    ///
    /// A job whose renderer, browser or worker died is tried once more, elsewhere, before its deadline.
    ///
    /// # Errors
    /// Every variant of [`ChromiumError`] but those of starting.
    pub async fn print(&self, job: PrintJob, deadline: Instant) -> Result<Printed, ChromiumError> {
        let printed = match &self.0 {
            Kind::Local(local) => local.print(job, deadline).await?,
            Kind::Remote(remote) => waited(remote.0.print(&job, deadline).instrument(debug_span!("print", on = "worker")).await?),
            Kind::Contained(contained) => {
                waited(contained.0.print(&job, deadline).instrument(debug_span!("print", on = "container")).await?)
            }
        };
        record(printed.lane, &printed.timings);
        Ok(printed)
    }

    /// How the pool is doing: a browser of our own right now, workers as of about a second ago.
    pub fn status(&self) -> PoolStatus {
        match &self.0 {
            Kind::Local(local) => local.status(),
            Kind::Remote(remote) => remote.0.status(),
            Kind::Contained(contained) => contained.0.status(),
        }
    }

    /// Each render worker; none where the browser is our own.
    pub fn workers(&self) -> Vec<WorkerStanding> {
        match &self.0 {
            Kind::Local(_) | Kind::Contained(_) => Vec::new(),
            Kind::Remote(remote) => remote.0.standings(),
        }
    }

    /// Sets the gauges that are only measured when somebody asks; call it before the metrics are read.
    pub fn record_metrics(&self) {
        if let Kind::Remote(remote) = &self.0 {
            remote.0.record_metrics();
        }
    }

    /// Which characters the fonts draw that documents are printed with.
    ///
    /// # Errors
    /// [`FontsError`] when they cannot be listed; of [`FontsError::NoWorker`] it is worth asking again.
    pub async fn installed_fonts(&self) -> Result<Coverage, FontsError> {
        match &self.0 {
            // Containers are of an image like this server's.
            Kind::Local(_) | Kind::Contained(_) => Coverage::of_installed_fonts(std::path::Path::new("fc-list")).await,
            Kind::Remote(remote) => remote.0.fonts().await,
        }
    }

    /// Whether [`Pool::close`] has begun.
    pub fn is_closed(&self) -> bool {
        match &self.0 {
            Kind::Local(local) => local.is_closed(),
            Kind::Remote(remote) => remote.0.is_shut(),
            Kind::Contained(contained) => contained.0.is_shut(),
        }
    }

    /// Sends waiting jobs away, lets running ones finish until the deadline, then kills the browser or leaves the workers. When it
    /// returns, neither a process, a profile directory nor a connection is left.
    pub async fn close(&self, deadline: Instant) {
        match &self.0 {
            Kind::Local(local) => local.close(deadline).await,
            Kind::Remote(remote) => remote.0.close(deadline).await,
            Kind::Contained(contained) => contained.0.close(deadline).await,
        }
    }
}

/// The wait of a document that was printed elsewhere.
fn waited(printed: Printed) -> Printed {
    metrics::histogram!("pulp_chromium_queue_wait_seconds").record(printed.timings.queue_wait);
    printed
}

fn record(lane: Lane, timings: &Timings) {
    metrics::histogram!("pulp_chromium_load_seconds", "lane" => lane.as_str()).record(timings.load);
    metrics::histogram!("pulp_chromium_print_seconds", "lane" => lane.as_str()).record(timings.print);
}
