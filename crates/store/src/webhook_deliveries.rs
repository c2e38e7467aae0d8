//! Messages that are to arrive somewhere else, written in the transaction of what they tell of: none is lost, none is invented.

use domain::ids::{DeliveryId, EventId, JobId, WebhookId};
use domain::webhooks::{EventType, TRIED_FOR, target};
use domain::{Actor, AuditEvent, TenantId};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

use crate::changes::announce;
use crate::connect::Store;
use crate::error::StoreError;
use crate::tenants::TenantStore;

/// Deliveries of one subscription that may be open. What comes on top is kept as failed, so that it can be asked for.
pub(crate) const OPEN_LIMIT: i64 = 10_000;
/// The longest body that is kept; events with more say what they are about and nothing else.
const BODY_BYTES: usize = 256 * 1024;

/// The end of a job, for whoever asked to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Callback<'a> {
    /// Whose job.
    pub(crate) tenant: &'a TenantId,
    /// The job.
    pub(crate) job: JobId,
    /// How it ended: `job.completed`, `job.failed` or `job.cancelled`.
    pub(crate) event: EventType,
    /// Where it is told.
    pub(crate) url: &'a str,
    /// What it is signed with.
    pub(crate) secret: &'a str,
    /// What is said; it gets `deliveryId` besides. At least `jobId` and `status`.
    pub(crate) body: &'a Map<String, Value>,
}

/// Something that happened, for every subscription that asks for it.
#[derive(Clone, Debug)]
pub(crate) struct NewEvent<'a> {
    /// What.
    pub(crate) event: EventType,
    /// The keys of the templates that it is about; subscriptions may be limited to some.
    pub(crate) templates: &'a [String],
    /// The caller's own name for what it belongs to.
    pub(crate) correlation_id: Option<&'a str>,
    /// What is said.
    pub(crate) data: Map<String, Value>,
}

/// Has the end of a job told. Call it in the transaction that ends the job; it is sent when, and only if, that commits.
pub(crate) async fn enqueue_callback(
    connection: &mut PgConnection,
    store: &Store,
    callback: Callback<'_>,
) -> Result<DeliveryId, StoreError> {
    let id = DeliveryId::generate();
    let mut body = callback.body.clone();
    body.insert("deliveryId".to_owned(), id.to_string().into());
    sqlx::query(
        "INSERT INTO webhook_deliveries (delivery_id, tenant_id, kind, job_id, event_id, event_type, url, target, secret, body,
                                         give_up_at, created_at)
         VALUES ($1, $2, 'callback', $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10), $11)",
    )
    .bind(id.as_uuid())
    .bind(callback.tenant.as_str())
    .bind(callback.job.as_uuid())
    .bind(EventId::generate().as_uuid())
    .bind(callback.event.as_str())
    .bind(callback.url)
    .bind(target(callback.url))
    .bind(callback.secret)
    .bind(Value::Object(body).to_string())
    .bind(TRIED_FOR.as_secs_f64())
    .bind(store.now())
    .execute(&mut *connection)
    .await?;
    announce(connection, callback.tenant, "delivery", &id.to_string()).await?;
    Ok(id)
}

/// Has an event told to the subscriptions of the tenant that ask for it; says how many those are. Call it in the transaction
/// that makes it true.
pub(crate) async fn enqueue_event(
    connection: &mut PgConnection,
    store: &Store,
    tenant: &TenantId,
    event: NewEvent<'_>,
) -> Result<u64, StoreError> {
    let id = EventId::generate();
    let body = body_of(id, &event, store.now().to_jiff());
    let written = sqlx::query(
        "INSERT INTO webhook_deliveries (delivery_id, tenant_id, kind, webhook_id, event_id, event_type, url, target, body,
                                         give_up_at, created_at, status, ended_at, last_error)
         SELECT gen_random_uuid(), w.tenant_id, 'event', w.webhook_id, $2, $3, w.url, w.target, $4,
                now() + make_interval(secs => $7), $8,
                CASE WHEN full_up.yes THEN 'failed' ELSE 'pending' END, CASE WHEN full_up.yes THEN $8 END,
                CASE WHEN full_up.yes THEN 'too many deliveries of this subscription were open' END
         FROM webhooks w
         CROSS JOIN LATERAL (
             SELECT count(*) >= $9 AS yes FROM (
                 SELECT FROM webhook_deliveries o WHERE o.webhook_id = w.webhook_id AND o.status = 'pending' LIMIT $9) open) full_up
         WHERE w.tenant_id = $1 AND w.enabled AND w.paused_at IS NULL AND w.events && $5::text[] COLLATE \"C\"
           AND (w.template_keys IS NULL OR w.template_keys && $6::text[] COLLATE \"C\")",
    )
    .bind(tenant.as_str())
    .bind(id.as_uuid())
    .bind(event.event.as_str())
    .bind(body)
    .bind(event.event.patterns())
    .bind(event.templates)
    .bind(TRIED_FOR.as_secs_f64())
    .bind(store.now())
    .bind(OPEN_LIMIT)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if written > 0 {
        announce(connection, tenant, "delivery", &id.to_string()).await?;
    }
    Ok(written)
}

/// Has a subscription told alone, whatever it asks for; none where there is no such one.
pub(crate) async fn enqueue_ping(
    connection: &mut PgConnection,
    handle: &TenantStore,
    webhook: WebhookId,
    event: NewEvent<'_>,
) -> Result<Option<DeliveryId>, StoreError> {
    let id = EventId::generate();
    let written: Option<uuid::Uuid> = sqlx::query_scalar(
        "INSERT INTO webhook_deliveries (delivery_id, tenant_id, kind, webhook_id, event_id, event_type, url, target, body,
                                         give_up_at, created_at)
         SELECT gen_random_uuid(), tenant_id, 'event', webhook_id, $3, $4, url, target, $5, now() + make_interval(secs => $6), $7
         FROM webhooks WHERE tenant_id = $1 AND webhook_id = $2 RETURNING delivery_id",
    )
    .bind(handle.tenant.as_str())
    .bind(webhook.as_uuid())
    .bind(id.as_uuid())
    .bind(event.event.as_str())
    .bind(body_of(id, &event, handle.store.now().to_jiff()))
    .bind(TRIED_FOR.as_secs_f64())
    .bind(handle.store.now())
    .fetch_optional(&mut *connection)
    .await?;
    if written.is_some() {
        announce(connection, &handle.tenant, "delivery", &id.to_string()).await?;
    }
    Ok(written.map(DeliveryId::from))
}

/// Has a change that somebody made told, if it is one of those that others are told of.
pub(crate) async fn enqueue_change(
    connection: &mut PgConnection,
    store: &Store,
    tenant: &TenantId,
    actor: &Actor,
    change: &AuditEvent,
) -> Result<(), StoreError> {
    let Some(event) = EventType::of(change.kind) else { return Ok(()) };
    let (name, templates) = match change.kind.resource_type() {
        "template" => ("templateKey", vec![change.resource_id.clone()]),
        "asset" => ("assetId", Vec::new()),
        _ => ("id", Vec::new()),
    };
    let mut data = Map::new();
    data.insert(name.to_owned(), change.resource_id.as_str().into());
    data.insert("actor".to_owned(), (&*actor.name).into());
    data.insert("requestId".to_owned(), actor.request_id.map(|id| id.to_string()).into());
    for (name, value) in &change.details {
        data.entry(name.as_str()).or_insert_with(|| value.clone());
    }
    enqueue_event(connection, store, tenant, NewEvent { event, templates: &templates, correlation_id: None, data }).await?;
    Ok(())
}

/// What is sent, byte for byte.
pub(crate) fn body_of(id: EventId, event: &NewEvent<'_>, at: jiff::Timestamp) -> String {
    let whole = |data: &Map<String, Value>| {
        json!({
            "id": format!("evt_{}", id.as_uuid().simple()),
            "type": event.event.as_str(),
            "apiVersion": "1",
            "createdAt": format!("{at:.3}"),
            "correlationId": event.correlation_id,
            "data": data,
        })
        .to_string()
    };
    let body = whole(&event.data);
    if body.len() <= BODY_BYTES {
        return body;
    }
    let short = event.data.iter().filter(|(_, value)| value.as_str().is_some_and(|text| text.len() <= 1024));
    whole(&short.map(|(name, value)| (name.clone(), value.clone())).chain([("shortened".to_owned(), true.into())]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_an_event_is_that_of_the_contract() {
        let id = EventId::from(uuid::Uuid::nil());
        let mut data = Map::new();
        data.insert("message".to_owned(), "hello".into());
        let mut event = NewEvent { event: EventType::WebhookPing, templates: &[], correlation_id: None, data };
        let at = "2026-10-12T00:00:00Z".parse().unwrap();
        assert_eq!(
            body_of(id, &event, at),
            "{\"id\":\"evt_00000000000000000000000000000000\",\"type\":\"webhook.ping\",\"apiVersion\":\"1\",\
             \"createdAt\":\"2026-10-12T00:00:00.000Z\",\"correlationId\":null,\"data\":{\"message\":\"hello\"}}"
        );
        event.data.insert("large".to_owned(), vec!["x"; BODY_BYTES].into());
        let short: Value = serde_json::from_str(&body_of(id, &event, at)).unwrap();
        assert_eq!(short["data"], json!({"message": "hello", "shortened": true}));
    }
}
