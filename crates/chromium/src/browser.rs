//! One browser process with its connection.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::cdp::{Command, GetProcessInfo, GetVersion};
use crate::executable::{Kind, kind_of};
use crate::pipe::Connection;
use crate::process::{self, Launch, Process};
use crate::session::CallError;
use crate::{ChromiumError, PoolOptions, Sandbox, flags};

/// A DevTools message carries a PDF as base64; the rest is overhead.
const MESSAGE_OVERHEAD_BYTES: usize = 1024 * 1024;
/// After the pipe ended, how long the process may take to be seen dead.
const DEATH: Duration = Duration::from_secs(2);

/// A running browser. Dropping the last handle kills it.
#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) options: Arc<PoolOptions>,
    pub(crate) connection: Connection,
    /// Counts the browsers of a pool; tabs of an earlier one are not given out any more.
    pub(crate) generation: u64,
    /// Open tabs hold a token, so a retired browser knows when it is empty.
    pub(crate) tabs: TaskTracker,
    /// Renderer processes whose tab is known; held while a tab opens, so that the new one can be told.
    pub(crate) renderers: Mutex<HashSet<i32>>,
    /// Whether tabs are created with begin-frame control, which full Chromium does not have.
    pub(crate) begin_frame_control: AtomicBool,
    product: String,
    process: Process,
    started: Instant,
    prints: AtomicU64,
    running: Arc<AtomicUsize>,
}

impl Browser {
    /// Starts a browser and waits for its first answer. `running` counts the browsers of the pool; `tasks` ends once
    /// nothing of this one is left.
    pub(crate) async fn launch(
        options: &Arc<PoolOptions>,
        generation: u64,
        running: &Arc<AtomicUsize>,
        tasks: &TaskTracker,
    ) -> Result<Arc<Self>, ChromiumError> {
        let (process, to_browser, from_browser) = process::start(Launch {
            executable: &options.executable,
            arguments: flags::arguments(options),
            environment: &options.environment,
            runtime_dir: &options.runtime_dir,
            account: options.account,
            tasks,
        })
        .map_err(|error| ChromiumError::Launch {
            reason: format!("{} could not be started: {error}", options.executable.display()),
            stderr_tail: String::new(),
        })?;
        let max_frame_bytes = options.budgets.output_bytes / 3 * 4 + MESSAGE_OVERHEAD_BYTES;
        running.fetch_add(1, Ordering::Relaxed);
        let mut browser = Self {
            connection: Connection::open(to_browser, from_browser, max_frame_bytes),
            options: options.clone(),
            generation,
            tabs: TaskTracker::new(),
            renderers: Mutex::default(),
            begin_frame_control: AtomicBool::new(kind_of(&options.executable) == Kind::HeadlessShell),
            product: String::new(),
            process,
            started: Instant::now(),
            prints: AtomicU64::new(0),
            running: running.clone(),
        };
        let answered = tokio::select! {
            answer = timeout(options.budgets.launch, browser.call(&GetVersion {})) => match answer {
                Ok(Ok(version)) => Ok(version.product),
                Ok(Err(CallError::Gone)) => Err(format!("it ended ({})", browser.died().await)),
                Ok(Err(error)) => Err(format!("its first answer was {error:?}")),
                Err(_) => Err(format!("no answer within {:?}", options.budgets.launch)),
            },
            how = browser.process.exited() => Err(format!("it ended ({how})")),
        };
        match answered {
            Ok(product) => browser.product = product,
            Err(reason) => {
                let stderr_tail = browser.process.stderr_tail();
                browser.close().await;
                return Err(explain(reason, stderr_tail, options.sandbox));
            }
        }
        tracing::info!(
            product = browser.product,
            pid = browser.process.pid(),
            generation,
            took_ms = u64::try_from(browser.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "browser started"
        );
        Ok(Arc::new(browser))
    }

    /// Calls a method of the browser itself.
    pub(crate) async fn call<C: Command>(&self, command: &C) -> Result<C::Reply, CallError> {
        let reply = self.connection.call(None, command).await?;
        serde_json::from_slice(&reply).map_err(|error| CallError::Malformed(format!("{}: {error}", C::METHOD)))
    }

    /// What the browser calls itself.
    pub(crate) fn product(&self) -> &str {
        &self.product
    }

    /// The id of its main process.
    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// How long it has been running.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Prints so far.
    pub(crate) fn prints(&self) -> u64 {
        self.prints.load(Ordering::Relaxed)
    }

    /// Counts a print.
    pub(crate) fn count_print(&self) {
        self.prints.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it can still answer.
    pub(crate) fn is_alive(&self) -> bool {
        !self.connection.has_ended()
    }

    /// The processes that render pages now.
    pub(crate) async fn renderer_pids(&self) -> Result<HashSet<i32>, CallError> {
        let processes = self.call(&GetProcessInfo {}).await?.process_info;
        Ok(processes.into_iter().filter(|process| process.kind == "renderer").map(|process| process.id).collect())
    }

    /// Returns when it is dead, with how in words.
    pub(crate) async fn died(&self) -> String {
        tokio::select! {
            how = self.process.exited() => how,
            () = self.connection.ended() => match timeout(DEATH, self.process.exited()).await {
                Ok(how) => how,
                Err(_) => "it closed the debugging pipe".to_owned(),
            },
        }
    }

    /// The last lines of its standard error.
    pub(crate) fn stderr_tail(&self) -> String {
        self.process.stderr_tail()
    }

    /// Kills it. Politeness would gain nothing: its profile is thrown away.
    pub(crate) fn kill(&self) {
        self.process.kill();
    }

    /// Kills it and waits until neither a process nor a directory of it is left.
    pub(crate) async fn close(&self) {
        self.kill();
        self.process.cleared().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill();
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn explain(reason: String, stderr_tail: String, sandbox: Sandbox) -> ChromiumError {
    let reason_of_sandbox = [
        ("Running as root without --no-sandbox", "the browser runs as root"),
        ("No usable sandbox", "the host allows no user namespaces to this user"),
        ("Failed to move to new namespace", "the container forbids new namespaces"),
        ("setuid sandbox", "the host allows no user namespaces to this user"),
    ]
    .into_iter()
    .find(|(words, _)| stderr_tail.contains(words));
    match reason_of_sandbox {
        Some((_, why)) if sandbox == Sandbox::On => ChromiumError::SandboxUnavailable { reason: why.to_owned(), stderr_tail },
        _ => ChromiumError::Launch { reason, stderr_tail },
    }
}
