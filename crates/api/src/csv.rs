//! Lines of CSV (RFC 4180) that a spreadsheet opens without running anything in them.

use serde_json::Value;

/// Adds one line with its end.
pub(crate) fn line(text: &mut String, cells: impl IntoIterator<Item = impl AsRef<str>>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push(text, cell.as_ref());
    }
    text.push_str("\r\n");
}

/// A value as a cell: text as it is, nothing for null, JSON for the rest.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn push(text: &mut String, cell: &str) {
    // What begins like this is a formula to a spreadsheet; an apostrophe in front makes it text.
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    if !formula && !cell.contains([',', '"', '\n', '\r']) {
        text.push_str(cell);
        return;
    }
    text.push('"');
    if formula {
        text.push('\'');
    }
    text.push_str(&cell.replace('"', "\"\""));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_needed_and_formulas_are_text() {
        let mut text = String::new();
        line(&mut text, ["plain", "a,b", "say \"hi\"", "=HYPERLINK(1)", "-12.5", "-x", ""]);
        assert_eq!(text, "plain,\"a,b\",\"say \"\"hi\"\"\",\"'=HYPERLINK(1)\",-12.5,\"'-x\",\r\n");
    }
}
