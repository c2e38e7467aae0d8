//! Keys and secrets are exchanged on three replicas under load, as `docs/operations/key-rotation.md` says: nobody is refused.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use testkit::postgres::TestDatabase;
use tokio::task::JoinHandle;

use crate::replicas_running::{as_of, ask, heard, line, replicas, said, shared};
use crate::running::{KEY, Server, answer, repository, wait_until_async};
use crate::schedule_deliveries::leak;

/// The blocks of the page in some language, in their order.
fn blocks(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("docs/operations/key-rotation.md")).unwrap();
    let mut parts = page.split("```");
    let mut found = Vec::new();
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        found.extend(block.strip_prefix(language).map(|block| block.trim().to_owned()));
    }
    found
}

/// How often each status came; 0 is an answer that broke off.
type Statuses = BTreeMap<u16, usize>;

/// Requests to one server after the other, as through a balancer: one that cannot be reached, or ends in the middle, gets the next one
/// instead. Each waits for the one before.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Statuses>>,
}

impl Load {
    fn new() -> Self {
        Self { stop: Arc::default(), done: Arc::default(), callers: Vec::new() }
    }

    fn add(&mut self, urls: &[String], request: impl Fn(&Client, &str) -> RequestBuilder + Send + Sync + 'static) {
        let (urls, stop, done, first) = (urls.to_vec(), Arc::clone(&self.stop), Arc::clone(&self.done), self.callers.len());
        self.callers.push(tokio::spawn(async move {
            let (client, mut statuses) = (Client::new(), Statuses::new());
            for turn in first.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let mut status = 0;
                for place in 0..urls.len() {
                    let Ok(answer) = request(&client, &urls[(turn + place) % urls.len()]).send().await else { continue };
                    status = answer.status().as_u16();
                    if answer.bytes().await.is_ok() {
                        break;
                    }
                    status = 0;
                }
                *statuses.entry(status).or_default() += 1;
                done.fetch_add(1, Ordering::Relaxed);
            }
            statuses
        }));
    }

    /// Waits until some more were answered.
    async fn go_on_for(&self, more: usize) {
        let enough = self.done.load(Ordering::Relaxed) + more;
        wait_until_async("requests go on", async || (self.done.load(Ordering::Relaxed) >= enough).then_some(())).await;
    }

    async fn end(self) -> Statuses {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Statuses::new();
        for caller in self.callers {
            for (status, count) in caller.await.unwrap() {
                *all.entry(status).or_default() += count;
            }
        }
        all
    }
}

fn urls(servers: &[Server]) -> Vec<String> {
    servers.iter().map(|server| server.url("")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_key_is_rotated_under_load_and_no_replica_refuses_its_new_text_or_the_one_before() {
    const ROTATIONS: usize = 12;
    let (database, files, client) = (TestDatabase::empty().await, tempfile::tempdir().unwrap(), Client::new());
    // Nothing but a notice tells of a rotation in time.
    let servers: [Server; 3] = replicas(shared(database.url(), files.path(), &[("EDITOR_USERS_CACHE_TTL_MS", "600000")]));
    said(201, ask(&client, &servers[0], "POST", "/templates").json(&line("sheet", "x"))).await;
    let made = said(201, ask(&client, &servers[0], "POST", "/admin/api-keys").json(&json!({"name": "x", "scope": "render"}))).await;
    let (id, first) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap().to_owned());
    let [command] = blocks("sh").try_into().expect("one command");

    // Some callers use a text from its first moment, others go on with the one before for a while.
    let (newest, before) = (Arc::new(RwLock::new(first.clone())), Arc::new(RwLock::new(first)));
    let mut load = Load::new();
    for text in [&newest, &newest, &newest, &before, &before] {
        let text = Arc::clone(text);
        load.add(&urls(&servers), move |client, url| {
            let request = client.post(format!("{url}/render/html")).header("X-Api-Key", &*text.read().unwrap());
            request.json(&json!({"template": "sheet"}))
        });
    }
    load.go_on_for(100).await;
    for rotation in 0..ROTATIONS {
        let server = &servers[rotation % servers.len()];
        let run =
            Command::new("sh").args(["-c", &command]).env("PULP_URL", server.url("")).env("KEY_ID", id).env("ADMIN_KEY", KEY).output();
        let run = run.expect("sh runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let rotated: Value = serde_json::from_slice(&run.stdout).unwrap();
        let next = rotated["key"].as_str().unwrap().to_owned();
        let old = std::mem::replace(&mut *newest.write().unwrap(), next.clone());
        // The callers of the text before that one changed a while ago.
        assert_eq!(*before.read().unwrap(), old);
        load.go_on_for(60).await;
        before.write().unwrap().clone_from(&next);
        load.go_on_for(30).await;
    }
    let statuses = load.end().await;
    println!("a stored key, rotated {ROTATIONS} times on three replicas under load: {statuses:?}");
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200], "{statuses:?}");

    // Without an overlap the text before ends everywhere.
    let last = newest.read().unwrap().clone();
    let at_once = ask(&client, &servers[0], "POST", &format!("/admin/api-keys/{id}/rotate")).json(&json!({"overlapSeconds": 0}));
    said(200, at_once).await;
    let all: Vec<&Server> = servers.iter().collect();
    heard(&all, async |server| answer(as_of(&client, server, "GET", "/auth/me", &last)).await.0 == 401).await;
}

fn settings_of(block: &str, url: &str, files: &std::path::Path) -> &'static [(&'static str, &'static str)] {
    let pairs: Vec<(&str, &str)> =
        block.lines().map(|line| line.split_once('=').expect("NAME=value")).map(|(n, v)| (leak(n), leak(v))).collect();
    shared(url, files, &pairs)
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_keys_and_secrets_are_exchanged_by_rolling_restarts_and_nobody_is_refused() {
    const OLD: &str = "the-old-key-of-the-shop";
    const NEW: &str = "the-new-key-of-the-shop";
    let (database, files, client) = (TestDatabase::empty().await, tempfile::tempdir().unwrap(), Client::new());
    let blocks = blocks("dotenv");
    assert_eq!(blocks.len(), 4, "the beginning and three rolls");
    let servers: [Server; 3] = replicas(settings_of(&blocks[0], database.url(), files.path()));
    let mut servers: Vec<Server> = servers.into();
    let urls = urls(&servers);
    said(201, ask(&client, &servers[0], "POST", "/templates").json(&line("sheet", "x"))).await;

    let key = Arc::new(RwLock::new(OLD));
    let token = async |server: &Server| {
        let minted = said(200, client.post(server.url("/auth/editor-token")).json(&json!({"key": KEY, "actor": "ann"}))).await;
        minted["token"].as_str().unwrap().to_owned()
    };
    // Tokens of every server are shown to every server, and one from the beginning to the last roll.
    let newest = Arc::new(RwLock::new(token(&servers[0]).await));
    let eldest = Arc::new(RwLock::new(newest.read().unwrap().clone()));
    let mut load = Load::new();
    for _ in 0..3 {
        let key = Arc::clone(&key);
        load.add(&urls, move |client, url| {
            let request = client.post(format!("{url}/render/html")).header("X-Api-Key", *key.read().unwrap());
            request.json(&json!({"template": "sheet"}))
        });
    }
    for token in [&newest, &eldest] {
        let token = Arc::clone(token);
        load.add(&urls, move |client, url| client.get(format!("{url}/templates")).header("X-Editor-Token", &*token.read().unwrap()));
    }
    load.go_on_for(100).await;
    for (roll, block) in blocks.iter().enumerate().skip(1) {
        let settings = settings_of(block, database.url(), files.path());
        if roll == 3 {
            // They have expired by then.
            let young = token(&servers[0]).await;
            eldest.write().unwrap().clone_from(&young);
            newest.write().unwrap().clone_from(&young);
            load.go_on_for(30).await;
        }
        for place in 0..servers.len() {
            let mut ending = servers.remove(0);
            ending.signal("TERM");
            assert_eq!(ending.wait_for_end().code(), Some(0), "{}", ending.log());
            servers.push(ending.start_again_with(settings));
            *newest.write().unwrap() = token(&servers[if place % 2 == 0 { 2 } else { 0 }]).await;
            load.go_on_for(60).await;
        }
        if roll == 1 {
            *key.write().unwrap() = NEW;
            load.go_on_for(30).await;
        }
    }
    load.go_on_for(30).await;
    let statuses = load.end().await;
    println!("a configured key and the secret of tokens, exchanged in three rolls of three replicas under load: {statuses:?}");
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200], "{statuses:?}");
    for server in &servers {
        assert_eq!(answer(as_of(&client, server, "GET", "/auth/me", OLD)).await.0, 401, "the old key is let in no more");
    }
}
