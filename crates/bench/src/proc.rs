//! What `/proc` says about the processes of this machine.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

/// Nanoseconds of one clock tick in `/proc/<pid>/stat`; the kernel shows 100 a second on every Linux architecture we run on.
const TICK_NS: u64 = 10_000_000;

/// One line of `/proc/<pid>/stat`, as far as it matters here.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// The id of its parent.
    pub parent: i32,
    /// The kernel's letter for its state; `Z` is a zombie.
    pub state: char,
    /// CPU time of its own, in nanoseconds with a resolution of 10 ms.
    pub own_cpu_ns: u64,
    /// CPU time of children it has waited for, in nanoseconds.
    pub reaped_cpu_ns: u64,
}

/// Every process, by id.
pub fn all() -> HashMap<i32, Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(|pid| Some((pid, read(pid)?))).collect()
}

fn read(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and brackets, so fields are counted from the last bracket on.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        state: fields.first()?.chars().next()?,
        own_cpu_ns: (ticks(11)? + ticks(12)?) * TICK_NS,
        reaped_cpu_ns: (ticks(13)? + ticks(14)?) * TICK_NS,
    })
}

/// CPU time of this very process, which is the load generator.
pub fn own_cpu() -> Duration {
    let own = i32::try_from(std::process::id()).ok().and_then(read);
    Duration::from_nanos(own.map_or(0, |process| process.own_cpu_ns))
}

/// `root` and everything below it.
pub fn tree(root: i32) -> Vec<Process> {
    let all = all();
    let mut inside: HashSet<i32> = HashSet::from([root]);
    loop {
        let found: Vec<i32> = all.values().filter(|p| inside.contains(&p.parent) && !inside.contains(&p.pid)).map(|p| p.pid).collect();
        if found.is_empty() {
            break;
        }
        inside.extend(found);
    }
    all.into_values().filter(|process| inside.contains(&process.pid)).collect()
}

/// The words a process was started with, joined by blanks; empty for a zombie.
pub fn command_line(pid: i32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

/// Resident and proportional size of one process, in bytes; zero when it is gone or may not be looked into.
pub fn memory_bytes(pid: i32) -> (u64, u64) {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let field = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    (field("Rss:").unwrap_or(0) * 1024, field("Pss:").unwrap_or(0) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_in_its_own_tree_with_its_memory() {
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert!(tree(own).iter().any(|process| process.pid == own && process.state != 'Z'));
        let (resident, proportional) = memory_bytes(own);
        assert!(resident > 100_000 && proportional > 100_000 && proportional <= resident);
    }
}
