//! Stored documents from the render that keeps them to the last download, through servers as people run them.

use domain::document_links::{DocumentLink, Shown};
use domain::secrets::Secret;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use testkit::postgres::TestDatabase;
use testkit::s3::{Fault, S3Server};

use crate::assets::server_with_bucket;
use crate::running::{KEY, RENDER_KEY, Server, answer, wait_until_async};

const LINK_SECRET: &str = "a-secret-of-the-tests-for-links-to-documents";

/// A page with these words.
fn page(words: &str) -> Value {
    json!({"key": "page", "name": "Page", "html": format!("<p>{words}</p>")})
}

/// Renders a PDF with an `output`.
async fn render(server: &Server, words: &str, output: &Value) -> Response {
    server.post("/render/pdf", &json!({"definition": page(words), "output": output})).await
}

/// Renders a PDF that is wanted as a link: what was answered.
async fn link(server: &Server, words: &str, output: Value) -> Value {
    let mut output = output;
    output["store"] = json!(true);
    output["respondWith"] = json!("link");
    let answer = render(server, words, &output).await;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 201, "{body}");
    body
}

async fn ask(server: &Server, method: Method, path: &str, key: &str) -> (u16, Value) {
    answer(reqwest::Client::new().request(method, server.url(path)).header("X-Api-Key", key)).await
}

/// Follows a link as a browser does: without a credential.
async fn follow(url: &str) -> Response {
    reqwest::get(url).await.unwrap()
}

async fn refusal(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

fn said(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_render_is_kept_listed_found_downloaded_and_linked() {
    let server = Server::start();
    let output = json!({"store": true, "filename": "Rechnung ../7", "metadata": {"order": "4711"}});
    let answered = render(&server, "kept", &output).await;
    assert_eq!(answered.status(), 200);
    let id = said(&answered, "x-pulpengine-document-id");
    let pdf = answered.bytes().await.unwrap();
    assert!(pdf.starts_with(b"%PDF"));
    assert_eq!(server.pdf_of(&json!({"definition": page("not kept")})).await[..4], *b"%PDF");

    let listed: Value = server.get("/documents?metadata[order]=4711&format=pdf&source=single").await.json().await.unwrap();
    assert_eq!((&listed["total"], &listed["items"][0]["id"]), (&json!(1), &json!(id)), "{listed}");
    let nothing: Value = server.get("/documents?metadata%5Border%5D=4712").await.json().await.unwrap();
    assert_eq!(nothing["total"], 0);
    let known: Value = server.get(&format!("/documents/{id}")).await.json().await.unwrap();
    assert_eq!((&known["sizeBytes"], &known["pageCount"], &known["downloadCount"]), (&json!(pdf.len()), &json!(1), &json!(0)));
    assert_eq!((known["filename"].as_str(), &known["metadata"]), (Some("Rechnung .._7.pdf"), &json!({"order": "4711"})));
    let (created, expires) = (&known["createdAt"], &known["expiresAt"]);
    let [created, expires] = [created, expires].map(|moment| moment.as_str().unwrap().parse::<Timestamp>().unwrap());
    assert_eq!(expires.duration_since(created), SignedDuration::from_hours(30 * 24));

    let content = server.get(&format!("/documents/{id}/content")).await;
    assert_eq!((content.status().as_u16(), said(&content, "content-type")), (200, "application/pdf".to_owned()));
    assert!(said(&content, "content-disposition").starts_with("attachment; filename=\"Rechnung .._7.pdf\""));
    assert_eq!(said(&content, "cache-control"), "private, no-store");
    assert_eq!(content.bytes().await.unwrap(), pdf);

    let made = server.post(&format!("/documents/{id}/links"), &json!({"ttlSeconds": 60, "disposition": "inline"})).await;
    let made: Value = made.json().await.unwrap();
    let url = made["url"].as_str().unwrap();
    assert!(url.starts_with(&server.url("/documents/links/")), "the whole address: {url}");
    for tenant in [None, Some("default"), Some("elsewhere")] {
        let mut request = reqwest::Client::new().get(url);
        if let Some(tenant) = tenant {
            request = request.header("X-PulpEngine-Tenant-Id", tenant);
        }
        let content = request.send().await.unwrap();
        assert_eq!(content.status(), 200, "{tenant:?}");
        assert!(said(&content, "content-disposition").starts_with("inline"));
        assert_eq!(content.bytes().await.unwrap(), pdf);
    }
    let known: Value = server.get(&format!("/documents/{id}")).await.json().await.unwrap();
    assert_eq!(known["downloadCount"], 4, "{known}");
    assert!(known["lastDownloadedAt"].is_string());
    let events: Value = server.get(&format!("/audit-events?resourceId={id}")).await.json().await.unwrap();
    let told: Vec<&str> = events["items"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["document.link-created", "document.stored"]);
}

#[tokio::test]
async fn a_link_is_the_whole_answer_and_html_opens_locked_in() {
    let server = Server::start();
    let made = link(&server, "linked", json!({"linkTtlSeconds": 30, "ttlSeconds": 3600})).await;
    let [expires, link_expires] =
        ["expiresAt", "downloadUrlExpiresAt"].map(|name| made[name].as_str().unwrap().parse::<Timestamp>().unwrap());
    assert!(expires.duration_since(link_expires) > SignedDuration::from_mins(50), "{made}");
    let pdf = follow(made["downloadUrl"].as_str().unwrap()).await.bytes().await.unwrap();
    assert_eq!((made["sizeBytes"].as_u64(), &made["pageCount"]), (Some(pdf.len() as u64), &json!(1)));

    let late = link(&server, "no link outlives it", json!({"ttlSeconds": 5, "linkTtlSeconds": 5000})).await;
    let [expires, link_expires] =
        ["expiresAt", "downloadUrlExpiresAt"].map(|name| late[name].as_str().unwrap().parse::<Timestamp>().unwrap());
    assert!(link_expires <= expires, "{late}");

    let body = json!({"definition": page("<script>alert(1)</script>"), "options": {"disposition": "inline"},
                      "output": {"store": true, "respondWith": "link"}});
    let made: Value = server.post("/render/html", &body).await.json().await.unwrap();
    let html = follow(made["downloadUrl"].as_str().unwrap()).await;
    assert_eq!(said(&html, "content-type"), "text/html; charset=utf-8");
    assert!(said(&html, "content-security-policy").starts_with("sandbox;"));
    assert_eq!((said(&html, "x-content-type-options"), said(&html, "referrer-policy")), ("nosniff".to_owned(), "no-referrer".to_owned()));

    for (output, place) in [
        (json!({"store": true, "ttlSeconds": 400 * 24 * 3600}), "/output/ttlSeconds"),
        (json!({"store": true, "maxDownloads": 0}), "/output/maxDownloads"),
        (json!({"store": true, "respondwith": "link"}), "/output/respondwith"),
    ] {
        let answer = render(&server, "x", &output).await;
        assert_eq!(answer.status(), 422, "{output}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["issues"][0]["path"], place, "{body}");
    }
    let listed: Value = server.get("/documents").await.json().await.unwrap();
    assert_eq!(listed["total"], 3, "what is refused is not kept");
    let dry = server.post("/render/pdf", &json!({"definition": page("x"), "dryRun": true, "output": {"store": true}})).await;
    assert_eq!(dry.status(), 200);
    let listed: Value = server.get("/documents").await.json().await.unwrap();
    assert_eq!(listed["total"], 3, "nor is a dry run");
}

#[tokio::test]
async fn parts_are_given_where_downloads_are_not_limited_and_only_beginnings_count() {
    let server = Server::start();
    let made = link(&server, "in parts", json!({})).await;
    let (url, id) = (made["downloadUrl"].as_str().unwrap(), made["documentId"].as_str().unwrap());
    let whole = follow(url).await.bytes().await.unwrap();
    let part = async |url: &str, range: &str| reqwest::Client::new().get(url).header("Range", range).send().await.unwrap();
    let some = part(url, "bytes=100-199").await;
    assert_eq!((some.status().as_u16(), said(&some, "content-range")), (206, format!("bytes 100-199/{}", whole.len())));
    assert_eq!(some.bytes().await.unwrap(), whole[100..200]);
    assert_eq!(part(url, "bytes=0-9").await.bytes().await.unwrap(), whole[..10]);
    let behind = part(url, &format!("bytes={}-", whole.len())).await;
    assert_eq!((behind.status().as_u16(), said(&behind, "content-range")), (416, format!("bytes */{}", whole.len())));
    let head = reqwest::Client::new().head(url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), said(&head, "content-length")), (200, whole.len().to_string()));
    let known: Value = server.get(&format!("/documents/{id}")).await.json().await.unwrap();
    assert_eq!(known["downloadCount"], 2, "the whole, and the part that begins at the beginning");

    let limited = link(&server, "whole", json!({"maxDownloads": 1})).await;
    let url = limited["downloadUrl"].as_str().unwrap();
    assert_eq!(reqwest::Client::new().head(url).send().await.unwrap().status(), 200);
    let some = part(url, "bytes=100-199").await;
    assert_eq!((some.status().as_u16(), said(&some, "accept-ranges")), (200, String::new()), "it comes whole, and counts");
    assert_eq!(some.bytes().await.unwrap().len() as u64, limited["sizeBytes"].as_u64().unwrap());
    assert_eq!(refusal(part(url, "bytes=100-199").await).await, (410, "document_link_expired".to_owned()));
}

fn leaked(pairs: &[(&str, &str)]) -> &'static [(&'static str, &'static str)] {
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (&*String::from(*name).leak(), &*String::from(*value).leak())).collect();
    Vec::leak(pairs)
}

#[tokio::test]
async fn of_many_who_follow_a_link_on_two_replicas_exactly_as_many_get_the_document_as_may() {
    let database = TestDatabase::empty().await;
    let files = tempfile::tempdir().unwrap();
    let settings = leaked(&[("DATABASE_URL", database.url()), ("ASSETS_DIR", files.path().to_str().unwrap())]);
    let (one, other) = (Server::start_with(settings), Server::start_with(settings));
    for round in 0..5 {
        let made = link(&one, &format!("round {round}"), json!({"maxDownloads": 3})).await;
        let path = made["downloadUrl"].as_str().unwrap().strip_prefix(&one.url("")).unwrap().to_owned();
        assert_eq!(follow(&one.url(&path)).await.status(), 200);
        assert_eq!(follow(&other.url(&path)).await.status(), 200, "what one signs, the other believes");
        // One is left.
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..16 {
            let url = if number % 2 == 0 { one.url(&path) } else { other.url(&path) };
            asked.spawn(async move {
                let answer = follow(&url).await;
                (answer.status().as_u16(), answer.bytes().await.unwrap().len() as u64)
            });
        }
        let answers = asked.join_all().await;
        let got: Vec<u64> = answers.iter().filter(|(status, _)| *status == 200).map(|(_, bytes)| *bytes).collect();
        assert_eq!(got, [made["sizeBytes"].as_u64().unwrap()], "round {round}: {answers:?}");
        assert_eq!(answers.iter().filter(|(status, _)| *status == 410).count(), 15, "{answers:?}");
        let id = made["documentId"].as_str().unwrap();
        let known: Value = other.get(&format!("/documents/{id}")).await.json().await.unwrap();
        assert_eq!((&known["downloadCount"], &known["maxDownloads"]), (&json!(3), &json!(3)));
        // Whoever has a credential meets the same limit.
        assert_eq!(refusal(one.get(&format!("/documents/{id}/content")).await).await, (410, "document_link_expired".to_owned()));
    }
}

#[tokio::test]
async fn links_that_are_forged_over_revoked_or_lead_nowhere_are_told_apart() {
    let server = Server::start_with(&[("DOCUMENT_LINK_SECRET", LINK_SECRET), ("DOCUMENTS_BASE_URL", "https://files.example/pulp/")]);
    let made = link(&server, "linked", json!({})).await;
    let (url, id) = (made["downloadUrl"].as_str().unwrap(), made["documentId"].as_str().unwrap());
    let token = url.strip_prefix("https://files.example/pulp/documents/links/").expect("the operator's address");
    let path = |token: &str| server.url(&format!("/documents/links/{token}"));
    assert_eq!(follow(&path(token)).await.status(), 200);

    let invalid = (404, "document_link_invalid".to_owned());
    let (claims, signature) = token.rsplit_once('.').unwrap();
    let other = link(&server, "another", json!({})).await;
    let foreign = other["downloadUrl"].as_str().unwrap().rsplit_once('.').unwrap().1;
    let swapped = if signature.starts_with('A') { "B" } else { "A" };
    for forged in [
        format!("{claims}.{foreign}"),
        format!("{claims}.{swapped}{}", &signature[1..]),
        format!("{token}x"),
        format!("{token}."),
        claims.to_owned(),
        "dl1".to_owned(),
        "x".repeat(5_000),
        id.to_owned(),
    ] {
        assert_eq!(refusal(follow(&path(&forged)).await).await, invalid, "{forged}");
    }
    let signed = |document: &str, version, seconds: i64, secret: &str| {
        let link = DocumentLink {
            tenant: "default".parse().unwrap(),
            document: serde_json::from_value(json!(document)).unwrap(),
            version,
            shown: Shown::Inline,
            expires_at: Timestamp::from_second(domain::Clock::system().now().as_second() + seconds).unwrap(),
        };
        link.sign(&Secret::new(secret).unwrap())
    };
    assert_eq!(follow(&path(&signed(id, 1, 60, LINK_SECRET))).await.status(), 200, "whoever has the secret signs");
    assert_eq!(refusal(follow(&path(&signed(id, 1, 60, "another-secret-of-the-tests-for-links"))).await).await, invalid);
    let expired = (410, "document_link_expired".to_owned());
    assert_eq!(refusal(follow(&path(&signed(id, 1, -1, LINK_SECRET))).await).await, expired);
    let gone = (410, "render_artifact_expired".to_owned());
    assert_eq!(refusal(follow(&path(&signed("0192a000-0000-7000-8000-000000000000", 1, 60, LINK_SECRET))).await).await, gone);

    let (status, revoked) = ask(&server, Method::POST, &format!("/documents/{id}/links/revoke"), KEY).await;
    assert_eq!((status, &revoked["linkVersion"]), (200, &json!(2)));
    assert_eq!(refusal(follow(&path(token)).await).await, invalid, "revoked");
    let (_, again) = ask(&server, Method::POST, &format!("/documents/{id}/links"), KEY).await;
    let again = again["url"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    assert_eq!(follow(&path(&again)).await.status(), 200, "a new one works");
    assert_eq!(ask(&server, Method::DELETE, &format!("/documents/{id}"), KEY).await.0, 204);
    assert_eq!(refusal(follow(&path(&again)).await).await, gone);
    assert_eq!(ask(&server, Method::GET, &format!("/documents/{id}/content"), KEY).await.0, 404);
    assert_eq!(ask(&server, Method::DELETE, &format!("/documents/{id}"), KEY).await.0, 404);

    let short = link(&server, "short", json!({"ttlSeconds": 2})).await;
    let (id, url) = (short["documentId"].as_str().unwrap(), short["downloadUrl"].as_str().unwrap());
    wait_until_async("its time is over", async || {
        (ask(&server, Method::GET, &format!("/documents/{id}"), KEY).await.0 == 404).then_some(())
    })
    .await;
    assert_eq!(refusal(follow(&path(url.rsplit_once('/').unwrap().1)).await).await, expired);
    let late = signed(id, 1, 60, LINK_SECRET);
    assert_eq!(refusal(follow(&path(&late)).await).await, gone);
    let log = server.log();
    assert!(!log.contains(signature), "no link is in the log");
}

#[tokio::test]
async fn forged_links_count_as_guesses_of_their_address_and_good_ones_go_on_working() {
    let server = Server::start_with(&[("AUTH_FAILURES_PER_MINUTE", "3")]);
    let made = link(&server, "linked", json!({})).await;
    let url = made["downloadUrl"].as_str().unwrap();
    for expected in [404, 404, 404, 429] {
        assert_eq!(follow(&format!("{url}x")).await.status(), expected);
    }
    let slowed = follow(&server.url("/documents/links/x")).await;
    assert!(slowed.headers().contains_key("retry-after"));
    assert_eq!(refusal(slowed).await, (429, "rate_limited".to_owned()));
    assert_eq!(follow(url).await.status(), 200);
}

#[tokio::test]
async fn a_key_sees_what_was_stored_with_it_and_a_limited_one_only_of_its_templates() {
    let server = Server::start();
    for key in ["bill", "note"] {
        let definition = json!({"key": key, "name": key, "html": "<p>x</p>"});
        assert_eq!(server.post("/templates", &definition).await.status(), 201);
    }
    let keep = async |key: &str, template: &str| {
        let body = json!({"template": template, "output": {"store": true}});
        let request = reqwest::Client::new().post(server.url("/render/html")).header("X-Api-Key", key).json(&body);
        said(&request.send().await.unwrap(), "x-pulpengine-document-id")
    };
    let limited = json!({"name": "x", "scope": "admin", "allowedTemplates": ["bill"]});
    let limited: Value = server.post("/admin/api-keys", &limited).await.json().await.unwrap();
    let limited = limited["key"].as_str().unwrap_or_else(|| panic!("{limited}"));
    let (of_admin, of_render) = (keep(KEY, "note").await, keep(RENDER_KEY, "bill").await);
    let total = async |key: &str| ask(&server, Method::GET, "/documents", key).await.1["total"].clone();
    assert_eq!((total(KEY).await, total(RENDER_KEY).await, total(limited).await), (json!(2), json!(1), json!(1)));
    let status = async |key: &str, method: Method, path: String| ask(&server, method, &path, key).await.0;
    for path in ["", "/content"] {
        let of = |id: &str| format!("/documents/{id}{path}");
        assert_eq!(status(RENDER_KEY, Method::GET, of(&of_admin)).await, 404, "of somebody else");
        assert_eq!(status(RENDER_KEY, Method::GET, of(&of_render)).await, 200);
        assert_eq!(status(limited, Method::GET, of(&of_admin)).await, 403, "of another template");
        assert_eq!(status(limited, Method::GET, of(&of_render)).await, 200);
        assert_eq!(status(KEY, Method::GET, of(&of_render)).await, 200);
    }
    for act in ["links", "links/revoke"] {
        assert_eq!(status(RENDER_KEY, Method::POST, format!("/documents/{of_admin}/{act}")).await, 404);
        assert_eq!(status(limited, Method::POST, format!("/documents/{of_admin}/{act}")).await, 403);
        assert!(status(RENDER_KEY, Method::POST, format!("/documents/{of_render}/{act}")).await < 300);
    }
    assert_eq!(status(RENDER_KEY, Method::DELETE, format!("/documents/{of_render}")).await, 403);
    assert_eq!(status(limited, Method::DELETE, format!("/documents/{of_admin}")).await, 403);

    // A page that anybody can open keeps nothing.
    let token: Value = server.post("/render-tokens", &json!({"templates": ["note"], "formats": ["html"]})).await.json().await.unwrap();
    let as_page = |method: Method, path: &str| {
        let request = reqwest::Client::new().request(method, server.url(path));
        request.header("Authorization", format!("Bearer {}", token["token"].as_str().unwrap()))
    };
    let body = json!({"template": "note", "output": {"store": true}});
    let (status, refused) = answer(as_page(Method::POST, "/render/html").json(&body)).await;
    assert_eq!((status, &refused["code"]), (403, &json!("render_token_constraint")), "{refused}");
    assert_eq!(answer(as_page(Method::GET, "/documents")).await.0, 403);
}

#[tokio::test]
async fn while_the_bucket_is_away_nothing_is_kept_and_no_download_is_counted() {
    let s3 = S3Server::start().unwrap();
    let server = server_with_bucket(s3.endpoint());
    let made = link(&server, "before", json!({"maxDownloads": 1})).await;
    let (url, id) = (made["downloadUrl"].as_str().unwrap(), made["documentId"].as_str().unwrap());
    s3.set_fault(Fault::Closed);
    let away = render(&server, "not kept", &json!({"store": true})).await;
    assert!(away.headers().contains_key("retry-after"));
    assert_eq!(refusal(away).await, (503, "service_unavailable".to_owned()));
    assert_eq!(server.pdf_of(&json!({"definition": page("as ever")})).await[..4], *b"%PDF", "what is not kept renders");
    assert_eq!(refusal(follow(url).await).await, (503, "service_unavailable".to_owned()));
    let listed: Value = server.get("/documents").await.json().await.unwrap();
    assert_eq!((&listed["total"], &listed["items"][0]["downloadCount"]), (&json!(1), &json!(0)), "{listed}");
    s3.set_fault(Fault::None);
    assert_eq!(follow(url).await.status(), 200, "the one download is still there");
    assert_eq!(follow(url).await.status(), 410);
    assert_eq!(ask(&server, Method::GET, &format!("/documents/{id}"), KEY).await.1["downloadCount"], 1);
}

#[tokio::test]
async fn what_a_tenant_may_keep_counts_documents_too_and_each_content_once() {
    let server = Server::start_with(&[("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", "a-super-admin-key-of-the-tests")]);
    let as_root = |method: Method, path: &str| {
        reqwest::Client::new().request(method, server.url(path)).header("X-Api-Key", "a-super-admin-key-of-the-tests")
    };
    let acme = |method: Method, path: &str| as_root(method, path).header("X-PulpEngine-Tenant-Id", "acme");
    assert_eq!(answer(as_root(Method::POST, "/admin/tenants").json(&json!({"id": "acme", "name": "Acme"}))).await.0, 201);
    let keep = async |words: &str| {
        let body = json!({"definition": page(words), "output": {"store": true, "respondWith": "link"}, "now": "2026-11-21T10:00:00Z"});
        answer(acme(Method::POST, "/render/html").json(&body)).await
    };
    let (status, first) = keep("one").await;
    assert_eq!(status, 201, "{first}");
    let room = first["sizeBytes"].as_u64().unwrap() + 10;
    let limited = as_root(Method::PATCH, "/admin/tenants/acme").json(&json!({"quotas": {"storageBytes": room}}));
    assert_eq!(answer(limited).await.0, 200);
    assert_eq!(keep("one").await.0, 201, "the same bytes take no more room");
    let (status, full) = keep("two").await;
    assert_eq!((status, &full["code"]), (409, &json!("quota_exceeded")), "{full}");
    assert_eq!((&full["quota"]["limit"], &full["quota"]["used"]), (&json!(room), &first["sizeBytes"]), "{full}");
    assert_eq!(answer(acme(Method::GET, "/documents")).await.1["total"], 2);
    for item in answer(acme(Method::GET, "/documents")).await.1["items"].as_array().unwrap() {
        assert_eq!(acme(Method::DELETE, &format!("/documents/{}", item["id"].as_str().unwrap())).send().await.unwrap().status(), 204);
    }
    assert_eq!(keep("two").await.0, 201, "removing makes room at once");
}

#[tokio::test]
async fn a_link_of_an_archived_tenant_works_until_it_is_revoked_and_no_new_one_is_made() {
    let server = Server::start_with(&[("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", "a-super-admin-key-of-the-tests")]);
    let as_root = |path: &str| reqwest::Client::new().post(server.url(path)).header("X-Api-Key", "a-super-admin-key-of-the-tests");
    let acme = |path: &str| as_root(path).header("X-PulpEngine-Tenant-Id", "acme");
    assert_eq!(answer(as_root("/admin/tenants").json(&json!({"id": "acme", "name": "Acme"}))).await.0, 201);
    let body = json!({"definition": page("x"), "output": {"store": true, "respondWith": "link"}});
    let (_, made) = answer(acme("/render/html").json(&body)).await;
    let (url, id) = (made["downloadUrl"].as_str().unwrap(), made["documentId"].as_str().unwrap());
    assert_eq!(answer(as_root("/admin/tenants/acme/archive")).await.0, 200);
    assert_eq!(follow(url).await.status(), 200);
    let (status, refused) = answer(acme(&format!("/documents/{id}/links"))).await;
    assert_eq!((status, &refused["code"]), (409, &json!("tenant_archived")));
    let (status, revoked) = answer(acme(&format!("/documents/{id}/links/revoke"))).await;
    assert_eq!((status, &revoked["linkVersion"]), (200, &json!(2)), "{revoked}");
    assert_eq!(refusal(follow(url).await).await, (404, "document_link_invalid".to_owned()));
}
