//! What a server tells of itself and of the others: in `/metrics`, in `/admin/system` and in `/api/cluster/info`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::postgres::TestDatabase;
use tokio::task::JoinSet;

use crate::running::{KEY, Server, answer, children, kill, wait_until_async, without_instance};

const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
/// More than any bound that is set here.
const INVENTED: usize = 5_000;
const CALLERS: usize = 16;

async fn told(server: &Server, path: &str) -> Value {
    let request = reqwest::Client::new().get(server.url(path)).header("X-Api-Key", KEY);
    let (status, body) = answer(request.timeout(Duration::from_secs(5))).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

fn series(metrics: &str) -> BTreeSet<String> {
    let lines = metrics.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').expect("a series and its value").0.to_owned()).collect()
}

fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in:\n{metrics}")).parse().expect("a number")
}

/// A path, a template, a tenant or a method that there is not.
async fn invent(client: &reqwest::Client, url: &str, number: usize) {
    let name = format!("invented-{number}");
    let ask =
        |method: &str, path: &str, key: &str| client.request(method.parse().unwrap(), format!("{url}{path}")).header("X-Api-Key", key);
    let request = match number % 5 {
        0 => ask("GET", &format!("/{name}/of/nothing"), KEY),
        1 => ask("POST", "/render/html", KEY).json(&json!({"template": name})),
        2 => ask("GET", "/templates", SUPER_KEY).header("X-PulpEngine-Tenant-Id", &name),
        3 => ask("PURGE", &format!("/templates/{name}/portal"), KEY),
        _ => ask("GET", &format!("/render/pdf/{name}"), KEY),
    };
    let status = request.send().await.unwrap().status();
    assert!(status.is_client_error() || status.as_u16() == 501, "{number}: {status}");
}

#[tokio::test]
async fn whatever_callers_invent_there_are_no_more_series_and_every_one_names_its_server() {
    let server = Server::start_with(&[
        ("MULTI_TENANT_ENABLED", "true"),
        ("API_KEY_SUPER_ADMIN", SUPER_KEY),
        ("METRICS_TENANT_LABEL_MODE", "bounded"),
        ("METRICS_TENANT_LABEL_MAX", "3"),
        ("METRICS_TEMPLATE_LABEL_MODE", "bounded"),
        ("METRICS_TEMPLATE_LABEL_MAX", "4"),
    ]);
    let client = reqwest::Client::new();
    let ask = |method: &str, path: &str, key: &str| client.request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", key);
    for tenant in 0..6 {
        let id = format!("tenant-{tenant}");
        let made = ask("POST", "/admin/tenants", SUPER_KEY).json(&json!({"id": id, "name": id}));
        assert_eq!(answer(made).await.0, 201);
        for template in ["note", "memo"] {
            let definition = json!({"key": template, "name": template, "html": "<p>{{name}}</p>"});
            let made = ask("POST", "/templates", SUPER_KEY).header("X-PulpEngine-Tenant-Id", &id).json(&definition);
            assert_eq!(answer(made).await.0, 201);
            for _ in 0..3 {
                let render = ask("POST", "/render/html", SUPER_KEY).header("X-PulpEngine-Tenant-Id", &id);
                assert_eq!(answer(render.json(&json!({"template": template, "data": {"name": "A"}}))).await.0, 200);
            }
        }
    }
    server.pdf_of(&json!({"definition": {"key": "k", "name": "n", "html": "x"}})).await;
    // One of each kind that the invented ones are: their series are there before.
    for number in 0..5 {
        invent(&client, &server.url(""), number).await;
    }
    let before = server.get("/metrics").await.text().await.unwrap();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, url) = (client.clone(), server.url(""));
        callers.spawn(async move {
            for number in (5 + caller..INVENTED).step_by(CALLERS) {
                invent(&client, &url, number).await;
            }
        });
    }
    callers.join_all().await;
    let after = server.get("/metrics").await.text().await.unwrap();

    let instance = told(&server, "/admin/system").await["instanceId"].as_str().unwrap().to_owned();
    let label = format!("instance=\"{instance}\"");
    let nameless: Vec<_> = series(&after).into_iter().filter(|one| !one.contains(&label)).collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    let new: Vec<_> = series(&after).difference(&series(&before)).cloned().collect();
    assert!(new.len() < 40, "{} new series: {new:#?}", new.len());
    assert!(!after.contains("invented"), "{:?}", after.lines().find(|line| line.contains("invented")));

    let metrics = without_instance(&after);
    let of = |name: &str, text: &str| metrics.lines().filter(|line| line.starts_with(name) && line.contains(text)).count();
    assert_eq!(of("pulp_tenant_renders_total{tenant=\"tenant-", "succeeded"), 3, "the first three tenants:\n{metrics}");
    assert!(value(&metrics, "pulp_tenant_renders_total{tenant=\"other\",outcome=\"succeeded\"}") >= 18.0);
    assert_eq!(of("pulp_template_renders_total{tenant=\"tenant-", "succeeded"), 4, "the first four templates");
    assert!(value(&metrics, "pulp_template_renders_total{tenant=\"other\",template=\"unknown\",outcome=\"failed\"}") >= 900.0);
    assert!(value(&metrics, "pulp_template_renders_total{tenant=\"other\",template=\"inline\",outcome=\"succeeded\"}") >= 1.0);
    assert!(value(&metrics, "pulp_renders_total{format=\"html\",mode=\"single\",outcome=\"succeeded\",code=\"\"}") >= 36.0);
    assert!(value(&metrics, "process_cpu_seconds_total") > 0.0 && value(&metrics, "process_open_fds") > 5.0);
    assert!(value(&metrics, "process_resident_memory_bytes") > 1e6);
    assert!(metrics.contains("pulp_build_info{version="), "{metrics}");
}

#[tokio::test]
async fn every_cache_says_how_often_it_spared_a_question_and_how_full_it_is() {
    let server = Server::start();
    for _ in 0..5 {
        server.post("/render/html", &json!({"template": "letter", "data": {}})).await;
    }
    let metrics = server.metrics().await;
    let system = told(&server, "/admin/system").await;
    let caches = system["caches"].as_array().unwrap();
    let names: BTreeSet<&str> = caches.iter().map(|cache| cache["name"].as_str().unwrap()).collect();
    for name in [
        "any_user",
        "api_keys",
        "asset_bytes",
        "asset_names",
        "compiled_templates",
        "dataset_bytes",
        "render_tokens",
        "template_definitions",
        "template_heads",
        "template_references",
        "tenant_quotas",
        "tenants",
        "user_keys",
        "users",
        "users_of_provider",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
        for outcome in ["hit", "miss", "stale", "joined"] {
            value(&metrics, &format!("pulp_cache_reads_total{{cache=\"{name}\",outcome=\"{outcome}\"}}"));
        }
        let filled = value(&metrics, &format!("pulp_cache_fill_ratio{{cache=\"{name}\"}}"));
        assert!((0.0..=1.0).contains(&filled), "{name}: {filled}");
    }
    assert!(value(&metrics, "pulp_cache_reads_total{cache=\"compiled_templates\",outcome=\"hit\"}") >= 3.0);
    let compiled = caches.iter().find(|cache| cache["name"] == "compiled_templates").unwrap();
    assert!(compiled["hitRate"].as_f64().unwrap() > 0.5 && compiled["bound"]["unit"] == "bytes", "{compiled}");
    assert!(caches.iter().all(|cache| cache["bound"]["most"].as_u64().is_some_and(|most| most > 0)), "{caches:?}");
}

/// What every replica has to say the same of.
fn same(view: &Value) -> Value {
    let facts = |replica: &Value| {
        json!([replica["instanceId"], replica["version"], replica["schemaVersion"], replica["startedAt"], replica["alive"]])
    };
    let mut replicas: Vec<Value> = view["replicas"].as_array().unwrap().iter().map(facts).collect();
    replicas.sort_by_key(ToString::to_string);
    json!([replicas, view["replicasAlive"], view["mixedVersions"], view["schemaVersion"], view["versions"]])
}

#[tokio::test]
async fn all_replicas_show_the_same_cluster_who_stopped_is_gone_and_who_died_is_not_counted() {
    let database = TestDatabase::empty().await;
    let url: &'static str = Box::leak(database.url().to_owned().into_boxed_str());
    let folder = tempfile::tempdir().unwrap();
    let assets: &'static str = Box::leak(folder.path().to_str().unwrap().to_owned().into_boxed_str());
    let start = |settings: &[(&'static str, &'static str)]| {
        Server::start_with(Box::leak([settings, &[("DATABASE_URL", url), ("ASSETS_DIR", assets)]].concat().into_boxed_slice()))
    };
    let (one, two, mut three) = (start(&[]), start(&[]), start(&[("APP_VERSION", "9.9.9")]));
    let info = async |server: &Server| told(server, "/api/cluster/info").await;
    let listen = |view: &Value| view["replicas"].as_array().unwrap().iter().all(|replica| replica["listener"]["connected"] == true);
    let of_three = async || Some(info(&one).await).filter(|view| view["replicasAlive"] == 3 && listen(view));
    let seen = wait_until_async("all three are seen", of_three).await;
    for server in [&two, &three] {
        let view = info(server).await;
        assert_eq!(same(&view), same(&seen), "{view}");
        assert_eq!((&view["isCurrent"], &view["mixedVersions"]), (&json!(true), &json!(true)));
        assert_ne!(view["self"], seen["self"]);
        let own = view["replicas"].as_array().unwrap().iter().find(|replica| replica["instanceId"] == view["self"]).expect("itself");
        assert!(own["heartbeatAgeMs"].as_u64().unwrap() < 15_000 && own["accepting"] == true, "{own}");
        assert_eq!(own["listener"]["connected"], true, "{own}");
        assert!(own["leases"]["jobItems"].is_u64() && own["tabs"]["all"] == 1, "{own}");
        assert_eq!(told(server, "/admin/system").await["cluster"]["replicasAlive"], 3);
    }
    assert!(!seen.to_string().contains("postgres://"), "{seen}");

    three.signal("TERM");
    assert!(three.wait_for_end().success());
    let view = info(&one).await;
    assert_eq!((&view["replicasAlive"], view["replicas"].as_array().unwrap().len()), (&json!(2), 2), "it said farewell: {view}");
    assert_eq!(view["mixedVersions"], false);

    kill("KILL", two.pid());
    let died = Instant::now();
    let alone = async || Some(info(&one).await).filter(|view| view["replicasAlive"] == 1);
    let view = wait_until_async("the dead one is not counted", alone).await;
    assert!(died.elapsed() < Duration::from_secs(20), "{:?}", died.elapsed());
    let dead = view["replicas"].as_array().unwrap().iter().find(|replica| replica["alive"] == false).expect("the dead one is shown");
    assert_ne!(dead["instanceId"], view["self"]);
    assert!((value(&one.metrics().await, "pulp_replicas_alive") - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn while_the_database_is_silent_the_cluster_is_shown_as_it_was_known_last_and_nothing_hangs() {
    let server = Server::start();
    let seen = async || Some(told(&server, "/api/cluster/info").await).filter(|view| view["replicasAlive"] == 1);
    wait_until_async("it has seen itself", seen).await;
    let postgres = children(server.pid(), "postgres")[0];
    let all: Vec<u32> = children(postgres, "").into_iter().chain([postgres]).collect();
    // Of connections, some end meanwhile.
    let signal = |name: &str| {
        for pid in &all {
            drop(std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(std::process::Stdio::null()).status());
        }
    };
    signal("STOP");
    for path in ["/api/cluster/info", "/admin/system"] {
        let asked = Instant::now();
        let view = told(&server, path).await;
        assert!(asked.elapsed() < Duration::from_secs(3), "{path}: {:?}", asked.elapsed());
        let cluster = if path.ends_with("info") { &view } else { &view["cluster"] };
        assert_eq!((&cluster["isCurrent"], &cluster["replicasAlive"]), (&json!(false), &json!(1)), "{view}");
        assert!(cluster["ageMs"].as_u64().is_some_and(|age| age < 60_000), "{view}");
        if path == "/admin/system" {
            assert_eq!((&view["database"]["reachable"], &view["storedFiles"]["reachable"]), (&json!(false), &json!(true)), "{view}");
        }
    }
    signal("CONT");
    let back = async || Some(told(&server, "/admin/system").await).filter(|view| view["database"]["reachable"] == true);
    let view = wait_until_async("the database is back", back).await;
    assert!(view["database"]["latencyMs"].as_f64().is_some_and(|latency| latency > 0.0), "{view}");
}
