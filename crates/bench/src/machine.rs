//! The machine a figure belongs to.

use std::fs;
use std::path::Path;
use std::process::Command;

use domain::clock::Clock;

/// What the report says about the machine and the moment, as name and value.
pub fn facts(clock: &Clock, chromium: &Path) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory_kib = field("/proc/meminfo", "MemTotal").split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    vec![
        ("date", clock.now().strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("processor", format!("{cores} × {}", field("/proc/cpuinfo", "model name"))),
        ("memory", format!("{} GiB", memory_kib.div_ceil(1 << 20))),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()),
        ("system", os_release()),
        ("browser", version(chromium)),
        ("node", version(Path::new("node"))),
        ("commit", commit()),
    ]
}

/// The value of the first line of `file` that starts with `name`.
fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
}

fn os_release() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
    line.trim_matches('"').to_owned()
}

fn version(program: &Path) -> String {
    said(Command::new(program).arg("--version")).unwrap_or_else(|| "none".to_owned())
}

fn commit() -> String {
    let commit = said(Command::new("git").args(["rev-parse", "--short=10", "HEAD"])).unwrap_or_else(|| "unknown".to_owned());
    let touched = said(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"])).is_some();
    if touched { format!("{commit}, with local changes") } else { commit }
}

/// The first line a short program prints, `None` when it prints nothing or fails.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}
