//! A server process of its own for a test, with a data folder of its own.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The key of every server here.
pub const KEY: &str = "a-key-of-the-tests-only";
/// Keys of the other scopes.
pub const EDITOR_KEY: &str = "an-editor-key-of-the-tests";
/// See [`EDITOR_KEY`].
pub const RENDER_KEY: &str = "a-render-key-of-the-tests";
/// See [`EDITOR_KEY`].
pub const PREVIEW_KEY: &str = "a-preview-key-of-the-tests";
/// A start makes a database and warms a browser, beside other tests that do the same.
const START: Duration = Duration::from_mins(2);
const END: Duration = Duration::from_mins(1);
/// Systems give out ports above these by themselves: one of those may be taken between asking for it and using it.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;
const POLL: Duration = Duration::from_millis(20);

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `pulp-engine` with these settings and no others. `PATH` is kept: the server looks for programs in it.
pub fn pulp_engine(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pulp-engine"));
    command.args(arguments).env_clear().envs(settings.iter().copied()).env("PATH", PATH).stdin(Stdio::null());
    command
}

/// Where distributions put programs. The tests' own environment must not leak into the server's.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// Runs a subcommand to its end.
pub fn outcome(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    pulp_engine(arguments, settings).output().expect("the binary runs")
}

/// What a process printed to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server that runs until it is dropped.
pub struct Server {
    child: Child,
    data: tempfile::TempDir,
    port: u16,
    changed: &'static [(&'static str, &'static str)],
}

impl Server {
    /// Starts one with an embedded database of its own and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one that has some settings different; an empty value is none.
    pub fn start_with(changed: &'static [(&'static str, &'static str)]) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let child = spawn(data.path(), port, changed);
        let mut server = Self { child, data, port, changed };
        server.wait_until_ready();
        server
    }

    /// Starts another process on the data that this one, which has ended, left behind.
    pub fn start_again(self) -> Self {
        let changed = self.changed;
        self.start_again_with(changed)
    }

    /// As [`Server::start_again`], with other settings.
    pub fn start_again_with(mut self, changed: &'static [(&'static str, &'static str)]) -> Self {
        self.changed = changed;
        self.child = spawn(self.data.path(), self.port, self.changed);
        self.wait_until_ready();
        self
    }

    /// Waits until the server says that it is ready; panics with its log when it ended instead.
    pub fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + START;
        while !self.is_ready() {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                panic!("the server ended ({status}):\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "the server was not ready after {START:?}:\n{}", self.log());
            pause();
        }
    }

    /// What its health check says.
    pub fn is_ready(&self) -> bool {
        let port = self.port.to_string();
        outcome(&["healthcheck"], &[("PORT", &port)]).status.success()
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join("server.log")).unwrap_or_default()
    }

    /// Its address with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        kill(name, self.pid());
    }

    /// Waits for its end.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + END;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server did not end within {END:?}:\n{}", self.log());
            pause();
        }
    }

    /// The PDF of a template and data; panics with the answer when it is none.
    pub async fn pdf(&self, template: &str, data: &Value) -> Vec<u8> {
        self.pdf_of(&json!({"template": template, "data": data})).await
    }

    /// The PDF of a render request; panics with the answer when it is none.
    pub async fn pdf_of(&self, request: &Value) -> Vec<u8> {
        let answer = self.post("/render/pdf", request).await;
        let status = answer.status();
        let body = answer.bytes().await.expect("the whole answer").to_vec();
        assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        body
    }

    /// The answer to a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        let client = reqwest::Client::new();
        client.post(self.url(path)).header("X-Api-Key", KEY).json(body).send().await.expect("an answer")
    }

    /// What it measures, without its name in each line.
    pub async fn metrics(&self) -> String {
        without_instance(&self.get("/metrics").await.text().await.expect("the whole answer"))
    }

    /// The answer to a question.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::Client::new().get(self.url(path)).header("X-Api-Key", KEY).send().await.expect("an answer")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Politely first, so that Chromium and PostgreSQL end with it.
        if let Ok(None) = self.child.try_wait() {
            self.signal("TERM");
            let deadline = Instant::now() + END;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                pause();
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data: &Path, port: u16, changed: &[(&str, &str)]) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(data.join("server.log")).expect("a log file");
    // As root the browser is another user's, who has to reach its folder.
    std::fs::set_permissions(data, Permissions::from_mode(0o711)).expect("our own folder");
    let browser = data.join("chromium");
    let (port, data) = (port.to_string(), data.to_str().expect("a path in UTF-8"));
    let settings = [
        ("PORT", port.as_str()),
        ("PULP_DATA_DIR", data),
        ("PULP_RUNTIME_DIR", browser.to_str().expect("a path in UTF-8")),
        ("API_KEY_ADMIN", KEY),
        ("API_KEY_EDITOR", EDITOR_KEY),
        ("API_KEY_RENDER", RENDER_KEY),
        ("API_KEY_PREVIEW", PREVIEW_KEY),
        ("RENDER_MAX_CONCURRENT_PAGES", "1"),
        ("RENDER_MAX_QUEUE_DEPTH", "20"),
        // Nobody takes over.
        ("SHUTDOWN_DRAIN_DELAY_MS", "0"),
        // All tests are one address, and many of them try what nobody has.
        ("AUTH_FAILURES_PER_MINUTE", "100000"),
    ];
    let settings: Vec<_> = settings.iter().chain(changed).copied().collect();
    pulp_engine(&["serve"], &settings).stdout(Stdio::null()).stderr(log).spawn().expect("the binary runs")
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap_or(0);
    (0..PORTS)
        .map(|_| FIRST_PORT + (own + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS) % PORTS)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// Sends a signal to a process.
pub fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill").args(["-s", signal, &pid.to_string()]).status().expect("kill runs");
    assert!(status.success(), "kill -s {signal} {pid}");
}

/// The children of a process whose command contains a word.
pub fn children(parent: u32, word: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        // The name in parentheses may hold spaces: state and parent follow it.
        let mut after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
        let (state, its_parent) = (after_name.next(), after_name.next());
        if state != Some("Z") && its_parent == Some(parent.to_string().as_str()) && String::from_utf8_lossy(&read("cmdline")).contains(word)
        {
            found.push(pid);
        }
    }
    found
}

/// Whether a process is there and not only waiting to be collected.
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The status and the JSON of an answer; null where it is none.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// The text of `/metrics` without the name of the server, which every series has.
pub fn without_instance(metrics: &str) -> String {
    let name = metrics.split_once("instance=\"").and_then(|(_, rest)| rest.split_once('"')).map_or("", |(name, _)| name);
    let label = format!("instance=\"{name}\"");
    metrics.replace(&format!("{{{label}}}"), "").replace(&format!("{label},"), "").replace(&format!(",{label}"), "")
}

/// Waits until something holds.
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + END;
    while !holds() {
        assert!(Instant::now() < deadline, "after {END:?} still not: {what}");
        pause();
    }
}

/// Waits until asking gives something.
pub async fn wait_until_async<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + END;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "after {END:?} still not: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// The pause between two looks at a condition.
#[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
pub fn pause() {
    std::thread::sleep(POLL);
}
