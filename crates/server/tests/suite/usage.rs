//! What the log of renders and the sums of usage say of real renders, and what a tenant meets at its limits.

use std::time::{Duration, Instant};

use domain::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::pdf;

use crate::running::{KEY, RENDER_KEY, Server};

const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
const ACME_KEY: &str = "an-admin-key-of-tenant-acme";
const OTHER_KEY: &str = "an-admin-key-of-tenant-other";
/// A render appears within a second; more where many tests share a few cores.
const APPEARS: Duration = Duration::from_secs(10);

const TENANTS: &[(&str, &str)] = &[
    ("MULTI_TENANT_ENABLED", "true"),
    ("API_KEY_SUPER_ADMIN", SUPER_KEY),
    (
        "API_KEYS_JSON",
        r#"[{"id": "acme", "key": "an-admin-key-of-tenant-acme", "scope": "admin", "tenantId": "acme"},
            {"id": "other", "key": "an-admin-key-of-tenant-other", "scope": "admin", "tenantId": "other"}]"#,
    ),
];

/// A server and a credential for it.
#[derive(Clone, Copy)]
struct As<'a>(&'a Server, &'static str, &'a str);

impl As<'_> {
    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let Self(server, header, credential) = *self;
        reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header(header, credential)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request("GET", path)).await
    }

    async fn render(&self, format: &str, body: &Value) -> reqwest::Response {
        self.request("POST", &format!("/render/{format}")).json(body).send().await.unwrap()
    }

    /// Asks until the answer is as it should be.
    async fn until(&self, path: &str, right: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + APPEARS;
        loop {
            let (status, answer) = self.get(path).await;
            if status == 200 && right(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} still says after {APPEARS:?}: {status} {answer:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The log of renders, once it has so many.
    async fn renders(&self, query: &str, total: u64) -> Vec<Value> {
        let page = self.until(&format!("/renders?{query}"), |page| page["total"] == total).await;
        page["items"].as_array().unwrap().clone()
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    let number = |byte: &u8| [byte >> 4, byte & 15];
    Sha256::digest(bytes).iter().flat_map(number).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn inline(html: &str) -> Value {
    json!({"definition": {"key": "inline", "name": "Inline", "html": html}})
}

#[tokio::test]
async fn a_render_is_in_the_log_with_who_asked_and_the_hash_of_the_very_bytes() {
    let server = Server::start();
    let html = "<p>{{name}}</p><p style=\"break-before: page\">second</p>";
    assert_eq!(server.post("/templates", &json!({"key": "bill", "name": "Bill", "html": html})).await.status(), 201);
    let (admin, renderer) = (As(&server, "X-Api-Key", KEY), As(&server, "X-Api-Key", RENDER_KEY));
    let body = json!({"template": "bill", "data": {"name": "Ada", "a": [1, null]}, "metadata": {"order": "4711", "at": "10:30"}});
    let asked = renderer.request("POST", "/render/pdf").header("X-Correlation-Id", "batch 7").json(&body).send().await.unwrap();
    let request_id = asked.headers()["x-request-id"].to_str().unwrap().to_owned();
    let document = asked.bytes().await.unwrap();

    let items = admin.renders("meta=order:4711&meta=at:10:30&template=bill", 1).await;
    let render = &items[0];
    let expected = json!({
        "template": "bill", "version": "1.0.0", "format": "pdf", "source": "single", "outcome": "succeeded", "pages": 2,
        "sizeBytes": document.len(), "outputSha256": hex(&document), "dataSha256": hex(br#"{"name":"Ada","a":[1,null]}"#),
        "actor": "env:render", "credentialScope": "render", "requestId": request_id, "correlationId": "batch 7",
        "metadata": {"at": "10:30", "order": "4711"},
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&render[field], value, "{field} of {render:#}");
    }
    assert_eq!(pdf::page_count(&document), 2);
    let age = Clock::system().now().duration_since(render["renderedAt"].as_str().unwrap().parse().unwrap());
    assert!((0..60).contains(&age.as_secs()) && render["durationMs"].is_u64(), "{render:#}");
    let id = render["id"].as_str().unwrap();
    assert_eq!(admin.get(&format!("/renders/{id}")).await, (200, render.clone()));
    assert_eq!(admin.renders("meta=order:4711&meta=at:10:31", 0).await, [] as [Value; 0]);
    let stranger = id.replace(&id[24..], "000000000000");
    for unknown in [stranger.as_str(), "0192e8a0-0000-4000-8000-000000000000", "x"] {
        assert_eq!(admin.get(&format!("/renders/{unknown}")).await.0, 404, "{unknown}");
    }

    assert_eq!(renderer.render("html", &inline("<p>{{shout name}}</p>")).await.status(), 422);
    assert_eq!(renderer.render("html", &json!({"template": "nowhere"})).await.status(), 404);
    let mut outcomes: Vec<_> = admin.renders("status=failed", 2).await.into_iter().map(|item| item["outcome"].clone()).collect();
    outcomes.sort_by_key(Value::to_string);
    assert_eq!(outcomes, ["not_found", "template_expression_error"]);
    let failed = &admin.renders("status=template_expression_error", 1).await[0];
    assert_eq!((&failed["template"], &failed["format"], &failed["outputSha256"]), (&Value::Null, &json!("html"), &Value::Null));
    let page = admin.get("/renders?limit=1&offset=1").await.1;
    assert_eq!((page["total"].clone(), page["items"].as_array().unwrap().len()), (json!(3), 1), "{page:#}");
}

#[tokio::test]
async fn usage_is_summed_up_and_exported_so_that_a_spreadsheet_runs_nothing() {
    let server = Server::start();
    let admin = As(&server, "X-Api-Key", KEY);
    for key in ["one", "two", "unused"] {
        assert_eq!(server.post("/templates", &json!({"key": key, "name": key, "html": "<p>x</p>"})).await.status(), 201);
    }
    let mint = async |body: Value| {
        let minted = answer(reqwest::Client::new().post(server.url("/auth/editor-token")).json(&body)).await.1;
        minted["token"].as_str().unwrap().to_owned()
    };
    let eve = mint(json!({"key": KEY, "actor": "=HYPERLINK(\"http://evil.example\")"})).await;
    let eve = As(&server, "X-Editor-Token", &eve);
    let mut bytes = 0;
    for (who, template) in [(admin, "one"), (eve, "one"), (eve, "two")] {
        let document = who.render("html", &json!({"template": template, "metadata": {"=1+1": "x"}})).await;
        assert_eq!(document.status(), 200);
        bytes += document.bytes().await.unwrap().len();
    }
    assert_eq!(admin.render("html", &json!({"template": "two", "version": "9.9.9"})).await.status(), 404);

    let sums = admin.until("/usage?groupBy=template&stats=percentiles", |sums| sums["totals"]["renders"] == 4).await;
    assert_eq!((&sums["totals"]["failed"], &sums["totals"]["sizeBytes"], &sums["truncated"]), (&json!(1), &json!(bytes), &json!(false)));
    let groups: Vec<_> =
        sums["items"].as_array().unwrap().iter().map(|group| (&group["template"], &group["renders"], &group["failed"])).collect();
    assert_eq!(groups, [(&json!("one"), &json!(2), &json!(0)), (&json!("two"), &json!(2), &json!(1))]);
    assert!(sums["items"][0]["p95Ms"].is_u64(), "{sums:#}");
    let of_eve = admin.get("/usage?groupBy=day&actor=%3DHYPERLINK(%22http://evil.example%22)&source=single&status=succeeded").await.1;
    assert_eq!((&of_eve["totals"]["renders"], of_eve["items"].as_array().unwrap().len()), (&json!(2), 1), "{of_eve:#}");

    let log = admin.request("GET", "/usage.csv").send().await.unwrap();
    assert_eq!(log.headers()["content-type"], "text/csv; charset=utf-8");
    let log = log.text().await.unwrap();
    assert!(log.starts_with("id,renderedAt,template,version,label,format,source,outcome,"), "{log}");
    assert_eq!((log.lines().count(), log.matches(",\"'=HYPERLINK(\"\"http://evil.example\"\")\",").count()), (5, 2), "{log}");
    let actors = admin.request("GET", "/usage.csv?groupBy=actor").send().await.unwrap().text().await.unwrap();
    assert!(actors.starts_with("actor,renders,failed,pages,sizeBytes,durationMs\r\n"), "{actors}");
    assert!(
        actors.contains("\r\n\"'=HYPERLINK(\"\"http://evil.example\"\")\",2,0,0,") && actors.contains("\r\n\"env:admin\",2,1,0,"),
        "{actors}"
    );

    let keys = |list: &Value| list["items"].as_array().unwrap().iter().map(|item| item["template"].clone()).collect::<Vec<_>>();
    assert_eq!(keys(&admin.get("/usage/templates?sort=key").await.1), ["one", "two"]);
    let all = admin.get("/usage/templates?includeUnused=true&sort=lastRenderedAt&limit=3").await.1;
    assert_eq!(
        (&keys(&all)[..2], &all["items"][2]["renders"], &all["items"][2]["p50Ms"]),
        (&[json!("two"), json!("one")][..], &json!(0), &Value::Null),
        "{all:#}"
    );
    let past = admin.get("/usage/templates?includeUnused=true&limit=3&offset=1000").await.1;
    assert_eq!((&past["items"], &past["total"]), (&json!([]), &all["total"]), "{past:#}");
    let quota = admin.get("/usage/quota").await.1;
    assert_eq!((&quota["used"]["renders"], &quota["quotas"], &quota["limits"]), (&json!(3), &json!([]), &json!({})), "{quota:#}");
    assert_eq!(admin.get("/tenant/quota").await.1, quota);

    let limited = mint(json!({"key": KEY, "templates": ["one"]})).await;
    let limited = As(&server, "X-Editor-Token", &limited);
    for path in ["/usage", "/usage.csv", "/usage/templates", "/renders", "/usage?template=two"] {
        let (status, refused) = limited.get(path).await;
        assert_eq!((status, &refused["code"]), (403, &json!("api_key_template_not_allowed")), "{path}");
    }
    assert_eq!(limited.get("/usage?template=one").await.1["totals"]["renders"], 2);
    let of_two = &admin.renders("template=two&status=succeeded", 1).await[0];
    assert_eq!(limited.get(&format!("/renders/{}", of_two["id"].as_str().unwrap())).await.0, 403);
}

#[tokio::test]
async fn a_window_that_is_none_is_refused_with_what_would_be_accepted() {
    let server = Server::start_with(&[("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", SUPER_KEY)]);
    let admin = As(&server, "X-Api-Key", SUPER_KEY);
    for path in ["/usage", "/usage.csv", "/usage/templates", "/renders", "/admin/usage"] {
        for (window, code) in [
            ("from=2025-01-01&to=2026-01-03", "usage_window_too_wide"),
            ("from=2026-02-01&to=2026-01-01", "usage_invalid_window"),
            ("from=yesterday", "usage_invalid_date"),
            ("from=-009999-01-01&to=-009999-02-01", "usage_invalid_date"),
        ] {
            let (status, refused) = admin.get(&format!("{path}?{window}")).await;
            assert_eq!((status, &refused["code"]), (400, &json!(code)), "{path}?{window}: {refused}");
        }
        assert_eq!(admin.request("GET", &format!("{path}?from=2024-01-01&to=2025-01-01")).send().await.unwrap().status(), 200, "{path}");
    }
    for query in ["groupBy=colour", "stats=all", "source=sync", "status=fine"] {
        let (status, refused) = admin.get(&format!("/usage?{query}")).await;
        assert!(status == 400 && refused["message"].as_str().unwrap().contains("; accepted: "), "{query}: {refused}");
    }
}

#[tokio::test]
async fn the_render_past_the_limit_of_a_tenant_is_refused_and_no_other_tenant_notices() {
    let server = Server::start_with(TENANTS);
    let [operator, acme, other] = [SUPER_KEY, ACME_KEY, OTHER_KEY].map(|key| As(&server, "X-Api-Key", key));
    for id in ["acme", "other"] {
        assert_eq!(answer(operator.request("POST", "/admin/tenants").json(&json!({"id": id, "name": id}))).await.0, 201);
    }
    let limit = |body: Value| answer(operator.request("PATCH", "/admin/tenants/acme").json(&body));
    for (wrong, field) in [
        (json!({"rendersPerMont": 2}), "/quotas/rendersPerMont"),
        (json!({"rendersPerMonth": -1}), "/quotas/rendersPerMonth"),
        (json!({"concurrentRenders": 4_294_967_296_u64}), "/quotas/concurrentRenders"),
    ] {
        let (status, refused) = limit(json!({"quotas": wrong})).await;
        assert_eq!((status, &refused["issues"][0]["path"]), (422, &json!(field)), "{refused}");
    }
    let (status, limited) = limit(json!({"name": "Acme", "quotas": {"rendersPerMonth": 2, "storageBytes": null}})).await;
    assert_eq!((status, &limited["quotas"], &limited["name"]), (200, &json!({"rendersPerMonth": 2}), &json!("Acme")));
    assert_eq!(operator.get("/admin/tenants/acme").await, (200, limited));
    let told = acme.get("/audit-events?event=tenant.updated").await.1;
    assert_eq!(told["items"][0]["details"], json!({"name": "Acme", "quotas": {"rendersPerMonth": 2}}), "{told:#}");
    acme.until("/usage/quota", |quota| quota["quotas"][0]["limit"] == 2).await;

    for _ in 0..2 {
        assert_eq!(acme.render("html", &inline("<p>x</p>")).await.status(), 200);
    }
    let refused = acme.render("html", &inline("<p>x</p>")).await;
    assert_eq!(refused.status(), 429);
    let headers = refused.headers().clone();
    let refused: Value = refused.json().await.unwrap();
    let quota = &refused["quota"];
    let resets: Timestamp = quota["resetAt"].as_str().unwrap().parse().unwrap();
    let expected = json!({
        "scope": "tenant", "period": "month", "dimension": "renders", "limit": 2, "used": 2, "remaining": 0, "resetAt": quota["resetAt"],
    });
    assert_eq!((&refused["code"], quota), (&json!("quota_exhausted"), &expected), "{refused:#}");
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let said = ["x-quota-scope", "x-quota-limit", "x-quota-remaining", "x-quota-reset"].map(header);
    assert_eq!(said, ["tenant".to_owned(), "2".to_owned(), "0".to_owned(), resets.as_second().to_string()]);
    let wait_s: i64 = header("retry-after").parse().unwrap();
    assert_eq!(refused["retryAfter"], wait_s);
    assert!((resets.as_second() - Clock::system().now().as_second() - wait_s).abs() < 60, "{wait_s} s until {resets}");

    let of_acme = acme.renders("", 2).await;
    assert_eq!(other.renders("", 0).await, [] as [Value; 0]);
    assert_eq!(other.get(&format!("/renders/{}", of_acme[0]["id"].as_str().unwrap())).await.0, 404);
    assert_eq!(other.get("/usage?groupBy=tenant").await.1["items"], json!([]));
    assert_eq!(other.request("GET", "/usage.csv").send().await.unwrap().text().await.unwrap().lines().count(), 1);
    let quota = other.get("/tenant/quota").await.1;
    assert_eq!((&quota["quotas"], &quota["used"]["renders"]), (&json!([]), &json!(0)), "{quota:#}");
    for _ in 0..3 {
        assert_eq!(other.render("html", &inline("<p>x</p>")).await.status(), 200, "the other tenant has no limit");
    }
    let all = operator.until("/admin/usage", |all| all["totals"]["renders"] == 5).await;
    let tenants: Vec<_> = all["items"].as_array().unwrap().iter().map(|group| (&group["tenant"], &group["renders"])).collect();
    assert_eq!(tenants, [(&json!("other"), &json!(3)), (&json!("acme"), &json!(2))]);
    assert_eq!(acme.get("/admin/usage").await.1["code"], "super_admin_only");

    assert_eq!(limit(json!({"quotas": {}})).await.1["quotas"], json!({}));
    acme.until("/usage/quota", |quota| quota["quotas"] == json!([])).await;
    assert_eq!(acme.render("html", &inline("<p>x</p>")).await.status(), 200, "the limit is lifted");
}
