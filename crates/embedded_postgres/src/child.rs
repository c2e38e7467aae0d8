//! A child process with a thread of its own that starts it, waits for it and tells how it ended.

use std::io::{self, PipeReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::sync::{oneshot, watch};

use crate::log::Log;

/// How far a child has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    /// Without a status when the system did not say.
    Ended(Option<ExitStatus>),
}

/// A running or ended child.
#[derive(Debug)]
pub(crate) struct Child {
    pid: u32,
    state: watch::Receiver<State>,
    drained: watch::Receiver<bool>,
    log: Log,
}

impl Child {
    /// Starts `command` with `input` on its standard input and both outputs going to `log`.
    ///
    /// The thread that forks stays until the child has ended: the death signal that `setpriv` asks for
    /// comes when the forking *thread* ends, not the process, so an async worker thread must not do it.
    /// The child gets its own process group: a Ctrl-C in the terminal is for us, and reaches the child
    /// as our request to stop, after everything that uses it has finished.
    pub(crate) async fn spawn(mut command: Command, input: String, log: Log) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
        let (started_tx, started) = oneshot::channel();
        let (state_tx, state) = watch::channel(State::Running);
        let (drained_tx, drained) = watch::channel(false);
        let thread_log = log.clone();
        std::thread::Builder::new().name("postgres".to_owned()).spawn(move || {
            let spawned = command.spawn();
            // Closes our copies of the writing end; else the log would never end.
            drop(command);
            let mut child = match spawned {
                Ok(child) => child,
                Err(error) => {
                    let _ = started_tx.send(Err(error));
                    return;
                }
            };
            if let Some(mut stdin) = child.stdin.take() {
                let _ = stdin.write_all(input.as_bytes());
            }
            let started = drain_in_background(thread_log, reader, drained_tx).map(|()| child.id());
            let _ = started_tx.send(started);
            let status = child.wait().ok();
            state_tx.send_replace(State::Ended(status));
        })?;
        let pid = started.await.unwrap_or_else(|_| Err(io::Error::other("the starting thread died")))?;
        Ok(Self { pid, state, drained, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Waits for the end, independently of this value's life.
    pub(crate) fn exited(&self) -> impl Future<Output = Option<ExitStatus>> + Send + use<> {
        let mut state = self.state.clone();
        async move {
            match state.wait_for(|state| *state != State::Running).await.as_deref() {
                Ok(State::Ended(status)) => *status,
                Ok(State::Running) | Err(_) => None,
            }
        }
    }

    /// Waits for the end; false when it did not come in time.
    pub(crate) async fn ends_within(&self, timeout: Duration) -> bool {
        tokio::time::timeout(timeout, self.exited()).await.is_ok()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if self.state() == State::Running {
            signal_process(self.pid, signal);
        }
    }

    /// The last lines it printed, complete when it has ended and left no process behind.
    pub(crate) async fn log_tail(&self) -> String {
        let mut drained = self.drained.clone();
        let _ = tokio::time::timeout(Duration::from_millis(500), drained.wait_for(|done| *done)).await;
        self.log.tail()
    }
}

fn drain_in_background(log: Log, reader: PipeReader, drained: watch::Sender<bool>) -> io::Result<()> {
    let work = move || {
        log.drain(reader);
        drained.send_replace(true);
    };
    std::thread::Builder::new().name("postgres-log".to_owned()).spawn(work).map(drop)
}

/// Sends a signal; a process that is gone already is as good as one that obeys.
pub(crate) fn signal_process(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// A status in words, for error messages.
pub(crate) fn in_words(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "the system does not say how".to_owned(), |status| status.to_string())
}
