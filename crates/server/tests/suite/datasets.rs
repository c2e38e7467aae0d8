//! Datasets from outside: uploaded to one server, rendered from by another, and gone when their time is over.

use std::io::Write as _;
use std::process::Command;

use serde_json::{Value, json};
use testkit::postgres::TestDatabase;

use crate::jobs::{ended, submitted};
use crate::running::{KEY, RENDER_KEY, Server, answer, repository, wait_until_async};

fn definition() -> Value {
    json!({"key": "page", "name": "Page", "html": "<p>Hello {{name}}</p>"})
}

async fn uploaded(server: &Server, query: &str, data: &Value) -> Value {
    let response = server.post(&format!("/datasets{query}"), data).await;
    assert_eq!(response.status(), 201);
    response.json().await.unwrap()
}

async fn sent(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    answer(reqwest::Client::new().post(server.url(path)).header("X-Api-Key", KEY).json(body)).await
}

async fn html(server: &Server, id: &Value) -> (u16, String) {
    let response = server.post("/render/html", &json!({"definition": definition(), "dataRef": id})).await;
    (response.status().as_u16(), response.text().await.unwrap())
}

fn leaked(pairs: &[(&str, &str)]) -> &'static [(&'static str, &'static str)] {
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (&*String::from(*name).leak(), &*String::from(*value).leak())).collect();
    Vec::leak(pairs)
}

#[tokio::test]
async fn what_is_uploaded_to_one_replica_is_rendered_from_by_the_other_in_every_way_there_is() {
    let database = TestDatabase::empty().await;
    let files = tempfile::tempdir().unwrap();
    let settings = leaked(&[("DATABASE_URL", database.url()), ("ASSETS_DIR", files.path().to_str().unwrap()), ("LOG_LEVEL", "info")]);
    let (one, other) = (Server::start_with(settings), Server::start_with(settings));
    let made = uploaded(&one, "?ttlSeconds=600", &json!({"name": "Ada"})).await;
    let id = &made["id"];
    assert_eq!((made["sizeBytes"].as_u64(), made["sha256"].as_str().map(str::len)), (Some(14), Some(64)), "{made}");
    let given: Value = other.get(&format!("/datasets/{}", id.as_str().unwrap())).await.json().await.unwrap();
    let mut expected = made.clone();
    expected["data"] = json!({"name": "Ada"});
    assert_eq!(given, expected);

    for server in [&one, &other] {
        let (status, text) = html(server, id).await;
        assert!(status == 200 && text.contains("Hello Ada"), "{status} {text}");
    }
    let (status, dry) = sent(&other, "/render/pdf", &json!({"definition": definition(), "dataRef": id, "dryRun": true})).await;
    assert_eq!((status, &dry["valid"]), (200, &json!(true)), "{dry}");
    let item = json!({"definition": definition(), "dataRef": id, "now": "2026-11-21T10:00:00Z"});
    let alone = other.pdf_of(&item).await;
    let direct = other.pdf_of(&json!({"definition": definition(), "data": {"name": "Ada"}, "now": "2026-11-21T10:00:00Z"})).await;
    assert_eq!(alone, direct, "the same document as from data");
    let items: Vec<Value> = (0..100).map(|_| item.clone()).collect();
    let before = blob_reads(&other).await;
    assert!(before > 0, "it was read");
    let (status, batch) = sent(&other, "/render/batch/html", &json!({"items": items})).await;
    assert_eq!((status, &batch["succeeded"]), (200, &json!(100)), "{batch}");
    assert_eq!(blob_reads(&other).await, before, "the bytes of a dataset are read once");

    let job = ended(&one, &submitted(&one, &json!({"format": "html", "items": [item, item]})).await).await;
    assert_eq!(job["progress"], json!({"total": 2, "completed": 2, "failed": 0}), "{job}");

    let gone = reqwest::Client::new().delete(one.url(&format!("/datasets/{}", id.as_str().unwrap()))).header("X-Api-Key", RENDER_KEY);
    assert_eq!(gone.send().await.unwrap().status(), 204);
    for server in [&one, &other] {
        let (status, text) = html(server, id).await;
        assert!(status == 404 && text.contains("dataset_not_found"), "{status} {text}");
    }
}

/// How often this replica read stored bytes.
async fn blob_reads(server: &Server) -> u64 {
    let text = server.metrics().await;
    let calls = text.lines().filter(|line| line.starts_with("pulp_blob_calls_total{") && line.contains("call=\"get\""));
    calls.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn uploads_are_any_json_gzip_too_within_their_limits_and_repeated_ones_are_one() {
    let server = Server::start_with(&[
        ("DATASET_MAX_BYTES", "4096"),
        ("DATASET_MAX_COUNT", "6"),
        ("DATASET_MAX_TTL_SECONDS", "1000"),
        ("DATASET_TTL_SECONDS", "500"),
    ]);
    for data in [json!([1, {"a": null}]), json!("text"), json!(null), json!(7.5)] {
        let made = uploaded(&server, "", &data).await;
        let id = made["id"].as_str().unwrap();
        let given: Value = server.get(&format!("/datasets/{id}")).await.json().await.unwrap();
        assert_eq!(given["data"], data);
        let (status, text) = html(&server, &made["id"]).await;
        assert!(status == 422 && text.contains("/dataRef") && text.contains("data is an object"), "{data}: {status} {text}");
        assert_eq!(
            reqwest::Client::new().delete(server.url(&format!("/datasets/{id}"))).header("X-Api-Key", KEY).send().await.unwrap().status(),
            204
        );
    }
    let raw = |body: Vec<u8>, headers: &'static [(&'static str, &'static str)]| {
        let request =
            reqwest::Client::new().post(server.url("/datasets")).header("X-Api-Key", KEY).header("Content-Type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(body);
        async move { answer(request).await }
    };
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(br#"{"name": "Zip"}"#).unwrap();
    let (status, made) = raw(packed.finish().unwrap(), &[("Content-Encoding", "gzip")]).await;
    assert_eq!((status, made["sizeBytes"].as_u64()), (201, Some(15)), "{made}");
    assert!(html(&server, &made["id"]).await.1.contains("Hello Zip"));

    for broken in ["", "{", "{\"a\": 1e999}", "\"\\ud800\"", "nul", "1 2"] {
        let (status, told) = raw(broken.as_bytes().to_vec(), &[]).await;
        assert_eq!((status, &told["code"]), (400, &json!("bad_request")), "{broken}: {told}");
    }
    let (status, told) = raw(["[".repeat(2000), "]".repeat(2000)].concat().into_bytes(), &[]).await;
    assert_eq!(status, 400, "{told}");
    let (status, told) = raw(format!("\"{}\"", "x".repeat(5000)).into_bytes(), &[]).await;
    assert_eq!((status, &told["code"]), (413, &json!("payload_too_large")), "{told}");
    for wrong in ["0", "1001", "-1", "soon"] {
        let (status, told) = sent(&server, &format!("/datasets?ttlSeconds={wrong}"), &json!({})).await;
        assert_eq!((status, &told["issues"][0]["path"]), (422, &json!("/ttlSeconds")), "{wrong}: {told}");
    }

    let (_, first) = raw(b"{}".to_vec(), &[("Idempotency-Key", "k-1")]).await;
    let (status, again) = raw(b"{}".to_vec(), &[("Idempotency-Key", "k-1")]).await;
    assert_eq!((status, &again), (201, &first));
    let (status, told) = raw(b"[]".to_vec(), &[("Idempotency-Key", "k-1")]).await;
    assert_eq!((status, &told["code"]), (409, &json!("idempotency_key_reused")), "{told}");

    for _ in 0..4 {
        uploaded(&server, "", &json!({})).await;
    }
    let (status, told) = sent(&server, "/datasets", &json!({})).await;
    assert_eq!((status, &told["code"]), (409, &json!("dataset_limit_exceeded")), "{told}");
    for id in ["ds_1", "nothing", "ds_0192a00000007000800000000000000a"] {
        let (status, told) = answer(reqwest::Client::new().get(server.url(&format!("/datasets/{id}"))).header("X-Api-Key", KEY)).await;
        assert_eq!((status, &told["code"]), (404, &json!("dataset_not_found")), "{told}");
        assert_eq!(html(&server, &json!(id)).await.0, 404);
    }
}

#[tokio::test]
async fn a_dataset_is_gone_when_its_time_is_over_but_not_for_a_job_that_was_submitted_with_it() {
    let database = TestDatabase::empty().await;
    let files = tempfile::tempdir().unwrap();
    let common = [("DATABASE_URL", database.url()), ("ASSETS_DIR", files.path().to_str().unwrap())];
    // Nobody makes documents of jobs yet.
    let idle = Server::start_with(leaked(&[&common[..], &[("JOB_CONCURRENCY", "0")]].concat()));
    let made = uploaded(&idle, "", &json!({"name": "Ada"})).await;
    let id = &made["id"];
    let job = submitted(&idle, &json!({"format": "html", "definition": definition(), "dataRef": id})).await;
    database.query("UPDATE datasets SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'").await;
    assert_eq!(html(&idle, id).await.0, 404);
    let (status, told) = sent(&idle, "/render/jobs", &json!({"format": "html", "definition": definition(), "dataRef": id})).await;
    assert_eq!((status, &told["code"]), (404, &json!("dataset_not_found")), "{told}");

    let _busy = Server::start_with(leaked(&common));
    let done = ended(&idle, &job).await;
    assert_eq!(done["status"], json!("completed"), "{done}");
    database.query("UPDATE duties SET next_run_at = now() WHERE duty = 'dataset_retention'").await;
    wait_until_async("the row goes", async || (database.query("SELECT count(*) FROM datasets").await == "0").then_some(())).await;

    // Removed by hand, it is gone for jobs too.
    let made = uploaded(&idle, "", &json!({"name": "Bob"})).await;
    let held = submitted_and_removed(&idle, &made["id"], &database).await;
    let failed = ended(&idle, &held).await;
    assert_eq!((&failed["status"], &failed["failureCode"]), (&json!("failed"), &json!("dataset_not_found")), "{failed}");
}

/// A job whose dataset goes before anybody can begin it.
async fn submitted_and_removed(server: &Server, dataset: &Value, database: &TestDatabase) -> String {
    // Whoever claims waits for this moment.
    let later = json!({"format": "html", "definition": definition(), "dataRef": dataset});
    database.query("CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.next_run_at := now() + interval '1 day'; RETURN NEW; END $$; CREATE TRIGGER later BEFORE INSERT ON job_items FOR EACH ROW EXECUTE FUNCTION later()").await;
    let job = submitted(server, &later).await;
    let path = server.url(&format!("/datasets/{}", dataset.as_str().unwrap()));
    assert_eq!(reqwest::Client::new().delete(path).header("X-Api-Key", KEY).send().await.unwrap().status(), 204);
    database.query("DROP TRIGGER later ON job_items; UPDATE job_items SET next_run_at = now() WHERE status = 'pending'").await;
    job
}

#[tokio::test]
async fn the_public_client_uploads_renders_by_reference_and_from_an_address_by_https() {
    let server = Server::start_with(&[
        ("DATA_URL_ENABLED", "true"),
        ("OUTBOUND_ALLOWED_TARGETS", "127.0.0.1"),
        ("OUTBOUND_CA_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/sink/ca.pem")),
    ]);
    let suite = repository().join("crates/server/tests/suite");
    let python = repository().join("target/client-venv/bin/python");
    let output = Command::new(python).arg(suite.join("client_datasets.py")).arg(server.url("")).arg(KEY).arg(suite.join("sink")).output();
    let output = output.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.ends_with("the client is content\n"), "{out}\n{err}\n{}", server.log());
}

#[tokio::test]
async fn the_examples_of_the_page_about_data_do_what_it_says() {
    let server = Server::start();
    assert_eq!(
        server.post("/templates", &json!({"key": "greeting", "name": "Greeting", "html": "<p>Dear {{name}}</p>"})).await.status(),
        201
    );
    let page = std::fs::read_to_string(repository().join("docs/data.md")).unwrap();
    let (_, chapter) = page.split_once("\n## Datasets\n").expect("the chapter");
    let chapter = chapter.split("\n## ").next().unwrap();
    let examples: Vec<&str> = chapter.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty(), "the page has examples");
    let folder = tempfile::tempdir().unwrap();
    let script = format!("set -euo pipefail\n{}", examples.concat().replace("localhost:3000", &format!("127.0.0.1:{}", server.port())));
    let ran = Command::new("bash").arg("-c").arg(&script).env("KEY", KEY).current_dir(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{script}\n{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let letters: Vec<Vec<u8>> = ["first.pdf", "second.pdf"].iter().map(|name| std::fs::read(folder.path().join(name)).unwrap()).collect();
    assert!(letters.iter().all(|letter| letter.starts_with(b"%PDF")));
}
