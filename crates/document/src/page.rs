//! The page set-up: request over template over defaults, written as `@page` rules.

use std::fmt::Write as _;

use domain::furniture::PageFurniture;
use domain::margins::{Margins, Sides};
use domain::options::{Direction, Metadata, Orientation, RenderOptions};
use domain::paper::{Length, PaperSize};
use domain::watermark::Watermark;
use expressions::{Language, Regional};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::furniture::{Edge, PageClass};
use crate::print_sheet::{PrintSheet, thousandths};

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
    /// What stands across the pages.
    pub(crate) watermark: Option<Watermark>,
    /// The sheet around the page, where it is larger.
    pub(crate) sheet: Option<PrintSheet>,
}

impl EffectiveOptions {
    /// `request` over `template` over the defaults: A4 upright, 20 mm, UTC.
    pub(crate) fn resolve(request: &RenderOptions, template: &RenderOptions) -> Self {
        let mut options = Self::of_page(request, template);
        options.sheet = request.print_production.or(template.print_production).map(|production| PrintSheet::of(production, options.size()));
        options
    }

    fn of_page(request: &RenderOptions, template: &RenderOptions) -> Self {
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
            watermark: request.watermark.clone().or_else(|| template.watermark.clone()),
            sheet: None,
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
        if let Some(sheet) = &self.sheet {
            return self.css_of(sheet);
        }
        let mut css = String::from("@page{");
        let (width, height) = self.size();
        // Writing to a String does not fail.
        let _ = write!(css, "size:{width}mm {height}mm;margin:");
        for (_, side) in self.margins.sides.named() {
            let _ = write!(css, "{}mm ", millimetres(side.unwrap_or(DEFAULT_MARGIN)));
        }
        css.truncate(css.trim_end().len());
        css.push('}');
        css.push_str(&by_class(&self.margins, ""));
        let requested = self.requested_css();
        if !requested.is_empty() {
            let _ = write!(css, "@page{{{requested}}}");
        }
        css.push_str(&by_class(&self.requested_margins, IMPORTANT));
        css
    }

    /// The rules of a page that lies on a larger sheet. No style sheet of the author says anything about its size and margins: what
    /// is around the page has to be where the marks are.
    fn css_of(&self, sheet: &PrintSheet) -> String {
        let (width, height) = sheet.size_mm();
        let [right, left, first] = [On::Right, On::Left, On::First].map(|on| self.margins_on(on));
        let reaching = self.reaching();
        let mut css =
            format!("@page{{size:{}mm {}mm !important;{}}}", thousandths(width), thousandths(height), sheet.margins(right, reaching));
        for (class, own) in [(":left", left), (":first", first)] {
            if own != right {
                css.extend(["@page ", class, "{", &sheet.margins(own, reaching), "}"]);
            }
        }
        css.push_str(&sheet.reach_css(reaching));
        css
    }

    fn requested_css(&self) -> String {
        let mut css = String::new();
        if self.requested_paper.is_some() || self.requested_orientation.is_some() {
            let (width, height) = self.size();
            let _ = write!(css, "size:{width}mm {height}mm !important;");
        }
        css.push_str(&margins(self.requested_margins.sides.named(), IMPORTANT));
        css
    }

    /// The margin above or below pages of a class, where no style sheet of the author says otherwise.
    pub(crate) fn margin(&self, edge: Edge, class: PageClass) -> Length {
        let [top, _, bottom, _] = self.margins_on(On::of(class));
        if edge == Edge::Top { top } else { bottom }
    }

    /// Width and height of what is between the margins of pages of a class, in millimetres.
    pub(crate) fn area_mm(&self, class: PageClass) -> (f64, f64) {
        let ((width, height), [top, right, bottom, left]) = (self.size(), self.margins_on(On::of(class)).map(Length::mm));
        let between = |side: f64, margins: f64| thousandths((side - margins).max(0.0));
        let bleed = self.sheet.map_or(0.0, |sheet| sheet.bleed_mm);
        let [above, at_right, below, at_left] = self.reaching().map(|reaches| if reaches { bleed } else { 0.0 });
        (between(width + at_left + at_right, left + right), between(height + above + below, top + bottom))
    }

    /// The sides on which the content reaches into the bleed, from the upper one around: those without a margin.
    fn reaching(&self) -> [bool; 4] {
        let [right, left] = [On::Right, On::Left].map(|on| self.margins_on(on).map(|side| side.mm() <= 0.0));
        let mut both = right.into_iter().zip(left).map(|(right, left)| right && left);
        [(); 4].map(|()| both.next().unwrap_or(false))
    }

    /// The margins of some pages, from the upper one around: as the rules of [`EffectiveOptions::page_css`] have it.
    fn margins_on(&self, on: On) -> [Length; 4] {
        let begins_left = self.direction == Some(Direction::Rtl);
        let is_left = on == On::Left || on == On::First && begins_left;
        let of = |margins: &Margins| {
            let Margins { sides, inside, outside, first } = *margins;
            let (at_left, at_right) = if is_left { (outside, inside) } else { (inside, outside) };
            let every = Sides { left: at_left.or(sides.left), right: at_right.or(sides.right), ..sides };
            let first = if on == On::First { first } else { Sides::default() };
            let pairs = first.named().into_iter().zip(every.named());
            pairs.map(|((_, first), (_, every))| first.or(every)).collect::<Vec<_>>()
        };
        let both = of(&self.requested_margins).into_iter().zip(of(&self.margins));
        let mut sides = both.map(|(requested, own)| requested.or(own).unwrap_or(DEFAULT_MARGIN));
        [(); 4].map(|()| sides.next().unwrap_or(DEFAULT_MARGIN))
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

/// Pages that may have margins of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Left,
    Right,
    First,
}

impl On {
    /// A page of a class. Both pages of a book have as much between their margins, and the same above and below.
    fn of(class: PageClass) -> Self {
        if class == PageClass::First { Self::First } else { Self::Right }
    }
}

/// Where the author's style sheet does not win.
const IMPORTANT: &str = " !important";

/// The rules for the pages whose margins differ from those of others.
fn by_class(of: &Margins, importance: &str) -> String {
    let Margins { inside, outside, .. } = *of;
    let classes = [
        // The binding is between a left-hand page and the right-hand page behind it.
        (":right", margins([("left", inside), ("right", outside)], importance)),
        (":left", margins([("right", inside), ("left", outside)], importance)),
        (":first", margins(of.first.named(), importance)),
    ];
    let rules = classes.into_iter().filter(|(_, css)| !css.is_empty());
    rules.map(|(class, css)| ["@page ", class, "{", &css, "}"].concat()).collect()
}

fn margins<const N: usize>(sides: [(&str, Option<Length>); N], importance: &str) -> String {
    let set = sides.into_iter().filter_map(|(side, length)| Some((side, length?)));
    set.map(|(side, length)| ["margin-", side, ":", &millimetres(length).to_string(), "mm", importance, ";"].concat()).collect()
}

fn millimetres(length: Length) -> f64 {
    thousandths(length.mm())
}
