//! Puts a definition together: follows its references, and those of what they lead to.

mod frame;
mod leads;
mod tree;

use std::collections::BTreeSet;

use domain::Issue;
use domain::issues::pointer;
use domain::template_references::ReferenceVia;
use serde_json::{Map, Value, json};

use super::merging::{config_over, sheets, variables_css};
use super::origins::Origin;
use super::{Part, Parts, UsedPart};
use crate::html_slots::MAIN;
use crate::issues::Issues;
use crate::limits::Limits;

/// Bytes that come from parts, roughly as they are in memory.
const PART_BYTES: usize = 16 * 1024 * 1024;
/// What stands in a definition only after it was put together, or is put together here.
const REPLACED: [&str; 8] = ["theme", "layout", "components", "slots", "document", "html", "renderConfig", "partCss"];

/// One putting together.
pub(super) struct Expansion<'p> {
    parts: &'p Parts,
    limits: &'p Limits,
    pub(super) issues: Issues,
    pub(super) used: Vec<UsedPart>,
    pub(super) origins: Vec<Origin>,
    /// The parts around what is being expanded, outermost first.
    within: Vec<UsedPart>,
    /// The pointer of the reference to the outermost of them.
    reference: String,
    /// The key of a component that is put together itself.
    own_component: Option<String>,
    nodes: usize,
    bytes: usize,
    /// A limit was passed: nothing more is expanded.
    full: bool,
    filling: Option<Filling<'p>>,
    /// Style sheets of components of a tree, and settings' sheets of those of HTML.
    plain_css: Vec<String>,
    /// Style sheets with expressions, each with the part it is of.
    part_css: Vec<Value>,
    fonts: Vec<Value>,
}

/// What goes into the slots of a layout.
struct Filling<'p> {
    layout: UsedPart,
    definition: &'p Map<String, Value>,
    /// The slots the layout has.
    slots: BTreeSet<String>,
}

impl<'p> Expansion<'p> {
    pub(super) fn new(parts: &'p Parts, limits: &'p Limits) -> Self {
        Self {
            parts,
            limits,
            issues: Issues::new(limits.issues),
            used: Vec::new(),
            origins: Vec::new(),
            within: Vec::new(),
            reference: String::new(),
            own_component: None,
            nodes: 0,
            bytes: 0,
            full: false,
            filling: None,
            plain_css: Vec::new(),
            part_css: Vec::new(),
            fonts: Vec::new(),
        }
    }

    /// The whole definition.
    pub(super) fn whole(&mut self, definition: &'p Value) -> Value {
        let Some(object) = definition.as_object() else { return definition.clone() };
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or("document");
        if kind == "theme" {
            return definition.clone();
        }
        let key = object.get("key").and_then(Value::as_str);
        self.own_component = key.filter(|_| kind == "component").map(str::to_owned);
        let mut out: Map<String, Value> = object
            .iter()
            .filter(|(name, _)| !REPLACED.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.part_css = object.get("partCss").and_then(Value::as_array).cloned().unwrap_or_default();
        // What cannot be there is left where it is, for the compiler to refuse.
        let keep =
            |out: &mut Map<String, Value>, name: &str| drop(object.get(name).map(|value| out.insert(name.to_owned(), value.clone())));
        let layout = if kind == "document" {
            self.lead(ReferenceVia::Layout, object.get("layout"), "/layout")
        } else {
            keep(&mut out, "layout");
            None
        };
        let theme = if kind == "component" {
            keep(&mut out, "theme");
            None
        } else {
            self.theme_of(object, layout.as_ref())
        };
        let is_html = object.get("html").is_some_and(|html| !html.is_null());
        match (&layout, is_html) {
            (None, true) => {
                keep(&mut out, "html");
                keep(&mut out, "document");
                keep(&mut out, "slots");
                if let Some(components) = object.get("components") {
                    let components = self.components(components, "/components", "/components");
                    out.insert("components".to_owned(), components);
                }
            }
            (None, false) => {
                keep(&mut out, "slots");
                keep(&mut out, "components");
                if let Some(document) = object.get("document") {
                    let document = self.tree(document, "/document", "/document", 0);
                    out.insert("document".to_owned(), document);
                }
            }
            (Some(layout), true) => self.fill_html_layout(layout, object, &mut out),
            (Some(layout), false) => self.fill_tree_layout(layout, object, &mut out),
        }
        if let Some(config) = self.config(theme.as_ref(), layout.as_ref(), object, is_html) {
            out.insert("renderConfig".to_owned(), config);
        }
        if !self.part_css.is_empty() {
            out.insert("partCss".to_owned(), Value::Array(std::mem::take(&mut self.part_css)));
        }
        Value::Object(out)
    }

    /// The definition's own theme, or else its layout's.
    fn theme_of(&mut self, object: &'p Map<String, Value>, layout: Option<&Part>) -> Option<Part> {
        if object.get("theme").is_some_and(|theme| !theme.is_null()) {
            return self.lead(ReferenceVia::Theme, object.get("theme"), "/theme");
        }
        let layout = layout?;
        self.enter(ReferenceVia::Layout, layout, "/layout".to_owned());
        let theme = self.lead(ReferenceVia::Theme, layout.definition.get("theme"), "/theme");
        self.leave();
        theme
    }

    /// The settings: the theme's, under the layout's, under the definition's own.
    fn config(&mut self, theme: Option<&Part>, layout: Option<&Part>, object: &Map<String, Value>, is_html: bool) -> Option<Value> {
        let of = |part: Option<&Part>| part.and_then(|part| part.definition.get("renderConfig")).cloned();
        let (of_theme, of_layout) = (of(theme), of(layout));
        let own = object.get("renderConfig");
        for (via, part, config) in [(ReferenceVia::Theme, theme, &of_theme), (ReferenceVia::Layout, layout, &of_layout)] {
            let Some(part) = part else { continue };
            for name in config.as_ref().and_then(Value::as_object).into_iter().flat_map(Map::keys) {
                if own.and_then(|own| own.get(name)).is_none() {
                    let place = pointer("/renderConfig", name);
                    let is_own = via == ReferenceVia::Theme && object.get("theme").is_some_and(|theme| !theme.is_null());
                    let reference = if is_own { "/theme".to_owned() } else { "/layout".to_owned() };
                    let part = UsedPart { via, key: part.key.clone(), version: part.version };
                    // The layout's setting is the one that counts; it comes second and is found first.
                    self.origins.retain(|origin| origin.place != place);
                    self.origins.push(Origin { source: place.clone(), place, part: Some((part, reference)) });
                }
            }
        }
        let mut under = config_over(of_theme.as_ref(), of_layout.as_ref());
        let sheet = theme.and_then(|theme| theme.definition.get("theme"));
        let theme_css =
            sheets([&*variables_css(sheet), sheet.and_then(|theme| theme.get("css")).and_then(Value::as_str).unwrap_or_default()]);
        let mut plain = Vec::new();
        if is_html && !theme_css.is_empty() {
            // Before the others, and without expressions: two braces mean nothing in a style sheet.
            let css = theme_css.replace("{{", "{ {");
            let (key, version) = theme.map(|theme| (theme.key.to_string(), theme.version.to_string())).unwrap_or_default();
            self.part_css.insert(0, json!({"key": key, "version": version, "css": css}));
        } else if !theme_css.is_empty() {
            plain.push(theme_css);
        }
        plain.extend(under.as_ref().and_then(|under| under.get("customCss")).and_then(Value::as_str).map(str::to_owned));
        plain.append(&mut self.plain_css);
        let mut gathered = Map::new();
        let css = sheets(plain.iter().map(String::as_str));
        if !css.is_empty() {
            if let Some(Value::Object(under)) = &mut under {
                under.shift_remove("customCss");
            }
            gathered.insert("customCss".to_owned(), Value::String(css));
        }
        if !self.fonts.is_empty() {
            gathered.insert("fonts".to_owned(), Value::Array(std::mem::take(&mut self.fonts)));
        }
        let under = if gathered.is_empty() { under } else { config_over(under.as_ref(), Some(&Value::Object(gathered))) };
        config_over(under.as_ref(), own)
    }

    fn fill_tree_layout(&mut self, layout: &Part, object: &'p Map<String, Value>, out: &mut Map<String, Value>) {
        let used = UsedPart { via: ReferenceVia::Layout, key: layout.key.clone(), version: layout.version };
        let Some(root) = layout.definition.get("document").filter(|root| root.is_object()) else {
            return self.refuse(
                "/layout",
                Some("template_kind_mismatch"),
                format!("the {used} is HTML, and this template is a tree of blocks"),
            );
        };
        self.filling = Some(Filling { layout: used, definition: object, slots: BTreeSet::new() });
        self.enter(ReferenceVia::Layout, layout, "/layout".to_owned());
        self.note_origin("/document".to_owned(), "/document".to_owned());
        let mut document = self.tree(root, "/document", "/document", 0);
        self.leave();
        let own_root = object.get("document");
        if let Some(style) = super::merging::style_over(root.get("style"), own_root.and_then(|root| root.get("style"))) {
            document["style"] = style;
        }
        out.insert("document".to_owned(), document);
        // What the own root says beside its nodes is checked by compiling it alone; it is not needed here.
        let slots = self.filling.take().map(|filling| filling.slots).unwrap_or_default();
        self.check_slots(object, &slots);
    }

    fn fill_html_layout(&mut self, layout: &Part, object: &'p Map<String, Value>, out: &mut Map<String, Value>) {
        let used = UsedPart { via: ReferenceVia::Layout, key: layout.key.clone(), version: layout.version };
        let Some(html) = layout.definition.get("html").and_then(Value::as_str) else {
            return self.refuse(
                "/layout",
                Some("template_kind_mismatch"),
                format!("the {used} is a tree of blocks, and this template is HTML"),
            );
        };
        self.enter(ReferenceVia::Layout, layout, "/layout".to_owned());
        self.spend(html.len());
        self.note_origin("/html".to_owned(), "/html".to_owned());
        self.note_css(layout);
        if let Some(components) = layout.definition.get("components") {
            self.note_origin("/components".to_owned(), "/components".to_owned());
            let components = self.components(components, "/components", "/components");
            out.insert("components".to_owned(), components);
        }
        self.leave();
        out.insert("html".to_owned(), Value::from(html));
        let mut slots = object.get("slots").and_then(Value::as_object).cloned().unwrap_or_default();
        slots.insert(MAIN.to_owned(), object.get("html").cloned().unwrap_or_default());
        out.insert("slots".to_owned(), Value::Object(slots));
        self.origins.push(Origin { place: "/slots/main".to_owned(), source: "/html".to_owned(), part: None });
        let own = object.get("components").cloned().unwrap_or_else(|| json!({}));
        self.origins.push(Origin { place: "/slotComponents".to_owned(), source: "/components".to_owned(), part: None });
        let own = self.components(&own, "/components", "/slotComponents");
        out.insert("slotComponents".to_owned(), own);
        let slots = crate::html_slots::slots(html).into_iter().map(|slot| slot.name).collect();
        self.check_slots(object, &slots);
    }

    /// What fills slots has to find them.
    fn check_slots(&mut self, object: &Map<String, Value>, slots: &BTreeSet<String>) {
        const CODE: Option<&str> = Some("layout_slot_mismatch");
        if !slots.contains(MAIN) {
            self.refuse(
                "/layout",
                CODE,
                "the layout has no slot \"main\", so that this template's own content would stand nowhere".to_owned(),
            );
        }
        match object.get("slots") {
            None | Some(Value::Null) => {}
            Some(Value::Object(given)) => {
                for name in given.keys() {
                    let at = pointer("/slots", name);
                    if name == MAIN {
                        self.refuse(&at, CODE, "the slot \"main\" is filled by the template's own content".to_owned());
                    } else if !slots.contains(name) {
                        let hint = crate::issues::hint(name, slots.iter().map(String::as_str));
                        let name = crate::issues::clip(name, 60);
                        self.refuse(&at, CODE, format!("the layout has no slot \"{name}\"{hint}"));
                    }
                }
            }
            Some(other) => self.refuse("/slots", None, format!("\"slots\" is {}; accepted: an object", crate::issues::short(other))),
        }
    }

    /// What is wrong at a pointer of what is being expanded, told at the reference that led there.
    fn refuse(&mut self, at: &str, code: Option<&'static str>, message: String) {
        let (path, message) = match self.within.last() {
            None => (at.to_owned(), message),
            Some(part) => (self.reference.clone(), format!("in {part}, {at}: {message}")),
        };
        let issue = Issue::new(path, domain::issues::clipped_message(message));
        self.issues.push(code.map_or(issue.clone(), |code| issue.with_code(code)));
    }
}
