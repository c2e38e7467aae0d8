//! The envelope of a file: its format, its bytes and how it is to be read.

use std::collections::HashSet;

use domain::Issue;
use domain::issues::near_names;
use serde_json::{Map, Value};

use crate::data_input::issues::{invalid, shown};
use crate::data_input::values::Types;
use crate::data_input::{DataInput, Encoding};
use crate::error::DocumentError;

/// Characters of the name of a property.
pub const NAME_CHARS: usize = 200;
/// Names of elements that are always lists.
const LISTS: usize = 100;
/// What every format takes.
const OF_ALL: [&str; 3] = ["format", "content", "encoding"];

/// How the file is to be read.
#[derive(Clone, Debug)]
pub enum FileOptions {
    Csv(CsvOptions),
    Xlsx(XlsxOptions),
    Xml(XmlOptions),
}

/// `delimiter`, `header`, `arrayKey`, `types`.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// None: the one of the four that fits the first lines.
    pub delimiter: Option<u8>,
    pub header: Header,
    pub array_key: String,
    pub types: Types,
}

/// `sheet`, `header`, `headerRow`, `range`, `arrayKey`.
#[derive(Clone, Debug)]
pub struct XlsxOptions {
    pub sheet: SheetChoice,
    pub header: Header,
    /// Counted from 1; none: the first row with something in it.
    pub header_row: Option<u32>,
    pub range: Option<CellRange>,
    pub array_key: String,
}

/// `attributePrefix`, `textKey`, `arrays`, `types`.
#[derive(Clone, Debug)]
pub struct XmlOptions {
    pub attribute_prefix: String,
    pub text_key: String,
    pub arrays: HashSet<String>,
    pub types: Types,
}

/// Whether the first row names the columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    Names,
    /// Columns are `column1`, `column2` and so on.
    Absent,
}

/// Which sheet of a workbook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SheetChoice {
    Named(String),
    /// Counted from 1.
    Numbered(usize),
}

/// Cells from one to another, both counted from 0 and both in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CellRange {
    pub first: (u32, u32),
    pub last: (u32, u32),
}

/// The options that are still to be read.
struct Fields<'a> {
    object: Map<String, Value>,
    at: &'a str,
}

pub fn read(value: Value, at: &str) -> Result<DataInput, DocumentError> {
    let Value::Object(object) = value else {
        return Err(invalid(at, "must be an object with format and content"));
    };
    let mut fields = Fields { object, at };
    let format = fields.word("format", &["csv", "xlsx", "xml"])?.ok_or_else(|| invalid(at, "format is missing; send csv, xlsx or xml"))?;
    let known: &[&str] = match format {
        "csv" => &["delimiter", "header", "arrayKey", "types"],
        "xlsx" => &["sheet", "header", "headerRow", "range", "arrayKey"],
        _ => &["attributePrefix", "textKey", "arrays", "types"],
    };
    fields.refuse_unknown(format, known)?;
    let content = match fields.take("content") {
        Some(Value::String(content)) => content,
        Some(_) => {
            return Err(fields.wrong("content", "must be text; of files that are no text it is base64, with \"encoding\": \"base64\""));
        }
        None => return Err(invalid(at, "content is missing; send the file itself")),
    };
    let encoding = fields.word("encoding", &["base64"])?;
    let options = match format {
        "csv" => FileOptions::Csv(fields.csv()?),
        "xlsx" => FileOptions::Xlsx(fields.xlsx()?),
        _ => FileOptions::Xml(fields.xml()?),
    };
    // A workbook is nothing that JSON could hold otherwise.
    let is_base64 = encoding.is_some() || matches!(options, FileOptions::Xlsx(_));
    let encoding = if is_base64 { Encoding::Base64 } else { Encoding::Text };
    Ok(DataInput { options, content, encoding, at: at.to_owned() })
}

impl Fields<'_> {
    fn csv(&mut self) -> Result<CsvOptions, DocumentError> {
        let delimiter = self.word("delimiter", &["auto", ",", ";", "\t", "|"])?.filter(|word| *word != "auto");
        Ok(CsvOptions {
            delimiter: delimiter.and_then(|word| word.bytes().next()),
            header: self.header()?,
            array_key: self.array_key()?,
            types: self.types()?,
        })
    }

    fn xlsx(&mut self) -> Result<XlsxOptions, DocumentError> {
        let sheet = match self.take("sheet") {
            None => SheetChoice::Numbered(1),
            Some(Value::String(name)) if !name.is_empty() => SheetChoice::Named(name),
            Some(Value::Number(number)) if number.as_u64().is_some_and(|number| (1..=10_000).contains(&number)) => {
                SheetChoice::Numbered(number.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(1))
            }
            Some(_) => return Err(self.wrong("sheet", "must be the name of a sheet, or its number counted from 1")),
        };
        let header = self.header()?;
        let header_row = match self.take("headerRow") {
            None => None,
            Some(given) => {
                let row = given.as_u64().and_then(|row| u32::try_from(row).ok()).filter(|row| (1..=1_048_576).contains(row));
                Some(row.ok_or_else(|| self.wrong("headerRow", "must be the number of a row, counted from 1"))?)
            }
        };
        if header == Header::Absent && header_row.is_some() {
            return Err(self.wrong("headerRow", "says which row names the columns, and header says that none does; send one of them"));
        }
        let range = match self.take("range") {
            None => None,
            Some(given) => {
                let range = given.as_str().and_then(cell_range);
                Some(range.ok_or_else(|| self.wrong("range", "must be two cells, such as \"A1:F20\""))?)
            }
        };
        if let (Some(range), Some(row)) = (range, header_row)
            && !(range.first.0..=range.last.0).contains(&(row - 1))
        {
            return Err(self.wrong("headerRow", "is outside of the range"));
        }
        Ok(XlsxOptions { sheet, header, header_row, range, array_key: self.array_key()? })
    }

    fn xml(&mut self) -> Result<XmlOptions, DocumentError> {
        let attribute_prefix = match self.take("attributePrefix") {
            None => "@".to_owned(),
            Some(Value::String(prefix)) if prefix.chars().count() <= 10 => prefix,
            Some(_) => return Err(self.wrong("attributePrefix", "must be text of at most 10 characters; it may be empty")),
        };
        let text_key = self.name("textKey", "#text")?;
        let arrays = match self.take("arrays") {
            None => HashSet::new(),
            Some(Value::Array(names)) if names.len() <= LISTS && names.iter().all(Value::is_string) => {
                names.into_iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
            }
            Some(_) => return Err(self.wrong("arrays", "must be a list of at most 100 names of elements")),
        };
        Ok(XmlOptions { attribute_prefix, text_key, arrays, types: self.types()? })
    }

    fn header(&mut self) -> Result<Header, DocumentError> {
        match self.take("header") {
            None | Some(Value::Bool(true)) => Ok(Header::Names),
            Some(Value::Bool(false)) => Ok(Header::Absent),
            Some(_) => Err(self.wrong("header", "must be true or false")),
        }
    }

    fn array_key(&mut self) -> Result<String, DocumentError> {
        self.name("arrayKey", "rows")
    }

    fn types(&mut self) -> Result<Types, DocumentError> {
        Ok(if self.word("types", &["text", "infer"])? == Some("infer") { Types::Infer } else { Types::Text })
    }

    /// The name of a property.
    fn name(&mut self, field: &str, otherwise: &str) -> Result<String, DocumentError> {
        match self.take(field) {
            None => Ok(otherwise.to_owned()),
            Some(Value::String(name)) if (1..=NAME_CHARS).contains(&name.chars().count()) => Ok(name),
            Some(_) => Err(self.wrong(field, &format!("must be text of 1 to {NAME_CHARS} characters"))),
        }
    }

    fn word<'w>(&mut self, name: &str, known: &[&'w str]) -> Result<Option<&'w str>, DocumentError> {
        let Some(given) = self.take(name) else { return Ok(None) };
        let found = given.as_str().and_then(|given| known.iter().find(|word| **word == given));
        let Some(found) = found else {
            let accepted: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
            let is = given.as_str().map_or_else(String::new, |given| format!("is \"{}\"; ", shown(given)));
            return Err(self.wrong(name, &format!("{is}accepted: {}", accepted.join(", "))));
        };
        Ok(Some(found))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.object.shift_remove(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, message: &str) -> DocumentError {
        invalid(format!("{}/{name}", self.at), message)
    }

    fn refuse_unknown(&self, format: &str, known: &[&str]) -> Result<(), DocumentError> {
        let accepted = || OF_ALL.into_iter().chain(known.iter().copied());
        let unknown = self.object.keys().filter(|name| !accepted().any(|known| known == name.as_str()));
        let issues: Vec<Issue> = unknown
            .take(20)
            .map(|name| {
                let near = near_names(name, accepted());
                let hint = near.first().map_or_else(|| ".".to_owned(), |near| format!("; did you mean \"{near}\"?"));
                let all = accepted().collect::<Vec<_>>().join(", ");
                Issue::new(domain::issues::pointer(self.at, shown(name)), format!("is no option of {format} data{hint} Accepted: {all}"))
            })
            .collect();
        if issues.is_empty() { Ok(()) } else { Err(DocumentError::DataInput(issues)) }
    }
}

/// Two cells with a colon between, in any order.
fn cell_range(text: &str) -> Option<CellRange> {
    let (from, to) = text.split_once(':')?;
    let (from, to) = (cell(from)?, cell(to)?);
    Some(CellRange { first: (from.0.min(to.0), from.1.min(to.1)), last: (from.0.max(to.0), from.1.max(to.1)) })
}

/// Row and column of a name such as `AB12`, counted from 0.
fn cell(text: &str) -> Option<(u32, u32)> {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (letters, digits) = text.split_at(letters);
    if !(1..=3).contains(&letters.len()) || digits.len() > 7 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let column = letters.bytes().fold(0, |column: u32, letter| column * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1);
    let row: u32 = digits.parse().ok().filter(|row| (1..=1_048_576).contains(row))?;
    (column <= 16_384).then_some((row - 1, column - 1))
}

/// The name of a cell as a spreadsheet shows it, both counted from 0.
pub fn cell_name(row: u32, column: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        letters.push(char::from(b'A' + u8::try_from((rest - 1) % 26).unwrap_or(0)));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect::<String>() + &(row + 1).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_the_names_that_a_spreadsheet_shows() {
        for (name, position) in [("A1", (0, 0)), ("Z9", (8, 25)), ("AA10", (9, 26)), ("XFD1048576", (1_048_575, 16_383))] {
            assert_eq!(cell(name), Some(position));
            assert_eq!(cell_name(position.0, position.1), name);
        }
        for wrong in ["", "A", "1", "A0", "AAAA1", "XFE1", "A1048577", "Ä1", "A1B", "A-1", "A+1"] {
            assert_eq!(cell(wrong), None, "{wrong}");
        }
        assert_eq!(cell_range("b9:A3"), Some(CellRange { first: (2, 0), last: (8, 1) }));
    }
}
