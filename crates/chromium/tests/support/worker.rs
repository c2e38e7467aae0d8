//! A render worker in a runtime of its own, so that it can be killed as a process can.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chromium::remote::{Address, Listener, RemoteOptions, Security, ServeOptions, TlsFiles, serve};
use chromium::{Pool, PoolOptions};
use tempfile::TempDir;
use testkit::certificates::Authority;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::support::{options, soon};

/// A worker with a browser of its own.
pub struct TestWorker {
    /// Its pool, to look into.
    pub pool: Pool,
    /// Where it listens.
    pub address: Address,
    /// Tells it to end.
    pub drain: CancellationToken,
    runtime: Option<Runtime>,
    serving: Option<tokio::task::JoinHandle<()>>,
    folder: TempDir,
}

impl TestWorker {
    /// One with a single tab.
    pub async fn start(address: &Address, security: &Security) -> Self {
        Self::start_with(address, security, |options| options.tabs = 1).await
    }

    /// One with a changed pool.
    pub async fn start_with(address: &Address, security: &Security, change: impl FnOnce(&mut PoolOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path());
        change(&mut options);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let drain = CancellationToken::new();
        let serve_options =
            ServeOptions { grace: Duration::from_secs(10), ..ServeOptions::new(security.clone(), options.tabs, options.queue_depth) };
        let (address, draining) = (address.clone(), drain.clone());
        let starting = runtime.spawn(async move {
            let pool = Pool::start(options).await.unwrap();
            let listener = Listener::bind(&address).await.unwrap();
            let address = match (address, listener.port()) {
                (Address::Tcp { .. }, Some(port)) => Address::Tcp { host: "localhost".to_owned(), port },
                (address, _) => address,
            };
            let serving = tokio::spawn({
                let pool = pool.clone();
                async move { serve(listener, pool, serve_options, draining).await.unwrap() }
            });
            (pool, address, serving)
        });
        let (pool, address, serving) = starting.await.unwrap();
        Self { pool, address, drain, runtime: Some(runtime), serving: Some(serving), folder }
    }

    /// Where the profiles of its browsers are.
    pub fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) {
        self.serving.take().unwrap().await.unwrap();
    }
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let pool = self.pool.clone();
        // A runtime must not be left from within another.
        std::thread::spawn(move || {
            runtime.block_on(pool.close(soon()));
            runtime.shutdown_background();
        });
    }
}

/// A socket file in a folder.
pub fn socket(folder: &Path, name: &str) -> Address {
    Address::Unix(folder.join(name))
}

/// Any free port of this machine.
pub fn any_port() -> Address {
    // Port 0 is none that an operator may write.
    Address::Tcp { host: "localhost".to_owned(), port: 0 }
}

/// A secret on both sides.
pub fn secret(text: &str) -> Security {
    Security { secret: Some(text.into()), tls: None }
}

/// Certificates of an authority for `localhost`.
pub fn certificates(authority: &Authority, names: &str) -> Security {
    let certificate = authority.certificate_of_both_ends(names);
    let tls = TlsFiles { certificate: certificate.file, key: certificate.key_file, authority: authority.file() };
    Security { secret: None, tls: Some(tls) }
}

/// A replica that uses these workers.
pub async fn replica(workers: &[&TestWorker], security: &Security) -> Pool {
    let addresses = workers.iter().map(|worker| worker.address.clone()).collect();
    Pool::connect(RemoteOptions::new(addresses, security.clone())).await.unwrap()
}

/// The path of a socket file.
pub fn path(address: &Address) -> PathBuf {
    match address {
        Address::Unix(path) => path.clone(),
        Address::Tcp { .. } => panic!("{address} is no file"),
    }
}
