//! Batches and those who wait for one document.
#![cfg(test)]

mod support;

use std::time::Duration;

use chromium::{ChromiumError, Pool, PrintJob, Priority};
use support::{job, scripted, soon, text};
use tokio::task::JoinHandle;
use tokio::time::Instant;

fn of_a_batch(job: PrintJob) -> PrintJob {
    PrintJob { priority: Priority::Batch, ..job }
}

/// A job that keeps its tab until its deadline.
fn endless() -> PrintJob {
    scripted("<!DOCTYPE html><p>busy<script>while(true){}</script>")
}

fn spawn(pool: &Pool, job: PrintJob, deadline: Instant) -> JoinHandle<Result<String, ChromiumError>> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.print(job, deadline).await.map(|printed| text(&printed.pdf)) })
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_never_take_the_reserved_tab_and_their_queue_is_not_that_of_others() {
    let pool = support::start(|options| {
        options.tabs = 2;
        options.reserved_tabs = 1;
        options.queue_depth = 1;
    })
    .await;
    let busy = spawn(&pool, of_a_batch(endless()), Instant::now() + Duration::from_secs(4));
    support::eventually("a batch has its tab", || pool.status().in_use == 1).await;
    let waiting = spawn(&pool, of_a_batch(job("<p>patient")), soon());
    support::eventually("the next of the batch waits", || pool.status().queued == 1).await;
    assert!(matches!(pool.print(of_a_batch(job("<p>one too many")), soon()).await, Err(ChromiumError::Saturated { .. })));
    for _ in 0..5 {
        assert_eq!(text(&pool.print(job("<p>at once"), soon()).await.unwrap().pdf), "at once");
    }
    assert_eq!((pool.status().in_use, pool.status().queued), (1, 1), "the free tab stays free");
    assert!(!busy.is_finished(), "all of that while the batch was at work");
    assert!(matches!(busy.await.unwrap(), Err(ChromiumError::DeadlineExceeded { .. })));
    assert_eq!(waiting.await.unwrap().unwrap(), "patient");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_prints_where_all_tabs_are_reserved_too() {
    let pool = support::start(|options| {
        options.tabs = 1;
        options.reserved_tabs = 5;
    })
    .await;
    assert_eq!(text(&pool.print(of_a_batch(job("<p>alone")), soon()).await.unwrap().pdf), "alone");
    pool.close().await;
}
