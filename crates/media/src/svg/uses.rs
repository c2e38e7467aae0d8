//! How much is drawn when every `use` is followed.

use std::collections::HashMap;

use roxmltree::Document;

use super::names::{SVG, XLINK};
use crate::limits::Limits;
use crate::media_type::MediaType::Svg;
use crate::refusal::{Refusal, at_most, broken};

/// How many `use` may lead from one to the next. Drawing programs need two or three.
const LONGEST_CHAIN: usize = 16;

/// Refuses an SVG in which a few elements multiply by references to references.
pub(crate) fn check(document: &Document<'_>, limits: &Limits) -> Result<(), Refusal> {
    // In the order of the document; so a child comes behind its parent.
    let nodes: Vec<_> = document.root_element().descendants().collect();
    let index: HashMap<_, _> = nodes.iter().enumerate().map(|(at, node)| (node.id(), at)).collect();
    let mut by_name = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        if let Some(name) = node.attribute("id") {
            by_name.entry(name).or_insert(at);
        }
    }
    let target = |node: &roxmltree::Node<'_, '_>| {
        // Gradients and patterns refer to one of their kind, which repeats nothing but may lead in a circle; browsers end that.
        let is_use = node.has_tag_name((SVG, "use"));
        let href = node.attribute("href").or_else(|| node.attribute((XLINK, "href"))).filter(|_| is_use)?;
        by_name.get(href.trim().strip_prefix('#')?).copied()
    };
    let targets: Vec<Option<usize>> = nodes.iter().map(target).collect();
    if targets.iter().all(Option::is_none) {
        return Ok(());
    }
    let parents: Vec<Option<usize>> = nodes.iter().map(|node| node.parent().and_then(|parent| index.get(&parent.id()).copied())).collect();
    let mut known = vec![1_u64; nodes.len()];
    for _ in 0..LONGEST_CHAIN {
        let mut sizes = vec![1_u64; nodes.len()];
        for at in (0..nodes.len()).rev() {
            let used = targets[at].map_or(0, |target| known[target]);
            sizes[at] = sizes[at].saturating_add(used);
            if let Some(parent) = parents[at] {
                sizes[parent] = sizes[parent].saturating_add(sizes[at]);
            }
        }
        let all = sizes.first().copied().unwrap_or_default();
        at_most(Svg, "elements and texts, counted as often as they are used", all, limits.svg_nodes.into())?;
        if sizes == known {
            return Ok(());
        }
        known = sizes;
    }
    Err(broken(Svg, "its use elements lead in a circle, or through more than 16 of them"))
}
