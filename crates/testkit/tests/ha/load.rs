//! Steady load through the balancer, in which every answer is looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::stack::Stack;

/// Callers at the same time; each waits for its answer and then for a moment.
const CALLERS: usize = 6;
const PAUSE: Duration = Duration::from_millis(5);
/// One render of so many is a PDF.
const PDF_EACH: usize = 10;
/// What the slowest caller has patience for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What came of it.
#[derive(Default, Debug)]
pub struct Came {
    pub right: usize,
    /// Of them PDFs.
    pub pdfs: usize,
    pub longest: Duration,
    pub lasted: Duration,
    /// What came instead, and how often.
    pub failed: BTreeMap<String, usize>,
}

impl Came {
    pub fn failures(&self) -> usize {
        self.failed.values().sum()
    }

    pub fn requests(&self) -> usize {
        self.right + self.failures()
    }

    /// Of a hundred requests so many were answered rightly.
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    pub fn availability(&self) -> f64 {
        100.0 * self.right as f64 / self.requests().max(1) as f64
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failures, requests) = (self.failures(), self.requests());
        let lasted = self.lasted.as_secs_f64();
        write!(f, "{failures} of {requests} requests failed ({} PDFs, {lasted:.0} s, the slowest took {:.1?})", self.pdfs, self.longest)
    }
}

/// Renders of a template that is known, until it is ended.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    began: Instant,
    callers: Vec<JoinHandle<Came>>,
}

impl Load {
    /// Begins to render a template that says `Hello {{name}}`. Each request carries an `Idempotency-Key`, which tells the balancer
    /// that it may be sent again.
    pub fn of(stack: &Stack, template: &str) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers = (0..CALLERS).map(|caller| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let target = Target { url: stack.url(""), key: stack.key().to_owned(), template: template.to_owned() };
            tokio::spawn(call(target, caller, stop, done))
        });
        Self { callers: callers.collect(), stop, done, began: Instant::now() }
    }

    /// Waits until so many more were answered.
    pub async fn go_on_for(&self, more: usize) {
        let enough = self.done.load(Ordering::Relaxed) + more;
        while self.done.load(Ordering::Relaxed) < enough {
            sleep(PAUSE).await;
        }
    }

    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends it after so many more.
    pub async fn end_after(self, more: usize) -> Came {
        self.go_on_for(more).await;
        self.end().await
    }

    pub async fn end(self) -> Came {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Came::default();
        for caller in self.callers {
            let came = caller.await.expect("a caller does not panic");
            all.right += came.right;
            all.pdfs += came.pdfs;
            all.longest = all.longest.max(came.longest);
            for (told, count) in came.failed {
                *all.failed.entry(told).or_default() += count;
            }
        }
        all.lasted = self.began.elapsed();
        all
    }
}

/// What is asked for, and where.
struct Target {
    url: String,
    key: String,
    template: String,
}

async fn call(target: Target, caller: usize, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) -> Came {
    let client = Client::builder().timeout(PATIENCE).build().expect("a client");
    let mut came = Came::default();
    for turn in caller.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let is_pdf = turn % PDF_EACH == 0;
        let path = if is_pdf { "/render/pdf" } else { "/render/html" };
        let name = format!("caller {caller} for the {turn}th time");
        let request = client.post(format!("{}{path}", target.url)).header("X-Api-Key", &target.key);
        let request = request.header("Idempotency-Key", format!("{caller}-{turn}"));
        let began = Instant::now();
        match documents(request.json(&json!({"template": target.template, "data": {"name": name}})), is_pdf, &name).await {
            Ok(()) => {
                came.right += 1;
                came.pdfs += usize::from(is_pdf);
            }
            Err(told) => *came.failed.entry(format!("{path}: {told}")).or_default() += 1,
        }
        came.longest = came.longest.max(began.elapsed());
        done.fetch_add(1, Ordering::Relaxed);
        sleep(PAUSE).await;
    }
    came
}

/// A whole document of that caller, or why it is none.
async fn documents(request: reqwest::RequestBuilder, is_pdf: bool, name: &str) -> Result<(), String> {
    let answer = request.send().await.map_err(|error| format!("no answer: {}", without_address(&error)))?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(|error| format!("{status} broke off: {}", without_address(&error)))?;
    let text = String::from_utf8_lossy(&body);
    if status != 200 {
        return Err(format!("{status} {}", text.chars().take(200).collect::<String>()));
    }
    let is_whole = if is_pdf { text.starts_with("%PDF-") && text.trim_end().ends_with("%%EOF") } else { text.contains(name) };
    if is_whole { Ok(()) } else { Err(format!("a wrong document of {} bytes", body.len())) }
}

fn without_address(error: &reqwest::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let kind = if error.is_timeout() { "in time" } else { "at all" };
    format!("{kind} {source}")
}
