//! Definition and data to one HTML document: the steps in order.

use std::sync::atomic::AtomicBool;

use domain::options::{METADATA_CHARACTERS, Metadata, RenderOptions};
use domain::paper::MAX_LENGTH_MM;
use expressions::{Run, Scope, Template};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::assets::AssetMap;
use crate::css::{elements_without_loads, find_ignoring_case, in_style_element, without_loads};
use crate::definition::{Body, Compiled};
use crate::error::DocumentError;
use crate::fields::Text;
use crate::furniture::{self, Edge, Known, PageRules};
use crate::limits::Limits;
use crate::outline::{Heading, RunningTitles};
use crate::page::EffectiveOptions;
use crate::print_sheet::PrintSheet;
use crate::report::{Severity, UnresolvedBinding, Warning};
use crate::tables::{Table, tables_of_html};
use crate::watermark::Around;
use crate::writer::{Gathered, OnProblem, Recording, Writer, escape_into, steps_of};
use crate::{head, mapping, nodes, running_titles, watermark};

/// For trees of blocks: a finished look.
const TREE_CSS: &str = include_str!("default.css");
/// For the author's own fragments: a font, no margin.
const FRAGMENT_CSS: &str = include_str!("base.css");
/// Characters of a file name.
const FILE_NAME_CHARACTERS: usize = 200;

/// What a document is written from, beside its definition.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The caller's payload, before `fieldMappings`.
    pub data: &'a Value,
    /// What stands in the data whatever the payload says and the mappings do; nested as deep as a stack can bear, as that
    /// of a render token is.
    pub fixed_data: Option<&'a Map<String, Value>>,
    /// The request's options; they go over those of the template.
    pub options: &'a RenderOptions,
    /// The moment the document says it was made.
    pub now: Timestamp,
    /// What a binding without a value means.
    pub bindings: Bindings,
    /// What names of assets mean, as far as it is known. A document that names others is not written: see
    /// [`DocumentError::AssetsNeeded`].
    pub assets: Option<&'a AssetMap>,
    /// Becomes true when nobody waits for the document any more.
    pub cancelled: Option<&'a AtomicBool>,
}

/// What a binding without a value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bindings {
    /// It prints nothing and is reported.
    #[default]
    Lenient,
    /// The document is refused with the list of all such bindings. An explicit null is a value.
    Strict,
}

/// A finished document.
#[derive(Clone, Debug)]
pub struct Written {
    /// The whole HTML document with its page set-up; it loads nothing by itself.
    pub html: String,
    /// What the PDF says about itself; expressions are evaluated and the title is always there when the document has one.
    pub metadata: Metadata,
    /// Name for the file as the options or the template give it, safe in every file system, without an added extension.
    pub filename: Option<String>,
    /// BCP 47 tag, where options or template name one.
    pub locale: Option<String>,
    /// Bindings that printed nothing, at most 100.
    pub unresolved_bindings: Vec<UnresolvedBinding>,
    /// More bindings printed nothing than are listed.
    pub truncated: bool,
    /// What was left out or changed.
    pub warnings: Vec<Warning>,
    /// Field mappings that set a value.
    pub mappings_applied: usize,
    /// The headings of a document that says on which pages they are, in their order; empty for others. Their pages, once it is
    /// printed, are what [`crate::with_pages`] takes.
    pub headings: Vec<Heading>,
    /// The sheet around the pages, where they are printed on a larger one.
    pub sheet: Option<PrintSheet>,
}

/// Writes a document as one self-contained HTML page.
///
/// The same definition, data, options and moment give the same bytes.
pub fn write_html(compiled: &Compiled, input: &Input<'_>, limits: &Limits) -> Result<Written, DocumentError> {
    written(write(compiled, input, limits, OnProblem::Stop, Recording::Off)?, input)
}

/// Writes a document and takes its tables down: what stands in them is what the page shows.
///
/// # Errors
/// As [`write_html`], and [`DocumentError::TableUnfit`] of tables of an HTML template that are no plain ones.
pub fn write_tables(compiled: &Compiled, input: &Input<'_>, limits: &Limits) -> Result<(Written, Vec<Table>), DocumentError> {
    let mut outcome = write(compiled, input, limits, OnProblem::Stop, Recording::On)?;
    let tables = std::mem::take(&mut outcome.tables);
    Ok((written(outcome, input)?, tables))
}

fn written(outcome: Outcome, input: &Input<'_>) -> Result<Written, DocumentError> {
    let Gathered { unresolved, warnings, truncated, .. } = outcome.gathered;
    if input.bindings == Bindings::Strict {
        let missing: Vec<_> = unresolved.iter().filter(|binding| binding.severity == Severity::Warning).cloned().collect();
        if !missing.is_empty() {
            return Err(DocumentError::UnresolvedBindings(missing));
        }
    }
    Ok(Written {
        html: outcome.html,
        metadata: outcome.metadata,
        filename: outcome.filename,
        locale: outcome.locale,
        unresolved_bindings: unresolved,
        truncated,
        warnings,
        mappings_applied: outcome.mappings_applied,
        headings: outcome.headings,
        sheet: outcome.sheet,
    })
}

/// What writing gives in either mode.
pub(crate) struct Outcome {
    pub(crate) html: String,
    pub(crate) metadata: Metadata,
    pub(crate) filename: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) mappings_applied: usize,
    pub(crate) data_issues: Vec<domain::Issue>,
    pub(crate) gathered: Gathered,
    pub(crate) headings: Vec<Heading>,
    pub(crate) sheet: Option<PrintSheet>,
    pub(crate) tables: Vec<Table>,
}

pub(crate) fn write(
    compiled: &Compiled,
    input: &Input<'_>,
    limits: &Limits,
    on_problem: OnProblem,
    recording: Recording,
) -> Result<Outcome, DocumentError> {
    // 1. The data, as the template wants it.
    let options = EffectiveOptions::resolve(input.options, &compiled.config.options);
    check_sheet(&options)?;
    let run = run(input.cancelled, limits).with_regional(options.regional(input.now));
    let mut writer = Writer::new(run, limits, on_problem).with_assets(input.assets).with_recording(recording);
    writer.report.warnings.extend(compiled.config.warnings.iter().cloned());
    let (data, mappings_applied) = mapping::apply(&compiled.mappings, input.data, &mut writer)?;
    let data = mapping::fix(data, input.fixed_data);
    let data = match &compiled.schema {
        Some(schema) => schema.filled(data, &mut writer)?,
        None => data,
    };
    let data_issues = compiled.schema.as_ref().map_or(Ok(Vec::new()), |schema| schema.check(&data, limits, input.cancelled))?;
    if !data_issues.is_empty() && on_problem == OnProblem::Stop {
        return Err(DocumentError::Data(data_issues));
    }
    let scope = Scope::root(&data);

    // 2. What the document says about itself.
    let title = option_text(&mut writer, "/options/metadata/title", "title", options.metadata.title.as_deref(), &scope, limits)?;
    let subject = option_text(&mut writer, "/options/metadata/subject", "subject", options.metadata.subject.as_deref(), &scope, limits)?;
    let (title, subject) = (title.map(short_metadata), subject.map(short_metadata));
    let filename = option_text(&mut writer, "/options/filename", "filename", options.filename.as_deref(), &scope, limits)?;

    // 3. The body, into which the head is put once it is known.
    let mut tables_of_body = Vec::new();
    let title = match &compiled.body {
        Body::Tree(document) => {
            let title = title.or_else(|| compiled.name.clone());
            let css = head_css(compiled, &options, title.as_deref(), TREE_CSS, "", &mut writer, &scope, input.now)?;
            open_document(&mut writer, &options, title.as_deref(), &css, &document.style);
            writer.begin("document");
            writer.outline.gathering = document.gathering;
            nodes::write_all(&document.children, &mut writer, &scope)?;
            writer.fill_tables_of_contents()?;
            writer.push("</body></html>");
            title
        }
        Body::Html { html, css } => {
            writer.begin("css");
            for (index, sheet) in css.iter().enumerate() {
                if index > 0 {
                    writer.push("\n");
                }
                writer.style_sheet(sheet, &scope)?;
            }
            let author_css = writer.take();
            let author_css = without_loads(&author_css, "css", &mut writer.report.warnings);
            writer.check_images_in(&author_css)?;
            let author_css = writer.inlined(author_css)?;
            writer.begin("html");
            writer.markup(html, &scope)?;
            let body = elements_without_loads(writer.take(), &mut writer.report.warnings);
            if find_ignoring_case(&body, "<script").is_some() {
                writer.warn("script", "scripts do not run in documents; the page is printed as it is without them".to_owned());
            }
            if recording == Recording::On {
                writer.charge(steps_of(body.len()))?;
                tables_of_body = tables_of_html(&body, limits)?;
            }
            writer.check_images_in(&body)?;
            let body = writer.inlined(body)?;
            if let Some(anatomy) = head::anatomy(&body) {
                let ours = title.clone().or_else(|| compiled.name.clone().filter(|_| anatomy.title.is_none()));
                let known = ours.clone().or_else(|| anatomy.title.clone());
                let css = head_css(compiled, &options, known.as_deref(), "", &author_css, &mut writer, &scope, input.now)?;
                let head = head_markup(ours.as_deref(), &css);
                // Headings come behind the head, whose places stay as they are.
                let body = writer.with_named_headings(body)?;
                writer.push(&head::inject(&body, &anatomy, &options.html_attributes(), &head));
                known
            } else {
                let title = title.or_else(|| compiled.name.clone());
                let css = head_css(compiled, &options, title.as_deref(), FRAGMENT_CSS, &author_css, &mut writer, &scope, input.now)?;
                open_document(&mut writer, &options, title.as_deref(), &css, &crate::style::Style::default());
                let body = writer.with_named_headings(body)?;
                writer.push(&body);
                writer.push("</body></html>");
                title
            }
        }
        Body::None => {
            let issue = domain::Issue::new("/kind", "a theme has no content of its own; render a template that uses it");
            return Err(DocumentError::Definition(vec![issue.with_code("template_kind_mismatch")]));
        }
    };
    writer.check_needed()?;
    writer.check_size()?;
    writer.take_out_active_links()?;
    let tables = writer.take_tables().into_iter().chain(tables_of_body).collect();
    let (html, gathered, headings) = writer.finish();
    let metadata = Metadata { title: title.map(short_metadata), subject, ..options.metadata };
    Ok(Outcome {
        html,
        metadata,
        filename: filename.as_deref().and_then(file_name),
        locale: options.locale,
        mappings_applied,
        data_issues,
        gathered,
        headings,
        sheet: options.sheet,
        tables,
    })
}

/// With what is around it a page is still no longer than pages may be.
fn check_sheet(options: &EffectiveOptions) -> Result<(), DocumentError> {
    let size = options.sheet.map(|sheet| sheet.size_mm());
    let Some((width, _)) = size.filter(|(width, height)| width.max(*height) > MAX_LENGTH_MM) else { return Ok(()) };
    let message = format!("makes a sheet that is longer than the {MAX_LENGTH_MM}mm accepted on a side; its width would be {width}mm");
    Err(DocumentError::Options(vec![domain::Issue::new("/options/printProduction", message)]))
}

/// The account of one document.
pub(crate) fn run<'a>(cancelled: Option<&'a AtomicBool>, limits: &Limits) -> Run<'a> {
    let run = Run::new(limits.budget);
    match cancelled {
        Some(flag) => run.cancelled_by(flag),
        None => run,
    }
}

/// Evaluates an option that may hold expressions.
fn option_text(
    writer: &mut Writer<'_>,
    path: &str,
    place: &'static str,
    source: Option<&str>,
    scope: &Scope<'_>,
    limits: &Limits,
) -> Result<Option<String>, DocumentError> {
    let Some(source) = source else { return Ok(None) };
    writer.begin(place);
    match Template::parse(source, &limits.parsing) {
        Ok(template) => writer.plain(&Text { template, property: place.into() }, scope).map(Some),
        Err(error) => Err(DocumentError::Options(vec![Writer::option_issue(path, &error)])),
    }
}

/// What a PDF says about itself, cut to the length its source may have.
fn short_metadata(text: String) -> String {
    if text.len() <= METADATA_CHARACTERS { text } else { text.chars().take(METADATA_CHARACTERS).collect() }
}

/// Everything that stands in our style element.
#[expect(clippy::too_many_arguments, reason = "the parts of one style element, in its order")]
fn head_css(
    compiled: &Compiled,
    options: &EffectiveOptions,
    title: Option<&str>,
    base: &str,
    author_css: &str,
    writer: &mut Writer<'_>,
    scope: &Scope<'_>,
    now: Timestamp,
) -> Result<String, DocumentError> {
    let date = now.to_zoned(options.time_zone.clone()).date().to_string();
    let known = Known {
        date: &date,
        title: title.unwrap_or_default(),
        options,
        page_rules: page_rules(&[author_css, &compiled.config.custom_css]),
    };
    let mut css = options.page_css();
    let edges = [(&compiled.config.header, "pageHeader", Edge::Top), (&compiled.config.footer, "pageFooter", Edge::Bottom)];
    for ((of_template, place, edge), requested) in edges.into_iter().zip(&options.requested_furniture) {
        let compile = |own| furniture::compile(own, place, &format!("/options/{place}"), writer.limits);
        let own = requested.as_ref().map(compile).transpose();
        let own = own.map_err(|issue| DocumentError::Options(vec![issue]))?;
        if let Some(furniture) = own.as_ref().or(of_template.as_ref()) {
            writer.begin(place);
            css.push_str(&furniture::write_css(furniture, edge, &known, writer, scope)?);
        }
    }
    if let Some(watermark) = &options.watermark {
        writer.begin("watermark");
        watermark::check(watermark, "/options/watermark").map_err(|issue| DocumentError::Options(vec![issue]))?;
        let around = Around { options, page_rules: known.page_rules, fonts: &compiled.config.fonts };
        css.push_str(&watermark::write_css(watermark, &around, writer)?);
    }
    if writer.outline.running_titles == RunningTitles::Named {
        css.push_str(&running_titles::empty_css());
    }
    writer.begin("renderConfig.fonts");
    css.push_str(&writer.font_faces(&compiled.config.fonts)?);
    css.push_str(base);
    css.push_str(author_css);
    writer.begin("renderConfig.customCss");
    css.push_str(&writer.inlined(compiled.config.custom_css.clone())?);
    Ok(in_style_element(&css))
}

fn page_rules(sheets: &[&str]) -> PageRules {
    let says = sheets.iter().any(|sheet| crate::css::find_ignoring_case(sheet, "@page").is_some());
    if says { PageRules::StyleSheet } else { PageRules::Options }
}

fn head_markup(title: Option<&str>, css: &str) -> String {
    let mut head = String::from("<meta charset=\"utf-8\">");
    if let Some(title) = title {
        head.push_str("<title>");
        escape_into(title, &mut head);
        head.push_str("</title>");
    }
    head.push_str("<style>");
    head.push_str(css);
    head.push_str("</style>");
    head
}

fn open_document(writer: &mut Writer<'_>, options: &EffectiveOptions, title: Option<&str>, css: &str, style: &crate::style::Style) {
    writer.push("<!doctype html><html");
    writer.push(&options.html_attributes());
    writer.push("><head>");
    writer.push(&head_markup(title, css));
    writer.push("</head>");
    writer.open("body", "", style);
}

/// Turns the reading direction around, so that a name shows another ending than it has.
fn is_direction_control(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name that every file system takes: no separators, controls or characters that some reserve.
fn file_name(text: &str) -> Option<String> {
    let clean: String = text
        .chars()
        .filter(|character| !character.is_control() && !is_direction_control(*character))
        .map(|character| if matches!(character, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|') { '-' } else { character })
        .take(FILE_NAME_CHARACTERS)
        .collect();
    let clean = clean.trim_matches(|character: char| character.is_whitespace() || character == '.');
    (!clean.is_empty()).then(|| clean.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_leaves_no_folder_and_is_never_empty() {
        assert_eq!(file_name("Rechnung 7/26: \"Größe\".pdf").as_deref(), Some("Rechnung 7-26- -Größe-.pdf"));
        assert_eq!(file_name("../../etc/passwd").as_deref(), Some("-..-etc-passwd"));
        assert_eq!(file_name(" .\n. "), None);
        assert_eq!(file_name("invoice\u{202e}fdp\u{2066}.exe").as_deref(), Some("invoicefdp.exe"));
    }
}
