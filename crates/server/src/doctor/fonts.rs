//! Whether the installed fonts can draw the scripts that documents are written in.

use std::path::Path;

use chromium::fonts::{Coverage, FontsError};

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
    check_list_of(Path::new("fc-list")).await
}

async fn check_list_of(fc_list: &Path) -> Finding {
    judge(Coverage::of_installed_fonts(fc_list).await)
}

/// What the fonts that documents are printed with draw, and what they do not.
pub fn judge(coverage: Result<Coverage, FontsError>) -> Finding {
    let coverage = match coverage {
        Ok(coverage) if !coverage.draws('A') => return nothing_readable("no installed font draws Latin letters"),
        Ok(coverage) => coverage,
        Err(error @ FontsError::NoWorker) => return Finding::warn(WHAT, error.to_string(), "start a render worker"),
        Err(FontsError::None) => return nothing_readable("no font is installed"),
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

fn nothing_readable(found: &str) -> Finding {
    Finding::fail(WHAT, format!("{found}: every document prints without text"), "apt-get install fonts-liberation fonts-noto-core")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[tokio::test]
    async fn without_any_font_the_report_says_that_documents_come_out_blank() {
        // A program that lists nothing, as `fc-list` does on a machine without fonts.
        let finding = check_list_of(Path::new("true")).await;
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.found.contains("every document prints without text"), "{}", finding.found);
        assert!(finding.remedy.contains("fonts-liberation"), "{}", finding.remedy);
    }

    #[tokio::test]
    async fn where_the_fonts_cannot_be_listed_the_report_only_warns() {
        let finding = check_list_of(Path::new("/nowhere/fc-list")).await;
        assert_eq!(finding.verdict, Verdict::Warn, "{}", finding.found);
    }
}
