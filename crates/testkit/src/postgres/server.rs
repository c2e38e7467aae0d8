//! The server behind the test databases: one per test process, on a folder that outlives it.
//!
//! The folders are slots below `target/tmp`. A process takes the first free one under a lock, so that
//! test programs that run one after the other (as `cargo test` does) share one cluster with its
//! templates and only pay the start of about 0.1 s, and programs that run at the same time do not meet.
//! The server ends with its process, however that ends, because the kernel tells it to; nothing has to
//! count users, and nothing stays behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use embedded_postgres::{Durability, EmbeddedPostgres, EmbeddedPostgresError, Options, find_binaries};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// More test processes at the same time than any machine runs.
const SLOTS: u32 = 64;
/// No statement here takes long; a lock that is never given must not hang the run.
const STATEMENT_LIMIT: Duration = Duration::from_mins(1);

/// Where test databases are made.
#[derive(Debug)]
pub(super) struct Server {
    /// A URL whose database exists; statements about other databases go there.
    admin_url: String,
    pub(super) bin_dir: PathBuf,
    pub(super) major: u32,
    /// Kept running, and its slot locked, until the process ends.
    slot: Option<Slot>,
}

#[derive(Debug)]
struct Slot {
    _postgres: EmbeddedPostgres,
    _lock: File,
}

/// The server of this process, started by the first caller.
pub(super) async fn shared() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            let server = match external_url() {
                Some(url) => Server::external(url).await,
                // In a runtime of its own: a test may have stopped the clock of its runtime.
                None => tokio::task::spawn_blocking(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                    runtime.expect("a small runtime").block_on(Server::private())
                })
                .await
                .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())),
            };
            server.sweep().await;
            server
        })
        .await
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
fn external_url() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())
}

impl Server {
    async fn external(admin_url: String) -> Self {
        let bin_dir = find_binaries(None).unwrap_or_else(|error| panic!("psql is needed to use TEST_DATABASE_URL: {error}")).dir;
        let version = run_psql(&bin_dir, &admin_url, "SHOW server_version_num").await;
        let version = version.unwrap_or_else(|error| panic!("TEST_DATABASE_URL cannot be used: {error}"));
        let major = version.parse::<u32>().map_or(0, |number| number / 10_000);
        Self { admin_url, bin_dir, major, slot: None }
    }

    async fn private() -> Self {
        let (folder, lock) = free_slot();
        let data_dir = folder.join("data");
        // Written without fsync: after a crash of the machine it is rubbish that may look sound.
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot_file = folder.join("boot_id");
        if std::fs::read_to_string(&boot_file).unwrap_or_default() != boot {
            let _ = std::fs::remove_dir_all(&data_dir);
            std::fs::write(&boot_file, boot).unwrap_or_else(|error| panic!("{}: {error}", boot_file.display()));
        }
        let options = || Options { durability: Durability::TestsOnly, ..Options::new(&data_dir) };
        let started = match embedded_postgres::start(options()).await {
            Err(error @ (EmbeddedPostgresError::BinariesNotFound { .. } | EmbeddedPostgresError::SetprivMissing { .. })) => Err(error),
            Err(error) => {
                // It is a throw-away: of another major version, another user, or broken, a new one will do.
                println!("making a new test cluster in {}, the old one does not start: {error}", data_dir.display());
                let _ = std::fs::remove_dir_all(&data_dir);
                embedded_postgres::start(options()).await
            }
            Ok(postgres) => Ok(postgres),
        };
        let postgres = started.unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error}"));
        let (bin_dir, major) = (postgres.binaries().dir.clone(), postgres.binaries().major);
        Self { admin_url: postgres.url(), bin_dir, major, slot: Some(Slot { _postgres: postgres, _lock: lock }) }
    }

    /// Runs one statement outside the test databases.
    pub(super) async fn admin(&self, sql: &str) -> Result<String, String> {
        run_psql(&self.bin_dir, &self.admin_url, sql).await
    }

    /// The same server, another database.
    pub(super) fn url_of(&self, database: &str) -> String {
        with_database(&self.admin_url, database)
    }

    /// Whether other processes use this server too.
    pub(super) fn is_shared(&self) -> bool {
        self.slot.is_none()
    }

    /// Drops what earlier runs left. On a server that others use, only what is older than any test.
    async fn sweep(&self) {
        let old = "AND (pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification < now() - interval '2 hours'";
        let age = if self.is_shared() { old } else { "" };
        let list = format!(r"SELECT datname FROM pg_database WHERE datname ~ '^(test|making)_[0-9a-f]{{16}}$' {age}");
        for name in self.admin(&list).await.unwrap_or_default().lines() {
            super::drop_in_background(name.to_owned());
        }
    }
}

fn free_slot() -> (PathBuf, File) {
    let slots = target_dir().join("tmp/test-postgres");
    for number in 0..SLOTS {
        let folder = slots.join(number.to_string());
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let path = folder.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if lock.try_lock().is_ok() {
            return (folder, lock);
        }
    }
    panic!("all {SLOTS} folders in {} are in use by other test processes", slots.display());
}

/// Test programs lie in `<target>/<profile>/deps`, wherever the target folder was put.
pub(crate) fn target_dir() -> PathBuf {
    let program = std::env::current_exe().expect("a test program has a path");
    let deps = program.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "deps"));
    deps.and_then(|deps| deps.ancestors().nth(2)).map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), Path::to_owned)
}

/// Runs one statement and gives the rows as `psql -At` prints them, or what it said instead.
pub(super) async fn run_psql(bin_dir: &Path, url: &str, sql: &str) -> Result<String, String> {
    let run = Command::new(bin_dir.join("psql"))
        .args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(STATEMENT_LIMIT, run).await;
    let output = output.map_err(|_| format!("no answer within {STATEMENT_LIMIT:?}"))?;
    let output =
        output.map_err(|error| format!("{}: {error}; install it with `apt install postgresql-client`", bin_dir.join("psql").display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
    }
}

/// An unused name: sixteen hexadecimal digits after the kind.
pub(super) fn new_name(kind: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{kind}_{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// A name as SQL wants it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn with_database(url: &str, database: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let host_start = address.find("://").map_or(0, |position| position + 3);
    let host_end = address[host_start..].find('/').map_or(address.len(), |position| host_start + position);
    let mut changed = format!("{}/{database}", &address[..host_end]);
    if let Some(query) = query {
        changed.push('?');
        changed.push_str(query);
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_of_a_url_is_replaced_and_nothing_else() {
        let cases = [
            ("postgres://pulp@localhost/pulp?host=/a/b", "postgres://pulp@localhost/new?host=/a/b"),
            ("postgres://u:p@db:5433/old", "postgres://u:p@db:5433/new"),
            ("postgres://db", "postgres://db/new"),
            ("postgresql://db?sslmode=disable", "postgresql://db/new?sslmode=disable"),
        ];
        for (url, expected) in cases {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}
