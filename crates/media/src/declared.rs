//! What the uploader says the bytes are.

use crate::media_type::MediaType;
use crate::refusal::Refusal;

/// What the uploader says: the content type and the name of the file, both optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeclaredType<'d> {
    /// As in a `Content-Type` header. `application/octet-stream` and an empty text say nothing.
    pub mime: Option<&'d str>,
    /// The name of the file; its ending counts as a second declaration where it is one that says something.
    pub file_name: Option<&'d str>,
}

/// One declaration.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    Nothing,
    Type(MediaType),
    /// A type of which no bytes are accepted.
    Other,
}

/// Endings that promise something that is not accepted. Endings that are not on a list promise nothing ("logo.v2").
const OTHER_ENDINGS: [&str; 60] = [
    "apk", "asp", "aspx", "bat", "bin", "bmp", "cgi", "class", "cmd", "com", "css", "csv", "doc", "docx", "eot", "exe", "gz", "heic",
    "heif", "hta", "htm", "html", "ico", "jar", "jnlp", "js", "json", "jsp", "lnk", "md", "mht", "mhtml", "mjs", "mov", "mp3", "mp4",
    "msi", "odt", "php", "phtml", "pl", "ps1", "psd", "py", "rtf", "sh", "shtml", "svgz", "swf", "tar", "tif", "tiff", "ttc", "txt", "vbs",
    "wasm", "xhtml", "xml", "xsl", "zip",
];

fn of_mime(mime: &str) -> Claim {
    let name = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let found = match name.as_str() {
        "" | "application/octet-stream" | "binary/octet-stream" | "*/*" => return Claim::Nothing,
        "image/jpg" | "image/pjpeg" => MediaType::Jpeg,
        "image/x-png" | "image/apng" | "image/vnd.mozilla.apng" => MediaType::Png,
        "image/svg" => MediaType::Svg,
        "application/x-pdf" => MediaType::Pdf,
        "font/sfnt" | "application/font-sfnt" | "application/x-font-ttf" | "application/x-font-truetype" | "font/truetype" => {
            MediaType::Ttf
        }
        "application/x-font-otf" | "application/x-font-opentype" | "application/vnd.ms-opentype" | "font/opentype" => MediaType::Otf,
        "application/font-woff" | "application/x-font-woff" => MediaType::Woff,
        "application/font-woff2" | "application/x-font-woff2" => MediaType::Woff2,
        name => match MediaType::ALL.into_iter().find(|known| known.mime() == name) {
            Some(known) => known,
            None => return Claim::Other,
        },
    };
    Claim::Type(found)
}

/// The ending of a name in small letters.
fn ending(file_name: &str) -> Option<String> {
    // Windows drops dots and blanks at the end of a name.
    let name = file_name.rsplit(['/', '\\']).next()?.trim_end_matches(['.', ' ']);
    name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase())
}

fn of_file_name(file_name: &str) -> Claim {
    let Some(ending) = ending(file_name) else { return Claim::Nothing };
    let known = match ending.as_str() {
        "jpeg" | "jpe" | "jfif" => Some(MediaType::Jpeg),
        "apng" => Some(MediaType::Png),
        ending => MediaType::ALL.into_iter().find(|known| known.extension() == ending),
    };
    match known {
        Some(known) => Claim::Type(known),
        None if OTHER_ENDINGS.contains(&ending.as_str()) => Claim::Other,
        None => Claim::Nothing,
    }
}

impl DeclaredType<'_> {
    /// Every declaration that says something, with its text for an error.
    fn claims(&self) -> impl Iterator<Item = (Claim, String)> {
        let mime = self.mime.map(|mime| (of_mime(mime), mime.trim().chars().take(60).collect()));
        let name = self.file_name.map(|name| {
            let ending: String = ending(name).unwrap_or_default().chars().take(59).collect();
            (of_file_name(name), format!(".{ending}"))
        });
        mime.into_iter().chain(name).filter(|(claim, _)| *claim != Claim::Nothing)
    }

    /// Holds the declarations against what was found.
    pub(crate) fn check(&self, found: MediaType) -> Result<(), Refusal> {
        let against = self.claims().find(|(claim, _)| !matches!(claim, Claim::Type(declared) if declared.covers(found)));
        match against {
            Some((_, declared)) => Err(Refusal::Mismatch { declared, found: found.mime() }),
            None => Ok(()),
        }
    }

    /// The refusal of bytes that are of no accepted type.
    pub(crate) fn unsupported(&self, found: &'static str) -> Refusal {
        match self.claims().find(|(claim, _)| matches!(claim, Claim::Type(_))) {
            Some((_, declared)) => Refusal::Mismatch { declared, found },
            None => Refusal::Unsupported { found },
        }
    }
}
