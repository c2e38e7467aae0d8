//! `HAProxy` in front of servers of this machine, by the rules of the configuration that the product ships.
//!
//! Debian's package `haproxy` brings it; `scripts/test` installs it. Of the configuration only places are exchanged: who listens
//! where, which servers there are, and where the log goes.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use crate::kept::{self, Kept};

const PROGRAMS: [&str; 3] = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];
/// It answers a question about itself in no time.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// What is about another machine: users, logs and sockets there.
const PLACES: [&str; 8] = ["stats socket", "user ", "group ", "chroot ", "daemon", "log ", "pidfile ", "master-worker"];

/// A running `HAProxy`. Dropping the value kills it.
pub struct HaProxy {
    process: Option<Kept>,
    program: PathBuf,
    port: u16,
    folder: TempDir,
}

impl HaProxy {
    /// Starts one with the rules of `configuration` in front of servers on these ports, which need not answer yet.
    /// Nothing when the program is not there, which on CI is a failure.
    ///
    /// # Panics
    /// When the configuration has no `bind` line.
    pub fn start(configuration: &str, servers: &[u16]) -> Option<Self> {
        let Some(program) = PROGRAMS.iter().map(PathBuf::from).find(|program| program.exists()) else {
            assert!(!crate::is_ci(), "HAProxy is missing: scripts/test installs it (apt-get install haproxy)");
            println!("LEFT OUT: HAProxy is missing; scripts/test installs it");
            return None;
        };
        let folder = TempDir::with_prefix_in("pulp-haproxy-", "/tmp").expect("a temporary folder");
        let (text, port) = for_this_machine(configuration, servers, folder.path());
        fs::write(folder.path().join("haproxy.cfg"), text).expect("a file of our own");
        let mut started = Self { process: None, program, port, folder };
        started.start_again();
        Some(started)
    }

    /// Starts it again on the same port.
    pub fn start_again(&mut self) {
        self.process = None;
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a file of our own");
        let mut command = kept::command();
        command.arg("--").arg(&self.program).arg("-db").arg("-f").arg(self.folder.path().join("haproxy.cfg"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file of our own")).stderr(log);
        self.process = Some(Kept::start(command, "HAProxy"));
    }

    /// Where it listens.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// How many servers of a backend it sends requests to; none when it does not say.
    pub fn servers_up(&self, backend: &str) -> Option<usize> {
        let table = self.ask("show stat").ok()?;
        let is_up = |line: &&str| {
            let mut cells = line.split(',');
            cells.next() == Some(backend) && !matches!(cells.next(), Some("BACKEND" | "FRONTEND")) && line.contains(",UP,")
        };
        Some(table.lines().filter(is_up).count())
    }

    /// Its log: a line for each request and each change of a server.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn ask(&self, question: &str) -> std::io::Result<String> {
        let mut socket = UnixStream::connect(self.folder.path().join("stats"))?;
        socket.set_read_timeout(Some(TOLD_WITHIN))?;
        socket.write_all(format!("{question}\n").as_bytes())?;
        let mut told = String::new();
        socket.read_to_string(&mut told)?;
        Ok(told)
    }
}

/// The configuration with other places, and the port of its first `bind`.
fn for_this_machine(configuration: &str, servers: &[u16], folder: &Path) -> (String, u16) {
    let (mut text, mut first, mut is_left_out) = (String::new(), None, false);
    for line in configuration.lines() {
        let words = line.trim();
        if !line.starts_with([' ', '\t']) && !words.is_empty() && !words.starts_with('#') {
            // Names are not looked up here.
            is_left_out = words.starts_with("resolvers");
        }
        let is_place = PLACES.iter().any(|place| words.starts_with(place)) && words != "log global";
        if is_left_out || is_place {
            continue;
        }
        if words.starts_with("bind ") {
            let port = crate::port_to_listen_on();
            first.get_or_insert(port);
            let _ = writeln!(text, "    bind 127.0.0.1:{port}");
        } else if words.starts_with("server-template ") {
            let options = words.split_whitespace().skip(4).collect::<Vec<_>>();
            for (number, port) in servers.iter().enumerate() {
                let _ = writeln!(text, "    server api{} 127.0.0.1:{port} {}", number + 1, kept_options(&options));
            }
        } else if let Some(options) = words.strip_prefix("default-server ") {
            let _ = writeln!(text, "    default-server {}", kept_options(&options.split_whitespace().collect::<Vec<_>>()));
        } else {
            text.push_str(line);
            text.push('\n');
        }
        if words == "global" {
            let _ = writeln!(
                text,
                "    log stdout format raw local0\n    stats socket {} mode 600 level admin",
                folder.join("stats").display()
            );
        }
    }
    (text, first.expect("a line with bind"))
}

/// Without those that are about names.
fn kept_options(options: &[&str]) -> String {
    let mut kept = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        if matches!(*option, "resolvers" | "init-addr" | "resolve-prefer") {
            options.next();
        } else {
            kept.push(*option);
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_of_a_configuration_are_exchanged() {
        let shipped = "global\n    log stdout format raw local0\n    user haproxy\n    tune.bufsize 131072\nresolvers docker\n    nameserver dns 127.0.0.11:53\n\
                       frontend http\n    bind :8080\n    default_backend replicas\nbackend replicas\n    retries 3\n    \
                       default-server fall 2 init-addr none resolvers docker\n    server-template api- 1-8 api:3000 check resolvers docker init-addr none inter 500ms\n";
        let (text, port) = for_this_machine(shipped, &[4001, 4002], Path::new("/tmp/x"));
        let expected = format!(
            "global\n    log stdout format raw local0\n    stats socket /tmp/x/stats mode 600 level admin\n    tune.bufsize 131072\n\
             frontend http\n    bind 127.0.0.1:{port}\n    default_backend replicas\nbackend replicas\n    retries 3\n    \
             default-server fall 2\n    server api1 127.0.0.1:4001 check inter 500ms\n    server api2 127.0.0.1:4002 check inter 500ms\n"
        );
        assert_eq!(text, expected);
    }
}
