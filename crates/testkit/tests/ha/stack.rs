//! Replicas behind a balancer, with a database and a bucket.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use testkit::haproxy::HaProxy;
use testkit::postgres::Cluster;
use testkit::seaweedfs::{ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, SeaweedFs};
use testkit::server_process::ServerProcess;
use testkit::tcp_proxy::{Target, TcpProxy};
use tokio::time::sleep;

pub const KEY: &str = "an-admin-key-of-the-tests";
pub const EDITOR_KEY: &str = "an-editor-key-of-the-tests";
pub const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
/// Three browsers and databases start beside other tests that do the same.
const START: Duration = Duration::from_mins(3);
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);
/// The backend that goes by whether a replica is ready.
const READY: &str = "ready";

/// Everything of one installation. What it is made of ends with it.
pub struct Stack {
    pub replicas: Vec<ServerProcess>,
    pub balancer: HaProxy,
    pub database: Cluster,
    /// The address of the database, which survives it.
    pub way: TcpProxy,
    pub bucket: SeaweedFs,
    pub client: Client,
}

impl Stack {
    /// Three replicas, all of them up; nothing where a part is not installed.
    pub async fn start() -> Option<Self> {
        Self::start_with(3, &[], |_| Odd::default()).await
    }

    /// So many replicas with more settings (those that come later win), of which some are odd.
    pub async fn start_with(count: usize, more: &[(&str, &str)], odd: impl Fn(usize) -> Odd) -> Option<Self> {
        let bucket = SeaweedFs::start()?;
        let database = Cluster::start_with(&["max_connections=150", "wal_level=replica"]);
        let way = TcpProxy::to(Target::of_url(&database.url()));
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", way.port());
        let endpoint = bucket.endpoint();
        let shared = [
            ("DATABASE_URL", url.as_str()),
            ("ASSET_BINARY_STORE", "s3"),
            ("S3_BUCKET", BUCKET),
            ("S3_REGION", "us-east-1"),
            ("S3_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("S3_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
            ("S3_PATH_STYLE", "true"),
            ("S3_ENDPOINT", endpoint.as_str()),
            ("API_KEY_ADMIN", KEY),
            ("API_KEY_EDITOR", EDITOR_KEY),
            ("API_KEY_SUPER_ADMIN", SUPER_KEY),
            ("MULTI_TENANT_ENABLED", "true"),
            ("EDITOR_TOKEN_SECRET", "a-secret-of-the-tests-for-editor-tokens"),
            ("TRUST_PROXY", "loopback"),
            ("RENDER_MAX_CONCURRENT_PAGES", "2"),
            ("RENDER_MAX_QUEUE_DEPTH", "60"),
            ("AUTH_FAILURES_PER_MINUTE", "100000"),
            ("JOB_LEASE_MS", "3000"),
            ("SCHEDULE_LEASE_MS", "6000"),
            // As long as the balancer needs to notice, and some more on a busy machine.
            ("SHUTDOWN_DRAIN_DELAY_MS", "3000"),
        ];
        let replicas: Vec<_> = (0..count)
            .map(|number| {
                let Odd { before, settings } = odd(number);
                let settings: Vec<_> = shared.iter().chain(more).copied().chain(settings.iter().map(|(n, v)| (*n, v.as_str()))).collect();
                ServerProcess::start_behind(&before.iter().map(String::as_str).collect::<Vec<_>>(), &settings)
            })
            .collect();
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/ha/haproxy.cfg");
        let configuration = std::fs::read_to_string(&configuration).unwrap_or_else(|error| panic!("{}: {error}", configuration.display()));
        let balancer = HaProxy::start(&configuration, &replicas.iter().map(ServerProcess::port).collect::<Vec<_>>())?;
        let stack = Self { replicas, balancer, database, way, bucket, client: Client::new() };
        stack.wait_until_up(count, START).await;
        Some(stack)
    }

    /// Waits until the balancer sends requests to so many replicas.
    pub async fn wait_until_up(&self, count: usize, patience: Duration) {
        let began = Instant::now();
        while self.balancer.servers_up(READY) != Some(count) {
            if let Some(ended) = self.replicas.iter().find(|replica| began.elapsed() > patience || !replica.is_alive()) {
                // One that was killed on purpose has said nothing at its end.
                let up = self.balancer.servers_up(READY);
                assert!(began.elapsed() < patience, "{up:?} replicas are up and not {count}:\n{}\n{}", ended.log(), self.balancer.log());
            }
            sleep(POLL).await;
        }
    }

    /// A request through the balancer.
    pub fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        self.with_key(method, &self.balancer.url(path), KEY)
    }

    /// A request to one replica.
    pub fn ask_replica(&self, number: usize, method: &str, path: &str) -> RequestBuilder {
        self.with_key(method, &self.replicas[number].url(path), KEY)
    }

    fn with_key(&self, method: &str, url: &str, key: &str) -> RequestBuilder {
        self.client.request(method.parse().expect("a method"), url).header("X-Api-Key", key)
    }

    /// Makes a template of one line, `Hello {{name}}` in front of `words`.
    pub async fn make_template(&self, key: &str, words: &str) {
        let template = json!({"key": key, "name": "A line", "html": format!("<p>Hello {{{{name}}}} {words}</p>")});
        said(201, self.ask("POST", "/templates").json(&template)).await;
    }
}

/// What is different about a replica.
#[derive(Default)]
pub struct Odd {
    /// Words of a command that starts it.
    pub before: Vec<String>,
    pub settings: Vec<(&'static str, String)>,
}

/// The status and the JSON of an answer; null where it is none.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// What an answer says; panics when it has another status.
pub async fn said(status: u16, request: RequestBuilder) -> Value {
    let (found, body) = answer(request).await;
    assert_eq!(found, status, "{body}");
    body
}

/// Waits until asking gives something.
pub async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "after {PATIENCE:?} still not: {what}");
        sleep(POLL).await;
    }
}
