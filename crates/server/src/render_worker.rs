//! A process that prints for servers elsewhere: it has a browser, and neither database, keys nor stored files.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use chromium::remote::{self, Listener, ServeOptions, Standing};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::error::ServerError;
use crate::serve::TIDY_UP;
use crate::shutdown::Signals;
use crate::{browser, logs, process};

/// How long the browser may take to end when it is not given time.
const CUT_SHORT: Duration = Duration::from_secs(2);

/// Prints until a signal ends it: then refuses new documents, finishes those under way within the grace, and ends.
pub fn serve(config: &WorkerConfig) -> Result<ExitCode, ServerError> {
    logs::start_as(&config.log_level, config.log_format);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServerError::Runtime)?;
    runtime.block_on(until_stopped(config))
}

async fn until_stopped(config: &WorkerConfig) -> Result<ExitCode, ServerError> {
    let mut signals = Signals::listen()?;
    // Each server has some connections here.
    process::raise_file_limit();
    let began = Instant::now();
    // The door first: nothing is started beside a worker that runs already.
    let listener = Listener::bind(&config.listen).await?;
    let browser = tokio::select! {
        browser = browser::start_own(&config.browser) => browser?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped while starting");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let tabs = config.browser.max_concurrent_pages;
    let queue_depth = tabs + config.browser.max_queue_depth;
    let options = ServeOptions { grace: config.grace, ..ServeOptions::new(config.security.clone(), tabs, queue_depth) };
    let drain = CancellationToken::new();
    let serving = remote::serve(listener, browser.pool.clone(), options, drain.clone());
    tokio::pin!(serving);
    tracing::info!(
        address = %config.listen,
        chromium = browser.pool.status().version,
        sandbox = browser.sandbox,
        tabs,
        started_in_ms = logs::whole_ms(began.elapsed()),
        "the render worker is ready"
    );
    let signal = tokio::select! {
        ended = &mut serving => {
            browser.pool.close(Instant::now() + CUT_SHORT).await;
            return ended.map(|()| ExitCode::FAILURE).map_err(ServerError::from);
        }
        signal = signals.next() => signal,
    };
    tracing::info!(signal, grace_ms = logs::whole_ms(config.grace), "stopping; a second signal stops at once");
    drain.cancel();
    let tidy_up = tokio::select! {
        ended = &mut serving => ended.map(|()| TIDY_UP)?,
        signal = signals.next() => {
            tracing::warn!(signal, "stopping at once");
            CUT_SHORT
        }
    };
    browser.pool.close(Instant::now() + tidy_up).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Asks the worker that these settings belong to how it stands: success when it prints.
pub fn check(config: &WorkerConfig) -> Result<ExitCode, ServerError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServerError::Runtime)?;
    let complaint = match runtime.block_on(remote::ask_status(&config.listen, &config.security)) {
        Ok((_, Standing::Draining)) => "it is stopping".to_owned(),
        Ok((status, _)) if status.healthy_tabs == 0 => "its browser is away".to_owned(),
        Ok(_) => return Ok(ExitCode::SUCCESS),
        Err(error) => error.to_string(),
    };
    let _ = writeln!(std::io::stderr(), "the render worker on {} is not ready: {complaint}", config.listen);
    Ok(ExitCode::FAILURE)
}
