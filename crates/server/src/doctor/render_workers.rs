//! Which render workers answer, and whether one prints a page.

use chromium::remote::Standing;
use tokio::time::Instant;

use super::{Finding, fonts, print};
use crate::browser;
use crate::config::Config;

const WHAT: &str = "render workers";

pub async fn check(config: &Config) -> Vec<Finding> {
    let connected = match browser::start(config).await {
        Ok(connected) => connected,
        Err(error) => return vec![Finding::fail(WHAT, error.to_string(), "correct the files of RENDER_WORKER_TLS_…")],
    };
    let pool = connected.pool;
    let workers = pool.workers();
    let mut findings: Vec<Finding> = workers
        .iter()
        .map(|worker| match (&worker.standing, &worker.status) {
            (Standing::Ready, Some(status)) if status.healthy_tabs > 0 => {
                Finding::ok(WHAT, format!("{}: {} with {} of {} tabs", worker.place, status.version, status.healthy_tabs, status.tabs))
            }
            (Standing::Ready, _) => Finding::warn(WHAT, format!("{}: its browser is away", worker.place), "look into its log"),
            (Standing::Draining, _) => Finding::warn(WHAT, format!("{}: it is stopping", worker.place), "start it again"),
            (Standing::Unreachable(reason), _) => Finding::warn(
                WHAT,
                format!("{}: {reason}", worker.place),
                "start `pulp-engine render-worker` there, or correct RENDER_WORKERS",
            ),
            (Standing::Unknown, _) => Finding::warn(WHAT, format!("{}: no answer yet", worker.place), "look into its log"),
        })
        .collect();
    findings.push(match print::a_page(&pool).await {
        Ok(print_ms) => Finding::ok(WHAT, format!("one of them printed a page in {print_ms} ms")),
        Err(reason) => Finding::fail(WHAT, reason, "start a render worker, and see docs/operations/render-workers.md"),
    });
    findings.push(fonts::judge(pool.installed_fonts().await));
    pool.close(Instant::now() + print::TIMEOUT).await;
    findings
}

/// Whether a container prints a page.
pub async fn check_containers(config: &Config) -> Finding {
    let what = "containers";
    let remedy = "start the container runtime, and build the image that RENDER_CONTAINER_IMAGE names";
    let began = Instant::now();
    let pool = match browser::start(config).await {
        Ok(started) => started.pool,
        Err(error) => return Finding::fail(what, error.to_string(), remedy),
    };
    let started_ms = began.elapsed().as_millis();
    let printed = print::a_page(&pool).await;
    let version = pool.status().version;
    pool.close(Instant::now() + print::TIMEOUT).await;
    match printed {
        Ok(print_ms) => Finding::ok(what, format!("{version} started in {started_ms} ms and printed a page in {print_ms} ms")),
        Err(reason) => Finding::fail(what, reason, remedy),
    }
}
