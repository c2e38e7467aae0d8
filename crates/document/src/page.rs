//! The page set-up: request over template over defaults, written as `@page` rules.

use std::fmt::Write as _;

use domain::furniture::PageFurniture;
use domain::options::{Direction, Margins, Metadata, Orientation, RenderOptions};
use domain::paper::{Length, PaperSize};
use expressions::{Language, Regional};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// All four margins where nobody sets them.
const DEFAULT_MARGIN: Length = Length::from_mm(20.0);

/// The options that hold for one document.
#[derive(Clone, Debug)]
pub struct EffectiveOptions {
    /// `None` leaves the author's CSS or A4.
    requested_paper: Option<PaperSize>,
    requested_orientation: Option<Orientation>,
    requested_margins: Margins,
    paper: PaperSize,
    orientation: Orientation,
    margins: Margins,
    /// The language of the document, where somebody said it.
    pub locale: Option<String>,
    /// The language of numbers and amounts of money, where somebody said it.
    number_locale: Option<String>,
    /// The base direction of text, where somebody said it.
    pub direction: Option<Direction>,
    /// The zone dates are written in.
    pub time_zone: TimeZone,
    /// What the PDF says about itself; title and subject still with their expressions.
    pub metadata: Metadata,
    /// The file's name, still with its expressions.
    pub filename: Option<String>,
    /// The header and the footer that the request puts in place of the template's.
    pub(crate) requested_furniture: [Option<PageFurniture>; 2],
}

impl EffectiveOptions {
    /// `request` over `template` over the defaults: A4 upright, 20 mm, UTC.
    pub(crate) fn resolve(request: &RenderOptions, template: &RenderOptions) -> Self {
        // The two are said together.
        let (locale, number_locale) = match &request.locale {
            Some(_) => (&request.locale, &request.number_locale),
            None => (&template.locale, &template.number_locale),
        };
        let pick = |request: &Option<String>, template: &Option<String>| request.clone().or_else(|| template.clone());
        Self {
            requested_paper: request.paper_size,
            requested_orientation: request.orientation,
            requested_margins: request.margins,
            paper: request.paper_size.or(template.paper_size).unwrap_or(PaperSize::A4),
            orientation: request.orientation.or(template.orientation).unwrap_or_default(),
            margins: template.margins,
            locale: locale.clone(),
            number_locale: number_locale.clone(),
            direction: request.direction.or(template.direction),
            time_zone: request.time_zone.clone().or_else(|| template.time_zone.clone()).unwrap_or(TimeZone::UTC),
            metadata: Metadata {
                title: pick(&request.metadata.title, &template.metadata.title),
                subject: pick(&request.metadata.subject, &template.metadata.subject),
                author: pick(&request.metadata.author, &template.metadata.author),
                keywords: pick(&request.metadata.keywords, &template.metadata.keywords),
                creator: pick(&request.metadata.creator, &template.metadata.creator),
            },
            filename: pick(&request.filename, &template.filename),
            requested_furniture: [request.page_header.clone(), request.page_footer.clone()],
        }
    }

    /// What numbers and dates look like in the document, and when its `now` is.
    pub(crate) fn regional(&self, now: Timestamp) -> Regional {
        let unsaid = Regional::default();
        let language = |tag: &Option<String>, unsaid| tag.as_deref().map_or(unsaid, Language::nearest);
        Regional {
            numbers: language(&self.number_locale, unsaid.numbers),
            dates: language(&self.locale, unsaid.dates),
            time_zone: self.time_zone.clone(),
            now: Some(now),
        }
    }

    /// The rule that the author's own `@page` rules may override, then the one they may not: what the request asked for.
    ///
    /// `!important` lets the second stand in front of the author's style sheet as well.
    pub(crate) fn page_css(&self) -> String {
        let mut css = String::from("@page{");
        let (width, height) = self.size();
        // Writing to a String does not fail.
        let _ = write!(css, "size:{width}mm {height}mm;margin:");
        for side in [self.margins.top, self.margins.right, self.margins.bottom, self.margins.left] {
            let _ = write!(css, "{}mm ", millimetres(side.unwrap_or(DEFAULT_MARGIN)));
        }
        css.truncate(css.trim_end().len());
        css.push('}');
        let requested = self.requested_css();
        if !requested.is_empty() {
            let _ = write!(css, "@page{{{requested}}}");
        }
        css
    }

    fn requested_css(&self) -> String {
        let mut css = String::new();
        if self.requested_paper.is_some() || self.requested_orientation.is_some() {
            let (width, height) = self.size();
            let _ = write!(css, "size:{width}mm {height}mm !important;");
        }
        let Margins { top, right, bottom, left } = self.requested_margins;
        for (name, side) in [("top", top), ("right", right), ("bottom", bottom), ("left", left)] {
            if let Some(side) = side {
                let _ = write!(css, "margin-{name}:{}mm !important;", millimetres(side));
            }
        }
        css
    }

    fn size(&self) -> (f64, f64) {
        let (width, height) = (millimetres(self.paper.width), millimetres(self.paper.height));
        match self.orientation {
            Orientation::Portrait => (width, height),
            Orientation::Landscape => (height, width),
        }
    }

    /// Attributes of the `html` element, with a space in front of each. Both values come from closed sets.
    pub(crate) fn html_attributes(&self) -> String {
        let mut attributes = String::new();
        if let Some(locale) = &self.locale {
            let _ = write!(attributes, " lang=\"{locale}\"");
        }
        if let Some(direction) = self.direction {
            let direction = match direction {
                Direction::Ltr => "ltr",
                Direction::Rtl => "rtl",
                Direction::Auto => "auto",
            };
            let _ = write!(attributes, " dir=\"{direction}\"");
        }
        attributes
    }
}

/// In thousandths: finer than any printer, and short in the sheet.
fn millimetres(length: Length) -> f64 {
    (length.mm() * 1000.0).round() / 1000.0
}
