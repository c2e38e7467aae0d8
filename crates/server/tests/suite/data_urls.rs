//! Data from addresses: got where the operator allows it, and nothing that an address does holds anybody up for long.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::running::{KEY, Server, answer, pause, wait_until_async};

const ALLOWED: &[(&str, &str)] = &[
    ("DATA_URL_ENABLED", "true"),
    ("OUTBOUND_PLAIN_HTTP_ALLOWED", "true"),
    ("OUTBOUND_ALLOWED_TARGETS", "127.0.0.1"),
    ("DATA_URL_MAX_BYTES", "1048576"),
    ("DATA_URL_TIMEOUT_MS", "1500"),
];
const SECRET: &str = "hush-hush-of-the-tests";

/// Somebody else's server on this machine, as kind or unkind as its path says.
struct Source {
    port: u16,
    sent_bytes: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Source {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sent_bytes, asked) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (sent, count) = (Arc::clone(&sent_bytes), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (sent, count) = (Arc::clone(&sent), Arc::clone(&count));
                std::thread::spawn(move || drop(serve(stream.unwrap(), &sent, &count)));
            }
        });
        Self { port, sent_bytes, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

/// Answers one request, and closes.
fn serve(mut stream: TcpStream, sent: &AtomicU64, asked: &AtomicU64) -> std::io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut headers) = (String::new(), serde_json::Map::new());
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.into());
    }
    asked.fetch_add(1, Ordering::Relaxed);
    let close = "connection: close\r\n";
    let whole = |status: &str, kind: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{close}\r\n{body}", body.len())
    };
    let json = "application/json";
    match path.as_str() {
        "/ok" => write!(stream, "{}", whole("200 OK", json, &json!({"name": "Ada", "headers": headers}).to_string())),
        "/array" => write!(stream, "{}", whole("200 OK", json, "[1]")),
        "/page" => write!(stream, "{}", whole("200 OK", "text/html", "<p>no data</p>")),
        "/500" => write!(stream, "{}", whole("500 Oh", json, "{\"name\": \"not this\"}")),
        "/inward" => {
            write!(stream, "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n{close}\r\n")
        }
        "/early" => write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: {json}\r\ncontent-length: 1000\r\n{close}\r\n{{\"name\": "),
        "/huge" => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: {json}\r\ncontent-length: {}\r\n{close}\r\n", 100 << 20)?;
            let piece = vec![b' '; 64 * 1024];
            for _ in 0..1600 {
                stream.write_all(&piece)?;
                sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
            Ok(())
        }
        "/slow" => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: {json}\r\ncontent-length: 1000\r\n{close}\r\n")?;
            // Until the other side has had enough.
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(30) {
                stream.write_all(b" ")?;
                stream.flush()?;
                pause();
            }
            Ok(())
        }
        _ => {
            // Hangs until the other side goes.
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            drop(reader.read(&mut [0; 1]));
            Ok(())
        }
    }
}

fn request(url: &str) -> Value {
    json!({"definition": {"key": "page", "name": "Page", "html": "<p>Hello {{name}}{{#each headers}} {{@key}}={{this}};{{/each}}</p>"}, "dataUrl": url})
}

async fn html(server: &Server, body: &Value) -> (u16, String) {
    let sent = reqwest::Client::new().post(server.url("/render/html")).header("X-Api-Key", KEY).json(body).send().await.unwrap();
    (sent.status().as_u16(), sent.text().await.unwrap())
}

#[tokio::test]
async fn data_comes_from_an_address_with_the_headers_of_the_request_which_nobody_else_sees() {
    let (server, source) = (Server::start_with(ALLOWED), Source::start());
    let mut body = request(&source.url("ok"));
    body["dataHeaders"] = json!({"Authorization": SECRET, "X-Region": "eu"});
    body["metadata"] = json!({"of": "url"});
    let (status, text) = html(&server, &body).await;
    assert_eq!(status, 200, "{text}");
    for word in ["Hello Ada", &format!("authorization={SECRET};"), "x-region=eu;", "accept=application/json;"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("x-api-key"), "{text}");

    // A dry run, a batch and a job get it too.
    let mut dry = body.clone();
    dry["dryRun"] = true.into();
    let (status, report) = answer(reqwest::Client::new().post(server.url("/render/html")).header("X-Api-Key", KEY).json(&dry)).await;
    assert_eq!((status, &report["valid"]), (200, &json!(true)), "{report}");
    let batch = server.post("/render/batch/html", &json!({"items": [body, request(&source.url("500"))]})).await;
    let batch: Value = batch.json().await.unwrap();
    assert_eq!((&batch["succeeded"], &batch["results"][1]["error"]["code"]), (&json!(1), &json!("data_fetch_failed")), "{batch}");
    let mut job = body.clone();
    job["format"] = "html".into();
    let id = crate::jobs::submitted(&server, &job).await;
    let ended = crate::jobs::ended(&server, &id).await;
    assert_eq!(ended["status"], json!("completed"), "{ended}");

    let log = wait_until_async("the renders are in the log", async || {
        let text = server.get("/renders?meta=of:url").await.text().await.unwrap();
        (serde_json::from_str::<Value>(&text).unwrap()["total"].as_u64() >= Some(3)).then_some(text)
    })
    .await;
    let audit = server.get("/audit-events").await.text().await.unwrap();
    let job = server.get(&format!("/render/jobs/{id}?include=items")).await.text().await.unwrap();
    for said in [log, audit, job, server.log(), ended.to_string(), report.to_string()] {
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[tokio::test]
async fn an_address_that_hangs_fails_dawdles_breaks_off_or_floods_costs_little_and_has_its_code() {
    let (server, source) = (Server::start_with(ALLOWED), Source::start());
    for (path, status, code) in [
        ("hang", 502, "data_fetch_failed"),
        ("slow", 502, "data_fetch_failed"),
        ("500", 502, "data_fetch_failed"),
        ("early", 502, "data_fetch_failed"),
        ("page", 502, "data_fetch_failed"),
        ("array", 422, "validation_failed"),
        ("huge", 422, "data_source_response_too_large"),
        ("inward", 422, "data_url_rejected"),
    ] {
        let began = Instant::now();
        let (found, text) = html(&server, &request(&source.url(path))).await;
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((found, &told["code"]), (status, &json!(code)), "{path}: {text}");
        assert!(began.elapsed() < Duration::from_secs(8), "{path}: {:?}", began.elapsed());
        assert!(!text.contains("not this") && !text.contains("no data</p>"), "{path}: what came is not shown: {text}");
    }
    let flooded = source.sent_bytes.load(Ordering::Relaxed);
    assert!(flooded < 32 << 20, "of 100 MiB {flooded} bytes were let in");
    assert_eq!(html(&server, &request(&source.url("ok"))).await.0, 200);
    let metrics = server.metrics().await;
    for outcome in ["ok", "timeout", "status", "unreachable", "too_long", "redirected"] {
        let line = format!("pulp_outbound_requests_total{{purpose=\"data\",outcome=\"{outcome}\"}}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn addresses_that_hang_leave_room_for_everybody_else() {
    let (server, source) = (Server::start_with(ALLOWED), Source::start());
    let (url, client) = (server.url("/render/html"), reqwest::Client::new());
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let asking = client.post(&url).header("X-Api-Key", KEY).json(&request(&source.url("hang"))).send();
        asked.spawn(async move { asking.await.unwrap().status().as_u16() });
    }
    wait_until_async("some wait", async || (source.asked.load(Ordering::Relaxed) > 0).then_some(())).await;
    let body = json!({"definition": {"key": "page", "name": "Page", "html": "<p>at once</p>"}});
    let answers = wait_until_async("an ordinary render passes", async || {
        let began = Instant::now();
        let (status, _) = html(&server, &body).await;
        (status == 200).then_some(began.elapsed())
    })
    .await;
    assert!(answers < Duration::from_secs(1), "{answers:?}");
    let statuses = asked.join_all().await;
    assert!(statuses.iter().all(|status| matches!(status, 502 | 503)), "{statuses:?}");
    assert!(statuses.contains(&502) && statuses.contains(&503), "{statuses:?}");
}

#[tokio::test]
async fn what_points_inward_is_refused_alike_and_nobody_is_called_where_the_operator_did_not_allow_it() {
    let source = Source::start();
    let inward = Server::start_with(&[("DATA_URL_ENABLED", "true"), ("OUTBOUND_PLAIN_HTTP_ALLOWED", "true")]);
    let mut told = Vec::new();
    for url in [
        source.url("ok"),
        format!("http://localhost:{}/ok", source.port),
        format!("http://[::1]:{}/ok", source.port),
        format!("http://[::ffff:127.0.0.1]:{}/ok", source.port),
        format!("http://2130706433:{}/ok", source.port),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "http://0.0.0.0/".to_owned(),
        "http://user:pass@example.org/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://example.org/".to_owned(),
    ] {
        let (status, text) = html(&inward, &request(&url)).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &body["code"]), (422, &json!("data_url_rejected")), "{url}: {text}");
        told.push(body["message"].clone());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "the difference would describe the inner network: {told:?}");

    let off = Server::start();
    let (status, text) = html(&off, &request(&source.url("ok"))).await;
    assert!(status == 422 && text.contains("data_url_rejected") && text.contains("DATA_URL_ENABLED"), "{status} {text}");
    let capabilities: Value = off.get("/capabilities").await.json().await.unwrap();
    assert!(!capabilities["features"].as_array().unwrap().contains(&json!("dataUrl")), "{capabilities}");
    let capabilities: Value = inward.get("/capabilities").await.json().await.unwrap();
    assert!(capabilities["features"].as_array().unwrap().contains(&json!("dataUrl")), "{capabilities}");
    assert_eq!(source.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_a_request_says_of_its_data_is_one_thing_and_is_read_strictly() {
    let (server, source) = (Server::start_with(ALLOWED), Source::start());
    let definition = json!({"key": "page", "name": "Page", "html": "x"});
    let id = "ds_0192a00000007000800000000000000a";
    for (more, status, words) in [
        (json!({"data": {}, "dataUrl": source.url("ok")}), 400, vec!["data", "dataUrl"]),
        (json!({"dataRef": id, "dataUrl": source.url("ok")}), 400, vec!["dataUrl", "dataRef"]),
        (json!({"data": {}, "dataRef": id}), 400, vec!["data", "dataRef"]),
        (json!({"dataHeaders": {"a": SECRET}}), 400, vec!["dataHeaders", "dataUrl"]),
        (json!({"dataRef": 7}), 422, vec!["/dataRef"]),
        (json!({"dataUrl": 7}), 422, vec!["/dataUrl"]),
        (json!({"dataUrl": source.url("ok"), "dataHeaders": {"Host": SECRET}}), 422, vec!["/dataHeaders/host"]),
        (json!({"dataUrl": source.url("ok"), "dataHeaders": {"a": format!("{SECRET}\r\nx: y")}}), 422, vec!["/dataHeaders/a"]),
    ] {
        let mut body = more.clone();
        body["definition"] = definition.clone();
        for path in ["/render/html", "/render/pdf"] {
            let answer = server.post(path, &body).await;
            let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert_eq!(found, status, "{more}: {text}");
            for word in &words {
                assert!(text.contains(word), "{word}: {text}");
            }
            assert!(!text.contains(SECRET), "{text}");
        }
    }
    // Null is nothing.
    let (status, text) =
        html(&server, &json!({"definition": definition, "data": {}, "dataRef": null, "dataUrl": null, "dataHeaders": null})).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(source.asked.load(Ordering::Relaxed), 0);
}
