//! What is sent to use up a server.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::time::{Duration, Instant};

use document::data_input::{DataInput, DataInputLimits, Patience};
use domain::ErrorCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::{PATIENT, converted, converted_within, envelope, refused, wrong};

/// Whatever is refused is refused soon.
const SOON: Duration = Duration::from_secs(20);

fn small() -> DataInputLimits {
    DataInputLimits { bytes: 100_000, unpacked_bytes: 1_000_000, rows: 100, columns: 20, values: 1_000, text_bytes: 20_000, depth: 10 }
}

fn too_large(envelope: Value, limits: &DataInputLimits) -> String {
    let started = Instant::now();
    let (code, path, message) = refused(converted_within(envelope, limits));
    assert_eq!((code, path.as_str()), (ErrorCode::DataInputTooLarge, "/dataInput/content"), "{message}");
    assert!(started.elapsed() < SOON, "{:?}: {message}", started.elapsed());
    message
}

/// A workbook from parts.
fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, part) in parts {
        zip.start_file(*name, packed).unwrap();
        zip.write_all(part.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const ROOT: (&str, &str) = (
    "_rels/.rels",
    r#"<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
);
const BOOK: (&str, &str) = (
    "xl/workbook.xml",
    r#"<workbook xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>"#,
);
const BOOK_PARTS: (&str, &str) = (
    "xl/_rels/workbook.xml.rels",
    r#"<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
);
const SHEET: &str = "xl/worksheets/sheet1.xml";

fn sheet(data: &str) -> String {
    format!("<worksheet><sheetData>{data}</sheetData></worksheet>")
}

fn workbook(sheet: &str, more: &[(&str, &str)]) -> Value {
    let mut parts = vec![ROOT, BOOK, BOOK_PARTS, (SHEET, sheet)];
    parts.extend(more);
    envelope("xlsx", &package(&parts), json!({}))
}

#[test]
fn a_workbook_of_parts_is_read_and_no_limit_is_met_by_little() {
    let cells = sheet(r#"<row r="1"><c r="A1" t="s"><v>0</v></c></row><row r="2"><c r="A2" s="1"><v>46347</v></c></row>"#);
    let styles = r#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="dd\.mm\.yyyy"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>"#;
    let texts = r#"<sst uniqueCount="1"><si><t>Day &lt;</t></si></sst>"#;
    let read = converted_within(workbook(&cells, &[("xl/styles.xml", styles), ("xl/sharedStrings.xml", texts)]), &small()).unwrap();
    assert_eq!(read.data, json!({"rows": [{"Day <": "2026-11-21"}]}));
}

#[test]
fn bytes_rows_columns_values_texts_and_depth_are_bounded() {
    let csv = |content: String| json!({"format": "csv", "content": content});
    assert!(too_large(csv("a".repeat(100_001)), &small()).contains("has 100001 bytes"));
    assert!(too_large(csv("a\n".repeat(102)), &small()).contains("more than 100 rows"));
    assert!(too_large(csv(",".repeat(20)), &small()).contains("more than 20 columns"));
    assert!(
        too_large(csv("a,b,c,d,e,f,g,h,i,j,k\n,,,,,,,,,,\n".to_owned() + &"1,,,,,,,,,,\n".repeat(95)), &small()).contains("1000 values")
    );
    // Names are there once in the file, and once in each row of what comes out.
    let name = "n".repeat(200);
    let wide: String = (0..10).map(|index| format!("{name}{index},").chars().skip(2).collect::<String>()).collect();
    assert!(
        too_large(csv(format!("{}\n{}", wide.trim_end_matches(','), "1,2,3,4,5,6,7,8,9,0\n".repeat(50))), &small())
            .contains("names and texts")
    );
    let deep = format!("{}{}", "<a>".repeat(11), "</a>".repeat(11));
    assert!(too_large(json!({"format": "xml", "content": deep}), &small()).contains("more than 10 deep"));
    assert!(too_large(json!({"format": "xml", "content": format!("<a>{}</a>", "<b/>".repeat(5_000))}), &small()).contains("1000 values"));
}

#[test]
fn a_million_columns_and_a_million_levels_are_refused_soon() {
    let limits = DataInputLimits::default();
    assert!(too_large(json!({"format": "csv", "content": ",".repeat(1_000_000)}), &limits).contains("1000 columns"));
    let started = Instant::now();
    let deep = json!({"format": "xml", "content": format!("{}{}", "<a>".repeat(1_000_000), "</a>".repeat(1_000_000))});
    let (code, _, message) = refused(converted(deep));
    assert!(matches!(code, ErrorCode::DataInputTooLarge | ErrorCode::DataInputInvalid), "{message}");
    assert!(started.elapsed() < SOON);
    let far = sheet(r#"<row r="1"><c r="XFD1"><v>1</v></c></row>"#);
    let mut bare = workbook(&far, &[]);
    bare["header"] = json!(false);
    assert!(too_large(bare, &limits).contains("1000 columns"));
}

#[test]
fn attributes_without_end_texts_without_end_and_cells_beyond_numbers_are_refused_soon() {
    let limits = DataInputLimits::default();
    let attributes: String = (0..200_000).fold(String::new(), |mut all, at| {
        let _ = write!(all, " a{at}='>'");
        all
    });
    let many = |content: String| too_large(json!({"format": "xml", "content": content}), &limits);
    assert!(many(format!("<a><!-- <b> --><b{attributes}/></a>")).contains("more than 1000 attributes"));
    // What only looks like an element has none.
    let quoted = format!("<a><!-- <b{attributes}> --><![CDATA[<b{attributes}>]]>x</a>");
    assert_eq!(
        converted(json!({"format": "xml", "content": quoted})).unwrap().data["a"].as_str().map(|text| text.ends_with('x')),
        Some(true)
    );
    let texts = format!("<sst uniqueCount=\"1\">{}</sst>", "<si><t>a</t></si>".repeat(1_100_000));
    let cells = sheet(r#"<row r="1"><c r="A1" t="s"><v>0</v></c></row>"#);
    assert!(too_large(workbook(&cells, &[("xl/sharedStrings.xml", &texts)]), &limits).contains("1000000 values"));
    for name in ["ZZZZZZZZ99999999999", "A99999999999999999999999", "ZZZZZZZZZZZZZZZZ1"] {
        let far = sheet(&format!(r#"<row r="1"><c r="{name}" t="str"><v>x</v></c></row>"#));
        let (code, _, message) = refused(converted(workbook(&far, &[])));
        assert!(matches!(code, ErrorCode::DataInputInvalid | ErrorCode::DataInputTooLarge), "{name}: {message}");
    }
}

#[test]
fn an_archive_that_unpacks_to_gigabytes_is_refused_while_it_unpacks() {
    let zeros = "<worksheet><sheetData>".to_owned() + &" ".repeat(200 * 1024 * 1024);
    let bomb = workbook(&zeros, &[]);
    assert!(bomb["content"].as_str().unwrap().len() < 1_000_000, "it is small as it comes");
    assert!(too_large(bomb.clone(), &DataInputLimits::default()).contains("unpacks to more than 100663296 bytes"));
    // Also where the archive says that there is next to nothing in it.
    let mut bytes = package(&[ROOT, BOOK, BOOK_PARTS, (SHEET, &" ".repeat(2_000_000))]);
    for at in 0..bytes.len() - 4 {
        if bytes[at..at + 4] == 2_000_000_u32.to_le_bytes() {
            bytes[at..at + 4].copy_from_slice(&7_u32.to_le_bytes());
        }
    }
    let (code, _, message) = refused(converted_within(envelope("xlsx", &bytes, json!({})), &small()));
    assert!(matches!(code, ErrorCode::DataInputTooLarge | ErrorCode::DataInputInvalid), "{message}");
}

#[test]
fn what_a_workbook_says_of_itself_makes_no_room() {
    let cells = sheet(r#"<row r="1"><c r="A1" t="s"><v>0</v></c></row>"#);
    for count in ["99999999999", "4611686018427387904", " +99999999999", "99999999999999999999999999"] {
        let texts = format!(r#"<!-- <si> --><sst uniqueCount="{count}"><si><t>a</t></si></sst>"#);
        let said = wrong(converted(workbook(&cells, &[("xl/sharedStrings.xml", &texts)])));
        assert!(said.contains("says that it has"), "{said}");
    }
    let wide: String = "<sst uniqueCount=\"99999999999\">"
        .encode_utf16()
        .map(|unit| char::from(u8::try_from(unit).unwrap()))
        .flat_map(|c| [c, '\0'])
        .collect();
    assert!(wrong(converted(workbook(&cells, &[("xl/sharedStrings.xml", &wide)]))).contains("is no UTF-8"));
}

#[test]
fn one_text_of_a_workbook_in_all_its_cells_is_counted_in_each() {
    let mut rows = String::new();
    for row in 1..=90 {
        write!(rows, r#"<row r="{row}"><c r="A{row}" t="s"><v>0</v></c></row>"#).unwrap();
    }
    let texts = format!("<sst><si><t>{}</t></si></sst>", "long ".repeat(100));
    assert!(too_large(workbook(&sheet(&rows), &[("xl/sharedStrings.xml", &texts)]), &small()).contains("names and texts"));
}

#[test]
fn one_number_format_in_all_styles_of_a_workbook_takes_no_more_than_it_may() {
    let cells = sheet(r#"<row r="1"><c r="A1"><v>1</v></c></row><row r="2"><c r="A2" s="1"><v>1</v></c></row>"#);
    let format = |styles: usize| {
        let long = "0".repeat(1_000_000);
        format!(
            r#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="{long}"/></numFmts><cellXfs>{}</cellXfs></styleSheet>"#,
            r#"<xf numFmtId="164"/>"#.repeat(styles)
        )
    };
    let started = Instant::now();
    assert_eq!(converted(workbook(&cells, &[("xl/styles.xml", &format(65_536))])).unwrap().rows, 1);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert!(too_large(workbook(&cells, &[("xl/styles.xml", &format(65_537))]), &DataInputLimits::default()).contains("65536 formats"));
}

#[test]
#[ignore = "prints how long the conversion of large files takes"]
fn how_long_large_files_take() {
    let row = "4711,2026-11-21,Bolt M4 x 20 zinc plated,19.99,3,59.97,EUR,warehouse north,\"a note, with a comma\"\n";
    let csv = format!("id,day,item,price,quantity,sum,currency,place,note\n{}", row.repeat(10_000_000 / row.len()));
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for row in 0..80_000_u32 {
        for column in 0..6_u16 {
            sheet.write(row, column, f64::from(row * 7 + u32::from(column)) / 100.0).unwrap();
        }
        for column in 6..9_u16 {
            sheet.write(row, column, format!("text {row} {column} {:x}", row.wrapping_mul(2_654_435_761))).unwrap();
        }
    }
    let workbook = workbook.save_to_buffer().unwrap();
    for (format, bytes, options) in [("csv", csv.into_bytes(), json!({"types": "infer"})), ("xlsx", workbook, json!({"header": false}))] {
        let size = bytes.len();
        let input = DataInput::from_json(envelope(format, &bytes, options), "").unwrap();
        let started = Instant::now();
        let converted = input.convert(&DataInputLimits::default(), Patience { cancelled: &PATIENT, deadline: None }).unwrap();
        println!("{format}: {size} bytes, {} rows, {:?}", converted.rows, started.elapsed());
    }
}

/// Ends one way or the other.
fn ends(format: &str, bytes: &[u8], options: Value) {
    if let Ok(input) = DataInput::from_json(envelope(format, bytes, options), "") {
        let _either = input.convert(&small(), Patience { cancelled: &PATIENT, deadline: None });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in "[a-c,;|\"\t\r\n<>/&=!x0-9 \u{e4}-]{0,200}") {
        for format in ["csv", "xml"] {
            ends(format, &bytes, json!({}));
            ends(format, text.as_bytes(), json!({"types": "infer"}));
        }
        ends("csv", text.as_bytes(), json!({"header": false, "delimiter": ";"}));
        ends("xlsx", &bytes, json!({}));
        ends("xlsx", &[b"PK\x03\x04", bytes.as_slice()].concat(), json!({}));
    }

    #[test]
    fn no_damage_to_a_workbook_panics(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let cells = sheet(r#"<row r="1"><c r="A1" t="s"><v>0</v></c><c t="inlineStr"><is><t>b</t></is></c></row><row r="2"><c r="A2" s="1"><v>46347.5</v></c><c t="b"><v>1</v></c></row>"#);
        let texts = r#"<sst uniqueCount="1"><si><r><t>a</t></r></si></sst>"#;
        let styles = r#"<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#;
        // In the XML itself, below the packing, and in the archive.
        let mut parts = [(ROOT.0, ROOT.1.as_bytes().to_vec()), (BOOK.0, BOOK.1.as_bytes().to_vec()), (BOOK_PARTS.0, BOOK_PARTS.1.as_bytes().to_vec()),
            (SHEET, cells.into_bytes()), ("xl/sharedStrings.xml", texts.into()), ("xl/styles.xml", styles.into())];
        for (index, (at, byte)) in damage.iter().enumerate() {
            let part = &mut parts[(index + usize::from(*byte)) % 6].1;
            let at = at.index(part.len());
            part[at] = *byte % 128;
        }
        let texts: Vec<(&str, String)> = parts.iter().map(|(name, part)| (*name, String::from_utf8_lossy(part).into_owned())).collect();
        let mut bytes = package(&texts.iter().map(|(name, part)| (*name, part.as_str())).collect::<Vec<_>>());
        ends("xlsx", &bytes, json!({}));
        for (at, byte) in &damage {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        ends("xlsx", &bytes, json!({"header": false, "range": "A1:C3"}));
        bytes.truncate(cut.index(bytes.len()));
        ends("xlsx", &bytes, json!({}));
    }
}
