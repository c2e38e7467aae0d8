//! What a request says of its format: which table, how a file of it is written, which pages become pictures.

use document::tables::{ByteOrderMark, CellTyping, SheetLayout, TableChoice, XlsxOptions};
use domain::issues::near_names;
use pdf::PictureFormat;
use serde_json::{Map, Value};

use crate::render_body::RefusedBody;
use crate::request::Format;

/// Fields of a request that are about one format.
pub(crate) const FIELDS: [&str; 5] = ["tableId", "csv", "xlsx", "html", "image"];
/// Characters of the id of a table.
const ID_CHARACTERS: usize = 255;
/// Pixels that a picture may be wide.
pub const PICTURE_WIDTHS: (u16, u16) = (16, 4096);
/// The highest number of a page that anybody may name.
const LAST_PAGE: u32 = 100_000;
/// What a JPEG is written with where nobody says: letters have no visible fringes.
const JPEG_QUALITY: u8 = 90;

/// What a request says of its format. What is not of the format that is made has no effect.
#[derive(Clone, Debug, Default)]
pub struct FormatOptions {
    /// The node whose tables are wanted, of CSV and XLSX.
    pub table_id: Option<Box<str>>,
    /// Of CSV.
    pub csv: CsvOptions,
    /// Of XLSX.
    pub xlsx: XlsxOptions,
    /// Of HTML.
    pub html: HtmlOptions,
    /// Of pictures.
    pub image: ImageOptions,
}

/// What CSV is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// One table, or all.
    pub tables: TableChoice,
    /// How a file begins.
    pub mark: ByteOrderMark,
}

/// What HTML is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HtmlOptions {
    /// As it would be printed.
    #[default]
    AsPrinted,
    /// With rules that keep it from loading anything wherever it is opened.
    SelfContained,
}

/// What pictures are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageOptions {
    /// How they are written.
    pub format: PictureFormat,
    /// Pixels from left to right, [`PICTURE_WIDTHS`]; without it 96 to the inch.
    pub width_px: Option<u16>,
    /// The first page, from 1.
    pub first_page: u32,
    /// The last page; without it the document's last.
    pub last_page: Option<u32>,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self { format: PictureFormat::Png, width_px: None, first_page: 1, last_page: None }
    }
}

impl FormatOptions {
    /// Reads them out of a request's body.
    ///
    /// # Errors
    /// What is of another format than the one that is made, is unknown or is out of its bounds, by its field.
    pub(crate) fn read(object: &Map<String, Value>, format: Format) -> Result<Self, RefusedBody> {
        let given = |name: &str| object.get(name).filter(|value| !value.is_null());
        for name in FIELDS {
            let fits = match name {
                "tableId" => matches!(format, Format::Csv | Format::Xlsx),
                name => name == format.as_str(),
            };
            if !fits && given(name).is_some() {
                let of = if name == "tableId" { "csv and xlsx" } else { name };
                return Err(RefusedBody::field(&format!("/{name}"), format!("is about {of}, and this makes {format}; leave it out")));
            }
        }
        let mut options = Self::default();
        if let Some(id) = given("tableId") {
            let text = id.as_str().filter(|id| !id.is_empty() && id.chars().count() <= ID_CHARACTERS);
            let refused =
                || RefusedBody::field("/tableId", format!("must be the id of a table, as text of 1 to {ID_CHARACTERS} characters"));
            options.table_id = Some(text.ok_or_else(refused)?.into());
        }
        if let Some(csv) = given("csv") {
            let fields = Fields::of("csv", csv, &["tables", "bom"])?;
            options.csv.tables = fields.word("tables", &[("one", TableChoice::One), ("all", TableChoice::All)])?.unwrap_or_default();
            options.csv.mark = if fields.flag("bom")? { ByteOrderMark::Present } else { ByteOrderMark::Absent };
        }
        if let Some(xlsx) = given("xlsx") {
            let fields = Fields::of("xlsx", xlsx, &["layout", "cellTyping"])?;
            let layouts = [("document", SheetLayout::Document), ("data", SheetLayout::Data)];
            options.xlsx.layout = fields.word("layout", &layouts)?.unwrap_or_default();
            options.xlsx.typing =
                fields.word("cellTyping", &[("typed", CellTyping::Typed), ("text", CellTyping::Text)])?.unwrap_or_default();
        }
        if let Some(html) = given("html") {
            let fields = Fields::of("html", html, &["selfContained"])?;
            options.html = if fields.flag("selfContained")? { HtmlOptions::SelfContained } else { HtmlOptions::AsPrinted };
        }
        if let Some(image) = given("image") {
            options.image = ImageOptions::read(image)?;
        }
        Ok(options)
    }
}

impl ImageOptions {
    fn read(image: &Value) -> Result<Self, RefusedBody> {
        let fields = Fields::of("image", image, &["format", "width", "quality", "pages"])?;
        let quality = fields.whole("quality", (1, 100))?;
        let jpeg = PictureFormat::Jpeg { quality: quality.and_then(|quality| u8::try_from(quality).ok()).unwrap_or(JPEG_QUALITY) };
        let formats = [("png", PictureFormat::Png), ("jpeg", jpeg), ("webp", PictureFormat::WebP)];
        let format = fields.word("format", &formats)?.unwrap_or(PictureFormat::Png);
        if quality.is_some() && !matches!(format, PictureFormat::Jpeg { .. }) {
            return Err(fields.refused("quality", "is about jpeg; png and webp lose nothing"));
        }
        let width = fields.whole("width", (PICTURE_WIDTHS.0.into(), PICTURE_WIDTHS.1.into()))?;
        let (first_page, last_page) = fields.pages()?;
        Ok(Self { format, width_px: width.and_then(|width| u16::try_from(width).ok()), first_page, last_page })
    }
}

/// The options of one format.
struct Fields<'o> {
    of: &'static str,
    object: &'o Map<String, Value>,
}

impl<'o> Fields<'o> {
    fn of(of: &'static str, value: &'o Value, known: &[&'static str]) -> Result<Self, RefusedBody> {
        let Value::Object(object) = value else { return Err(RefusedBody::field(&format!("/{of}"), "must be an object")) };
        let fields = Self { of, object };
        match object.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(fields),
            Some(name) => {
                let shown: String = name.chars().take(60).collect();
                let near = near_names(name, known.iter().copied());
                let hint = near.first().map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
                Err(fields.refused(&shown, format!("is no option of {of}{hint}; accepted: {}", known.join(", "))))
            }
        }
    }

    fn refused(&self, name: &str, said: impl Into<String>) -> RefusedBody {
        RefusedBody::field(&format!("/{}/{name}", self.of), said)
    }

    fn given(&self, name: &str) -> Option<&'o Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn flag(&self, name: &str) -> Result<bool, RefusedBody> {
        self.given(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(|| self.refused(name, "must be true or false")))
    }

    fn word<T: Copy>(&self, name: &str, known: &[(&str, T)]) -> Result<Option<T>, RefusedBody> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let found = value.as_str().and_then(|text| known.iter().find(|(word, _)| *word == text));
        let accepted = || known.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| self.refused(name, format!("accepted: {}", accepted())))
    }

    fn whole(&self, name: &str, (least, most): (u64, u64)) -> Result<Option<u64>, RefusedBody> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let found = value.as_u64().filter(|number| (least..=most).contains(number));
        found.map(Some).ok_or_else(|| self.refused(name, format!("accepted: a whole number from {least} to {most}")))
    }

    /// `all`, one page, or a range such as `2-5`.
    fn pages(&self) -> Result<(u32, Option<u32>), RefusedBody> {
        let refused = || self.refused("pages", "accepted: \"all\", a page such as \"1\", or a range such as \"2-5\"");
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let page = text.parse().ok().filter(|page| digits && (1..=LAST_PAGE).contains(page));
            page.ok_or_else(refused)
        };
        let text = match self.given("pages") {
            None => return Ok((1, None)),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(page)) => page.to_string(),
            Some(_) => return Err(refused()),
        };
        match text.split_once('-') {
            _ if text == "all" => Ok((1, None)),
            None => number(&text).map(|page| (page, Some(page))),
            Some((first, last)) => match (number(first)?, number(last)?) {
                (first, last) if first <= last => Ok((first, Some(last))),
                _ => Err(refused()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(format: Format, body: &Value) -> Result<FormatOptions, String> {
        FormatOptions::read(body.as_object().unwrap(), format).map_err(|refused| refused.to_string())
    }

    #[test]
    fn options_are_read_for_their_format_and_nulls_are_not_there() {
        let nothing = json!({"tableId": null, "csv": null, "image": null});
        assert!(read(Format::Pdf, &nothing).unwrap().table_id.is_none());
        let csv = read(Format::Csv, &json!({"tableId": "lines", "csv": {"tables": "all", "bom": true}})).unwrap();
        assert_eq!((csv.table_id.as_deref(), csv.csv.tables, csv.csv.mark), (Some("lines"), TableChoice::All, ByteOrderMark::Present));
        let xlsx = read(Format::Xlsx, &json!({"xlsx": {"layout": "data", "cellTyping": "text"}})).unwrap().xlsx;
        assert_eq!((xlsx.layout, xlsx.typing), (SheetLayout::Data, CellTyping::Text));
        let image = |options: Value| read(Format::Image, &json!({ "image": options })).unwrap().image;
        assert_eq!(image(json!({})), ImageOptions::default());
        assert_eq!(image(json!({"format": "jpeg"})).format, PictureFormat::Jpeg { quality: JPEG_QUALITY });
        let chosen = image(json!({"format": "jpeg", "quality": 40, "width": 800, "pages": "2-5"}));
        let wanted = ImageOptions { format: PictureFormat::Jpeg { quality: 40 }, width_px: Some(800), first_page: 2, last_page: Some(5) };
        assert_eq!(chosen, wanted);
        assert_eq!(image(json!({"pages": 3})), ImageOptions { first_page: 3, last_page: Some(3), ..ImageOptions::default() });
    }

    #[test]
    fn what_is_not_accepted_is_told_by_its_field_with_what_is() {
        for (format, body, said) in [
            (Format::Pdf, json!({"tableId": "x"}), "/tableId: is about csv and xlsx, and this makes pdf; leave it out"),
            (Format::Xlsx, json!({"csv": {}}), "/csv: is about csv, and this makes xlsx; leave it out"),
            (Format::Csv, json!({"tableId": 1}), "/tableId: must be the id of a table, as text of 1 to 255 characters"),
            (
                Format::Csv,
                json!({"csv": {"table": "all"}}),
                "/csv/table: is no option of csv; did you mean \"tables\"?; accepted: tables, bom",
            ),
            (Format::Csv, json!({"csv": {"bom": "yes"}}), "/csv/bom: must be true or false"),
            (Format::Xlsx, json!({"xlsx": {"layout": "wide"}}), "/xlsx/layout: accepted: document, data"),
            (Format::Image, json!({"image": {"format": "gif"}}), "/image/format: accepted: png, jpeg, webp"),
            (Format::Image, json!({"image": {"width": 15}}), "/image/width: accepted: a whole number from 16 to 4096"),
            (Format::Image, json!({"image": {"quality": 80}}), "/image/quality: is about jpeg; png and webp lose nothing"),
        ] {
            assert_eq!(read(format, &body).unwrap_err(), said);
        }
        for pages in [
            json!("0"),
            json!("5-2"),
            json!("1-"),
            json!("-1"),
            json!("+1"),
            json!("all "),
            json!(1.5),
            json!([1]),
            json!("1,3"),
            json!("100001"),
        ] {
            let said = read(Format::Image, &json!({"image": {"pages": pages}})).unwrap_err();
            assert!(said.starts_with("/image/pages: accepted: \"all\""), "{pages}: {said}");
        }
    }
}
