//! Assets: pictures and fonts that are uploaded once and named in templates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::AssetId;
use crate::templates::ContentHash;

/// The most tags an asset can have (a CHECK of the table).
pub const ASSET_TAGS_LIMIT: usize = 50;
/// The longest tag, in characters.
pub const ASSET_TAG_LIMIT_CHARS: usize = 64;
/// The longest text that stands for a picture, in characters (a CHECK of the table).
pub const ASSET_ALT_TEXT_LIMIT_CHARS: usize = 1_000;
/// The longest name of an uploaded file, in characters (a CHECK of the table). Longer ones are cut.
pub const ASSET_ORIGINAL_NAME_LIMIT_CHARS: usize = 255;
/// Folders inside each other.
const FOLDER_DEPTH: usize = 10;
/// Characters of one folder's name.
const FOLDER_NAME_CHARS: usize = 64;
/// Bytes of a slug.
const SLUG_BYTES: usize = 128;

/// What an asset is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AssetKind {
    /// A picture.
    Image,
    /// A font.
    Font,
    /// A file that is kept and cannot be shown in a document, such as a PDF.
    Document,
}

impl AssetKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Image, Self::Font, Self::Document];

    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Font => "font",
            Self::Document => "document",
        }
    }

    /// The kind of that word, if there is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What a font says about itself, as it is kept with a version and told in answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FontFacts {
    /// The name of the family: what `font-family` says.
    pub family: String,
    /// Which member of the family, such as `Bold Italic`.
    pub subfamily: String,
    /// How heavy, from 1 to 1000; 400 is regular.
    pub weight: u16,
    /// Upright or slanted.
    pub style: FontSlant,
    /// `truetype`, `opentype`, `woff` or `woff2`: what `format()` says in a style sheet.
    pub format: String,
    /// Whether its maker allows it inside documents. It is told and not enforced: a licence may say otherwise.
    pub embeddable: bool,
}

/// Whether a font's letters lean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FontSlant {
    /// Upright.
    Normal,
    /// Slanted.
    Italic,
}

impl FontSlant {
    /// The word of style sheets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Italic => "italic",
        }
    }
}

/// What the bytes of one version of an asset are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssetContent {
    /// A picture or a font.
    pub kind: AssetKind,
    /// How the file was called when it was uploaded: see [`original_name`].
    pub original_name: String,
    /// What they are, as found in them and not as somebody declared.
    pub mime_type: String,
    /// How many, as they are kept.
    pub size_bytes: u64,
    /// Their SHA-256, as they are kept.
    pub hash: ContentHash,
    /// Width and height of a picture in pixels; none of a vector without a size of its own, and of a font.
    pub size_px: Option<(u32, u32)>,
    /// What a font says about itself; there for every font and for nothing else.
    pub font: Option<FontFacts>,
    /// Whether they are an SVG that was cleaned of what runs and of what loads.
    pub svg_sanitized: bool,
}

/// Names an asset within its tenant, for people and templates: 1–128 characters of `a`–`z`, digits, `.`, `_` and `-`,
/// beginning with a letter or digit. What reads like an id is none, so that the two are never mistaken for each other.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AssetSlug(Box<str>);

/// The text is no slug of an asset.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a slug is 1–128 characters of a–z, digits, '.', '_' and '-', beginning with a letter or digit, and no UUID, such as \"company-logo\""
)]
pub struct InvalidAssetSlug;

impl AssetSlug {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A slug that reads like the name of a file, without its ending.
    pub fn from_file_name(name: &str) -> Self {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
        let mut slug = String::new();
        for character in stem.chars().flat_map(char::to_lowercase) {
            if character.is_ascii_lowercase() || character.is_ascii_digit() || (character == '_' && !slug.is_empty()) {
                slug.push(character);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
            // Room for a number behind it.
            if slug.len() >= SLUG_BYTES - 12 {
                break;
            }
        }
        let slug = slug.trim_end_matches('-');
        slug.parse().unwrap_or_else(|_| Self("asset".into()))
    }

    /// The same with a number behind it: what is tried when the slug itself is taken.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let kept = &self.0[..self.0.len().min(SLUG_BYTES - 12)];
        Self(format!("{kept}-{number}").into())
    }
}

impl FromStr for AssetSlug {
    type Err = InvalidAssetSlug;

    fn from_str(text: &str) -> Result<Self, InvalidAssetSlug> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let starts_well = text.bytes().next().is_some_and(plain);
        let allowed = text.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'));
        if starts_well && allowed && text.len() <= SLUG_BYTES && Uuid::try_parse(text).is_err() {
            Ok(Self(text.into()))
        } else {
            Err(InvalidAssetSlug)
        }
    }
}

impl TryFrom<String> for AssetSlug {
    type Error = InvalidAssetSlug;

    fn try_from(text: String) -> Result<Self, InvalidAssetSlug> {
        text.parse()
    }
}

impl From<AssetSlug> for String {
    fn from(slug: AssetSlug) -> Self {
        slug.0.into()
    }
}

impl fmt::Display for AssetSlug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where people put an asset: names with `/` between them, such as `brand/logos`. Up to ten of 1–64 characters each, without
/// controls, `\` and the names `.` and `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(transparent)]
pub struct AssetFolder(Box<str>);

/// The text is no folder of assets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a folder is up to 10 names of 1–64 characters with '/' between them, such as \"brand/logos\", without '.', '..', '\\' and controls"
)]
pub struct InvalidAssetFolder;

impl AssetFolder {
    /// The path as text, without a slash at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AssetFolder {
    type Err = InvalidAssetFolder;

    fn from_str(text: &str) -> Result<Self, InvalidAssetFolder> {
        let path = text.trim_matches('/');
        let good = |name: &str| {
            (1..=FOLDER_NAME_CHARS).contains(&name.chars().count())
                && !matches!(name, "." | "..")
                && name.trim() == name
                && !name.contains(|character: char| character.is_control() || character == '\\')
        };
        if path.split('/').count() <= FOLDER_DEPTH && path.split('/').all(good) { Ok(Self(path.into())) } else { Err(InvalidAssetFolder) }
    }
}

impl fmt::Display for AssetFolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How a template names an asset.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum AssetName {
    /// By its slug: whatever it is at the moment.
    Slug(AssetSlug),
    /// By its id: whatever it is at the moment.
    Id(AssetId),
    /// By one of its files: exactly those bytes, for ever.
    File(AssetFile),
}

/// The word in front of a slug or id where an address is expected.
pub const ASSET_SCHEME: &str = "asset:";
/// The path under which files are served.
pub const ASSET_PATH: &str = "/assets/";

impl AssetName {
    /// Reads an address: `asset:<slug or id>`, or the path under which a file is served. None for any other address.
    pub fn of_address(address: &str) -> Option<Self> {
        if let Some(file) = address.strip_prefix(ASSET_PATH) {
            return file.parse().ok().map(Self::File);
        }
        if ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme)) {
            // Wherever it is served: the name of a file cannot be guessed, and means the same everywhere.
            let at = address.rfind(ASSET_PATH)?;
            return address[at + ASSET_PATH.len()..].parse().ok().map(Self::File);
        }
        let scheme = address.get(..ASSET_SCHEME.len())?;
        if scheme.eq_ignore_ascii_case(ASSET_SCHEME) { address[ASSET_SCHEME.len()..].trim().parse().ok() } else { None }
    }

    /// How references are stored and compared: the slug, or the id whichever way it is written.
    pub fn stored(&self) -> String {
        match self {
            Self::Slug(slug) => slug.to_string(),
            Self::Id(id) | Self::File(AssetFile { asset: id, .. }) => id.to_string(),
        }
    }
}

/// The text names no asset.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an asset is named by its slug, such as \"company-logo\", or by its id")]
pub struct InvalidAssetName;

impl FromStr for AssetName {
    type Err = InvalidAssetName;

    /// Reads a slug or an id.
    fn from_str(text: &str) -> Result<Self, InvalidAssetName> {
        match Uuid::try_parse(text) {
            Ok(id) => Ok(Self::Id(id.into())),
            Err(_) => text.parse().map(Self::Slug).map_err(|_| InvalidAssetName),
        }
    }
}

impl fmt::Display for AssetName {
    /// As it is written behind `asset:`; a file by its name.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slug(slug) => slug.fmt(formatter),
            Self::Id(id) => id.fmt(formatter),
            Self::File(file) => file.fmt(formatter),
        }
    }
}

/// Names the bytes of one version of an asset in an address that never means anything else: the asset's id, the beginning of
/// the hash of its bytes, and an ending for programs that go by it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AssetFile {
    /// Which asset.
    pub asset: AssetId,
    /// The first eight bytes of the hash of its bytes.
    pub hash: [u8; 8],
    /// Such as `png`: 1–8 lower-case letters and digits.
    pub ending: Box<str>,
}

/// The text names no file of an asset.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("this is no name of an asset's file")]
pub struct InvalidAssetFile;

impl AssetFile {
    /// The file of an asset whose bytes have that hash and are of that media type.
    pub fn new(asset: AssetId, hash: ContentHash, media_type: &str) -> Self {
        let mut beginning = [0; 8];
        beginning.copy_from_slice(&hash.as_bytes()[..8]);
        Self { asset, hash: beginning, ending: ending(media_type).into() }
    }

    /// Whether these are the bytes that the name means.
    pub fn is_of(&self, hash: ContentHash) -> bool {
        hash.as_bytes()[..8] == self.hash
    }
}

/// The usual ending of files of a media type, without the dot.
fn ending(media_type: &str) -> &'static str {
    match media_type {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/svg+xml" => "svg",
        "image/avif" => "avif",
        "image/bmp" => "bmp",
        "image/tiff" => "tiff",
        "font/ttf" => "ttf",
        "font/otf" => "otf",
        "font/collection" => "ttc",
        "font/woff" => "woff",
        "font/woff2" => "woff2",
        "application/pdf" => "pdf",
        _ => "bin",
    }
}

impl FromStr for AssetFile {
    type Err = InvalidAssetFile;

    fn from_str(text: &str) -> Result<Self, InvalidAssetFile> {
        let read = || {
            let (name, ending) = text.split_once('.')?;
            let (id, hash) = name.split_once('-')?;
            let hex = |text: &str, digits: usize| {
                (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))).then_some(())
            };
            hex(id, 32)?;
            hex(hash, 16)?;
            let good_ending =
                (1..=8).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            good_ending.then_some(())?;
            let asset = Uuid::try_parse(id).ok()?.into();
            Some(Self { asset, hash: u64::from_str_radix(hash, 16).ok()?.to_be_bytes(), ending: ending.into() })
        };
        read().ok_or(InvalidAssetFile)
    }
}

impl fmt::Display for AssetFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{:016x}.{}", self.asset.as_uuid().simple(), u64::from_be_bytes(self.hash), self.ending)
    }
}

/// The name of an uploaded file as it is kept: without folders and controls, and not longer than the limit.
pub fn original_name(given: &str) -> String {
    let name = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let controls = |character: char| {
        // Marks that turn the reading direction around show another ending than the name has.
        character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = name.chars().filter(|character| !controls(*character)).take(ASSET_ORIGINAL_NAME_LIMIT_CHARS).collect();
    let name = name.trim();
    if name.is_empty() || matches!(name, "." | "..") { "unnamed".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_of_any_file_name() {
        for (name, slug) in [
            ("Logo 2026.PNG", "logo-2026"),
            ("größe.svg", "gr-e"),
            ("/etc/passwd", "etc-passwd"),
            ("写真.png", "asset"),
            (".png", "png"),
            ("a__b.c.ttf", "a__b-c"),
            ("0192a000-0000-7000-8000-000000000000.png", "asset"),
            ("", "asset"),
        ] {
            assert_eq!(AssetSlug::from_file_name(name).as_str(), slug, "{name}");
        }
        let long = AssetSlug::from_file_name(&"x".repeat(500));
        assert!(long.numbered(u32::MAX).as_str().parse::<AssetSlug>().is_ok());
    }

    #[test]
    fn an_id_is_no_slug_and_a_slug_no_id() {
        let id = "0192a000-0000-7000-8000-000000000000";
        assert_eq!(id.parse::<AssetSlug>(), Err(InvalidAssetSlug));
        assert!(matches!(id.parse(), Ok(AssetName::Id(_))));
        assert!(matches!(AssetName::of_address("asset:logo"), Some(AssetName::Slug(_))));
        for none in ["asset:", "asset:Größe", "asset:../x", "assets:logo", "/assets/logo", "https://x/assets/y.png", "asset", "ässet:x"]
        {
            assert_eq!(AssetName::of_address(none), None, "{none}");
        }
    }

    #[test]
    fn a_file_name_says_which_bytes_it_means_and_nothing_else_is_one() {
        let hash = ContentHash::of_bytes(b"x");
        let file = AssetFile::new(AssetId::generate(), hash, "image/png");
        let text = file.to_string();
        assert_eq!(text.parse(), Ok(file.clone()));
        assert!(file.is_of(hash) && !file.is_of(ContentHash::of_bytes(b"y")) && *file.ending == *"png", "{text}");
        for served in ["", "https://files.example.com", "http://127.0.0.1:8080/pulp"] {
            assert_eq!(AssetName::of_address(&format!("{served}/assets/{text}")), Some(AssetName::File(file.clone())), "{served}");
        }
        for none in [text.to_uppercase(), format!("{text}.."), text.replace(".png", "."), text.replace('-', "+"), format!("../{text}")] {
            assert_eq!(none.parse::<AssetFile>(), Err(InvalidAssetFile), "{none}");
        }
    }

    #[test]
    fn a_folder_leads_nowhere_else() {
        assert_eq!("/brand/logos/".parse::<AssetFolder>().unwrap().as_str(), "brand/logos");
        for wrong in ["", "/", "a//b", "a/../b", ".", "a\0b", "a\\b", " a", &"a/".repeat(11), &"x".repeat(65)] {
            assert_eq!(wrong.parse::<AssetFolder>(), Err(InvalidAssetFolder), "{wrong:?}");
        }
    }

    #[test]
    fn the_name_of_a_file_keeps_no_folder_and_no_trick() {
        assert_eq!(original_name("C:\\fakepath\\logo.png"), "logo.png");
        assert_eq!(original_name("a\u{202e}gnp.exe\n"), "agnp.exe");
        assert_eq!(original_name("../.."), "unnamed");
        assert_eq!(original_name(&"ü".repeat(300)).chars().count(), 255);
    }
}
