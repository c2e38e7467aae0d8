//! Collects what the rooms count and measure, for `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use crate::error::ServerError;

/// Upper ends of the buckets of every `*_seconds` histogram: a cached render takes milliseconds, the longest a minute.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Samples wait in memory until they are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Prints all metrics as Prometheus text.
pub type Text = Arc<dyn Fn() -> String + Send + Sync>;

/// Starts collecting. Needs a runtime, for the regular sorting of samples into buckets.
pub fn start() -> Result<Text, ServerError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let handle = PrometheusBuilder::new().set_buckets_for_metric(seconds, SECONDS)?.install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(Arc::new(move || handle.render()))
}
