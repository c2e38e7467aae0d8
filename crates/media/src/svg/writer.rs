//! The tree of an SVG as text, element by element, with what is on the lists.

use std::collections::BTreeSet;

use roxmltree::{Attribute, Document, Node};

use super::references::References;
use super::{Removed, Svg, css, names};
use crate::bytes::length;
use crate::limits::Limits;
use crate::media_type::{Kind, MediaType};
use crate::refusal::{Refusal, at_most};

pub(crate) fn write(document: &Document<'_>, limits: &Limits, level: usize) -> Result<Svg, Refusal> {
    let mut writer = Writer { out: String::new(), removed: BTreeSet::new(), references: References::new(limits, level) };
    let before_root = document.root().children().filter_map(|node| node.pi());
    if before_root.into_iter().any(|instruction| instruction.target == "xml-stylesheet") {
        writer.removed.insert(Removed::ExternalReference);
    }
    // Each with the place where its content begins.
    let mut open: Vec<(Node<'_, '_>, usize)> = Vec::new();
    let mut next = Some(document.root_element());
    while let Some(node) = next {
        let goes_in = writer.begin(node, open.is_empty());
        if goes_in && let Some(child) = node.first_child() {
            writer.out.push('>');
            open.push((node, writer.out.len()));
            at_most(MediaType::Svg, "elements inside each other", length(open.len()), length(limits.svg_depth))?;
            next = Some(child);
            continue;
        }
        if goes_in {
            writer.out.push_str("/>");
        }
        // The next one beside it, or beside the nearest one around it that has one.
        next = node.next_sibling().filter(|_| !open.is_empty());
        while next.is_none() {
            let Some((done, start)) = open.pop() else { break };
            writer.end(done, start);
            next = done.next_sibling().filter(|_| !open.is_empty());
        }
    }
    Ok(Svg { bytes: writer.out.into_bytes(), removed: writer.removed })
}

struct Writer<'l> {
    out: String,
    removed: BTreeSet<Removed>,
    references: References<'l>,
}

impl Writer<'_> {
    /// Writes a text whole, and the beginning of an element without the bracket that ends it; false where nothing inside is wanted.
    fn begin(&mut self, node: Node<'_, '_>, is_root: bool) -> bool {
        if node.is_text() {
            escape(node.text().unwrap_or_default(), &mut self.out, false);
            return false;
        }
        if !node.is_element() || !self.is_wanted(node) {
            return false;
        }
        let name = node.tag_name().name();
        self.out.push('<');
        self.out.push_str(name);
        if is_root {
            self.attribute("xmlns", names::SVG);
            self.attribute("xmlns:xlink", names::XLINK);
        }
        for attribute in node.attributes() {
            self.write_attribute(name, attribute);
        }
        if name != "style" {
            return true;
        }
        let sheet: String = node.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect();
        let cleaned = self.clean(&sheet);
        self.out.push('>');
        escape(&cleaned, &mut self.out, false);
        self.out.push_str("</style>");
        false
    }

    fn end(&mut self, node: Node<'_, '_>, start: usize) {
        if self.out.len() == start {
            // Nothing of what was inside is left.
            self.out.pop();
            self.out.push_str("/>");
            return;
        }
        self.out.push_str("</");
        self.out.push_str(node.tag_name().name());
        self.out.push('>');
    }

    fn is_wanted(&mut self, node: Node<'_, '_>) -> bool {
        let (name, namespace) = (node.tag_name().name(), node.tag_name().namespace());
        let removed = match namespace {
            Some(names::SVG) if name == "style" => {
                let kind = node.attribute("type").unwrap_or_default().trim().to_ascii_lowercase();
                if kind.is_empty() || kind == "text/css" { None } else { Some(Removed::Style) }
            }
            Some(names::SVG) if names::is_animation(name) => {
                let target = node.attribute("attributeName").unwrap_or_default().trim();
                let is_known = name == "animateMotion" || names::is_plain(target) || names::is_styled(target);
                let is_safe = is_known && !["attributeName", "values", "to", "from", "by"].contains(&target);
                if is_safe { None } else { Some(Removed::Animation) }
            }
            Some(names::SVG) if names::is_element(name) => None,
            Some(names::SVG) if names::is_idle(name) => return false,
            _ if name.eq_ignore_ascii_case("script") => Some(Removed::Script),
            Some(names::XHTML) => Some(Removed::ForeignContent),
            Some(names::SVG) if name == "foreignObject" => Some(Removed::ForeignContent),
            Some(names::SVG) | None => Some(Removed::Element),
            // Editors' notes.
            Some(_) => return false,
        };
        self.removed.extend(removed);
        removed.is_none()
    }

    fn write_attribute(&mut self, element: &str, attribute: Attribute<'_, '_>) {
        let (name, value) = (attribute.name(), attribute.value());
        match attribute.namespace() {
            Some(names::XLINK) if name == "href" => self.reference("xlink:href", element, value),
            Some(names::XML) if name == "lang" => self.attribute("xml:lang", value),
            Some(names::XML) if name == "space" && value == "preserve" => self.attribute("xml:space", value),
            None if name == "href" => self.reference("href", element, value),
            None if names::is_text(name) => self.attribute(name, value),
            None if name == "style" || (names::is_styled(name) || names::is_plain(name)) && !css::is_plain(value) => {
                let cleaned = self.clean(value);
                self.attribute(name, &cleaned);
            }
            None if names::is_styled(name) || names::is_plain(name) => self.attribute(name, value),
            None if name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("on")) => {
                self.removed.insert(Removed::EventHandler);
            }
            None if ["src", "srcset", "srcdoc", "action", "formaction", "ping", "poster", "background", "data"].contains(&name) => {
                self.removed.insert(Removed::ExternalReference);
            }
            _ => {}
        }
    }

    fn reference(&mut self, name: &str, element: &str, value: &str) {
        let carried = |references: &mut References<'_>| {
            let is_picture = matches!(element, "image" | "feImage");
            is_picture.then(|| references.carried(value, &[Kind::Image])).flatten()
        };
        match References::local(value).or_else(|| carried(&mut self.references)) {
            Some(kept) => self.attribute(name, &kept),
            // A link to nowhere is no loss.
            None if value.trim().is_empty() => {}
            None => {
                self.removed.insert(Removed::ExternalReference);
            }
        }
    }

    fn clean(&mut self, style: &str) -> String {
        let cleaned = css::clean(style, &mut self.references);
        self.removed.extend(cleaned.lost_reference.then_some(Removed::ExternalReference));
        self.removed.extend(cleaned.lost_style.then_some(Removed::Style));
        cleaned.text
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        escape(value, &mut self.out, true);
        self.out.push('"');
    }
}

/// Text as XML; what attributes would lose of blanks goes as numbers.
fn escape(text: &str, out: &mut String, in_attribute: bool) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' if in_attribute => out.push_str("&#10;"),
            '\t' if in_attribute => out.push_str("&#9;"),
            c => out.push(c),
        }
    }
}
