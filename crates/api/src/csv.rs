//! Lines of CSV (RFC 4180) that a spreadsheet opens without running anything in them.

use domain::formulas;
use serde_json::Value;

/// Adds the line of column names: words of ours, which need no quotes.
pub(crate) fn heads<'a>(text: &mut String, names: impl IntoIterator<Item = &'a str>) {
    let names: Vec<&str> = names.into_iter().collect();
    text.push_str(&names.join(","));
    text.push_str("\r\n");
}

/// Adds one line with its end. Text is always quoted; numbers, `true` and `false` are not; null is an empty cell, and what
/// is nested is its JSON, as text.
pub(crate) fn line<'a>(text: &mut String, cells: impl IntoIterator<Item = &'a Value>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match cell {
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => text.push_str(&cell.to_string()),
            Value::String(cell) => quote(text, cell),
            Value::Array(_) | Value::Object(_) => quote(text, &cell.to_string()),
        }
    }
    text.push_str("\r\n");
}

fn quote(text: &mut String, cell: &str) {
    text.push('"');
    let cell = cell.replace('"', "\"\"");
    text.push_str(&if formulas::is_formula(&cell) { formulas::as_text(&cell) } else { cell });
    text.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(cells: &Value) -> String {
        let mut text = String::new();
        line(&mut text, cells.as_array().unwrap());
        text
    }

    #[test]
    fn text_is_quoted_and_what_is_no_text_is_not() {
        let cells = json!(["plain", "a,b", "say \"hi\"", "two\nlines", "", "1", 12.5, -3, true, null, {"a": "b"}]);
        let expected = "\"plain\",\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\"\",\"1\",12.5,-3,true,,\"{\"\"a\"\":\"\"b\"\"}\"\r\n";
        assert_eq!(written(&cells), expected);
        let mut text = String::new();
        heads(&mut text, ["id", "at"]);
        assert_eq!(text, "id,at\r\n");
    }

    #[test]
    fn what_a_spreadsheet_would_take_for_a_formula_begins_with_an_apostrophe() {
        for begin in
            ["=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", " =", "\u{A0}=", "\t＝", "\u{FEFF}=", "\u{3000}＠", "\u{0}="]
        {
            let cell = format!("{begin}HYPERLINK(\"http://evil.example\")");
            let expected = format!("\"'{}\"\r\n", cell.replace('"', "\"\""));
            assert_eq!(written(&json!([cell])), expected, "{begin:?}");
        }
        for harmless in ["-12.5", "+1e5", "a=b", "1-2", " plain", "'", "é"] {
            assert_eq!(written(&json!([harmless])), format!("\"{harmless}\"\r\n"));
        }
    }
}
