//! Which of a document's tables are wanted.

use super::Table;
use crate::error::DocumentError;
use crate::issues::clip;

/// Ids that a refusal names.
const NAMED: usize = 20;
/// Characters of an id that a refusal repeats.
const SHOWN_CHARACTERS: usize = 128;

/// How many tables are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TableChoice {
    /// One: of several one has to be named.
    #[default]
    One,
    /// All there are.
    All,
}

/// The tables that are wanted: those of the node `id`, or all.
///
/// # Errors
/// [`DocumentError::NoTables`] of a document without any, [`DocumentError::UnknownTable`] where none is of that node, and
/// [`DocumentError::AmbiguousTable`] where one is wanted and there are several.
pub fn choose(mut tables: Vec<Table>, id: Option<&str>, choice: TableChoice) -> Result<Vec<Table>, DocumentError> {
    if tables.is_empty() {
        return Err(DocumentError::NoTables);
    }
    if let Some(id) = id {
        let known = ids(&tables);
        tables.retain(|table| table.id == id);
        if tables.is_empty() {
            return Err(DocumentError::UnknownTable { id: clip(id, SHOWN_CHARACTERS), known });
        }
    }
    if choice == TableChoice::One && tables.len() > 1 {
        return Err(DocumentError::AmbiguousTable { count: tables.len(), known: ids(&tables) });
    }
    Ok(tables)
}

/// The different ids, as many as a refusal names.
fn ids(tables: &[Table]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for table in tables {
        if ids.len() < NAMED && !ids.contains(&table.id) {
            ids.push(clip(&table.id, SHOWN_CHARACTERS));
        }
    }
    ids
}
