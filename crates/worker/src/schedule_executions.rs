//! The loop that begins executions of schedules: finds out their data, makes a job of their documents, or says why there is none.
//!
//! Every replica runs it. The database gives each execution to one of them; beginning one takes less time than its lease, which is
//! therefore not renewed. What follows once the documents are made, follows in the database (`store/schedule_queue.rs`).

use std::sync::Arc;
use std::time::Duration;

use domain::ErrorCode;
use domain::ids::JobId;
use domain::jobs::JobKind;
use domain::relative_dates::resolve_parameters;
use domain::schedule_executions::{PREPARATIONS, pause_after};
use domain::schedule_secrets::put_back;
use domain::schedule_targets::is_address;
use domain::templates::TemplateKey;
use jiff::tz::TimeZone;
use render::{Blame, Renderer, ScheduleOutcome, ScheduleRun, ScheduleWork};
use serde_json::{Map, Value};
use store::{Change, ClaimedExecution, ExecutionEnd, ExecutionWork, LeaseKind, NewExecutionItem, NewJob, NewJobItem, Store, WorkOutcome};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::error::warn_of;
use crate::hints::wake_on;
use crate::jitter::jittered;

/// From one look to the next, give or take a tenth, should nobody say that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a look that failed, and before an execution is begun again that could not be for want of something.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// From one look at how much waits to the next.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// What the loop needs.
#[derive(Clone)]
pub struct ExecutionSetup {
    /// The database.
    pub store: Store,
    /// What knows of templates and gets data.
    pub renderer: Renderer,
    /// Executions that are begun at the same moment, from 1.
    pub concurrency: usize,
    /// Documents that a tenant may have in the queue of jobs.
    pub max_open_items: u32,
    /// How long an execution stays with a replica that died: two minutes. Finding out what is to be made has two thirds of that.
    pub lease_for: Duration,
    /// How long the documents are kept after the last of an execution was made.
    pub retention: Duration,
}

/// Begins executions until it is told to stop; those under way then are waited for.
pub(crate) async fn keep(setup: ExecutionSetup, stop: CancellationToken) {
    let setup = Arc::new(setup);
    let wake = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    let concerns: fn(&Change) -> bool = |change| change.kind == "schedule";
    let listening = tokio::spawn(wake_on(setup.store.clone(), Arc::clone(&wake), stop.clone(), concerns));
    let counting = tokio::spawn(count(setup.store.clone(), stop.clone()));
    while !stop.is_cancelled() {
        let mut pause = jittered(LOOK_EVERY);
        let free = setup.concurrency.saturating_sub(tasks.len());
        if free > 0 {
            // A claim is not cut off: what came through unseen would be with nobody until its lease ends.
            match setup.store.schedule_queue().claim(u32::try_from(free).unwrap_or(u32::MAX), setup.lease_for).await {
                Ok(claimed) => {
                    if !claimed.is_empty() {
                        pause = Duration::ZERO;
                    }
                    for execution in claimed {
                        let span = tracing::info_span!("execution", execution = %execution.lease.id, schedule = %execution.schedule, tenant = %execution.tenant);
                        tasks.spawn(begin(Arc::clone(&setup), execution).instrument(span));
                    }
                }
                Err(error) => {
                    warn_of(&error, "executions of schedules could not be looked at");
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
            Some(_) = tasks.join_next() => {}
            () = sleep(pause.max(Duration::from_millis(1))), if has_room => {}
        }
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
    listening.abort();
    counting.abort();
}

async fn count(store: Store, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(jittered(COUNT_EVERY))).await.is_some() {
        if let Ok((open, late)) = store.schedule_queue().backlog().await {
            metrics::gauge!("pulp_schedule_executions_waiting").set(f64::from(u32::try_from(open).unwrap_or(u32::MAX)));
            metrics::gauge!("pulp_schedule_executions_late_seconds").set(late.as_secs_f64());
        }
    }
}

/// What beginning an execution came to.
enum Begun {
    Work(Box<ExecutionWork>),
    End(ExecutionEnd, Option<Value>),
    Again { met: Option<(ErrorCode, String)>, pause: Duration },
}

async fn begin(setup: Arc<ExecutionSetup>, execution: ClaimedExecution) {
    let _holding = setup.store.holding(LeaseKind::ScheduleExecution);
    let reckoned = timeout(setup.lease_for * 2 / 3, reckon(&setup, &execution)).await;
    let begun = reckoned
        .unwrap_or_else(|_| failed(&execution, ErrorCode::DataFetchFailed, "finding out what is to be made took too long", Blame::Attempt));
    let queue = setup.store.schedule_queue();
    let written = match &begun {
        Begun::Work(work) => match queue.queue(&execution, work, setup.max_open_items).await {
            Ok(WorkOutcome::Queued) => Ok("queued"),
            Ok(WorkOutcome::Lost) => Ok("lost"),
            Ok(WorkOutcome::TooManyOpen) => {
                tracing::info!("an execution waits: its tenant has too many documents in the queue");
                queue.give_back(&execution.lease, None, jittered(AFTER_FAILURE)).await.map(held("put_off"))
            }
            Err(error) => Err(error),
        },
        Begun::End(end, resolved) => {
            let word = match end {
                ExecutionEnd::Skipped(_) => "skipped",
                ExecutionEnd::Failed { .. } => "failed",
                ExecutionEnd::Cancelled => "cancelled",
            };
            tracing::info!(outcome = ?end, "an execution has ended without documents");
            queue.end(&execution.lease, end, resolved.as_ref()).await.map(held(word))
        }
        Begun::Again { met, pause } => {
            let met = met.as_ref().map(|(code, message)| (*code, message.as_str()));
            queue.give_back(&execution.lease, met, *pause).await.map(held("retried"))
        }
    };
    let outcome = written.unwrap_or_else(|error| {
        warn_of(&error, "how an execution was begun could not be written down; it is begun again when its lease ends");
        "untold"
    });
    if outcome == "lost" {
        tracing::warn!("an execution was somebody else's by then, or called off");
    }
    metrics::counter!("pulp_schedule_executions_total", "outcome" => outcome).increment(1);
}

fn held(word: &'static str) -> impl Fn(bool) -> &'static str {
    move |held| if held { word } else { "lost" }
}

async fn reckon(setup: &ExecutionSetup, execution: &ClaimedExecution) -> Begun {
    if !execution.has_schedule {
        return Begun::End(ExecutionEnd::Cancelled, None);
    }
    // Every attempt that ends says so. One that does not has taken its server with it, and would take the next one too.
    if execution.attempt > PREPARATIONS {
        let message = format!("it was begun {PREPARATIONS} times, and whoever began it died or was lost each time");
        return Begun::End(ExecutionEnd::Failed { code: ErrorCode::JobItemAbandoned, message }, None);
    }
    let Some(run) = read(execution) else {
        let message = "this release cannot read what was kept of the schedule".to_owned();
        return Begun::End(ExecutionEnd::Failed { code: ErrorCode::InternalError, message }, None);
    };
    let resolved = (!run.parameters.is_empty()).then(|| Value::Object(run.parameters.clone()));
    let store = setup.store.tenant(execution.tenant.clone());
    match setup.renderer.schedule_work(&store, run).await {
        Ok(ScheduleOutcome::Work(work)) => match execution_work(work, resolved, setup.retention) {
            Some(work) => Begun::Work(Box::new(work)),
            None => {
                Begun::End(ExecutionEnd::Failed { code: ErrorCode::InternalError, message: "the plan cannot be written".to_owned() }, None)
            }
        },
        Ok(ScheduleOutcome::Nothing(reason)) => Begun::End(ExecutionEnd::Skipped(reason), resolved),
        Err(error) => failed(execution, error.code(), &error.to_string(), error.blame()),
    }
}

fn failed(execution: &ClaimedExecution, code: ErrorCode, message: &str, blame: Blame) -> Begun {
    match blame {
        Blame::Moment | Blame::Tenant => Begun::Again { met: None, pause: jittered(AFTER_FAILURE) },
        Blame::Attempt if execution.attempt < PREPARATIONS => {
            Begun::Again { met: Some((code, message.to_owned())), pause: jittered(pause_after(execution.attempt)) }
        }
        Blame::Attempt | Blame::Request => Begun::End(ExecutionEnd::Failed { code, message: message.to_owned() }, None),
    }
}

/// The execution as it is carried out.
fn read(execution: &ClaimedExecution) -> Option<ScheduleRun> {
    let snapshot = execution.snapshot.as_object()?;
    let text = |name: &str| snapshot.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut definition = snapshot.get("definition")?.as_object()?.clone();
    put_back(&mut definition, &execution.secrets);
    let template: TemplateKey = text("templateKey")?.parse().ok()?;
    let moment = execution.as_of.unwrap_or(execution.fire_time);
    let zone = text("timezone").and_then(|name| TimeZone::get(&name).ok()).unwrap_or(TimeZone::UTC);
    let mut parameters: Map<String, Value> =
        definition.get("parameters").and_then(Value::as_object).map(|own| resolve_parameters(own, moment, &zone)).unwrap_or_default();
    // What somebody gives with a trigger is a value, or says how it is reckoned like the schedule's own.
    if let Some(given) = execution.parameters.as_ref().and_then(Value::as_object) {
        let reckoned = |value: &Value| value.is_object() && (value.get("type").is_some() || value.get("relative").is_some());
        let (told, plain): (Map<String, Value>, Map<String, Value>) =
            given.iter().map(|(name, value)| (name.clone(), value.clone())).partition(|(_, value)| reckoned(value));
        parameters.extend(plain);
        parameters.extend(resolve_parameters(&told, moment, &zone));
    }
    Some(ScheduleRun {
        schedule: execution.schedule.to_string(),
        execution: execution.lease.id.to_string(),
        name: text("name").unwrap_or_else(|| template.to_string()),
        version: text("templateVersion"),
        label: text("templateLabel"),
        template,
        fire_time: execution.fire_time,
        moment,
        day: moment.to_zoned(zone.clone()).date().to_string(),
        time_zone: zone,
        parameters,
        definition,
        ignores_condition: execution.ignores_condition,
        test_recipients: execution.test_recipients.clone(),
    })
}

fn execution_work(work: ScheduleWork, resolved_parameters: Option<Value>, retention: Duration) -> Option<ExecutionWork> {
    let items = work.items.iter().map(|item| {
        let recipients = item.plan.targets.iter().flat_map(domain::schedule_plans::PlannedTarget::recipients);
        Some(NewExecutionItem {
            key: item.plan.key.clone(),
            recipients: recipients.filter(|address| is_address(address)).collect(),
            plan: serde_json::to_string(&item.plan).ok()?,
        })
    });
    let items = items.collect::<Option<Vec<_>>>()?;
    let documents = work.requests.into_iter().zip(work.templates).map(|(request, template)| NewJobItem {
        request: request.to_string(),
        template,
        is_stored: true,
        reference: None,
        metadata: None,
    });
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let job = NewJob {
        id: JobId::generate(),
        kind: JobKind::Schedule,
        format: "pdf",
        reference: None,
        metadata: None,
        correlation_id: None,
        packaging: None,
        package_options: None,
        definition: None,
        inline: false,
        datasets: Vec::new(),
        idempotency: None,
        callback: None,
        items: documents.collect(),
        retention,
    };
    Some(ExecutionWork { job, items, resolved_parameters, counts: work.counts.map(count) })
}
