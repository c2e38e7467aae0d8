//! The replicas of the installation, as all of them see it.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use store::{ClusterView, LeaseKind, ReplicaRecord, Store};

use crate::Setup;

/// How long the database is asked. Afterwards what was known last is told, with its age.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of the cluster.
pub(crate) struct Known {
    view: Option<ClusterView>,
    /// How old that is.
    age: Duration,
    /// How long the database took to say so; none when it did not.
    pub(crate) answered_in: Option<Duration>,
}

/// Asks the database, or goes by what was known last.
pub(crate) async fn known(store: &Store) -> Known {
    let asked = tokio::time::Instant::now();
    match store.replicas().list(PATIENCE).await {
        Ok(view) => Known { view: Some(view), age: Duration::ZERO, answered_in: Some(asked.elapsed()) },
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "the cluster is shown as it was known last");
            let (view, age) = store.last_known_cluster().unzip();
            Known { view, age: age.unwrap_or_default(), answered_in: None }
        }
    }
}

impl Known {
    /// What all replicas say the same of, but for its age.
    pub(crate) fn told(&self) -> Value {
        let Some(view) = &self.view else {
            return json!({ "asOf": null, "ageMs": null, "isCurrent": false, "replicasAlive": null, "replicas": [] });
        };
        let alive: Vec<&ReplicaRecord> = view.alive().collect();
        let versions: BTreeSet<&str> = alive.iter().map(|replica| &*replica.version).collect();
        let schemas: BTreeSet<i64> = alive.iter().map(|replica| replica.schema_version).collect();
        let leases: Map<String, Value> = LeaseKind::ALL
            .iter()
            .map(|kind| {
                let held = |replica: &&ReplicaRecord| replica.standing["leases"][kind.as_str()].as_u64().unwrap_or(0);
                (kind.as_str().to_owned(), alive.iter().map(held).sum::<u64>().into())
            })
            .collect();
        json!({
            "asOf": view.at.to_string(),
            "ageMs": whole_ms(self.age),
            "isCurrent": self.answered_in.is_some(),
            "schemaVersion": view.schema_version,
            "versions": versions,
            "mixedVersions": versions.len() > 1 || schemas.len() > 1,
            "replicasAlive": alive.len(),
            "leases": leases,
            "duties": view.duties.iter().map(|held| json!({ "duty": held.duty, "heldBy": held.held_by })).collect::<Vec<_>>(),
            "replicas": view.replicas.iter().map(told_of).collect::<Vec<_>>(),
        })
    }
}

fn told_of(replica: &ReplicaRecord) -> Value {
    let mut told = json!({
        "instanceId": replica.instance_id,
        "version": replica.version,
        "schemaVersion": replica.schema_version,
        "startedAt": replica.started_at.to_string(),
        "lastSeenAt": replica.seen_at.to_string(),
        "heartbeatAgeMs": whole_ms(replica.unseen_for),
        "alive": replica.is_alive(),
    });
    // What it says of itself; its own words do not take the place of ours.
    if let (Some(told), Some(standing)) = (told.as_object_mut(), replica.standing.as_object()) {
        for (name, value) in standing {
            told.entry(name).or_insert_with(|| value.clone());
        }
    }
    told
}

/// All replicas that serve this database: those that are alive, and those that died within an hour without a farewell. Each replica
/// says the same, but for `self`. While the database is away it is what was known last, `ageMs` old, and `isCurrent` is false.
#[utoipa::path(get, path = "/api/cluster/info", tag = "system", responses((status = 200, description = "replicas with version, start, last sign of life and leases; replicasAlive, mixedVersions, schemaVersion, duties, self")))]
pub async fn info(State(setup): State<Setup>) -> Json<Value> {
    let mut told = known(&setup.store).await.told();
    told["self"] = setup.store.instance_id().into();
    Json(told)
}

pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
