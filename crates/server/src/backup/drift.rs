//! What two lists of templates and assets have not in common.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::manifest::{Asset, Template, Version};

/// An entry of a list, by its fields.
type Fields = Vec<(&'static str, String)>;

/// The entries of a list by what names them.
#[derive(Default)]
pub struct Entries(BTreeMap<String, Fields>);

impl Entries {
    /// One more template.
    pub fn add_template(&mut self, one: &Template) {
        let fields = vec![("name", one.name.clone()), ("currentVersion", one.current_version.clone()), ("versions", hashes(&one.versions))];
        self.0.insert(format!("{}/{}", one.tenant, one.key), fields);
    }

    /// One more asset.
    pub fn add_asset(&mut self, one: &Asset) {
        let fields = vec![
            ("filename", one.filename.clone()),
            ("sizeBytes", one.size_bytes.to_string()),
            ("mimeType", one.mime_type.clone()),
            ("versions", hashes(&one.versions)),
        ];
        self.0.insert(format!("{}/{}", one.tenant, one.id), fields);
    }
}

fn hashes<N: std::fmt::Display>(versions: &[Version<N>]) -> String {
    versions
        .iter()
        .map(|one| format!("{} ({})", one.version, one.content_hash.get(..12).unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Writes down what differs, and says how many entries do.
pub fn compare(what: &str, then: &Entries, now: &Entries, report: &mut String) -> u64 {
    let added: Vec<&String> = now.0.keys().filter(|name| !then.0.contains_key(*name)).collect();
    let removed: Vec<&String> = then.0.keys().filter(|name| !now.0.contains_key(*name)).collect();
    let changed: Vec<(&String, String)> = then.0.iter().filter_map(|(name, was)| Some((name, changes(was, now.0.get(name)?)?))).collect();
    let _ = writeln!(
        report,
        "{what}: {} in the backup, {} here; {} added, {} removed, {} changed",
        then.0.len(),
        now.0.len(),
        added.len(),
        removed.len(),
        changed.len()
    );
    for name in &added {
        let _ = writeln!(report, "  added    {}", name.escape_debug());
    }
    for name in &removed {
        let _ = writeln!(report, "  removed  {}", name.escape_debug());
    }
    for (name, changes) in &changed {
        let _ = writeln!(report, "  changed  {}: {}", name.escape_debug(), changes.escape_debug());
    }
    (added.len() + removed.len() + changed.len()) as u64
}

fn changes(was: &Fields, is: &Fields) -> Option<String> {
    let differing = was.iter().zip(is).filter(|(was, is)| was != is);
    let told: Vec<String> = differing.map(|((name, was), (_, is))| format!("{name} {was} -> {is}")).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(key: &str, version: &str, hash: &str) -> Template {
        let versions = vec![Version { version: version.to_owned(), content_hash: hash.to_owned() }];
        Template { tenant: "default".into(), key: key.into(), name: "N".into(), current_version: version.into(), versions }
    }

    #[test]
    fn what_was_added_removed_and_changed_is_named() {
        let (mut then, mut now) = (Entries::default(), Entries::default());
        for (key, version) in [("stays", "1.0.0"), ("goes", "1.0.0"), ("moves", "1.0.0")] {
            then.add_template(&template(key, version, "aa"));
        }
        for (key, version) in [("stays", "1.0.0"), ("comes", "1.0.0"), ("moves", "1.0.1")] {
            now.add_template(&template(key, version, "aa"));
        }
        let mut report = String::new();
        assert_eq!(compare("templates", &then, &now, &mut report), 3);
        for line in ["3 in the backup, 3 here; 1 added, 1 removed, 1 changed", "added    default/comes", "removed  default/goes"] {
            assert!(report.contains(line), "{report}");
        }
        assert!(report.contains("changed  default/moves: currentVersion 1.0.0 -> 1.0.1"), "{report}");
    }

    #[test]
    fn the_same_number_with_another_content_is_a_change() {
        let (mut then, mut now) = (Entries::default(), Entries::default());
        then.add_template(&template("one", "1.0.0", "aaaaaaaaaaaa"));
        now.add_template(&template("one", "1.0.0", "bbbbbbbbbbbb"));
        assert_eq!(compare("templates", &then, &now, &mut String::new()), 1);
    }
}
