//! Log lines on standard error, for people on a terminal and as JSON elsewhere.

use std::fmt;
use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, LogFormat};
use crate::{instance, traces};

/// Dependencies that log every step of every query or connection below a warning, and of these the parts whose warnings
/// are none of an operator's business: the pool's tell of connections that it replaces, a slow query's show its SQL, and
/// those about the URL show the values of its parameters, which may be secrets. What of these matters we say ourselves.
const NOISY: &str = "sqlx=warn,sqlx_core::pool=error,sqlx::query=error,sqlx_postgres::options::parse=error,\
    hyper=warn,tower_http=warn,mio=warn,opentelemetry=error,opentelemetry_sdk=error,opentelemetry-otlp=error,opentelemetry-http=error";

/// What a line is found by, wherever in the work of a request it was written.
const IDS: [&str; 3] = ["request_id", "tenant", "trace_id"];

/// Starts logging as configured. A second call in one process does nothing.
pub fn start(config: &Config) {
    start_as(&config.log_level, config.log_format);
}

/// The same, where there is no whole configuration.
pub fn start_as(level: &str, format: LogFormat) {
    let terminal = stderr().is_terminal();
    // Without traces there is one filter for everything, which costs least.
    let lines = tracing_subscriber::fmt().with_env_filter(filter(level)).with_writer(stderr);
    let _ = if is_text(format, terminal) {
        lines.with_ansi(terminal).with_target(false).try_init()
    } else {
        let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
        lines.map_event_format(|format| WithIds { format, instance: instance::id() }).try_init()
    };
}

/// As [`start`], and makes traces where that was asked for; gives where they wait to be sent.
pub fn start_with_traces(config: &Config) -> Option<traces::Waiting> {
    let Some(wanted) = &config.traces else {
        start(config);
        return None;
    };
    let terminal = stderr().is_terminal();
    let made = traces::layer(wanted, &config.version);
    let (spans, waiting) = match made {
        Ok((layer, waiting)) => (layer, waiting),
        Err(why) => {
            start(config);
            tracing::error!(why, "traces cannot be sent");
            return None;
        }
    };
    let filter = filter(&config.log_level);
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let _ = if is_text(config.log_format, terminal) {
        let lines = lines.with_ansi(terminal).with_target(false).with_filter(filter);
        tracing_subscriber::registry().with(spans).with(lines).try_init()
    } else {
        let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
        let lines = lines.map_event_format(|format| WithIds { format, instance: instance::id() }).with_filter(filter);
        tracing_subscriber::registry().with(spans).with(lines).try_init()
    };
    Some(waiting)
}

fn is_text(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Json => false,
        LogFormat::Text => true,
        LogFormat::ByTerminal => terminal,
    }
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("{level},{NOISY}"))
}

/// JSON lines that say which process wrote them and for which request, tenant and trace, however deep in its work.
struct WithIds<T> {
    format: Format<Json, T>,
    instance: &'static str,
}

impl<S, T> FormatEvent<S, JsonFields> for WithIds<T>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    T: FormatTime,
{
    fn format_event(&self, context: &FmtContext<'_, S, JsonFields>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let Some(rest) = line.strip_prefix('{') else { return writer.write_str(&line) };
        let said = rest.split(",\"span\":{").next().unwrap_or_default();
        write!(writer, "{{\"instance\":{},", serde_json::Value::from(self.instance))?;
        let spans = context.event_scope().map(|spans| spans.filter_map(|span| ids_of(&span)).collect::<Vec<_>>()).unwrap_or_default();
        for id in IDS {
            let found = spans.iter().find_map(|fields| fields.get(id));
            // A field of the event itself counts.
            if let Some(found) = found.filter(|_| !said.contains(&format!("\"{id}\":"))) {
                write!(writer, "\"{id}\":{found},")?;
            }
        }
        writer.write_str(rest)
    }
}

fn ids_of<'lookup, S: LookupSpan<'lookup>>(
    span: &tracing_subscriber::registry::SpanRef<'lookup, S>,
) -> Option<serde_json::Map<String, serde_json::Value>> {
    let extensions = span.extensions();
    let fields = &extensions.get::<FormattedFields<JsonFields>>()?.fields;
    IDS.iter().any(|id| fields.contains(id)).then(|| serde_json::from_str(fields).ok())?
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
