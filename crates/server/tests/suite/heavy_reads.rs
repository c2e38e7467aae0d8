//! Large questions of one tenant leave room for what the others do.

use std::time::{Duration, Instant};

use testkit::postgres::TestDatabase;
use tokio::task::JoinSet;

use crate::running::{KEY, Server, wait_until_async};

const OTHER_KEY: &str = "an-admin-key-of-tenant-other";
const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";

fn get(server: &Server, key: &str, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().get(server.url(path)).header("X-Api-Key", key)
}

#[tokio::test]
async fn while_large_questions_are_stuck_a_few_wait_others_are_told_to_come_back_and_all_else_works() {
    let database = TestDatabase::empty().await;
    let url: &'static str = Box::leak(database.url().to_owned().into_boxed_str());
    let server = Server::start_with(Box::leak(Box::new([
        ("DATABASE_URL", url),
        ("DATABASE_MAX_CONNECTIONS", "6"),
        ("DATABASE_LOCK_TIMEOUT_MS", "15000"),
        ("MULTI_TENANT_ENABLED", "true"),
        ("API_KEY_SUPER_ADMIN", SUPER_KEY),
        ("API_KEYS_JSON", r#"[{"id": "other", "key": "an-admin-key-of-tenant-other", "scope": "admin", "tenantId": "other"}]"#),
    ])));
    let made = reqwest::Client::new().post(server.url("/admin/tenants")).header("X-Api-Key", SUPER_KEY);
    assert_eq!(made.json(&serde_json::json!({"id": "other", "name": "Other"})).send().await.unwrap().status(), 201);

    // Shorter than the server waits for a lock, longer than a question waits for its turn.
    let stuck = "BEGIN; LOCK TABLE render_usage, audit_events IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(11); COMMIT";
    let held = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = 'audit_events'::regclass";
    let locked = database.query(stuck);
    let asked = async {
        wait_until_async("the tables are locked", async || (database.query(held).await == "1").then_some(())).await;
        let mut asked = JoinSet::new();
        for path in ["/usage", "/usage/templates", "/audit-events/export"] {
            for key in [KEY, OTHER_KEY] {
                let request = get(&server, key, path);
                asked.spawn(async move {
                    let answer = request.send().await.unwrap();
                    (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
                });
            }
        }
        let began = Instant::now();
        for key in [KEY, OTHER_KEY].into_iter().cycle().take(20) {
            assert_eq!(get(&server, key, "/templates").send().await.unwrap().status(), 200);
        }
        assert!(began.elapsed() < Duration::from_secs(4), "light questions waited: {:?}", began.elapsed());
        asked.join_all().await
    };
    let (_, answers) = tokio::join!(locked, asked);
    assert!(answers.iter().all(|(status, retry)| (*status == 200) != *retry), "{answers:?}");
    // Two of each tenant have a turn among their own; of those four, three have one among all.
    let all = |wanted: u16| answers.iter().filter(|(status, _)| *status == wanted).count();
    assert_eq!((all(200), all(429) + all(503)), (3, 3), "{answers:?}");
    assert!(all(429) >= 1 && all(503) >= 1, "{answers:?}");
    assert_eq!(get(&server, KEY, "/usage").send().await.unwrap().status(), 200, "afterwards all is as ever");
}
