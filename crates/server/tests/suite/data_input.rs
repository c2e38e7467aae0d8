//! Files with data from outside: shown as data, and rendered from at every door.

use std::process::Command;

use serde_json::{Value, json};
use testkit::pdf::words;

use crate::jobs::{ended, submitted};
use crate::running::{KEY, RENDER_KEY, Server, answer, repository};

const LINES: &str = "item;quantity;price\r\nBolt M4;12;19.99\r\n\"Nut; zinc\";3;0.50\r\n";
const INVOICE: &str =
    "<h1>Invoice</h1><table>{{#each lines}}<tr><td>{{item}}</td><td>{{quantity}}</td><td>{{price}}</td></tr>{{/each}}</table>";

fn lines() -> Value {
    json!({"format": "csv", "content": LINES, "arrayKey": "lines", "types": "infer"})
}

async fn sent(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    answer(reqwest::Client::new().post(server.url(path)).header("X-Api-Key", RENDER_KEY).json(body)).await
}

async fn template(server: &Server) {
    let made = server.post("/templates", &json!({"key": "file-invoice", "name": "Invoice", "html": INVOICE})).await;
    assert_eq!(made.status(), 201);
}

#[tokio::test]
async fn a_file_is_shown_as_the_data_that_a_render_would_have() {
    let server = Server::start();
    let (status, told) = sent(&server, "/data/convert", &lines()).await;
    assert_eq!(status, 200, "{told}");
    let expected = json!({
        "data": {"lines": [{"item": "Bolt M4", "quantity": 12, "price": 19.99}, {"item": "Nut; zinc", "quantity": 3, "price": 0.5}]},
        "stats": {"rows": 2, "warnings": []},
    });
    assert_eq!(told.to_string(), expected.to_string());

    let (status, told) = sent(&server, "/data/convert", &json!({"format": "csv", "content": "a,b\n1,2,3\n"})).await;
    assert_eq!((status, &told["code"], &told["issues"][0]["path"]), (422, &json!("data_input_invalid"), &json!("/content")), "{told}");
    assert!(told["message"].as_str().unwrap().contains("line 2 has 3 fields"), "{told}");
    let (status, told) = sent(&server, "/data/convert", &json!({"format": "csv", "content": "a", "delimter": ";"})).await;
    assert_eq!((status, &told["issues"][0]["path"]), (422, &json!("/delimter")), "{told}");
    let (status, told) = sent(&server, "/data/convert", &json!({"format": "csv", "content": ",".repeat(100_000)})).await;
    assert_eq!((status, &told["code"]), (413, &json!("data_input_too_large")), "{told}");
}

#[tokio::test]
async fn an_invoice_from_a_file_is_the_same_at_every_door_and_as_from_its_data() {
    let server = Server::start();
    template(&server).await;
    let now = "2026-11-21T10:00:00Z";
    let request = json!({"template": "file-invoice", "dataInput": lines(), "now": now});
    let pdf = server.pdf_of(&request).await;
    let shown = words(&pdf);
    for word in ["Bolt M4", "12", "19.99", "Nut; zinc", "0.5"] {
        assert!(shown.contains(word), "{word} is missing: {shown}");
    }
    let (_, told) = sent(&server, "/data/convert", &lines()).await;
    assert_eq!(server.pdf_of(&json!({"template": "file-invoice", "data": told["data"], "now": now})).await, pdf);

    let mut job = request.clone();
    job["format"] = json!("pdf");
    let job = ended(&server, &submitted(&server, &job).await).await;
    assert_eq!(job["status"], json!("completed"), "{job}");
    let content = server.get(job["items"][0]["contentUrl"].as_str().unwrap()).await.bytes().await.unwrap();
    assert_eq!(content.as_ref(), pdf);

    let (status, batch) = sent(
        &server,
        "/render/batch",
        &json!({"items": [request, {"template": "file-invoice", "dataInput": {"format": "csv", "content": "a\n\"b"}}]}),
    )
    .await;
    assert_eq!((status, &batch["succeeded"], &batch["failed"]), (200, &json!(1), &json!(1)), "{batch}");
    assert_eq!(batch["results"][1]["error"]["code"], json!("data_input_invalid"), "{batch}");

    let (status, report) = sent(&server, "/render/pdf", &json!({"template": "file-invoice", "dataInput": lines(), "dryRun": true})).await;
    assert_eq!((status, &report["valid"]), (200, &json!(true)), "{report}");
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_at_each_door() {
    let server = Server::start();
    template(&server).await;
    let both = json!({"template": "file-invoice", "data": {}, "dataInput": lines()});
    let (status, told) = sent(&server, "/render/pdf", &both).await;
    assert_eq!((status, &told["code"]), (400, &json!("bad_request")), "{told}");
    assert!(told["message"].as_str().unwrap().contains("data and dataInput exclude each other"), "{told}");

    let unknown = json!({"format": "xlsx", "content": "", "shet": 1});
    let (status, told) = sent(&server, "/render/html", &json!({"template": "file-invoice", "dataInput": unknown})).await;
    assert_eq!(
        (status, &told["code"], &told["issues"][0]["path"]),
        (422, &json!("data_input_invalid"), &json!("/dataInput/shet")),
        "{told}"
    );
    let (status, told) =
        sent(&server, "/render/jobs", &json!({"format": "pdf", "items": [{"template": "file-invoice", "dataInput": unknown}]})).await;
    assert_eq!((status, &told["issues"][0]["path"]), (422, &json!("/items/0/dataInput/shet")), "{told}");

    // What only the reading shows fails the item, when its time comes.
    let broken = json!({"format": "pdf", "template": "file-invoice", "dataInput": {"format": "xml", "content": "<a>"}});
    let job = ended(&server, &submitted(&server, &broken).await).await;
    assert_eq!((&job["status"], &job["failureCode"]), (&json!("failed"), &json!("data_input_invalid")), "{job}");
}

#[tokio::test]
async fn the_examples_of_the_page_about_files_do_what_it_says() {
    let server = Server::start();
    let page = std::fs::read_to_string(repository().join("docs/data.md")).unwrap();
    let (_, chapter) = page.split_once("\n## Files\n").expect("the chapter");
    let chapter = chapter.split("\n## ").next().unwrap();
    let examples: Vec<&str> = chapter.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 3);
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(repository().join("crates/server/tests/suite/prices.xlsx"), folder.path().join("prices.xlsx")).unwrap();
    let script = format!("set -euo pipefail\n{}", examples.concat().replace("localhost:3000", &format!("127.0.0.1:{}", server.port())));
    let ran = Command::new("bash").arg("-c").arg(&script).env("KEY", KEY).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{script}\n{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    // What each example says that it answers.
    for line in chapter.lines().filter_map(|line| line.strip_prefix("# {")) {
        assert!(said.contains(line), "{line} is missing: {said}");
    }
    let shown = words(&std::fs::read(folder.path().join("prices.pdf")).unwrap());
    assert!(shown.contains("Bolt M4") && shown.contains("19.99"), "{shown}");
}
