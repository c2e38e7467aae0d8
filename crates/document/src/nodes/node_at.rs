//! Which node a pointer into a definition leads to, for what is said about it before it is read.

use domain::issues::IssueNode;
use serde_json::Value;

use super::KINDS;
use super::tree::label;

/// The innermost node on the way of a JSON Pointer into a definition; none where it leads to no node. The root is none of them.
pub fn node_at(definition: &Value, path: &str) -> Option<IssueNode> {
    let mut here = definition.get("document").filter(|_| path.starts_with("/document/"))?;
    let (mut labels, mut found) = (Vec::new(), None);
    for segment in path.split('/').skip(2) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        let inner = match here {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?)?,
            Value::Object(members) => match members.get(&name) {
                Some(inner) => inner,
                None => break,
            },
            _ => break,
        };
        let kind = inner.get("type").and_then(Value::as_str);
        if let (Value::Array(siblings), Some(kind)) = (here, kind) {
            let count =
                siblings.iter().take_while(|sibling| !std::ptr::eq(*sibling, inner)).filter(|sibling| sibling["type"] == kind).count();
            let known = if KINDS.iter().any(|(shape, _)| shape.what == kind) { kind } else { "node" };
            labels.push(label(known, count + 1, inner.get("title").and_then(Value::as_str)));
            found = Some(inner);
        }
        here = inner;
    }
    let node = found?;
    let word = |name: &str| node.get(name).and_then(Value::as_str);
    Some(IssueNode::new(word("id"), word("type"), labels.join(" > ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_leads_to_the_innermost_node_on_its_way() {
        let definition = json!({"document": {"id": "root", "type": "document", "children": [
            {"id": "a", "type": "text", "content": "x"},
            {"id": "s", "type": "section", "title": "Body", "children": [
                {"id": "l", "type": "list", "entries": [{"content": "x", "children": [{"id": "c", "type": "component", "component": 5}]}]}]}]}});
        let node = node_at(&definition, "/document/children/1/children/0/entries/0/children/0/component").unwrap();
        assert_eq!((node.node_id.as_deref(), node.node_path.as_str()), (Some("c"), "Section 'Body' > List 1 > Component 1"));
        let node = node_at(&definition, "/document/children/0/contents/9").unwrap();
        assert_eq!((node.node_type.as_deref(), node.node_path.as_str()), (Some("text"), "Text 1"));
        for path in ["/document/children", "/document", "/theme", "/document/children/7/content", ""] {
            assert_eq!(node_at(&definition, path), None, "{path}");
        }
    }
}
