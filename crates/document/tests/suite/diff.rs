//! What changed between two definitions.

use std::time::{Duration, Instant};

use document::diff::{NodeChangeKind, TemplateDiff, diff};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::tree;

/// Every change of a node as `kind id from -> to property…`.
fn nodes(found: &TemplateDiff) -> Vec<String> {
    let path = |path: &Option<String>| path.clone().unwrap_or_else(|| "-".into());
    let each = found.document_changes.iter().map(|change| {
        let properties: String = change.properties.iter().flatten().fold(String::new(), |all, property| all + " " + &property.path);
        format!("{:?} {} {} -> {}{properties}", change.kind, change.node_id, path(&change.from_path), path(&change.to_path))
    });
    each.collect()
}

fn text(id: &str, content: &str) -> Value {
    json!({"id": id, "type": "text", "content": content})
}

#[test]
fn nodes_are_followed_by_their_ids_wherever_they_stand() {
    let before = tree(json!([
        {"id": "s", "type": "section", "title": "Body", "children": [text("a", "1"), text("b", "2"), text("c", "3")]},
        {"id": "k", "type": "columns", "columns": [{"ratio": 1, "children": [text("d", "4")]}, {"children": []}]},
        text("e", "5")
    ]));
    let after = tree(json!([
        {"id": "k", "type": "columns", "columns": [{"ratio": 2, "children": []}, {"children": [text("d", "4")]}]},
        {"id": "s", "type": "section", "title": "Body", "children": [text("c", "3"), text("a", "1 and more"), text("n", "new")]},
        text("e", "5")
    ]));
    let found = diff(&before, &after);
    assert_eq!(
        nodes(&found),
        [
            "Removed b Section 'Body' > Text 2 -> -",
            "Moved k Columns 1 -> Columns 1",
            "Modified k Columns 1 -> Columns 1 columns[0].ratio",
            "Moved d Columns 1 > Text 1 -> Columns 1 > Text 1",
            "Moved c Section 'Body' > Text 3 -> Section 'Body' > Text 1",
            "Modified a Section 'Body' > Text 1 -> Section 'Body' > Text 2 content",
            "Added n - -> Section 'Body' > Text 3",
        ]
    );
    let summary = serde_json::to_value(found.summary).unwrap();
    assert_eq!(summary, json!({"nodesAdded": 1, "nodesRemoved": 1, "nodesModified": 2, "nodesMoved": 3, "propertiesChanged": 2}));
}

#[test]
fn everything_beside_the_nodes_has_its_section() {
    let before = json!({"name": "A", "renderConfig": {"margin": {"top": "1cm"}, "paperSize": "A4"},
        "i18n": {"de": {"hello": "Hallo"}},
        "inputSchema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
        "fieldMappings": [{"target": "x", "source": "y"}, {"target": "z", "source": "q"}],
        "document": {"id": "root", "type": "document", "style": {"fontSize": "10pt"}, "children": []}});
    let after = json!({"name": "B", "tags": ["t"], "renderConfig": {"margin": {"top": "2cm"}, "paperSize": "A4"},
        "i18n": {"de": {"hello": "Servus"}},
        "inputSchema": {"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "string"}, "b": {}}},
        "fieldMappings": [{"target": "x", "source": "w"}],
        "document": {"id": "root", "type": "document", "style": {"fontSize": "11pt"}, "children": []}});
    let answer = serde_json::to_value(diff(&before, &after)).unwrap();
    assert_eq!(answer["metadataChanges"], json!([{"path": "name", "before": "A", "after": "B"}, {"path": "tags", "after": ["t"]}]));
    assert_eq!(answer["renderConfigChanges"], json!([{"path": "margin.top", "before": "1cm", "after": "2cm"}]));
    assert_eq!(answer["i18nChanges"], json!([{"path": "de.hello", "before": "Hallo", "after": "Servus"}]));
    let schema = json!([{"path": "required", "before": ["a"], "after": ["a", "b"]}, {"path": "properties.b", "after": {}}]);
    assert_eq!(answer["inputSchemaChanges"], schema);
    assert_eq!(answer["fieldMappingChanges"][0], json!({"path": "z", "before": {"target": "z", "source": "q"}}));
    assert_eq!(answer["fieldMappingChanges"][1]["path"], "x");
    assert_eq!(answer["documentRootChanges"], json!([{"path": "document.style.fontSize", "before": "10pt", "after": "11pt"}]));
    assert_eq!(answer["summary"]["propertiesChanged"], 9);
    assert_eq!(answer["diagnostics"], json!([]));
}

#[test]
fn html_and_css_change_by_lines() {
    let before = json!({"html": "<h1>A</h1>\n<p>\nsame\n</p>\n<p>\nold\nolder\n</p>\nend", "css": "a{}"});
    let after = json!({"html": "<h1>B</h1>\n<p>\nsame\n</p>\n<p>\nnew\n</p>\nend\nmore", "css": "a{}"});
    let answer = serde_json::to_value(diff(&before, &after)).unwrap();
    let expected = json!([
        {"path": "html line 1", "before": "<h1>A</h1>", "after": "<h1>B</h1>"},
        {"path": "html line 6", "before": "old\nolder", "after": "new"},
        {"path": "html line 9", "after": "more"},
    ]);
    assert_eq!(answer["documentRootChanges"], expected);
}

#[test]
fn ids_that_are_missing_or_used_twice_are_told_and_the_place_stands_in() {
    let nameless = |content: &str| json!({"type": "text", "content": content});
    let before = tree(json!([nameless("1"), nameless("2"), text("a", "x"), text("a", "y")]));
    let after = tree(json!([nameless("1"), nameless("3"), text("a", "x"), text("a", "z"), 7]));
    let found = diff(&before, &after);
    assert_eq!(nodes(&found), ["Modified (Text 2) Text 2 -> Text 2 content", "Modified (Text 4) Text 4 -> Text 4 content"]);
    let said: Vec<&str> = found.diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[0].contains("\"a\" of Text 4") && said[1].contains("2 nodes have no id") && said[4].contains("no objects"), "{said:?}");
}

/// A tree of that many nodes, ten to a section; `salt` makes every text another one.
fn large(count: usize, salt: &str) -> Value {
    let section = |at: usize| {
        let children: Vec<Value> = (0..9).map(|child| text(&format!("t{at}-{child}"), &format!("{salt}{child}"))).collect();
        json!({"id": format!("s{at}"), "type": "section", "children": children})
    };
    tree((0..count / 10).map(section).collect())
}

#[test]
fn a_hundred_thousand_nodes_are_compared_in_bounded_time_and_the_answer_is_bounded() {
    let (before, after) = (large(100_000, "a"), large(100_000, "b"));
    let mut reversed = before.clone();
    reversed["document"]["children"].as_array_mut().unwrap().reverse();
    for (other, modified, moved) in [(&before, 0, 0), (&after, 90_000, 0), (&reversed, 0, 9_999)] {
        let started = Instant::now();
        let found = diff(&before, other);
        let took = started.elapsed();
        assert_eq!((found.summary.nodes_modified, found.summary.nodes_moved), (modified, moved));
        let bytes = serde_json::to_string(&found).unwrap().len();
        assert!(bytes < 8 * 1024 * 1024, "{bytes} bytes");
        assert!(took < Duration::from_secs(20), "{took:?}");
        println!("{modified} modified, {moved} moved: {took:?}, {bytes} bytes");
    }
    let lines =
        |salt: &str| json!({"html": (0..100_000).fold(String::new(), |all, line| all + &format!("{salt}{}\n", line * 7919 % 100_000))});
    let started = Instant::now();
    let found = diff(&lines("a"), &lines("b"));
    assert_eq!(found.summary.properties_changed, 1);
    println!("100,000 other lines: {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(20));
}

fn node() -> impl Strategy<Value = Value> {
    let leaf = ("[a-h]", "[xyz]").prop_map(|(id, content)| json!({"id": id, "type": "text", "content": content}));
    leaf.prop_recursive(3, 12, 4, |inner| {
        let children = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            ("[i-q]", children()).prop_map(|(id, children)| json!({"id": id, "type": "section", "children": children})),
            ("[i-q]", children(), children()).prop_map(
                |(id, one, two)| json!({"id": id, "type": "columns", "columns": [{"children": one}, {"ratio": 2, "children": two}]})
            ),
            children().prop_map(|children| json!({"type": "repeater", "items": "x", "children": children})),
        ]
    })
}

fn definition() -> impl Strategy<Value = Value> {
    let schema = prop::collection::vec(("[ab]", prop_oneof![Just(json!({"type": "string"})), Just(json!([{"a": 1}, {"b": [2]}]))]), 0..3);
    let mappings = prop::collection::vec(("[ab]", "[cd]"), 0..4);
    let lines = prop::collection::vec("[a-f]", 0..12);
    (prop::collection::vec(node(), 0..5), schema, mappings, lines, "[AB]").prop_map(|(nodes, schema, mappings, lines, name)| {
        let mut definition = tree(nodes.into());
        definition["name"] = name.into();
        definition["inputSchema"] = Value::Object(schema.into_iter().collect());
        definition["fieldMappings"] = mappings.into_iter().map(|(target, source)| json!({"target": target, "source": source})).collect();
        definition["html"] = lines.join("\n").into();
        definition
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, max_shrink_time: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_counted_is_listed_and_only_equal_definitions_have_no_changes(before in definition(), after in definition()) {
        let itself = diff(&before, &before);
        prop_assert!(itself.is_empty() && itself.document_changes.is_empty(), "{:?}", itself);
        let found = diff(&before, &after);
        prop_assert_eq!(found.is_empty(), before == after, "{:?}", found);
        let kinds = |kind| found.document_changes.iter().filter(|change| change.kind == kind).count();
        let summary = found.summary;
        let counted = [summary.nodes_added, summary.nodes_removed, summary.nodes_modified, summary.nodes_moved];
        let listed = [NodeChangeKind::Added, NodeChangeKind::Removed, NodeChangeKind::Modified, NodeChangeKind::Moved].map(kinds);
        prop_assert_eq!(counted, listed);
        let sections = [
            &found.metadata_changes, &found.render_config_changes, &found.i18n_changes, &found.input_schema_changes,
            &found.field_mapping_changes, &found.document_root_changes,
        ];
        let of_nodes: usize = found.document_changes.iter().flat_map(|change| &change.properties).map(Vec::len).sum();
        let properties = sections.iter().map(|section| section.len()).sum::<usize>() + of_nodes;
        prop_assert_eq!(summary.properties_changed, properties);
        let back = diff(&after, &before).summary;
        prop_assert_eq!((back.nodes_added, back.nodes_removed), (summary.nodes_removed, summary.nodes_added));
        prop_assert_eq!((back.nodes_modified, back.nodes_moved), (summary.nodes_modified, summary.nodes_moved));
    }
}
