//! The cells of one sheet of a workbook.

mod cells;
mod dates;
mod package;
mod styles;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Reader, SheetType, Xlsx, XlsxError};
use domain::issues::near_names;
use serde_json::{Map, Value};

use crate::data_input::Converted;
use crate::data_input::issues::shown;
use crate::data_input::meter::Meter;
use crate::data_input::options::{CellRange, Header, SheetChoice, XlsxOptions, cell_name};
use crate::data_input::table::Columns;
use crate::error::DocumentError;

/// The cells with something in them, by row and column, both counted from 0.
type Cells = BTreeMap<u32, Vec<(u32, Value)>>;

pub fn convert(bytes: &[u8], options: &XlsxOptions, meter: &mut Meter<'_>) -> Result<Converted, DocumentError> {
    let package = package::repacked(bytes, meter)?;
    // The reader reckons with what cells are called, and breaks off where that is more than a number holds.
    let reading = catch_unwind(AssertUnwindSafe(|| read(package, options, meter)));
    let (sheet, cells) = reading.unwrap_or_else(|_| Err(meter.invalid("has a cell or a range whose name is none, such as A1 or B2:C9")))?;
    let mut table = Table { sheet: &sheet, options, nameless: BTreeSet::new() };
    let rows = table.rows(cells, meter)?;
    let count = rows.len();
    if count == 0 {
        meter.warn(|| format!("the sheet \"{}\" has no rows", shown(&sheet)));
    }
    let mut data = Map::new();
    data.insert(options.array_key.clone(), Value::Array(rows));
    Ok(Converted { data: Value::Object(data), rows: count, warnings: meter.take_warnings() })
}

/// The sheet that is meant, and its cells.
fn read(package: Vec<u8>, options: &XlsxOptions, meter: &mut Meter<'_>) -> Result<(String, Cells), DocumentError> {
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(package)).map_err(|error| meter.invalid(said(&error)))?;
    meter.look()?;
    let sheet = chosen(&workbook, &options.sheet, meter)?;
    let cells = cells::read(&mut workbook, &sheet, options.range, meter)?;
    Ok((sheet, cells))
}

/// The name of the sheet that is meant.
fn chosen(workbook: &Xlsx<Cursor<Vec<u8>>>, choice: &SheetChoice, meter: &Meter<'_>) -> Result<String, DocumentError> {
    let sheets: Vec<&str> =
        workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).map(|sheet| sheet.name.as_str()).collect();
    let found = match choice {
        SheetChoice::Named(name) => sheets.iter().find(|sheet| **sheet == name),
        SheetChoice::Numbered(number) => sheets.get(number - 1),
    };
    if let Some(found) = found {
        return Ok((*found).to_owned());
    }
    let wanted = match choice {
        SheetChoice::Named(name) => {
            let near = near_names(name, sheets.iter().copied());
            let hint = near.first().map_or_else(|| ".".to_owned(), |near| format!("; did you mean \"{}\"?", shown(near)));
            format!("\"{}\"{hint}", shown(name))
        }
        SheetChoice::Numbered(number) => format!("number {number}."),
    };
    let all: Vec<String> = sheets.iter().take(20).map(|sheet| format!("\"{}\"", shown(sheet))).collect();
    Err(meter.invalid(format!("has no sheet {wanted} It has {} sheets with cells: {}", sheets.len(), all.join(", "))))
}

struct Table<'t> {
    sheet: &'t str,
    options: &'t XlsxOptions,
    /// Columns of which it was said that nothing names them.
    nameless: BTreeSet<u32>,
}

impl Table<'_> {
    /// The rows below the names, those without anything in them left out.
    fn rows(&mut self, mut cells: Cells, meter: &mut Meter<'_>) -> Result<Vec<Value>, DocumentError> {
        let first_column = self.options.range.map_or(0, |range| range.first.1);
        let columns = match self.options.header {
            Header::Names => {
                let Some(row) = self.options.header_row.map(|row| row - 1).or_else(|| cells.keys().next().copied()) else {
                    return Ok(Vec::new());
                };
                let named = self.named(row, cells.get(&row).map_or(&[], Vec::as_slice), meter)?;
                cells = cells.split_off(&(row + 1));
                named
            }
            Header::Absent => {
                let last = cells.values().flatten().map(|(column, _)| *column).max();
                let count = last.map_or(0, |last| last - first_column + 1);
                meter.columns(usize::try_from(count).unwrap_or(usize::MAX))?;
                let names = Columns::numbered(usize::try_from(count).unwrap_or(usize::MAX));
                names.iter().zip(first_column..).map(|((_, name), column)| (column, name.to_owned())).collect()
            }
        };
        meter.rows(cells.len())?;
        let mut rows = Vec::with_capacity(cells.len());
        for (row, found) in cells {
            rows.push(self.row(row, found, &columns, meter)?);
        }
        Ok(rows)
    }

    /// Which column has which name.
    fn named(&self, row: u32, cells: &[(u32, Value)], meter: &mut Meter<'_>) -> Result<Vec<(u32, String)>, DocumentError> {
        meter.columns(cells.len())?;
        let place = format!("sheet \"{}\", row {}", shown(self.sheet), row + 1);
        if cells.is_empty() {
            return Err(meter.invalid(format!("{place} is empty, and was to name the columns")));
        }
        let texts = cells.iter().map(|(column, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (usize::try_from(*column).unwrap_or(usize::MAX), text)
        });
        let names = Columns::named(texts, &place, meter)?;
        Ok(names.iter().zip(cells).map(|((_, name), (column, _))| (*column, name.to_owned())).collect())
    }

    fn row(
        &mut self,
        row: u32,
        cells: Vec<(u32, Value)>,
        columns: &[(u32, String)],
        meter: &mut Meter<'_>,
    ) -> Result<Value, DocumentError> {
        let mut object = Map::with_capacity(columns.len());
        let mut cells = cells.into_iter().peekable();
        for (column, name) in columns {
            while let Some((nameless, _)) = cells.next_if(|(other, _)| other < column) {
                self.nameless(row, nameless, meter);
            }
            let value = cells.next_if(|(other, _)| other == column);
            meter.value(name.len())?;
            object.insert(name.clone(), value.map_or(Value::Null, |(_, value)| value));
        }
        for (nameless, _) in cells {
            self.nameless(row, nameless, meter);
        }
        Ok(Value::Object(object))
    }

    /// Says once of a column that nothing names it.
    fn nameless(&mut self, row: u32, column: u32, meter: &mut Meter<'_>) {
        if self.nameless.insert(column) {
            let (sheet, cell) = (shown(self.sheet), cell_name(row, column));
            meter.warn(|| format!("sheet \"{sheet}\", cell {cell}: its column has no name; what stands in it is left out"));
        }
    }
}

/// Whether a cell is one of those that are read.
fn is_within(range: Option<CellRange>, (row, column): (u32, u32)) -> bool {
    range.is_none_or(|range| (range.first.0..=range.last.0).contains(&row) && (range.first.1..=range.last.1).contains(&column))
}

fn said(error: &XlsxError) -> String {
    format!("is no workbook that can be read: {}", shown(&error.to_string()))
}
