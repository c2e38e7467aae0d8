//! The public Python client, unmodified, against a real server.

use std::process::Command;

use crate::running::{KEY, Server, repository};

/// What a script with the client prints, at a server of its own.
fn run(script: &str) -> String {
    let python = repository().join("target/client-venv/bin/python");
    assert!(python.exists(), "the client is not installed: run scripts/test once, which makes {}", python.display());
    let server = Server::start();
    let script = repository().join("crates/server/tests/suite").join(script);
    let output = Command::new(python).arg(script).arg(server.url("")).arg(KEY).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}\n{}", server.log());
    out.into_owned()
}

#[tokio::test]
async fn the_public_client_creates_renders_and_understands_every_refusal() {
    let out = run("client.py");
    assert!(out.ends_with("the client is content\n"), "{out}");
}

#[tokio::test]
async fn every_call_of_the_public_client_about_templates_and_assets_works_or_says_that_it_does_not() {
    let out = run("client_later.py");
    assert!(out.starts_with("missing: "), "{out}");
    println!("{out}");
}

#[tokio::test]
async fn batches_of_the_public_client_come_whole_line_by_line_and_packed() {
    let out = run("client_batches.py");
    assert!(out.ends_with("the client is content\n"), "{out}");
}

#[tokio::test]
async fn documents_of_the_public_client_are_kept_found_fetched_linked_and_removed() {
    let out = run("client_documents.py");
    assert!(out.ends_with("the client is content\n"), "{out}");
}

#[tokio::test]
async fn jobs_of_the_public_client_are_made_downloaded_listed_and_removed() {
    let out = run("client_jobs.py");
    assert!(out.ends_with("the client is content\n"), "{out}");
}

#[tokio::test]
async fn schedules_of_the_public_client_are_made_looked_ahead_of_changed_and_removed() {
    let out = run("client_schedules.py");
    assert!(out.ends_with("the client is content\n"), "{out}");
}

#[tokio::test]
async fn files_of_the_public_client_are_converted_and_rendered_from() {
    let out = run("client_data.py");
    assert!(out.ends_with("the client is content\n"), "{out}");
}
