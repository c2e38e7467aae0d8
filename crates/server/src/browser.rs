//! Finds Chromium and starts the pool of tabs, with its sandbox where the host allows it.

use std::path::Path;

use chromium::{ChromiumError, Pool, PoolOptions, Sandbox};

use crate::config::{self, Config};
use crate::error::ServerError;

/// A running browser, and how well it is locked in.
pub struct Browser {
    /// Its tabs.
    pub pool: Pool,
    /// For the start-up line and `doctor`: `on`, or `off` and why.
    pub sandbox: String,
}

/// Starts the browser as configured. Without a usable sandbox it starts without one and says so loudly: refusing
/// would stop every container that runs as root, and documents run no scripts by default.
pub async fn start(config: &Config) -> Result<Browser, ServerError> {
    let found = chromium::find_executable(config.chromium_path.as_deref())?;
    let options = options(config, &found.path);
    if config.sandbox == config::Sandbox::Disabled {
        tracing::warn!("Chromium runs without its sandbox, as PULP_ENGINE_DISABLE_SANDBOX says");
        let pool = Pool::start(PoolOptions { sandbox: Sandbox::Off, ..options }).await?;
        return Ok(Browser { pool, sandbox: "off, by PULP_ENGINE_DISABLE_SANDBOX".to_owned() });
    }
    match Pool::start(options.clone()).await {
        Ok(pool) => Ok(Browser { pool, sandbox: "on".to_owned() }),
        Err(ChromiumError::SandboxUnavailable { reason, .. }) => {
            tracing::warn!(
                reason,
                "CHROMIUM RUNS WITHOUT ITS SANDBOX: a document that exploits a fault of the browser has the rights of this \
                 server. Run the server as an unprivileged user on a host that allows user namespaces, or set \
                 PULP_ENGINE_DISABLE_SANDBOX=true to accept it"
            );
            let pool = Pool::start(PoolOptions { sandbox: Sandbox::Off, ..options }).await?;
            Ok(Browser { pool, sandbox: format!("off: {reason}") })
        }
        Err(error) => Err(error.into()),
    }
}

fn options(config: &Config, executable: &Path) -> PoolOptions {
    let mut options = PoolOptions::new(executable.to_owned(), config.data_dir.join("chromium"));
    options.tabs = config.max_concurrent_pages;
    options.queue_depth = config.max_queue_depth;
    options.budgets.output_bytes = config.max_output_bytes;
    options
}
