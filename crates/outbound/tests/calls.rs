//! Calls to servers on this machine that do what they should not, and names that change their meaning.
#![cfg(test)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::outbound::{OutboundPolicy, PlainHttp};
use futures_util::FutureExt as _;
use outbound::{Call, Lookup, Method, Options, Outbound, OutboundError, TooLong};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server that says the same to everybody, and then waits or closes.
struct Sink {
    port: u16,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
enum Then {
    Closes,
    Hangs,
    Floods,
}

async fn sink(says: &'static str, then: Then) -> Sink {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream, says, then));
        }
    });
    Sink { port, connections }
}

async fn answer(mut stream: TcpStream, says: &'static str, then: Then) {
    let mut read = vec![0; 4096];
    let _ = stream.read(&mut read).await;
    let _ = stream.write_all(says.as_bytes()).await;
    match then {
        Then::Closes => {}
        Then::Hangs => std::future::pending().await,
        Then::Floods => while stream.write_all(&[b'x'; 8_192]).await.is_ok() {},
    }
}

fn outbound(targets: &str, lookup: Lookup) -> Outbound {
    let policy = OutboundPolicy { plain_http: PlainHttp::Allowed, ..OutboundPolicy::default() }.allowing(targets).unwrap();
    Outbound::new(Options { policy, more_certificates: Vec::new(), lookup }).unwrap()
}

fn call(url: &str) -> Call<'_> {
    Call {
        purpose: "test",
        method: Method::Post,
        url,
        headers: &[],
        body: Some(b"{}"),
        timeout: Duration::from_secs(2),
        answer_bytes: 1000,
        too_long: TooLong::Fails,
    }
}

/// Says one thing the first time and another from then on.
fn rebinding(first: IpAddr, then: IpAddr) -> Lookup {
    let asked = Arc::new(AtomicUsize::new(0));
    Lookup::By(Arc::new(move |_| {
        let address = if asked.fetch_add(1, Ordering::SeqCst) == 0 { first } else { then };
        async move { Ok(vec![address]) }.boxed()
    }))
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_anybody_connects_also_when_it_led_elsewhere_a_moment_ago() {
    let sink = sink("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Then::Closes).await;
    let url = format!("http://hooks.example.org:{}/", sink.port);
    let out = outbound("", rebinding("93.184.216.34".parse().unwrap(), HERE));
    out.judge(&url).await.expect("it leads to a public address when it is saved");
    let refused = out.send(call(&url)).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Refused(_)), "{refused:?}");
    assert!(refused.to_string().contains("127.0.0.1"), "the operator sees where it led: {refused}");
    assert!(!refused.told().contains("127.0.0.1"), "a tenant does not: {}", refused.told());
    assert!(matches!(out.judge(&url).await, Err(OutboundError::Refused(_))), "nor can it be saved now");
    for url in ["http://127.0.0.1:1/", "http://[::1]/", "http://169.254.169.254/", "http://localhost/", "file:///etc/passwd"] {
        assert!(matches!(out.send(call(url)).await, Err(OutboundError::Refused(_))), "{url}");
    }
    assert_eq!(sink.connections.load(Ordering::SeqCst), 0);
    // One address of several is enough.
    let both = Lookup::By(Arc::new(|_| async { Ok(vec!["93.184.216.34".parse().unwrap(), HERE]) }.boxed()));
    assert!(matches!(outbound("", both).send(call(&url)).await, Err(OutboundError::Refused(_))));
    assert_eq!(sink.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_on_the_operators_list_is_called_at_the_address_that_was_judged() {
    let sink = sink("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nwait", Then::Closes).await;
    let out = outbound("hooks.internal", rebinding(HERE, "93.184.216.34".parse().unwrap()));
    let answer = out.send(call(&format!("http://hooks.internal:{}/", sink.port))).await.unwrap();
    assert_eq!((answer.status, answer.retry_after, answer.body.as_slice()), (503, Some(Duration::from_secs(7)), &b"wait"[..]));
    assert_eq!(sink.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_receiver_says_in_seconds_or_with_a_moment_how_long_it_wants_to_be_left_alone() {
    let after = async |headers: &str| {
        let here = sink(format!("HTTP/1.1 503 Busy\r\n{headers}content-length: 0\r\n\r\n").leak(), Then::Closes).await;
        let answer = outbound("127.0.0.1", Lookup::System).send(call(&format!("http://127.0.0.1:{}/", here.port))).await.unwrap();
        answer.retry_after.map(|after| after.as_secs())
    };
    let date = "date: Sat, 21 Nov 2026 10:00:00 GMT\r\n";
    assert_eq!(after(&format!("{date}retry-after: Sat, 21 Nov 2026 10:02:05 GMT\r\n")).await, Some(125), "by the receiver's own clock");
    assert_eq!(after(&format!("{date}retry-after: Sat, 21 Nov 2026 09:00:00 GMT\r\n")).await, Some(0), "it is over");
    assert_eq!(after(&format!("{date}retry-after: Fri, 01 Jan 2100 00:00:00 GMT\r\n")).await, Some(86_400), "a day at most");
    assert_eq!(after("retry-after: 99999999999999999\r\n").await, Some(86_400));
    assert_eq!(after("retry-after: Sat, 21 Nov 2026 10:02:05 GMT\r\n").await, None, "nobody knows by which clock");
    assert_eq!(after(&format!("{date}retry-after: soon\r\n")).await, None);
}

#[tokio::test]
async fn a_port_that_is_not_called_is_named_and_nothing_else_of_the_network() {
    let out = outbound("", Lookup::System);
    let refused = out.send(call("http://example.org:22/")).await.unwrap_err();
    assert_eq!(refused.told(), "the URL names port 22, which this server does not call");
    let refused = out.send(call("http://127.0.0.1:8080/")).await.unwrap_err();
    assert_eq!(refused.told(), "the URL leads to an address that this server does not call");
}

#[tokio::test]
async fn a_redirect_is_told_without_its_secrets_and_not_followed() {
    let there = sink("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Then::Closes).await;
    let location = format!("HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:{}/a?token=hush\r\ncontent-length: 0\r\n\r\n", there.port);
    let here = sink(location.leak(), Then::Closes).await;
    let refused = outbound("127.0.0.1", Lookup::System).send(call(&format!("http://127.0.0.1:{}/", here.port))).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Redirected { status: 307, .. }), "{refused:?}");
    assert!(refused.to_string().contains("redirects are not followed") && !refused.to_string().contains("hush"), "{refused}");
    assert_eq!(there.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_that_hangs_floods_or_goes_away_costs_no_more_than_was_said() {
    let out = outbound("127.0.0.1", Lookup::System);
    let began = Instant::now();
    let hangs = sink("", Then::Hangs).await;
    let error = out.send(call(&format!("http://127.0.0.1:{}/", hangs.port))).await.unwrap_err();
    assert!(matches!(error, OutboundError::TimedOut { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    let floods = sink("HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n", Then::Floods).await;
    let url = format!("http://127.0.0.1:{}/", floods.port);
    assert!(matches!(out.send(call(&url)).await, Err(OutboundError::TooLong { limit_bytes: 1000 })));
    let cut = out.send(Call { too_long: TooLong::Cut, ..call(&url) }).await.unwrap();
    assert_eq!((cut.status, cut.body.len()), (200, 1000));

    let half = sink("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", Then::Closes).await;
    let url = format!("http://127.0.0.1:{}/", half.port);
    assert!(matches!(out.send(call(&url)).await, Err(OutboundError::Unreachable(_))));
    assert_eq!(out.send(Call { too_long: TooLong::Cut, ..call(&url) }).await.unwrap().status, 200, "the status was wanted");

    let closes = sink("", Then::Closes).await;
    let error = out.send(call(&format!("http://127.0.0.1:{}/hush", closes.port))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable(_)) && !error.to_string().contains("hush"), "{error:?}");
}

#[test]
fn certificates_that_cannot_be_read_are_refused() {
    let options = Options { more_certificates: b"no certificate".to_vec(), ..Options::default() };
    assert!(Outbound::new(options).is_err());
}
