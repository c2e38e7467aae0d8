//! What is said about a template beside its definition: folder, tags, owner. Changing it makes no version.

use domain::audit::AuditKind;
use domain::ids::FolderId;
use domain::templates::TemplateKey;
use domain::{Actor, AuditEvent, TemplateSelector};

use crate::connect::speak;
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::patterns::contains_pattern;
use crate::template_folder_tree::{is_on_the_way, keep_folder};
use crate::template_folders::FolderPlace;
use crate::template_list::selected_patterns;
use crate::templates::{TemplateRow, TemplateSummary, Templates};
use crate::write::Write;

/// The longest owner of a template, in characters (a CHECK of the table).
pub const OWNER_LIMIT_CHARS: usize = 255;

/// What is to change. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct MetaPatch {
    /// Another folder, or none.
    pub folder: Option<FolderPlace>,
    /// These tags instead, each as [`domain::template_tags::TemplateTag`] keeps it, up to [`crate::TAGS_LIMIT`].
    pub tags: Option<Vec<String>>,
    /// Another owner, up to [`OWNER_LIMIT_CHARS`], or none.
    pub owner: Option<Owner>,
}

/// Who looks after a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody in particular.
    Nobody,
    /// This one.
    Named(String),
}

/// How a change of a template's meta ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum MetaOutcome {
    /// Done; what there is now.
    Written(Box<TemplateSummary>),
    /// There is no such template; nothing was changed.
    NotFound,
    /// There is no such folder; nothing was changed.
    FolderNotFound,
}

/// A tag, and how many templates have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagCount {
    /// The tag.
    pub tag: String,
    /// Templates that are not in the trash.
    pub templates: u64,
}

impl Templates<'_> {
    /// Changes what the patch names and nothing else, so two changes of different things both stay. With `reached`, a folder
    /// that is not on the way to a template within that reach is none.
    pub async fn set_meta(
        &self,
        key: &TemplateKey,
        patch: &MetaPatch,
        reached: Option<&[TemplateSelector]>,
        actor: &Actor,
    ) -> Result<MetaOutcome, StoreError> {
        let patterns = reached.map(selected_patterns);
        speak!(self.0.store, "templates.set_meta", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            if let Some(FolderPlace::In(folder)) = patch.folder {
                if !keep_folder(&mut write, self.0, folder).await? {
                    return Ok(MetaOutcome::FolderNotFound);
                }
                if let Some(patterns) = &patterns
                    && !is_on_the_way(&mut write, self.0, folder, patterns).await?
                {
                    return Ok(MetaOutcome::FolderNotFound);
                }
            }
            let folder = match patch.folder {
                Some(FolderPlace::In(folder)) => Some(folder.as_uuid()),
                Some(FolderPlace::Top) | None => None,
            };
            let owner = match &patch.owner {
                Some(Owner::Named(owner)) => Some(owner.as_str()),
                Some(Owner::Nobody) | None => None,
            };
            let row = sqlx::query_as!(
                TemplateRow,
                "UPDATE templates t
                 SET folder_id = CASE WHEN $3 THEN $4 ELSE folder_id END,
                     tags = COALESCE($5, tags),
                     owner = CASE WHEN $6 THEN $7 ELSE owner END
                 WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL
                 RETURNING template_id, template_key, name, description, kind, tags, owner,
                           current_major, current_minor, current_patch, created_at, updated_at, folder_id,
                           (SELECT path FROM template_folders f WHERE f.folder_id = t.folder_id) AS folder_path, deleted_at, deleted_by",
                self.0.tenant.as_str(),
                key.as_str(),
                patch.folder.is_some(),
                folder,
                patch.tags.as_deref(),
                patch.owner.is_some(),
                owner
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else { return Ok(MetaOutcome::NotFound) };
            let mut event = AuditEvent::new(AuditKind::TemplateMetaChanged, key);
            if patch.folder.is_some() {
                event = event.with("folderId", folder.map(|folder| FolderId::from(folder).to_string()));
            }
            if let Some(tags) = &patch.tags {
                event = event.with("tags", tags.clone());
            }
            if patch.owner.is_some() {
                event = event.with("owner", owner);
            }
            write.commit(event).await?;
            Ok(MetaOutcome::Written(Box::new(row.try_into()?)))
        })
        .await
    }

    /// One page of the tags in use, by their text; those that hold `q`, and of templates within the reach.
    pub async fn tags(
        &self,
        q: Option<&str>,
        reached: Option<&[TemplateSelector]>,
        limit: u32,
        offset: u64,
    ) -> Result<Page<TagCount>, StoreError> {
        let patterns = reached.map(selected_patterns);
        let q = q.map(|text| contains_pattern(&text.to_lowercase()));
        speak!(self.0.store, "templates.tags", {
            let (limit, offset) = bounds(limit, offset);
            let mut connection = self.0.store.acquire().await?;
            // The total rides along with each row, and alone where the page is beyond the end.
            let rows = sqlx::query!(
                r#"WITH used AS MATERIALIZED (
                       SELECT tag, count(*) AS templates FROM templates, unnest(tags) AS tag
                       WHERE tenant_id = $1 AND deleted_at IS NULL
                         AND ($2::text IS NULL OR tag LIKE $2)
                         AND ($3::text[] IS NULL OR template_key LIKE ANY ($3))
                       GROUP BY tag)
                   SELECT page.tag AS "tag?", page.templates AS "templates?", total.tags AS "total!"
                   FROM (SELECT count(*) AS tags FROM used) AS total
                   LEFT JOIN (SELECT tag, templates FROM used ORDER BY tag COLLATE "C" LIMIT $4 OFFSET $5) AS page ON true
                   ORDER BY page.tag COLLATE "C""#,
                self.0.tenant.as_str(),
                q,
                patterns.as_deref(),
                limit,
                offset
            )
            .fetch_all(&mut *connection)
            .await?;
            let total = rows.first().map_or(0, |row| u64::try_from(row.total).unwrap_or(0));
            let count = |templates: Option<i64>| u64::try_from(templates.unwrap_or(0)).unwrap_or(0);
            let items = rows.into_iter().filter_map(|row| Some(TagCount { tag: row.tag?, templates: count(row.templates) })).collect();
            Ok(Page { items, total })
        })
        .await
    }
}
