//! What a real server asks its database while it renders what it knows: counted by the database itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use testkit::postgres::Cluster;
use tokio::time::sleep;

use crate::assets::{PNG, part};
use crate::replicas_running::{SUPER_KEY, as_of, line, replicas, said, shared};
use crate::running::{Server, wait_until_async};

const RENDERS: usize = 50;
/// What a server writes of renders, in groups, behind their back.
const BEHIND_THEIR_BACK: [&str; 2] = ["render_usage", "usage_periods"];

/// How often each statement was carried out in the database so far. Those of nobody's request count too: they are told apart by what
/// a server does that is left alone.
async fn statements(cluster: &Cluster) -> BTreeMap<String, i64> {
    let counted = cluster
        .query(
            "SELECT s.calls, regexp_replace(s.query, '\\s+', ' ', 'g') FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
             WHERE d.datname = current_database() AND s.query NOT LIKE '%pg_stat_statements%'",
        )
        .await;
    let mut calls = BTreeMap::new();
    for (count, text) in counted.lines().filter_map(|line| line.split_once('|')) {
        *calls.entry(text.to_owned()).or_insert(0) += count.parse::<i64>().unwrap_or(0);
    }
    calls
}

fn more(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let grown = after.iter().map(|(text, calls)| (text.clone(), calls - before.get(text).copied().unwrap_or(0)));
    grown.filter(|(_, calls)| *calls > 0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_warm_renders_by_label_with_an_asset_for_a_tenant_with_a_stored_key_ask_the_database_nothing() {
    let cluster = Cluster::start_with(&["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_utility=off"]);
    let (files, client) = (tempfile::tempdir().unwrap(), Client::new());
    // What is known is known for long, so that nothing grows old on the way; ten seconds for templates are enough.
    let settings = [
        ("MULTI_TENANT_ENABLED", "true"),
        ("API_KEY_SUPER_ADMIN", SUPER_KEY),
        ("TENANT_STATUS_CACHE_TTL_MS", "600000"),
        ("EDITOR_USERS_CACHE_TTL_MS", "600000"),
    ];
    let [server]: [Server; 1] = replicas(shared(&cluster.url(), files.path(), &settings));
    cluster.query("CREATE EXTENSION pg_stat_statements").await;
    said(201, as_of(&client, &server, "POST", "/admin/tenants", SUPER_KEY).json(&json!({"id": "acme", "name": "Acme"}))).await;
    let by_super = |path: &str| as_of(&client, &server, "POST", path, SUPER_KEY).header("X-PulpEngine-Tenant-Id", "acme");
    let made = said(201, by_super("/admin/api-keys").json(&json!({"name": "x", "scope": "admin"}))).await;
    let key = made["key"].as_str().unwrap();
    let ask = |method: &str, path: &str| as_of(&client, &server, method, path, key);
    let form = reqwest::multipart::Form::new().part("file", part(PNG, "logo.png", "image/png"));
    said(201, ask("POST", "/assets/upload").multipart(form)).await;
    said(201, ask("POST", "/templates").json(&line("sheet", "Hello {{name}} <img src='asset:logo'>"))).await;
    said(200, ask("PUT", "/templates/sheet/labels/prod").json(&json!({"version": "1.0.0"}))).await;
    let render = async |turn: usize| {
        let body = json!({"template": "sheet", "label": "prod", "data": {"name": "Ada"}});
        let path = if turn.is_multiple_of(5) { "/render/pdf" } else { "/render/html" };
        let answer = ask("POST", path).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.bytes().await.unwrap();
    };
    // Some of what is known came before the notice of the change that made it: until nothing is asked for any more.
    let before = wait_until_async("all is known", async || {
        render(0).await;
        let before = statements(&cluster).await;
        render(0).await;
        render(1).await;
        let asked = more(&before, &statements(&cluster).await);
        let heads =
            asked.keys().any(|text| text.contains("FROM templates") || text.contains("FROM assets") || text.contains("FROM api_keys"));
        (!heads).then_some(before)
    });
    drop(before.await);
    let (before, began) = (statements(&cluster).await, Instant::now());
    for turn in 0..RENDERS {
        render(turn).await;
    }
    let took = began.elapsed();
    // Renders are written down within 100 ms.
    sleep(Duration::from_millis(500)).await;
    let during = more(&before, &statements(&cluster).await);
    assert!(took < Duration::from_secs(8), "{took:?}: what is known of a template lives for ten seconds");
    // As long again without a render: what a server does by itself.
    let before = statements(&cluster).await;
    sleep(took.max(Duration::from_secs(6))).await;
    let alone = more(&before, &statements(&cluster).await);
    let because_of_renders: BTreeMap<_, _> = during.iter().filter(|(text, _)| !alone.contains_key(*text)).collect();
    let (written, asked): (Vec<_>, Vec<_>) =
        because_of_renders.into_iter().partition(|(text, _)| BEHIND_THEIR_BACK.iter().any(|table| text.contains(table)));
    let groups: i64 = written.iter().map(|(_, calls)| **calls).sum();
    println!(
        "{RENDERS} warm renders in {:.1} s: {} statements on their way, {groups} that write down what was rendered; alone: {} kinds of statements",
        took.as_secs_f64(),
        asked.len(),
        alone.len()
    );
    assert!(asked.is_empty(), "{asked:#?}");
    assert!(groups > 0, "it is written down");
    let rows = cluster.query("SELECT count(*) FROM render_usage WHERE template_key = 'sheet'").await;
    assert!(rows.parse::<usize>().unwrap() > RENDERS, "{rows}");
    // What both have in common must not have become more because of the renders either.
    for (text, calls) in during.iter().filter(|(text, _)| alone.contains_key(*text)) {
        let bound = alone[text] * 3 + 10;
        assert!(*calls <= bound, "{calls} times with renders, {} without: {text}", alone[text]);
    }
}
