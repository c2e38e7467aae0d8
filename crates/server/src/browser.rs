//! Finds Chromium and starts the pool of tabs, locked in as well as the host allows.

use std::path::{Path, PathBuf};

use chromium::container::ContainerOptions;
use chromium::remote::RemoteOptions;
use chromium::{Account, Budgets, ChromiumError, Pool, PoolOptions, Sandbox};

use crate::config::{self, BrowserSettings, Config, Containers, RenderMode};
use crate::error::ServerError;
use crate::instance;

/// `nobody` of every Linux distribution: owns nothing. Chromium's sandbox refuses root.
const NOBODY: Account = Account { uid: 65534, gid: 65534 };
/// A folder that every user can reach and only root can write to, in memory on most hosts.
const RUNTIME_DIR_OF_ROOT: &str = "/run/pulp-engine";

/// A running browser, and how well it is locked in.
pub struct Browser {
    /// Its tabs.
    pub pool: Pool,
    /// For the start-up line and `doctor`: `on`, or `off` and why.
    pub sandbox: String,
}

/// What prints, as configured: a browser of our own, or the way to render workers. Those may come later than this server.
pub async fn start(config: &Config) -> Result<Browser, ServerError> {
    match &config.render_mode {
        RenderMode::ChildProcess => start_own(&config.browser).await,
        RenderMode::Socket { workers, security } => {
            let mut options = RemoteOptions::new(workers.clone(), security.clone());
            options.output_bytes = config.browser.max_output_bytes;
            // Renders are admitted one room above, batches and jobs beside them; this is the bound where that one errs.
            options.prints = 4 * config.browser.in_flight();
            Ok(Browser { pool: Pool::connect(options).await?, sandbox: "that of the render workers".to_owned() })
        }
        RenderMode::Container(containers) => {
            let pool = Pool::contain(container_options(config, containers)).await?;
            Ok(Browser { pool, sandbox: "a container for each document".to_owned() })
        }
    }
}

/// Starts the browser as configured. Without a usable sandbox it starts without one and says so loudly: refusing
/// would stop every container that forbids namespaces, and documents run no scripts by default.
pub async fn start_own(config: &BrowserSettings) -> Result<Browser, ServerError> {
    let found = chromium::find_executable(config.chromium_path.as_deref())?;
    let options = options(config, &found.path);
    if config.sandbox == config::Sandbox::Disabled {
        tracing::warn!("Chromium runs without its sandbox, as PULP_ENGINE_DISABLE_SANDBOX says");
        // A container may take even root's right to become another user; then, and only then, it stays root.
        let pool = match start_without_sandbox(options.clone()).await {
            Err(ChromiumError::Launch { reason, .. }) if options.account.is_some() => {
                tracing::warn!(reason, "Chromium cannot run as `nobody` and runs as root");
                start_without_sandbox(PoolOptions { account: None, ..options }).await?
            }
            outcome => outcome?,
        };
        return Ok(Browser { pool, sandbox: "off, by PULP_ENGINE_DISABLE_SANDBOX".to_owned() });
    }
    let reason = match Pool::start(options.clone()).await {
        Ok(pool) => return Ok(Browser { pool, sandbox: "on".to_owned() }),
        Err(ChromiumError::SandboxUnavailable { reason, .. }) => reason,
        Err(error) => return Err(error.into()),
    };
    let pool = start_without_sandbox(options).await?;
    tracing::warn!(
        reason,
        "CHROMIUM RUNS WITHOUT ITS SANDBOX: a document that exploits a fault of the browser has the rights of its user. Use a \
         host that allows user namespaces, or set PULP_ENGINE_DISABLE_SANDBOX=true to accept it"
    );
    Ok(Browser { pool, sandbox: format!("off: {reason}") })
}

fn container_options(config: &Config, containers: &Containers) -> ContainerOptions {
    let Budgets { html_bytes, .. } = Budgets::default();
    ContainerOptions {
        runtime: containers.runtime.clone(),
        image: containers.image.clone(),
        memory_mb: containers.memory_mb,
        cpus: containers.cpus.clone(),
        seccomp: containers.seccomp.clone(),
        environment: vec![
            ("RENDER_MAX_OUTPUT_BYTES".to_owned(), config.browser.max_output_bytes.to_string()),
            ("PULP_RUNTIME_DIR".to_owned(), "/tmp/chromium".to_owned()),
            ("LOG_LEVEL".to_owned(), config.log_level.clone()),
        ],
        // The same after another start, so that what this one leaves is found then.
        label: format!("pulp-engine.render={}-{}", instance::machine(), config.port),
        tabs: config.browser.max_concurrent_pages,
        queue_depth: config.browser.in_flight(),
        html_bytes,
        output_bytes: config.browser.max_output_bytes,
    }
}

async fn start_without_sandbox(options: PoolOptions) -> Result<Pool, ChromiumError> {
    Pool::start(PoolOptions { sandbox: Sandbox::Off, ..options }).await
}

fn options(config: &BrowserSettings, executable: &Path) -> PoolOptions {
    let account = rustix::process::geteuid().is_root().then_some(NOBODY);
    let by_default = || if account.is_some() { PathBuf::from(RUNTIME_DIR_OF_ROOT) } else { config.data_dir.join("chromium") };
    let mut options = PoolOptions::new(executable.to_owned(), config.runtime_dir.clone().unwrap_or_else(by_default));
    options.account = account;
    options.tabs = config.max_concurrent_pages;
    options.reserved_tabs = config.reserved_slots;
    // Renders are admitted one room above; while tabs are being replaced, all of them may have to wait.
    options.queue_depth = config.in_flight();
    options.budgets.output_bytes = config.max_output_bytes;
    options
}
