//! The bytes between a replica and a worker, over whichever of the three ways.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::trust::Trust;

/// From when on, how often and how many times a silent machine is asked whether it is there: gone without a word, it is known to be
/// gone after 25 s.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(5), 3);

/// Any of them.
pub(crate) type Stream = Box<dyn Duplex>;

/// What bytes go both ways over.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> Duplex for T {}

/// One place where a worker is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A socket file.
    Unix(PathBuf),
    /// One address of a host, and the name that the worker's certificate has to have.
    Tcp(SocketAddr, String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(address, _) => write!(formatter, "tcp://{address}"),
        }
    }
}

/// Connects, with TLS where there are certificates.
pub(crate) async fn connect(place: &Place, trust: &Trust) -> io::Result<Stream> {
    match place {
        Place::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        Place::Tcp(address, name) => {
            let tcp = TcpStream::connect(address).await?;
            tune(&tcp);
            let Some(tls) = &trust.tls else { return Ok(Box::new(tcp)) };
            let name = ServerName::try_from(name.clone()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            Ok(Box::new(TlsConnector::from(Arc::clone(&tls.client)).connect(name, tcp).await?))
        }
    }
}

/// What came in by TCP, with TLS where there are certificates.
pub(crate) async fn accept(tcp: TcpStream, trust: &Trust) -> io::Result<Stream> {
    tune(&tcp);
    match &trust.tls {
        Some(tls) => Ok(Box::new(TlsAcceptor::from(Arc::clone(&tls.server)).accept(tcp).await?)),
        None => Ok(Box::new(tcp)),
    }
}

fn tune(tcp: &TcpStream) {
    let (idle, between, times) = KEEPALIVE;
    // A system that knows one of them not goes on without: deadlines end every wait as well, only later.
    let _ = tcp.set_nodelay(true);
    let _ = set_socket_keepalive(tcp, true);
    let _ = set_tcp_keepidle(tcp, idle);
    let _ = set_tcp_keepintvl(tcp, between);
    let _ = set_tcp_keepcnt(tcp, times);
}
