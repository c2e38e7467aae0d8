//! Gathers what is wrong with an input, up to a limit, instead of stopping at the first problem.

use domain::Issue;
use domain::issues::near_names;

/// The list so far.
pub(crate) struct Issues {
    list: Vec<Issue>,
    limit: usize,
    left_out: usize,
}

impl Issues {
    pub(crate) fn new(limit: usize) -> Self {
        Self { list: Vec::new(), limit, left_out: 0 }
    }

    pub(crate) fn push(&mut self, issue: Issue) {
        self.push_with(|| issue);
    }

    /// The same for an issue that is not worth making where it is left out.
    pub(crate) fn push_with(&mut self, issue: impl FnOnce() -> Issue) {
        if self.list.len() < self.limit {
            self.list.push(issue());
        } else {
            self.left_out += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All issues; where some were left out, the last one says how many.
    pub(crate) fn into_list(mut self) -> Vec<Issue> {
        if self.left_out > 0 {
            self.list.push(Issue::new("", format!("{} more problems are not listed", self.left_out)));
        }
        self.list
    }
}

/// `; did you mean "content"?` or nothing, then what is accepted.
pub(crate) fn hint<'a>(given: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let near = near_names(given, known.clone());
    let accepted: Vec<&str> = known.into_iter().collect();
    let hint = near.first().map_or_else(|| ";".to_owned(), |near| format!("; did you mean \"{near}\"?"));
    format!("{hint} accepted: {}", accepted.join(", "))
}

/// At most 60 characters of a value, for messages.
pub(crate) fn short(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(_) => "an object".into(),
        serde_json::Value::Array(_) => "a list".into(),
        other => clip(&other.to_string(), 60),
    }
}

/// At most `max` characters of `text`.
pub(crate) fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
