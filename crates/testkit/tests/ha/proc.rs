//! Processes as the kernel sees them.

use std::fs;
use std::path::Path;

/// One of them.
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub group: u32,
    pub is_zombie: bool,
    pub command: String,
}

/// All that there are.
pub fn all() -> Vec<Process> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(read).collect()
}

fn read(pid: u32) -> Option<Process> {
    let folder = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name in parentheses may hold spaces: state, parent and group follow it.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let is_zombie = fields.next()? == "Z";
    let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let command = String::from_utf8_lossy(&fs::read(folder.join("cmdline")).unwrap_or_default()).into_owned();
    Some(Process { pid, parent, group, is_zombie, command })
}

/// The renderers of the browser of a server: its sandbox makes them children of another process, in the same group.
pub fn renderers(server: u32) -> Vec<u32> {
    let all = all();
    let is_browser = |group: u32| all.iter().any(|process| process.pid == group && process.parent == server);
    all.iter()
        .filter(|process| process.command.contains("--type=renderer") && is_browser(process.group))
        .map(|process| process.pid)
        .collect()
}

/// Kilobytes that its status names so.
pub fn kilobytes(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)?.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok())
}
