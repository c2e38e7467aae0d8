//! The history of labels, what they were at a moment, and the moves that are to come.

use domain::audit::AuditKind;
use domain::ids::{LabelEventId, LabelProofId};
use domain::label_proofs::{MoveNote, ProofPair, ProvenPair};
use domain::labels::{LabelAct, LabelEventState, LabelName, MAX_PENDING_MOVES};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::labels::{Approval, LabelSplit, Labels, label, labels_of, split, version_exists};
use crate::page::{Page, bounds};
use crate::templates::{lock_template, numbers, version};
use crate::tenants::TenantStore;
use crate::write::Write;

/// One act on a label: done, to come, called off or failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelEvent {
    /// Names it.
    pub id: LabelEventId,
    /// Which label.
    pub label: LabelName,
    /// What has become of it.
    pub state: LabelEventState,
    /// The version that the label has afterwards; none where it was removed.
    pub version: Option<TemplateVersion>,
    /// The version it had before; none where it was new, and before it happened.
    pub previous: Option<TemplateVersion>,
    /// The split that the label has afterwards.
    pub split: Option<LabelSplit>,
    /// When it was to happen; for what happened at once, when it was asked for.
    pub effective_at: Timestamp,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Who asked.
    pub created_by: String,
    /// When it happened, was called off or failed.
    pub settled_at: Option<Timestamp>,
    /// Who did that.
    pub settled_by: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether it took a move back.
    pub act: LabelAct,
    /// Why it was asked for.
    pub note: Option<String>,
    /// The proof that it rests on. Proofs are not kept for ever.
    pub proof: Option<LabelProofId>,
}

/// What a label was at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LabelThen {
    /// It led there.
    Was {
        /// The version.
        version: TemplateVersion,
        /// Who got another one.
        split: Option<LabelSplit>,
    },
    /// It had been removed.
    Removed,
    /// It was made later, or what it was is no longer known.
    NotYet {
        /// When it was made, or when what is known of it begins.
        made_at: Timestamp,
    },
    /// It never was.
    Never,
}

/// How planning a move ended. But for the first, nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum ScheduleOutcome {
    /// It will be made.
    Written(Box<LabelEvent>),
    /// There is no such template.
    TemplateNotFound,
    /// The template has no such version.
    VersionNotFound,
    /// As many moves are to come as may.
    TooMany,
    /// The label is protected, and this is not proven.
    Unproven {
        /// What has to be.
        needed: Vec<ProofPair>,
    },
}

/// How calling off a move ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum CancelOutcome {
    /// It will not be made.
    Written(Box<LabelEvent>),
    /// There is no such move of that label.
    NotFound,
    /// It was too late for that; nothing was changed.
    NotPending {
        /// What has become of it.
        state: LabelEventState,
    },
}

impl Labels<'_> {
    /// One page of what happened to a label and what is to come, the newest entry first; `None` when there is no such template.
    /// A label that never was has no history.
    pub async fn history(
        &self,
        key: &TemplateKey,
        label: &LabelName,
        state: Option<LabelEventState>,
        limit: u32,
        offset: u64,
    ) -> Result<Option<Page<LabelEvent>>, StoreError> {
        speak!(self.0.store, "labels.history", {
            let (limit, offset) = bounds(limit, offset);
            let mut connection = self.0.store.acquire().await?;
            let template = sqlx::query_scalar!(
                "SELECT template_id FROM templates WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL",
                self.0.tenant.as_str(),
                key.as_str()
            );
            let Some(template_id) = template.fetch_optional(&mut *connection).await? else { return Ok(None) };
            let state = state.map(LabelEventState::as_str);
            let rows = sqlx::query_as!(
                EventRow,
                "SELECT event_id, label, state, major, minor, patch, previous_major, previous_minor, previous_patch, traffic_split,
                        control_label, effective_at, created_at, created_by, settled_at, settled_by, reason, act, note, proof_id
                 FROM template_label_events WHERE template_id = $1 AND label = $2 AND ($3::text IS NULL OR state = $3)
                 ORDER BY place DESC LIMIT $4 OFFSET $5",
                template_id,
                label.as_str(),
                state,
                limit,
                offset
            )
            .fetch_all(&mut *connection)
            .await?;
            let known = Page::<LabelEvent>::total_from_its_end(rows.len(), limit, offset);
            let total = if let Some(total) = known {
                total
            } else {
                let count = sqlx::query_scalar!(
                    r#"SELECT count(*) AS "count!" FROM template_label_events
                       WHERE template_id = $1 AND label = $2 AND ($3::text IS NULL OR state = $3)"#,
                    template_id,
                    label.as_str(),
                    state
                );
                u64::try_from(count.fetch_one(&mut *connection).await?).unwrap_or(0)
            };
            let items = rows.into_iter().map(LabelEvent::try_from).collect::<Result<_, _>>()?;
            Ok(Some(Page { items, total }))
        })
        .await
    }

    /// What a label was at a moment; `None` when there is no such template.
    pub async fn at(&self, key: &TemplateKey, label: &LabelName, moment: Timestamp) -> Result<Option<LabelThen>, StoreError> {
        speak!(self.0.store, "labels.at", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query!(
                r#"SELECT past.applied_place AS "place?", past.major AS "major?", past.minor AS "minor?", past.patch AS "patch?",
                          past.traffic_split AS "traffic_split?", past.control_label AS "control_label?",
                          (SELECT settled_at FROM template_label_events f
                           WHERE f.template_id = t.template_id AND f.label = $3 AND f.state = 'applied'
                           ORDER BY f.applied_place LIMIT 1)
                          AS "made_at?: jiff_sqlx::Timestamp"
                   FROM templates t LEFT JOIN LATERAL (
                       SELECT applied_place, major, minor, patch, traffic_split, control_label FROM template_label_events e
                       WHERE e.template_id = t.template_id AND e.label = $3 AND e.state = 'applied' AND e.settled_at <= $4
                       ORDER BY e.applied_place DESC LIMIT 1) past ON true
                   WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL"#,
                self.0.tenant.as_str(),
                key.as_str(),
                label.as_str(),
                moment.to_sqlx() as _
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let then = optional_version(row.major, row.minor, row.patch)?;
            Ok(Some(match (row.place, then, row.made_at) {
                (Some(_), Some(version), _) => LabelThen::Was { version, split: split(row.traffic_split, row.control_label)? },
                (Some(_), None, _) => LabelThen::Removed,
                (None, _, Some(made_at)) => LabelThen::NotYet { made_at: made_at.to_jiff() },
                (None, ..) => LabelThen::Never,
            }))
        })
        .await
    }

    /// Plans a move of a label: at `effective_at` it gets that version, and keeps its split. A label that does not exist by then
    /// is made.
    pub async fn schedule(
        &self,
        key: &TemplateKey,
        label: &LabelName,
        version: TemplateVersion,
        effective_at: Timestamp,
        approval: Approval<'_>,
        actor: &Actor,
    ) -> Result<ScheduleOutcome, StoreError> {
        speak!(self.0.store, "labels.schedule", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(ScheduleOutcome::TemplateNotFound) };
            if !version_exists(&mut write, template_id, version).await? {
                return Ok(ScheduleOutcome::VersionNotFound);
            }
            let labels = labels_of(&mut write, template_id).await?;
            let before = labels.iter().find(|found| found.label == *label);
            let split = before.and_then(|before| before.split.as_ref());
            let needed = approval.missing(&labels, label, version, split);
            if !needed.is_empty() {
                return Ok(ScheduleOutcome::Unproven { needed });
            }
            let waiting = sqlx::query_scalar!(
                r#"SELECT count(*) AS "count!" FROM template_label_events WHERE template_id = $1 AND state = 'pending'"#,
                template_id
            );
            if usize::try_from(waiting.fetch_one(&mut *write).await?).is_ok_and(|waiting| waiting >= MAX_PENDING_MOVES) {
                return Ok(ScheduleOutcome::TooMany);
            }
            let (major, minor, patch) = numbers(version)?;
            let proven = approval.proofs.iter().find(|proven| proven.pair.candidate == version);
            let (proven_major, proven_minor, proven_patch) = columns(proven.map(|proven| proven.pair.base))?;
            let row = sqlx::query_as!(
                EventRow,
                "INSERT INTO template_label_events (event_id, template_id, tenant_id, label, state, major, minor, patch, effective_at,
                                                    created_at, created_by, note, proof_id, proven_major, proven_minor, proven_patch)
                 VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                 RETURNING event_id, label, state, major, minor, patch, previous_major, previous_minor, previous_patch, traffic_split,
                           control_label, effective_at, created_at, created_by, settled_at, settled_by, reason, act, note, proof_id",
                LabelEventId::generate().as_uuid(),
                template_id,
                self.0.tenant.as_str(),
                label.as_str(),
                major,
                minor,
                patch,
                effective_at.to_sqlx() as _,
                self.0.store.now() as _,
                &*actor.name,
                approval.note.map(MoveNote::as_str),
                proven.map(|proven| proven.proof.as_uuid()),
                proven_major,
                proven_minor,
                proven_patch
            )
            .fetch_one(&mut *write)
            .await?;
            let planned = LabelEvent::try_from(row)?;
            let event = AuditEvent::new(AuditKind::TemplateLabelScheduled, key)
                .with("label", label.as_str())
                .with("version", version.to_string())
                .with("effectiveAt", planned.effective_at.to_string())
                .with("eventId", planned.id.to_string());
            write.commit(approval.because().told(event)).await?;
            Ok(ScheduleOutcome::Written(Box::new(planned)))
        })
        .await
    }

    /// Calls a planned move off, if its time has not come.
    pub async fn cancel(&self, key: &TemplateKey, label: &LabelName, id: LabelEventId, actor: &Actor) -> Result<CancelOutcome, StoreError> {
        speak!(self.0.store, "labels.cancel", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            // Waits for a replica that is just making the move, and then finds it made.
            let row = sqlx::query_as!(
                EventRow,
                "UPDATE template_label_events e SET state = 'cancelled', settled_at = $5, settled_by = $6
                 FROM templates t
                 WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL
                   AND e.template_id = t.template_id AND e.label = $3 AND e.event_id = $4 AND e.state = 'pending'
                 RETURNING e.event_id, e.label, e.state, e.major, e.minor, e.patch, e.previous_major, e.previous_minor,
                           e.previous_patch, e.traffic_split, e.control_label, e.effective_at, e.created_at, e.created_by,
                           e.settled_at, e.settled_by, e.reason, e.act, e.note, e.proof_id",
                self.0.tenant.as_str(),
                key.as_str(),
                label.as_str(),
                id.as_uuid(),
                self.0.store.now() as _,
                &*actor.name
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else {
                let state = sqlx::query_scalar!(
                    "SELECT e.state FROM templates t JOIN template_label_events e USING (tenant_id, template_id)
                     WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL AND e.label = $3 AND e.event_id = $4",
                    self.0.tenant.as_str(),
                    key.as_str(),
                    label.as_str(),
                    id.as_uuid()
                );
                let state = state.fetch_optional(&mut *write).await?.map(|word| state_of(&word)).transpose()?;
                return Ok(state.map_or(CancelOutcome::NotFound, |state| CancelOutcome::NotPending { state }));
            };
            let cancelled = LabelEvent::try_from(row)?;
            let event = AuditEvent::new(AuditKind::TemplateLabelScheduleCancelled, key)
                .with("label", label.as_str())
                .with("eventId", id.to_string())
                .with("effectiveAt", cancelled.effective_at.to_string());
            write.commit(event).await?;
            Ok(CancelOutcome::Written(Box::new(cancelled)))
        })
        .await
    }
}

/// What happens to a label now.
pub(crate) struct Applied<'a> {
    pub(crate) template_id: Uuid,
    pub(crate) label: &'a LabelName,
    /// None removes it.
    pub(crate) version: Option<TemplateVersion>,
    pub(crate) previous: Option<TemplateVersion>,
    pub(crate) split: Option<&'a LabelSplit>,
    pub(crate) because: Because<'a>,
}

/// Why something happens to a label, and what it rests on.
#[derive(Clone, Copy)]
pub(crate) struct Because<'a> {
    pub(crate) act: LabelAct,
    pub(crate) note: Option<&'a MoveNote>,
    pub(crate) proofs: &'a [ProvenPair],
}

impl Because<'_> {
    /// The audit event with it.
    pub(crate) fn told(&self, mut event: AuditEvent) -> AuditEvent {
        if let Some(note) = self.note {
            event = event.with("note", note.as_str());
        }
        // The worst one is the one that somebody answers for.
        if let Some(proven) = self.proofs.iter().max_by_key(|proven| proven.outcome) {
            event = event
                .with("proofId", proven.proof.to_string())
                .with("proofOutcome", proven.outcome.as_str())
                .with("forced", proven.outcome.needs_approval());
        }
        if self.proofs.len() > 1 {
            event = event.with("proofIds", self.proofs.iter().map(|proven| proven.proof.to_string()).collect::<Vec<_>>());
        }
        event
    }
}

impl Applied<'_> {
    /// The audit event with what happened.
    pub(crate) fn told(&self, event: AuditEvent, id: LabelEventId) -> AuditEvent {
        let word = |version: Option<TemplateVersion>| version.map(|version| version.to_string());
        let event = event
            .with("label", self.label.as_str())
            .with("version", word(self.version))
            .with("previousVersion", word(self.previous))
            .with("eventId", id.to_string());
        let event = self.because.told(event);
        match self.split {
            None => event,
            Some(split) => event.with("trafficSplit", split.percent.percent()).with("controlLabel", split.control.as_str()),
        }
    }
}

/// Enters something that happens to a label in this moment; gives the moment, which is never before the last one. The
/// template is locked.
pub(crate) async fn insert_applied(
    connection: &mut PgConnection,
    handle: &TenantStore,
    applied: &Applied<'_>,
    actor: &Actor,
) -> Result<(LabelEventId, jiff_sqlx::Timestamp), StoreError> {
    let id = LabelEventId::generate();
    let (major, minor, patch) = columns(applied.version)?;
    let (previous_major, previous_minor, previous_patch) = columns(applied.previous)?;
    let settled_at = sqlx::query_scalar!(
        r#"INSERT INTO template_label_events (event_id, template_id, tenant_id, label, state, major, minor, patch, previous_major,
                                              previous_minor, previous_patch, traffic_split, control_label, effective_at, created_at,
                                              created_by, settled_at, settled_by, applied_place, act, note, proof_id)
           SELECT $1, $2, $3, $4, 'applied', $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14,
                  GREATEST($13, last.settled_at), $14, COALESCE(last.applied_place, 0) + 1, $15, $16, $17
           FROM (VALUES (1)) one LEFT JOIN (
               SELECT settled_at, applied_place FROM template_label_events
               WHERE template_id = $2 AND label = $4 AND state = 'applied' ORDER BY applied_place DESC LIMIT 1) last ON true
           RETURNING settled_at AS "settled_at!: jiff_sqlx::Timestamp""#,
        id.as_uuid(),
        applied.template_id,
        handle.tenant.as_str(),
        applied.label.as_str(),
        major,
        minor,
        patch,
        previous_major,
        previous_minor,
        previous_patch,
        applied.split.map(|split| i16::from(split.percent.percent())),
        applied.split.map(|split| split.control.as_str()),
        handle.store.now() as _,
        &*actor.name,
        applied.because.act.as_str(),
        applied.because.note.map(MoveNote::as_str),
        applied.because.proofs.iter().max_by_key(|proven| proven.outcome).map(|proven| proven.proof.as_uuid())
    )
    .fetch_one(connection)
    .await?;
    Ok((id, settled_at))
}

/// The three columns of a version that may be absent.
type Columns = (Option<i32>, Option<i32>, Option<i32>);

/// A version that may be absent, as its three columns take it.
pub(crate) fn columns(version: Option<TemplateVersion>) -> Result<Columns, StoreError> {
    let numbers = version.map(numbers).transpose()?;
    Ok(numbers.map_or((None, None, None), |(major, minor, patch)| (Some(major), Some(minor), Some(patch))))
}

pub(crate) fn optional_version(major: Option<i32>, minor: Option<i32>, patch: Option<i32>) -> Result<Option<TemplateVersion>, StoreError> {
    let (Some(major), Some(minor), Some(patch)) = (major, minor, patch) else { return Ok(None) };
    version(major, minor, patch).map(Some)
}

pub(crate) fn act_of(word: &str) -> Result<LabelAct, StoreError> {
    word.parse().map_err(|error| StoreError::inconsistent("template_label_events", error))
}

fn state_of(word: &str) -> Result<LabelEventState, StoreError> {
    word.parse().map_err(|error| StoreError::inconsistent("template_label_events", error))
}

/// A row of `template_label_events` as it comes.
struct EventRow {
    event_id: Uuid,
    label: String,
    state: String,
    major: Option<i32>,
    minor: Option<i32>,
    patch: Option<i32>,
    previous_major: Option<i32>,
    previous_minor: Option<i32>,
    previous_patch: Option<i32>,
    traffic_split: Option<i16>,
    control_label: Option<String>,
    effective_at: jiff_sqlx::Timestamp,
    created_at: jiff_sqlx::Timestamp,
    created_by: String,
    settled_at: Option<jiff_sqlx::Timestamp>,
    settled_by: Option<String>,
    reason: Option<String>,
    act: String,
    note: Option<String>,
    proof_id: Option<Uuid>,
}

impl TryFrom<EventRow> for LabelEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.event_id.into(),
            label: label(row.label)?,
            state: state_of(&row.state)?,
            version: optional_version(row.major, row.minor, row.patch)?,
            previous: optional_version(row.previous_major, row.previous_minor, row.previous_patch)?,
            split: split(row.traffic_split, row.control_label)?,
            effective_at: row.effective_at.to_jiff(),
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            settled_at: row.settled_at.map(jiff_sqlx::Timestamp::to_jiff),
            settled_by: row.settled_by,
            reason: row.reason,
            act: act_of(&row.act)?,
            note: row.note,
            proof: row.proof_id.map(LabelProofId::from),
        })
    }
}
