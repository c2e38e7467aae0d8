//! The pages for people: their links lead somewhere, and the settings and metrics that they name exist.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The files with that ending in a folder and below it.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { files(&path, ending) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

/// Each page with its text, without what stands in blocks of code.
fn pages() -> Vec<(PathBuf, String)> {
    let root = repository();
    let mut paths = files(&root.join("docs"), "md");
    paths.extend(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let read = |path: PathBuf| {
        let whole = fs::read_to_string(&path).unwrap();
        let prose: Vec<&str> = whole.split("```").step_by(2).collect();
        (path, prose.concat())
    };
    paths.into_iter().map(read).collect()
}

/// As the places of a page are called after its headings: in small letters, words joined by `-`, without other characters.
fn anchors(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |character: &char| character.is_alphanumeric() || matches!(character, '-' | '_' | ' ');
    headings.map(|heading| heading.chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut links = 0;
    for (path, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link} is not there", path.display());
            let found = place.is_empty() || anchors(&target).contains(place);
            assert!(found, "{}: {link}: no such heading; there are {:?}", path.display(), anchors(&target));
        }
    }
    assert!(links > 100, "only {links} links were found");
}

/// What stands between backticks and begins with a name of that kind.
fn names<'t>(text: &'t str, is_part: impl Fn(char) -> bool + 't) -> impl Iterator<Item = &'t str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.map(move |quote| quote.split(|character| !is_part(character)).next().unwrap_or_default())
}

#[test]
fn every_metric_that_pages_name_is_one() {
    let root = repository();
    let sources: String = files(&root.join("crates"), "rs").into_iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut found = 0;
    for (path, text) in pages() {
        for name in names(&text, |character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_') {
            // A name that goes on after the dots stands for several.
            if !name.starts_with("pulp_") || name.ends_with('_') {
                continue;
            }
            found += 1;
            let plain = ["_bucket", "_count", "_sum"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
            assert!(sources.contains(&format!("\"{plain}\"")) || sources.contains(&format!("\"{name}\"")), "{}: {name}", path.display());
        }
    }
    assert!(found > 50, "only {found} metrics were found");
}

/// Who runs the commands in blocks of that name, and what of the page must stand there.
const RUN_BY: [(&str, &str); 7] = [
    ("one", "scripts/pages-validate.sh"),
    ("several", "scripts/pages-validate.sh"),
    ("source", "crates/server/tests/suite/backup_runbook.rs"),
    ("target", "crates/server/tests/suite/backup_runbook.rs"),
    ("workers", "crates/server/tests/suite/render_workers.rs"),
    ("rehearsal", "crates/server/tests/suite/backup_runbook.rs"),
    // No cluster is at hand: what they name is held against the manifests.
    ("kubernetes", "crates/testkit/tests/deployment.rs"),
];

#[test]
fn every_command_of_the_operators_pages_is_run_by_a_test_or_a_script() {
    let root = repository();
    let mut blocks = 0;
    for path in files(&root.join("docs/operations"), "md") {
        let page = path.strip_prefix(root.join("docs/operations")).unwrap().with_extension("");
        let whole = fs::read_to_string(&path).unwrap();
        for fence in whole.lines().filter_map(|line| line.strip_prefix("```")) {
            let mut words = fence.split(' ');
            let language = words.next().unwrap_or_default();
            assert!(!["bash", "shell", "zsh"].contains(&language), "{}: blocks of commands are called sh", path.display());
            if language != "sh" {
                continue;
            }
            blocks += 1;
            let label = words.next().unwrap_or_default();
            let runner = RUN_BY.iter().find(|(known, _)| *known == label).map(|(_, runner)| *runner);
            let runner = runner.unwrap_or_else(|| panic!("{}: nobody runs a block `sh {label}`: {RUN_BY:?}", path.display()));
            let text = fs::read_to_string(root.join(runner)).unwrap();
            let called = match label {
                "one" | "several" => format!("page {} {label}\n", page.display()),
                "kubernetes" => format!("docs/operations/{}.md", page.display()),
                _ => format!("\"{label}\" =>"),
            };
            assert!(format!("{text}\n").contains(&called), "{}: {runner} does not have {called:?}", path.display());
        }
    }
    assert!(blocks > 20, "only {blocks} blocks were found");
}

#[test]
fn every_proof_that_the_operators_pages_name_is_there() {
    let root = repository();
    let mut found = 0;
    for path in files(&root.join("docs/operations"), "md") {
        let whole = fs::read_to_string(&path).unwrap();
        for name in whole.split('`').skip(1).step_by(2).filter(|quote| !quote.contains(' ') && !quote.contains("/x.rs")) {
            let file = match (name.strip_prefix("suite/"), name.starts_with("crates/") || name.starts_with("scripts/")) {
                (Some(rest), _) => format!("crates/server/tests/suite/{rest}"),
                (None, true) => name.to_owned(),
                (None, false) => continue,
            };
            found += 1;
            assert!(root.join(&file).exists(), "{}: {name} is not there", path.display());
        }
    }
    assert!(found > 60, "only {found} were found");
}
