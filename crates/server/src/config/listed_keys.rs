//! The keys of `API_KEYS_JSON`: each with a scope and, where wanted, a tenant, an end and limits.

use domain::networks::IpNetwork;
use domain::rate_limits::MOST_REQUESTS_PER_MINUTE;
use domain::{Scope, TemplateSelector, TenantId};
use jiff::Timestamp;

use super::forms::one_of;
use super::lists::{self, Entry};
use super::problems::Problem;
use super::reader::Values;
use super::secrets::{Distinct, Secret};
use super::settings as known;
use super::tenancy::tenant_of;

/// A key of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// Names it in logs and the audit log: `apikey:json:<id>`.
    pub id: String,
    /// The key itself.
    pub key: Secret,
    /// What it may do: one of [`Scope::OF_KEYS`].
    pub scope: Scope,
    /// Whose data it reaches.
    pub tenant: TenantId,
    /// For people.
    pub name: Option<String>,
    /// From then on it lets nobody in.
    pub expires_at: Option<Timestamp>,
    /// The templates it reaches; all where there are none.
    pub allowed_templates: Vec<TemplateSelector>,
    /// The networks it may come from; all where there are none.
    pub allowed_ips: Vec<IpNetwork>,
    /// Requests that it may send in a minute; what is said for every key where there is none.
    pub requests_per_minute: Option<u32>,
}

const FIELDS: &[&str] = &["id", "key", "scope", "tenantId", "name", "expiresAt", "allowedTemplates", "allowedIps", "requestsPerMinute"];

/// The keys of the list.
pub fn read(values: &Values, secrets: &mut Distinct, problems: &mut Vec<Problem>) -> Vec<ListedKey> {
    let Some(text) = values.text(&known::API_KEYS_JSON) else { return Vec::new() };
    lists::read(&known::API_KEYS_JSON, text, problems, |entry| read_one(entry, values, secrets))
}

fn read_one(entry: &mut Entry<'_>, values: &Values, secrets: &mut Distinct) -> Option<ListedKey> {
    entry.only(FIELDS);
    let id = entry.id();
    let key = entry.key();
    if let Some(key) = &key {
        secrets.add(&entry.place("key"), key, entry.problems());
    }
    let scopes = Scope::OF_KEYS.map(Scope::as_str);
    let scope = entry.text("scope", &one_of(&scopes), |text| scopes.contains(&text)).and_then(|text| text.parse().ok());
    let tenant = tenant_of(entry, values);
    let name = entry.optional_text("name", "1 to 200 printable characters", is_name).map(str::to_owned);
    let expires_at = entry.optional("expiresAt", &known::EDITOR_TOKEN_ISSUED_AFTER.form.accepted());
    let allowed_templates =
        entry.limits("allowedTemplates", "a list of template keys such as invoice, or beginnings of keys such as invoice-*");
    let allowed_ips = entry.limits("allowedIps", "a list of addresses such as 192.0.2.7 and networks such as 10.0.0.0/8");
    let requests_per_minute = entry.number("requestsPerMinute", MOST_REQUESTS_PER_MINUTE);
    Some(ListedKey { id: id?, key: key?, scope: scope?, tenant, name, expires_at, allowed_templates, allowed_ips, requests_per_minute })
}

/// Whether a text can stand in a line of a log or a table.
pub fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= 200 && !text.chars().any(char::is_control)
}
