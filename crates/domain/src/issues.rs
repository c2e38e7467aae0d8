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
    /// The node of a template that it is about, where it is about one.
    #[serde(flatten)]
    pub node: Option<Box<IssueNode>>,
}

/// A node of a template as its author knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssueNode {
    /// Its id, cut past 200 characters; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// Its type as it is written, cut past 200 characters; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_type: Option<String>,
    /// The way to it, such as `Section 'Body' > Text 1`, cut past 1,000 characters.
    pub node_path: String,
}

impl IssueNode {
    /// A node of that id, type and breadcrumb.
    pub fn new(id: Option<&str>, kind: Option<&str>, path: String) -> Self {
        let name = |text: &str| text.chars().take(NAME_CHARACTERS).collect();
        Self { node_id: id.map(name), node_type: kind.map(name), node_path: clipped_message(path) }
    }
}

impl Issue {
    /// An issue without a code. What of an input is repeated in it is cut: names in the path past 200 characters, the
    /// path past 2,000 and the message past 1,000.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: clipped_path(path.into()), message: clipped_message(message.into()), code: None, node: None }
    }

    /// The same issue under a stable name.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same issue about this node.
    #[must_use]
    pub fn about(mut self, node: IssueNode) -> Self {
        self.node = Some(Box::new(node));
        self
    }
}

/// Issues of one input that are listed.
pub const MAX_ISSUES: usize = 100;

/// Characters of one name in a path.
const NAME_CHARACTERS: usize = 200;
/// Characters of a path: a hundred levels of a tree.
const PATH_CHARACTERS: usize = 2_000;
/// Characters of a message.
const MESSAGE_CHARACTERS: usize = 1_000;

fn clipped_path(path: String) -> String {
    if path.len() <= NAME_CHARACTERS {
        return path;
    }
    let mut out = String::with_capacity(path.len().min(4 * PATH_CHARACTERS));
    let (mut in_name, mut in_path) = (0, 0);
    for character in path.chars() {
        in_name = if character == '/' { 0 } else { in_name + 1 };
        if in_name > NAME_CHARACTERS + 1 {
            continue;
        }
        if in_path == PATH_CHARACTERS {
            out.push('…');
            break;
        }
        out.push(if in_name > NAME_CHARACTERS { '…' } else { character });
        in_path += 1;
    }
    out
}

/// At most 1,000 characters of a message: its beginning, which says where, and its end, which says what is accepted.
pub fn clipped_message(message: String) -> String {
    if message.len() <= MESSAGE_CHARACTERS {
        return message;
    }
    let half = MESSAGE_CHARACTERS / 2;
    let begins = message.char_indices().nth(half).map(|(at, _)| at);
    let ends = message.char_indices().nth_back(half - 1).map(|(at, _)| at);
    match (begins, ends) {
        (Some(begins), Some(ends)) if begins < ends => format!("{}…{}", &message[..begins], &message[ends..]),
        _ => message,
    }
}

/// One more segment of a JSON Pointer, escaped as RFC 6901 says.
pub fn pointer(parent: &str, segment: impl std::fmt::Display) -> String {
    let segment = segment.to_string().replace('~', "~0").replace('/', "~1");
    format!("{parent}/{segment}")
}

/// The names of `known` that a person may have meant by `given`: at most three, within two edits.
pub fn near_names<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // Nothing known is that long.
    if given.len() > 4 * 64 {
        return Vec::new();
    }
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
    fn an_issue_stays_short_whatever_it_is_about() {
        let long = "ü".repeat(100_000);
        let issue = Issue::new(format!("/a/{long}/b"), format!("begin {long} end"));
        assert_eq!(issue.path, format!("/a/{}…/b", "ü".repeat(200)));
        assert_eq!(issue.message.chars().count(), 1001);
        assert!(issue.message.starts_with("begin ") && issue.message.ends_with(" end"));
        assert_eq!(Issue::new("/a/".repeat(10_000), "").path.chars().count(), 2001);
        let short = Issue::new("/a/b", "ü".repeat(1000));
        assert_eq!((short.path.as_str(), short.message), ("/a/b", "ü".repeat(1000)));
    }

    #[test]
    fn a_pointer_segment_with_slash_and_tilde_is_escaped() {
        assert_eq!(pointer("/a", "b/c~d"), "/a/b~1c~0d");
        assert_eq!(pointer("", 3), "/3");
    }
}
