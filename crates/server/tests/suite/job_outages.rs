//! What documents need is away for some seconds in the middle of a job: none fails, and none is made again that was finished.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::s3::{Fault, S3Server};

use crate::assets::server_with_bucket;
use crate::job_deaths::made_once;
use crate::jobs::submitted;
use crate::running::{Server, answer, children, kill, wait_until, wait_until_async};

const DOCUMENTS: usize = 80;
/// Past the lease, past the timeouts of single questions, and past what caches hold.
const OUTAGE: Duration = Duration::from_secs(12);

/// How many documents have ended; nothing while the server cannot say.
async fn done(server: &Server, id: &str) -> Option<usize> {
    let job: Value = server.get(&format!("/render/jobs/{id}")).await.json().await.ok()?;
    let progress = |what: &str| job["progress"][what].as_u64().and_then(|count| usize::try_from(count).ok());
    Some(progress("completed")? + progress("failed")?)
}

/// Submits a job, takes something away when a quarter of it is done, and gives it back; then the job ends as if nothing had been.
async fn outlives(server: &Server, take_away: impl FnOnce(), give_back: impl AsyncFnOnce()) {
    let template = json!({"key": "dear", "name": "Dear", "html": "<h1>Dear {{name}}</h1>"});
    assert_eq!(server.post("/templates", &template).await.status(), 201);
    let items: Vec<Value> = (0..DOCUMENTS)
        .map(|n| {
            let output = if n % 2 == 0 { json!({"store": true}) } else { Value::Null };
            json!({"template": "dear", "data": {"name": format!("No{n}")}, "reference": n.to_string(), "metadata": {"n": n.to_string()}, "output": output})
        })
        .collect();
    let id = submitted(server, &json!({"format": "pdf", "items": items})).await;
    let some = async || done(server, &id).await.filter(|done| *done >= DOCUMENTS / 4);
    let before = wait_until_async("a quarter is done", some).await;
    assert!(before < DOCUMENTS / 2, "{before} were done before anything was away: give it more documents");
    take_away();
    give_back().await;
    let back = Instant::now();
    wait_until_async("all is done", async || done(server, &id).await.filter(|done| *done == DOCUMENTS)).await;
    let (renders, thrown_away) = made_once(server, std::slice::from_ref(&id), DOCUMENTS).await;
    println!(
        "{before} done before; all done {:.1} s after; {renders} renders in the log, {thrown_away} thrown away",
        back.elapsed().as_secs_f64()
    );
    let (status, stored) =
        answer(reqwest::Client::new().get(server.url("/documents?limit=1")).header("X-Api-Key", crate::running::KEY)).await;
    assert_eq!((status, stored["total"].as_u64()), (200, Some(DOCUMENTS as u64 / 2)), "each is stored once: {stored}");
}

#[tokio::test]
async fn a_database_that_does_not_answer_for_a_while_and_then_dies_fails_no_document_of_a_job() {
    let server = Server::start_with(&[("JOB_LEASE_MS", "3000"), ("RENDER_MAX_CONCURRENT_PAGES", "3"), ("JOB_CONCURRENCY", "2")]);
    let postgres = children(server.pid(), "postgres")[0];
    let all: Vec<u32> = children(postgres, "").into_iter().chain([postgres]).collect();
    // Of connections, some end meanwhile.
    let signal = |name: &str| {
        for pid in &all {
            drop(std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(std::process::Stdio::null()).status());
        }
    };
    outlives(
        &server,
        || signal("STOP"),
        async || {
            tokio::time::sleep(OUTAGE).await;
            signal("CONT");
            kill("KILL", postgres);
            wait_until("another process runs the database", || children(server.pid(), "postgres").iter().any(|now| *now != postgres));
        },
    )
    .await;
}

#[tokio::test]
async fn a_bucket_that_is_away_for_a_while_fails_no_document_of_a_job() {
    let s3 = S3Server::start().unwrap();
    let server = server_with_bucket(s3.endpoint());
    outlives(
        &server,
        || s3.set_fault(Fault::Closed),
        async || {
            tokio::time::sleep(OUTAGE / 2).await;
            s3.set_fault(Fault::Silent);
            tokio::time::sleep(OUTAGE / 2).await;
            s3.set_fault(Fault::None);
        },
    )
    .await;
}

#[tokio::test]
async fn a_folder_that_is_away_for_a_while_fails_no_document_of_a_job() {
    let server = Server::start();
    let (folder, elsewhere) = (server.data_dir().join("assets"), server.data_dir().join("elsewhere"));
    let take_away = || {
        std::fs::rename(&folder, &elsewhere).unwrap();
        // A file where the folder was: nothing can be put there, by whatever user.
        std::fs::write(&folder, "not a folder").unwrap();
    };
    outlives(&server, take_away, async || {
        tokio::time::sleep(OUTAGE).await;
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&elsewhere, &folder).unwrap();
    })
    .await;
}
