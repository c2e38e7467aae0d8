//! Brings the database to this version, for deployments that do it before the new servers start.

use std::process::ExitCode;

use crate::config::Config;
use crate::database::Database;
use crate::error::ServerError;
use crate::logs;
use crate::serve::TIDY_UP;

/// Applies every migration that is missing.
pub fn migrate(config: &Config) -> Result<ExitCode, ServerError> {
    logs::start(config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServerError::Runtime)?;
    runtime.block_on(async {
        let database = Database::start(config).await?;
        let description = database.description.clone();
        let migrated = database.migrate().await;
        let stopped = database.stop(TIDY_UP).await;
        let report = migrated?;
        stopped?;
        tracing::info!(applied = ?report.applied, schema = report.schema, storage = description, "the database is at this version");
        Ok(ExitCode::SUCCESS)
    })
}
