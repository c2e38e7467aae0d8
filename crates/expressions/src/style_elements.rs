//! Finds out which values of a template are printed inside a `<style>` element, where they need another escaping.
//!
//! Only the template's own text is read, in the order written: values are escaped and can open or close nothing, and
//! what an author prints unescaped is the author's affair.

use crate::tree::{Block, Node};

/// Marks every output behind a `<style` whose `</style` has not come yet; whether one is open at the end.
pub(crate) fn mark(nodes: &mut [Node], source: &str) -> bool {
    let mut marker = Marker { source, in_style: false };
    marker.nodes(nodes);
    marker.in_style
}

struct Marker<'s> {
    source: &'s str,
    in_style: bool,
}

impl Marker<'_> {
    fn nodes(&mut self, nodes: &mut [Node]) {
        for node in nodes {
            match node {
                Node::Text(text) => self.text(self.source.as_bytes().get(text.original.clone()).unwrap_or_default()),
                Node::Output(output) => output.in_style = self.in_style,
                Node::Block(block) => self.block(block),
                Node::Partial(call) => {
                    call.in_style = self.in_style;
                    // One that closes what it did not open is not believed.
                    self.in_style |= call.template.ends_in_style;
                }
                Node::Comment(_) => {}
            }
        }
    }

    fn block(&mut self, block: &mut Block) {
        let before = self.in_style;
        // Without an `{{else}}` it may be that nothing is printed.
        let mut after = before && block.otherwise.is_none();
        let arms = block.arms.iter_mut().filter_map(|arm| arm.body.as_mut());
        for body in arms.chain(block.otherwise.as_mut()) {
            self.in_style = before;
            self.nodes(body);
            after |= self.in_style;
        }
        self.in_style = after;
    }

    fn text(&mut self, mut text: &[u8]) {
        loop {
            let tag: &[u8] = if self.in_style { b"</style" } else { b"<style" };
            let Some(at) = find(text, tag) else { return };
            self.in_style = !self.in_style;
            text = &text[at + tag.len()..];
        }
    }
}

fn find(text: &[u8], tag: &[u8]) -> Option<usize> {
    text.windows(tag.len()).position(|window| window[0] == b'<' && window.eq_ignore_ascii_case(tag))
}
