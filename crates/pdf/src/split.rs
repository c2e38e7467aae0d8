//! One print of several documents becomes those documents again, each as if it had been printed alone.

use bytes::Bytes;
use lopdf::{Dictionary, Object, ObjectId};

use crate::error::PdfError;
use crate::graft::{Graft, Target, destination, load, member};
use crate::ruler::{self, Ruler};

/// What of the catalog is about the whole file and does not go into its pieces.
const OF_THE_WHOLE: [&[u8]; 6] = [b"Pages", b"Dests", b"Outlines", b"StructTreeRoot", b"MarkInfo", b"Names"];

/// Cuts a print where the named destinations `marks` stand, in their order. The first stands on the first page and no two on
/// the same: anything else means that documents run into each other, and is [`PdfError::Unreadable`].
///
/// Each piece has the pages up to the next mark, what they need, and the information and catalog of the whole but its title,
/// outline, destinations and structure: [`crate::finish()`] gives it its own.
///
/// A `ruler` stands on the last page, which goes into no piece. Where it does not have its size, the browser scaled the print, and
/// that is [`PdfError::Unreadable`] too.
pub fn split(pdf: &[u8], marks: &[&str], ruler: Option<Ruler<'_>>) -> Result<Vec<Bytes>, PdfError> {
    let source = load(pdf)?;
    let catalog = source.catalog().map_err(|_| PdfError::Unreadable("it has no catalog"))?;
    let mut pages: Vec<ObjectId> = source.page_iter().collect();
    let places = member(&source, catalog, b"Dests").ok_or(PdfError::Unreadable("it has no named destinations"))?;
    let page_of = |mark: &str| destination(&source, places, mark);
    if let Some(ruler) = ruler {
        let last = pages.pop().filter(|last| page_of(ruler.mark) == Some(*last));
        if !last.is_some_and(|last| ruler::is_true(ruler, &source, last)) {
            return Err(PdfError::Unreadable("it was scaled"));
        }
    }
    let place_of = |mark: &&str| page_of(mark).and_then(|page| pages.iter().position(|id| *id == page));
    let starts: Vec<usize> = marks.iter().map(place_of).collect::<Option<_>>().ok_or(PdfError::Unreadable("a mark is on no page"))?;
    if starts.first() != Some(&0) || !starts.is_sorted_by(|one, next| one < next) {
        return Err(PdfError::Unreadable("its marks are not each on a later page"));
    }
    let info = member(&source, &source.trailer, b"Info").ok_or(PdfError::Unreadable("it has no information dictionary"))?;
    let ends = starts.iter().skip(1).copied().chain([pages.len()]);
    let mut pieces = Vec::with_capacity(starts.len());
    for (start, end) in starts.iter().zip(ends) {
        let wanted = pages.get(*start..end).unwrap_or_default();
        let mut target = Target::new();
        let [info_at, tree_at, catalog_at] = [(); 3].map(|()| target.reserve());
        let mut graft = Graft::new(&source);
        graft.pages(&mut target, wanted, &pages, tree_at)?;
        let mut tree = Dictionary::new();
        tree.set("Type", Object::Name(b"Pages".to_vec()));
        tree.set("Count", i64::try_from(wanted.len()).unwrap_or(i64::MAX));
        let kids: Vec<Object> = wanted.iter().map(|page| graft.reference(&mut target, *page)).collect();
        tree.set("Kids", kids);
        target.set(tree_at, tree);
        let mut own = Dictionary::new();
        for (key, value) in catalog.iter().filter(|(key, _)| !OF_THE_WHOLE.contains(&key.as_slice())) {
            own.set(key.clone(), graft.value(&mut target, value)?);
        }
        own.set("Pages", tree_at);
        target.set(catalog_at, own);
        let mut about = info.clone();
        about.remove(b"Title");
        target.set(info_at, about);
        pieces.push(target.into_bytes(catalog_at, info_at)?.into());
    }
    Ok(pieces)
}
