//! Reading the parts of a schedule field by field, so that everything that is wrong is named at once.

use serde_json::{Map, Value};

use crate::invisible::is_invisible;
use crate::issues::{Issue, near_names, pointer};

/// An object that is read, where it stands, and what was wrong so far.
pub(crate) struct Fields<'a> {
    given: &'a Map<String, Value>,
    path: String,
    issues: Vec<Issue>,
}

impl<'a> Fields<'a> {
    /// The object at `path`, or the issue that it is none.
    pub(crate) fn of(value: &'a Value, path: &str, example: &str) -> Result<Self, Vec<Issue>> {
        let given = value.as_object().ok_or_else(|| vec![Issue::new(path, format!("must be an object such as {example}"))])?;
        Ok(Self { given, path: path.to_owned(), issues: Vec::new() })
    }

    /// A field that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.given.get(name).filter(|value| !value.is_null())
    }

    /// Where a field stands.
    pub(crate) fn path(&self, name: &str) -> String {
        pointer(&self.path, name)
    }

    /// Says what is wrong with a field.
    pub(crate) fn refuse(&mut self, name: &str, why: impl Into<String>) {
        self.issues.push(Issue::new(self.path(name), why));
    }

    /// Takes over what was found wrong further inside.
    pub(crate) fn take<T>(&mut self, read: Result<T, Vec<Issue>>) -> Option<T> {
        read.map_err(|issues| self.issues.extend(issues)).ok()
    }

    /// Refuses names that mean nothing here.
    pub(crate) fn refuse_unknown(&mut self, known: &[&str]) {
        for name in self.given.keys().filter(|name| !known.contains(&name.as_str())) {
            let near = near_names(name, known.iter().copied());
            let hint = near.first().map_or_else(|| format!("accepted: {}", known.join(", ")), |near| format!("did you mean \"{near}\"?"));
            self.issues.push(Issue::new(pointer(&self.path, name), format!("is not known here; {hint}")));
        }
    }

    /// A text of 1 to `most` characters. Line breaks are for `lines` alone.
    pub(crate) fn text(&mut self, name: &str, most: usize) -> Option<String> {
        self.checked_text(name, most, |character| !is_invisible(character), "on one line")
    }

    /// A text of 1 to `most` characters that may have several lines.
    pub(crate) fn lines(&mut self, name: &str, most: usize) -> Option<String> {
        self.checked_text(name, most, |character| matches!(character, '\n' | '\r' | '\t') || !character.is_control(), "")
    }

    fn checked_text(&mut self, name: &str, most: usize, fits: impl Fn(char) -> bool, also: &str) -> Option<String> {
        let value = self.get(name)?;
        let found = value.as_str().filter(|text| !text.trim().is_empty() && text.chars().count() <= most && text.chars().all(fits));
        if found.is_none() {
            let also = if also.is_empty() { String::new() } else { format!(", {also}") };
            self.refuse(name, format!("must be text of 1 to {most} characters{also}"));
        }
        found.map(str::to_owned)
    }

    /// As [`Fields::text`], where it has to be there.
    pub(crate) fn needed_text(&mut self, name: &str, most: usize, example: &str) -> Option<String> {
        if self.get(name).is_none() {
            self.refuse(name, format!("is missing; accepted: text such as {example:?}"));
            return None;
        }
        self.text(name, most)
    }

    /// True or false.
    pub(crate) fn switch(&mut self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        let found = value.as_bool();
        if found.is_none() {
            self.refuse(name, "must be true or false");
        }
        found
    }

    /// A whole number within bounds.
    pub(crate) fn whole(&mut self, name: &str, accepted: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(name)?;
        let found = value.as_u64().filter(|number| accepted.contains(number));
        if found.is_none() {
            self.refuse(name, format!("must be a whole number from {} to {}", accepted.start(), accepted.end()));
        }
        found
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.get(name)?;
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text)).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let accepted: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.refuse(name, format!("accepted: {}", accepted.join(", ")));
        }
        found
    }

    /// Names and texts, in their order.
    pub(crate) fn texts(&mut self, name: &str, most: usize, most_chars: usize) -> Vec<(String, String)> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let Some(given) = value.as_object().filter(|given| given.len() <= most) else {
            self.refuse(name, format!("must be an object of up to {most} names with texts"));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (key, value) in given {
            let text = value.as_str().filter(|text| text.chars().count() <= most_chars && !text.contains(['\r', '\n', '\0']));
            if let Some(text) = text {
                texts.push((key.clone(), text.to_owned()));
            } else {
                let path = pointer(&self.path(name), key);
                self.issues.push(Issue::new(path, format!("must be text of up to {most_chars} characters, on one line")));
            }
        }
        texts
    }

    /// What was read, unless something was wrong.
    pub(crate) fn end<T>(self, read: T) -> Result<T, Vec<Issue>> {
        if self.issues.is_empty() { Ok(read) } else { Err(self.issues) }
    }

    /// The same, for what may not have been readable; it is an issue then.
    pub(crate) fn end_with<T>(self, read: Option<T>) -> Result<T, Vec<Issue>> {
        match (self.issues.is_empty(), read) {
            (true, Some(read)) => Ok(read),
            (true, None) => Err(vec![Issue::new(self.path, "cannot be read")]),
            (false, _) => Err(self.issues),
        }
    }
}
