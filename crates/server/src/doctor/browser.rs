//! Whether Chromium is there, starts with its sandbox and prints a page.

use chromium::{ChromiumError, Kind};
use tokio::time::Instant;

use super::{Finding, print};
use crate::browser;
use crate::config::Config;
use crate::error::ServerError;

const WHAT: &str = "chromium";

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
    let printed = print::a_page(&running.pool).await;
    running.pool.close(Instant::now() + print::TIMEOUT).await;

    let path = found.path.display();
    let printing = match printed {
        Ok(print_ms) => {
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
        Err(reason) => Finding::fail(WHAT, format!("{version} ({path}) starts but does not print: {reason}"), "reinstall Chromium"),
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
