//! What a browser is started as, and what is said when it does not start.
#![cfg(test)]

mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chromium::{Account, ChromiumError, Pool, Sandbox};
use support::{job, soon, text};

const NOBODY: Account = Account { uid: 65534, gid: 65534 };

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_cannot_work_is_reported_as_such() {
    let runtime = tempfile::tempdir().unwrap();
    let mut options = support::options(runtime.path());
    options.sandbox = Sandbox::On;
    options.tabs = 1;
    match Pool::start(options).await {
        // The host can do it, or this user is root.
        Ok(pool) => {
            assert_eq!(text(&pool.print(job("<p>safe"), soon()).await.unwrap().pdf), "safe");
            pool.close(soon()).await;
        }
        Err(ChromiumError::SandboxUnavailable { reason, stderr_tail }) => {
            assert!(!reason.is_empty() && stderr_tail.to_lowercase().contains("sandbox"), "{reason}: {stderr_tail}");
        }
        Err(error) => panic!("{error}"),
    }
    assert_eq!(support::browsers_in(&runtime.path().join("run")), Vec::<i32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn root_gives_the_browser_to_another_user_and_keeps_its_sandbox() {
    let runtime = tempfile::tempdir().unwrap();
    std::fs::set_permissions(runtime.path(), Permissions::from_mode(0o711)).unwrap();
    let mut options = support::options(runtime.path());
    options.sandbox = Sandbox::On;
    options.account = Some(NOBODY);
    options.tabs = 1;
    let started = Pool::start(options).await;
    if !rustix::process::geteuid().is_root() {
        let error = started.unwrap_err();
        assert!(matches!(&error, ChromiumError::Launch { reason, .. } if reason.contains("not permitted")), "{error}");
        return;
    }
    let pool = match started {
        Ok(pool) => pool,
        // A host without user namespaces for ordinary users.
        Err(ChromiumError::SandboxUnavailable { reason, .. }) => return assert!(!reason.contains("root"), "{reason}"),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(text(&pool.print(job("<p>safe"), soon()).await.unwrap().pdf), "safe");
    let browser = support::browsers_in(&runtime.path().join("run"))[0];
    let ours = namespace_of("self");
    let processes = support::group(browser);
    for pid in &processes {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("\nUid:\t65534\t65534\t65534\t65534\n"), "{status}");
        assert!(status.contains("\nGroups:\t \n"), "{status}");
    }
    assert!(processes.iter().any(|pid| namespace_of(&pid.to_string()) != ours), "no process is in a user namespace of its own");
    pool.close(soon()).await;
    assert_eq!(support::browsers_in(&runtime.path().join("run")), Vec::<i32>::new());
}

fn namespace_of(process: &str) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/{process}/ns/user")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_does_not_start_says_why() {
    let runtime = tempfile::tempdir().unwrap();
    let mut options = support::options(runtime.path());
    options.executable = "/bin/false".into();
    let error = Pool::start(options.clone()).await.unwrap_err();
    assert!(matches!(&error, ChromiumError::Launch { reason, .. } if reason.contains("exit status: 1")), "{error}");
    options.executable = "/bin/cat".into();
    options.budgets.launch = Duration::from_secs(2);
    assert!(matches!(Pool::start(options).await.unwrap_err(), ChromiumError::Launch { .. }));
}
