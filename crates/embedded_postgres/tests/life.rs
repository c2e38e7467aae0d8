//! A private Postgres from its first start to its last, with real processes.
#![cfg(test)]

mod sandbox;

use std::time::{Duration, Instant};

use embedded_postgres::{EmbeddedPostgresError, Stopped, start};
use sandbox::{STOP_LIMIT, Sandbox, is_alive, kill, psql, until};

#[tokio::test]
async fn the_first_start_makes_a_cluster_and_later_starts_find_its_data() {
    let sandbox = Sandbox::new("first");
    let begun = Instant::now();
    let postgres = start(sandbox.options()).await.unwrap();
    let first = begun.elapsed();
    assert_eq!(psql(&postgres, "CREATE TABLE t AS SELECT 42 AS answer; SELECT answer FROM t"), "SELECT 1\n42");
    assert_eq!(
        psql(&postgres, "SELECT current_user, current_database(), current_setting('server_encoding'), current_setting('fsync')"),
        "pulp|pulp|UTF8|on"
    );
    let url = postgres.url();
    assert_eq!(postgres.stop(STOP_LIMIT).await.unwrap(), Stopped::Clean);

    let begun = Instant::now();
    let postgres = start(sandbox.options()).await.unwrap();
    let second = begun.elapsed();
    println!("first start {first:?}, second start {second:?}");
    assert_eq!(psql(&postgres, "SELECT answer FROM t"), "42");
    assert_eq!(postgres.url(), url);
    assert!(second < first, "the second start took {second:?}, the first {first:?}");
    let begun = Instant::now();
    postgres.stop(STOP_LIMIT).await.unwrap();
    println!("stop {:?}", begun.elapsed());
}

#[tokio::test]
async fn nothing_listens_on_tcp_and_only_the_owner_enters_the_socket_folder() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new("closed");
    let postgres = start(sandbox.options()).await.unwrap();
    assert_eq!(psql(&postgres, "SELECT current_setting('listen_addresses')"), "");
    let mode = std::fs::metadata(sandbox.cluster()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_killed_postmaster_is_noticed_and_restarts_with_its_committed_data() {
    let sandbox = Sandbox::new("killed");
    let mut postgres = start(sandbox.options()).await.unwrap();
    psql(&postgres, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n");
    // A session in the middle of something keeps a backend, and the shared memory, alive for a while.
    let mut session = sandbox::psql_command(&postgres, "SELECT pg_sleep(60)").spawn().unwrap();
    until("the session is busy", || psql(&postgres, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(60)'") != "0");

    let exited = postgres.exited();
    kill(postgres.pid(), "KILL");
    let status = tokio::time::timeout(STOP_LIMIT, exited).await.unwrap();
    assert!(!status.unwrap().success());
    let begun = Instant::now();
    postgres.restart().await.unwrap();
    println!("restart after kill -9 of the postmaster with a busy backend: {:?}", begun.elapsed());
    assert_eq!(psql(&postgres, "SELECT count(*) FROM t"), "1000");
    let _ = session.kill();
    session.wait().unwrap();
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_told_who_holds_it() {
    let sandbox = Sandbox::new("second");
    let postgres = start(sandbox.options()).await.unwrap();
    let error = start(sandbox.options()).await.unwrap_err();
    assert!(matches!(&error, EmbeddedPostgresError::AlreadyRunning { holder_pid: Some(pid), .. } if *pid == std::process::id()));
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert_eq!(psql(&postgres, "SELECT 1"), "1", "the first one is not disturbed");
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_works_through_a_short_private_folder() {
    let mut sandbox = Sandbox::new("long");
    sandbox.data_dir = sandbox.data_dir.join("x".repeat(120)).join("with space & ü");
    let postgres = start(sandbox.options()).await.unwrap();
    let url = postgres.url();
    assert_eq!(psql(&postgres, "SELECT 1"), "1");
    let folder = std::path::PathBuf::from(url.split_once("host=").unwrap().1);
    assert!(folder.as_os_str().len() < 90, "{url}");
    // A crash leaves the folder; the next start uses it again instead of making more of them.
    kill(postgres.pid(), "KILL");
    tokio::time::timeout(STOP_LIMIT, postgres.exited()).await.unwrap();
    drop(postgres);
    let postgres = start(sandbox.options()).await.unwrap();
    assert_eq!(postgres.url(), url);
    postgres.stop(STOP_LIMIT).await.unwrap();
    assert!(!folder.exists(), "a clean stop removes {}", folder.display());
}

#[tokio::test]
async fn a_name_with_spaces_and_letters_beyond_ascii_works() {
    let mut sandbox = Sandbox::new("odd");
    sandbox.data_dir = sandbox.data_dir.join("my, dätä?&=%20");
    let postgres = start(sandbox.options()).await.unwrap();
    assert_eq!(psql(&postgres, "SELECT 1"), "1");
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_dropped_value_lets_postgres_end_by_itself() {
    let sandbox = Sandbox::new("dropped");
    let postgres = start(sandbox.options()).await.unwrap();
    let pid = postgres.pid();
    drop(postgres);
    until("it has ended", || !is_alive(pid));
    assert!(!sandbox.cluster().join("postmaster.pid").exists(), "the shutdown was clean");
}

#[tokio::test]
async fn an_open_session_does_not_hold_up_the_stop() {
    let sandbox = Sandbox::new("session");
    let postgres = start(sandbox.options()).await.unwrap();
    let mut session = sandbox::psql_command(&postgres, "SELECT pg_sleep(60)").spawn().unwrap();
    until("the session is busy", || psql(&postgres, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(60)'") != "0");
    assert_eq!(postgres.stop(Duration::from_secs(20)).await.unwrap(), Stopped::Clean);
    session.wait().unwrap();
}
