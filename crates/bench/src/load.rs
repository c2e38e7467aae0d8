//! The closed loop: every client sends its next request when it has read the whole answer to the last one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::error::{BenchError, Result};
use crate::http::Connection;

/// A block ends when this many answers were wrong: nothing measured beside that would mean anything.
const MOST_FAILURES: usize = 50;

/// When a loop stops sending.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After this time; what is in flight then is still read and counted.
    Elapsed(Duration),
    /// After this many requests in all.
    Sent(usize),
}

/// What one block of load gave.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Time of each good answer, in microseconds, unordered.
    pub latencies_us: Vec<u64>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Answers that were not a PDF.
    pub failures: usize,
    /// The first of them.
    pub first_failure: Option<String>,
}

impl Outcome {
    /// Documents per second.
    pub fn per_second(&self) -> f64 {
        crate::figures::real(self.latencies_us.len()) / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Sends `requests` in turn from `clients` connections.
pub async fn run(address: SocketAddr, requests: &[Arc<Vec<u8>>], clients: usize, until: Until) -> Result<Outcome> {
    let sent = Arc::new(AtomicUsize::new(0));
    let failed = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(address).await?);
    }
    let start = Instant::now();
    let mut loops = JoinSet::new();
    for mut connection in connections {
        let (requests, sent, failed) = (requests.to_vec(), Arc::clone(&sent), Arc::clone(&failed));
        loops.spawn(async move {
            let mut outcome = Outcome::default();
            loop {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                let over = match until {
                    Until::Elapsed(length) => start.elapsed() >= length,
                    Until::Sent(count) => number >= count,
                };
                if over || failed.load(Ordering::Relaxed) >= MOST_FAILURES {
                    return Ok::<_, BenchError>(outcome);
                }
                let before = Instant::now();
                let wrong = match connection.exchange(&requests[number % requests.len()]).await {
                    Ok(answer) if answer.status == 200 && answer.body.starts_with(b"%PDF-") => None,
                    Ok(answer) => Some(described(answer.status, answer.body)),
                    Err(error) => Some(error.to_string()),
                };
                let Some(wrong) = wrong else {
                    outcome.latencies_us.push(u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX));
                    continue;
                };
                failed.fetch_add(1, Ordering::Relaxed);
                outcome.failures += 1;
                outcome.first_failure.get_or_insert(wrong);
                connection = Connection::open(address).await?;
            }
        });
    }
    let mut whole = Outcome::default();
    while let Some(ended) = loops.join_next().await {
        let part = ended.map_err(|error| BenchError::Answer { what: "load generator".to_owned(), answer: error.to_string() })??;
        whole.latencies_us.extend(part.latencies_us);
        whole.failures += part.failures;
        whole.first_failure = whole.first_failure.or(part.first_failure);
    }
    whole.elapsed = start.elapsed();
    Ok(whole)
}

/// Status and start of a body, for a message.
pub fn described(status: u16, body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(400).collect();
    format!("{status}: {text}")
}
