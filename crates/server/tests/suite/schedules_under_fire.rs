//! Schedules while servers die, sleep and are wrong about the time: one execution for each time, and every one delivered.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::postgres::TestDatabase;
use tokio::time::sleep;

use crate::running::{KEY, Server, answer, kill};
use crate::schedule_deliveries::{Receivers, leak, settings};

/// How much is done to them.
struct Fire {
    schedules: usize,
    /// From one time of a schedule to the next, in seconds; divides a minute.
    every_s: u64,
    lasts: Duration,
    /// How long all that was begun has to end afterwards.
    ends_within: Duration,
}

/// Where Debian and pip put the library that lies about the time.
const LIARS: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn survive(fire: Fire) {
    let database = TestDatabase::empty().await;
    let files = tempfile::tempdir().unwrap();
    let receivers = Receivers::start(files.path());
    let own = settings(
        &receivers,
        &[
            ("DATABASE_URL", leak(database.url())),
            ("ASSETS_DIR", leak(files.path().join("assets").to_str().unwrap())),
            ("JOB_LEASE_MS", "3000"),
            ("SCHEDULE_LEASE_MS", "6000"),
            ("JOB_CONCURRENCY", "4"),
            ("SCHEDULE_MAX_CONCURRENT_DELIVERIES", "16"),
        ],
    );
    let plain: &'static [(&str, &str)] = Box::leak(own.clone().into_boxed_slice());
    let liar = LIARS.into_iter().find(|path| std::path::Path::new(path).exists());
    let mut wrong = own;
    if let Some(path) = liar {
        wrong.extend([("LD_PRELOAD", path), ("FAKETIME", "-1h"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
    }
    let wrong: &'static [(&str, &str)] = Box::leak(wrong.into_boxed_slice());
    let survivor = Server::start_with(plain);
    let mut dies = Server::start_with(plain);
    let sleeps = Server::start_with(plain);
    let _is_wrong = Server::start_with(wrong);

    let ask = async |method: &str, path: &str, body: &Value| {
        answer(reqwest::Client::new().request(method.parse().unwrap(), survivor.url(path)).header("X-Api-Key", KEY).json(body)).await
    };
    assert_eq!(ask("POST", "/templates", &json!({"key": "dear", "name": "Dear", "html": "<p>{{name}}</p>"})).await.0, 201);
    for n in 0..fire.schedules {
        let schedule = json!({
            "name": format!("Number {n}"), "cronExpression": format!("*/{} * * * * *", fire.every_s), "templateKey": "dear", "format": "html",
            "dataSource": {"type": "static", "data": {"name": n}},
            "deliveryTargets": [{"type": "webhook", "url": receivers.url("/ok"), "secret": "a-secret-of-the-test"}],
        });
        let (status, made) = ask("POST", "/schedules", &schedule).await;
        assert_eq!(status, 201, "{made}");
    }
    let began = Instant::now();
    let third = fire.lasts / 3;
    sleep(third / 2).await;
    kill("KILL", dies.pid());
    dies.wait_for_end();
    kill("STOP", sleeps.pid());
    sleep(third).await;
    dies = dies.start_again();
    // Past both leases.
    sleep(third.max(Duration::from_secs(9))).await;
    kill("CONT", sleeps.pid());
    kill("KILL", dies.pid());
    dies.wait_for_end();
    sleep(fire.lasts.saturating_sub(began.elapsed())).await;
    let lasted = began.elapsed();
    database.query("UPDATE schedules SET enabled = false, next_run_at = NULL").await;

    let open = "SELECT count(*) FROM schedule_executions WHERE ended_at IS NULL";
    let patience = Instant::now() + fire.ends_within;
    loop {
        if database.query(open).await == "0" {
            break;
        }
        let stands =
            "SELECT string_agg(status || ' ' || n, ', ') FROM (SELECT status, count(*) AS n FROM schedule_executions GROUP BY 1) s";
        assert!(Instant::now() < patience, "executions are open: {}\n{}", database.query(stands).await, survivor.log());
        sleep(Duration::from_millis(200)).await;
    }
    let ended_after = began.elapsed().saturating_sub(lasted);

    let gaps = format!(
        "SELECT count(*) FROM (SELECT extract(epoch FROM fire_time - lag(fire_time) OVER (PARTITION BY schedule_id ORDER BY fire_time)) AS gap,
                missed_runs FROM schedule_executions) e WHERE gap IS NOT NULL AND gap <> {} * (missed_runs + 1)",
        fire.every_s
    );
    assert_eq!(database.query(&gaps).await, "0", "every time has one execution, or is counted as missed by the next");
    assert_eq!(
        database
            .query("SELECT count(*) FROM (SELECT FROM schedule_executions GROUP BY schedule_id, fire_time HAVING count(*) > 1) e")
            .await,
        "0"
    );
    let not_completed = "SELECT string_agg(status || ' ' || COALESCE(error_code, '') || ' ' || COALESCE(error_message, ''), ', ') FROM schedule_executions WHERE status <> 'completed'";
    assert_eq!(database.query(not_completed).await, "", "every one arrived");
    let executions: usize = database.query("SELECT count(*) FROM schedule_executions").await.parse().unwrap();
    let deliveries: usize = database.query("SELECT count(*) FROM schedule_deliveries WHERE status = 'delivered'").await.parse().unwrap();
    let jobs: usize = database.query("SELECT count(DISTINCT job_id) FROM schedule_executions").await.parse().unwrap();
    let missed = database.query("SELECT sum(missed_runs) FROM schedule_executions").await;
    let calls = receivers.taken();
    let mut acted: HashMap<String, usize> = HashMap::new();
    for call in calls.iter().filter(|call| call["https"] == json!(true)) {
        *acted.entry(call["headers"]["x-pulpengine-delivery-id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let twice = acted.values().filter(|times| **times > 1).count();
    println!(
        "{} schedules every {} s for {:.0} s: {executions} executions ({missed} times missed), {jobs} jobs, {deliveries} deliveries, {} calls received, {twice} ids more than once; all ended {:.1} s later; clock an hour off: {}",
        fire.schedules,
        fire.every_s,
        lasted.as_secs_f64(),
        calls.len(),
        ended_after.as_secs_f64(),
        liar.is_some()
    );
    assert!(executions >= fire.schedules, "they fired");
    assert_eq!(
        (deliveries, jobs, acted.len()),
        (executions, executions, executions),
        "one job and one delivery each, and every id arrived"
    );
}

#[tokio::test]
async fn schedules_under_fire() {
    survive(Fire { schedules: 60, every_s: 3, lasts: Duration::from_secs(24), ends_within: Duration::from_mins(2) }).await;
}

#[tokio::test]
#[ignore = "takes some minutes; prints its numbers"]
async fn five_hundred_schedules_under_fire_for_two_minutes() {
    survive(Fire { schedules: 500, every_s: 6, lasts: Duration::from_mins(2), ends_within: Duration::from_mins(8) }).await;
}
