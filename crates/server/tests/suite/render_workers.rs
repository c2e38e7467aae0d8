//! Servers without a browser and the processes that print for them: how they find each other, and what is seen when workers die.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use testkit::certificates::Authority;
use tokio::task::JoinSet;

use crate::running::{
    KEY, Server, answer, children, free_port, is_alive, kill, outcome, pulp_engine, repository, stderr, wait_until, wait_until_async,
};

const SECRET: &str = "a-secret-of-the-render-workers-of-the-tests";

/// A worker process that runs until it is dropped.
struct Worker {
    child: Child,
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Worker {
    /// Starts one and waits until it says that it is ready.
    fn start(listen: &str, more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let runtime = folder.path().join("chromium").display().to_string();
        let mut settings = vec![("RENDER_WORKER_LISTEN", listen), ("PULP_RUNTIME_DIR", &runtime), ("LOG_FORMAT", "json")];
        settings.extend([("RENDER_MAX_CONCURRENT_PAGES", "2"), ("RENDER_MAX_QUEUE_DEPTH", "40")]);
        settings.extend(more);
        let settings: Vec<_> = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let child = spawn(&settings, folder.path());
        let worker = Self { child, folder, settings };
        worker.wait_until_ready();
        worker
    }

    /// Starts it once more, after its end.
    fn start_again(&mut self) {
        self.child = spawn(&self.settings, self.folder.path());
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        wait_until("the worker is ready", || self.check().status.success());
    }

    fn check(&self) -> std::process::Output {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        outcome(&["render-worker", "--check"], &settings)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("worker.log")).unwrap()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn die(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(settings: &[(String, String)], folder: &Path) -> Child {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let log = std::fs::File::options().create(true).append(true).open(folder.join("worker.log")).unwrap();
    pulp_engine(&["render-worker"], &settings).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// A server's settings live as long as the test binary.
fn leaked(settings: &[(&'static str, &str)]) -> &'static [(&'static str, &'static str)] {
    let settings: Vec<(&'static str, &'static str)> =
        settings.iter().map(|(name, value)| (*name, &*String::leak((*value).to_owned()))).collect();
    Vec::leak(settings)
}

fn server_with(workers: &str, more: &[(&'static str, &str)]) -> Server {
    let mut settings = vec![("RENDER_MODE", "socket"), ("RENDER_WORKERS", workers), ("RENDER_MAX_CONCURRENT_PAGES", "4")];
    settings.extend(more);
    Server::start_with(leaked(&settings))
}

fn letter() -> Value {
    json!({"template": "letter", "data": {"sender": {"name": "A"}, "recipient": {"name": "B"}, "subject": "S", "paragraphs": ["P"]}})
}

fn sockets(folder: &Path) -> (String, String) {
    let socket = |name: &str| format!("unix://{}", folder.join(name).display());
    (socket("one.sock"), socket("two.sock"))
}

/// How many letters were sent, and every answer that was no PDF.
type Sent = (usize, Vec<(u16, Value)>);
/// Settings by their names.
type Settings<'a> = &'a [(&'a str, &'a str)];
/// A command of a page with the settings in front of it.
type Command = (String, Vec<(String, String)>);

/// Sends letters, eight at a time, until told to stop; gives how many there were and every answer that was no PDF.
fn load(server: &Server) -> (tokio::sync::watch::Sender<bool>, tokio::task::JoinHandle<Sent>) {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let url = server.url("/render/pdf");
    let work = tokio::spawn(async move {
        let client = Client::new();
        let mut senders = JoinSet::new();
        for _ in 0..8 {
            let (client, url, stopped) = (client.clone(), url.clone(), stopped.clone());
            senders.spawn(async move {
                let (mut sent, mut failed) = (0, Vec::new());
                while !*stopped.borrow() {
                    sent += 1;
                    let answer = client.post(&url).header("X-Api-Key", KEY).json(&letter()).send().await.unwrap();
                    let status = answer.status().as_u16();
                    let body = answer.bytes().await.unwrap();
                    if status != 200 || !body.starts_with(b"%PDF-") {
                        failed.push((status, serde_json::from_slice(&body).unwrap_or_default()));
                    }
                }
                (sent, failed)
            });
        }
        let (mut sent, mut failed) = (0, Vec::new());
        while let Some(sender) = senders.join_next().await {
            let (more, worse) = sender.unwrap();
            sent += more;
            failed.extend(worse);
        }
        (sent, failed)
    });
    (stop, work)
}

async fn series(server: &Server, name: &str) -> f64 {
    let metrics = server.metrics().await;
    let line = metrics.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or_else(|| panic!("{name} is missing"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_browser_prints_through_two_workers_and_loses_nothing_when_they_die_or_drain() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = sockets(folder.path());
    let (mut first, mut second) = (Worker::start(&one, &[]), Worker::start(&two, &[]));
    let server = server_with(&format!("{one},{two}"), &[("CHROMIUM_PATH", "/nowhere/chromium")]);
    assert_eq!(children(server.pid(), "chrom"), Vec::<u32>::new(), "it has no browser");
    assert_eq!(children(first.pid(), "chrom").len(), 1);
    assert!(server.pdf("letter", &letter()["data"]).await.starts_with(b"%PDF-"));
    assert!((series(&server, "pulp_render_workers{state=\"ready\"}").await - 2.0).abs() < 0.1);

    let (stop, work) = load(&server);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut seen_lost = 0.0;
    for _ in 0..3 {
        first.die();
        wait_until_async("one is missed", async || {
            (series(&server, "pulp_render_workers{state=\"unreachable\"}").await > 0.5).then_some(())
        })
        .await;
        seen_lost = series(&server, "pulp_render_worker_retries_total{reason=\"lost\"}").await;
        first.start_again();
        wait_until_async("it is back", async || (series(&server, "pulp_render_workers{state=\"ready\"}").await > 1.5).then_some(())).await;
    }
    kill("TERM", second.pid());
    assert!(second.child.wait().unwrap().success(), "{}", second.log());
    wait_until_async("it is missed", async || (series(&server, "pulp_render_workers{state=\"ready\"}").await < 1.5).then_some(())).await;
    second.start_again();
    // A worker that hangs without a word: its socket is open, and nothing comes.
    kill("STOP", first.pid());
    wait_until_async("it is missed", async || (series(&server, "pulp_render_workers{state=\"ready\"}").await < 1.5).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    kill("CONT", first.pid());
    wait_until_async("both are back", async || (series(&server, "pulp_render_workers{state=\"ready\"}").await > 1.5).then_some(())).await;
    stop.send(true).unwrap();
    let (sent, failed) = work.await.unwrap();
    assert!(failed.is_empty(), "{} of {sent}: {:?}\n{}", failed.len(), &failed[..failed.len().min(3)], server.log());
    assert!(sent > 50 && seen_lost > 0.5, "{sent} letters, {seen_lost} were with a worker that died");
    println!("{sent} letters over three deaths, one drain and one hang: 0 failed, {seen_lost} begun again");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_worker_a_server_is_not_ready_says_so_with_a_code_of_its_own_and_is_back_when_one_is() {
    let port = free_port();
    let listen = format!("tcp://127.0.0.1:{port}");
    let mut worker = Worker::start(&listen, &[("RENDER_WORKER_SECRET", SECRET)]);
    let server = server_with(&listen, &[("RENDER_WORKER_SECRET", SECRET)]);
    worker.die();
    wait_until("it is not ready", || !server.is_ready());
    let ready: Value = server.get("/health/ready").await.json().await.unwrap();
    assert_eq!((&ready["checks"]["browser"], &ready["checks"]["storage"]), (&json!("error"), &json!("ok")));
    let refused = server.post("/render/pdf", &letter()).await;
    let (status, again) = (refused.status().as_u16(), refused.headers().get("retry-after").cloned());
    let body: Value = refused.json().await.unwrap();
    assert_eq!((status, &body["code"]), (503, &json!("render_worker_unavailable")), "{body}");
    assert!(again.is_some_and(|seconds| seconds.to_str().unwrap().parse::<u64>().unwrap() >= 1));
    let html = answer(Client::new().post(server.url("/render/html")).header("X-Api-Key", KEY).json(&letter())).await;
    assert_eq!(html.0, 200, "what needs no browser goes on");
    worker.start_again();
    let back = Instant::now();
    wait_until("it is ready", || server.is_ready());
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    assert!(server.pdf("letter", &letter()["data"]).await.starts_with(b"%PDF-"));
    let told = |what: &str| server.log().matches(what).count();
    assert_eq!((told("a render worker does not answer"), told("a render worker answers")), (1, 2), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_refused_without_a_word_and_stands_in_both_logs() {
    let port = free_port();
    let worker = Worker::start(&format!("tcp://127.0.0.1:{port}"), &[("RENDER_WORKER_SECRET", SECRET)]);
    let workers = format!("tcp://127.0.0.1:{port}");
    let settings =
        [("RENDER_MODE", "socket"), ("RENDER_WORKERS", workers.as_str()), ("RENDER_WORKER_SECRET", "another-secret-that-is-just-as-long")];
    let doctor = outcome(&["doctor"], &settings);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert_eq!(doctor.status.code(), Some(1), "{said}");
    assert!(said.contains(&workers) && said.contains("RENDER_WORKER_SECRET is another one there"), "{said}");
    wait_until("the worker tells of it", || worker.log().contains("its proof of RENDER_WORKER_SECRET is missing or wrong"));
    assert!(!worker.log().contains(SECRET) && !worker.log().contains("just-as-long"), "{}", worker.log());
    let right = [settings[0], settings[1], ("RENDER_WORKER_SECRET", SECRET)];
    let said = String::from_utf8_lossy(&outcome(&["doctor"], &right).stdout).into_owned();
    assert!(said.contains("with 2 of 2 tabs") && said.contains("one of them printed a page") && said.contains("Latin"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificates_a_server_and_its_worker_talk_and_the_worker_can_be_checked() {
    let authority = Authority::new();
    let (workers, servers) = (authority.certificate_of_both_ends("DNS:localhost"), authority.certificate_of_both_ends("DNS:server"));
    let text = |path: &PathBuf| path.display().to_string();
    let (ca, port) = (text(&authority.file()), free_port());
    let (certificate, key) = (text(&workers.file), text(&workers.key_file));
    let of_worker =
        [("RENDER_WORKER_TLS_CERT", certificate.as_str()), ("RENDER_WORKER_TLS_KEY", key.as_str()), ("RENDER_WORKER_TLS_CA", ca.as_str())];
    let worker = Worker::start(&format!("tcp://0.0.0.0:{port}"), &of_worker);
    let (certificate, key) = (text(&servers.file), text(&servers.key_file));
    let of_server =
        [("RENDER_WORKER_TLS_CERT", certificate.as_str()), ("RENDER_WORKER_TLS_KEY", key.as_str()), ("RENDER_WORKER_TLS_CA", ca.as_str())];
    let server = server_with(&format!("tcp://localhost:{port}"), &of_server);
    assert!(server.pdf("letter", &letter()["data"]).await.starts_with(b"%PDF-"));
    // Whoever has no certificate gets nothing.
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    std::io::Write::write_all(&mut &stream, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = std::io::Read::read_to_end(&mut &stream, &mut said);
    assert!(!String::from_utf8_lossy(&said).contains("nonce"), "{said:?}");
    assert!(worker.check().status.success());
}

#[test]
fn settings_that_leave_the_way_open_or_incomplete_are_refused_with_what_is_accepted() {
    let socket = ("RENDER_MODE", "socket");
    let refused: [(&str, Settings<'_>, &[&str]); 8] = [
        ("serve", &[("RENDER_MODE", "in-process")], &["RENDER_MODE: found \"in-process\"", "child-process", "socket"]),
        ("serve", &[socket], &["RENDER_WORKERS: not set", "unix:///path/of/a/socket or tcp://host:port"]),
        ("serve", &[socket, ("RENDER_WORKERS", "render:9100")], &["RENDER_WORKERS: found \"render:9100\"", "tcp://host:port"]),
        ("serve", &[socket, ("RENDER_WORKERS", "tcp://render:9100")], &["RENDER_WORKER_SECRET", "RENDER_WORKER_TLS_CERT", "unix://"]),
        ("serve", &[("RENDER_WORKERS", "unix:///run/x.sock")], &["RENDER_WORKERS: set, and RENDER_MODE is not socket"]),
        ("render-worker", &[], &["RENDER_WORKER_LISTEN: not set", "unix:///path"]),
        ("render-worker", &[("RENDER_WORKER_LISTEN", "tcp://0.0.0.0:9100")], &["RENDER_WORKER_SECRET", "RENDER_WORKER_TLS_CERT"]),
        (
            "render-worker",
            &[("RENDER_WORKER_LISTEN", "tcp://0.0.0.0:9100"), ("RENDER_WORKER_SECRET", "short"), ("RENDER_WORKER_TLS_CA", "/ca.pem")],
            &["RENDER_WORKER_SECRET: found a value (hidden) of 5", "RENDER_WORKER_TLS_CERT: not set, and the others of TLS are"],
        ),
    ];
    for (command, settings, parts) in refused {
        let output = outcome(&[command], settings);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{settings:?}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{settings:?}: {parts:?} are not all in\n{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (listen, _) = sockets(folder.path());
    // What only a server reads is no concern of a worker's, however wrong.
    let settings = [("RENDER_WORKER_LISTEN", listen.as_str()), ("PORT", "nonsense"), ("CHROMIUM_PATH", "/nowhere/chromium")];
    let output = outcome(&["render-worker"], &settings);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nowhere/chromium"), "{}", stderr(&output));
    assert!(!outcome(&["render-worker", "--check"], &settings[..1]).status.success(), "nobody listens there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_worker_on_the_same_socket_is_refused_and_a_dead_ones_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (listen, _) = sockets(folder.path());
    let mut worker = Worker::start(&listen, &[]);
    let output = outcome(&["render-worker"], &[("RENDER_WORKER_LISTEN", &listen)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("a worker that runs listens there"), "{}", stderr(&output));
    let browser = children(worker.pid(), "chrom")[0];
    worker.die();
    wait_until("its browser ends with it", || !is_alive(browser));
    assert!(folder.path().join("one.sock").exists(), "a killed worker leaves its file");
    worker.start_again();
    kill("TERM", worker.pid());
    assert!(worker.child.wait().unwrap().success(), "{}", worker.log());
    assert!(!folder.path().join("one.sock").exists());
    let said = worker.check();
    assert!(!said.status.success() && stderr(&said).contains("is not ready"), "{}", stderr(&said));
}

/// The commands of a page in blocks of a name: each with its settings.
fn commands(page: &str) -> Vec<Vec<Command>> {
    let page = std::fs::read_to_string(repository().join("docs/operations").join(page)).unwrap();
    let blocks = page.split("```").skip(1).step_by(2);
    let of_it = blocks.filter_map(|block| {
        let (fence, lines) = block.split_once('\n')?;
        match fence.strip_prefix("sh ")? {
            "workers" => Some(lines),
            _ => None,
        }
    });
    let read = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let at = words.iter().position(|word| *word == "pulp-engine").unwrap_or_else(|| panic!("{line}"));
        let settings = words[..at].iter().map(|word| word.split_once('=').unwrap());
        (words[at + 1..].join(" "), settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    };
    of_it.map(|lines| lines.lines().map(read).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_start_a_worker_and_a_server_that_prints_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, port) = (folder.path().join("secret"), free_port().to_string());
    std::fs::write(&secret, SECRET).unwrap();
    let here = |value: &str| {
        let value = value.replace("/run/pulp-engine/", &format!("{}/", folder.path().display()));
        let value = value.replace("/run/secrets/render", &secret.display().to_string());
        value.replace("tcp://render:", "tcp://localhost:").replace(":9100", &format!(":{port}"))
    };
    let blocks = commands("render-workers.md");
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let [(first, of_worker), (second, of_server)] = &block[..] else { panic!("{block:?}") };
        assert_eq!((first.as_str(), second.as_str()), ("render-worker", "serve"));
        let of_worker: Vec<_> = of_worker.iter().map(|(name, value)| (name.as_str(), here(value))).collect();
        let (listen, more) = of_worker.split_first().unwrap();
        assert_eq!(listen.0, "RENDER_WORKER_LISTEN");
        let more: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let _worker = Worker::start(&listen.1, &more);
        let of_server: Vec<(&'static str, String)> =
            of_server.iter().map(|(name, value)| (&*String::leak(name.clone()), here(value))).collect();
        let of_server: Vec<_> = of_server.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let server = Server::start_with(leaked(&of_server));
        assert!(server.pdf("letter", &letter()["data"]).await.starts_with(b"%PDF-"));
        assert_eq!(children(server.pid(), "chrom"), Vec::<u32>::new());
    }
}
