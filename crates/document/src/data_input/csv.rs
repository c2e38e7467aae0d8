//! Tables as text, as spreadsheets and databases write them.

use csv::{ByteRecord, ReaderBuilder};
use serde_json::{Map, Value};

use crate::data_input::Converted;
use crate::data_input::issues::shown;
use crate::data_input::meter::Meter;
use crate::data_input::options::{CsvOptions, Header};
use crate::data_input::table::Columns;
use crate::data_input::text::{line_at, utf8};
use crate::error::DocumentError;

/// What separates fields, the likeliest first.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// So much of the file is looked at to find the delimiter.
const SAMPLE_BYTES: usize = 64 * 1024;
/// So many rows of it at most.
const SAMPLE_ROWS: usize = 20;

pub fn convert(bytes: &[u8], options: &CsvOptions, meter: &mut Meter<'_>) -> Result<Converted, DocumentError> {
    let text = utf8(bytes, meter)?;
    let (delimiter, begin) = match options.delimiter {
        Some(delimiter) => (delimiter, 0),
        None => said_delimiter(text).unwrap_or_else(|| (likeliest_delimiter(text), 0)),
    };
    let table = &text.as_bytes()[begin..];
    refuse_open_quote(table, delimiter, meter)?;
    // Rows of other lengths than the header's are looked at below, where more can be said about them.
    let mut reader = ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(table);
    let mut lines = Lines { text, begin, counted: 0, line: 1 };
    let mut record = ByteRecord::new();
    let mut columns = None;
    let mut rows = Vec::new();
    while reader.read_byte_record(&mut record).map_err(|error| meter.invalid(format!("cannot be read: {}", shown(&error.to_string()))))? {
        let line = lines.line_of(record.position().map_or(0, csv::Position::byte));
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

fn row(record: &ByteRecord, columns: &Columns, line: usize, options: &CsvOptions, meter: &mut Meter<'_>) -> Result<Value, DocumentError> {
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

/// Counts lines up to where records begin. The reader's own count takes the empty lines before a record for its beginning.
struct Lines<'t> {
    text: &'t str,
    /// Where the table begins.
    begin: usize,
    counted: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the first character at or behind that byte of the table that is no line break.
    fn line_of(&mut self, byte: u64) -> usize {
        let rest = self.text.as_bytes();
        let mut at = self.begin + usize::try_from(byte).unwrap_or(usize::MAX);
        while rest.get(at).is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            at += 1;
        }
        self.line += line_at(rest.get(self.counted..at).unwrap_or_default()) - 1;
        self.counted = at;
        self.line
    }
}

/// A quote that opens a field and is never closed would take everything behind it for one field.
fn refuse_open_quote(table: &[u8], delimiter: u8, meter: &Meter<'_>) -> Result<(), DocumentError> {
    let (mut at_start, mut at) = (true, 0);
    while let Some(byte) = table.get(at) {
        if at_start && *byte == b'"' {
            let opened = at;
            at += 1;
            loop {
                let Some(quote) = memchr::memchr(b'"', table.get(at..).unwrap_or_default()) else {
                    let line = line_at(&table[..opened]);
                    return Err(
                        meter.invalid(format!("has a quote at line {line} that is never closed; in quotes, a quote is written twice"))
                    );
                };
                at += quote + 1;
                if table.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
            at_start = false;
        } else {
            // To the end of the field.
            let Some(end) = memchr::memchr3(delimiter, b'\n', b'\r', &table[at..]) else { return Ok(()) };
            at += end + 1;
            at_start = true;
        }
    }
    Ok(())
}

/// `sep=;` in the first line, as one spreadsheet writes it for itself, and where the table begins then.
fn said_delimiter(text: &str) -> Option<(u8, usize)> {
    let first = text.lines().next()?;
    let word = first.trim().trim_matches('"').strip_prefix("sep=")?;
    let delimiter = *word.as_bytes().first().filter(|byte| DELIMITERS.contains(byte) && word.len() == 1)?;
    Some((delimiter, first.len()))
}

/// The one of which the most of the first rows have the same number, and of those the one with most.
fn likeliest_delimiter(text: &str) -> u8 {
    let sample = &text.as_bytes()[..text.len().min(SAMPLE_BYTES)];
    let score = |delimiter: u8| {
        let mut reader = ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(sample);
        let lengths: Vec<usize> = reader.byte_records().map_while(Result::ok).take(SAMPLE_ROWS).map(|record| record.len()).collect();
        let first = lengths.first().copied().unwrap_or(0);
        let alike = lengths.iter().filter(|length| **length == first).count();
        if first < 2 { (0, 0) } else { (alike * 100 / lengths.len(), first) }
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
