//! The open loop: requests are sent when their time has come, whether or not those before them were answered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::error::{BenchError, Result};
use crate::figures::real;
use crate::http::Connection;
use crate::load::described;

/// Connections that are kept for the next request.
const KEPT: usize = 256;
/// Requests without an answer at one moment; a server that keeps as many waiting sheds nothing.
const MOST_OPEN: usize = 2000;
/// Requests are sent in lots, at most so long after their time.
const LOT: Duration = Duration::from_millis(1);

/// What one block of offered load gave. Times are in microseconds, from the moment a request should have been sent.
#[derive(Debug, Clone, Default)]
pub struct Offered {
    /// Of each document.
    pub good_us: Vec<u64>,
    /// Of each 429 and 503 that says when to come back.
    pub shed_us: Vec<u64>,
    /// 429 and 503 that do not.
    pub speechless: usize,
    /// Anything else.
    pub failures: usize,
    /// The first of them.
    pub first_failure: Option<String>,
    /// From the first request to the last that was sent.
    pub elapsed: Duration,
    /// Documents that came while requests were still being sent.
    pub good_meanwhile: usize,
}

impl Offered {
    /// Documents per second, while the load lasted.
    pub fn good_per_second(&self) -> f64 {
        real(self.good_meanwhile) / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Refusals per second.
    pub fn shed_per_second(&self) -> f64 {
        real(self.shed_us.len()) / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Sends `request` so often in a second for so long.
pub async fn run(address: SocketAddr, request: &Arc<Vec<u8>>, per_second: f64, length: Duration) -> Result<Offered> {
    let kept: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let mut under_way = JoinSet::new();
    let mut whole = Offered::default();
    let start = Instant::now();
    let step = Duration::from_secs_f64(1.0 / per_second.max(0.1));
    let (mut number, mut due) = (0_u32, start);
    while due < start + length {
        sleep_until(due.max(Instant::now() + LOT)).await;
        while due <= Instant::now() && due < start + length {
            if under_way.len() >= MOST_OPEN {
                return Err(BenchError::Answer { what: "server".to_owned(), answer: format!("by keeping {MOST_OPEN} requests waiting") });
            }
            let (kept, request) = (Arc::clone(&kept), Arc::clone(request));
            let meant = due;
            under_way.spawn(async move { exchange(address, &kept, &request, meant).await });
            number += 1;
            due = start + step * number;
        }
        while let Some(ended) = under_way.try_join_next() {
            count(&mut whole, ended, start + length);
        }
    }
    whole.elapsed = start.elapsed();
    while let Some(ended) = under_way.join_next().await {
        count(&mut whole, ended, start + length);
    }
    Ok(whole)
}

enum One {
    Good(Instant, Duration),
    Shed(Duration),
    Speechless,
    Failed(String),
}

async fn exchange(address: SocketAddr, kept: &Mutex<Vec<Connection>>, request: &[u8], meant: Instant) -> One {
    let idle = kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut connection = match idle {
        Some(connection) => connection,
        None => match Connection::open(address).await {
            Ok(connection) => connection,
            Err(error) => return One::Failed(error.to_string()),
        },
    };
    let one = match connection.exchange(request).await {
        Ok(answer) if answer.status == 200 && answer.body.starts_with(b"%PDF-") => One::Good(Instant::now(), meant.elapsed()),
        Ok(answer) if matches!(answer.status, 429 | 503) && answer.retries => One::Shed(meant.elapsed()),
        Ok(answer) if matches!(answer.status, 429 | 503) => One::Speechless,
        Ok(answer) => One::Failed(described(answer.status, answer.body)),
        Err(error) => return One::Failed(error.to_string()),
    };
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() < KEPT {
        kept.push(connection);
    }
    one
}

fn count(whole: &mut Offered, ended: std::result::Result<One, tokio::task::JoinError>, end: Instant) {
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    match ended {
        Ok(One::Good(at, took)) => {
            whole.good_us.push(us(took));
            whole.good_meanwhile += usize::from(at <= end);
        }
        Ok(One::Shed(took)) => whole.shed_us.push(us(took)),
        Ok(One::Speechless) => whole.speechless += 1,
        Ok(One::Failed(why)) => {
            whole.failures += 1;
            whole.first_failure.get_or_insert(why);
        }
        Err(error) => {
            whole.failures += 1;
            whole.first_failure.get_or_insert(error.to_string());
        }
    }
}
