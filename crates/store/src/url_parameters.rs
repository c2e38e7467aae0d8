//! The parameters of a database URL that the driver would pass over, told without their values: one may be a secret.

/// What the driver reads; `options[…]` too.
const KNOWN: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];
/// The longest name worth printing.
const NAME_LIMIT_CHARS: usize = 40;

/// The names of the parameters after the `?` of `url` that have no effect, in order, without their values.
///
/// What does not look like a name is called `(hidden)`: it may be the rest of a password with a `?` in it.
pub fn unknown_parameters(url: &str) -> Vec<String> {
    let Some((_, query)) = url.split_once('?') else { return Vec::new() };
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name)).filter(|name| !name.is_empty());
    names.filter(|name| !KNOWN.contains(name) && !name.starts_with("options[")).map(shown).collect()
}

/// Whether `url` names several hosts or ports, as `libpq` would try one after the other. The driver takes them for one name.
pub fn names_several_hosts(url: &str) -> bool {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let place = address.split_once("://").map_or(address, |(_, rest)| rest);
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let hosts = place.split('/').next().unwrap_or_default();
    let values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| matches!(*name, "host" | "hostaddr" | "port"));
    // A comma in the path of a socket is one.
    std::iter::once(hosts).chain(values.map(|(_, value)| value)).any(|value| {
        let socket = value.starts_with('/') || value.starts_with("%2F") || value.starts_with("%2f");
        !socket && (value.contains(',') || value.contains("%2C") || value.contains("%2c"))
    })
}

fn shown(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if plain && name.len() <= NAME_LIMIT_CHARS { name.to_owned() } else { "(hidden)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_without_effect_are_named_without_their_values() {
        for (url, unknown) in [
            ("postgres://me:secret@db/pulp", &[][..]),
            ("postgres://db/pulp?sslmode=require&host=/run/postgresql&options[search_path]=pulp&connect_timeout=5", &["connect_timeout"]),
            ("postgres://db/pulp?sslpassword=hunter2secret&user=me#rest=1", &["sslpassword"]),
            ("postgres://me:12?hunter2secret@db/pulp", &["(hidden)"]),
        ] {
            assert_eq!(unknown_parameters(url), unknown, "{url}");
        }
    }
}
