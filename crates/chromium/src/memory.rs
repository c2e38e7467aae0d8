//! Resident memory of a process, from `/proc`.

/// Resident bytes of a process, or nothing when it is gone or not ours to see.
pub(crate) fn resident_bytes(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_is_readable_and_that_of_nobody_is_not() {
        let own = resident_bytes(std::process::id().cast_signed()).unwrap();
        assert!(own > 512 * 1024, "{own}");
        assert_eq!(resident_bytes(i32::MAX), None);
    }
}
