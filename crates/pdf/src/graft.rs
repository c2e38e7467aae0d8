//! Objects of one document copied into another: what is reachable from the pages that are wanted, and nothing else.

use std::collections::hash_map::{Entry, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use lopdf::xref::XrefType;
use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId};

use crate::error::PdfError;

/// Nothing that Chromium writes is nested as deep.
const MAX_DEPTH: usize = 40;
/// What its own packed streams may become; Chromium writes none that would have to be unpacked to be read.
const MAX_UNPACKED_BYTES: usize = 16 * 1024 * 1024;
/// What belongs to the structure for assistive technology, which does not outlive a copy: its numbers are those of a whole file.
const STRUCTURE: [&[u8]; 4] = [b"StructParents", b"StructParent", b"SE", b"Tabs"];
/// What a page may have from its ancestors (PDF 1.7, 7.7.3.4).
const INHERITED: [&[u8]; 4] = [b"Resources", b"MediaBox", b"CropBox", b"Rotate"];

/// Reads a whole file that this product printed.
pub(crate) fn load(pdf: &[u8]) -> Result<Document, PdfError> {
    let document = Document::load_mem_with_options(pdf, LoadOptions::with_max_decompressed_size(MAX_UNPACKED_BYTES))
        .map_err(|_| PdfError::Unreadable("its objects are not what they should be"))?;
    if document.is_encrypted() {
        return Err(PdfError::Encrypted);
    }
    Ok(document)
}

/// The value behind a reference, or the value itself.
fn resolved<'d>(document: &'d Document, value: &'d Object) -> Option<&'d Object> {
    document.dereference(value).ok().map(|(_, value)| value)
}

/// The dictionary that `holder` has under `key`, be it by reference.
pub(crate) fn member<'d>(document: &'d Document, holder: &'d Dictionary, key: &[u8]) -> Option<&'d Dictionary> {
    resolved(document, holder.get(key).ok()?)?.as_dict().ok()
}

/// The page that the destination `name` leads to, where `places` are the named destinations of the document.
pub(crate) fn destination(document: &Document, places: &Dictionary, name: &str) -> Option<ObjectId> {
    let place = resolved(document, places.get(name.as_bytes()).ok()?)?.as_array().ok()?;
    place.first()?.as_reference().ok()
}

/// The file that is being made.
pub(crate) struct Target {
    document: Document,
    /// Leaf streams by the hash of what is in them: a font or a picture that several documents have is kept once.
    leaves: HashMap<u64, Vec<ObjectId>>,
}

impl Target {
    pub(crate) fn new() -> Self {
        let mut document = Document::with_version("1.4");
        document.reference_table.cross_reference_type = XrefType::CrossReferenceTable;
        Self { document, leaves: HashMap::new() }
    }

    /// An id that an object will have.
    pub(crate) fn reserve(&mut self) -> ObjectId {
        self.document.new_object_id()
    }

    pub(crate) fn set(&mut self, id: ObjectId, object: impl Into<Object>) {
        self.document.objects.insert(id, object.into());
    }

    /// A dictionary that is there already.
    pub(crate) fn dictionary(&mut self, id: ObjectId) -> Option<&mut Dictionary> {
        self.document.get_dictionary_mut(id).ok()
    }

    /// The file.
    pub(crate) fn into_bytes(mut self, catalog: ObjectId, info: ObjectId) -> Result<Vec<u8>, PdfError> {
        self.document.trailer.set("Root", catalog);
        self.document.trailer.set("Info", info);
        let mut bytes = Vec::new();
        self.document.save_to(&mut bytes).map_err(|_| PdfError::Unreadable("it cannot be written again"))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// A leaf stream that is there already, or a new place for this one.
    fn leaf(&mut self, object: &Object) -> ObjectId {
        let mut hasher = DefaultHasher::new();
        if let Object::Stream(stream) = object {
            stream.content.hash(&mut hasher);
        }
        let known = self.leaves.entry(hasher.finish()).or_default();
        let same = known.iter().find(|id| match (self.document.objects.get(id), object) {
            (Some(Object::Stream(known)), Object::Stream(stream)) => known.dict == stream.dict && known.content == stream.content,
            _ => false,
        });
        if let Some(id) = same {
            return *id;
        }
        let id = self.document.new_object_id();
        self.document.objects.insert(id, object.clone());
        self.leaves.entry(hasher.finish()).or_default().push(id);
        id
    }
}

/// The way of one document's objects into a [`Target`].
pub(crate) struct Graft<'s> {
    source: &'s Document,
    places: HashMap<ObjectId, Object>,
    pending: Vec<(ObjectId, ObjectId)>,
    /// What names of destinations are called from now on, where they cannot stay as they are.
    renamed: HashMap<Vec<u8>, Vec<u8>>,
}

impl<'s> Graft<'s> {
    pub(crate) fn new(source: &'s Document) -> Self {
        Self { source, places: HashMap::new(), pending: Vec::new(), renamed: HashMap::new() }
    }

    /// References to `old` become this, and nothing behind `old` is copied.
    pub(crate) fn stands_for(&mut self, old: ObjectId, new: impl Into<Object>) {
        self.places.insert(old, new.into());
    }

    /// The named destination `old` is called `new` from now on.
    pub(crate) fn rename(&mut self, old: Vec<u8>, new: Vec<u8>) {
        self.renamed.insert(old, new);
    }

    /// What a named destination is called in the new file.
    pub(crate) fn name_of(&self, name: &[u8]) -> Vec<u8> {
        self.renamed.get(name).map_or_else(|| name.to_vec(), Clone::clone)
    }

    /// Copies pages under a new node of the page tree; every page that is not among them is nowhere.
    pub(crate) fn pages(&mut self, target: &mut Target, wanted: &[ObjectId], all: &[ObjectId], parent: ObjectId) -> Result<(), PdfError> {
        for page in all {
            self.stands_for(*page, Object::Null);
        }
        let new: Vec<ObjectId> = wanted.iter().map(|_| target.reserve()).collect();
        for (old, new) in wanted.iter().zip(&new) {
            self.stands_for(*old, *new);
        }
        for (old, new) in wanted.iter().zip(new) {
            let broken = PdfError::Unreadable("a page is not where the tree says");
            let page = self.source.get_dictionary(*old).map_err(|_| broken)?;
            let mut page = self.with_inherited(page);
            page.remove(b"Parent");
            let mut copy = self.dictionary(target, &page, 0)?;
            copy.set("Parent", parent);
            target.set(new, copy);
        }
        self.finish(target)
    }

    /// Copies a value and everything behind it.
    pub(crate) fn value(&mut self, target: &mut Target, value: &Object) -> Result<Object, PdfError> {
        let copy = self.object(target, value, 0)?;
        self.finish(target)?;
        Ok(copy)
    }

    /// Where an object has gone, or goes now.
    pub(crate) fn reference(&mut self, target: &mut Target, old: ObjectId) -> Object {
        let source = self.source;
        match self.places.entry(old) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(vacant) => {
                let new = match source.objects.get(&old) {
                    None => return Object::Null,
                    Some(leaf @ Object::Stream(stream)) if !stream.dict.iter().any(|(_, value)| points_elsewhere(value)) => {
                        target.leaf(leaf)
                    }
                    Some(_) => {
                        let new = target.reserve();
                        self.pending.push((old, new));
                        new
                    }
                };
                vacant.insert(new.into()).clone()
            }
        }
    }

    /// Copies what is still only promised.
    fn finish(&mut self, target: &mut Target) -> Result<(), PdfError> {
        let source = self.source;
        while let Some((old, new)) = self.pending.pop() {
            if let Some(object) = source.objects.get(&old) {
                let copy = self.object(target, object, 0)?;
                target.set(new, copy);
            }
        }
        Ok(())
    }

    fn object(&mut self, target: &mut Target, object: &Object, depth: usize) -> Result<Object, PdfError> {
        if depth > MAX_DEPTH {
            return Err(PdfError::Unreadable("its objects are nested too deep"));
        }
        Ok(match object {
            Object::Reference(id) => self.reference(target, *id),
            Object::Array(items) => Object::Array(items.iter().map(|item| self.object(target, item, depth + 1)).collect::<Result<_, _>>()?),
            Object::Dictionary(dictionary) => self.dictionary(target, dictionary, depth)?.into(),
            Object::Stream(stream) => {
                let mut copy = stream.clone();
                copy.dict = self.dictionary(target, &stream.dict, depth)?;
                copy.into()
            }
            plain => plain.clone(),
        })
    }

    fn dictionary(&mut self, target: &mut Target, dictionary: &Dictionary, depth: usize) -> Result<Dictionary, PdfError> {
        let mut copy = Dictionary::new();
        for (key, value) in dictionary {
            if STRUCTURE.contains(&key.as_slice()) {
                continue;
            }
            let is_destination = matches!(key.as_slice(), b"Dest" | b"D");
            let value = match value {
                Object::Name(name) if is_destination => Object::Name(self.renamed.get(name).unwrap_or(name).clone()),
                Object::String(name, format) if is_destination => Object::String(self.renamed.get(name).unwrap_or(name).clone(), *format),
                value => self.object(target, value, depth + 1)?,
            };
            copy.set(key.clone(), value);
        }
        Ok(copy)
    }

    /// The page with what it has from its ancestors.
    fn with_inherited(&self, page: &Dictionary) -> Dictionary {
        let mut whole = page.clone();
        let mut at = page;
        for _ in 0..MAX_DEPTH {
            let Some(parent) = member(self.source, at, b"Parent") else { break };
            for key in INHERITED {
                if let (false, Ok(value)) = (whole.has(key), parent.get(key)) {
                    whole.set(key, value.clone());
                }
            }
            at = parent;
        }
        whole
    }
}

fn points_elsewhere(value: &Object) -> bool {
    match value {
        Object::Reference(_) => true,
        Object::Array(items) => items.iter().any(points_elsewhere),
        Object::Dictionary(members) => members.iter().any(|(_, value)| points_elsewhere(value)),
        _ => false,
    }
}
