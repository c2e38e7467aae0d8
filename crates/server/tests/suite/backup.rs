//! Backups: a single node becomes a cluster and a cluster a single node, what differs is told, and the rehearsal.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use testkit::pgbouncer::{PgBouncer, Release};
use testkit::postgres::TestDatabase;
use testkit::s3::{ACCESS_KEY_ID, BUCKET, S3Server};

use crate::assets::{PNG, upload};
use crate::running::{KEY, Server, answer, outcome, repository, stderr};

/// The settings of a place, for the server there and for commands.
pub struct Place {
    settings: Vec<(&'static str, String)>,
    pub folder: tempfile::TempDir,
}

impl Place {
    /// A database, and a folder of stored files.
    pub fn with_folder(database: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files").to_str().unwrap().to_owned();
        Self { settings: vec![("DATABASE_URL", database.url().to_owned()), ("ASSETS_DIR", files)], folder }
    }

    /// A database, and a bucket.
    pub fn with_bucket(database: &TestDatabase, s3: &S3Server) -> Self {
        let own = |text: &str| text.to_owned();
        let settings = vec![
            ("DATABASE_URL", own(database.url())),
            ("ASSET_BINARY_STORE", own("s3")),
            ("S3_BUCKET", own(BUCKET)),
            ("S3_REGION", own("us-east-1")),
            ("S3_ACCESS_KEY_ID", own(ACCESS_KEY_ID)),
            ("S3_SECRET_ACCESS_KEY", own("any")),
            ("S3_PATH_STYLE", own("true")),
            ("S3_ENDPOINT", s3.endpoint()),
        ];
        Self { settings, folder: tempfile::tempdir().unwrap() }
    }

    /// An embedded database in a new data folder, and files there.
    pub fn on_one_node() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { settings: vec![("PULP_DATA_DIR", folder.path().to_str().unwrap().to_owned())], folder }
    }

    /// What is written down and looked at.
    pub fn run(&self, arguments: &[&str]) -> Output {
        outcome(arguments, &self.all())
    }

    /// As pairs.
    pub fn all(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// A server there.
    pub fn server(&self) -> Server {
        let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let settings: Vec<(&'static str, &'static str)> = self.settings.iter().map(|(name, value)| (*name, leak(value))).collect();
        Server::start_with(Box::leak(settings.into_boxed_slice()))
    }
}

/// What ended well, with what it printed.
pub fn well(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(output));
    text
}

pub fn manifest(backup: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(backup.join("manifest.json")).unwrap()).unwrap()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The PDF with the picture, of one and the same moment.
async fn pdf(server: &Server) -> Vec<u8> {
    server.pdf_of(&json!({"template": "poster", "label": "prod", "data": {"n": 7}, "now": "2026-01-02T03:04:05Z"})).await
}

fn request(server: &Server, method: &str, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", KEY)
}

async fn made(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = answer(request(server, method, path).json(body)).await;
    assert!(status == 200 || status == 201, "{method} {path}: {status} {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_becomes_a_cluster_and_a_cluster_a_single_node_with_equal_manifests_and_documents() {
    let node = Server::start();
    upload(&node, PNG, "picture.png", "image/png").await;
    made(&node, "POST", "/templates", &json!({"key": "poster", "name": "Poster", "html": "<p>{{n}} <img src='asset:picture'></p>"})).await;
    made(&node, "PUT", "/templates/poster/labels/prod", &json!({"version": "1.0.0"})).await;
    let key = made(&node, "POST", "/admin/api-keys/", &json!({"name": "A program", "scope": "render"})).await;
    let stored = json!({"template": "poster", "data": {"n": 1}, "output": {"store": true, "respondWith": "link"}});
    let document = made(&node, "POST", "/render/pdf", &stored).await;
    let before = pdf(&node).await;

    let backups = tempfile::tempdir().unwrap();
    let (first, second) = (backups.path().join("first"), backups.path().join("second"));
    let node_settings = [("PULP_DATA_DIR", text(node.data_dir()))];
    // While the server goes on.
    let told = well(&outcome(&["backup", "create", "--full", "--output", text(&first)], &node_settings));
    assert!(told.contains("3 templates, 1 assets of 1 tenants") && told.contains("and 2 objects"), "{told}");
    let listed = manifest(&first);
    assert_eq!(listed["counts"]["templates"], 3);
    assert_eq!(listed["templates"][2]["key"], "poster");
    assert_eq!(listed["templates"][2]["currentVersion"], "1.0.0");
    assert_eq!(listed["assets"][0]["filename"], "picture.png");
    assert_eq!((&listed["assets"][0]["sizeBytes"], &listed["assets"][0]["mimeType"]), (&json!(PNG.len()), &json!("image/png")));
    for path in ["manifest.json", "database/users.copy", "objects.jsonl"] {
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(first.join(path)).unwrap());
        assert_eq!(mode & 0o777, 0o600, "{path} holds secrets");
    }

    let (database, s3) = (TestDatabase::empty().await, S3Server::start().unwrap());
    let cluster = Place::with_bucket(&database, &s3);
    let told = well(&cluster.run(&["backup", "restore", text(&first)]));
    assert!(told.contains("restored 3 templates and 1 assets"), "{told}");
    let told = well(&cluster.run(&["backup", "verify", "--deep", text(&first)]));
    assert!(told.contains("rows: 35 of 35 tables are the same") && told.contains("match: 0 differences"), "{told}");
    let replica = cluster.server();
    assert!(pdf(&replica).await == before, "the same bytes from another database and another place of files");
    // Keys that the installation gave out go on working, and so do the documents that it kept.
    let body = json!({"template": "poster", "data": {}});
    let with_key = reqwest::Client::new().post(replica.url("/render/html")).header("X-Api-Key", key["key"].as_str().unwrap());
    assert_eq!(with_key.json(&body).send().await.unwrap().status(), 200, "{key}");
    let id = document["id"].as_str().or_else(|| document["documentId"].as_str()).unwrap_or_else(|| panic!("{document}"));
    assert_eq!(replica.get(&format!("/documents/{id}/content")).await.status(), 200);
    well(&cluster.run(&["backup", "verify", "--deep", text(&first)]));

    // And back, from a bucket into a folder.
    well(&cluster.run(&["backup", "create", "--full", "--output", text(&second)]));
    drop(replica);
    let other = Place::on_one_node();
    well(&other.run(&["backup", "restore", text(&second)]));
    well(&other.run(&["backup", "verify", "--deep", text(&second)]));
    for list in ["templates", "assets", "counts", "migrations"] {
        assert_eq!(manifest(&second)[list], listed[list], "{list}");
    }
    let again = other.run(&["audit", "verify"]);
    assert!(well(&again).contains("default: whole"), "the chain of the audit log is the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_from_a_backup_is_named_counted_and_tolerated() {
    let server = Server::start();
    let settings = [("PULP_DATA_DIR", text(server.data_dir()))];
    let backups = tempfile::tempdir().unwrap();
    let file = backups.path().join("list.json");
    let picture = upload(&server, PNG, "picture.png", "image/png").await;
    well(&outcome(&["backup", "create", "--output", text(&file)], &settings));
    let verify = |more: &[&str]| outcome(&[&["backup", "verify", text(&file)], more].concat(), &settings);
    assert!(well(&verify(&["--deep"])).contains("match"), "a list alone can be compared in depth");

    made(&server, "POST", "/templates", &json!({"key": "new", "name": "New", "html": "<p>new</p>"})).await;
    assert_eq!(request(&server, "DELETE", "/templates/letter").header("If-Match", "\"1.0.0\"").send().await.unwrap().status(), 204);
    let invoice = json!({"key": "invoice", "name": "Another name", "html": "<p>another</p>"});
    let put = request(&server, "PUT", "/templates/invoice").header("If-Match", "\"1.0.0\"").json(&invoice);
    assert_eq!(answer(put).await.0, 200);
    let id = picture["id"].as_str().unwrap();
    assert_eq!(request(&server, "DELETE", &format!("/assets/{id}")).send().await.unwrap().status(), 204);

    let drifted = verify(&[]);
    let told = String::from_utf8_lossy(&drifted.stdout).into_owned();
    assert_eq!(drifted.status.code(), Some(2), "{told}{}", stderr(&drifted));
    for line in ["added    default/new", "removed  default/letter", "changed  default/invoice", "1.0.0 -> 1.0.1", "DRIFT: 4 differences"] {
        assert!(told.contains(line), "{line:?} is missing in\n{told}");
    }
    assert!(told.contains(&format!("removed  default/{id}")), "{told}");
    assert_eq!(verify(&["--tolerance", "3"]).status.code(), Some(2));
    assert_eq!(verify(&["--tolerance", "4"]).status.code(), Some(0));

    // What cannot be read is 1 and never 2.
    let nowhere = backups.path().join("nowhere");
    let unreadable = outcome(&["backup", "verify", text(&nowhere)], &settings);
    assert_eq!(unreadable.status.code(), Some(1));
    assert!(stderr(&unreadable).contains("cannot be read"), "{}", stderr(&unreadable));
    assert_eq!(outcome(&["backup", "verify", text(&file)], &[("PORT", "http")]).status.code(), Some(1), "wrong settings");
    let absent = outcome(&["backup", "verify", text(&file)], &[("PULP_DATA_DIR", text(&nowhere))]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(stderr(&absent).contains("there is no database in PULP_DATA_DIR") && !nowhere.exists(), "{}", stderr(&absent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_past_a_pooler_that_lends_connections_by_the_transaction() {
    let database = TestDatabase::empty().await;
    let Some(pooler) = PgBouncer::start(Release::New, database.url(), &["max_prepared_statements = 200"]) else { return };
    let place = Place::with_folder(&database);
    well(&place.run(&["migrate"]));
    std::fs::create_dir(place.folder.path().join("files")).unwrap();
    let pooler_url = pooler.url(database.url());
    let backup = place.folder.path().join("backup");
    let create = ["backup", "create", "--full", "--output", text(&backup)];
    let alone = outcome(&create, &[("DATABASE_URL", &pooler_url)]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(stderr(&alone).contains("DATABASE_DIRECT_URL") && !backup.exists(), "{}", stderr(&alone));
    well(&outcome(&create, &[("DATABASE_URL", &pooler_url), ("DATABASE_DIRECT_URL", database.url())]));

    let other = TestDatabase::empty().await;
    let Some(pooler) = PgBouncer::start(Release::New, other.url(), &["max_prepared_statements = 200"]) else { return };
    let files: PathBuf = place.folder.path().join("other");
    let settings = [
        ("DATABASE_URL", pooler.url(other.url())),
        ("DATABASE_DIRECT_URL", other.url().to_owned()),
        ("ASSETS_DIR", text(&files).to_owned()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    well(&outcome(&["backup", "restore", text(&backup)], &settings));
    well(&outcome(&["backup", "verify", "--deep", text(&backup)], &settings));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rehearsal_goes_well_from_one_node_into_a_cluster() {
    let (database, s3) = (TestDatabase::empty().await, S3Server::start().unwrap());
    let place = Place::with_bucket(&database, &s3);
    let mut command = Command::new(repository().join("scripts/restore-rehearsal.sh"));
    command.env("PULP_ENGINE", env!("CARGO_BIN_EXE_pulp-engine"));
    command.envs(place.all().iter().map(|(name, value)| (format!("TARGET_{name}"), *value)));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("before.pdf.asset: ") && stderr(&output).contains("The rehearsal went well."), "{}", stderr(&output));
    assert!(s3.count_requests("PUT", "/tenants/default/assets/") > 0, "the files are in the bucket");
}
