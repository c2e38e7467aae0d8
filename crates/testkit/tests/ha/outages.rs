//! The database and the bucket are away for a while: renders of what replicas know go on, the rest says when to come back.

use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use serde_json::json;
use testkit::tcp_proxy::Target;
use tokio::time::sleep;

use crate::load::{Came, Load};
use crate::report::found;
use crate::sharing::PNG;
use crate::stack::{Act, Stack, said, wait_for};

/// Past the checks of the balancer, the timeouts of single questions and what caches hold.
const AWAY: Duration = Duration::from_secs(12);
/// Whoever asks for what is away is told by then, also on a connection that fell silent.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
const BACK: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn renders_of_known_templates_go_on_while_the_database_or_the_bucket_is_away() {
    let Some(mut stack) = Stack::start().await else { return };
    let template = stack.make_template("known", "as ever").await;
    a_bucket_that_is_away(&mut stack, &template).await;

    let load = warmed(&stack, &template).await;
    stack.database(Act::Stop);
    let refused = refused_for(&stack, AWAY).await;
    stack.database(Act::Start);
    let works = writes_work(&stack).await;
    tell(&stack, "12a", "the database is stopped and started again", &load.end_after(200).await, refused, works);
    stack.wait_until_up(stack.replicas(), BACK).await;

    let load = warmed(&stack, &template).await;
    let Some(processes) = stack.processes() else { return };
    processes.way.freeze();
    let refused = refused_for(&stack, AWAY).await;
    if let Some(processes) = stack.processes() {
        processes.way.thaw();
    }
    let works = writes_work(&stack).await;
    tell(&stack, "12b", "the database falls silent: a TCP proxy passes no byte", &load.end_after(200).await, refused, works);
    stack.wait_until_up(stack.replicas(), BACK).await;

    a_failover(&mut stack, &template).await;
}

/// Load that has been at every replica since it hears of changes again: whoever was deaf for a while believes nothing from before, as
/// something may have been withdrawn, and asks the database once.
async fn warmed(stack: &Stack, template: &str) -> Load {
    for number in 0..stack.replicas() {
        let hears = async || {
            let metrics = stack.metrics(number).await?;
            let line = metrics.lines().find(|line| line.starts_with("pulp_store_listener_connected"))?;
            line.ends_with(" 1").then_some(())
        };
        wait_for("it hears of changes", hears).await;
        let render = json!({"template": template, "data": {"name": "x"}});
        said(200, stack.ask_replica(number, "POST", "/render/html").json(&render)).await;
    }
    let load = Load::of(stack, template);
    load.go_on_for(50).await;
    load
}

/// Tries to write for so long; how often that was refused, and how long the slowest refusal took.
async fn refused_for(stack: &Stack, lasts: Duration) -> (usize, Duration) {
    let (began, mut refused, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while began.elapsed() < lasts {
        let asked = Instant::now();
        let write = stack.ask("POST", "/templates").json(&json!({"key": stack.named("never"), "name": "Never", "html": "x"}));
        let answer = write.timeout(TOLD_WITHIN).send().await.expect("an answer in time");
        assert_eq!(answer.status(), 503, "a write is refused while there is no database");
        assert!(answer.headers().contains_key("retry-after"), "and says when to come back");
        (refused, longest) = (refused + 1, longest.max(asked.elapsed()));
        sleep(Duration::from_millis(100)).await;
    }
    (refused, longest)
}

/// How long it takes until a write works.
async fn writes_work(stack: &Stack) -> Duration {
    let mut attempt = 0;
    let write = async || {
        attempt += 1;
        let template = json!({"key": stack.named(&format!("again-{attempt}")), "name": "Again", "html": "x"});
        // What began too early may wait for a connection that leads nowhere.
        let asked = stack.ask("POST", "/templates").json(&template).timeout(Duration::from_secs(1)).send().await.ok()?;
        (asked.status() == 201).then_some(())
    };
    wait_for("a write works again", write).await.1
}

fn tell(stack: &Stack, number: &str, scenario: &str, came: &Came, refused: (usize, Duration), works: Duration) {
    let figures = format!(
        "known templates: {came}, availability {:.2} %; {} writes refused with `Retry-After` (after {:.1?} at most); writes work {works:.1?} after its return",
        came.availability(),
        refused.0,
        refused.1
    );
    found(number, scenario, &figures);
    assert!(came.availability() >= 99.9, "{:#?}\n{}", came.failed, stack.complaints());
    assert!(refused.0 > 0, "there was an outage");
}

/// The primary ends, and its streaming replica takes its place behind the same address.
async fn a_failover(stack: &mut Stack, template: &str) {
    let Some(processes) = stack.processes() else { return };
    let standby = processes.database.replicate();
    let load = warmed(stack, template).await;
    let before = stack.make_template("before", "").await;
    let Some(processes) = stack.processes() else { return };
    let caught_up = async |processes: &mut crate::processes::Processes| {
        let here = processes.database.query("SELECT pg_current_wal_lsn()").await;
        standby.query(&format!("SELECT pg_last_wal_replay_lsn() >= '{here}'")).await == "t"
    };
    while !caught_up(processes).await {
        sleep(Duration::from_millis(50)).await;
    }
    processes.database.stop();
    let refused = refused_for(stack, Duration::from_secs(5)).await;
    standby.promote();
    if let Some(processes) = stack.processes() {
        processes.way.lead_to(Some(Target::of_url(&standby.url())));
    }
    let works = writes_work(stack).await;
    let came = load.end_after(200).await;
    said(200, stack.ask("GET", &format!("/templates/{before}"))).await;
    tell(stack, "12c", "failover to a streaming replica", &came, refused, works);
}

async fn a_bucket_that_is_away(stack: &mut Stack, template: &str) {
    let upload = async |stack: &Stack, name: &str, within: Duration| {
        let name = stack.named(name);
        let file = Part::bytes(PNG).file_name(format!("{name}.png")).mime_str("image/png").expect("a type");
        let asked = stack.ask("POST", "/assets/upload").multipart(Form::new().part("file", file)).timeout(within);
        let asked = asked.send().await.ok()?;
        let (status, says_when) = (asked.status().as_u16(), asked.headers().contains_key("retry-after"));
        Some((status, says_when, asked.json::<serde_json::Value>().await.ok()?))
    };
    let (_, _, seal) = upload(stack, "seal", TOLD_WITHIN).await.expect("an answer");
    let pictured = json!({"key": stack.named("pictured"), "name": "Pictured", "html": format!("<p>Hello {{{{name}}}}</p><img src='asset:{}'>", seal["slug"].as_str().expect("a slug"))});
    said(201, stack.ask("POST", "/templates").json(&pictured)).await;
    let pictured = pictured["key"].as_str().expect("a key");
    let (load, plain) = (warmed(stack, pictured).await, warmed(stack, template).await);
    stack.bucket(Act::Stop);
    let began = Instant::now();
    let mut refused = 0;
    while began.elapsed() < AWAY {
        let (status, says_when, told) = upload(stack, "never", TOLD_WITHIN).await.expect("an answer in time");
        assert_eq!((status, says_when), (503, true), "{told}");
        refused += 1;
    }
    stack.bucket(Act::Start);
    let mut attempt = 0;
    let works = async || {
        attempt += 1;
        upload(stack, &format!("again-{attempt}"), Duration::from_secs(2)).await.filter(|answer| answer.0 == 201)
    };
    let (_, works) = wait_for("an upload works again", works).await;
    let (came, plain) = (load.end_after(100).await, plain.end_after(100).await);
    found(
        "13",
        "the S3 server is ended and started again",
        &format!(
            "templates with a known picture: {came}; without: {plain}; {refused} uploads refused with `Retry-After`; uploads work {works:.1?} after its start"
        ),
    );
    assert_eq!(came.failures() + plain.failures(), 0, "{:#?} {:#?}", came.failed, plain.failed);
}
