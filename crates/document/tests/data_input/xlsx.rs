//! XLSX, as a spreadsheet writes it.

use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};
use serde_json::{Value, json};

use crate::{Converted, converted, envelope, wrong};

fn read(bytes: &[u8], options: Value) -> Converted {
    converted(envelope("xlsx", bytes, options)).unwrap()
}

/// An invoice as people keep one: a title above, a table with all kinds of cells, a note beside, and a second sheet.
fn workbook() -> Vec<u8> {
    let mut workbook = Workbook::new();
    let day = Format::new().set_num_format("dd.mm.yyyy");
    let moment = Format::new().set_num_format("yyyy-mm-dd hh:mm");
    let hours = Format::new().set_num_format("[h]:mm");
    let money = Format::new().set_num_format("#,##0.00 \"EUR\"");
    let sheet = workbook.add_worksheet().set_name("Lines").unwrap();
    sheet.write(0, 0, "Invoice 7").unwrap();
    for (column, name) in (0_u16..).zip(["Item", " Price ", "Sum", "Day", "At", "Spent", "Paid", "Code"]) {
        sheet.write(2, column, name).unwrap();
    }
    let date = |text: &str| ExcelDateTime::parse_from_str(text).unwrap();
    for (row, item, price) in [(3, "Bolt", 19.99), (5, "Nut", 0.1)] {
        sheet.write(row, 0, item).unwrap();
        sheet.write_with_format(row, 1, price, &money).unwrap();
        sheet.write_formula(row, 2, Formula::new("=B4*3").set_result((price * 3.0).to_string())).unwrap();
        sheet.write_with_format(row, 3, date("2026-11-21"), &day).unwrap();
        sheet.write_with_format(row, 4, date("2026-11-21T09:30:00"), &moment).unwrap();
        sheet.write_with_format(row, 5, 26.5 / 24.0, &hours).unwrap();
        sheet.write(row, 6, true).unwrap();
        sheet.write(row, 7, "007").unwrap();
    }
    sheet.write(3, 10, "a note").unwrap();
    let other = workbook.add_worksheet().set_name("Totals").unwrap();
    other.write(0, 0, "Total").unwrap();
    other.write(1, 0, 59.97).unwrap();
    workbook.save_to_buffer().unwrap()
}

#[test]
fn cells_are_what_the_spreadsheet_shows_without_dust_and_dates_are_iso() {
    let converted = read(&workbook(), json!({"headerRow": 3}));
    let expected = json!({"rows": [
        {"Item": "Bolt", "Price": 19.99, "Sum": 59.97, "Day": "2026-11-21", "At": "2026-11-21T09:30:00", "Spent": "PT26H30M", "Paid": true, "Code": "007"},
        {"Item": "Nut", "Price": 0.1, "Sum": 0.3, "Day": "2026-11-21", "At": "2026-11-21T09:30:00", "Spent": "PT26H30M", "Paid": true, "Code": "007"},
    ]});
    assert_eq!(converted.data.to_string(), expected.to_string());
    assert_eq!(converted.rows, 2);
    assert_eq!(converted.warnings, ["sheet \"Lines\", cell K4: its column has no name; what stands in it is left out"]);
}

#[test]
fn sheet_range_and_header_say_what_is_read() {
    let bytes = workbook();
    for sheet in [json!(2), json!("Totals")] {
        assert_eq!(read(&bytes, json!({"sheet": sheet, "arrayKey": "totals"})).data, json!({"totals": [{"Total": 59.97}]}));
    }
    let part = read(&bytes, json!({"range": "A3:B4"}));
    assert_eq!((part.data, part.warnings), (json!({"rows": [{"Item": "Bolt", "Price": 19.99}]}), vec![]));
    let bare = read(&bytes, json!({"range": "G4:H9", "header": false}));
    assert_eq!(bare.data["rows"][1], json!({"column1": true, "column2": "007"}));
    let message = |options| wrong(converted(envelope("xlsx", &bytes, options)));
    assert_eq!(
        message(json!({"sheet": "Lnes"})),
        r#"has no sheet "Lnes"; did you mean "Lines"? It has 2 sheets with cells: "Lines", "Totals""#
    );
    assert_eq!(message(json!({"sheet": 3})), r#"has no sheet number 3. It has 2 sheets with cells: "Lines", "Totals""#);
    assert_eq!(message(json!({"headerRow": 2})), "sheet \"Lines\", row 2 is empty, and was to name the columns");
}

#[test]
fn an_error_in_a_cell_is_null_and_told_and_equal_names_are_refused() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 0, "a").unwrap();
    sheet.write(0, 1, "b").unwrap();
    sheet.write_formula(1, 1, Formula::new("=1/0").set_result("#DIV/0!")).unwrap();
    sheet.write(1, 0, 1).unwrap();
    let converted = read(&workbook.save_to_buffer().unwrap(), json!({}));
    assert_eq!(converted.data["rows"][0]["a"], json!(1));
    assert_eq!(converted.data["rows"][0]["b"], Value::Null, "{converted:?}");
    assert_eq!(converted.warnings, ["sheet \"Sheet1\", cell B2 holds #DIV/0!; it is null"]);

    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 1, "a").unwrap();
    sheet.write(0, 3, "a").unwrap();
    let message = wrong(crate::converted(envelope("xlsx", &workbook.save_to_buffer().unwrap(), json!({}))));
    assert_eq!(message, "sheet \"Sheet1\", row 1: the columns 2 and 4 have the same name \"a\"");
}

#[test]
fn an_empty_sheet_has_no_rows() {
    let mut workbook = Workbook::new();
    workbook.add_worksheet();
    let converted = read(&workbook.save_to_buffer().unwrap(), json!({}));
    assert_eq!((converted.data, converted.warnings), (json!({"rows": []}), vec!["the sheet \"Sheet1\" has no rows".to_owned()]));
}

#[test]
fn what_is_no_workbook_is_refused_by_what_it_is() {
    let message = |bytes: &[u8]| wrong(converted(envelope("xlsx", bytes, json!({}))));
    assert_eq!(message(b"a,b\n1,2\n"), "is no .xlsx workbook");
    assert_eq!(message(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), "is an .xls workbook, or one with a password; save it as .xlsx without one");
    assert!(message(b"PK\x03\x04").starts_with("is no .xlsx workbook that can be read"));
}
