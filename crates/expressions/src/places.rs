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

/// Where among tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tag {
    #[default]
    Outside,
    /// In a tag, of an element that holds only text where one is named.
    Inside(Option<TextElement>),
    /// In a value of a tag that this quote ends.
    Quoted(u8, Option<TextElement>),
    /// In an element that holds only text.
    Text(TextElement),
    Comment,
}

/// An element in which a tag is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextElement {
    Script,
    Style,
    Textarea,
    Title,
}

impl TextElement {
    const ALL: [Self; 4] = [Self::Script, Self::Style, Self::Textarea, Self::Title];

    /// How its end begins; without the slash and the bracket, its name.
    fn end(self) -> &'static [u8] {
        match self {
            Self::Script => b"</script",
            Self::Style => b"</style",
            Self::Textarea => b"</textarea",
            Self::Title => b"</title",
        }
    }
}

impl Tag {
    /// Markup that is printed here is markup; in a comment it is nothing.
    pub(crate) fn takes_markup(self) -> bool {
        matches!(self, Self::Outside | Self::Comment)
    }

    /// Reads on at `text`; how many bytes were read.
    fn step(self, text: &[u8]) -> (Self, usize) {
        let starts = |with: &[u8]| starts_with(text, with);
        match (self, text[0]) {
            (Self::Outside, b'<') if starts(b"<!--") => (Self::Comment, 4),
            // The name of a tag may be printed by what follows the text.
            (Self::Outside, b'<') if text.get(1).is_none_or(|next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!')) => {
                let opens = |element: &TextElement| starts_with(&text[1..], &element.end()[2..]);
                (Self::Inside(TextElement::ALL.into_iter().find(opens)), 1)
            }
            (Self::Comment, b'-') if starts(b"-->") => (Self::Outside, 3),
            (Self::Inside(Some(element)), b'>') => (Self::Text(element), 1),
            (Self::Inside(None), b'>') => (Self::Outside, 1),
            (Self::Inside(end), quote @ (b'"' | b'\'')) => (Self::Quoted(quote, end), 1),
            (Self::Quoted(quote, end), byte) if quote == byte => (Self::Inside(end), 1),
            (Self::Text(element), b'<') if starts(element.end()) => (Self::Inside(None), element.end().len()),
            (tag, _) => (tag, 1),
        }
    }
}

fn starts_with(text: &[u8], name: &[u8]) -> bool {
    text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
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
        let (mut tag, mut text) = (self.place.tag, text);
        while !text.is_empty() {
            let (next, read) = tag.step(text);
            (tag, text) = (next, &text[read..]);
        }
        tag
    }
}

impl Surroundings {
    /// Where it may be after one of two ways, the one that allows less.
    fn or(self, other: Self) -> Self {
        let tag = if self.tag.takes_markup() { other.tag } else { self.tag };
        Self { in_style: self.in_style || other.in_style, tag }
    }
}

fn find(text: &[u8], tag: &[u8]) -> Option<usize> {
    text.windows(tag.len()).position(|window| window[0] == b'<' && window.eq_ignore_ascii_case(tag))
}
