//! People of an identity provider: a real one, real server processes, and a browser that is played by hand.

use std::future::Future;

use serde_json::{Value, json};
use testkit::openid::{Forgery, OpenIdProvider};
use testkit::postgres::TestDatabase;
use tokio::time::{Duration, Instant, sleep};

use crate::running::{EDITOR_KEY, KEY, Server, answer};

const CLIENT: &str = "pulp-engine";
const CLIENT_SECRET: &str = "the-secret-of-that-client";
/// Where a proxy in front would be; the browser of the tests goes to the server it means instead.
const REDIRECT_URI: &str = "http://127.0.0.1:9/auth/oidc/callback";
const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
/// Within which one replica hears of what another did. Without being told it would take EDITOR_USERS_CACHE_TTL_MS.
const PATIENCE: Duration = Duration::from_secs(10);

type Settings = &'static [(&'static str, &'static str)];

fn provider() -> OpenIdProvider {
    let idp = OpenIdProvider::start();
    idp.add_client(CLIENT, Some(CLIENT_SECRET), REDIRECT_URI);
    idp
}

/// What a server of the provider's is started with. Servers take settings that last as long as the tests.
fn settings(idp: &OpenIdProvider, more: &[(&'static str, &str)]) -> Settings {
    let leaked = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let common = [
        ("OIDC_DISCOVERY_URL", idp.issuer()),
        ("OIDC_CLIENT_ID", CLIENT.to_owned()),
        ("OIDC_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ("OIDC_REDIRECT_URI", REDIRECT_URI.to_owned()),
        ("OIDC_COOKIE_SECRET", "a-cookie-secret-of-the-tests-that-is-long".to_owned()),
        ("OIDC_CLAIM_GROUPS", "groups".to_owned()),
        ("OIDC_CLAIM_ROLE", "role".to_owned()),
        ("OIDC_DEFAULT_ROLE", "viewer".to_owned()),
    ];
    let all = common.iter().map(|(name, value)| (*name, leaked(value))).chain(more.iter().map(|(name, value)| (*name, leaked(value))));
    Box::leak(all.collect::<Vec<_>>().into_boxed_slice())
}

/// Keeps one cookie and follows nothing by itself.
struct Browser {
    client: reqwest::Client,
    cookie: Option<String>,
}

impl Browser {
    fn new() -> Self {
        Self { client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(), cookie: None }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> reqwest::Response {
        let request = match &self.cookie {
            Some(cookie) => request.header("Cookie", format!("other=1; {cookie}")),
            None => request,
        };
        let answer = request.send().await.unwrap();
        for set in answer.headers().get_all("set-cookie") {
            let set = set.to_str().unwrap();
            assert!(set.contains("; Path=/auth; ") && set.contains("; HttpOnly; SameSite=Lax"), "{set}");
            self.cookie = Some(set.split(';').next().unwrap().to_owned()).filter(|_| !set.contains("Max-Age=0"));
        }
        answer
    }

    async fn get(&mut self, url: String) -> reqwest::Response {
        let request = self.client.get(url);
        self.send(request).await
    }

    /// Goes to the provider, logs in there, and says at which path it is sent back.
    async fn leave(&mut self, server: &Server, idp: &OpenIdProvider, user: &str, return_to: &str) -> String {
        let left = self.get(server.url(&format!("/auth/oidc/login?return_to={return_to}"))).await;
        assert_eq!(left.status(), 302, "{}", server.log());
        let back = idp.log_in(left.headers()["location"].to_str().unwrap(), user);
        back.strip_prefix("http://127.0.0.1:9").expect("the address that the provider knows").to_owned()
    }

    /// As [`Browser::leave`], and comes back. The completion code that it gets.
    async fn come_back(&mut self, server: &Server, idp: &OpenIdProvider, user: &str) -> String {
        let back = self.leave(server, idp, user, "/editor/").await;
        code_of(&self.get(server.url(&back)).await, "/editor/")
    }

    async fn complete(&mut self, server: &Server, code: &str) -> (u16, Value) {
        let request = self.client.post(server.url("/auth/oidc/complete")).json(&json!({"code": code}));
        let answer = self.send(request).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// What a whole login answers.
async fn log_in(server: &Server, idp: &OpenIdProvider, user: &str) -> (u16, Value) {
    let mut browser = Browser::new();
    let code = browser.come_back(server, idp, user).await;
    browser.complete(server, &code).await
}

fn code_of(answer: &reqwest::Response, page: &str) -> String {
    assert_eq!(answer.status(), 302);
    let location = answer.headers()["location"].to_str().unwrap();
    let (path, code) = location.split_once("#code=").expect("the code is in the fragment");
    assert_eq!(path, page);
    code.to_owned()
}

async fn me(server: &Server, bearer: &str) -> (u16, Value) {
    answer(reqwest::Client::new().get(server.url("/auth/me")).bearer_auth(bearer)).await
}

async fn put_user(server: &Server, id: &str, change: Value) {
    let changed = reqwest::Client::new().put(server.url(&format!("/admin/users/{id}"))).header("X-Api-Key", KEY).json(&change);
    let (status, body) = answer(changed).await;
    assert_eq!(status, 200, "{body}");
}

async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "after {PATIENCE:?} still not: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_person_logs_in_over_two_replicas_and_edits_under_their_own_name_and_the_code_works_once() {
    let (idp, database) = (provider(), TestDatabase::empty().await);
    idp.add_user(
        "alice",
        &json!({"name": "Alice Example", "email": "alice@example.com", "groups": ["staff"], "role": "author"}),
        &json!({}),
    );
    let settings = settings(
        &idp,
        &[
            ("DATABASE_URL", database.url()),
            ("OIDC_AUTO_PROVISION", "true"),
            ("EDITOR_TOKEN_SECRET", "a-secret-of-the-tests-for-editor-tokens"),
        ],
    );
    let (one, other) = (Server::start_with(settings), Server::start_with(settings));
    let status: Value = reqwest::get(one.url("/auth/status")).await.unwrap().json().await.unwrap();
    assert_eq!((&status["identityMode"], &status["oidcLoginUrl"]), (&json!("named-users"), &json!("/auth/oidc/login")));

    let mut browser = Browser::new();
    let back = browser.leave(&one, &idp, "alice", "/editor/letters%3Ftab=1").await;
    let code = code_of(&browser.get(other.url(&back)).await, "/editor/letters?tab=1");
    assert_eq!(Browser::new().complete(&one, &code).await.0, 401, "another browser has no use for the code");
    let mut copy = Browser { client: browser.client.clone(), cookie: browser.cookie.clone() };
    let (status, minted) = browser.complete(&one, &code).await;
    assert_eq!(status, 200, "{minted}");
    assert_eq!(browser.cookie, None, "the cookie has done its work");
    let told = ["actor", "displayName", "scope", "tenantId"].map(|name| minted[name].as_str().unwrap());
    assert_eq!(told, ["subject-of-alice", "Alice Example", "author", "default"]);
    for server in [&one, &other] {
        let (status, refused) = copy.complete(server, &code).await;
        assert_eq!((status, &refused["code"]), (401, &json!("unauthorized")), "the code was used");
        assert_eq!(copy.get(server.url(&back)).await.status(), 401, "and so was the provider's");
    }
    assert!(other.log().contains("the completion code of subject-of-alice was used before"), "{}", other.log());

    let token = minted["token"].as_str().unwrap();
    let create = reqwest::Client::new().post(other.url("/templates")).header("X-Editor-Token", token);
    assert_eq!(answer(create.json(&json!({"key": "hers", "name": "Hers", "html": "x"}))).await.0, 201);
    let events: Value = one.get("/audit-events").await.json().await.unwrap();
    let told: Vec<_> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| [&event["event"], &event["actor"]].map(|text| text.as_str().unwrap()))
        .collect();
    let hers = "subject-of-alice";
    let expected = [["template.created", hers], ["editor_token_minted", hers], ["user.signed-in", hers], ["user.created", "system:oidc"]];
    assert_eq!(told, expected);
    assert_eq!(events["items"][2]["details"], json!({"method": "oidc", "issuer": idp.issuer()}));
    let users: Value = one.get("/admin/users").await.json().await.unwrap();
    assert_eq!((&users["users"][0]["authMethod"], &users["users"][0]["groups"]), (&json!("oidc"), &json!(["staff"])));
    for server in [&one, &other] {
        assert!(!server.log().contains(code.as_str()) && !server.log().contains(token), "no log holds what lets somebody in");
    }
}

#[tokio::test]
async fn a_login_with_anything_wrong_in_it_is_refused_alike_and_the_log_says_why() {
    let mut idp = provider();
    let server = Server::start_with(settings(&idp, &[("OIDC_AUTO_PROVISION", "true")]));
    for elsewhere in ["https://evil.example", "//evil.example", "/%5Cevil.example", "/a%23b", "editor"] {
        let answer = Browser::new().get(server.url(&format!("/auth/oidc/login?return_to={elsewhere}"))).await;
        assert_eq!(answer.status(), 400, "{elsewhere}");
    }

    let mut refusals = Vec::new();
    let mut refused = async |answer: reqwest::Response, why: &str| {
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        assert_eq!((status, &body["code"]), (401, &json!("unauthorized")), "{why}");
        assert!(server.log().contains(why), "{why} is not in\n{}", server.log());
        refusals.push(body["message"].as_str().unwrap().to_owned());
    };
    let mut browser = Browser::new();
    let back = browser.leave(&server, &idp, "alice", "/").await;
    let cookie = browser.cookie.clone().unwrap();
    let last = if cookie.ends_with('A') { "B" } else { "A" };
    for (cookie, why) in [
        (None, "the cookie is missing"),
        (Some(format!("{}{last}", &cookie[..cookie.len() - 1])), "was not made with our secret"),
        (Some(cookie.replacen("pulp_oidc=", "pulp_oidc=e", 1)), "was not made with our secret"),
    ] {
        let mut forger = Browser { client: browser.client.clone(), cookie };
        refused(forger.get(server.url(&back)).await, why).await;
    }
    refused(browser.get(server.url(&back.replacen("state=", "state=x", 1))).await, "the state is not that of this browser").await;
    refused(browser.get(server.url("/auth/oidc/callback")).await, "the state is not that of this browser").await;
    let mut another = Browser::new();
    another.leave(&server, &idp, "bob", "/").await;
    refused(another.get(server.url(&back)).await, "the state is not that of this browser").await;

    for (lie, why) in [
        (json!({"nonce": "another"}), "its nonce is not that of this login"),
        (json!({"iss": "https://evil.example"}), "its issuer is \\\"https://evil.example"),
        (json!({"aud": "another-client"}), "its audience is"),
        (json!({"exp": 1_000_000_000}), "it expired"),
    ] {
        idp.change_id_tokens(&lie);
        let mut browser = Browser::new();
        let back = browser.leave(&server, &idp, "alice", "/").await;
        refused(browser.get(server.url(&back)).await, why).await;
    }
    idp.behave();
    for forgery in [Forgery::Unsigned, Forgery::PublicKeyAsSecret, Forgery::Broken] {
        idp.forge_id_tokens(forgery);
        let mut browser = Browser::new();
        let back = browser.leave(&server, &idp, "alice", "/").await;
        refused(browser.get(server.url(&back)).await, "a token was refused").await;
    }
    idp.behave();
    let mut browser = Browser::new();
    let code = browser.come_back(&server, &idp, "alice").await;
    for wrong in ["", "rubbish", &code[1..], cookie.trim_start_matches("pulp_oidc=")] {
        let (status, body) = browser.complete(&server, wrong).await;
        assert_eq!((status, body["message"].as_str().unwrap()), (401, refusals[0].as_str()));
    }
    assert!(refusals.iter().all(|message| *message == refusals[0]), "whoever probes learns nothing: {refusals:?}");
    let (status, minted) = browser.complete(&server, &code).await;
    assert_eq!((status, &minted["scope"]), (200, &json!("viewer")), "an honest login beside them goes on: {minted}");
}

#[tokio::test]
async fn an_access_token_of_the_provider_lets_its_person_in_until_the_registry_says_otherwise() {
    let (idp, database) = (provider(), TestDatabase::empty().await);
    let settings = settings(
        &idp,
        &[
            ("DATABASE_URL", database.url()),
            ("OIDC_AUTO_PROVISION", "true"),
            ("EDITOR_TOKEN_SECRET", "a-secret-of-the-tests-for-editor-tokens"),
        ],
    );
    let (one, other) = (Server::start_with(settings), Server::start_with(settings));
    let honest = || idp.access_token("alice", CLIENT, &json!({}), &json!({}));
    let hers = honest();
    let (status, body) = me(&one, &hers).await;
    assert_eq!((status, &body["actor"], &body["baseRole"]), (200, &json!("subject-of-alice"), &json!("viewer")), "{body}");
    let lookups = async || {
        let text = one.metrics().await;
        let lines = text.lines().filter(|line| line.starts_with("pulp_store_statements_total") && line.contains("users."));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    assert_eq!(me(&one, &hers).await.0, 200);
    let before = lookups().await;
    for _ in 0..20 {
        assert_eq!(me(&one, &hers).await.0, 200);
    }
    assert!(lookups().await - before <= 1.0, "a known person costs no question to the database");
    assert!(before > 0.0, "the first request asked");

    let foreign = [
        ("of another issuer", idp.access_token("alice", CLIENT, &json!({"iss": "https://evil.example"}), &json!({}))),
        ("for another audience", idp.access_token("alice", "another", &json!({}), &json!({}))),
        ("of yesterday", idp.access_token("alice", CLIENT, &json!({"exp": 1_000_000_000}), &json!({}))),
        ("unsigned", idp.forged_access_token(CLIENT, Forgery::Unsigned)),
        ("with the public key as secret", idp.forged_access_token(CLIENT, Forgery::PublicKeyAsSecret)),
        ("with a broken signature", idp.forged_access_token(CLIENT, Forgery::Broken)),
    ];
    for (what, token) in foreign {
        let refused = reqwest::Client::new().get(one.url("/auth/me")).bearer_auth(token).send().await.unwrap();
        assert_eq!(refused.status(), 401, "{what}");
        assert_eq!(refused.headers()["www-authenticate"], "Bearer error=\"invalid_token\"", "{what}");
    }
    idp.rotate("ES256");
    assert_eq!(me(&one, &honest()).await.0, 200, "a new key of the provider is picked up");
    assert_eq!(me(&one, &hers).await.0, 200, "tokens of the old one go on");

    let (status, minted) = log_in(&other, &idp, "alice").await;
    assert_eq!(status, 200, "{minted}");
    let session = minted["token"].as_str().unwrap();
    put_user(&one, "subject-of-alice", json!({"active": false})).await;
    for token in [hers.as_str(), session] {
        let (status, body) = me(&one, token).await;
        assert_eq!((status, &body["code"]), (401, &json!("account_deactivated")));
        eventually("the other replica refuses too", async || me(&other, token).await.0 == 401).await;
    }
    let (status, body) = log_in(&one, &idp, "alice").await;
    assert_eq!((status, &body["code"]), (401, &json!("account_deactivated")), "nor does she come in anew");

    let cut_over = domain::Clock::system().now();
    put_user(&one, "subject-of-alice", json!({"active": true, "tokenIssuedAfter": cut_over.to_string()})).await;
    for token in [hers.as_str(), session] {
        assert_eq!(me(&one, token).await.0, 401, "what was issued before the cut-over is over");
        assert_eq!(me(&other, token).await.0, 401);
    }
    let (status, minted) = log_in(&one, &idp, "alice").await;
    assert_eq!(status, 200, "{minted}");
    assert_eq!(me(&one, minted["token"].as_str().unwrap()).await.0, 200);
    let later = idp.access_token("alice", CLIENT, &json!({"iat": cut_over.as_second() + 1}), &json!({}));
    assert_eq!(me(&one, &later).await.0, 200);
}

#[tokio::test]
async fn tenant_and_role_are_those_of_the_claims_and_nobody_comes_into_a_tenant_that_is_not_open() {
    let idp = provider();
    let users = r#"[{"id": "subject-of-bob", "displayName": "Bob", "key": "the-key-of-bob-in-this-test", "role": "admin"}]"#;
    let server = Server::start_with(settings(
        &idp,
        &[
            ("OIDC_AUTO_PROVISION", "true"),
            ("OIDC_CLAIM_TENANT", "org"),
            ("MULTI_TENANT_ENABLED", "true"),
            ("API_KEY_SUPER_ADMIN", SUPER_KEY),
            ("EDITOR_USERS_JSON", users),
        ],
    ));
    let as_super = |path: &str| reqwest::Client::new().post(server.url(path)).header("X-Api-Key", SUPER_KEY);
    let carol = |claims: Value| idp.add_user("carol", &claims, &json!({}));
    carol(json!({"org": "acme", "role": "admin"}));
    let log = |why: &str| assert!(server.log().contains(why), "{why} is not in\n{}", server.log());
    let (status, body) = log_in(&server, &idp, "carol").await;
    assert_eq!((status, &body["code"]), (403, &json!("forbidden")), "there is no acme yet");
    log("there is no such tenant");
    assert_eq!(answer(as_super("/admin/tenants").json(&json!({"id": "acme", "name": "Acme"}))).await.0, 201);
    let (status, minted) = log_in(&server, &idp, "carol").await;
    assert_eq!((status, &minted["scope"], &minted["tenantId"]), (200, &json!("admin"), &json!("acme")), "{minted}");
    carol(json!({"org": "acme"}));
    let (_, minted) = log_in(&server, &idp, "carol").await;
    assert_eq!(minted["scope"], "viewer", "who loses the claim loses the role");
    let groups: Vec<String> = (0..300).map(|number| format!("group-number-{number}")).collect();
    carol(json!({"org": "acme", "groups": groups}));
    assert_eq!(log_in(&server, &idp, "carol").await.0, 200, "more groups than fit into an address lock nobody out");
    carol(json!({"org": "default", "role": "admin"}));
    let (status, _) = log_in(&server, &idp, "carol").await;
    assert_eq!(status, 403, "a person stays in one tenant");
    log("the user belongs to another tenant");
    assert_eq!(me(&server, &idp.access_token("carol", CLIENT, &json!({}), &json!({}))).await.0, 403);
    carol(json!({"org": "acme"}));
    assert_eq!(me(&server, &idp.access_token("carol", CLIENT, &json!({}), &json!({}))).await.1["tenantId"], "acme");
    let squatter = json!({"id": "subject-of-alice", "displayName": "Alice", "key": "a-key-of-the-squatter-here", "role": "admin"});
    for (unreadable, why) in [
        (json!(""), "for the tenant is not a text"),
        (json!(7), "for the tenant is not a text"),
        (json!(["acme"]), "for the tenant is not a text"),
        (json!("x".repeat(129)), "for the tenant is not a text"),
    ] {
        carol(json!({"org": unreadable}));
        let mut browser = Browser::new();
        let back = browser.leave(&server, &idp, "carol", "/").await;
        let refused = browser.get(server.url(&back)).await;
        assert_eq!((refused.status().as_u16(), refused.headers().get("location")), (401, None), "{unreadable}");
        log(why);
        assert_eq!(me(&server, &idp.access_token("carol", CLIENT, &json!({"org": unreadable}), &json!({}))).await.0, 401, "{unreadable}");
    }
    carol(json!({"org": "Acme, Inc."}));
    assert_eq!(log_in(&server, &idp, "carol").await.0, 403, "a name that no tenant can have is nobody's");
    carol(json!({"org": "acme"}));
    let in_acme = |path: &str| as_super(path).header("X-PulpEngine-Tenant-Id", "acme");
    assert_eq!(answer(in_acme("/admin/users").json(&squatter)).await.0, 201);
    let made_for_people = json!({"id": "Oidc:00", "displayName": "X", "key": "another-key-of-the-squatter", "role": "admin"});
    let (status, refused) = answer(in_acme("/admin/users").json(&made_for_people)).await;
    assert_eq!((status, &refused["issues"][0]["path"]), (422, &json!("/id")), "{refused}");
    assert_eq!(answer(as_super("/admin/tenants/acme/archive")).await.0, 200);
    let (status, _) = log_in(&server, &idp, "carol").await;
    assert_eq!(status, 403, "the tenant is archived");

    let (status, _) = log_in(&server, &idp, "bob").await;
    assert_eq!(status, 403, "the provider does not speak for people with keys");
    log("comes in with a key");
    assert_eq!(me(&server, &idp.access_token("bob", CLIENT, &json!({}), &json!({}))).await.0, 403);
    let (status, minted) = log_in(&server, &idp, "alice").await;
    assert_eq!((status, &minted["tenantId"]), (200, &json!("default")), "whose claims name no tenant is in the default one: {minted}");
    assert_eq!(minted["scope"], "viewer", "who took her name in another tenant neither keeps her out nor lends her anything");
    assert_eq!(me(&server, &idp.access_token("alice", CLIENT, &json!({}), &json!({}))).await.1["tenantId"], "default");
}

#[tokio::test]
async fn who_is_no_user_stays_outside_unless_people_may_become_users() {
    let idp = provider();
    let server = Server::start_with(settings(&idp, &[]));
    let (status, body) = log_in(&server, &idp, "alice").await;
    assert_eq!((status, &body["code"]), (403, &json!("forbidden")));
    assert_eq!(me(&server, &idp.access_token("alice", CLIENT, &json!({}), &json!({}))).await.0, 403);
    assert!(server.log().contains("subject-of-alice is no user, and OIDC_AUTO_PROVISION is off"), "{}", server.log());
    let users: Value = server.get("/admin/users").await.json().await.unwrap();
    assert_eq!((&users["users"], &users["total"]), (&json!([]), &json!(0)));
    let mut last = 302;
    for _ in 0..=30 {
        last = Browser::new().get(server.url("/auth/oidc/callback?state=x")).await.status().as_u16();
    }
    assert_eq!(last, 429, "one address does not come back without end");
    drop(idp);
    let away = Browser::new().get(server.url("/auth/oidc/login")).await;
    assert_eq!(away.status(), 302, "what is known of the provider is used while it is away");
}

#[tokio::test]
async fn the_people_of_the_configuration_are_entered_once_and_nobody_signs_as_one_of_them() {
    let mut server = Server::start_with(&[(
        "EDITOR_USERS_JSON",
        r#"[{"id": "ann", "displayName": "Ann Lee", "key": "the-key-of-ann-in-this-test", "role": "author", "email": "ann@example.com"},
            {"id": "old", "displayName": "Old", "key": "the-key-of-old-in-this-test", "role": "admin", "active": false}]"#,
    )]);
    let status: Value = reqwest::get(server.url("/auth/status")).await.unwrap().json().await.unwrap();
    assert_eq!((&status["identityMode"], &status["oidcLoginUrl"]), (&json!("named-users"), &Value::Null));
    assert_eq!(reqwest::get(server.url("/auth/oidc/login")).await.unwrap().status(), 404);
    let mint = async |server: &Server, body: Value| answer(reqwest::Client::new().post(server.url("/auth/editor-token")).json(&body)).await;
    let (status, minted) = mint(&server, json!({"key": "the-key-of-ann-in-this-test", "actor": "somebody else"})).await;
    assert_eq!((status, &minted["actor"], &minted["displayName"]), (200, &json!("ann"), &json!("Ann Lee")));
    assert_eq!(mint(&server, json!({"key": "the-key-of-old-in-this-test"})).await.0, 401);
    let (status, refused) = mint(&server, json!({"key": EDITOR_KEY, "actor": "ann"})).await;
    assert_eq!((status, &refused["issues"][0]["path"]), (422, &json!("/actor")), "{refused}");
    assert_eq!(mint(&server, json!({"key": EDITOR_KEY, "actor": "anna"})).await.0, 200);

    let deleted = reqwest::Client::new().delete(server.url("/admin/users/old")).header("X-Api-Key", KEY);
    assert_eq!(answer(deleted).await.0, 200);
    server.signal("TERM");
    assert!(server.wait_for_end().success());
    let server = server.start_again();
    let users: Value = server.get("/admin/users").await.json().await.unwrap();
    assert_eq!(users["users"].as_array().unwrap().len(), 1, "who was removed does not come back: {users}");
    assert!(server.log().contains("there are users already"));
}

#[tokio::test]
async fn without_people_of_its_own_a_server_says_that_keys_are_shared() {
    let server = Server::start();
    let mode = async || reqwest::get(server.url("/auth/status")).await.unwrap().json::<Value>().await.unwrap()["identityMode"].clone();
    assert_eq!(mode().await, "shared-key");
    let ann = json!({"id": "ann", "displayName": "Ann", "key": "the-key-of-ann-in-this-test", "role": "author"});
    assert_eq!(server.post("/admin/users", &ann).await.status(), 201);
    assert_eq!(mode().await, "named-users");
}

#[tokio::test]
async fn a_login_goes_on_while_the_secret_of_its_cookie_is_changed() {
    const NEW: &str = "another-cookie-secret-of-the-tests-that-is-long";
    const OLD: &str = "a-cookie-secret-of-the-tests-that-is-long";
    let idp = provider();
    let people = ("OIDC_AUTO_PROVISION", "true");
    let old = Server::start_with(settings(&idp, &[people]));
    let both = Server::start_with(settings(&idp, &[people, ("OIDC_COOKIE_SECRET", NEW), ("OIDC_COOKIE_SECRET_PREVIOUS", OLD)]));
    let new = Server::start_with(settings(&idp, &[people, ("OIDC_COOKIE_SECRET", NEW)]));
    for (begun_at, ended_at, status) in [(&old, &both, 302), (&both, &new, 302), (&both, &old, 401), (&old, &new, 401)] {
        let mut browser = Browser::new();
        let back = browser.leave(begun_at, &idp, "alice", "/editor/").await;
        let came = browser.get(ended_at.url(&back)).await;
        assert_eq!(came.status(), status, "{}", ended_at.log());
        if status == 302 {
            let (status, minted) = browser.complete(ended_at, &code_of(&came, "/editor/")).await;
            assert_eq!((status, &minted["actor"]), (200, &json!("subject-of-alice")), "{minted}");
        }
    }
}
