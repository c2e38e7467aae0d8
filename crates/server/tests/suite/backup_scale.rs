//! A thousand templates and ten thousand assets: how long a backup and its way back take, and how much memory.

use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::stream::{StreamExt as _, iter};
use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::json;
use testkit::postgres::TestDatabase;
use testkit::s3::S3Server;

use crate::assets::{part, send};
use crate::backup::{Place, manifest, text, well};
use crate::running::{KEY, Server, pause, pulp_engine};

const TEMPLATES: usize = 1_000;
const ASSETS: usize = 10_000;
/// Of these the documents are compared.
const RENDERED: usize = 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some minutes, most of them to upload ten thousand assets"]
async fn a_thousand_templates_and_ten_thousand_assets_move_to_an_empty_cluster() {
    let database = TestDatabase::empty().await;
    let place = Place::with_folder(&database);
    let server = place.server();
    let began = Instant::now();
    iter(0..ASSETS)
        .map(|n| {
            let svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"40\"><text y=\"20\">{n}</text></svg>");
            let server = &server;
            async move {
                let form = Form::new().part("file", part(svg.into_bytes(), &format!("picture-{n}.svg"), "image/svg+xml"));
                let answer = send(server, Method::POST, "/assets/upload", form).await;
                assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap_or_default());
            }
        })
        .buffer_unordered(8)
        .collect::<Vec<()>>()
        .await;
    let client = reqwest::Client::new();
    iter(0..TEMPLATES)
        .map(|n| {
            let body = json!({"key": format!("t-{n}"), "name": format!("Template {n}"),
                "html": format!("<p>{n} {{{{x}}}} <img src='asset:picture-{}'> <img src='asset:picture-{}'></p>", n * 10, n * 10 + 1)});
            let asked = client.post(server.url("/templates")).header("X-Api-Key", KEY).json(&body);
            async move { assert_eq!(asked.send().await.unwrap().status(), 201) }
        })
        .buffer_unordered(8)
        .collect::<Vec<()>>()
        .await;
    println!("made in {:.1} s", began.elapsed().as_secs_f64());
    let before = pdfs(&server).await;

    let backup = place.folder.path().join("backup");
    measured("create --full, beside a running server", &place, &["backup", "create", "--full", "--output", text(&backup)]);
    drop(server);
    let (other, s3) = (TestDatabase::empty().await, S3Server::start().unwrap());
    let cluster = Place::with_bucket(&other, &s3);
    measured("restore into an empty Postgres and a bucket", &cluster, &["backup", "restore", text(&backup)]);
    measured("verify", &cluster, &["backup", "verify", text(&backup)]);
    measured("verify --deep", &cluster, &["backup", "verify", "--deep", text(&backup)]);
    let again = place.folder.path().join("again");
    measured("create --full, from a bucket", &cluster, &["backup", "create", "--full", "--output", text(&again)]);
    let (first, second) = (manifest(&backup), manifest(&again));
    for list in ["templates", "assets", "counts", "migrations"] {
        assert_eq!(first[list], second[list], "{list}");
    }
    assert_eq!((first["templates"].as_array().unwrap().len(), first["assets"].as_array().unwrap().len()), (TEMPLATES, ASSETS));
    assert_eq!(first["tables"], second["tables"], "every row, by the checksum of its table");
    assert!(pdfs(&cluster.server()).await == before, "the same bytes");
    well(&cluster.run(&["backup", "verify", "--deep", text(&backup)]));
}

async fn pdfs(server: &Server) -> Vec<Vec<u8>> {
    let mut pdfs = Vec::new();
    for n in (0..TEMPLATES).step_by(TEMPLATES / RENDERED) {
        let request = json!({"template": format!("t-{n}"), "data": {"x": "y"}, "now": "2026-01-02T03:04:05Z"});
        pdfs.push(server.pdf_of(&request).await);
    }
    pdfs
}

/// Runs it, and prints how long it took and how much memory it had at most.
fn measured(what: &str, place: &Place, arguments: &[&str]) {
    let began = Instant::now();
    let mut child = pulp_engine(arguments, &place.all()).stdout(Stdio::null()).spawn().unwrap();
    let (mut peak_kb, deadline) = (0_u64, began + Duration::from_mins(10));
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kb = peak_kb.max(line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "{what}: not done after ten minutes");
        pause();
    };
    assert!(status.success(), "{what}: {status}");
    println!("{what}: {:.1} s, {} MB at most", began.elapsed().as_secs_f64(), peak_kb / 1024);
}
