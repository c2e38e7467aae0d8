//! The statements of the hot paths with ten thousand templates: what the server counts shows that they use their indexes.

use std::collections::BTreeMap;

use domain::ids::{ApiKeyId, RenderTokenId};
use domain::peppers::KeyMac;
use store::{ConnectOptions, SortOrder, Store, TakeOutcome, TemplateFilter, TemplateSort, TenantStore};
use testkit::postgres::TestDatabase;

use crate::fixture::{Fixture, eventually, key, version};

const SEED: &str = "
    INSERT INTO tenants (tenant_id, name) VALUES ('big', 'Big'), ('small', 'Small');
    SET CONSTRAINTS ALL DEFERRED;
    INSERT INTO templates (template_id, tenant_id, template_key, name, current_major, current_minor, current_patch, created_at, updated_at)
    SELECT gen_random_uuid(), tenant, 'key-' || n, 'Name ' || n, 1, 0, 1, now() - n * interval '1 s', now() - (n % 977) * interval '1 s'
    FROM (SELECT 'big' AS tenant, generate_series(1, 10000) AS n UNION ALL SELECT 'small', generate_series(1, 100)) AS seed;
    INSERT INTO template_versions (template_id, tenant_id, major, minor, patch, name, kind, definition, content_hash, created_at)
    SELECT template_id, tenant_id, 1, 0, patch, name, kind, '{}', sha256('{}'), now() FROM templates, generate_series(0, 1) AS patch;";

/// How often tables were read through and indexes were used, by name.
async fn scans(database: &TestDatabase) -> BTreeMap<String, i64> {
    let counted = database
        .query(
            "SELECT relname || '(seq)', seq_scan FROM pg_stat_user_tables
             UNION ALL SELECT indexrelname, idx_scan FROM pg_stat_user_indexes",
        )
        .await;
    let parse = |line: &str| line.split_once('|').map(|(name, count)| (name.to_owned(), count.parse().unwrap()));
    counted.lines().filter_map(parse).collect()
}

/// Which counters `act` of the big tenant moved.
async fn used(fixture: &Fixture, act: impl AsyncFn(&TenantStore)) -> Vec<String> {
    used_by_all(fixture, async |store| act(&store.tenant("big".parse().unwrap())).await).await
}

/// Which counters `act` moved. It is repeated until the server prefers its general plan to one for the given values.
async fn used_by_all(fixture: &Fixture, act: impl AsyncFn(&Store)) -> Vec<String> {
    // Well above the handful of times that the server plans a statement before it settles on a general plan.
    const REPETITIONS: i64 = 40;
    let before = scans(&fixture.database).await;
    // Of its own, because a session reports its counts at the latest when it ends.
    let options = ConnectOptions { max_connections: 1, ..ConnectOptions::new(fixture.database.url()) };
    let replica = Store::connect(options).await.unwrap();
    for _ in 0..REPETITIONS {
        act(&replica).await;
    }
    replica.close().await;
    eventually("the server counts the scans", async || {
        let moved: Vec<_> = scans(&fixture.database).await.into_iter().map(|(name, count)| (count - before[&name], name)).collect();
        let counted = moved.iter().any(|(times, _)| *times >= REPETITIONS);
        // Planning itself looks at the ends of an index now and then; only what every repetition did is its doing.
        let times = |name: &str| if name.ends_with("(seq)") { 1 } else { REPETITIONS };
        counted.then(|| moved.into_iter().filter(|(moved, name)| *moved >= times(name)).map(|(_, name)| name).collect())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hot_statements_use_their_indexes_among_ten_thousand_templates() {
    let fixture = Fixture::new().await;
    fixture.database.query(SEED).await;
    fixture.database.query("VACUUM ANALYZE templates, template_versions").await;
    let (middle, first, missing) = (key("key-5000"), version("1.0.0"), key("missing"));

    let get = used(&fixture, async |tenant| assert!(tenant.templates().get(&middle).await.unwrap().is_some())).await;
    assert_eq!(get, ["template_folders_pkey", "templates_live_key"]);
    let absent = used(&fixture, async |tenant| assert!(tenant.templates().get(&missing).await.unwrap().is_none())).await;
    assert_eq!(absent, ["templates_live_key"]);
    let current = used(&fixture, async |tenant| assert!(tenant.templates().get_current(&middle).await.unwrap().is_some())).await;
    assert_eq!(current, ["template_versions_pkey", "templates_live_key"]);
    let old = used(&fixture, async |tenant| assert!(tenant.template_versions().get(&middle, first).await.unwrap().is_some())).await;
    assert_eq!(old, ["template_versions_pkey", "templates_live_key"]);
    let versions = used(&fixture, async |tenant| {
        assert_eq!(tenant.template_versions().list(&middle, 1, 0).await.unwrap().unwrap().total, 2);
    })
    .await;
    assert_eq!(versions, ["template_versions_pkey", "templates_live_key"]);

    let orders = [
        (TemplateSort::Key, "templates_live_key"),
        (TemplateSort::Name, "templates_live_name"),
        (TemplateSort::CreatedAt, "templates_live_created"),
        (TemplateSort::UpdatedAt, "templates_live_updated"),
    ];
    for (sort, index) in orders {
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let filter = TemplateFilter { sort, order, limit: 20, offset: 40, ..TemplateFilter::default() };
            let list = used(&fixture, async |tenant| assert_eq!(tenant.templates().list(&filter).await.unwrap().items.len(), 20)).await;
            // The count of all may read the whole table, which nearly all of it is about.
            assert!(list.iter().any(|name| name == index), "{sort:?} {order:?}: {list:?}");
        }
    }
}

const SEED_OF_CREDENTIALS: &str = "
    INSERT INTO tenants (tenant_id, name) VALUES ('big', 'Big'), ('small', 'Small');
    INSERT INTO api_keys (api_key_id, tenant_id, name, scope, lookup, secret_mac, hint, created_at, created_by, updated_at)
    SELECT md5('k' || n)::uuid, CASE WHEN n % 10 = 0 THEN 'small' ELSE 'big' END, 'Key', 'render', lpad(n::text, 22, '0'),
           sha256(n::text::bytea), 'hint', now(), 'seed', now() FROM generate_series(1, 10000) AS n;
    INSERT INTO users (user_id, tenant_id, display_name, role, auth_method, key_mac, key_hint, created_at, updated_at)
    SELECT 'user-' || n, CASE WHEN n % 10 = 0 THEN 'small' ELSE 'big' END, 'User', 'author', 'key', sha256(n::text::bytea), 'hint', now(), now()
    FROM generate_series(1, 10000) AS n;
    INSERT INTO users (user_id, tenant_id, display_name, role, auth_method, created_at, updated_at)
    SELECT 'person-' || n, 'big', 'Person', 'author', 'oidc', now(), now() FROM generate_series(1, 10000) AS n;
    INSERT INTO render_tokens (token_id, tenant_id, templates, formats, max_renders, expires_at, issued_by, created_at)
    SELECT md5('t' || n)::uuid, 'big', '{a}', '{pdf}', 1000000, now() + interval '1 day', 'seed', now() FROM generate_series(1, 10000) AS n;
    INSERT INTO used_codes (code_id, expires_at) SELECT 'seed-' || n, now() + interval '1 day' FROM generate_series(1, 10000) AS n;";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_in_is_found_by_an_index_among_ten_thousand() {
    let fixture = Fixture::new().await;
    fixture.database.query(SEED_OF_CREDENTIALS).await;
    fixture.database.query("VACUUM ANALYZE api_keys, users, render_tokens, used_codes").await;
    let uuid = async |text: &str| {
        let found = fixture.database.query(&format!("SELECT md5('{text}')::uuid")).await;
        uuid::Uuid::parse_str(&found).unwrap()
    };
    let (key, token): (ApiKeyId, RenderTokenId) = (uuid("k5001").await.into(), uuid("t5001").await.into());
    let mac = hex::decode(fixture.database.query("SELECT encode(sha256('5001'), 'hex')").await).unwrap();
    let mac = KeyMac::from(<[u8; 32]>::try_from(mac).unwrap());

    let lookup = format!("{:0>22}", 5_001).parse().unwrap();
    let by_lookup = used_by_all(&fixture, async |store| assert!(store.api_key_by_lookup(&lookup).await.unwrap().is_some())).await;
    assert!(by_lookup.contains(&"api_keys_lookup_key".to_owned()) && !by_lookup.contains(&"api_keys(seq)".to_owned()), "{by_lookup:?}");
    let get = used(&fixture, async |tenant| assert!(tenant.api_keys().get(key).await.unwrap().is_some())).await;
    assert_eq!(get, ["api_keys_pkey"]);
    let by_key = used_by_all(&fixture, async |store| assert!(store.user_by_key_mac(&mac).await.unwrap().is_some())).await;
    assert!(by_key.contains(&"users_key_mac_key".to_owned()) && !by_key.contains(&"users(seq)".to_owned()), "{by_key:?}");
    let (someone, nobody) = ("user-5001".parse().unwrap(), "nobody".parse().unwrap());
    let by_id = used(&fixture, async |tenant| {
        assert!(tenant.users().credential(&someone).await.unwrap().is_some());
        assert!(tenant.users().credential(&nobody).await.unwrap().is_none());
    })
    .await;
    assert!(by_id.contains(&"users_pkey".to_owned()) && !by_id.contains(&"users(seq)".to_owned()), "{by_id:?}");
    let person = "person-5001".parse().unwrap();
    let of_provider = used_by_all(&fixture, async |store| assert!(store.user_of_provider(&person).await.unwrap().is_some())).await;
    assert!(of_provider.contains(&"users_of_provider".to_owned()) && !of_provider.contains(&"users(seq)".to_owned()), "{of_provider:?}");
    let take = used(&fixture, async |tenant| {
        assert!(matches!(tenant.render_tokens().take_one(token).await.unwrap(), TakeOutcome::Taken { .. }));
    })
    .await;
    assert_eq!(take, ["render_tokens_pkey"]);
    let until = domain::Clock::system().now() + jiff::SignedDuration::from_mins(5);
    let used_code = used_by_all(&fixture, async |store| {
        let code = RenderTokenId::generate().to_string();
        assert!(store.use_code(&code, until).await.unwrap());
    })
    .await;
    assert!(!used_code.contains(&"used_codes(seq)".to_owned()), "{used_code:?}");
}
