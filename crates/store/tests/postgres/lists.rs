//! The list of templates as a caller pages through it.

use domain::templates::TemplateKey;
use serde_json::json;
use store::{NewTemplate, SortOrder, TemplateContent, TemplateFilter, TemplateKind, TemplateSort, TenantStore};

use crate::fixture::{Fixture, any_template, insert, key, save, unsigned, written};

async fn keys(tenant: &TenantStore, filter: &TemplateFilter) -> (Vec<String>, u64) {
    let page = tenant.templates().list(filter).await.unwrap();
    (page.items.iter().map(|item| item.key.to_string()).collect(), page.total)
}

#[tokio::test]
async fn pages_in_every_order_show_each_template_once_and_the_same_total() {
    let fixture = Fixture::new().await;
    // Names are all the same and some times too: only the tie-break makes the order.
    for number in 0..23 {
        insert(&fixture.tenant, &format!("t{number:02}"), "Same", &json!({})).await;
    }
    sqlx::query("UPDATE templates SET created_at = now(), updated_at = now()").execute(&mut fixture.bystander().await).await.unwrap();
    let sorts = [TemplateSort::Key, TemplateSort::Name, TemplateSort::CreatedAt, TemplateSort::UpdatedAt];
    for sort in sorts {
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let mut seen = Vec::new();
            for offset in (0..30).step_by(5) {
                let filter = TemplateFilter { sort, order, limit: 5, offset, ..TemplateFilter::default() };
                let (page, total) = keys(&fixture.tenant, &filter).await;
                assert_eq!(total, 23, "{sort:?} {order:?} at {offset}");
                seen.extend(page);
            }
            let mut expected: Vec<String> = (0..23).map(|number| format!("t{number:02}")).collect();
            if order == SortOrder::Descending {
                expected.reverse();
            }
            assert_eq!(seen, expected, "{sort:?} {order:?}");
        }
    }
}

#[tokio::test]
async fn each_order_goes_by_what_it_says() {
    let fixture = Fixture::new().await;
    for (key, name) in [("b", "apple"), ("C", "Cherry"), ("a", "Banana")] {
        insert(&fixture.tenant, key, name, &json!({})).await;
    }
    written(save(&fixture.tenant, "b", "1.0.0", &json!({})).await);
    sqlx::query("UPDATE templates SET name = 'apple' WHERE template_key = 'b'").execute(&mut fixture.bystander().await).await.unwrap();
    let cases = [
        (TemplateSort::Key, ["C", "a", "b"]),
        (TemplateSort::Name, ["b", "a", "C"]),
        (TemplateSort::CreatedAt, ["b", "C", "a"]),
        (TemplateSort::UpdatedAt, ["C", "a", "b"]),
    ];
    for (sort, expected) in cases {
        let ascending = TemplateFilter { sort, ..TemplateFilter::default() };
        assert_eq!(keys(&fixture.tenant, &ascending).await.0, expected, "{sort:?}");
        let mut reversed = expected;
        reversed.reverse();
        let descending = TemplateFilter { order: SortOrder::Descending, ..ascending };
        assert_eq!(keys(&fixture.tenant, &descending).await.0, reversed, "{sort:?} descending");
    }
}

#[tokio::test]
async fn a_search_finds_parts_of_keys_and_names_in_any_case_and_takes_wildcards_literally() {
    let fixture = Fixture::new().await;
    for (key, name) in [("invoice-eu", "Bill"), ("letter", "INVOICE note"), ("rate", "100% done"), ("path", r"a\b"), ("a_b", "x")] {
        insert(&fixture.tenant, key, name, &json!({})).await;
    }
    let cases: [(&str, &[&str]); 8] = [
        ("invoice", &["invoice-eu", "letter"]),
        ("VOICE-E", &["invoice-eu"]),
        ("%", &["rate"]),
        ("_", &["a_b"]),
        (r"\", &["path"]),
        ("0% d", &["rate"]),
        ("absent", &[]),
        ("", &["a_b", "invoice-eu", "letter", "path", "rate"]),
    ];
    for (q, expected) in cases {
        let filter = TemplateFilter { q: Some(q.to_owned()), ..TemplateFilter::default() };
        let (found, total) = keys(&fixture.tenant, &filter).await;
        assert_eq!(found, expected, "{q:?}");
        assert_eq!(total, expected.len() as u64, "{q:?}");
    }
}

#[tokio::test]
async fn filters_narrow_the_list_together() {
    let fixture = Fixture::new().await;
    let definition = json!({});
    let rows: [(&str, TemplateKind, &[&str], Option<&str>); 4] = [
        ("a", TemplateKind::Document, &["eu", "finance"], Some("ann")),
        ("b", TemplateKind::Document, &["eu"], Some("bob")),
        ("c", TemplateKind::Theme, &["eu", "finance"], None),
        ("d", TemplateKind::Office, &[], Some("ann")),
    ];
    for (key_text, kind, tags, owner) in rows {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        let content = TemplateContent { name: key_text, description: None, kind, definition: &definition };
        let new = NewTemplate { key: &key(key_text), content, tags: &tags, owner };
        let _ = fixture.tenant.templates().insert(new, unsigned()).await.unwrap();
    }
    let texts = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let list = |words: &[&str]| words.iter().map(|word| key(word)).collect::<Vec<TemplateKey>>();
    let all = TemplateFilter::default;
    let cases: [(TemplateFilter, &[&str]); 7] = [
        (TemplateFilter { kind: Some(TemplateKind::Document), ..all() }, &["a", "b"]),
        (TemplateFilter { tags: texts(&["eu"]), ..all() }, &["a", "b", "c"]),
        (TemplateFilter { tags: texts(&["eu", "finance"]), ..all() }, &["a", "c"]),
        (TemplateFilter { keys: list(&["b", "d", "zz"]), ..all() }, &["b", "d"]),
        (TemplateFilter { owner: Some("ann".to_owned()), ..all() }, &["a", "d"]),
        (TemplateFilter { owner: Some("ann".to_owned()), kind: Some(TemplateKind::Document), ..all() }, &["a"]),
        (TemplateFilter { tags: texts(&["us"]), ..all() }, &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(keys(&fixture.tenant, &filter).await, (texts(expected), expected.len() as u64), "{filter:?}");
    }
}

#[tokio::test]
async fn a_page_beyond_the_end_is_empty_and_still_knows_the_total() {
    let fixture = Fixture::new().await;
    for name in ["a", "b"] {
        any_template(&fixture.tenant, name).await;
    }
    for (limit, offset) in [(10, 2), (10, u64::MAX), (0, 0)] {
        let filter = TemplateFilter { limit, offset, ..TemplateFilter::default() };
        assert_eq!(keys(&fixture.tenant, &filter).await, (vec![], 2), "{limit} {offset}");
    }
}

#[tokio::test]
async fn a_total_is_counted_once_and_anew_after_every_change_on_whichever_replica() {
    let fixture = Fixture::new().await;
    let other = fixture.replica().await.tenant(domain::TenantId::default_tenant());
    for number in 0..5 {
        any_template(&fixture.tenant, &format!("t{number}")).await;
    }
    let page = TemplateFilter { limit: 2, ..TemplateFilter::default() };
    let search = TemplateFilter { q: Some("t1".to_owned()), limit: 1, ..TemplateFilter::default() };
    for round in 0..3_u64 {
        for _ in 0..2 {
            assert_eq!(keys(&fixture.tenant, &page).await.1, 5 + round);
            assert_eq!(keys(&fixture.tenant, &search).await.1, 1 + round);
            assert_eq!(keys(&other, &page).await.1, 5 + round);
        }
        // Made through the other one: nobody tells this one.
        any_template(&other, &format!("t1-{round}")).await;
    }
}
