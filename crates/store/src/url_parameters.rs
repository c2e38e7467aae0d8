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
/// What names a file.
const FILES: &[&str] = &["ssl-ca", "ssl-cert", "ssl-key", "ssl-root-cert", "sslcert", "sslkey", "sslrootcert"];
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

/// The parameters of `url` that name a file which cannot be read. The driver would take its absence for that of the server.
pub fn unreadable_files(url: &str) -> Vec<&'static str> {
    let Some((_, query)) = url.split_once('?') else { return Vec::new() };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let files = pairs.filter_map(|(name, value)| Some((*FILES.iter().find(|file| **file == name)?, decoded(value))));
    // The text of a certificate may stand in place of its path.
    files
        .filter(|(_, value)| !value.trim().starts_with("-----BEGIN") && std::fs::File::open(value).is_err())
        .map(|(name, _)| name)
        .collect()
}

/// A value without the escapes of a URL.
fn decoded(value: &str) -> String {
    percent_encoding::percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn shown(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if plain && name.len() <= NAME_LIMIT_CHARS { name.to_owned() } else { "(hidden)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_there_are_named_by_their_parameters() {
        let there = tempfile::NamedTempFile::with_prefix("a b%").unwrap();
        let there = there.path().to_str().unwrap().replace('%', "%25");
        for (url, missing) in [
            ("postgres://db/pulp".to_owned(), &[][..]),
            (format!("postgres://db/pulp?sslrootcert={}", there.replace(' ', "+")), &[]),
            (format!("postgres://db/pulp?sslrootcert={}", there.replace(' ', "%20")), &[]),
            ("postgres://db/pulp?sslmode=require&sslrootcert=/nowhere/ca.pem&sslkey=system".to_owned(), &["sslrootcert", "sslkey"]),
            ("postgres://db/pulp?sslrootcert=-----BEGIN+CERTIFICATE-----".to_owned(), &[]),
        ] {
            assert_eq!(unreadable_files(&url), missing, "{url}");
        }
    }

    #[test]
    fn one_host_is_not_several() {
        for several in ["postgres://me:a@one:5432,other/pulp", "postgres:///pulp?host=one,other", "postgres://one/pulp?port=1%2C2"] {
            assert!(names_several_hosts(several), "{several}");
        }
        for one in ["postgres://me:a,b@one/a,b", "postgres:///pulp?host=/run,x/postgresql&user=a,b"] {
            assert!(!names_several_hosts(one), "{one}");
        }
    }

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
