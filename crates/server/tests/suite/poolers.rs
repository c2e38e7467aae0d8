//! Behind PgBouncer: two servers that share a pooled database work as ever, and one that could not does not start.

use std::time::Duration;

use serde_json::json;
use testkit::pgbouncer::{PgBouncer, Release};
use testkit::postgres::TestDatabase;

use crate::jobs::{ended, submitted};
use crate::running::{KEY, Server, answer, outcome, stderr, wait_until_async};

/// A change is heard within milliseconds; what was known of a template would be good for ten seconds.
const SOON: Duration = Duration::from_secs(5);

fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn request(server: &Server, method: &str, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", KEY)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_behind_a_transaction_pooler_save_render_move_labels_and_finish_jobs() {
    let database = TestDatabase::empty().await;
    let Some(pooler) = PgBouncer::start(Release::New, database.url(), &["max_prepared_statements = 200"]) else { return };
    let assets = tempfile::tempdir().unwrap();
    let settings: &'static [(&str, &str)] = Box::leak(Box::new([
        ("DATABASE_URL", kept(pooler.url(database.url()))),
        ("DATABASE_DIRECT_URL", kept(database.url().to_owned())),
        ("ASSETS_DIR", kept(assets.path().to_str().unwrap().to_owned())),
    ]));
    let (one, other) = (Server::start_with(settings), Server::start_with(settings));
    assert!(one.log().contains("lends connections by the transaction"), "{}", one.log());
    assert!(one.log().contains("statement_timeout"), "what the pooler did not pass on is told: {}", one.log());

    let made = request(&one, "POST", "/templates").json(&json!({"key": "letter", "name": "Letter", "html": "<p>first {{n}}</p>"}));
    assert_eq!(answer(made).await.0, 201);
    let saved = json!({"key": "letter", "name": "Letter", "html": "<p>second {{n}}</p>"});
    let (status, body) = answer(request(&one, "PUT", "/templates/letter").header("If-Match", "\"1.0.0\"").json(&saved)).await;
    assert_eq!(status, 200, "{body}");
    let label = async |server: &Server, version: &str| {
        let moved = request(server, "PUT", "/templates/letter/labels/prod").json(&json!({"version": version}));
        let (status, body) = answer(moved).await;
        assert!(status == 200 || status == 201, "{status} {body}");
    };
    label(&one, "1.0.0").await;
    let by_label = async || {
        let body = json!({"template": "letter", "label": "prod", "data": {"n": 7}});
        request(&other, "POST", "/render/html").json(&body).send().await.unwrap().text().await.unwrap()
    };
    assert!(by_label().await.contains("first 7"), "{}", by_label().await);
    label(&one, "1.0.1").await;
    let moved = tokio::time::Instant::now();
    wait_until_async("the moved label", async || by_label().await.contains("second 7").then_some(())).await;
    assert!(moved.elapsed() < SOON, "told after {:?}", moved.elapsed());

    // Many at once, so that every statement meets every server connection.
    let renders: Vec<_> = (0..60)
        .map(|n| {
            let server = if n % 2 == 0 { &one } else { &other };
            let saved = json!({"key": format!("t{n}"), "name": "T", "html": format!("<p>of {n}</p>")});
            let (save, render) = (request(server, "POST", "/templates").json(&saved), request(server, "POST", "/render/html"));
            let render = render.json(&json!({"template": format!("t{n}")}));
            tokio::spawn(async move {
                assert_eq!(answer(save).await.0, 201);
                assert!(render.send().await.unwrap().text().await.unwrap().contains(&format!("of {n}<")));
            })
        })
        .collect();
    for render in renders {
        render.await.unwrap();
    }
    let pdf = one.pdf("letter", &json!({"n": 1})).await;
    assert!(pdf.starts_with(b"%PDF-"));

    let items: Vec<_> = (1..4).map(|n| json!({"template": "letter", "data": {"n": n}})).collect();
    let job = json!({"format": "pdf", "items": items});
    let job = submitted(&other, &job).await;
    let done = ended(&one, &job).await;
    assert_eq!(done["status"], "completed", "{done}");
    let connections = pooler.server_connections();
    assert!((1..=4).contains(&connections), "{connections} connections of the pooler for two servers with ten each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_start_behind_a_pooler_that_mixes_up_statements_or_without_a_way_past_it() {
    let database = TestDatabase::empty().await;
    let refused = async |release, lines: &[&str], direct: Option<&str>, words: &[&str]| {
        let Some(pooler) = PgBouncer::start(release, database.url(), lines) else { return };
        let through = pooler.url(database.url());
        let mut settings = vec![("DATABASE_URL", through.as_str())];
        settings.extend(direct.map(|url| ("DATABASE_DIRECT_URL", url)));
        for command in ["migrate", "doctor"] {
            let ended = outcome(&[command], &settings);
            assert!(!ended.status.success(), "{release:?} {lines:?}");
            let told = format!("{}{}", stderr(&ended), String::from_utf8_lossy(&ended.stdout));
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            for word in words {
                assert!(told.contains(word), "{release:?} {lines:?} {command}: {word} is not in {told}");
            }
        }
        assert_eq!(database.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await, "0", "nothing was begun");
    };
    let keeps = "max_prepared_statements = 200";
    refused(Release::Old, &[], Some(database.url()), &["DATABASE_URL", "max_prepared_statements", "SQLSTATE 42P05"]).await;
    refused(Release::New, &["max_prepared_statements = 0"], Some(database.url()), &["DATABASE_URL", "max_prepared_statements"]).await;
    refused(Release::New, &[keeps], None, &["DATABASE_DIRECT_URL is not set"]).await;
}
