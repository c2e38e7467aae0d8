//! Messages to others, to a receiver of HTTPS on this machine.

use std::process::Command;

use crate::running::{KEY, Server, repository};

#[tokio::test]
async fn messages_arrive_signed_are_tried_again_and_end_as_dead_letters_and_the_public_client_verifies_them() {
    let server = Server::start_with(&[
        ("OUTBOUND_ALLOWED_TARGETS", "127.0.0.1"),
        ("OUTBOUND_CA_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/sink/ca.pem")),
        ("WEBHOOK_MAX_ATTEMPTS", "2"),
    ]);
    let suite = repository().join("crates/server/tests/suite");
    let python = repository().join("target/client-venv/bin/python");
    let mut command = Command::new(python);
    command.arg(suite.join("client_webhooks.py")).arg(server.url("")).arg(KEY).arg(suite.join("sink"));
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.ends_with("the client is content\n"), "{out}\n{err}\n{}", server.log());
    let log = server.log();
    assert!(!log.contains("the-secret-of-this-job") && !log.contains("a-secret-of-my-own-choice"), "{log}");
}

#[test]
fn a_file_of_certificates_that_cannot_be_used_ends_the_start_and_is_named() {
    let data = tempfile::tempdir().unwrap();
    let wrong = data.path().join("wrong.pem");
    std::fs::write(&wrong, "no certificate").unwrap();
    let settings = [
        ("OUTBOUND_CA_FILE", wrong.to_str().unwrap()),
        ("PULP_DATA_DIR", data.path().to_str().unwrap()),
        ("PORT", "3997"),
        ("API_KEY_ADMIN", KEY),
    ];
    let output = crate::running::outcome(&["serve"], &settings);
    let said = crate::running::stderr(&output);
    assert!(!output.status.success() && said.contains("OUTBOUND_CA_FILE="), "{said}");
}
