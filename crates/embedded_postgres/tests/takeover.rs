//! What a killed server leaves behind, and that the next start deals with it. Also who it runs as.
#![cfg(test)]

mod sandbox;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use embedded_postgres::{Options, find_binaries, start};
use sandbox::{STOP_LIMIT, Sandbox, is_alive, is_root, kill, psql, psql_url, until};

const DATA_DIR: &str = "EMBEDDED_POSTGRES_TEST_DATA_DIR";

/// A server in a process of its own, which the tests below start and kill.
#[tokio::test]
#[ignore = "the tests start it as a process of its own"]
async fn server_process() {
    #[expect(clippy::disallowed_methods, reason = "the test that starts this process passes the folder")]
    let data_dir = std::env::var(DATA_DIR).unwrap();
    match start(Options::new(data_dir)).await {
        Ok(postgres) => {
            println!("\npid {} url {}", postgres.pid(), postgres.url());
            tokio::time::timeout(Duration::from_mins(1), postgres.exited()).await.unwrap();
        }
        Err(error) => println!("\nrefused {error}"),
    }
}

fn server_command(program: &Path, data_dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["server_process", "--exact", "--ignored", "--nocapture"]).env(DATA_DIR, data_dir);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn this_program() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

/// Starts the process and gives the postmaster's id and the URL.
fn serve(mut command: Command) -> (Child, u32, String) {
    let mut server = command.spawn().unwrap();
    let line = line_with(&mut server, "pid ");
    let (pid, url) = line.split_once(" url ").unwrap();
    (server, pid.parse().unwrap(), url.to_owned())
}

fn line_with(server: &mut Child, start: &str) -> String {
    let lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    for line in lines {
        if let Some(rest) = line.strip_prefix(start) {
            return rest.to_owned();
        }
        seen.push(line);
    }
    panic!("the process said {seen:?}")
}

fn kill_and_reap(server: &mut Child) {
    server.kill().unwrap();
    server.wait().unwrap();
}

#[tokio::test]
async fn postgres_ends_by_itself_when_its_server_is_killed() {
    let sandbox = Sandbox::new("selfend");
    let (mut server, postmaster, url) = serve(server_command(&this_program(), &sandbox.data_dir));
    assert_eq!(psql_url(&url, "SELECT 1"), "1");
    let begun = Instant::now();
    kill_and_reap(&mut server);
    until("the postmaster ends", || !is_alive(postmaster));
    println!("ended by itself after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_ctrl_c_in_the_terminal_is_not_for_postgres() {
    let sandbox = Sandbox::new("terminal");
    let postgres = start(sandbox.options()).await.unwrap();
    // The terminal signals the process group in front, which is ours.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", postgres.pid())).unwrap();
    let process_group = stat.rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap();
    assert_eq!(process_group, postgres.pid().to_string());
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_server_started_right_after_a_kill_finds_the_committed_data() {
    let sandbox = Sandbox::new("rightafter");
    let (mut server, _, url) = serve(server_command(&this_program(), &sandbox.data_dir));
    psql_url(&url, "CREATE TABLE t AS SELECT generate_series(1, 500) AS n");
    kill_and_reap(&mut server);
    let begun = Instant::now();
    let postgres = start(sandbox.options()).await.unwrap();
    println!("started {:?} after the kill", begun.elapsed());
    assert_eq!(psql(&postgres, "SELECT count(*) FROM t"), "500");
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_living_postmaster_of_the_same_folder_is_stopped_and_replaced() {
    let sandbox = Sandbox::new("orphan");
    let postgres = start(sandbox.options()).await.unwrap();
    psql(&postgres, "CREATE TABLE t AS SELECT 7 AS n");
    postgres.stop(STOP_LIMIT).await.unwrap();
    // Started by hand, as an orphan of a machine without `setpriv` would be: it never ends by itself.
    let mut orphan = as_owner_of(&sandbox.cluster(), &find_binaries(None).unwrap().dir.join("postgres"))
        .arg("-D")
        .arg(sandbox.cluster())
        .args(["-c", "listen_addresses=", "-c", "unix_socket_directories=."])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the orphan is ready", || {
        std::fs::read_to_string(sandbox.cluster().join("postmaster.pid")).is_ok_and(|text| text.contains("ready"))
    });
    // It stays a zombie until this test reaps it, which must not count as living either.
    let begun = Instant::now();
    let postgres = start(sandbox.options()).await.unwrap();
    println!("taken over in {:?}", begun.elapsed());
    assert!(orphan.wait().unwrap().success(), "the orphan was shut down in order");
    assert_eq!(psql(&postgres, "SELECT n FROM t"), "7");
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_stale_pid_file_that_names_a_stranger_harms_neither() {
    let sandbox = Sandbox::new("stranger");
    let postgres = start(sandbox.options()).await.unwrap();
    kill(postgres.pid(), "KILL");
    tokio::time::timeout(STOP_LIMIT, postgres.exited()).await.unwrap();
    drop(postgres);
    // A process of the same user, which Postgres by itself would take for a running postmaster.
    let mut stranger = as_owner_of(&sandbox.cluster(), Path::new("sleep")).arg("60").spawn().unwrap();
    for name in ["postmaster.pid", ".s.PGSQL.5432.lock"] {
        let path = sandbox.cluster().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let rest = text.split_once('\n').unwrap().1;
        std::fs::write(&path, format!("{}\n{rest}", stranger.id())).unwrap();
    }
    let postgres = start(sandbox.options()).await.unwrap();
    assert_eq!(psql(&postgres, "SELECT 1"), "1");
    assert!(is_alive(stranger.id()), "the stranger was left alone");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_initdb_leaves_nothing_in_the_way() {
    let sandbox = Sandbox::new("halfway");
    let mut server = server_command(&this_program(), &sandbox.data_dir).spawn().unwrap();
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(&sandbox.data_dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    until("initdb is at work", || {
        names().iter().any(|name| name.starts_with("postgres.initdb-") && sandbox.data_dir.join(name).join("base").exists())
    });
    kill_and_reap(&mut server);
    assert!(!sandbox.cluster().exists());
    let postgres = start(sandbox.options()).await.unwrap();
    assert_eq!(psql(&postgres, "SELECT 1"), "1");
    postgres.stop(STOP_LIMIT).await.unwrap();
    // The killed run's initdb may still have been writing during that start; it is gone at the next.
    let postgres = start(sandbox.options()).await.unwrap();
    assert!(!names().iter().any(|name| name.starts_with("postgres.initdb-")), "{:?}", names());
    postgres.stop(STOP_LIMIT).await.unwrap();
}

#[tokio::test]
async fn as_root_a_folder_that_only_root_can_reach_works_and_only_the_cluster_changes_hands() {
    if !is_root() {
        return;
    }
    let mut sandbox = Sandbox::new("unreachable");
    sandbox.data_dir = sandbox.root.join("private/data");
    std::fs::create_dir_all(&sandbox.data_dir).unwrap();
    std::fs::set_permissions(sandbox.root.join("private"), std::fs::Permissions::from_mode(0o700)).unwrap();
    for _ in 0..2 {
        let mut postgres = start(sandbox.options()).await.unwrap();
        assert_eq!(psql(&postgres, "SELECT pg_reload_conf(), 1"), "t|1");
        let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
        assert_ne!(owner(Path::new(&format!("/proc/{}", postgres.pid()))), 0);
        assert_ne!(owner(&sandbox.cluster()), 0);
        assert_eq!(owner(&sandbox.data_dir), 0);
        assert_eq!(owner(&sandbox.data_dir.join("postgres.log")), 0);
        kill(postgres.pid(), "KILL");
        tokio::time::timeout(STOP_LIMIT, postgres.exited()).await.unwrap();
        postgres.restart().await.unwrap();
        postgres.stop(STOP_LIMIT).await.unwrap();
    }
}

#[tokio::test]
async fn an_unprivileged_user_can_do_all_of_it() {
    if !is_root() {
        return; // Then every other test has shown it.
    }
    let sandbox = Sandbox::below(Path::new("/tmp"), "unprivileged");
    let program = sandbox.root.join("program");
    std::fs::copy(this_program(), &program).unwrap();
    std::os::unix::fs::chown(&sandbox.root, Some(65534), Some(65534)).unwrap();
    let as_nobody = || {
        let mut command = server_command(&program, &sandbox.data_dir);
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(&program).args(arguments);
        command.env(DATA_DIR, &sandbox.data_dir).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let (mut server, first, url) = serve(as_nobody());
    psql_url(&url, "CREATE TABLE t AS SELECT 5 AS n");
    assert_eq!(std::fs::metadata(format!("/proc/{first}")).unwrap().uid(), 65534);
    kill_and_reap(&mut server);
    let (mut server, second, url) = serve(as_nobody());
    assert_eq!(psql_url(&url, "SELECT n FROM t"), "5");
    kill_and_reap(&mut server);
    until("it ends by itself", || !is_alive(second));

    // The same folder under root: the child stays the user that owns the cluster.
    let postgres = start(sandbox.options()).await.unwrap();
    assert_eq!(std::fs::metadata(format!("/proc/{}", postgres.pid())).unwrap().uid(), 65534);
    assert_eq!(psql(&postgres, "SELECT n FROM t"), "5");
    postgres.stop(STOP_LIMIT).await.unwrap();

    // And a folder that is not theirs is refused by name.
    std::os::unix::fs::chown(&sandbox.data_dir, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(&sandbox.data_dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    let refusal = line_with(&mut as_nobody().spawn().unwrap(), "refused ");
    assert!(refusal.contains(sandbox.data_dir.to_str().unwrap()) && refusal.contains("Permission denied"), "{refusal}");
}

/// As root a command for the user that owns `path`, else a plain one.
fn as_owner_of(path: &Path, program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let meta = std::fs::metadata(path).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &meta.uid().to_string(), "--regid", &meta.gid().to_string(), "--clear-groups", "--"]);
    command.arg(program);
    command
}
