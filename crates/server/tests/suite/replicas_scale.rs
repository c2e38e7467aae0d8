//! Few and a hundred times as many templates, tenants, keys, people, events and renders: what a render and a page of a list cost.

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::json;
use testkit::postgres::TestDatabase;

use crate::replicas_running::{SUPER_KEY, as_of, replicas, shared};
use crate::running::{KEY, Server};

/// As many of everything as `$1` says, of which twenty templates have a tag and a word of their own.
const SEED: &str = "
    SET session_replication_role = replica;
    INSERT INTO tenants (tenant_id, name) SELECT 'tenant-' || lpad(n::text, 6, '0'), 'Tenant ' || n FROM generate_series(1, $1) n;
    INSERT INTO audit_chains (tenant_id) SELECT tenant_id FROM tenants WHERE tenant_id <> 'default' ON CONFLICT DO NOTHING;
    INSERT INTO templates (template_id, tenant_id, template_key, name, tags, owner, current_major, current_minor, current_patch, created_at, updated_at)
    SELECT md5('t' || n)::uuid, 'default', 'key-' || lpad(n::text, 6, '0'), CASE WHEN n % ($1 / 20) = 0 THEN 'Needle ' ELSE 'Name ' END || n,
           CASE WHEN n % ($1 / 20) = 0 THEN ARRAY['all', 'rare'] ELSE ARRAY['all'] END, 'owner-' || n % 20, 1, 0, 0,
           now() - n * interval '1 s', now() - (n % 977) * interval '1 s'
    FROM generate_series(1, $1) n;
    INSERT INTO template_versions (template_id, tenant_id, major, minor, patch, name, kind, definition, content_hash, created_at)
    SELECT template_id, tenant_id, 1, 0, 0, name, kind, d.text::json, sha256(convert_to(d.text, 'UTF8')), now()
    FROM templates, LATERAL (SELECT '{\"html\":\"<p>Hello {{name}} by ' || template_key || '</p>\"}' AS text) d
    WHERE template_key LIKE 'key-%';
    INSERT INTO api_keys (api_key_id, tenant_id, name, scope, lookup, secret_mac, hint, created_at, created_by, updated_at)
    SELECT md5('k' || n)::uuid, 'default', 'Key', 'render', lpad(n::text, 22, '0'), sha256(n::text::bytea), 'hint', now(), 'seed', now()
    FROM generate_series(1, $1) n;
    INSERT INTO users (user_id, tenant_id, display_name, role, auth_method, key_mac, key_hint, created_at, updated_at)
    SELECT 'user-' || lpad(n::text, 6, '0'), 'default', 'User', 'author', 'key', sha256(n::text::bytea), 'hint', now(), now()
    FROM generate_series(1, $1) n;
    INSERT INTO audit_events (tenant_id, seq, event_id, occurred_at, event, operation, resource_type, resource_id, actor, instance_id, details, content_hash, chain_hash)
    SELECT 'default', c.last_seq + n, md5('e' || n)::uuid, now() - ($1 - n) * interval '1 ms', 'template.updated', 'update', 'template', 'key-' || n % 100,
           'seed', 'seed', '{}', sha256('x'), sha256('x')
    FROM audit_chains c, generate_series(1, $1) n WHERE c.tenant_id = 'default';
    UPDATE audit_chains SET last_seq = last_seq + $1, last_hash = sha256('x'), last_at = now() WHERE tenant_id = 'default';
    INSERT INTO render_usage (tenant_id, rendered_at, usage_id, instance_id, template_key, format, mode, outcome, duration_ms, pages, size_bytes)
    SELECT 'default', now() - n * interval '1 ms', gen_random_uuid(), 'seed', 'key-' || n % 100, 'pdf', 'single', 'succeeded', 20, 1, 1000
    FROM generate_series(1, $1) n;
    SET session_replication_role = origin;";

/// A server among so many of everything.
struct Place {
    rows: usize,
    server: Server,
    database: TestDatabase,
    _files: tempfile::TempDir,
}

impl Place {
    async fn with(rows: usize) -> Self {
        let (database, files) = (TestDatabase::empty().await, tempfile::tempdir().unwrap());
        let settings = [("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", SUPER_KEY)];
        let [server] = replicas(shared(database.url(), files.path(), &settings));
        let began = Instant::now();
        database.query(&SEED.replace("$1", &rows.to_string())).await;
        // As a database has done by itself some minutes after so many rows came.
        database.query("VACUUM ANALYZE").await;
        println!("{rows} of everything in {:.1} s", began.elapsed().as_secs_f64());
        Self { rows, server, database, _files: files }
    }
}

/// What is asked of a place, in which turn.
type Question = Box<dyn Fn(&Client, &Place, usize) -> RequestBuilder>;

fn get(path: impl Fn(&Place) -> String + 'static) -> Question {
    Box::new(move |client, place, _| as_of(client, &place.server, "GET", &path(place), SUPER_KEY))
}

fn questions() -> Vec<(String, Question)> {
    let render = |client: &Client, place: &Place, number: usize| {
        let body = json!({"template": format!("key-{number:06}"), "data": {"name": "Ada"}});
        as_of(client, &place.server, "POST", "/render/html", KEY).json(&body)
    };
    let mut all: Vec<(String, Question)> = vec![
        ("a warm render".to_owned(), Box::new(move |client, place, _| render(client, place, 7))),
        ("a cold render".to_owned(), Box::new(move |client, place, turn| render(client, place, 20 + turn))),
        ("templates, a rare tag".to_owned(), get(|_| "/templates?limit=20&tag=rare".to_owned())),
        ("templates, a rare word".to_owned(), get(|_| "/templates?limit=20&q=needle".to_owned())),
        ("events of a resource".to_owned(), get(|_| "/audit-events?limit=20&resourceType=template&resourceId=sheet".to_owned())),
    ];
    for path in [
        "/templates?limit=20",
        "/templates?limit=20&sort=updatedAt&order=desc",
        "/admin/tenants?limit=20",
        "/admin/api-keys?limit=20",
        "/admin/users?limit=20",
        "/audit-events?limit=20",
        "/renders?limit=20",
    ] {
        all.push((format!("{path}, first page"), get(move |_| path.to_owned())));
        all.push((format!("{path}, in the middle"), get(move |place| format!("{path}&offset={}", place.rows / 2))));
        // Each further to the front than those before: no place that is known comes before it.
        all.push((
            format!("{path}, elsewhere"),
            Box::new(move |client, place, turn| {
                let offset = place.rows / 2 - (turn + 1) * place.rows / 40;
                as_of(client, &place.server, "GET", &format!("{path}&offset={offset}"), SUPER_KEY)
            }),
        ));
        all.push((format!("{path}, last page"), get(move |place| format!("{path}&offset={}", place.rows - 20))));
    }
    all
}

const TURNS: usize = 15;

/// The median of each question at each place. They take turns, so that what else the machine does falls on all alike.
async fn compare(few: usize, many: usize) -> Vec<(String, [Duration; 2])> {
    let (client, places) = (Client::new(), [Place::with(few).await, Place::with(many).await]);
    let mut found = Vec::new();
    for (name, question) in questions() {
        let mut times = [Vec::new(), Vec::new()];
        for turn in 0..=TURNS {
            for (place, times) in places.iter().zip(&mut times) {
                let request = question(&client, place, turn);
                let began = Instant::now();
                let answer = request.send().await.unwrap();
                let (status, body) = (answer.status(), answer.bytes().await.unwrap());
                assert_eq!(status, 200, "{name}: {}", String::from_utf8_lossy(&body));
                // The first one warms.
                if turn > 0 {
                    times.push(began.elapsed());
                }
            }
        }
        let medians = times.map(|mut times| {
            times.sort_unstable();
            times[TURNS / 2]
        });
        let ratio = medians[1].as_secs_f64() / medians[0].as_secs_f64();
        println!("| {name} | {:.1} ms | {:.1} ms | {ratio:.2} |", medians[0].as_secs_f64() * 1e3, medians[1].as_secs_f64() * 1e3);
        found.push((name, medians));
    }
    let scanned = "SELECT string_agg(relname || ' ' || seq_scan, ', ' ORDER BY seq_scan DESC) FROM pg_stat_user_tables
                   WHERE relname IN ('templates', 'template_versions', 'api_keys', 'users') AND seq_scan > 20";
    println!("read through more often than now and then: {}", places[1].database.query(scanned).await);
    found
}

const FLAT: f64 = 1.5;
/// Of a busy machine.
const NOISE: Duration = Duration::from_millis(4);
/// What may be added among thirty thousand where something is passed by or counted row by row.
const ROW_BY_ROW: Duration = Duration::from_millis(60);

/// What costs more the more there is: a page that is far from both ends and from what was read before, the log of renders, which
/// has no version that tells whether it was counted, and looking for a word.
fn grows(name: &str) -> bool {
    name.ends_with("elsewhere") || name.starts_with("/renders") || name.contains("word")
}

#[tokio::test(flavor = "multi_thread")]
async fn renders_and_pages_cost_the_same_among_three_hundred_and_thirty_thousand_of_everything() {
    for (name, [few, many]) in compare(300, 30_000).await {
        let bound = few.mul_f64(FLAT) + NOISE + if grows(&name) { ROW_BY_ROW } else { Duration::ZERO };
        assert!(many < bound, "{name}: {few:?} among few, {many:?} among many");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute; prints the table of docs/benchmarks.md"]
async fn renders_and_pages_among_a_thousand_and_a_hundred_thousand_of_everything() {
    compare(1_000, 100_000).await;
}
