//! How a server ends, and what ends under it.

use serde_json::json;
use testkit::pdf;

use crate::running::{Server, children, is_alive, kill, wait_until};

#[tokio::test]
async fn a_signal_ends_the_server_cleanly_and_nothing_of_it_stays() {
    let mut server = Server::start();
    let below: Vec<u32> = ["chromium", "postgres"].iter().flat_map(|word| children(server.pid(), word)).collect();
    assert!(below.len() >= 2, "a browser and a database: {below:?}");
    server.signal("TERM");
    assert_eq!(server.wait_for_end().code(), Some(0), "{}", server.log());
    wait_until("the browser and the database have ended", || below.iter().all(|pid| !is_alive(*pid)));
    let profiles = std::fs::read_dir(server.data_dir().join("chromium")).unwrap().count();
    assert_eq!(profiles, 0, "left-over browser profiles");
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

#[tokio::test]
async fn a_killed_server_leaves_its_data_intact_for_the_next_one() {
    let mut server = Server::start();
    let template = json!({"key": "kept", "name": "Kept", "html": "<p>Hello {{name}}</p>"});
    let created = server.post("/templates", &template).await;
    assert_eq!(created.status(), 201, "{}", created.text().await.unwrap());
    server.signal("KILL");
    server.wait_for_end();

    let server = server.start_again();
    let printed = server.pdf("kept", &json!({"name": "again"})).await;
    assert!(pdf::words(&printed).contains("Hello again"));
}

#[tokio::test]
async fn a_killed_database_is_started_again_and_the_server_is_not_ready_meanwhile() {
    let mut server = Server::start();
    let postgres = children(server.pid(), "postgres");
    assert_eq!(postgres.len(), 1, "{postgres:?}");
    kill("KILL", postgres[0]);
    wait_until("the server has noticed", || !server.is_ready());
    server.wait_until_ready();
    assert_ne!(children(server.pid(), "postgres"), postgres, "another process");
    let key = server.get("/templates/invoice").await;
    assert_eq!(key.status(), 200, "{}", key.text().await.unwrap());
}
