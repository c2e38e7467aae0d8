//! What servers do without a request, seen in their database and their metrics.

use testkit::postgres::TestDatabase;

use crate::running::{Server, outcome, stderr, wait_until_async};

fn settings(pairs: &[(&str, &str)]) -> &'static [(&'static str, &'static str)] {
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (&*String::from(*name).leak(), &*String::from(*value).leak())).collect();
    Vec::leak(pairs)
}

/// The months that a table has ahead, the present one included.
fn months(table: &str) -> String {
    format!(
        "SELECT count(*) FROM generate_series(0, 3) n
         WHERE to_regclass('{table}_' || to_char(now() AT TIME ZONE 'UTC' + n * interval '1 month', 'YYYY_MM')) IS NOT NULL"
    )
}

const OLD_ROWS: &str = "SELECT (SELECT count(*) FROM render_usage), (SELECT count(*) FROM used_codes)";

async fn old_rows(database: &TestDatabase) {
    database
        .query(
            "INSERT INTO render_usage (tenant_id, rendered_at, usage_id, instance_id, format, mode, outcome, duration_ms, pages, size_bytes)
             SELECT 'default', now() - days * interval '1 day', md5(days::text)::uuid, 'x', 'pdf', 'single', 'succeeded', 1, 1, 1
             FROM unnest('{401, 399}'::int[]) days;
             INSERT INTO used_codes (code_id, expires_at) VALUES ('old', now() - interval '1 day')",
        )
        .await;
}

async fn metrics(server: &Server) -> String {
    server.metrics().await
}

#[tokio::test]
async fn a_migration_makes_the_months_ahead_and_of_two_servers_one_removes_what_is_too_old() {
    let database = TestDatabase::empty().await;
    let migrated = outcome(&["migrate"], &[("DATABASE_URL", database.url())]);
    assert!(migrated.status.success(), "{}", stderr(&migrated));
    for table in ["audit_events", "render_usage"] {
        assert_eq!(database.query(&months(table)).await, "4", "{table}");
    }
    old_rows(&database).await;
    let settings = settings(&[("DATABASE_URL", database.url())]);
    let (mut one, mut other) = (Server::start_with(settings), Server::start_with(settings));
    wait_until_async("what is too old is gone", async || (database.query(OLD_ROWS).await == "1|0").then_some(())).await;
    wait_until_async("every duty was done", async || {
        (database.query("SELECT count(*) FROM duties WHERE last_outcome IS DISTINCT FROM 'succeeded' OR lease_token IS NOT NULL").await
            == "0")
            .then_some(())
    })
    .await;
    let told = [metrics(&one).await, metrics(&other).await].concat();
    for duty in [
        "partitions",
        "audit_retention",
        "usage_retention",
        "trash_retention",
        "label_proof_retention",
        "document_retention",
        "dataset_retention",
        "job_retention",
        "webhook_delivery_retention",
        "asset_sweep",
        "expired",
    ] {
        let run = format!("pulp_duty_runs_total{{duty=\"{duty}\",outcome=\"succeeded\"}} 1\n");
        assert_eq!(told.matches(&run).count(), 1, "one of them did {duty}, once:\n{told}");
    }
    for server in [&mut one, &mut other] {
        server.signal("TERM");
        assert!(server.wait_for_end().success(), "{}", server.log());
        let complaints: Vec<String> =
            server.log().lines().filter(|line| line.contains(r#""level":"WARN""#) && line.contains("duty")).map(str::to_owned).collect();
        assert_eq!(complaints, [""; 0]);
    }
}

#[tokio::test]
async fn a_server_whose_switches_are_off_leaves_the_duties_alone() {
    let database = TestDatabase::empty().await;
    let switches = [
        "PARTITIONS_AHEAD_ENABLED",
        "AUDIT_RETENTION_ENABLED",
        "RENDER_USAGE_RETENTION_ENABLED",
        "TEMPLATE_TRASH_RETENTION_ENABLED",
        "LABEL_PROOF_RETENTION_ENABLED",
        "DOCUMENT_RETENTION_ENABLED",
        "DATASET_RETENTION_ENABLED",
        "JOB_RETENTION_ENABLED",
        "WEBHOOK_DELIVERY_RETENTION_ENABLED",
        "SCHEDULE_EXECUTION_RETENTION_ENABLED",
        "ASSET_SWEEP_ENABLED",
    ];
    let off: Vec<(&str, &str)> = switches.into_iter().map(|name| (name, "false")).chain([("DATABASE_URL", database.url())]).collect();
    assert!(outcome(&["migrate"], &off).status.success());
    assert_eq!(database.query(&months("audit_events")).await, "0");
    old_rows(&database).await;
    let _server = Server::start_with(settings(&off));
    // The one that is on shows that the others would have run by then.
    wait_until_async("the code is forgotten", async || (database.query(OLD_ROWS).await == "2|0").then_some(())).await;
    assert_eq!(database.query("SELECT string_agg(duty, ' ') FROM duties").await, "expired");
    assert_eq!(database.query(&months("render_usage")).await, "0");
}
