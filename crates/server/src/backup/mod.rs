//! `pulp-engine backup`: everything that is stored, written down, compared and brought back.

mod create;
mod drift;
mod error;
mod files;
mod manifest;
mod objects;
mod progress;
mod restore;
mod verify;

use std::io::{Write as _, stderr};
use std::process::ExitCode;

use tokio::runtime::Builder;

pub use error::BackupError;

use crate::cli::Backup;
use crate::config::{Config, Storage};
use crate::database::Database;
use crate::error::ServerError;
use crate::serve::TIDY_UP;
use crate::{logs, print};

/// What was asked for was done, and what is stored is not as it should be: of `verify`, it differs from the backup; of `create`, it lacks
/// objects that rows name.
const NOT_AS_IT_SHOULD: u8 = 2;

/// Carries out one of them. Of `verify` a failure of any kind is exit code 1, since 2 says that something differs.
pub fn backup(config: Result<Config, ServerError>, wanted: &Backup) -> Result<ExitCode, ServerError> {
    let config = match (config, wanted) {
        (Err(error), Backup::Verify(_)) => {
            let _ = writeln!(stderr(), "{error}");
            return Ok(ExitCode::FAILURE);
        }
        (config, _) => config?,
    };
    logs::start(&config);
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(ServerError::Runtime)?;
    let (as_it_should, told) = runtime.block_on(async {
        match wanted {
            Backup::Create(wanted) => create::create(&config, wanted).await,
            Backup::Restore(wanted) => restore::restore(&config, wanted).await.map(|told| (true, told)),
            Backup::Verify(wanted) => verify::verify(&config, wanted).await,
        }
    })?;
    print(&told)?;
    Ok(if as_it_should { ExitCode::SUCCESS } else { ExitCode::from(NOT_AS_IT_SHOULD) })
}

/// Does something with a database that a server may be using, and stops it again where it was started for this.
async fn with_database<T>(config: &Config, act: impl AsyncFnOnce(&Database) -> Result<T, BackupError>) -> Result<T, BackupError> {
    if matches!(config.storage, Storage::Embedded { .. }) && !config.data_dir.join("postgres").exists() {
        return Err(BackupError::NoDatabase(config.data_dir.clone()));
    }
    let database = Database::visit(config).await?;
    let done = act(&database).await;
    let stopped = database.stop(TIDY_UP).await;
    let done = done?;
    stopped?;
    Ok(done)
}

/// A warning for whoever sits at the terminal, or reads the log.
fn warn(line: &str) {
    let _ = writeln!(stderr(), "warning: {line}");
}
