//! The processes of one variant: started together, counted together, ended together.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep};

use crate::accounting::Accounting;
use crate::error::{BenchError, Result, While as _};
use crate::proc;

/// How long a variant may take to end by itself; the server drains, and its database checkpoints.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Moves the shell into the cgroup named first, if any, then becomes the program: the program never runs uncounted.
const INTO_CGROUP: &str = r#"if [ -n "$1" ]; then echo $$ > "$1" || exit 97; fi; shift; exec "$@""#;

/// What to start.
#[derive(Debug, Default)]
pub struct Launch {
    /// A short name for logs and the cgroup.
    pub name: &'static str,
    /// The program and its words.
    pub words: Vec<OsString>,
    /// Settings of the environment on top of what this process has; `None` takes one away.
    pub environment: Vec<(&'static str, Option<OsString>)>,
    /// The folder to run in.
    pub folder: PathBuf,
}

/// The processes of one variant.
#[derive(Debug)]
pub struct Group {
    name: &'static str,
    root: i32,
    accounting: Accounting,
    cgroup: Option<PathBuf>,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Group {
    /// CPU time so far of everything that runs or ran in here, in nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        let counted = self.cgroup.as_deref().and_then(|folder| self.accounting.cpu_ns(folder));
        counted.unwrap_or_else(|| proc::tree(self.root).iter().map(|process| process.own_cpu_ns + process.reaped_cpu_ns).sum())
    }

    /// The id of the first process.
    pub fn root(&self) -> i32 {
        self.root
    }

    /// The ids of every process that lives in here, zombies included.
    pub fn members(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = proc::tree(self.root).into_iter().map(|process| process.pid).collect();
        if let Some(folder) = &self.cgroup {
            let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            pids.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Ids of every process of a browser whose program has the file name of `executable`.
    pub fn browser_tree(&self, executable: &Path) -> Vec<i32> {
        let name = executable.file_name();
        // Renderers write their own title, with blanks where others have zero bytes; the program stays the first word.
        let is_it = |pid: &i32| proc::command_line(*pid).split(' ').next().is_some_and(|word| Path::new(word).file_name() == name);
        self.members().into_iter().filter(is_it).collect()
    }

    /// Those of [`Self::browser_tree`] that are nobody's renderer, zygote or utility.
    pub fn browsers(&self, executable: &Path) -> Vec<i32> {
        self.browser_tree(executable).into_iter().filter(|pid| !proc::command_line(*pid).contains(" --type=")).collect()
    }

    /// Whether the first process still runs.
    pub fn runs(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(child.try_wait(), Ok(None))
    }

    /// The last lines this variant wrote, for an error message.
    pub fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Asks the variant to end, waits, and ends by force what is still there. Returns whether it went by itself.
    pub async fn stop(&self) -> bool {
        self.stop_within(STOP_WITHIN).await
    }

    async fn stop_within(&self, patience: Duration) -> bool {
        // Without a cgroup, whoever outlives its parent would be lost from sight; so remember who was there.
        let known: Vec<(i32, String)> = self.members().into_iter().map(|pid| (pid, proc::command_line(pid))).collect();
        let left = || {
            let outlived = known.iter().filter(|(pid, words)| !words.is_empty() && proc::command_line(*pid) == *words);
            let mut left = self.members();
            left.extend(outlived.map(|(pid, _)| *pid));
            left
        };
        signal(self.root, Signal::TERM);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && (self.runs() || !left().is_empty()) {
            sleep(Duration::from_millis(20)).await;
        }
        let killed = left();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && (self.runs() || !left().is_empty()) {
            for pid in left() {
                signal(pid, Signal::KILL);
            }
            sleep(Duration::from_millis(20)).await;
        }
        self.remove_cgroup();
        if !killed.is_empty() {
            eprintln!("{}: {} process(es) had to be killed", self.name, killed.len());
        }
        killed.is_empty()
    }

    fn remove_cgroup(&self) {
        if let Some(folder) = &self.cgroup {
            let _gone_already = fs::remove_dir(folder);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Only after a panic is anything left here: `stop` is the ordinary end.
        if self.cgroup.as_ref().is_some_and(|folder| folder.exists()) || self.runs() {
            for pid in self.members() {
                signal(pid, Signal::KILL);
            }
            self.remove_cgroup();
        }
    }
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _gone_already = kill_process(pid, signal);
    }
}

/// All groups of one run, so that they can be ended whatever happened.
#[derive(Debug)]
pub struct Groups {
    accounting: Accounting,
    scratch: PathBuf,
    started: Mutex<Vec<Arc<Group>>>,
}

impl Groups {
    /// Nothing started yet; logs go to `scratch`.
    pub fn new(accounting: Accounting, scratch: PathBuf) -> Self {
        Self { accounting, scratch, started: Mutex::default() }
    }

    /// Where and how CPU is counted.
    pub fn accounting(&self) -> &Accounting {
        &self.accounting
    }

    /// The folder that is deleted when the run is over.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Starts a variant whose output goes to its log.
    pub fn start(&self, launch: Launch) -> Result<Arc<Group>> {
        self.spawn(launch, |_| {}, |_| ()).map(|(group, ())| group)
    }

    /// Starts a variant that is spoken to over its standard input and output.
    pub fn start_piped(&self, launch: Launch) -> Result<(Arc<Group>, ChildStdin, ChildStdout)> {
        let name = launch.name;
        let pipes = |command: &mut Command| {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        };
        let (group, (input, output)) = self.spawn(launch, pipes, |child| (child.stdin.take(), child.stdout.take()))?;
        match (input, output) {
            (Some(input), Some(output)) => Ok((group, input, output)),
            _ => Err(BenchError::Start { what: name.to_owned(), why: "its pipes are missing".to_owned() }),
        }
    }

    fn spawn<T>(&self, launch: Launch, prepare: impl FnOnce(&mut Command), take: impl FnOnce(&mut Child) -> T) -> Result<(Arc<Group>, T)> {
        let Launch { name, words, environment, folder } = launch;
        let cgroup = self.accounting.new_folder(name);
        let log = self.scratch.join(format!("{name}.log"));
        let doing = || format!("starting {name}");
        let output = File::create(&log).while_doing(doing)?;
        let errors = output.try_clone().while_doing(doing)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", INTO_CGROUP, "sh"]);
        command.arg(cgroup.as_ref().map(|folder| folder.join("cgroup.procs").into_os_string()).unwrap_or_default());
        command.args(words).current_dir(folder).stdin(Stdio::null()).stdout(output).stderr(errors);
        for (setting, value) in environment {
            match value {
                Some(value) => command.env(setting, value),
                None => command.env_remove(setting),
            };
        }
        prepare(&mut command);
        // A group of its own: Ctrl-C in the terminal reaches only this process, which then ends the others in order.
        let mut child = command.process_group(0).kill_on_drop(true).spawn().while_doing(doing)?;
        let taken = take(&mut child);
        let root = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        let group = Arc::new(Group { name, root, accounting: self.accounting.clone(), cgroup, log, child: Mutex::new(child) });
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&group));
        Ok((group, taken))
    }

    /// Ends everything that was started, the youngest first.
    pub async fn stop_all(&self) {
        let started: Vec<Arc<Group>> = std::mem::take(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner));
        for group in started.iter().rev() {
            group.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell that works for a while, with a child that works too and a grandchild that ignores the polite signal.
    const BUSY: &str = "trap 'exit 0' TERM; sh -c 'trap \"\" TERM; while :; do :; done' & \
                        i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; wait";

    async fn works_is_counted_and_ends(accounting: Accounting) {
        let scratch = tempfile::tempdir().expect("a folder");
        let groups = Groups::new(accounting, scratch.path().to_owned());
        let words = vec!["/bin/sh".into(), "-c".into(), BUSY.into()];
        let folder = scratch.path().to_owned();
        let group = groups.start(Launch { name: "busy", words, folder, ..Launch::default() }).expect("started");
        let deadline = Instant::now() + Duration::from_secs(30);
        while group.cpu_ns() < 200_000_000 {
            assert!(Instant::now() < deadline, "only {} ns of work were counted", group.cpu_ns());
            sleep(Duration::from_millis(10)).await;
        }
        let members = group.members();
        assert!(members.len() >= 2, "the child is missing from {members:?}");
        group.stop_within(Duration::from_millis(200)).await;
        let alive = || members.iter().any(|pid| !proc::command_line(*pid).is_empty());
        assert!(!alive() && !group.runs() && group.cgroup.as_ref().is_none_or(|folder| !folder.exists()));
    }

    #[tokio::test]
    async fn what_a_variant_starts_is_counted_and_ended_with_the_best_counter_of_this_machine() {
        works_is_counted_and_ends(Accounting::find()).await;
    }

    #[tokio::test]
    async fn what_a_variant_starts_is_counted_and_ended_without_a_cgroup() {
        works_is_counted_and_ends(Accounting::ProcessTree).await;
    }
}
