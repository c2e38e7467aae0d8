//! Usage and limits against a real Postgres that can be cut off.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use document::Bindings;
use domain::options::RenderOptions;
use domain::quotas::QuotaDimension;
use domain::usage::{RenderOutcome, UsageMetadata};
use domain::{Actor, Clock, Quotas, TenantId};
use jiff::Timestamp;
use serde_json::json;
use store::{ConnectOptions, Store};
use tempfile::TempDir;
use testkit::postgres::TestDatabase;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use crate::format_options::FormatOptions;
use crate::request::{Attribution, Format, RenderRequest, Source};
use crate::usage::{Output, Usage, UsageOptions};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The way from a store to Postgres, which a test can interrupt.
struct Wire {
    folder: TempDir,
    real: String,
    open: Mutex<Vec<AbortHandle>>,
}

impl Wire {
    fn to(database: &TestDatabase) -> Arc<Self> {
        let host = database.url().split_once("host=").expect("a Unix socket").1;
        let real = format!("{}/.s.PGSQL.5432", host.split('&').next().unwrap().replace("%2F", "/"));
        assert!(Path::new(&real).exists(), "{real}");
        let wire = Arc::new(Self { folder: TempDir::with_prefix_in("wire-", "/tmp").unwrap(), real, open: Mutex::default() });
        wire.mend();
        wire
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    fn url(&self, database: &TestDatabase) -> String {
        let (before, _) = database.url().split_once("host=").unwrap();
        format!("{before}host={}", self.folder.path().display())
    }

    fn mend(self: &Arc<Self>) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let wire = Arc::clone(self);
        let accepting = tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let real = wire.real.clone();
                let carrying = tokio::spawn(async move {
                    let mut there = UnixStream::connect(real).await.unwrap();
                    drop(tokio::io::copy_bidirectional(&mut here, &mut there).await);
                });
                wire.open.lock().unwrap().push(carrying.abort_handle());
            }
        });
        self.open.lock().unwrap().push(accepting.abort_handle());
    }

    fn cut(&self) {
        std::fs::remove_file(self.socket()).unwrap();
        self.open.lock().unwrap().drain(..).for_each(|task| task.abort());
    }
}

struct Fixture {
    usage: Usage,
    store: Store,
    keeping: JoinHandle<()>,
    /// Microseconds since 1970, for every clock.
    now: Arc<AtomicI64>,
    wire: Arc<Wire>,
    database: TestDatabase,
}

impl Fixture {
    async fn new(options: UsageOptions) -> Self {
        let database = TestDatabase::create(async |url: &str| {
            store::migrate(url, PATIENCE).await.unwrap();
        })
        .await;
        let wire = Wire::to(&database);
        let moment: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let now = Arc::new(AtomicI64::new(moment.as_microsecond()));
        let (usage, store) = replica(&wire.url(&database), &now, options).await;
        Self { keeping: tokio::spawn(usage.clone().keep()), usage, store, now, wire, database }
    }

    fn set_clock(&self, moment: &str) {
        self.now.store(moment.parse::<Timestamp>().unwrap().as_microsecond(), Ordering::SeqCst);
    }

    /// One render from its admission to its end; the dimension of the limit that refuses it.
    async fn render(&self, tenant: &str) -> Result<(), QuotaDimension> {
        render_through(&self.usage, &self.now, tenant).await
    }

    async fn written(&self) -> usize {
        self.database.query("SELECT count(*) FROM render_usage").await.parse().unwrap()
    }

    async fn limit(&self, tenant: &str, quotas: Quotas) {
        let actor = Actor::system("test");
        self.store.tenants().insert(&id(tenant), tenant, &actor).await.unwrap();
        assert!(self.store.tenants().update(&id(tenant), None, Some(quotas), &actor).await.unwrap().is_some());
    }
}

async fn replica(url: &str, now: &Arc<AtomicI64>, options: UsageOptions) -> (Usage, Store) {
    let time = Arc::clone(now);
    let clock = Clock::from_source(move || Timestamp::from_microsecond(time.load(Ordering::SeqCst)).unwrap());
    let connect = ConnectOptions {
        acquire_timeout: Duration::from_millis(300),
        statement_timeout: Duration::from_secs(5),
        clock: clock.clone(),
        ..ConnectOptions::new(url)
    };
    let store = Store::connect(connect).await.unwrap();
    (Usage::new(store.clone(), clock, options), store)
}

async fn render_through(usage: &Usage, now: &Arc<AtomicI64>, tenant: &str) -> Result<(), QuotaDimension> {
    let moment = Timestamp::from_microsecond(now.load(Ordering::SeqCst)).unwrap();
    let turn = usage.gate().enter(&id(tenant), moment).await.map_err(|refused| refused.0.dimension)?;
    let record = usage.begin(&mut request(tenant), turn, Instant::now());
    record.end(RenderOutcome::Succeeded, &Output { pages: 1, size_bytes: 10, sha256: None });
    Ok(())
}

fn id(tenant: &str) -> TenantId {
    tenant.parse().unwrap()
}

fn request(tenant: &str) -> RenderRequest {
    RenderRequest {
        tenant: id(tenant),
        source: Source::Inline(json!({}).into()),
        data: json!({}).into(),
        fixed_data: None,
        options: RenderOptions::default(),
        now: None,
        bindings: Bindings::Lenient,
        format: Format::Pdf,
        format_options: FormatOptions::default(),
        attribution: Attribution { metadata: UsageMetadata::of([("a".to_owned(), "b".to_owned())]), ..Attribution::default() },
        output: None,
    }
}

async fn eventually(what: &str, ask: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !ask().await {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_in_groups_without_being_waited_for() {
    let fixture = Fixture::new(UsageOptions::default()).await;
    fixture.render("default").await.unwrap();
    let before = fixture.store.statements_executed();
    for _ in 0..1_000 {
        fixture.render("default").await.unwrap();
    }
    eventually("all rows are written", async || fixture.written().await == 1_001).await;
    let statements = fixture.store.statements_executed() - before;
    assert!(statements <= 12, "{statements} statements for 1000 rows");
    let sums = fixture.database.query("SELECT renders, pages, size_bytes FROM usage_periods").await;
    assert_eq!(sums, "1001|1001|10010");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_survive_a_database_that_is_away_and_are_counted_once() {
    let fixture = Fixture::new(UsageOptions::default()).await;
    for _ in 0..50 {
        fixture.render("default").await.unwrap();
    }
    eventually("the first rows are written", async || fixture.written().await == 50).await;
    for round in 1..=3 {
        fixture.wire.cut();
        let started = Instant::now();
        for _ in 0..100 {
            fixture.render("default").await.unwrap();
        }
        assert!(started.elapsed() < Duration::from_secs(1), "no render waits for the database: {:?}", started.elapsed());
        let failing = async || fixture.store.ping(Duration::from_millis(100)).await.is_err();
        eventually("the store sees that the database is away", failing).await;
        assert_eq!(fixture.written().await, 50 + (round - 1) * 100);
        fixture.wire.mend();
        eventually("the rows of the outage are written", async || fixture.written().await == 50 + round * 100).await;
    }
    assert_eq!(fixture.database.query("SELECT sum(renders) FROM usage_periods").await, "350");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_on_the_way_does_not_count_its_rows_twice() {
    let fixture = Fixture::new(UsageOptions::default()).await;
    // The insert takes a moment; the wire is cut while it runs, and the server goes on and commits.
    fixture
        .database
        .query("CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$")
        .await;
    fixture.database.query("CREATE TRIGGER slowly AFTER INSERT ON usage_periods FOR EACH STATEMENT EXECUTE FUNCTION slowly()").await;
    for _ in 0..20 {
        fixture.render("default").await.unwrap();
    }
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    eventually("the insert is under way", async || fixture.database.query(sleeping).await == "1").await;
    fixture.wire.cut();
    eventually("it is committed although nobody hears of it", async || fixture.written().await == 20).await;
    fixture.wire.mend();
    fixture.render("default").await.unwrap();
    eventually("the next rows are written too", async || fixture.written().await == 21).await;
    assert_eq!(fixture.database.query("SELECT renders FROM usage_periods").await, "21");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_keeps_the_newest_rows_within_the_bound() {
    let fixture = Fixture::new(UsageOptions { queue_rows: 30, ..UsageOptions::default() }).await;
    fixture.render("default").await.unwrap();
    eventually("the first row is written", async || fixture.written().await == 1).await;
    fixture.wire.cut();
    for _ in 0..100 {
        fixture.render("default").await.unwrap();
    }
    fixture.wire.mend();
    eventually("the kept rows are written", async || fixture.written().await == 31).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_that_the_table_refuses_keeps_no_other_from_it() {
    let fixture = Fixture::new(UsageOptions::default()).await;
    fixture.database.query("ALTER TABLE render_usage ADD CONSTRAINT no_seven CHECK (tenant_id <> 'seven')").await;
    for number in 0..20 {
        fixture.render(if number == 7 { "seven" } else { "default" }).await.unwrap();
    }
    eventually("the others are written", async || fixture.written().await == 19).await;
    fixture.render("default").await.unwrap();
    eventually("and the next one", async || fixture.written().await == 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_writes_what_waits_and_says_what_it_could_not() {
    let fixture = Fixture::new(UsageOptions { flush_after: Duration::from_mins(1), ..UsageOptions::default() }).await;
    for _ in 0..30 {
        fixture.render("default").await.unwrap();
    }
    assert_eq!(fixture.usage.drain(Instant::now() + PATIENCE).await, 0);
    assert_eq!(fixture.written().await, 30);
    tokio::time::timeout(PATIENCE, fixture.keeping).await.expect("the background task ends").unwrap();

    let fixture = Fixture::new(UsageOptions { flush_after: Duration::from_mins(1), ..UsageOptions::default() }).await;
    fixture.render("default").await.unwrap();
    fixture.wire.cut();
    let started = Instant::now();
    assert_eq!(fixture.usage.drain(Instant::now() + Duration::from_millis(700)).await, 1);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_refuses_after_the_limit_and_opens_in_the_next_month() {
    let fixture = Fixture::new(UsageOptions::default()).await;
    fixture.limit("acme", Quotas { renders_per_month: Some(5), ..Quotas::default() }).await;
    for number in 0..5 {
        assert_eq!(fixture.render("acme").await, Ok(()), "render {number}");
    }
    for _ in 0..3 {
        assert_eq!(fixture.render("acme").await, Err(QuotaDimension::Renders));
    }
    eventually("the rows are written", async || fixture.written().await == 5).await;
    assert_eq!(fixture.render("acme").await, Err(QuotaDimension::Renders), "also by what the database counts");
    assert_eq!(fixture.render("default").await, Ok(()), "other tenants go on");
    let standings = fixture.usage.gate().standings(&id("acme"), "2026-11-30T12:00:00Z".parse().unwrap()).await;
    assert_eq!((standings.len(), standings[0].used, standings[0].remaining), (1, 5, 0));

    fixture.set_clock("2026-12-01T00:00:00Z");
    for number in 0..5 {
        assert_eq!(fixture.render("acme").await, Ok(()), "render {number} of December");
    }
    assert_eq!(fixture.render("acme").await, Err(QuotaDimension::Renders));
    eventually("the rows are written", async || fixture.written().await == 11).await;
    let sums = fixture.database.query("SELECT renders FROM usage_periods WHERE tenant_id = 'acme' ORDER BY period_start").await;
    assert_eq!(sums, "5\n5");
}

#[tokio::test(flavor = "multi_thread")]
async fn renders_under_way_count_so_that_many_at_once_do_not_pass_a_limit_together() {
    let fixture = Fixture::new(UsageOptions::default()).await;
    fixture.limit("acme", Quotas { renders_per_month: Some(3), ..Quotas::default() }).await;
    let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
    let gate = fixture.usage.gate();
    let mut turns = Vec::new();
    for _ in 0..3 {
        turns.push(gate.enter(&id("acme"), now).await.unwrap());
    }
    assert!(gate.enter(&id("acme"), now).await.is_err());
    // One of them is refused further in, and takes nothing.
    turns.pop();
    let turn = gate.enter(&id("acme"), now).await.unwrap();
    // One fails: what failed is no document.
    let record = fixture.usage.begin(&mut request("acme"), turn, Instant::now());
    record.end(RenderOutcome::Failed(domain::ErrorCode::RenderTimeout), &Output::default());
    assert_eq!(fixture.render("acme").await, Ok(()));
    assert_eq!(fixture.render("acme").await, Err(QuotaDimension::Renders));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_renders_are_limited_and_make_room_when_they_end() {
    let fixture = Fixture::new(UsageOptions::default()).await;
    fixture.limit("acme", Quotas { concurrent_renders: Some(2), ..Quotas::default() }).await;
    let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
    let gate = fixture.usage.gate();
    let first = gate.enter(&id("acme"), now).await.unwrap();
    let _second = gate.enter(&id("acme"), now).await.unwrap();
    let refused = gate.enter(&id("acme"), now).await.map(|_| ()).unwrap_err();
    assert_eq!((refused.0.dimension, refused.0.limit, refused.retry_after_s(now)), (QuotaDimension::ConcurrentRenders, 2, 1));
    // Its caller goes away.
    drop(fixture.usage.begin(&mut request("acme"), first, Instant::now()));
    assert!(gate.enter(&id("acme"), now).await.is_ok());
    eventually("the one that was left is a row", async || fixture.database.query("SELECT outcome FROM render_usage").await == "cancelled")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_counts_what_another_rendered_and_hears_of_new_limits() {
    let fixture = Fixture::new(UsageOptions::default()).await;
    fixture.limit("acme", Quotas { renders_per_month: Some(10), ..Quotas::default() }).await;
    let (other, other_store) = replica(fixture.database.url(), &fixture.now, UsageOptions::default()).await;
    tokio::spawn(other.clone().keep());
    assert_eq!(render_through(&other, &fixture.now, "acme").await, Ok(()));
    for _ in 0..8 {
        assert_eq!(fixture.render("acme").await, Ok(()));
    }
    eventually("all nine are written", async || fixture.written().await == 9).await;
    // It learns the sum with its own next row.
    assert_eq!(render_through(&other, &fixture.now, "acme").await, Ok(()));
    eventually("the other is told", async || {
        other.gate().standings(&id("acme"), "2026-11-30T12:00:00Z".parse().unwrap()).await[0].used == 10
    })
    .await;
    assert_eq!(render_through(&other, &fixture.now, "acme").await, Err(QuotaDimension::Renders));

    let mut listener = other_store.changes();
    other.gate().heard(&listener.next().await.unwrap());
    fixture.limit("acme", Quotas { renders_per_month: Some(11), ..Quotas::default() }).await;
    other.gate().heard(&listener.next().await.unwrap());
    let render = async || render_through(&other, &fixture.now, "acme").await == Ok(());
    eventually("the new limit is in force", render).await;
    assert_eq!(render_through(&other, &fixture.now, "acme").await, Err(QuotaDimension::Renders));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_cannot_be_read_stop_nobody_and_known_ones_stay_in_force() {
    let fixture = Fixture::new(UsageOptions::default()).await;
    fixture.limit("acme", Quotas { renders_per_month: Some(1), ..Quotas::default() }).await;
    assert_eq!(fixture.render("acme").await, Ok(()));
    eventually("the row is written", async || fixture.written().await == 1).await;
    fixture.wire.cut();
    assert_eq!(fixture.render("acme").await, Err(QuotaDimension::Renders));
    let started = Instant::now();
    assert_eq!(fixture.render("unknown").await, Ok(()));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let again = Instant::now();
    assert_eq!(fixture.render("unknown").await, Ok(()));
    assert!(again.elapsed() < Duration::from_millis(100), "the second does not wait: {:?}", again.elapsed());
    fixture.wire.mend();
}
