//! The loop that delivers what schedules made: by e-mail, into buckets, to addresses outside, into a folder.
//!
//! As with `deliveries`: every replica runs it, the database gives each delivery to one of them, an attempt takes less time than its
//! lease, and a target that is away is left alone for a while. Every attempt has the delivery's id, so that whoever gets something
//! twice can tell.

mod email;
mod folder;
mod s3;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::schedule_plans::{DeliveryPlan, Packaging, Way};
use domain::webhooks::{DeliveryStatus, pause_after};
use domain::{Clock, TenantId};
use outbound::Outbound;
use render::{BlobContent, Outputs, RenderError, Renderer};
use store::{Change, ClaimedScheduleDelivery, DeliverableFile, LeaseKind, PassedOver, ScheduleDeliveryAttempt, Store, StoreError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::archive::zipped;
use crate::deliveries::targets::{MOST_PER_TARGET, Outcome, Targets};
use crate::error::warn_of;
use crate::hints::wake_on;
use crate::jitter::jittered;

pub use email::{Smtp, SmtpOptions, SmtpSecurity};
pub use s3::DeclaredBuckets;

/// From one look to the next, give or take a tenth, should nobody say that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a look that failed, and before another attempt where something of ours was away.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// From one look at how much is open to the next.
const COUNT_EVERY: Duration = Duration::from_secs(15);
/// Bytes of the files of one delivery: they are in memory at once.
const FILES_BYTES: u64 = 128 * 1024 * 1024;
/// What stands in a history that has no room for more.
const ERROR_CHARS: usize = 500;

/// What the loop needs.
#[derive(Clone)]
pub struct ScheduleDeliverySetup {
    /// The database.
    pub store: Store,
    /// The way out.
    pub outbound: Outbound,
    /// What keeps documents that are linked.
    pub renderer: Renderer,
    /// Where documents are.
    pub outputs: Outputs,
    /// The machine's time, which receivers compare with theirs.
    pub clock: Clock,
    /// The mail server; none where there is none.
    pub smtp: Option<Smtp>,
    /// The buckets that schedules may name.
    pub buckets: DeclaredBuckets,
    /// The root of folders; none where schedules may name none.
    pub folder: Option<std::path::PathBuf>,
    /// What stands in front of the paths of links, without a slash at its end; none where nothing can be linked.
    pub base_url: Option<Arc<str>>,
    /// How long a delivery stays with a replica that died: two minutes. An attempt has half of that, and is not made when it could
    /// not begin within a quarter: the process slept, and the delivery is somebody else's soon.
    pub lease_for: Duration,
    /// Attempts at one delivery, from 1.
    pub most_attempts: u32,
    /// Deliveries at the same moment, from 1.
    pub concurrency: usize,
}

/// Delivers until it is told to stop; what is under way then is waited for.
pub(crate) async fn keep(setup: ScheduleDeliverySetup, stop: CancellationToken) {
    let setup = Arc::new(setup);
    let wake = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    let concerns: fn(&Change) -> bool = |change| change.kind == "schedule_delivery";
    let listening = tokio::spawn(wake_on(setup.store.clone(), Arc::clone(&wake), stop.clone(), concerns));
    let counting = tokio::spawn(count(setup.store.clone(), stop.clone()));
    let mut targets = Targets::measured_as("pulp_schedule_targets_left_alone");
    while !stop.is_cancelled() {
        let mut pause = jittered(LOOK_EVERY);
        let free = setup.concurrency.saturating_sub(tasks.len());
        if free > 0 {
            let passed_over = targets.passed_over(Instant::now());
            let passed_over = PassedOver { targets: &passed_over, most_per_target: MOST_PER_TARGET };
            let since = Instant::now();
            match setup.store.schedule_delivery_queue().claim(u32::try_from(free).unwrap_or(u32::MAX), setup.lease_for, passed_over).await {
                Ok(claimed) => {
                    if !claimed.is_empty() {
                        pause = Duration::ZERO;
                    }
                    for delivery in claimed {
                        targets.begin(&delivery.tenant, &delivery.target);
                        let span = tracing::info_span!("schedule_delivery", delivery = %delivery.lease.id, tenant = %delivery.tenant, target = delivery.target);
                        tasks.spawn(deliver(Arc::clone(&setup), delivery, since).instrument(span));
                    }
                }
                Err(error) => {
                    warn_of(&error, "deliveries of schedules could not be looked at");
                    pause = jittered(AFTER_FAILURE);
                }
            }
        }
        let has_room = setup.concurrency > tasks.len();
        if pause.is_zero() && has_room {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = wake.notified(), if has_room => {}
            Some(ended) = tasks.join_next() => targets.ended(ended.ok()),
            () = sleep(pause.max(Duration::from_millis(1))), if has_room => {}
        }
        while let Some(ended) = tasks.try_join_next() {
            targets.ended(ended.ok());
        }
    }
    while tasks.join_next().await.is_some() {}
    listening.abort();
    counting.abort();
}

async fn count(store: Store, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(jittered(COUNT_EVERY))).await.is_some() {
        if let Ok((open, late)) = store.schedule_delivery_queue().backlog().await {
            metrics::gauge!("pulp_schedule_deliveries_open").set(f64::from(u32::try_from(open).unwrap_or(u32::MAX)));
            metrics::gauge!("pulp_schedule_deliveries_late_seconds").set(late.as_secs_f64());
        }
    }
}

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// The other side says no, for good.
    Refused(&'static str, String),
    /// The other side says not now, or nothing; after how long at least.
    Later(&'static str, String, Option<Duration>),
    /// As `Later`, and more deliveries would only add to it.
    Away(&'static str, String, Option<Duration>),
    /// Something of ours is away: it says nothing about the delivery.
    Ours(String),
}

impl From<RenderError> for Undelivered {
    fn from(error: RenderError) -> Self {
        match error.blame() {
            render::Blame::Moment | render::Blame::Attempt | render::Blame::Tenant => Self::Ours(error.to_string()),
            render::Blame::Request => Self::Refused(error.code().as_str(), error.to_string()),
        }
    }
}

impl From<StoreError> for Undelivered {
    fn from(error: StoreError) -> Self {
        Self::Ours(error.to_string())
    }
}

/// A file to be delivered.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
    /// The document it is; none for an archive.
    pub(crate) of: Option<DeliverableFile>,
}

/// One attempt at one delivery, and the writing down of how it went.
async fn deliver(setup: Arc<ScheduleDeliverySetup>, delivery: ClaimedScheduleDelivery, since: Instant) -> Outcome {
    let _holding = setup.store.holding(LeaseKind::ScheduleDelivery);
    let queue = setup.store.schedule_delivery_queue();
    let outcome = |away| Outcome { tenant: delivery.tenant.clone(), target: delivery.target.clone(), away };
    if since.elapsed() > setup.lease_for / 4 {
        tracing::warn!("a delivery was not begun in time; it is given back");
        let _ = queue.give_back(&delivery.lease, Duration::ZERO).await;
        return outcome(None);
    }
    let began = Instant::now();
    let result = if delivery.left.is_zero() {
        Err(Undelivered::Refused("delivery_expired", "it did not arrive within a day".to_owned()))
    } else {
        let attempt = timeout(setup.lease_for / 2, attempt(&setup, &delivery)).await;
        attempt.unwrap_or_else(|_| {
            Err(Undelivered::Away("delivery_timeout", format!("nothing within {} s", (setup.lease_for / 2).as_secs()), None))
        })
    };
    let away = match &result {
        Ok(()) | Err(Undelivered::Refused(..) | Undelivered::Later(..)) => Some(false),
        Err(Undelivered::Away(..)) => Some(true),
        Err(Undelivered::Ours(_)) => None,
    };
    if let Err(error) = &result {
        tracing::info!(?error, attempt = delivery.attempt, "something of a schedule did not arrive");
    }
    let word = if matches!(result, Err(Undelivered::Ours(_))) {
        match queue.give_back(&delivery.lease, jittered(AFTER_FAILURE)).await {
            Ok(true) => "put_off",
            Ok(false) => "lost",
            Err(error) => untold(&error),
        }
    } else {
        let attempt = judged(&setup, &delivery, result, began.elapsed());
        let word = attempt.status.as_str();
        match queue.finish(&delivery.lease, &attempt).await {
            Ok(true) => word,
            Ok(false) => {
                tracing::warn!("a delivery was somebody else's, or gone, when its attempt ended; it may arrive twice");
                "lost"
            }
            Err(error) => untold(&error),
        }
    };
    metrics::counter!("pulp_schedule_deliveries_total", "outcome" => word).increment(1);
    outcome(away)
}

fn untold(error: &StoreError) -> &'static str {
    warn_of(error, "how an attempt ended could not be written down; it is made again when its lease ends");
    "untold"
}

/// What follows from how it went.
fn judged(
    setup: &ScheduleDeliverySetup,
    delivery: &ClaimedScheduleDelivery,
    result: Result<(), Undelivered>,
    took: Duration,
) -> ScheduleDeliveryAttempt {
    let (code, error, asked_for, is_final) = match result {
        Ok(()) => {
            return ScheduleDeliveryAttempt { status: DeliveryStatus::Delivered, next_in: Duration::ZERO, code: None, error: None, took };
        }
        Err(Undelivered::Refused(code, error)) => (code, error, None, true),
        Err(Undelivered::Later(code, error, asked_for) | Undelivered::Away(code, error, asked_for)) => (code, error, asked_for, false),
        Err(Undelivered::Ours(error)) => ("service_unavailable", error, None, false),
    };
    let next_in = jittered(pause_after(delivery.attempt, asked_for));
    let is_last = is_final || delivery.attempt >= setup.most_attempts || next_in >= delivery.left;
    ScheduleDeliveryAttempt {
        status: if is_last { DeliveryStatus::Failed } else { DeliveryStatus::Pending },
        next_in,
        code: Some(code),
        error: Some(error.chars().take(ERROR_CHARS).collect()),
        took,
    }
}

async fn attempt(setup: &ScheduleDeliverySetup, delivery: &ClaimedScheduleDelivery) -> Result<(), Undelivered> {
    let gone = || Undelivered::Refused("render_artifact_expired", "what was to be delivered is not kept any more".to_owned());
    let plan = delivery.plan.as_ref().ok_or_else(gone)?;
    let target = plan.targets.get(delivery.target_index).ok_or_else(gone)?;
    match &target.way {
        Way::Email(email) => {
            let smtp = setup.smtp.as_ref().ok_or_else(|| {
                Undelivered::Refused("dispatcher_unavailable", "this server sends no e-mail: SMTP_URL is not set".to_owned())
            })?;
            email::deliver(setup, smtp, delivery, plan, email).await
        }
        Way::S3(object) => s3::deliver(setup, delivery, plan, object).await,
        Way::Webhook(call) => webhook::deliver(setup, delivery, plan, call).await,
        Way::Folder(file) => {
            let root = setup.folder.as_ref().ok_or_else(|| {
                Undelivered::Refused(
                    "dispatcher_unavailable",
                    "this server writes into no folder: SCHEDULE_DELIVERY_FOLDER is not set".to_owned(),
                )
            })?;
            folder::deliver(setup, root, delivery, plan, file).await
        }
    }
}

/// The documents of an item, without their bytes.
async fn documents(
    setup: &ScheduleDeliverySetup,
    delivery: &ClaimedScheduleDelivery,
    indices: &[u32],
) -> Result<Vec<DeliverableFile>, Undelivered> {
    let gone = || Undelivered::Refused("render_artifact_expired", "its documents are not kept any more".to_owned());
    let job = delivery.job.ok_or_else(gone)?;
    let found = setup.store.schedule_delivery_queue().files(&delivery.tenant, job, indices).await?;
    if found.len() != indices.len() {
        return Err(gone());
    }
    if found.iter().map(|file| file.size_bytes).sum::<u64>() > FILES_BYTES {
        return Err(Undelivered::Refused("payload_too_large", format!("its documents have more than {FILES_BYTES} bytes together")));
    }
    Ok(found)
}

async fn bytes_of(setup: &ScheduleDeliverySetup, tenant: &TenantId, file: &DeliverableFile) -> Result<Bytes, Undelivered> {
    let content: BlobContent = setup.outputs.open(tenant, file.sha256, &file.filename, None).await?;
    content.collect(FILES_BYTES).await.map_err(|error| Undelivered::from(RenderError::from(error)))
}

/// The files of an item as they are delivered: under their names, in an archive where that is wanted.
async fn files(
    setup: &ScheduleDeliverySetup,
    delivery: &ClaimedScheduleDelivery,
    plan: &DeliveryPlan,
    name: Option<&str>,
) -> Result<Vec<Delivered>, Undelivered> {
    let mut files = Vec::new();
    for file in documents(setup, delivery, &plan.files).await? {
        let bytes = bytes_of(setup, &delivery.tenant, &file).await?;
        let filename = match name {
            Some(name) => renamed(name, &file.filename),
            None => file.filename.clone(),
        };
        files.push(Delivered { filename, content_type: file.content_type.clone(), bytes, of: Some(file) });
    }
    if plan.packaging == Packaging::Zip {
        let filename = domain::documents::DocumentName::of(name.unwrap_or(&plan.name), "zip").as_str().to_owned();
        let bytes = zipped(files.iter().map(|file| (file.filename.as_str(), file.bytes.as_ref())))
            .map_err(|error| Undelivered::Ours(format!("the archive could not be made: {error}")))?;
        return Ok(vec![Delivered { filename, content_type: "application/zip".to_owned(), bytes: bytes.into(), of: None }]);
    }
    Ok(files)
}

/// That name with the extension of that file.
fn renamed(name: &str, file: &str) -> String {
    let extension = file.rsplit_once('.').map_or("bin", |(_, extension)| extension);
    domain::documents::DocumentName::of(name, extension).as_str().to_owned()
}
