//! `conditional`: its children or its `else`, by a condition on the data.

mod test;

use expressions::Scope;
use serde_json::Value;

use super::tree::Tree;
use super::{Content, NODE, Node, write_all};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::Fields;
use crate::shapes::{Property, Shape, Takes};
use crate::writer::Writer;
use test::{CONDITION, Test, WORDS, read_test};

/// `{condition, children, else?}`; `condition` is an expression or `{path, operator?, value?}`.
#[derive(Debug)]
pub(crate) struct Conditional {
    test: Test,
    children: Vec<Node>,
    otherwise: Vec<Node>,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "conditional",
    base: NODE,
    properties: &[
        Property::required("condition", Takes::Either(&[Takes::Expression, Takes::Object(&CONDITION)]), "What decides.").also(&["path"]),
        Property::optional("operator", Takes::Words(&WORDS), "", "As in a condition, where `condition` is an expression."),
        Property::optional("value", Takes::Other("any value", "true"), "", "As in a condition."),
        Property::optional("children", Takes::Nodes, "none", "Where it holds."),
        Property::optional("else", Takes::Nodes, "none", "Where it does not."),
    ],
};

pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    // The condition's own properties may also stand on the node itself.
    let nested = matches!(fields.value("condition"), Some(Value::Object(_)));
    let test = if nested {
        let mut condition = fields.inner("condition")?;
        let test = read_test(&mut condition, &["path"]);
        condition.finish();
        test
    } else {
        read_test(fields, &["condition", "path"])
    };
    let children = tree.children(fields, "children");
    let otherwise = tree.children(fields, "else");
    Some(Content::Conditional(Conditional { test: test?, children, otherwise }))
}

impl Conditional {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.formula(&self.test.subject);
        uses.nodes(&self.children);
        uses.nodes(&self.otherwise);
    }

    pub(crate) fn write_html<'w>(&'w self, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let Some(found) = writer.evaluate(&self.test.subject, scope)? else { return Ok(()) };
        writer.charge(self.test.steps(&found))?;
        let (taken, other) = if self.test.holds(&found) { (&self.children, &self.otherwise) } else { (&self.otherwise, &self.children) };
        write_all(taken, writer, scope)?;
        writer.rehearse(|writer| write_all(other, writer, scope))
    }
}
