//! Tenants, and the handle through which alone their rows are reached.

use domain::TenantId;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::samples::Samples;
use crate::template_versions::TemplateVersions;
use crate::templates::Templates;

/// The rows of one tenant. It cannot name another tenant's.
#[derive(Clone, Debug)]
pub struct TenantStore {
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
}

impl TenantStore {
    pub(crate) fn new(store: Store, tenant: TenantId) -> Self {
        Self { store, tenant }
    }

    /// Whose rows these are.
    pub fn tenant_id(&self) -> &TenantId {
        &self.tenant
    }

    /// The templates with their current version.
    pub fn templates(&self) -> Templates<'_> {
        Templates(self)
    }

    /// The immutable versions of templates.
    pub fn template_versions(&self) -> TemplateVersions<'_> {
        TemplateVersions(self)
    }

    /// The example data of templates.
    pub fn samples(&self) -> Samples<'_> {
        Samples(self)
    }
}

/// All tenants of the installation.
pub struct Tenants<'a>(&'a Store);

impl<'a> Tenants<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self(store)
    }

    /// Makes a tenant, unless it exists; says whether it made one. `name` has 1–255 characters.
    pub async fn insert(&self, tenant: &TenantId, name: &str) -> Result<bool, StoreError> {
        speak!(self.0, "tenants.insert", {
            let mut connection = self.0.acquire().await?;
            let made = sqlx::query!(
                "INSERT INTO tenants (tenant_id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                tenant.as_str(),
                name,
                self.0.now() as _
            )
            .execute(&mut *connection)
            .await?;
            Ok(made.rows_affected() == 1)
        })
        .await
    }
}
