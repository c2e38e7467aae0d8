//! A server of one test's own, to be stopped, frozen and started again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A Postgres server of its own. Dropping the value stops it and removes what it has.
pub struct Cluster {
    // Short, because a Unix socket's path may have 107 bytes at most.
    folder: TempDir,
    binaries: PathBuf,
    settings: &'static [&'static str],
}

impl Cluster {
    /// A running server with an empty database `postgres`.
    pub fn start_new() -> Self {
        Self::start_with(&[])
    }

    /// One with more settings, each as `name=value`.
    pub fn start_with(settings: &'static [&'static str]) -> Self {
        let folder = TempDir::with_prefix_in("pulp-postgres-", "/tmp").expect("a temporary folder");
        let cluster = Self { folder, binaries: binaries(), settings };
        if is_root() {
            run(Command::new("chown").arg("65534:65534").arg(cluster.folder.path()));
        }
        let data = cluster.data();
        run(cluster.postgres_command("initdb").arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]));
        cluster.start();
        cluster
    }

    /// A streaming replica of this one, which is a server of its own.
    #[must_use]
    pub fn replicate(&self) -> Self {
        let folder = TempDir::with_prefix_in("pulp-postgres-", "/tmp").expect("a temporary folder");
        let replica = Self { folder, binaries: binaries(), settings: self.settings };
        if is_root() {
            run(Command::new("chown").arg("65534:65534").arg(replica.folder.path()));
        }
        let mut copy = replica.postgres_command("pg_basebackup");
        copy.arg("-h").arg(self.folder.path()).args(["-U", "postgres", "-R", "-c", "fast", "--no-sync", "-D"]).arg(replica.data());
        run(&mut copy);
        replica.start();
        replica
    }

    /// Makes a replica a server that takes writes.
    pub fn promote(&self) {
        run(self.postgres_command("pg_ctl").arg("-D").arg(self.data()).args(["-w", "-t", "30", "promote"]));
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Where it is: a Unix-socket URL.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.path().display())
    }

    /// Starts it after a stop.
    pub fn start(&self) {
        let folder = self.folder.path().display();
        let mut settings = format!("-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c shared_buffers=16MB");
        for setting in self.settings {
            settings.push_str(" -c ");
            settings.push_str(setting);
        }
        let mut start = self.postgres_command("pg_ctl");
        start.arg("-D").arg(self.data()).arg("-l").arg(self.folder.path().join("log")).args(["-w", "-t", "30", "-o", &settings, "start"]);
        run(&mut start);
    }

    /// Ends the server as an operator would restart it: sessions are cut off with a reason.
    pub fn stop(&self) {
        run(self.postgres_command("pg_ctl").arg("-D").arg(self.data()).args(["-m", "fast", "-w", "-t", "30", "stop"]));
    }

    /// The server and its sessions answer no more, and nothing says so: as when its host vanishes.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// They go on where they were.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// The output of a statement as `psql -At` prints it, see [`super::TestDatabase::query`].
    pub async fn query(&self, sql: &str) -> String {
        super::server::run_psql(&self.binaries, &self.url(), sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn signal(&self, signal: &str) {
        let pid_file = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("a server that runs");
        let postmaster = pid_file.lines().next().expect("its process id").to_owned();
        let children =
            std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).expect("the processes of the server");
        run(Command::new("kill").arg(signal).arg(&postmaster));
        for child in children.split_whitespace() {
            // One may have ended in between.
            let _ = Command::new("kill").args([signal, child]).stderr(Stdio::null()).status();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Postgres refuses to run as root.
    fn postgres_command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            // A test may have failed while it was frozen, and it would not hear of its end.
            self.thaw();
            let mut stop = self.postgres_command("pg_ctl");
            let _ = stop.arg("-D").arg(self.data()).args(["-m", "immediate", "-w", "-t", "30", "stop"]).stdout(Stdio::null()).status();
        }
    }
}

fn run(command: &mut Command) {
    // Not `output`: the server inherits a pipe and would keep it open.
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout.trim_ascii() == b"0"
}

fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let newest = versions.filter(|bin| bin.join("initdb").exists()).max();
    newest.or_else(|| which("initdb")).expect("PostgreSQL's initdb; install the package postgresql")
}

fn which(program: &str) -> Option<PathBuf> {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().ok()?;
    Path::new(std::str::from_utf8(&found.stdout).ok()?.trim()).parent().map(Path::to_owned).filter(|folder| folder.is_absolute())
}
