//! CSV.

use document::data_input::{DataInputLimits, Patience};
use domain::ErrorCode;
use serde_json::{Value, json};

use crate::{DataInput, converted, envelope, wrong};

fn read(content: &str, options: Value) -> (Value, Vec<String>) {
    let mut envelope = json!({"format": "csv", "content": content});
    envelope.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let converted = converted(envelope).unwrap();
    let rows = converted.data.as_object().unwrap().values().next().unwrap().clone();
    assert_eq!(rows.as_array().unwrap().len(), converted.rows);
    (rows, converted.warnings)
}

#[test]
fn a_table_becomes_rows_of_text_in_the_order_of_its_columns() {
    let content = "\u{feff}Item ,Price,Note\r\n\"Bolt, \"\"M4\"\"\",007,\"two\nlines\"\r\n\r\nÄgypten,1.50,\r\n";
    let converted = converted(json!({"format": "csv", "content": content})).unwrap();
    let expected = json!({"rows": [
        {"Item": "Bolt, \"M4\"", "Price": "007", "Note": "two\nlines"},
        {"Item": "Ägypten", "Price": "1.50", "Note": ""},
    ]});
    assert_eq!(converted.data.to_string(), expected.to_string());
    assert_eq!((converted.rows, converted.warnings), (2, Vec::<String>::new()));
}

#[test]
fn numbers_are_inferred_only_where_nothing_is_lost() {
    let (rows, _) =
        read("sku,price,paid,note\n007,1.50,true,\n4111111111111111,-3,FALSE,1e5", json!({"types": "infer", "arrayKey": "lines"}));
    let expected = json!([
        {"sku": "007", "price": 1.5, "paid": true, "note": null},
        {"sku": "4111111111111111", "price": -3, "paid": false, "note": "1e5"},
    ]);
    assert_eq!(rows, expected);
}

#[test]
fn the_delimiter_is_found_or_said() {
    let expected = json!([{"a": "1,5", "b": "x"}, {"a": "2,5", "b": "y"}]);
    assert_eq!(read("a;b\n1,5;x\n2,5;y\n", json!({})).0, expected);
    assert_eq!(read("a\tb\n1,5\tx\n2,5\ty\n", json!({"delimiter": "auto"})).0, expected);
    assert_eq!(read("a|b\n1,5|x\n2,5|y\n", json!({})).0, expected);
    assert_eq!(read("sep=;\r\na;b\r\n1,5;x\r\n2,5;y\r\n", json!({})).0, expected);
    assert_eq!(read("a;b,c\n1;2,3\n", json!({"delimiter": ";"})).0, json!([{"a": "1", "b,c": "2,3"}]));
    assert_eq!(read("name\nAda\nGrace\n", json!({})).0, json!([{"name": "Ada"}, {"name": "Grace"}]));
    assert_eq!(read("1,2\n3,4\n", json!({"header": false})).0, json!([{"column1": "1", "column2": "2"}, {"column1": "3", "column2": "4"}]));
}

#[test]
fn what_may_be_meant_otherwise_is_told_with_its_line() {
    let (rows, warnings) = read("a,b,\n1\n\n2,3,4\n5,6,7,,\n", json!({}));
    assert_eq!(rows[0], json!({"a": "1", "b": "", "column3": ""}));
    let said = ["line 1: column 3 has no name and is called column3", "line 2 has 1 fields instead of 3; the others are empty"];
    assert_eq!(warnings[..2], said);
    assert_eq!(warnings[2], "line 5 ends with empty fields that no column has; they are left out");
    let many: String = (0..50).map(|_| "1\n").collect();
    let (_, warnings) = read(&format!("a,b\n{many}"), json!({}));
    assert_eq!((warnings.len(), warnings[20].as_str()), (21, "and 30 more"));
    assert_eq!(read("", json!({})), (json!([]), vec!["the file has no rows".to_owned()]));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let csv = |content: &str| wrong(converted(json!({"format": "csv", "content": content})));
    assert_eq!(
        csv("a,b\n1,2\n\n\"x\ny\",2\n1,2,3\n"),
        "line 6 has 3 fields, and the first has 2; a field with a delimiter in it must stand in quotes"
    );
    assert_eq!(csv("a,b,a\n"), "line 1: the columns 1 and 3 have the same name \"a\"");
    assert_eq!(csv("a,b\n1,\"2\n3,4\n"), "has a quote at line 2 that is never closed; in quotes, a quote is written twice");
    assert_eq!(csv("a\n1\n\0\n"), "is no text: line 3 has a zero byte");
    let bytes = |bytes: &[u8]| wrong(converted(envelope("csv", bytes, json!({}))));
    assert_eq!(bytes(b"a,b\n1,M\xFCller\n"), "is no UTF-8: line 2 has the byte 0xFC; save it as UTF-8");
    assert_eq!(bytes(b"\xFF\xFEa\0,\0b\0"), "is UTF-16; save it as UTF-8");
}

#[test]
fn nobody_waits_longer_than_they_want() {
    let input = DataInput::from_json(json!({"format": "csv", "content": "a,b\n".repeat(10_000)}), "").unwrap();
    let limits = DataInputLimits::default();
    let gone = std::sync::atomic::AtomicBool::new(true);
    let outcome = input.convert(&limits, Patience { cancelled: &gone, deadline: None });
    assert_eq!(outcome.unwrap_err().code(), ErrorCode::RenderTimeout);
    let outcome = input.convert(&limits, Patience { cancelled: &crate::PATIENT, deadline: Some(std::time::Instant::now()) });
    assert_eq!(outcome.unwrap_err().code(), ErrorCode::RenderTimeout);
}
