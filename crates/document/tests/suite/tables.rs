//! Tables of documents as comma-separated values and as workbooks, read back by other programs' readers.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use document::tables::{
    ByteOrderMark, CellTyping, SheetLayout, Table, TableChoice, WorkbookFacts, XlsxOptions, choose, csv_files, workbook,
};
use document::{DocumentError, Limits, write_tables};
use domain::options::{Metadata, RenderOptions};
use serde_json::{Value, json};

use crate::{NOW, compile, input, tree, written};

fn tables_with(definition: &Value, data: &Value, options: &Value) -> Result<Vec<Table>, DocumentError> {
    let options = RenderOptions::from_json(options, "/options").unwrap();
    let (page, tables) = write_tables(&compile(definition), &input(data, &options), &Limits::default())?;
    if options.locale.is_none() {
        assert_eq!(page.html, written(definition, data).html, "the page is the same as without its tables");
    }
    Ok(tables)
}

fn tables(definition: &Value, data: &Value) -> Vec<Table> {
    tables_with(definition, data, &json!({})).unwrap_or_else(|error| panic!("{error}"))
}

fn csv(tables: &[Table]) -> Vec<String> {
    let files = csv_files(tables, ByteOrderMark::Absent, &Limits::default()).unwrap();
    files.into_iter().map(|file| String::from_utf8(file.bytes).unwrap()).collect()
}

fn workbook_of(tables: &[Table], options: XlsxOptions) -> Vec<u8> {
    let metadata = Metadata { title: Some("Statement".into()), ..Metadata::default() };
    let facts = WorkbookFacts { metadata: &metadata, now: NOW.parse().unwrap(), cancelled: None };
    workbook(tables, options, &facts).unwrap()
}

/// Every sheet with its cells.
fn sheets(bytes: Vec<u8>) -> Vec<(String, Vec<Vec<Data>>)> {
    let mut book = Xlsx::new(Cursor::new(bytes)).unwrap();
    let names = book.sheet_names();
    let cells = |book: &mut Xlsx<_>, name: &str| book.worksheet_range(name).unwrap().rows().map(<[Data]>::to_vec).collect();
    names.into_iter().map(|name| (name.clone(), cells(&mut book, &name))).collect()
}

fn lines() -> Value {
    json!({"lines": [
        {"name": "Paper", "kind": "Goods", "amount": -1234.5, "share": 0.081, "since": "2026-12-01", "code": "007", "paid": true},
        {"name": "=cmd|'/c calc'!A0", "kind": "Goods", "amount": "0.1", "share": 0.5, "since": "2026-12-01T23:30:00Z", "code": "12345678901234567890", "paid": false},
        {"name": "Advice", "kind": "Services", "since": "2026-01-31"},
    ]})
}

fn statement() -> Value {
    tree(json!([{"id": "lines", "type": "table", "items": "lines", "groupBy": "kind", "totalLabel": "All", "columns": [
        {"header": "Name", "field": "name"},
        {"header": "Amount", "field": "amount", "format": "currency", "currency": "EUR", "total": "sum"},
        {"header": "Share", "field": "share", "format": "percent"},
        {"header": "Since", "field": "since", "format": "date", "pattern": "dd.MM.yyyy"},
        {"header": "Code", "value": "{{code}}"},
        {"header": "Paid", "value": "{{paid}}"},
        {"header": "No.", "value": "No. {{@index}}"},
    ]}]))
}

#[test]
fn a_file_of_a_table_has_the_rows_and_the_texts_of_the_page_with_groups_and_totals() {
    let found = tables_with(&statement(), &lines(), &json!({"locale": "de"})).unwrap();
    assert_eq!(
        csv(&found),
        ["Name,Amount,Share,Since,Code,Paid,No.\r\n\
          Goods,,,,,,\r\n\
          Paper,\"-1.234,50\u{a0}€\",\"8,1\u{a0}%\",01.12.2026,007,true,No. 0\r\n\
          '=cmd|'/c calc'!A0,\"0,10\u{a0}€\",50\u{a0}%,01.12.2026,12345678901234567890,false,No. 1\r\n\
          Goods,\"-1.234,40\u{a0}€\",,,,,\r\n\
          Services,,,,,,\r\n\
          Advice,,,31.01.2026,,,No. 2\r\n\
          Services,\"0,00\u{a0}€\",,,,,\r\n\
          All,\"-1.234,40\u{a0}€\",,,,,\r\n"]
    );
}

#[test]
fn a_workbook_has_numbers_as_numbers_dates_as_dates_and_everything_else_as_text() {
    let found = tables(&statement(), &lines());
    let book = sheets(workbook_of(&found, XlsxOptions::default()));
    let (name, rows) = &book[0];
    assert_eq!((name.as_str(), rows.len(), book.len()), ("lines", 9, 1));
    let text = |text: &str| Data::String(text.to_owned());
    assert_eq!(rows[0][..3], [text("Name"), text("Amount"), text("Share")]);
    assert_eq!(rows[2][..3], [text("Paper"), Data::Float(-1234.5), Data::Float(0.081)]);
    assert_eq!(rows[2][4..], [text("007"), Data::Bool(true), text("No. 0")]);
    // A date is the number of its day with a format of dates.
    let day = |cell: &Data| if let Data::DateTime(date) = cell { date.as_f64() } else { panic!("{cell:?} is no date") };
    assert!((day(&rows[2][3]) - 46_357.0).abs() < 1e-9 && (day(&rows[3][3]) - 46_357.0).abs() < 1e-9, "{:?}", rows[2]);
    assert_eq!((&rows[3][0], &rows[3][1], &rows[3][4]), (&text("=cmd|'/c calc'!A0"), &Data::Float(0.1), &text("12345678901234567890")));
    assert_eq!(rows[8][..2], [text("All"), Data::Float(-1234.4)]);
    let formulas = Xlsx::new(Cursor::new(workbook_of(&found, XlsxOptions::default()))).unwrap().worksheet_formula("lines").unwrap();
    assert!(formulas.is_empty(), "{formulas:?}");
}

#[test]
fn a_workbook_can_have_the_items_alone_and_texts_alone_and_is_the_same_each_time() {
    let found = tables(&statement(), &lines());
    let data = XlsxOptions { layout: SheetLayout::Data, ..XlsxOptions::default() };
    let rows = &sheets(workbook_of(&found, data))[0].1;
    let names: Vec<String> = rows.iter().map(|row| row[0].to_string()).collect();
    assert_eq!(names, ["Name", "Paper", "=cmd|'/c calc'!A0", "Advice"]);
    let texts = XlsxOptions { typing: CellTyping::Text, ..XlsxOptions::default() };
    let rows = &sheets(workbook_of(&found, texts))[0].1;
    assert!(rows.iter().flatten().all(|cell| matches!(cell, Data::String(_) | Data::Empty)), "{rows:?}");
    assert_eq!(workbook_of(&found, data), workbook_of(&found, data));
}

#[test]
fn tables_that_are_repeated_or_left_out_are_so_in_every_format() {
    let definition = tree(json!([
        {"id": "each", "type": "repeater", "items": "customers", "children": [
            {"id": "of", "type": "table", "items": "this.lines", "columns": [{"header": "{{name}}", "field": "no"}]},
        ]},
        {"id": "if", "type": "conditional", "condition": "yes", "children": [
            {"id": "shown", "type": "pivotTable", "items": "customers", "rowBy": "name", "columnBy": "year", "value": "sum", "corner": "Who"},
        ]},
        {"id": "unless", "type": "conditional", "condition": "no", "children": [
            {"id": "hidden", "type": "table", "items": "customers", "columns": [{"field": "name"}]},
        ]},
    ]));
    let data = json!({"yes": true, "no": false, "customers": [
        {"name": "Ada", "year": 2025, "sum": 1, "lines": [{"no": 1}]}, {"name": "Bob", "year": 2026, "sum": 2.5, "lines": []},
    ]});
    let found = tables(&definition, &data);
    let ids: Vec<_> = found.iter().map(|table| table.id.as_str()).collect();
    assert_eq!(ids, ["of", "of", "shown"]);
    assert_eq!(csv(&found)[2], "Who,2025,2026,Total\r\nAda,1,,1\r\nBob,,2.5,2.5\r\nTotal,1,2.5,3.5\r\n");
    let names: Vec<_> = csv_files(&found, ByteOrderMark::Present, &Limits::default()).unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["of.csv", "of-2.csv", "shown.csv"]);
    let book = sheets(workbook_of(&found, XlsxOptions::default()));
    assert_eq!(book.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["of", "of-2", "shown"]);
    assert_eq!(book[2].1[2], [Data::String("Bob".into()), Data::Empty, Data::Float(2.5), Data::Float(2.5)]);

    let said = |id, choice| {
        choose(found.clone(), id, choice).map(|tables| tables.len()).map_err(|error| (error.code().as_str(), error.to_string()))
    };
    assert_eq!(said(Some("shown"), TableChoice::One), Ok(1));
    assert_eq!(said(Some("of"), TableChoice::All), Ok(2));
    let (code, message) = said(None, TableChoice::One).unwrap_err();
    assert!(code == "ambiguous_table" && message.contains("has 3 tables; name one of \"of\", \"shown\""), "{message}");
    let (code, message) = said(Some("hidden"), TableChoice::All).unwrap_err();
    assert!(code == "validation_failed" && message == "there is no table \"hidden\"; the document has \"of\", \"shown\"", "{message}");
    assert_eq!(choose(Vec::new(), None, TableChoice::All).unwrap_err().code().as_str(), "no_rendered_tables");
}

#[test]
fn sums_that_are_carried_from_page_to_page_are_no_rows_of_a_file() {
    let definition = tree(json!([{"id": "t", "type": "table", "items": "lines", "rowsPerPage": 2, "columns": [
        {"header": "No.", "field": "no"}, {"header": "Sum", "field": "sum", "total": "sum"},
    ]}]));
    let rows: Vec<Value> = (1..=5).map(|no| json!({"no": no, "sum": no})).collect();
    assert_eq!(csv(&tables(&definition, &json!({ "lines": rows }))), ["No.,Sum\r\n1,1\r\n2,2\r\n3,3\r\n4,4\r\n5,5\r\nTotal,15\r\n"]);
}

#[test]
fn tables_of_html_templates_are_read_as_the_page_shows_them() {
    let definition = json!({"html": "<h1>x</h1><table id=\"prices\"><thead><tr><th>Item<th>Price</thead>{{#each rows}}<tr><td>{{name}}</td><td>{{number price}}</td></tr>{{/each}}</table>"});
    let data = json!({"rows": [{"name": "A & <B>", "price": 1234.5}, {"name": "=1", "price": -1}]});
    let found = tables(&definition, &data);
    assert_eq!(csv(&found), ["Item,Price\r\nA & <B>,\"1,234.5\"\r\n'=1,-1\r\n"]);
    assert_eq!(found[0].id, "prices");
    let nested = json!({"html": "<table id=a><tr><td><table></table></table>"});
    let refused = tables_with(&nested, &json!({}), &json!({})).unwrap_err();
    assert!(refused.to_string().contains("the table \"a\": there is a table within it"), "{refused}");
}

#[test]
fn characters_that_no_file_holds_and_texts_that_no_cell_holds_break_nothing() {
    let definition = tree(json!([{"id": "t", "type": "table", "items": "lines", "columns": [{"field": "text"}]}]));
    let odd = "a\u{0}b\u{1}\u{b}\u{fffe}\u{ffff} _x0041_ <&>\"'\u{1F4B6}\r\nend";
    let book = sheets(workbook_of(&tables(&definition, &json!({"lines": [{"text": odd}]})), XlsxOptions::default()));
    let found = book[0].1[0][0].to_string();
    assert!(found.contains("\u{fffd}\u{fffd} _x0041_ <&>\"'\u{1F4B6}") && found.ends_with("end"), "{found:?}");
    let long = tables(&definition, &json!({"lines": [{"text": "x".repeat(32_768)}]}));
    let facts = WorkbookFacts { metadata: &Metadata::default(), now: NOW.parse().unwrap(), cancelled: None };
    let refused = workbook(&long, XlsxOptions::default(), &facts).unwrap_err();
    assert!(refused.to_string().contains("the table \"t\": a cell has more than the 32767 characters"), "{refused}");
}
