//! Work that nobody waits for, over replicas that die in the middle of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::report::found;
use crate::stack::{Stack, said, wait_for};

const ENTERED: Duration = Duration::from_millis(300);
const TOLD_WITHIN: Duration = Duration::from_secs(3);
const BACK: Duration = Duration::from_mins(2);
/// Leases of the dead, and the documents at the rate of a busy machine.
const ENDED_WITHIN: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn work_begun_on_one_replica_is_finished_once_by_others_though_it_dies_or_sleeps() {
    let Some(mut stack) = Stack::start().await else { return };
    let template = stack.make_template("work", "from afar").await;
    a_job_of_a_replica_that_ends(&mut stack, &template).await;
    jobs_of_replicas_that_die(&mut stack, &template).await;
    jobs_of_a_replica_that_sleeps(&stack, &template).await;
    schedules_of_replicas_that_die(&mut stack, &template).await;
}

fn job(template: &str, mark: &str, documents: usize) -> Value {
    let item = |n: usize| json!({"template": template, "data": {"name": format!("{mark} {n}")}, "reference": n.to_string()});
    json!({"format": "html", "items": (0..documents).map(item).collect::<Vec<_>>()})
}

async fn submitted(request: reqwest::RequestBuilder, job: &Value) -> String {
    said(202, request.json(job)).await["jobId"].as_str().expect("an id").to_owned()
}

/// How many documents have ended; nothing while nobody can say.
async fn done(stack: &Stack, id: &str) -> Option<u64> {
    // A question that a sleeping replica has is asked again.
    let asked = stack.ask("GET", &format!("/render/jobs/{id}")).timeout(TOLD_WITHIN).send().await.ok()?;
    let job: Value = asked.json().await.ok()?;
    Some(job["progress"]["completed"].as_u64()? + job["progress"]["failed"].as_u64()?)
}

/// Waits for the end of a job, then looks at each of its documents through the balancer.
async fn ended_rightly(stack: &Stack, id: &str, mark: &str, documents: usize) {
    let began = Instant::now();
    while done(stack, id).await != Some(documents as u64) {
        assert!(began.elapsed() < ENDED_WITHIN, "job {id} has not ended: {:?} of {documents}", done(stack, id).await);
        sleep(Duration::from_millis(100)).await;
    }
    let job = said(200, stack.ask("GET", &format!("/render/jobs/{id}?include=items"))).await;
    assert_eq!((&job["status"], &job["progress"]["failed"]), (&json!("completed"), &json!(0)), "{job}");
    let items = job["items"].as_array().expect("items");
    assert_eq!(items.len(), documents);
    for item in items {
        let words = format!("{mark} {} from afar", item["reference"].as_str().expect("a reference"));
        let content = stack.ask("GET", item["contentUrl"].as_str().expect("an address")).send().await.expect("an answer");
        let text = content.text().await.expect("the whole document");
        assert!(text.contains(&words), "{words} is not in {text}");
    }
}

async fn back(stack: &mut Stack, number: usize) {
    while stack.is_alive(number) {
        sleep(Duration::from_millis(20)).await;
    }
    stack.start_again(number);
    stack.wait_until_up(stack.replicas(), BACK).await;
}

/// Submitted to a replica that is told to end at once: others make the documents, and any of them hands them out.
async fn a_job_of_a_replica_that_ends(stack: &mut Stack, template: &str) {
    const DOCUMENTS: usize = 60;
    let id = submitted(stack.ask_replica(0, "POST", "/render/jobs"), &job(template, "begun on A", DOCUMENTS)).await;
    stack.signal(0, "TERM");
    let began = Instant::now();
    ended_rightly(stack, &id, "begun on A", DOCUMENTS).await;
    let took = began.elapsed();
    found(
        "9",
        "a job begun on A, which is told to end, is finished and fetched through others",
        &format!("{DOCUMENTS} documents after {took:.1?}"),
    );
    back(stack, 0).await;
}

/// Two replicas are killed one after the other in the middle of jobs.
async fn jobs_of_replicas_that_die(stack: &mut Stack, template: &str) {
    const JOBS: usize = 4;
    const DOCUMENTS: usize = 150;
    let mut ids = Vec::new();
    for n in 0..JOBS {
        ids.push(submitted(stack.ask("POST", "/render/jobs"), &job(template, &format!("job {n} item"), DOCUMENTS)).await);
    }
    let began = Instant::now();
    for victim in [0, 1] {
        let enough = (victim as u64 + 1) * (JOBS * DOCUMENTS) as u64 / 5;
        let some = async || {
            let mut all = 0;
            for id in &ids {
                all += done(stack, id).await?;
            }
            (all >= enough).then_some(())
        };
        wait_for("some documents are made", some).await;
        stack.signal(victim, "KILL");
        back(stack, victim).await;
    }
    for (n, id) in ids.iter().enumerate() {
        ended_rightly(stack, id, &format!("job {n} item"), DOCUMENTS).await;
    }
    found(
        "8",
        "jobs over replicas of which two are killed",
        &format!(
            "{} documents of {JOBS} jobs, each there once and right, none lost, after {:.1} s",
            JOBS * DOCUMENTS,
            began.elapsed().as_secs_f64()
        ),
    );
}

/// One sleeps past its leases and wakes up when others have its work.
async fn jobs_of_a_replica_that_sleeps(stack: &Stack, template: &str) {
    const DOCUMENTS: usize = 400;
    let lost = async || {
        let metrics = stack.metrics(2).await?;
        let is_lost = |line: &&str| line.starts_with("pulp_job_items_total") && line.contains("outcome=\"lost\"");
        Some(metrics.lines().find(is_lost).and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0))
    };
    let Some(before) = lost().await else { return };
    let id = submitted(stack.ask("POST", "/render/jobs"), &job(template, "asleep", DOCUMENTS)).await;
    let name = said(200, stack.ask_replica(2, "GET", "/api/cluster/info")).await["self"].as_str().expect("a name").to_owned();
    let held = format!("SELECT count(*) FROM job_items WHERE lease_owner = '{name}' AND lease_until > now()");
    // Between two documents it holds nothing.
    let asleep = async || {
        stack.signal(2, "STOP");
        // What it had told the database already is entered by then.
        sleep(ENTERED).await;
        let holds = stack.query(&held).await != "0";
        if !holds {
            stack.signal(2, "CONT");
        }
        holds.then_some(())
    };
    wait_for("it sleeps with a document in hand", asleep).await;
    // Only its own leases are in the way of the end, and they run out.
    ended_rightly(stack, &id, "asleep", DOCUMENTS).await;
    stack.signal(2, "CONT");
    let (after, _) = wait_for("it notices", async || lost().await.filter(|lost| *lost > before)).await;
    ended_rightly(stack, &id, "asleep", DOCUMENTS).await;
    found(
        "11",
        "a replica that slept past its leases writes nothing when it wakes up",
        &format!("{DOCUMENTS} documents finished by the others; {} that it still held were thrown away", after - before),
    );
}

/// Every time has one execution, whoever dies.
async fn schedules_of_replicas_that_die(stack: &mut Stack, template: &str) {
    const SCHEDULES: usize = 5;
    const EVERY_S: u64 = 2;
    let mut ids = Vec::new();
    for n in 0..SCHEDULES {
        let schedule = json!({
            "name": stack.named(&format!("number {n}")), "cronExpression": format!("*/{EVERY_S} * * * * *"), "templateKey": template, "format": "html",
            "dataSource": {"type": "static", "data": {"name": n}}, "deliveryTargets": [],
        });
        ids.push(said(201, stack.ask("POST", "/schedules").json(&schedule)).await["id"].as_str().expect("an id").to_owned());
    }
    let began = Instant::now();
    for victim in [1, 2] {
        sleep(Duration::from_secs(4)).await;
        stack.signal(victim, "KILL");
        back(stack, victim).await;
    }
    sleep(Duration::from_secs(2)).await;
    let list = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
    stack.query(&format!("UPDATE schedules SET enabled = false, next_run_at = NULL WHERE schedule_id IN ({list})")).await;
    let lasted = began.elapsed();
    let count = async |what: &str| {
        let of_these = format!("FROM schedule_executions WHERE schedule_id IN ({list})");
        stack.query(&what.replace("FROM these", &of_these)).await
    };
    while count("SELECT count(*) FROM these AND ended_at IS NULL").await != "0" {
        assert!(began.elapsed() < ENDED_WITHIN, "{}", count("SELECT string_agg(DISTINCT status, ', ') FROM these").await);
        sleep(Duration::from_millis(200)).await;
    }
    let gaps = format!(
        "SELECT count(*) FROM (SELECT extract(epoch FROM fire_time - lag(fire_time) OVER (PARTITION BY schedule_id ORDER BY fire_time)) AS gap,
                missed_runs FROM these) e WHERE gap IS NOT NULL AND gap <> {EVERY_S} * (missed_runs + 1)"
    );
    assert_eq!(count(&gaps).await, "0", "every time has one execution, or is counted as missed by the next");
    let twice = count("SELECT count(*) - count(DISTINCT (schedule_id, fire_time)) FROM these").await;
    let not_completed = count("SELECT count(*) FROM these AND status <> 'completed'").await;
    let (executions, missed) = (count("SELECT count(*) FROM these").await, count("SELECT sum(missed_runs) FROM these").await);
    let fired: u64 = executions.parse().expect("a number");
    found(
        "2",
        "schedules over three replicas of which two are killed",
        &format!(
            "{SCHEDULES} schedules every {EVERY_S} s for {:.0} s: {executions} executions, {twice} twice, {not_completed} not completed, {missed} times told as missed",
            lasted.as_secs_f64()
        ),
    );
    assert_eq!((twice.as_str(), not_completed.as_str()), ("0", "0"));
    assert!(fired + missed.parse::<u64>().expect("a number") >= SCHEDULES as u64 * (lasted.as_secs() / EVERY_S - 2), "{executions}");
}
