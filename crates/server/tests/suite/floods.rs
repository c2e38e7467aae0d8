//! Too many at once: connections, requests, bytes that grow. One machine takes no other's place, and the server stays small.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::running::{KEY, Server, wait_until_async};
use crate::wire::{HERE, Wire, neighbour};

const SOON: Duration = Duration::from_secs(30);
const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// How long a connection is looked at that is not expected to be refused.
const GLANCE: Duration = Duration::from_millis(1);
/// The longest that anybody else waits for a small answer, on a busy machine.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

/// As many files as this process may open.
fn many_files() -> usize {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum.or(files.current);
    let _ = setrlimit(Resource::Nofile, files);
    usize::try_from(getrlimit(Resource::Nofile).current.unwrap_or(1 << 20)).unwrap()
}

/// Memory of the server's own process at this moment.
fn resident_kib(server: &Server) -> usize {
    memory_kib(server, "VmRSS:")
}

/// The most that it ever was.
fn most_resident_kib(server: &Server) -> usize {
    memory_kib(server, "VmHWM:")
}

fn memory_kib(server: &Server, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn metric(server: &Server, begins: &str) -> f64 {
    let text = server.metrics().await;
    text.lines().filter(|line| line.starts_with(begins)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Asks on a connection of its own; how long it took.
async fn served(server: &Server, number: u8) -> Duration {
    let began = Instant::now();
    let mut wire = Wire::open(server, neighbour(number)).await;
    wire.send(HEALTH).await;
    let answer = wire.answer(SOON).await.expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    began.elapsed()
}

/// What became of connections that were opened and used for nothing, or for the beginning of something.
#[derive(Default)]
struct Opened {
    held: Vec<Wire>,
    told: usize,
    closed: usize,
}

/// Opens connections, and looks at each of them for so long whether it is refused.
async fn open(server: &Server, count: usize, from: std::net::Ipv4Addr, begun: &str, look: Duration) -> Opened {
    let mut opened = Opened::default();
    let mut wires = Vec::with_capacity(count);
    for _ in 0..count {
        let mut wire = Wire::open(server, from).await;
        if !begun.is_empty() {
            wire.send(begun).await;
        }
        wires.push(wire);
    }
    for mut wire in wires {
        let mut byte = [0];
        match tokio::time::timeout(look, wire.stream.peek(&mut byte)).await {
            Err(_) => opened.held.push(wire),
            Ok(Ok(read)) if read > 0 => {
                let answer = wire.answer(SOON).await.expect("a whole answer");
                answer.is_refusal(503, "service_unavailable");
                assert_eq!(answer.header("retry-after"), Some("5"));
                opened.told += 1;
            }
            Ok(_) => opened.closed += 1,
        }
    }
    opened
}

/// Floods a server with `most` places from one machine, and then from as many as it takes to fill them.
async fn flood(server: &Server, most: usize) {
    let share = most / 4;
    served(server, 100).await;
    let before = resident_kib(server);
    // Half of them say nothing, the others begin a head.
    let mut quiet = open(server, share / 2, HERE, "", GLANCE).await;
    let mut begun = open(server, share - share / 2, HERE, "GET /templates HTTP/1.1\r\nX-Half: ", GLANCE).await;
    assert_eq!((quiet.held.len(), begun.held.len()), (share / 2, share - share / 2));
    let over = open(server, share / 3, HERE, HEALTH, SERVED_WITHIN).await;
    assert_eq!(over.held.len(), 0, "one machine has more than its share of {share}");
    assert!(over.told > 0, "nobody was told why; {} were closed", over.closed);
    let while_flooded = served(server, 1).await;
    assert!(while_flooded < SERVED_WITHIN, "{while_flooded:?}");
    println!("one machine: {} held, {} over it told so, {} closed; another was served in {while_flooded:?}", share, over.told, over.closed);
    begun.held.clear();

    // More machines fill all places: whoever idles longest makes room for who asks.
    let mut others = Vec::new();
    for number in 1..=4 {
        others.push(open(server, share, neighbour(number), "", GLANCE).await);
    }
    let after = resident_kib(server);
    let mut slowest = Duration::ZERO;
    for number in 10..40 {
        slowest = slowest.max(served(server, number).await);
    }
    assert!(slowest < SERVED_WITHIN, "{slowest:?}");
    assert!(metric(server, "pulp_http_connections_evicted_total").await > 0.0);
    let open_now = metric(server, "pulp_http_connections ").await;
    let places = f64::from(u32::try_from(most).unwrap());
    assert!(open_now <= places, "{open_now} connections are open");
    let each = f64::from(u32::try_from(after.saturating_sub(before)).unwrap()) / places;
    println!(
        "all {most} places taken: memory grew from {before} to {after} KiB, {each:.1} KiB for each; others were served within {slowest:?}"
    );
    assert!(each < 40.0, "a connection that does nothing takes {each} KiB");
    // Who lost its place finds its connection ended, and a new one in its stead.
    let first = &mut quiet.held[0];
    assert!(first.ends(SOON).await, "the oldest made no room");
    drop((quiet, others));
    served(server, HERE.octets()[3]).await;
}

#[tokio::test]
async fn three_thousand_connections_of_a_few_machines_keep_nobody_out() {
    let files = many_files();
    assert!(files > 5000, "this test opens 4,000 connections; ulimit -n is {files}");
    let server = Server::start_with(&[("MAX_CONNECTIONS", "3000")]);
    flood(&server, 3000).await;
}

/// The full number, with nothing configured: `cargo test -p server --test suite -- --ignored ten_thousand --nocapture`.
#[tokio::test]
#[ignore = "opens 13,000 connections, which takes a machine with 20,000 files for a process"]
async fn ten_thousand_connections_keep_nobody_out() {
    let files = many_files();
    assert!(files >= 20_000, "ulimit -n is {files}");
    let server = Server::start();
    flood(&server, 10_000).await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_one_address_may_have_all_places_and_when_all_are_busy_the_next_is_told_so() {
    let server = Server::start_with(&[("MAX_CONNECTIONS", "20"), ("MAX_CONNECTIONS_PER_ADDRESS", "2"), ("TRUST_PROXY", "127.0.0.1")]);
    // A body that does not come keeps a connection busy.
    let busy = format!(
        "POST /render/html HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {KEY}\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n"
    );
    let stranger = open(&server, 5, neighbour(1), &busy, Duration::from_secs(1)).await;
    assert_eq!(stranger.held.len(), 2);
    drop(stranger);
    wait_until_async("they have gone", async || (metric(&server, "pulp_http_connections ").await < 2.0).then_some(())).await;
    let mut proxied = open(&server, 20, HERE, &busy, Duration::from_millis(50)).await;
    assert_eq!(proxied.held.len(), 20);
    let mut next = Wire::open(&server, HERE).await;
    let refused = next.answer(SOON).await.expect("a word");
    refused.is_refusal(503, "service_unavailable");
    assert!(refused.header("retry-after").is_some());
    // A body may pause for 10 s; then there is room again.
    proxied.held[0].answer(SOON).await.expect("an answer").is_refusal(400, "bad_request");
    assert!(served(&server, 2).await < SERVED_WITHIN);
}

#[tokio::test]
async fn floods_of_small_requests_are_answered_in_turn_while_others_render() {
    let server = Server::start();
    let flood = |first_line: &'static str| {
        let request =
            format!("{first_line}\r\nHost: localhost\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
        async move { request.repeat(400) }
    };
    let mut floods = Vec::new();
    for (number, first_line) in ["OPTIONS /render/pdf HTTP/1.1", "HEAD /health HTTP/1.1", "GET /nowhere HTTP/1.1", "TRACE / HTTP/1.1"]
        .iter()
        .cycle()
        .take(40)
        .enumerate()
    {
        let requests = flood(first_line).await;
        let wire = Wire::open(&server, neighbour(u8::try_from(number).unwrap())).await;
        floods.push(tokio::spawn(async move {
            let (mut reading, mut writing) = wire.stream.into_split();
            let sending = tokio::spawn(async move {
                let sent = tokio::io::AsyncWriteExt::write_all(&mut writing, requests.as_bytes()).await.is_ok();
                (sent, writing)
            });
            let mut answers = 0;
            let mut text = Vec::new();
            while answers < 400 {
                text.clear();
                match tokio::time::timeout(SOON, tokio::io::AsyncReadExt::read_buf(&mut reading, &mut text)).await {
                    Ok(Ok(read)) if read > 0 => answers += text.windows(9).filter(|window| window == b"HTTP/1.1 ").count(),
                    _ => break,
                }
            }
            (answers, sending.await.unwrap().0)
        }));
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let began = Instant::now();
        let printed = server.pdf_of(&json!({"definition": {"key": "k", "name": "n", "html": "<p>Between</p>"}})).await;
        assert!(testkit::pdf::words(&printed).contains("Between"));
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
    let mut answered = 0;
    for flood in floods {
        answered += flood.await.unwrap().0;
    }
    // An answer that falls on the border of two reads is not counted.
    assert!(answered > 40 * 400 * 9 / 10, "{answered} of {} were answered", 40 * 400);
}

/// A gzip stream of this and so many megabytes of blanks, in a thousandth of the space, without an end.
fn bomb(begins: &str, megabytes: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let mut more = |bytes: &[u8]| {
        let before = encoder.get_ref().len();
        encoder.write_all(bytes).unwrap();
        // What stands for these bytes ends with a byte, so that it can be repeated.
        encoder.flush().unwrap();
        encoder.get_ref()[before..].to_vec()
    };
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    stream.extend(more(begins.as_bytes()));
    stream.extend(more(&vec![b' '; 1 << 20]).repeat(megabytes));
    stream
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn send_zipped(server: &Server, path: &str, encoding: &str, content_type: &str, body: Vec<u8>) -> (u16, String) {
    let request = reqwest::Client::new().post(server.url(path)).header("X-Api-Key", KEY);
    let request = request.header("Content-Type", content_type).header("Content-Encoding", encoding);
    let Ok(answer) = request.body(body).send().await else { return (0, String::new()) };
    let status = answer.status().as_u16();
    let envelope: serde_json::Value = answer.json().await.unwrap_or_default();
    (status, envelope["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn bytes_that_grow_to_ten_gigabytes_cost_neither_memory_nor_time() {
    let server = Server::start();
    served(&server, 1).await;
    let before = most_resident_kib(&server);
    // 10 MB on the way in.
    let many = bomb("", 10_000);
    assert!(many.len() < 11_000_000, "{}", many.len());
    let started = Instant::now();
    let sent = || send_zipped(&server, "/render/html", "gzip", "application/json", many.clone());
    let outcomes = tokio::join!(sent(), sent(), sent(), sent());
    let grown_mib = (most_resident_kib(&server) - before) / 1024;
    for (status, code) in <[_; 4]>::from(outcomes) {
        assert!(matches!((status, code.as_str()), (413, "payload_too_large") | (0, "")), "{status} {code}");
    }
    println!("four bombs of 10 GB: {:?}, {grown_mib} MiB more", started.elapsed());
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
    // Four bodies of 20 MiB, twice while one of them grows.
    assert!(grown_mib < 250, "{grown_mib} MiB");

    let twice = zipped(&zipped(&vec![b' '; 1 << 20]));
    for encoding in ["gzip, gzip", "deflate", "zstd", "gzip;q=1"] {
        let (status, code) = send_zipped(&server, "/render/html", encoding, "application/json", twice.clone()).await;
        assert_eq!((status, code.as_str()), (415, "unsupported_media_type"), "{encoding}");
    }
    // Packed twice and said once: what comes out is no JSON.
    let (status, code) = send_zipped(&server, "/render/html", "gzip", "application/json", twice).await;
    assert_eq!((status, code.as_str()), (400, "bad_request"));
    // Many streams in one: only the first is read, and nothing in it is JSON.
    let (status, code) =
        send_zipped(&server, "/render/html", "gzip", "application/json", zipped(&vec![b' '; 1 << 20]).repeat(10_000)).await;
    assert!(matches!((status, code.as_str()), (400, "bad_request") | (413, "payload_too_large") | (0, "")), "{status} {code}");
    // One byte of a stranger's body becomes a thousand.
    let (status, code) = send_zipped(&server, "/auth/editor-token", "gzip", "application/json", bomb("", 100)).await;
    assert_eq!((status, code.as_str()), (413, "payload_too_large"));
    // A file that is packed on its way is not unpacked faster than it is written.
    let before = most_resident_kib(&server);
    let begins = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.svg\"\r\nContent-Type: image/svg+xml\r\n\r\n";
    let form = bomb(begins, 4000);
    let uploaded = send_zipped(&server, "/assets/upload", "gzip", "multipart/form-data; boundary=b", form);
    let uploaded = uploaded.await;
    assert!(matches!((uploaded.0, uploaded.1.as_str()), (413, "payload_too_large") | (0, "")), "{uploaded:?}");
    let grown_mib = (most_resident_kib(&server) - before) / 1024;
    println!("an upload of 4 GB: {grown_mib} MiB more");
    assert!(grown_mib < 100, "{grown_mib} MiB");
    assert!(served(&server, 1).await < SERVED_WITHIN);
}

#[tokio::test]
async fn what_takes_longer_in_all_than_a_request_may_is_given_up() {
    let server = Server::start_with(&[("REQUEST_TIMEOUT_MS", "2000")]);
    let mut wire = Wire::open(&server, HERE).await;
    let began = Instant::now();
    let beginning = format!(
        "POST /render/html HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {KEY}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    );
    wire.send(beginning).await;
    let refused = wire.drip(&[b' '; 900], Duration::from_millis(50), SOON).await.expect("an answer");
    refused.is_refusal(503, "service_unavailable");
    assert!(refused.header("retry-after").is_some() && refused.header("x-request-id").is_some(), "{refused:?}");
    assert!((Duration::from_secs(2)..Duration::from_secs(8)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(served(&server, 1).await < SERVED_WITHIN);
}
