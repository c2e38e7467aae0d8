//! To an address outside: one signed call for each delivery, with the files or links to them.

use domain::options::Disposition;
use domain::schedule_plans::{DeliveryPlan, PlannedCall};
use domain::webhooks::signatures;
use outbound::{Answer, Call, Method, OutboundError, TooLong};
use render::MadeFile;
use serde_json::{Value, json};
use std::time::Duration;
use store::{ClaimedScheduleDelivery, DeliverableFile};

use super::{ScheduleDeliverySetup, Undelivered, documents, email::base64, files};

/// For the call, from the name to the last byte that is read.
const CALL: Duration = Duration::from_secs(30);
/// Of an answer; what it says does not matter.
const ANSWER_BYTES: usize = 64 * 1024;

pub(super) async fn deliver(
    setup: &ScheduleDeliverySetup,
    delivery: &ClaimedScheduleDelivery,
    plan: &DeliveryPlan,
    target: &PlannedCall,
) -> Result<(), Undelivered> {
    let mut shown = Vec::new();
    if target.includes_files {
        for file in files(setup, delivery, plan, None).await? {
            shown.push(json!({
                "filename": file.filename, "contentType": file.content_type, "sizeBytes": file.bytes.len(),
                "sha256": file.of.map(|file| hex::encode(file.sha256)), "content": base64(&file.bytes),
            }));
        }
    } else {
        for file in documents(setup, delivery, &plan.files).await? {
            let url = if setup.base_url.is_some() { Some(link(setup, delivery, plan, &file).await?) } else { None };
            shown.push(json!({
                "filename": file.filename, "contentType": file.content_type, "sizeBytes": file.size_bytes, "sha256": hex::encode(file.sha256),
                "url": url,
            }));
        }
    }
    let body = json!({
        "deliveryId": delivery.lease.id, "type": "schedule.delivery", "scheduleId": delivery.schedule, "executionId": delivery.execution,
        "scheduleName": plan.schedule_name, "fireTime": plan.fire_time, "itemIndex": delivery.item_index, "key": plan.key, "files": shown,
    });
    let body = Value::to_string(&body);
    let timestamp_s = setup.clock.now().as_second();
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-pulpengine-timestamp", timestamp_s.to_string()),
        ("x-pulpengine-delivery-id", delivery.lease.id.to_string()),
        ("x-pulpengine-event", "schedule.delivery".to_owned()),
        ("x-pulpengine-attempt", delivery.attempt.to_string()),
        ("idempotency-key", delivery.lease.id.to_string()),
    ];
    if let Some(secret) = &delivery.secret {
        headers.push(("x-pulpengine-signature", signatures(&[secret.reveal()], timestamp_s, body.as_bytes())));
    }
    let call = Call {
        purpose: "schedule",
        method: Method::Post,
        url: &target.url,
        headers: &headers,
        body: Some(body.as_bytes()),
        timeout: CALL,
        answer_bytes: ANSWER_BYTES,
        too_long: TooLong::Cut,
    };
    match setup.outbound.send(call).await {
        Ok(answer) if answer.is_success() => Ok(()),
        Ok(answer) => Err(judged(&answer)),
        // What may not be called may be called tomorrow, when the operator or the name says so; nobody waits for that.
        Err(error @ OutboundError::Refused(_)) => Err(Undelivered::Refused("webhook_url_rejected", error.told())),
        Err(error @ OutboundError::Redirected { .. }) => Err(Undelivered::Refused("webhook_redirected", error.told())),
        Err(error @ OutboundError::TimedOut { .. }) => Err(Undelivered::Away("webhook_timeout", error.told(), None)),
        Err(error) => Err(Undelivered::Away("webhook_unreachable", error.told(), None)),
    }
}

fn judged(answer: &Answer) -> Undelivered {
    let said = format!("answered {}", answer.status);
    match answer.status {
        429 | 500.. => Undelivered::Away("webhook_status", said, answer.retry_after),
        408 | 409 | 423 | 425 => Undelivered::Later("webhook_status", said, answer.retry_after),
        _ => Undelivered::Refused("webhook_status", said),
    }
}

/// A link to a document, which is kept for it; as often as it is asked for, that is the same document.
pub(super) async fn link(
    setup: &ScheduleDeliverySetup,
    delivery: &ClaimedScheduleDelivery,
    plan: &DeliveryPlan,
    file: &DeliverableFile,
) -> Result<String, Undelivered> {
    let Some(base) = &setup.base_url else {
        return Err(Undelivered::Refused("link_unavailable", "nothing can be linked: DOCUMENTS_BASE_URL is not set".to_owned()));
    };
    let Some(job) = delivery.job else {
        return Err(Undelivered::Refused("render_artifact_expired", "its documents are not kept any more".to_owned()));
    };
    let metadata = [
        ("scheduleId", delivery.schedule.to_string()),
        ("executionId", delivery.execution.to_string()),
        ("scheduleName", plan.schedule_name.clone()),
    ];
    let kept = setup.renderer.documents().keep_made(
        &delivery.tenant,
        MadeFile {
            filename: &file.filename,
            content_type: &file.content_type,
            sha256: file.sha256,
            size_bytes: file.size_bytes,
            pages: file.pages,
            template: &file.template.0,
            version: file.template.1.as_deref(),
            item: (job, file.index),
            metadata: &metadata,
        },
    );
    let document = kept.await?;
    let life = u32::try_from((document.expires_at.as_second() - setup.clock.now().as_second()).max(1)).ok();
    let link = setup.renderer.documents().link(&delivery.tenant, &document, life, Disposition::Attachment);
    Ok(format!("{base}{}", link.path))
}
