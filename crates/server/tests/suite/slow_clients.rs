//! Clients that take their time, and clients that say what can be read in two ways.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::running::{KEY, RENDER_KEY, Server};
use crate::wire::{HERE, Wire};

/// Heads have 10 s, and a busy machine gets some more.
const HEAD: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(150);
const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn with_key(first_line: &str, more: &str) -> String {
    format!("{first_line}\r\nHost: localhost\r\nX-Api-Key: {KEY}\r\n{more}\r\n")
}

async fn is_served(server: &Server) {
    let began = Instant::now();
    let mut wire = Wire::open(server, HERE).await;
    wire.send(HEALTH).await;
    assert_eq!(wire.answer(SOON).await.unwrap().status, 200);
    assert!(began.elapsed() < Duration::from_secs(5), "others waited {:?}", began.elapsed());
}

/// A head that is sent drop by drop, and one that is begun and left.
async fn slow_heads(server: &Server) {
    let head = with_key("GET /templates HTTP/1.1", &format!("X-Slow: {}\r\n", "x".repeat(1000)));
    let dripping = async {
        let mut wire = Wire::open(server, HERE).await;
        let began = Instant::now();
        let refused = wire.drip(head.as_bytes(), PAUSE, SOON).await.expect("a word before the end");
        refused.is_refusal(408, "bad_request");
        assert!(began.elapsed() >= HEAD, "{:?}", began.elapsed());
        assert!(wire.ends(SOON).await);
    };
    let left = async {
        let mut wire = Wire::open(server, HERE).await;
        wire.send(HEALTH).await;
        assert_eq!(wire.answer(SOON).await.unwrap().status, 200);
        // The time of a later head counts from its own first byte.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let began = Instant::now();
        wire.send("G").await;
        wire.answer(SOON).await.expect("a word before the end").is_refusal(408, "bad_request");
        assert!(began.elapsed() >= HEAD && wire.ends(SOON).await, "{:?}", began.elapsed());
    };
    tokio::join!(dripping, left);
}

/// Connections without a request may wait for longer than any head.
async fn idle_connections(server: &Server) {
    let (mut silent, mut used) = (Wire::open(server, HERE).await, Wire::open(server, HERE).await);
    used.send(HEALTH).await;
    assert_eq!(used.answer(SOON).await.unwrap().status, 200);
    tokio::time::sleep(Duration::from_secs(65)).await;
    for wire in [&mut silent, &mut used] {
        wire.send(HEALTH).await;
        assert_eq!(wire.answer(SOON).await.expect("idle for less than 75 s").status, 200);
    }
    let began = Instant::now();
    let ended = used.ends(Duration::from_secs(90)).await;
    assert!(ended, "idle for {:?}, and then {:?}", began.elapsed(), used.answer(SOON).await);
    assert!(began.elapsed() >= Duration::from_secs(70), "{:?}", began.elapsed());
}

/// A body without an end: it comes without pauses, or with one that is too long, and says how long it is or does not.
async fn endless_bodies(server: &Server) {
    let chunked = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {RENDER_KEY}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
    };
    let stranger = async {
        let mut wire = Wire::open(server, HERE).await;
        let began = Instant::now();
        wire.send(chunked("/auth/editor-token")).await;
        let refused = wire.drip(&b"1\r\n \r\n".repeat(200), Duration::from_millis(100), SOON).await.expect("an answer");
        refused.is_refusal(400, "bad_request");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    };
    let dripping = async {
        let mut wire = Wire::open(server, HERE).await;
        let began = Instant::now();
        wire.send(chunked("/render/html")).await;
        let refused = wire.drip(&b"1\r\n \r\n".repeat(100), Duration::from_millis(200), Duration::from_secs(90)).await.expect("an answer");
        refused.is_refusal(400, "bad_request");
        assert!((58..80).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    };
    let pausing = async {
        let mut wire = Wire::open(server, HERE).await;
        let huge = format!(
            "POST /render/html HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {RENDER_KEY}\r\nContent-Type: application/json\r\nContent-Length: 10000000000000\r\n\r\n{{"
        );
        wire.send(huge).await;
        wire.answer(SOON).await.expect("an answer").is_refusal(400, "bad_request");
    };
    let pouring = async {
        let mut wire = Wire::open(server, HERE).await;
        wire.send(chunked("/render/html")).await;
        let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
        let mut sent_mib = 0;
        while sent_mib < 1000 && wire.send(&chunk).await {
            sent_mib += 1;
        }
        assert!(sent_mib < 200, "the server took {sent_mib} MiB of a body that may have 20");
        if let Some(refused) = wire.answer(SOON).await {
            refused.is_refusal(413, "payload_too_large");
        }
    };
    tokio::join!(stranger, dripping, pausing, pouring);
}

/// Somebody who asks and does not listen.
async fn slow_reader(server: &Server) {
    let mut wire = Wire::open(server, HERE).await;
    let questions = with_key("GET /docs/json HTTP/1.1", "").repeat(50);
    let began = Instant::now();
    while tokio::time::timeout(Duration::from_secs(2), wire.send(&questions)).await.unwrap_or(true)
        && began.elapsed() < Duration::from_secs(100)
    {
        if wire.stream.writable().await.is_err() {
            break;
        }
        // Both directions are full, or the other end has gone: writing says which.
        if wire.stream.take_error().ok().flatten().is_some() {
            break;
        }
    }
    let mut answers = 0;
    while wire.answer(SOON).await.is_some() {
        answers += 1;
    }
    assert!(answers < 10_000, "all was kept for somebody who did not listen");
    assert!(began.elapsed() < Duration::from_mins(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_drips_a_head_pours_a_body_without_end_or_does_not_listen_is_sent_away_and_others_are_served() {
    let server = Server::start();
    let others = async {
        for _ in 0..40 {
            is_served(&server).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::join!(slow_heads(&server), idle_connections(&server), endless_bodies(&server), slow_reader(&server), others);
    let metrics = server.metrics().await;
    for reason in ["slow_head", "slow_body"] {
        assert!(metrics.contains(&format!("pulp_engine_refusals_total{{reason=\"{reason}\"}}")), "{reason}: {metrics}");
    }
}

#[tokio::test]
async fn heads_have_32_kib_and_100_lines_and_what_is_more_is_named() {
    let server = Server::start();
    let line = |number: usize, bytes: usize| format!("X-Line-{number}: {}\r\n", "x".repeat(bytes));
    // Two lines are there anyway.
    let lines = |count: usize| (0..count - 2).map(|number| line(number, 1)).collect::<String>();
    for (what, more, status) in [
        ("a large line", line(1, 31 * 1024), 200),
        ("a line that is too large", line(1, 33 * 1024), 431),
        ("a head that goes on for ever", (0..20).map(|number| line(number, 20_000)).collect(), 431),
        ("a hundred lines", lines(100), 200),
        ("a line more", lines(101), 431),
    ] {
        let mut wire = Wire::open(&server, HERE).await;
        wire.send(with_key("GET /templates HTTP/1.1", &more)).await;
        let answer = wire.answer(SOON).await.unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        if status == 431 {
            answer.is_refusal(431, "bad_request");
            assert!(wire.ends(SOON).await, "{what}");
        }
    }
    let mut wire = Wire::open(&server, HERE).await;
    wire.send(with_key(&format!("GET /templates?x={} HTTP/1.1", "x".repeat(40_000)), "")).await;
    wire.answer(SOON).await.expect("an answer").is_refusal(431, "bad_request");
    is_served(&server).await;
}

#[tokio::test]
async fn what_two_readers_could_read_differently_is_refused_and_nothing_behind_it_is_answered() {
    let server = Server::start();
    let hidden = with_key("GET /templates HTTP/1.1", "");
    let post = |more: &str, body: &str| {
        format!("{}{body}{hidden}", with_key("POST /render/html HTTP/1.1", &format!("Content-Type: application/json\r\n{more}")))
    };
    let chunks = "2\r\n{}\r\n0\r\n\r\n";
    let shapes: Vec<(&str, Vec<u8>)> = vec![
        ("length, then encoding", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", chunks).into()),
        ("encoding, then length", post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", chunks).into()),
        ("names in other cases", post("tRaNsFeR-eNcOdInG: chunked\r\ncOnTeNt-LeNgTh: 2\r\n", chunks).into()),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 60\r\n", "{}").into()),
        ("a list of lengths", post("Content-Length: 2, 60\r\n", "{}").into()),
        ("a length with a sign", post("Content-Length: +2\r\n", "{}").into()),
        ("a length below nothing", post("Content-Length: -2\r\n", "{}").into()),
        ("a length in hexadecimal", post("Content-Length: 0x2\r\n", "{}").into()),
        ("a length beyond numbers", post("Content-Length: 99999999999999999999999\r\n", "{}").into()),
        ("an unknown encoding", post("Transfer-Encoding: xchunked\r\n", chunks).into()),
        ("chunked and something after it", post("Transfer-Encoding: chunked, identity\r\n", chunks).into()),
        ("no encoding", post("Transfer-Encoding: identity\r\n", chunks).into()),
        ("a line that goes on", post("X-Folded: a\r\n b\r\nContent-Length: 2\r\n", "{}").into()),
        ("a space before the colon", post("Content-Length : 2\r\n", "{}").into()),
        ("a space before the name", post(" Content-Length: 2\r\n", "{}").into()),
        ("a NUL in a line", post("X-Nul: a\0b\r\nContent-Length: 2\r\n", "{}").into()),
        ("a CR in a line", post("X-Cr: a\rContent-Length: 60\r\nContent-Length: 2\r\n", "{}").into()),
        ("a chunk beyond numbers", post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n").into()),
        ("a chunk of no number", post("Transfer-Encoding: chunked\r\n", "-2\r\n{}\r\n0\r\n\r\n").into()),
        (
            "chunks with endless words",
            post("Transfer-Encoding: chunked\r\n", &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000))).into(),
        ),
        (
            "an encoding in HTTP/1.0",
            with_key("POST /render/html HTTP/1.0", "Transfer-Encoding: chunked\r\n")
                .replace("\r\n\r\n", &format!("\r\n\r\n{chunks}{hidden}"))
                .into(),
        ),
        ("another version", format!("{}{hidden}", with_key("GET /templates HTTP/3.0", "")).into()),
        ("HTTP/2", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0, 0, 0, 4, 0, 0, 0, 0, 0], hidden.as_bytes()].concat()),
        ("TLS", [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03], [0x7f; 505].as_slice(), hidden.as_bytes()].concat()),
        ("no HTTP at all", [b"\x00\x01\x02 SSH-2.0-OpenSSH\r\n".as_slice(), hidden.as_bytes()].concat()),
    ];
    for (what, bytes) in shapes {
        let mut wire = Wire::open(&server, HERE).await;
        wire.send(&bytes).await;
        let answer = wire.answer(SOON).await;
        if let Some(answer) = &answer {
            assert!(answer.status == 400, "{what}: {answer:?}");
            answer.is_refusal(400, "bad_request");
        }
        assert!(answer.is_some() || matches!(what, "HTTP/2"), "{what}: no answer");
        assert!(wire.ends(SOON).await, "{what}: what came behind it was answered: {:?}", wire.answer(SOON).await);
    }

    // What is unusual and has one meaning is served: the same length twice, and a request that was sent ahead.
    let mut wire = Wire::open(&server, HERE).await;
    let body = json!({"definition": {"key": "k", "name": "n", "html": "x"}, "data": {}}).to_string();
    let length = format!("Content-Type: application/json\r\nContent-Length: {0}\r\nContent-Length: {0}\r\n", body.len());
    wire.send(format!("{}{body}{hidden}", with_key("POST /render/html HTTP/1.1", &length))).await;
    assert_eq!(wire.answer(SOON).await.unwrap().status, 200);
    assert_eq!(wire.answer(SOON).await.unwrap().status, 200);
    // In chunks, one after the other on one connection.
    let chunked = with_key("POST /render/html HTTP/1.1", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n");
    for _ in 0..3 {
        wire.send(format!("{chunked}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
        assert_eq!(wire.answer(SOON).await.unwrap().status, 200);
    }
}
