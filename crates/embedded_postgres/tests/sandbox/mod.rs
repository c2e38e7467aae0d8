//! A data folder per test, removed at its end, and ways to look at what runs in it.
#![allow(dead_code, clippy::allow_attributes, reason = "every test file uses a part of it")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use embedded_postgres::{EmbeddedPostgres, Options};

pub const STOP_LIMIT: Duration = Duration::from_secs(20);
const WAIT_LIMIT: Duration = Duration::from_secs(20);

pub struct Sandbox {
    pub root: PathBuf,
    pub data_dir: PathBuf,
}

impl Sandbox {
    pub fn new(name: &str) -> Self {
        Self::below(&PathBuf::from(env!("CARGO_TARGET_TMPDIR")), name)
    }

    pub fn below(parent: &std::path::Path, name: &str) -> Self {
        let root = parent.join(format!("epg-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).unwrap();
        Self { data_dir: root.join("data"), root }
    }

    pub fn options(&self) -> Options {
        Options::new(&self.data_dir)
    }

    pub fn cluster(&self) -> PathBuf {
        self.data_dir.join("postgres")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Runs SQL with the `psql` beside the server and gives what it prints, columns separated by `|`.
pub fn psql(postgres: &EmbeddedPostgres, sql: &str) -> String {
    psql_url(&postgres.url(), sql)
}

pub fn psql_url(url: &str, sql: &str) -> String {
    let output = Command::new("psql").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn psql_command(postgres: &EmbeddedPostgres, sql: &str) -> Command {
    let mut command = Command::new("psql");
    command.args(["-X", "-c", sql, &postgres.url()]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub fn kill(pid: u32, signal: &str) {
    assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}

pub fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Waits for a condition, and fails by its name when it does not come.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < WAIT_LIMIT, "waited {WAIT_LIMIT:?} for: {what}");
        #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition with a deadline")]
        std::thread::sleep(Duration::from_millis(10));
    }
}
