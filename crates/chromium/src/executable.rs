//! Finding the browser binary.

use std::path::{Path, PathBuf};

use crate::ChromiumError;

/// The Debian package with the binary that prints 2.75 to 4.8 times cheaper than full Chromium.
const PACKAGE: &str = "chromium-headless-shell";

/// The setting behind a configured path, for the message that it is wrong.
const SETTING: &str = "CHROMIUM_PATH";

/// Where distributions put headless-shell. The real binary first: Debian's `/usr/bin` entries are shell wrappers.
const HEADLESS_SHELL: [&str; 6] = [
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/bin/chromium-headless-shell",
    // Where `scripts/fetch-chromium` puts Debian's on systems that have no package of it.
    "/opt/pulp-engine/chromium/chromium-headless-shell",
    "/usr/lib64/chromium-browser/headless_shell",
    "/usr/bin/chrome-headless-shell",
    "/headless-shell/headless-shell",
];

/// Where distributions put full Chromium.
const FULL: [&str; 6] = [
    "/usr/lib/chromium/chromium",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome-stable",
    "/usr/bin/google-chrome",
    "/opt/google/chrome/chrome",
];

/// Which of the two programs a binary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `chromium-headless-shell`: prints inside the renderer.
    HeadlessShell,
    /// Full Chromium in its headless mode: works, at several times the CPU.
    Full,
}

/// A browser binary that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path.
    pub path: PathBuf,
    /// What it is, by its name.
    pub kind: Kind,
}

/// Finds the browser: the configured path, else headless-shell in its usual places, else full Chromium.
///
/// A configured path that is no file is an error, not a reason to look elsewhere.
pub fn find_executable(configured: Option<&Path>) -> Result<Found, ChromiumError> {
    let candidates: Vec<PathBuf> = match configured {
        Some(path) => vec![path.to_path_buf()],
        None => HEADLESS_SHELL.iter().chain(&FULL).map(PathBuf::from).collect(),
    };
    candidates
        .iter()
        .find(|path| path.is_file())
        .map(|path| Found { path: path.clone(), kind: kind_of(path) })
        .ok_or(ChromiumError::NotFound { setting: configured.map(|_| SETTING), looked_at: candidates, package: PACKAGE })
}

/// What a binary is, by its name.
pub(crate) fn kind_of(path: &Path) -> Kind {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.contains("headless-shell") || name.contains("headless_shell") { Kind::HeadlessShell } else { Kind::Full }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_path_that_does_not_exist_is_a_wrong_setting_and_not_a_missing_package() {
        let error = find_executable(Some(Path::new("/nowhere/chromium"))).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("correct CHROMIUM_PATH") && text.contains("/nowhere/chromium"), "{text}");
        assert!(!text.contains("install the"), "{text}");
    }

    #[test]
    fn the_two_programs_are_told_apart_by_name() {
        assert_eq!(kind_of(Path::new("/usr/lib/chromium/chromium-headless-shell")), Kind::HeadlessShell);
        assert_eq!(kind_of(Path::new("/usr/bin/chromium")), Kind::Full);
    }
}
