//! A Postgres that outlived its server: found by its pid file, made sure of, and stopped.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::child::signal_process;
use crate::error::{EmbeddedPostgresError, folder};
use crate::settings::{MARK, PORT};

/// A fast shutdown writes a checkpoint; 32 MB of buffers take a second or two on a slow disk.
const FAST_LIMIT: Duration = Duration::from_secs(15);
/// An immediate one waits 5 s for its children before it kills them.
const IMMEDIATE_LIMIT: Duration = Duration::from_secs(8);

/// Who bears the process id that a pid file names.
#[derive(Debug, PartialEq, Eq)]
enum Bearer {
    /// Nobody: Postgres itself deals with its stale files.
    Gone,
    /// The postmaster of this very cluster.
    Orphan,
    /// Someone else, to whom the number was given later.
    Stranger,
    /// A Postgres, but of which cluster cannot be seen.
    Unclear,
}

/// Leaves the cluster with no postmaster and with no pid file that names a stranger. Called under the
/// lock of the data folder, so no server but a dead one can have started what is found.
pub(crate) async fn settle(cluster: &Path) -> Result<(), EmbeddedPostgresError> {
    for name in ["postmaster.pid".to_owned(), format!(".s.PGSQL.{PORT}.lock")] {
        let file = cluster.join(name);
        let Some(pid) = pid_in(&file) else { continue };
        match bearer(pid, cluster) {
            Bearer::Gone => {}
            Bearer::Orphan => stop(pid, cluster).await?,
            Bearer::Stranger => {
                // Postgres would take the stranger for a running postmaster and refuse to start.
                tracing::info!("{} names process {pid}, which is not PostgreSQL: removing it", file.display());
                std::fs::remove_file(&file).map_err(folder("remove", &file))?;
            }
            Bearer::Unclear => {
                return Err(EmbeddedPostgresError::OrphanStays {
                    cluster: cluster.to_owned(),
                    pid,
                    found: "may not be looked at".to_owned(),
                });
            }
        }
    }
    Ok(())
}

async fn stop(pid: u32, cluster: &Path) -> Result<(), EmbeddedPostgresError> {
    tracing::warn!("stopping the PostgreSQL that an earlier run left behind (process {pid})");
    for (signal, limit) in [(Signal::INT, FAST_LIMIT), (Signal::QUIT, IMMEDIATE_LIMIT)] {
        if bearer(pid, cluster) == Bearer::Orphan {
            signal_process(pid, signal);
        }
        let gone = async {
            while bearer(pid, cluster) == Bearer::Orphan {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(limit, gone).await.is_ok() {
            return Ok(());
        }
    }
    let found = "does not obey SIGINT and SIGQUIT".to_owned();
    Err(EmbeddedPostgresError::OrphanStays { cluster: cluster.to_owned(), pid, found })
}

fn pid_in(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

fn bearer(pid: u32, cluster: &Path) -> Bearer {
    let proc = Path::new("/proc").join(pid.to_string());
    let read = |name: &str| std::fs::read(proc.join(name)).unwrap_or_default();
    let status = String::from_utf8_lossy(&read("status")).into_owned();
    if status.is_empty() || status.lines().any(|line| line.starts_with("State:") && line.contains('Z')) {
        return Bearer::Gone;
    }
    // The id of a thread also has an entry, and cannot be told from its process by name.
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    let name = String::from_utf8_lossy(&read("comm")).trim().to_owned();
    if group.map(str::trim) != Some(pid.to_string().as_str()) || !["postgres", "postmaster"].contains(&name.as_str()) {
        return Bearer::Stranger;
    }
    // A postmaster works in its data directory. Looking there needs its user or, in a container, a
    // capability that even root may lack; everybody can read the mark on its command line.
    let place = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let mark = format!("{MARK}={}", cluster.display());
    if read("cmdline").split(|byte| *byte == 0).any(|argument| argument == mark.as_bytes()) {
        return Bearer::Orphan;
    }
    match place(&proc.join("cwd")) {
        Some(cwd) if Some(cwd) == place(cluster) => Bearer::Orphan,
        Some(_) => Bearer::Stranger,
        None => Bearer::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::{Bearer, bearer};

    #[test]
    fn only_a_postgres_of_this_cluster_counts_as_its_orphan() {
        let here = std::env::temp_dir();
        assert_eq!(bearer(std::process::id(), &here), Bearer::Stranger);
        assert_eq!(bearer(u32::MAX, &here), Bearer::Gone);
    }
}
