//! Named example data of templates.

use domain::audit::AuditKind;
use domain::template_datasets::{DATASETS_LIMIT, DatasetName};
use domain::templates::TemplateKey;
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::templates::lock_template;
use crate::tenants::TenantStore;
use crate::write::Write;

/// A dataset without its data, as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetSummary {
    /// Unique within its template.
    pub name: DatasetName,
    /// Counts the saves from 1.
    pub revision: u32,
    /// For people.
    pub title: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Whether the template's schema has to refuse the data.
    pub expect_invalid: bool,
    /// Whether it is the one that previews begin with.
    pub is_default: bool,
    /// What a document made of it has to show; see [`domain::template_datasets::Assertions`].
    pub assertions: Option<Value>,
    /// When it was first saved.
    pub created_at: Timestamp,
    /// Who saved it first.
    pub created_by: String,
    /// When it was last saved.
    pub updated_at: Timestamp,
    /// Who saved it last.
    pub updated_by: String,
}

/// A dataset with its data.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetRecord {
    /// Everything else about it.
    pub summary: DatasetSummary,
    /// The data, properties in their author's order.
    pub data: Value,
}

/// What a save says. What is `None` stays as it is, and is empty where the dataset is new.
#[derive(Clone, Copy, Debug)]
pub struct DatasetContent<'a> {
    /// The data; an object.
    pub data: &'a Value,
    /// For people; `Some(None)` takes it away.
    pub title: Option<Option<&'a str>>,
    /// For people; `Some(None)` takes it away.
    pub description: Option<Option<&'a str>>,
    /// Words to find it by.
    pub tags: Option<&'a [String]>,
    /// Whether the template's schema has to refuse the data.
    pub expect_invalid: Option<bool>,
    /// Whether previews begin with it; another one is no longer the default then.
    pub is_default: Option<bool>,
    /// What a document made of it has to show; `Some(None)` takes it away.
    pub assertions: Option<Option<&'a Value>>,
}

/// How a save of a dataset ended.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum DatasetOutcome {
    /// Saved; what there is now.
    Written(Box<DatasetRecord>),
    /// There is no such template; nothing was changed.
    NotFound,
    /// The dataset has another revision than the caller expected, 0 where there is none; nothing was changed.
    Stale {
        /// The revision there is.
        current: u32,
    },
    /// The template has [`DATASETS_LIMIT`] of them already; nothing was changed.
    TooMany,
}

/// How the removal of a dataset ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum DatasetRemoval {
    /// It is gone.
    Removed,
    /// There is no such dataset, or no such template.
    NotFound,
    /// The dataset has another revision than the caller expected; nothing was changed.
    Stale {
        /// The revision there is.
        current: u32,
    },
}

/// The datasets of one tenant's templates.
pub struct TemplateDatasets<'a>(pub(crate) &'a TenantStore);

impl TemplateDatasets<'_> {
    /// One page of the datasets of a template by name, those with that tag only where one is given; `None` when there is no
    /// such template. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(
        &self,
        key: &TemplateKey,
        tag: Option<&str>,
        limit: u32,
        offset: u64,
    ) -> Result<Option<Page<DatasetSummary>>, StoreError> {
        speak!(self.0.store, "template_datasets.list", {
            let (limit, offset) = bounds(limit, offset);
            let mut connection = self.0.store.acquire().await?;
            let total = sqlx::query_scalar!(
                r#"SELECT (SELECT count(*) FROM template_datasets d
                           WHERE d.template_id = t.template_id AND ($3::text IS NULL OR $3 = ANY (d.tags))) AS "count!"
                   FROM templates t WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL"#,
                self.0.tenant.as_str(),
                key.as_str(),
                tag
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(total) = total else { return Ok(None) };
            let rows = sqlx::query_as!(
                DatasetRow,
                r#"SELECT d.dataset_name, d.revision, d.title, d.description, d.tags, d.expect_invalid, d.is_default,
                          d.assertions::text AS assertions, d.created_at, d.created_by, d.updated_at, d.updated_by,
                          NULL::text AS data
                   FROM templates t JOIN template_datasets d USING (tenant_id, template_id)
                   WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL AND ($3::text IS NULL OR $3 = ANY (d.tags))
                   ORDER BY d.dataset_name LIMIT $4 OFFSET $5"#,
                self.0.tenant.as_str(),
                key.as_str(),
                tag,
                limit,
                offset
            )
            .fetch_all(&mut *connection)
            .await?;
            let items = rows.into_iter().map(|row| Ok(row.read()?.0)).collect::<Result<_, StoreError>>()?;
            Ok(Some(Page { items, total: u64::try_from(total).unwrap_or(0) }))
        })
        .await
    }

    /// That dataset with its data; `None` when there is none, or no such template.
    pub async fn get(&self, key: &TemplateKey, name: &DatasetName) -> Result<Option<DatasetRecord>, StoreError> {
        speak!(self.0.store, "template_datasets.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                DatasetRow,
                "SELECT d.dataset_name, d.revision, d.title, d.description, d.tags, d.expect_invalid, d.is_default,
                        d.assertions::text AS assertions, d.created_at, d.created_by, d.updated_at, d.updated_by, d.data::text AS data
                 FROM templates t JOIN template_datasets d USING (tenant_id, template_id)
                 WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL AND d.dataset_name = $3",
                self.0.tenant.as_str(),
                key.as_str(),
                name.as_str()
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(DatasetRow::record).transpose()
        })
        .await
    }

    /// Saves a dataset; where `expected` is given, only if that is its revision (0: only if there is none yet).
    pub async fn put(
        &self,
        key: &TemplateKey,
        name: &DatasetName,
        expected: Option<u32>,
        content: DatasetContent<'_>,
        actor: &Actor,
    ) -> Result<DatasetOutcome, StoreError> {
        speak!(self.0.store, "template_datasets.put", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            // Holds the template: two writers of its datasets come one after the other.
            let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(DatasetOutcome::NotFound) };
            let standing = sqlx::query!(
                r#"SELECT count(*) AS "count!", max(revision) FILTER (WHERE dataset_name = $2) AS revision
                   FROM template_datasets WHERE template_id = $1"#,
                template_id,
                name.as_str()
            )
            .fetch_one(&mut *write)
            .await?;
            let current = u32::try_from(standing.revision.unwrap_or(0)).unwrap_or(0);
            if expected.is_some_and(|expected| expected != current) {
                return Ok(DatasetOutcome::Stale { current });
            }
            if current == 0 && usize::try_from(standing.count).unwrap_or(usize::MAX) >= DATASETS_LIMIT {
                return Ok(DatasetOutcome::TooMany);
            }
            if content.is_default == Some(true) {
                sqlx::query!(
                    "UPDATE template_datasets SET is_default = false WHERE template_id = $1 AND is_default AND dataset_name <> $2",
                    template_id,
                    name.as_str()
                )
                .execute(&mut *write)
                .await?;
            }
            let record = self.upsert(&mut write, template_id, name, content, actor).await?;
            let event = AuditEvent::new(AuditKind::DatasetSaved, key).with("dataset", name.as_str());
            write.commit(event.with("revision", record.summary.revision)).await?;
            Ok(DatasetOutcome::Written(Box::new(record)))
        })
        .await
    }

    async fn upsert(
        &self,
        write: &mut Write<'_>,
        template_id: Uuid,
        name: &DatasetName,
        content: DatasetContent<'_>,
        actor: &Actor,
    ) -> Result<DatasetRecord, StoreError> {
        let assertions = content.assertions.map(|assertions| assertions.map(Value::to_string));
        let row = sqlx::query_as!(
            DatasetRow,
            "INSERT INTO template_datasets AS d
                 (tenant_id, template_id, dataset_name, revision, title, description, tags, expect_invalid, is_default, assertions,
                  data, created_at, created_by, updated_at, updated_by)
             VALUES ($1, $2, $3, 1, $4, $6, COALESCE($8, '{}'::text[]), COALESCE($9, false), COALESCE($10, false), $11::text::json,
                     $13::text::json, $14, $15, $14, $15)
             ON CONFLICT (template_id, dataset_name) DO UPDATE SET
                 revision = d.revision + 1,
                 title = CASE WHEN $5 THEN $4 ELSE d.title END,
                 description = CASE WHEN $7 THEN $6 ELSE d.description END,
                 tags = COALESCE($8, d.tags),
                 expect_invalid = COALESCE($9, d.expect_invalid),
                 is_default = COALESCE($10, d.is_default),
                 assertions = CASE WHEN $12 THEN $11::text::json ELSE d.assertions END,
                 data = excluded.data, updated_at = excluded.updated_at, updated_by = excluded.updated_by
             RETURNING dataset_name, revision, title, description, tags, expect_invalid, is_default, assertions::text AS assertions,
                       created_at, created_by, updated_at, updated_by, data::text AS data",
            self.0.tenant.as_str(),
            template_id,
            name.as_str(),
            content.title.flatten(),
            content.title.is_some(),
            content.description.flatten(),
            content.description.is_some(),
            content.tags,
            content.expect_invalid,
            content.is_default,
            assertions.as_ref().and_then(Option::as_deref),
            assertions.is_some(),
            content.data.to_string(),
            self.0.store.now() as _,
            &*actor.name
        )
        .fetch_one(&mut **write)
        .await?;
        row.record()
    }

    /// Removes a dataset; where `expected` is given, only if that is its revision.
    pub async fn delete(
        &self,
        key: &TemplateKey,
        name: &DatasetName,
        expected: Option<u32>,
        actor: &Actor,
    ) -> Result<DatasetRemoval, StoreError> {
        speak!(self.0.store, "template_datasets.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(DatasetRemoval::NotFound) };
            let deleted = sqlx::query!(
                "DELETE FROM template_datasets
                 WHERE template_id = $1 AND dataset_name = $2 AND revision = COALESCE($3, revision)",
                template_id,
                name.as_str(),
                // A number that no column can hold is no revision of anything, as 0 is none.
                expected.map(|revision| i32::try_from(revision).unwrap_or(0))
            )
            .execute(&mut *write)
            .await?;
            if deleted.rows_affected() == 0 {
                let current = sqlx::query_scalar!(
                    "SELECT revision FROM template_datasets WHERE template_id = $1 AND dataset_name = $2",
                    template_id,
                    name.as_str()
                )
                .fetch_optional(&mut *write)
                .await?;
                return Ok(current
                    .map_or(DatasetRemoval::NotFound, |current| DatasetRemoval::Stale { current: u32::try_from(current).unwrap_or(0) }));
            }
            write.commit(AuditEvent::new(AuditKind::DatasetDeleted, key).with("dataset", name.as_str())).await?;
            Ok(DatasetRemoval::Removed)
        })
        .await
    }
}

struct DatasetRow {
    dataset_name: String,
    revision: i32,
    title: Option<String>,
    description: Option<String>,
    tags: Vec<String>,
    expect_invalid: bool,
    is_default: bool,
    assertions: Option<String>,
    created_at: jiff_sqlx::Timestamp,
    created_by: String,
    updated_at: jiff_sqlx::Timestamp,
    updated_by: String,
    data: Option<String>,
}

impl DatasetRow {
    fn read(self) -> Result<(DatasetSummary, Option<Value>), StoreError> {
        let json = |text: Option<String>| {
            let read = text.map(|text| serde_json::from_str(&text)).transpose();
            read.map_err(|error| StoreError::inconsistent("template_datasets", error))
        };
        let summary = DatasetSummary {
            name: self.dataset_name.try_into().map_err(|error| StoreError::inconsistent("template_datasets", error))?,
            revision: u32::try_from(self.revision).map_err(|error| StoreError::inconsistent("template_datasets", error))?,
            title: self.title,
            description: self.description,
            tags: self.tags,
            expect_invalid: self.expect_invalid,
            is_default: self.is_default,
            assertions: json(self.assertions)?,
            created_at: self.created_at.to_jiff(),
            created_by: self.created_by,
            updated_at: self.updated_at.to_jiff(),
            updated_by: self.updated_by,
        };
        Ok((summary, json(self.data)?))
    }

    fn record(self) -> Result<DatasetRecord, StoreError> {
        let (summary, data) = self.read()?;
        Ok(DatasetRecord { summary, data: data.unwrap_or_default() })
    }
}
