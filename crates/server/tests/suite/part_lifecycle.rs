//! Parts over time: who uses them, what stays because it is used, and what a limited credential may see and name of it.

use serde_json::{Value, json};

use crate::running::{KEY, Server, answer};

struct Api<'s> {
    server: &'s Server,
    key: String,
}

impl Api<'_> {
    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = reqwest::Client::new().request(method.parse().unwrap(), self.server.url(path)).header("X-Api-Key", &self.key);
        let current = path.strip_prefix("/templates/").filter(|_| matches!(method, "PUT" | "DELETE")).unwrap_or_default();
        let request = match current.split(['?', '/']).next() {
            Some(template) if !template.is_empty() && !path.contains("/labels/") => {
                let (_, now) =
                    answer(reqwest::Client::new().get(self.server.url(&format!("/templates/{template}"))).header("X-Api-Key", KEY)).await;
                request.header("If-Match", format!("\"{}\"", now["currentVersion"].as_str().unwrap_or("1.0.0")))
            }
            _ => request,
        };
        answer(if body.is_null() { request } else { request.json(body) }).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, found) = self.ask("GET", path, &Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {found}");
        found
    }

    async fn done(&self, method: &str, path: &str, body: &Value) {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(matches!(status, 200..300), "{method} {path}: {status} {answer}");
    }

    /// Asks for something that is refused so; gives the answer.
    async fn refused(&self, method: &str, path: &str, body: &Value, status: u16, code: &str) -> Value {
        let (found, answer) = self.ask(method, path, body).await;
        assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{method} {path}: {answer}");
        answer
    }

    /// A part of that kind.
    async fn part(&self, kind: &str, key: &str, more: Value) {
        let mut definition = json!({"kind": kind, "key": key, "name": key});
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.done("POST", "/templates", &definition).await;
    }
}

fn admin(server: &Server) -> Api<'_> {
    Api { server, key: KEY.to_owned() }
}

/// Somebody with an admin's key for these templates.
async fn limited<'s>(server: &'s Server, templates: &[&str]) -> Api<'s> {
    let (status, made) =
        admin(server).ask("POST", "/admin/api-keys", &json!({"name": "few", "scope": "admin", "allowedTemplates": templates})).await;
    assert_eq!(status, 201, "{made}");
    Api { server, key: made["key"].as_str().unwrap().to_owned() }
}

/// A letter that uses a component by its name.
fn letter(key: &str, component: &Value) -> Value {
    json!({"key": key, "name": key, "html": "<p>Dear</p>{{> address}}", "components": {"address": component}})
}

fn keys(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_a_template_is_made_with_and_who_is_made_with_it_is_told_both_ways() {
    let server = Server::start();
    let api = admin(&server);
    api.part("theme", "brand", json!({"theme": {"variables": {"ink": "#123456"}}})).await;
    api.part("layout", "frame", json!({"theme": "brand", "html": "<main><slot name=\"main\"></slot></main>"})).await;
    api.part("component", "address", json!({"html": "<p>12 High Street</p>"})).await;
    let mut invoice = letter("bill", &json!({"key": "address", "version": "1.0.0"}));
    invoice["layout"] = json!("frame");
    api.done("POST", "/templates", &invoice).await;

    let found = api.get("/templates/bill/dependencies").await;
    assert_eq!((&found["version"], &found["truncated"], &found["unseen"]), (&json!("1.0.0"), &json!(false), &json!(0)));
    assert_eq!(keys(&found["templates"]), ["frame", "address", "brand"]);
    let address = &found["templates"][1];
    assert_eq!(
        (&address["via"], &address["kind"], &address["requested"], &address["version"], &address["pointer"]),
        (&json!("component"), &json!("component"), &json!({"version": "1.0.0"}), &json!("1.0.0"), &json!("/components/address"))
    );
    assert_eq!((&found["templates"][2]["usedBy"]["key"], &found["templates"][2]["level"]), (&json!("frame"), &json!(2)));

    let users = api.get("/templates/brand/dependents").await;
    assert_eq!((keys(&users["items"]), &users["total"]), (vec!["frame"], &json!(1)));
    let users = api.get("/templates/brand/dependents?transitive=true").await;
    assert_eq!((keys(&users["items"]), &users["scanned"]), (vec!["frame", "bill"], &json!(2)));
    assert_eq!(users["items"][1]["uses"], json!(["frame"]));
    let page = api.get("/templates/brand/dependents?transitive=true&limit=1&offset=1").await;
    assert_eq!((keys(&page["items"]), &page["total"]), (vec!["bill"], &json!(2)));

    // The theme of the invoice is its frame's.
    for key in ["brand", "frame", "bill"] {
        let theme = api.get(&format!("/templates/{key}/theme")).await;
        assert_eq!((&theme["key"], &theme["theme"]["variables"]["ink"]), (&json!("brand"), &json!("#123456")), "{key}");
    }
    api.refused("GET", "/templates/address/theme", &Value::Null, 404, "theme_not_found").await;
    api.refused("GET", "/templates/bill/dependencies?version=9.0.0", &Value::Null, 404, "not_found").await;
    api.refused("GET", "/templates/bill/dependencies?version=1.0.0&label=prod", &Value::Null, 400, "bad_request").await;
    api.refused("GET", "/templates/brand/dependents?transitive=perhaps", &Value::Null, 400, "bad_request").await;
}

#[tokio::test]
async fn what_others_are_made_with_is_not_taken_away_unless_it_is_forced_and_never_for_good() {
    let server = Server::start();
    let api = admin(&server);
    api.part("component", "address", json!({"html": "<p>12 High Street</p>"})).await;
    api.part("layout", "frame", json!({"html": "<slot name=\"main\"></slot>"})).await;
    api.done("POST", "/templates", &letter("reply", &json!("address"))).await;
    api.done("POST", "/templates", &json!({"key": "memo", "name": "memo", "layout": "frame", "html": "x"})).await;

    let told = api.refused("DELETE", "/templates/address", &Value::Null, 409, "template_in_use").await;
    assert_eq!(keys(&told["referencedBy"]), ["reply"]);
    assert!(told["message"].as_str().unwrap().contains("reply"), "{told}");
    let told = api.refused("DELETE", "/templates/frame", &Value::Null, 409, "layout_in_use").await;
    assert_eq!(keys(&told["referencedBy"]), ["memo"]);

    api.done("DELETE", "/templates/address?force=true", &Value::Null).await;
    let told = api.refused("DELETE", "/templates/address?permanent=true&force=true", &Value::Null, 409, "template_in_use").await;
    assert_eq!(keys(&told["referencedBy"]), ["reply"]);
    assert_eq!(keys(&api.get("/templates/address/dependents").await["items"]), ["reply"], "what was broken can be seen");
    let found = api.get("/templates/reply/dependencies").await;
    assert_eq!((&found["templates"][0]["key"], &found["templates"][0]["version"]), (&json!("address"), &Value::Null));
    api.done("POST", "/templates/address/undelete", &Value::Null).await;
    assert_eq!(api.get("/templates/reply/dependencies").await["templates"][0]["version"], "1.0.0");

    // A label that leads to the old version keeps the part, and lets go of it.
    api.done("PUT", "/templates/reply/labels/prod", &json!({"version": "1.0.0"})).await;
    api.done("PUT", "/templates/reply", &json!({"key": "reply", "name": "reply", "html": "without"})).await;
    api.refused("DELETE", "/templates/address", &Value::Null, 409, "template_in_use").await;
    api.done("DELETE", "/templates/reply/labels/prod", &Value::Null).await;
    api.done("DELETE", "/templates/address", &Value::Null).await;
    api.done("DELETE", "/templates/address?permanent=true", &Value::Null).await;
}

#[tokio::test]
async fn a_credential_for_some_templates_sees_and_names_no_other_part() {
    let server = Server::start();
    let api = admin(&server);
    for key in ["my-address", "your-address"] {
        api.part("component", key, json!({"html": "<p>12 High Street</p>"})).await;
    }
    for (key, component) in
        [("my-letter", "my-address"), ("your-letter", "my-address"), ("my-mix", "your-address"), ("your-own", "your-address")]
    {
        api.done("POST", "/templates", &letter(key, &json!(component))).await;
    }
    let few = limited(&server, &["my-*"]).await;

    let users = few.get("/templates/my-address/dependents?transitive=true").await;
    assert_eq!((keys(&users["items"]), &users["total"], &users["unseen"]), (vec!["my-letter"], &json!(1), &json!(1)));
    let found = few.get("/templates/my-mix/dependencies").await;
    assert_eq!((&found["templates"], &found["unseen"]), (&json!([]), &json!(1)));
    let told = few.refused("DELETE", "/templates/my-address", &Value::Null, 409, "template_in_use").await;
    assert_eq!(keys(&told["referencedBy"]), ["my-letter"]);
    for answer in [&users, &found, &told] {
        assert!(!answer.to_string().contains("your"), "{answer}");
    }
    few.refused("GET", "/templates/your-address/dependents", &Value::Null, 403, "api_key_template_not_allowed").await;

    // What it may not see it does not bring in, whether it is there or not; what is there already may stay.
    for part in ["your-address", "your-nothing"] {
        let new = letter("my-new", &json!(part));
        few.refused("POST", "/templates", &new, 403, "api_key_template_not_allowed").await;
        few.refused("PUT", "/templates/my-letter", &letter("my-letter", &json!(part)), 403, "api_key_template_not_allowed").await;
    }
    few.done("PUT", "/templates/my-letter", &letter("my-letter", &json!("my-address"))).await;
    let mut same = letter("my-mix", &json!("your-address"));
    same["name"] = json!("Another name");
    few.done("PUT", "/templates/my-mix", &same).await;

    // Not another version of it, nor its paths, nor by way of an old version.
    let pinned = letter("my-mix", &json!({"key": "your-address", "version": "1.0.0"}));
    few.refused("PUT", "/templates/my-mix", &pinned, 403, "api_key_template_not_allowed").await;
    few.refused("GET", "/templates/my-mix/bindings", &Value::Null, 403, "api_key_template_not_allowed").await;
    let plain = json!({"key": "my-mix", "name": "Plain", "html": "<p>{{name}}</p>"});
    few.done("PUT", "/templates/my-mix", &plain).await;
    few.get("/templates/my-mix/bindings").await;
    let client = reqwest::Client::new();
    let restore = client.post(server.url("/templates/my-mix/versions/1.0.0/restore")).header("X-Api-Key", &few.key);
    let (status, refused) = answer(restore.header("If-Match", "\"1.0.2\"")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("api_key_template_not_allowed")), "{refused}");
}

#[tokio::test]
async fn however_saves_and_removals_meet_no_live_template_is_left_without_its_part() {
    let server = Server::start();
    let api = admin(&server);
    let (mut used, mut gone) = (0, 0);
    for round in 0..25 {
        let part = format!("part-{round}");
        api.part("component", &part, json!({"html": "<p>12 High Street</p>"})).await;
        let remove = async {
            let (status, _) = api.ask("DELETE", &format!("/templates/{part}"), &Value::Null).await;
            if status == 204 {
                // Refused where a save has come in between; the part then stays in the trash.
                let _ = api.ask("DELETE", &format!("/templates/{part}?permanent=true"), &Value::Null).await;
            }
            status
        };
        let save = async |number: u32| api.ask("POST", "/templates", &letter(&format!("letter-{round}-{number}"), &json!(part))).await;
        let (one, two, three, removed) = tokio::join!(save(1), save(2), save(3), remove);
        let saves = [one, two, three];
        let made = saves.iter().filter(|(status, _)| *status == 201).count();
        assert!(saves.iter().all(|(status, _)| matches!(status, 201 | 422)), "{saves:?}");
        let (there, _) = api.ask("GET", &format!("/templates/{part}"), &Value::Null).await;
        match removed {
            204 => assert_eq!((made, there), (0, 404), "round {round}"),
            409 => assert!(made > 0 && there == 200, "round {round}"),
            other => panic!("round {round}: {other}"),
        }
        used += usize::from(made > 0);
        gone += usize::from(made == 0);
    }
    println!("{used} parts stayed, {gone} went");
}

#[tokio::test]
async fn what_a_part_would_do_to_others_is_seen_before_it_is_saved() {
    let server = Server::start();
    let api = admin(&server);
    api.part("component", "address", json!({"html": "<p>12 High Street</p>"})).await;
    api.done("POST", "/templates", &letter("reply", &json!("address"))).await;
    api.done("POST", "/templates", &letter("pinned", &json!({"key": "address", "version": "1.0.0"}))).await;
    let whole = api.get("/templates/reply/effective").await;
    assert!(whole["definition"].to_string().contains("12 High Street"), "{whole}");
    assert_eq!((keys(&whole["parts"]), &whole["version"]), (vec!["address"], &json!("1.0.0")));

    let path = "/templates/address/dependents/validate";
    let (status, tried) = api.ask("POST", path, &json!({})).await;
    assert_eq!((status, &tried["valid"], &tried["checked"]), (200, &json!(true), &json!(2)), "{tried}");
    // As a layout it would no longer be what the letter names it as; the other one asks for the old version.
    let proposed = json!({"definition": {"kind": "layout", "key": "address", "name": "address", "html": "<slot name=\"main\"></slot>"}});
    let (status, tried) = api.ask("POST", path, &proposed).await;
    assert_eq!((status, &tried["valid"]), (200, &json!(false)), "{tried}");
    let told: Vec<_> =
        tried["items"].as_array().unwrap().iter().map(|item| (item["key"].as_str().unwrap(), item["valid"] == true)).collect();
    assert_eq!(told, [("pinned", true), ("reply", false)], "{tried}");
    assert_eq!(tried["items"][1]["issues"][0]["path"], "/components/address", "{tried}");
    assert_eq!(api.get("/templates/address").await["currentVersion"], "1.0.0", "nothing was saved");
    let (_, tried) = api.ask("POST", path, &json!({"limit": 1})).await;
    assert_eq!((&tried["checked"], &tried["total"], &tried["truncated"]), (&json!(1), &json!(2), &json!(true)), "{tried}");
    for limit in [0, 101] {
        api.refused("POST", path, &json!({"limit": limit}), 400, "bad_request").await;
    }
    api.refused("POST", path, &json!({"definition": {"kind": "component", "html": "{{#if"}}), 422, "validation_failed").await;

    // Whose parts one may not see, one does not read here either.
    let few = limited(&server, &["rep*"]).await;
    few.refused("GET", "/templates/reply/effective", &Value::Null, 403, "api_key_template_not_allowed").await;
    let few = limited(&server, &["addr*"]).await;
    let (status, tried) = few.ask("POST", path, &json!({})).await;
    assert_eq!((status, &tried["items"], &tried["unseen"]), (200, &json!([]), &json!(2)), "{tried}");
}
