//! Whether there are tenants beside `default`, and the tenants that other settings name.

use domain::TenantId;

use super::lists::Entry;
use super::problems::Problem;
use super::reader::{Values, shown};
use super::settings as known;

/// The tenants of this server.
#[derive(Debug)]
pub struct Tenancy {
    /// Whether there are others than `default`.
    pub tenants: api::Tenancy,
    /// The longest time that a replica goes on taking an archived tenant for an active one.
    pub status_cache_ttl_ms: u64,
}

const ACCEPTED: &str = "a tenant id: 1 to 64 characters of a-z, 0-9, '-' and '_', beginning with a letter or digit";
const WITHOUT_OTHERS: &str = "default; or MULTI_TENANT_ENABLED=true";

/// Reads the settings of tenants.
pub fn read(values: &Values) -> Tenancy {
    let tenants = if values.is_on(&known::MULTI_TENANT_ENABLED) { api::Tenancy::Multi } else { api::Tenancy::Single };
    Tenancy { tenants, status_cache_ttl_ms: values.required(&known::TENANT_STATUS_CACHE_TTL_MS) }
}

/// Whether a tenant may be named here. Where the switch was refused nothing more is said.
fn may_be_named(tenant: &TenantId, values: &Values) -> bool {
    *tenant == TenantId::default_tenant() || values.switch(&known::MULTI_TENANT_ENABLED) != Some(false)
}

/// The `tenantId` of an entry of a list; `default` where it names none.
pub fn tenant_of(entry: &mut Entry<'_>, values: &Values) -> TenantId {
    let Some(tenant) = entry.optional::<TenantId>("tenantId", ACCEPTED) else { return TenantId::default_tenant() };
    if !may_be_named(&tenant, values) {
        entry.refuse("tenantId", "found another tenant than default, and MULTI_TENANT_ENABLED is not on", WITHOUT_OTHERS);
    }
    tenant
}

/// The tenant of people whose identity provider names none.
pub fn default_of_oidc(values: &Values, problems: &mut Vec<Problem>) -> TenantId {
    let setting = &known::OIDC_DEFAULT_TENANT;
    let text = values.text(setting).unwrap_or_default();
    let mut refuse = |accepted: &str| {
        problems.push(Problem { name: setting.name.to_owned(), found: shown(text), accepted: accepted.to_owned() });
        TenantId::default_tenant()
    };
    match text.parse() {
        Ok(tenant) if may_be_named(&tenant, values) => tenant,
        Ok(_) => refuse(WITHOUT_OTHERS),
        Err(_) => refuse(ACCEPTED),
    }
}
