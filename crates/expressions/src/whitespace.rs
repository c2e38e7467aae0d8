//! White-space control: the `~` marks, and tags that stand alone on their line.
//!
//! The rules and their order are those of handlebars.js, oddities with `else` chains included; whether a tag stands
//! alone is decided on the text as written, what is removed is removed from what is left.

use std::ops::Range;

use crate::characters::is_space;
use crate::partials::Layout;
use crate::tree::{Arm, Block, Node, Strip, Text};

/// Strips a whole template and drops what no longer prints.
pub(crate) fn strip(nodes: &mut Vec<Node>, source: &str) {
    program(nodes, source, Level::Root);
    drop_empty(nodes);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Body,
}

/// How much is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Spaces and tabs, to the right also one line end.
    Line,
    All,
}

#[derive(Clone, Copy, Default)]
struct Asked {
    strip: Strip,
    open_alone: bool,
    close_alone: bool,
    inline_alone: bool,
}

fn program(nodes: &mut [Node], source: &str, level: Level) {
    for at in 0..nodes.len() {
        let asked = match &mut nodes[at] {
            Node::Text(_) => continue,
            Node::Comment(strip) => Asked { strip: *strip, inline_alone: true, ..Asked::default() },
            Node::Output(output) => Asked { strip: output.strip, ..Asked::default() },
            Node::Partial(call) => Asked { strip: call.strip, inline_alone: call.layout == Layout::Lines, ..Asked::default() },
            Node::Block(inner) => block(inner, source),
        };
        let before = line_ends_before(nodes, at, source, level);
        let after = line_ends_after(nodes, at + 1, source, level);
        if asked.strip.close {
            omit_right(nodes.get_mut(at + 1), source, Reach::All);
        }
        if asked.strip.open {
            omit_left(left_of(nodes, at), source, Reach::All);
        }
        if asked.inline_alone && before && after {
            omit_right(nodes.get_mut(at + 1), source, Reach::Line);
            let indent = omit_left(left_of(nodes, at), source, Reach::Line);
            if let (Some(indent), Node::Partial(call)) = (indent, &mut nodes[at]) {
                call.indent = indent;
            }
        }
        if asked.open_alone && before {
            if let Node::Block(inner) = &mut nodes[at] {
                omit_right(first_body(inner).first_mut(), source, Reach::Line);
            }
            omit_left(left_of(nodes, at), source, Reach::Line);
        }
        if asked.close_alone && after {
            omit_right(nodes.get_mut(at + 1), source, Reach::Line);
            if let Node::Block(inner) = &mut nodes[at] {
                omit_left(closing_body(inner).last_mut(), source, Reach::Line);
            }
        }
    }
}

fn left_of(nodes: &mut [Node], at: usize) -> Option<&mut Node> {
    nodes.get_mut(at.checked_sub(1)?)
}

/// The body before the first `else`: of an inverted block with an `else`, the one written second.
fn first_body(block: &mut Block) -> &mut [Node] {
    match block.arms.first_mut() {
        Some(Arm { body: Some(body), .. }) => body,
        _ => block.otherwise.as_deref_mut().unwrap_or_default(),
    }
}

/// The body a closing tag on its own line is taken off: none when conditions are chained.
fn closing_body(block: &mut Block) -> &mut [Node] {
    if block.arms.len() > 1 {
        return &mut [];
    }
    if block.otherwise.is_none() {
        return first_body(block);
    }
    block.otherwise.as_deref_mut().unwrap_or_default()
}

fn block(block: &mut Block, source: &str) -> Asked {
    for arm in &mut block.arms {
        program(arm.body.as_deref_mut().unwrap_or_default(), source, Level::Body);
    }
    program(block.otherwise.as_deref_mut().unwrap_or_default(), source, Level::Body);

    let mut asked = Asked::default();
    let close_strip = block.close_strip;
    let only_inverse = block.arms.len() == 1 && block.arms[0].body.is_none();
    for at in (0..block.arms.len()).rev() {
        let open_strip = block.arms[at].open_strip;
        // In a chain every later `else` counts as the closing tag of the condition it belongs to.
        let closer = if at <= 1 { close_strip } else { open_strip };
        let else_strip = block.arms.get(at + 1).map_or(block.else_strip, |next| next.open_strip);
        let (body, inverse) = split(block, at);
        let (body, inverse) = if only_inverse { (inverse.unwrap_or_default(), None) } else { (body, inverse) };
        asked = Asked {
            strip: Strip { open: open_strip.open, close: closer.close },
            open_alone: line_ends_after(body, 0, source, Level::Body),
            close_alone: {
                let last = inverse.as_deref().unwrap_or(body);
                line_ends_before(last, last.len(), source, Level::Body)
            },
            inline_alone: false,
        };
        if open_strip.close {
            omit_right(body.first_mut(), source, Reach::All);
        }
        let Some(inverse) = inverse else {
            if closer.open {
                omit_left(body.last_mut(), source, Reach::All);
            }
            continue;
        };
        if else_strip.open {
            omit_left(body.last_mut(), source, Reach::All);
        }
        if else_strip.close {
            omit_right(inverse.first_mut(), source, Reach::All);
        }
        if closer.open {
            omit_left(inverse.last_mut(), source, Reach::All);
        }
        if line_ends_before(body, body.len(), source, Level::Body) && line_ends_after(inverse, 0, source, Level::Body) {
            omit_left(body.last_mut(), source, Reach::Line);
            omit_right(inverse.first_mut(), source, Reach::Line);
        }
    }
    asked
}

/// The body of an arm and what follows when it is not taken.
fn split(block: &mut Block, at: usize) -> (&mut [Node], Option<&mut [Node]>) {
    let (upto, after) = block.arms.split_at_mut(at + 1);
    let body = upto[at].body.as_deref_mut().unwrap_or_default();
    let inverse = match after.first_mut() {
        Some(next) => Some(next.body.as_deref_mut().unwrap_or_default()),
        None => block.otherwise.as_deref_mut(),
    };
    (body, inverse)
}

/// Whether nothing but white space stands between the node at `at` and the line end before it.
fn line_ends_before(nodes: &[Node], at: usize, source: &str, level: Level) -> bool {
    let Some(previous) = at.checked_sub(1).and_then(|index| nodes.get(index)) else {
        return level == Level::Root;
    };
    let Node::Text(text) = previous else { return false };
    let text = &source[text.original.clone()];
    let space = &text[text.trim_end_matches(is_space).len()..];
    space.contains('\n') || (at == 1 && level == Level::Root && space.len() == text.len())
}

/// Whether nothing but white space stands between the node before `at` and the line end after it.
fn line_ends_after(nodes: &[Node], at: usize, source: &str, level: Level) -> bool {
    let Some(next) = nodes.get(at) else {
        return level == Level::Root;
    };
    let Node::Text(text) = next else { return false };
    let text = &source[text.original.clone()];
    let space = &text[..text.len() - text.trim_start_matches(is_space).len()];
    space.contains('\n') || (at + 1 == nodes.len() && level == Level::Root && space.len() == text.len())
}

fn text_node(node: &mut Node) -> Option<&mut Text> {
    if let Node::Text(text) = node { Some(text) } else { None }
}

fn omit_right(node: Option<&mut Node>, source: &str, reach: Reach) {
    let Some(text) = node.and_then(text_node) else { return };
    if reach == Reach::Line && text.right_stripped {
        return;
    }
    let value = &source[text.value.clone()];
    let kept = match reach {
        Reach::All => value.trim_start_matches(is_space),
        Reach::Line => {
            let rest = value.trim_start_matches([' ', '\t']);
            let rest = rest.strip_prefix('\r').unwrap_or(rest);
            rest.strip_prefix('\n').unwrap_or(rest)
        }
    };
    let start = text.value.end - kept.len();
    text.right_stripped = start != text.value.start;
    text.value.start = start;
}

/// Gives the spaces and tabs at the end of the text as written, where some were removed.
fn omit_left(node: Option<&mut Node>, source: &str, reach: Reach) -> Option<Range<usize>> {
    let text = node.and_then(text_node)?;
    if reach == Reach::Line && text.left_stripped {
        return None;
    }
    let value = &source[text.value.clone()];
    let kept = match reach {
        Reach::All => value.trim_end_matches(is_space),
        Reach::Line => value.trim_end_matches([' ', '\t']),
    };
    let end = text.value.start + kept.len();
    text.left_stripped = end != text.value.end;
    text.value.end = end;
    let spaces = source[text.original.clone()].trim_end_matches([' ', '\t']).len();
    text.left_stripped.then(|| text.original.start + spaces..text.original.end)
}

/// Drops comments and empty text, now that nothing depends on neighbours any more.
fn drop_empty(nodes: &mut Vec<Node>) {
    nodes.retain(|node| match node {
        Node::Comment(_) => false,
        Node::Text(Text { value: Range { start, end }, .. }) => start < end,
        _ => true,
    });
    for node in nodes {
        if let Node::Block(block) = node {
            for body in block.arms.iter_mut().filter_map(|arm| arm.body.as_mut()) {
                drop_empty(body);
            }
            if let Some(otherwise) = &mut block.otherwise {
                drop_empty(otherwise);
            }
        }
    }
}
