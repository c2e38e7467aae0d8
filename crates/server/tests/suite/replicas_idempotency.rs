//! The same key at three replicas at once, many times; with one that sleeps in the middle, and with a database that does.

use std::time::{Duration, Instant};

use reqwest::multipart::Form;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use testkit::postgres::{Cluster, TestDatabase};
use tokio::time::sleep;

use crate::assets::{PNG, part};
use crate::replicas_running::{ask, line, replicas, said, shared};
use crate::running::{Server, answer, children, kill, wait_until_async};

const ROUNDS: usize = 20;
/// What is submitted stays as it is.
const NOTHING_IS_DONE: &[(&str, &str)] = &[("JOB_CONCURRENCY", "0"), ("SCHEDULE_ENGINE_ENABLED", "false")];

fn keyed(client: &Client, server: &Server, path: &str, key: &str) -> RequestBuilder {
    ask(client, server, "POST", path).header("Idempotency-Key", key)
}

/// Sends the same to all at once, and gives the answer that all got who were not told that the key is in use.
async fn at_once(what: &str, requests: impl Iterator<Item = RequestBuilder>) -> Value {
    let asked: Vec<_> = requests
        .map(|request| {
            tokio::spawn(async {
                let answer = request.send().await.unwrap();
                (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
            })
        })
        .collect();
    let mut made: Option<(u16, Vec<u8>)> = None;
    for asked in asked {
        let (status, body) = asked.await.unwrap();
        let told = String::from_utf8_lossy(&body).into_owned();
        if status == 409 && told.contains("idempotency_key_in_use") {
            continue;
        }
        assert!((200..300).contains(&status), "{what}: {status} {told}");
        match &made {
            // Of a job the answer is how it stands, which is the same as long as nothing is done.
            Some(first) => assert_eq!((first.0, String::from_utf8_lossy(&first.1).into_owned()), (status, told), "{what}"),
            None => made = Some((status, body)),
        }
    }
    serde_json::from_slice(&made.unwrap_or_else(|| panic!("{what}: nobody made it")).1).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_at_three_replicas_at_once_makes_one_of_everything_every_time() {
    let (database, files, client) = (TestDatabase::empty().await, tempfile::tempdir().unwrap(), Client::new());
    let servers: [Server; 3] = replicas(shared(database.url(), files.path(), NOTHING_IS_DONE));
    said(201, ask(&client, &servers[0], "POST", "/templates").json(&line("sheet", "{{n}}"))).await;
    let schedule = json!({"name": "Daily", "cronExpression": "0 8 * * *", "templateKey": "sheet", "deliveryTargets": [],
                          "dataSource": {"type": "static", "data": {}}});
    let began = Instant::now();
    for round in 0..ROUNDS {
        let everywhere = |path: &str, body: &Value| {
            let (path, key, body) = (path.to_owned(), format!("k-{round}"), body.clone());
            servers.iter().map(move |server| keyed(&Client::new(), server, &path, &format!("{key}{}", path.len())).json(&body))
        };
        at_once("a template", everywhere("/templates", &line(&format!("made-{round}"), "x"))).await;
        let form = || Form::new().part("file", part(PNG, &format!("logo-{round}.png"), "image/png"));
        at_once("an asset", servers.iter().map(|server| keyed(&client, server, "/assets/upload", &format!("a-{round}")).multipart(form())))
            .await;
        at_once("a job", everywhere("/render/jobs", &json!({"format": "html", "template": "sheet", "data": {"n": round}}))).await;
        at_once("a dataset", everywhere("/datasets", &json!({"n": round}))).await;
        let made = at_once("a schedule", everywhere("/schedules", &schedule)).await;
        let trigger = format!("/schedules/{}/trigger", made["id"].as_str().unwrap());
        at_once("an execution", everywhere(&trigger, &json!({}))).await;
        let stored = json!({"template": "sheet", "data": {"n": round}, "output": {"store": true}});
        at_once("a document", everywhere("/render/html", &stored)).await;
        at_once("a PDF", everywhere("/render/pdf", &stored)).await;
    }
    println!("{ROUNDS} rounds of eight kinds at three replicas in {:.1} s", began.elapsed().as_secs_f64());
    let rounds = ROUNDS.to_string();
    for (table, wanted) in [
        ("templates WHERE template_key LIKE 'made-%'", &rounds),
        ("assets", &rounds),
        ("jobs", &rounds),
        ("datasets", &rounds),
        ("schedules", &rounds),
        ("schedule_executions", &rounds),
        ("documents", &(2 * ROUNDS).to_string()),
        ("idempotency_keys WHERE answer_status IS NULL", &"0".to_owned()),
    ] {
        assert_eq!(&database.query(&format!("SELECT count(*) FROM {table}")).await, wanted, "{table}");
    }
}

fn signal(name: &str, processes: &[u32]) {
    for pid in processes {
        kill(name, *pid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_sleeps_in_the_middle_while_another_takes_over_wakes_up_and_changes_nothing() {
    let (database, files) = (TestDatabase::empty().await, tempfile::tempdir().unwrap());
    let [sleeper, other]: [Server; 2] = replicas(shared(database.url(), files.path(), NOTHING_IS_DONE));
    let taken = async |key: &str| {
        let taken = format!("SELECT count(*) FROM idempotency_keys WHERE idempotency_key = '{key}'");
        wait_until_async("the key is taken", async || (database.query(&taken).await == "1").then_some(())).await;
    };
    let code = |told: &Value| told["code"].as_str().unwrap_or_default().to_owned();

    // While it prints.
    let browser = children(sleeper.pid(), "chrom");
    signal("STOP", &browser);
    let stored = json!({"definition": line("p", "once"), "output": {"store": true, "respondWith": "link"}});
    let slow = tokio::spawn(answer(keyed(&Client::new(), &sleeper, "/render/pdf", "printing").json(&stored)));
    taken("printing").await;
    sleeper.signal("STOP");
    let began = Instant::now();
    let (status, made) = answer(keyed(&Client::new(), &other, "/render/pdf", "printing").json(&stored)).await;
    let took = began.elapsed();
    sleeper.signal("CONT");
    signal("CONT", &browser);
    assert_eq!(status, 201, "{made}");
    let (status, told) = slow.await.unwrap();
    println!("taken over after {took:.1?}; the sleeper was told {status} {}", code(&told));
    assert_eq!((status, code(&told)), (409, "idempotency_key_in_use".to_owned()), "{told}");
    assert_eq!(database.query("SELECT count(*) FROM documents").await, "1", "stored once");
    let (status, again) = answer(keyed(&Client::new(), &sleeper, "/render/pdf", "printing").json(&stored)).await;
    assert_eq!((status, again["documentId"].clone()), (201, made["documentId"].clone()), "{again}");

    // Within its transaction.
    let template = line("made", "once");
    let locking = "LOCK TABLE templates IN SHARE MODE; SELECT pg_sleep(3)";
    let waiting = async |what: &str| {
        let found = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {what}");
        wait_until_async(what, async || (database.query(&found).await != "0").then_some(())).await;
    };
    let scene = async {
        waiting("wait_event = 'PgSleep'").await;
        let slow = tokio::spawn(answer(keyed(&Client::new(), &sleeper, "/templates", "writing").json(&template)));
        waiting("wait_event_type = 'Lock'").await;
        sleeper.signal("STOP");
        let made = answer(keyed(&Client::new(), &other, "/templates", "writing").json(&template)).await;
        sleeper.signal("CONT");
        (made, slow.await.unwrap())
    };
    let (_, ((status, made), (slow_status, told))) = tokio::join!(database.query(locking), scene);
    println!("asleep in its transaction: the next was answered {status}, the sleeper {slow_status} {}", code(&told));
    assert_eq!(status, 201, "{made}");
    assert_eq!(database.query("SELECT count(*) FROM template_versions").await, "1", "made once");
    assert_eq!(database.query("SELECT count(*) FROM audit_events WHERE resource_id = 'made'").await, "1");
    let again = said(201, keyed(&Client::new(), &sleeper, "/templates", "writing").json(&template)).await;
    assert_eq!(again, made, "whoever asks again gets what the one who took over was told");
}

/// Longer than a key is held, and longer than any act waits for the database.
const SLEEPS: [Duration; 2] = [Duration::from_secs(12), Duration::from_secs(26)];

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_sleeps_in_the_middle_of_a_request_with_a_key_has_its_effect_once() {
    let (cluster, files) = (Cluster::start_new(), tempfile::tempdir().unwrap());
    let [one, other]: [Server; 2] = replicas(shared(&cluster.url(), files.path(), NOTHING_IS_DONE));
    for (round, asleep) in SLEEPS.into_iter().enumerate() {
        let (key, template) = (format!("k-{round}"), line(&format!("made-{round}"), "x"));
        let waiting = async |what: &str| {
            let found = format!("SELECT count(*) FROM pg_stat_activity WHERE {what}");
            wait_until_async(what, async || (cluster.query(&found).await != "0").then_some(())).await;
        };
        let scene = async {
            waiting("wait_event = 'PgSleep'").await;
            let first = tokio::spawn(answer(keyed(&Client::new(), &one, "/templates", &key).json(&template)));
            waiting("wait_event_type = 'Lock'").await;
            cluster.freeze();
            sleep(asleep).await;
            cluster.thaw();
            let second = answer(keyed(&Client::new(), &other, "/templates", &key).json(&template)).await;
            (first.await.unwrap(), second)
        };
        let (_, (first, second)) = tokio::join!(cluster.query("LOCK TABLE templates IN SHARE MODE; SELECT pg_sleep(3)"), scene);
        println!("asleep for {asleep:?}: {} {}, then {} {}", first.0, first.1["code"], second.0, second.1["code"]);
        let settled = wait_until_async("the key is settled", async || {
            let (status, told) = answer(keyed(&Client::new(), &other, "/templates", &key).json(&template)).await;
            (status != 503 && told["code"] != json!("idempotency_key_in_use")).then_some((status, told))
        });
        let (status, told) = settled.await;
        assert!(status == 201 || told["code"] == json!("idempotency_replay_unavailable"), "{status} {told}");
        for (status, told) in [first, second] {
            assert!(status == 201 || status == 503 || told["code"].as_str().unwrap_or_default().starts_with("idempotency_"), "{told}");
        }
        let found = |table: &str, column: &str| format!("SELECT count(*) FROM {table} WHERE {column} = 'made-{round}'");
        assert_eq!(cluster.query(&found("templates", "template_key")).await, "1", "its effect is there once");
        assert_eq!(cluster.query(&found("audit_events", "resource_id")).await, "1");
    }
}
