//! Replicas know of each other by their heartbeats, and count the living.

use std::time::Duration;

use serde_json::json;
use store::{ConnectOptions, Store, migrate};
use testkit::postgres::TestDatabase;

use crate::fixture::{PATIENCE, migrated};
use testkit::postgres::Cluster;

const SOON: Duration = Duration::from_secs(10);

async fn replica(url: &str, name: &str) -> Store {
    let options = ConnectOptions { instance_id: name.to_owned(), acquire_timeout: Duration::from_millis(500), ..ConnectOptions::new(url) };
    Store::connect(options).await.unwrap()
}

async fn beat(store: &Store) {
    store.replicas().beat("1.0", Duration::from_mins(1), &json!({"renders": 1}), SOON).await.unwrap();
}

async fn age(database: &TestDatabase, name: &str, seconds: u32) {
    database.query(&format!("UPDATE replicas SET seen_at = now() - interval '{seconds} seconds' WHERE instance_id = '{name}'")).await;
}

#[tokio::test]
async fn those_that_beat_are_counted_and_those_that_died_or_said_farewell_are_not() {
    let database = migrated().await;
    let (one, two, three) =
        (replica(database.url(), "one").await, replica(database.url(), "two").await, replica(database.url(), "three").await);
    assert_eq!((one.replicas_alive(), one.last_known_cluster()), (1, None), "before the first beat it is alone");
    for store in [&one, &two, &three, &one] {
        beat(store).await;
    }
    assert_eq!((one.replicas_alive(), two.replicas_alive(), three.replicas_alive()), (3, 2, 3));

    three.replicas().delete_own().await.unwrap();
    beat(&one).await;
    assert_eq!(one.replicas_alive(), 2, "farewell");
    age(&database, "two", 16).await;
    beat(&one).await;
    assert_eq!(one.replicas_alive(), 1, "dead");
    let view = one.replicas().list(SOON).await.unwrap();
    let seen: Vec<_> = view.replicas.iter().map(|replica| (replica.instance_id.as_str(), replica.is_alive())).collect();
    assert_eq!(seen, [("one", true), ("two", false)], "the dead are still shown");
    let record = &view.replicas[0];
    assert_eq!((record.version.as_str(), &record.standing, record.schema_version), ("1.0", &json!({"renders": 1}), view.schema_version));
    let up = record.seen_at.duration_since(record.started_at).as_secs();
    assert!((60..70).contains(&up), "{up}");

    beat(&two).await;
    beat(&one).await;
    assert_eq!(one.replicas_alive(), 2, "back");
    age(&database, "two", 3601).await;
    beat(&one).await;
    assert_eq!(database.query("SELECT instance_id FROM replicas").await, "one", "forgotten");
}

#[tokio::test]
async fn a_standing_that_is_too_large_is_refused_and_what_was_known_stays() {
    let database = migrated().await;
    let one = replica(database.url(), "one").await;
    beat(&one).await;
    let large = json!({"text": "x".repeat(20_000)});
    one.replicas().beat("1.0", Duration::ZERO, &large, SOON).await.unwrap_err();
    let (view, _) = one.last_known_cluster().unwrap();
    assert_eq!(view.replicas[0].standing, json!({"renders": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_the_count_known_last_holds_and_its_return_does_not_look_like_a_mass_death() {
    let cluster = Cluster::start_new();
    migrate(&cluster.url(), PATIENCE).await.unwrap();
    let (one, two) = (replica(&cluster.url(), "one").await, replica(&cluster.url(), "two").await);
    beat(&two).await;
    beat(&one).await;
    cluster.freeze();
    one.replicas().beat("1.0", Duration::ZERO, &json!({}), Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(one.replicas_alive(), 2);
    let (view, _) = one.last_known_cluster().unwrap();
    assert_eq!(view.alive().count(), 2, "what was known last can be shown");
    cluster.thaw();
    let mut bystander = <sqlx::PgConnection as sqlx::Connection>::connect(&cluster.url()).await.unwrap();
    sqlx::query("UPDATE replicas SET seen_at = now() - interval '30 seconds'").execute(&mut bystander).await.unwrap();
    beat(&one).await;
    assert_eq!(one.replicas_alive(), 2, "the other has not had the time for a beat");
}
