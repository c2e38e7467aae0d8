//! How many rows match a list, counted once for as long as nothing changes in the tenant: the end of its audit chain tells, as no
//! change commits without its event.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::TenantId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// Totals that are remembered; when there are more, all are counted anew.
const MOST: usize = 10_000;
/// Longer questions are not remembered, in bytes.
const LONGEST_QUESTION: usize = 500;

/// The totals that were counted lately.
#[derive(Default)]
pub(crate) struct Totals(Mutex<HashMap<(TenantId, String), (i64, u64)>>);

/// What is asked, and what is known.
pub(crate) struct Asked {
    question: (TenantId, String),
    version: i64,
    /// How many there are, where that is known.
    pub(crate) total: Option<u64>,
}

impl Totals {
    /// What is known of the rows of a tenant that `question` describes, its noun included.
    pub(crate) async fn ask(&self, connection: &mut PgConnection, tenant: &TenantId, question: String) -> Result<Asked, StoreError> {
        let version = version(connection, tenant).await?;
        let question = (tenant.clone(), question);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&question).copied();
        Ok(Asked { question, version, total: known.filter(|(of, _)| *of == version).map(|(_, total)| total) })
    }

    /// Remembers what was counted, unless something changed since it was asked for.
    pub(crate) async fn keep(&self, connection: &mut PgConnection, asked: Asked, total: u64) -> Result<u64, StoreError> {
        if asked.question.1.len() <= LONGEST_QUESTION && version(connection, &asked.question.0).await? == asked.version {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(asked.question, (asked.version, total));
        }
        Ok(total)
    }
}

async fn version(connection: &mut PgConnection, tenant: &TenantId) -> Result<i64, StoreError> {
    let version = sqlx::query_scalar("SELECT last_seq FROM audit_chains WHERE tenant_id = $1").bind(tenant.as_str());
    Ok(version.fetch_optional(connection).await?.unwrap_or(0))
}
