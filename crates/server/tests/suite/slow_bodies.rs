//! Bodies that come slowly, or not at all: they hold no room that others need.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::running::{KEY, RENDER_KEY, Server, answer};

const MIB: usize = 1024 * 1024;
/// Two bodies of the largest size fit in at the same time.
const TIGHT: &[(&str, &str)] = &[("REQUEST_BODY_LIMIT_BYTES", "1048576"), ("RENDER_MAX_QUEUE_DEPTH", "0")];
/// A pause of 10 s is too long for the server; a busy machine gets some more.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);

/// A request whose body is announced, and sent up to some byte.
async fn begun(server: &Server, credential: &str, announced: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let head = format!(
        "POST /render/html HTTP/1.1\r\nHost: localhost\r\n{credential}\r\nContent-Type: application/json\r\nContent-Length: {announced}\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; sent.saturating_sub(1)]).await.unwrap();
    stream
}

/// The status and the head of what comes back.
async fn status(stream: &mut TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !text.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = timeout(REFUSED_WITHIN, stream.read(&mut buffer)).await.expect("an answer in time").unwrap();
        assert!(read > 0, "the connection closed without an answer");
        text.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

/// Asks until there is no room for a large body.
async fn refused_for_want_of_room(server: &Server) {
    loop {
        let answer = server.post("/render/html", &large()).await;
        if answer.status() == 503 && answer.headers().contains_key("retry-after") {
            return;
        }
    }
}

fn large() -> Value {
    json!({"definition": {"key": "k", "name": "n", "html": "<p>x</p>"}, "data": {"text": "x".repeat(MIB * 3 / 4)}})
}

#[tokio::test]
async fn who_announces_much_and_sends_little_keeps_nobody_out_and_is_sent_away() {
    let server = Server::start_with(TIGHT);
    let credential = format!("X-Api-Key: {RENDER_KEY}");
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(begun(&server, &credential, MIB, 100).await);
    }
    let began = Instant::now();
    let rendered = server.post("/render/html", &large()).await;
    assert_eq!(rendered.status(), 200);
    assert!(began.elapsed() < Duration::from_secs(4), "it waited for room: {:?}", began.elapsed());
    for stream in &mut slow {
        let (status, head) = status(stream).await;
        assert_eq!(status, 400, "{head}");
    }
}

#[tokio::test]
async fn when_all_room_is_taken_others_are_told_to_come_back_and_then_find_room() {
    let server = Server::start_with(TIGHT);
    let credential = format!("X-Api-Key: {RENDER_KEY}");
    // Whoever takes room and pauses is sent away after a while; on a busy machine that may be before anybody is refused.
    let mut takers = Vec::new();
    for _ in 0..5 {
        takers = vec![begun(&server, &credential, MIB, MIB - 1).await, begun(&server, &credential, MIB, MIB - 1).await];
        if timeout(Duration::from_secs(8), refused_for_want_of_room(&server)).await.is_ok() {
            break;
        }
        takers.clear();
    }
    assert!(!takers.is_empty(), "no body was refused for want of room");
    for taker in &mut takers {
        assert_eq!(status(taker).await.0, 400, "a pause is too long");
    }
    assert_eq!(server.post("/render/html", &large()).await.status(), 200);
}

#[tokio::test]
async fn a_withdrawn_token_is_refused_before_its_body_comes() {
    let server = Server::start();
    assert_eq!(server.post("/templates", &json!({"key": "sheet", "name": "Sheet", "html": "x"})).await.status(), 201);
    let made = reqwest::Client::new().post(server.url("/render-tokens")).header("X-Api-Key", KEY);
    let (_, made) = answer(made.json(&json!({"templates": ["sheet"], "formats": ["html"]}))).await;
    let credential = format!("Authorization: Bearer {}", made["token"].as_str().unwrap());
    let body = json!({"template": "sheet"}).to_string();
    let mut live = begun(&server, &credential, body.len(), 1).await;
    live.write_all(&body.as_bytes()[1..]).await.unwrap();
    assert_eq!(status(&mut live).await.0, 200);

    let path = format!("/render-tokens/{}", made["tokenId"].as_str().unwrap());
    assert_eq!(answer(reqwest::Client::new().delete(server.url(&path)).header("X-Api-Key", KEY)).await.0, 204);
    let began = Instant::now();
    let (refused, head) = status(&mut begun(&server, &credential, 10 * MIB, 1).await).await;
    assert_eq!(refused, 401, "{head}");
    assert!(head.contains("invalid_token"), "{head}");
    assert!(began.elapsed() < Duration::from_secs(5), "it waited for the body: {:?}", began.elapsed());
}
