//! What a renderer with a real browser leaves in the log of renders.
#![cfg(test)]

use std::time::{Duration, Instant};

use blobs::{Blobs, Place};
use chromium::{Pool, PoolOptions, Sandbox, find_executable};
use document::Bindings;
use domain::ids::RequestId;
use domain::labels::Releases;
use domain::options::RenderOptions;
use domain::usage::{UsageMetadata, UsageWindow};
use domain::{Actor, Clock, Scope, TenantId};
use render::{Attribution, Format, FormatOptions, Limits, RenderRequest, Renderer, Setup, Source, UsageOptions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{ConnectOptions, Store, UsageFilter, UsageRecord};
use tempfile::TempDir;
use testkit::postgres::TestDatabase;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

struct Fixture {
    renderer: Renderer,
    store: Store,
    pool: Pool,
    _runtime: TempDir,
    _database: TestDatabase,
}

impl Fixture {
    async fn new() -> Self {
        let database = TestDatabase::create(async |url: &str| {
            store::migrate(url, PATIENCE).await.unwrap();
        })
        .await;
        let store = Store::connect(ConnectOptions::new(database.url())).await.unwrap();
        let runtime = tempfile::tempdir().unwrap();
        let mut options = PoolOptions::new(find_executable(None).unwrap().path, runtime.path().join("run"));
        options.sandbox = Sandbox::Off;
        let pool = Pool::start(options).await.unwrap();
        let setup = Setup {
            store: store.clone(),
            pool: pool.clone(),
            clock: Clock::system(),
            limits: Limits::default(),
            blobs: Blobs::open(blobs::Settings { place: Place::Folder(runtime.path().join("assets")), limits: blobs::Limits::default() })
                .await
                .unwrap(),
            usage: UsageOptions::default(),
            releases: Releases::default(),
            documents: render::DocumentOptions {
                lives: domain::documents::DocumentLives::default(),
                secrets: domain::secrets::Secret::from_random([7; 32]).into(),
            },
            datasets: domain::datasets::DatasetLimits::default(),
            data_urls: None,
        };
        Self { renderer: Renderer::new(setup), store, pool, _runtime: runtime, _database: database }
    }

    /// Everything in the log once so many rows are in it, oldest first.
    async fn rows(&self, expected: usize) -> Vec<UsageRecord> {
        let now = Clock::system().now();
        let hour = jiff::SignedDuration::from_hours(1);
        let filter = UsageFilter::all(UsageWindow::new(now - hour, now + hour).unwrap());
        let started = Instant::now();
        loop {
            let mut found = self.store.tenant(TenantId::default_tenant()).usage().list(&filter, 100, 0).await.unwrap().items;
            if found.len() >= expected {
                found.reverse();
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "{found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn close(self) {
        self.pool.close(tokio::time::Instant::now() + PATIENCE).await;
        self.store.close().await;
    }
}

fn request(html: &str, data: Value, format: Format) -> RenderRequest {
    RenderRequest {
        tenant: TenantId::default_tenant(),
        source: Source::Inline(json!({ "key": "test", "name": "Test", "html": html }).into()),
        data: data.into(),
        fixed_data: None,
        options: RenderOptions::default(),
        now: None,
        bindings: Bindings::Lenient,
        format,
        format_options: FormatOptions::default(),
        attribution: Attribution::default(),
        output: None,
    }
}

fn sha256(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_render_leaves_one_row_that_proves_what_went_in_and_came_out_and_a_dry_run_none() {
    let fixture = Fixture::new().await;
    let page_break = r#"<p>{{b}}</p><p style="break-before: page">{{a}}</p>"#;
    let data: Value = serde_json::from_str(r#"{ "b": "first", "a": 1.50 }"#).unwrap();
    let pdf = RenderRequest {
        attribution: Attribution {
            actor: Some(Actor::new("anna", Scope::Render, RequestId::generate())),
            metadata: UsageMetadata::of([("order".to_owned(), "4711".to_owned())]),
            correlation_id: Some("c-1".into()),
            ..Attribution::default()
        },
        ..request(page_break, data, Format::Pdf)
    };
    let rendered = fixture.renderer.render(pdf).await.unwrap();
    let html = fixture.renderer.render(request("<p>x</p>", json!({}), Format::Html)).await.unwrap();
    fixture.renderer.dry_run(request("<p>x</p>", json!({}), Format::Pdf)).await.unwrap();
    let broken = RenderRequest { bindings: Bindings::Strict, ..request("<p>{{missing}}</p>", json!({}), Format::Pdf) };
    let error = fixture.renderer.render(broken).await.unwrap_err();
    let unknown = RenderRequest {
        source: Source::Stored { key: "nowhere".parse().unwrap(), which: render::Which::Current, bucket_key: None },
        ..request("", json!({}), Format::Pdf)
    };
    fixture.renderer.render(unknown).await.unwrap_err();

    let rows = fixture.rows(4).await;
    assert_eq!(rows.len(), 4, "{rows:?}");
    let [first, second, third, fourth] = rows.as_slice() else { unreachable!() };
    assert_eq!((first.usage_id, first.outcome.as_str(), first.pages), (rendered.usage_id, "succeeded", 2));
    assert_eq!((first.size_bytes, &first.output_sha256), (rendered.body.len() as u64, &Some(sha256(&rendered.body))));
    assert_eq!(first.data_sha256.as_deref(), Some(&*sha256(r#"{"b":"first","a":1.5}"#)));
    assert_eq!((first.actor.as_deref(), first.credential_scope.as_deref()), (Some("anna"), Some("render")));
    assert_eq!((first.metadata.to_string(), first.correlation_id.as_deref()), (r#"{"order":"4711"}"#.to_owned(), Some("c-1")));
    assert!(first.duration_ms < 30_000 && first.request_id.is_some() && first.instance_id == fixture.store.instance_id());

    assert_eq!((second.usage_id, second.format.as_str(), second.pages), (html.usage_id, "html", 0));
    assert_eq!((&second.output_sha256, &second.actor), (&Some(sha256(&html.body)), &None));
    assert_eq!(third.outcome, error.code().as_str());
    assert_eq!((third.size_bytes, &third.output_sha256, &third.data_sha256), (0, &None, &Some(sha256("{}"))));
    assert_eq!((fourth.outcome.as_str(), fourth.template.as_deref(), &fourth.data_sha256), ("not_found", Some("nowhere"), &None));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_render_whose_caller_went_away_is_in_the_log_as_cancelled() {
    let fixture = Fixture::new().await;
    fixture.renderer.render(request("<p>warm</p>", json!({}), Format::Pdf)).await.unwrap();
    let long = "<p>one of many</p>".repeat(20_000);
    let renderer = fixture.renderer.clone();
    let render = tokio::spawn(async move { renderer.render(request(&long, json!({}), Format::Pdf)).await });
    let started = Instant::now();
    while fixture.renderer.pool_status().in_use == 0 {
        assert!(started.elapsed() < PATIENCE && !render.is_finished());
        tokio::task::yield_now().await;
    }
    render.abort();
    let rows = fixture.rows(2).await;
    assert_eq!((rows[1].outcome.as_str(), rows[1].pages), ("cancelled", 0));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rendered_just_before_the_end_is_written_by_the_drain() {
    let fixture = Fixture::new().await;
    for _ in 0..5 {
        fixture.renderer.render(request("<p>x</p>", json!({}), Format::Html)).await.unwrap();
    }
    assert_eq!(fixture.renderer.drain_usage(tokio::time::Instant::now() + PATIENCE).await, 0);
    let now = Clock::system().now();
    let hour = jiff::SignedDuration::from_hours(1);
    let filter = UsageFilter::all(UsageWindow::new(now - hour, now + hour).unwrap());
    let written = fixture.store.tenant(TenantId::default_tenant()).usage().list(&filter, 100, 0).await.unwrap();
    assert_eq!(written.total, 5, "without any wait");
    fixture.close().await;
}
