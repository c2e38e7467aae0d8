//! Datasets: what is known of data that was uploaded to be rendered from. Its bytes are elsewhere.

use domain::audit::AuditKind;
use domain::datasets::{DatasetId, DatasetLimits, DatasetsFull};
use domain::{Actor, AuditEvent, TenantId};
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::hashes::hash_of;
use crate::tenants::{TenantStore, tenant_ids};
use crate::write::{Needs, Write};

/// A dataset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemporaryDataset {
    /// Names it.
    pub id: DatasetId,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// How many bytes it has.
    pub size_bytes: u64,
    /// Who uploaded it.
    pub actor: String,
    /// When that was.
    pub created_at: Timestamp,
    /// The first moment at which it is there no more, but for open jobs that were submitted with it.
    pub expires_at: Timestamp,
}

/// A dataset whose bytes are in their place already.
#[derive(Clone, Copy, Debug)]
pub struct NewTemporaryDataset<'a> {
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// How many bytes it has, from 1.
    pub size_bytes: u64,
    /// How long it lives, in seconds.
    pub life_seconds: u32,
    /// The caller's key, 1–255 characters: the same upload under it is the same dataset.
    pub idempotency_key: Option<&'a str>,
}

/// How storing a dataset ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum TemporaryDatasetOutcome {
    /// It is stored.
    Stored(TemporaryDataset),
    /// It was stored before, under the same key.
    Repeated(TemporaryDataset),
    /// The tenant has no room for it; nothing was changed.
    Full(DatasetsFull),
    /// Something else was uploaded under the same key.
    KeyReused,
}

/// The datasets of one tenant.
pub struct TemporaryDatasets<'a>(pub(crate) &'a TenantStore);

impl TenantStore {
    /// Data that was uploaded to be rendered from.
    pub fn temporary_datasets(&self) -> TemporaryDatasets<'_> {
        TemporaryDatasets(self)
    }
}

impl TemporaryDatasets<'_> {
    /// Stores a dataset, where the tenant has room for it within `limits`.
    pub async fn insert(
        &self,
        new: NewTemporaryDataset<'_>,
        limits: DatasetLimits,
        actor: &Actor,
    ) -> Result<TemporaryDatasetOutcome, StoreError> {
        match self.try_insert(new, limits, actor).await {
            // Somebody was there with the key between our look and our insert.
            Err(StoreError::Conflict { what }) if what == "datasets_idempotency_key" => self.try_insert(new, limits, actor).await,
            outcome => outcome,
        }
    }

    async fn try_insert(
        &self,
        new: NewTemporaryDataset<'_>,
        limits: DatasetLimits,
        actor: &Actor,
    ) -> Result<TemporaryDatasetOutcome, StoreError> {
        speak!(self.0.store, "datasets.insert", {
            let mut connection = self.0.store.acquire().await?;
            if let Some(found) = self.repeated(&mut connection, new, actor).await? {
                return Ok(found);
            }
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            // The end of the chain is taken before the room is judged, so that two cannot both take the last of it.
            let end = write.chain_end().await?;
            if let Some(full) = self.fullness(&mut write, new, limits).await? {
                return Ok(TemporaryDatasetOutcome::Full(full));
            }
            self.free_key(&mut write, new, actor).await?;
            let now = self.0.store.now();
            let expires_at = now.to_jiff().checked_add(SignedDuration::from_secs(new.life_seconds.max(1).into()));
            let row = sqlx::query_as!(
                DatasetRow,
                "INSERT INTO datasets (dataset_id, tenant_id, sha256, size_bytes, actor, idempotency_key, ttl_seconds, created_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 RETURNING dataset_id, sha256, size_bytes, actor, created_at, expires_at",
                DatasetId::generate().as_uuid(),
                self.0.tenant.as_str(),
                new.sha256.as_slice(),
                i64::try_from(new.size_bytes).unwrap_or(i64::MAX),
                &*actor.name,
                new.idempotency_key,
                i32::try_from(new.life_seconds).unwrap_or(i32::MAX),
                now as _,
                expires_at.unwrap_or(Timestamp::MAX).to_sqlx() as _
            )
            .fetch_one(&mut *write)
            .await?;
            let record = row.record()?;
            let event = AuditEvent::new(AuditKind::TemporaryDatasetCreated, record.id)
                .with("sizeBytes", record.size_bytes)
                .with("sha256", hex::encode(record.sha256))
                .with("expiresAt", record.expires_at.to_string());
            write.commit_at(end, event).await?;
            Ok(TemporaryDatasetOutcome::Stored(record))
        })
        .await
    }

    /// The dataset that this upload led to before, or the refusal of another upload under its key.
    async fn repeated(
        &self,
        connection: &mut PgConnection,
        new: NewTemporaryDataset<'_>,
        actor: &Actor,
    ) -> Result<Option<TemporaryDatasetOutcome>, StoreError> {
        let Some(key) = new.idempotency_key else { return Ok(None) };
        let found = sqlx::query!(
            "SELECT dataset_id, sha256, size_bytes, actor, ttl_seconds, created_at, expires_at FROM datasets
             WHERE tenant_id = $1 AND actor = $2 AND idempotency_key = $3 AND expires_at > $4",
            self.0.tenant.as_str(),
            &*actor.name,
            key,
            self.0.store.now() as _
        )
        .fetch_optional(connection)
        .await?;
        let Some(found) = found else { return Ok(None) };
        if found.sha256 != new.sha256 || u32::try_from(found.ttl_seconds) != Ok(new.life_seconds) {
            return Ok(Some(TemporaryDatasetOutcome::KeyReused));
        }
        let row = DatasetRow {
            dataset_id: found.dataset_id,
            sha256: found.sha256,
            size_bytes: found.size_bytes,
            actor: found.actor,
            created_at: found.created_at,
            expires_at: found.expires_at,
        };
        Ok(Some(TemporaryDatasetOutcome::Repeated(row.record()?)))
    }

    /// A dataset whose time is over has nothing to give any more: its key is free for another one.
    async fn free_key(&self, write: &mut Write<'_>, new: NewTemporaryDataset<'_>, actor: &Actor) -> Result<(), StoreError> {
        let Some(key) = new.idempotency_key else { return Ok(()) };
        sqlx::query!(
            "UPDATE datasets SET idempotency_key = NULL
             WHERE tenant_id = $1 AND actor = $2 AND idempotency_key = $3 AND expires_at <= $4",
            self.0.tenant.as_str(),
            &*actor.name,
            key,
            self.0.store.now() as _
        )
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// Which limit the tenant would go over.
    async fn fullness(
        &self,
        connection: &mut PgConnection,
        new: NewTemporaryDataset<'_>,
        limits: DatasetLimits,
    ) -> Result<Option<DatasetsFull>, StoreError> {
        let held = sqlx::query!(
            r#"SELECT count(*) AS "count!", COALESCE(sum(size_bytes), 0)::bigint AS "bytes!"
               FROM datasets WHERE tenant_id = $1 AND expires_at > $2"#,
            self.0.tenant.as_str(),
            self.0.store.now() as _
        )
        .fetch_one(connection)
        .await?;
        if held.count >= i64::from(limits.most) {
            return Ok(Some(DatasetsFull::Number { most: limits.most }));
        }
        let bytes = u64::try_from(held.bytes).unwrap_or(u64::MAX).saturating_add(new.size_bytes);
        Ok((bytes > limits.most_bytes).then_some(DatasetsFull::Bytes { most_bytes: limits.most_bytes }))
    }

    /// A dataset whose time is not over.
    pub async fn get(&self, id: DatasetId) -> Result<Option<TemporaryDataset>, StoreError> {
        speak!(self.0.store, "datasets.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                DatasetRow,
                "SELECT dataset_id, sha256, size_bytes, actor, created_at, expires_at FROM datasets
                 WHERE tenant_id = $1 AND dataset_id = $2 AND expires_at > $3",
                self.0.tenant.as_str(),
                id.as_uuid(),
                self.0.store.now() as _
            );
            row.fetch_optional(&mut *connection).await?.map(DatasetRow::record).transpose()
        })
        .await
    }

    /// As [`TemporaryDatasets::get`], also when its time is over, as long as a job is open that was submitted with it.
    pub async fn get_for_job(&self, id: DatasetId) -> Result<Option<TemporaryDataset>, StoreError> {
        speak!(self.0.store, "datasets.get_for_job", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                DatasetRow,
                "SELECT dataset_id, sha256, size_bytes, actor, created_at, expires_at FROM datasets
                 WHERE tenant_id = $1 AND dataset_id = $2
                   AND (expires_at > $3 OR EXISTS (
                       SELECT FROM jobs j WHERE j.tenant_id = $1 AND j.datasets @> ARRAY[$2::uuid] AND j.datasets <> '{}'
                                            AND j.status IN ('pending', 'processing')))",
                self.0.tenant.as_str(),
                id.as_uuid(),
                self.0.store.now() as _
            );
            row.fetch_optional(&mut *connection).await?.map(DatasetRow::record).transpose()
        })
        .await
    }

    /// Removes a dataset, also from under jobs that wait; says whether there was one. Its bytes go when stored files are swept.
    pub async fn delete(&self, id: DatasetId, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "datasets.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let removed = sqlx::query!(
                "DELETE FROM datasets WHERE tenant_id = $1 AND dataset_id = $2 AND expires_at > $3 RETURNING size_bytes, sha256",
                self.0.tenant.as_str(),
                id.as_uuid(),
                self.0.store.now() as _
            );
            let Some(removed) = removed.fetch_optional(&mut *write).await? else { return Ok(false) };
            let event = AuditEvent::new(AuditKind::TemporaryDatasetDeleted, id)
                .with("sizeBytes", removed.size_bytes)
                .with("sha256", hex::encode(&removed.sha256));
            write.commit(event).await?;
            Ok(true)
        })
        .await
    }

    /// Those of these hashes that a dataset of the tenant has.
    pub async fn known(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError> {
        speak!(self.0.store, "datasets.known", {
            let wanted: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
            let mut connection = self.0.store.acquire().await?;
            let known = sqlx::query_scalar!(
                "SELECT DISTINCT sha256 FROM datasets WHERE tenant_id = $1 AND sha256 = ANY ($2)",
                self.0.tenant.as_str(),
                &wanted
            )
            .fetch_all(&mut *connection)
            .await?;
            known.iter().map(|hash| hash_of("datasets", hash)).collect()
        })
        .await
    }

    /// Removes up to `limit` datasets whose time was over at `moment` and that no open job was submitted with, the oldest first,
    /// in one transaction with an event that says how many; gives how many. Their time is a promise, so it also ends in
    /// archived tenants.
    pub async fn delete_expired(&self, moment: Timestamp, limit: u32, actor: &Actor) -> Result<u64, StoreError> {
        speak!(self.0.store, "datasets.delete_expired", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let removed = sqlx::query!(
                "DELETE FROM datasets WHERE dataset_id IN (
                     SELECT d.dataset_id FROM datasets d
                     WHERE d.tenant_id = $1 AND d.expires_at <= $2
                       AND NOT EXISTS (SELECT FROM jobs j WHERE j.tenant_id = $1 AND j.datasets @> ARRAY[d.dataset_id]
                                                            AND j.datasets <> '{}' AND j.status IN ('pending', 'processing'))
                     ORDER BY d.expires_at LIMIT $3)",
                self.0.tenant.as_str(),
                moment.to_sqlx() as _,
                i64::from(limit)
            )
            .execute(&mut *write)
            .await?
            .rows_affected();
            if removed > 0 {
                let event = AuditEvent::new(AuditKind::TemporaryDatasetsExpired, &self.0.tenant);
                write.commit(event.with("removed", removed).with("before", moment.to_string())).await?;
            }
            Ok(removed)
        })
        .await
    }
}

impl Store {
    /// The tenants that have datasets whose time was over at `moment`.
    pub async fn tenants_with_expired_datasets(&self, moment: Timestamp) -> Result<Vec<TenantId>, StoreError> {
        speak!(self, "datasets.tenants", {
            let mut connection = self.acquire().await?;
            let ids = sqlx::query_scalar!(
                "SELECT tenant_id FROM tenants
                 WHERE EXISTS (SELECT FROM datasets d WHERE d.tenant_id = tenants.tenant_id AND d.expires_at <= $1)
                 ORDER BY tenant_id",
                moment.to_sqlx() as _
            )
            .fetch_all(&mut *connection)
            .await?;
            tenant_ids(ids)
        })
        .await
    }
}

struct DatasetRow {
    dataset_id: Uuid,
    sha256: Vec<u8>,
    size_bytes: i64,
    actor: String,
    created_at: jiff_sqlx::Timestamp,
    expires_at: jiff_sqlx::Timestamp,
}

impl DatasetRow {
    fn record(self) -> Result<TemporaryDataset, StoreError> {
        Ok(TemporaryDataset {
            id: self.dataset_id.into(),
            sha256: hash_of("datasets", &self.sha256)?,
            size_bytes: u64::try_from(self.size_bytes)
                .map_err(|_| StoreError::inconsistent("datasets", "size_bytes is negative".to_owned()))?,
            actor: self.actor,
            created_at: self.created_at.to_jiff(),
            expires_at: self.expires_at.to_jiff(),
        })
    }
}
