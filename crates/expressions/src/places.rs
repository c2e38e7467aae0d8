//! Finds out where in HTML the values of a template are printed: inside a `<style>` element they need another escaping, and inside a
//! tag there can be no markup.
//!
//! Only the template's own text is read, in the order written: values are escaped and can open or close nothing, and
//! what an author prints unescaped is the author's affair.

use crate::tree::{Block, Node};

/// What the text so far has opened and not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Surroundings {
    /// Behind a `<style` whose `</style` has not come yet.
    pub(crate) in_style: bool,
    pub(crate) tag: Tag,
}

/// Where in a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tag {
    #[default]
    Outside,
    Inside,
    /// In a value that this quote ends.
    Quoted(u8),
}

/// Marks every output with its place; the place at the end.
pub(crate) fn mark(nodes: &mut [Node], source: &str) -> Surroundings {
    let mut marker = Marker { source, place: Surroundings::default() };
    marker.nodes(nodes);
    marker.place
}

struct Marker<'s> {
    source: &'s str,
    place: Surroundings,
}

impl Marker<'_> {
    fn nodes(&mut self, nodes: &mut [Node]) {
        for node in nodes {
            match node {
                Node::Text(text) => {
                    let text = self.source.as_bytes().get(text.original.clone()).unwrap_or_default();
                    self.place.tag = self.tag_after(text);
                    self.style(text);
                }
                Node::Output(output) => output.place = self.place,
                Node::Block(block) => self.block(block),
                Node::Partial(call) => {
                    call.place = self.place;
                    // One that closes what it did not open is not believed.
                    self.place = self.place.or(call.template.ends);
                }
                Node::Comment(_) => {}
            }
        }
    }

    fn block(&mut self, block: &mut Block) {
        let before = self.place;
        // Without an `{{else}}` it may be that nothing is printed.
        let mut after = if block.otherwise.is_none() { before } else { Surroundings::default() };
        let arms = block.arms.iter_mut().filter_map(|arm| arm.body.as_mut());
        for body in arms.chain(block.otherwise.as_mut()) {
            self.place = before;
            self.nodes(body);
            after = after.or(self.place);
        }
        self.place = after;
    }

    fn style(&mut self, mut text: &[u8]) {
        loop {
            let tag: &[u8] = if self.place.in_style { b"</style" } else { b"<style" };
            let Some(at) = find(text, tag) else { return };
            self.place.in_style = !self.place.in_style;
            text = &text[at + tag.len()..];
        }
    }

    fn tag_after(&self, text: &[u8]) -> Tag {
        let mut tag = self.place.tag;
        for (at, byte) in text.iter().enumerate() {
            tag = match (tag, byte) {
                // A tag's name may be printed by what follows the text.
                (Tag::Outside, b'<') if text.get(at + 1).is_none_or(|next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!')) => {
                    Tag::Inside
                }
                (Tag::Inside, b'>') => Tag::Outside,
                (Tag::Inside, b'"' | b'\'') => Tag::Quoted(*byte),
                (Tag::Quoted(quote), byte) if quote == *byte => Tag::Inside,
                (tag, _) => tag,
            };
        }
        tag
    }
}

impl Surroundings {
    /// Where it may be after one of two ways, the one that allows less.
    fn or(self, other: Self) -> Self {
        let tag = if self.tag == Tag::Outside { other.tag } else { self.tag };
        Self { in_style: self.in_style || other.in_style, tag }
    }
}

fn find(text: &[u8], tag: &[u8]) -> Option<usize> {
    text.windows(tag.len()).position(|window| window[0] == b'<' && window.eq_ignore_ascii_case(tag))
}
