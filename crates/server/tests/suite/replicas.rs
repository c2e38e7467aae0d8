//! What one replica decides holds on the others: told by the database, long before anything known has grown old.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::multipart::Form;
use serde_json::json;
use testkit::postgres::TestDatabase;

use crate::assets::{PNG, part, upload};
use crate::running::{EDITOR_KEY, KEY, Server, answer};

const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
/// A notice takes milliseconds; a busy machine gets some more. What is known would be good for ten minutes.
const SOON: Duration = Duration::from_secs(5);

fn two(database: &TestDatabase, assets: &Path) -> (Server, Server) {
    let url: &'static str = Box::leak(database.url().to_owned().into_boxed_str());
    let assets: &'static str = Box::leak(assets.to_str().unwrap().to_owned().into_boxed_str());
    let settings: &'static [(&str, &str)] = Box::leak(Box::new([
        ("DATABASE_URL", url),
        ("ASSETS_DIR", assets),
        ("MULTI_TENANT_ENABLED", "true"),
        ("API_KEY_SUPER_ADMIN", SUPER_KEY),
        ("EDITOR_TOKEN_SECRET", "a-secret-of-the-tests-for-editor-tokens"),
        ("TENANT_STATUS_CACHE_TTL_MS", "600000"),
        ("EDITOR_USERS_CACHE_TTL_MS", "600000"),
    ]));
    (Server::start_with(settings), Server::start_with(settings))
}

fn request(server: &Server, method: &str, path: &str, key: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", key)
}

/// How long it took until asking gave that status.
async fn until(status: u16, ask: impl AsyncFn() -> u16) -> Duration {
    let started = Instant::now();
    loop {
        let found = ask().await;
        if found == status {
            return started.elapsed();
        }
        assert!(started.elapsed() < SOON, "still {found} and not {status} after {SOON:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_archive_a_key_and_a_token_of_one_replica_count_on_the_other_at_once() {
    let database = TestDatabase::empty().await;
    let assets = tempfile::tempdir().unwrap();
    let (one, other) = two(&database, assets.path());

    let made = request(&one, "POST", "/admin/tenants", SUPER_KEY).json(&json!({"id": "acme", "name": "Acme"}));
    assert_eq!(answer(made).await.0, 201);
    let definition = json!({"key": "sheet", "name": "Sheet", "html": "x"});
    let in_acme = |server: &Server, path: &str| request(server, "POST", path, SUPER_KEY).header("X-PulpEngine-Tenant-Id", "acme");
    let created = until(201, async || answer(in_acme(&other, "/templates").json(&definition)).await.0).await;
    let render = async || answer(in_acme(&other, "/render/html").json(&json!({"template": "sheet"}))).await.0;
    assert_eq!(render().await, 200);
    assert_eq!(answer(request(&one, "POST", "/admin/tenants/acme/archive", SUPER_KEY)).await.0, 200);
    let archived = until(409, render).await;
    let (status, refused) = answer(in_acme(&other, "/templates").json(&definition)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("tenant_archived")));

    // A stranger's guess is remembered as nobody's, and must not keep the key out that is made afterwards.
    let guess = format!("pulp_{}_{}", "0".repeat(22), "A".repeat(43));
    assert_eq!(answer(request(&other, "GET", "/templates", &guess)).await.0, 401);
    let (_, key) = answer(request(&one, "POST", "/admin/api-keys", KEY).json(&json!({"name": "x", "scope": "editor"}))).await;
    let (id, text) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    assert_eq!(answer(request(&other, "GET", "/templates", text)).await.0, 200);
    assert_eq!(answer(request(&one, "POST", &format!("/admin/api-keys/{id}/revoke"), KEY)).await.0, 200);
    let revoked = until(401, async || answer(request(&other, "GET", "/templates", text)).await.0).await;

    let minted = reqwest::Client::new().post(one.url("/auth/editor-token")).json(&json!({"key": EDITOR_KEY, "actor": "ann"}));
    let (_, minted) = answer(minted).await;
    let by_ann = reqwest::Client::new().post(other.url("/templates")).header("X-Editor-Token", minted["token"].as_str().unwrap());
    assert_eq!(answer(by_ann.json(&json!({"key": "anns", "name": "Ann's", "html": "x"}))).await.0, 201);
    let (_, events) = answer(request(&one, "GET", "/audit-events?resourceId=anns", KEY)).await;
    assert_eq!(events["items"][0]["actor"], json!("ann"));
    assert_ne!(events["items"][0]["instanceId"], json!(null), "the row names the replica");
    println!("heard on the other replica: a new tenant {created:?}, its archive {archived:?}, a withdrawn key {revoked:?}");
}

#[tokio::test]
async fn an_asset_that_one_replica_replaces_or_removes_is_so_in_the_next_render_of_the_other() {
    let database = TestDatabase::empty().await;
    let assets = tempfile::tempdir().unwrap();
    let (one, other) = two(&database, assets.path());
    let made = upload(&one, PNG, "logo.png", "image/png").await;
    let id = made["id"].as_str().unwrap();
    let template = json!({"key": "card", "name": "Card", "html": "<img src='asset:logo'>"});
    assert_eq!(answer(request(&one, "POST", "/templates", KEY).json(&template)).await.0, 201);
    let render = async |body: &serde_json::Value| {
        let rendered = request(&other, "POST", "/render/html", KEY).json(body).send().await.unwrap();
        (rendered.status().as_u16(), rendered.text().await.unwrap())
    };
    let card = json!({"template": "card"});
    // What a name means is known for ten seconds from now on; only a notice changes it before.
    let (status, html) = render(&card).await;
    assert!(status == 200 && html.contains("data:image/png;base64,"), "{status} {html}");

    // A name that means nothing is known too.
    let later = json!({"definition": {"key": "x", "name": "X", "html": "<img src='asset:later'>"}});
    assert_eq!(render(&later).await.0, 422);
    upload(&one, PNG, "later.png", "image/png").await;
    let uploaded = until(200, async || render(&later).await.0).await;

    assert_eq!(render(&card).await.0, 200);
    let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='4' height='4'><rect width='4' height='4'/></svg>";
    let form = Form::new().part("file", part(svg, "logo.svg", "image/svg+xml"));
    let replaced = request(&one, "PUT", &format!("/assets/{id}/content"), KEY).multipart(form);
    assert_eq!(answer(replaced).await.0, 200);
    // 1 where the new picture is in the document.
    let replaced = until(1, async || u16::from(render(&card).await.1.contains("data:image/svg+xml;base64,"))).await;

    assert_eq!(answer(request(&one, "DELETE", &format!("/assets/{id}"), KEY)).await.0, 409, "a template names it");
    assert_eq!(answer(request(&one, "DELETE", &format!("/assets/{id}?force=true"), KEY)).await.0, 204);
    let removed = until(422, async || render(&card).await.0).await;
    assert!(render(&card).await.1.contains("asset_blocked"));
    println!("heard on the other replica: a new asset after {uploaded:?}, its next version {replaced:?}, its removal {removed:?}");
}
