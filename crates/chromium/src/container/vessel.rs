//! One container: started, made sure of, used for one document, and gone.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::ContainerOptions;
use crate::remote::{Broken, Connection};
use crate::{ChromiumError, PrintJob, Printed};

/// From the start of the program to a warm browser in its container.
const START: Duration = Duration::from_mins(1);
/// How long a container may take to end by itself once its document is printed.
const BY_ITSELF: Duration = Duration::from_secs(5);
/// How long `rm` and the like may take.
const ORDER: Duration = Duration::from_secs(20);
/// Lines of a container's standard error that are kept for messages.
const TAIL_LINES: usize = 8;
/// Processes and threads of one container: a browser with one tab has about a hundred.
const PIDS: &str = "512";

/// What every container is run with. Its output is a document, which the runtime's log is not to keep; its health is judged by us.
const FIXED: [&str; 19] = [
    "run",
    "--rm",
    "--interactive",
    "--network",
    "none",
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--pids-limit",
    PIDS,
    "--pull",
    "never",
    "--log-driver",
    "none",
    "--no-healthcheck",
];

/// A container with a warm tab.
#[derive(Debug)]
pub(crate) struct Vessel {
    connection: Connection,
    remains: Remains,
}

/// Removes the container, whatever became of it.
#[derive(Debug)]
struct Remains {
    options: Arc<ContainerOptions>,
    name: String,
    child: Option<Child>,
    /// It has printed, and ends by itself.
    done: bool,
    tasks: TaskTracker,
    runtime: Handle,
}

impl Drop for Remains {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let (options, name, done) = (Arc::clone(&self.options), std::mem::take(&mut self.name), self.done);
        self.tasks.spawn_on(
            async move {
                if done && timeout(BY_ITSELF, child.wait()).await.is_ok_and(|end| end.is_ok_and(|status| status.success())) {
                    return;
                }
                // The program passes no signal on when it is killed itself, so its container is named.
                let _ = child.start_kill();
                if let Err(reason) = order(&options, &["rm", "--force", &name]).await {
                    tracing::debug!(name, reason, "a render container may be gone already");
                }
                let _ = child.wait().await;
            },
            &self.runtime,
        );
    }
}

impl Vessel {
    /// Starts one, and returns when its tab is warm; otherwise says why, in words for an operator.
    pub(crate) async fn launch(options: &Arc<ContainerOptions>, name: String, tasks: &TaskTracker) -> Result<Self, String> {
        let mut command = Command::new(&options.runtime);
        command.args(arguments(options, &name)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("it does not start: {error}"))?;
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let ((stdin, stdout), stderr) = pipes.ok_or("it has no standard input and output")?;
        let remains = Remains {
            options: Arc::clone(options),
            name,
            child: Some(child),
            done: false,
            tasks: tasks.clone(),
            runtime: Handle::current(),
        };
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let following = tokio::spawn(follow(BufReader::new(stderr), Arc::clone(&tail)));
        let opening = timeout(START, Connection::over(Box::new(tokio::io::join(stdout, stdin))));
        match opening.await {
            Ok(Ok(connection)) => Ok(Self { connection, remains }),
            outcome => {
                let why = outcome.map_or_else(
                    |_| format!("nothing was heard of it within {START:?}"),
                    |end| end.map_or_else(|error| error.to_string(), |_| String::new()),
                );
                // Its last words come with its end.
                let _ = timeout(Duration::from_millis(500), following).await;
                let words = tail.lock().unwrap_or_else(PoisonError::into_inner).make_contiguous().join("; ");
                Err(format!("{why}; its last words: {words}"))
            }
        }
    }

    /// Which browser is in it.
    pub(crate) async fn version(&mut self) -> Option<String> {
        self.connection.status().await.ok().map(|status| status.pool.version)
    }

    /// Returns when it has ended by itself.
    pub(crate) async fn ended(&mut self) {
        self.connection.ended().await;
    }

    /// Prints the one document that it is for. Dropping the future removes the container.
    pub(crate) async fn print(
        mut self,
        job: &PrintJob,
        deadline: Instant,
        output_bytes: usize,
    ) -> Result<Result<Printed, ChromiumError>, Broken> {
        let outcome = self.connection.print(job, deadline, output_bytes).await;
        self.remains.done = matches!(outcome, Ok(Ok(_) | Err(ChromiumError::Refused { .. })));
        outcome
    }
}

fn arguments(options: &ContainerOptions, name: &str) -> Vec<String> {
    let mut words: Vec<String> = FIXED.map(str::to_owned).to_vec();
    words.extend(["--name".to_owned(), name.to_owned(), "--label".to_owned(), options.label.clone()]);
    // Without swap beside it: what is too large ends, and nothing else becomes slow.
    words.extend([format!("--memory={}m", options.memory_mb), format!("--memory-swap={}m", options.memory_mb)]);
    words.extend(options.cpus.iter().map(|cpus| format!("--cpus={cpus}")));
    words.extend(options.seccomp.iter().map(|file| format!("--security-opt=seccomp={}", file.display())));
    words.extend(options.environment.iter().map(|(name, value)| format!("--env={name}={value}")));
    words.extend([options.image.clone(), "render-worker".to_owned(), "--stdio".to_owned()]);
    words
}

/// Removes what a predecessor with the same label left behind; gives how many containers that were.
pub(crate) async fn sweep(options: &ContainerOptions) -> Result<usize, String> {
    let filter = format!("label={}", options.label);
    let found = order(options, &["ps", "--all", "--quiet", "--filter", &filter]).await?;
    let left: Vec<&str> = found.split_whitespace().collect();
    if !left.is_empty() {
        order(options, &[&["rm", "--force"], &left[..]].concat()).await?;
    }
    Ok(left.len())
}

/// Runs the program for something short.
async fn order(options: &ContainerOptions, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(&options.runtime);
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(ORDER, command.output()).await.map_err(|_| format!("no answer within {ORDER:?}"))?;
    let output = output.map_err(|error| format!("it does not start: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().chars().take(1000).collect())
    }
}

async fn follow(mut lines: BufReader<tokio::process::ChildStderr>, tail: Arc<Mutex<VecDeque<String>>>) {
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let words = String::from_utf8_lossy(&line).trim().chars().take(500).collect::<String>();
        tracing::debug!(words, "a render container says");
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(words);
        line.clear();
    }
}
