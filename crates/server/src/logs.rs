//! Log lines on standard error, for people on a terminal and as JSON elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Dependencies that log every step of every query or connection below a warning, and of these the parts whose warnings
/// are none of an operator's business: the pool's tell of connections that it replaces, a slow query's show its SQL, and
/// those about the URL show the values of its parameters, which may be secrets. What of these matters we say ourselves.
const NOISY: &str = "sqlx=warn,sqlx_core::pool=error,sqlx::query=error,sqlx_postgres::options::parse=error,\
    hyper=warn,tower_http=warn,mio=warn";

/// Starts logging as configured. A second call in one process does nothing.
pub fn start(config: &Config) {
    let filter = filter(&config.log_level);
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

fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("{level},{NOISY}"))
}

/// A duration for a log line, where wider numbers than 64 bits would become texts.
pub fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[tokio::test]
    async fn even_at_the_most_talkative_level_a_secret_among_the_parameters_of_the_url_is_not_logged() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter("trace")).with_writer(lines.clone()).finish();
        let _here = tracing::subscriber::set_default(subscriber);
        tracing::info!("the log works");
        // Nobody listens there: only the reading of the URL is of interest.
        let url = "postgres://me:hunter1@127.0.0.1:1/pulp?sslpassword=hunter2secret";
        store::probe(url, Duration::from_secs(5)).await.unwrap_err();
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(logged.contains("the log works") && !logged.contains("hunter"), "{logged}");
    }
}
