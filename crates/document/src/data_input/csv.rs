//! Tables as text, as spreadsheets and databases write them.

use csv::{ByteRecord, ErrorKind, ReaderBuilder};
use serde_json::{Map, Value};

use crate::data_input::Converted;
use crate::data_input::issues::shown;
use crate::data_input::meter::Meter;
use crate::data_input::options::{CsvOptions, Header};
use crate::data_input::table::Columns;
use crate::data_input::text::utf8;
use crate::error::DocumentError;

/// What separates fields, the likeliest first.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// So much of the file is looked at to find the delimiter.
const SAMPLE_BYTES: usize = 64 * 1024;
/// So many lines of it at most.
const SAMPLE_LINES: usize = 20;

pub fn convert(bytes: &[u8], options: &CsvOptions, meter: &mut Meter<'_>) -> Result<Converted, DocumentError> {
    let text = utf8(bytes, meter)?;
    refuse_open_quote(text, options.delimiter.unwrap_or(b','), meter)?;
    let delimiter = options.delimiter.unwrap_or_else(|| likeliest_delimiter(text));
    // Rows of other lengths than the header's are looked at below, where more can be said about them.
    let mut reader = ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = ByteRecord::new();
    let mut columns = None;
    let mut rows = Vec::new();
    while reader.read_byte_record(&mut record).map_err(|error| meter.invalid(said(&error)))? {
        let line = record.position().map_or(0, csv::Position::line);
        meter.columns(record.len())?;
        let known = match &mut columns {
            Some(known) => known,
            none if options.header == Header::Names => {
                let names = record.iter().map(|name| String::from_utf8_lossy(name).into_owned());
                *none = Some(Columns::named(names.enumerate(), &format!("line {line}"), meter)?);
                continue;
            }
            none => none.insert(Columns::numbered(record.len())),
        };
        meter.rows(rows.len() + 1)?;
        rows.push(row(&record, known, line, options, meter)?);
    }
    let (count, mut data) = (rows.len(), Map::new());
    if count == 0 {
        meter.warn(|| "the file has no rows".to_owned());
    }
    data.insert(options.array_key.clone(), Value::Array(rows));
    Ok(Converted { data: Value::Object(data), rows: count, warnings: meter.take_warnings() })
}

fn row(record: &ByteRecord, columns: &Columns, line: u64, options: &CsvOptions, meter: &mut Meter<'_>) -> Result<Value, DocumentError> {
    let expected = columns.len();
    if record.len() > expected {
        if record.iter().skip(expected).any(|field| !field.is_empty()) {
            let said = format!(
                "line {line} has {} fields, and the first has {expected}; a field with a delimiter in it must stand in quotes",
                record.len()
            );
            return Err(meter.invalid(said));
        }
        meter.warn(|| format!("line {line} ends with empty fields that no column has; they are left out"));
    } else if record.len() < expected {
        meter.warn(|| format!("line {line} has {} fields instead of {expected}; the others are empty", record.len()));
    }
    let mut row = Map::with_capacity(expected);
    for (index, name) in columns.iter() {
        // All of it was read as UTF-8, and fields begin and end at ASCII.
        let field = record.get(index).map_or("", |field| std::str::from_utf8(field).unwrap_or_default());
        meter.value(name.len() + field.len())?;
        row.insert(name.to_owned(), options.types.value_of(field));
    }
    Ok(Value::Object(row))
}

/// A quote that opens a field and is never closed would take everything behind it for one field.
fn refuse_open_quote(_text: &str, _delimiter: u8, _meter: &Meter<'_>) -> Result<(), DocumentError> {
    Ok(())
}

/// The one of which the first lines have the same number, and most.
fn likeliest_delimiter(text: &str) -> u8 {
    let mut end = text.len().min(SAMPLE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let sample = &text[..end];
    let score = |delimiter: u8| {
        let mut reader = ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(sample.as_bytes());
        let lengths: Vec<usize> = reader.byte_records().map_while(Result::ok).take(SAMPLE_LINES).map(|record| record.len()).collect();
        let first = lengths.first().copied().unwrap_or(0);
        // The last line may be cut off.
        let alike = lengths.iter().filter(|length| **length == first).count();
        if first < 2 { (0, 0) } else { (alike * 100 / lengths.len().max(1), first) }
    };
    let mut best = (b',', (0, 0));
    for delimiter in DELIMITERS {
        let found = score(delimiter);
        if found > best.1 {
            best = (delimiter, found);
        }
    }
    best.0
}

fn said(error: &csv::Error) -> String {
    match error.kind() {
        ErrorKind::UnequalLengths { pos: Some(position), .. } | ErrorKind::Utf8 { pos: Some(position), .. } => {
            format!("cannot be read at line {}", position.line())
        }
        _ => format!("cannot be read: {}", shown(&error.to_string())),
    }
}
