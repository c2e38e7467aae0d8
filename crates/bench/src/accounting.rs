//! Where CPU time is counted: a cgroup per variant where one may be made, else the process tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The counter of this machine, found once per run.
#[derive(Debug, Clone)]
pub enum Accounting {
    /// A cgroup of version 1 below this folder; `cpuacct.usage` counts nanoseconds.
    CgroupV1(PathBuf),
    /// A cgroup of version 2 below this folder; `cpu.stat` counts microseconds.
    CgroupV2(PathBuf),
    /// Sums over `/proc/<pid>/stat` of a tree, reaped children included, in steps of 10 ms.
    ProcessTree,
}

impl Accounting {
    /// The best counter that lets a process be moved into it.
    pub fn find() -> Self {
        for folder in ["/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct"] {
            if takes_processes(Path::new(folder), "cpuacct.usage") {
                return Self::CgroupV1(PathBuf::from(folder));
            }
        }
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let root = Path::new("/sys/fs/cgroup");
        for folder in [root.join(own), root.to_owned(), root.join("unified")] {
            if takes_processes(&folder, "cpu.stat") {
                return Self::CgroupV2(folder);
            }
        }
        Self::ProcessTree
    }

    /// How the report names it.
    pub fn named(&self) -> &'static str {
        match self {
            Self::CgroupV1(_) => "cgroup v1 `cpuacct.usage`",
            Self::CgroupV2(_) => "cgroup v2 `cpu.stat`",
            Self::ProcessTree => "sums over `/proc/<pid>/stat` with reaped children, because no cgroup was writable (steps of 10 ms)",
        }
    }

    /// A new folder for one variant, `None` where there are no cgroups.
    pub fn new_folder(&self, name: &str) -> Option<PathBuf> {
        let (Self::CgroupV1(parent) | Self::CgroupV2(parent)) = self else { return None };
        let folder = parent.join(format!("pulp-bench-{}-{name}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        Some(folder)
    }

    /// CPU time used in `folder` so far, in nanoseconds.
    pub fn cpu_ns(&self, folder: &Path) -> Option<u64> {
        match self {
            Self::CgroupV1(_) => fs::read_to_string(folder.join("cpuacct.usage")).ok()?.trim().parse().ok(),
            Self::CgroupV2(_) => {
                let stat = fs::read_to_string(folder.join("cpu.stat")).ok()?;
                let micros: u64 = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?.trim().parse().ok()?;
                Some(micros * 1000)
            }
            Self::ProcessTree => None,
        }
    }
}

/// Whether a folder can be made below `parent`, counts, and accepts a process: tried with a shell that ends at once.
fn takes_processes(parent: &Path, counter: &str) -> bool {
    let folder = parent.join(format!("pulp-bench-{}-probe", std::process::id()));
    if fs::create_dir(&folder).is_err() {
        return false;
    }
    let moved = Command::new("/bin/sh")
        .args(["-c", "echo $$ > \"$1\"", "sh"])
        .arg(folder.join("cgroup.procs"))
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let counts = folder.join(counter).exists();
    fs::remove_dir(&folder).is_ok() && moved && counts
}
