//! People whom the identity provider vouches for: which user each of them is, and who may become one.

use domain::tenants::TenantStatus;
use domain::users::{AuthMethod, UserId};
use domain::{Actor, Scope, TenantId};
use jiff::{SignedDuration, Timestamp};
use openid::Completion;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{ProvisionOutcome, Provisioned, RoleRule, USER_GROUPS_LIMIT, UserCredential};

use crate::auth::{Caller, Credential};
use crate::identity::{Identity, Tenancy};
use crate::rates::Rate;
use crate::refusal::Refusal;
use crate::requests::current_request_id;

/// The longest name of a group that is kept, in characters: as long as an admin may write one.
const GROUP_CHARS: usize = 255;

/// The identity provider, and what its people may become.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// Says who somebody is.
    pub provider: openid::Provider,
    /// What happens with people who are no users yet.
    pub newcomers: Newcomers,
    /// The tenant of people whose claims name none, unless they are users of another one.
    pub default_tenant: TenantId,
    /// The role of people whose claims name none that there is.
    pub default_role: Scope,
    /// Who decides on the roles of these people.
    pub roles: RolesBy,
    /// How often one address may come back from the provider, each of which makes us ask it.
    pub callbacks: Rate,
}

/// What happens with people who are no users yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomers {
    /// They are refused.
    Refused,
    /// They become users.
    BecomeUsers,
}

/// Who decides on the roles of people who come in through the identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolesBy {
    /// The admins, once the people are users.
    Admins,
    /// The provider, at each login: whoever loses the claim loses the role.
    Provider,
}

/// Somebody whom the provider vouches for.
pub(crate) struct Person<'a> {
    subject: &'a str,
    email: Option<&'a str>,
    display_name: Option<&'a str>,
    groups: &'a [String],
    tenant: Option<&'a str>,
    role: Option<&'a str>,
}

impl<'a> From<&'a openid::Identity> for Person<'a> {
    fn from(said: &'a openid::Identity) -> Self {
        Self {
            subject: &said.subject,
            email: said.email.as_deref(),
            display_name: said.display_name.as_deref(),
            groups: &said.groups,
            tenant: said.tenant.as_deref(),
            role: said.role.as_deref(),
        }
    }
}

impl<'a> From<&'a Completion> for Person<'a> {
    fn from(said: &'a Completion) -> Self {
        Self {
            subject: &said.subject,
            email: said.email.as_deref(),
            display_name: said.display_name.as_deref(),
            groups: &said.groups,
            tenant: said.tenant.as_deref(),
            role: said.role.as_deref(),
        }
    }
}

impl Person<'_> {
    /// The id as a user: the subject, or what is made of one that is too long or reads as something else.
    pub(crate) fn id(&self) -> Result<UserId, Refusal> {
        let own = self.subject.parse::<UserId>().ok().filter(|own| !own.is_made_for_the_provider());
        let made = || {
            format!("{}{}", UserId::OF_PROVIDER, hex::encode(Sha256::digest(self.subject)))
                .parse()
                .map_err(|_| Refusal::NoSuchUser { id: self.subject.to_owned() })
        };
        own.map_or_else(made, Ok)
    }

    /// The tenant that the claims name, whether there is one or not.
    fn tenant(&self, id: &UserId) -> Result<Option<TenantId>, Refusal> {
        let unknown = |named: &str| Refusal::NotInTenant { id: id.to_string(), tenant: named.to_owned(), why: "there is no such tenant" };
        self.tenant.map(|named| named.parse().map_err(|_| unknown(named))).transpose()
    }

    fn role(&self, oidc: &Oidc, id: &UserId) -> RoleRule {
        let named = self.role.and_then(|role| role.parse().ok()).filter(|role| Scope::OF_USERS.contains(role));
        if let (None, Some(role)) = (named, self.role) {
            tracing::warn!(%id, role, instead = %oidc.default_role, "the identity provider names a role that there is not");
        }
        let role = named.unwrap_or(oidc.default_role);
        match oidc.roles {
            RolesBy::Admins => RoleRule::AtFirst(role),
            RolesBy::Provider => RoleRule::Always(role),
        }
    }

    /// The groups that the registry can keep.
    fn groups(&self) -> Vec<String> {
        let storable = |group: &&String| group.chars().count() <= GROUP_CHARS && !group.contains(char::is_control);
        self.groups.iter().filter(storable).take(USER_GROUPS_LIMIT).cloned().collect()
    }
}

impl Identity {
    /// The caller with an access token of the identity provider. What the registry knows of a user counts, and the database is
    /// asked no more often than for an editor token.
    pub(crate) async fn of_bearer(&self, oidc: &Oidc, token: &str) -> Result<Caller, Refusal> {
        let said = oidc.provider.verify_bearer(token).await.map_err(Refusal::OpenId)?;
        let person = Person::from(&said);
        let id = person.id()?;
        let caller = match self.known_of_provider(&id).await? {
            Some(known) => {
                check_known(&person, &known)?;
                let issued_at = said.claims.get("iat").and_then(seconds).unwrap_or(Timestamp::MIN);
                if known.user.token_issued_after.is_some_and(|cut_over| issued_at < cut_over) {
                    return Err(Refusal::BeforeCutOver { id: id.to_string() });
                }
                self.of_user(&known)?
            }
            None => self.let_in(oidc, &person).await?,
        };
        Ok(Caller { credential: Credential::Bearer, ..caller })
    }

    /// The person as a user, entered or brought up to date.
    pub(crate) async fn let_in(&self, oidc: &Oidc, person: &Person<'_>) -> Result<Caller, Refusal> {
        let id = person.id()?;
        let known = self.store().user_of_provider(&id).await.map_err(Refusal::Away)?;
        if let Some(known) = &known {
            check_known(person, known)?;
        }
        let newcomer = known.is_none();
        let tenant = match (person.tenant(&id)?, known) {
            (Some(named), _) => named,
            (None, Some(known)) => known.user.tenant,
            (None, None) => oidc.default_tenant.clone(),
        };
        if newcomer && self.known(&tenant, &id).await?.is_some_and(|namesake| namesake.user.auth_method == AuthMethod::Key) {
            return Err(Refusal::HasKey { id: id.to_string() });
        }
        if newcomer && oidc.newcomers == Newcomers::Refused {
            return Err(Refusal::Newcomer { id: id.to_string() });
        }
        self.check_tenant(&id, &tenant).await?;
        let groups = person.groups();
        let name = [person.display_name, person.email].into_iter().flatten().map(str::trim).find(|name| !name.is_empty());
        let shown: String = name.unwrap_or(person.subject).chars().take(store::USER_NAME_LIMIT_CHARS).collect();
        let provisioned = Provisioned {
            id: &id,
            display_name: &shown,
            email: person.email,
            groups: &groups,
            external_id: Some(person.subject),
            role: person.role(oidc, &id),
        };
        let actor = Actor { request_id: Some(current_request_id()), ..Actor::system("oidc") };
        let outcome = self.store().tenant(tenant.clone()).users().provision(provisioned, &actor).await.map_err(Refusal::Away)?;
        let user = match outcome {
            ProvisionOutcome::Inserted(user) | ProvisionOutcome::Refreshed(user) => {
                self.changed(&tenant);
                user
            }
            ProvisionOutcome::Unchanged(user) | ProvisionOutcome::Deactivated(user) => user,
            ProvisionOutcome::OtherTenant => return Err(other_tenant(&id, tenant.as_str())),
            ProvisionOutcome::TooMany => return Err(Refusal::TenantFull { id: id.to_string(), tenant }),
            ProvisionOutcome::HasKey => return Err(Refusal::HasKey { id: id.to_string() }),
        };
        self.of_user(&UserCredential { user: *user, tenant_status: TenantStatus::Active })
    }

    async fn check_tenant(&self, id: &UserId, tenant: &TenantId) -> Result<(), Refusal> {
        let refuse = |why| Err(Refusal::NotInTenant { id: id.to_string(), tenant: tenant.to_string(), why });
        if self.tenancy() == Tenancy::Single {
            return if *tenant == TenantId::default_tenant() { Ok(()) } else { refuse("MULTI_TENANT_ENABLED is off") };
        }
        match self.status_of(tenant).await.map_err(Refusal::Away)? {
            Some(TenantStatus::Active) => Ok(()),
            Some(TenantStatus::Archived) => refuse("the tenant is archived"),
            None | Some(TenantStatus::Purged) => refuse("there is no such tenant"),
        }
    }
}

/// What the provider says must not contradict what the registry knows.
fn check_known(person: &Person<'_>, known: &UserCredential) -> Result<(), Refusal> {
    let user = &known.user;
    match person.tenant {
        Some(named) if named != user.tenant.as_str() => Err(other_tenant(&user.id, named)),
        _ => Ok(()),
    }
}

fn other_tenant(id: &UserId, named: &str) -> Refusal {
    Refusal::NotInTenant { id: id.to_string(), tenant: named.to_owned(), why: "the user belongs to another tenant" }
}

/// A time claim, which may have a fraction.
fn seconds(claim: &Value) -> Option<Timestamp> {
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(claim.as_f64()?).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(subject: &str) -> String {
        let person = Person { subject, email: None, display_name: None, groups: &[], tenant: None, role: None };
        person.id().unwrap().to_string()
    }

    #[test]
    fn a_user_is_called_by_the_subject_unless_it_cannot_be_an_id() {
        for subject in ["00u1", "auth0|5f7", "ann@example.com", &"x".repeat(128)] {
            assert_eq!(id_of(subject), subject);
        }
        let made: Vec<String> =
            ["x".repeat(129), "y".repeat(255), "env:admin".to_owned(), "OIDC:00".to_owned()].iter().map(|one| id_of(one)).collect();
        assert!(made.iter().all(|id| id.len() == "oidc:".len() + 64 && id.starts_with("oidc:")), "{made:?}");
        assert_ne!(made[0], made[1]);
        assert_ne!(id_of(&made[0]), made[0], "nobody gets another one's id by a subject that reads like it");
    }
}
