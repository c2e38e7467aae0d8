//! What one of three replicas decides, the others do: how soon, over many rounds.

use std::time::Duration;

use reqwest::Client;
use serde_json::json;
use testkit::postgres::TestDatabase;

use crate::replicas_running::{SUPER_KEY, as_of, ask, heard, line, median_and_worst, replicas, said, shared};
use crate::running::{Server, answer};

const ROUNDS: usize = 20;
/// On a machine that does much else. A notice takes some milliseconds, of which the polling is one.
const MEDIAN: Duration = Duration::from_millis(200);
/// Long before anything known has grown old: that takes ten minutes here for credentials and tenants, and ten seconds for templates.
const WORST: Duration = Duration::from_secs(2);

fn judge(what: &str, times: &[Duration]) {
    let (median, worst) = median_and_worst(times);
    println!("{what}: median {median:.1?}, worst {worst:.1?} ({} times)", times.len());
    assert!(times.len() >= ROUNDS && median < MEDIAN && worst < WORST, "{what}: median {median:?}, worst {worst:?}");
}

fn three(database: &TestDatabase, files: &tempfile::TempDir) -> [Server; 3] {
    let settings = [
        ("MULTI_TENANT_ENABLED", "true"),
        ("API_KEY_SUPER_ADMIN", SUPER_KEY),
        ("TENANT_STATUS_CACHE_TTL_MS", "600000"),
        ("EDITOR_USERS_CACHE_TTL_MS", "600000"),
    ];
    replicas(shared(database.url(), files.path(), &settings))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_on_one_replica_ends_all_writes_and_renders_of_the_tenant_on_the_others() {
    let (database, files, client) = (TestDatabase::empty().await, tempfile::tempdir().unwrap(), Client::new());
    let [a, b, c] = three(&database, &files);
    let others = [&b, &c];
    said(201, as_of(&client, &a, "POST", "/admin/tenants", SUPER_KEY).json(&json!({"id": "acme", "name": "Acme"}))).await;
    let in_acme = |server: &Server, path: &str| as_of(&client, server, "POST", path, SUPER_KEY).header("X-PulpEngine-Tenant-Id", "acme");
    said(201, in_acme(&a, "/templates").json(&line("sheet", "x"))).await;
    let rendered = async |server: &Server| answer(in_acme(server, "/render/html").json(&json!({"template": "sheet"}))).await.0;
    let (mut archived, mut back) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for server in others {
            assert_eq!(rendered(server).await, 200);
        }
        said(200, as_of(&client, &a, "POST", "/admin/tenants/acme/archive", SUPER_KEY)).await;
        // Nothing is written any more from the moment of the answer on, whatever the others know.
        let late = line(&format!("late-{round}"), "x");
        let writes = tokio::join!(answer(in_acme(&b, "/templates").json(&late)), answer(in_acme(&c, "/templates").json(&late)));
        for (status, told) in [writes.0, writes.1] {
            assert_eq!((status, &told["code"]), (409, &json!("tenant_archived")), "{told}");
        }
        archived.extend(heard(&others, async |server| rendered(server).await == 409).await);
        said(200, as_of(&client, &a, "POST", "/admin/tenants/acme/unarchive", SUPER_KEY)).await;
        back.extend(heard(&others, async |server| rendered(server).await == 200).await);
    }
    judge("a tenant's archive, until its documents are refused", &archived);
    judge("a tenant's return, until it is rendered for", &back);
    assert_eq!(database.query("SELECT count(*) FROM templates WHERE tenant_id = 'acme'").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_is_moved_and_a_template_that_is_saved_on_one_replica_are_what_the_others_render() {
    let (database, files, client) = (TestDatabase::empty().await, tempfile::tempdir().unwrap(), Client::new());
    let [a, b, c] = three(&database, &files);
    let others = [&b, &c];
    said(201, ask(&client, &a, "POST", "/templates").json(&line("sheet", "the 0th"))).await;
    let words = async |server: &Server, body: serde_json::Value| {
        let answer = ask(&client, server, "POST", "/render/html").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    };
    let (mut saved, mut moved) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let words_of = |number: usize| format!("<p>the {number}th</p>");
        let (now, next) = (format!("\"1.0.{round}\""), words_of(round + 1));
        let definition = line("sheet", &format!("the {}th", round + 1));
        said(200, ask(&client, &a, "PUT", "/templates/sheet").header("If-Match", now).json(&definition)).await;
        let newest = async |server: &Server| words(server, json!({"template": "sheet"})).await.contains(&next);
        saved.extend(heard(&others, newest).await);

        let label = json!({"version": format!("1.0.{round}")});
        said(200, ask(&client, &a, "PUT", "/templates/sheet/labels/prod").json(&label)).await;
        let by_label = async |server: &Server| {
            let request = ask(&client, server, "POST", "/render/html").json(&json!({"template": "sheet", "label": "prod"}));
            request.send().await.unwrap().text().await.unwrap().contains(&words_of(round))
        };
        moved.extend(heard(&others, by_label).await);
    }
    judge("a template's save, until it is rendered", &saved);
    judge("a label's move, until its version is rendered", &moved);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_made_on_one_replica_opens_the_others_and_once_it_is_revoked_none() {
    let (database, files, client) = (TestDatabase::empty().await, tempfile::tempdir().unwrap(), Client::new());
    let [a, b, c] = three(&database, &files);
    let others = [&b, &c];
    let mut revoked = Vec::new();
    for _ in 0..ROUNDS {
        let made = said(201, ask(&client, &a, "POST", "/admin/api-keys").json(&json!({"name": "x", "scope": "editor"}))).await;
        let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
        let comes_in = async |server: &Server| answer(as_of(&client, server, "GET", "/auth/me", key)).await.0;
        for server in others {
            assert_eq!(comes_in(server).await, 200, "from its first use on");
        }
        said(200, ask(&client, &a, "POST", &format!("/admin/api-keys/{id}/revoke"))).await;
        revoked.extend(heard(&others, async |server| comes_in(server).await == 401).await);
    }
    judge("a key's end, until it is refused", &revoked);
}
