//! Giving a label the version back that it led to before its newest move.

use domain::audit::AuditKind;
use domain::labels::{LabelAct, LabelName};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::{Actor, AuditEvent};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::label_events::{Applied, Because, act_of, insert_applied, optional_version};
use crate::labels::{Approval, LabelExpected, LabelOutcome, Labels, labels_of, put, version_exists};
use crate::template_references::missing_part;
use crate::templates::lock_template;
use crate::write::Write;

/// Acts that are looked back at. Whoever wants to go further names the version.
const FARTHEST_ACTS: i64 = 1_000;

/// One act on a label, as far as going back is concerned.
struct Past {
    act: LabelAct,
    version: Option<TemplateVersion>,
    previous: Option<TemplateVersion>,
}

impl Labels<'_> {
    /// Takes the newest move of a label back that is not taken back yet: the label leads wholly to the version before. Needs no
    /// proof, as that version was in use: only a label that is the control of a protected one does, as callers of that one may never
    /// have got it. `expected` as in [`crate::LabelMove`].
    pub async fn roll_back(
        &self,
        key: &TemplateKey,
        label: &LabelName,
        expected: Option<LabelExpected>,
        approval: Approval<'_>,
        actor: &Actor,
    ) -> Result<LabelOutcome, StoreError> {
        speak!(self.0.store, "labels.roll_back", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(LabelOutcome::TemplateNotFound) };
            let labels = labels_of(&mut write, template_id).await?;
            let Some(before) = labels.iter().find(|found| found.label == *label) else { return Ok(LabelOutcome::LabelNotFound) };
            if expected.is_some_and(|expected| !expected.holds(Some(before))) {
                return Ok(LabelOutcome::Stale { current: Some(Box::new(before.clone())) });
            }
            let past = past_of(&mut write, template_id, label).await?;
            let Some(version) = version_before(&past) else { return Ok(LabelOutcome::NothingBefore) };
            if !version_exists(&mut write, template_id, version).await? {
                return Ok(LabelOutcome::VersionNotFound);
            }
            let others: Vec<LabelName> = approval.protected.iter().filter(|protected| *protected != label).cloned().collect();
            let needed = Approval { protected: &others, ..approval }.missing(&labels, label, version, None);
            if !needed.is_empty() {
                return Ok(LabelOutcome::Unproven { needed });
            }
            let because = Because { act: LabelAct::Rollback, ..approval.because() };
            let applied = Applied { template_id, label, version: Some(version), previous: Some(before.version), split: None, because };
            let (event_id, moved_at) = insert_applied(&mut write, self.0, &applied, actor).await?;
            let moved = put(&mut write, self.0, &applied, moved_at, &actor.name).await?;
            let end = write.chain_end().await?;
            if let Some(part) = missing_part(&mut write, template_id, version).await? {
                return Ok(LabelOutcome::PartMissing { part });
            }
            write.announce("template", key.as_str()).await?;
            write.commit_at(end, applied.told(AuditEvent::new(AuditKind::TemplateLabelRolledBack, key), event_id)).await?;
            Ok(LabelOutcome::Written(moved))
        })
        .await
    }
}

/// What happened to a label, the newest first.
async fn past_of(connection: &mut PgConnection, template_id: Uuid, label: &LabelName) -> Result<Vec<Past>, StoreError> {
    let rows = sqlx::query!(
        "SELECT act, major, minor, patch, previous_major, previous_minor, previous_patch FROM template_label_events
         WHERE template_id = $1 AND label = $2 AND state = 'applied' ORDER BY applied_place DESC LIMIT $3",
        template_id,
        label.as_str(),
        FARTHEST_ACTS
    )
    .fetch_all(connection)
    .await?;
    let past = rows.into_iter().map(|row| {
        Ok(Past {
            act: act_of(&row.act)?,
            version: optional_version(row.major, row.minor, row.patch)?,
            previous: optional_version(row.previous_major, row.previous_minor, row.previous_patch)?,
        })
    });
    past.collect()
}

/// The version before the newest move that is not taken back. A rollback takes one move back; a removal of the label is the end.
fn version_before(past: &[Past]) -> Option<TemplateVersion> {
    let mut taken_back = 0;
    for act in past {
        act.version?;
        if act.act == LabelAct::Rollback {
            taken_back += 1;
        } else if act.version != act.previous {
            if taken_back == 0 {
                return act.previous;
            }
            taken_back -= 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1→2` moves, `2↩1` rolls back, `→1` makes, `2→` removes; in the order in which it happened.
    fn before(acts: &[&str]) -> Option<String> {
        let version = |text: &str| (!text.is_empty()).then(|| format!("1.0.{text}").parse().unwrap());
        let past: Vec<Past> = acts
            .iter()
            .rev()
            .map(|act| {
                let back = act.contains('↩');
                let (previous, next) = act.split_once(['→', '↩']).unwrap();
                Past { act: if back { LabelAct::Rollback } else { LabelAct::Move }, version: version(next), previous: version(previous) }
            })
            .collect();
        version_before(&past).map(|version| version.to_string())
    }

    #[test]
    fn each_rollback_goes_one_move_further_back_and_not_to_and_fro() {
        assert_eq!(before(&["→1"]), None);
        assert_eq!(before(&["→1", "1→2"]).as_deref(), Some("1.0.1"));
        assert_eq!(before(&["→1", "1→2", "2→3"]).as_deref(), Some("1.0.2"));
        assert_eq!(before(&["→1", "1→2", "2→3", "3↩2"]).as_deref(), Some("1.0.1"));
        assert_eq!(before(&["→1", "1→2", "2→3", "3↩2", "2↩1"]), None);
        assert_eq!(before(&["→1", "1→2", "2→3", "3↩2", "2→4"]).as_deref(), Some("1.0.2"), "a new move is taken back first");
        assert_eq!(before(&["→1", "1→2", "2→3", "3↩2", "2→4", "4↩2"]).as_deref(), Some("1.0.1"));
        assert_eq!(before(&["→1", "1→2", "2→2"]).as_deref(), Some("1.0.1"), "a change of the split alone is no move");
        assert_eq!(before(&["→1", "1→2", "2→", "→3"]), None, "a label that was made anew has no past");
    }
}
