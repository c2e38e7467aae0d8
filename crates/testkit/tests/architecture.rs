//! The arrows between our crates, and who alone may name a heavy dependency, as `cargo metadata` sees them.
#![cfg(test)]

use std::process::Command;

use serde_json::{Value, json};

/// Which of our crates each of our crates may depend on. All arrows point down.
const ARROWS: [(&str, &[&str]); 18] = [
    ("domain", &[]),
    ("expressions", &[]),
    ("embedded_postgres", &[]),
    ("store", &["domain"]),
    ("blobs", &["domain"]),
    ("chromium", &["domain"]),
    ("pdf", &["domain"]),
    ("openid", &["domain"]),
    ("outbound", &["domain"]),
    ("media", &["domain"]),
    ("document", &["domain", "expressions"]),
    ("render", &["domain", "store", "blobs", "chromium", "document", "media", "pdf", "outbound"]),
    ("api", &["domain", "render", "store", "blobs", "document", "media", "openid", "outbound"]),
    ("worker", &["render", "domain", "store", "blobs", "outbound"]),
    (
        "server",
        &[
            "domain",
            "expressions",
            "embedded_postgres",
            "store",
            "blobs",
            "chromium",
            "pdf",
            "document",
            "openid",
            "outbound",
            "render",
            "api",
            "worker",
        ],
    ),
    ("testkit", &["embedded_postgres"]),
    // A measuring tool beside the product: it sees the server from outside.
    ("bench", &["domain"]),
    // Searches for input that breaks a promise; nobody names it.
    ("fuzz", &["document", "domain", "expressions", "media"]),
];

/// The heavy dependencies and the crates that may name each: one, or more where others have reasons of its own. A `*` stands for any ending.
const OWNERS: [(&str, &str); 39] = [
    ("sqlx*", "store"),
    ("jiff-sqlx", "store"),
    ("axum*", "api"),
    ("tower", "api"),
    ("tower-http", "api"),
    ("utoipa*", "api"),
    ("aws-sdk-*", "blobs"),
    ("command-fds", "chromium"),
    ("tokio-rustls", "chromium"),
    ("tokio-rustls", "testkit"),
    ("jsonschema", "document"),
    ("jsonwebtoken", "openid"),
    ("reqwest", "openid"),
    ("reqwest", "outbound"),
    // To the collector of traces, which the operator names.
    ("reqwest", "server"),
    ("aws-lc-rs", "testkit"),
    ("hayro", "pdf"),
    ("image-webp", "pdf"),
    ("jpeg-encoder", "pdf"),
    ("lopdf", "pdf"),
    ("roxmltree", "media"),
    ("roxmltree", "document"),
    ("calamine", "document"),
    ("rust_xlsxwriter", "document"),
    ("csv", "document"),
    ("icu_*", "expressions"),
    ("fixed_decimal", "expressions"),
    ("rust_decimal", "expressions"),
    ("rxing", "expressions"),
    ("pulldown-cmark", "expressions"),
    ("datamatrix", "expressions"),
    ("brotli-decompressor", "media"),
    ("croner", "domain"),
    ("lettre", "worker"),
    ("clap", "server"),
    ("tracing-subscriber", "server"),
    ("tracing-opentelemetry", "server"),
    ("opentelemetry*", "server"),
    ("metrics-exporter-prometheus", "server"),
];

/// What every room may use in its tests, though one alone names it in the product.
const FREE_IN_TESTS: [&str; 1] = ["reqwest"];

/// What computes without waiting names no async runtime.
const WITHOUT_TOKIO: [&str; 5] = ["document", "domain", "expressions", "media", "pdf"];

/// One sentence for everything in the workspace that the three lists above forbid.
fn offences(metadata: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let packages = metadata["packages"].as_array().unwrap();
    let names: Vec<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    for (package, name) in packages.iter().zip(&names) {
        let Some((_, below)) = ARROWS.iter().find(|(room, _)| room == name) else {
            found.push(format!("{name} is not on the list of rooms in testkit/tests/architecture.rs: enter it with its arrows"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let (other, kind) = (dependency["name"].as_str().unwrap(), dependency["kind"].as_str());
            let arrow = format!("{name} -> {other}{}", kind.map_or(String::new(), |kind| format!(" ({kind})")));
            let ours = names.contains(&other);
            if ours && !below.contains(&other) && !(other == "testkit" && kind == Some("dev")) {
                found.push(format!("{arrow}: {name} may only depend on {below:?}, and on testkit in tests"));
            }
            let free = kind == Some("dev") && FREE_IN_TESTS.contains(&other);
            let owners: Vec<&str> =
                OWNERS.iter().filter(|(pattern, _)| !free && !ours && matches(pattern, other)).map(|(_, owner)| *owner).collect();
            if !owners.is_empty() && !owners.contains(name) {
                found.push(format!("{arrow}: only {} may name {other}", owners.join(" and ")));
            }
            if other == "tokio" && WITHOUT_TOKIO.contains(name) {
                found.push(format!("{arrow}: {name} computes and does not wait"));
            }
        }
    }
    found
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

#[test]
fn all_arrows_point_down_and_heavy_things_have_one_owner() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(metadata["packages"].as_array().unwrap().len() > 5, "the workspace was read");
    let found = offences(&metadata);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn workspace(edges: &[(&str, &str, Option<&str>)]) -> Value {
    let packages = ["domain", "store", "api", "render", "testkit", "pdf"].map(|name| {
        let of_it = edges.iter().filter(|(from, ..)| *from == name);
        let dependencies: Vec<_> = of_it.map(|(_, to, kind)| json!({"name": to, "kind": kind})).collect();
        json!({"name": name, "dependencies": dependencies})
    });
    json!({"packages": packages})
}

#[test]
fn each_forbidden_edge_is_named() {
    let forbidden = [
        (("domain", "store", None), "domain -> store: "),
        (("store", "render", None), "store -> render: "),
        (("pdf", "store", Some("dev")), "pdf -> store (dev): "),
        (("api", "testkit", None), "api -> testkit: "),
        (("render", "sqlx", None), "only store may name sqlx"),
        (("store", "utoipa-axum", None), "only api may name utoipa-axum"),
        (("domain", "tokio", None), "domain -> tokio: "),
        (("api", "reqwest", None), "only openid and outbound and server may name reqwest"),
        (("api", "jsonwebtoken", Some("dev")), "only openid may name jsonwebtoken"),
    ];
    for (edge, expected) in forbidden {
        let found = offences(&workspace(&[edge]));
        assert!(found.len() == 1 && found[0].contains(expected), "{edge:?} gave {found:?}");
    }
    assert_eq!(offences(&json!({"packages": [{"name": "utils", "dependencies": []}]})).len(), 1);
}

#[test]
fn allowed_edges_pass() {
    let allowed = [
        ("store", "domain", None),
        ("store", "sqlx", None),
        ("api", "testkit", Some("dev")),
        ("render", "tokio", None),
        ("api", "reqwest", Some("dev")),
    ];
    assert_eq!(offences(&workspace(&allowed)), Vec::<String>::new());
}
