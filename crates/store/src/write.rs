//! A change of a tenant's rows: a transaction that cannot commit without saying in the audit log what it did. From there comes
//! also what others are told of it (`webhook_deliveries`).

use std::ops::{Deref, DerefMut};

use domain::audit::{ChainedRow, link};
use domain::ids::AuditEventId;
use domain::{Actor, AuditEvent};
use sqlx::{Connection as _, PgConnection, PgTransaction};

use crate::changes::announce;
use crate::connection::Connection;
use crate::error::StoreError;
use crate::hashes::hash_of;
use crate::idempotency_keys::hold;
use crate::tenants::TenantStore;
use crate::webhook_deliveries::enqueue_change;

/// Longer resource ids are cut (a CHECK of the table).
const RESOURCE_ID_CHARS: usize = 512;

/// Whether the tenant has to be active for the change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Needs {
    /// The tenant takes writes.
    ActiveTenant,
    /// The change is about the tenant itself or about its audit log, and happens to archived ones too.
    AnyTenant,
}

/// A transaction on the rows of one tenant on behalf of an actor. Dropping it rolls back.
pub(crate) struct Write<'a> {
    transaction: PgTransaction<'a>,
    handle: &'a TenantStore,
    actor: &'a Actor,
    needs: Needs,
}

impl<'a> Write<'a> {
    /// Begins a change. A tenant that is archived is noticed at the latest when it commits.
    pub(crate) async fn begin(connection: &'a mut Connection, handle: &'a TenantStore, actor: &'a Actor) -> Result<Self, StoreError> {
        Self::begin_on(connection, handle, actor, Needs::ActiveTenant).await
    }

    /// As [`Write::begin`], for what also happens to tenants that are archived.
    pub(crate) async fn begin_on(
        connection: &'a mut Connection,
        handle: &'a TenantStore,
        actor: &'a Actor,
        needs: Needs,
    ) -> Result<Self, StoreError> {
        let transaction = connection.begin().await?;
        Ok(Self { transaction, handle, actor, needs })
    }

    /// Tells every replica of the change when, and only if, this commits.
    pub(crate) async fn announce(&mut self, kind: &'static str, key: &str) -> Result<(), StoreError> {
        announce(&mut self.transaction, &self.handle.tenant, kind, key).await
    }

    /// As [`Write::announce`], of another tenant.
    pub(crate) async fn announce_of(&mut self, handle: &TenantStore, kind: &'static str, key: &str) -> Result<(), StoreError> {
        announce(&mut self.transaction, &handle.tenant, kind, key).await
    }

    /// Takes the end of the tenant's chain for this transaction; whoever else writes waits until it ends. Call it as
    /// late as possible, and only when the event needs to know its own place: [`Write::commit`] does it otherwise.
    pub(crate) async fn chain_end(&mut self) -> Result<ChainEnd, StoreError> {
        let end = chain_end(&mut self.transaction, self.handle, self.needs).await?;
        // Last of all locks: whoever would take the key over waits for this transaction, and then finds its event.
        if let Some(claim) = &self.actor.claim {
            hold(&mut self.transaction, claim).await?;
        }
        Ok(end)
    }

    /// Records one more change of this transaction, of this tenant or another. Where there are several tenants, call it in the
    /// order of their ids, or two transactions wait for each other.
    pub(crate) async fn record(&mut self, handle: &TenantStore, event: AuditEvent) -> Result<(), StoreError> {
        let end = chain_end(&mut self.transaction, handle, self.needs).await?;
        append(&mut self.transaction, handle, self.actor, end, event).await
    }

    /// Records the change and makes it true.
    pub(crate) async fn commit(mut self, event: AuditEvent) -> Result<(), StoreError> {
        let end = self.chain_end().await?;
        self.commit_at(end, event).await
    }

    /// As [`Write::commit`], at a place that was taken before.
    pub(crate) async fn commit_at(mut self, end: ChainEnd, event: AuditEvent) -> Result<(), StoreError> {
        append(&mut self.transaction, self.handle, self.actor, end, event).await?;
        self.transaction.commit().await?;
        self.handle.store.note_write(&self.handle.tenant);
        Ok(())
    }
}

/// The end of a tenant's chain, locked by the transaction that asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChainEnd {
    /// The place the next row gets.
    pub(crate) next_seq: i64,
    /// The link of the row before it.
    pub(crate) previous: domain::audit::ChainHash,
    occurred_at: jiff::Timestamp,
}

/// Takes the end of a tenant's chain, and refuses what the tenant does not take.
async fn chain_end(connection: &mut PgConnection, handle: &TenantStore, needs: Needs) -> Result<ChainEnd, StoreError> {
    let tenant = handle.tenant.as_str();
    let row = sqlx::query!("SELECT last_seq, last_hash, last_at FROM audit_chains WHERE tenant_id = $1 FOR UPDATE", tenant)
        .fetch_optional(&mut *connection)
        .await?
        .ok_or(StoreError::NoSuchTenant)?;
    // A statement of its own: one that waited for the chain sees every other row as it was before it waited.
    if needs == Needs::ActiveTenant {
        let status = sqlx::query_scalar!("SELECT status FROM tenants WHERE tenant_id = $1", tenant).fetch_optional(connection).await?;
        if status.ok_or(StoreError::NoSuchTenant)? != "active" {
            return Err(StoreError::TenantArchived);
        }
    }
    let occurred_at = handle.store.now().to_jiff().max(row.last_at.to_jiff());
    let previous = hash_of("audit_chains", &row.last_hash)?;
    Ok(ChainEnd { next_seq: row.last_seq + 1, previous, occurred_at })
}

/// Writes the next row of the chain.
async fn append(
    connection: &mut PgConnection,
    handle: &TenantStore,
    actor: &Actor,
    end: ChainEnd,
    event: AuditEvent,
) -> Result<(), StoreError> {
    enqueue_change(connection, &handle.store, &handle.tenant, actor, &event).await?;
    let event_id = AuditEventId::generate().as_uuid();
    let details = serde_json::Value::Object(event.details).to_string();
    let resource_id: String = event.resource_id.chars().take(RESOURCE_ID_CHARS).collect();
    let row = ChainedRow {
        tenant: &handle.tenant,
        seq: end.next_seq,
        event_id,
        occurred_at: end.occurred_at,
        event: event.kind.event(),
        operation: event.kind.operation(),
        resource_type: event.kind.resource_type(),
        resource_id: &resource_id,
        actor: &actor.name,
        scope: actor.scope.map(domain::Scope::as_str),
        request_id: actor.request_id.map(domain::ids::RequestId::as_uuid),
        instance_id: handle.store.instance_id(),
        details: &details,
    };
    let content = row.content_hash();
    let chain = link(&end.previous, &content);
    sqlx::query!(
        "WITH written AS (
             INSERT INTO audit_events (tenant_id, seq, event_id, occurred_at, event, operation, resource_type, resource_id,
                                       actor, scope, request_id, instance_id, details, content_hash, chain_hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::text::json, $14, $15))
         UPDATE audit_chains SET last_seq = $2, last_hash = $15, last_at = $4 WHERE tenant_id = $1",
        row.tenant.as_str(),
        row.seq,
        row.event_id,
        jiff_sqlx::ToSqlx::to_sqlx(row.occurred_at) as _,
        row.event,
        row.operation,
        row.resource_type,
        row.resource_id,
        row.actor,
        row.scope,
        row.request_id,
        row.instance_id,
        row.details,
        content.as_slice(),
        chain.as_slice()
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Deref for Write<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for Write<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}
