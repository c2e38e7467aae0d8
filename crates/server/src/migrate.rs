//! Brings the database to this version, for deployments that do it before the new servers start.

use std::process::ExitCode;

use store::MigrationReport;

use crate::config::Config;
use crate::database::Database;
use crate::error::ServerError;
use crate::serve::TIDY_UP;
use crate::{duties, logs};

/// Applies every migration that is missing.
pub fn migrate(config: &Config) -> Result<ExitCode, ServerError> {
    logs::start(config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServerError::Runtime)?;
    runtime.block_on(async {
        let database = Database::start(config).await?;
        let description = database.description.clone();
        let migrated = migrate_and_prepare(config, &database).await;
        let stopped = database.stop(TIDY_UP).await;
        let report = migrated?;
        stopped?;
        tracing::info!(applied = ?report.applied, schema = report.schema, storage = description, "the database is at this version");
        Ok(ExitCode::SUCCESS)
    })
}

async fn migrate_and_prepare(config: &Config, database: &Database) -> Result<MigrationReport, ServerError> {
    let report = database.migrate().await?;
    let store = database.connect_alone().await?;
    duties::prepare(&config.duties, &store).await;
    store.close().await;
    Ok(report)
}
