//! Renderers, browsers and parents that die.
#![cfg(test)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use chromium::{ChromiumError, Pool};
use support::{browsers_in, group, job, kill, scripted, soon, text};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Starts `count` jobs whose words say which they are.
fn load(pool: &Pool, count: usize) -> JoinSet<(usize, Result<chromium::Printed, ChromiumError>)> {
    let mut jobs = JoinSet::new();
    for number in 0..count {
        let pool = pool.clone();
        let rows: String = support::each(200, |row| format!("<tr><td>{row}<td>row of {number}"));
        let html = format!("<!DOCTYPE html><p>document {number} begins<table>{rows}</table><p>document {number} ends");
        jobs.spawn(async move { (number, pool.print(job(&html), soon()).await) });
    }
    jobs
}

/// Every job ended with its own whole document, or with a crash that says so.
async fn all_right_or_crashed(mut jobs: JoinSet<(usize, Result<chromium::Printed, ChromiumError>)>) -> usize {
    let mut printed = 0;
    while let Some(done) = timeout(Duration::from_secs(40), jobs.join_next()).await.expect("a job hangs") {
        match done.unwrap() {
            (number, Ok(sheet)) => {
                let words = text(&sheet.pdf);
                assert!(
                    words.starts_with(&format!("document {number} begins")) && words.ends_with(&format!("document {number} ends")),
                    "{words}"
                );
                printed += 1;
            }
            (_, Err(ChromiumError::Crashed { attempts: 2 })) => {}
            (number, Err(error)) => panic!("job {number}: {error}"),
        }
    }
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_renderers_cost_no_document_and_the_tabs_come_back() {
    let pool = support::start(|options| options.queue_depth = 200).await;
    let jobs = load(&pool, 60);
    for _ in 0..3 {
        support::eventually("work is under way", || pool.status().in_use == 3).await;
        let victim = pool.renderers()[0];
        kill(victim);
        support::eventually("the killed renderer is missed", || !pool.renderers().contains(&victim)).await;
    }
    assert!(all_right_or_crashed(jobs).await >= 57);
    support::eventually("three healthy tabs", || pool.status().healthy_tabs == 3).await;
    assert_eq!(pool.status().restarts, 0, "the browser did not survive");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renderer_killed_while_idle_is_replaced_and_nobody_notices() {
    let pool = support::start(|options| options.tabs = 2).await;
    let before = pool.renderers();
    for renderer in &before {
        kill(*renderer);
    }
    support::eventually("new renderers", || {
        let now = pool.renderers();
        pool.status().healthy_tabs == 2 && now.len() >= 2 && now.iter().all(|pid| !before.contains(pid))
    })
    .await;
    let printed = pool.print(job("<p>after"), soon()).await.unwrap();
    assert_eq!((text(&printed.pdf).as_str(), printed.attempts), ("after", 1));
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_browser_is_back_within_seconds_and_queued_jobs_wait_for_it() {
    let pool = support::start(|options| options.queue_depth = 200).await;
    for _ in 0..2 {
        let jobs = load(&pool, 40);
        support::eventually("work is under way", || pool.status().in_use == 3).await;
        kill(pool.browsers()[0]);
        assert!(all_right_or_crashed(jobs).await >= 37);
    }
    support::eventually("three healthy tabs in one browser", || {
        let status = pool.status();
        (status.healthy_tabs, status.browsers) == (3, 1)
    })
    .await;
    assert_eq!(pool.status().restarts, 2);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_browser_is_replaced() {
    let pool = support::start(|options| {
        options.tabs = 1;
        options.budgets.housekeeping = Duration::from_millis(700);
    })
    .await;
    let frozen = rustix::process::Pid::from_raw(pool.browsers()[0]).unwrap();
    rustix::process::kill_process(frozen, rustix::process::Signal::STOP).unwrap();
    let missed = pool.print(job("<p>never"), Instant::now() + Duration::from_millis(300)).await;
    assert!(matches!(missed, Err(ChromiumError::DeadlineExceeded { .. })), "{missed:?}");
    let printed = pool.print(job("<p>again"), soon()).await.unwrap();
    assert_eq!(text(&printed.pdf), "again");
    assert_eq!(pool.status().restarts, 1);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_under_load_ends_every_job_and_leaves_nothing() {
    let pool = support::start(|options| options.queue_depth = 200).await;
    let mut jobs = load(&pool, 50);
    jobs.spawn({
        let pool = Pool::clone(&pool);
        async move { (99, pool.print(scripted("<script>while(true){}</script>"), soon()).await) }
    });
    support::eventually("work is under way", || pool.status().in_use == 3).await;
    let other_handle = Pool::clone(&pool);
    let closing = Instant::now();
    pool.close_by(Instant::now() + Duration::from_millis(500)).await;
    assert!(closing.elapsed() < Duration::from_secs(5), "{:?}", closing.elapsed());
    while let Some(done) = timeout(Duration::from_secs(5), jobs.join_next()).await.expect("a job hangs") {
        let (_, result) = done.unwrap();
        assert!(matches!(result, Ok(_) | Err(ChromiumError::Closed | ChromiumError::Crashed { .. })), "{result:?}");
    }
    assert_eq!(other_handle.print(job("late"), soon()).await.unwrap_err(), ChromiumError::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_handle_ends_the_browser() {
    let pool = support::start(|options| options.tabs = 1).await;
    let run = pool.runtime.path().join("run");
    let leader = pool.browsers()[0];
    let runtime = pool.into_runtime();
    support::eventually("no process is left", || group(leader).is_empty()).await;
    support::eventually("no profile is left", || profiles(&run) == 0).await;
    drop(runtime);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_leaves_no_browser_and_the_next_one_sweeps_its_profile() {
    let runtime = tempfile::tempdir().unwrap();
    let run = runtime.path().join("run");
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "a_server_that_is_going_to_be_killed"])
        .current_dir(runtime.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    support::eventually("the server has started", || runtime.path().join("ready").exists()).await;
    let leader = browsers_in(&run)[0];
    assert!(group(leader).len() > 3);
    server.kill().unwrap();
    server.wait().unwrap();
    support::eventually("no process is left", || group(leader).is_empty()).await;
    assert_eq!(profiles(&run), 1, "a killed server cannot have cleared up");
    let mut options = support::options(runtime.path());
    options.tabs = 1;
    let pool = Pool::start(options).await.unwrap();
    assert_eq!(profiles(&run), 1, "only the profile of the new browser");
    pool.close(soon()).await;
    assert_eq!(profiles(&run), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the victim of the test above, which runs it in a process of its own"]
async fn a_server_that_is_going_to_be_killed() {
    let here = std::env::current_dir().unwrap();
    let mut options = support::options(&here);
    options.tabs = 1;
    let pool = Pool::start(options).await.unwrap();
    std::fs::write(here.join("ready"), "").unwrap();
    let _ = timeout(Duration::from_mins(1), std::future::pending::<()>()).await;
    drop(pool);
}

fn profiles(run: &Path) -> usize {
    std::fs::read_dir(run).map_or(0, |entries| {
        entries
            .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir() && entry.as_ref().unwrap().file_name() != "cache")
            .count()
    })
}
