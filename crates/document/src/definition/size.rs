//! How large a definition is, and what in it is large.

use std::io;

use domain::Issue;
use domain::issues::pointer;
use serde_json::Value;

use crate::error::DocumentError;
use crate::limits::Limits;
use crate::nodes::node_at;

/// A text is told as the cause where it is at least this part of the limit.
const CAUSE: usize = 4;

/// Refuses a definition with more bytes than are accepted; a text that is most of it is told with its place.
pub(crate) fn check(definition: &Value, limits: &Limits) -> Result<(), DocumentError> {
    let mut size = Size(0);
    // Counting does not fail.
    let _ = serde_json::to_writer(&mut size, definition);
    let limit = limits.definition_bytes;
    if size.0 <= limit {
        return Ok(());
    }
    let said = format!("the definition has {} bytes as JSON; accepted: up to {limit}", size.0);
    let (path, length) = longest_text(definition);
    if length < limit / CAUSE {
        return Err(DocumentError::Definition(vec![Issue::new("", said)]));
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let node = node_at(definition, &path);
    let at = node.as_ref().map(|node| format!("{}: ", node.node_path)).unwrap_or_default();
    let issue =
        Issue::new(path.clone(), format!("{at}{said}, and {length} of them are \"{name}\"; large pictures and fonts belong into assets"));
    Err(DocumentError::Definition(vec![match node {
        Some(node) => issue.about(node),
        None => issue,
    }]))
}

/// Where the longest text stands, and its bytes.
fn longest_text(definition: &Value) -> (String, usize) {
    let (mut open, mut longest) = (vec![(String::new(), definition)], (String::new(), 0));
    while let Some((path, value)) = open.pop() {
        match value {
            Value::String(text) if text.len() > longest.1 => longest = (path, text.len()),
            Value::Array(items) => open.extend(items.iter().enumerate().map(|(index, item)| (pointer(&path, index), item))),
            Value::Object(members) => open.extend(members.iter().map(|(name, member)| (pointer(&path, name), member))),
            _ => {}
        }
    }
    longest
}

/// Bytes that were written.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
