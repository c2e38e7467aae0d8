//! The browser as a child process: started in its own process group, killed as a group, reaped, its profile removed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process_group, pidfd_open, test_kill_process_group, waitpgid};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, BufReader, Interest};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::Account;
use crate::profile::Profile;

/// A large document crosses in few switches.
const PIPE_BYTES: usize = 1024 * 1024;
/// How much of the browser's standard error is kept for error messages.
const TAIL_BYTES: usize = 4096;
/// How long the processes of a killed group may take to vanish.
const VANISH: Duration = Duration::from_secs(5);
/// What every browser complains about on a server without a desktop; ten such lines would bury why it died.
const NOISE: [&str; 4] = ["dbus/", "bluez", "vaapi", "sandbox_linux.cc:405"];

/// What to start.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) executable: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: &'a [(String, String)],
    pub(crate) runtime_dir: &'a Path,
    pub(crate) account: Option<Account>,
    /// Ends once neither a process nor the profile is left.
    pub(crate) tasks: &'a TaskTracker,
}

/// A running browser process. Dropping it does nothing; [`Process::kill`] it.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pid: Pid,
    tail: Arc<Mutex<VecDeque<String>>>,
    end: watch::Receiver<End>,
}

/// How far the end of a process has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It runs.
    Running,
    /// It is dead; how, in words.
    Exited(String),
    /// Nothing of it is left, neither process nor directory.
    Cleared(String),
}

/// Starts the browser and returns it with our ends of the debugging pipe.
pub(crate) fn start(launch: Launch<'_>) -> io::Result<(Process, pipe::Sender, pipe::Receiver)> {
    let (browser_reads, we_write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (we_read, browser_writes) = pipe_with(PipeFlags::CLOEXEC)?;
    for end in [&we_write, &we_read] {
        // Above the limit of an unprivileged user the smaller default serves as well.
        let _ = fcntl_setpipe_size(end, PIPE_BYTES);
    }
    // Another user's browser has to get through it; nobody has to read it.
    let folder = launch.runtime_dir;
    let unusable =
        |error: io::Error| io::Error::new(error.kind(), format!("its runtime folder {} cannot be used: {error}", folder.display()));
    DirBuilder::new().recursive(true).mode(0o711).create(folder).map_err(unusable)?;
    let profile = Profile::create(folder).map_err(unusable)?;
    let cache = folder.join("cache");
    if let Some(account) = launch.account {
        check_way(account, folder).map_err(unusable)?;
        hand_over(account, profile.path(), &cache).map_err(unusable)?;
    }
    let mut command = Command::new(launch.executable);
    command
        .args(launch.arguments)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .env_clear()
        .envs([("HOME", profile.path()), ("TMPDIR", profile.path()), ("XDG_CACHE_HOME", cache.as_path())])
        .envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("TZ", "UTC")])
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(Account { uid, gid }) = launch.account {
        // The standard library also drops root's other groups.
        command.uid(uid).gid(gid);
    }
    let mapped = command
        .fd_mappings(vec![FdMapping { parent_fd: browser_reads, child_fd: 3 }, FdMapping { parent_fd: browser_writes, child_fd: 4 }]);
    mapped.map_err(|error| io::Error::other(error.to_string()))?;
    let mut child = command.spawn()?;
    // The command holds the browser's pipe ends; only without it does the pipe end when the browser does.
    drop(command);
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let pid = pid.ok_or_else(|| io::Error::other("the browser has no process id"))?;
    let tail = Arc::new(Mutex::new(VecDeque::new()));
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(follow(BufReader::new(stderr), tail.clone()));
    }
    let (end, ended) = watch::channel(End::Running);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let remains = Remains { pid, child, profile, gone: false };
    launch.tasks.spawn(attend(remains, pidfd, end));
    let process = Process { pid, tail, end: ended };
    Ok((process, pipe::Sender::from_owned_fd(we_write)?, pipe::Receiver::from_owned_fd(we_read)?))
}

/// Whether another user gets to a folder: a browser that does not would end without a word about it.
fn check_way(account: Account, folder: &Path) -> io::Result<()> {
    for part in std::fs::canonicalize(folder)?.ancestors() {
        let found = std::fs::metadata(part)?;
        if found.mode() & 0o001 == 0 && found.uid() != account.uid {
            let reason = format!("{} is closed to the browser's user (uid {})", part.display(), account.uid);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
    }
    Ok(())
}

/// Makes the folders of a browser that is another user's: the first to go through, the others its own. What was there
/// already is left as it is.
fn hand_over(account: Account, profile: &Path, cache: &Path) -> io::Result<()> {
    lchown(profile, Some(account.uid), Some(account.gid))?;
    match std::fs::create_dir(cache) {
        Ok(()) => lchown(cache, Some(account.uid), Some(account.gid)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

impl Process {
    /// The process id of the browser's main process.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    /// Kills every process of the browser's group. Does nothing once it has exited.
    pub(crate) fn kill(&self) {
        if *self.end.borrow() == End::Running {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// How it ended, once it has; words for people.
    pub(crate) async fn exited(&self) -> String {
        let mut end = self.end.clone();
        match end.wait_for(|end| *end != End::Running).await.as_deref() {
            Ok(End::Exited(how) | End::Cleared(how)) => how.clone(),
            _ => "unknown".to_owned(),
        }
    }

    /// Returns when neither a process nor the profile directory is left.
    pub(crate) async fn cleared(&self) {
        let mut end = self.end.clone();
        let _ = end.wait_for(|end| matches!(end, End::Cleared(_))).await;
    }

    /// The last lines of its standard error.
    pub(crate) fn stderr_tail(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// What has to be cleaned up, even when the runtime is torn down under us.
struct Remains {
    pid: Pid,
    child: Child,
    profile: Profile,
    gone: bool,
}

impl Drop for Remains {
    fn drop(&mut self) {
        if !self.gone {
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = self.profile.remove();
        }
    }
}

/// Waits for the end of the process and clears up after it.
async fn attend(mut remains: Remains, pidfd: OwnedFd, end: watch::Sender<End>) {
    // The descriptor tells of the end before the process is reaped, so its group id cannot have been given to others yet.
    #[expect(deprecated, reason = "sound for an owned descriptor; its successor can only be called from unsafe code")]
    let registered = AsyncFd::with_interest(pidfd, Interest::READABLE);
    if let Ok(exited) = registered {
        let _ = exited.readable().await;
    }
    let _ = kill_process_group(remains.pid, Signal::KILL);
    let how = match remains.child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    end.send_replace(End::Exited(how.clone()));
    vanish(remains.pid).await;
    if let Err(error) = remains.profile.remove() {
        tracing::warn!(%error, path = %remains.profile.path().display(), "a browser's profile directory could not be removed");
    }
    remains.gone = true;
    end.send_replace(End::Cleared(how));
}

/// Waits until no process of the group lives. As process 1 of a container we inherit its orphans and reap them;
/// elsewhere the dead ones are left to a process 1 that may take a second over it.
async fn vanish(group: Pid) {
    let until = Instant::now() + VANISH;
    while Instant::now() < until {
        while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
        if test_kill_process_group(group).is_err() || !any_alive(group.as_raw_pid()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tracing::warn!(group = group.as_raw_pid(), "processes of a killed browser are still there");
}

/// Whether `/proc` shows a process of the group that is more than a zombie.
fn any_alive(group: i32) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return true };
    let stats = processes.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats.into_iter().any(|stat| {
        // After the name in parentheses: state, parent, process group.
        let mut fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
        let condition = fields.next();
        let in_group = fields.nth(1).and_then(|field| field.parse().ok()) == Some(group);
        in_group && !matches!(condition, Some("Z" | "X"))
    })
}

/// Passes the browser's words on and keeps the last of them.
async fn follow(mut stderr: BufReader<tokio::process::ChildStderr>, tail: Arc<Mutex<VecDeque<String>>>) {
    let mut line = Vec::new();
    // A line that does not end is kept in pieces.
    while let Ok(piece) = stderr.fill_buf().await {
        if piece.is_empty() {
            break;
        }
        let cut = memchr::memchr(b'\n', piece).map(|at| at + 1);
        let taken = cut.unwrap_or(piece.len());
        line.extend_from_slice(&piece[..taken]);
        stderr.consume(taken);
        if cut.is_some() || line.len() > TAIL_BYTES {
            keep(&tail, String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    }
}

fn keep(tail: &Mutex<VecDeque<String>>, line: String) {
    tracing::debug!(target: "chromium::stderr", "{line}");
    if NOISE.iter().any(|noise| line.contains(noise)) {
        return;
    }
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    tail.push_back(line);
    while tail.iter().map(String::len).sum::<usize>() > TAIL_BYTES && tail.len() > 1 {
        tail.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_hold_why_it_died_and_not_what_every_server_lacks() {
        let tail = Mutex::new(VecDeque::new());
        for line in [
            "[7:7:0101/000000.000000:ERROR:base/files/file_util_posix.cc:1] Too many open files",
            "[7:9:0101/000000.000000:ERROR:dbus/bus.cc:406] Failed to connect to the bus",
            "[7:9:0101/000000.000000:ERROR:device/bluetooth/bluez/bluez_dbus_manager.cc:1] Bluetooth is not there",
            "[8:8:0101/000000.000000:ERROR:media/gpu/vaapi/vaapi_wrapper.cc:1] vaInitialize failed",
            "[8:8:0101/000000.000000:ERROR:content/common/sandbox_linux.cc:405] InitializeSandbox() called with multiple threads",
        ] {
            keep(&tail, line.to_owned());
        }
        let kept = tail.into_inner().unwrap();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(kept[0].contains("Too many open files"), "{kept:?}");
    }
}
