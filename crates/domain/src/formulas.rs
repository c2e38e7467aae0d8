//! Texts that a spreadsheet would take for a formula when it opens them in a file of comma-separated values.

/// What makes a formula of the text that begins with it. Spreadsheets set to an East Asian language also take the
/// full-width forms.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{FF1D}', '\u{FF0B}', '\u{FF0D}', '\u{FF20}'];

/// Whether a spreadsheet may run the text. Plain numbers such as `-12.5` are harmless.
pub fn is_formula(cell: &str) -> bool {
    // Some programs cut blanks and line ends off before they look at what a cell begins with.
    let blank = |character: char| character.is_whitespace() || character.is_control() || character == '\u{FEFF}';
    cell.starts_with(['\t', '\r', '\n']) || (cell.trim_start_matches(blank).starts_with(FORMULA) && cell.parse::<f64>().is_err())
}

/// The text with an apostrophe in front, which makes it text.
pub fn as_text(cell: &str) -> String {
    format!("'{cell}")
}
