//! Queues, deadlines, cancellation and sizes.
#![cfg(test)]

mod support;

use std::time::Duration;

use chromium::{ChromiumError, Phase, Pool, PrintJob};
use support::{job, pages, scripted, soon, text};
use tokio::time::Instant;

/// A job that keeps its tab until its deadline.
fn endless() -> PrintJob {
    scripted("<!DOCTYPE html><p>busy<script>while(true){}</script>")
}

fn within(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_a_left_place_is_free_again() {
    let pool = support::start(|options| {
        options.tabs = 1;
        options.queue_depth = 2;
    })
    .await;
    let busy = spawn(&pool, endless(), within(3000));
    support::eventually("the tab is taken", || pool.status().in_use == 1).await;
    let first = spawn(&pool, job("<p>first"), soon());
    support::eventually("one waits", || pool.status().queued == 1).await;
    let second = spawn(&pool, job("<p>second"), soon());
    support::eventually("two wait", || pool.status().queued == 2).await;
    let asked = Instant::now();
    match pool.print(job("<p>third"), soon()).await {
        Err(ChromiumError::Saturated { queue_depth: 2, retry_after }) => assert!(retry_after >= Duration::from_secs(1)),
        other => panic!("{other:?}"),
    }
    assert!(asked.elapsed() < Duration::from_millis(100));
    // A waiting caller leaves; its place is free and the order of the others stays.
    first.abort();
    support::eventually("one waits", || pool.status().queued == 1).await;
    let third = spawn(&pool, job("<p>third"), soon());
    assert!(matches!(busy.await.unwrap(), Err(ChromiumError::DeadlineExceeded { phase: Phase::Load })));
    assert_eq!(text(&second.await.unwrap().unwrap().pdf), "second");
    assert_eq!(text(&third.await.unwrap().unwrap().pdf), "third");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_each_phase_with_its_name_and_the_tab_works_again() {
    let pool = support::start(|options| options.tabs = 1).await;
    // Load: layout of many cells takes far longer than it is given.
    let cells: String = support::each(40_000, |cell| format!("<td>{cell}"));
    let wide = job(&format!("<table><tr>{cells}</table>"));
    assert_eq!(outcome(&pool, wide, within(60)).await, Some(Phase::Load));
    // Print: nothing to lay out, thousands of pages to write.
    let long = job("<!DOCTYPE html><div style='height:9000000px'>x</div>");
    assert_eq!(outcome(&pool, long, within(900)).await, Some(Phase::Print));
    // Queue: somebody else has the tab.
    let busy = spawn(&pool, endless(), within(1500));
    support::eventually("the tab is taken", || pool.status().in_use == 1).await;
    assert_eq!(outcome(&pool, job("x"), within(200)).await, Some(Phase::Queue));
    assert_eq!(outcome(&pool, job("x"), Instant::now()).await, Some(Phase::Queue));
    assert!(busy.await.unwrap().is_err());
    assert_eq!(text(&pool.print(job("<p>well"), soon()).await.unwrap().pdf), "well");
    assert_eq!(pool.status().restarts, 0);
    support::eventually("the stuck renderers are gone", || pool.renderers().len() <= 2).await;
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_frees_its_tab_and_stops_the_renderer() {
    let pool = support::start(|options| options.tabs = 1).await;
    let before = pool.renderers();
    for job in [job("<!DOCTYPE html><div style='height:9000000px'>x</div>"), endless()] {
        let leaving = spawn(&pool, job, soon());
        support::eventually("the tab is taken", || pool.status().in_use == 1).await;
        support::eventually("the renderer works", || pool.renderers().into_iter().any(support::is_running)).await;
        leaving.abort();
        let printed = pool.print(support::job("<p>next"), within(5000)).await.unwrap();
        assert_eq!(text(&printed.pdf), "next");
    }
    support::eventually("the abandoned renderers are gone", || {
        let now = pool.renderers();
        now.len() <= 2 && !now.iter().any(|pid| before.contains(pid))
    })
    .await;
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_documents_work_leave_room_for_small_ones_and_give_their_memory_back() {
    let pool = support::start(|options| {
        options.tabs = 2;
        options.recycle.tab_rss_bytes = 1;
    })
    .await;
    let before = pool.renderers();
    let row = "<tr><td>some words in a cell that make the table long</td><td>and more of them</td></tr>";
    let rows = row.repeat(5 * 1024 * 1024 / row.len());
    let html = format!("<!DOCTYPE html><p>begin<table hidden>{rows}</table><p>last");
    assert!(html.len() > 5 * 1024 * 1024);
    let large = [spawn(&pool, job(&html), soon()), spawn(&pool, job(&html), soon())];
    support::eventually("a large one prints, the other waits", || {
        let status = pool.status();
        status.in_use == 1 && status.queued == 1
    })
    .await;
    let small = pool.print(job("<p>small"), within(5000)).await.unwrap();
    assert_eq!(text(&small.pdf), "small");
    for large in large {
        let words = text(&large.await.unwrap().unwrap().pdf);
        assert_eq!(words, "begin last");
    }
    support::eventually("the swollen renderers were replaced", || {
        pool.status().healthy_tabs == 2 && pool.renderers().iter().filter(|pid| before.contains(pid)).count() < 2
    })
    .await;
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pdf_of_twenty_megabytes_comes_whole_inline_and_as_a_stream() {
    let pool = support::start(|options| options.tabs = 1).await;
    // Noise does not compress, so the pictures go into the PDF as they are.
    let html = format!("<!DOCTYPE html><style>img{{width:99%}}</style>{}<p>the end", noise_pictures(30));
    let streamed = pool.print(job(&html), soon()).await.unwrap();
    pool.close().await;
    let pool = support::start(|options| {
        options.tabs = 1;
        options.budgets.large_html_bytes = usize::MAX;
    })
    .await;
    let inline = pool.print(job(&html), soon()).await.unwrap();
    assert!(inline.pdf.len() > 20_000_000, "{}", inline.pdf.len());
    assert!(support::undated(&inline.pdf) == support::undated(&streamed.pdf));
    assert!(text(&inline.pdf).ends_with("the end"));
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn html_and_pdf_over_their_budgets_are_refused_and_the_pool_goes_on() {
    let pool = support::start(|options| {
        options.tabs = 1;
        options.budgets.html_bytes = 6_000_000;
        options.budgets.large_html_bytes = 4_000_000;
        options.budgets.output_bytes = 100_000;
    })
    .await;
    let size_bytes = 6_000_001;
    let error = pool.print(job(&"x".repeat(size_bytes)), soon()).await.unwrap_err();
    assert_eq!(error, ChromiumError::PageTooLarge { limit_bytes: 6_000_000, size_bytes });
    let letters: String = support::each(400, |page| format!("<p style='break-after:page'>page {page} <b>and</b> more"));
    // Taken in and found too large, skipped while it comes, and cut off as a stream.
    for html in [letters, noise_pictures(2), noise_pictures(5)] {
        let error = pool.print(job(&html), soon()).await.unwrap_err();
        assert_eq!(error, ChromiumError::OutputTooLarge { limit_bytes: 100_000 });
        assert_eq!(text(&pool.print(job("<p>fine"), soon()).await.unwrap().pdf), "fine");
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_a_hundred_pages_has_them_all() {
    let pool = support::start(|options| options.tabs = 1).await;
    let pages_wanted = 100;
    let html: String = support::each(pages_wanted, |page| format!("<p style='break-after:page'>page {page}"));
    let printed = pool.print(job(&html), soon()).await.unwrap();
    assert!((pages_wanted..=pages_wanted + 1).contains(&pages(&printed.pdf)), "{}", pages(&printed.pdf));
    pool.close().await;
}

fn spawn(pool: &Pool, job: PrintJob, deadline: Instant) -> tokio::task::JoinHandle<Result<chromium::Printed, ChromiumError>> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.print(job, deadline).await })
}

/// The phase in which the deadline passed, if it did.
async fn outcome(pool: &Pool, job: PrintJob, deadline: Instant) -> Option<Phase> {
    match pool.print(job, deadline).await {
        Err(ChromiumError::DeadlineExceeded { phase }) => Some(phase),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    }
}

/// Bitmaps of 500 × 500 pixels of noise, each different.
fn noise_pictures(count: usize) -> String {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    support::each(count, |_| {
        let mut bitmap = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\xF4\x01\0\0\xF4\x01\0\0\x01\0\x18\0".to_vec();
        bitmap.resize(54, 0);
        while bitmap.len() < 54 + 500 * 500 * 3 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bitmap.extend_from_slice(&state.to_le_bytes());
        }
        format!("<img src='data:image/bmp;base64,{}'>", base64_simd::STANDARD.encode_to_string(&bitmap))
    })
}
