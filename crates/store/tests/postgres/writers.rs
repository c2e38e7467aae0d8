//! Several replicas writing the same thing in the same moment.

use domain::TenantId;
use serde_json::json;
use store::{Approval, DeleteOutcome, InsertOutcome, NewTemplate, PartInUse, TemplateSummary, TenantStore, UpdateOutcome};
use tokio::join;

use crate::fixture::{Fixture, NOBODY, any_template, content, key, save, unsigned, version};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_with_the_same_expectation_exactly_one_wins() {
    let fixture = Fixture::new().await;
    let other = fixture.replica().await.tenant(TenantId::default_tenant());
    any_template(&fixture.tenant, "letter").await;
    for round in 0..20_u32 {
        let expected = format!("1.0.{round}");
        let (one, two) = (json!({"by": "one", "round": round}), json!({"by": "two", "round": round}));
        let (first, second) = join!(save(&fixture.tenant, "letter", &expected, &one), save(&other, "letter", &expected, &two));

        let next = version(&expected).next();
        let (winner, content) = match (first, second) {
            (UpdateOutcome::Written(summary), UpdateOutcome::Stale { current }) => ((summary, current), one),
            (UpdateOutcome::Stale { current }, UpdateOutcome::Written(summary)) => ((summary, current), two),
            both => panic!("round {round}: {both:?}"),
        };
        assert_eq!((winner.0.current_version, winner.1), (next, next), "round {round}");
        let current = fixture.tenant.templates().get_current(&key("letter")).await.unwrap().unwrap();
        assert_eq!(current.definition, content, "round {round}");
    }
    let versions = fixture.tenant.template_versions().list(&key("letter"), 100, 0).await.unwrap().unwrap();
    assert_eq!(versions.total, 21, "one version for each round that somebody won");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_deletes_exactly_one_deletes() {
    let fixture = Fixture::new().await;
    let other = fixture.replica().await.tenant(TenantId::default_tenant());
    for round in 0..10 {
        let name = format!("letter-{round}");
        any_template(&fixture.tenant, &name).await;
        let delete = async |tenant: &TenantStore| {
            tenant.templates().delete(&key(&name), version("1.0.0"), PartInUse::Refuse, Approval::default(), &NOBODY).await.unwrap()
        };
        let both = join!(delete(&fixture.tenant), delete(&other));
        let wins = [&both.0, &both.1].into_iter().filter(|outcome| **outcome == DeleteOutcome::Deleted).count();
        assert!(wins == 1 && [&both.0, &both.1].contains(&&DeleteOutcome::NotFound), "round {round}: {both:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_inserts_of_a_key_exactly_one_makes_it() {
    let fixture = Fixture::new().await;
    let other = fixture.replica().await.tenant(TenantId::default_tenant());
    let definition = json!({});
    for round in 0..10 {
        let key = key(&format!("letter-{round}"));
        let make = async |tenant: &TenantStore| -> Option<TemplateSummary> {
            let new = NewTemplate { key: &key, content: content("Letter", &definition), tags: &[], owner: None };
            match tenant.templates().insert(new, unsigned()).await.unwrap() {
                InsertOutcome::Written(summary) => Some(*summary),
                InsertOutcome::KeyTaken | InsertOutcome::PartMissing { .. } => None,
            }
        };
        let (first, second) = join!(make(&fixture.tenant), make(&other));
        assert!(first.is_some() != second.is_some(), "round {round}");
        assert_eq!(fixture.tenant.templates().get(&key).await.unwrap(), first.or(second));
    }
}
