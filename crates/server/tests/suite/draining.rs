//! How a server ends and begins in the eyes of a balancer: it says so before it closes, and does not answer before it is whole.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use testkit::postgres::TestDatabase;
use testkit::tcp_proxy::{Target, TcpProxy};

use crate::running::{KEY, Server, answer, free_port, is_alive, kill, pulp_engine, wait_until, wait_until_async};

const DRAIN: Duration = Duration::from_secs(3);
/// What a busy machine takes for nearly nothing.
const SOON: Duration = Duration::from_secs(8);

/// The status of a path on a connection of its own, and whether the server ends the connection; none when there is no connection.
async fn asked(server: &Server, path: &str) -> Option<(u16, bool)> {
    let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let request = if path.starts_with("/render") {
        let body = json!({"definition": {"key": "k", "name": "n", "html": "<p>x</p>"}});
        client.post(server.url(path)).header("X-Api-Key", KEY).json(&body)
    } else {
        client.get(server.url(path))
    };
    let answer = request.send().await.ok()?;
    let closes = answer.headers().get("connection").is_some_and(|value| value == "close");
    Some((answer.status().as_u16(), closes))
}

/// A question on a connection that stays open; the head of its answer.
fn asked_on(connection: &mut BufReader<TcpStream>) -> String {
    connection.get_mut().write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        if let Some(said) = line.to_lowercase().strip_prefix("content-length:") {
            length = said.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    std::io::Read::read_exact(connection, &mut vec![0; length]).unwrap();
    head.to_lowercase()
}

#[tokio::test]
async fn a_server_that_is_to_end_says_so_serves_on_for_the_drain_delay_and_then_closes() {
    let mut server = Server::start_with(&[("SHUTDOWN_DRAIN_DELAY_MS", "3000")]);
    for path in ["/health", "/health/ready", "/health/serving", "/render/html"] {
        assert_eq!(asked(&server, path).await, Some((200, false)), "{path}");
    }
    let mut kept = BufReader::new(TcpStream::connect(("127.0.0.1", server.port())).unwrap());
    let head = asked_on(&mut kept);
    assert!(head.starts_with("http/1.1 200") && !head.contains("connection: close"), "{head}");

    server.signal("TERM");
    let told = Instant::now();
    wait_until_async("it is not ready", async || (asked(&server, "/health/ready").await == Some((503, true))).then_some(())).await;
    let noticed = told.elapsed();
    assert!(noticed < DRAIN, "{noticed:?}");
    assert_eq!(asked(&server, "/health/serving").await, Some((503, true)));
    assert_eq!(asked(&server, "/health").await, Some((200, true)), "it is alive");
    assert_eq!(asked(&server, "/render/html").await, Some((200, true)));
    assert_eq!(asked(&server, "/render/pdf").await, Some((200, true)));
    let head = asked_on(&mut kept);
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");

    while asked(&server, "/health").await.is_some() {
        assert!(told.elapsed() < DRAIN + SOON, "the listener does not close");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let closed = told.elapsed();
    assert!(closed >= DRAIN, "it closed after {closed:?}");
    assert_eq!(server.wait_for_end().code(), Some(0), "{}", server.log());
    println!("not ready after {noticed:?}, closed after {closed:?}, ended after {:?}", told.elapsed());
}

#[tokio::test]
async fn a_second_signal_and_ctrl_c_do_not_wait_for_the_drain_delay() {
    let mut server = Server::start_with(&[("SHUTDOWN_DRAIN_DELAY_MS", "600000")]);
    server.signal("TERM");
    wait_until_async("it is not ready", async || (asked(&server, "/health/ready").await == Some((503, true))).then_some(())).await;
    assert!(is_alive(server.pid()));
    let told = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait_for_end().code(), Some(0));
    assert!(told.elapsed() < SOON, "{:?}", told.elapsed());

    let mut server = server.start_again();
    let told = Instant::now();
    server.signal("INT");
    assert_eq!(server.wait_for_end().code(), Some(0));
    assert!(told.elapsed() < SOON, "{:?}", told.elapsed());
}

#[tokio::test]
async fn a_server_that_has_not_all_it_needs_yet_answers_nobody() {
    let database = TestDatabase::empty().await;
    let way = TcpProxy::to(Target::of_url(database.url()));
    way.lead_to(None);
    let words: Vec<&str> = database.url().split(['/', '?', '@']).collect();
    let url = format!("postgres://{}@127.0.0.1:{}/{}", words[2], way.port(), words[4]);
    let data = tempfile::tempdir().unwrap();
    let (log, port) = (data.path().join("log"), free_port());
    let settings = [
        ("PORT", port.to_string()),
        ("PULP_DATA_DIR", data.path().join("data").to_str().unwrap().to_owned()),
        ("DATABASE_URL", url),
        ("ASSETS_DIR", data.path().join("assets").to_str().unwrap().to_owned()),
        ("API_KEY_ADMIN", KEY.to_owned()),
    ];
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let stderr = std::fs::File::create(&log).unwrap();
    let mut child = pulp_engine(&["serve"], &settings).stdout(std::process::Stdio::null()).stderr(stderr).spawn().unwrap();
    let said = || std::fs::read_to_string(&log).unwrap();
    wait_until("the browser has started", || said().contains("browser started"));

    let client = Client::new();
    let ask = || client.get(format!("http://127.0.0.1:{port}/health/ready")).send();
    let early = tokio::time::timeout(Duration::from_secs(1), ask()).await;
    assert!(!matches!(early, Ok(Ok(_))), "{early:?}");
    way.lead_to(Some(Target::of_url(database.url())));
    let first = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            if let Ok(answer) = ask().await {
                break answer.status().as_u16();
            }
        }
    });
    assert_eq!(first.await.unwrap(), 200, "the first answer is that of a whole server\n{}", said());
    kill("INT", child.id());
    wait_until("it has ended", || !is_alive(child.id()));
    child.wait().unwrap();
}

#[tokio::test]
async fn a_server_with_more_work_than_it_takes_is_ready() {
    let server = Server::start_with(&[("RENDER_MAX_CONCURRENT_PAGES", "1"), ("RENDER_MAX_QUEUE_DEPTH", "1")]);
    let rows: Vec<_> = (0..3_000).map(|row| json!({"n": row})).collect();
    let html = "<table>{{#each rows}}<tr><td>Row {{n}}</td></tr>{{/each}}</table>";
    let body: Value = json!({"definition": {"key": "k", "name": "n", "html": html}, "data": {"rows": rows}});
    let ask = || answer(Client::new().post(server.url("/render/pdf")).header("X-Api-Key", KEY).json(&body));
    let renders: Vec<_> = (0..12).map(|_| tokio::spawn(ask())).collect();
    let mut looks = 0;
    while renders.iter().any(|render| !render.is_finished()) {
        for path in ["/health/ready", "/health/serving"] {
            assert_eq!(asked(&server, path).await, Some((200, false)), "{path}");
        }
        looks += 1;
    }
    let mut statuses = Vec::new();
    for render in renders {
        statuses.push(render.await.unwrap().0);
    }
    assert!(looks > 5 && statuses.contains(&200) && statuses.contains(&503), "{looks} looks, {statuses:?}");
}
