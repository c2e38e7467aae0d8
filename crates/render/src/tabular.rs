//! Documents that are made of tables alone: no browser is asked for them.

use std::sync::atomic::AtomicBool;

use document::tables::{Table, TableChoice, WorkbookFacts, choose, csv_files, workbook};
use document::{Limits, Written};
use jiff::Timestamp;

use crate::error::RenderError;
use crate::format_options::FormatOptions;
use crate::request::{FileKind, Format};
use crate::several;

/// What is to be made of a document's tables.
pub(crate) struct TabularOrder {
    /// CSV or XLSX.
    format: Format,
    options: FormatOptions,
}

/// A file that needs no browser.
pub(crate) struct TabularFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: FileKind,
}

impl TabularOrder {
    /// None of a format that is more than tables.
    pub(crate) fn of(format: Format, options: &FormatOptions) -> Option<Self> {
        matches!(format, Format::Csv | Format::Xlsx).then(|| Self { format, options: options.clone() })
    }

    /// The file: of CSV one table's, or an archive where all are wanted and there are several; of XLSX a workbook with a sheet for each.
    pub(crate) fn file(
        &self,
        tables: Vec<Table>,
        written: &Written,
        now: Timestamp,
        limits: &Limits,
        cancelled: &AtomicBool,
    ) -> Result<TabularFile, RenderError> {
        let id = self.options.table_id.as_deref();
        if self.format == Format::Xlsx {
            let tables = choose(tables, id, TableChoice::All)?;
            let facts = WorkbookFacts { metadata: &written.metadata, now, cancelled: Some(cancelled) };
            return Ok(TabularFile { bytes: workbook(&tables, self.options.xlsx, &facts)?, kind: FileKind::XLSX });
        }
        let tables = choose(tables, id, self.options.csv.tables)?;
        let mut files = csv_files(&tables, self.options.csv.mark, limits)?;
        if files.len() == 1
            && let Some(file) = files.pop()
        {
            return Ok(TabularFile { bytes: file.bytes, kind: FileKind::CSV });
        }
        Ok(TabularFile { bytes: several::packed(files.into_iter().map(|file| (file.name, file.bytes)))?, kind: FileKind::ZIP })
    }
}
