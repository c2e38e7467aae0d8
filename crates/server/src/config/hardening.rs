//! What a server in production must have been told before it starts.

use api::AllowedOrigins;

use super::declaration::Setting;
use super::keys::any_key_given;
use super::problems::Problem;
use super::reader::Values;
use super::settings as known;

/// The surroundings of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// Real work, or what was declared to be like it.
    Production,
    /// Anything else.
    Other,
}

/// The surroundings that `NODE_ENV` and its other name say.
pub fn surroundings(values: &Values, problems: &mut Vec<Problem>) -> Surroundings {
    let (node, pulp) = (values.text(&known::NODE_ENV), values.text(&known::PULP_ENV));
    if let (Some(node), Some(pulp)) = (node, pulp)
        && node != pulp
    {
        problems.push(Problem {
            name: known::PULP_ENV.name.to_owned(),
            found: format!("\"{pulp}\", and NODE_ENV is \"{node}\""),
            accepted: "the same in both, or one of the two".to_owned(),
        });
    }
    // A contradiction is refused anyway; then it is better to hear at once what production needs.
    if node == Some("production") || pulp == Some("production") { Surroundings::Production } else { Surroundings::Other }
}

/// Adds a problem for each control that production needs and nobody set.
pub fn check(values: &Values, surroundings: Surroundings, cors: &AllowedOrigins, problems: &mut Vec<Problem>) {
    if !values.switch(&known::HARDEN_PRODUCTION).unwrap_or(surroundings == Surroundings::Production) {
        return;
    }
    let mut lacks = |setting: &Setting, found: &str, accepted: &str| {
        // One problem of a setting is enough.
        if !problems.iter().any(|problem| problem.name == setting.name) {
            problems.push(Problem {
                name: setting.name.to_owned(),
                found: format!("{found}, and production needs it"),
                accepted: format!("{accepted}; or HARDEN_PRODUCTION=false"),
            });
        }
    };
    let mut set = |setting: &Setting, accepted: &str| {
        if !values.was_given(setting) {
            lacks(setting, "not set", accepted);
        }
    };
    set(&known::CORS_ALLOWED_ORIGINS, "the origins whose pages may read answers");
    set(&known::DOCS_ENABLED, "true or false, as you decide");
    set(&known::METRICS_TOKEN, &known::METRICS_TOKEN.form.accepted());
    if *cors == AllowedOrigins::Everybody {
        lacks(&known::CORS_ALLOWED_ORIGINS, "not limited", "the origins whose pages may read answers");
    }
    for setting in [&known::REQUIRE_HTTPS, &known::BLOCK_REMOTE_RESOURCES] {
        if !(values.was_given(setting) && values.is_on(setting)) {
            lacks(setting, if values.was_given(setting) { "switched off" } else { "not set" }, "true");
        }
    }
    if !values.was_given(&known::TRUST_PROXY) {
        lacks(&known::TRUST_PROXY, "not set", "the addresses of the proxies in front, or how many they are");
    }
    if !values.was_given(&known::EDITOR_USERS_JSON) && !values.is_on(&known::ALLOW_SHARED_KEY_EDITOR) {
        lacks(&known::EDITOR_USERS_JSON, "not set", "the people who edit; or ALLOW_SHARED_KEY_EDITOR=true");
    }
    if !any_key_given(values) {
        lacks(&known::API_KEY_ADMIN, "no API key is set", &known::API_KEY_ADMIN.form.accepted());
    }
}
