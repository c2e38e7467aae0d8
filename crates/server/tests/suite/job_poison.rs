//! A document that kills its browser whenever it is made: it fails, and nothing else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use testkit::pdf;

use crate::deaths::renderers;
use crate::jobs::{ended, submitted};
use crate::running::{Server, children, pause, wait_until_async};
use crate::schedule_deliveries::{Receivers, settings};

/// What a renderer of a small document never needs, and one of the poisonous one soon does.
const DEADLY_BYTES: u64 = 350_000_000;
const PAGE_BYTES: u64 = 4096;

fn resident_bytes(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_BYTES
}

/// Does what a machine without memory does: the browser with the large document dies. Gives how often that was.
fn kill_large_ones(server: u32, stop: &AtomicBool) -> usize {
    let mut killed = std::collections::HashSet::new();
    while !stop.load(Ordering::Relaxed) {
        for browser in children(server, "chromium") {
            if renderers(browser).into_iter().any(|pid| resident_bytes(pid) > DEADLY_BYTES) {
                // One that has ended by itself meanwhile cannot be killed.
                drop(std::process::Command::new("kill").args(["-9", &browser.to_string()]).status());
                killed.insert(browser);
            }
        }
        pause();
    }
    killed.len()
}

fn small(word: &str) -> Value {
    json!({"definition": {"key": "small", "name": "Small", "html": "<h1>{{word}}</h1>"}, "data": {"word": word}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_kills_its_browser_every_time_fails_after_its_attempts_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let receivers = Receivers::start(folder.path());
    let own = settings(&receivers, &[("RENDER_MAX_CONCURRENT_PAGES", "3"), ("JOB_CONCURRENCY", "2"), ("JOB_MAX_ATTEMPTS", "3")]);
    let server = Arc::new(Server::start_with(Box::leak(own.into_boxed_slice())));
    let (stop, right) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let deaths = {
        let (pid, stop) = (server.pid(), Arc::clone(&stop));
        tokio::task::spawn_blocking(move || kill_large_ones(pid, &stop))
    };
    // Somebody else renders all the while.
    let other = {
        let (server, stop, right) = (Arc::clone(&server), Arc::clone(&stop), Arc::clone(&right));
        tokio::spawn(async move {
            let mut failed = 0;
            while !stop.load(Ordering::Relaxed) {
                let answer = server.post("/render/pdf", &small("other")).await;
                let status = answer.status().as_u16();
                let bytes = answer.bytes().await.unwrap();
                if status == 200 {
                    assert_eq!(pdf::words(&bytes).trim(), "other");
                    right.fetch_add(1, Ordering::Relaxed);
                } else {
                    let refusal: Value = serde_json::from_slice(&bytes).unwrap();
                    assert!(
                        matches!((status, refusal["code"].as_str()), (502, Some("engine_crash")) | (503, Some(_))),
                        "{status}: {refusal}"
                    );
                    failed += 1;
                }
            }
            failed
        })
    };

    let rows: Vec<_> = (0..40_000).map(|row| json!({"n": row})).collect();
    let poison = json!({
        "definition": {"key": "poison", "name": "Poison", "html": "<table>{{#each rows}}<tr><td>Row {{n}}<td>{{n}}</td></tr>{{/each}}</table>"},
        "data": {"rows": rows},
    });
    let mut items: Vec<Value> = (0..10).map(|n| small(&format!("No{n}"))).collect();
    items.insert(1, poison);
    let body = json!({
        "format": "pdf", "items": items, "webhookUrl": receivers.url("/ok/poison"), "webhookSecret": "the-secret-of-this-job",
    });
    let id = submitted(&server, &body).await;
    let job = ended(&server, &id).await;
    let right_by_then = right.load(Ordering::Relaxed);
    assert_eq!((&job["status"], &job["progress"]), (&json!("completed"), &json!({"total": 11, "completed": 10, "failed": 1})), "{job}");
    for (index, item) in job["items"].as_array().unwrap().iter().enumerate() {
        let (status, code) = if index == 1 { ("failed", json!("engine_crash")) } else { ("succeeded", Value::Null) };
        assert_eq!((&item["status"], &item["error"]["code"]), (&json!(status), &code), "{item}");
    }
    let told = wait_until_async("the end is told", async || receivers.calls("/ok/poison").first().cloned()).await;
    assert!(told.to_string().contains("job.completed"), "{told}");

    // And afterwards.
    wait_until_async("the other one has gone on", async || (right.load(Ordering::Relaxed) > right_by_then + 20).then_some(())).await;
    stop.store(true, Ordering::Relaxed);
    let (failed, killed) = (other.await.unwrap(), deaths.await.unwrap());
    let right = right.load(Ordering::Relaxed);
    println!("{killed} browsers died of one document; somebody else got {right} documents meanwhile, and {failed} errors");
    // Each attempt is tried a second time at once, in another browser.
    assert_eq!(killed, 6, "three attempts\n{}", server.log());
    assert!(failed <= killed, "{right} right, {failed} failed");
    assert_eq!(receivers.calls("/ok/poison").len(), 1, "told once");
    assert_eq!(server.get("/health/ready").await.status(), 200);
}
