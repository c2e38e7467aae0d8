//! The people of the configuration on their way into the registry, and the tenant of those whom the identity provider sends.

use api::IdentitySetup;
use domain::TenantId;
use domain::tenants::TenantStatus;
use domain::users::{UserActivity, UserId, UserKey};
use store::{KeptSecret, NewUser, SeedOutcome, Store, USER_GROUPS_LIMIT};

use crate::config::{Activity, Config, ListedUser};
use crate::error::ServerError;

/// Enters the people of `EDITOR_USERS_JSON` if nobody is in the registry yet; later it is the registry that rules.
pub async fn seed(config: &Config, identity: &IdentitySetup) -> Result<(), ServerError> {
    let listed = &config.identity.users;
    if listed.is_empty() {
        return Ok(());
    }
    let fit: Vec<Fit<'_>> = listed.iter().filter_map(|user| Fit::of(user, identity)).collect();
    let new: Vec<(TenantId, NewUser<'_>)> = fit.iter().map(Fit::new_user).collect();
    match identity.store.seed_users_if_empty(&new).await? {
        SeedOutcome::Seeded { inserted, without_tenant } => {
            for id in &without_tenant {
                tracing::warn!(%id, "a user of EDITOR_USERS_JSON was left out: the tenant does not exist, or is archived");
            }
            tracing::info!(inserted, left_out = listed.len() - inserted, "the users of EDITOR_USERS_JSON were entered");
        }
        SeedOutcome::NotEmpty => {
            tracing::info!(listed = listed.len(), "there are users already: EDITOR_USERS_JSON is not looked at; /admin/users changes them");
        }
    }
    Ok(())
}

/// Says so when people without a tenant claim cannot come in. The tenant may be made while the server runs.
pub async fn check_default_tenant(config: &Config, store: &Store) -> Result<(), ServerError> {
    let Some(oidc) = &config.identity.oidc else { return Ok(()) };
    let status = store.tenants().get(&oidc.default_tenant).await?.map(|tenant| tenant.status);
    if status != Some(TenantStatus::Active) {
        let tenant = oidc.default_tenant.as_str();
        tracing::warn!(tenant, "OIDC_DEFAULT_TENANT names no active tenant: new people whose claims name none are refused until it is one");
    }
    Ok(())
}

/// An entry that the registry can keep.
struct Fit<'a> {
    listed: &'a ListedUser,
    id: UserId,
    secret: KeptSecret,
}

impl<'a> Fit<'a> {
    fn of(listed: &'a ListedUser, identity: &IdentitySetup) -> Option<Self> {
        let id = listed.id.parse::<UserId>().map_err(|error| error.to_string());
        let key = listed.key.reveal().parse::<UserKey>().map_err(|error| error.to_string());
        let fit = id.and_then(|id| {
            if id.is_made_for_the_provider() {
                return Err(format!("its id begins with {:?}, as only people of the identity provider do", UserId::OF_PROVIDER));
            }
            let secret = KeptSecret::of_user_key(&key?, &identity.pepper);
            if listed.groups.len() > USER_GROUPS_LIMIT {
                return Err(format!("it has more than {USER_GROUPS_LIMIT} groups"));
            }
            Ok(Self { listed, id, secret })
        });
        fit.inspect_err(|reason| tracing::warn!(id = listed.id, reason, "a user of EDITOR_USERS_JSON was left out")).ok()
    }

    fn new_user(&self) -> (TenantId, NewUser<'_>) {
        let new = NewUser {
            id: &self.id,
            display_name: &self.listed.display_name,
            role: self.listed.role,
            secret: &self.secret,
            email: self.listed.email.as_deref(),
            groups: &self.listed.groups,
            activity: match self.listed.activity {
                Activity::Active => UserActivity::Active,
                Activity::Inactive => UserActivity::Deactivated,
            },
            user_name: None,
            external_id: None,
        };
        (self.listed.tenant.clone(), new)
    }
}
