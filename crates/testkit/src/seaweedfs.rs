//! A real S3 server that nobody here wrote: `SeaweedFS`, as a process of its own, with a fresh folder.
//!
//! `scripts/test` puts its program into `target/seaweedfs-venv`. Its folders are slots below `target/tmp`, each with ports of
//! its own; a process takes the first free one under a lock. The server ends with its process, however that ends.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::kept::{self, Kept};
use crate::postgres::target_dir;

/// More than any machine runs at the same time.
const SLOTS: u16 = 16;
/// Below the ports that the kernel gives to clients, also with the 10,000 that are added for its inner traffic.
const FIRST_PORT: u16 = 14_000;
const PORTS_EACH: u16 = 10;

/// The bucket that there is.
pub const BUCKET: &str = "blobs";
/// The only access key that is let in.
pub const ACCESS_KEY_ID: &str = "test-key-id";
/// Its secret.
pub const SECRET_ACCESS_KEY: &str = "test-secret-access-key";

/// The server. Dropping the value kills it.
pub struct SeaweedFs {
    program: PathBuf,
    port: u16,
    folder: PathBuf,
    process: Option<Kept>,
    _lock: File,
}

impl SeaweedFs {
    /// Starts it; it answers some seconds later. Nothing when its program is not there, which on CI is a failure.
    pub fn start() -> Option<Self> {
        let program = crate::installed("target/seaweedfs-venv/bin/weed")?;
        let (folder, lock, first) = free_slot();
        let data = folder.join("data");
        let _ = fs::remove_dir_all(&data);
        fs::create_dir_all(&data).unwrap_or_else(|error| panic!("{}: {error}", data.display()));
        let _ = fs::remove_file(folder.join("log"));
        let mut server = Self { program, port: first, folder, process: None, _lock: lock };
        server.start_again();
        Some(server)
    }

    /// Kills it. What it has kept stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it on what it has kept, after [`SeaweedFs::kill`]; it answers some seconds later.
    pub fn start_again(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.join("log"));
        let command = log.and_then(|log| command(&self.program, &self.folder.join("data"), self.port, log));
        self.process = Some(Kept::start(command.unwrap_or_else(|error| panic!("the log of SeaweedFS: {error}")), "SeaweedFS"));
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process, to be stopped and continued.
    ///
    /// # Panics
    /// When it is not running.
    pub fn process(&self) -> u32 {
        self.process.as_ref().expect("SeaweedFS runs").process()
    }

    /// The end of its log, for a test that waited in vain.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(self.folder.join("data"));
    }
}

fn command(program: &Path, data: &Path, first: u16, log: File) -> io::Result<Command> {
    let mut command = kept::command();
    command.arg("--").arg(program).arg("mini").arg(format!("-dir={}", data.display()));
    command.args([format!("-bucket={BUCKET}").as_str(), "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
    command.args(["-admin.ui=false", "-webdav=false", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
    for (number, name) in (first..).zip(["s3", "master", "filer", "volume", "admin"]) {
        command.arg(format!("-{name}.port={number}"));
    }
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

fn free_slot() -> (PathBuf, File, u16) {
    for number in 0..SLOTS {
        let folder = target_dir().join("tmp/test-seaweedfs").join(number.to_string());
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock"));
        let lock = lock.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let first = FIRST_PORT + number * PORTS_EACH;
        let mut ports = (first..first + PORTS_EACH).flat_map(|port| [port, port + 10_000]);
        if lock.try_lock().is_ok() && ports.all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return (folder, lock, first);
        }
    }
    panic!("all {SLOTS} places for SeaweedFS are in use by other test processes");
}
