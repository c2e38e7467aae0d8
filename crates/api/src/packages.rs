//! What several documents are packed into: an archive, or one PDF.

use domain::ErrorCode;
use domain::jobs::Packaging;
use serde_json::Value;

use crate::error::ApiError;

/// Characters of what a package is called.
const SHORT_TEXT: usize = 200;

/// What entries a merged PDF's outline has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Bookmarks {
    /// One for each document, with its own below.
    #[default]
    Documents,
    /// Those of the documents.
    Own,
}

/// What a package is like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Package {
    pub(crate) filename: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) bookmarks: Bookmarks,
}

impl Package {
    /// Reads the `packageOptions` of a request whose `packaging` is this.
    pub(crate) fn read(given: Option<&Value>, packaging: Option<Packaging>) -> Result<Self, ApiError> {
        let Some(given) = given.filter(|given| !given.is_null()) else { return Ok(Self::default()) };
        let Value::Object(given) = given else { return Err(ApiError::field("/packageOptions", "must be an object")) };
        let known: &[&str] = match packaging {
            Some(Packaging::MergedPdf) => &["filename", "title", "bookmarks"],
            Some(Packaging::Zip) => &["filename"],
            None => {
                let said = "belongs to packaging; send \"packaging\": \"zip\" or \"merged-pdf\" with it";
                return Err(ApiError::field("/packageOptions", said));
            }
        };
        if let Some(name) = given.keys().find(|name| !known.contains(&name.as_str())) {
            let path = format!("/packageOptions/{}", name.chars().take(SHORT_TEXT).collect::<String>());
            return Err(ApiError::field(&path, format!("is no option of this package; accepted: {}", known.join(", "))));
        }
        let text = |name: &str| match given.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() && text.chars().count() <= SHORT_TEXT => Ok(Some(text.clone())),
            Some(_) => Err(ApiError::field(&format!("/packageOptions/{name}"), format!("must be text of at most {SHORT_TEXT} characters"))),
        };
        let known = [("documents", Bookmarks::Documents), ("own", Bookmarks::Own)];
        let bookmarks = word(given.get("bookmarks").filter(|value| !value.is_null()), "/packageOptions/bookmarks", &known)?;
        Ok(Self { filename: text("filename")?, title: text("title")?, bookmarks: bookmarks.unwrap_or_default() })
    }
}

/// What a request says under `packaging`.
pub(crate) fn packaging(given: Option<&Value>, is_pdf: bool) -> Result<Option<Packaging>, ApiError> {
    let packaging = word(given, "/packaging", &[("zip", Packaging::Zip), ("merged-pdf", Packaging::MergedPdf)])?;
    if packaging == Some(Packaging::MergedPdf) && !is_pdf {
        return Err(ApiError::new(ErrorCode::PackagingUnsupported, "only PDFs can be merged into one; accepted here: zip"));
    }
    Ok(packaging)
}

/// One of a few words.
pub(crate) fn word<T: Copy>(given: Option<&Value>, path: &str, known: &[(&str, T)]) -> Result<Option<T>, ApiError> {
    let Some(given) = given else { return Ok(None) };
    let found = given.as_str().and_then(|text| known.iter().find(|(word, _)| *word == text));
    let accepted = || known.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| ApiError::field(path, format!("accepted: {}", accepted())))
}
