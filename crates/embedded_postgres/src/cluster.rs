//! The cluster on disk: what is there, and the making of a new one in one atomic step.

use std::fs::DirBuilder;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::child::{Child, in_words};
use crate::error::{EmbeddedPostgresError, folder};
use crate::log::Log;
use crate::settings::{DATABASE, Durability, ROLE};

/// A cluster is made under this name plus a random part, and renamed when it is complete. What bears
/// it at a start was cut short and holds nobody's data.
const UNFINISHED: &str = "postgres.initdb-";
/// On a slow disk `initdb` was seen to take 10 s; past this it hangs.
const INIT_LIMIT: Duration = Duration::from_mins(3);

/// The major version of the cluster in `cluster`, or `None` when there is none yet.
pub(crate) fn major(cluster: &Path) -> Result<Option<u32>, EmbeddedPostgresError> {
    let not_a_cluster = |found: String| EmbeddedPostgresError::NotACluster { path: cluster.to_owned(), found };
    let meta = match std::fs::symlink_metadata(cluster) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(folder("look at", cluster)(error)),
    };
    // A link may lead to a bigger disk.
    if !meta.is_dir() && !cluster.is_dir() {
        return Err(not_a_cluster("it is a file, or a link that leads nowhere".to_owned()));
    }
    let path = cluster.join("PG_VERSION");
    match std::fs::File::open(&path) {
        Ok(file) => {
            let mut text = String::new();
            file.take(32).read_to_string(&mut text).map_err(folder("read", &path))?;
            let digits: String = text.trim().chars().take_while(char::is_ascii_digit).collect();
            digits.parse().map(Some).map_err(|_| not_a_cluster(format!("its PG_VERSION says {:?}", text.trim())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut entries = std::fs::read_dir(cluster).map_err(folder("list", cluster))?.flatten();
            match entries.next() {
                None => Ok(None),
                Some(first) => Err(not_a_cluster(format!(
                    "it has no PG_VERSION but contains {}{}",
                    first.file_name().display(),
                    if entries.next().is_some() { " and more" } else { "" }
                ))),
            }
        }
        Err(error) => Err(folder("read", &path)(error)),
    }
}

/// Makes a cluster with our role and database. Interrupted at any point, `cluster` does not exist.
pub(crate) async fn make(
    data_dir: &Path,
    cluster: &Path,
    account: &Account,
    binaries: &Binaries,
    durability: Durability,
    log: &Log,
) -> Result<(), EmbeddedPostgresError> {
    let unfinished = data_dir.join(format!("{UNFINISHED}{}", random_name()?));
    DirBuilder::new().mode(0o700).create(&unfinished).map_err(folder("make the folder", &unfinished))?;
    let made = async {
        account.hand_over(&unfinished).map_err(folder("give away", &unfinished))?;
        initdb(data_dir, &unfinished, account, binaries, durability, log).await?;
        std::fs::rename(&unfinished, cluster).map_err(folder("put the new cluster at", cluster))?;
        let parent = std::fs::File::open(data_dir).map_err(folder("open", data_dir))?;
        parent.sync_all().map_err(folder("save", data_dir))
    };
    let made = made.await;
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&unfinished);
    }
    made
}

/// Removes what interrupted runs of [`make`] left. Called under the lock of the data folder.
pub(crate) fn sweep_unfinished(data_dir: &Path) {
    for entry in std::fs::read_dir(data_dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            tracing::info!("removing {}, left by an interrupted start", entry.path().display());
            if let Err(error) = std::fs::remove_dir_all(entry.path()) {
                tracing::warn!("cannot remove {}: {error}", entry.path().display());
            }
        }
    }
}

async fn initdb(
    data_dir: &Path,
    unfinished: &Path,
    account: &Account,
    binaries: &Binaries,
    durability: Durability,
    log: &Log,
) -> Result<(), EmbeddedPostgresError> {
    let (mut command, data_directory) = account.command(&binaries.dir.join("initdb"), unfinished, "TERM")?;
    command.args(["-D", &data_directory, "-U", ROLE, "-E", "UTF8", "--locale=C.UTF-8", "--lc-messages=C"]);
    // Whoever gets through the permissions of the folder may connect; nobody over TCP.
    command.args(["--auth-local=trust", "--auth-host=reject"]);
    match durability {
        Durability::Safe => command.arg("--data-checksums"),
        Durability::TestsOnly => command.arg("--no-sync"),
    };
    run(command, String::new(), data_dir, log).await?;

    let (mut command, data_directory) = account.command(&binaries.dir.join("postgres"), unfinished, "TERM")?;
    command.args(["--single", "-j", "-D", &data_directory, "-c", "exit_on_error=true"]);
    if durability == Durability::TestsOnly {
        command.arg("-F");
    }
    command.arg("template1");
    run(command, format!("CREATE DATABASE {DATABASE};\n"), data_dir, log).await
}

async fn run(command: std::process::Command, input: String, data_dir: &Path, log: &Log) -> Result<(), EmbeddedPostgresError> {
    log.forget_tail();
    let program = PathBuf::from(command.get_program());
    let child = Child::spawn(command, input, log.clone()).await.map_err(folder("run", program))?;
    let status = match tokio::time::timeout(INIT_LIMIT, child.exited()).await {
        Ok(Some(status)) if status.success() => return Ok(()),
        Ok(status) => in_words(status),
        Err(_) => {
            child.signal(Signal::KILL);
            format!("killed after {} s", INIT_LIMIT.as_secs())
        }
    };
    let log_tail = child.log_tail().await;
    Err(disk_full(data_dir, &log_tail).unwrap_or_else(|| EmbeddedPostgresError::InitFailed { path: data_dir.to_owned(), status, log_tail }))
}

/// The better error when the log tells that there was no room.
pub(crate) fn disk_full(data_dir: &Path, log_tail: &str) -> Option<EmbeddedPostgresError> {
    log_tail.contains("No space left on device").then(|| EmbeddedPostgresError::DiskFull {
        path: data_dir.to_owned(),
        free_mib: rustix::fs::statvfs(data_dir).map_or(0, |fs| (fs.f_bavail * fs.f_frsize) >> 20),
        log_tail: log_tail.to_owned(),
    })
}

/// Sixteen hexadecimal digits that nobody can foresee.
pub(crate) fn random_name() -> Result<String, EmbeddedPostgresError> {
    let mut bytes = [0_u8; 8];
    let source = Path::new("/dev/urandom");
    std::fs::File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).map_err(folder("read", source))?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}
