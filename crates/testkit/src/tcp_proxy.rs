//! A TCP port that leads somewhere, and then somewhere else: what an address that survives a failover is to its clients.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

/// Where connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a port of this machine.
    Port(u16),
    /// To a Unix socket.
    Socket(PathBuf),
}

impl Target {
    /// The server of a database URL: its socket, or its port on this machine.
    pub fn of_url(url: &str) -> Self {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let port = address.rsplit_once('@').and_then(|(_, place)| place.split('/').next()?.rsplit_once(':')?.1.parse().ok());
        let folder = query.split('&').find_map(|pair| pair.strip_prefix("host=/"));
        match folder {
            Some(folder) => Self::Socket(PathBuf::from(format!("/{folder}/.s.PGSQL.{}", port.unwrap_or(5432)))),
            None => Self::Port(port.unwrap_or(5432)),
        }
    }
}

/// The port. Dropping the value closes it.
#[derive(Debug)]
pub struct TcpProxy {
    port: u16,
    target: watch::Sender<Option<Target>>,
    frozen: watch::Sender<bool>,
    open: Arc<AtomicUsize>,
}

impl TcpProxy {
    /// Opens a port of this machine that leads to `target`.
    ///
    /// # Panics
    /// When the system gives no port or no thread.
    pub fn to(target: Target) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (sender, targets) = watch::channel(Some(target));
        let (frozen, freezes) = watch::channel(false);
        let open = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&open);
        // Of a thread of its own: the test may stop the clock of its runtime, or end it.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime");
            runtime.block_on(serve(listener, targets, freezes, counter));
        });
        Self { port, target: sender, frozen, open }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the connections that are open and lets new ones lead there; with `None` they are closed as soon as they are made.
    pub fn lead_to(&self, target: Option<Target>) {
        self.target.send_replace(target);
    }

    /// From now on no byte passes, in either direction, and nothing says so: a half-open connection.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// What was held back passes, and all that follows.
    pub fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    /// How many connections go through it at this moment.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, mut targets: watch::Receiver<Option<Target>>, frozen: watch::Receiver<bool>, open: Arc<AtomicUsize>) {
    listener.set_nonblocking(true).expect("a socket of our own");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = targets.changed() => if changed.is_ok() { continue } else { return },
        };
        let Ok((client, _)) = accepted else { continue };
        let mut targets = targets.clone();
        let Some(target) = targets.borrow_and_update().clone() else { continue };
        let (open, frozen) = (Arc::clone(&open), frozen.clone());
        tokio::spawn(async move {
            open.fetch_add(1, Ordering::Relaxed);
            // An end of either side, a new target and the end of the proxy all cut it.
            tokio::select! {
                _ = carry(client, target, frozen) => {}
                _ = targets.changed() => {}
            }
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn carry(client: TcpStream, target: Target, frozen: watch::Receiver<bool>) -> io::Result<()> {
    client.set_nodelay(true)?;
    match target {
        Target::Port(port) => {
            let server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.set_nodelay(true)?;
            both_ways(client.into_split(), server.into_split(), frozen).await
        }
        Target::Socket(path) => {
            let server = UnixStream::connect(path).await?;
            both_ways(client.into_split(), server.into_split(), frozen).await
        }
    }
}

/// Until either side ends: a database connection has no half that goes on alone.
async fn both_ways(
    (from_client, to_client): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (from_server, to_server): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    frozen: watch::Receiver<bool>,
) -> io::Result<()> {
    tokio::select! {
        ended = pass(from_client, to_server, frozen.clone()) => ended,
        ended = pass(from_server, to_client, frozen) => ended,
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut frozen: watch::Receiver<bool>) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        // Also the end is not told.
        let _ = frozen.wait_for(|frozen| !frozen).await;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..count]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_a_url_is_a_socket_or_a_port() {
        for (url, expected) in [
            ("postgres://pulp@localhost/pulp?host=/a/b", Target::Socket("/a/b/.s.PGSQL.5432".into())),
            ("postgres://pulp@localhost:5433/pulp?sslmode=disable&host=/a", Target::Socket("/a/.s.PGSQL.5433".into())),
            ("postgres://me:secret@127.0.0.1:6000/pulp", Target::Port(6000)),
            ("postgres://me@127.0.0.1/pulp", Target::Port(5432)),
        ] {
            assert_eq!(Target::of_url(url), expected, "{url}");
        }
    }
}
