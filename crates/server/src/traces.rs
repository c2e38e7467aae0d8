//! Sends traces to a collector, by OTLP over HTTP. Spans wait in a bounded queue: a collector that is away or slow costs spans, which
//! are counted, and never time.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt as _, TraceId, TraceState, TracerProvider as _};
use opentelemetry::{Context, KeyValue, propagation::TextMapPropagator as _};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData, SpanExporter as _, SpanProcessor,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::config::observability::{CallersWord, Sampling, Traces};
use crate::error::with_causes;
use crate::{instance, logs};

/// Spans that wait to be sent; of more, the newest are dropped. About a kilobyte each.
const QUEUE_SPANS: usize = 8_192;
/// Spans that one call takes.
const BATCH_SPANS: usize = 512;
/// A span waits no longer than this for others to be sent with.
const SENT_AFTER: Duration = Duration::from_secs(1);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// What a call may take beyond its own timeout, which its client keeps.
const SLACK: Duration = Duration::from_secs(1);
/// Crates whose spans are ours; those of libraries are none of an operator's business.
const OURS: &[&str] = &["api", "blobs", "chromium", "document", "openid", "outbound", "pdf", "pulp_engine", "render", "store", "worker"];

/// Spans on their way to the collector, before anybody takes them there.
pub struct Waiting {
    spans: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    call_timeout: Duration,
    endpoint: String,
}

/// Takes spans to the collector until it is stopped.
pub struct Sending {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What makes spans of ours into spans of OpenTelemetry, and where they wait.
pub fn layer<S>(traces: &Traces, version: &str) -> Result<(impl Layer<S> + Send + Sync + 'static, Waiting), String>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let resource = resource(traces, version);
    let exporter = exporter(traces, &resource)?;
    let (sender, spans) = mpsc::channel(QUEUE_SPANS);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Queue(sender))
        .with_sampler(Requests::new(traces.sampling))
        .with_resource(resource)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("pulp-engine"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_ours).with_max_level_hint(LevelFilter::DEBUG));
    let waiting = Waiting { spans, exporter, call_timeout: traces.timeout + SLACK, endpoint: traces.endpoint.clone() };
    Ok((layer, waiting))
}

/// Makes a request's span a part of what its caller has begun, and tells it under which name it is found.
pub fn continued() -> api::ContinueTrace {
    let propagator = TraceContextPropagator::new();
    Arc::new(move |span, headers| {
        let parent = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
        if parent.span().span_context().is_valid() {
            // It fails for a span that has begun; ours has not.
            let _ = span.set_parent(parent);
        }
        let context = span.context();
        let own = context.span().span_context().clone();
        if own.is_sampled() {
            span.record("trace_id", tracing::field::display(own.trace_id()));
        }
    })
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let room = metadata.target().split("::").next().unwrap_or_default();
    metadata.is_span() && *metadata.level() <= Level::DEBUG && OURS.contains(&room)
}

fn resource(traces: &Traces, version: &str) -> Resource {
    let own = [
        KeyValue::new("service.name", traces.service_name.clone()),
        KeyValue::new("service.version", version.to_owned()),
        KeyValue::new("service.instance.id", instance::id()),
    ];
    let more = traces.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty().with_attributes(more).with_attributes(own).build()
}

fn exporter(traces: &Traces, resource: &Resource) -> Result<SpanExporter, String> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("pulp-engine/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(traces.timeout)
        .redirect(reqwest::redirect::Policy::none())
        // Not what the environment says: a proxy would be a setting of ours.
        .no_proxy()
        .build()
        .map_err(|error| with_causes(&error))?;
    // The library decodes them once more.
    let headers = traces.headers.iter().map(|(name, value)| (name.clone(), value.reveal().replace('%', "%25")));
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&traces.endpoint)
        .with_timeout(traces.timeout)
        .with_headers(headers.collect::<HashMap<_, _>>())
        .build()
        .map_err(|error| with_causes(&error))?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// Where ended spans wait. Nobody waits for a place in it.
struct Queue(mpsc::Sender<SpanData>);

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Queue").field("free", &self.0.capacity()).finish()
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.0.try_send(span).is_err() {
            counted("dropped", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn counted(outcome: &'static str, spans: usize) {
    metrics::counter!("pulp_trace_spans_total", "outcome" => outcome).increment(spans as u64);
}

/// What becomes of spans is to be seen from the first one on.
pub fn begin_at_zero() {
    for outcome in ["sent", "dropped", "failed"] {
        counted(outcome, 0);
    }
}

/// Lets traces begin at requests and pieces of work alone, and not at what a server does by itself every second.
#[derive(Clone, Debug)]
struct Requests {
    caller: CallersWord,
    share: Sampler,
}

impl Requests {
    fn new(sampling: Sampling) -> Self {
        Self { caller: sampling.caller, share: Sampler::TraceIdRatioBased(sampling.share) }
    }
}

impl ShouldSample for Requests {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        let decided = |sampled: bool, trace_state: TraceState| SamplingResult {
            decision: if sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state,
        };
        let parent = parent_context.map(|context| context.span().span_context().clone()).filter(SpanContext::is_valid);
        let begins = matches!(span_kind, SpanKind::Server | SpanKind::Consumer);
        match parent {
            Some(parent) if !parent.is_remote() => decided(parent.is_sampled(), parent.trace_state().clone()),
            Some(parent) if begins && self.caller == CallersWord::Holds => decided(parent.is_sampled(), parent.trace_state().clone()),
            _ if begins => self.share.should_sample(parent_context, trace_id, name, span_kind, attributes, links),
            _ => decided(false, TraceState::default()),
        }
    }
}

impl Waiting {
    /// Begins to take them there. Needs a runtime.
    pub fn send(self) -> Sending {
        let stop = CancellationToken::new();
        tracing::info!(endpoint = self.endpoint, "traces are sent");
        Sending { task: tokio::spawn(self.keep(stop.clone())), stop }
    }

    async fn keep(mut self, stop: CancellationToken) {
        let mut failures = 0_u32;
        let mut batch = Vec::with_capacity(BATCH_SPANS);
        loop {
            let first = tokio::select! {
                biased;
                first = self.spans.recv() => first,
                () = stop.cancelled() => None,
            };
            let Some(first) = first else { return };
            batch.push(first);
            let due = Instant::now() + SENT_AFTER;
            while batch.len() < BATCH_SPANS {
                let room = BATCH_SPANS - batch.len();
                tokio::select! {
                    biased;
                    more = self.spans.recv_many(&mut batch, room) => if more == 0 { break },
                    () = sleep_until(due) => break,
                    () = stop.cancelled() => break,
                }
            }
            failures = self.export(std::mem::take(&mut batch), failures).await;
        }
    }

    /// Sends some; says how often in a row that has failed by now.
    async fn export(&self, batch: Vec<SpanData>, failures: u32) -> u32 {
        let (spans, began) = (batch.len(), Instant::now());
        let sent = timeout(self.call_timeout, self.exporter.export(batch)).await;
        metrics::histogram!("pulp_trace_export_seconds").record(began.elapsed().as_secs_f64());
        let why = match sent {
            Ok(Ok(())) => {
                counted("sent", spans);
                if failures > 0 {
                    tracing::info!(failures, "the collector of traces takes them again");
                }
                return 0;
            }
            Ok(Err(error)) => with_causes(&error),
            Err(_) => "it did not answer in time".to_owned(),
        };
        counted("failed", spans);
        // Once is enough: it would be told for every batch.
        if failures == 0 {
            tracing::warn!(why, took_ms = logs::whole_ms(began.elapsed()), "the collector takes no traces; they are thrown away meanwhile");
        }
        failures.saturating_add(1)
    }
}

impl Sending {
    /// Sends what waits, until `deadline` at the latest.
    pub async fn stop(self, deadline: Instant) {
        self.stop.cancel();
        if timeout_at(deadline, self.task).await.is_err() {
            tracing::debug!("the last traces could not be sent in time");
        }
    }
}
