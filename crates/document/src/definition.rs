//! A template definition: read from JSON, checked whole, and kept in the form that documents are written from.

pub(crate) mod page_shapes;
pub(crate) mod shape;
pub(crate) mod size;

use domain::asset_references::{asset_references, font_name};
use domain::assets::AssetName;
use domain::furniture::PageFurniture;
use domain::issues::pointer;
use domain::options::RenderOptions;
use domain::template_references::read_reference;
use domain::templates::{TemplateKey, TemplateVersion};
use serde_json::{Map, Value};

use crate::error::DocumentError;
use crate::fields::{Fields, Reading, Text};
use crate::furniture::{self, Furniture};
use crate::html_body;
use crate::issues::Issues;
use crate::limits::Limits;
use crate::mapping::{self, Mapping};
use crate::nodes::{Document, read_document};
use crate::report::{Warning, warn};
use crate::schema::Schema;
use crate::{css, sample, watermark};

/// What existing clients send along with a definition and what changes nothing here.
pub(crate) const HARMLESS: [&str; 17] = [
    "$schema",
    "tags",
    "metadata",
    "createdAt",
    "updatedAt",
    "createdBy",
    "updatedBy",
    "currentVersion",
    "permissions",
    "portal",
    "catalogueSource",
    "sourceFormat",
    "folderId",
    "folderPath",
    "owner",
    "deletedAt",
    "deletedBy",
];

/// Characters of a name and of a description.
const NAME_CHARACTERS: usize = 200;
const DESCRIPTION_CHARACTERS: usize = 4_000;

/// A checked definition. Immutable; share it behind an `Arc` and write any number of documents from it at once.
#[derive(Debug)]
pub struct Compiled {
    pub(crate) key: Option<TemplateKey>,
    pub(crate) kind: Kind,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) version: Option<TemplateVersion>,
    pub(crate) schema: Option<Schema>,
    pub(crate) mappings: Vec<Mapping>,
    /// The author's `fieldMappings`, so that versions can be compared.
    pub(crate) mapping_source: Option<Value>,
    pub(crate) config: RenderConfig,
    sample: Option<Value>,
    assets: Vec<AssetName>,
    pub(crate) body: Body,
}

/// What a template is for: the words of `kind`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// It is rendered.
    #[default]
    Document,
    /// Others take their look from it; it has no content.
    Theme,
    /// A block that others put into their content.
    Component,
    /// The frame that others put their content into.
    Layout,
}

/// Every kind by its word.
const KINDS: [(&str, Kind); 4] =
    [("document", Kind::Document), ("theme", Kind::Theme), ("component", Kind::Component), ("layout", Kind::Layout)];

impl Kind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("document", |(word, _)| word)
    }
}

/// What a definition's content is.
#[derive(Debug)]
pub(crate) enum Body {
    Tree(Document),
    Html {
        html: Text,
        /// Those of its parts before its own.
        css: Vec<Text>,
    },
    /// Of a theme.
    None,
}

/// `renderConfig`: what the author set for every document.
#[derive(Debug, Default)]
pub(crate) struct RenderConfig {
    /// Those settings that a request can override.
    pub(crate) options: RenderOptions,
    pub(crate) custom_css: String,
    pub(crate) header: Option<Furniture>,
    pub(crate) footer: Option<Furniture>,
    /// Fonts that are assets, in the order of the template.
    pub(crate) fonts: Vec<AssetName>,
    /// Noticed while reading, told with every document.
    pub(crate) warnings: Vec<Warning>,
}

impl Compiled {
    /// Reads and checks a definition. The error lists every problem up to the limit, not only the first.
    pub fn compile(definition: &Value, limits: &Limits) -> Result<Self, DocumentError> {
        size::check(definition, limits)?;
        Self::compile_whole(definition, limits)
    }

    /// The same for what was put together from parts, which have a limit of their own.
    pub(crate) fn compile_whole(definition: &Value, limits: &Limits) -> Result<Self, DocumentError> {
        let Some(object) = definition.as_object() else {
            let found = crate::issues::short(definition);
            let issue = domain::Issue::new("", format!("the definition is {found}; accepted: an object with \"document\" or \"html\""));
            return Err(DocumentError::Definition(vec![issue]));
        };
        let mut reading = Reading { limits, issues: Issues::new(limits.issues), trail: Vec::new() };
        let assets = asset_references(definition).named.into_iter().map(|reference| reference.name).collect();
        let compiled = read(&mut reading, object).map(|compiled| Self { assets, ..compiled });
        match compiled {
            Some(compiled) if reading.issues.is_empty() => Ok(compiled),
            _ => Err(DocumentError::Definition(reading.issues.into_list())),
        }
    }

    /// The key the definition names itself by.
    pub fn key(&self) -> Option<&TemplateKey> {
        self.key.as_ref()
    }

    /// What the template is for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The template's name for people.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the template is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The version the author wrote into the definition.
    pub fn version(&self) -> Option<TemplateVersion> {
        self.version
    }

    /// The assets that the definition names itself; data may name more.
    pub fn assets(&self) -> &[AssetName] {
        &self.assets
    }

    /// The schema of the data as the author wrote it; `None` accepts any data.
    pub fn input_schema(&self) -> Option<&Value> {
        self.schema.as_ref().map(|schema| &schema.source)
    }

    /// Whether data is mapped before it is checked.
    pub fn has_field_mappings(&self) -> bool {
        !self.mappings.is_empty()
    }

    /// The author's `sampleData`, or data made from the schema, or an empty object.
    pub fn sample_data(&self) -> Value {
        match (&self.sample, &self.schema) {
            (Some(sample), _) => sample.clone(),
            (None, Some(schema)) => sample::generate(&schema.source),
            (None, None) => Value::Object(Map::new()),
        }
    }
}

fn read(reading: &mut Reading<'_>, object: &Map<String, Value>) -> Option<Compiled> {
    let mappings = match object.get("fieldMappings") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => mapping::read(reading, &Map::from_iter([("fieldMappings".to_owned(), list.clone())])),
    };
    let mut fields = Fields::new(reading, &shape::DEFINITION, object, String::new(), String::new());
    fields.skip(&HARMLESS);
    fields.skip(&["fieldMappings"]);
    let key = parsed(&mut fields, "key", |error: domain::templates::InvalidTemplateKey| error.to_string());
    let version = parsed(&mut fields, "version", |error: domain::templates::InvalidTemplateVersion| error.to_string());
    let name = bounded(&mut fields, "name", NAME_CHARACTERS);
    let description = bounded(&mut fields, "description", DESCRIPTION_CHARACTERS);
    let kind = fields.choice("kind", &KINDS).unwrap_or_default();
    let sample = fields.object("sampleData").map(|sample| Value::Object(sample.clone()));
    let schema = fields.value("inputSchema").and_then(|source| match Schema::compile(source, fields.reading.limits) {
        Ok(schema) => Some(schema),
        Err(issue) => {
            fields.reading.issues.push(issue);
            None
        }
    });
    let config = fields.value("renderConfig").map(|config| read_config(&mut fields, config)).unwrap_or_default();
    let body = read_body(&mut fields, kind);
    fields.unlist(&["slotComponents", "partCss"]);
    fields.finish();
    let mapping_source = object.get("fieldMappings").filter(|list| !list.is_null()).cloned();
    Some(Compiled {
        key,
        kind,
        name,
        description,
        version,
        schema,
        mappings,
        mapping_source,
        config,
        sample,
        assets: Vec::new(),
        body: body?,
    })
}

fn read_body(fields: &mut Fields<'_, '_>, kind: Kind) -> Option<Body> {
    if kind == Kind::Theme {
        crate::theme::read(fields);
        return Some(Body::None);
    }
    refuse_references(fields, kind);
    let document = fields.value("document");
    let has_css = !fields.are_absent(&["css"]);
    if document.is_some() || fields.are_absent(&["html"]) {
        fields.skip(&["html", "css"]);
    }
    let is_html = !fields.are_absent(&["html"]);
    if !is_html {
        html_body::refuse_outside_html(fields);
    }
    match (document, !is_html) {
        (Some(_), false) => {
            fields.refuse("html", "a definition has either \"document\" (a tree of blocks) or \"html\", not both");
            None
        }
        (Some(_), true) if has_css => {
            fields.refuse("css", "\"css\" belongs to \"html\"; style a tree of blocks through \"style\" and \"renderConfig.customCss\"");
            None
        }
        (Some(document), true) => read_document(fields.reading, document, kind).map(Body::Tree),
        (None, false) => html_body::read(fields, kind),
        (None, true) => {
            fields.refuse_missing("document", "either \"document\" (a tree of blocks) or \"html\" (with \"css\")");
            None
        }
    }
}

/// A definition is compiled as it is: what it names is put into it before.
fn refuse_references(fields: &mut Fields<'_, '_>, kind: Kind) {
    for (name, takes) in [("theme", kind != Kind::Component), ("layout", kind == Kind::Document)] {
        let Some(value) = fields.value(name) else { continue };
        let message = match read_reference(value) {
            _ if !takes => format!("a {} takes no {name}: that is for the document it is part of", kind.as_str()),
            Ok((key, _)) => format!("the {name} \"{key}\" was not looked up"),
            Err(why) => format!("\"{name}\" is {}; {why}", crate::issues::short(value)),
        };
        fields.refuse(name, &message);
    }
}

fn parsed<T: std::str::FromStr>(fields: &mut Fields<'_, '_>, name: &'static str, say: fn(T::Err) -> String) -> Option<T> {
    match fields.string(name)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            fields.refuse(name, &say(error));
            None
        }
    }
}

fn bounded(fields: &mut Fields<'_, '_>, name: &'static str, max_characters: usize) -> Option<String> {
    let text = fields.string(name)?;
    let count = text.chars().count();
    if count == 0 || count > max_characters {
        fields.refuse(name, &format!("\"{name}\" has {count} characters; accepted: 1 to {max_characters}"));
    }
    Some(text.to_owned())
}

/// Options that an author can set for every document, by their names in a request.
const OPTIONS: [&str; 13] = [
    "paperSize",
    "orientation",
    "margins",
    "locale",
    "timeZone",
    "direction",
    "metadata",
    "filename",
    "bookmarks",
    "pageHeader",
    "pageFooter",
    "watermark",
    "printProduction",
];

fn read_config(outer: &mut Fields<'_, '_>, value: &Value) -> RenderConfig {
    let Some(object) = value.as_object() else {
        outer.refuse("renderConfig", &format!("\"renderConfig\" is {}; accepted: an object", crate::issues::short(value)));
        return RenderConfig::default();
    };
    let at = outer.at("renderConfig");
    let mut fields = Fields::new(outer.reading, &shape::RENDER_CONFIG, object, at.clone(), "renderConfig.".into());
    let mut warnings = Vec::new();
    let mut options = Map::new();
    for name in OPTIONS {
        if let Some(value) = fields.value(name) {
            options.insert(name.to_owned(), value.clone());
        }
    }
    // The published definition says `margin`, the published options say `margins`.
    if let Some(margin) = fields.value("margin") {
        options.insert("margins".to_owned(), margin.clone());
    }
    let options = RenderOptions::from_json(&Value::Object(options), &at).unwrap_or_else(|refused| {
        refused.issues.into_iter().for_each(|issue| fields.reading.issues.push(issue));
        RenderOptions::default()
    });
    let custom_css = fields.string("customCss").map(|sheet| css::without_loads(sheet, "customCss", &mut warnings)).unwrap_or_default();
    for (index, _) in fields.list("fontImports").unwrap_or_default().iter().enumerate() {
        let path = pointer(&at, format_args!("fontImports/{index}"));
        warn(&mut warnings, "font_import", || format!("{path}: fonts are not loaded from elsewhere; it was left out"));
    }
    let mut fonts = Vec::new();
    for (index, entry) in fields.list("fonts").unwrap_or_default().iter().enumerate() {
        if let Some(name) = entry.as_str().and_then(font_name) {
            fonts.push(name);
        } else {
            let found = crate::issues::short(entry);
            let path = pointer(&at, format_args!("fonts/{index}"));
            fields
                .reading
                .issues
                .push(domain::Issue::new(path, format!("is {found}; accepted: the slug or id of a font that is an asset")));
        }
    }
    let mut compiled = |furniture: &Option<PageFurniture>, name: &str| {
        let limits = fields.reading.limits;
        let outcome = furniture::compile(furniture.as_ref()?, &format!("renderConfig.{name}"), &pointer(&at, name), limits);
        outcome.map_err(|issue| fields.reading.issues.push(issue)).ok()
    };
    let header = compiled(&options.page_header, "pageHeader");
    let footer = compiled(&options.page_footer, "pageFooter");
    if let Some(Err(issue)) = options.watermark.as_ref().map(|watermark| watermark::check(watermark, &pointer(&at, "watermark"))) {
        fields.reading.issues.push(issue);
    }
    fields.finish();
    RenderConfig { options, custom_css, header, footer, fonts, warnings }
}
