//! Takes tables down while they are written.

use expressions::Meaning;

use super::{Cell, Row, RowKind, Table};
use crate::error::DocumentError;
use crate::limits::Limits;

/// The tables so far.
#[derive(Debug)]
pub(crate) struct Recorder {
    tables: Vec<Table>,
    place: Place,
    cells_left: usize,
    /// Rows cost something also where they have no cells.
    rows_left: usize,
    limits: (usize, usize),
}

/// Where what is written next belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// To no cell.
    Outside,
    /// To a row that is taken down.
    Row,
    /// To the last cell of that row.
    Cell,
}

impl Recorder {
    pub(crate) fn new(limits: &Limits) -> Self {
        let most = limits.table_cells;
        Self { tables: Vec::new(), place: Place::Outside, cells_left: most, rows_left: most, limits: (limits.tables, most) }
    }

    pub(crate) fn begin_table(&mut self, id: &str) -> Result<(), DocumentError> {
        if self.tables.len() >= self.limits.0 {
            return Err(DocumentError::TooLarge { what: "tables", limit: self.limits.0 as u64 });
        }
        self.place = Place::Outside;
        self.tables.push(Table { id: id.to_owned(), rows: Vec::new() });
        Ok(())
    }

    pub(crate) fn end_table(&mut self) {
        self.place = Place::Outside;
    }

    pub(crate) fn begin_row(&mut self, kind: RowKind) -> Result<(), DocumentError> {
        self.place = Place::Outside;
        if let Some(table) = self.tables.last_mut().filter(|_| kind != RowKind::Carried) {
            self.rows_left =
                self.rows_left.checked_sub(1).ok_or(DocumentError::TooLarge { what: "tables (rows)", limit: self.limits.1 as u64 })?;
            table.rows.push(Row { kind, cells: Vec::new() });
            self.place = Place::Row;
        }
        Ok(())
    }

    /// A cell begins that goes over so many columns; its text is in the first of them.
    pub(crate) fn begin_cell(&mut self, columns: usize) -> Result<(), DocumentError> {
        let Some(row) = self.tables.last_mut().and_then(|table| table.rows.last_mut()).filter(|_| self.place != Place::Outside) else {
            return Ok(());
        };
        self.cells_left =
            self.cells_left.checked_sub(columns).ok_or(DocumentError::TooLarge { what: "tables (cells)", limit: self.limits.1 as u64 })?;
        row.cells.push(Cell::default());
        self.place = Place::Cell;
        Ok(())
    }

    /// The cell ends, and with it the other columns that it goes over.
    pub(crate) fn end_cell(&mut self, columns: usize) {
        if let Some(row) = self.row_of_cell() {
            let width = row.cells.len() + columns.saturating_sub(1);
            row.cells.resize(width, Cell::default());
            self.place = Place::Row;
        }
    }

    /// Whether a text that is written now is that of a cell.
    pub(crate) fn is_in_cell(&self) -> bool {
        self.place == Place::Cell
    }

    /// Adds to the cell. What is put together of several texts is only text.
    pub(crate) fn add(&mut self, text: &str, meaning: Option<Meaning>) {
        if let Some(cell) = self.row_of_cell().and_then(|row| row.cells.last_mut()) {
            cell.meaning = meaning.filter(|_| cell.text.is_empty());
            cell.text.push_str(text);
        }
    }

    /// Adds a line to a cell of text. A number, an amount or a date stays one, without what is said about it.
    pub(crate) fn add_below(&mut self, text: &str) {
        if let Some(cell) = self.row_of_cell().and_then(|row| row.cells.last_mut()).filter(|cell| cell.meaning.is_none()) {
            cell.text.push('\n');
            cell.text.push_str(text);
        }
    }

    fn row_of_cell(&mut self) -> Option<&mut Row> {
        let row = self.tables.last_mut()?.rows.last_mut();
        row.filter(|_| self.place == Place::Cell)
    }

    pub(crate) fn finish(self) -> Vec<Table> {
        self.tables
    }
}
