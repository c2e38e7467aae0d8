//! Labels of templates: which version each leads to now. What they led to before, and will, is in `label_events`.

use std::num::NonZeroU64;

use domain::audit::AuditKind;
use domain::ids::{LabelEventId, TemplateId};
use domain::label_proofs::{MoveNote, ProofPair, ProvenPair, Standing, proofs_needed};
use domain::labels::{LabelAct, LabelName, MAX_LABELS};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::variants::TrafficSplit;
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::label_events::{Applied, Because, insert_applied};
use crate::templates::{lock_template, numbers, version};
use crate::tenants::TenantStore;
use crate::write::Write;

/// A label as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelRecord {
    /// Its name.
    pub label: LabelName,
    /// The version it leads to.
    pub version: TemplateVersion,
    /// Who gets another one.
    pub split: Option<LabelSplit>,
    /// Counts its moves, from 1.
    pub revision: NonZeroU64,
    /// When it was moved last.
    pub moved_at: Timestamp,
    /// Who moved it.
    pub moved_by: String,
}

/// The share of a label's callers that get its own version; the others get that of another label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelSplit {
    /// The share.
    pub percent: TrafficSplit,
    /// The label whose version the others get.
    pub control: LabelName,
}

/// What leads to the versions of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateHead {
    /// Names the template for ever.
    pub template_id: TemplateId,
    /// Its newest version.
    pub current_version: TemplateVersion,
    /// Its labels by name, at most [`MAX_LABELS`].
    pub labels: Vec<LabelRecord>,
}

/// What a label is to be. A label that does not exist is made.
#[derive(Clone, Debug)]
pub struct LabelMove<'a> {
    /// Which label.
    pub label: &'a LabelName,
    /// The version it is to lead to.
    pub version: TemplateVersion,
    /// Who is to get another one; none ends a split.
    pub split: Option<LabelSplit>,
    /// What the label must be now. None asks for nothing.
    pub expected: Option<LabelExpected>,
    /// What the move rests on.
    pub approval: Approval<'a>,
}

/// What a move of a label rests on. The store asks under the lock of the template whether that is enough, so that a proof counts
/// only for what callers get in the moment of the move.
#[derive(Clone, Copy, Debug, Default)]
pub struct Approval<'a> {
    /// The labels that are moved with a proof only.
    pub protected: &'a [LabelName],
    /// What is proven. Whether somebody answers for a change that was found is the caller's to ask.
    pub proofs: &'a [ProvenPair],
    /// Why, in words.
    pub note: Option<&'a MoveNote>,
}

impl Approval<'_> {
    /// What is not proven and has to be.
    pub(crate) fn missing(
        &self,
        labels: &[LabelRecord],
        label: &LabelName,
        version: TemplateVersion,
        split: Option<&LabelSplit>,
    ) -> Vec<ProofPair> {
        fn standing<'a>(label: &'a LabelName, version: TemplateVersion, split: Option<&'a LabelSplit>) -> Standing<'a> {
            Standing { label, version, control: split.map(|split| &split.control) }
        }
        let wanted = standing(label, version, split);
        let labels: Vec<Standing<'_>> = labels.iter().map(|label| standing(&label.label, label.version, label.split.as_ref())).collect();
        let mut needed = proofs_needed(self.protected, &labels, &wanted);
        needed.retain(|pair| !self.proofs.iter().any(|proven| proven.pair == *pair));
        needed
    }

    pub(crate) fn because(&self) -> Because<'_> {
        Because { act: LabelAct::Move, note: self.note, proofs: self.proofs }
    }
}

/// What a conditional change of a label asks of the label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabelExpected {
    /// It has this revision; 0 means that it does not exist.
    Revision(u64),
    /// It leads to this version.
    Version(TemplateVersion),
}

impl LabelExpected {
    pub(crate) fn holds(self, label: Option<&LabelRecord>) -> bool {
        match self {
            Self::Revision(revision) => label.map_or(0, |label| label.revision.get()) == revision,
            Self::Version(version) => label.is_some_and(|label| label.version == version),
        }
    }
}

/// What stands in the way of a label's removal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LabelUse {
    /// It is the control of this label.
    ControlOf(LabelName),
    /// A move of it is to come.
    PendingMove(LabelEventId),
}

/// How a change of a label ended. But for the first, nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum LabelOutcome<T = LabelRecord> {
    /// Done; what there is now.
    Written(T),
    /// There is no such template.
    TemplateNotFound,
    /// The template has no such version.
    VersionNotFound,
    /// The template has no such label.
    LabelNotFound,
    /// The label is not what the caller expected.
    Stale {
        /// What it is; none where it does not exist.
        current: Option<Box<LabelRecord>>,
    },
    /// The template has as many labels as it may.
    TooMany,
    /// The template has no label to be the control.
    ControlNotFound,
    /// A label would be split whose control is split itself.
    SplitControl {
        /// The one that would have to be without a split.
        control: LabelName,
    },
    /// Something needs the label.
    InUse(LabelUse),
    /// The label is protected, and this is not proven.
    Unproven {
        /// What has to be.
        needed: Vec<ProofPair>,
    },
    /// The version that the label led to before is made with a template that is not there.
    PartMissing {
        /// Its key.
        part: TemplateKey,
    },
    /// The label has led to no other version since it was made, or every move is taken back.
    NothingBefore,
}

/// The labels of one tenant's templates.
pub struct Labels<'a>(pub(crate) &'a TenantStore);

impl TenantStore {
    /// The movable names of versions.
    pub fn labels(&self) -> Labels<'_> {
        Labels(self)
    }
}

impl Labels<'_> {
    /// A template with all its labels; `None` when there is no such template.
    pub async fn head(&self, key: &TemplateKey) -> Result<Option<TemplateHead>, StoreError> {
        speak!(self.0.store, "labels.head", {
            let mut connection = self.0.store.acquire().await?;
            let rows = sqlx::query!(
                r#"SELECT t.template_id, t.current_major, t.current_minor, t.current_patch,
                          l.label AS "label?", l.major AS "major?", l.minor AS "minor?", l.patch AS "patch?", l.traffic_split,
                          l.control_label, l.revision AS "revision?", l.moved_at AS "moved_at?: jiff_sqlx::Timestamp",
                          l.moved_by AS "moved_by?"
                   FROM templates t LEFT JOIN template_labels l USING (tenant_id, template_id)
                   WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL ORDER BY l.label"#,
                self.0.tenant.as_str(),
                key.as_str()
            )
            .fetch_all(&mut *connection)
            .await?;
            let Some(first) = rows.first() else { return Ok(None) };
            let template_id = first.template_id.into();
            let current_version = version(first.current_major, first.current_minor, first.current_patch)?;
            let labels = rows.into_iter().filter_map(|row| {
                Some(LabelRow {
                    label: row.label?,
                    major: row.major?,
                    minor: row.minor?,
                    patch: row.patch?,
                    traffic_split: row.traffic_split,
                    control_label: row.control_label,
                    revision: row.revision?,
                    moved_at: row.moved_at?,
                    moved_by: row.moved_by?,
                })
            });
            let labels = labels.map(LabelRecord::try_from).collect::<Result<_, _>>()?;
            Ok(Some(TemplateHead { template_id, current_version, labels }))
        })
        .await
    }

    /// That label of that template; `None` when there is no such template or label.
    pub async fn get(&self, key: &TemplateKey, label: &LabelName) -> Result<Option<LabelRecord>, StoreError> {
        Ok(self.head(key).await?.and_then(|head| head.labels.into_iter().find(|found| found.label == *label)))
    }

    /// Moves a label, or makes it. Each call that ends in [`LabelOutcome::Written`] is a row of the history, also one that
    /// moves the label to where it is.
    pub async fn set(&self, key: &TemplateKey, wanted: LabelMove<'_>, actor: &Actor) -> Result<LabelOutcome, StoreError> {
        speak!(self.0.store, "labels.set", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(LabelOutcome::TemplateNotFound) };
            let labels = labels_of(&mut write, template_id).await?;
            if let Err(refused) = permitted(&labels, &wanted) {
                return Ok(refused);
            }
            if !version_exists(&mut write, template_id, wanted.version).await? {
                return Ok(LabelOutcome::VersionNotFound);
            }
            let needed = wanted.approval.missing(&labels, wanted.label, wanted.version, wanted.split.as_ref());
            if !needed.is_empty() {
                return Ok(LabelOutcome::Unproven { needed });
            }
            let before = labels.iter().find(|found| found.label == *wanted.label);
            let applied = Applied {
                template_id,
                label: wanted.label,
                version: Some(wanted.version),
                previous: before.map(|before| before.version),
                split: wanted.split.as_ref(),
                because: wanted.approval.because(),
            };
            let (event_id, moved_at) = insert_applied(&mut write, self.0, &applied, actor).await?;
            let moved = put(&mut write, self.0, &applied, moved_at, &actor.name).await?;
            write.announce("template", key.as_str()).await?;
            let same_version = before.is_some_and(|before| before.version == wanted.version);
            let split_only = same_version && before.is_some_and(|before| before.split != wanted.split);
            let kind = if split_only { AuditKind::TemplateLabelSplitChanged } else { AuditKind::TemplateLabelMoved };
            write.commit(applied.told(AuditEvent::new(kind, key), event_id)).await?;
            Ok(LabelOutcome::Written(moved))
        })
        .await
    }

    /// Removes a label. Its history stays. `expected` as in [`LabelMove`].
    pub async fn delete(
        &self,
        key: &TemplateKey,
        label: &LabelName,
        expected: Option<LabelExpected>,
        note: Option<&MoveNote>,
        actor: &Actor,
    ) -> Result<LabelOutcome<()>, StoreError> {
        speak!(self.0.store, "labels.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(LabelOutcome::TemplateNotFound) };
            let labels = labels_of(&mut write, template_id).await?;
            let Some(before) = labels.iter().find(|found| found.label == *label) else { return Ok(LabelOutcome::LabelNotFound) };
            if expected.is_some_and(|expected| !expected.holds(Some(before))) {
                return Ok(LabelOutcome::Stale { current: Some(Box::new(before.clone())) });
            }
            if let Some(other) = labels.iter().find(|other| other.split.as_ref().is_some_and(|split| split.control == *label)) {
                return Ok(LabelOutcome::InUse(LabelUse::ControlOf(other.label.clone())));
            }
            let pending = sqlx::query_scalar!(
                "SELECT event_id FROM template_label_events
                 WHERE template_id = $1 AND label = $2 AND state = 'pending' ORDER BY effective_at, place LIMIT 1",
                template_id,
                label.as_str()
            );
            if let Some(event_id) = pending.fetch_optional(&mut *write).await? {
                return Ok(LabelOutcome::InUse(LabelUse::PendingMove(event_id.into())));
            }
            let because = Because { act: LabelAct::Move, note, proofs: &[] };
            let applied = Applied { template_id, label, version: None, previous: Some(before.version), split: None, because };
            let (event_id, _) = insert_applied(&mut write, self.0, &applied, actor).await?;
            sqlx::query!("DELETE FROM template_labels WHERE template_id = $1 AND label = $2", template_id, label.as_str())
                .execute(&mut *write)
                .await?;
            write.announce("template", key.as_str()).await?;
            write.commit(applied.told(AuditEvent::new(AuditKind::TemplateLabelRemoved, key), event_id)).await?;
            Ok(LabelOutcome::Written(()))
        })
        .await
    }
}

pub(crate) async fn labels_of(connection: &mut PgConnection, template_id: Uuid) -> Result<Vec<LabelRecord>, StoreError> {
    let rows = sqlx::query_as!(
        LabelRow,
        "SELECT label, major, minor, patch, traffic_split, control_label, revision, moved_at, moved_by
         FROM template_labels WHERE template_id = $1 ORDER BY label",
        template_id
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(LabelRecord::try_from).collect()
}

pub(crate) async fn version_exists(connection: &mut PgConnection, template_id: Uuid, version: TemplateVersion) -> Result<bool, StoreError> {
    let Ok((major, minor, patch)) = numbers(version) else { return Ok(false) };
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM template_versions WHERE template_id = $1 AND major = $2 AND minor = $3 AND patch = $4) AS "exists!""#,
        template_id,
        major,
        minor,
        patch
    );
    Ok(found.fetch_one(connection).await?)
}

/// Writes what the label is from now on.
pub(crate) async fn put(
    connection: &mut PgConnection,
    handle: &TenantStore,
    applied: &Applied<'_>,
    moved_at: jiff_sqlx::Timestamp,
    moved_by: &str,
) -> Result<LabelRecord, StoreError> {
    let version = applied.version.ok_or_else(|| StoreError::inconsistent("template_label_events", "a move without a version"))?;
    let (major, minor, patch) = numbers(version)?;
    let row = sqlx::query_as!(
        LabelRow,
        "INSERT INTO template_labels AS l (template_id, tenant_id, label, major, minor, patch, traffic_split, control_label,
                                           moved_at, moved_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (template_id, label) DO UPDATE
         SET major = excluded.major, minor = excluded.minor, patch = excluded.patch, traffic_split = excluded.traffic_split,
             control_label = excluded.control_label, moved_at = excluded.moved_at, moved_by = excluded.moved_by,
             revision = l.revision + 1
         RETURNING label, major, minor, patch, traffic_split, control_label, revision, moved_at, moved_by",
        applied.template_id,
        handle.tenant.as_str(),
        applied.label.as_str(),
        major,
        minor,
        patch,
        applied.split.map(|split| i16::from(split.percent.percent())),
        applied.split.map(|split| split.control.as_str()),
        moved_at as _,
        moved_by
    )
    .fetch_one(connection)
    .await?;
    row.try_into()
}

/// Whether the labels of the template leave room for what is wanted.
fn permitted(labels: &[LabelRecord], wanted: &LabelMove<'_>) -> Result<(), LabelOutcome> {
    let named = |name: &LabelName| labels.iter().find(|found| found.label == *name);
    let before = named(wanted.label);
    if wanted.expected.is_some_and(|expected| !expected.holds(before)) {
        return Err(LabelOutcome::Stale { current: before.cloned().map(Box::new) });
    }
    if before.is_none() && labels.len() >= MAX_LABELS {
        return Err(LabelOutcome::TooMany);
    }
    let Some(split) = &wanted.split else { return Ok(()) };
    let control = named(&split.control).filter(|control| control.label != *wanted.label).ok_or(LabelOutcome::ControlNotFound)?;
    if control.split.is_some() {
        return Err(LabelOutcome::SplitControl { control: control.label.clone() });
    }
    // One step and no more leads to a version, so what is a control already stays whole.
    if labels.iter().any(|other| other.split.as_ref().is_some_and(|split| split.control == *wanted.label)) {
        return Err(LabelOutcome::SplitControl { control: wanted.label.clone() });
    }
    Ok(())
}

/// A row of `template_labels` as it comes.
struct LabelRow {
    label: String,
    major: i32,
    minor: i32,
    patch: i32,
    traffic_split: Option<i16>,
    control_label: Option<String>,
    revision: i64,
    moved_at: jiff_sqlx::Timestamp,
    moved_by: String,
}

impl TryFrom<LabelRow> for LabelRecord {
    type Error = StoreError;

    fn try_from(row: LabelRow) -> Result<Self, StoreError> {
        let wrong = |what: &str| StoreError::inconsistent("template_labels", what);
        Ok(Self {
            label: label(row.label)?,
            version: version(row.major, row.minor, row.patch)?,
            split: split(row.traffic_split, row.control_label)?,
            revision: u64::try_from(row.revision).ok().and_then(NonZeroU64::new).ok_or_else(|| wrong("a revision is not positive"))?,
            moved_at: row.moved_at.to_jiff(),
            moved_by: row.moved_by,
        })
    }
}

pub(crate) fn label(text: String) -> Result<LabelName, StoreError> {
    LabelName::try_from(text).map_err(|error| StoreError::inconsistent("template_labels", error))
}

pub(crate) fn split(percent: Option<i16>, control: Option<String>) -> Result<Option<LabelSplit>, StoreError> {
    let (Some(percent), Some(control)) = (percent, control) else { return Ok(None) };
    let percent = u8::try_from(percent).ok().and_then(|percent| TrafficSplit::try_from(percent).ok());
    let percent = percent.ok_or_else(|| StoreError::inconsistent("template_labels", "a split is no percentage"))?;
    Ok(Some(LabelSplit { percent, control: label(control)? }))
}
