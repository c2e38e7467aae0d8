//! People who are entered without an admin: those of the configuration once, those of the identity provider as they come.

use std::collections::BTreeSet;

use domain::audit::AuditKind;
use domain::users::{AuthMethod, UserId};
use domain::{Actor, AuditEvent, Scope, TenantId};

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::users::{NewUser, UserRecord, UserRow, Users, created, insert};
use crate::write::Write;

/// How the entry of the configured people ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum SeedOutcome {
    /// They are in the registry now.
    Seeded {
        /// How many.
        inserted: usize,
        /// Those left out, because their tenant does not exist or takes no writes.
        without_tenant: Vec<UserId>,
    },
    /// Somebody was in the registry already: it rules, and nothing was changed.
    NotEmpty,
}

/// What the identity provider says of a person.
#[derive(Clone, Copy, Debug)]
pub struct Provisioned<'a> {
    /// What the provider calls the person.
    pub id: &'a UserId,
    /// The name to show; 1–[`crate::USER_NAME_LIMIT_CHARS`].
    pub display_name: &'a str,
    /// An e-mail address, up to 254 characters.
    pub email: Option<&'a str>,
    /// Up to [`crate::USER_GROUPS_LIMIT`].
    pub groups: &'a [String],
    /// The id at the provider, up to 255 characters.
    pub external_id: Option<&'a str>,
    /// What the person may do.
    pub role: RoleRule,
}

/// Who decides what a person of the identity provider may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoleRule {
    /// This at first; later the admins.
    AtFirst(Scope),
    /// The provider, each time the person comes.
    Always(Scope),
}

/// How the entry of a person of the identity provider ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum ProvisionOutcome {
    /// The person is new.
    Inserted(Box<UserRecord>),
    /// The person was known, and something about them is new.
    Refreshed(Box<UserRecord>),
    /// The person was known as they are; nothing was written.
    Unchanged(Box<UserRecord>),
    /// The person may not come in; nothing was changed.
    Deactivated(Box<UserRecord>),
    /// The person is new, and the tenant has [`crate::USERS_LIMIT`] people; nothing was changed.
    TooMany,
    /// The provider's person of that id is in another tenant; nothing was changed.
    OtherTenant,
    /// Somebody of that id in the tenant comes in with a key of their own, and the provider is not to speak for them; nothing was changed.
    HasKey,
}

const ANYBODY: &str = r#"SELECT EXISTS (SELECT 1 FROM users) AS "anybody!""#;

impl Store {
    /// Whether anybody is in the registry, whatever tenant they belong to.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        speak!(self, "users.any", { Ok(sqlx::query_scalar::<_, bool>(ANYBODY).fetch_one(&mut *self.acquire().await?).await?) }).await
    }

    /// Enters the configured people, all or none, if nobody is in the registry yet. Of several replicas that start at the same
    /// time, one does it. The same id or key twice is a [`StoreError::Conflict`].
    pub async fn seed_users_if_empty(&self, users: &[(TenantId, NewUser<'_>)]) -> Result<SeedOutcome, StoreError> {
        speak!(self, "users.seed", {
            let mut connection = self.acquire().await?;
            // Most starts find somebody, and then nothing need be locked.
            if sqlx::query_scalar::<_, bool>(ANYBODY).fetch_one(&mut *connection).await? {
                return Ok(SeedOutcome::NotEmpty);
            }
            let ids: Vec<String> = users.iter().map(|(tenant, _)| tenant.to_string()).collect();
            let active: BTreeSet<String> =
                sqlx::query_scalar!("SELECT tenant_id FROM tenants WHERE tenant_id = ANY ($1) AND status = 'active'", &ids)
                    .fetch_all(&mut *connection)
                    .await?
                    .into_iter()
                    .collect();
            let (mut seeded, left_out): (Vec<_>, Vec<_>) = users.iter().partition(|(tenant, _)| active.contains(tenant.as_str()));
            let without_tenant = left_out.iter().map(|(_, user)| user.id.clone()).collect();
            // The order in which chains are taken.
            seeded.sort_by(|one, other| one.0.cmp(&other.0));
            let Some((last, others)) = seeded.split_last() else {
                return Ok(SeedOutcome::Seeded { inserted: 0, without_tenant });
            };
            let (handle, actor) = (self.tenant(last.0.clone()), Actor::system("seed"));
            let mut write = Write::begin(&mut connection, &handle, &actor).await?;
            // Readers go on; whoever else would write waits until the registry is whole.
            sqlx::query("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE").execute(&mut *write).await?;
            if sqlx::query_scalar::<_, bool>(ANYBODY).fetch_one(&mut *write).await? {
                return Ok(SeedOutcome::NotEmpty);
            }
            for (tenant, user) in others {
                let handle = self.tenant(tenant.clone());
                let record = insert(&mut write, &handle, *user).await?;
                write.announce_of(&handle, "user", user.id.as_str()).await?;
                write.record(&handle, created(&record)).await?;
            }
            let record = insert(&mut write, &handle, last.1).await?;
            write.announce("user", last.1.id.as_str()).await?;
            write.commit(created(&record)).await?;
            Ok(SeedOutcome::Seeded { inserted: seeded.len(), without_tenant })
        })
        .await
    }
}

impl Users<'_> {
    /// Enters a person of the identity provider, or takes over what is new about them. When nothing is, nothing is written
    /// and the audit log says nothing.
    pub async fn provision(&self, person: Provisioned<'_>, actor: &Actor) -> Result<ProvisionOutcome, StoreError> {
        match self.provision_once(person, actor).await {
            // Another replica entered the same person in the same moment: now the person is known.
            Err(StoreError::Conflict { what }) if what == "users_pkey" || what == "users_of_provider" => {
                self.provision_once(person, actor).await
            }
            outcome => outcome,
        }
    }

    async fn provision_once(&self, person: Provisioned<'_>, actor: &Actor) -> Result<ProvisionOutcome, StoreError> {
        speak!(self.0.store, "users.provision", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let found = sqlx::query_as!(
                UserRow,
                r#"SELECT user_id, tenant_id, display_name, role, auth_method, key_hint, email, groups, user_name, external_id,
                          deactivated_at, token_issued_after, created_at, updated_at, NULL AS status
                   FROM users WHERE user_id = $1 AND (tenant_id = $2 OR auth_method = 'oidc')
                   ORDER BY tenant_id = $2 DESC LIMIT 1 FOR UPDATE"#,
                person.id.as_str(),
                self.0.tenant.as_str()
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(found) = found else {
                let user = self.enter(&mut write, person).await?;
                if self.are_too_many(&mut write).await? {
                    return Ok(ProvisionOutcome::TooMany);
                }
                write.announce("user", person.id.as_str()).await?;
                write.commit(created(&user)).await?;
                return Ok(ProvisionOutcome::Inserted(Box::new(user)));
            };
            let found = UserRecord::try_from(found)?;
            if found.tenant != self.0.tenant {
                return Ok(ProvisionOutcome::OtherTenant);
            }
            if found.auth_method == AuthMethod::Key {
                return Ok(ProvisionOutcome::HasKey);
            }
            if found.deactivated_at.is_some() {
                return Ok(ProvisionOutcome::Deactivated(Box::new(found)));
            }
            let changed = person.news(&found);
            if changed.is_empty() {
                return Ok(ProvisionOutcome::Unchanged(Box::new(found)));
            }
            let user = self.refresh(&mut write, person).await?;
            let event = AuditEvent::new(AuditKind::UserUpdated, person.id).with("changed", changed).with("role", user.role.as_str());
            write.announce("user", person.id.as_str()).await?;
            write.commit(event.with("groups", user.groups.as_slice())).await?;
            Ok(ProvisionOutcome::Refreshed(Box::new(user)))
        })
        .await
    }

    async fn enter(&self, write: &mut Write<'_>, person: Provisioned<'_>) -> Result<UserRecord, StoreError> {
        let (RoleRule::AtFirst(role) | RoleRule::Always(role)) = person.role;
        sqlx::query_as!(
            UserRow,
            r#"INSERT INTO users (user_id, tenant_id, display_name, role, auth_method, email, groups, external_id, created_at, updated_at)
               VALUES ($1, $2, $3, $4, 'oidc', $5, $6, $7, $8, $8)
               RETURNING user_id, tenant_id, display_name, role, auth_method, key_hint, email, groups, user_name, external_id,
                         deactivated_at, token_issued_after, created_at, updated_at, NULL AS status"#,
            person.id.as_str(),
            self.0.tenant.as_str(),
            person.display_name,
            role.as_str(),
            person.email,
            person.groups,
            person.external_id,
            self.0.store.now() as _
        )
        .fetch_one(&mut **write)
        .await?
        .try_into()
    }

    async fn refresh(&self, write: &mut Write<'_>, person: Provisioned<'_>) -> Result<UserRecord, StoreError> {
        sqlx::query_as!(
            UserRow,
            r#"UPDATE users
               SET display_name = $3, email = $4, groups = $5, external_id = $6, role = COALESCE($7, role), updated_at = $8
               WHERE tenant_id = $1 AND user_id = $2
               RETURNING user_id, tenant_id, display_name, role, auth_method, key_hint, email, groups, user_name, external_id,
                         deactivated_at, token_issued_after, created_at, updated_at, NULL AS status"#,
            self.0.tenant.as_str(),
            person.id.as_str(),
            person.display_name,
            person.email,
            person.groups,
            person.external_id,
            person.prescribed_role().map(Scope::as_str),
            self.0.store.now() as _
        )
        .fetch_one(&mut **write)
        .await?
        .try_into()
    }
}

impl Provisioned<'_> {
    fn prescribed_role(&self) -> Option<Scope> {
        match self.role {
            RoleRule::Always(role) => Some(role),
            RoleRule::AtFirst(_) => None,
        }
    }

    /// What the provider says otherwise than the registry.
    fn news(&self, found: &UserRecord) -> Vec<&'static str> {
        let differences = [
            ("displayName", found.display_name != self.display_name),
            ("email", found.email.as_deref() != self.email),
            ("groups", found.groups != self.groups),
            ("externalId", found.external_id.as_deref() != self.external_id),
            ("role", self.prescribed_role().is_some_and(|role| role != found.role)),
        ];
        differences.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}
