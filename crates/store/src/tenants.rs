//! Tenants, and the handle through which alone their rows are reached.

use domain::audit::AuditKind;
use domain::tenants::TenantStatus;
use domain::{Actor, AuditEvent, Quotas, TenantId};
use jiff::Timestamp;

use crate::asset_versions::AssetVersions;
use crate::assets::Assets;
use crate::audit::Audit;
use crate::connect::{Store, speak};
use crate::drafts::Drafts;
use crate::error::StoreError;
use crate::listing::Listing;
use crate::page::Page;
use crate::quotas::quotas;
use crate::samples::Samples;
use crate::template_datasets::TemplateDatasets;
use crate::template_folders::TemplateFolders;
use crate::template_list::SortOrder;
use crate::template_versions::TemplateVersions;
use crate::templates::Templates;
use crate::write::{Needs, Write};

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

    /// The folders that templates lie in.
    pub fn template_folders(&self) -> TemplateFolders<'_> {
        TemplateFolders(self)
    }

    /// The immutable versions of templates.
    pub fn template_versions(&self) -> TemplateVersions<'_> {
        TemplateVersions(self)
    }

    /// The example data of templates.
    pub fn samples(&self) -> Samples<'_> {
        Samples(self)
    }

    /// The drafts of the tenant's templates.
    pub fn drafts(&self) -> Drafts<'_> {
        Drafts(self)
    }

    /// The named example data of templates.
    pub fn template_datasets(&self) -> TemplateDatasets<'_> {
        TemplateDatasets(self)
    }

    /// Pictures and fonts.
    pub fn assets(&self) -> Assets<'_> {
        Assets(self)
    }

    /// Their immutable versions.
    pub fn asset_versions(&self) -> AssetVersions<'_> {
        AssetVersions(self)
    }

    /// Who changed what.
    pub fn audit(&self) -> Audit<'_> {
        Audit(self)
    }
}

/// A tenant as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRecord {
    /// Names it.
    pub id: TenantId,
    /// For people.
    pub name: String,
    /// What it takes.
    pub status: TenantStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Since when it takes no writes.
    pub archived_at: Option<Timestamp>,
    /// How much it may use.
    pub quotas: Quotas,
}

/// How a change of a tenant's status ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum StatusOutcome {
    /// It has the status now; it may have had it before, and then nothing was written.
    Done(TenantRecord),
    /// There is no such tenant.
    NotFound,
    /// Its status does not lead there.
    NotFrom(TenantStatus),
}

/// All tenants of the installation. Only what acts for the whole installation has a reason to ask for them.
pub struct Tenants<'a>(&'a Store);

impl<'a> Tenants<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self(store)
    }

    pub(crate) fn store(&self) -> &'a Store {
        self.0
    }

    /// Makes a tenant, unless it exists or existed; says whether it made one. `name` has 1–255 characters.
    pub async fn insert(&self, tenant: &TenantId, name: &str, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0, "tenants.insert", {
            let handle = self.0.tenant(tenant.clone());
            let mut connection = self.0.acquire().await?;
            let mut write = Write::begin(&mut connection, &handle, actor).await?;
            let made = sqlx::query!(
                "INSERT INTO tenants (tenant_id, name, created_at, updated_at) VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING",
                tenant.as_str(),
                name,
                self.0.now() as _
            )
            .execute(&mut *write)
            .await?;
            if made.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query!("INSERT INTO audit_chains (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant.as_str())
                .execute(&mut *write)
                .await?;
            write.announce("tenant", tenant.as_str()).await?;
            write.commit(AuditEvent::new(AuditKind::TenantCreated, tenant).with("name", name)).await?;
            self.0.totals().tenants_changed();
            Ok(true)
        })
        .await
    }

    /// The tenant of that id, purged ones too.
    pub async fn get(&self, tenant: &TenantId) -> Result<Option<TenantRecord>, StoreError> {
        speak!(self.0, "tenants.get", {
            let mut connection = self.0.acquire().await?;
            let row = sqlx::query_as!(
                TenantRow,
                "SELECT tenant_id, name, status, created_at, updated_at, archived_at, quotas::text AS quotas
                 FROM tenants WHERE tenant_id = $1",
                tenant.as_str()
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(TenantRecord::try_from).transpose()
        })
        .await
    }

    /// One page of the tenants by id. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, limit: u32, offset: u64) -> Result<Page<TenantRecord>, StoreError> {
        speak!(self.0, "tenants.list", {
            let listing = Listing {
                tenant: None,
                table: "tenants",
                id: "tenant_id",
                columns: "tenant_id, name, status, created_at, updated_at, archived_at, quotas::text AS quotas",
                order: &[("tenant_id", "text")],
                direction: SortOrder::Ascending,
                filter: Some(String::new()),
                conditions: &|query| {
                    query.push("true");
                },
            };
            let mut connection = self.0.acquire().await?;
            let (rows, total) = listing.page::<TenantRow>(self.0, &mut connection, limit, offset).await?;
            let items = rows.into_iter().map(TenantRecord::try_from).collect::<Result<_, _>>()?;
            Ok(Page { items, total })
        })
        .await
    }

    /// Changes what is given and leaves the rest; gives the tenant as it is then, `None` when there is none. `name` has 1–255
    /// characters. `quotas` are all the limits: one that is absent in them is lifted.
    pub async fn update(
        &self,
        tenant: &TenantId,
        name: Option<&str>,
        quotas: Option<Quotas>,
        actor: &Actor,
    ) -> Result<Option<TenantRecord>, StoreError> {
        speak!(self.0, "tenants.update", {
            let quotas = quotas.map(serde_json::to_value).transpose();
            let quotas = quotas.map_err(|error| StoreError::Unexpected { source: error.into() })?;
            let handle = self.0.tenant(tenant.clone());
            let mut connection = self.0.acquire().await?;
            let mut write = Write::begin(&mut connection, &handle, actor).await?;
            let row = sqlx::query_as!(
                TenantRow,
                "UPDATE tenants SET name = COALESCE($2, name), quotas = COALESCE($3::text::jsonb, quotas), updated_at = $4
                 WHERE tenant_id = $1 AND status <> 'purged'
                 RETURNING tenant_id, name, status, created_at, updated_at, archived_at, quotas::text AS quotas",
                tenant.as_str(),
                name,
                quotas.as_ref().map(ToString::to_string),
                self.0.now() as _
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let mut event = AuditEvent::new(AuditKind::TenantUpdated, tenant);
            if let Some(name) = name {
                event = event.with("name", name);
            }
            if let Some(quotas) = quotas {
                event = event.with("quotas", quotas);
            }
            write.announce("tenant", tenant.as_str()).await?;
            write.commit(event).await?;
            Ok(Some(row.try_into()?))
        })
        .await
    }

    /// Archives a tenant, or makes an archived one active again. Every write that commits later sees the new status.
    pub async fn set_status(&self, tenant: &TenantId, to: TenantStatus, actor: &Actor) -> Result<StatusOutcome, StoreError> {
        speak!(self.0, "tenants.set_status", {
            let handle = self.0.tenant(tenant.clone());
            let mut connection = self.0.acquire().await?;
            let mut write = Write::begin_on(&mut connection, &handle, actor, Needs::AnyTenant).await?;
            // The chain first: whoever is writing commits before or finds the new status there.
            let end = match write.chain_end().await {
                Err(StoreError::NoSuchTenant) => return Ok(StatusOutcome::NotFound),
                end => end?,
            };
            let row = sqlx::query_as!(
                TenantRow,
                "SELECT tenant_id, name, status, created_at, updated_at, archived_at, quotas::text AS quotas
                 FROM tenants WHERE tenant_id = $1",
                tenant.as_str()
            )
            .fetch_one(&mut *write)
            .await?;
            let found = TenantRecord::try_from(row)?;
            if found.status == to {
                return Ok(StatusOutcome::Done(found));
            }
            if to == TenantStatus::Purged || !found.status.can_become(to) {
                return Ok(StatusOutcome::NotFrom(found.status));
            }
            let row = sqlx::query_as!(
                TenantRow,
                "UPDATE tenants SET status = $2, updated_at = $3, archived_at = CASE WHEN $4 THEN $3::timestamptz END
                 WHERE tenant_id = $1
                 RETURNING tenant_id, name, status, created_at, updated_at, archived_at, quotas::text AS quotas",
                tenant.as_str(),
                to.as_str(),
                self.0.now() as _,
                to == TenantStatus::Archived
            )
            .fetch_one(&mut *write)
            .await?;
            let kind = if to == TenantStatus::Archived { AuditKind::TenantArchived } else { AuditKind::TenantUnarchived };
            write.announce("tenant", tenant.as_str()).await?;
            write.commit_at(end, AuditEvent::new(kind, tenant)).await?;
            Ok(StatusOutcome::Done(row.try_into()?))
        })
        .await
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct TenantRow {
    tenant_id: String,
    name: String,
    status: String,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
    archived_at: Option<jiff_sqlx::Timestamp>,
    quotas: Option<String>,
}

/// The ids of a list of tenants.
pub(crate) fn tenant_ids(ids: Vec<String>) -> Result<Vec<TenantId>, StoreError> {
    ids.into_iter().map(|id| id.parse().map_err(|error| StoreError::inconsistent("tenants", error))).collect()
}

impl TryFrom<TenantRow> for TenantRecord {
    type Error = StoreError;

    fn try_from(row: TenantRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.tenant_id.parse().map_err(|error| StoreError::inconsistent("tenants", error))?,
            name: row.name,
            status: row.status.parse().map_err(|error| StoreError::inconsistent("tenants", error))?,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
            archived_at: row.archived_at.map(jiff_sqlx::Timestamp::to_jiff),
            quotas: quotas(row.quotas.as_deref())?,
        })
    }
}
