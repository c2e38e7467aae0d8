//! The notices of changes are lost: what changed is seen by its age at the latest, and at once when the listener is back.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use testkit::postgres::Cluster;
use testkit::tcp_proxy::{Target, TcpProxy};
use tokio::time::sleep;

use crate::replicas_outage::through;
use crate::replicas_running::{as_of, ask, heard, line, replicas, said, shared};
use crate::running::{Server, answer, wait_until_async};

/// What is known of templates, tenants and keys is asked for again after ten seconds; a render that meets that waits for the answer.
const BY_AGE: Duration = Duration::from_secs(12);
/// A lost listener comes back after a pause of at most 5 s, which grows with each attempt that fails.
const AFTER_THE_RETURN: Duration = Duration::from_secs(6);
/// After so long without a sound a connection is asked for a sign of life, which takes 5 s more.
const SILENCE: Duration = Duration::from_secs(20);

struct Scene {
    cluster: Cluster,
    files: tempfile::TempDir,
    listening: TcpProxy,
    client: Client,
}

impl Scene {
    /// A server that does its changes, and one that hears of them through a proxy only.
    fn new() -> (Self, [Server; 2]) {
        let cluster = Cluster::start_new();
        let (files, listening) = (tempfile::tempdir().unwrap(), TcpProxy::to(Target::of_url(&cluster.url())));
        let direct: &'static str = crate::schedule_deliveries::leak(through(&listening));
        // Long: nothing here depends on the age of credentials but what says so.
        let [hears] = replicas(shared(&cluster.url(), files.path(), &[("DATABASE_DIRECT_URL", direct)]));
        let [changes] = replicas(shared(&cluster.url(), files.path(), &[]));
        (Self { cluster, files, listening, client: Client::new() }, [changes, hears])
    }

    async fn renders(&self, server: &Server, words: &str) -> bool {
        let request = ask(&self.client, server, "POST", "/render/html").json(&json!({"template": "sheet", "label": "prod"}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap().contains(words)
    }

    async fn listens(&self, server: &Server) -> bool {
        let metrics = ask(&self.client, server, "GET", "/metrics").send().await.unwrap().text().await.unwrap();
        metrics.lines().any(|line| line.starts_with("pulp_store_listener_connected") && line.ends_with(" 1"))
    }

    /// Versions 1.0.0 ("before") and 1.0.1 ("after"), and the label at the first.
    async fn prepare(&self, changes: &Server, hears: &Server) -> (String, String) {
        said(201, ask(&self.client, changes, "POST", "/templates").json(&line("sheet", "before"))).await;
        let save = ask(&self.client, changes, "PUT", "/templates/sheet").header("If-Match", "\"1.0.0\"");
        said(200, save.json(&line("sheet", "after"))).await;
        self.label(changes, "1.0.0").await;
        let made = said(201, ask(&self.client, changes, "POST", "/admin/api-keys").json(&json!({"name": "x", "scope": "editor"}))).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        assert_eq!(self.comes_in(hears, &text("key")).await, 200);
        wait_until_async("it renders what there is", async || self.renders(hears, "before").await.then_some(())).await;
        wait_until_async("it listens", async || self.listens(hears).await.then_some(())).await;
        (text("id"), text("key"))
    }

    async fn label(&self, changes: &Server, version: &str) {
        said(200, ask(&self.client, changes, "PUT", "/templates/sheet/labels/prod").json(&json!({"version": version}))).await;
    }

    async fn comes_in(&self, server: &Server, key: &str) -> u16 {
        answer(as_of(&self.client, server, "GET", "/auth/me", key)).await.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_notice_never_comes_is_seen_by_its_age_and_the_next_ones_at_once_after_the_listener_is_back() {
    let (scene, [changes, hears]) = Scene::new();
    let (id, key) = scene.prepare(&changes, &hears).await;

    // Half open: the connection is there, and nothing passes.
    scene.listening.freeze();
    scene.label(&changes, "1.0.1").await;
    said(200, ask(&scene.client, &changes, "POST", &format!("/admin/api-keys/{id}/revoke"))).await;
    let moved = heard(&[&hears], async |server| scene.renders(server, "after").await).await[0];
    let revoked = heard(&[&hears], async |server| scene.comes_in(server, &key).await == 401).await[0];
    assert!(moved < BY_AGE && moved + revoked < BY_AGE, "{moved:?} and {revoked:?} more");
    println!("without a notice: a label after {moved:.1?}, a revoked key {revoked:.1?} later");
    // It notices by itself, and comes back as soon as that works.
    wait_until_async("it notices the silence", async || (!scene.listens(&hears).await).then_some(())).await;
    scene.label(&changes, "1.0.0").await;
    scene.listening.thaw();
    let back = heard(&[&hears], async |server| scene.listens(server).await).await[0];
    let seen = heard(&[&hears], async |server| scene.renders(server, "before").await).await[0];
    println!("thawed: it listens after {back:.1?}, and renders what changed {seen:.1?} later");
    assert!(back < AFTER_THE_RETURN + SILENCE && seen < Duration::from_secs(1), "{back:?}, {seen:?}");

    // Cut: nothing leads to the database for a moment, in which something changes.
    for version in ["1.0.1", "1.0.0"] {
        let words = if version == "1.0.1" { "after" } else { "before" };
        scene.listening.lead_to(None);
        scene.label(&changes, version).await;
        sleep(Duration::from_secs(1)).await;
        scene.listening.lead_to(Some(Target::of_url(&scene.cluster.url())));
        let seen = heard(&[&hears], async |server| scene.renders(server, words).await).await[0];
        println!("cut for a second: what changed meanwhile is rendered {seen:.1?} after the way is open");
        assert!(seen < AFTER_THE_RETURN, "{seen:?}");
        wait_until_async("it listens", async || scene.listens(&hears).await.then_some(())).await;
    }
    drop((changes, hears));
    drop(scene.files);
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_that_the_database_ends_in_the_moment_of_a_change_miss_nothing() {
    let (scene, [changes, hears]) = Scene::new();
    scene.prepare(&changes, &hears).await;
    let mut worst = Duration::ZERO;
    for round in 0..10 {
        let (version, words) = if round % 2 == 0 { ("1.0.1", "after") } else { ("1.0.0", "before") };
        let listeners = "FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()";
        wait_until_async("both listen", async || (scene.cluster.query(&format!("SELECT count(*) {listeners}")).await == "2").then_some(()))
            .await;
        let end = format!("SELECT count(pg_terminate_backend(pid)) {listeners}");
        let (ended, ()) = tokio::join!(scene.cluster.query(&end), scene.label(&changes, version));
        assert_eq!(ended, "2");
        let began = Instant::now();
        heard(&[&hears, &changes], async |server| scene.renders(server, words).await).await;
        worst = worst.max(began.elapsed());
    }
    println!("listeners ended in the moment of a change: seen after {worst:.1?} at worst");
    assert!(worst < Duration::from_secs(2), "{worst:?}");
}
