//! Traces as a collector gets them, and a collector that takes none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::running::{KEY, Server, free_port, wait_until_async};

/// One span as it came.
#[derive(Clone, Debug)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    begin_ns: u64,
    end_ns: u64,
    attributes: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
}

/// A message of protocol buffers: its fields by number.
#[derive(Debug, Default)]
struct Message {
    numbers: Vec<(u64, u64)>,
    bytes: Vec<(u64, Vec<u8>)>,
}

impl Message {
    fn read(mut rest: &[u8]) -> Self {
        let mut message = Self::default();
        while !rest.is_empty() {
            let tag = varint(&mut rest);
            match tag & 7 {
                0 => message.numbers.push((tag >> 3, varint(&mut rest))),
                1 => message.numbers.push((tag >> 3, u64::from_le_bytes(take(&mut rest, 8).try_into().unwrap()))),
                2 => {
                    let length = usize::try_from(varint(&mut rest)).unwrap();
                    message.bytes.push((tag >> 3, take(&mut rest, length).to_vec()));
                }
                5 => message.numbers.push((tag >> 3, u32::from_le_bytes(take(&mut rest, 4).try_into().unwrap()).into())),
                other => panic!("wire type {other}"),
            }
        }
        message
    }

    fn all(&self, field: u64) -> impl Iterator<Item = &[u8]> {
        self.bytes.iter().filter(move |(number, _)| *number == field).map(|(_, bytes)| &bytes[..])
    }

    fn messages(&self, field: u64) -> impl Iterator<Item = Self> {
        self.all(field).map(Self::read)
    }

    fn text(&self, field: u64) -> String {
        String::from_utf8(self.all(field).next().unwrap_or_default().to_vec()).unwrap()
    }

    fn hex(&self, field: u64) -> String {
        hex::encode(self.all(field).next().unwrap_or_default())
    }

    fn number(&self, field: u64) -> u64 {
        self.numbers.iter().find(|(number, _)| *number == field).map_or(0, |(_, value)| *value)
    }

    fn attributes(&self, field: u64) -> BTreeMap<String, String> {
        let pair = |pair: Self| {
            let value = pair.messages(2).next().unwrap_or_default();
            let shown = value.numbers.first().map_or_else(|| value.text(1), |(_, number)| number.to_string());
            (pair.text(1), shown)
        };
        self.messages(field).map(pair).collect()
    }
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn take<'b>(rest: &mut &'b [u8], bytes: usize) -> &'b [u8] {
    let (taken, left) = rest.split_at(bytes);
    *rest = left;
    taken
}

fn spans_of(body: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for group in Message::read(body).messages(1) {
        let resource = group.messages(1).next().unwrap_or_default().attributes(1);
        for span in group.messages(2).flat_map(|scope| scope.messages(2).collect::<Vec<_>>()) {
            spans.push(Span {
                trace: span.hex(1),
                id: span.hex(2),
                parent: span.hex(4),
                name: span.text(5),
                kind: span.number(6),
                begin_ns: span.number(7),
                end_ns: span.number(8),
                attributes: span.attributes(9),
                resource: resource.clone(),
            });
        }
    }
    spans
}

/// What came to a collector: the heads of calls, and their spans.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<(Vec<String>, Vec<Span>)>>);

impl Collected {
    fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap().1.clone()
    }

    fn heads(&self) -> Vec<String> {
        self.0.lock().unwrap().0.clone()
    }

    /// The spans of a trace once one with that name has come, which is the last to end.
    async fn trace_with(&self, name: &str, of: impl Fn(&Span) -> bool) -> Vec<Span> {
        let find = async || {
            let spans = self.spans();
            let root = spans.iter().find(|span| span.name == name && of(span))?;
            Some(spans.iter().filter(|span| span.trace == root.trace).cloned().collect())
        };
        wait_until_async(name, find).await
    }
}

/// A collector that takes everything.
async fn collector(port: u16) -> Collected {
    let collected = Collected::default();
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let all = collected.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(stream, all.clone()));
        }
    });
    collected
}

async fn answer_all(mut stream: TcpStream, all: Collected) -> Option<()> {
    let mut kept = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = kept.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut kept).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(kept.drain(..end).collect()).ok()?.to_lowercase();
        let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
        while kept.len() < length {
            if stream.read_buf(&mut kept).await.ok()? == 0 {
                return None;
            }
        }
        let body: Vec<u8> = kept.drain(..length).collect();
        {
            let mut all = all.0.lock().unwrap();
            all.0.push(head);
            all.1.extend(spans_of(&body));
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n").await.ok()?;
    }
}

fn server_that_sends_to(port: u16, more: &[(&'static str, &'static str)]) -> Server {
    let endpoint: &'static str = Box::leak(format!("http://127.0.0.1:{port}").into_boxed_str());
    let settings = [&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)], more].concat();
    Server::start_with(Box::leak(settings.into_boxed_slice()))
}

fn render(server: &Server, traceparent: Option<&str>) -> reqwest::RequestBuilder {
    let body =
        json!({"template": "letter", "data": {"sender": {"name": "A"}, "recipient": {"name": "B"}, "subject": "S", "paragraphs": []}});
    let request = reqwest::Client::new().post(server.url("/render/pdf")).header("X-Api-Key", KEY).json(&body);
    traceparent.into_iter().fold(request, |request, value| request.header("traceparent", value))
}

#[tokio::test]
async fn one_render_is_one_trace_with_its_steps_in_it_and_continues_its_callers() {
    let port = free_port();
    let collected = collector(port).await;
    let server = server_that_sends_to(
        port,
        &[
            ("OTEL_SERVICE_NAME", "letters"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=the%20tests"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=some%20thing"),
        ],
    );
    let (trace, caller) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let asked = Instant::now();
    let answer = render(&server, Some(&format!("00-{trace}-{caller}-01"))).send().await.unwrap();
    let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap();
    let took_ns = u64::try_from(asked.elapsed().as_nanos()).unwrap();

    let spans = collected.trace_with("POST /render/pdf", |span| span.trace == trace).await;
    let root = spans.iter().find(|span| span.kind == 2).expect("the request");
    assert_eq!((root.parent.as_str(), root.name.as_str()), (caller, "POST /render/pdf"));
    let attribute = |name: &str| root.attributes.get(name).map(String::as_str);
    assert_eq!(attribute("request_id"), Some(&*request_id), "{root:?}");
    assert_eq!((attribute("tenant"), attribute("http.response.status_code")), (Some("default"), Some("200")), "{root:?}");
    assert_eq!(root.resource["service.name"], "letters");
    assert_eq!(root.resource["deployment.environment.name"], "the tests");
    assert!(root.resource["service.instance.id"].contains(':'), "{root:?}");
    assert!(collected.heads().iter().all(|head| head.starts_with("post /v1/traces ") && head.contains("x-tenant: some thing")));
    assert!(root.end_ns - root.begin_ns <= took_ns, "it cannot have taken longer than its caller waited");

    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    for name in ["auth", "template", "store.labels.head", "html", "queue", "print", "finish"] {
        let span = named(name);
        let parent = spans.iter().find(|parent| parent.id == span.parent).unwrap_or_else(|| panic!("{name} hangs in the air"));
        assert!(parent.begin_ns <= span.begin_ns && span.end_ns <= parent.end_ns, "{name} is not within {}", parent.name);
        assert!(span.begin_ns < span.end_ns, "{name} took no time");
    }
    assert_eq!(named("store.labels.head").parent, named("template").id);
    // Steps come one after the other, and printing is the bulk of them.
    let order = ["auth", "template", "html", "queue", "print", "finish"];
    for (before, after) in order.iter().zip(&order[1..]) {
        assert!(named(before).end_ns <= named(after).begin_ns, "{before} and {after}");
    }
    let sum: u64 = order.iter().map(|name| named(name).end_ns - named(name).begin_ns).sum();
    let whole = root.end_ns - root.begin_ns;
    assert!(sum <= whole && sum >= whole / 2, "the steps took {sum} ns of {whole} ns");

    // Whose caller says not to is not traced; who says nothing begins a trace.
    let not_sampled = format!("00-{}-{caller}-00", "1af7651916cd43dd8448eb211c80319c");
    assert_eq!(render(&server, Some(&not_sampled)).send().await.unwrap().status(), 200);
    assert_eq!(render(&server, Some("nonsense")).send().await.unwrap().status(), 200);
    for path in ["/health", "/health/ready", "/metrics"] {
        server.get(path).await;
    }
    let own = collected.trace_with("POST /render/pdf", |span| span.trace != trace).await;
    let own_root = own.iter().find(|span| span.kind == 2).unwrap();
    assert!(own_root.parent.is_empty() && own_root.trace.len() == 32, "{own_root:?}");
    assert!(server.log().lines().all(|line| !line.contains("1af7651916cd43dd8448eb211c80319c")));
    let traces: BTreeSet<String> = collected.spans().into_iter().map(|span| span.trace).collect();
    assert_eq!(traces, BTreeSet::from([trace.to_owned(), own_root.trace.clone()]), "nothing else is traced: no health check, no duty");
    let metrics = server.metrics().await;
    assert!(metrics.lines().any(|line| line.starts_with("pulp_trace_spans_total{outcome=\"sent\"}")), "{metrics}");
}

#[tokio::test]
async fn a_collector_that_never_answers_costs_spans_and_no_request_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut held = Vec::new();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let mut server = server_that_sends_to(port, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")]);
    // Many more spans than wait at most.
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let request = reqwest::Client::new().get(server.url("/templates/letter")).header("X-Api-Key", KEY);
        callers.spawn(async move {
            let mut slowest = Duration::ZERO;
            for _ in 0..250 {
                let asked = Instant::now();
                assert_eq!(request.try_clone().unwrap().send().await.unwrap().status(), 200);
                slowest = slowest.max(asked.elapsed());
            }
            slowest
        });
    }
    let slowest = callers.join_all().await.into_iter().max().unwrap();
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let asked = Instant::now();
    assert_eq!(render(&server, None).send().await.unwrap().status(), 200);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let metrics = server.metrics().await;
    let dropped = metrics.lines().find_map(|line| line.strip_prefix("pulp_trace_spans_total{outcome=\"dropped\"} "));
    assert!(dropped.is_some_and(|dropped| dropped.parse::<u64>().unwrap() > 0), "{dropped:?}");
    let stopping = Instant::now();
    server.signal("TERM");
    assert!(server.wait_for_end().success());
    assert!(stopping.elapsed() < Duration::from_secs(20), "{:?}", stopping.elapsed());
}

#[tokio::test]
async fn a_collector_that_comes_later_gets_the_traces_from_then_on() {
    let port = free_port();
    let server = server_that_sends_to(port, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "500")]);
    assert_eq!(render(&server, None).send().await.unwrap().status(), 200);
    let failed = async || server.log().contains("the collector takes no traces").then_some(());
    wait_until_async("the first spans have failed", failed).await;
    assert_eq!(server.log().matches("the collector takes no traces").count(), 1, "{}", server.log());
    let collected = collector(port).await;
    assert_eq!(render(&server, None).send().await.unwrap().status(), 200);
    assert!(collected.trace_with("POST /render/pdf", |_| true).await.len() > 5);
}
