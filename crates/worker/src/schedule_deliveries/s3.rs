//! Into a bucket that the operator declared: an object for each file, under the same name however often it is tried.

use std::collections::BTreeMap;

use blobs::{BlobError, OutsideBucket, OutsideObject};
use domain::TenantId;
use domain::schedule_plans::{DeliveryPlan, PlannedObject};
use store::ClaimedScheduleDelivery;

use super::{ScheduleDeliverySetup, Undelivered, files};

/// The buckets that schedules may name, by the names that schedules use.
pub type DeclaredBuckets = BTreeMap<String, OutsideBucket>;

pub(super) async fn deliver(
    setup: &ScheduleDeliverySetup,
    delivery: &ClaimedScheduleDelivery,
    plan: &DeliveryPlan,
    target: &PlannedObject,
) -> Result<(), Undelivered> {
    let Some(bucket) = setup.buckets.get(&target.bucket) else {
        let said = format!("this server knows no bucket {:?}: SCHEDULE_S3_TARGETS does not declare it", target.bucket);
        return Err(Undelivered::Refused("bucket_unknown", said));
    };
    let made = files(setup, delivery, plan, None).await?;
    let many = made.len() > 1;
    for (place, file) in made.iter().enumerate() {
        let key = key(delivery, plan, target, &file.filename, many.then_some(place));
        // Stores and gateways that tidy paths up would leave what the operator declared.
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(Undelivered::Refused(
                "s3_key_invalid",
                format!("the key {key:?} has a part \".\" or \"..\"; name objects without"),
            ));
        }
        // As below the folder of schedules: what one tenant writes, no other overwrites.
        let key = if delivery.tenant == TenantId::default_tenant() { key } else { format!("{}/{key}", delivery.tenant) };
        let mut metadata = target.metadata.clone();
        metadata.push(("pulpengine-delivery-id".to_owned(), delivery.lease.id.to_string()));
        let object = OutsideObject {
            key: &key,
            content_type: &file.content_type,
            content_disposition: target.content_disposition.as_deref(),
            metadata: &metadata,
            bytes: file.bytes.clone(),
        };
        bucket.put(object).await.map_err(|error| judged(&error))?;
    }
    Ok(())
}

/// The object's name: as the schedule says it, with the extension of each file where there are several.
fn key(delivery: &ClaimedScheduleDelivery, plan: &DeliveryPlan, target: &PlannedObject, filename: &str, place: Option<usize>) -> String {
    let key = target.key.as_deref().map(|key| key.trim_start_matches('/')).filter(|key| !key.is_empty());
    match (key, place) {
        (Some(key), None) if !key.ends_with('/') => key.to_owned(),
        (Some(key), Some(_)) if !key.ends_with('/') => {
            let extension = filename.rsplit_once('.').map_or("bin", |(_, extension)| extension);
            let stem = key.rsplit_once('.').filter(|(_, end)| !end.contains('/')).map_or(key, |(stem, _)| stem);
            format!("{stem}.{extension}")
        }
        (Some(folder), _) => format!("{folder}{filename}"),
        (None, _) => format!("{}/{}/{}-{filename}", delivery.schedule, plan.fire_time.replace(':', "-"), delivery.item_index),
    }
}

fn judged(error: &BlobError) -> Undelivered {
    let said = format!("the bucket cannot be written to: {error}");
    match error {
        BlobError::Away { .. } => Undelivered::Away("s3_unavailable", said, None),
        BlobError::Busy { .. } => Undelivered::Later("s3_unavailable", said, None),
        // A bucket that is gone may come back, and keys are changed by operators: it is tried for a day.
        _ => Undelivered::Later("s3_refused", said, None),
    }
}
