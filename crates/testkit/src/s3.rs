//! A small S3 in this process, for one bucket, that can be told to misbehave. Bodies lie in files, so that it does not blur
//! what a test measures of memory. It does not check signatures: [`crate::seaweedfs`] does.

mod http;
mod objects;
mod service;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use objects::Objects;

/// The bucket that there is.
pub const BUCKET: &str = "blobs";
/// The access key id that is let in, with any secret.
pub const ACCESS_KEY_ID: &str = "test-key-id";

/// What the server does instead of answering well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of the kind.
    None,
    /// It closes every connection.
    Closed,
    /// It reads requests and does not answer until the fault is another one.
    Silent,
    /// It answers the next requests with 503, so many of them.
    Unavailable(u32),
    /// It breaks off the bodies of the next GETs, so many of them, after so many bytes.
    CutBodies {
        /// How many GETs.
        times: u32,
        /// Bytes that are sent all the same.
        after_bytes: u64,
    },
    /// It stops in the middle of every GET's body and keeps the connection.
    StalledBodies,
    /// It changes the first byte of every GET's body.
    WrongBytes,
}

/// The server. It answers until the process ends; dropping the value makes it close every connection.
pub struct S3Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) struct State {
    pub(crate) objects: Objects,
    pub(crate) fault: Fault,
    /// Method and path with query of every request.
    pub(crate) requests: Vec<String>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the server is not silent, a minute at most.
    pub(crate) fn wait_while_silent(&self) {
        let silent = |state: &mut State| state.fault == Fault::Silent;
        drop(self.changed.wait_timeout_while(self.lock(), Duration::from_mins(1), silent));
    }
}

impl S3Server {
    /// Starts on a free port of this machine.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let state = State { objects: Objects::new()?, fault: Fault::None, requests: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let service = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let service = service.clone();
                // A client that goes away in the middle is nothing to tell of.
                thread::spawn(move || drop(service::serve(&service, &stream)));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Misbehaves from the next request on.
    pub fn set_fault(&self, fault: Fault) {
        self.shared.lock().fault = fault;
        self.shared.changed.notify_all();
    }

    /// How many requests with this method came for a path that contains `part`.
    pub fn count_requests(&self, method: &str, part: &str) -> usize {
        let wanted = |line: &&String| line.split_once(' ').is_some_and(|(its, path)| its == method && path.contains(part));
        self.shared.lock().requests.iter().filter(wanted).count()
    }

    /// Uploads in parts that were neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        self.shared.lock().objects.open_uploads()
    }

    /// Puts an object behind the back of whoever is tested.
    pub fn plant(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut body = bytes;
        let file = Objects::write(&self.shared.lock().objects.new_path(), &mut body)?;
        self.shared.lock().objects.put(name, file);
        Ok(())
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.set_fault(Fault::Closed);
    }
}
