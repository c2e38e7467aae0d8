//! Whether the installed fonts can draw the scripts that documents are written in.

use std::path::Path;

use chromium::fonts::Coverage;

use super::Finding;

const WHAT: &str = "fonts";

/// A script, letters of it, and the Debian package that draws them.
const SCRIPTS: &[(&str, &str, &str)] = &[
    ("Latin, Greek and Cyrillic", "AÄßŁΩЖ€", "fonts-liberation"),
    ("Chinese, Japanese and Korean", "中文かな한글", "fonts-noto-cjk"),
    ("Arabic and Hebrew", "عربيעברית", "fonts-noto-core"),
    ("Devanagari and Thai", "हिन्दीไทย", "fonts-noto-core"),
    ("emoji", "😀🎉", "fonts-noto-color-emoji"),
];

pub async fn check() -> Finding {
    let coverage = match Coverage::of_installed_fonts(Path::new("fc-list")).await {
        Ok(coverage) => coverage,
        Err(error) => return Finding::warn(WHAT, error.to_string(), "apt-get install fontconfig fonts-liberation fonts-noto-core"),
    };
    let lacking: Vec<_> = SCRIPTS.iter().filter(|(_, letters, _)| letters.chars().any(|letter| !coverage.draws(letter))).collect();
    let names = |of: &[&(&str, &str, &str)]| of.iter().map(|(script, ..)| *script).collect::<Vec<_>>().join("; ");
    if lacking.is_empty() {
        return Finding::ok(WHAT, format!("draw {}", names(&SCRIPTS.iter().collect::<Vec<_>>())));
    }
    let mut packages: Vec<&str> = lacking.iter().map(|(.., package)| *package).collect();
    packages.dedup();
    Finding::warn(WHAT, format!("these print as empty boxes: {}", names(&lacking)), format!("apt-get install {}", packages.join(" ")))
}
