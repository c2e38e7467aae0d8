//! Making the planned moves of labels when their time has come, each once, whichever replicas look after it.

use std::time::Duration;

use domain::audit::AuditKind;
use domain::ids::LabelEventId;
use domain::label_proofs::{MoveNote, ProofOutcome, ProofPair, ProvenPair};
use domain::labels::{LabelName, MAX_LABELS};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::{Actor, AuditEvent, TenantId};
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::label_events::{Applied, columns, optional_version};
use crate::labels::{Approval, Labels, label, labels_of, put, version_exists};
use crate::templates::key;
use crate::write::Write;

/// A move that is to come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingMove {
    /// Whose it is.
    pub tenant: TenantId,
    /// Names it.
    pub id: LabelEventId,
    /// How long until then; zero when its time has come. The earlier one of two clocks says so, this machine's and the
    /// database's, so that one that is ahead makes no move early.
    pub due_in: Duration,
}

/// What became of a planned move.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum DueOutcome {
    /// It was made.
    Applied {
        /// The template.
        key: TemplateKey,
        /// How long after its time.
        late_by: Duration,
    },
    /// It can never be made.
    Failed {
        /// Why.
        reason: String,
    },
    /// Another replica is at it or was before, one of the same label comes first, or it was called off.
    NotOurs,
}

impl Store {
    /// The planned moves that come next, at most `most`, of all tenants that take changes. Those of an archived tenant wait
    /// until it is active again.
    pub async fn next_label_moves(&self, most: u32) -> Result<Vec<PendingMove>, StoreError> {
        speak!(self, "labels.next_moves", {
            let mut connection = self.acquire().await?;
            let rows = sqlx::query!(
                r#"SELECT e.tenant_id, e.event_id,
                          GREATEST(extract(epoch FROM e.effective_at - LEAST(clock_timestamp(), $2)), 0)::float8 AS "due_in_s!"
                   FROM template_label_events e JOIN tenants t USING (tenant_id)
                   WHERE e.state = 'pending' AND t.status = 'active' ORDER BY e.effective_at, e.place LIMIT $1"#,
                i64::from(most),
                self.now() as _
            )
            .fetch_all(&mut *connection)
            .await?;
            let moves = rows.into_iter().map(|row| {
                let tenant = row.tenant_id.parse().map_err(|error| StoreError::inconsistent("template_label_events", error))?;
                let due_in = Duration::try_from_secs_f64(row.due_in_s).unwrap_or(Duration::MAX);
                Ok(PendingMove { tenant, id: row.event_id.into(), due_in })
            });
            moves.collect()
        })
        .await
    }
}

impl Labels<'_> {
    /// Makes a planned move whose time has come. The row of the move is the lock: of all replicas one gets it, and keeps it
    /// until label, history and audit log say the same.
    ///
    /// What callers of a protected label get now has to be what the move was proven from, or nothing is moved.
    pub async fn make_due(&self, id: LabelEventId, protected: &[LabelName], actor: &Actor) -> Result<DueOutcome, StoreError> {
        speak!(self.0.store, "labels.make_due", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(due) = self.claim(&mut write, id).await? else { return Ok(DueOutcome::NotOurs) };
            let label = label(due.label.clone())?;
            let version = optional_version(due.major, due.minor, due.patch)?
                .ok_or_else(|| StoreError::inconsistent("template_label_events", "a planned move without a version"))?;
            let template = sqlx::query!(
                "SELECT template_key, deleted_at IS NOT NULL AS \"in_trash!\" FROM templates
                 WHERE tenant_id = $1 AND template_id = $2 FOR NO KEY UPDATE",
                self.0.tenant.as_str(),
                due.template_id
            )
            .fetch_one(&mut *write)
            .await?;
            let key = key(template.template_key)?;
            let labels = labels_of(&mut write, due.template_id).await?;
            let before = labels.iter().find(|found| found.label == label);
            let split = before.and_then(|before| before.split.as_ref());
            let proven = due.proven(version)?;
            let note: Option<MoveNote> = due.note.as_deref().and_then(|note| note.parse().ok());
            let approval = Approval { protected, proofs: proven.as_slice(), note: note.as_ref() };
            let unproven = approval.missing(&labels, &label, version, split);
            let reason = if template.in_trash {
                Some("the template is in the trash".to_owned())
            } else if !version_exists(&mut write, due.template_id, version).await? {
                Some(format!("the template has no version {version} any more"))
            } else if before.is_none() && labels.len() >= MAX_LABELS {
                Some(format!("the template has {MAX_LABELS} labels already"))
            } else if let Some(pair) = unproven.first() {
                let proven =
                    proven.as_ref().map_or_else(|| "was not proven".to_owned(), |proven| format!("was proven from {}", proven.pair.base));
                Some(format!(
                    "the label \"{label}\" is protected: callers get {} now, and the move to {} {proven}",
                    pair.base, pair.candidate
                ))
            } else {
                None
            };
            if let Some(reason) = reason {
                self.fail(write, id, &key, label.as_str(), version, &reason).await?;
                return Ok(DueOutcome::Failed { reason });
            }
            let applied = Applied {
                template_id: due.template_id,
                label: &label,
                version: Some(version),
                previous: before.map(|before| before.version),
                split,
                because: approval.because(),
            };
            let moved_at = self.settle(&mut write, id, &applied, actor).await?;
            put(&mut write, self.0, &applied, moved_at, &due.created_by).await?;
            write.announce("template", key.as_str()).await?;
            let event = applied.told(AuditEvent::new(AuditKind::TemplateLabelMoved, &key), id);
            write.commit(event.with("scheduledBy", due.created_by).with("effectiveAt", due.effective_at.to_jiff().to_string())).await?;
            let late_by = moved_at.to_jiff().duration_since(due.effective_at.to_jiff());
            Ok(DueOutcome::Applied { key, late_by: Duration::try_from(late_by).unwrap_or_default() })
        })
        .await
    }

    /// Takes the row of a move, when it is due, nobody else has it, and none of the same label comes before it.
    async fn claim(&self, write: &mut Write<'_>, id: LabelEventId) -> Result<Option<DueRow>, StoreError> {
        let row = sqlx::query_as!(
            DueRow,
            "SELECT e.template_id, e.label, e.major, e.minor, e.patch, e.effective_at, e.created_by, e.note, e.proof_id, p.outcome AS \"outcome?\",
                    e.proven_major, e.proven_minor, e.proven_patch
             FROM template_label_events e LEFT JOIN label_proofs p USING (tenant_id, proof_id)
             WHERE e.tenant_id = $1 AND e.event_id = $2 AND e.state = 'pending' AND e.effective_at <= LEAST(clock_timestamp(), $3)
               AND NOT EXISTS (
                   SELECT FROM template_label_events o
                   WHERE o.template_id = e.template_id AND o.label = e.label AND o.state = 'pending'
                     AND (o.effective_at, o.place) < (e.effective_at, e.place))
             FOR UPDATE OF e SKIP LOCKED",
            self.0.tenant.as_str(),
            id.as_uuid(),
            self.0.store.now() as _
        );
        Ok(row.fetch_optional(&mut **write).await?)
    }

    /// Enters that the move is made; gives the moment.
    async fn settle(
        &self,
        write: &mut Write<'_>,
        id: LabelEventId,
        applied: &Applied<'_>,
        actor: &Actor,
    ) -> Result<jiff_sqlx::Timestamp, StoreError> {
        let (previous_major, previous_minor, previous_patch) = columns(applied.previous)?;
        let settled_at = sqlx::query_scalar!(
            r#"UPDATE template_label_events e
               SET state = 'applied', previous_major = $4, previous_minor = $5, previous_patch = $6, traffic_split = $7,
                   control_label = $8, settled_at = GREATEST($9, last.settled_at), settled_by = $10,
                   applied_place = COALESCE(last.applied_place, 0) + 1
               FROM (VALUES (1)) one LEFT JOIN (
                   SELECT settled_at, applied_place FROM template_label_events
                   WHERE template_id = $1 AND label = $2 AND state = 'applied' ORDER BY applied_place DESC LIMIT 1) last ON true
               WHERE e.event_id = $3 RETURNING e.settled_at AS "settled_at!: jiff_sqlx::Timestamp""#,
            applied.template_id,
            applied.label.as_str(),
            id.as_uuid(),
            previous_major,
            previous_minor,
            previous_patch,
            applied.split.map(|split| i16::from(split.percent.percent())),
            applied.split.map(|split| split.control.as_str()),
            self.0.store.now() as _,
            &*actor.name
        );
        Ok(settled_at.fetch_one(&mut **write).await?)
    }

    async fn fail(
        &self,
        mut write: Write<'_>,
        id: LabelEventId,
        key: &TemplateKey,
        label: &str,
        version: TemplateVersion,
        reason: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE template_label_events SET state = 'failed', settled_at = $2, reason = $3 WHERE event_id = $1",
            id.as_uuid(),
            self.0.store.now() as _,
            reason
        )
        .execute(&mut *write)
        .await?;
        let event = AuditEvent::new(AuditKind::TemplateLabelMoveFailed, key)
            .with("label", label)
            .with("version", version.to_string())
            .with("eventId", id.to_string())
            .with("reason", reason);
        write.commit(event).await
    }
}

struct DueRow {
    template_id: Uuid,
    label: String,
    major: Option<i32>,
    minor: Option<i32>,
    patch: Option<i32>,
    effective_at: jiff_sqlx::Timestamp,
    created_by: String,
    note: Option<String>,
    proof_id: Option<Uuid>,
    /// None when the proof is no longer kept.
    outcome: Option<String>,
    proven_major: Option<i32>,
    proven_minor: Option<i32>,
    proven_patch: Option<i32>,
}

impl DueRow {
    /// What the move to `candidate` was proven from.
    fn proven(&self, candidate: TemplateVersion) -> Result<Option<ProvenPair>, StoreError> {
        let base = optional_version(self.proven_major, self.proven_minor, self.proven_patch)?;
        let (Some(base), Some(proof)) = (base, self.proof_id) else { return Ok(None) };
        let word = self.outcome.as_deref().map(str::parse).transpose();
        let outcome = word.map_err(|error| StoreError::inconsistent("label_proofs", error))?;
        // Whoever planned the move answered for what the proof said then.
        let outcome = outcome.unwrap_or(if self.note.is_some() { ProofOutcome::Incomplete } else { ProofOutcome::Unchanged });
        Ok(Some(ProvenPair { pair: ProofPair { base, candidate }, proof: proof.into(), outcome }))
    }
}
