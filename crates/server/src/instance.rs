//! What this process is called among the replicas: in rows, logs, metrics and traces.

use std::sync::LazyLock;

/// What this process is called, from its start to its end.
pub fn id() -> &'static str {
    static ID: LazyLock<String> = LazyLock::new(new_id);
    &ID
}

/// What this machine is called, in plain letters.
pub fn machine() -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    machine.chars().filter(plain).take(100).collect()
}

/// The machine, for people, and something that no other process has had. The number of a process would not do: in containers each
/// is the first, and a name may come back with the next start.
fn new_id() -> String {
    let machine = machine();
    let start = getrandom::u32().unwrap_or_else(|_| std::process::id());
    format!("{machine}:{start:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_starts_on_one_machine_have_two_names() {
        let (one, two) = (new_id(), new_id());
        assert_ne!(one, two);
        assert_eq!(one.rsplit_once(':').map(|(machine, _)| machine), two.rsplit_once(':').map(|(machine, _)| machine));
        assert!(one.len() <= 128);
    }
}
