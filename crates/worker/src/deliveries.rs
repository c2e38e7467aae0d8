//! The loop that sends messages: events to subscriptions, ends of jobs to whoever asked to be told.
//!
//! Every replica runs it. The database gives each message to one of them, tenants in turn; an attempt takes less time than its
//! lease, which is therefore not renewed. What is away costs little: after a few failures a target is left alone for a while, and
//! what goes there waits in the database.

pub(crate) mod targets;

use std::sync::Arc;
use std::time::Duration;

use domain::ids::WebhookId;
use domain::webhooks::{DeliveryStatus, TRIED_FOR, pause_after, signatures};
use domain::{Actor, Clock, TenantId};
use outbound::{Answer, Call, Method, Outbound, OutboundError, TooLong};
use store::{AttemptEnd, Change, ClaimedDelivery, DeliveryAttempt, LeaseKind, PassedOver, Store, StoreError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::error::warn_of;
use crate::hints::wake_on;
use crate::jitter::jittered;
use targets::{Outcome, Targets};

/// From one look to the next, give or take a tenth, should nobody say that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a look that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// From one look at how much is open to the next.
const COUNT_EVERY: Duration = Duration::from_secs(15);
/// For one attempt, from the name to the last byte that is read.
const ATTEMPT: Duration = Duration::from_secs(15);
/// How long a message stays with a replica that died: longer than an attempt with what is written before and after it.
const LEASE: Duration = Duration::from_mins(1);
/// Of an answer; what it says does not matter, but a connection whose answer was read is used again.
const ANSWER_BYTES: usize = 64 * 1024;

/// What the loop needs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The database.
    pub store: Store,
    /// The way out.
    pub outbound: Outbound,
    /// The machine's time, which receivers compare with theirs.
    pub clock: Clock,
    /// Attempts at one message, from 1.
    pub most_attempts: u32,
    /// Messages that are sent at the same moment, from 1.
    pub concurrency: usize,
}

/// Sends until it is told to stop; what is under way then is waited for.
pub(crate) async fn keep(setup: Setup, stop: CancellationToken) {
    let setup = Arc::new(setup);
    let wake = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    let concerns: fn(&Change) -> bool = |change| change.kind == "delivery";
    let listening = tokio::spawn(wake_on(setup.store.clone(), Arc::clone(&wake), stop.clone(), concerns));
    let counting = tokio::spawn(count(setup.store.clone(), stop.clone()));
    let mut targets = Targets::measured_as("pulp_webhook_targets_left_alone");
    while !stop.is_cancelled() {
        let mut pause = jittered(LOOK_EVERY);
        let free = setup.concurrency.saturating_sub(tasks.len());
        if free > 0 {
            // A claim is not cut off: what came through unseen would be with nobody until its lease ends.
            match claim(&setup, &targets, free).await {
                Ok(claimed) => {
                    if !claimed.is_empty() {
                        pause = Duration::ZERO;
                    }
                    for delivery in claimed {
                        targets.begin(&delivery.tenant, &delivery.target);
                        let span = tracing::info_span!("delivery", delivery = %delivery.lease.id, tenant = %delivery.tenant, target = delivery.target);
                        tasks.spawn(deliver(Arc::clone(&setup), delivery).instrument(span));
                    }
                }
                Err(error) => {
                    warn_of(&error, "messages that are to be sent could not be looked at");
                    pause = jittered(AFTER_FAILURE);
                }
            }
        }
        if pause.is_zero() && setup.concurrency > tasks.len() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = wake.notified() => {}
            Some(ended) = tasks.join_next() => targets.ended(ended.ok()),
            () = sleep(pause.max(Duration::from_millis(1))), if setup.concurrency > tasks.len() => {}
        }
        while let Some(ended) = tasks.try_join_next() {
            targets.ended(ended.ok());
        }
    }
    while tasks.join_next().await.is_some() {}
    listening.abort();
    counting.abort();
}

async fn claim(setup: &Setup, targets: &Targets, free: usize) -> Result<Vec<ClaimedDelivery>, StoreError> {
    let passed_over = targets.passed_over(Instant::now());
    let passed_over = PassedOver { targets: &passed_over, most_per_target: targets::MOST_PER_TARGET };
    setup.store.delivery_queue().claim(u32::try_from(free).unwrap_or(u32::MAX), LEASE, passed_over).await
}

async fn count(store: Store, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(jittered(COUNT_EVERY))).await.is_some() {
        if let Ok((open, late)) = store.delivery_queue().backlog().await {
            metrics::gauge!("pulp_webhook_deliveries_open").set(f64::from(u32::try_from(open).unwrap_or(u32::MAX)));
            metrics::gauge!("pulp_webhook_deliveries_late_seconds").set(late.as_secs_f64());
        }
    }
}

/// One attempt at one message, and the writing down of how it went.
async fn deliver(setup: Arc<Setup>, delivery: ClaimedDelivery) -> Outcome {
    let _holding = setup.store.holding(LeaseKind::WebhookDelivery);
    let began = Instant::now();
    let result = if delivery.left.is_zero() { None } else { Some(send(&setup, &delivery).await) };
    let attempt = judged(&setup, &delivery, result.as_ref(), began.elapsed());
    let word = match attempt.status {
        DeliveryStatus::Delivered => "delivered",
        DeliveryStatus::Pending => "retried",
        DeliveryStatus::Failed | DeliveryStatus::Abandoned => "failed",
    };
    if let Some(Err(error)) = &result {
        tracing::info!(error = error as &dyn std::error::Error, attempt = delivery.attempt, "a message did not arrive");
    }
    let end = setup.store.delivery_queue().finish(delivery.lease, &attempt).await;
    let word = match end {
        Ok(AttemptEnd::Told) => word,
        Ok(AttemptEnd::Dead { webhook, failures }) => {
            pause(&setup.store, &delivery.tenant, webhook, failures).await;
            word
        }
        Ok(AttemptEnd::Lost) => {
            tracing::warn!("a message was somebody else's, or gone, when its attempt ended; it may arrive twice");
            "lost"
        }
        Err(error) => {
            warn_of(&error, "how an attempt ended could not be written down; it is made again when its lease ends");
            "untold"
        }
    };
    metrics::counter!("pulp_webhook_deliveries_total", "outcome" => word).increment(1);
    Outcome { tenant: delivery.tenant, target: delivery.target, away: is_away(result.as_ref()) }
}

async fn send(setup: &Setup, delivery: &ClaimedDelivery) -> Result<Answer, OutboundError> {
    let timestamp_s = setup.clock.now().as_second();
    let secrets: Vec<&str> = delivery.secrets.iter().map(domain::SecretText::reveal).collect();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("x-pulpengine-timestamp", timestamp_s.to_string()),
        ("x-pulpengine-signature", signatures(&secrets, timestamp_s, delivery.body.as_bytes())),
        ("x-pulpengine-delivery-id", delivery.lease.id.to_string()),
        ("x-pulpengine-event", delivery.event_type.clone()),
        ("x-pulpengine-attempt", delivery.attempt.to_string()),
    ];
    let call = Call {
        purpose: "webhook",
        method: Method::Post,
        url: &delivery.url,
        headers: &headers,
        body: Some(delivery.body.as_bytes()),
        timeout: ATTEMPT,
        answer_bytes: ANSWER_BYTES,
        too_long: TooLong::Cut,
    };
    setup.outbound.send(call).await
}

/// What follows from how it went; no result where its day was over before.
fn judged(setup: &Setup, delivery: &ClaimedDelivery, result: Option<&Result<Answer, OutboundError>>, took: Duration) -> DeliveryAttempt {
    let (answered, retry_after) = match result {
        Some(Ok(answer)) => (Some(answer.status), answer.retry_after),
        Some(Err(OutboundError::Redirected { status, .. })) => (Some(*status), None),
        _ => (None, None),
    };
    let error = match result {
        None => Some(format!("it did not arrive within {} hours", TRIED_FOR.as_secs() / 3600)),
        Some(Ok(answer)) if answer.is_success() => None,
        Some(Ok(Answer { status: 410, .. })) => Some("answered 410, which means for good".to_owned()),
        Some(Ok(answer)) => Some(format!("answered {}", answer.status)),
        Some(Err(error)) => Some(error.told()),
    };
    let next_in = jittered(pause_after(delivery.attempt, retry_after));
    let is_last = result.is_none() || answered == Some(410) || delivery.attempt >= setup.most_attempts || next_in >= delivery.left;
    let status = match error {
        None => DeliveryStatus::Delivered,
        Some(_) if is_last => DeliveryStatus::Failed,
        Some(_) => DeliveryStatus::Pending,
    };
    DeliveryAttempt { status, next_in, answered, error, took }
}

/// Whether the other side is in such a state that more messages would only add to it.
fn is_away(result: Option<&Result<Answer, OutboundError>>) -> Option<bool> {
    Some(match result? {
        Ok(answer) => answer.status >= 500 || answer.status == 429,
        Err(OutboundError::TimedOut { .. } | OutboundError::Unreachable(_)) => true,
        Err(_) => false,
    })
}

async fn pause(store: &Store, tenant: &TenantId, webhook: WebhookId, failures: u32) {
    let reason = format!("nothing arrived for a day, and the last {failures} attempts failed");
    let tenant_store = store.tenant(tenant.clone());
    match tenant_store.webhooks().pause(webhook, &reason, &Actor::system("deliveries")).await {
        Ok(true) => {
            tracing::warn!(%webhook, failures, "a subscription is paused: nothing arrived for a day; switching it on again ends that");
        }
        Ok(false) => {}
        Err(error) => warn_of(&error, "a subscription could not be paused; it is tried again with its next failure"),
    }
}
