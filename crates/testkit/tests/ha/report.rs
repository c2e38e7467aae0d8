//! What each scenario found: printed, and written into the report when that is asked for.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The chapters of the report.
const PROCESSES: &str = "## Server processes behind HAProxy";
const COMPOSE: &str = "## The compose stack";
const HEAD: &str = "| | scenario | found |\n|---|---|---|\n";

/// How much is asked: as much as a report tells of, or less, for each change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Some minutes in all.
    Short,
    /// As the report says.
    Full,
}

impl Width {
    /// Full where `HA_FULL` is set.
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
    pub fn asked() -> Self {
        if std::env::var_os("HA_FULL").is_some() { Self::Full } else { Self::Short }
    }

    pub fn requests(self) -> usize {
        if self == Self::Full { 5_000 } else { 1_500 }
    }
}

/// One row at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// Prints the figures of a scenario, and puts them into the file that `HA_REPORT` names.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
pub fn found(number: &str, scenario: &str, figures: &str) {
    println!("HA {number}: {scenario}: {figures}");
    let Some(file) = std::env::var_os("HA_REPORT") else { return };
    let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let chapter = if std::env::var_os("HA_PROJECT").is_some() { COMPOSE } else { PROCESSES };
    let before = fs::read_to_string(&file).unwrap_or_else(|_| format!("{PROCESSES}\n\n{HEAD}\n{COMPOSE}\n\n{HEAD}"));
    let written = in_chapter(&before, chapter, |text| with_row(text, number, scenario, figures));
    fs::write(&file, written).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// The report with one chapter changed.
fn in_chapter(report: &str, chapter: &str, change: impl FnOnce(&str) -> String) -> String {
    let begin = report.find(chapter).unwrap_or_else(|| panic!("the report has no chapter {chapter}"));
    let end = report[begin + 3..].find("\n## ").map_or(report.len(), |next| begin + 3 + next + 1);
    format!("{}{}{}", &report[..begin], change(&report[begin..end]), &report[end..])
}

/// The report with this row in the place of the one of its number, in the order of numbers.
fn with_row(report: &str, number: &str, scenario: &str, figures: &str) -> String {
    let start = |number: &str| format!("| {number} |");
    let order = |line: &str| {
        let cell = line.trim_start_matches("| ").split(' ').next().unwrap_or_default();
        let digits: String = cell.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok().map(|digits| (digits, cell.to_owned()))
    };
    let row = format!("{} {scenario} | {figures} |", start(number));
    let is_row = |line: &&str| line.starts_with("| ") && order(line).is_some();
    let mut rows: Vec<String> = report.lines().filter(is_row).filter(|line| !line.starts_with(&start(number))).map(str::to_owned).collect();
    rows.push(row);
    rows.sort_by_key(|line| order(line));
    let (mut text, mut rows) = (String::new(), Some(rows));
    for line in report.lines() {
        if is_row(&line) {
            continue;
        }
        text.push_str(line);
        text.push('\n');
        if line.starts_with("|---") {
            for row in rows.take().unwrap_or_default() {
                text.push_str(&row);
                text.push('\n');
            }
        }
    }
    text
}

#[test]
fn a_row_takes_the_place_of_the_one_before_it_in_its_chapter() {
    let report = format!(
        "# T\n\n{PROCESSES}\n\n{HEAD}| 1 | one | 1 |\n| 4a | kill | 2 |\n| 12 | db | 3 |\n\n{COMPOSE}\n\n{HEAD}| 4a | kill | 7 |\n"
    );
    let expected = report.replace("kill | 2", "kill | 5");
    let change = |text: &str| with_row(text, "4a", "kill", "5");
    assert_eq!(in_chapter(&report, PROCESSES, change), expected);
    assert_eq!(in_chapter(&report.replace("| 4a | kill | 2 |\n", ""), PROCESSES, change), expected);
    assert_eq!(in_chapter(&report, COMPOSE, change), report.replace("kill | 7", "kill | 5"));
}
