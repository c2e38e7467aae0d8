//! What the writer tells of tables, for formats that are made of them alone.

use expressions::{Escape, Scope};

use super::{Writer, escape_into};
use crate::error::DocumentError;
use crate::fields::Text;
use crate::tables::{Recorder, RowKind, Table};

/// Whether tables are taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recording {
    /// Only the HTML is wanted.
    Off,
    /// The tables are wanted too.
    On,
}

impl Writer<'_> {
    /// The same, taking tables down or not.
    pub(crate) fn with_recording(mut self, recording: Recording) -> Self {
        self.recorder = (recording == Recording::On).then(|| Recorder::new(self.limits));
        self
    }

    /// A table of the innermost node begins.
    pub(crate) fn begin_table(&mut self) -> Result<(), DocumentError> {
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        let id = self.path.last().map_or(self.place, |node| &node.id);
        recorder.begin_table(id)
    }

    pub(crate) fn end_table(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.end_table();
        }
    }

    pub(crate) fn begin_row(&mut self, kind: RowKind) -> Result<(), DocumentError> {
        self.recorder.as_mut().map_or(Ok(()), |recorder| recorder.begin_row(kind))
    }

    /// A cell over so many columns; the texts that `write` writes are its text.
    pub(crate) fn cell(&mut self, columns: usize, write: impl FnOnce(&mut Self) -> Result<(), DocumentError>) -> Result<(), DocumentError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.begin_cell(columns)?;
        }
        write(self)?;
        if let Some(recorder) = &mut self.recorder {
            recorder.end_cell(columns);
        }
        Ok(())
    }

    pub(super) fn is_in_cell(&self) -> bool {
        self.recorder.as_ref().is_some_and(Recorder::is_in_cell)
    }

    /// Writes a text as ever, and takes it down with what it is a spelling of.
    pub(super) fn text_of_cell(&mut self, text: &Text, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let mut shown = String::new();
        self.run.set_escape(Escape::None);
        let rendered = text.template.render_with_meaning(scope, &mut self.run, &mut shown);
        escape_into(&shown, &mut self.out);
        let (meaning, rendered) = match rendered {
            Ok(meaning) => (meaning, Ok(())),
            Err(error) => (None, Err(error)),
        };
        if let Some(recorder) = &mut self.recorder {
            recorder.add(&shown, meaning);
        }
        self.or_note(rendered, &text.property)
    }

    /// A smaller line below the text of a cell; nothing at all where it is blank.
    pub(crate) fn detail(&mut self, text: &Text, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let mut shown = String::new();
        self.run.set_escape(Escape::None);
        let rendered = text.template.render(scope, &mut self.run, &mut shown);
        if !shown.trim().is_empty() {
            self.push("<small>");
            escape_into(&shown, &mut self.out);
            self.push("</small>");
            if let Some(recorder) = &mut self.recorder {
                recorder.add_below(&shown);
            }
        }
        self.or_note(rendered, &text.property)
    }

    /// The tables so far.
    pub(crate) fn take_tables(&mut self) -> Vec<Table> {
        self.recorder.take().map_or_else(Vec::new, Recorder::finish)
    }
}
