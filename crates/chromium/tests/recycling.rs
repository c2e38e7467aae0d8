//! Planned replacement under load, and tenants kept apart.
#![cfg(test)]

mod support;

use chromium::{Isolation, Pool, PrintJob};
use support::{job, scripted, soon, text};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_successor_takes_over_under_load_and_no_request_fails() {
    let pool = support::start(|options| {
        options.recycle.renders_per_browser = 150;
        options.recycle.renders_per_tab = 40;
    })
    .await;
    let mut clients = JoinSet::new();
    for client in 0..6 {
        let pool = Pool::clone(&pool);
        clients.spawn(async move {
            for number in 0..100 {
                let printed = pool.print(job(&format!("<p>letter {client} {number}")), soon()).await.unwrap();
                assert_eq!(printed.attempts, 1);
                if number % 10 == 0 {
                    assert_eq!(text(&printed.pdf), format!("letter {client} {number}"));
                }
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    support::eventually("one browser is left", || {
        let status = pool.status();
        status.recycles >= 1 && status.browsers == 1 && status.healthy_tabs == 3
    })
    .await;
    assert_eq!(pool.status().restarts, 0);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_isolation_a_tab_never_serves_two_tenants() {
    let pool = support::start(|options| {
        options.tabs = 1;
        options.isolation = Isolation::Context;
    })
    .await;
    let of = |tenant: &str| PrintJob::new("<p>x".to_owned(), tenant.to_owned());
    pool.print(of("a"), soon()).await.unwrap();
    let of_a = pool.renderers();
    pool.print(of("a"), soon()).await.unwrap();
    assert_eq!(pool.renderers(), of_a, "the tab of the same tenant is kept");
    pool.print(of("b"), soon()).await.unwrap();
    support::eventually("the tab of the first tenant is gone", || {
        let now = pool.renderers();
        !now.is_empty() && !now.iter().any(|pid| of_a.contains(pid))
    })
    .await;
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_run_with_frames_observers_fonts_and_images_awaited() {
    let pool = support::start(|options| options.tabs = 2).await;
    let html = "<!DOCTYPE html><p id=o>start</p><p id=far style='margin-top:3000px'>far</p><img loading=lazy alt='' \
        src='data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'><script>\
        requestAnimationFrame(()=>requestAnimationFrame(()=>{o.textContent='drawn'}));\
        new ResizeObserver(()=>{far.textContent='observed'}).observe(far);alert('nobody');confirm('?');\
        document.fonts.load('12px Arial');</script>";
    for _ in 0..3 {
        let printed = pool.print(scripted(html), soon()).await.unwrap();
        assert_eq!(text(&printed.pdf), "drawn observed");
    }
    let quiet = pool.print(job(html), soon()).await.unwrap();
    assert_eq!(text(&quiet.pdf), "start far");
    pool.close().await;
}
