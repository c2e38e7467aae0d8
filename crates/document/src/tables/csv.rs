//! Tables as comma-separated values (RFC 4180), one file each, with the texts that the document shows.

use csv::{QuoteStyle, Terminator, WriterBuilder};
use domain::formulas;
use expressions::Meaning;

use super::{Cell, Table, names};
use crate::error::DocumentError;
use crate::limits::Limits;

/// Whether a file begins with the mark by which some spreadsheets tell UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ByteOrderMark {
    /// It does not.
    #[default]
    Absent,
    /// It does.
    Present,
}

/// One table's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CsvFile {
    /// Its name, from the table's id, with its ending; no other file of the same document has it.
    pub name: String,
    /// UTF-8 text with lines that end in CR LF.
    pub bytes: Vec<u8>,
}

/// The tables as files. Every row of a file has as many cells as its widest.
///
/// # Errors
/// [`DocumentError::TooLarge`] where these are more than [`Limits::table_cells`].
pub fn csv_files(tables: &[Table], mark: ByteOrderMark, limits: &Limits) -> Result<Vec<CsvFile>, DocumentError> {
    let cells = tables.iter().fold(0_usize, |cells, table| cells.saturating_add(table.rows.len().saturating_mul(table.width())));
    if cells > limits.table_cells {
        return Err(DocumentError::TooLarge { what: "tables (cells with those that fill rows up)", limit: limits.table_cells as u64 });
    }
    let files = names::of_files(tables, "csv").into_iter().zip(tables).map(|(name, table)| {
        let bytes = written(table, mark).map_err(|_| DocumentError::stopped("the file could not be written"))?;
        Ok(CsvFile { name, bytes })
    });
    files.collect()
}

fn written(table: &Table, mark: ByteOrderMark) -> Result<Vec<u8>, csv::Error> {
    let start = if mark == ByteOrderMark::Present { "\u{FEFF}".as_bytes().to_vec() } else { Vec::new() };
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary).flexible(true).from_writer(start);
    let width = table.width();
    for row in &table.rows {
        for cell in &row.cells {
            if is_formula(cell) {
                writer.write_field(formulas::as_text(&cell.text))?;
            } else {
                writer.write_field(&cell.text)?;
            }
        }
        for _ in row.cells.len()..width {
            writer.write_field("")?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// What a number is written as begins with a minus at most.
fn is_formula(cell: &Cell) -> bool {
    !matches!(cell.meaning, Some(Meaning::Number { .. })) && formulas::is_formula(&cell.text)
}

#[cfg(test)]
mod tests {
    use expressions::NumberLook;

    use super::super::{Row, RowKind};
    use super::*;

    fn text(cells: Vec<Cell>) -> String {
        let rows = vec![Row { kind: RowKind::Body, cells }];
        let files = csv_files(&[Table { id: "t".into(), rows }], ByteOrderMark::Absent, &Limits::default()).unwrap();
        String::from_utf8(files[0].bytes.clone()).unwrap()
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_text_and_a_negative_amount_stays_what_it_is() {
        let cell = |text: &str| Cell { text: text.to_owned(), meaning: None };
        let amount = Cell {
            text: "-1.234,50 €".into(),
            meaning: Some(Meaning::Number { value: -1234.5, look: NumberLook::Money("EUR".into()), decimals: 2 }),
        };
        assert_eq!(
            text(vec![cell("=1+1"), cell("@x"), cell("\tx"), cell("+41 44"), amount, cell("-1.234,50 €")]),
            "'=1+1,'@x,'\tx,'+41 44,\"-1.234,50 €\",\"'-1.234,50 €\"\r\n"
        );
        assert_eq!(
            text(vec![cell("say \"hi\""), cell("a,b"), cell("two\nlines"), cell("")]),
            "\"say \"\"hi\"\"\",\"a,b\",\"two\nlines\",\r\n"
        );
    }
}
