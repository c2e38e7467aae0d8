//! The public Python client, unmodified, against a real server.

use std::process::Command;

use crate::running::{KEY, Server, repository};

#[tokio::test]
async fn the_public_client_creates_renders_and_understands_every_refusal() {
    let python = repository().join("target/client-venv/bin/python");
    assert!(python.exists(), "the client is not installed: run scripts/test once, which makes {}", python.display());
    let server = Server::start();
    let script = repository().join("crates/server/tests/suite/client.py");
    let output = Command::new(python).arg(script).arg(server.url("")).arg(KEY).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}\n{}", server.log());
    assert!(out.ends_with("the client is content\n"), "{out}");
}
