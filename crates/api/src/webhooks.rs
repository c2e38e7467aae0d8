//! Subscriptions to events. What messages are signed with is shown once, when it is made or exchanged.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::ids::WebhookId;
use domain::invisible::is_invisible;
use domain::templates::TemplateKey;
use domain::webhooks::{
    DESCRIPTION_LIMIT_CHARS, EventPattern, EventType, MAX_OVERLAP_SECONDS, PATTERNS_LIMIT, SECRET_CHARS, TEMPLATE_KEYS_LIMIT,
};
use domain::{ErrorCode, Issue, SecretText};
use outbound::OutboundError;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{NewWebhook, WEBHOOKS_LIMIT, WebhookInsertion, WebhookPatch, WebhookRecord};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, MaybeJsonBody, Path, nullable};
use crate::error::ApiError;
use crate::query::Pairs;
use crate::random;

/// A subscription to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewWebhookBody {
    /// Where messages go: https, and an address that everybody can reach.
    url: String,
    /// Names of events, all events of a noun such as `label.*`, or `*`.
    events: Vec<String>,
    /// For people.
    #[serde(default)]
    description: Option<String>,
    /// Whether it gets messages; true when absent.
    #[serde(default)]
    enabled: Option<bool>,
    /// Only events about these templates; null or absent means all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    template_keys: Option<Vec<TemplateKey>>,
    /// What messages are signed with, 16 to 255 printable characters; one is made when absent.
    #[serde(default)]
    secret: Option<String>,
}

/// A change of a subscription; what is absent stays.
#[expect(clippy::option_option, reason = "absent, null and a value are three things to say")]
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookPatchBody {
    /// Where messages go, also those that wait.
    #[serde(default)]
    url: Option<String>,
    /// What it asks for.
    #[serde(default)]
    events: Option<Vec<String>>,
    /// For people; null takes it away.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    /// Whether it gets messages. Switching it on ends a pause.
    #[serde(default)]
    enabled: Option<bool>,
    /// Only events about these templates; null lifts the limit.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>)]
    template_keys: Option<Option<Vec<TemplateKey>>>,
}

/// How a secret is exchanged.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateSecretBody {
    /// How long the secret of before signs as well, up to a week; a day when absent.
    #[serde(default)]
    previous_secret_ttl_seconds: Option<u32>,
}

/// How long the secret before a rotation signs when nothing is said.
const OVERLAP_SECONDS: u32 = 86_400;

/// The events that a subscription can ask for.
#[utoipa::path(get, path = "/webhooks/event-types", tag = "webhooks", responses((status = 200, description = "items: type and description")))]
pub async fn event_types() -> Json<Value> {
    let items: Vec<Value> = EventType::ALL.iter().map(|event| json!({"type": event.as_str(), "description": event.about()})).collect();
    Json(json!({ "total": items.len(), "limit": items.len(), "offset": 0, "items": items }))
}

/// One page of the subscriptions, oldest first, without their secrets.
#[utoipa::path(get, path = "/webhooks", tag = "webhooks", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let page = Pairs::read(query.as_deref())?.page()?;
    let found = setup.store.tenant(caller.tenant).webhooks().list(page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// Subscribes to events; the answer is the only place where the secret is shown.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", request_body = NewWebhookBody, responses((status = 201, description = "The subscription, with its secret in `secret`"), (status = 422, description = "The URL is none that is called, or an event is unknown"), (status = 409, description = "There are as many as there may be")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<NewWebhookBody>,
) -> Result<Response, ApiError> {
    check_words(body.description.as_deref(), body.template_keys.as_deref())?;
    let events = patterns(&body.events)?;
    let secret = match body.secret {
        None => new_secret()?,
        Some(secret) => chosen(secret)?,
    };
    judge_url(&setup, "/url", &body.url).await?;
    let new = NewWebhook {
        url: &body.url,
        events: &events,
        template_keys: body.template_keys.as_deref(),
        description: body.description.as_deref(),
        enabled: body.enabled.unwrap_or(true),
        secret: &secret,
    };
    match setup.store.tenant(caller.tenant).webhooks().insert(new, &caller.actor).await? {
        WebhookInsertion::Made(made) => Ok((StatusCode::CREATED, Json(with_secret(&made, &secret))).into_response()),
        WebhookInsertion::LimitReached => Err(ApiError::new(
            ErrorCode::WebhookSubscriptionLimitReached,
            format!("there are {WEBHOOKS_LIMIT} subscriptions, which is as many as there may be; remove one"),
        )),
    }
}

/// One subscription, without its secret.
#[utoipa::path(get, path = "/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)), responses((status = 200, description = "The subscription")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = setup.store.tenant(caller.tenant).webhooks().get(webhook_id(&id)?).await?;
    Ok(Json(shown(&found.ok_or_else(unknown)?)))
}

/// Changes where a subscription leads, what it asks for, and whether it gets messages.
#[utoipa::path(patch, path = "/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)), request_body = WebhookPatchBody, responses((status = 200, description = "The subscription"), (status = 422, description = "The URL is none that is called, or an event is unknown")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<WebhookPatchBody>,
) -> Result<Json<Value>, ApiError> {
    let id = webhook_id(&id)?;
    check_words(body.description.as_ref().and_then(Option::as_deref), body.template_keys.as_ref().and_then(Option::as_deref))?;
    let events = body.events.as_deref().map(patterns).transpose()?;
    if let Some(url) = &body.url {
        judge_url(&setup, "/url", url).await?;
    }
    let patch = WebhookPatch {
        url: body.url.as_deref(),
        events: events.as_deref(),
        template_keys: body.template_keys.as_ref().map(Option::as_deref),
        description: body.description.as_ref().map(Option::as_deref),
        enabled: body.enabled,
    };
    let changed = setup.store.tenant(caller.tenant).webhooks().update(id, patch, &caller.actor).await?;
    Ok(Json(shown(&changed.ok_or_else(unknown)?)))
}

/// Removes a subscription with the log of its deliveries.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)), responses((status = 204, description = "It is gone")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let known = setup.store.tenant(caller.tenant).webhooks().delete(webhook_id(&id)?, &caller.actor).await?;
    if known { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}

/// Exchanges the secret of a subscription; until the overlap ends, messages carry a signature by each of the two.
#[utoipa::path(post, path = "/webhooks/{id}/rotate-secret", tag = "webhooks", params(("id" = String, Path)), request_body = RotateSecretBody, responses((status = 200, description = "The subscription, with its new secret in `secret`")))]
pub async fn rotate_secret(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    MaybeJsonBody(body): MaybeJsonBody<RotateSecretBody>,
) -> Result<Json<Value>, ApiError> {
    let overlap = body.and_then(|body| body.previous_secret_ttl_seconds).unwrap_or(OVERLAP_SECONDS);
    if overlap > MAX_OVERLAP_SECONDS {
        let accepted = format!("is {overlap}; accepted: a whole number from 0 to {MAX_OVERLAP_SECONDS}");
        return Err(ApiError::field("/previousSecretTtlSeconds", accepted));
    }
    let secret = new_secret()?;
    let rotated = setup.store.tenant(caller.tenant).webhooks().rotate(webhook_id(&id)?, &secret, overlap, &caller.actor).await?;
    Ok(Json(with_secret(&rotated.ok_or_else(unknown)?, &secret)))
}

/// Sends a `webhook.ping`, also to a subscription that is off or paused. How it went is in its delivery.
#[utoipa::path(post, path = "/webhooks/{id}/ping", tag = "webhooks", params(("id" = String, Path)), responses((status = 202, description = "deliveryId and status")))]
pub async fn ping(State(setup): State<Setup>, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let delivery = setup.store.tenant(caller.tenant).webhooks().ping(webhook_id(&id)?, &caller.actor).await?;
    let delivery = delivery.ok_or_else(unknown)?;
    Ok((StatusCode::ACCEPTED, Json(json!({"deliveryId": delivery, "status": "pending"}))).into_response())
}

/// Refuses a URL that messages are not sent to, now or ever. `path` is the JSON Pointer to it. Why is for the operator's log.
pub(crate) async fn judge_url(setup: &Setup, path: &str, url: &str) -> Result<(), ApiError> {
    setup.outbound.judge(url).await.map_err(|refusal| {
        tracing::info!(reason = %refusal, "a URL for messages is refused");
        let message = match &refusal {
            OutboundError::Refused(refused) if refused.port().is_some() => format!("is none that messages are sent to: {}", refusal.told()),
            _ => "is none that messages are sent to: it has to be https, with a host that everybody can reach, without a user or password"
                .to_owned(),
        };
        ApiError::invalid(ErrorCode::WebhookUrlRejected, vec![Issue::new(path, message)])
    })
}

fn chosen(secret: String) -> Result<SecretText, ApiError> {
    if SECRET_CHARS.contains(&secret.chars().count()) && !secret.contains(is_invisible) {
        return Ok(SecretText::new(secret));
    }
    let (from, to) = (SECRET_CHARS.start(), SECRET_CHARS.end());
    Err(ApiError::field("/secret", format!("accepted: {from} to {to} printable characters")))
}

fn new_secret() -> Result<SecretText, ApiError> {
    let bytes: [u8; 32] = random::bytes()?;
    Ok(SecretText::new(format!("whsec_{}", hex::encode(bytes))))
}

fn patterns(events: &[String]) -> Result<Vec<EventPattern>, ApiError> {
    if !(1..=PATTERNS_LIMIT).contains(&events.len()) {
        return Err(ApiError::field("/events", format!("has {} entries; accepted: 1 to {PATTERNS_LIMIT}", events.len())));
    }
    let parsed = events.iter().enumerate().map(|(place, event)| {
        let unknown = |error: domain::webhooks::UnknownEvent| Issue::new(format!("/events/{place}"), error.to_string());
        event.parse::<EventPattern>().map_err(|error| ApiError::invalid(ErrorCode::WebhookEventTypeUnknown, vec![unknown(error)]))
    });
    parsed.collect()
}

fn check_words(description: Option<&str>, keys: Option<&[TemplateKey]>) -> Result<(), ApiError> {
    if description.is_some_and(|text| text.chars().count() > DESCRIPTION_LIMIT_CHARS || text.contains('\0')) {
        return Err(ApiError::field("/description", format!("accepted: at most {DESCRIPTION_LIMIT_CHARS} characters")));
    }
    if let Some(keys) = keys
        && !(1..=TEMPLATE_KEYS_LIMIT).contains(&keys.len())
    {
        return Err(ApiError::field("/templateKeys", format!("accepted: 1 to {TEMPLATE_KEYS_LIMIT} keys, or null for all")));
    }
    Ok(())
}

pub(crate) fn webhook_id(text: &str) -> Result<WebhookId, ApiError> {
    Uuid::parse_str(text).map(WebhookId::from).map_err(|_| unknown())
}

pub(crate) fn unknown() -> ApiError {
    ApiError::not_found("there is no such webhook")
}

fn with_secret(webhook: &WebhookRecord, secret: &SecretText) -> Value {
    let mut body = shown(webhook);
    body["secret"] = secret.reveal().into();
    body
}

fn shown(webhook: &WebhookRecord) -> Value {
    let status = match (webhook.enabled, webhook.paused_at) {
        (false, _) => "disabled",
        (true, Some(_)) => "paused",
        (true, None) => "active",
    };
    json!({
        "id": webhook.id, "url": webhook.url, "events": webhook.events, "templateKeys": webhook.template_keys,
        "description": webhook.description, "enabled": webhook.enabled, "status": status, "pausedAt": webhook.paused_at,
        "pauseReason": webhook.pause_reason, "consecutiveFailures": webhook.failures, "failingSince": webhook.failing_since,
        "lastSuccessAt": webhook.last_success_at, "lastFailureAt": webhook.last_failure_at,
        "previousSecretExpiresAt": webhook.previous_until, "createdAt": webhook.created_at, "createdBy": webhook.created_by,
        "updatedAt": webhook.updated_at,
    })
}
