//! The rules between settings: what is wrong although each value for itself is right.

use domain::forwarding::TrustProxy;

use super::problems::Problem;
use super::reader::Values;
use super::settings as known;
use super::{DatabaseUrls, Storage};

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
    let beside = [&known::DATABASE_DIRECT_URL, &known::DATABASE_READ_URL];
    for setting in beside.into_iter().filter(|setting| !url_given && values.was_given(setting)) {
        problems.push(Problem {
            name: setting.name.to_owned(),
            found: "set, and DATABASE_URL is not".to_owned(),
            accepted: "DATABASE_URL beside it".to_owned(),
        });
    }
    match url {
        Some(url) => Storage::Postgres(DatabaseUrls {
            url,
            direct: values.secret(&known::DATABASE_DIRECT_URL),
            read: values.secret(&known::DATABASE_READ_URL),
        }),
        None => Storage::Embedded { bin_dir: values.path(&known::PG_BIN_DIR) },
    }
}

/// What the driver would not do with the URLs as their author meant it, without their values: one may be a secret.
pub fn database_urls(storage: &Storage, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) {
    let Storage::Postgres(urls) = storage else { return };
    let beside = [(&known::DATABASE_DIRECT_URL, urls.direct.as_ref()), (&known::DATABASE_READ_URL, urls.read.as_ref())];
    for (setting, url) in std::iter::once((&known::DATABASE_URL, Some(&urls.url))).chain(beside) {
        let Some(url) = url else { continue };
        if store::names_several_hosts(url.reveal()) {
            problems.push(Problem {
                name: setting.name.to_owned(),
                found: "a value (hidden) with several hosts".to_owned(),
                accepted:
                    "one host, whose address leads to the primary: that of the managed database, or of a proxy in front of its servers"
                        .to_owned(),
            });
        }
        for parameter in store::unreadable_files(url.reveal()) {
            problems.push(Problem {
                name: setting.name.to_owned(),
                found: format!("a value (hidden) whose {parameter} cannot be read"),
                accepted: "the path of a file (PEM) that this server may read".to_owned(),
            });
        }
        for name in store::unknown_parameters(url.reveal()) {
            warnings.push(format!("the parameter {name} of {} is unknown and has no effect", setting.name));
        }
    }
}

/// Documents load nothing over the network in this version, whatever is asked for.
pub fn remote_resources_are_blocked(values: &Values, warnings: &mut Vec<String>) {
    let setting = &known::BLOCK_REMOTE_RESOURCES;
    if values.switch(setting) == Some(false) {
        warnings.push(format!("{}=false has no effect: this version loads nothing over the network into documents", setting.name));
    }
}

/// The server speaks no TLS: only a proxy in front that is believed can say that a request came by HTTPS.
pub fn https_needs_a_proxy(values: &Values, trusted: &TrustProxy, problems: &mut Vec<Problem>) {
    let (https, proxy) = (&known::REQUIRE_HTTPS, &known::TRUST_PROXY);
    let refused_already = problems.iter().any(|problem| problem.name == proxy.name);
    if values.is_on(https) && *trusted == TrustProxy::Nobody && !refused_already {
        problems.push(Problem {
            name: proxy.name.to_owned(),
            found: format!("{}, and {} is on", if values.was_given(proxy) { "no proxy is trusted" } else { "not set" }, https.name),
            accepted: "the addresses of the proxies that end TLS in front of this server, or how many they are".to_owned(),
        });
    }
}
