//! How a server ends, and what ends under it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pdf;

use crate::running::{Server, children, free_port, is_alive, kill, pulp_engine, wait_until};

#[tokio::test]
async fn a_signal_ends_the_server_cleanly_and_nothing_of_it_stays() {
    let mut server = Server::start();
    let below: Vec<u32> = ["chromium", "postgres"].iter().flat_map(|word| children(server.pid(), word)).collect();
    assert!(below.len() >= 2, "a browser and a database: {below:?}");
    server.signal("TERM");
    assert_eq!(server.wait_for_end().code(), Some(0), "{}", server.log());
    wait_until("the browser and the database have ended", || below.iter().all(|pid| !is_alive(*pid)));
    let left: Vec<_> = std::fs::read_dir(server.data_dir().join("chromium")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "cache"), "left-over browser profiles: {left:?}");
}

#[test]
fn a_server_stopped_while_it_waits_for_its_database_ends_cleanly() {
    for _ in 0..4 {
        let data = tempfile::tempdir().unwrap();
        let (log, port) = (data.path().join("log"), free_port().to_string());
        let settings = [
            ("PORT", port.as_str()),
            ("PULP_DATA_DIR", data.path().to_str().unwrap()),
            ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nowhere"),
        ];
        let stderr = std::fs::File::create(&log).unwrap();
        let mut child = pulp_engine(&["serve"], &settings).stdout(std::process::Stdio::null()).stderr(stderr).spawn().unwrap();
        let said = || std::fs::read_to_string(&log).unwrap();
        wait_until("the browser has started", || said().contains("browser started"));
        kill("TERM", child.id());
        wait_until("it has ended", || !is_alive(child.id()));
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", said());
    }
}

#[tokio::test]
async fn a_caller_who_leaves_takes_the_work_along() {
    let server = Server::start();
    let rows: Vec<_> = (0..20_000).map(|row| json!({"n": row})).collect();
    let html = "<table>{{#each rows}}<tr><td>Row {{n}}</td></tr>{{/each}}</table>";
    let body = json!({"definition": {"key": "k", "name": "n", "html": html}, "data": {"rows": rows}});
    let metrics = || server.metrics();
    let request = reqwest::Client::new().post(server.url("/render/pdf")).header("X-Api-Key", crate::running::KEY).json(&body);
    let render = tokio::spawn(request.send());
    while !metrics().await.lines().any(|line| line == "pulp_chromium_tabs_in_use 1") {
        assert!(!render.is_finished(), "the render ended before it was seen: give it more rows");
    }
    render.abort();
    let left = Instant::now();
    while !metrics().await.contains("pulp_chromium_tab_restarts_total{reason=\"cancelled\"} 1") {
        assert!(left.elapsed() < Duration::from_secs(10), "the tab still works for nobody");
    }
    let printed = server.pdf_of(&named("next")).await;
    assert_eq!(pdf::words(&printed).trim(), "next");
}

#[tokio::test]
async fn a_render_under_way_is_finished_before_the_server_ends() {
    let mut server = Server::start();
    let rows: Vec<_> = (0..4000).map(|row| json!({"name": format!("Enclosure {row}"), "pages": row})).collect();
    let data = json!({"sender": {"name": "A"}, "recipient": {"name": "B"}, "subject": "Long", "paragraphs": [], "enclosures": rows});
    let address = server.url("/render/pdf");
    let render = tokio::spawn(async move {
        let body = json!({"template": "letter", "data": data});
        let answer = reqwest::Client::new().post(address).header("X-Api-Key", crate::running::KEY).json(&body).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap())
    });
    let metrics = server.url("/metrics");
    // The tab is busy: the request is in.
    let mut under_way = false;
    while !under_way && !render.is_finished() {
        let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
        under_way = text.lines().any(|line| line.starts_with("pulp_chromium_tabs_in_use") && line.ends_with(" 1"));
    }
    assert!(under_way, "the render ended before it was seen: give it more rows");
    server.signal("TERM");
    let (status, bytes) = render.await.unwrap();
    assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&bytes));
    assert!(pdf::words(&bytes).contains("Enclosure 3999"));
    assert_eq!(server.wait_for_end().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_load_leaves_its_data_intact_for_the_next_one() {
    let mut server = Server::start();
    let template = json!({"key": "kept", "name": "Kept", "html": "<p>Hello {{name}}</p>"});
    let created = server.post("/templates", &template).await;
    assert_eq!(created.status(), 201, "{}", created.text().await.unwrap());
    let (address, body, done) = (server.url("/render/pdf"), named("load"), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (address, body, done) = (address.clone(), body.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let send = || reqwest::Client::new().post(&address).header("X-Api-Key", crate::running::KEY).json(&body).send();
                // Until the server is gone.
                while let Ok(answer) = send().await {
                    let Ok(bytes) = answer.bytes().await else { break };
                    assert_eq!(pdf::words(&bytes).trim(), "load", "a whole document or none");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    wait_until("there is load", || done.load(Ordering::Relaxed) > 30);
    server.signal("KILL");
    server.wait_for_end();
    for client in clients {
        client.await.unwrap();
    }

    let server = server.start_again();
    let printed = server.pdf("kept", &json!({"name": "again"})).await;
    assert!(pdf::words(&printed).contains("Hello again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_tabs_and_browsers_cost_at_most_what_is_in_flight_and_never_give_a_wrong_document() {
    let server = Arc::new(Server::start_with(&[("RENDER_MAX_CONCURRENT_PAGES", "3")]));
    let browser = children(server.pid(), "chromium")[0];
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> =
        (0..4).map(|client| tokio::spawn(render_until(Arc::clone(&stop), Arc::clone(&done), Arc::clone(&server), client))).collect();
    for round in 0..6 {
        let before = done.load(Ordering::Relaxed);
        wait_until("some documents came since the last death", || done.load(Ordering::Relaxed) > before + 20);
        let browsers = children(server.pid(), "chromium");
        let victims = if round % 2 == 0 { browsers.iter().flat_map(|browser| renderers(*browser)).collect() } else { browsers };
        assert!(!victims.is_empty(), "round {round}: nothing to kill\n{}", server.log());
        // One that ended by itself meanwhile cannot be killed.
        for pid in victims {
            drop(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status());
        }
        let killed = Instant::now();
        while !server.post("/render/pdf", &named("probe")).await.status().is_success() {
            assert!(killed.elapsed() < Duration::from_secs(10), "round {round}: not back\n{}", server.log());
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (mut right, mut failed) = (0, 0);
    for client in clients {
        let (its_right, its_failed) = client.await.unwrap();
        right += its_right;
        failed += its_failed;
    }
    println!("{right} right documents, {failed} answered with an error while processes were killed");
    assert!(right > 100 && failed < right / 5, "{right} right, {failed} failed");
    assert!(!is_alive(browser));
}

fn named(word: &str) -> serde_json::Value {
    json!({"definition": {"key": "k", "name": "n", "html": "<h1>{{word}}</h1>"}, "data": {"word": word}})
}

/// The renderers of a browser: its sandbox makes them children of another process, in the same process group.
pub fn renderers(browser: u32) -> Vec<u32> {
    let is_renderer = |folder: &std::path::Path| {
        let read = |file: &str| String::from_utf8_lossy(&std::fs::read(folder.join(file)).unwrap_or_default()).into_owned();
        let stat = read("stat");
        let group = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(2)?.parse().ok());
        group == Some(browser) && read("cmdline").contains("--type=renderer")
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| is_renderer(&entry.path()));
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Every answer is the right document or one of the errors that a dead browser has. Returns how many of each.
async fn render_until(stop: Arc<AtomicBool>, done: Arc<AtomicUsize>, server: Arc<Server>, client: usize) -> (usize, usize) {
    let (mut right, mut failed) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let word = format!("word-{client}-{}", right + failed);
        let answer = server.post("/render/pdf", &named(&word)).await;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.unwrap();
        if status == 200 {
            assert_eq!(pdf::words(&bytes).trim(), word);
            right += 1;
            done.fetch_add(1, Ordering::Relaxed);
        } else {
            let envelope: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(matches!((status, envelope["code"].as_str()), (502, Some("engine_crash")) | (503, Some(_))), "{status}: {envelope}");
            failed += 1;
        }
    }
    (right, failed)
}

#[tokio::test]
async fn a_stored_template_renders_while_the_database_does_not_answer() {
    let server = Server::start();
    let words = |bytes: Vec<u8>| pdf::words(&bytes);
    let data = json!({"sender": {"name": "A"}, "recipient": {"name": "B"}, "subject": "Warm", "paragraphs": []});
    assert!(words(server.pdf("letter", &data).await).contains("Warm"));
    let label = reqwest::Client::new().put(server.url("/templates/letter/labels/prod")).header("X-Api-Key", crate::running::KEY);
    let current = server.get("/templates/letter").await.json::<Value>().await.unwrap()["currentVersion"].clone();
    assert_eq!(crate::running::answer(label.json(&json!({"version": current}))).await.0, 200);
    let by_label = json!({"template": "letter", "label": "prod", "data": data});
    assert!(words(server.pdf_of(&by_label).await).contains("Warm"));
    let postgres = children(server.pid(), "postgres");
    let all: Vec<u32> = postgres.iter().flat_map(|pid| children(*pid, "")).chain(postgres.clone()).collect();
    let signal_all = |name: &str| all.iter().copied().for_each(|pid| kill(name, pid));
    // What is remembered is counted as a hit, and each question to the database as something else.
    let asked = async || {
        let metrics = server.metrics().await;
        let heads = metrics.lines().filter(|line| line.starts_with("pulp_cache_reads_total") && line.contains("template_heads"));
        heads.filter(|line| !line.contains("\"hit\"")).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    // The notice of the label may come after the first renders.
    let asked_before = loop {
        let before = asked().await;
        server.pdf("letter", &data).await;
        server.pdf_of(&by_label).await;
        if asked().await == before {
            break before;
        }
    };
    signal_all("STOP");
    let stopped = Instant::now();
    let at_once = server.pdf("letter", &data).await;
    assert!(words(server.pdf_of(&by_label).await).contains("Warm"));
    assert_eq!(asked().await, asked_before, "a warm render says no word to the database");
    // Longer than anything is held to be current without asking.
    while stopped.elapsed() < Duration::from_secs(12) {
        let asked = Instant::now();
        assert!(words(server.pdf("letter", &data).await).contains("Warm"));
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    }
    // The check itself gives up on the database within its published bound.
    let ready = server.get("/health/ready").await;
    let (status, ready) = (ready.status(), ready.json::<Value>().await.unwrap());
    signal_all("CONT");
    assert_eq!((status.as_u16(), &ready["checks"]["storage"]), (503, &json!("error")), "{ready}");
    assert!(words(at_once).contains("Warm"));
}

#[tokio::test]
async fn a_killed_database_is_started_again_and_serves() {
    let mut server = Server::start();
    let postgres = children(server.pid(), "postgres");
    assert_eq!(postgres.len(), 1, "{postgres:?}");
    kill("KILL", postgres[0]);
    wait_until("another process runs the database", || {
        let now = children(server.pid(), "postgres");
        !now.is_empty() && now != postgres
    });
    server.wait_until_ready();
    let key = server.get("/templates/invoice").await;
    assert_eq!(key.status(), 200, "{}", key.text().await.unwrap());
}
