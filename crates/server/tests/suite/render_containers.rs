//! A container for each document, with a program in the place of the container runtime: it takes the same words, starts the same worker
//! with the same standard input and output, and puts nothing around it. What `docker` itself does with those words is not asked here.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::running::{KEY, Server, answer, children, is_alive, kill, outcome, stderr, wait_until, wait_until_async};

/// The runtime: `run` becomes the worker, `rm` ends it, `ps` lists those that run. Each container is a file with a process id.
const RUNTIME: &str = r#"#!/bin/sh
set -eu
state=@STATE@
echo "$*" >>"$state/words"
case $1 in
run)
    [ ! -e "$state/away" ] || { echo "Cannot connect to the daemon" >&2; exit 125; }
    while [ "$1" != an-image ]; do
        if [ "$1" = --name ]; then name=$2; fi
        shift
    done
    shift
    echo $$ >"$state/$name.pid"
    mkdir -p -m 711 "$state/browsers"
    exec env PATH=/usr/local/bin:/usr/bin:/bin PULP_RUNTIME_DIR="$state/browsers/$name" @ENGINE@ "$@"
    ;;
rm)
    shift 2
    for name; do
        [ ! -e "$state/$name.pid" ] || { kill -9 "$(cat "$state/$name.pid")" 2>/dev/null || true; rm -f "$state/$name.pid"; }
    done
    ;;
ps) [ ! -e "$state/left" ] || cat "$state/left" ;;
esac
"#;

struct Runtime {
    folder: tempfile::TempDir,
}

impl Runtime {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let script =
            RUNTIME.replace("@STATE@", &folder.path().display().to_string()).replace("@ENGINE@", env!("CARGO_BIN_EXE_pulp-engine"));
        std::fs::write(folder.path().join("docker"), script).unwrap();
        std::fs::set_permissions(folder.path().join("docker"), Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn program(&self) -> String {
        self.path("docker").display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn words(&self) -> String {
        std::fs::read_to_string(self.path("words")).unwrap()
    }

    /// The processes of all workers that were started and not removed.
    fn workers(&self) -> Vec<u32> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let pids = files.filter(|path| path.extension().is_some_and(|ending| ending == "pid"));
        let found = pids.filter_map(|path: PathBuf| std::fs::read_to_string(Path::new(&path)).ok()?.trim().parse().ok());
        found.filter(|pid| is_alive(*pid)).collect()
    }

    fn server(&self) -> Server {
        let program: &'static str = String::leak(self.program());
        Server::start_with(Vec::leak(vec![
            ("RENDER_MODE", "container"),
            ("RENDER_CONTAINER_IMAGE", "an-image"),
            ("RENDER_CONTAINER_RUNTIME", program),
            ("RENDER_CONTAINER_CPUS", "1.5"),
            ("RENDER_MAX_CONCURRENT_PAGES", "2"),
        ]))
    }
}

fn letter() -> Value {
    json!({"template": "letter", "data": {"sender": {"name": "A"}, "recipient": {"name": "B"}, "subject": "S", "paragraphs": ["P"]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_is_printed_by_a_worker_of_its_own_without_network_or_rights_and_none_is_left() {
    let runtime = Runtime::new();
    // What a predecessor that was killed left behind.
    std::fs::write(runtime.path("left"), "0123456789ab\n").unwrap();
    let mut server = runtime.server();
    assert!(runtime.words().contains("rm --force 0123456789ab"), "{}", runtime.words());
    assert_eq!(children(server.pid(), "chrom"), Vec::<u32>::new(), "the server itself has no browser");
    let mut letters = JoinSet::new();
    for _ in 0..6 {
        let request = Client::new().post(server.url("/render/pdf")).header("X-Api-Key", KEY).json(&letter());
        letters.spawn(async move { request.send().await.unwrap().bytes().await.unwrap() });
    }
    while let Some(letter) = letters.join_next().await {
        assert!(letter.unwrap().starts_with(b"%PDF-"));
    }
    wait_until("two are warm for the next", || runtime.workers().len() == 2);
    let words = runtime.words();
    let runs: Vec<&str> = words.lines().filter(|line| line.starts_with("run ")).collect();
    assert_eq!(runs.len(), 6 + 2, "one for each document, and two that are warm:\n{words}");
    for part in [
        "--rm",
        "--interactive",
        "--network none",
        "--read-only",
        "--tmpfs /tmp",
        "--cap-drop ALL",
        "--log-driver none",
        "no-new-privileges",
        "--pids-limit 512",
        "--memory=2048m --memory-swap=2048m",
        "--cpus=1.5",
        "--label pulp-engine.render=",
        "an-image render-worker --stdio",
    ] {
        assert!(runs.iter().all(|run| run.contains(part)), "{part} is not in {runs:?}");
    }
    server.signal("TERM");
    assert!(server.wait_for_end().success(), "{}", server.log());
    wait_until("no container is left", || runtime.workers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_dies_costs_no_document_and_one_whose_client_left_or_whose_time_is_over_is_removed() {
    let runtime = Runtime::new();
    let server = runtime.server();
    wait_until("two are warm", || runtime.workers().len() == 2);
    for pid in runtime.workers() {
        kill("KILL", pid);
    }
    assert!(server.pdf("letter", &letter()["data"]).await.starts_with(b"%PDF-"), "what was warm died, and others took over");
    // A document that takes long, and a client that does not wait for it.
    let rows: Vec<_> = (0..40_000).map(|row| json!({"n": row})).collect();
    let html = "<table>{{#each rows}}<tr><td>Row {{n}}</td></tr>{{/each}}</table>";
    let slow = json!({"definition": {"key": "k", "name": "n", "html": html}, "data": {"rows": rows}});
    let request = Client::new().post(server.url("/render/pdf")).header("X-Api-Key", KEY).json(&slow);
    let sent = tokio::spawn(async move { request.send().await.map(|answer| answer.status()) });
    let busy = async || {
        let system = server.get("/metrics").await.text().await.ok()?;
        system.lines().any(|line| line.starts_with("pulp_chromium_tabs_in_use") && line.ends_with(" 1")).then_some(())
    };
    wait_until_async("it is being printed", busy).await;
    let before = runtime.workers();
    sent.abort();
    wait_until("its container is removed", || before.iter().any(|pid| !is_alive(*pid)));
    wait_until("two are warm again", || runtime.workers().len() == 2);
    assert!(server.pdf("letter", &letter()["data"]).await.starts_with(b"%PDF-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_away_keeps_a_server_from_starting_and_a_running_one_unready_until_it_is_back() {
    let runtime = Runtime::new();
    std::fs::write(runtime.path("away"), "").unwrap();
    let data = tempfile::tempdir().unwrap();
    let (program, data) = (runtime.program(), data.path().display().to_string());
    let settings = [
        ("RENDER_MODE", "container"),
        ("RENDER_CONTAINER_IMAGE", "an-image"),
        ("RENDER_CONTAINER_RUNTIME", program.as_str()),
        ("PULP_DATA_DIR", data.as_str()),
    ];
    let said = String::from_utf8_lossy(&outcome(&["doctor"], &settings).stdout).into_owned();
    assert!(said.contains("RENDER_CONTAINER_IMAGE=an-image") && said.contains("Cannot connect to the daemon"), "{said}");
    let unset = outcome(&["serve"], &[settings[0], settings[2]]);
    assert_eq!(unset.status.code(), Some(2));
    assert!(stderr(&unset).contains("RENDER_CONTAINER_IMAGE: not set"), "{}", stderr(&unset));

    std::fs::remove_file(runtime.path("away")).unwrap();
    let server = runtime.server();
    wait_until("two are warm", || runtime.workers().len() == 2);
    std::fs::write(runtime.path("away"), "").unwrap();
    for pid in runtime.workers() {
        kill("KILL", pid);
    }
    wait_until("it is not ready", || !server.is_ready());
    let waiting = Client::new().post(server.url("/render/pdf")).header("X-Api-Key", KEY).json(&letter());
    let waiting = tokio::spawn(async move { answer(waiting).await.0 });
    tokio::time::sleep(Duration::from_millis(500)).await;
    std::fs::remove_file(runtime.path("away")).unwrap();
    wait_until("it is ready", || server.is_ready());
    assert_eq!(waiting.await.unwrap(), 200, "what waited meanwhile is printed");
}
