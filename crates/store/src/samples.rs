//! The example data of a template. It belongs to no version.

use domain::templates::TemplateKey;
use serde_json::Value;
use sqlx::Connection as _;

use crate::changes::announce;
use crate::connect::speak;
use crate::error::StoreError;
use crate::tenants::TenantStore;

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
    pub async fn put(&self, key: &TemplateKey, sample: &Value) -> Result<bool, StoreError> {
        speak!(self.0.store, "samples.put", { self.set(key, Some(sample.to_string())).await }).await
    }

    /// Takes the sample away, if there is one; says whether there is such a template.
    pub async fn delete(&self, key: &TemplateKey) -> Result<bool, StoreError> {
        speak!(self.0.store, "samples.delete", { self.set(key, None).await }).await
    }

    async fn set(&self, key: &TemplateKey, sample: Option<String>) -> Result<bool, StoreError> {
        let mut connection = self.0.store.acquire().await?;
        let mut transaction = connection.begin().await?;
        let set = sqlx::query!(
            "UPDATE templates SET sample = $3::text::json WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL",
            self.0.tenant.as_str(),
            key.as_str(),
            sample
        )
        .execute(&mut *transaction)
        .await?;
        if set.rows_affected() == 0 {
            return Ok(false);
        }
        announce(&mut transaction, &self.0.tenant, "template", key.as_str()).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
