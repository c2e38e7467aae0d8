//! Checks everything the server needs, one line each, with what helps where something is missing.

mod browser;
mod database;
mod folder;
mod fonts;
mod print;
mod render_workers;

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::config::{Config, RenderMode};
use crate::error::ServerError;

/// How one check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// The server runs, but not as well as it could.
    Warn,
    /// The server does not start or cannot render.
    Fail,
}

/// One line of the report.
#[derive(Debug)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    found: String,
    remedy: String,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Ok, found: found.into(), remedy: String::new() }
    }

    fn warn(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Warn, found: found.into(), remedy: remedy.into() }
    }

    fn fail(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Fail, found: found.into(), remedy: remedy.into() }
    }
}

/// Prints the report; exit code 1 when something would keep the server from rendering.
pub fn doctor(config: Result<Config, ServerError>) -> Result<ExitCode, ServerError> {
    let findings = match config {
        Ok(config) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServerError::Runtime)?;
            runtime.block_on(examine(&config))
        }
        // Without settings nothing else can be judged.
        Err(error) => vec![Finding::fail("configuration", error.to_string(), "correct these settings")],
    };
    crate::print(&report(&findings))?;
    let broken = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(match config.warnings.as_slice() {
        [] => Finding::ok(
            "configuration",
            format!(
                "{} API keys, listening on {}:{}",
                config.identity.keys.current.len() + config.identity.listed_keys.len(),
                config.host,
                config.port
            ),
        ),
        warnings => Finding::warn("configuration", warnings.join("\n"), "remove or correct these variables"),
    });
    findings.push(folder::check(config));
    findings.push(database::check(config).await);
    match config.render_mode {
        RenderMode::ChildProcess => {
            findings.extend(browser::check(config).await);
            findings.push(fonts::check().await);
        }
        RenderMode::Container(_) => {
            findings.push(render_workers::check_containers(config).await);
            findings.push(fonts::check().await);
        }
        RenderMode::Socket { .. } => findings.extend(render_workers::check(config).await),
    }
    findings
}

fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { what, verdict, found, remedy } in findings {
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        let found = found.trim_end().replace('\n', "\n                      ");
        let _ = writeln!(text, "{verdict:<4}  {what:<14}  {found}");
        if !remedy.is_empty() {
            let _ = writeln!(text, "                      -> {remedy}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_it_went_what_was_found_and_what_helps() {
        let text =
            report(&[Finding::ok("database", "PostgreSQL 15"), Finding::fail("chromium", "not found\nanywhere", "apt-get install x")]);
        assert_eq!(
            text,
            "ok    database        PostgreSQL 15\n\
             FAIL  chromium        not found\n                      anywhere\n                      -> apt-get install x\n"
        );
    }
}
