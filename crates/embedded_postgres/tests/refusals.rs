//! What is refused, and that a refusal names the remedy and changes nothing.
#![cfg(test)]

mod sandbox;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use embedded_postgres::{EmbeddedPostgresError, find_binaries, start};
use sandbox::{STOP_LIMIT, Sandbox, psql};

/// Every path below a folder, with size, mode and time of the last change.
fn everything_in(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let facts = format!("{} {:o} {:?}", meta.len(), meta.permissions().mode(), meta.modified().unwrap());
        found.insert(path.display().to_string(), facts);
    }
    found
}

#[tokio::test]
async fn a_cluster_of_another_major_version_is_refused_and_not_touched() {
    let sandbox = Sandbox::new("foreign");
    std::fs::create_dir_all(sandbox.cluster().join("base")).unwrap();
    std::fs::write(sandbox.cluster().join("PG_VERSION"), "9\n").unwrap();
    std::fs::write(sandbox.cluster().join("base/data"), "precious").unwrap();
    let before = everything_in(&sandbox.cluster());
    let error = start(sandbox.options()).await.unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::ForeignMajor { found_major: 9, .. }));
    let text = error.to_string();
    let installed = find_binaries(None).unwrap().major.to_string();
    for part in [sandbox.cluster().to_str().unwrap(), "PostgreSQL 9", &installed, "pg_dump", "Nothing was changed"] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert_eq!(everything_in(&sandbox.cluster()), before);
}

#[tokio::test]
async fn a_folder_that_is_no_cluster_is_refused_and_not_touched() {
    let sandbox = Sandbox::new("letters");
    std::fs::create_dir_all(sandbox.cluster()).unwrap();
    std::fs::write(sandbox.cluster().join("letter.txt"), "precious").unwrap();
    let before = everything_in(&sandbox.cluster());
    let error = start(sandbox.options()).await.unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::NotACluster { .. }));
    assert!(error.to_string().contains("letter.txt"), "{error}");
    assert_eq!(everything_in(&sandbox.cluster()), before);
}

#[tokio::test]
async fn an_empty_folder_in_the_clusters_place_is_used() {
    let sandbox = Sandbox::new("empty");
    std::fs::create_dir_all(sandbox.cluster()).unwrap();
    let postgres = start(sandbox.options()).await.unwrap();
    assert_eq!(psql(&postgres, "SELECT 1"), "1");
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn missing_binaries_are_reported_with_the_package_and_the_way_round() {
    let sandbox = Sandbox::new("nobinaries");
    let mut options = sandbox.options();
    options.bin_dir = Some("/nonexistent/bin".into());
    let text = start(options).await.unwrap_err().to_string();
    for part in ["/nonexistent/bin", "apt install postgresql", "DATABASE_URL"] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert!(!sandbox.cluster().exists());
}

fn fake_programs(sandbox: &Sandbox, initdb: &str, mode: u32) -> std::path::PathBuf {
    let bin_dir = sandbox.root.join("bin");
    std::fs::create_dir_all(&bin_dir).unwrap();
    for (name, script) in [("postgres", "echo 'postgres (PostgreSQL) 15.1'"), ("initdb", initdb)] {
        std::fs::write(bin_dir.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(bin_dir.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    bin_dir
}

#[tokio::test]
async fn a_program_that_is_not_executable_is_named() {
    let sandbox = Sandbox::new("noexec");
    let mut options = sandbox.options();
    options.bin_dir = Some(fake_programs(&sandbox, "exit 0", 0o644));
    let error = start(options).await.unwrap_err();
    assert!(matches!(&error, EmbeddedPostgresError::BinaryUnusable { path, .. } if path.ends_with("bin/postgres")), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_named_as_such_and_nothing_half_made_stays() {
    let sandbox = Sandbox::new("full");
    let mut options = sandbox.options();
    let script = "touch \"$2/half-made\"; echo 'could not write: No space left on device' >&2; exit 1";
    options.bin_dir = Some(fake_programs(&sandbox, script, 0o755));
    let error = start(options).await.unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::DiskFull { .. }), "{error}");
    let left: Vec<_> = std::fs::read_dir(&sandbox.data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "postgres.lock" || name == "postgres.log"), "{left:?}");
}

#[tokio::test]
async fn a_bad_setting_is_reported_in_the_words_of_the_log() {
    let sandbox = Sandbox::new("setting");
    let mut options = sandbox.options();
    options.settings.push(("shared_buffers".to_owned(), "a lot".to_owned()));
    let text = start(options).await.unwrap_err().to_string();
    assert!(text.contains("shared_buffers") && text.contains("a lot"), "{text}");
}

#[tokio::test]
async fn an_unknown_user_is_refused_by_name() {
    let sandbox = Sandbox::new("user");
    let mut options = sandbox.options();
    options.run_as = Some("nobody-of-this-name".to_owned());
    let error = start(options).await.unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::UnusableUser { .. }), "{error}");
    assert!(error.to_string().contains("nobody-of-this-name"), "{error}");
}

#[tokio::test]
async fn root_is_refused_as_the_user_to_run_as() {
    let sandbox = Sandbox::new("rootuser");
    let mut options = sandbox.options();
    options.run_as = Some("root".to_owned());
    let error = start(options).await.unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::UnusableUser { .. }), "{error}");
}

#[tokio::test]
async fn a_file_in_the_place_of_the_data_folder_is_named() {
    let sandbox = Sandbox::new("file");
    std::fs::write(&sandbox.data_dir, "").unwrap();
    let text = start(sandbox.options()).await.unwrap_err().to_string();
    assert!(text.contains(sandbox.data_dir.to_str().unwrap()) && text.contains("move it away"), "{text}");
}
