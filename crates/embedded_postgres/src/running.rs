//! A Postgres that is up: its URL, its end, stopping it and starting it again.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::account::Account;
use crate::binaries::{self, Binaries};
use crate::child::{Child, State, in_words};
use crate::error::{EmbeddedPostgresError, folder};
use crate::lock::DataDirLock;
use crate::log::Log;
use crate::options::Options;
use crate::settings::{self, DATABASE, ROLE};
use crate::socket::Socket;
use crate::{cluster, orphan};

/// The backends of a killed postmaster hold its shared memory for some seconds (4.1 s were seen), and
/// until they are gone a new one refuses to start.
const ORPHAN_BACKENDS_LIMIT: Duration = Duration::from_secs(15);
/// After SIGQUIT a postmaster waits 5 s for its children and then kills them.
const IMMEDIATE_LIMIT: Duration = Duration::from_secs(8);

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// In time, with everything written out; the next start needs no recovery.
    Clean,
    /// It had to be cut short. Nothing committed is lost; the next start recovers.
    CutShort,
}

/// A running private Postgres. It ends with [`EmbeddedPostgres::stop`]; dropping the value only asks it
/// to end, and when this process is killed the kernel asks it (given `setpriv`), or the next start does.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    options: Options,
    data_dir: PathBuf,
    log: Log,
    process: Process,
    _lock: DataDirLock,
}

#[derive(Debug)]
struct Process {
    child: Child,
    socket: Socket,
    binaries: Binaries,
}

/// Makes the cluster if there is none, ends what an earlier run left, and starts Postgres. Returns when
/// it answers on its socket. Needs a Tokio runtime with time, but survives its end.
pub async fn start(options: Options) -> Result<EmbeddedPostgres, EmbeddedPostgresError> {
    let wanted = &options.data_dir;
    std::fs::create_dir_all(wanted).map_err(folder("make the data folder", wanted))?;
    let data_dir = wanted.canonicalize().map_err(folder("open the data folder", wanted))?;
    if data_dir.to_str().is_none_or(|text| text.contains('\n')) {
        return Err(EmbeddedPostgresError::PathNotText { path: data_dir });
    }
    let lock = DataDirLock::take(&data_dir)?;
    let log = Log::open(&data_dir.join("postgres.log"));
    let process = launch(&options, &data_dir, &log).await?;
    Ok(EmbeddedPostgres { options, data_dir, log, process, _lock: lock })
}

/// Where clients connect to the Postgres that another process runs on this data folder; nothing where none does. Changes nothing, so
/// a visitor such as a backup can look in while the server goes on. It may stop at any moment, which its owner decides.
pub fn url_of_running(options: &Options) -> Result<Option<String>, EmbeddedPostgresError> {
    let Ok(data_dir) = options.data_dir.canonicalize() else { return Ok(None) };
    if !data_dir.join("postgres.lock").exists() {
        return Ok(None);
    }
    match DataDirLock::take(&data_dir) {
        Ok(_released_at_once) => Ok(None),
        Err(EmbeddedPostgresError::AlreadyRunning { holder_pid, .. }) => {
            let cluster = data_dir.join("postgres");
            let account = Account::decide(options.run_as.as_deref(), &cluster)?;
            match Socket::find(&data_dir, &cluster, &account) {
                Some(socket) => Ok(Some(url_at(&socket.folder))),
                None => Err(EmbeddedPostgresError::AlreadyRunning { data_dir, holder_pid }),
            }
        }
        Err(error) => Err(error),
    }
}

fn url_at(socket_folder: &Path) -> String {
    format!("postgres://{ROLE}@localhost/{DATABASE}?host={}", percent_encoded(socket_folder))
}

impl EmbeddedPostgres {
    /// Where clients connect: a Unix socket, a role that owns everything, and its database. It needs no
    /// password; the permissions of the folder keep others out. The same after a restart.
    pub fn url(&self) -> String {
        url_at(&self.process.socket.folder)
    }

    /// The version of the programs, as in [`Binaries::version`].
    pub fn version(&self) -> &str {
        &self.process.binaries.version
    }

    /// The programs in use, for `psql` and `pg_dump`.
    pub fn binaries(&self) -> &Binaries {
        &self.process.binaries
    }

    /// The data folder, absolute; the cluster is in `postgres` below it.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.process.child.pid()
    }

    /// Resolves when Postgres has ended, for whatever reason, with its status when the system tells it.
    /// The future does not borrow, so it can be awaited beside a later [`EmbeddedPostgres::stop`].
    pub fn exited(&self) -> impl Future<Output = Option<ExitStatus>> + Send + use<> {
        self.process.child.exited()
    }

    /// The last lines of the log, for the report of an unexpected end.
    pub fn log_tail(&self) -> String {
        self.log.tail()
    }

    /// Starts it again after it died (or stops and starts it), on the same data and the same URL.
    pub async fn restart(&mut self) -> Result<(), EmbeddedPostgresError> {
        self.end(Duration::from_secs(10)).await?;
        self.process = launch(&self.options, &self.data_dir, &self.log).await?;
        Ok(())
    }

    /// Ends every session, writes everything out and ends. Past `timeout` it is cut short, which takes at
    /// most 8 s more and loses nothing that was committed.
    pub async fn stop(self, timeout: Duration) -> Result<Stopped, EmbeddedPostgresError> {
        let stopped = self.end(timeout).await?;
        self.process.socket.tidy(&self.data_dir);
        Ok(stopped)
    }

    async fn end(&self, timeout: Duration) -> Result<Stopped, EmbeddedPostgresError> {
        let child = &self.process.child;
        for (signal, limit, stopped) in [(Signal::INT, timeout, Stopped::Clean), (Signal::QUIT, IMMEDIATE_LIMIT, Stopped::CutShort)] {
            child.signal(signal);
            if child.ends_within(limit).await {
                return Ok(stopped);
            }
        }
        Err(EmbeddedPostgresError::StopTimedOut { pid: child.pid() })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.signal(Signal::INT);
    }
}

async fn launch(options: &Options, data_dir: &Path, log: &Log) -> Result<Process, EmbeddedPostgresError> {
    let cluster = data_dir.join("postgres");
    let existing = cluster::major(&cluster)?;
    let binaries = binaries::find_binaries_for(options.bin_dir.as_deref(), existing)?;
    if let Some(found_major) = existing.filter(|major| *major != binaries.major) {
        let (installed_major, bin_dir) = (binaries.major, binaries.dir);
        return Err(EmbeddedPostgresError::ForeignMajor { cluster, found_major, installed_major, bin_dir });
    }
    let account = Account::decide(options.run_as.as_deref(), &cluster)?;
    cluster::sweep_unfinished(data_dir);
    if existing.is_none() {
        cluster::make(data_dir, &cluster, &account, &binaries, options.durability, log).await?;
    }
    let socket = Socket::place(data_dir, &cluster, &account)?;
    let began = Instant::now();
    loop {
        orphan::settle(&cluster).await?;
        log.forget_tail();
        let (mut command, data_directory) = account.command(&binaries.dir.join("postgres"), &cluster, "INT")?;
        command.args(["-D", &data_directory]);
        command.args(settings::arguments(options, &cluster.display().to_string(), &socket.setting));
        let program = PathBuf::from(command.get_program());
        let child = Child::spawn(command, String::new(), log.clone()).await.map_err(folder("run", program))?;
        let process = Process { child, socket: socket.clone(), binaries: binaries.clone() };
        match until_ready(&process, &cluster, options.start_timeout).await {
            Err(EmbeddedPostgresError::StartFailed { log_tail, .. })
                if held_by_orphan_backends(&log_tail) && began.elapsed() < ORPHAN_BACKENDS_LIMIT =>
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(EmbeddedPostgresError::StartFailed { status, log_tail, .. }) => {
                return Err(cluster::disk_full(data_dir, &log_tail).unwrap_or(EmbeddedPostgresError::StartFailed {
                    cluster,
                    status,
                    log_tail,
                }));
            }
            Err(error) => return Err(error),
            Ok(()) => return Ok(process),
        }
    }
}

fn held_by_orphan_backends(log_tail: &str) -> bool {
    log_tail.contains("pre-existing shared memory block") || log_tail.contains("lock file \"postmaster.pid\" already exists")
}

async fn until_ready(process: &Process, cluster: &Path, timeout: Duration) -> Result<(), EmbeddedPostgresError> {
    let child = &process.child;
    let pid_file = cluster.join("postmaster.pid");
    let ready = async {
        while child.state() == State::Running && !says_ready(&pid_file, child.pid()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(timeout, ready).await.is_ok();
    if let State::Ended(status) = child.state() {
        let (status, log_tail) = (in_words(status), child.log_tail().await);
        return Err(EmbeddedPostgresError::StartFailed { cluster: cluster.to_owned(), status, log_tail });
    }
    if !in_time {
        let log_tail = child.log_tail().await;
        return Err(EmbeddedPostgresError::StartTimedOut { cluster: cluster.to_owned(), waited_ms: timeout.as_millis(), log_tail });
    }
    let socket = process.socket.file();
    std::os::unix::net::UnixStream::connect(&socket).map(drop).map_err(|source| EmbeddedPostgresError::SocketUnreachable { socket, source })
}

/// The last line of the pid file is the postmaster's state, as `pg_ctl` reads it too.
fn says_ready(pid_file: &Path, pid: u32) -> bool {
    let text = std::fs::read_to_string(pid_file).unwrap_or_default();
    let mut lines = text.lines();
    lines.next().is_some_and(|first| first.trim() == pid.to_string()) && lines.last().is_some_and(|last| last.trim() == "ready")
}

fn percent_encoded(path: &Path) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
