//! Where a worker listens: the port, or the socket file with its rights.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::RemoteError;
use super::address::Address;
use super::stream::Stream;

/// Owner and group may connect, nobody else.
const SOCKET_MODE: u32 = 0o660;
/// Of a folder that is made for the socket file.
const FOLDER_MODE: u32 = 0o750;

/// An open door. Dropping it closes it and removes its socket file.
#[derive(Debug)]
pub struct Listener {
    pub(crate) address: Address,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Unix { listener: UnixListener, _file: SocketFile },
    Tcp(TcpListener),
}

/// Somebody at the door.
pub(crate) enum Caller {
    /// From this machine, let in by the rights of the file.
    Unix(Stream),
    /// From anywhere.
    Tcp(TcpStream, String),
}

impl Listener {
    /// Begins to listen. The socket file of a worker that died is replaced; where one still answers, that is an error.
    ///
    /// # Errors
    /// [`RemoteError::Listen`].
    pub async fn bind(address: &Address) -> Result<Self, RemoteError> {
        let failed = |error: io::Error| RemoteError::Listen { address: address.clone(), reason: error.to_string() };
        let kind = match address {
            Address::Unix(path) => bind_file(path).map_err(failed)?,
            Address::Tcp { host, port } => Kind::Tcp(TcpListener::bind((host.as_str(), *port)).await.map_err(failed)?),
        };
        Ok(Self { address: address.clone(), kind })
    }

    /// The port that it listens on; none for a socket file.
    pub fn port(&self) -> Option<u16> {
        match &self.kind {
            Kind::Unix { .. } => None,
            Kind::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Caller> {
        match &self.kind {
            Kind::Unix { listener, .. } => Ok(Caller::Unix(Box::new(listener.accept().await?.0))),
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Caller::Tcp(stream, peer.to_string()))
            }
        }
    }
}

/// A socket file of ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor's is left alone.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn bind_file(path: &Path) -> io::Result<Kind> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something that is no socket"));
        }
        Ok(_) if StdUnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "a worker that runs listens there"));
        }
        _ => {}
    }
    // Under another name first: in its place it appears with its rights, and takes that of a dead worker's in one step.
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    let placed = fs::set_permissions(&fresh, Permissions::from_mode(SOCKET_MODE)).and_then(|()| fs::rename(&fresh, path));
    if let Err(error) = placed {
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    let file = SocketFile { path: path.to_owned(), inode: fs::symlink_metadata(path)?.ino() };
    Ok(Kind::Unix { listener, _file: file })
}
