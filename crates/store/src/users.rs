//! People: who they are, what they may do, and how they come in.

use domain::audit::AuditKind;
use domain::users::{AuthMethod, UserActivity, UserId};
use domain::{Actor, AuditEvent, Scope, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;

use crate::connect::speak;
use crate::error::StoreError;
use crate::installation_secrets::KeptSecret;
use crate::listing::Listing;
use crate::page::Page;
use crate::template_list::SortOrder;
use crate::tenants::TenantStore;
use crate::write::Write;

/// The longest display name of a person, in characters (a CHECK of the table).
pub const USER_NAME_LIMIT_CHARS: usize = 200;
/// The most people a tenant can have. Those of the configuration are entered whatever their number.
pub const USERS_LIMIT: u64 = 10_000;
/// The most groups a person can be in (a CHECK of the table).
pub const USER_GROUPS_LIMIT: usize = 200;

/// A person with a key, who does not exist yet.
#[derive(Clone, Copy, Debug)]
pub struct NewUser<'a> {
    /// Names the person in their tenant. What the identity provider's people are called begins otherwise
    /// ([`UserId::is_made_for_the_provider`]).
    pub id: &'a UserId,
    /// The name to show; 1–[`USER_NAME_LIMIT_CHARS`].
    pub display_name: &'a str,
    /// One of [`Scope::OF_USERS`].
    pub role: Scope,
    /// What is kept of the key.
    pub secret: &'a KeptSecret,
    /// An e-mail address, up to 254 characters.
    pub email: Option<&'a str>,
    /// Up to [`USER_GROUPS_LIMIT`].
    pub groups: &'a [String],
    /// Whether the person may come in.
    pub activity: UserActivity,
    /// The name in another directory, up to 255 characters.
    pub user_name: Option<&'a str>,
    /// The id in another directory, up to 255 characters.
    pub external_id: Option<&'a str>,
}

/// A change of a person. What is absent stays; `Some(None)` takes a value away.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserPatch<'a> {
    /// The name to show; 1–[`USER_NAME_LIMIT_CHARS`].
    pub display_name: Option<&'a str>,
    /// One of [`Scope::OF_USERS`].
    pub role: Option<Scope>,
    /// Another key, which works instead of the one before at once. A person of the identity provider comes in with it from
    /// then on, and no longer through the provider.
    pub secret: Option<&'a KeptSecret>,
    /// An e-mail address, up to 254 characters.
    pub email: Option<Option<&'a str>>,
    /// Up to [`USER_GROUPS_LIMIT`].
    pub groups: Option<&'a [String]>,
    /// Whether the person may come in.
    pub activity: Option<UserActivity>,
    /// The name in another directory, up to 255 characters.
    pub user_name: Option<Option<&'a str>>,
    /// The id in another directory, up to 255 characters.
    pub external_id: Option<Option<&'a str>>,
    /// Editor tokens issued before are refused.
    pub token_issued_after: Option<Option<Timestamp>>,
}

/// A person as the registry has them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRecord {
    /// Names the person in their tenant.
    pub id: UserId,
    /// Whose data the person reaches.
    pub tenant: TenantId,
    /// The name to show.
    pub display_name: String,
    /// What the person may do.
    pub role: Scope,
    /// How the person comes in.
    pub auth_method: AuthMethod,
    /// The last four characters of the key, if there is one.
    pub key_hint: Option<String>,
    /// An e-mail address.
    pub email: Option<String>,
    /// The groups the person is in.
    pub groups: Vec<String>,
    /// The name in another directory.
    pub user_name: Option<String>,
    /// The id in another directory.
    pub external_id: Option<String>,
    /// Since when the person may not come in.
    pub deactivated_at: Option<Timestamp>,
    /// Editor tokens issued before are refused.
    pub token_issued_after: Option<Timestamp>,
    /// When the person was entered.
    pub created_at: Timestamp,
    /// When the entry was last changed.
    pub updated_at: Timestamp,
}

/// How a change of a person ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum UserOutcome {
    /// Done; what there is now.
    Written(Box<UserRecord>),
    /// There is no such person; nothing was changed.
    NotFound,
    /// The tenant has [`USERS_LIMIT`] people; nothing was changed.
    TooMany,
    /// Somebody in the tenant has that id; nothing was changed.
    IdTaken,
    /// Somebody in the installation has that key, perhaps in another tenant; nothing was changed. To whoever chose it by
    /// guessing, this is an answer: count such refusals as failed logins.
    KeyTaken,
}

/// The people of one tenant.
pub struct Users<'a>(pub(crate) &'a TenantStore);

impl TenantStore {
    /// The people of the tenant.
    pub fn users(&self) -> Users<'_> {
        Users(self)
    }
}

impl Users<'_> {
    /// The person of that id.
    pub async fn get(&self, id: &UserId) -> Result<Option<UserRecord>, StoreError> {
        speak!(self.0.store, "users.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                UserRow,
                r#"SELECT user_id, tenant_id, display_name, role, auth_method, key_hint, email, groups, user_name, external_id,
                          deactivated_at, token_issued_after, created_at, updated_at, NULL AS status
                   FROM users WHERE tenant_id = $1 AND user_id = $2"#,
                self.0.tenant.as_str(),
                id.as_str()
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(UserRecord::try_from).transpose()
        })
        .await
    }

    /// One page of the people by id. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, limit: u32, offset: u64) -> Result<Page<UserRecord>, StoreError> {
        speak!(self.0.store, "users.list", {
            let listing = Listing {
                tenant: Some(&self.0.tenant),
                table: "users",
                id: "tenant_id, user_id",
                columns: "user_id, tenant_id, display_name, role, auth_method, key_hint, email, groups, user_name, external_id,
                          deactivated_at, token_issued_after, created_at, updated_at, NULL AS status",
                order: &[("user_id", "text")],
                direction: SortOrder::Ascending,
                filter: Some(String::new()),
                conditions: &|query| {
                    query.push("tenant_id = ").push_bind(self.0.tenant.as_str().to_owned());
                },
            };
            let mut connection = self.0.store.acquire().await?;
            let (rows, total) = listing.page::<UserRow>(&self.0.store, &mut connection, limit, offset).await?;
            let items = rows.into_iter().map(UserRecord::try_from).collect::<Result<_, _>>()?;
            Ok(Page { items, total })
        })
        .await
    }

    /// How many people the tenant has.
    pub async fn count(&self) -> Result<u64, StoreError> {
        speak!(self.0.store, "users.count", {
            let mut connection = self.0.store.acquire().await?;
            self.counted(&mut connection).await
        })
        .await
    }

    async fn counted(&self, connection: &mut PgConnection) -> Result<u64, StoreError> {
        let tenant = self.0.tenant.as_str();
        let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM users WHERE tenant_id = $1"#, tenant);
        Ok(u64::try_from(count.fetch_one(connection).await?).unwrap_or(0))
    }

    /// Whether the person who was just entered is one too many.
    pub(crate) async fn are_too_many(&self, write: &mut Write<'_>) -> Result<bool, StoreError> {
        // Whoever else enters somebody waits for the end of the chain, and then counts this one too.
        write.chain_end().await?;
        Ok(self.counted(write).await? > USERS_LIMIT)
    }

    /// Enters a person with a key.
    pub async fn insert(&self, new: NewUser<'_>, actor: &Actor) -> Result<UserOutcome, StoreError> {
        let inserted = speak!(self.0.store, "users.insert", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let user = insert(&mut write, self.0, new).await?;
            if self.are_too_many(&mut write).await? {
                return Ok(UserOutcome::TooMany);
            }
            write.announce("user", new.id.as_str()).await?;
            write.commit(created(&user)).await?;
            Ok(UserOutcome::Written(Box::new(user)))
        });
        taken(inserted.await)
    }

    /// Changes what `patch` names.
    pub async fn update(&self, id: &UserId, patch: UserPatch<'_>, actor: &Actor) -> Result<UserOutcome, StoreError> {
        let updated = speak!(self.0.store, "users.update", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let now = self.0.store.now();
            let row = sqlx::query_as!(
                UserRow,
                r#"UPDATE users
                   SET display_name = COALESCE($3, display_name), role = COALESCE($4, role), key_mac = COALESCE($5, key_mac),
                       key_hint = COALESCE($6, key_hint), auth_method = CASE WHEN $5::bytea IS NULL THEN auth_method ELSE 'key' END,
                       email = CASE WHEN $7 THEN $8 ELSE email END, groups = COALESCE($9, groups),
                       deactivated_at = CASE WHEN $10 THEN COALESCE(deactivated_at, $18) WHEN $11 THEN NULL ELSE deactivated_at END,
                       user_name = CASE WHEN $12 THEN $13 ELSE user_name END,
                       external_id = CASE WHEN $14 THEN $15 ELSE external_id END,
                       token_issued_after = CASE WHEN $16 THEN $17 ELSE token_issued_after END, updated_at = $18
                   WHERE tenant_id = $1 AND user_id = $2
                   RETURNING user_id, tenant_id, display_name, role, auth_method, key_hint, email, groups, user_name, external_id,
                             deactivated_at, token_issued_after, created_at, updated_at, NULL AS status"#,
                self.0.tenant.as_str(),
                id.as_str(),
                patch.display_name,
                patch.role.map(Scope::as_str),
                patch.secret.map(|secret| secret.mac.as_bytes().as_slice()),
                patch.secret.map(|secret| secret.hint.as_str()),
                patch.email.is_some(),
                patch.email.flatten(),
                patch.groups,
                patch.activity == Some(UserActivity::Deactivated),
                patch.activity == Some(UserActivity::Active),
                patch.user_name.is_some(),
                patch.user_name.flatten(),
                patch.external_id.is_some(),
                patch.external_id.flatten(),
                patch.token_issued_after.is_some(),
                patch.token_issued_after.flatten().map(Timestamp::to_sqlx) as _,
                now as _
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else { return Ok(UserOutcome::NotFound) };
            write.announce("user", id.as_str()).await?;
            write.commit(patch.event(id)).await?;
            Ok(UserOutcome::Written(Box::new(row.try_into()?)))
        });
        taken(updated.await)
    }

    /// Removes a person; says whether there was one. The id is free for somebody else then.
    pub async fn delete(&self, id: &UserId, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "users.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let deleted = sqlx::query!("DELETE FROM users WHERE tenant_id = $1 AND user_id = $2", self.0.tenant.as_str(), id.as_str())
                .execute(&mut *write)
                .await?;
            if deleted.rows_affected() == 0 {
                return Ok(false);
            }
            write.announce("user", id.as_str()).await?;
            write.commit(AuditEvent::new(AuditKind::UserDeleted, id)).await?;
            Ok(true)
        })
        .await
    }
}

impl UserPatch<'_> {
    /// What the audit log says of the change: what was changed, and the new value where it decides what somebody may do.
    fn event(&self, id: &UserId) -> AuditEvent {
        let named = [
            ("displayName", self.display_name.is_some()),
            ("role", self.role.is_some()),
            ("key", self.secret.is_some()),
            ("email", self.email.is_some()),
            ("groups", self.groups.is_some()),
            ("active", self.activity.is_some()),
            ("userName", self.user_name.is_some()),
            ("externalId", self.external_id.is_some()),
            ("tokenIssuedAfter", self.token_issued_after.is_some()),
        ];
        let changed: Vec<&str> = named.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect();
        let mut event = AuditEvent::new(AuditKind::UserUpdated, id).with("changed", changed);
        if let Some(role) = self.role {
            event = event.with("role", role.as_str());
        }
        if let Some(activity) = self.activity {
            event = event.with("active", activity == UserActivity::Active);
        }
        if let Some(secret) = self.secret {
            event = event.with("keyHint", secret.hint.as_str());
        }
        if let Some(groups) = self.groups {
            event = event.with("groups", groups);
        }
        if let Some(cut_over) = self.token_issued_after {
            event = event.with("tokenIssuedAfter", cut_over.map(|cut_over| cut_over.to_string()));
        }
        event
    }
}

/// Enters a person with a key, unaudited.
pub(crate) async fn insert(connection: &mut PgConnection, handle: &TenantStore, new: NewUser<'_>) -> Result<UserRecord, StoreError> {
    let now = handle.store.now();
    sqlx::query_as!(
        UserRow,
        r#"INSERT INTO users (user_id, tenant_id, display_name, role, auth_method, key_mac, key_hint, email, groups, user_name,
                              external_id, deactivated_at, created_at, updated_at)
           VALUES ($1, $2, $3, $4, 'key', $5, $6, $7, $8, $9, $10, $11, $12, $12)
           RETURNING user_id, tenant_id, display_name, role, auth_method, key_hint, email, groups, user_name, external_id,
                     deactivated_at, token_issued_after, created_at, updated_at, NULL AS status"#,
        new.id.as_str(),
        handle.tenant.as_str(),
        new.display_name,
        new.role.as_str(),
        new.secret.mac.as_bytes().as_slice(),
        new.secret.hint,
        new.email,
        new.groups,
        new.user_name,
        new.external_id,
        (new.activity == UserActivity::Deactivated).then_some(now) as _,
        now as _
    )
    .fetch_one(connection)
    .await?
    .try_into()
}

/// What the audit log says of a new person.
pub(crate) fn created(user: &UserRecord) -> AuditEvent {
    AuditEvent::new(AuditKind::UserCreated, &user.id)
        .with("displayName", user.display_name.as_str())
        .with("role", user.role.as_str())
        .with("authMethod", user.auth_method.as_str())
        .with("groups", user.groups.as_slice())
        .with("active", user.deactivated_at.is_none())
}

/// A rule of the table that two people cannot both keep is an outcome, not an error.
fn taken(result: Result<UserOutcome, StoreError>) -> Result<UserOutcome, StoreError> {
    match result {
        Err(StoreError::Conflict { what }) if what == "users_pkey" => Ok(UserOutcome::IdTaken),
        Err(StoreError::Conflict { what }) if what == "users_key_mac_key" => Ok(UserOutcome::KeyTaken),
        other => other,
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct UserRow {
    pub(crate) user_id: String,
    pub(crate) tenant_id: String,
    pub(crate) display_name: String,
    pub(crate) role: String,
    pub(crate) auth_method: String,
    pub(crate) key_hint: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) user_name: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) deactivated_at: Option<jiff_sqlx::Timestamp>,
    pub(crate) token_issued_after: Option<jiff_sqlx::Timestamp>,
    pub(crate) created_at: jiff_sqlx::Timestamp,
    pub(crate) updated_at: jiff_sqlx::Timestamp,
    /// The tenant's, where it was asked for.
    pub(crate) status: Option<String>,
}

impl TryFrom<UserRow> for UserRecord {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.user_id.parse().map_err(inconsistent)?,
            tenant: row.tenant_id.parse().map_err(inconsistent)?,
            display_name: row.display_name,
            role: row.role.parse().map_err(inconsistent)?,
            auth_method: row.auth_method.parse().map_err(inconsistent)?,
            key_hint: row.key_hint,
            email: row.email,
            groups: row.groups,
            user_name: row.user_name,
            external_id: row.external_id,
            deactivated_at: row.deactivated_at.map(jiff_sqlx::Timestamp::to_jiff),
            token_issued_after: row.token_issued_after.map(jiff_sqlx::Timestamp::to_jiff),
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        })
    }
}

fn inconsistent(error: impl std::fmt::Display) -> StoreError {
    StoreError::inconsistent("users", error)
}
