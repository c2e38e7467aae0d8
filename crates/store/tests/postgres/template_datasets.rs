//! Named example data: one revision after another, one default, a bounded number.

use domain::template_datasets::DATASETS_LIMIT;
use serde_json::{Value, json};
use store::{DatasetContent, DatasetOutcome, DatasetRemoval, TenantStore};

use crate::fixture::{Fixture, NOBODY, any_template, key};

const CONTENT: DatasetContent<'static> = DatasetContent {
    data: &Value::Null,
    title: None,
    description: None,
    tags: None,
    expect_invalid: None,
    is_default: None,
    assertions: None,
};

/// A dataset `first` of that template.
pub async fn put_dataset(tenant: &TenantStore, template: &str) {
    let (template, name, data) = (key(template), "first".parse().unwrap(), json!({"b": 1, "a": 2}));
    let content = DatasetContent { data: &data, ..CONTENT };
    let put = tenant.template_datasets().put(&template, &name, Some(0), content, &NOBODY).await.unwrap();
    assert!(matches!(put, DatasetOutcome::Written(_)));
}

#[tokio::test]
async fn what_a_save_leaves_out_stays_and_there_is_one_default() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let datasets = fixture.tenant.template_datasets();
    let (tags, assertions, data, empty) = (["short".to_owned()], json!({"pages": 1}), json!({"b": 1, "a": 2}), json!({}));
    let whole = DatasetContent {
        data: &data,
        title: Some(Some("One")),
        tags: Some(&tags),
        is_default: Some(true),
        assertions: Some(Some(&assertions)),
        ..CONTENT
    };
    let put = |name: &'static str, content| {
        let datasets = &datasets;
        async move { datasets.put(&key("letter"), &name.parse().unwrap(), None, content, &NOBODY).await.unwrap() }
    };
    let DatasetOutcome::Written(first) = put("one", whole).await else { panic!() };
    assert_eq!(serde_json::to_string(&first.data).unwrap(), r#"{"b":1,"a":2}"#, "the order of its author");
    let DatasetOutcome::Written(second) = put("one", DatasetContent { data: &empty, title: Some(None), ..CONTENT }).await else { panic!() };
    let kept = second.summary;
    assert_eq!((kept.revision, kept.title, kept.tags, kept.is_default), (2, None, vec!["short".to_owned()], true));
    assert_eq!(kept.assertions, Some(assertions.clone()));
    let _ = put("two", DatasetContent { is_default: Some(true), data: &empty, ..CONTENT }).await;
    let page = datasets.list(&key("letter"), None, 10, 0).await.unwrap().unwrap();
    let defaults: Vec<_> = page.items.iter().map(|dataset| (dataset.name.as_str(), dataset.is_default)).collect();
    assert_eq!((defaults, page.total), (vec![("one", false), ("two", true)], 2));
    assert_eq!(datasets.list(&key("letter"), Some("short"), 10, 0).await.unwrap().unwrap().total, 1);
    assert!(datasets.list(&key("nowhere"), None, 10, 0).await.unwrap().is_none());
}

#[tokio::test]
async fn of_two_who_expect_the_same_revision_one_is_told_and_the_hundred_and_first_is_refused() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let empty = json!({});
    let (datasets, empty) = (fixture.tenant.template_datasets(), &empty);
    let put = |name: String, expected| {
        let datasets = &datasets;
        async move {
            datasets
                .put(&key("letter"), &name.parse().unwrap(), expected, DatasetContent { data: empty, ..CONTENT }, &NOBODY)
                .await
                .unwrap()
        }
    };
    let both = tokio::join!(put("first".to_owned(), Some(0)), put("first".to_owned(), Some(0)));
    let written = [&both.0, &both.1].into_iter().filter(|outcome| matches!(outcome, DatasetOutcome::Written(_))).count();
    let stale = [&both.0, &both.1].into_iter().filter(|outcome| matches!(outcome, DatasetOutcome::Stale { current: 1 })).count();
    assert_eq!((written, stale), (1, 1), "{both:?}");
    for number in 1..DATASETS_LIMIT {
        assert!(matches!(put(format!("n{number}"), None).await, DatasetOutcome::Written(_)), "{number}");
    }
    assert_eq!(put("one-more".to_owned(), None).await, DatasetOutcome::TooMany);
    assert!(matches!(put("first".to_owned(), Some(1)).await, DatasetOutcome::Written(_)), "a full template still takes changes");
    let removed = fixture.tenant.template_datasets().delete(&key("letter"), &"n1".parse().unwrap(), None, &NOBODY).await.unwrap();
    assert_eq!(removed, DatasetRemoval::Removed);
    assert!(matches!(put("one-more".to_owned(), None).await, DatasetOutcome::Written(_)));
}
