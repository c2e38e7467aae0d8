//! Pages that begin where another ended: read on from there, and forgotten when something changes.

use std::collections::BTreeMap;

use domain::TenantId;
use store::{SortOrder, Store, TemplateFilter, TemplateSort, TenantStore};

use crate::fixture::{Fixture, NOBODY, any_template, eventually};

/// A list long enough for places to be worth remembering. Names and times are those of many.
const SEED: &str = "
    SET session_replication_role = replica;
    INSERT INTO templates (template_id, tenant_id, template_key, name, current_major, current_minor, current_patch, created_at, updated_at)
    SELECT gen_random_uuid(), 'default', 'key-' || lpad(n::text, 5, '0'), 'Name ' || n % 7, 1, 0, 0, now() - n % 11 * interval '1 us',
           now() - n % 13 * interval '1 us'
    FROM generate_series(1, 2000) n;
    INSERT INTO api_keys (api_key_id, tenant_id, name, scope, lookup, secret_mac, hint, created_at, created_by, updated_at)
    SELECT gen_random_uuid(), 'default', 'Key ' || n, 'render', lpad(n::text, 22, '0'), sha256(n::text::bytea), 'hint',
           now() - n % 5 * interval '1 us', 'seed', now()
    FROM generate_series(1, 2000) n;
    SET session_replication_role = origin;";

/// The whole list, by pages of 90 one after the other, then by every third of them from the end.
async fn walked(tenant: &TenantStore, filter: &TemplateFilter) -> Vec<String> {
    let mut pages = BTreeMap::new();
    let offsets: Vec<u64> = (0..2_100).step_by(90).collect();
    for &offset in offsets.iter().chain(offsets.iter().rev().step_by(3)) {
        let page = tenant.templates().list(&TemplateFilter { limit: 90, offset, ..filter.clone() }).await.unwrap();
        let keys: Vec<String> = page.items.iter().map(|item| item.key.to_string()).collect();
        let before = pages.insert(offset, keys.clone());
        assert!(before.is_none_or(|before| before == keys), "another page at {offset}");
    }
    pages.into_values().flatten().collect()
}

/// The same by one question after another that remembers nothing, as it is in the table.
async fn in_the_table(fixture: &Fixture, order: &str) -> Vec<String> {
    let keys = fixture.database.query(&format!("SELECT string_agg(template_key, ' ' ORDER BY {order}) FROM templates")).await;
    keys.split(' ').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_one_after_the_other_are_the_list_in_every_order_before_and_after_a_change() {
    let fixture = Fixture::new().await;
    fixture.database.query(SEED).await;
    for round in 0..2 {
        for (sort, columns) in [
            (TemplateSort::Key, vec!["template_key"]),
            (TemplateSort::Name, vec![r#"lower(name) COLLATE "C""#, "template_key"]),
            (TemplateSort::UpdatedAt, vec!["updated_at", "template_key"]),
        ] {
            for (order, direction) in [(SortOrder::Ascending, ""), (SortOrder::Descending, " DESC")] {
                let filter = TemplateFilter { sort, order, ..TemplateFilter::default() };
                let columns: Vec<String> = columns.iter().map(|column| format!("{column}{direction}")).collect();
                let expected = in_the_table(&fixture, &columns.join(", ")).await;
                assert_eq!(walked(&fixture.tenant, &filter).await, expected, "{sort:?} {order:?}, round {round}");
            }
        }
        // The first of all by key: every row stands one further.
        any_template(&fixture.tenant, &format!("a-new-one-{round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_keys_are_all_keys_once() {
    let fixture = Fixture::new().await;
    fixture.database.query(SEED).await;
    let mut seen = Vec::new();
    for offset in (0..2_100).step_by(70) {
        let page = fixture.tenant.api_keys().list(70, offset).await.unwrap();
        assert_eq!(page.total, 2_000, "at {offset}");
        seen.extend(page.items.into_iter().map(|key| key.name));
    }
    let expected = fixture.database.query("SELECT string_agg(name, ',' ORDER BY created_at, api_key_id) FROM api_keys").await;
    assert_eq!(seen.join(","), expected);
}

async fn tenants(store: &Store) -> u64 {
    store.tenants().list(1, 0).await.unwrap().total
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_made_through_another_replica_counts_as_soon_as_it_is_heard_of() {
    let fixture = Fixture::new().await;
    let (here, there) = (&fixture.store, fixture.replica().await);
    let (mut listener, mut other) = (here.changes(), there.changes());
    tokio::spawn(async move { while listener.next().await.is_some() {} });
    tokio::spawn(async move { while other.next().await.is_some() {} });
    eventually("both hear of changes", async || (here.listener_standing().connected && there.listener_standing().connected).then_some(()))
        .await;
    for number in 0..3_u64 {
        let before = (tenants(here).await, tenants(&there).await);
        assert_eq!(before, (number + 1, number + 1));
        let id: TenantId = format!("tenant-{number}").parse().unwrap();
        assert!(here.tenants().insert(&id, "Another", &NOBODY).await.unwrap());
        assert_eq!(tenants(here).await, number + 2, "whoever made it sees it at once");
        eventually("the other replica counts it", async || (tenants(&there).await == number + 2).then_some(())).await;
    }
}
