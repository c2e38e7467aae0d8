//! Cells as values.

use std::io::Cursor;

use calamine::{DataRef, Xlsx};
use serde_json::Value;

use crate::data_input::issues::shown;
use crate::data_input::meter::Meter;
use crate::data_input::options::{CellRange, cell_name};
use crate::data_input::values::rounded;
use crate::data_input::xlsx::dates::{Calendar, date_text, duration_text};
use crate::data_input::xlsx::{Cells, is_within, said};
use crate::error::DocumentError;

/// Every cell of the sheet with something in it, sorted; of a cell that is there twice the last.
pub fn read(
    workbook: &mut Xlsx<Cursor<Vec<u8>>>,
    sheet: &str,
    range: Option<CellRange>,
    meter: &mut Meter<'_>,
) -> Result<Cells, DocumentError> {
    let calendar = if workbook.has_1904_epoch() { Calendar::From1904 } else { Calendar::From1900 };
    let mut reader = workbook.worksheet_cells_reader(sheet).map_err(|error| meter.invalid(said(&error)))?;
    let mut cells = Cells::new();
    let mut last = None;
    loop {
        let next = reader.next_cell().map_err(|error| {
            let near: String = last.map_or_else(String::new, |(row, column)| format!(", behind cell {}", cell_name(row, column)));
            meter.invalid(format!("sheet \"{}\"{near}: {}", shown(sheet), shown(&error.to_string())))
        })?;
        meter.step()?;
        let Some(cell) = next else { break };
        let position = cell.get_position();
        last = Some(position);
        if !is_within(range, position) {
            continue;
        }
        let place = || format!("sheet \"{}\", cell {}", shown(sheet), cell_name(position.0, position.1));
        let value = match cell.get_value() {
            DataRef::Empty | DataRef::SharedString("") => continue,
            DataRef::String(text) if text.is_empty() => continue,
            DataRef::SharedString(text) => text_value(text, meter)?,
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text_value(text, meter)?,
            DataRef::Int(number) => Value::from(*number),
            DataRef::Float(number) => rounded(*number).map_or(Value::Null, Value::Number),
            DataRef::Bool(value) => Value::Bool(*value),
            DataRef::DateTime(moment) => {
                let days = moment.as_f64();
                let text = if moment.is_duration() { duration_text(days) } else { date_text(days, calendar) };
                text.map_or_else(
                    || {
                        meter.warn(|| format!("{} is formatted as a date, and is none; it is the number", place()));
                        rounded(days).map_or(Value::Null, Value::Number)
                    },
                    Value::from,
                )
            }
            DataRef::Error(error) => {
                meter.warn(|| format!("{} holds {error}; it is null", place()));
                continue;
            }
        };
        // Again counted with the names when the rows are made; here so that nothing is gathered beyond it.
        meter.value_gathered()?;
        let (row, column) = position;
        let of_row = cells.entry(row).or_default();
        match of_row.binary_search_by_key(&column, |(known, _)| *known) {
            Ok(at) => of_row[at].1 = value,
            // Files have them in order.
            Err(at) => of_row.insert(at, (column, value)),
        }
    }
    Ok(cells)
}

fn text_value(text: &str, meter: &mut Meter<'_>) -> Result<Value, DocumentError> {
    meter.text(text.len())?;
    Ok(Value::from(text))
}
