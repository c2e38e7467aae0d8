//! The format of templates for those who write them: its JSON Schema, and the tables of its manual page.

mod manual;
mod schema;

pub use manual::with_tables;
pub use schema::template_schema;

use crate::definition::page_shapes::{MARGINS, PAGE_FURNITURE, PRINT_PRODUCTION, WATERMARK};
use crate::definition::shape::{DEFINITION, RENDER_CONFIG};
use crate::nodes::{DOCUMENT, KINDS, NODE};
use crate::shapes::Shape;
use crate::{style, theme};

/// What all nodes have, as an object of its own.
static ANY_NODE: Shape = Shape { what: "node", base: &[], properties: NODE };

/// Every object that the manual has a table of, by the name it has there.
fn documented() -> impl Iterator<Item = (&'static str, &'static Shape)> {
    let others: [(&str, &Shape); 10] = [
        ("definition", &DEFINITION),
        ("renderConfig", &RENDER_CONFIG),
        ("margins", &MARGINS),
        ("pageHeader", &PAGE_FURNITURE),
        ("watermark", &WATERMARK),
        ("printProduction", &PRINT_PRODUCTION),
        ("theme", &theme::SHAPE),
        ("node", &ANY_NODE),
        ("style", &style::SHAPE),
        ("document", &DOCUMENT),
    ];
    others.into_iter().chain(KINDS.iter().map(|(shape, _)| (shape.what, *shape)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::shapes::{Preset, Property, Takes};
    use crate::{Compiled, Limits};

    /// An object that names every property, and says nothing with it.
    fn silent(shape: &'static Shape) -> Map<String, Value> {
        let names = |property: &'static Property| std::iter::once(property.name).chain(property.aliases.iter().copied());
        let written = shape.all().filter(|property| property.default != Preset::Internal);
        written.flat_map(names).map(|name| (name.to_owned(), Value::Null)).collect()
    }

    /// What of a node is refused because nobody asked for it.
    fn unread(node: &Map<String, Value>) -> Vec<String> {
        let definition = json!({"document": {"id": "root", "type": "document", "children": [node]}});
        let issues = match Compiled::compile(&definition, &Limits::default()) {
            Ok(_) => Vec::new(),
            Err(error) => error.issues(),
        };
        issues.into_iter().map(|issue| issue.message).filter(|message| message.contains("is no property of")).collect()
    }

    #[test]
    fn whatever_is_declared_is_read() {
        for (shape, _) in &KINDS {
            let named = |mut node: Map<String, Value>| {
                node.insert("id".into(), json!("n"));
                node.insert("type".into(), json!(shape.what));
                node
            };
            assert_eq!(unread(&named(silent(shape))), Vec::<String>::new(), "{}", shape.what);
            for property in shape.properties {
                let inner = match &property.takes {
                    Takes::List(inner) => json!([silent(inner)]),
                    Takes::Object(inner) => json!(silent(inner)),
                    _ => continue,
                };
                let node = Map::from_iter([(property.name.to_owned(), inner)]);
                assert_eq!(unread(&named(node)), Vec::<String>::new(), "{} of {}", property.name, shape.what);
            }
        }
    }
}
