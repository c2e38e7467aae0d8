//! `PgBouncer` in front of a test database, as a process of its own.
//!
//! `scripts/test` puts two releases into `target/pgbouncer`: a new one that keeps the statements of its clients apart, and an
//! old one that does not.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::kept::{self, Kept};
use crate::tcp_proxy::{Target, TcpProxy};

/// It starts within some milliseconds.
const START: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);
/// It refuses to run as root, and is nobody then.
const NOBODY: &str = "65534";

/// Which release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 1.24: it keeps prepared statements apart where it is told to.
    New,
    /// 1.18: it knows nothing of prepared statements.
    Old,
}

/// A running `PgBouncer`. Dropping the value kills it.
pub struct PgBouncer {
    _process: Kept,
    /// To the database: its socket may be in a folder that `PgBouncer` may not look into.
    way: TcpProxy,
    port: u16,
    folder: TempDir,
}

impl PgBouncer {
    /// Starts one in front of the server of `database_url`, in transaction mode with four server connections to a database.
    /// `lines` are added to its configuration and win. Nothing when the program is not there, which on CI is a failure.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(release: Release, database_url: &str, lines: &[&str]) -> Option<Self> {
        let name = if release == Release::New { "new" } else { "old" };
        let mut program = crate::installed(&format!("target/pgbouncer/{name}/pgbouncer"))?;
        let folder = TempDir::with_prefix_in("pulp-pgbouncer-", "/tmp").expect("a temporary folder");
        let way = TcpProxy::to(Target::of_url(database_url));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        drop(listener);
        let mut command = kept::command();
        if is_root() {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our own folder");
            program = copy(&program, folder.path());
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        }
        let configuration = folder.path().join("pgbouncer.ini");
        fs::write(folder.path().join("users.txt"), users(database_url)).expect("a file of our own");
        fs::write(&configuration, text(folder.path(), port, way.port(), lines)).expect("a file of our own");
        let log = File::create(folder.path().join("log")).expect("a file of our own");
        command.arg("--").arg(program).arg(&configuration);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let started = Self { _process: Kept::start(command, "PgBouncer"), way, port, folder };
        started.wait_until_it_listens();
        Some(started)
    }

    /// The way to a database of that server through it.
    pub fn url(&self, database_url: &str) -> String {
        let address = database_url.split_once('?').map_or(database_url, |(address, _)| address);
        let database = address.rsplit_once('/').map_or("", |(_, database)| database);
        format!("postgres://{}@127.0.0.1:{}/{database}?sslmode=disable", user_and_password(database_url).0, self.port)
    }

    /// How many connections it has to the server at this moment.
    pub fn server_connections(&self) -> usize {
        self.way.open()
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
    fn wait_until_it_listens(&self) {
        let deadline = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not listen:\n{}", self.log());
            std::thread::sleep(PAUSE);
        }
    }
}

fn text(folder: &Path, port: u16, server: u16, lines: &[&str]) -> String {
    let mut text = format!("[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n");
    let _ = writeln!(text, "unix_socket_dir =\nauth_type = trust\nauth_file = {}", folder.join("users.txt").display());
    text.push_str("pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 300\n");
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn users(url: &str) -> String {
    let (user, password) = user_and_password(url);
    format!("\"{user}\" \"{password}\"\n")
}

fn user_and_password(url: &str) -> (&str, &str) {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map_or("", |(authority, _)| authority);
    authority.split_once(':').unwrap_or((authority, ""))
}

/// The program with its libraries in a place where everybody may look.
fn copy(program: &Path, folder: &Path) -> PathBuf {
    let from = program.parent().expect("a folder");
    let place = folder.join("program");
    let copied = Command::new("cp").arg("-a").arg(from).arg(&place).status();
    assert!(copied.as_ref().is_ok_and(std::process::ExitStatus::success), "cp -a {}: {copied:?}", from.display());
    place.join("pgbouncer")
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.trim_ascii() == b"0"
}
