//! The keys that have a setting of their own, and what holds where there is no credential at all.

use api::WithoutCredential;
use domain::Scope;

use super::declaration::Setting;
use super::forms::is_loopback;
use super::problems::Problem;
use super::reader::Values;
use super::secrets::{Distinct, Secret};
use super::settings as known;

/// The keys that have a setting of their own.
#[derive(Debug)]
pub struct ScopedKeys {
    /// Those that let callers in.
    pub current: Vec<(Scope, Secret)>,
    /// Those that tokens may still have been made under; they let nobody in.
    pub previous: Vec<(Scope, Secret)>,
}

const SCOPED_KEYS: &[(&Setting, Scope)] = &[
    (&known::API_KEY_ADMIN, Scope::Admin),
    (&known::API_KEY_EDITOR, Scope::Editor),
    (&known::API_KEY_RENDER, Scope::Render),
    (&known::API_KEY_PREVIEW, Scope::Preview),
    (&known::API_KEY_SUPER_ADMIN, Scope::SuperAdmin),
];

const PREVIOUS_KEYS: &[(&Setting, &Setting, Scope)] = &[
    (&known::API_KEY_ADMIN_PREVIOUS, &known::API_KEY_ADMIN, Scope::Admin),
    (&known::API_KEY_EDITOR_PREVIOUS, &known::API_KEY_EDITOR, Scope::Editor),
    (&known::API_KEY_RENDER_PREVIOUS, &known::API_KEY_RENDER, Scope::Render),
    (&known::API_KEY_PREVIEW_PREVIOUS, &known::API_KEY_PREVIEW, Scope::Preview),
];

/// Reads the keys. All differ, the old `API_KEY` stands alone, and a previous key has a current one beside it.
pub fn read(values: &Values, secrets: &mut Distinct, problems: &mut Vec<Problem>) -> ScopedKeys {
    let mut current = Vec::new();
    for (setting, scope) in SCOPED_KEYS {
        let Some(key) = values.secret(setting) else { continue };
        secrets.add(setting.name, &key, problems);
        current.push((*scope, key));
    }
    if let Some(key) = values.secret(&known::API_KEY) {
        if let Some((scoped, _)) = SCOPED_KEYS.iter().find(|(setting, _)| values.was_given(setting)) {
            problems.push(Problem {
                name: known::API_KEY.name.to_owned(),
                found: format!("set, and so is {}", scoped.name),
                accepted: format!("{} and the other keys with a scope, without {}", known::API_KEY_ADMIN.name, known::API_KEY.name),
            });
        } else {
            secrets.add(known::API_KEY.name, &key, problems);
        }
        current.push((Scope::Admin, key));
    }
    if values.was_given(&known::API_KEY_SUPER_ADMIN) && values.switch(&known::MULTI_TENANT_ENABLED) == Some(false) {
        problems.push(Problem {
            name: known::API_KEY_SUPER_ADMIN.name.to_owned(),
            found: "set, and MULTI_TENANT_ENABLED is not on".to_owned(),
            accepted: "MULTI_TENANT_ENABLED=true beside it, or no such key".to_owned(),
        });
    }
    ScopedKeys { current, previous: previous(values, secrets, problems) }
}

fn previous(values: &Values, secrets: &mut Distinct, problems: &mut Vec<Problem>) -> Vec<(Scope, Secret)> {
    let mut previous = Vec::new();
    for (setting, of, scope) in PREVIOUS_KEYS {
        let Some(key) = values.secret(setting) else { continue };
        secrets.add(setting.name, &key, problems);
        needs(setting, of, values, problems);
        previous.push((*scope, key));
    }
    previous
}

/// A value before a rotation is of no use without the one after it, and where it stands alone a rotation went wrong.
pub fn needs(previous: &Setting, current: &Setting, values: &Values, problems: &mut Vec<Problem>) {
    if !values.was_given(current) {
        problems.push(Problem {
            name: previous.name.to_owned(),
            found: format!("set, and {} is not", current.name),
            accepted: format!("{} beside it, or no {}", current.name, previous.name),
        });
    }
}

/// Whether any setting lets somebody in by a credential, be it one that was refused.
pub fn any_key_given(values: &Values) -> bool {
    let lists = [&known::API_KEY, &known::API_KEYS_JSON];
    SCOPED_KEYS.iter().map(|(setting, _)| *setting).chain(lists).any(|setting| values.was_given(setting))
}

/// Who passes without a credential. Where none is configured everybody is admin, so nobody but this machine may reach
/// the server, unless the operator says so.
pub fn without_credential(values: &Values, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> WithoutCredential {
    let open = &known::ALLOW_UNAUTHENTICATED;
    let others = [&known::EDITOR_USERS_JSON, &known::OIDC_DISCOVERY_URL];
    if any_key_given(values) || others.iter().any(|setting| values.was_given(setting)) {
        if values.is_on(open) {
            warnings.push(format!("{} has no effect: there are credentials, and requests need one", open.name));
        }
        return WithoutCredential::NobodyPasses;
    }
    let Some(host) = values.text(&known::HOST).filter(|host| !is_loopback(host)) else {
        return WithoutCredential::ThisMachinePasses;
    };
    if values.is_on(open) {
        warnings.push(format!(
            "DANGER: no API key is set and {} is on: everybody who reaches HOST={host} may read, change and delete everything",
            open.name
        ));
        return WithoutCredential::EverybodyPasses;
    }
    problems.push(Problem {
        name: known::API_KEY_ADMIN.name.to_owned(),
        found: format!("no API key is set, and other machines can reach HOST={host}"),
        accepted: format!("{}; or HOST=127.0.0.1; or {}=true", known::API_KEY_ADMIN.form.accepted(), open.name),
    });
    WithoutCredential::ThisMachinePasses
}
