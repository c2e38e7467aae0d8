//! The tables of a document as rows of cells, and the files that are made of them without any browser.
//!
//! Tables are recorded while the document's HTML is written, so that what repeats, is left out or is added up is the same in every format.

mod choice;
mod csv;
mod html;
mod names;
mod recorder;
mod xlsx;

use expressions::Meaning;

pub use choice::{TableChoice, choose};
pub use csv::{ByteOrderMark, CsvFile, csv_files};
pub(crate) use html::tables_of_html;
pub(crate) use recorder::Recorder;
pub use xlsx::{CellTyping, SheetLayout, WorkbookFacts, XlsxOptions, workbook};

/// One table of a document, as it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The id of its node; of a table of an HTML template its `id`, or `table-` and its number from 1.
    pub id: String,
    /// Its rows from the top, without the lines that carry sums from page to page.
    pub rows: Vec<Row>,
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is there for.
    pub kind: RowKind,
    /// Its cells from the left; the last ones of a table's columns may be missing.
    pub cells: Vec<Cell>,
}

/// What a row is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Names the columns.
    Head,
    /// An item of the data.
    Body,
    /// Names a group of rows.
    Group,
    /// What a group comes to.
    Subtotal,
    /// What the table comes to.
    Total,
    /// What a page comes to: not recorded, as only paper has pages.
    Carried,
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// As the document shows it.
    pub text: String,
    /// What that is a spelling of; none of a text that is only text.
    pub meaning: Option<Meaning>,
}

impl Table {
    /// Cells of its longest row.
    pub fn width(&self) -> usize {
        self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0)
    }
}
