//! The commands of `docs/operations/backup.md`, run as they stand there, in their order.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use testkit::postgres::TestDatabase;
use testkit::s3::S3Server;

use crate::assets::{PNG, upload};
use crate::backup::{Place, text};
use crate::running::{Server, repository, stderr};

/// The blocks of a page that are commands: for whom they are, and what they say.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(whose) = line.strip_prefix("```sh ") {
            let commands: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((whose.to_owned(), commands.join("\n")));
        }
        assert_ne!(line, "```sh", "say whose settings the commands need: source, target or rehearsal");
    }
    blocks
}

fn run(commands: &str, folder: &Path, settings: &[(&str, &str)]) {
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", text(&folder.join("bin")));
    let mut command = Command::new("bash");
    command.args(["-euc", commands]).current_dir(folder).env_clear().envs(settings.iter().copied()).env("PATH", path);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{commands}\n{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_page_on_backups_does_what_it_says() {
    let page = std::fs::read_to_string(repository().join("docs/operations/backup.md")).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() >= 7, "{blocks:?}");
    let server = Server::start();
    upload(&server, PNG, "picture.png", "image/png").await;
    let (database, s3) = (TestDatabase::empty().await, S3Server::start().unwrap());
    let target = Place::with_bucket(&database, &s3);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_pulp-engine"), folder.path().join("bin/pulp-engine")).unwrap();
    symlink(repository().join("scripts"), folder.path().join("scripts")).unwrap();
    for (whose, commands) in blocks {
        match whose.as_str() {
            "source" => run(&commands, folder.path(), &[("PULP_DATA_DIR", text(server.data_dir()))]),
            "target" => run(&commands, folder.path(), &target.all()),
            // A test of its own runs it.
            "rehearsal" => assert!(repository().join(commands.trim()).exists(), "{commands}"),
            other => panic!("whose is {other:?}?"),
        }
    }
}
