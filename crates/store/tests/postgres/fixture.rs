//! A database, a store on it, and short ways to write a template.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use domain::templates::{TemplateKey, TemplateVersion};
use domain::{Actor, TenantId};
use serde_json::{Value, json};
use store::{
    Approval, ConnectOptions, DeleteOutcome, InsertOutcome, NewTemplate, PartInUse, Revision, Store, TemplateContent, TemplateKind,
    TemplateSummary, TenantStore, UpdateOutcome,
};
use testkit::postgres::TestDatabase;

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever it is.
pub static NOBODY: LazyLock<Actor> = LazyLock::new(|| Actor::system("test"));

/// Somebody with a name and an editor's key.
pub fn by(name: &str) -> Actor {
    Actor::new(name, domain::Scope::Editor, domain::ids::RequestId::generate())
}

/// A save by nobody in particular, without a note.
pub fn unsigned() -> Revision<'static> {
    Revision { actor: &NOBODY, change_note: None }
}

pub struct Fixture {
    pub store: Store,
    pub tenant: TenantStore,
    // Last, so that the connections are gone before the database is.
    pub database: TestDatabase,
}

impl Fixture {
    pub async fn new() -> Self {
        let database = migrated().await;
        let store = Store::connect(ConnectOptions::new(database.url())).await.unwrap();
        Self { tenant: store.tenant(TenantId::default_tenant()), store, database }
    }

    /// The way another replica goes to the same database.
    pub async fn replica(&self) -> Store {
        Store::connect(ConnectOptions::new(self.database.url())).await.unwrap()
    }

    /// A connection that is not the store's.
    pub async fn bystander(&self) -> sqlx::PgConnection {
        <sqlx::PgConnection as sqlx::Connection>::connect(self.database.url()).await.unwrap()
    }
}

pub async fn migrated() -> TestDatabase {
    TestDatabase::create(async |url: &str| {
        store::migrate(url, PATIENCE).await.unwrap();
    })
    .await
}

pub fn key(text: &str) -> TemplateKey {
    text.parse().unwrap()
}

pub fn version(text: &str) -> TemplateVersion {
    text.parse().unwrap()
}

pub fn content<'a>(name: &'a str, definition: &'a Value) -> TemplateContent<'a> {
    TemplateContent { name, description: None, kind: TemplateKind::Document, definition }
}

pub async fn insert(tenant: &TenantStore, key_text: &str, name: &str, definition: &Value) -> TemplateSummary {
    let new = NewTemplate { key: &key(key_text), content: content(name, definition), tags: &[], owner: None };
    match tenant.templates().insert(new, unsigned()).await.unwrap() {
        InsertOutcome::Written(summary) => *summary,
        other => panic!("{key_text}: {other:?}"),
    }
}

/// A template whose content does not matter.
pub async fn any_template(tenant: &TenantStore, key_text: &str) -> TemplateSummary {
    insert(tenant, key_text, key_text, &json!({"html": key_text})).await
}

pub async fn save(tenant: &TenantStore, key_text: &str, expected: &str, definition: &Value) -> UpdateOutcome {
    let content = content(key_text, definition);
    tenant.templates().update(&key(key_text), version(expected), content, unsigned()).await.unwrap()
}

/// Puts a template into the trash.
pub async fn throw_away(tenant: &TenantStore, key_text: &str, expected: &str) {
    throw_away_as(tenant, key_text, expected, &NOBODY).await;
}

pub async fn throw_away_as(tenant: &TenantStore, key_text: &str, expected: &str, actor: &Actor) {
    let outcome =
        tenant.templates().delete(&key(key_text), version(expected), PartInUse::Refuse, Approval::default(), actor).await.unwrap();
    assert_eq!(outcome, DeleteOutcome::Deleted, "{key_text}");
}

pub fn written(outcome: UpdateOutcome) -> TemplateSummary {
    match outcome {
        UpdateOutcome::Written(what) => what,
        other => panic!("not written: {other:?}"),
    }
}

/// Asks again and again until the answer is something, for as long as patience lasts.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
