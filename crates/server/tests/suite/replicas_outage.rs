//! The database is away for a while, in several ways, while replicas render what they know: nobody notices but who writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::json;
use testkit::pdf;
use testkit::postgres::Cluster;
use testkit::tcp_proxy::{Target, TcpProxy};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::assets::{PNG, upload};
use crate::replicas_running::{SUPER_KEY, as_of, line, replicas, said, shared};
use crate::running::{KEY, Server, answer, wait_until_async};

/// Past every lease, timeout and cache that is asked about on the way; the long one is a test of its own.
const SHORT: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(30);
/// From the return of the database to the first write that works.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// Whoever finds no connection is told by then.
const TOLD_WITHIN: Duration = Duration::from_secs(8);
/// Who was on a connection that fell silent: the time for a connection and for a statement, and something.
const TOLD_AFTER_SILENCE: Duration = Duration::from_secs(24);

/// How many documents came, and what came in the place of the others.
#[derive(Default, Debug)]
struct Came {
    documents: usize,
    longest: Duration,
    others: BTreeMap<String, usize>,
}

/// Renders of one template by its label, with an asset, for a tenant, with a stored key; every eighth is a PDF.
fn load(server: &Server, key: &str, stop: &Arc<AtomicBool>) -> JoinHandle<Came> {
    let (url, key, stop) = (server.url(""), key.to_owned(), Arc::clone(stop));
    tokio::spawn(async move {
        let (client, mut came) = (Client::new(), Came::default());
        for turn in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let path = if turn % 8 == 0 { "/render/pdf" } else { "/render/html" };
            let body = json!({"template": "sheet", "label": "prod", "data": {"name": "Ada"}});
            let began = Instant::now();
            let answer = client.post(format!("{url}{path}")).header("X-Api-Key", &key).json(&body).send().await.unwrap();
            let (status, bytes) = (answer.status().as_u16(), answer.bytes().await.unwrap());
            let took = began.elapsed();
            let is_right = match path {
                "/render/pdf" => status == 200 && pdf::words(&bytes).contains("Hello Ada"),
                _ => status == 200 && String::from_utf8_lossy(&bytes).contains("Hello Ada"),
            };
            if is_right {
                came.documents += 1;
                came.longest = came.longest.max(took);
            } else {
                let told = format!("{path} {status} {}", String::from_utf8_lossy(&bytes).chars().take(300).collect::<String>());
                *came.others.entry(told).or_default() += 1;
            }
            sleep(Duration::from_millis(20)).await;
        }
        came
    })
}

/// A write: what it was answered, whether that says when to come back, and how long it took.
async fn tried(write: RequestBuilder) -> (u16, bool, Duration) {
    let began = Instant::now();
    let answer = write.send().await.unwrap();
    (answer.status().as_u16(), answer.headers().contains_key("retry-after"), began.elapsed())
}

/// Who has known what it needs goes on without the database; who asks for what only that knows is told to come back.
async fn while_it_is_away(client: &Client, server: &Server, key: &str, asset: &str, told_within: Duration) {
    let get = |path: &str| as_of(client, server, "GET", path, key);
    assert_eq!(answer(get("/auth/me")).await.0, 200, "the key is known");
    let list = async |path: &str| {
        let began = Instant::now();
        let found = get(path).send().await.unwrap();
        assert_eq!((found.status().as_u16(), found.headers().contains_key("retry-after")), (503, true), "{path}");
        assert!(began.elapsed() < told_within, "{path}: {:?}", began.elapsed());
        began.elapsed()
    };
    let login = answer(client.post(server.url("/auth/editor-token")).json(&json!({"key": key})));
    let file = async { get(asset).send().await.unwrap().status().as_u16() };
    let ((login, minted), file) = tokio::join!(login, file);
    assert!([login, file].iter().all(|status| matches!(status, 200 | 503)), "{minted}");
    println!("  meanwhile: a login with a known key {login}, the file of an asset {file}");
    let told = tokio::join!(list("/templates"), list("/templates/sheet"), list("/audit-events"), list("/templates/sheet/labels"));
    println!("  lists are refused after {told:.1?}");
    assert_eq!(answer(client.get(server.url("/health/ready"))).await.0, 503);
    assert_eq!(answer(client.get(server.url("/health"))).await.0, 200);
}

/// Renders on `servers` while `away` takes the database away, for so long, and `back` gives it back.
async fn outlive(what: &str, cluster: &Cluster, servers: &[Server], lasts: Duration, away: impl FnOnce(), back: impl FnOnce()) {
    let told_within = if what == "stopped" { TOLD_WITHIN } else { TOLD_AFTER_SILENCE };
    let client = Client::new();
    let first = &servers[0];
    said(201, as_of(&client, first, "POST", "/admin/tenants", SUPER_KEY).json(&json!({"id": "acme", "name": "Acme"}))).await;
    let in_acme = |method: &str, path: &str| as_of(&client, first, method, path, SUPER_KEY).header("X-PulpEngine-Tenant-Id", "acme");
    let made = said(201, in_acme("POST", "/admin/api-keys").json(&json!({"name": "x", "scope": "admin"}))).await;
    let key = made["key"].as_str().unwrap();
    let form = reqwest::multipart::Form::new().part("file", crate::assets::part(PNG, "logo.png", "image/png"));
    let asset = said(201, as_of(&client, first, "POST", "/assets/upload", key).multipart(form)).await;
    let of_acme = |method: &str, path: &str| as_of(&client, first, method, path, key);
    said(201, of_acme("POST", "/templates").json(&line("sheet", "Hello {{name}} <img src='asset:logo'>"))).await;
    said(200, of_acme("PUT", "/templates/sheet/labels/prod").json(&json!({"version": "1.0.0"}))).await;
    upload(first, PNG, "other.png", "image/png").await;

    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = servers.iter().chain(servers).map(|server| load(server, key, &stop)).collect();
    sleep(Duration::from_secs(2)).await;
    for server in servers {
        assert_eq!(answer(as_of(&client, server, "GET", asset["url"].as_str().unwrap_or("/health"), key)).await.0, 200);
    }
    away();
    let began = Instant::now();
    let mut refused = (0, Duration::ZERO);
    let writes = async {
        while began.elapsed() < lasts {
            let asked = servers.iter().map(|server| {
                let write = as_of(&client, server, "POST", "/templates", KEY).json(&line("never", "x"));
                tokio::spawn(tried(write))
            });
            for asked in asked.collect::<Vec<_>>() {
                let (status, says_when, took) = asked.await.unwrap();
                assert_eq!((status, says_when), (503, true), "a write says that it is to come back");
                assert!(took < told_within, "{took:?}");
                refused = (refused.0 + 1, refused.1.max(took));
            }
        }
    };
    tokio::join!(writes, while_it_is_away(&client, first, key, asset["url"].as_str().unwrap_or("/health"), told_within));
    back();
    let returned = Instant::now();
    let mut works = Vec::new();
    for (place, server) in servers.iter().enumerate() {
        for attempt in 0.. {
            // Each by itself: what began too early may wait for a connection that leads nowhere.
            let again = line(&format!("again-{place}-{attempt}"), "x");
            let write = as_of(&client, server, "POST", "/templates", KEY).json(&again);
            let tried = tokio::time::timeout(Duration::from_millis(700), tried(write)).await;
            if matches!(tried, Ok((201, ..))) {
                works.push(returned.elapsed());
                break;
            }
            assert!(returned.elapsed() < BACK_WITHIN * 5, "writes do not work again: {tried:?}");
        }
    }
    sleep(Duration::from_secs(3)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut documents, mut longest, mut others) = (0, Duration::ZERO, BTreeMap::new());
    for load in loads {
        let came = load.await.unwrap();
        documents += came.documents;
        longest = longest.max(came.longest);
        for (told, count) in came.others {
            *others.entry(told).or_insert(0) += count;
        }
    }
    println!(
        "{what} for {:.0} s: {documents} documents (the slowest took {longest:.1?}), others {others:?}; {} writes refused (at most {:.1?}); writes work {works:.1?} after its return",
        began.elapsed().as_secs_f64(),
        refused.0,
        refused.1
    );
    assert!(others.is_empty(), "no render failed: {others:?}");
    assert!(works.iter().all(|after| *after < BACK_WITHIN), "{works:?}");
    let rows = "SELECT count(*) FROM render_usage WHERE template_key = 'sheet' AND outcome = 'succeeded'";
    let complete = wait_until_async("every render is in the log", async || {
        let rows: usize = cluster.query(rows).await.parse().unwrap();
        (rows >= documents).then_some(rows)
    });
    assert_eq!(complete.await, documents, "each once");
    assert_eq!(cluster.query("SELECT sum(renders) FROM usage_periods WHERE tenant_id = 'acme'").await, documents.to_string());
    assert_eq!(cluster.query("SELECT count(*) FROM templates WHERE template_key = 'never'").await, "0", "what was refused was not done");
}

const SETTINGS: &[(&str, &str)] = &[("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", SUPER_KEY)];

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_stopped_fails_no_render_of_a_known_template_and_writes_come_back_with_it() {
    let (cluster, files) = (Cluster::start_new(), tempfile::tempdir().unwrap());
    let servers: [Server; 2] = replicas(shared(&cluster.url(), files.path(), SETTINGS));
    outlive("stopped", &cluster, &servers, SHORT, || cluster.stop(), || cluster.start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_freezes_fails_no_render_of_a_known_template_and_writes_come_back_with_it() {
    let (cluster, files) = (Cluster::start_new(), tempfile::tempdir().unwrap());
    let servers: [Server; 2] = replicas(shared(&cluster.url(), files.path(), SETTINGS));
    outlive("frozen", &cluster, &servers, SHORT, || cluster.freeze(), || cluster.thaw()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_to_the_database_on_which_nothing_passes_fails_no_render_and_writes_come_back_with_it() {
    let (cluster, files) = (Cluster::start_new(), tempfile::tempdir().unwrap());
    let way = TcpProxy::to(Target::of_url(&cluster.url()));
    let servers: [Server; 2] = replicas(shared(&through(&way), files.path(), SETTINGS));
    outlive("a frozen connection", &cluster, &servers, SHORT, || way.freeze(), || way.thaw()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes; prints its numbers"]
async fn three_replicas_outlive_half_a_minute_of_a_stopped_and_of_a_frozen_database() {
    for frozen in [false, true] {
        let (cluster, files) = (Cluster::start_new(), tempfile::tempdir().unwrap());
        let servers: [Server; 3] = replicas(shared(&cluster.url(), files.path(), SETTINGS));
        if frozen {
            outlive("frozen", &cluster, &servers, LONG, || cluster.freeze(), || cluster.thaw()).await;
        } else {
            outlive("stopped", &cluster, &servers, LONG, || cluster.stop(), || cluster.start()).await;
        }
    }
}

/// The database through a proxy.
pub fn through(way: &TcpProxy) -> String {
    format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", way.port())
}
