//! SVG, written anew with everything left out that could run or load.

mod css;
mod names;
mod prolog;
mod references;
mod uses;
mod writer;

use std::collections::BTreeSet;

use roxmltree::{Document, ParsingOptions};

use crate::bytes::length;
use crate::limits::Limits;
use crate::media_type::MediaType::Svg as Type;
use crate::refusal::{Refusal, at_most, broken};

/// Prefixes that one file may declare, and attributes that one element may have: the parser compares each with each.
const MOST_PREFIXES: usize = 64;
const MOST_ATTRIBUTES: usize = 256;

/// A kind of thing that was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removed {
    /// A `script` element.
    Script,
    /// An attribute that runs a script on an event.
    EventHandler,
    /// HTML or other markup inside: `foreignObject` and elements of XHTML.
    ForeignContent,
    /// A link, picture, style sheet or font from elsewhere, or one inside that is not accepted.
    ExternalReference,
    /// An animation of something that may not be there.
    Animation,
    /// A style that is broken, or has a rule that may load something.
    Style,
    /// An element that SVG for pictures does not have.
    Element,
}

/// A sanitised SVG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Svg {
    /// The file to keep, in UTF-8. Comments, editors' notes and attributes that do nothing are never in it.
    pub bytes: Vec<u8>,
    /// What was left out that would have run or loaded, or might have been meant to be seen. Empty for a file without such things.
    pub removed: BTreeSet<Removed>,
}

impl Svg {
    /// Whether something was left out beside comments and editors' notes.
    pub fn changed(&self) -> bool {
        !self.removed.is_empty()
    }
}

pub(crate) fn sanitise(bytes: &[u8], limits: &Limits, level: usize) -> Result<Svg, Refusal> {
    let text = prolog::decode(bytes)?;
    let text = prolog::without_doctype(&text, limits)?;
    check_shape(&text)?;
    let options = ParsingOptions { nodes_limit: limits.svg_nodes, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => Refusal::TooLarge {
            found: Type,
            what: "elements and texts",
            value: u64::from(limits.svg_nodes) + 1,
            limit: limits.svg_nodes.into(),
        },
        error => broken(Type, error.to_string().chars().take(200).collect::<String>()),
    })?;
    let root = document.root_element();
    if root.tag_name().name() != "svg" || root.tag_name().namespace() != Some(names::SVG) {
        return Err(broken(Type, "its outermost element is no svg with xmlns=\"http://www.w3.org/2000/svg\""));
    }
    uses::check(&document, limits)?;
    let written = writer::write(&document, limits, level)?;
    at_most(Type, "bytes after sanitising", length(written.bytes.len()), limits.svg_bytes.saturating_mul(2))?;
    Ok(written)
}

/// Refuses what would make the parser slow, before it sees it.
fn check_shape(text: &str) -> Result<(), Refusal> {
    let bytes = text.as_bytes();
    let mut prefixes = BTreeSet::new();
    for at in memchr::memmem::find_iter(bytes, b"xmlns:") {
        let prefix = bytes[at + 6..].split(|byte| *byte == b'=' || byte.is_ascii_whitespace()).next().unwrap_or_default();
        prefixes.insert(prefix);
        if prefixes.len() > MOST_PREFIXES {
            return Err(broken(Type, format!("it has more than {MOST_PREFIXES} prefixes for namespaces")));
        }
    }
    // No tag has a "<" in it, and each attribute an equals sign and a quote.
    let too_many = bytes.split(|byte| *byte == b'<').any(|piece| {
        let quoted = |at: &usize| matches!(piece[at + 1..].trim_ascii_start().first(), Some(b'"' | b'\''));
        piece.len() > 4 * MOST_ATTRIBUTES && memchr::memchr_iter(b'=', piece).filter(quoted).count() > MOST_ATTRIBUTES
    });
    if too_many { Err(broken(Type, format!("an element has more than {MOST_ATTRIBUTES} attributes"))) } else { Ok(()) }
}
