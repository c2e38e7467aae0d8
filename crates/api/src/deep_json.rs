//! Where a body is nested deeper than is read: the place, and the node of a template that stands there.

use domain::Issue;
use serde_json::Value;

use crate::error::ApiError;

/// Lists and objects inside each other, that of the body among them: what serde_json reads, whose reader recurses.
const LEVELS: usize = 127;

/// The refusal of a body that is nested too deep.
pub(crate) fn refused(bytes: &[u8]) -> ApiError {
    let said = format!("the body has lists and objects nested deeper than the {LEVELS} levels accepted");
    let Some((path, upper)) = upper_part(bytes).map(|upper| (deepest(&upper), upper)) else { return ApiError::bad_request(said) };
    let issue = Issue::new(path.clone(), format!("nested deeper than the {LEVELS} levels of lists and objects accepted"));
    let node = path.find("/document/").and_then(|at| document::node_at(upper.pointer(&path[..at])?, &path[at..]));
    let (said, issue) = match node {
        Some(node) => {
            let id = node.node_id.as_deref().unwrap_or_default();
            (format!("{said}; the node \"{id}\" ({}) is the last above them", last_of(&node.node_path)), issue.about(node))
        }
        None => (said, issue),
    };
    ApiError::bad_request(said).with_issues(vec![issue])
}

/// The last step of a breadcrumb.
fn last_of(breadcrumb: &str) -> &str {
    breadcrumb.rsplit(" > ").next().unwrap_or_default()
}

/// The body up to the first list or object that is too deep, with null in its place.
fn upper_part(bytes: &[u8]) -> Option<Value> {
    let (mut open, mut in_string, mut escaped) = (Vec::with_capacity(LEVELS), false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' if open.len() == LEVELS => {
                let mut upper = bytes[..at].to_vec();
                upper.extend_from_slice(b"null");
                upper.extend(open.iter().rev());
                return serde_json::from_slice(&upper).ok();
            }
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' => drop(open.pop()),
            _ => {}
        }
    }
    None
}

/// The pointer of what stands last.
fn deepest(upper: &Value) -> String {
    let (mut here, mut path) = (upper, String::new());
    loop {
        let last = match here {
            Value::Array(items) => items.iter().enumerate().next_back().map(|(index, item)| (index.to_string(), item)),
            Value::Object(members) => members.iter().next_back().map(|(name, member)| (name.clone(), member)),
            _ => None,
        };
        let Some((name, inner)) = last else { return path };
        path.push_str(&domain::issues::pointer("", name));
        here = inner;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_accepted_are_those_that_are_read_and_the_place_is_the_first_beyond() {
        for (levels, is_read) in [(LEVELS, true), (LEVELS + 1, false), (100_000, false)] {
            let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            assert_eq!(serde_json::from_str::<Value>(&text).is_ok(), is_read, "{levels}");
            assert_eq!(upper_part(text.as_bytes()).is_none(), is_read, "{levels}");
        }
        let deep = "[".repeat(200);
        let text = format!("{{\"[{{\\\"\": [1, {{\"]\": 2}}], \"a/b\": [0, {deep}");
        assert_eq!(deepest(&upper_part(text.as_bytes()).unwrap()), format!("/a~1b/1{}", "/0".repeat(LEVELS - 2)));
    }
}
