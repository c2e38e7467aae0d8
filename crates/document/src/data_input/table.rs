//! The columns of a table.

use std::collections::HashMap;

use crate::data_input::issues::shown;
use crate::data_input::meter::Meter;
use crate::data_input::options::NAME_CHARS;
use crate::error::DocumentError;

/// Which column has which name; columns without a name that nothing stands under are not in it.
#[derive(Debug)]
pub struct Columns(Vec<String>);

impl Columns {
    /// `column1`, `column2` and so on.
    pub fn numbered(count: usize) -> Self {
        Self((0..count).map(numbered).collect())
    }

    /// Columns by the words above them, which stand at `place` in the file.
    pub fn named(names: impl Iterator<Item = (usize, String)>, place: &str, meter: &mut Meter<'_>) -> Result<Self, DocumentError> {
        let mut columns = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (index, given) in names {
            let trimmed = given.trim();
            if trimmed.chars().count() > NAME_CHARS {
                let said = format!("{place}: the name of column {} has more than {NAME_CHARS} characters", index + 1);
                return Err(meter.invalid(said));
            }
            let name = if trimmed.is_empty() {
                meter.warn(|| format!("{place}: column {} has no name and is called {}", index + 1, numbered(index)));
                numbered(index)
            } else {
                trimmed.to_owned()
            };
            if let Some(other) = known.insert(name.clone(), index) {
                let said = format!("{place}: the columns {} and {} have the same name \"{}\"", other + 1, index + 1, shown(&name));
                return Err(meter.invalid(said));
            }
            columns.push(name);
        }
        Ok(Self(columns))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each with its number, counted from 0.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.iter().map(String::as_str).enumerate()
    }
}

fn numbered(index: usize) -> String {
    format!("column{}", index + 1)
}
