//! The subcommands that end by themselves.

use crate::running::{free_port, outcome, repository, stderr};

#[test]
fn a_wrong_configuration_ends_with_exit_code_2_and_one_message_about_all_of_it() {
    let settings = [("PORT", "http"), ("RENDER_MAX_QUEUE_DEPHT", "5"), ("API_KEY_ADMIN", "hunter2")];
    let output = outcome(&[], &settings);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    for part in ["has 3 problems", "PORT: found \"http\"", "RENDER_MAX_QUEUE_DEPTH", "API_KEY_ADMIN: found a value (hidden)"] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn a_missing_browser_is_named_with_the_package_to_install() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let settings = [("PULP_DATA_DIR", data.path().to_str().unwrap()), ("PORT", &port), ("CHROMIUM_PATH", "/nowhere/chromium")];
    for command in ["serve", "doctor"] {
        let output = outcome(&[command], &settings);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = format!("{}{}", stderr(&output), String::from_utf8_lossy(&output.stdout));
        assert!(said.contains("/nowhere/chromium") && said.contains("chromium-headless-shell"), "{command} said:\n{said}");
    }
}

#[test]
fn missing_postgres_programs_are_named_with_the_package_to_install() {
    let data = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let settings = [("PULP_DATA_DIR", data.path().to_str().unwrap()), ("PORT", &port), ("PG_BIN_DIR", empty.path().to_str().unwrap())];
    let output = outcome(&["serve"], &settings);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("apt install postgresql"), "{}", stderr(&output));
}

#[test]
fn healthcheck_fails_where_no_server_is() {
    let port = free_port().to_string();
    let output = outcome(&["healthcheck"], &[("PORT", &port)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("PORT={port}")), "{}", stderr(&output));
}

#[test]
fn doctor_finds_nothing_broken_on_a_machine_that_can_run_the_tests() {
    let data = tempfile::tempdir().unwrap();
    let output = outcome(&["doctor"], &[("PULP_DATA_DIR", data.path().to_str().unwrap())]);
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}");
    for line in ["configuration", "data folder", "database", "chromium", "sandbox", "fonts"] {
        assert!(report.lines().any(|found| found.contains(line)), "{line:?} is missing in:\n{report}");
    }
}

#[test]
fn the_generated_pages_are_up_to_date() {
    for (arguments, file) in [(&["config", "--markdown"][..], "docs/configuration.md"), (&["openapi"], "docs/openapi.json")] {
        let output = outcome(arguments, &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        let there = std::fs::read_to_string(repository().join(file)).unwrap_or_default();
        assert!(String::from_utf8_lossy(&output.stdout) == there, "{file} is not what the code makes: run scripts/generate");
    }
}
