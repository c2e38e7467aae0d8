//! What the operating system says of this process.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Clock ticks a second that `/proc` reckons in: a constant of Linux towards programs.
const TICKS: f64 = 100.0;

/// Raises the number of files that this process may open as far as it may, and gives what it is now.
pub fn raise_file_limit() -> usize {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum.or(files.current);
    let _ = setrlimit(Resource::Nofile, files);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::from(u32::MAX));
    usize::try_from(files).unwrap_or(usize::MAX)
}

/// This process, without the browser and the embedded database, which are processes of their own.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Seconds of processor time since its start.
    pub cpu_seconds: f64,
    /// Bytes of memory that it has.
    pub resident_bytes: f64,
    /// Files and connections that are open.
    pub open_files: f64,
    /// How many may be.
    pub most_files: f64,
    /// When it started, in seconds since 1970.
    pub started_at_seconds: f64,
}

impl Process {
    /// Asks `/proc`; none where there is no such thing.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    pub fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name in parentheses may hold spaces. Fields count from 3 behind it.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse::<f64>().ok()
        };
        let booted = std::fs::read_to_string("/proc/stat").ok()?;
        let booted: f64 = booted.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        let most = getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |most| most as f64);
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / TICKS,
            resident_bytes: kilobytes("VmRSS:")? * 1024.0,
            open_files: std::fs::read_dir("/proc/self/fd").ok()?.count() as f64,
            most_files: most,
            started_at_seconds: booted + field(22)? / TICKS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_files_and_a_start_in_the_past() {
        let process = Process::read().unwrap();
        assert!(
            process.resident_bytes > 1_000_000.0 && process.open_files > 2.0 && process.most_files >= process.open_files,
            "{process:?}"
        );
        let started = process.started_at_seconds;
        let now = domain::Clock::system().now().as_duration().as_secs_f64();
        assert!(started > 1_600_000_000.0 && started < now + 2.0, "{started} and {now}");
    }
}
