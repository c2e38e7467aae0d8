//! One thing that is wrong with an input, said so that its author can mend it.

use serde::Serialize;

/// A problem at one place of a JSON input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// Where: a JSON Pointer into the input (`/items/0/price`), empty for the whole of it.
    pub path: String,
    /// What is wrong and what would be accepted.
    pub message: String,
    /// A stable machine-readable name of the kind of problem, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

impl Issue {
    /// An issue without a code.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), code: None }
    }

    /// The same issue under a stable name.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
}

/// One more segment of a JSON Pointer, escaped as RFC 6901 says.
pub fn pointer(parent: &str, segment: impl std::fmt::Display) -> String {
    let segment = segment.to_string().replace('~', "~0").replace('/', "~1");
    format!("{parent}/{segment}")
}

/// The names of `known` that a person may have meant by `given`: at most three, within two edits.
pub fn near_names<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|name| (edits(&given.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.chars().count())
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Levenshtein distance; names longer than 64 characters count as far away.
fn edits(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len() > 64 || right.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let substitute = diagonal + usize::from(l != r);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbours_and_a_stranger_finds_none() {
        let known = ["portrait", "landscape"];
        assert_eq!(near_names("portait", known), ["portrait"]);
        assert_eq!(near_names("Landscap", known), ["landscape"]);
        assert!(near_names("upside-down", known).is_empty());
    }

    #[test]
    fn a_pointer_segment_with_slash_and_tilde_is_escaped() {
        assert_eq!(pointer("/a", "b/c~d"), "/a/b~1c~0d");
        assert_eq!(pointer("", 3), "/3");
    }
}
