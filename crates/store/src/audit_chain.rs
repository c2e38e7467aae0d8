//! Proof that a tenant's audit log is whole: every link is computed again.

use domain::TenantId;
use domain::audit::{AuditKind, ChainHash, ChainedRow, GENESIS, link};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;

/// Rows read at a time.
const BATCH: i64 = 2_000;
/// More breaks than this are counted and not told.
const TOLD_BREAKS: usize = 20;

/// What the check of one chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainReport {
    /// Whose chain.
    pub tenant: TenantId,
    /// Rows that were checked.
    pub rows: u64,
    /// Rows that were blanked on purpose.
    pub blanked: u64,
    /// The newest place that was removed on purpose; zero when none was.
    pub removed_through: i64,
    /// The end of the chain: keep it elsewhere, and a rewritten log shows as well.
    pub last_seq: i64,
    /// The link at the end of the chain.
    pub last_hash: ChainHash,
    /// What is wrong, in the order of the chain.
    pub breaks: Vec<String>,
}

impl Store {
    /// Every tenant that has an audit log, by id.
    pub async fn audit_chains(&self) -> Result<Vec<TenantId>, StoreError> {
        speak!(self, "audit_chain.list", {
            let mut connection = self.acquire().await?;
            let ids = sqlx::query_scalar!("SELECT tenant_id FROM audit_chains ORDER BY tenant_id").fetch_all(&mut *connection).await?;
            ids.into_iter().map(|id| id.parse().map_err(|error| StoreError::inconsistent("audit_chains", error))).collect()
        })
        .await
    }

    /// Computes every link of a tenant's audit log again. Rows that are written meanwhile are left to the next check.
    pub async fn verify_audit_chain(&self, tenant: &TenantId) -> Result<ChainReport, StoreError> {
        let mut walk = Walk::new(tenant);
        let end = self.chain_row(tenant).await?;
        walk.begin(&end);
        loop {
            let rows = self.chained_rows(tenant, walk.seq, end.last_seq).await?;
            let Some(last) = rows.last() else { break };
            let last = last.seq;
            for row in &rows {
                walk.step(row);
            }
            walk.seq = last;
        }
        Ok(walk.finish(&end))
    }

    async fn chain_row(&self, tenant: &TenantId) -> Result<ChainRow, StoreError> {
        speak!(self, "audit_chain.get", {
            let mut connection = self.acquire().await?;
            let row = sqlx::query_as!(
                ChainRow,
                "SELECT last_seq, last_hash, removed_seq, removed_hash FROM audit_chains WHERE tenant_id = $1",
                tenant.as_str()
            );
            row.fetch_optional(&mut *connection).await?.ok_or(StoreError::NoSuchTenant)
        })
        .await
    }

    async fn chained_rows(&self, tenant: &TenantId, after: i64, through: i64) -> Result<Vec<EventRow>, StoreError> {
        speak!(self, "audit_chain.rows", {
            let mut connection = self.acquire().await?;
            rows(&mut connection, tenant, after, through).await
        })
        .await
    }
}

async fn rows(connection: &mut PgConnection, tenant: &TenantId, after: i64, through: i64) -> Result<Vec<EventRow>, StoreError> {
    Ok(sqlx::query_as!(
        EventRow,
        r#"SELECT seq, event_id, occurred_at, event, operation, resource_type, resource_id, actor, scope, request_id, instance_id,
                  details::text AS "details!", content_hash, chain_hash, blanked_by
           FROM audit_events WHERE tenant_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"#,
        tenant.as_str(),
        after,
        through,
        BATCH
    )
    .fetch_all(connection)
    .await?)
}

struct ChainRow {
    last_seq: i64,
    last_hash: Vec<u8>,
    removed_seq: i64,
    removed_hash: Vec<u8>,
}

struct EventRow {
    seq: i64,
    event_id: Uuid,
    occurred_at: jiff_sqlx::Timestamp,
    event: String,
    operation: String,
    resource_type: String,
    resource_id: String,
    actor: String,
    scope: Option<String>,
    request_id: Option<Uuid>,
    instance_id: String,
    details: String,
    content_hash: Vec<u8>,
    chain_hash: Vec<u8>,
    blanked_by: Option<i64>,
}

impl EventRow {
    fn content_hash(&self, tenant: &TenantId) -> ChainHash {
        ChainedRow {
            tenant,
            seq: self.seq,
            event_id: self.event_id,
            occurred_at: self.occurred_at.to_jiff(),
            event: &self.event,
            operation: &self.operation,
            resource_type: &self.resource_type,
            resource_id: &self.resource_id,
            actor: &self.actor,
            scope: self.scope.as_deref(),
            request_id: self.request_id,
            instance_id: &self.instance_id,
            details: &self.details,
        }
        .content_hash()
    }
}

/// One pass along a chain.
struct Walk<'a> {
    tenant: &'a TenantId,
    seq: i64,
    previous: Option<ChainHash>,
    rows: u64,
    /// Blanked rows, by the place of the event that has to account for them.
    blanked: std::collections::BTreeMap<i64, u64>,
    accounted: std::collections::BTreeMap<i64, u64>,
    /// What the purges say of the newest row they removed.
    removals: Vec<(i64, String)>,
    /// The newest row that a purge of the tenant itself takes away, some rows at a time: it accounts for each beginning of that,
    /// and the links of the rows that are still there lead up to it.
    purged_through: i64,
    breaks: Vec<String>,
    untold: usize,
}

impl<'a> Walk<'a> {
    fn new(tenant: &'a TenantId) -> Self {
        Self {
            tenant,
            seq: 0,
            previous: Some(GENESIS),
            rows: 0,
            blanked: std::collections::BTreeMap::default(),
            accounted: std::collections::BTreeMap::default(),
            removals: Vec::new(),
            purged_through: 0,
            breaks: Vec::new(),
            untold: 0,
        }
    }

    fn begin(&mut self, end: &ChainRow) {
        self.seq = end.removed_seq;
        self.previous = end.removed_hash.as_slice().try_into().ok();
    }

    fn broken(&mut self, what: String) {
        if self.breaks.len() < TOLD_BREAKS { self.breaks.push(what) } else { self.untold += 1 }
    }

    fn step(&mut self, row: &EventRow) {
        self.rows += 1;
        let expected = self.seq + 1;
        if row.seq != expected {
            self.broken(format!("rows {expected} to {} are missing", row.seq - 1));
            // Where it goes on is unknown: the row's own link has to do.
            self.previous = None;
        }
        let content: Option<ChainHash> = row.content_hash.as_slice().try_into().ok();
        match row.blanked_by {
            Some(by) => *self.blanked.entry(by).or_default() += 1,
            None if content != Some(row.content_hash(self.tenant)) => {
                self.broken(format!("row {} ({} of {}) was altered", row.seq, row.event, row.resource_id));
            }
            None => self.note(row),
        }
        if let (Some(previous), Some(content)) = (self.previous, content)
            && link(&previous, &content).as_slice() != row.chain_hash.as_slice()
        {
            self.broken(format!("row {} does not follow the row before it", row.seq));
        }
        self.previous = row.chain_hash.as_slice().try_into().ok();
        self.seq = row.seq;
    }

    /// Remembers what a purge says of itself.
    fn note(&mut self, row: &EventRow) {
        let accounts = [AuditKind::AuditPurged, AuditKind::AuditExpired, AuditKind::TenantPurged];
        if !accounts.iter().any(|kind| kind.event() == row.event) {
            return;
        }
        let details: serde_json::Value = serde_json::from_str(&row.details).unwrap_or_default();
        if let Some(count) = details["blanked"].as_u64() {
            self.accounted.insert(row.seq, count);
        }
        if let (Some(seq), Some(hash)) = (details["throughSeq"].as_i64(), details["throughHash"].as_str()) {
            self.removals.push((seq, hash.to_owned()));
            if let Some(missing) = details["missing"].as_i64() {
                self.broken(format!("of the rows that were removed up to {seq}, {missing} were missing before"));
            }
            if row.event == AuditKind::TenantPurged.event() {
                self.purged_through = self.purged_through.max(seq);
            }
        }
    }

    fn finish(mut self, end: &ChainRow) -> ChainReport {
        if self.seq != end.last_seq {
            self.broken(format!("rows {} to {} are missing at the end", self.seq + 1, end.last_seq));
        } else if self.previous.as_ref().map(<[u8; 32]>::as_slice) != Some(end.last_hash.as_slice()) {
            self.broken("the end of the chain is not the last row's link".to_owned());
        }
        let removal = (end.removed_seq, hex::encode(&end.removed_hash));
        if end.removed_seq > 0 && end.removed_seq >= self.purged_through && !self.removals.contains(&removal) {
            self.broken(format!("rows 1 to {} are gone and no purge accounts for them", end.removed_seq));
        }
        let blanked = std::mem::take(&mut self.blanked);
        for (by, count) in &blanked {
            // Of those that were blanked together, the oldest may have been removed since.
            let told = self.accounted.get(by).copied().unwrap_or(0);
            if *count > told || (*count < told && end.removed_seq == 0) {
                self.broken(format!("{count} rows were blanked in the name of row {by}, which does not account for them"));
            }
        }
        if self.untold > 0 {
            self.breaks.push(format!("and {} more", self.untold));
        }
        ChainReport {
            tenant: self.tenant.clone(),
            rows: self.rows,
            blanked: blanked.values().sum(),
            removed_through: end.removed_seq,
            last_seq: end.last_seq,
            last_hash: end.last_hash.as_slice().try_into().unwrap_or(GENESIS),
            breaks: self.breaks,
        }
    }
}
