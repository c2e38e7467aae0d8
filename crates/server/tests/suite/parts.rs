//! Themes, layouts and components in documents: what is printed, what is followed when a part changes, what is refused.

use serde_json::{Value, json};
use testkit::pdf::words as text;
use testkit::postgres::TestDatabase;

use crate::running::{KEY, Server, answer, wait_until_async};

async fn ask(server: &Server, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let client = reqwest::Client::new();
    let request = client.request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", KEY);
    let request = match path.strip_prefix("/templates/").filter(|rest| method != "GET" && !rest.contains('/')) {
        Some(key) => {
            let key = key.split('?').next().unwrap();
            let (_, now) = answer(client.get(server.url(&format!("/templates/{key}"))).header("X-Api-Key", KEY)).await;
            request.header("If-Match", format!("\"{}\"", now["currentVersion"].as_str().unwrap_or("1.0.0")))
        }
        None => request,
    };
    answer(if body.is_null() { request } else { request.json(body) }).await
}

async fn make(server: &Server, definitions: &[Value]) {
    for definition in definitions {
        let (status, body) = ask(server, "POST", "/templates", definition).await;
        assert_eq!(status, 201, "{body}\n{definition}");
    }
}

async fn save(server: &Server, definition: &Value) {
    let (status, body) = ask(server, "PUT", &format!("/templates/{}", definition["key"].as_str().unwrap()), definition).await;
    assert_eq!(status, 200, "{body}\n{definition}");
}

/// The refusal's code, and each issue as `path [code]: message`.
async fn refused(server: &Server, method: &str, path: &str, body: &Value) -> (u16, String, Vec<String>) {
    let (status, body) = ask(server, method, path, body).await;
    let issues = body["issues"].as_array().cloned().unwrap_or_default();
    let told = |issue: Value| {
        let part = |name: &str| issue[name].as_str().unwrap_or_default().to_owned();
        format!("{} [{}]: {}", part("path"), part("code"), part("message"))
    };
    (status, body["code"].as_str().unwrap_or_default().to_owned(), issues.into_iter().map(told).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "so that a definition reads as one")]
fn root(children: Value) -> Value {
    json!({"id": "root", "type": "document", "children": children})
}

fn words(id: &str, content: &str) -> Value {
    json!({"id": id, "type": "text", "content": content})
}

/// A letter of blocks: theme, layout with a header, a slot and a footer line, an address block.
fn letter() -> [Value; 4] {
    [
        json!({"key": "brand", "kind": "theme", "name": "Brand", "theme": {"variables": {"brand": "#0a7c5a"}, "css": "p{color:var(--brand)}"},
            "renderConfig": {"paperSize": "A5", "pageFooter": "Registered in Bremen"}}),
        json!({"key": "letterhead", "kind": "layout", "name": "Letterhead", "renderConfig": {"pageHeader": "Musterbau"},
            "document": root(json!([words("top", "Musterbau GmbH"), {"id": "main", "type": "slot"}, {"id": "aside", "type": "slot", "name": "aside"}]))}),
        json!({"key": "address", "kind": "component", "name": "Address", "document": root(json!([words("name", "To {{name}} in {{city}}")]))}),
        json!({"key": "note", "name": "Letter", "theme": "brand", "layout": "letterhead",
            "document": root(json!([
                {"id": "to", "type": "component", "component": "address", "data": "customer"},
                words("body", "Dear {{customer.name}}, welcome."),
            ])),
            "slots": {"aside": [words("aside", "Number {{number}}")]}}),
    ]
}

fn data() -> Value {
    json!({"customer": {"name": "Ada", "city": "Turin"}, "number": 42})
}

#[tokio::test]
async fn a_document_is_printed_with_its_theme_its_layout_and_its_components() {
    let server = Server::start();
    make(&server, &letter()).await;
    let pdf = server.pdf("note", &data()).await;
    let shown = text(&pdf);
    let order = ["Musterbau GmbH", "To Ada in Turin", "Dear Ada, welcome.", "Number 42"];
    let places: Vec<_> = order.iter().map(|words| shown.find(words).unwrap_or_else(|| panic!("{words} is not in {shown}"))).collect();
    assert!(places.is_sorted(), "{shown}");
    assert!(shown.contains("Registered in Bremen") && shown.contains("Musterbau\n"), "{shown}");

    make(
        &server,
        &[
            json!({"key": "frame", "kind": "layout", "name": "Frame", "theme": "brand", "html": "<header>Frame of {{number}}</header><slot></slot><slot name=\"end\">no end</slot>"}),
            json!({"key": "bold", "kind": "component", "name": "Bold", "html": "<b>{{this}}</b>"}),
            json!({"key": "person", "kind": "component", "name": "Person", "css": ".p{font-size:9pt}", "components": {"strong": "bold"}, "html": "<i class=p>{{title}} {{> strong name}} of {{@root.number}}</i>"}),
            json!({"key": "page", "name": "Page", "layout": "frame", "components": {"who": "person"}, "html": "<p>Hello {{> who customer title=\"Ms\"}}.</p>"}),
        ],
    )
    .await;
    let shown = text(&server.pdf("page", &data()).await).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("Frame of 42") && shown.contains("Hello Ms Ada of 42.") && shown.contains("no end"), "{shown}");
    assert!(shown.contains("Registered in Bremen"), "{shown}");

    // The same as a definition that comes with the request.
    let [.., stored] = letter();
    let inline = server.pdf_of(&json!({"definition": stored, "data": data()})).await;
    assert!(text(&inline).contains("To Ada in Turin"));
    // A component alone is a preview; a theme is nothing to print.
    let alone = server.pdf("address", &json!({"name": "Eve", "city": "Rome"})).await;
    assert!(text(&alone).contains("To Eve in Rome"));
    let (status, code, issues) = refused(&server, "POST", "/render", &json!({"template": "brand"})).await;
    assert_eq!(status, 422, "{code}");
    assert!(issues[0].starts_with("/kind [template_kind_mismatch]: a theme has no content"), "{issues:?}");
}

#[tokio::test]
async fn a_changed_part_is_in_the_next_document_on_every_replica_and_a_pinned_one_stays() {
    let database = TestDatabase::empty().await;
    let url: &'static str = Box::leak(database.url().to_owned().into_boxed_str());
    let settings: &'static [(&str, &str)] = Box::leak(Box::new([("DATABASE_URL", url)]));
    let (one, other) = (Server::start_with(settings), Server::start_with(settings));
    make(&one, &letter()).await;
    make(
        &one,
        &[json!({"key": "pinned", "name": "Pinned", "document": root(json!([
            {"id": "to", "type": "component", "component": {"key": "address", "version": "1.0.0"}, "data": "customer"}]))})],
    )
    .await;
    for server in [&one, &other] {
        assert!(text(&server.pdf("note", &data()).await).contains("To Ada in Turin"));
        assert!(text(&server.pdf("pinned", &data()).await).contains("To Ada in Turin"));
    }
    let mut address = letter()[2].clone();
    address["document"]["children"][0]["content"] = json!("Deliver to {{name}}");
    save(&one, &address).await;
    assert!(text(&one.pdf("note", &data()).await).contains("Deliver to Ada"));
    wait_until_async("the other replica prints the changed part", async || {
        text(&other.pdf("note", &data()).await).contains("Deliver to Ada").then_some(())
    })
    .await;
    for server in [&one, &other] {
        assert!(text(&server.pdf("pinned", &data()).await).contains("To Ada in Turin"));
    }
}

async fn statements(server: &Server) -> Vec<String> {
    let text = server.metrics().await;
    let kinds = ["\"templates.", "\"template_versions.", "\"labels.", "\"idempotency_keys."];
    let of_templates = |line: &&str| line.starts_with("pulp_store_statements_total") && kinds.iter().any(|kind| line.contains(kind));
    let mut found: Vec<String> = text.lines().filter(of_templates).map(str::to_owned).collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_warm_render_of_a_template_with_parts_asks_no_database_for_any_of_them() {
    let server = Server::start();
    make(&server, &letter()).await;
    server.pdf("note", &data()).await;
    let before = statements(&server).await;
    assert!(!before.is_empty());
    for _ in 0..3 {
        server.pdf("note", &data()).await;
        // A key of a render that stores nothing asks nobody either.
        let keyed = reqwest::Client::new().post(server.url("/render/pdf")).header("X-Api-Key", KEY).header("Idempotency-Key", "one-key");
        assert_eq!(keyed.json(&json!({"template": "note", "data": data()})).send().await.unwrap().status(), 200);
    }
    assert_eq!(statements(&server).await, before);
}

#[tokio::test]
async fn parts_that_are_missing_of_another_kind_or_in_themselves_are_refused_when_they_are_saved() {
    let server = Server::start();
    make(&server, &letter()).await;
    let create = async |definition: Value| {
        let (status, code, issues) = refused(&server, "POST", "/templates", &definition).await;
        assert_eq!((status, &*code), (422, "validation_failed"), "{issues:?}");
        issues
    };
    let issues = create(json!({"key": "a", "name": "A", "theme": "brnad", "layout": "brand", "document": root(json!([]))})).await;
    assert_eq!(
        issues,
        [
            "/layout [template_kind_mismatch]: \"brand\" is a theme, and a layout is wanted here",
            "/theme [theme_not_found]: there is no template \"brnad\"; did you mean \"brand\"?",
        ]
    );
    let component = |name: &Value| root(json!([{"id": "c", "type": "component", "component": name}]));
    let issues = create(json!({"key": "a", "name": "A", "document": component(&json!({"key": "address", "version": "7.0.0"}))})).await;
    assert_eq!(issues, ["/document/children/0/component [component_not_found]: the template \"address\" has no version 7.0.0"]);
    let issues = create(json!({"key": "a", "name": "A", "html": "{{> adress}}", "components": {"address": "address"}})).await;
    assert!(issues[0].contains("is a tree of blocks, and this template is HTML"), "{issues:?}");

    make(&server, &[json!({"key": "outer", "kind": "component", "name": "Outer", "document": component(&json!("address"))})]).await;
    let mut address = letter()[2].clone();
    address["document"] = component(&json!("outer"));
    let (status, _, issues) = refused(&server, "PUT", "/templates/address", &address).await;
    assert_eq!(status, 422);
    assert!(issues[0].ends_with("a component cannot be part of itself: address → outer → address"), "{issues:?}");

    for level in 0..4 {
        let inner = if level == 0 { "address".to_owned() } else { format!("double{}", level - 1) };
        let nodes: Vec<_> = (0..60).map(|at| json!({"id": at.to_string(), "type": "component", "component": inner})).collect();
        let double = json!({"key": format!("double{level}"), "kind": "component", "name": "Double", "document": root(json!(nodes))});
        if level < 2 {
            make(&server, &[double]).await;
        } else {
            let issues = create(double).await;
            assert!(issues[0].contains("more than the 20000 nodes accepted"), "{issues:?}");
            break;
        }
    }
}

#[tokio::test]
async fn a_document_whose_part_went_away_is_not_printed_without_it() {
    let server = Server::start();
    make(&server, &letter()).await;
    server.pdf("note", &data()).await;
    let (status, body) = ask(&server, "DELETE", "/templates/address?force=true", &Value::Null).await;
    assert_eq!(status, 204, "{body}");
    let (status, code, issues) = refused(&server, "POST", "/render", &json!({"template": "note", "data": data()})).await;
    assert_eq!((status, &*code), (404, "component_not_found"), "{issues:?}");
    assert_eq!(issues, ["/document/children/0/component [component_not_found]: there is no template \"address\""]);
    // Back from the trash, it prints again.
    let (status, body) = ask(&server, "POST", "/templates/address/undelete", &Value::Null).await;
    assert_eq!(status, 200, "{body}");
    assert!(text(&server.pdf("note", &data()).await).contains("To Ada in Turin"));
}
