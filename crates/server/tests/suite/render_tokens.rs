//! Tokens that a web page may hold.

use serde_json::{Value, json};
use testkit::pdf;

use crate::running::{EDITOR_KEY, KEY, RENDER_KEY, Server, answer};

const PAGE: &str = "https://shop.example";

async fn make(server: &Server, key: &str, body: &Value) -> (u16, Value) {
    answer(reqwest::Client::new().post(server.url("/render-tokens")).header("X-Api-Key", key).json(body)).await
}

/// What a page at `origin` does with a token.
fn from_page(server: &Server, path: &str, token: &Value, origin: &str, body: &Value) -> reqwest::RequestBuilder {
    let token = format!("Bearer {}", token.as_str().unwrap());
    reqwest::Client::new().post(server.url(path)).header("Authorization", token).header("Origin", origin).json(body)
}

async fn with_template(server: &Server) {
    let definition = json!({"key": "receipt", "name": "Receipt", "html": "<p>For {{customer}}: {{amount}}</p>"});
    assert_eq!(server.post("/templates", &definition).await.status(), 201);
}

#[tokio::test]
async fn a_page_renders_what_its_token_says_and_nothing_else() {
    let server = Server::start();
    with_template(&server).await;
    let asked = json!({"templates": ["receipt"], "maxRenders": 2, "allowedOrigins": [PAGE], "fixedData": {"customer": "Ann"}});
    let (status, made) = make(&server, RENDER_KEY, &asked).await;
    assert_eq!((status, &made["maxRenders"], &made["formats"]), (201, &json!(2), &json!(["pdf"])), "{made}");
    let token = &made["token"];

    let data = json!({"template": "receipt", "data": {"customer": "Eve", "amount": 12}});
    let rendered = from_page(&server, "/render/pdf", token, PAGE, &data).send().await.unwrap();
    assert_eq!(rendered.status(), 200);
    assert_eq!(rendered.headers()["access-control-allow-origin"], PAGE);
    assert_eq!(pdf::words(&rendered.bytes().await.unwrap()).trim(), "For Ann: 12", "the page cannot change the fixed data");

    for (path, origin, body, status, code) in [
        ("/render/pdf", "https://evil.example", &data, 403, "render_token_constraint"),
        ("/render/html", PAGE, &data, 403, "render_token_constraint"),
        ("/render/pdf", PAGE, &json!({"template": "letter"}), 403, "render_token_constraint"),
        ("/render/pdf", PAGE, &json!({"definition": {"html": "x"}}), 403, "render_token_constraint"),
        ("/render/convert/pdf", PAGE, &json!({"html": "x"}), 403, "api_key_template_not_allowed"),
        ("/render-tokens", PAGE, &asked, 403, "forbidden"),
        ("/templates", PAGE, &data, 403, "forbidden"),
    ] {
        let (found, refused) = answer(from_page(&server, path, token, origin, body)).await;
        assert_eq!((found, &refused["code"]), (status, &json!(code)), "{path} {origin} {body}");
    }
    assert_eq!(from_page(&server, "/render/pdf", token, PAGE, &data).send().await.unwrap().status(), 200);
    let (status, refused) = answer(from_page(&server, "/render/pdf", token, PAGE, &data)).await;
    assert_eq!((status, &refused["code"]), (429, &json!("render_token_exhausted")));
}

#[tokio::test]
async fn what_a_token_fixes_also_stands_when_a_mapping_of_the_template_copies_other_data_there() {
    let server = Server::start();
    let definition = json!({
        "key": "receipt", "name": "Receipt", "html": "<p>For {{customer}}: {{amount}}</p>",
        "inputSchema": {"type": "object", "required": ["customer"], "properties": {"customer": {"const": "Ann"}}},
        "fieldMappings": [{"source": "client", "target": "customer"}],
    });
    assert_eq!(server.post("/templates", &definition).await.status(), 201);
    let data = json!({"template": "receipt", "data": {"client": "Eve", "amount": 12}});
    let of_a_key = server.post("/render/pdf", &data).await;
    assert_eq!(of_a_key.status(), 422, "the mapping is at work: Eve is not the customer that the schema wants");

    let asked = json!({"templates": ["receipt"], "formats": ["pdf", "html"], "fixedData": {"customer": "Ann"}});
    let (_, made) = make(&server, RENDER_KEY, &asked).await;
    let rendered = from_page(&server, "/render/pdf", &made["token"], PAGE, &data).send().await.unwrap();
    assert_eq!(rendered.status(), 200);
    assert_eq!(pdf::words(&rendered.bytes().await.unwrap()).trim(), "For Ann: 12");
    let rendered = from_page(&server, "/render/html", &made["token"], PAGE, &data).send().await.unwrap().text().await.unwrap();
    assert!(rendered.contains("For Ann: 12"), "{rendered}");
}

#[tokio::test]
async fn only_what_costs_a_document_costs_a_use_and_a_page_learns_nothing_of_the_template() {
    let server = Server::start_with(&[("RENDER_MAX_PAGES", "1")]);
    let definition = json!({
        "key": "receipt", "name": "Receipt",
        "html": "<p>{{#if long}}<p style='break-before: page'>2</p>{{/if}}{{secretField}}</p>",
        "inputSchema": {"type": "object", "properties": {"level": {"enum": ["secretGold", "secretSilver"]}}},
    });
    assert_eq!(server.post("/templates", &definition).await.status(), 201);
    let make_one = async |renders: u32, form: bool| {
        let asked = json!({"templates": ["receipt", "ghost"], "maxRenders": renders, "allowFormMetadata": form});
        make(&server, RENDER_KEY, &asked).await.1["token"].clone()
    };
    let token = make_one(1, false).await;
    let render = |token: &Value, body: Value| answer(from_page(&server, "/render/pdf", token, PAGE, &body));
    for _ in 0..2 {
        for (what, body, status, code) in [
            ("no such template", json!({"template": "ghost"}), 404, "not_found"),
            ("data that do not fit", json!({"template": "receipt", "data": {"level": "tin"}}), 422, "validation_failed"),
            ("a binding", json!({"template": "receipt", "data": {}, "strictBindings": true}), 422, "unresolved_bindings"),
            ("a dry run", json!({"template": "receipt", "data": {"level": "tin"}, "dryRun": true}), 403, "render_token_constraint"),
            ("another template", json!({"template": "letter"}), 403, "render_token_constraint"),
            ("no request", json!({"template": "receipt", "dat": {}}), 400, "bad_request"),
        ] {
            let (found, refused) = render(&token, body).await;
            assert_eq!((found, &refused["code"]), (status, &json!(code)), "{what}: {refused}");
            assert!(!refused.to_string().contains("secret"), "{what}: {refused}");
        }
    }
    assert!(server.log().contains("secretGold") && server.log().contains("secretField"), "the owner finds it:\n{}", server.log());
    assert_eq!(render(&token, json!({"template": "receipt", "data": {}})).await.0, 200, "nothing of that cost the only use");
    assert_eq!(render(&token, json!({"template": "receipt", "data": {}})).await.0, 429);

    let token = make_one(1, true).await;
    let (_, refused) = render(&token, json!({"template": "receipt", "data": {"level": "tin"}})).await;
    assert!(refused["issues"][0]["message"].as_str().unwrap().contains("secretGold"), "it may know the form: {refused}");
    let (_, refused) = render(&token, json!({"template": "receipt", "data": {"long": true}})).await;
    assert_eq!(refused["code"], "too_many_pages", "{refused}");
    assert_eq!(render(&token, json!({"template": "receipt", "data": {}})).await.0, 429, "two pages were printed for it");
}

#[tokio::test]
async fn uses_that_are_given_back_never_add_up_to_more_documents_than_a_token_is_for() {
    let server = Server::start();
    let definition = json!({"key": "receipt", "name": "Receipt", "html": "<p>{{level}}</p>",
        "inputSchema": {"type": "object", "properties": {"level": {"const": 1}}}});
    assert_eq!(server.post("/templates", &definition).await.status(), 201);
    let (_, made) = make(&server, RENDER_KEY, &json!({"templates": ["receipt"], "formats": ["html"], "maxRenders": 3})).await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..40 {
        let body = json!({"template": "receipt", "data": {"level": number % 2}});
        let request = from_page(&server, "/render/html", &made["token"], PAGE, &body);
        asked.spawn(async move { answer(request).await.0 });
    }
    let found = asked.join_all().await;
    let made_documents = found.iter().filter(|status| **status == 200).count();
    assert!(made_documents <= 3 && found.iter().all(|status| matches!(status, 200 | 422 | 429)), "{found:?}");
    let mut after = made_documents;
    while answer(from_page(&server, "/render/html", &made["token"], PAGE, &json!({"template": "receipt", "data": {"level": 1}}))).await.0
        == 200
    {
        after += 1;
        assert!(after <= 3, "more documents than uses");
    }
    assert_eq!(after, 3, "every use that led to nothing is there again");
}

#[tokio::test]
async fn a_token_without_a_version_is_for_the_current_one() {
    let server = Server::start();
    with_template(&server).await;
    let (_, made) = make(&server, RENDER_KEY, &json!({"templates": ["receipt"]})).await;
    let old = json!({"template": "receipt", "version": "1.0.0", "data": {"customer": "Eve", "amount": 12}});
    let (status, refused) = answer(from_page(&server, "/render/pdf", &made["token"], PAGE, &old)).await;
    assert_eq!((status, &refused["code"]), (403, &json!("render_token_constraint")), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("for the current version"), "{refused}");

    let (_, made) = make(&server, RENDER_KEY, &json!({"templates": ["receipt"], "version": "1.0.0"})).await;
    let rendered = from_page(&server, "/render/pdf", &made["token"], PAGE, &old).send().await.unwrap();
    assert_eq!(rendered.status(), 200, "a token's own version may be named");
}

#[tokio::test]
async fn a_browser_may_ask_first_and_reads_only_what_is_for_its_page() {
    let server = Server::start();
    with_template(&server).await;
    let preflight = reqwest::Client::new()
        .request(reqwest::Method::OPTIONS, server.url("/render/pdf"))
        .header("Origin", PAGE)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,content-type");
    let allowed = preflight.send().await.unwrap();
    assert_eq!(allowed.status(), 204);
    assert!(!allowed.headers()["access-control-allow-headers"].to_str().unwrap().to_lowercase().contains("x-api-key"));
    let (_, made) = make(&server, KEY, &json!({"templates": ["receipt"], "allowedOrigins": [PAGE]})).await;
    let elsewhere = from_page(&server, "/render/pdf", &made["token"], "https://evil.example", &json!({"template": "receipt"}));
    assert!(!elsewhere.send().await.unwrap().headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_withdrawn_token_and_one_that_was_changed_open_nothing() {
    let server = Server::start();
    with_template(&server).await;
    let (_, made) = make(&server, KEY, &json!({"templates": ["receipt"]})).await;
    let body = json!({"template": "receipt", "data": {}});
    assert_eq!(from_page(&server, "/render/pdf", &made["token"], PAGE, &body).send().await.unwrap().status(), 200);
    let path = format!("/render-tokens/{}", made["tokenId"].as_str().unwrap());
    let revoke = reqwest::Client::new().delete(server.url(&path)).header("X-Api-Key", KEY);
    assert_eq!(revoke.send().await.unwrap().status(), 204);
    let refused = from_page(&server, "/render/pdf", &made["token"], PAGE, &body).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let text = made["token"].as_str().unwrap();
    let changed = json!(text.replacen("rt1.e", "rt1.f", 1));
    assert_eq!(from_page(&server, "/render/pdf", &changed, PAGE, &body).send().await.unwrap().status(), 401);
    for (asked, status) in [
        (json!({"templates": []}), 422),
        (json!({"templates": ["receipt"], "ttlSeconds": 1}), 422),
        (json!({"templates": ["receipt"], "allowedOrigins": ["https://*"]}), 400),
        (json!({"templates": ["receipt"], "label": "Not a label"}), 422),
    ] {
        assert_eq!(make(&server, KEY, &asked).await.0, status, "{asked}");
    }
    assert_eq!(make(&server, EDITOR_KEY, &json!({"templates": ["receipt"]})).await.0, 403);
}
