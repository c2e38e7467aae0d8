//! The least client that can drive a browser over its debugging pipe. Deliberately not the product's own.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::{BenchError, Result, While as _};

/// No command of the benchmark may take longer; the slowest known is a print of 100 pages in about 3 s.
const ANSWER_WITHIN: Duration = Duration::from_mins(2);

/// The flags of the measured reference: base flags, then the two that begin-frame tabs and cheap resets want.
const FLAGS: [&str; 15] = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--mute-audio",
    "--hide-scrollbars",
    "--disable-breakpad",
    "--disable-features=RenderDocument",
    "--run-all-compositor-stages-before-draw",
    "--remote-debugging-pipe",
];

/// The browser talks on descriptors 3 and 4; the shell moves our two pipe ends there and then becomes the browser.
const ONTO_3_AND_4: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#;

#[derive(Default)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<Result<Box<RawValue>>>>,
    loads: HashMap<String, oneshot::Sender<()>>,
    last_id: u64,
}

/// One browser process and the pipe to it. The browser ends when this is dropped.
pub struct Browser {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Arc<Mutex<Waiting>>,
    _child: Child,
}

#[derive(Deserialize)]
struct Message<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    method: Option<&'a str>,
    #[serde(borrow, rename = "sessionId")]
    session_id: Option<&'a str>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

fn locked(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Browser {
    /// Starts `executable` with an empty `profile` folder.
    pub fn start(executable: &Path, profile: &Path) -> Result<Self> {
        let doing = || format!("starting {}", executable.display());
        let mut child = Command::new("/bin/sh")
            .args(["-c", ONTO_3_AND_4, "sh"])
            .arg(executable)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .while_doing(doing)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::Browser("its pipes are missing".to_owned()));
        };
        // A whole document or PDF fits, so that neither side is woken in between; a smaller pipe would work as well.
        for end in [input.as_fd(), output.as_fd()] {
            let _kept_small = rustix::pipe::fcntl_setpipe_size(end, 1 << 20);
        }
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        tokio::spawn(listen(output, Arc::clone(&waiting)));
        Ok(Self { input: tokio::sync::Mutex::new(input), waiting, _child: child })
    }

    /// Sends a command whose parameters are JSON text already, and waits for its result.
    pub async fn call(&self, session: Option<&str>, method: &str, params: &str) -> Result<Box<RawValue>> {
        let (sender, answer) = oneshot::channel();
        let id = {
            let mut waiting = locked(&self.waiting);
            waiting.last_id += 1;
            let id = waiting.last_id;
            waiting.answers.insert(id, sender);
            id
        };
        let session = session.map(|id| format!(",\"sessionId\":\"{id}\"")).unwrap_or_default();
        let message = format!("{{\"id\":{id},\"method\":\"{method}\"{session},\"params\":{params}}}\0");
        self.input.lock().await.write_all(message.as_bytes()).await.while_doing(|| format!("sending {method}"))?;
        match timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(BenchError::Browser(format!("it went away during {method}"))),
            Err(_) => Err(BenchError::TimedOut { what: method.to_owned(), after: ANSWER_WITHIN }),
        }
    }

    /// Resolves when the next document of `session` has loaded.
    pub fn next_load(&self, session: &str) -> oneshot::Receiver<()> {
        let (sender, loaded) = oneshot::channel();
        locked(&self.waiting).loads.insert(session.to_owned(), sender);
        loaded
    }
}

async fn listen(mut output: ChildStdout, waiting: Arc<Mutex<Waiting>>) {
    let mut buffer: Vec<u8> = Vec::with_capacity(1 << 20);
    let mut searched = 0;
    while let Ok(1..) = output.read_buf(&mut buffer).await {
        let mut start = 0;
        while let Some(end) = memchr::memchr(0, &buffer[searched..]).map(|at| searched + at) {
            deliver(&buffer[start..end], &waiting);
            start = end + 1;
            searched = start;
        }
        searched = buffer.len() - start;
        buffer.drain(..start);
    }
    // Dropping the senders tells everyone who waits that the browser is gone.
    let mut waiting = locked(&waiting);
    waiting.answers.clear();
    waiting.loads.clear();
}

fn deliver(message: &[u8], waiting: &Mutex<Waiting>) {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(message) else { return };
    if let Some(id) = message.id {
        let Some(sender) = locked(waiting).answers.remove(&id) else { return };
        let answer = match (message.result, message.error) {
            (Some(result), _) => Ok(result.to_owned()),
            (None, error) => Err(BenchError::Browser(error.map_or("no result", RawValue::get).to_owned())),
        };
        let _nobody_waits = sender.send(answer);
    } else if message.method == Some("Page.loadEventFired")
        && let Some(sender) = message.session_id.and_then(|session| locked(waiting).loads.remove(session))
    {
        let _nobody_waits = sender.send(());
    }
}
