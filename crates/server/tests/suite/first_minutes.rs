//! What the README promises to somebody who has just started a server.

use serde_json::Value;
use testkit::pdf;

use crate::running::{Server, outcome, repository, stderr};

fn request(example: &str) -> Value {
    let file = repository().join("examples").join(example).join("request.json");
    serde_json::from_slice(&std::fs::read(file).expect("an example")).expect("JSON")
}

#[tokio::test]
async fn a_server_that_was_just_started_prints_its_examples() {
    let server = Server::start();

    let invoice = server.pdf_of(&request("invoice")).await;
    assert_eq!(pdf::page_count(&invoice), 1);
    let words = pdf::words(&invoice);
    for expected in ["INV-2026-0042", "12 Harbour Row", "Zoë Ó Faoláin", "Calibration on site", "€6,018.59", "Page 1 of 1"] {
        assert!(words.contains(expected), "{expected:?} is missing in:\n{words}");
    }

    let letter = server.pdf_of(&request("letter")).await;
    assert_eq!(pdf::page_count(&letter), 1);
    let words = pdf::words(&letter);
    for expected in ["Eastmere Parish Archive", "Restoration of the parish registers", "Yours sincerely", "Estimate, volumes I to IV"] {
        assert!(words.contains(expected), "{expected:?} is missing in:\n{words}");
    }
}

#[tokio::test]
async fn the_start_up_line_says_what_runs_and_where_the_data_is() {
    let server = Server::start();
    let log = server.log();
    let line = log.lines().find(|line| line.contains("Pulp Engine is ready")).unwrap_or_else(|| panic!("no such line in:\n{log}"));
    let line: Value = serde_json::from_str(line).expect("a log line in JSON");
    assert_eq!(line["address"], format!("http://127.0.0.1:{}", server.port()));
    let storage = line["storage"].as_str().unwrap();
    let data_dir = server.data_dir().canonicalize().unwrap();
    assert!(storage.starts_with("embedded PostgreSQL") && storage.contains(data_dir.to_str().unwrap()), "{storage}");
    for field in ["version", "chromium", "sandbox"] {
        assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {line}");
    }
    assert_eq!(line["tabs"], 1);
    assert_eq!(line["examples_loaded"], 2);
}

#[tokio::test]
async fn a_second_server_on_the_same_port_says_which_setting_to_change() {
    let server = Server::start();
    let port = server.port().to_string();
    let output = outcome(&["serve"], &[("PORT", &port)]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.contains(&format!("PORT={port}")) && message.contains("choose another PORT"), "{message}");
}
