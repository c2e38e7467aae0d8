//! The rules between settings: what is wrong although each value for itself is right.

use std::net::IpAddr;

use domain::Scope;

use super::problems::Problem;
use super::reader::Values;
use super::settings::{self as known, Setting};
use super::{Secret, Storage};

/// The keys and their scopes. All differ, and the old `API_KEY` stands alone.
pub fn keys(values: &Values, problems: &mut Vec<Problem>) -> Vec<(Scope, Secret)> {
    let mut keys: Vec<(&Setting, Scope, Secret)> = Vec::new();
    for (setting, scope) in SCOPED_KEYS {
        let Some(key) = values.secret(setting) else { continue };
        if let Some((twin, ..)) = keys.iter().find(|(_, _, other)| *other == key) {
            problems.push(Problem {
                name: setting.name.to_owned(),
                found: format!("the same key as {}", twin.name),
                accepted: "a key of its own for each scope".to_owned(),
            });
        }
        keys.push((setting, *scope, key));
    }
    if let Some(key) = values.secret(&known::API_KEY) {
        if let Some((scoped, ..)) = keys.first() {
            problems.push(Problem {
                name: known::API_KEY.name.to_owned(),
                found: format!("set, and so is {}", scoped.name),
                accepted: format!("{} and the other keys with a scope, without {}", known::API_KEY_ADMIN.name, known::API_KEY.name),
            });
        }
        keys.push((&known::API_KEY, Scope::Admin, key));
    }
    keys.into_iter().map(|(_, scope, key)| (scope, key)).collect()
}

const SCOPED_KEYS: &[(&Setting, Scope)] = &[
    (&known::API_KEY_ADMIN, Scope::Admin),
    (&known::API_KEY_EDITOR, Scope::Editor),
    (&known::API_KEY_RENDER, Scope::Render),
    (&known::API_KEY_PREVIEW, Scope::Preview),
];

/// Without a key every request passes as admin, so nobody but this machine may reach the server.
pub fn reachable_only_with_a_key(values: &Values, problems: &mut Vec<Problem>) {
    let Some(host) = values.text(&known::HOST) else { return };
    let any_key = SCOPED_KEYS.iter().map(|(setting, _)| *setting).chain([&known::API_KEY]).any(|setting| values.was_given(setting));
    if !any_key && !is_loopback(host) {
        problems.push(Problem {
            name: known::API_KEY_ADMIN.name.to_owned(),
            found: format!("no API key is set, and other machines can reach HOST={host}"),
            accepted: format!("{}; or HOST=127.0.0.1", known::API_KEY_ADMIN.form.accepted()),
        });
    }
}

/// Whether an address or name is reached from this machine only.
fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// The database: a URL means that one, no URL the embedded one, and STORAGE_MODE may not say otherwise.
pub fn storage(values: &Values, problems: &mut Vec<Problem>) -> Storage {
    let url = values.secret(&known::DATABASE_URL);
    let url_given = values.was_given(&known::DATABASE_URL);
    let contradiction = match values.text(&known::STORAGE_MODE) {
        Some("postgres") if !url_given => Some(("\"postgres\", and DATABASE_URL is not set", "DATABASE_URL beside it, or embedded")),
        Some("embedded" | "file") if url_given => {
            Some(("the embedded database, and DATABASE_URL is set", "postgres with DATABASE_URL, or embedded without it"))
        }
        _ => None,
    };
    if let Some((found, accepted)) = contradiction {
        problems.push(Problem { name: known::STORAGE_MODE.name.to_owned(), found: found.to_owned(), accepted: accepted.to_owned() });
    }
    match url {
        Some(url) => Storage::Postgres { url },
        None => Storage::Embedded { bin_dir: values.path(&known::PG_BIN_DIR) },
    }
}

/// Parameters of the URL that mean nothing to the driver, without their values: one may be a secret.
pub fn parameters_without_effect(storage: &Storage, warnings: &mut Vec<String>) {
    let Storage::Postgres { url } = storage else { return };
    for name in store::unknown_parameters(url.reveal()) {
        warnings.push(format!("the parameter {name} of {} is unknown and has no effect", known::DATABASE_URL.name));
    }
}

/// Objects in a bucket come with a later version; whoever asks for them must not get a folder instead.
pub fn assets_in_a_folder(values: &Values, problems: &mut Vec<Problem>) {
    if values.text(&known::ASSET_BINARY_STORE) == Some("s3") {
        problems.push(Problem {
            name: known::ASSET_BINARY_STORE.name.to_owned(),
            found: "\"s3\", which is known but not available in this version".to_owned(),
            accepted: "filesystem".to_owned(),
        });
    }
}
