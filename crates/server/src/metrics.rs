//! Collects what the rooms count and measure, for `/metrics`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use domain::caches::{CacheBound, CacheReport};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use crate::error::ServerError;
use crate::process::Process;

/// Upper ends of the buckets of every `*_seconds` histogram: a cached render takes milliseconds, the longest a minute.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Samples wait in memory until they are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Prints all metrics as Prometheus text.
pub type Text = Arc<dyn Fn() -> String + Send + Sync>;

/// Starts collecting, every series under the name of this process. Needs a runtime, for the regular sorting of samples into buckets.
pub fn start(instance: &str, version: &str) -> Result<Text, ServerError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, SECONDS)?.add_global_label("instance", instance);
    let handle = builder.install_recorder()?;
    begin_at_zero();
    metrics::gauge!("pulp_build_info", "version" => version.to_owned()).set(1.0);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    let instance = instance.to_owned();
    Ok(Arc::new(move || {
        let mut text = handle.render();
        if let Some(process) = Process::read() {
            write_process(&mut text, &instance, &process);
        }
        text
    }))
}

/// What happens rarely, and is to be seen from its first time on: a series that appears with a 1 has never risen.
fn begin_at_zero() {
    for reason in ["queue_full", "refused", "shutdown"] {
        metrics::counter!("pulp_usage_rows_dropped_total", "reason" => reason).increment(0);
    }
    for limit in ["key", "tenant"] {
        metrics::counter!("pulp_rate_limit_refusals_total", "limit" => limit).increment(0);
    }
    for outcome in ["delivered", "pending", "failed"] {
        metrics::counter!("pulp_schedule_deliveries_total", "outcome" => outcome).increment(0);
    }
    for outcome in ["queued", "skipped", "failed"] {
        metrics::counter!("pulp_schedule_executions_total", "outcome" => outcome).increment(0);
    }
    for outcome in ["delivered", "retried", "failed"] {
        metrics::counter!("pulp_webhook_deliveries_total", "outcome" => outcome).increment(0);
    }
    metrics::counter!("pulp_store_notices_total").increment(0);
    metrics::counter!("pulp_usage_rows_written_total").increment(0);
}

/// Sets what is told of caches; call it before the metrics are read.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no cache has 2^53 entries or bytes")]
pub fn record_caches(caches: &[CacheReport]) {
    for cache in caches {
        for (read, count) in cache.reads {
            metrics::counter!("pulp_cache_reads_total", "cache" => cache.name, "outcome" => read.as_str()).absolute(count);
        }
        metrics::gauge!("pulp_cache_entries", "cache" => cache.name).set(cache.size.entries as f64);
        let (used, most, unit) = match cache.bound {
            CacheBound::Entries(most) => (cache.size.entries, most, "entries"),
            CacheBound::Bytes(most) => (cache.size.bytes.unwrap_or(0), most, "bytes"),
        };
        if let Some(bytes) = cache.size.bytes {
            metrics::gauge!("pulp_cache_bytes", "cache" => cache.name).set(bytes as f64);
        }
        metrics::gauge!("pulp_cache_bound", "cache" => cache.name, "unit" => unit).set(most as f64);
        metrics::gauge!("pulp_cache_fill_ratio", "cache" => cache.name).set(used as f64 / most.max(1) as f64);
    }
}

/// The names that every exporter of Prometheus has for a process, written here because the collector knows no counter of fractions.
fn write_process(text: &mut String, instance: &str, process: &Process) {
    let lines: [(&str, &str, f64); 5] = [
        ("process_cpu_seconds_total", "counter", process.cpu_seconds),
        ("process_resident_memory_bytes", "gauge", process.resident_bytes),
        ("process_open_fds", "gauge", process.open_files),
        ("process_max_fds", "gauge", process.most_files),
        ("process_start_time_seconds", "gauge", process.started_at_seconds),
    ];
    for (name, kind, value) in lines {
        let _ = write!(text, "# TYPE {name} {kind}\n{name}{{instance=\"{instance}\"}} {value}\n\n");
    }
}
