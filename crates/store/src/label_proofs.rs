//! Proofs of what moving labels would change: what was found, and which stored bytes are their pictures.

use domain::audit::AuditKind;
use domain::ids::LabelProofId;
use domain::label_proofs::{ProofOutcome, ProofPair};
use domain::labels::LabelName;
use domain::templates::TemplateKey;
use domain::{Actor, AuditEvent, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::Value;
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::hashes::hash_of;
use crate::page::{Page, bounds};
use crate::templates::{lock_template, numbers, version};
use crate::tenants::{TenantStore, tenant_ids};
use crate::write::Write;

/// A proof.
#[derive(Clone, PartialEq, Debug)]
pub struct LabelProofRecord {
    /// Names it.
    pub id: LabelProofId,
    /// Of which label.
    pub label: LabelName,
    /// From where to where.
    pub pair: ProofPair,
    /// What it says.
    pub outcome: ProofOutcome,
    /// Everything that was found; null in a list.
    pub findings: Value,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who asked for it.
    pub created_by: String,
}

/// What was found, with its pictures, whose bytes are kept already.
#[derive(Clone, Copy, Debug)]
pub struct NewLabelProof<'a> {
    /// Of which label.
    pub label: &'a LabelName,
    /// From where to where.
    pub pair: ProofPair,
    /// What it says.
    pub outcome: ProofOutcome,
    /// Everything that was found.
    pub findings: &'a Value,
    /// The pictures in the order of their numbers, from 1.
    pub pictures: &'a [ProofPicture],
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Where the bytes of a picture are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProofPicture {
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// How many there are.
    pub size_bytes: u64,
}

/// The proofs of one tenant.
pub struct LabelProofs<'a>(pub(crate) &'a TenantStore);

impl TenantStore {
    /// What moving labels would change, as it was found.
    pub fn label_proofs(&self) -> LabelProofs<'_> {
        LabelProofs(self)
    }
}

impl LabelProofs<'_> {
    /// Keeps a proof; `None` when the template is gone.
    pub async fn insert(&self, key: &TemplateKey, new: NewLabelProof<'_>, actor: &Actor) -> Result<Option<LabelProofRecord>, StoreError> {
        speak!(self.0.store, "label_proofs.insert", {
            let id = LabelProofId::generate();
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(None) };
            let ((base_major, base_minor, base_patch), (major, minor, patch)) = (numbers(new.pair.base)?, numbers(new.pair.candidate)?);
            let took_ms = i64::try_from(new.took_ms).unwrap_or(i64::MAX);
            let row = sqlx::query_as!(
                ProofRow,
                r#"INSERT INTO label_proofs (proof_id, template_id, tenant_id, label, base_major, base_minor, base_patch, major, minor,
                                             patch, outcome, findings, took_ms, created_at, created_by)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::json, $13, $14, $15)
                   RETURNING proof_id, label, base_major, base_minor, base_patch, major, minor, patch, outcome,
                             findings::text AS findings, took_ms, created_at, created_by"#,
                id.as_uuid(),
                template_id,
                self.0.tenant.as_str(),
                new.label.as_str(),
                base_major,
                base_minor,
                base_patch,
                major,
                minor,
                patch,
                new.outcome.as_str(),
                new.findings.to_string(),
                took_ms,
                self.0.store.now() as _,
                &*actor.name
            )
            .fetch_one(&mut *write)
            .await?;
            let hashes: Vec<Vec<u8>> = new.pictures.iter().map(|picture| picture.sha256.to_vec()).collect();
            let sizes: Vec<i64> = new.pictures.iter().map(|picture| i64::try_from(picture.size_bytes).unwrap_or(i64::MAX)).collect();
            sqlx::query!(
                "INSERT INTO label_proof_pictures (proof_id, tenant_id, number, sha256, size_bytes)
                 SELECT $1, $2, place::integer, sha256, size_bytes
                 FROM unnest($3::bytea[], $4::bigint[]) WITH ORDINALITY AS pictures (sha256, size_bytes, place)",
                id.as_uuid(),
                self.0.tenant.as_str(),
                &hashes,
                &sizes
            )
            .execute(&mut *write)
            .await?;
            let event = AuditEvent::new(AuditKind::TemplateLabelProven, key)
                .with("label", new.label.as_str())
                .with("proofId", id.to_string())
                .with("base", new.pair.base.to_string())
                .with("version", new.pair.candidate.to_string())
                .with("outcome", new.outcome.as_str());
            write.commit(event).await?;
            row.record().map(Some)
        })
        .await
    }

    /// One page of the proofs of a label, the newest first and without their findings; `None` when there is no such template.
    pub async fn list(
        &self,
        key: &TemplateKey,
        label: &LabelName,
        limit: u32,
        offset: u64,
    ) -> Result<Option<Page<LabelProofRecord>>, StoreError> {
        speak!(self.0.store, "label_proofs.list", {
            let (limit, offset) = bounds(limit, offset);
            let mut connection = self.0.store.acquire().await?;
            let total = sqlx::query_scalar!(
                r#"SELECT (SELECT count(*) FROM label_proofs p WHERE p.template_id = t.template_id AND p.label = $3) AS "count!"
                   FROM templates t WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL"#,
                self.0.tenant.as_str(),
                key.as_str(),
                label.as_str()
            );
            let Some(total) = total.fetch_optional(&mut *connection).await? else { return Ok(None) };
            let rows = sqlx::query_as!(
                ProofRow,
                r#"SELECT p.proof_id, p.label, p.base_major, p.base_minor, p.base_patch, p.major, p.minor, p.patch, p.outcome,
                          NULL::text AS findings, p.took_ms, p.created_at, p.created_by
                   FROM templates t JOIN label_proofs p USING (tenant_id, template_id)
                   WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL AND p.label = $3
                   ORDER BY p.place DESC LIMIT $4 OFFSET $5"#,
                self.0.tenant.as_str(),
                key.as_str(),
                label.as_str(),
                limit,
                offset
            )
            .fetch_all(&mut *connection)
            .await?;
            let items = rows.into_iter().map(ProofRow::record).collect::<Result<_, _>>()?;
            Ok(Some(Page { items, total: u64::try_from(total).unwrap_or(0) }))
        })
        .await
    }

    /// That proof of that label of that template.
    pub async fn get(&self, key: &TemplateKey, label: &LabelName, id: LabelProofId) -> Result<Option<LabelProofRecord>, StoreError> {
        speak!(self.0.store, "label_proofs.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                ProofRow,
                r#"SELECT p.proof_id, p.label, p.base_major, p.base_minor, p.base_patch, p.major, p.minor, p.patch, p.outcome,
                          p.findings::text AS findings, p.took_ms, p.created_at, p.created_by
                   FROM templates t JOIN label_proofs p USING (tenant_id, template_id)
                   WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL AND p.label = $3 AND p.proof_id = $4"#,
                self.0.tenant.as_str(),
                key.as_str(),
                label.as_str(),
                id.as_uuid()
            );
            row.fetch_optional(&mut *connection).await?.map(ProofRow::record).transpose()
        })
        .await
    }

    /// Where the bytes of a picture of that proof are.
    pub async fn picture(
        &self,
        key: &TemplateKey,
        label: &LabelName,
        id: LabelProofId,
        number: u32,
    ) -> Result<Option<ProofPicture>, StoreError> {
        speak!(self.0.store, "label_proofs.picture", {
            // A number that no column can hold is no picture.
            let Ok(number) = i32::try_from(number) else { return Ok(None) };
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query!(
                "SELECT i.sha256, i.size_bytes
                 FROM templates t JOIN label_proofs p USING (tenant_id, template_id) JOIN label_proof_pictures i USING (proof_id)
                 WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL AND p.label = $3 AND p.proof_id = $4
                   AND i.number = $5",
                self.0.tenant.as_str(),
                key.as_str(),
                label.as_str(),
                id.as_uuid(),
                number
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let size_bytes = u64::try_from(row.size_bytes).map_err(|error| StoreError::inconsistent("label_proof_pictures", error))?;
            Ok(Some(ProofPicture { sha256: hash_of("label_proof_pictures", &row.sha256)?, size_bytes }))
        })
        .await
    }

    /// Those of these hashes that a picture of the tenant has.
    pub async fn known(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError> {
        speak!(self.0.store, "label_proofs.known", {
            let wanted: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
            let mut connection = self.0.store.acquire().await?;
            let known = sqlx::query_scalar!(
                "SELECT DISTINCT sha256 FROM label_proof_pictures WHERE tenant_id = $1 AND sha256 = ANY ($2)",
                self.0.tenant.as_str(),
                &wanted
            )
            .fetch_all(&mut *connection)
            .await?;
            known.iter().map(|hash| hash_of("label_proof_pictures", hash)).collect()
        })
        .await
    }

    /// Removes up to `limit` proofs that were made before `cut_off`, the oldest first, in one transaction with an event that says
    /// how many; gives how many. Their pictures go when they are swept.
    pub async fn delete_before(&self, cut_off: Timestamp, limit: u32, actor: &Actor) -> Result<u64, StoreError> {
        speak!(self.0.store, "label_proofs.delete_before", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let removed = sqlx::query!(
                "DELETE FROM label_proofs WHERE proof_id IN (
                     SELECT proof_id FROM label_proofs WHERE tenant_id = $1 AND created_at < $2 ORDER BY created_at LIMIT $3)",
                self.0.tenant.as_str(),
                cut_off.to_sqlx() as _,
                i64::from(limit)
            )
            .execute(&mut *write)
            .await?
            .rows_affected();
            if removed > 0 {
                let event = AuditEvent::new(AuditKind::TemplateLabelProofsExpired, &self.0.tenant);
                write.commit(event.with("removed", removed).with("before", cut_off.to_string())).await?;
            }
            Ok(removed)
        })
        .await
    }
}

impl Store {
    /// The tenants that take changes and have proofs from before `cut_off`.
    pub async fn tenants_with_label_proofs_before(&self, cut_off: Timestamp) -> Result<Vec<TenantId>, StoreError> {
        speak!(self, "label_proofs.tenants", {
            let mut connection = self.acquire().await?;
            let ids = sqlx::query_scalar!(
                "SELECT tenant_id FROM tenants
                 WHERE status = 'active' AND EXISTS (
                     SELECT 1 FROM label_proofs p WHERE p.tenant_id = tenants.tenant_id AND p.created_at < $1)
                 ORDER BY tenant_id",
                cut_off.to_sqlx() as _
            )
            .fetch_all(&mut *connection)
            .await?;
            tenant_ids(ids)
        })
        .await
    }
}

struct ProofRow {
    proof_id: Uuid,
    label: String,
    base_major: i32,
    base_minor: i32,
    base_patch: i32,
    major: i32,
    minor: i32,
    patch: i32,
    outcome: String,
    findings: Option<String>,
    took_ms: i64,
    created_at: jiff_sqlx::Timestamp,
    created_by: String,
}

impl ProofRow {
    fn record(self) -> Result<LabelProofRecord, StoreError> {
        let wrong = |error: &dyn std::fmt::Display| StoreError::inconsistent("label_proofs", error.to_string());
        let findings = self.findings.as_deref().map(serde_json::from_str).transpose().map_err(|error| wrong(&error))?;
        Ok(LabelProofRecord {
            id: self.proof_id.into(),
            label: crate::labels::label(self.label)?,
            pair: ProofPair {
                base: version(self.base_major, self.base_minor, self.base_patch)?,
                candidate: version(self.major, self.minor, self.patch)?,
            },
            outcome: self.outcome.parse().map_err(|error| wrong(&error))?,
            findings: findings.unwrap_or_default(),
            took_ms: u64::try_from(self.took_ms).map_err(|error| wrong(&error))?,
            created_at: self.created_at.to_jiff(),
            created_by: self.created_by,
        })
    }
}
