//! The example data of a template. It belongs to no version.

use domain::audit::AuditKind;
use domain::templates::TemplateKey;
use domain::{Actor, AuditEvent};
use serde_json::Value;

use crate::connect::speak;
use crate::error::StoreError;
use crate::tenants::TenantStore;
use crate::write::Write;

/// The samples of one tenant's templates.
pub struct Samples<'a>(pub(crate) &'a TenantStore);

impl Samples<'_> {
    /// The sample of that template; `None` when it has none, or there is no such template.
    pub async fn get(&self, key: &TemplateKey) -> Result<Option<Value>, StoreError> {
        speak!(self.0.store, "samples.get", {
            let mut connection = self.0.store.acquire().await?;
            let text = sqlx::query_scalar!(
                r#"SELECT sample::text AS "sample!" FROM templates
                   WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL AND sample IS NOT NULL"#,
                self.0.tenant.as_str(),
                key.as_str()
            )
            .fetch_optional(&mut *connection)
            .await?;
            text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| StoreError::inconsistent("templates", error))
        })
        .await
    }

    /// Keeps `sample` for that template, its order of properties with it; says whether there is such a template.
    pub async fn put(&self, key: &TemplateKey, sample: &Value, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "samples.put", { self.set(key, Some(sample.to_string()), actor).await }).await
    }

    /// Takes the sample away, if there is one; says whether there is such a template.
    pub async fn delete(&self, key: &TemplateKey, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "samples.delete", { self.set(key, None, actor).await }).await
    }

    async fn set(&self, key: &TemplateKey, sample: Option<String>, actor: &Actor) -> Result<bool, StoreError> {
        let mut connection = self.0.store.acquire().await?;
        let kind = if sample.is_some() { AuditKind::SampleSaved } else { AuditKind::SampleDeleted };
        let mut write = Write::begin(&mut connection, self.0, actor).await?;
        let set = sqlx::query!(
            "UPDATE templates SET sample = $3::text::json WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL",
            self.0.tenant.as_str(),
            key.as_str(),
            sample
        )
        .execute(&mut *write)
        .await?;
        if set.rows_affected() == 0 {
            return Ok(false);
        }
        write.announce("template", key.as_str()).await?;
        write.commit(AuditEvent::new(kind, key)).await?;
        Ok(true)
    }
}
