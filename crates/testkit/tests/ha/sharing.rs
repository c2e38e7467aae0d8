//! What is told to one replica holds on all of them: nobody notices which one answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::processes::SUPER_KEY;
use crate::report::found;
use crate::stack::{Stack, answer, said, wait_for};

/// The smallest PNG of one grey pixel: its chunks and their checksums are right.
pub const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc(\x07\0\0y\0xS3\xe1\xfe\0\0\0\0IEND\xaeB`\x82";

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_is_told_holds_on_all_of_them() {
    let Some(mut stack) = Stack::start().await else { return };
    an_asset(&stack).await;
    an_editor_token(&stack).await;
    the_cluster_view(&stack).await;
    a_rotated_key(&stack).await;
    a_rate_limit(&stack).await;
    if stack.processes().is_some() {
        an_archived_tenant(&stack).await;
    }
}

/// Uploaded on the first, in the document of the second, which is that of the third.
async fn an_asset(stack: &Stack) {
    let name = stack.named("dot");
    let file = Part::bytes(PNG).file_name(format!("{name}.png")).mime_str("image/png").expect("a type");
    let made = said(201, stack.ask_replica(0, "POST", "/assets/upload").multipart(Form::new().part("file", file))).await;
    let slug = made["slug"].as_str().expect("a slug");
    let template =
        json!({"key": stack.named("card"), "name": "Card", "html": format!("<h1>Card</h1><img src='asset:{slug}' width=90 height=90>")});
    said(201, stack.ask_replica(0, "POST", "/templates").json(&template)).await;
    let bytes = async |number: usize, path: &str| {
        let body = json!({"template": template["key"], "now": "2026-01-02T03:04:05Z"});
        let rendered = stack.ask_replica(number, "POST", path).json(&body).send().await.expect("an answer");
        assert_eq!(rendered.status(), 200);
        rendered.bytes().await.expect("the whole document")
    };
    let (second, third) = (bytes(1, "/render/pdf").await, bytes(2, "/render/pdf").await);
    assert_eq!(testkit::pdf::words(&second).trim(), "Card");
    assert_eq!(testkit::pdf::pictures(&second), 1, "the picture is in it");
    assert!(second == third, "both replicas make the same bytes");
    let url = made["url"].as_str().expect("an address");
    let file = stack.ask_replica(1, "GET", &url[url.find("/assets").expect("a path of assets")..]).send().await.expect("an answer");
    assert_eq!(file.bytes().await.expect("the whole file"), PNG, "byte for byte");
    found(
        "1",
        "an asset uploaded on A is in the PDF of B",
        &format!("the file is the same byte for byte; the PDFs of B and C too ({} bytes)", second.len()),
    );
}

/// Minted on the first, it changes something on the second, and the third tells whose it is.
async fn an_editor_token(stack: &Stack) {
    let minted = stack.client.post(stack.replica_url(0, "/auth/editor-token")).json(&json!({"key": stack.key(), "actor": "ann"}));
    let token = said(200, minted).await["token"].as_str().expect("a token").to_owned();
    let key = stack.named("anns");
    let by_ann = stack.client.post(stack.replica_url(1, "/templates")).header("X-Editor-Token", &token);
    said(201, by_ann.json(&json!({"key": key, "name": "Ann's", "html": "x"}))).await;
    let events = said(200, stack.ask_replica(2, "GET", &format!("/audit-events?resourceId={key}"))).await;
    let event = &events["items"][0];
    assert_eq!(event["actor"], json!("ann"), "{events}");
    let second = said(200, stack.ask_replica(1, "GET", "/api/cluster/info")).await["self"].clone();
    assert_eq!(event["instanceId"], second, "the row names the replica that changed it");
    found("3", "an editor token minted on A mutates on B", "201; the audit log, read on C, names the minter and replica B");
}

/// All of them name the same replicas.
async fn the_cluster_view(stack: &Stack) {
    let views = async || {
        let mut views = Vec::new();
        for number in 0..stack.replicas() {
            let view = said(200, stack.ask_replica(number, "GET", "/api/cluster/info")).await;
            let names: BTreeSet<String> = view["replicas"].as_array()?.iter().map(|replica| replica["instanceId"].to_string()).collect();
            let alive = view["replicasAlive"].as_u64()?;
            views.push((names, alive, view["versions"].clone(), view["schemaVersion"].clone(), view["mixedVersions"].clone()));
        }
        let same = views.iter().all(|view| view == &views[0]);
        (same && views[0].1 == stack.replicas() as u64).then_some(views)
    };
    let (views, took) = wait_for("all replicas see the same cluster", views).await;
    let (names, alive, versions, ..) = &views[0];
    found(
        "10",
        "all replicas report the same cluster view",
        &format!("{alive} alive of {} known, version {versions}, on each of them; agreed after {took:.1?}", names.len()),
    );
}

/// A key gets another text while callers use the newest one through the balancer.
async fn a_rotated_key(stack: &Stack) {
    let made = said(201, stack.ask("POST", "/admin/api-keys").json(&json!({"name": "rotated", "scope": "render"}))).await;
    let path = format!("/admin/api-keys/{}/rotate", made["id"].as_str().expect("an id"));
    let mut texts = vec![made["key"].as_str().expect("a key").to_owned()];
    let (mut requests, mut refused) = (0, 0);
    for _ in 0..8 {
        let rotated = said(200, stack.ask("POST", &path)).await;
        texts.push(rotated["key"].as_str().expect("a key").to_owned());
        // The newest, and the one before it.
        for text in texts.iter().rev().take(2).cycle().take(30) {
            let status = stack.with_key("GET", &stack.url("/capabilities"), text).send().await.expect("an answer").status();
            requests += 1;
            refused += usize::from(status != 200);
        }
    }
    found("6", "key rotation while it is in use", &format!("8 rotations, {refused} of {requests} requests refused"));
    assert_eq!(refused, 0);
}

/// A flood through the balancer, under a key with a limit.
async fn a_rate_limit(stack: &Stack) {
    const LIMIT: usize = 300;
    let body = json!({"name": "limited", "scope": "render", "requestsPerMinute": LIMIT});
    let made = said(201, stack.ask("POST", "/admin/api-keys").json(&body)).await;
    let key: Arc<str> = made["key"].as_str().expect("a key").into();
    let passed = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let callers: Vec<_> = (0..9)
        .map(|_| {
            let (key, passed) = (Arc::clone(&key), Arc::clone(&passed));
            let request = stack.with_key("GET", &stack.url("/capabilities"), &key);
            tokio::spawn(async move {
                for _ in 0..2 * LIMIT / 9 {
                    let status = request.try_clone().expect("no body").send().await.expect("an answer").status().as_u16();
                    assert!(matches!(status, 200 | 429), "{status}");
                    passed.fetch_add(usize::from(status == 200), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("a caller does not panic");
    }
    let (passed, took) = (passed.load(Ordering::Relaxed), began.elapsed());
    assert!(took < Duration::from_secs(50), "within one window: {took:?}");
    found(
        "7",
        "a rate limit is one for all replicas",
        &format!("{passed} of {} requests passed a limit of {LIMIT}, in {:.1} s", 2 * LIMIT / 9 * 9, took.as_secs_f64()),
    );
    assert!((LIMIT * 95 / 100..=LIMIT).contains(&passed), "{passed}");
}

/// Archived on one, nothing more for it on the others.
async fn an_archived_tenant(stack: &Stack) {
    let name = stack.named("acme");
    let as_super = |number: usize, method: &str, path: &str| stack.with_key(method, &stack.replica_url(number, path), SUPER_KEY);
    said(201, as_super(0, "POST", "/admin/tenants").json(&json!({"id": name, "name": "Acme"}))).await;
    let in_acme = |number, path| as_super(number, "POST", path).header("X-PulpEngine-Tenant-Id", &name);
    let render = json!({"template": "sheet"});
    let made = async || {
        let made = answer(in_acme(1, "/templates").json(&json!({"key": "sheet", "name": "Sheet", "html": "x"}))).await;
        (made.0 == 201).then_some(())
    };
    wait_for("the new tenant is known", made).await;
    for number in 0..stack.replicas() {
        said(200, in_acme(number, "/render/html").json(&render)).await;
    }
    said(200, as_super(0, "POST", &format!("/admin/tenants/{name}/archive"))).await;
    let began = Instant::now();
    for number in 0..stack.replicas() {
        let refused = async || (answer(in_acme(number, "/render/html").json(&render)).await.0 == 409).then_some(Value::Null);
        wait_for("the archive is known", refused).await;
    }
    found("5", "a tenant archived on A", &format!("refused by all replicas after {:.0?}", began.elapsed()));
}
