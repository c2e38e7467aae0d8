//! Processes as the kernel sees them.

use std::fs;

/// One of them.
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub is_zombie: bool,
}

/// All that there are.
pub fn all() -> Vec<Process> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(read).collect()
}

fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces: state and parent follow it.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let is_zombie = fields.next()? == "Z";
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, is_zombie })
}

/// Kilobytes that its status names so.
pub fn kilobytes(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)?.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok())
}
