//! Tables as one workbook, a sheet each: numbers as numbers, dates as dates, and texts as texts whatever they look like.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::options::Metadata;
use expressions::{Meaning, NumberLook};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatBorder, Workbook, Worksheet, XlsxError};

use super::{Cell, Row, RowKind, Table, names};
use crate::error::DocumentError;

/// UTF-16 units that spreadsheets keep of one text.
const CELL_UNITS: usize = 32_767;
/// The columns that a sheet has.
const COLUMNS: usize = 16_384;
/// Years that spreadsheets reckon with. In the first months of the first one they count a day that never was.
const YEARS: std::ops::RangeInclusive<i16> = 1901..=9999;
/// Rows that are looked at for the width of a column.
const MEASURED_ROWS: usize = 1_000;
/// Characters of the narrowest and the widest column.
const WIDTHS: (usize, usize) = (8, 60);

/// Which rows a sheet has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SheetLayout {
    /// Those of the document: heads, items, groups and totals.
    #[default]
    Document,
    /// The head and the items alone, for programs that reckon with them.
    Data,
}

/// What cells are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CellTyping {
    /// Numbers, dates and truth values where the document writes such, otherwise texts.
    #[default]
    Typed,
    /// Texts, as the document shows them.
    Text,
}

/// What a workbook is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct XlsxOptions {
    /// Which rows it has.
    pub layout: SheetLayout,
    /// What its cells are.
    pub typing: CellTyping,
}

/// What a workbook says about itself.
#[derive(Clone, Debug)]
pub struct WorkbookFacts<'a> {
    /// Title, subject, author and keywords.
    pub metadata: &'a Metadata,
    /// When the document says it was made.
    pub now: Timestamp,
    /// Becomes true when nobody waits for the workbook any more.
    pub cancelled: Option<&'a AtomicBool>,
}

/// The bytes of a workbook with a sheet for each table. The same tables, options and facts give the same bytes.
///
/// # Errors
/// [`DocumentError::TableUnfit`] of a text with more than 32,767 characters or a table with more than 16,384 columns, and
/// [`DocumentError::Stopped`] where nobody waits any more.
pub fn workbook(tables: &[Table], options: XlsxOptions, facts: &WorkbookFacts<'_>) -> Result<Vec<u8>, DocumentError> {
    let mut workbook = Workbook::new();
    workbook.set_properties(&properties(facts).map_err(|error| unfit("", &error))?);
    for (table, name) in tables.iter().zip(names::of_sheets(tables)) {
        let mut looks = Looks::default();
        let sheet = workbook.add_worksheet();
        sheet.set_name(&name).map_err(|error| unfit(&table.id, &error))?;
        set_widths(sheet, table).map_err(|error| unfit(&table.id, &error))?;
        if table.width() > COLUMNS {
            return Err(too_wide(table));
        }
        let rows =
            table.rows.iter().filter(|row| options.layout == SheetLayout::Document || matches!(row.kind, RowKind::Head | RowKind::Body));
        for (at, row) in rows.enumerate() {
            if facts.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
                return Err(DocumentError::stopped("the workbook was still being written when nobody waited for it any more"));
            }
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            write_row(sheet, at, row, options.typing, &mut looks).map_err(|error| unfit(&table.id, &error))?;
        }
        if table.rows.first().is_some_and(|row| row.kind == RowKind::Head) {
            sheet.set_freeze_panes(1, 0).map_err(|error| unfit(&table.id, &error))?;
        }
    }
    workbook.save_to_buffer().map_err(|error| unfit("", &error))
}

fn unfit(id: &str, error: &XlsxError) -> DocumentError {
    let reason = match error {
        XlsxError::MaxStringLengthExceeded => format!("a cell has more than the {CELL_UNITS} characters that a spreadsheet keeps of one"),
        error => error.to_string(),
    };
    DocumentError::TableUnfit { at: id.to_owned(), reason }
}

fn too_wide(table: &Table) -> DocumentError {
    let reason = format!("the table has {} columns; a sheet has {COLUMNS}", table.width());
    DocumentError::TableUnfit { at: table.id.clone(), reason }
}

fn properties(facts: &WorkbookFacts<'_>) -> Result<DocProperties, XlsxError> {
    let Metadata { title, subject, author, keywords, .. } = facts.metadata;
    let text = |text: &Option<String>| text.as_deref().map(storable).unwrap_or_default();
    let made = facts.now.to_zoned(TimeZone::UTC);
    let properties =
        DocProperties::new().set_title(text(title)).set_subject(text(subject)).set_author(text(author)).set_keywords(text(keywords));
    // A document that believes it is another age says nothing of when it was made; the clock is none of its business.
    let made = excel_date(made.date(), Some(made.time())).map_or_else(|| ExcelDateTime::from_ymd(1901, 1, 1), Ok)?;
    Ok(properties.set_creation_datetime(&made))
}

fn set_widths(sheet: &mut Worksheet, table: &Table) -> Result<(), XlsxError> {
    let mut widths = vec![WIDTHS.0; table.width().min(COLUMNS)];
    for row in table.rows.iter().filter(|row| row.kind != RowKind::Group).take(MEASURED_ROWS) {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = cell.text.chars().take(WIDTHS.1).count().max(*width);
        }
    }
    for (column, width) in (0..).zip(widths) {
        sheet.set_column_width(column, f64::from(u32::try_from(width + 2).unwrap_or(u32::MAX)))?;
    }
    Ok(())
}

fn write_row(sheet: &mut Worksheet, at: u32, row: &Row, typing: CellTyping, looks: &mut Looks) -> Result<(), XlsxError> {
    for (column, cell) in (0_u16..).zip(&row.cells) {
        let meaning = cell.meaning.as_ref().filter(|_| typing == CellTyping::Typed);
        match meaning {
            Some(Meaning::Number { value, look, decimals }) => {
                sheet.write_number_with_format(at, column, *value, looks.of(row.kind, &number_format(look, *decimals)))?;
            }
            Some(Meaning::Truth(truth)) => {
                sheet.write_boolean_with_format(at, column, *truth, looks.of(row.kind, ""))?;
            }
            Some(Meaning::Date { date, time }) if YEARS.contains(&date.year()) => {
                let format = if time.is_some() { "yyyy-mm-dd hh:mm" } else { "yyyy-mm-dd" };
                match excel_date(*date, *time) {
                    Some(date) => drop(sheet.write_datetime_with_format(at, column, &date, looks.of(row.kind, format))?),
                    None => write_text(sheet, at, column, cell, looks.of(row.kind, ""))?,
                }
            }
            _ => write_text(sheet, at, column, cell, looks.of(row.kind, ""))?,
        }
    }
    Ok(())
}

/// A text is never looked at: one that begins with `=` is no formula.
fn write_text(sheet: &mut Worksheet, at: u32, column: u16, cell: &Cell, format: &Format) -> Result<(), XlsxError> {
    if cell.text.is_empty() {
        return Ok(());
    }
    if cell.text.encode_utf16().count() > CELL_UNITS {
        return Err(XlsxError::MaxStringLengthExceeded);
    }
    sheet.write_string_with_format(at, column, storable(&cell.text), format).map(drop)
}

/// The text without the two characters that XML cannot hold in any spelling.
fn storable(text: &str) -> String {
    text.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}")
}

fn excel_date(date: Date, time: Option<Time>) -> Option<ExcelDateTime> {
    let number = |found: i8| u8::try_from(found).ok();
    if !YEARS.contains(&date.year()) {
        return None;
    }
    let day = ExcelDateTime::from_ymd(u16::try_from(date.year()).ok()?, number(date.month())?, number(date.day())?).ok()?;
    match time {
        Some(time) => day.and_hms(u16::try_from(time.hour()).ok()?, number(time.minute())?, f64::from(time.second())).ok(),
        None => Some(day),
    }
}

fn number_format(look: &NumberLook, decimals: u32) -> String {
    let places = usize::try_from(decimals).unwrap_or(usize::MAX).min(20);
    let fraction = if places == 0 { String::new() } else { format!(".{}", "0".repeat(places)) };
    match look {
        NumberLook::Plain => String::new(),
        NumberLook::Grouped => format!("#,##0{fraction}"),
        NumberLook::Ungrouped => format!("0{fraction}"),
        NumberLook::Percent => format!("0{fraction}%"),
        NumberLook::Money(code) => format!("#,##0{fraction} [${code}]"),
    }
}

/// The formats of one sheet, each made once.
#[derive(Default)]
struct Looks(HashMap<(bool, bool, String), Format>);

impl Looks {
    fn of(&mut self, kind: RowKind, number_format: &str) -> &Format {
        let is_bold = kind != RowKind::Body;
        let is_sum = matches!(kind, RowKind::Subtotal | RowKind::Total);
        match self.0.entry((is_bold, is_sum, number_format.to_owned())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let mut format = Format::new();
                if is_bold {
                    format = format.set_bold();
                }
                if is_sum {
                    format = format.set_border_top(FormatBorder::Thin);
                }
                if !number_format.is_empty() {
                    format = format.set_num_format(number_format);
                }
                place.insert(format)
            }
        }
    }
}
