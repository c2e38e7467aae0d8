//! People as authentication finds them: by their key, by their name in a tenant, and by what the identity provider calls them.

use domain::peppers::KeyMac;
use domain::tenants::TenantStatus;
use domain::users::UserId;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::users::{UserRecord, UserRow, Users};

/// A person as authentication sees them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserCredential {
    /// The person.
    pub user: UserRecord,
    /// What their tenant takes.
    pub tenant_status: TenantStatus,
}

impl Store {
    /// The person with that key, whatever tenant they belong to. For authentication alone.
    pub async fn user_by_key_mac(&self, mac: &KeyMac) -> Result<Option<UserCredential>, StoreError> {
        speak!(self, "users.by_key", {
            let row = sqlx::query_as!(
                UserRow,
                r#"SELECT u.user_id, u.tenant_id, u.display_name, u.role, u.auth_method, u.key_hint, u.email, u.groups, u.user_name,
                          u.external_id, u.deactivated_at, u.token_issued_after, u.created_at, u.updated_at, t.status AS "status?"
                   FROM users u JOIN tenants t USING (tenant_id) WHERE u.key_mac = $1"#,
                mac.as_bytes().as_slice()
            )
            .fetch_optional(&mut *self.acquire().await?)
            .await?;
            row.map(UserCredential::try_from).transpose()
        })
        .await
    }

    /// The person whom the identity provider calls so, whatever tenant they belong to. For authentication alone.
    pub async fn user_of_provider(&self, id: &UserId) -> Result<Option<UserCredential>, StoreError> {
        speak!(self, "users.of_provider", {
            let row = sqlx::query_as!(
                UserRow,
                r#"SELECT u.user_id, u.tenant_id, u.display_name, u.role, u.auth_method, u.key_hint, u.email, u.groups, u.user_name,
                          u.external_id, u.deactivated_at, u.token_issued_after, u.created_at, u.updated_at, t.status AS "status?"
                   FROM users u JOIN tenants t USING (tenant_id) WHERE u.user_id = $1 AND u.auth_method = 'oidc'"#,
                id.as_str()
            )
            .fetch_optional(&mut *self.acquire().await?)
            .await?;
            row.map(UserCredential::try_from).transpose()
        })
        .await
    }
}

impl Users<'_> {
    /// The person of that id as authentication sees them.
    pub async fn credential(&self, id: &UserId) -> Result<Option<UserCredential>, StoreError> {
        speak!(self.0.store, "users.by_id", {
            let row = sqlx::query_as!(
                UserRow,
                r#"SELECT u.user_id, u.tenant_id, u.display_name, u.role, u.auth_method, u.key_hint, u.email, u.groups, u.user_name,
                          u.external_id, u.deactivated_at, u.token_issued_after, u.created_at, u.updated_at, t.status AS "status?"
                   FROM users u JOIN tenants t USING (tenant_id) WHERE u.tenant_id = $1 AND u.user_id = $2"#,
                self.0.tenant.as_str(),
                id.as_str()
            )
            .fetch_optional(&mut *self.0.store.acquire().await?)
            .await?;
            row.map(UserCredential::try_from).transpose()
        })
        .await
    }
}

impl TryFrom<UserRow> for UserCredential {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let status = row.status.as_deref().unwrap_or_default().parse();
        let tenant_status = status.map_err(|error| StoreError::inconsistent("tenants", error))?;
        Ok(Self { user: row.try_into()?, tenant_status })
    }
}
