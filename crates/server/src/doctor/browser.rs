//! Whether Chromium is there, starts with its sandbox and prints a page.

use std::time::Duration;

use chromium::{ChromiumError, Kind, PrintJob};
use tokio::time::Instant;

use super::Finding;
use crate::browser;
use crate::config::Config;
use crate::error::ServerError;

const WHAT: &str = "chromium";
/// A warm tab prints a word in about 10 ms; a cold machine needs some seconds.
const PRINT_TIMEOUT: Duration = Duration::from_secs(30);

pub async fn check(config: &Config) -> Vec<Finding> {
    let found = match chromium::find_executable(config.browser.chromium_path.as_deref()) {
        Ok(found) => found,
        Err(error) => return vec![cannot_start(&error.into(), config)],
    };
    let began = Instant::now();
    let running = match browser::start(config).await {
        Ok(running) => running,
        Err(error) => return vec![cannot_start(&error, config)],
    };
    let started_ms = began.elapsed().as_millis();
    let version = running.pool.status().version;
    let began = Instant::now();
    let job = PrintJob::new("<!doctype html><title>doctor</title><p>Hello</p>".to_owned(), "doctor".to_owned());
    let printed = running.pool.print(job, Instant::now() + PRINT_TIMEOUT).await;
    let print_ms = began.elapsed().as_millis();
    running.pool.close(Instant::now() + PRINT_TIMEOUT).await;

    let path = found.path.display();
    let printing = match printed {
        Ok(sheet) if sheet.pdf.starts_with(b"%PDF-") => {
            let found_text = format!("{version} ({path}) started in {started_ms} ms and printed a page in {print_ms} ms");
            match found.kind {
                Kind::HeadlessShell => Finding::ok(WHAT, found_text),
                Kind::Full => Finding::warn(
                    WHAT,
                    format!("{found_text}; a full Chromium needs three to five times the processor time"),
                    "apt-get install chromium-headless-shell",
                ),
            }
        }
        Ok(_) => Finding::fail(WHAT, format!("{version} ({path}) printed something that is no PDF"), "reinstall Chromium"),
        Err(error) => Finding::fail(WHAT, format!("{version} ({path}) starts but does not print: {error}"), "reinstall Chromium"),
    };
    let sandbox = if running.sandbox == "on" {
        Finding::ok("sandbox", "on")
    } else {
        Finding::warn("sandbox", running.sandbox, "run the server as an unprivileged user on a host that allows user namespaces")
    };
    vec![printing, sandbox]
}

fn cannot_start(error: &ServerError, config: &Config) -> Finding {
    let remedy = match error {
        _ if config.browser.chromium_path.is_some() => "correct CHROMIUM_PATH, or unset it to use the installed chromium-headless-shell",
        ServerError::Chromium(ChromiumError::NotFound { .. }) => "apt-get install chromium-headless-shell, or set CHROMIUM_PATH",
        _ => "apt-get install --reinstall chromium-headless-shell, or set CHROMIUM_PATH to another browser",
    };
    Finding::fail(WHAT, error.to_string(), remedy)
}
