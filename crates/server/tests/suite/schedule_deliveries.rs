//! What schedules make arrives: at a mail server that speaks TLS, at a receiver of HTTPS, in a bucket and in a folder; and where it does
//! not, the history says why.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use testkit::s3::{ACCESS_KEY_ID, BUCKET, S3Server};

use crate::running::{KEY, Server, answer, repository, wait_until_async};

/// The receivers, until this is dropped.
pub struct Receivers {
    child: Child,
    taken: PathBuf,
    smtp_port: u16,
    https_port: u16,
}

impl Receivers {
    /// Starts them; what they take is written into that folder.
    pub fn start(folder: &std::path::Path) -> Self {
        let python = repository().join("target/mail-venv/bin/python");
        assert!(python.exists(), "the mail server is not installed: run scripts/test once, which makes {}", python.display());
        let (sink, taken) = (repository().join("crates/server/tests/suite/sink"), folder.join("taken.jsonl"));
        let mut command = Command::new(python);
        command.arg(sink.join("receivers.py")).arg(&sink).arg(&taken).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the receivers start");
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().expect("their output")).read_line(&mut said).expect("their ports");
        let ports: Vec<u16> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [smtp_port, https_port] = ports[..] else { panic!("the receivers said {said:?}") };
        Self { child, taken, smtp_port, https_port }
    }

    /// Where calls go.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.https_port)
    }

    /// What they took so far.
    pub fn taken(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.taken).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn mails(&self) -> Vec<Value> {
        self.taken().into_iter().filter(|taken| taken["smtp"] == json!(true)).collect()
    }

    /// The calls of that path that they took so far.
    pub fn calls(&self, path: &str) -> Vec<Value> {
        self.taken().into_iter().filter(|taken| taken["path"] == json!(path)).collect()
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn leak(text: impl Into<String>) -> &'static str {
    Box::leak(text.into().into_boxed_str())
}

/// Settings of a server that delivers to these receivers, that bucket and that folder.
pub fn settings(receivers: &Receivers, more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/sink/ca.pem");
    let mut settings = vec![
        ("OUTBOUND_ALLOWED_TARGETS", "127.0.0.1"),
        ("OUTBOUND_CA_FILE", certificate),
        ("SMTP_URL", leak(format!("smtp://localhost:{}", receivers.smtp_port))),
        ("SMTP_FROM", "reports@pulp.example"),
        ("SMTP_CA_FILE", certificate),
    ];
    settings.extend(more);
    settings
}

struct Place {
    server: Server,
    receivers: Receivers,
    _folder: tempfile::TempDir,
    files: PathBuf,
    bucket: S3Server,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let receivers = Receivers::start(folder.path());
        let bucket = S3Server::start().unwrap();
        let files = folder.path().join("delivered");
        std::fs::create_dir(&files).unwrap();
        let targets = json!([{"name": "reports", "bucket": BUCKET, "endpoint": bucket.endpoint(), "accessKeyId": ACCESS_KEY_ID, "secretAccessKey": "secret", "pathStyle": true}]);
        let own = [
            ("SCHEDULE_S3_TARGETS", leak(targets.to_string())),
            ("SCHEDULE_DELIVERY_FOLDER", leak(files.to_str().unwrap())),
            ("SCHEDULE_DELIVERY_MAX_ATTEMPTS", "2"),
            ("DOCUMENTS_BASE_URL", "https://pulp.example"),
            ("DATA_URL_ENABLED", "true"),
            ("SCHEDULE_LEASE_MS", "20000"),
        ];
        let server = Server::start_with(Box::leak(settings(&receivers, &own).into_boxed_slice()));
        for (key, html) in [
            ("dear", "<h1>Dear {{name}}</h1>"),
            ("cover", "<p>Good morning {{name}}</p>"),
            ("list", "{{#each people}}{{name}} asked {{{asked}}} as {{as}}{{/each}}"),
        ] {
            assert_eq!(server.post("/templates", &json!({"key": key, "name": key, "html": html})).await.status(), 201);
        }
        Self { server, receivers, _folder: folder, files, bucket }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        answer(reqwest::Client::new().request(method.parse().unwrap(), self.server.url(path)).header("X-Api-Key", KEY).json(body)).await
    }

    async fn schedule(&self, more: Value) -> String {
        let mut whole = json!({
            "name": "Letters", "enabled": false, "cronExpression": "0 8 * * *", "templateKey": "dear",
            "dataSource": {"type": "static", "data": {"name": "Ada"}}, "deliveryTargets": [],
        });
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, made) = self.ask("POST", "/schedules/", &whole).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    async fn trigger(&self, schedule: &str, body: Value) -> String {
        let (status, made) = self.ask("POST", &format!("/schedules/{schedule}/trigger"), &body).await;
        assert_eq!(status, 202, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    async fn execution(&self, schedule: &str, execution: &str) -> Value {
        self.ask("GET", &format!("/schedules/{schedule}/executions/{execution}"), &Value::Null).await.1
    }

    async fn ended(&self, schedule: &str, execution: &str) -> Value {
        let what = format!("the execution ended; {}", self.server.log().lines().rev().take(5).collect::<Vec<_>>().join("\n"));
        wait_until_async(&what, async || {
            let now = self.execution(schedule, execution).await;
            (!now["endedAt"].is_null()).then_some(now)
        })
        .await
    }

    /// Triggers a schedule and waits for the end of that.
    async fn run(&self, more: Value) -> (String, Value) {
        let schedule = self.schedule(more).await;
        let execution = self.trigger(&schedule, json!({})).await;
        let ended = self.ended(&schedule, &execution).await;
        (schedule, ended)
    }
}

#[tokio::test]
async fn what_a_schedule_makes_arrives_everywhere_and_its_history_says_so() {
    let place = Place::new().await;
    let (schedule, ended) = place
        .run(json!({
            "formats": ["pdf", "html"],
            "parameters": {"month": {"type": "string", "value": "October"}},
            "deliveryTargets": [
                {"type": "email", "to": ["ada@example.org"], "cc": ["bob@example.org"], "bcc": ["eve@example.org"], "replyTo": "desk@example.org",
                 "fromName": "The Reports", "subject": "{{parameters.month}} for {{name}}", "body": "Hello {{name}}", "bodyTemplate": {"template": "cover"}, "attachmentName": "for {{name}}"},
                {"type": "webhook", "url": place.receivers.url("/ok"), "secret": "a-secret-of-the-test"},
                {"type": "s3", "bucket": "reports", "key": "{{schedule.name}}/{{execution.key}}report.pdf"},
                {"type": "folder", "folderPath": "out/{{parameters.month}}", "filename": "report"}
            ],
        }))
        .await;
    assert_eq!((&ended["status"], &ended["lastError"]), (&json!("completed"), &Value::Null), "{ended}");
    assert_eq!(ended["resolvedParameters"], json!({"month": "October"}));
    let results = ended["deliveryResults"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    assert!(results.iter().all(|result| result["delivered"] == json!(true) && result["attempts"] == json!(1)), "{ended}");

    let mails = place.receivers.mails();
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!(mail["tls"], json!(true));
    assert_eq!(mail["to"], json!(["ada@example.org", "bob@example.org", "eve@example.org"]));
    let headers = &mail["headers"];
    assert_eq!((&headers["subject"], &headers["bcc"]), (&json!("October for Ada"), &Value::Null), "{headers}");
    assert_eq!(headers["message-id"], json!(format!("<{}@pulp.example>", results[0]["deliveryId"].as_str().unwrap())));
    assert_eq!(mail["texts"]["text/plain"].as_str().unwrap().trim(), "Hello Ada");
    assert!(mail["texts"]["text/html"].as_str().unwrap().contains("Good morning Ada"), "{mail}");
    let attached = mail["attachments"].as_array().unwrap();
    assert_eq!(
        (&attached[0]["name"], &attached[0]["type"], &attached[1]["name"]),
        (&json!("for Ada.pdf"), &json!("application/pdf"), &json!("for Ada.html"))
    );
    assert!(attached[0]["head"].as_str().unwrap().starts_with("%PDF"));

    let calls = place.receivers.calls("/ok");
    let [call] = &calls[..] else { panic!("{calls:?}") };
    let body = call["body"].as_str().unwrap();
    let stamp: i64 = call["headers"]["x-pulpengine-timestamp"].as_str().unwrap().parse().unwrap();
    let signature = domain::webhooks::signatures(&["a-secret-of-the-test"], stamp, body.as_bytes());
    assert_eq!(call["headers"]["x-pulpengine-signature"], json!(signature));
    let told: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&told["scheduleId"], told["files"].as_array().unwrap().len()), (&json!(schedule), 2));
    assert_eq!(told["deliveryId"], results[1]["deliveryId"]);

    assert_eq!(place.bucket.count_requests("PUT", "/blobs/Letters/report.pdf"), 1);
    assert_eq!(place.bucket.count_requests("PUT", "/blobs/Letters/report.html"), 1);
    let file = std::fs::read(place.files.join("default/out/October/report.pdf")).unwrap();
    assert!(file.starts_with(b"%PDF"));

    let (_, jobs) = place.ask("GET", "/render/jobs", &Value::Null).await;
    assert_eq!(jobs["total"], json!(0), "a schedule's job is nobody's: {jobs}");
    let (_, renders) = place.ask("GET", "/renders?source=scheduled", &Value::Null).await;
    assert!(renders["total"].as_u64().unwrap() >= 3, "{renders}");
    assert!(!place.server.log().contains("a-secret-of-the-test"));
}

#[tokio::test]
async fn a_burst_makes_one_document_for_each_and_a_condition_or_a_test_changes_who_gets_it() {
    let place = Place::new().await;
    let customers = json!([{"name": "Ada", "mail": "ada@example.org", "due": 3}, {"name": "Bob", "mail": "bob@example.org", "due": 0}, {"name": "Cy", "mail": "not an address", "due": 1}]);
    let burst = json!({
        "format": "html", "packaging": "zip", "dataSource": {"type": "static", "data": {"customers": customers}},
        "burst": {"itemsPath": "customers", "keyPath": "name", "itemCondition": "due"},
        "deliveryTargets": [{"type": "email", "toPath": "mail", "to": [], "subject": "For {{name}}"}],
        "deliveryCondition": {"skipIfEmpty": "customers"},
    });
    let (schedule, ended) = place.run(burst).await;
    assert_eq!(ended["status"], json!("failed"), "one address is none: {ended}");
    assert_eq!(ended["burstSummary"], json!({"total": 3, "filtered": 1, "truncated": 0, "succeeded": 2, "failed": 0}));
    assert!(ended["lastError"].as_str().unwrap().contains("not an address"), "{ended}");
    let (_, items) =
        place.ask("GET", &format!("/schedules/{schedule}/executions/{}/items", ended["id"].as_str().unwrap()), &Value::Null).await;
    assert_eq!((&items["items"][0]["key"], &items["items"][0]["recipients"]), (&json!("Ada"), &json!(["ada@example.org"])), "{items}");
    let mails = place.receivers.mails();
    assert_eq!((mails.len(), &mails[0]["attachments"][0]["type"]), (1, &json!("application/zip")), "{mails:?}");
    let (_, failures) = place.ask("GET", "/schedules/recent-failures?sinceHours=1", &Value::Null).await;
    assert_eq!((&failures["total"], &failures["items"][0]["id"]), (&json!(1), &ended["id"]));

    let (status, test) = place.ask("POST", &format!("/schedules/{schedule}/test"), &json!({"to": ["me@example.org"]})).await;
    assert_eq!(status, 202, "{test}");
    let tested = place.ended(&schedule, test["executionId"].as_str().unwrap()).await;
    assert_eq!(tested["status"], json!("completed"), "{tested}");
    assert_eq!(place.receivers.mails()[1]["to"], json!(["me@example.org"]), "the first document, and to nobody else");

    let (status, changed) =
        place.ask("PATCH", &format!("/schedules/{schedule}"), &json!({"dataSource": {"type": "static", "data": {"customers": []}}})).await;
    assert_eq!(status, 200, "{changed}");
    let execution = place.trigger(&schedule, json!({})).await;
    let skipped = place.ended(&schedule, &execution).await;
    assert_eq!((&skipped["status"], &skipped["skipReason"]), (&json!("skipped"), &json!("skipIfEmpty: customers is empty")), "{skipped}");

    let (status, preview) = place
        .ask(
            "POST",
            "/schedules/burst/preview",
            &json!({"burst": {"itemsPath": "customers", "maxItems": 1, "onOverflow": "truncate"}, "data": {"customers": customers}}),
        )
        .await;
    assert_eq!((status, &preview["total"], &preview["truncated"]), (200, &json!(3), &json!(2)), "{preview}");
    let (status, refused) =
        place.ask("POST", "/schedules/burst/preview", &json!({"burst": {"itemsPath": "name"}, "data": {"name": "x"}})).await;
    assert_eq!((status, &refused["code"]), (422, &json!("burst_invalid")), "{refused}");
    let (status, tried) = place
        .ask(
            "POST",
            "/schedules/data-source/test",
            &json!({"dataSource": {"type": "static", "dataInput": {"format": "csv", "content": "a,b\n1,2"}}}),
        )
        .await;
    assert_eq!((status, &tried["ok"]), (200, &json!(true)), "{tried}");
}

#[tokio::test]
async fn what_does_not_arrive_is_tried_again_or_is_a_dead_letter_that_can_be_replayed() {
    let place = Place::new().await;
    let mail = |to: &str| json!({"format": "html", "deliveryTargets": [{"type": "email", "to": [to]}]});
    let (_, grey) = place.run(mail("grey@example.org")).await;
    assert_eq!((&grey["status"], &grey["deliveryResults"][0]["attempts"]), (&json!("completed"), &json!(2)), "greylisted once: {grey}");
    let (_, full) = place.run(mail("full@example.org")).await;
    let result = &full["deliveryResults"][0];
    assert_eq!(
        (&full["status"], &result["attempts"], &result["errorCode"]),
        (&json!("failed"), &json!(2), &json!("smtp_deferred")),
        "{full}"
    );
    assert!(full["lastError"].as_str().unwrap().contains("452"), "{full}");
    let (schedule, dead) = place.run(mail("nobody@example.org")).await;
    let result = &dead["deliveryResults"][0];
    assert_eq!((&result["attempts"], &result["errorCode"]), (&json!(1), &json!("smtp_refused")), "for good: {dead}");

    let (_, letters) = place.ask("GET", "/admin/schedule-dlq/?limit=10", &Value::Null).await;
    assert_eq!((&letters["total"], &letters["items"][0]["id"]), (&json!(2), &result["deliveryId"]), "{letters}");
    let path = format!("/admin/schedule-dlq/{}", result["deliveryId"].as_str().unwrap());
    let (_, letter) = place.ask("GET", &path, &Value::Null).await;
    assert_eq!(letter["plan"]["to"], json!(["nobody@example.org"]), "{letter}");
    let (status, replayed) = place.ask("POST", &format!("{path}/replay"), &Value::Null).await;
    assert_eq!((status, &replayed["status"]), (200, &json!("pending")), "{replayed}");
    let again = place.ended(&schedule, dead["id"].as_str().unwrap()).await;
    assert_eq!((&again["status"], &again["deliveryResults"][0]["attempts"]), (&json!("failed"), &json!(2)), "{again}");

    let elsewhere = json!({"deliveryTargets": [{"type": "email", "to": ["ada@example.org"]}]});
    assert_eq!(place.ask("PATCH", &format!("/schedules/{schedule}"), &elsewhere).await.0, 200);
    let (status, mutated) = place.ask("POST", &format!("{path}/replay"), &Value::Null).await;
    assert_eq!((status, &mutated["code"]), (409, &json!("schedule_mutated")), "{mutated}");
    let (status, abandoned) = place.ask("POST", &format!("{path}/abandon"), &Value::Null).await;
    assert_eq!((status, &abandoned["status"]), (200, &json!("abandoned")), "{abandoned}");
    let (status, ended) = place.ask("POST", &format!("{path}/replay"), &Value::Null).await;
    assert_eq!((status, &ended["code"]), (409, &json!("already_terminal")), "{ended}");

    let full_schedule = full["scheduleId"].as_str().unwrap();
    assert_eq!(place.ask("DELETE", &format!("/schedules/{full_schedule}"), &Value::Null).await.0, 204);
    let path = format!("/admin/schedule-dlq/{}/replay", full["deliveryResults"][0]["deliveryId"].as_str().unwrap());
    let (status, gone) = place.ask("POST", &path, &Value::Null).await;
    assert_eq!((status, &gone["code"]), (409, &json!("schedule_gone")), "{gone}");
}

#[tokio::test]
async fn receivers_that_are_broken_and_schedules_whose_label_vanished_leave_their_trace() {
    let place = Place::new().await;
    let call = |path: &str| json!({"format": "html", "deliveryTargets": [{"type": "webhook", "url": place.receivers.url(path), "includeBody": false}]});
    let (_, flaky) = place.run(call("/flaky")).await;
    let calls = place.receivers.calls("/flaky");
    assert_eq!((&flaky["status"], calls.len()), (&json!("completed"), 2), "{flaky}");
    assert_eq!(calls[0]["headers"]["x-pulpengine-delivery-id"], calls[1]["headers"]["x-pulpengine-delivery-id"], "the same id");
    let told: Value = serde_json::from_str(calls[1]["body"].as_str().unwrap()).unwrap();
    assert!(told["files"][0]["url"].as_str().unwrap().starts_with("https://pulp.example/documents/links/"), "{told}");
    let (_, gone) = place.run(call("/gone")).await;
    assert_eq!((&gone["status"], &gone["lastError"]), (&json!("failed"), &json!("answered 404")), "{gone}");

    let (_, unknown) = place.run(json!({"format": "html", "deliveryTargets": [{"type": "s3", "bucket": "not-declared"}]})).await;
    assert!(unknown["lastError"].as_str().unwrap().contains("SCHEDULE_S3_TARGETS"), "{unknown}");
    let (_, out) = place.run(json!({"format": "html", "deliveryTargets": [{"type": "folder", "folderPath": "../../etc"}]})).await;
    assert_eq!((&out["status"], &out["errorCode"]), (&json!("failed"), &json!("folder_refused")), "{out}");

    let label = "/templates/dear/labels/prod";
    let (status, set) = place.ask("PUT", label, &json!({"version": "1.0.0"})).await;
    assert!(status < 300, "{set}");
    let schedule = place.schedule(json!({"templateLabel": "prod"})).await;
    let (status, removed) = place.ask("DELETE", label, &Value::Null).await;
    assert!(status < 300, "{removed}");
    let execution = place.trigger(&schedule, json!({})).await;
    let ended = place.ended(&schedule, &execution).await;
    assert_eq!(ended["status"], json!("failed"), "{ended}");
    assert!(ended["lastError"].as_str().unwrap().contains("has no label \"prod\""), "{ended}");
}

#[tokio::test]
async fn data_is_got_with_secrets_that_nobody_sees_again() {
    let place = Place::new().await;
    let (schedule, ended) = place
        .run(json!({
            "format": "html", "templateKey": "list",
            "parameters": {"month": {"type": "string", "value": "May & June"}},
            "dataSource": {"type": "url", "url": place.receivers.url("/data"), "query": {"month": "{{parameters.month}}"},
                           "headers": {"Authorization": "Bearer a-token-of-the-test"}, "arrayKey": "people"},
            "deliveryTargets": [{"type": "webhook", "url": place.receivers.url("/ok")}],
        }))
        .await;
    assert_eq!(ended["status"], json!("completed"), "{ended}");
    let told: Value = serde_json::from_str(place.receivers.calls("/ok")[0]["body"].as_str().unwrap()).unwrap();
    let file = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, told["files"][0]["content"].as_str().unwrap()).unwrap();
    let page = String::from_utf8(file).unwrap();
    assert!(page.contains("Ada asked /data?month=May%20%26%20June as Bearer a-token-of-the-test"), "{page}");
    let (_, shown) = place.ask("GET", &format!("/schedules/{schedule}"), &Value::Null).await;
    assert!(!shown.to_string().contains("a-token-of-the-test"), "{shown}");
    let (_, tried) = place.ask("POST", "/schedules/data-source/test", &json!({"scheduleId": schedule})).await;
    assert_eq!((&tried["ok"], &tried["shape"]["people"]), (&json!(true), &json!("list of 1")), "{tried}");
    let inward = json!({"dataSource": {"type": "url", "url": "https://10.0.0.1/data"}});
    let (_, refused) = place.ask("POST", "/schedules/data-source/test", &inward).await;
    assert_eq!((&refused["ok"], &refused["errorCode"]), (&json!(false), &json!("data_url_rejected")), "{refused}");
    assert!(!place.server.log().contains("a-token-of-the-test"));
}

#[tokio::test]
async fn a_burst_that_fails_again_and_again_is_given_up_and_a_schedule_that_goes_takes_its_deliveries_with_it() {
    let place = Place::new().await;
    let template = json!({"key": "strict", "name": "S", "html": "{{name}}", "inputSchema": {"type": "object", "required": ["name"]}});
    assert_eq!(place.ask("POST", "/templates", &template).await.0, 201);
    let (schedule, ended) = place
        .run(json!({
            "templateKey": "strict", "format": "html", "dataSource": {"type": "static", "data": {"xs": vec![json!({}); 12]}},
            "burst": {"itemsPath": "xs", "abortAfterConsecutiveFailures": 2}, "deliveryTargets": [{"type": "folder"}],
        }))
        .await;
    assert_eq!((&ended["status"], &ended["burstSummary"]["failed"]), (&json!("failed"), &json!(12)), "{ended}");
    let path = format!("/schedules/{schedule}/executions/{}/items?limit=20", ended["id"].as_str().unwrap());
    let (_, items) = place.ask("GET", &path, &Value::Null).await;
    let aborted = items["items"].as_array().unwrap().iter().filter(|item| item["errorCode"] == json!("burst_aborted")).count();
    assert!((1..=10).contains(&aborted), "{items}");

    let schedule =
        place.schedule(json!({"format": "html", "deliveryTargets": [{"type": "webhook", "url": place.receivers.url("/broken")}]})).await;
    place.trigger(&schedule, json!({})).await;
    wait_until_async("a first attempt", async || (!place.receivers.calls("/broken").is_empty()).then_some(())).await;
    assert_eq!(place.ask("DELETE", &format!("/schedules/{schedule}"), &Value::Null).await.0, 204);
    let (_, letters) = place.ask("GET", &format!("/admin/schedule-dlq?scheduleId={schedule}"), &Value::Null).await;
    assert_eq!((&letters["total"], &letters["items"][0]["errorCode"]), (&json!(1), &json!("schedule_gone")), "{letters}");
}

#[tokio::test]
async fn a_mail_server_that_hangs_holds_nobody_else_up() {
    let place = Place::new().await;
    let both = json!({"format": "html", "deliveryTargets": [{"type": "email", "to": ["hang@example.org"]}, {"type": "webhook", "url": place.receivers.url("/ok")}]});
    let schedule = place.schedule(both).await;
    let execution = place.trigger(&schedule, json!({})).await;
    wait_until_async("the call arrived", async || (place.receivers.calls("/ok").len() == 1).then_some(())).await;
    let ended = place.ended(&schedule, &execution).await;
    let [mail, call] = [&ended["deliveryResults"][0], &ended["deliveryResults"][1]];
    assert_eq!((&ended["status"], &call["delivered"]), (&json!("failed"), &json!(true)), "{ended}");
    assert_eq!((&mail["attempts"], &mail["errorCode"]), (&json!(2), &json!("delivery_timeout")), "{ended}");
}
