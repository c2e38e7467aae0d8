//! TLS to the server: what is accepted, and what is refused in words that name the reason.

use std::error::Error as _;
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use store::{ChangeEvent, ConnectOptions, Store, StoreError, migrate};
use testkit::certificates::Authority;
use testkit::postgres::Cluster;
use tokio::time::timeout;

use crate::fixture::PATIENCE;

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A server that listens on a port.
fn cluster(port: u16, more: &[&str]) -> Cluster {
    let mut settings: Vec<&'static str> = vec!["listen_addresses=127.0.0.1", String::leak(format!("port={port}"))];
    settings.extend(more.iter().map(|setting| &*String::leak((*setting).to_owned())));
    Cluster::start_with(settings.leak())
}

fn url(host: &str, port: u16, mode: &str, authority: Option<&Path>) -> String {
    let authority = authority.map(|file| format!("&sslrootcert={}", file.display())).unwrap_or_default();
    format!("postgres://postgres@{host}:{port}/postgres?sslmode={mode}{authority}")
}

/// What is said of a way that does not work, and that it was said at once.
async fn refusal(url: &str) -> String {
    let started = Instant::now();
    let options = ConnectOptions { acquire_timeout: PATIENCE, ..ConnectOptions::new(url) };
    let error = Store::connect(options).await.unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured { .. }), "{error:?}");
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
    format!("{error}: {}", error.source().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_accepted_from_the_right_authority_for_the_right_host_and_refused_otherwise() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let port = free_port();
    let certificate = ours.certificate("DNS:localhost");
    let files = [format!("ssl_cert_file={}", certificate.file.display()), format!("ssl_key_file={}", certificate.key_file.display())];
    let cluster = cluster(port, &[&files[0], &files[1], "ssl=on"]);
    let (ours, theirs) = (ours.file(), theirs.file());

    let full = url("localhost", port, "verify-full", Some(&ours));
    migrate(&full, PATIENCE).await.unwrap();
    let store = Store::connect(ConnectOptions::new(&full)).await.unwrap();
    let mut changes = store.changes();
    assert_eq!(timeout(PATIENCE, changes.next()).await.unwrap(), Some(ChangeEvent::Reconnected));
    store.ping(PATIENCE).await.unwrap();
    let socket = cluster.url().replace("localhost/", &format!("localhost:{port}/"));
    let mut look = <sqlx::PgConnection as sqlx::Connection>::connect(&socket).await.unwrap();
    let question = "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                    WHERE application_name = 'pulp-engine'";
    let (all, encrypted): (i64, i64) = sqlx::query_as(question).fetch_one(&mut look).await.unwrap();
    assert!(all >= 2 && all == encrypted, "{encrypted} of {all} sessions are encrypted");
    store.close().await;

    // Who the server is, is not asked without `verify`; the host is not by `verify-ca`.
    for accepted in [
        url("127.0.0.1", port, "require", None),
        url("127.0.0.1", port, "require", Some(&theirs)),
        url("127.0.0.1", port, "verify-ca", Some(&ours)),
    ] {
        Store::connect(ConnectOptions::new(&accepted)).await.unwrap().close().await;
    }
    for (wrong, words) in [
        (url("localhost", port, "verify-full", Some(&theirs)), "UnknownIssuer"),
        (url("localhost", port, "verify-ca", Some(&theirs)), "UnknownIssuer"),
        (url("localhost", port, "verify-full", None), "UnknownIssuer"),
        (url("127.0.0.1", port, "verify-full", Some(&ours)), "not valid for name"),
    ] {
        let told = refusal(&wrong).await;
        println!("{told}");
        assert!(told.contains("certificate") && told.contains(words), "{wrong}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_where_tls_is_required_and_used_where_it_is_not() {
    let port = free_port();
    let _cluster = cluster(port, &[]);
    for mode in ["require", "verify-full"] {
        let told = refusal(&url("127.0.0.1", port, mode, None)).await;
        assert!(told.contains("does not support TLS"), "{told}");
    }
    Store::connect(ConnectOptions::new(url("127.0.0.1", port, "prefer", None))).await.unwrap().close().await;
}
