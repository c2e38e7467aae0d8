//! The product's own server as people run it: a process with settings, a data folder and a log.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use tempfile::TempDir;

use crate::kept::{self, Kept};
use crate::postgres::target_dir;

/// Where distributions put programs. The tests' own environment must not leak into the server's.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// A server on a port and a data folder of its own, which it keeps over its ends. Dropping the value kills it.
pub struct ServerProcess {
    process: Option<Kept>,
    folder: TempDir,
    port: u16,
    settings: Vec<(String, String)>,
}

impl ServerProcess {
    /// Starts one with these settings besides its port and folders; it is ready some seconds later.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("pulp-server-").expect("a temporary folder");
        // As root the browser is another user's, who has to reach its folder.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).expect("our own folder");
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut started = Self { process: None, folder, port: crate::port_to_listen_on(), settings };
        started.start_again();
        started
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(set, _)| set != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it on what it left behind; one that still runs is killed first.
    pub fn start_again(&mut self) {
        self.process = None;
        let data = self.folder.path().join("data");
        fs::create_dir_all(&data).expect("a folder of our own");
        fs::set_permissions(&data, Permissions::from_mode(0o711)).expect("our own folder");
        let log = File::options().create(true).append(true).open(self.log_file()).expect("a log file");
        let mut command = kept::command();
        command.arg("--").arg(program()).arg("serve").env_clear().env("PATH", PATH);
        command.env("PORT", self.port.to_string()).env("PULP_DATA_DIR", &data).env("PULP_RUNTIME_DIR", self.folder.path().join("chromium"));
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(Kept::start(command, "the server"));
    }

    /// Its port, the same for every start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its own address with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The folder of its data and its log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    ///
    /// # Panics
    /// When it was not started.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server was started").process()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "kill -s {name}: {status:?}");
    }

    /// Whether it is there and not only waiting to be collected.
    pub fn is_alive(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }
}

/// The server's program: the one that `PULP_ENGINE_PROGRAM` names, or that of the same build as this test, which is built when it is
/// missing or older than its sources.
///
/// # Panics
/// When it cannot be built.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(named) = std::env::var_os("PULP_ENGINE_PROGRAM") {
            return PathBuf::from(named);
        }
        // Test programs lie in `<target>/<profile>/deps`.
        let own = std::env::current_exe().expect("a test program has a path");
        let profile = own.parent().and_then(Path::parent).map_or_else(|| target_dir().join("debug"), Path::to_owned);
        let program = profile.join("pulp-engine");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let is_old = |built| ["crates", "migrations"].iter().any(|folder| has_newer(&root.join(folder), built));
        if modified(&program).is_none_or(is_old) {
            println!("building the server (cargo build --bin pulp-engine): {} is missing or older than its sources", program.display());
            let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            build.args(["build", "--locked", "--package", "server", "--bin", "pulp-engine"]).current_dir(&root);
            if profile.ends_with("release") {
                build.arg("--release");
            }
            let status = build.env("CARGO_TARGET_DIR", target_dir()).env("SQLX_OFFLINE", "true").status();
            assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "the server cannot be built: {status:?}");
        }
        program
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// Whether something that the server is made of is newer than that; tests are not in it.
fn has_newer(folder: &Path, than: SystemTime) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            name != "tests" && name != "testkit" && name != "bench" && name != "fuzz" && has_newer(&path, than)
        } else {
            path.extension().is_some_and(|kind| kind == "rs" || kind == "toml" || kind == "sql")
                && modified(&path).is_some_and(|at| at > than)
        }
    })
}
