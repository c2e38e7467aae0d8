//! Backups that are damaged, cut off, of another release, or are to go where something is: each refused with a sentence, before anything
//! is changed; and a restore that was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};
use testkit::postgres::TestDatabase;
use testkit::s3::{Fault, S3Server};

use crate::assets::{PNG, large_png, upload};
use crate::backup::{Place, manifest, text, well};
use crate::running::{Server, pulp_engine, stderr, wait_until};

type Damage = fn(&Path);

/// One backup for all tests here, with a small and a larger object.
struct Sample {
    folder: tempfile::TempDir,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let made = std::thread::spawn({
        let output = folder.path().join("backup");
        move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::start();
                upload(&server, PNG, "small.png", "image/png").await;
                upload(&server, &large_png(600_000), "large.png", "image/png").await;
                let settings = [("PULP_DATA_DIR", text(server.data_dir()))];
                well(&crate::running::outcome(&["backup", "create", "--full", "--output", text(&output)], &settings));
            });
        }
    });
    made.join().unwrap();
    Sample { folder }
});

/// A copy that may be damaged.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-a").arg(SAMPLE.folder.path().join("backup")).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    let backup = folder.path().join("backup");
    (folder, backup)
}

/// Makes the manifest another one that is whole in itself.
fn rewrite(backup: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let mut value = manifest(backup);
    change(&mut value);
    let bytes = serde_json::to_vec(&value).unwrap();
    fs::write(backup.join("manifest.json.sha256"), format!("{}  manifest.json\n", hex::encode(Sha256::digest(&bytes)))).unwrap();
    fs::write(backup.join("manifest.json"), bytes).unwrap();
}

fn object(backup: &Path, at: usize) -> PathBuf {
    let list = fs::read_to_string(backup.join("objects.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(list.lines().nth(at).unwrap()).unwrap();
    let key = line["key"].as_str().unwrap();
    let (folder, hash) = key.rsplit_once('/').unwrap();
    backup.join("objects").join(folder).join(&hash[..2]).join(hash)
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn refused(output: &Output, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_backups_are_refused_by_name_before_anything_is_changed() {
    let database = TestDatabase::empty().await;
    let place = Place::with_folder(&database);
    let damages: [(&str, Damage, &[&str]); 11] = [
        (
            "cut",
            |backup| fs::write(backup.join("database/templates.copy"), "x").unwrap(),
            &["templates.copy", "altered or cut short", "another copy"],
        ),
        ("flipped", |backup| flip(&backup.join("database/template_versions.copy")), &["template_versions.copy", "its SHA-256 is"]),
        ("table away", |backup| fs::remove_file(backup.join("database/tenants.copy")).unwrap(), &["tenants.copy", "cannot be read"]),
        ("list flipped", |backup| flip(&backup.join("objects.jsonl")), &["objects.jsonl", "altered"]),
        ("object away", |backup| fs::remove_file(object(backup, 1)).unwrap(), &["the object tenants/default/assets/", "is not there"]),
        ("object cut", |backup| fs::write(object(backup, 0), "x").unwrap(), &["the object tenants/default/assets/", "Use another copy"]),
        ("manifest flipped", |backup| flip(&backup.join("manifest.json")), &["manifest.json", "manifest.json.sha256 does not say"]),
        ("manifest away", |backup| fs::remove_file(backup.join("manifest.json")).unwrap(), &["was not finished", "make another one"]),
        (
            "newer schema",
            |backup| {
                rewrite(backup, |manifest| {
                    let newer = serde_json::json!({"version": 20_990_101_000_000_i64, "sha384": "00"});
                    manifest["migrations"].as_array_mut().unwrap().push(newer);
                    manifest["engineVersion"] = "9.9.9".into();
                });
            },
            &["newer release (9.9.9)", "20990101000000", "Use that release"],
        ),
        ("newer form", |backup| rewrite(backup, |manifest| manifest["schemaVersion"] = 2.into()), &["newer release", "form 2"]),
        (
            "leads out",
            |backup| rewrite(backup, |manifest| manifest["tables"][0]["file"] = "../../etc/passwd".into()),
            &["is no name of a file of a backup"],
        ),
    ];
    for (what, damage, words) in damages {
        let (_folder, backup) = copy();
        damage(&backup);
        let output = place.run(&["backup", "restore", text(&backup)]);
        println!("{what}: {}", stderr(&output));
        refused(&output, words);
        if what != "newer schema" {
            refused(&place.run(&["backup", "verify", "--deep", text(&backup)]), words);
        }
        assert_eq!(database.query("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").await, "0", "{what}");
    }

    // One byte of an object is only found when it is read: before any row is there, and it can be done again.
    let (_folder, backup) = copy();
    flip(&object(&backup, 1));
    refused(&place.run(&["backup", "restore", text(&backup)]), &["the object tenants/default/assets/", "SHA-256"]);
    refused(&place.run(&["migrate"]), &["has not ended", "backup restore"]);
    well(&place.run(&["backup", "restore", text(&SAMPLE.folder.path().join("backup"))]));
    well(&place.run(&["backup", "verify", "--deep", text(&SAMPLE.folder.path().join("backup"))]));

    // Damage of what is live.
    let live = place.folder.path().join("files");
    let lost = object(&SAMPLE.folder.path().join("backup"), 0);
    flip(&live.join(lost.strip_prefix(SAMPLE.folder.path().join("backup/objects")).unwrap()));
    let definition =
        "ALTER TABLE template_versions DISABLE TRIGGER ALL; UPDATE template_versions SET definition = '{}' WHERE name = 'Letter'";
    database.query(definition).await;
    let output = place.run(&["backup", "verify", "--deep", text(&SAMPLE.folder.path().join("backup"))]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("altered  default/letter@1.0.0") && told.contains("damaged  tenants/default/assets/"), "{told}");
    assert!(told.contains("changed  rows of template_versions"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_empty_is_only_replaced_when_that_is_asked_for_and_never_under_a_running_server() {
    let backup = SAMPLE.folder.path().join("backup");
    let database = TestDatabase::empty().await;
    let place = Place::with_folder(&database);
    let restore = ["backup", "restore", text(&backup)];
    well(&place.run(&restore));
    refused(&place.run(&restore), &["is not empty", "template_versions", "--force"]);
    database.query("UPDATE templates SET name = 'Changed'; INSERT INTO tenants (tenant_id, name) VALUES ('mine', 'Mine')").await;
    well(&place.run(&[&restore[..], &["--force"]].concat()));
    well(&place.run(&["backup", "verify", "--deep", text(&backup)]));
    assert_eq!(database.query("SELECT count(*) FROM tenants").await, "1");

    // The files of somebody else.
    let empty = TestDatabase::empty().await;
    let files = place.folder.path().join("files");
    let settings = [("DATABASE_URL", empty.url()), ("ASSETS_DIR", text(&files))];
    refused(&crate::running::outcome(&restore, &settings), &["has stored files of tenant default already", "--force"]);

    let alive = "INSERT INTO replicas (instance_id, version, schema_version, started_at, seen_at) VALUES ('one', '1', 1, now(), now())";
    database.query(alive).await;
    refused(&place.run(&[&restore[..], &["--force"]].concat()), &["servers are running on this database (one)", "stop them first"]);

    refused(&place.run(&["backup", "create", "--full", "--output", text(&backup)]), &["is not empty", "a folder of its own"]);
    refused(&place.run(&["backup", "create", "--full", "--output", "/nowhere/list.json"]), &["--full writes a folder"]);
    let below_a_file = backup.join("manifest.json/backup");
    refused(&place.run(&["backup", "create", "--full", "--output", text(&below_a_file)]), &["manifest.json/backup", "cannot be"]);
    let list = place.folder.path().join("list.json");
    well(&place.run(&["backup", "create", "--output", text(&list)]));
    refused(&place.run(&["backup", "restore", text(&list)]), &["only one that was made with --full can be brought back"]);
    refused(&place.run(&["backup", "restore", text(place.folder.path())]), &["is no backup", "manifest.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_lost_are_told_and_the_rest_is_backed_up_and_comes_back() {
    let backup = SAMPLE.folder.path().join("backup");
    let database = TestDatabase::empty().await;
    let place = Place::with_folder(&database);
    well(&place.run(&["backup", "restore", text(&backup)]));
    let files = place.folder.path().join("files");
    let live = |at| files.join(object(&backup, at).strip_prefix(backup.join("objects")).unwrap());
    fs::remove_file(live(0)).unwrap();
    flip(&live(1));
    let lacking = place.folder.path().join("lacking");
    let output = place.run(&["backup", "create", "--full", "--output", text(&lacking)]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(stderr(&output).matches("is named by a row and cannot be had").count(), 2, "{}", stderr(&output));
    assert_eq!(manifest(&lacking)["missingObjects"].as_array().unwrap().len(), 2);

    let other = TestDatabase::empty().await;
    let place = Place::with_folder(&other);
    let output = place.run(&["backup", "restore", text(&lacking)]);
    assert!(well(&output).contains("2 objects were missing already"), "{}", stderr(&output));
    well(&place.run(&["backup", "verify", "--deep", text(&lacking)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_goes_on_and_no_server_starts_before_it_has_ended() {
    let backup = SAMPLE.folder.path().join("backup");
    let (database, s3) = (TestDatabase::empty().await, S3Server::start().unwrap());
    let place = Place::with_bucket(&database, &s3);
    let restore = ["backup", "restore", text(&backup)];
    s3.set_fault(Fault::None);
    let mut child = pulp_engine(&restore, &place.all()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Its first files arrive, and then nothing more.
    wait_until("the first file is on its way", || {
        let some = s3.count_requests("PUT", "/tenants/") > 0;
        if some {
            s3.set_fault(Fault::Silent);
        }
        some || child_has_ended(&child)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    s3.set_fault(Fault::None);
    let is_under_way = database.query("SELECT to_regclass('unfinished_restore') IS NOT NULL").await;
    assert_eq!(is_under_way, "t", "the restore ended before it could be killed");

    let started = place.run(&["serve"]);
    refused(&started, &["has not ended", "backup restore"]);
    let other = SAMPLE.folder.path().join("other");
    assert!(Command::new("cp").arg("-a").arg(&backup).arg(&other).status().unwrap().success());
    rewrite(&other, |manifest| manifest["backupId"] = "another".into());
    refused(&place.run(&["backup", "restore", text(&other)]), &["the restore of another backup", "--force"]);
    well(&place.run(&restore));
    well(&place.run(&["backup", "verify", "--deep", text(&backup)]));
}

fn child_has_ended(child: &std::process::Child) -> bool {
    !crate::running::is_alive(child.id())
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_what_was_written_is_no_backup() {
    let backup = SAMPLE.folder.path().join("backup");
    let database = TestDatabase::empty().await;
    let place = Place::with_folder(&database);
    well(&place.run(&["backup", "restore", text(&backup)]));
    let disk = tempfile::tempdir().unwrap();
    let (files, output) = (place.folder.path().join("files"), disk.path().join("backup"));
    let script = format!(
        "mount -t tmpfs -o size=400k none {0} || exit 77; {1} backup create --full --output {2}; echo \"exit $?\"; {1} backup verify {2}; echo \"exit $?\"",
        text(disk.path()),
        env!("CARGO_BIN_EXE_pulp-engine"),
        text(&output)
    );
    let mut command = Command::new("unshare");
    // Root needs no namespace of users, in which it could not reach the database of another user.
    let as_whom: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
    command.args(as_whom).args(["--mount", "sh", "-c", &script]);
    command.env("DATABASE_URL", database.url()).env("ASSETS_DIR", &files);
    let ran = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), stderr(&ran));
    if ran.status.code() == Some(77) || said.contains("unshare failed") {
        println!("LEFT OUT: this machine lets nobody mount a disk of their own: {said}");
        return;
    }
    assert_eq!(said.matches("exit 1").count(), 2, "{said}");
    assert!(said.contains("No space left on device") && said.contains("was not finished"), "{said}");
}
