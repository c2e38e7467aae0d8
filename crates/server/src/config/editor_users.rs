//! The people of `EDITOR_USERS_JSON`, who log in with keys of their own.

use domain::{Scope, TenantId};

use super::forms::one_of;
use super::listed_keys::is_name;
use super::lists::{self, Entry, Flag};
use super::problems::Problem;
use super::reader::Values;
use super::secrets::{Distinct, Secret};
use super::settings as known;
use super::tenancy::tenant_of;

/// A person of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct ListedUser {
    /// Names the person in tokens and the audit log.
    pub id: String,
    /// The name to show.
    pub display_name: String,
    /// The key to log in with.
    pub key: Secret,
    /// What the person may do: one of [`Scope::OF_USERS`].
    pub role: Scope,
    /// An e-mail address.
    pub email: Option<String>,
    /// The groups the person is in.
    pub groups: Vec<String>,
    /// Whether the person may log in.
    pub activity: Activity,
    /// Whose data the person reaches.
    pub tenant: TenantId,
}

/// Whether a person may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Yes.
    Active,
    /// Not any more, or not yet.
    Inactive,
}

const FIELDS: &[&str] = &["id", "displayName", "key", "role", "email", "groups", "active", "tenantId"];

/// The people of the list.
pub fn read(values: &Values, secrets: &mut Distinct, problems: &mut Vec<Problem>) -> Vec<ListedUser> {
    let Some(text) = values.text(&known::EDITOR_USERS_JSON) else { return Vec::new() };
    lists::read(&known::EDITOR_USERS_JSON, text, problems, |entry| read_one(entry, values, secrets))
}

fn read_one(entry: &mut Entry<'_>, values: &Values, secrets: &mut Distinct) -> Option<ListedUser> {
    entry.only(FIELDS);
    let id = entry.id();
    let display_name = entry.text("displayName", "1 to 200 printable characters", is_name).map(str::to_owned);
    let key = entry.key();
    if let Some(key) = &key {
        secrets.add(&entry.place("key"), key, entry.problems());
    }
    let roles = Scope::OF_USERS.map(Scope::as_str);
    let role = entry.text("role", &one_of(&roles), |text| roles.contains(&text)).and_then(|text| text.parse().ok());
    let email = entry.optional_text("email", "an e-mail address", is_address).map(str::to_owned);
    let groups = entry.list("groups", "a list of texts");
    let activity = match entry.flag("active", Flag::Yes) {
        Flag::Yes => Activity::Active,
        Flag::No => Activity::Inactive,
    };
    let tenant = tenant_of(entry, values);
    Some(ListedUser { id: id?, display_name: display_name?, key: key?, role: role?, email, groups, activity, tenant })
}

/// Enough to find a name in the wrong field; only a letter would show whether the address is right.
fn is_address(text: &str) -> bool {
    let parts = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    parts && text.len() <= 254 && is_name(text) && !text.contains(char::is_whitespace)
}
