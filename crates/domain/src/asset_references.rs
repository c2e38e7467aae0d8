//! Which assets a template definition, a style sheet or finished markup names, and where.
//!
//! An address is looked for only where a browser would load it: in `src` of an element, in `href` of an SVG `image` and in
//! `url(…)`. The same words in text for readers mean nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::assets::{ASSET_PATH, ASSET_SCHEME, AssetName};

/// Different assets that are noted of one definition. More are left out; none of them renders, as a document has a limit too.
const MOST_REFERENCES: usize = 1_000;
/// Nodes that are noted of one reference.
const MOST_NODES: usize = 100;

/// One asset that a definition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetReference {
    /// As the definition names it.
    pub name: AssetName,
    /// Through what: `image`, `html`, `css` or `font`; each once, in the order of the definition.
    pub via: Vec<String>,
    /// The nodes that name it, in the order of the definition; none where no node does.
    pub node_ids: Vec<String>,
}

/// What a definition names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssetReferences {
    /// What it names itself, each asset once, in a fixed order.
    pub named: Vec<AssetReference>,
    /// Whether data decides about a further address, so that more assets may be used than are listed.
    pub dynamic: bool,
}

/// An address in a text that is meant for an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetAddress<'t> {
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// The address as it is written.
    pub text: &'t str,
}

/// The addresses in markup or in a style sheet that say `asset:` or are the path of a file of ours. Those that say `asset:`
/// may name nothing: see [`AssetName::of_address`].
pub fn addresses_in(text: &str) -> Vec<AssetAddress<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    let mut beginnings = [ASSET_SCHEME, ASSET_PATH].map(|beginning| text.match_indices(beginning).map(|(at, _)| at).peekable());
    loop {
        // Both in one go, so that nothing is searched twice.
        let at = beginnings.iter_mut().filter_map(|beginnings| beginnings.peek().copied()).min();
        let Some(at) = at else { break };
        for beginnings in &mut beginnings {
            beginnings.next_if_eq(&at);
        }
        if at < from {
            continue;
        }
        let length = text[at..].bytes().position(|byte| !is_part_of_address(byte)).unwrap_or(text.len() - at);
        let end = at + length;
        let at = at - length_of_origin(&text[from..at]);
        let length = end - at;
        from = end.max(at + 1);
        let address = &text[at..at + length];
        let ours = address.starts_with(ASSET_SCHEME) || AssetName::of_address(address).is_some();
        // What goes on with a value is known when that is evaluated.
        let goes_on = text[at + length..].strip_prefix("{{").is_some_and(|expression| !is_block(expression));
        if ours && !goes_on && is_loaded(&text[..at]) {
            found.push(AssetAddress { range: at..at + length, text: address });
        }
    }
    found
}

/// The text with each of its addresses replaced by what `replacement` gives for it; an address without one stays.
pub fn replace_addresses<'r>(text: &str, mut replacement: impl FnMut(&str) -> Option<&'r str>) -> Option<String> {
    let mut out = String::new();
    let mut kept = 0;
    for address in addresses_in(text) {
        if let Some(other) = replacement(address.text) {
            out.push_str(&text[kept..address.range.start]);
            out.push_str(other);
            kept = address.range.end;
        }
    }
    (kept > 0).then(|| {
        out.push_str(&text[kept..]);
        out
    })
}

/// What addresses of assets are written with.
fn is_part_of_address(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'/')
}

/// The bytes of `https://host/path` at the end of a text, which stand in front of the path of a file where
/// `ASSETS_BASE_URL` is set.
fn length_of_origin(before: &str) -> usize {
    let nearby = nearby(before);
    let address = nearby.bytes().rev().take_while(|byte| is_part_of_address(*byte)).count();
    let address = &nearby[nearby.len() - address..];
    let beginnings = ["http://", "https://"].map(|scheme| address.rfind(scheme));
    beginnings.into_iter().flatten().max().map_or(0, |at| address.len() - at)
}

/// How far in front of an address it is looked for what the address belongs to, in bytes.
const NEARBY: usize = 512;

fn nearby(before: &str) -> &str {
    let mut from = before.len().saturating_sub(NEARBY);
    while !before.is_char_boundary(from) {
        from += 1;
    }
    &before[from..]
}

/// Whether an expression chooses between what is written out around it, and gives no text itself.
fn is_block(expression: &str) -> bool {
    let block = beginning(expression).trim_start_matches(['{', '~']).trim_start();
    let is_else = block.strip_prefix("else").is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'));
    is_else || block.starts_with(['#', '/', '!', '^'])
}

/// The first characters of an expression: as many as tell what it does.
fn beginning(expression: &str) -> &str {
    let mut end = expression.len().min(32);
    while !expression.is_char_boundary(end) {
        end -= 1;
    }
    &expression[..end]
}

/// Without the beginning of an address at its end.
fn without_beginning(text: &str) -> &str {
    text.trim_end_matches(|character: char| character.is_ascii() && is_part_of_address(character as u8))
}

/// Whether what comes behind `before` is loaded as an address.
fn is_loaded(before: &str) -> bool {
    const QUOTES: [&str; 8] = ["\"", "'", "&quot;", "&apos;", "&#34;", "&#39;", "&#x22;", "&#x27;"];
    let mut before = nearby(before).trim_end();
    // A block around it, as in `src="{{#if dark}}asset:a{{else}}asset:b{{/if}}"`.
    while let Some(inside) = before.strip_suffix("}}") {
        let Some(at) = inside.rfind("{{") else { return false };
        before = without_beginning(&before[..at]).trim_end();
    }
    before = QUOTES.iter().find_map(|quote| before.strip_suffix(quote)).unwrap_or(before).trim_end();
    if let Some(function) = before.strip_suffix('(') {
        return ends_with_word(function, "url");
    }
    let Some(attribute) = before.strip_suffix('=').map(str::trim_end) else { return false };
    if ends_with_word(attribute, "src") {
        return true;
    }
    let in_image = || attribute.rfind('<').is_some_and(|at| starts_with_word(&attribute[at + 1..], "image"));
    (ends_with_word(attribute, "href") || ends_with_word(attribute, "xlink:href")) && in_image()
}

fn ends_with_word(text: &str, word: &str) -> bool {
    let Some(at) = text.len().checked_sub(word.len()) else { return false };
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.as_bytes()[at..].eq_ignore_ascii_case(word.as_bytes()) && !(at > 0 && is_of_name(text.as_bytes()[at - 1]))
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.as_bytes().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        && text.as_bytes().get(word.len()).is_none_or(u8::is_ascii_whitespace)
}

/// Whether an expression decides about an address in the text.
fn has_dynamic_address(text: &str) -> bool {
    text.match_indices("{{").any(|(at, _)| !is_block(&text[at + 2..]) && is_loaded(without_beginning(nearby(&text[..at]))))
}

/// The assets that a template definition names. Any JSON can be given: what is not where a definition has it is not found.
pub fn asset_references(definition: &Value) -> AssetReferences {
    let mut search = Search::default();
    if let Some(object) = definition.as_object() {
        search.text(object, "html", "html", None);
        search.text(object, "css", "css", None);
        if let Some(config) = object.get("renderConfig").and_then(Value::as_object) {
            search.text(config, "customCss", "css", None);
            let watermark = config.get("watermark").and_then(|watermark| watermark.get("image")).and_then(Value::as_str);
            if let Some(name) = watermark.and_then(AssetName::of_address) {
                search.note(&name, "image", None);
            }
            let fonts = config.get("fonts").and_then(Value::as_array).into_iter().flatten();
            for name in fonts.filter_map(Value::as_str).filter_map(font_name) {
                search.note(&name, "font", None);
            }
        }
        for list in [object.get("document"), object.get("slots")].into_iter().flatten() {
            search.node(list, None);
        }
        search.parts(object);
    }
    let found = |(_, reference)| reference;
    AssetReferences { named: search.named.into_iter().map(found).collect(), dynamic: search.dynamic }
}

/// An entry of `renderConfig.fonts`: a slug or an id, with or without `asset:`, or the path of a file.
pub fn font_name(entry: &str) -> Option<AssetName> {
    let entry = entry.trim();
    AssetName::of_address(entry).or_else(|| entry.parse().ok())
}

#[derive(Default)]
struct Search {
    named: BTreeMap<AssetName, AssetReference>,
    dynamic: bool,
}

impl Search {
    /// Looks through a value of the tree for nodes; `around` is the id of the node it belongs to.
    fn node<'v>(&mut self, value: &'v Value, around: Option<&'v str>) {
        match value {
            Value::Array(list) => list.iter().for_each(|value| self.node(value, around)),
            Value::Object(object) => {
                let kind = object.get("type").and_then(Value::as_str);
                let id = kind.and_then(|_| object.get("id")?.as_str()).or(around);
                if kind == Some("html") {
                    self.text(object, "content", "html", id);
                    self.text(object, "html", "html", id);
                }
                if let Some(src) = object.get("src").and_then(Value::as_str) {
                    // As if it stood in an element.
                    self.scan(&format!("src=\"{}\"", src.trim()), "image", id);
                }
                object.values().for_each(|value| self.node(value, id));
            }
            _ => {}
        }
    }

    /// The style sheet of a theme, and what stands in a definition once it was put together with its parts.
    fn parts(&mut self, object: &Map<String, Value>) {
        if let Some(theme) = object.get("theme").and_then(Value::as_object) {
            self.text(theme, "css", "css", None);
            for value in theme.get("variables").and_then(Value::as_object).into_iter().flat_map(Map::values).filter_map(Value::as_str) {
                self.scan(value, "css", None);
            }
        }
        for sheet in object.get("partCss").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
            self.text(sheet, "css", "css", None);
        }
        for text in object.get("slots").and_then(Value::as_object).into_iter().flat_map(Map::values).filter_map(Value::as_str) {
            self.scan(text, "html", None);
        }
        for components in [object.get("components"), object.get("slotComponents")].into_iter().flatten() {
            self.components(components);
        }
    }

    fn components(&mut self, components: &Value) {
        for component in components.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object) {
            self.text(component, "html", "html", None);
            if let Some(inner) = component.get("components") {
                self.components(inner);
            }
        }
    }

    fn text(&mut self, object: &Map<String, Value>, property: &str, via: &'static str, node: Option<&str>) {
        if let Some(text) = object.get(property).and_then(Value::as_str) {
            self.scan(text, via, node);
        }
    }

    fn scan(&mut self, text: &str, via: &'static str, node: Option<&str>) {
        self.dynamic = self.dynamic || has_dynamic_address(text);
        for address in addresses_in(text) {
            if let Some(name) = AssetName::of_address(address.text) {
                self.note(&name, via, node);
            }
        }
    }

    fn note(&mut self, name: &AssetName, via: &'static str, node: Option<&str>) {
        if self.named.len() >= MOST_REFERENCES && !self.named.contains_key(name) {
            return;
        }
        let empty = || AssetReference { name: name.clone(), via: Vec::new(), node_ids: Vec::new() };
        let reference = self.named.entry(name.clone()).or_insert_with(empty);
        if !reference.via.iter().any(|known| known == via) {
            reference.via.push(via.to_owned());
        }
        if let Some(node) =
            node.filter(|node| reference.node_ids.len() < MOST_NODES && !reference.node_ids.iter().any(|known| known == node))
        {
            reference.node_ids.push(node.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(text: &str) -> Vec<&str> {
        addresses_in(text).into_iter().map(|address| address.text).collect()
    }

    #[test]
    fn an_address_counts_where_a_browser_loads_it_and_nowhere_else() {
        for (text, addresses) in [
            ("<img src=\"asset:logo\">", vec!["asset:logo"]),
            ("<IMG SRC = 'asset:logo' >", vec!["asset:logo"]),
            ("<img src=asset:logo>", vec!["asset:logo"]),
            ("<p style=\"background:url(&quot;asset:a&quot;),URL( asset:b )\">", vec!["asset:a", "asset:b"]),
            ("<svg><image xlink:href=\"asset:logo\" href='asset:b'/></svg>", vec!["asset:logo", "asset:b"]),
            ("@font-face{src:url('asset:font.x') format('woff2')}", vec!["asset:font.x"]),
            ("<img src=\"asset:Not A Slug\">", vec!["asset:Not"]),
            ("<p>Our asset: src asset:logo and /assets/x</p>", vec![]),
            ("<a href=\"asset:logo\">", vec![]),
            ("<img data-src=\"asset:logo\" alt=\"asset:logo\">", vec![]),
            ("curl(asset:logo)", vec![]),
            ("<img src=\"https://x/assets/y.png\"><img src=\"/assets/y.png\">", vec![]),
        ] {
            assert_eq!(found(text), addresses, "{text}");
        }
    }

    #[test]
    fn each_address_is_replaced_and_the_rest_stays() {
        let replaced =
            replace_addresses("<img src='asset:a'>asset:a<b style='x:url(asset:b)'>", |address| (address == "asset:a").then_some("data:,"));
        assert_eq!(replaced.as_deref(), Some("<img src='data:,'>asset:a<b style='x:url(asset:b)'>"));
        assert_eq!(replace_addresses("<p>asset:a</p>", |_| Some("x")), None);
    }

    #[test]
    fn a_definition_tells_what_it_names_where_and_whether_there_may_be_more() {
        let id = "0192a000-0000-7000-8000-000000000000";
        let file = format!("/assets/{}-00000000000000ff.png", id.replace('-', ""));
        let definition = json!({
            "key": "a", "name": "asset:not-this",
            "renderConfig": {"customCss": "p{background:url(asset:paper)}", "fonts": ["asset:brand", "serif", 7]},
            "inputSchema": {"src": "asset:no"},
            "document": {"id": "root", "type": "document", "children": [
                {"id": "top", "type": "image", "src": "asset:logo"},
                {"id": "box", "type": "section", "children": [{"id": "in", "type": "image", "src": format!(" {file} ")}]},
                {"id": "own", "type": "html", "content": "<img src='asset:logo'><b src=\"{{#if x}}asset:yes{{else}}asset:no{{/if}}\">"},
                {"id": "text", "type": "text", "content": "<img src='asset:text'>"},
            ]},
        });
        let references = asset_references(&definition);
        let told: Vec<_> = references.named.iter().map(|one| (one.name.stored(), one.via.join(" "), one.node_ids.join(" "))).collect();
        let row = |name: &str, via: &str, nodes: &str| (name.to_owned(), via.to_owned(), nodes.to_owned());
        assert_eq!(
            told,
            [
                row("brand", "font", ""),
                row("logo", "image html", "top own"),
                row("no", "html", "own"),
                row("paper", "css", ""),
                row("serif", "font", ""),
                row("yes", "html", "own"),
                row(id, "image", "in"),
            ]
        );
        assert!(!references.dynamic);
        for dynamic in [
            "<img src=\"{{logo}}\">",
            "<img src='asset:{{ logo }}'>",
            "<p style='x:url({{{a}}})'>",
            "<img src={{#each x}}{{this}}{{/each}}>",
        ] {
            assert!(asset_references(&json!({"html": dynamic})).dynamic, "{dynamic}");
        }
        for fixed in ["<img src=\"data:image/png;base64,{{x}}\">", "<p>{{x}}</p>", "<p title=\"{{x}}\">"] {
            assert!(!asset_references(&json!({"html": fixed})).dynamic, "{fixed}");
        }
        assert_eq!(asset_references(&json!([1])), AssetReferences::default());
    }

    #[test]
    fn a_megabyte_of_beginnings_is_read_in_one_go() {
        let started = std::time::Instant::now();
        for part in ["asset:", "/assets/", "src=\"asset:a\"", "{{", "{{a}}", "<image href=\"asset:a\"", "src={{a}}asset:b"] {
            let text = part.repeat(1_000_000 / part.len());
            let _ = asset_references(&json!({ "html": text }));
        }
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
