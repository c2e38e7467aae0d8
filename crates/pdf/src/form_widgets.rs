//! Where on the pages the fields of a form are seen.

use std::cell::{Cell, OnceCell};
use std::collections::{HashMap, HashSet};

use crate::error::PdfError;
use crate::file::PdfFile;
use crate::values::{Dictionary, Value};

/// Pages that are looked at.
const MAX_PAGES: usize = 20_000;

/// A place where a field is seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Widget {
    /// The page, counted from 1; none where no page shows it.
    pub page: Option<u32>,
    /// Left, bottom, right and top in points from the page's origin; none where the file does not say.
    pub rect: Option<[f64; 4]>,
}

/// Which page shows which widget, found when the first is asked for.
pub(crate) struct Pages<'a> {
    file: &'a PdfFile<'a>,
    /// The tree of pages, until it is read.
    root: Cell<Option<Value>>,
    shown: OnceCell<Shown>,
}

#[derive(Default)]
struct Shown {
    pages: HashMap<u32, u32>,
    widgets: HashMap<u32, u32>,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(file: &'a PdfFile<'a>, root: Option<Value>) -> Self {
        Self { file, root: Cell::new(root), shown: OnceCell::new() }
    }

    /// The place of a widget. Its page is the one that shows it, or else the one that it names.
    pub(crate) fn widget(&self, number: Option<u32>, widget: &Dictionary) -> Result<Widget, PdfError> {
        let shown = if let Some(shown) = self.shown.get() {
            shown
        } else {
            let shown = self.read()?;
            self.shown.get_or_init(|| shown)
        };
        let named = || widget.get(b"P").and_then(Value::reference).and_then(|page| shown.pages.get(&page));
        let page = number.and_then(|number| shown.widgets.get(&number)).or_else(named).copied();
        Ok(Widget { page, rect: self.rectangle(widget)? })
    }

    fn rectangle(&self, widget: &Dictionary) -> Result<Option<[f64; 4]>, PdfError> {
        let mut corners = Vec::with_capacity(4);
        for item in self.file.array(widget.get(b"Rect"))?.unwrap_or_default().iter().take(5) {
            if let Value::Number(number) = *self.file.resolve(item)?
                && number.is_finite()
            {
                corners.push(number);
            }
        }
        let Ok([x1, y1, x2, y2]) = <[f64; 4]>::try_from(corners) else { return Ok(None) };
        // Any two opposite corners may stand there.
        Ok(Some([x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2)]))
    }

    fn read(&self) -> Result<Shown, PdfError> {
        let mut shown = Shown::default();
        let mut next: Vec<Value> = self.root.take().into_iter().collect();
        let (mut seen, mut count) = (HashSet::new(), 0_u32);
        while let Some(place) = next.pop() {
            if place.reference().is_some_and(|number| !seen.insert(number)) {
                return Err(PdfError::Invalid("a page is in its tree twice"));
            }
            if seen.len() > 2 * MAX_PAGES {
                return Err(PdfError::TooMuch { what: "pages" });
            }
            let number = place.reference();
            let Some(mut node) = self.file.owned_dictionary(Some(place))? else { continue };
            if let Some(kids) = self.file.owned_array(node.take(b"Kids"))? {
                next.extend(kids.into_iter().rev());
                continue;
            }
            count += 1;
            shown.pages.extend(number.map(|number| (number, count)));
            for annotation in self.file.array(node.get(b"Annots"))?.unwrap_or_default().iter() {
                shown.widgets.extend(annotation.reference().map(|number| (number, count)));
            }
        }
        Ok(shown)
    }
}
