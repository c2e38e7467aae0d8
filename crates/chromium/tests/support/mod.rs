//! A pool in a runtime directory of its own, checked to leave nothing behind.
#![expect(dead_code, reason = "every test binary uses its part of this module")]

use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use chromium::{Pool, PoolOptions, PrintJob, Sandbox, Scripts, find_executable};
use tempfile::TempDir;
use tokio::time::Instant;

/// A pool that is closed with [`TestPool::close`].
pub struct TestPool {
    pool: Pool,
    pub runtime: TempDir,
}

impl Deref for TestPool {
    type Target = Pool;
    fn deref(&self) -> &Pool {
        &self.pool
    }
}

/// Options as a server with two cores has them, without the sandbox, which root cannot have.
pub fn options(runtime: &Path) -> PoolOptions {
    let mut options = PoolOptions::new(find_executable(None).unwrap().path, runtime.join("run"));
    options.sandbox = Sandbox::Off;
    options
}

/// Starts a pool with changed options.
pub async fn start(change: impl FnOnce(&mut PoolOptions)) -> TestPool {
    let runtime = tempfile::tempdir().unwrap();
    let mut options = options(runtime.path());
    change(&mut options);
    TestPool { pool: Pool::start(options).await.unwrap(), runtime }
}

impl TestPool {
    /// Closes the pool and proves that no process and no profile directory is left.
    pub async fn close(self) {
        self.close_by(soon()).await;
    }

    /// The same, with running prints given until then.
    pub async fn close_by(self, deadline: Instant) {
        let groups = self.browsers();
        self.pool.close(deadline).await;
        let run = self.runtime.path().join("run");
        let alive: Vec<i32> = groups.into_iter().flat_map(group).chain(browsers_in(&run)).collect();
        assert!(alive.is_empty(), "processes are left: {alive:?}");
        let left: Vec<_> =
            std::fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name()).filter(|name| name != "cache").collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    /// Drops the pool without closing it.
    pub fn into_runtime(self) -> TempDir {
        self.runtime
    }

    /// The main processes of this pool's browsers.
    pub fn browsers(&self) -> Vec<i32> {
        browsers_in(&self.runtime.path().join("run"))
    }

    /// The renderer processes of this pool.
    pub fn renderers(&self) -> Vec<i32> {
        let all = self.browsers().into_iter().flat_map(group);
        all.filter(|pid| command_line(*pid).contains("--type=renderer")).collect()
    }
}

/// The main processes of browsers whose profile is in this directory.
pub fn browsers_in(run: &Path) -> Vec<i32> {
    let profile = format!("--user-data-dir={}", run.display());
    let is_browser = |line: &str| line.contains(&profile) && !line.contains("--type=");
    processes().filter(|pid| is_browser(&command_line(*pid))).collect()
}

/// The living processes of a process group.
pub fn group(leader: i32) -> Vec<i32> {
    processes().filter(|pid| state_and_group(*pid).is_some_and(|(state, group)| group == leader && state != "Z")).collect()
}

/// Whether a process is on a processor or wants one.
pub fn is_running(pid: i32) -> bool {
    state_and_group(pid).is_some_and(|(state, _)| state == "R")
}

fn processes() -> impl Iterator<Item = i32> {
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn state_and_group(pid: i32) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
}

fn command_line(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Kills one process, as the kernel or an operator would.
pub fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// The texts for 0 up to `count`, one after the other.
pub fn each(count: usize, mut text: impl FnMut(usize) -> String) -> String {
    let mut all = String::new();
    for number in 0..count {
        all.push_str(&text(number));
    }
    all
}

/// A script-free job with default options.
pub fn job(html: &str) -> PrintJob {
    PrintJob::new(html.to_owned(), "tenant".to_owned())
}

/// A job whose scripts run.
pub fn scripted(html: &str) -> PrintJob {
    PrintJob { scripts: Scripts::On, ..job(html) }
}

/// A deadline that only a fault misses.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// The words of a PDF with single spaces.
pub fn text(pdf: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pdf).unwrap();
    let output = Command::new("pdftotext").arg(file.path()).arg("-").stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "pdftotext: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many pages a PDF has.
pub fn pages(pdf: &[u8]) -> usize {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pdf).unwrap();
    let output = Command::new("pdfinfo").arg(file.path()).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = shown.lines().find_map(|line| line.strip_prefix("Pages:")).unwrap_or("0");
    line.trim().parse().unwrap()
}

/// The PDF with the digits of its dates blanked; all that differs between two prints of one document.
pub fn undated(pdf: &[u8]) -> Vec<u8> {
    let mut pdf = pdf.to_vec();
    for at in memchr::memmem::find_iter(&pdf.clone(), b"(D:") {
        pdf[at + 3..at + 17].fill(b'0');
    }
    pdf
}

/// Waits until something holds, or fails after ten seconds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < until, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
