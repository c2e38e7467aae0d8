//! Several documents become one, in which links and outlines still lead where they led.

use std::collections::HashSet;

use bytes::Bytes;
use lopdf::{Dictionary, Document, Object, ObjectId, StringFormat};

use crate::error::PdfError;
use crate::finish::{Finished, Limits, Stamp};
use crate::graft::{Graft, Target, load, member};
use crate::info::date_text;

/// Entries of one outline that are looked at: Chromium writes one for a heading.
const MAX_ENTRIES: usize = 100_000;

/// One of the documents.
#[derive(Clone, Debug)]
pub struct Part {
    /// A PDF that this product printed.
    pub pdf: Bytes,
    /// What its entry in the outline says, under which its own outline stands; without, its own stands at the top.
    pub title: Option<String>,
}

/// The documents one behind the other.
///
/// Kept: pages as they are, links, named destinations (one that two documents have gets another name in the later one, with
/// the links to it), outlines, the language where all have the same. Fonts and pictures that several have are kept once. Left
/// out: the structure for assistive technology, so that the file does not say it is tagged. The same parts and stamp give
/// the same bytes.
pub fn merge(parts: &[Part], stamp: &Stamp, limits: Limits) -> Result<Finished, PdfError> {
    let mut whole = Whole::new();
    for part in parts {
        let size_bytes = part.pdf.len() as u64;
        if size_bytes > limits.max_bytes {
            return Err(PdfError::TooLarge { size_bytes, max_bytes: limits.max_bytes });
        }
        whole.add(part, limits.max_pages)?;
    }
    let pages = whole.page_count;
    let bytes = whole.into_bytes(stamp)?;
    let size_bytes = bytes.len() as u64;
    if size_bytes > limits.max_bytes {
        return Err(PdfError::TooLarge { size_bytes, max_bytes: limits.max_bytes });
    }
    Ok(Finished { bytes: bytes.into(), page_count: pages })
}

/// What is there of the merged file.
struct Whole {
    target: Target,
    pages: ObjectId,
    outlines: ObjectId,
    kids: Vec<Object>,
    page_count: u32,
    /// The entries at the top of the outline.
    entries: Vec<ObjectId>,
    destinations: Dictionary,
    names: HashSet<Vec<u8>>,
    /// The language of all so far; nothing once two differ.
    language: Option<Object>,
    producer: Option<Object>,
}

impl Whole {
    fn new() -> Self {
        let mut target = Target::new();
        let (pages, outlines) = (target.reserve(), target.reserve());
        let (kids, entries, names) = Default::default();
        let (destinations, language, producer) = (Dictionary::new(), None, None);
        Self { target, pages, outlines, kids, page_count: 0, entries, destinations, names, language, producer }
    }

    fn add(&mut self, part: &Part, max_pages: u32) -> Result<(), PdfError> {
        let source = load(&part.pdf)?;
        let catalog = source.catalog().map_err(|_| PdfError::Unreadable("it has no catalog"))?;
        let pages: Vec<ObjectId> = source.page_iter().collect();
        let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        let sum = self.page_count.saturating_add(count);
        if sum > max_pages {
            return Err(PdfError::TooManyPages { pages: sum, max_pages });
        }
        let language = catalog.get(b"Lang").ok().cloned();
        if self.kids.is_empty() {
            self.language = language;
            let info = member(&source, &source.trailer, b"Info");
            self.producer = info.and_then(|info| info.get(b"Producer").ok()).cloned();
        } else if self.language != language {
            self.language = None;
        }

        let mut graft = Graft::new(&source);
        let named = member(&source, catalog, b"Dests").cloned().unwrap_or_default();
        for (name, _) in &named {
            let mut free = name.clone();
            if !self.names.insert(free.clone()) {
                free = [format!("part-{}.", self.kids.len() + 1).as_bytes(), name].concat();
                self.names.insert(free.clone());
                graft.rename(name.clone(), free);
            }
        }
        let node = self.target.reserve();
        graft.pages(&mut self.target, &pages, &pages, node)?;
        let kids: Vec<Object> = pages.iter().map(|page| graft.reference(&mut self.target, *page)).collect();
        for (name, place) in &named {
            let place = graft.value(&mut self.target, place)?;
            self.destinations.set(graft.name_of(name), place);
        }
        self.outline(part, &source, catalog, &mut graft, kids.first())?;
        let mut tree = Dictionary::new();
        tree.set("Type", Object::Name(b"Pages".to_vec()));
        tree.set("Parent", self.pages);
        tree.set("Count", i64::from(count));
        tree.set("Kids", kids);
        self.target.set(node, tree);
        self.kids.push(node.into());
        self.page_count = sum;
        Ok(())
    }

    /// Takes over a document's outline, under an entry of its own where it has a title.
    fn outline(
        &mut self,
        part: &Part,
        source: &Document,
        catalog: &Dictionary,
        graft: &mut Graft<'_>,
        first_page: Option<&Object>,
    ) -> Result<(), PdfError> {
        let root = catalog.get(b"Outlines").and_then(Object::as_reference).ok();
        let old = root.map_or_else(Vec::new, |root| entries_of(source, root));
        let own = part.title.as_ref().map(|title| (self.target.reserve(), title));
        if let Some(root) = root {
            graft.stands_for(root, own.map_or(self.outlines, |(own, _)| own));
        }
        let mut entries = Vec::with_capacity(old.len());
        for entry in old {
            if let Object::Reference(new) = graft.reference(&mut self.target, entry) {
                entries.push(new);
            }
        }
        // Behind the first come all the others.
        graft.value(&mut self.target, &Object::Null)?;
        let Some((own, title)) = own else {
            self.entries.extend(entries);
            return Ok(());
        };
        let mut entry = Dictionary::new();
        entry.set("Title", text(title));
        entry.set("Parent", self.outlines);
        if let Some(page) = first_page {
            entry.set("Dest", vec![page.clone(), Object::Name(b"Fit".to_vec())]);
        }
        chain(&mut self.target, &mut entry, &entries, Shown::Closed);
        self.target.set(own, entry);
        self.entries.push(own);
        Ok(())
    }

    fn into_bytes(mut self, stamp: &Stamp) -> Result<Vec<u8>, PdfError> {
        let mut tree = Dictionary::new();
        tree.set("Type", Object::Name(b"Pages".to_vec()));
        tree.set("Count", i64::from(self.page_count));
        tree.set("Kids", self.kids);
        self.target.set(self.pages, tree);

        let mut catalog = Dictionary::new();
        catalog.set("Type", Object::Name(b"Catalog".to_vec()));
        catalog.set("Pages", self.pages);
        if !self.destinations.is_empty() {
            catalog.set("Dests", self.destinations);
        }
        if !self.entries.is_empty() {
            let mut outlines = Dictionary::new();
            outlines.set("Type", Object::Name(b"Outlines".to_vec()));
            chain(&mut self.target, &mut outlines, &self.entries, Shown::Open);
            self.target.set(self.outlines, outlines);
            catalog.set("Outlines", self.outlines);
        }
        if let Some(language) = self.language {
            catalog.set("Lang", language);
        }

        let mut info = Dictionary::new();
        let metadata = &stamp.metadata;
        for (key, value) in [
            ("Title", &metadata.title),
            ("Subject", &metadata.subject),
            ("Author", &metadata.author),
            ("Keywords", &metadata.keywords),
            ("Creator", &metadata.creator),
        ] {
            if let Some(value) = value {
                info.set(key, text(value));
            }
        }
        if let Some(producer) = self.producer {
            info.set("Producer", producer);
        }
        for key in ["CreationDate", "ModDate"] {
            info.set(key, Object::string_literal(date_text(stamp.now)));
        }
        let (catalog_at, info_at) = (self.target.reserve(), self.target.reserve());
        self.target.set(catalog_at, catalog);
        self.target.set(info_at, info);
        self.target.into_bytes(catalog_at, info_at)
    }
}

/// Whether a reader shows the entries below one without being asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Open,
    Closed,
}

/// Ties entries to each other and to what stands above them.
fn chain(target: &mut Target, above: &mut Dictionary, entries: &[ObjectId], shown: Shown) {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
    above.set("First", *first);
    above.set("Last", *last);
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    above.set("Count", if shown == Shown::Open { count } else { -count });
    for (at, entry) in entries.iter().enumerate() {
        let Some(members) = target.dictionary(*entry) else { continue };
        for (key, neighbour) in [("Prev", at.checked_sub(1)), ("Next", Some(at + 1))] {
            match neighbour.and_then(|at| entries.get(at)) {
                Some(neighbour) => members.set(key, *neighbour),
                None => drop(members.remove(key.as_bytes())),
            }
        }
    }
}

/// The entries right below one, in their order; of a ring each once.
fn entries_of(source: &Document, above: ObjectId) -> Vec<ObjectId> {
    let next = |id: ObjectId, key: &[u8]| source.get_dictionary(id).ok()?.get(key).and_then(Object::as_reference).ok();
    let mut seen = HashSet::new();
    std::iter::successors(next(above, b"First"), |id| next(*id, b"Next")).take(MAX_ENTRIES).take_while(|id| seen.insert(*id)).collect()
}

/// A text as PDF has it: plain ASCII, or UTF-16BE with its mark.
fn text(text: &str) -> Object {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Object::string_literal(text);
    }
    let units = text.encode_utf16().flat_map(u16::to_be_bytes);
    Object::String([0xFE, 0xFF].into_iter().chain(units).collect(), StringFormat::Hexadecimal)
}
