//! JSON arrays of objects in a setting, such as keys and users: every mistake is named by its index and field.
//!
//! No text of the array is ever repeated: a secret may stand in the wrong field, or be the name of one.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::declaration::Setting;
use super::forms::{is_word, one_of};
use super::problems::Problem;
use super::secrets::Secret;
use super::settings::MIN_KEY_CHARS;

/// More objects than this belong into the database.
const MOST_ENTRIES: usize = 10_000;
/// Each request that a limit decides about walks its list.
const MOST_VALUES: usize = 256;

/// Reads every object of the array that a setting holds. Those with a problem are left out, so that the result counts
/// only where there was none.
pub fn read<T>(setting: &Setting, text: &str, problems: &mut Vec<Problem>, mut entry: impl FnMut(&mut Entry<'_>) -> Option<T>) -> Vec<T> {
    let mut refuse = |found: String| problems.push(Problem { name: setting.name.to_owned(), found, accepted: setting.form.accepted() });
    let entries = match serde_json::from_str(text) {
        Ok(Value::Array(entries)) if entries.len() <= MOST_ENTRIES => entries,
        Ok(Value::Array(entries)) => {
            refuse(format!("found {} objects, and {MOST_ENTRIES} are the most", entries.len()));
            return Vec::new();
        }
        Ok(other) => {
            refuse(format!("found {} instead of an array", kind(&other)));
            return Vec::new();
        }
        Err(error) => {
            refuse(format!("found no JSON: the mistake is in line {}, column {}", error.line(), error.column()));
            return Vec::new();
        }
    };
    let mut ids = BTreeSet::new();
    let mut read = Vec::new();
    for (index, value) in entries.iter().enumerate() {
        let Value::Object(fields) = value else {
            problems.push(Problem {
                name: format!("{}[{index}]", setting.name),
                found: format!("found {}", kind(value)),
                accepted: "an object".to_owned(),
            });
            continue;
        };
        read.extend(entry(&mut Entry { setting: setting.name, index, fields, ids: &mut ids, problems }));
    }
    read
}

/// One object of the array.
pub struct Entry<'a> {
    setting: &'static str,
    index: usize,
    fields: &'a Map<String, Value>,
    ids: &'a mut BTreeSet<String>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Entry<'a> {
    /// Where a field stands: `API_KEYS_JSON[2].scope`.
    pub fn place(&self, field: &str) -> String {
        format!("{}[{}].{field}", self.setting, self.index)
    }

    /// Says what is wrong with a field, without its text.
    pub fn refuse(&mut self, field: &str, found: impl Into<String>, accepted: impl Into<String>) {
        self.problems.push(Problem { name: self.place(field), found: found.into(), accepted: accepted.into() });
    }

    /// Where other checks put their problems.
    pub fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// Refuses every field that is none of `known`: one that is misspelt would be a limit without effect.
    pub fn only(&mut self, known: &[&str]) {
        let strangers: Vec<&String> = self.fields.keys().filter(|name| !known.contains(&name.as_str())).collect();
        for name in strangers {
            let near = known.iter().find(|known| strsim::osa_distance(known, name) <= 2);
            let accepted = near.map_or_else(|| one_of(known), |near| format!("perhaps {near} was meant"));
            let name = format!("{}[{}]", self.setting, self.index);
            self.problems.push(Problem { name, found: "found a field that there is not".to_owned(), accepted });
        }
    }

    /// The `id`: like the part of a path, and no other entry's.
    pub fn id(&mut self) -> Option<String> {
        const ACCEPTED: &str = "1 to 64 characters of a-z, A-Z, 0-9, '-', '_', '.' and '@', beginning with a letter or digit";
        let id = self.text("id", ACCEPTED, |text| {
            let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@'));
            letters && text.len() <= 64 && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        })?;
        if self.ids.insert(id.to_owned()) {
            return Some(id.to_owned());
        }
        self.refuse("id", "found the id of an entry before it", "an id of its own");
        None
    }

    /// The `key`, as strong as those that have settings of their own.
    pub fn key(&mut self) -> Option<Secret> {
        let accepted = format!("at least {MIN_KEY_CHARS} printable characters without spaces");
        self.text("key", &accepted, |text| is_word(text) && text.chars().count() >= MIN_KEY_CHARS).map(Secret::new)
    }

    /// A text that must be there and pass a check.
    pub fn text(&mut self, field: &str, accepted: &str, check: impl Fn(&str) -> bool) -> Option<&'a str> {
        if self.value(field).is_none() {
            self.refuse(field, "not there", accepted);
            return None;
        }
        self.optional_text(field, accepted, check)
    }

    /// A text that passes a check where it is there.
    pub fn optional_text(&mut self, field: &str, accepted: &str, check: impl Fn(&str) -> bool) -> Option<&'a str> {
        match self.value(field)? {
            Value::String(text) if check(text) => Some(text),
            other => {
                self.refuse(field, format!("found {}", kind(other)), accepted);
                None
            }
        }
    }

    /// The value that an optional text means.
    pub fn optional<T: FromStr>(&mut self, field: &str, accepted: &str) -> Option<T> {
        self.optional_text(field, accepted, |text| text.parse::<T>().is_ok())?.parse().ok()
    }

    /// A whole number of up to `most`, where it is there.
    pub fn number(&mut self, field: &str, most: u32) -> Option<u32> {
        let value = self.value(field)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number <= most);
        if number.is_none() {
            self.refuse(field, format!("found {}", kind(value)), format!("a whole number from 0 to {most}"));
        }
        number
    }

    /// The values that the texts of an optional list mean. An empty list would read as "nothing" to some and as
    /// "everything" to others, and is refused where it would be a limit.
    pub fn limits<T: FromStr>(&mut self, field: &str, accepted: &str) -> Vec<T> {
        let list = self.list(field, accepted);
        if list.is_empty() && self.value(field).is_some_and(|value| value.as_array().is_some_and(Vec::is_empty)) {
            self.refuse(field, "found an empty list", format!("{accepted}; leave the field out where there is no limit"));
        }
        list
    }

    /// The values that the texts of an optional list mean.
    pub fn list<T: FromStr>(&mut self, field: &str, accepted: &str) -> Vec<T> {
        let values = match self.value(field) {
            None => return Vec::new(),
            Some(Value::Array(values)) if values.len() <= MOST_VALUES => values,
            Some(Value::Array(values)) => {
                self.refuse(field, format!("found {} values, and {MOST_VALUES} are the most", values.len()), accepted);
                return Vec::new();
            }
            Some(other) => {
                self.refuse(field, format!("found {}", kind(other)), accepted);
                return Vec::new();
            }
        };
        let mut list = Vec::new();
        for (index, value) in values.iter().enumerate() {
            match value.as_str().and_then(|text| text.parse().ok()) {
                Some(value) => list.push(value),
                None => self.refuse(&format!("{field}[{index}]"), format!("found {}", kind(value)), accepted),
            }
        }
        list
    }

    /// A yes or no, `otherwise` where it is not there.
    pub fn flag(&mut self, field: &str, otherwise: Flag) -> Flag {
        match self.value(field) {
            None => otherwise,
            Some(Value::Bool(true)) => Flag::Yes,
            Some(Value::Bool(false)) => Flag::No,
            Some(other) => {
                self.refuse(field, format!("found {}", kind(other)), "true or false");
                otherwise
            }
        }
    }

    /// A field; null counts as not there.
    fn value(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }
}

/// A yes or no of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// true
    Yes,
    /// false
    No,
}

/// What a value is, without saying what is in it.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) => format!("a text (hidden) of {} characters", text.chars().count()),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
