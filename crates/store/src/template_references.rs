//! Which templates a template is made with, and which are made with it.
//!
//! A part is in use by the versions of `template_versions_in_use` of templates that are not in the trash. That somebody begins
//! to use a part while somebody else takes it away is looked at by both while they hold the end of the tenant's audit chain.

use domain::TenantId;
use domain::template_references::{Pin, ReferenceVia, TemplateReference};
use domain::templates::{TemplateKey, TemplateVersion};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::templates::{TemplateKind, TemplateRow, key, kind, numbers, version};

/// The most templates that are listed of those in the way of an act.
const MOST_USERS: i64 = 100;

/// What becomes of a part that templates use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartInUse {
    /// Nothing: it stays.
    Refuse,
    /// It goes, and they no longer render.
    Override,
}

/// A template that uses others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartUser {
    /// Its key.
    pub key: TemplateKey,
    /// For people.
    pub name: String,
    /// What it is for.
    pub kind: TemplateKind,
    /// Its current version, which may not be one that uses them.
    pub current_version: TemplateVersion,
    /// Which of the templates it uses that were asked about, by key.
    pub uses: Vec<TemplateKey>,
    /// Through what.
    pub via: Vec<ReferenceVia>,
    /// Its versions that use them, of those that are in use themselves; the oldest first.
    pub versions: Vec<TemplateVersion>,
    /// Which versions of them it asks for.
    pub pins: Vec<Pin>,
    /// The first hundred nodes that name them.
    pub node_ids: Vec<String>,
}

/// Who uses a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartUsage {
    /// The first hundred templates by key.
    pub named_by: Vec<PartUser>,
    /// How many there are.
    pub total: u64,
}

/// Who uses the template of that key, in versions that are in use.
pub(crate) async fn usage_of(connection: &mut PgConnection, tenant: &TenantId, target: &str) -> Result<PartUsage, StoreError> {
    let named_by = users(connection, tenant, &[target.to_owned()], &[], MOST_USERS).await?;
    let total = if i64::try_from(named_by.len()).is_ok_and(|count| count < MOST_USERS) {
        named_by.len() as u64
    } else {
        let count = sqlx::query_scalar!(
            r#"SELECT count(DISTINCT t.template_id) AS "count!"
               FROM template_references r JOIN templates t ON t.tenant_id = r.tenant_id AND t.template_id = r.template_id
               WHERE r.tenant_id = $1 AND r.target_key = $2 AND t.deleted_at IS NULL
                 AND EXISTS (SELECT FROM template_versions_in_use u WHERE u.template_id = r.template_id
                             AND (u.major, u.minor, u.patch) = (r.major, r.minor, r.patch))"#,
            tenant.as_str(),
            target
        )
        .fetch_one(&mut *connection)
        .await?;
        u64::try_from(count).unwrap_or(0)
    };
    Ok(PartUsage { named_by, total })
}

/// The first templates by key that use one of `targets`, but for those of `known`.
pub(crate) async fn users(
    connection: &mut PgConnection,
    tenant: &TenantId,
    targets: &[String],
    known: &[String],
    limit: i64,
) -> Result<Vec<PartUser>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT t.template_key, t.name, t.kind, t.current_major, t.current_minor, t.current_patch,
                  array_agg(DISTINCT r.target_key) AS "uses!", array_agg(DISTINCT r.via) AS "via!",
                  array_agg(DISTINCT r.major || '.' || r.minor || '.' || r.patch) AS "versions!",
                  array_agg(DISTINCT COALESCE(r.pin_label, r.pin_major || '.' || r.pin_minor || '.' || r.pin_patch, '')) AS "pins!",
                  (array_agg(DISTINCT r.node_id) FILTER (WHERE r.node_id IS NOT NULL))[1:100] AS node_ids
           FROM template_references r JOIN templates t ON t.tenant_id = r.tenant_id AND t.template_id = r.template_id
           WHERE r.tenant_id = $1 AND r.target_key = ANY ($2) AND t.template_key <> ALL ($3) AND t.deleted_at IS NULL
             AND EXISTS (SELECT FROM template_versions_in_use u WHERE u.template_id = r.template_id
                         AND (u.major, u.minor, u.patch) = (r.major, r.minor, r.patch))
           GROUP BY t.template_id ORDER BY t.template_key LIMIT $4"#,
        tenant.as_str(),
        targets,
        known,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let no_version = |_| StoreError::inconsistent("template_references", "no version");
            let mut versions = row.versions.iter().map(|text| text.parse().map_err(no_version)).collect::<Result<Vec<_>, _>>()?;
            versions.sort_unstable();
            Ok(PartUser {
                key: key(row.template_key)?,
                name: row.name,
                kind: kind(&row.kind)?,
                current_version: version(row.current_major, row.current_minor, row.current_patch)?,
                uses: row.uses.into_iter().map(key).collect::<Result<_, _>>()?,
                via: row.via.iter().map(|word| via(word)).collect::<Result<_, _>>()?,
                versions,
                pins: row.pins.iter().map(|text| told_pin(text)).collect::<Result<_, _>>()?,
                node_ids: row.node_ids.unwrap_or_default(),
            })
        })
        .collect()
}

/// Writes what a version of a template names, which was just written itself.
pub(crate) async fn insert_references(
    connection: &mut PgConnection,
    tenant: &TenantId,
    template: &TemplateRow,
    references: &[TemplateReference],
) -> Result<(), StoreError> {
    if references.is_empty() {
        return Ok(());
    }
    let pinned = |reference: &TemplateReference| reference.pin.version().map(numbers).transpose();
    let versions = references.iter().map(pinned).collect::<Result<Vec<_>, _>>()?;
    let part = |of: fn((i32, i32, i32)) -> i32| versions.iter().map(|version| version.map(of)).collect::<Vec<Option<i32>>>();
    let text = |of: &dyn Fn(&TemplateReference) -> Option<String>| references.iter().map(of).collect::<Vec<Option<String>>>();
    // Names in a definition are any text; no column takes a NUL.
    let visible = |text: &str| text.replace('\0', "\u{FFFD}");
    sqlx::query!(
        "INSERT INTO template_references (template_id, tenant_id, major, minor, patch, place, target_key, via, pin_label,
                                          pin_major, pin_minor, pin_patch, pointer, node_id)
         SELECT $1, $2, $3, $4, $5, r.place - 1, r.target_key, r.via, r.pin_label, r.pin_major, r.pin_minor, r.pin_patch, r.pointer, r.node_id
         FROM unnest($6::text[], $7::text[], $8::text[], $9::int[], $10::int[], $11::int[], $12::text[], $13::text[])
              WITH ORDINALITY AS r (target_key, via, pin_label, pin_major, pin_minor, pin_patch, pointer, node_id, place)",
        template.template_id,
        tenant.as_str(),
        template.current_major,
        template.current_minor,
        template.current_patch,
        &text(&|reference| Some(reference.key.to_string())) as &[Option<String>],
        &text(&|reference| Some(reference.via.as_str().to_owned())) as &[Option<String>],
        &text(&|reference| reference.pin.label().map(str::to_owned)) as &[Option<String>],
        &part(|version| version.0) as &[Option<i32>],
        &part(|version| version.1) as &[Option<i32>],
        &part(|version| version.2) as &[Option<i32>],
        &text(&|reference| Some(visible(&reference.pointer))) as &[Option<String>],
        &text(&|reference| reference.node_id.as_deref().map(visible)) as &[Option<String>]
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The first template that this version names and that is not there. Asked while the end of the chain is held, the answer
/// stays true until the transaction ends.
pub(crate) async fn missing_part(
    connection: &mut PgConnection,
    template_id: Uuid,
    of: TemplateVersion,
) -> Result<Option<TemplateKey>, StoreError> {
    let Ok((major, minor, patch)) = numbers(of) else { return Ok(None) };
    let missing = sqlx::query_scalar!(
        "SELECT r.target_key FROM template_references r
         WHERE r.template_id = $1 AND r.major = $2 AND r.minor = $3 AND r.patch = $4
           AND NOT EXISTS (SELECT FROM templates t
                           WHERE t.tenant_id = r.tenant_id AND t.template_key = r.target_key AND t.deleted_at IS NULL)
         ORDER BY r.place LIMIT 1",
        template_id,
        major,
        minor,
        patch
    );
    missing.fetch_optional(connection).await?.map(key).transpose()
}

pub(crate) fn via(word: &str) -> Result<ReferenceVia, StoreError> {
    ReferenceVia::from_word(word).ok_or_else(|| StoreError::inconsistent("template_references", "unknown way"))
}

/// A pin from its columns.
pub(crate) fn pin(label: Option<&str>, numbers: (Option<i32>, Option<i32>, Option<i32>)) -> Result<Pin, StoreError> {
    let pinned = match numbers {
        (Some(major), Some(minor), Some(patch)) => Some(version(major, minor, patch)?),
        _ => None,
    };
    Pin::from_parts(pinned, label).ok_or_else(|| StoreError::inconsistent("template_references", "no pin"))
}

/// A pin from its one text. No label looks like a version, as it begins with a letter.
fn told_pin(text: &str) -> Result<Pin, StoreError> {
    let pinned = text.parse::<TemplateVersion>().ok();
    let label = Some(text).filter(|text| pinned.is_none() && !text.is_empty());
    Pin::from_parts(pinned, label).ok_or_else(|| StoreError::inconsistent("template_references", "no pin"))
}
