//! Limits on how many requests credentials and tenants send, kept by several replicas together.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};
use testkit::postgres::TestDatabase;

use testkit::tcp_proxy::{Target, TcpProxy};

use crate::running::{EDITOR_KEY, RENDER_KEY, Server, answer, wait_until_async};

const WINDOW: Duration = Duration::from_secs(15);
/// Of one credential in a window: 2,400 a minute.
const LIMIT: u32 = 600;

fn three(settings: &[(&str, &str)]) -> Vec<Server> {
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (leak(name), leak(value))).collect();
    let settings: &'static [(&str, &str)] = settings.leak();
    (0..3).map(|_| Server::start_with(settings)).collect()
}

async fn ask(client: &reqwest::Client, server: &Server, key: &str) -> Response {
    client.get(server.url("/capabilities")).header("X-Api-Key", key).send().await.unwrap()
}

fn number(answer: &Response, header: &str) -> u32 {
    answer.headers().get(header).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or_else(|| panic!("{header}: {answer:?}"))
}

/// How many of a flood at one server pass before it refuses, and in how many seconds it says that the next window begins.
async fn flood(url: String, key: &'static str, clients: usize) -> (u32, u64) {
    let client = reqwest::Client::new();
    let mut floods = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (client, url) = (client.clone(), url.clone());
        floods.spawn(async move {
            let mut passed = 0_u32;
            loop {
                let answer = client.get(&url).header("X-Api-Key", key).send().await.unwrap();
                match answer.status().as_u16() {
                    200 => passed += 1,
                    429 => return (passed, u64::from(number(&answer, "retry-after"))),
                    _ => panic!("{answer:?}"),
                }
            }
        });
    }
    floods.join_all().await.into_iter().fold((0, 0), |all, one| (all.0 + one.0, all.1.max(one.1)))
}

/// Floods each server with so many clients at once.
async fn flood_all(servers: &[Server], key: &'static str, clients: [usize; 3]) -> Vec<(u32, u64)> {
    let floods: Vec<_> =
        servers.iter().zip(clients).map(|(server, clients)| tokio::spawn(flood(server.url("/capabilities"), key, clients))).collect();
    let mut ended = Vec::new();
    for flood in floods {
        ended.push(flood.await.unwrap());
    }
    ended
}

async fn all_eyes(servers: &[Server]) {
    // Their shares depend on how many they believe to be.
    wait_until_async("each knows of the others", async || {
        for server in servers {
            let info: Value = server.get("/api/cluster/info").await.json().await.ok()?;
            if info["replicas"].as_array().is_none_or(|replicas| replicas.len() != 3) {
                return None;
            }
        }
        Some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_let_through_what_one_would() {
    let database = TestDatabase::empty().await;
    let seconds = WINDOW.as_secs().to_string();
    let limits = [("RATE_LIMIT_KEY_REQUESTS_PER_MINUTE", "2400"), ("RATE_LIMIT_WINDOW_SECONDS", seconds.as_str())];
    let servers = three(&[&limits[..], &[("DATABASE_URL", database.url())]].concat());
    all_eyes(&servers).await;
    let first = ask(&reqwest::Client::new(), &servers[0], RENDER_KEY).await;
    assert_eq!(
        (first.status().as_u16(), number(&first, "x-ratelimit-limit"), number(&first, "x-ratelimit-remaining")),
        (200, LIMIT, LIMIT - 1)
    );
    assert!(u64::from(number(&first, "x-ratelimit-reset")) <= WINDOW.as_secs());
    for (round, clients) in [[4, 4, 4], [10, 1, 1], [12, 0, 0]].into_iter().enumerate() {
        let began = Instant::now();
        let ended = flood_all(&servers, EDITOR_KEY, clients).await;
        let passed: u32 = ended.iter().map(|end| end.0).sum();
        println!("{clients:?} clients: {passed} of {LIMIT} passed in {:.1} s: {ended:?}", began.elapsed().as_secs_f64());
        assert!((LIMIT - LIMIT / 20..=LIMIT).contains(&passed), "round {round}: {passed}");
        let wait = ended.iter().map(|end| end.1).max().unwrap();
        assert!((1..=WINDOW.as_secs()).contains(&wait), "{ended:?}");
        // What it says of the time is true: a second later at most somebody passes again.
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_stays_below_the_limit_is_refused_whichever_replica_is_asked() {
    let database = TestDatabase::empty().await;
    let limits = [("RATE_LIMIT_KEY_REQUESTS_PER_MINUTE", "600"), ("RATE_LIMIT_WINDOW_SECONDS", "10")];
    let servers = three(&[&limits[..], &[("DATABASE_URL", database.url())]].concat());
    let client = reqwest::Client::new();
    // 90 of 100 in each window, most of them to one replica.
    let pause = WINDOW_OF_TEN / 90;
    let began = Instant::now();
    for n in 0..180_u32 {
        let answer = ask(&client, &servers[[0, 0, 0, 1, 2][n as usize % 5]], RENDER_KEY).await;
        assert_eq!(answer.status(), 200, "request {n}: {answer:?}");
        tokio::time::sleep((pause * (n + 1)).saturating_sub(began.elapsed())).await;
    }
}

const WINDOW_OF_TEN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_and_a_key_have_limits_of_their_own_and_are_told_which_one_is_reached() {
    let database = TestDatabase::empty().await;
    let boss = "a-super-admin-key-of-the-tests";
    let servers = three(&[("DATABASE_URL", database.url()), ("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", boss)]);
    let [a, b, _] = &servers[..] else { panic!("three") };
    let client = reqwest::Client::new();
    let act = async |request: reqwest::RequestBuilder| answer(request.header("X-Api-Key", boss)).await;
    let (status, made) = act(client.post(a.url("/admin/tenants")).json(&json!({"id": "acme", "name": "Acme"}))).await;
    assert_eq!(status, 201, "{made}");
    let key = async |body: Value| {
        let request = client.post(a.url("/admin/api-keys")).header("X-PulpEngine-Tenant-Id", "acme").json(&body);
        let (status, key) = act(request).await;
        assert_eq!(status, 201, "{key}");
        key
    };
    let (narrow, wide) = (
        key(json!({"name": "narrow", "scope": "render", "requestsPerMinute": 5})).await,
        key(json!({"name": "wide", "scope": "render"})).await,
    );
    let text = |key: &Value| key["key"].as_str().unwrap().to_owned();
    let mut statuses = Vec::new();
    for n in 0..6 {
        let answer = ask(&client, &servers[n % 3], &text(&narrow)).await;
        statuses.push(answer.status().as_u16());
        if n == 5 {
            assert_eq!((number(&answer, "x-ratelimit-limit"), number(&answer, "x-ratelimit-remaining")), (5, 0));
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["code"], "rate_limited");
            assert!(body["message"].as_str().unwrap().starts_with("this credential may send 5 requests"), "{body}");
        }
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    let free = ask(&client, a, &text(&wide)).await;
    assert_eq!(
        (free.status().as_u16(), free.headers().get("x-ratelimit-limit")),
        (200, None),
        "a limit of another key is none of this one's"
    );
    let (status, told) = act(client.patch(a.url("/admin/tenants/acme")).json(&json!({"quotas": {"requestsPerMinute": 2}}))).await;
    assert_eq!((status, &told["quotas"]["requestsPerMinute"]), (200, &json!(2)), "{told}");
    wait_until_async("the other replica knows the tenant's limit", async || {
        ask(&client, b, &text(&wide)).await.headers().contains_key("x-ratelimit-limit").then_some(())
    })
    .await;
    let mut refused = Value::Null;
    for server in &servers {
        let answer = ask(&client, server, &text(&wide)).await;
        if answer.status() == 429 {
            refused = answer.json().await.unwrap();
        }
    }
    assert!(refused["message"].as_str().is_some_and(|said| said.starts_with("this tenant may send 2 requests")), "{refused}");
    let inside = client.get(b.url("/templates")).header("X-PulpEngine-Tenant-Id", "acme");
    assert_eq!(act(inside).await.0, 200, "an operator is let in, whatever the tenant does");
    let id = narrow["id"].as_str().unwrap();
    let patch = |body: Value| client.patch(a.url(&format!("/admin/api-keys/{id}"))).header("X-PulpEngine-Tenant-Id", "acme").json(&body);
    let (status, wrong) = act(patch(json!({"requestsPerMinute": 10_000_001}))).await;
    assert_eq!((status, wrong["issues"][0]["path"].as_str()), (422, Some("/requestsPerMinute")), "{wrong}");
    let (status, open) = act(patch(json!({"requestsPerMinute": null}))).await;
    assert_eq!((status, &open["requestsPerMinute"]), (200, &Value::Null), "{open}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_each_replica_lets_its_share_through_and_afterwards_they_are_one_again() {
    let database = TestDatabase::empty().await;
    let proxy = TcpProxy::to(Target::of_url(database.url()));
    let url = through(database.url(), proxy.port());
    let seconds = WINDOW.as_secs().to_string();
    let limits = [("RATE_LIMIT_KEY_REQUESTS_PER_MINUTE", "2400"), ("RATE_LIMIT_WINDOW_SECONDS", seconds.as_str())];
    let servers = three(&[&limits[..], &[("DATABASE_URL", url.as_str())]].concat());
    all_eyes(&servers).await;
    let cut: &dyn Fn() = &|| proxy.lead_to(None);
    let freeze: &dyn Fn() = &|| proxy.freeze();
    for (how, take_away) in [("cut", cut), ("frozen", freeze)] {
        take_away();
        let ended = flood_all(&servers, EDITOR_KEY, [4, 4, 4]).await;
        for (passed, wait) in &ended {
            assert_eq!(*passed, LIMIT / 3, "{how}: {ended:?}");
            assert!((1..=WINDOW.as_secs()).contains(wait), "{how}: {ended:?}");
        }
        database.query("UPDATE rate_windows SET granted = 0, ends_at = now() - interval '1 second' RETURNING 'x'").await;
        proxy.lead_to(Some(Target::of_url(database.url())));
        proxy.thaw();
        // What each let through alone is told as soon as it can be.
        wait_until_async("all have told", async || {
            let _ = flood_all(&servers, EDITOR_KEY, [1, 1, 1]).await;
            let told = database.query("SELECT COALESCE(max(granted), 0)::text FROM rate_windows").await;
            (told.parse::<u32>().unwrap() >= LIMIT).then_some(())
        })
        .await;
        tokio::time::sleep(WINDOW).await;
        let ended = flood_all(&servers, EDITOR_KEY, [4, 4, 4]).await;
        let passed: u32 = ended.iter().map(|end| end.0).sum();
        assert!((LIMIT - LIMIT / 20..=LIMIT).contains(&passed), "{how}: {ended:?}");
        tokio::time::sleep(WINDOW).await;
    }
}

/// The same database, over a port of this machine.
fn through(url: &str, port: u16) -> String {
    let (before, after) = url.split_once('@').expect("a user");
    let name = after.split_once('/').expect("a database").1.split('?').next().unwrap_or_default();
    format!("{before}@127.0.0.1:{port}/{name}")
}
