//! Log lines on standard error, for people on a terminal and as JSON elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Dependencies that log every step of every query or connection below a warning.
const NOISY: &str = "sqlx=warn,hyper=warn,tower_http=warn,mio=warn";

/// Starts logging as configured. A second call in one process does nothing.
pub fn start(config: &Config) {
    let filter = EnvFilter::new(format!("{},{NOISY}", config.log_level));
    let terminal = stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let as_text = match config.log_format {
        LogFormat::Json => false,
        LogFormat::Text => true,
        LogFormat::ByTerminal => terminal,
    };
    let _ = if as_text {
        lines.with_ansi(terminal).with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
}

/// A duration for a log line, where wider numbers than 64 bits would become texts.
pub fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
