//! Replicas that die in the middle of jobs: what was finished stays finished, and the rest is made by those that live.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::postgres::TestDatabase;

use crate::running::{KEY, Server, answer, kill};

/// Two deaths, their leases, and the documents at the rate of a busy machine.
const ENDED_WITHIN: Duration = Duration::from_mins(8);

fn ask(server: &Server, method: &str, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", KEY)
}

async fn all_renders(server: &Server) -> Vec<Value> {
    let mut renders = Vec::new();
    loop {
        let (_, page) = answer(ask(server, "GET", &format!("/renders?source=async&limit=1000&offset={}", renders.len()))).await;
        let items = page["items"].as_array().unwrap();
        renders.extend(items.iter().cloned());
        if items.is_empty() || renders.len() as u64 >= page["total"].as_u64().unwrap() {
            return renders;
        }
    }
}

/// Every document of these jobs is there and whole, and none was rendered after it was finished, by the log of renders, where the
/// metadata `n` is the item's reference. Gives how many renders there were, and how many of them were thrown away.
pub async fn made_once(server: &Server, jobs: &[String], documents: usize) -> (usize, usize) {
    let mut items = HashMap::new();
    for id in jobs {
        let (_, job) = answer(ask(server, "GET", &format!("/render/jobs/{id}"))).await;
        assert_eq!(job["status"], json!("completed"), "{job}");
        for item in job["items"].as_array().unwrap() {
            assert_eq!(item["status"], json!("succeeded"), "{item}");
            let content = ask(server, "GET", item["contentUrl"].as_str().unwrap()).send().await.unwrap();
            assert_eq!(content.status(), 200);
            let content = content.bytes().await.unwrap();
            assert_eq!(Some(content.len() as u64), item["sizeBytes"].as_u64());
            assert!(content.starts_with(b"%PDF-"), "{item}");
            items.insert(item["reference"].as_str().unwrap().to_owned(), item.clone());
        }
    }
    assert_eq!(items.len(), documents);
    let renders = all_renders(server).await;
    let mut begun_again = 0;
    for render in &renders {
        let item = &items[render["metadata"]["n"].as_str().unwrap()];
        if render["id"] != item["renderId"] {
            begun_again += 1;
            let moment = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            assert!(moment(&render["renderedAt"]) <= moment(&item["completedAt"]), "{render} was rendered after it was finished: {item}");
        }
    }
    (renders.len(), begun_again)
}

/// Submits jobs of 100 documents each to three replicas and kills two of them in the middle.
async fn survive(documents: usize) {
    let database = TestDatabase::empty().await;
    let files = tempfile::tempdir().unwrap();
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let settings: &'static [(&str, &str)] = Box::leak(Box::new([
        ("DATABASE_URL", leak(database.url())),
        ("ASSETS_DIR", leak(files.path().to_str().unwrap())),
        ("JOB_LEASE_MS", "3000"),
    ]));
    let replicas: Vec<Server> = (0..3).map(|_| Server::start_with(settings)).collect();
    let survivor = &replicas[0];
    let template = json!({"key": "letter", "name": "Letter", "html": "<h1>Dear {{name}}</h1>"});
    assert_eq!(answer(ask(survivor, "POST", "/templates").json(&template)).await.0, 201);

    let began = Instant::now();
    let mut jobs = Vec::new();
    for first in (0..documents).step_by(100) {
        let items: Vec<Value> = (first..documents.min(first + 100))
            .map(|n| json!({"template": "letter", "data": {"name": format!("Number {n}")}, "reference": n.to_string(), "metadata": {"n": n.to_string()}}))
            .collect();
        let replica = &replicas[jobs.len() % 3];
        let (status, job) = answer(ask(replica, "POST", "/render/jobs").json(&json!({"format": "pdf", "items": items}))).await;
        assert_eq!(status, 202, "{job}");
        jobs.push(job["jobId"].as_str().unwrap().to_owned());
    }
    let done = async || {
        let mut done = 0;
        for id in &jobs {
            let (status, job) = answer(ask(survivor, "GET", &format!("/render/jobs/{id}"))).await;
            assert_eq!(status, 200, "{job}");
            done += job["progress"]["completed"].as_u64().unwrap() + job["progress"]["failed"].as_u64().unwrap();
        }
        usize::try_from(done).unwrap()
    };
    let mut deaths = Vec::new();
    loop {
        let now = done().await;
        // One dies after a fifth of the work, another one after two fifths.
        if deaths.len() < 2 && now >= documents * (deaths.len() + 1) / 5 {
            kill("KILL", replicas[deaths.len() + 1].pid());
            deaths.push((now, began.elapsed()));
        }
        if now == documents {
            break;
        }
        assert!(
            began.elapsed() < ENDED_WITHIN.max(Duration::from_millis(200) * u32::try_from(documents).unwrap()),
            "{now} of {documents} are done"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = began.elapsed();
    assert_eq!(deaths.len(), 2, "both died while there was work");

    let (renders, begun_again) = made_once(survivor, &jobs, documents).await;
    println!(
        "{documents} documents in {} jobs: all ended after {:.1} s; replicas died at {deaths:?}; {renders} renders in the log, {begun_again} of them thrown away",
        jobs.len(),
        took.as_secs_f64()
    );
    assert!(begun_again <= 2 * 8, "only what was under way is made again");
}

#[tokio::test]
async fn documents_of_jobs_are_finished_once_though_two_of_three_replicas_are_killed_midway() {
    survive(600).await;
}

#[tokio::test]
#[ignore = "takes minutes; prints its figures"]
async fn ten_thousand_documents_of_jobs_are_finished_once_though_two_of_three_replicas_are_killed_midway() {
    survive(10_000).await;
}
