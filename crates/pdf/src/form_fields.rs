//! The fields of a form (PDF 1.7, 12.7): a tree of dictionaries whose leaves people fill in.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

use crate::error::PdfError;
use crate::file::PdfFile;
use crate::form_widgets::{Pages, Widget};
use crate::texts::text;
use crate::values::{Dictionary, Value};

/// Fields of one form. Forms of authorities have some hundreds.
const MAX_FIELDS: usize = 20_000;
/// Nodes of the tree, widgets among them.
const MAX_NODES: usize = 100_000;
/// How deep the tree may be.
const MAX_DEPTH: usize = 32;
/// Bytes of a whole name.
const MAX_NAME_BYTES: usize = 4 * 1024;
/// Bytes of all names, values and options in one answer.
const MAX_TEXT_BYTES: usize = 4 << 20;
/// What a text costs beside its bytes, also an empty one: its place in the answer.
const TEXT_COST_BYTES: usize = 16;
/// Widgets in one answer.
const MAX_WIDGETS: usize = 20_000;

/// What people do with a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormFieldKind {
    /// Type text.
    Text,
    /// Tick it.
    Checkbox,
    /// Choose one of several buttons.
    Radio,
    /// Choose from a list that opens.
    Dropdown,
    /// Choose from a list that is open.
    OptionList,
    /// Sign.
    Signature,
    /// Push it; there is nothing to fill in.
    Button,
}

/// What a field holds.
#[derive(Clone, PartialEq, Debug)]
pub enum FormFieldValue {
    /// Nothing, or nothing that can be written down.
    Empty,
    /// A text, or the choice that was made.
    Text(String),
    /// Whether it is ticked, or signed.
    Flag(bool),
    /// The choices that were made.
    Choices(Vec<String>),
}

/// A field that can be filled in.
#[derive(Clone, PartialEq, Debug)]
pub struct FormField {
    /// The names from the root of the tree to this field, with dots.
    pub name: String,
    /// What people do with it.
    pub kind: FormFieldKind,
    /// What it holds.
    pub value: FormFieldValue,
    /// Whether people may not change it.
    pub read_only: bool,
    /// Whether it must hold something when the form is sent.
    pub required: bool,
    /// Whether the text may have several lines; only where text is typed.
    pub multiline: Option<bool>,
    /// Characters that the text may have, where the form says so.
    pub max_length: Option<usize>,
    /// What can be chosen, as a value names it; only where something is chosen.
    pub options: Option<Vec<String>>,
    /// Where it is seen.
    pub widgets: Vec<Widget>,
}

/// Whether there is a second form in XML, which other programs show instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Xfa {
    /// There is none.
    None,
    /// There is one beside the fields.
    Hybrid,
    /// There is one, and no field.
    Only,
}

/// A part of the fields of a form.
#[derive(Clone, PartialEq, Debug)]
pub struct FormFields {
    /// The part that was asked for, in the order of the tree.
    pub items: Vec<FormField>,
    /// The fields that there are.
    pub total: usize,
    /// Whether there is a form in XML.
    pub xfa: Xfa,
}

/// The fields of a PDF: at most `limit` of them, from the `offset`th on. A PDF without a form has none.
///
/// It costs what the budget of a file says (`file.rs`): what a field inherits is looked at anew for each that does, and every look
/// spends. A form of more than 20,000 fields, or whose answer would have more than 4 MiB of text, where each text counts 16 bytes
/// more than it has, is [`PdfError::TooMuch`]; what is encrypted is [`PdfError::Encrypted`], and what is broken or leads in a circle
/// [`PdfError::Invalid`].
pub fn form_fields(pdf: &[u8], limit: usize, offset: usize) -> Result<FormFields, PdfError> {
    let file = PdfFile::open(pdf)?;
    let mut catalog = file.catalog()?;
    let Some(mut form) = file.owned_dictionary(catalog.take(b"AcroForm"))? else {
        return Ok(FormFields { items: Vec::new(), total: 0, xfa: Xfa::None });
    };
    let has_xml = file.found(form.get(b"XFA"))?.is_some();
    let mut reader = Reader {
        pages: Pages::new(&file, catalog.take(b"Pages")),
        file: &file,
        text_left: Cell::new(MAX_TEXT_BYTES),
        widgets_left: MAX_WIDGETS,
        wanted: offset..offset.saturating_add(limit),
        items: Vec::new(),
        total: 0,
    };
    reader.walk(file.owned_array(form.take(b"Fields"))?.unwrap_or_default())?;
    let xfa = match (has_xml, reader.total) {
        (false, _) => Xfa::None,
        (true, 0) => Xfa::Only,
        (true, _) => Xfa::Hybrid,
    };
    Ok(FormFields { items: reader.items, total: reader.total, xfa })
}

/// What a node has of its own or from the nodes above it.
#[derive(Clone, Default)]
struct Inherited {
    depth: usize,
    name: Vec<u8>,
    kind: Option<Rc<[u8]>>,
    flags: Option<usize>,
    value: Option<Rc<Value>>,
    options: Option<Rc<Value>>,
    max_length: Option<Rc<Value>>,
}

struct Reader<'a> {
    file: &'a PdfFile<'a>,
    pages: Pages<'a>,
    text_left: Cell<usize>,
    widgets_left: usize,
    wanted: std::ops::Range<usize>,
    items: Vec<FormField>,
    total: usize,
}

impl Reader<'_> {
    /// All nodes, parents before their kids, without recursion.
    fn walk(&mut self, roots: Vec<Value>) -> Result<(), PdfError> {
        let top = Rc::new(Inherited::default());
        let mut next: Vec<(Value, Rc<Inherited>)> = roots.into_iter().rev().map(|root| (root, Rc::clone(&top))).collect();
        let (mut seen, mut nodes) = (HashSet::new(), 0_usize);
        while let Some((place, above)) = next.pop() {
            nodes += 1;
            if nodes > MAX_NODES || next.len() > MAX_NODES {
                return Err(PdfError::TooMuch { what: "form fields" });
            }
            if place.reference().is_some_and(|number| !seen.insert(number)) {
                return Err(PdfError::Invalid("a form field is in its tree twice"));
            }
            let number = place.reference();
            let Some(mut node) = self.file.owned_dictionary(Some(place))? else { continue };
            let own = self.inherit(&mut node, &above)?;
            let kids = self.file.owned_array(node.take(b"Kids"))?.unwrap_or_default();
            // Kids without a name of their own are the field's widgets.
            let (mut fields, mut widgets) = (Vec::new(), Vec::new());
            for kid in kids {
                let number = kid.reference();
                let Some(dictionary) = self.file.owned_dictionary(Some(kid))? else { continue };
                if dictionary.get(b"T").is_some() || dictionary.get(b"Kids").is_some() {
                    fields.push(number.map_or(Value::Dictionary(dictionary), Value::Reference));
                } else {
                    if number.is_some_and(|number| !seen.insert(number)) {
                        return Err(PdfError::Invalid("a form field is in its tree twice"));
                    }
                    nodes += 1;
                    widgets.push((number, dictionary));
                }
            }
            if fields.is_empty() {
                if widgets.is_empty() {
                    widgets.push((number, node));
                }
                self.field(&own, &widgets)?;
            } else {
                let own = Rc::new(own);
                next.extend(fields.into_iter().rev().map(|kid| (kid, Rc::clone(&own))));
            }
        }
        Ok(())
    }

    fn inherit(&self, node: &mut Dictionary, above: &Inherited) -> Result<Inherited, PdfError> {
        let mut own = above.clone();
        own.depth += 1;
        if own.depth > MAX_DEPTH {
            return Err(PdfError::Invalid("its form fields lie too deep in each other"));
        }
        if let Some(Value::Text(part)) = self.file.found(node.get(b"T"))?.as_deref() {
            let part = text(part);
            if !own.name.is_empty() {
                own.name.push(b'.');
            }
            own.name.extend_from_slice(part.as_bytes());
            if own.name.len() > MAX_NAME_BYTES {
                return Err(PdfError::TooMuch { what: "bytes in the name of a form field" });
            }
        }
        if let Some(Value::Name(kind)) = self.file.found(node.get(b"FT"))?.as_deref() {
            own.kind = Some(kind.as_slice().into());
        }
        if let Some(flags) = self.file.found(node.get(b"Ff"))?.and_then(|flags| flags.whole()) {
            own.flags = Some(flags);
        }
        // Looked at only where they are wanted, so they stay references if they are.
        for (key, place) in [(b"V".as_slice(), &mut own.value), (b"Opt", &mut own.options), (b"MaxLen", &mut own.max_length)] {
            if let Some(value) = node.take(key) {
                *place = Some(Rc::new(value));
            }
        }
        Ok(own)
    }

    fn field(&mut self, own: &Inherited, widgets: &[(Option<u32>, Dictionary)]) -> Result<(), PdfError> {
        const READ_ONLY: u32 = 0;
        const REQUIRED: u32 = 1;
        const MULTILINE: u32 = 12;
        let Some(kind) = own.kind.as_deref().and_then(|kind| kind_of(kind, own)) else { return Ok(()) };
        self.total += 1;
        if self.total > MAX_FIELDS {
            return Err(PdfError::TooMuch { what: "form fields" });
        }
        if !self.wanted.contains(&(self.total - 1)) {
            return Ok(());
        }
        self.widgets_left = self.widgets_left.checked_sub(widgets.len()).ok_or(PdfError::TooMuch { what: "places of form fields" })?;
        let given = match kind {
            FormFieldKind::Radio | FormFieldKind::Dropdown | FormFieldKind::OptionList => self.options(own)?,
            _ => Vec::new(),
        };
        let value = self.value(kind, own, &given)?;
        let options = match kind {
            FormFieldKind::Radio => Some(self.states(widgets, &given)?),
            FormFieldKind::Dropdown | FormFieldKind::OptionList => Some(given),
            _ => None,
        };
        let name = String::from_utf8_lossy(&own.name).into_owned();
        self.spend_text(name.len())?;
        let max_length = self.file.found(own.max_length.as_deref())?.and_then(|length| length.whole());
        let field = FormField {
            name,
            kind,
            value,
            read_only: flag(own, READ_ONLY),
            required: flag(own, REQUIRED),
            multiline: (kind == FormFieldKind::Text).then(|| flag(own, MULTILINE)),
            max_length: max_length.filter(|_| kind == FormFieldKind::Text),
            options,
            widgets: widgets.iter().map(|(number, widget)| self.pages.widget(*number, widget)).collect::<Result<_, _>>()?,
        };
        self.items.push(field);
        Ok(())
    }

    /// What can be chosen: of a pair the word that a value uses, not the one that people read.
    fn options(&self, own: &Inherited) -> Result<Vec<String>, PdfError> {
        let mut options = Vec::new();
        for item in self.file.array(own.options.as_deref())?.unwrap_or_default().iter() {
            let item = self.file.resolve(item)?;
            let option = match &*item {
                Value::Array(pair) => self.file.found(pair.first())?.map(|word| self.words(&word)).transpose()?.flatten(),
                word => self.words(word)?,
            };
            options.extend(option);
        }
        Ok(options)
    }

    /// The states of radio buttons but Off, each once, in the order of the buttons. With options a state is the place of one.
    fn states(&self, widgets: &[(Option<u32>, Dictionary)], given: &[String]) -> Result<Vec<String>, PdfError> {
        let (mut states, mut seen) = (Vec::new(), HashSet::new());
        for (_, widget) in widgets {
            let looks = self.file.dictionary(widget.get(b"AP"))?;
            let normal = looks.as_ref().map(|looks| self.file.dictionary(looks.get(b"N"))).transpose()?.flatten();
            for name in normal.iter().flat_map(|normal| normal.names()).filter(|name| *name != b"Off") {
                if seen.insert(name.to_vec())
                    && let Some(state) = self.words(&Value::Name(name.to_vec()))?
                {
                    states.push(self.chosen(state, given)?);
                }
            }
        }
        Ok(states)
    }

    fn value(&self, kind: FormFieldKind, own: &Inherited, given: &[String]) -> Result<FormFieldValue, PdfError> {
        let found = self.file.found(own.value.as_deref())?;
        let Some(found) = found else {
            return Ok(if kind == FormFieldKind::Checkbox { FormFieldValue::Flag(false) } else { FormFieldValue::Empty });
        };
        Ok(match kind {
            FormFieldKind::Button => FormFieldValue::Empty,
            FormFieldKind::Signature => FormFieldValue::Flag(true),
            FormFieldKind::Checkbox => FormFieldValue::Flag(*found != Value::Name(b"Off".to_vec())),
            FormFieldKind::Radio if *found == Value::Name(b"Off".to_vec()) => FormFieldValue::Empty,
            FormFieldKind::Radio => match self.words(&found)? {
                Some(state) => FormFieldValue::Text(self.chosen(state, given)?),
                None => FormFieldValue::Empty,
            },
            FormFieldKind::Text | FormFieldKind::Dropdown | FormFieldKind::OptionList => match &*found {
                Value::Array(items) => {
                    let mut choices = Vec::new();
                    for item in items {
                        choices.extend(self.words(&*self.file.resolve(item)?)?);
                    }
                    FormFieldValue::Choices(choices)
                }
                other => self.words(other)?.map_or(FormFieldValue::Empty, FormFieldValue::Text),
            },
        })
    }

    /// A state as the option whose place it is, where there are options.
    fn chosen(&self, state: String, given: &[String]) -> Result<String, PdfError> {
        let Some(option) = state.parse().ok().and_then(|place: usize| given.get(place)) else { return Ok(state) };
        // Many states may name the same one.
        self.spend_text(option.len()).map(|()| option.clone())
    }

    fn words(&self, value: &Value) -> Result<Option<String>, PdfError> {
        let words = match value {
            Value::Text(bytes) => text(bytes),
            Value::Name(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => return Ok(None),
        };
        self.spend_text(words.len()).map(|()| Some(words))
    }

    fn spend_text(&self, bytes: usize) -> Result<(), PdfError> {
        let cost = bytes.saturating_add(TEXT_COST_BYTES);
        let left = self.text_left.get().checked_sub(cost).ok_or(PdfError::TooMuch { what: "text in form fields" })?;
        self.text_left.set(left);
        Ok(())
    }
}

fn flag(own: &Inherited, bit: u32) -> bool {
    own.flags.is_some_and(|flags| flags >> bit & 1 == 1)
}

fn kind_of(kind: &[u8], own: &Inherited) -> Option<FormFieldKind> {
    const RADIO: u32 = 15;
    const PUSH_BUTTON: u32 = 16;
    const COMBO: u32 = 17;
    match kind {
        b"Tx" => Some(FormFieldKind::Text),
        b"Btn" if flag(own, PUSH_BUTTON) => Some(FormFieldKind::Button),
        b"Btn" if flag(own, RADIO) => Some(FormFieldKind::Radio),
        b"Btn" => Some(FormFieldKind::Checkbox),
        b"Ch" if flag(own, COMBO) => Some(FormFieldKind::Dropdown),
        b"Ch" => Some(FormFieldKind::OptionList),
        b"Sig" => Some(FormFieldKind::Signature),
        _ => None,
    }
}
