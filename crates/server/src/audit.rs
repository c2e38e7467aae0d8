//! `pulp-engine audit verify`: proves that no row of the audit log was altered or removed behind the server's back.

use std::fmt::Write as _;
use std::process::ExitCode;

use domain::TenantId;
use store::ChainReport;

use crate::cli::VerifyAudit;
use crate::config::Config;
use crate::database::Database;
use crate::error::ServerError;
use crate::serve::TIDY_UP;
use crate::{logs, print};

/// Checks the chains of all tenants, or of one. Exit code 0 when all are whole, 1 when one is not.
pub fn verify(config: &Config, wanted: &VerifyAudit) -> Result<ExitCode, ServerError> {
    logs::start(config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServerError::Runtime)?;
    runtime.block_on(async {
        let database = Database::start(config).await?;
        let reports = reports(&database, wanted).await;
        let stopped = database.stop(TIDY_UP).await;
        let reports = reports?;
        stopped?;
        print(&reports.iter().map(told).collect::<String>())?;
        let whole = reports.iter().all(|report| report.breaks.is_empty());
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

async fn reports(database: &Database, wanted: &VerifyAudit) -> Result<Vec<ChainReport>, ServerError> {
    let store = database.connect_alone().await?;
    let tenants: Vec<TenantId> = match &wanted.tenant {
        Some(tenant) => vec![tenant.clone()],
        None => store.audit_chains().await?,
    };
    let mut reports = Vec::with_capacity(tenants.len());
    for tenant in &tenants {
        reports.push(store.verify_audit_chain(tenant).await?);
    }
    store.close().await;
    Ok(reports)
}

fn told(report: &ChainReport) -> String {
    let mut text = String::new();
    let word = if report.breaks.is_empty() { "whole" } else { "BROKEN" };
    let _ = write!(text, "{}: {word}, {} rows to {}", report.tenant, report.rows, report.last_seq);
    if report.removed_through > 0 {
        let _ = write!(text, ", purged through {}", report.removed_through);
    }
    if report.blanked > 0 {
        let _ = write!(text, ", {} blanked", report.blanked);
    }
    let _ = writeln!(text, ", end {}", hex::encode(report.last_hash));
    for broken in &report.breaks {
        let _ = writeln!(text, "  {broken}");
    }
    text
}
