//! The file `docs/benchmarks.md`: generated parts between markers, everything else written by hand and kept.

use std::fs;
use std::path::Path;

use crate::error::{Result, While as _};

/// What a new file starts with.
const BLANK: &str = include_str!("benchmarks_blank.md");

/// Puts `text` between the markers of the part `name`, adding the part at the end of the file when it is not there.
pub fn write(file: &Path, name: &str, text: &str) -> Result<()> {
    let before =
        if file.exists() { fs::read_to_string(file).while_doing(|| format!("reading {}", file.display()))? } else { BLANK.to_owned() };
    fs::write(file, replaced(&before, name, text)).while_doing(|| format!("writing {}", file.display()))
}

fn replaced(before: &str, name: &str, text: &str) -> String {
    let (opening, closing) = (format!("<!-- generated: {name} -->"), format!("<!-- end of generated: {name} -->"));
    let part = format!("{opening}\n{}\n{closing}", text.trim());
    let start = before.find(&opening);
    let end = before.find(&closing).map(|at| at + closing.len());
    match (start, end) {
        (Some(start), Some(end)) if start < end => format!("{}{part}{}", &before[..start], &before[end..]),
        _ => format!("{}\n\n{part}\n", before.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_survives_and_a_part_is_replaced_rather_than_repeated() {
        let once = replaced(BLANK, "soak", "first").replace("not measured yet", "6 min 40 s");
        let twice = replaced(&once, "soak", "second");
        assert!(twice.contains("6 min 40 s") && twice.contains("second") && !twice.contains("first\n<!--"), "{twice}");
        assert_eq!(twice.matches("<!-- generated: soak -->").count(), 1);
        assert!(BLANK.contains("<!-- generated: comparison -->"));
    }
}
