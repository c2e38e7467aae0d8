//! A process that prints for servers elsewhere: it has a browser, and neither database, keys nor stored files.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::Duration;

use chromium::remote::{self, Address, Listener, Security, ServeOptions, Standing};
use tokio::io::{Join, join};
use tokio::net::unix::pipe;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Door, WorkerConfig};
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
    match &config.door {
        Door::Listen { address, security } => runtime.block_on(until_stopped(config, address, security)),
        Door::Stdio => runtime.block_on(one_document(config)),
    }
}

async fn one_document(config: &WorkerConfig) -> Result<ExitCode, ServerError> {
    let mut signals = Signals::listen()?;
    let browser = browser::start_own(&config.browser).await?;
    let options = ServeOptions::new(Security::default(), 1, 1);
    let streams = standard_streams().map_err(ServerError::Streams)?;
    tokio::select! {
        () = remote::serve_one(streams, browser.pool.clone(), options) => {}
        signal = signals.next() => tracing::info!(signal, "stopping at once"),
    }
    browser.pool.close(Instant::now()).await;
    Ok(ExitCode::SUCCESS)
}

/// The standard input and output, which have to be pipes.
fn standard_streams() -> io::Result<Join<pipe::Receiver, pipe::Sender>> {
    let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
    Ok(join(input, output))
}

async fn until_stopped(config: &WorkerConfig, address: &Address, security: &Security) -> Result<ExitCode, ServerError> {
    let mut signals = Signals::listen()?;
    // Each server has some connections here.
    process::raise_file_limit();
    let began = Instant::now();
    // The door first: nothing is started beside a worker that runs already.
    let listener = Listener::bind(address).await?;
    let browser = tokio::select! {
        browser = browser::start_own(&config.browser) => browser?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped while starting");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let tabs = config.browser.max_concurrent_pages;
    let options = ServeOptions { grace: config.grace, ..ServeOptions::new(security.clone(), tabs, config.browser.in_flight()) };
    let drain = CancellationToken::new();
    let serving = remote::serve(listener, browser.pool.clone(), options, drain.clone());
    tokio::pin!(serving);
    tracing::info!(
        %address,
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
    let Door::Listen { address, security } = &config.door else { return Ok(ExitCode::SUCCESS) };
    let complaint = match runtime.block_on(remote::ask_status(address, security)) {
        Ok((_, Standing::Draining)) => "it is stopping".to_owned(),
        Ok((status, _)) if status.healthy_tabs == 0 => "its browser is away".to_owned(),
        Ok(_) => return Ok(ExitCode::SUCCESS),
        Err(error) => error.to_string(),
    };
    let _ = writeln!(std::io::stderr(), "the render worker on {address} is not ready: {complaint}");
    Ok(ExitCode::FAILURE)
}
