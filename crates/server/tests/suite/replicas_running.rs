//! Several servers on one database, what is asked of them, and what it took.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::running::{KEY, Server, answer};
use crate::schedule_deliveries::leak;

pub const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
/// How long anything is waited for that is to come soon.
const PATIENCE: Duration = Duration::from_secs(30);

/// The settings of servers that share a database and the files in a folder, with some more; those that come later win.
pub fn shared(url: &str, files: &Path, more: &[(&'static str, &'static str)]) -> &'static [(&'static str, &'static str)] {
    let mut settings = vec![
        ("DATABASE_URL", leak(url)),
        ("ASSETS_DIR", leak(files.to_str().expect("a path in UTF-8"))),
        ("EDITOR_TOKEN_SECRET", "a-secret-of-the-tests-for-editor-tokens"),
    ];
    settings.retain(|(name, _)| !more.iter().any(|(changed, _)| changed == name));
    settings.extend(more);
    Box::leak(settings.into_boxed_slice())
}

/// As many servers with these settings; they start at the same time.
pub fn replicas<const N: usize>(settings: &'static [(&'static str, &'static str)]) -> [Server; N] {
    let started = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..N).map(|_| scope.spawn(|| Server::start_with(settings))).collect();
        starting.into_iter().map(|server| server.join().expect("a server that starts")).collect::<Vec<_>>()
    });
    started.try_into().unwrap_or_else(|_| unreachable!("as many as were started"))
}

/// A request with the key of the tests.
pub fn ask(client: &Client, server: &Server, method: &str, path: &str) -> RequestBuilder {
    as_of(client, server, method, path, KEY)
}

/// A request with whatever key.
pub fn as_of(client: &Client, server: &Server, method: &str, path: &str, key: &str) -> RequestBuilder {
    client.request(method.parse().expect("a method"), server.url(path)).header("X-Api-Key", key)
}

/// What an answer says; panics when it has another status.
pub async fn said(status: u16, request: RequestBuilder) -> Value {
    let (found, body) = answer(request).await;
    assert_eq!(found, status, "{body}");
    body
}

/// A template of one line.
pub fn line(key: &str, words: &str) -> Value {
    json!({"key": key, "name": "A line", "html": format!("<p>{words}</p>")})
}

/// How long it takes until something holds on each of the servers, from now on.
pub async fn heard(servers: &[&Server], holds: impl AsyncFn(&Server) -> bool) -> Vec<Duration> {
    let began = Instant::now();
    let mut after = vec![None; servers.len()];
    while after.contains(&None) {
        for (server, after) in servers.iter().zip(&mut after) {
            if after.is_none() && holds(server).await {
                *after = Some(began.elapsed());
            }
        }
        assert!(began.elapsed() < PATIENCE, "not heard after {PATIENCE:?}: {after:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    after.into_iter().flatten().collect()
}

/// The one in the middle and the longest.
pub fn median_and_worst(times: &[Duration]) -> (Duration, Duration) {
    let mut times = times.to_vec();
    times.sort_unstable();
    (times[times.len() / 2], *times.last().expect("some times"))
}
