//! What the sheets and the files of tables are called: each by its id, no two the same.

use std::collections::HashSet;

use super::Table;

/// Characters of a name of a file without its ending.
const FILE_CHARACTERS: usize = 80;
/// Characters of a sheet's name, as spreadsheets count them: in UTF-16.
const SHEET_UNITS: usize = 31;
/// Spreadsheets keep this name for themselves.
const RESERVED_SHEET: &str = "history";

/// A name for each table's sheet.
pub(super) fn of_sheets(tables: &[Table]) -> Vec<String> {
    let mut taken = HashSet::from([RESERVED_SHEET.to_owned()]);
    tables.iter().map(|table| free(&mut taken, &plain(&table.id, "[]:*?/\\'"), SHEET_UNITS)).collect()
}

/// A name for each table's file, with its ending.
pub(super) fn of_files(tables: &[Table], ending: &str) -> Vec<String> {
    let mut taken = HashSet::new();
    let name = |table: &Table| plain(&table.id, "/\\:*?\"<>|'").trim_matches('.').to_owned();
    tables.iter().map(|table| format!("{}.{ending}", free(&mut taken, &name(table), FILE_CHARACTERS))).collect()
}

fn plain(id: &str, reserved: &str) -> String {
    // Neither line ends, nor what turns the direction of a name around, nor what no XML may hold.
    let is_unfit = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
    };
    id.chars().map(|character| if is_unfit(character) || reserved.contains(character) { '-' } else { character }).collect()
}

/// The name, cut to so many UTF-16 units, or the same with the first number that makes it another one.
fn free(taken: &mut HashSet<String>, wanted: &str, units: usize) -> String {
    let wanted = if wanted.trim().is_empty() { "table" } else { wanted.trim() };
    let mut number = 1;
    loop {
        let ending = if number == 1 { String::new() } else { format!("-{number}") };
        let name = format!("{}{ending}", cut(wanted, units - ending.len()).trim());
        if taken.insert(name.to_lowercase()) {
            return name;
        }
        number += 1;
    }
}

fn cut(text: &str, units: usize) -> &str {
    let mut left = units;
    for (at, character) in text.char_indices() {
        match left.checked_sub(character.len_utf16()) {
            Some(rest) => left = rest,
            None => return &text[..at],
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(ids: &[&str]) -> Vec<Table> {
        ids.iter().map(|id| Table { id: (*id).to_owned(), rows: Vec::new() }).collect()
    }

    #[test]
    fn sheets_have_names_that_spreadsheets_take_and_no_two_the_same() {
        let long = "a".repeat(40);
        let names = of_sheets(&tables(&[
            "lines",
            "Lines",
            "lines",
            "a/b[1]:*?'x",
            &long,
            &long,
            "History",
            " ",
            "💶💶💶💶💶💶💶💶💶💶💶💶💶💶💶💶",
        ]));
        let cut = "a".repeat(31);
        let numbered = format!("{}-2", "a".repeat(29));
        assert_eq!(
            names,
            ["lines", "Lines-2", "lines-3", "a-b-1-----x", &cut, &numbered, "History-2", "table", "💶💶💶💶💶💶💶💶💶💶💶💶💶💶💶"]
        );
    }

    #[test]
    fn files_lead_nowhere_and_no_two_have_one_name() {
        let names = of_files(&tables(&["lines", "LINES", "../../etc/passwd", "..", "a\u{0}b"]), "csv");
        assert_eq!(names, ["lines.csv", "LINES-2.csv", "-..-etc-passwd.csv", "table.csv", "a-b.csv"]);
    }
}
