//! Messages: written with what they tell of, given to one replica each, tenants in turn, and held back from what is away.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::ids::WebhookId;
use domain::webhooks::{DeliveryStatus, FAILURES_BEFORE_PAUSE};
use domain::{SecretText, TenantId};
use serde_json::{Value, json};
use store::{
    AttemptEnd, ClaimedDelivery, DeliveryAttempt, DeliveryFilter, DeliveryOutcome, NewWebhook, PassedOver, Store, TenantStore,
    WEBHOOKS_LIMIT, WebhookInsertion, WebhookPatch, WebhookRecord,
};

use crate::fixture::{Fixture, NOBODY, any_template, key, save, written};

const LEASE: Duration = Duration::from_mins(1);
const NOTHING: PassedOver<'_> = PassedOver { targets: &[], most_per_target: 1_000 };

async fn subscribe(tenant: &TenantStore, url: &str, events: &[&str], templates: Option<&[&str]>) -> WebhookRecord {
    let events: Vec<_> = events.iter().map(|event| event.parse().unwrap()).collect();
    let keys: Option<Vec<_>> = templates.map(|keys| keys.iter().map(|text| key(text)).collect());
    let secret = SecretText::new("a-secret-of-the-tests");
    let new =
        NewWebhook { url, events: &events, template_keys: keys.as_deref(), description: Some("for tests"), enabled: true, secret: &secret };
    match tenant.webhooks().insert(new, &NOBODY).await.unwrap() {
        WebhookInsertion::Made(made) => *made,
        WebhookInsertion::LimitReached => panic!("too many"),
    }
}

/// A subscription, and a message for it.
pub async fn put_webhook(tenant: &TenantStore) {
    let hook = subscribe(tenant, "https://hooks.example.org/letter", &["job.*"], None).await;
    tenant.webhooks().ping(hook.id, &NOBODY).await.unwrap().unwrap();
}

async fn log(tenant: &TenantStore, hook: WebhookId) -> Vec<String> {
    let page = tenant.webhook_deliveries().list(hook, DeliveryFilter::default(), 100, 0).await.unwrap();
    page.items.iter().rev().map(|delivery| delivery.event_type.clone()).collect()
}

async fn claim(store: &Store, most: u32) -> Vec<ClaimedDelivery> {
    store.delivery_queue().claim(most, LEASE, NOTHING).await.unwrap()
}

fn attempt(status: DeliveryStatus, next_in: Duration) -> DeliveryAttempt {
    let arrived = status == DeliveryStatus::Delivered;
    let error = (!arrived).then(|| "answered 500".to_owned());
    DeliveryAttempt { status, next_in, answered: Some(if arrived { 200 } else { 500 }), error, took: Duration::from_millis(3) }
}

/// So many messages that are due, as if a change had written each.
async fn many(fixture: &Fixture, hook: WebhookId, count: u32) {
    let sql = format!(
        "INSERT INTO webhook_deliveries (delivery_id, tenant_id, kind, webhook_id, event_id, event_type, url, target, body, give_up_at,
                                         created_at, next_run_at)
         SELECT gen_random_uuid(), tenant_id, 'event', webhook_id, gen_random_uuid(), 'label.moved', url, target, '{{}}',
                now() + interval '1 day', now(), now() - interval '1 minute'
         FROM webhooks, generate_series(1, {count}) WHERE webhook_id = '{hook}'"
    );
    fixture.database.query(&sql).await;
}

#[tokio::test]
async fn a_change_is_told_to_those_who_ask_for_it_and_to_nobody_else() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let all = subscribe(tenant, "https://a.example/", &["*"], None).await;
    let labels = subscribe(tenant, "https://b.example/", &["label.*", "asset.deleted"], None).await;
    let one = subscribe(tenant, "https://c.example/", &["template.created", "template.updated"], Some(&["address"])).await;
    let off = subscribe(tenant, "https://d.example/", &["*"], None).await;
    let patch = WebhookPatch { enabled: Some(false), ..WebhookPatch::default() };
    assert!(!tenant.webhooks().update(off.id, patch, &NOBODY).await.unwrap().unwrap().enabled);
    let other: TenantId = "other".parse().unwrap();
    assert!(fixture.store.tenants().insert(&other, "Other", &NOBODY).await.unwrap());
    let elsewhere = fixture.store.tenant(other);
    let foreign = subscribe(&elsewhere, "https://e.example/", &["*"], None).await;

    any_template(tenant, "letter").await;
    any_template(tenant, "address").await;
    written(save(tenant, "letter", "1.0.0", &json!({"html": "second"})).await);
    // A change that does not come about tells nothing.
    let refused = save(tenant, "letter", "7.0.0", &json!({"html": "third"})).await;
    assert!(!matches!(refused, store::UpdateOutcome::Written(_)), "{refused:?}");
    tenant.webhooks().ping(off.id, &NOBODY).await.unwrap().unwrap();

    assert_eq!(log(tenant, all.id).await, ["template.created", "template.created", "template.updated"]);
    assert_eq!(log(tenant, one.id).await, ["template.created"]);
    assert_eq!((log(tenant, labels.id).await.len(), log(&elsewhere, foreign.id).await.len()), (0, 0));
    assert_eq!(log(tenant, off.id).await, ["webhook.ping"]);
    assert!(log(&elsewhere, all.id).await.is_empty() && elsewhere.webhooks().get(all.id).await.unwrap().is_none(), "nor shown to others");

    let page = tenant.webhook_deliveries().list(all.id, DeliveryFilter::default(), 10, 0).await.unwrap();
    let body: Value = serde_json::from_str(&page.items[0].body).unwrap();
    assert_eq!((body["type"].as_str(), body["data"]["templateKey"].as_str()), (Some("template.updated"), Some("letter")));
    assert!(body["id"].as_str().unwrap().starts_with("evt_") && body["data"]["actor"] == json!("system:test"), "{body}");
}

#[tokio::test]
async fn every_message_goes_to_one_replica_and_tenants_take_turns_however_much_one_of_them_has() {
    let fixture = Fixture::new().await;
    let other: TenantId = "other".parse().unwrap();
    assert!(fixture.store.tenants().insert(&other, "Other", &NOBODY).await.unwrap());
    let busy = subscribe(&fixture.tenant, "https://a.example/", &["label.*"], None).await;
    let quiet = subscribe(&fixture.store.tenant(other.clone()), "https://b.example/", &["label.*"], None).await;
    many(&fixture, busy.id, 400).await;
    many(&fixture, quiet.id, 3).await;
    let first = claim(&fixture.store, 10).await;
    assert_eq!(first.len(), 10);
    assert_eq!(first.iter().filter(|claimed| claimed.tenant == other).count(), 3, "three of many hundred");

    let replicas = [fixture.replica().await, fixture.replica().await, fixture.replica().await];
    let mut seen: BTreeSet<String> = first.iter().map(|claimed| claimed.lease.id.to_string()).collect();
    let mut taken = first.len();
    loop {
        let claims = replicas.iter().map(|replica| claim(replica, 25));
        let claimed: Vec<_> = futures_util::future::join_all(claims).await.into_iter().flatten().collect();
        taken += claimed.len();
        seen.extend(claimed.iter().map(|claimed| claimed.lease.id.to_string()));
        if claimed.is_empty() {
            break;
        }
    }
    assert_eq!((taken, seen.len()), (403, 403));
}

#[tokio::test]
async fn what_is_away_or_busy_is_passed_over_and_one_target_gets_so_many_at_a_time() {
    let fixture = Fixture::new().await;
    let away = subscribe(&fixture.tenant, "https://away.example/", &["label.*"], None).await;
    let here = subscribe(&fixture.tenant, "https://here.example:8443/", &["label.*"], None).await;
    many(&fixture, away.id, 50).await;
    many(&fixture, here.id, 50).await;
    let targets = ["default away.example:443".to_owned()];
    let queue = fixture.store.delivery_queue();
    let claimed = queue.claim(20, LEASE, PassedOver { targets: &targets, most_per_target: 4 }).await.unwrap();
    assert!(claimed.len() == 4 && claimed.iter().all(|claimed| claimed.target == "here.example:8443"), "{claimed:?}");
    // One that is off keeps what it has until it is on again; what is too old is given to somebody who says so.
    let patch = WebhookPatch { enabled: Some(false), ..WebhookPatch::default() };
    fixture.tenant.webhooks().update(away.id, patch, &NOBODY).await.unwrap().unwrap();
    assert!(claim(&fixture.store, 100).await.iter().all(|claimed| claimed.target == "here.example:8443"));
    let patch = WebhookPatch { enabled: Some(true), url: Some("https://moved.example/"), ..WebhookPatch::default() };
    fixture.tenant.webhooks().update(away.id, patch, &NOBODY).await.unwrap().unwrap();
    let claimed = claim(&fixture.store, 100).await;
    assert!(claimed.len() == 50 && claimed.iter().all(|claimed| claimed.url == "https://moved.example/"), "{}", claimed.len());
}

#[tokio::test]
async fn who_lost_the_lease_writes_nothing_down_and_a_message_that_was_given_back_has_not_been_tried() {
    let fixture = Fixture::new().await;
    let hook = subscribe(&fixture.tenant, "https://a.example/", &["label.*"], None).await;
    many(&fixture, hook.id, 1).await;
    let queue = fixture.store.delivery_queue();
    let slow = claim(&fixture.store, 5).await.remove(0);
    assert!(claim(&fixture.store, 5).await.is_empty(), "one at a time");
    fixture.database.query("UPDATE webhook_deliveries SET lease_until = now() - interval '1 second'").await;
    let second = claim(&fixture.store, 5).await.remove(0);
    assert_eq!((slow.lease.id, second.attempt), (second.lease.id, 2));
    let arrived = attempt(DeliveryStatus::Delivered, Duration::ZERO);
    assert_eq!(queue.finish(slow.lease, &arrived).await.unwrap(), AttemptEnd::Lost);
    assert!(!queue.give_back(slow.lease).await.unwrap());
    assert!(queue.give_back(second.lease).await.unwrap());
    let third = claim(&fixture.store, 5).await.remove(0);
    assert_eq!(third.attempt, 2, "giving back costs no attempt");
    assert_eq!(queue.finish(third.lease, &arrived).await.unwrap(), AttemptEnd::Told);
    assert!(claim(&fixture.store, 5).await.is_empty());
    let found = fixture.tenant.webhook_deliveries().get(hook.id, third.lease.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.attempts, found.last_status), (DeliveryStatus::Delivered, 2, Some(200)));
    let back = sqlx::query("UPDATE webhook_deliveries SET status = 'failed'").execute(&mut fixture.bystander().await).await;
    assert!(back.is_err(), "what arrived stays so");
}

#[tokio::test]
async fn a_subscription_where_nothing_arrives_for_a_day_is_paused_and_switching_it_on_ends_that() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let hook = subscribe(tenant, "https://a.example/", &["template.*"], None).await;
    many(&fixture, hook.id, FAILURES_BEFORE_PAUSE + 1).await;
    let queue = fixture.store.delivery_queue();
    let failed = attempt(DeliveryStatus::Failed, Duration::ZERO);
    let mut claimed = claim(&fixture.store, 100).await;
    let last = claimed.pop().unwrap();
    for delivery in claimed {
        assert_eq!(queue.finish(delivery.lease, &failed).await.unwrap(), AttemptEnd::Told, "not within a day");
    }
    fixture.database.query("UPDATE webhooks SET failing_since = failing_since - interval '25 hours'").await;
    let dead = AttemptEnd::Dead { webhook: hook.id, failures: FAILURES_BEFORE_PAUSE + 1 };
    assert_eq!(queue.finish(last.lease, &failed).await.unwrap(), dead);
    assert!(tenant.webhooks().pause(hook.id, "nothing arrived", &NOBODY).await.unwrap());
    assert!(!tenant.webhooks().pause(hook.id, "nothing arrived", &NOBODY).await.unwrap(), "once");
    let paused = tenant.webhooks().get(hook.id).await.unwrap().unwrap();
    assert!(paused.paused_at.is_some() && paused.pause_reason.as_deref() == Some("nothing arrived"));
    let before = log(tenant, hook.id).await.len();
    any_template(tenant, "letter").await;
    assert_eq!(log(tenant, hook.id).await.len(), before, "nothing is written for one that is paused");
    let patch = WebhookPatch { enabled: Some(true), ..WebhookPatch::default() };
    let resumed = tenant.webhooks().update(hook.id, patch, &NOBODY).await.unwrap().unwrap();
    assert_eq!((resumed.paused_at, resumed.failures, resumed.failing_since), (None, 0, None));
    any_template(tenant, "address").await;
    assert_eq!(log(tenant, hook.id).await.len(), before + 1);
    let events = tenant.audit().list(&store::AuditFilter::default(), 50, 0).await.unwrap();
    assert!(events.items.iter().any(|row| row.event == "webhook.paused"));
}

#[tokio::test]
async fn a_subscription_has_only_so_many_messages_open_and_what_comes_on_top_can_be_asked_for() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let hook = subscribe(tenant, "https://a.example/", &["template.*"], None).await;
    many(&fixture, hook.id, 10_000).await;
    any_template(tenant, "letter").await;
    let failed = DeliveryFilter { status: Some(DeliveryStatus::Failed), event_type: None };
    let page = tenant.webhook_deliveries().list(hook.id, failed, 10, 0).await.unwrap();
    assert_eq!((page.total, page.items[0].last_error.is_some()), (1, true));
    fixture.database.query("DELETE FROM webhook_deliveries WHERE status = 'pending'").await;
    let again = tenant.webhook_deliveries().redeliver(hook.id, page.items[0].id, &NOBODY).await.unwrap();
    let DeliveryOutcome::Done(again) = again else { panic!("{again:?}") };
    assert_eq!((again.status, again.repeats, &again.body), (DeliveryStatus::Pending, Some(page.items[0].id), &page.items[0].body));
    let outcome = tenant.webhook_deliveries().redeliver(hook.id, again.id, &NOBODY).await.unwrap();
    assert_eq!(outcome, DeliveryOutcome::NotFrom(DeliveryStatus::Pending));
    for number in 1..WEBHOOKS_LIMIT {
        subscribe(tenant, &format!("https://a.example/{number}"), &["*"], None).await;
    }
    let secret = SecretText::new("a-secret-of-the-tests");
    let events = ["*".parse().unwrap()];
    let new =
        NewWebhook { url: "https://a.example/", events: &events, template_keys: None, description: None, enabled: true, secret: &secret };
    assert_eq!(tenant.webhooks().insert(new, &NOBODY).await.unwrap(), WebhookInsertion::LimitReached);
}

#[tokio::test]
async fn a_claim_costs_the_same_whatever_was_delivered_before() {
    let fixture = Fixture::new().await;
    let hook = subscribe(&fixture.tenant, "https://a.example/", &["label.*"], None).await;
    let timed = async |name: &str| {
        many(&fixture, hook.id, 200).await;
        let began = std::time::Instant::now();
        let claimed = claim(&fixture.store, 200).await;
        let took = began.elapsed();
        assert_eq!(claimed.len(), 200);
        println!("{name}: 200 messages claimed in {took:?}");
        fixture.database.query("UPDATE webhook_deliveries SET status = 'delivered', ended_at = now(), lease_owner = NULL, lease_token = NULL, lease_until = NULL WHERE status = 'pending'").await;
        took
    };
    let empty = timed("nothing behind").await;
    many(&fixture, hook.id, 50_000).await;
    fixture.database.query("UPDATE webhook_deliveries SET status = 'delivered', ended_at = now() WHERE status = 'pending'").await;
    fixture.database.query("VACUUM ANALYZE webhook_deliveries").await;
    let behind = timed("50,000 behind").await;
    assert!(behind < empty * 10 + Duration::from_millis(300), "{empty:?} {behind:?}");
}
