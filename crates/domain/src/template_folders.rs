//! Folders that templates lie in: their names, and the paths that these make.

use std::fmt;
use std::str::FromStr;

use crate::invisible::is_invisible;

/// The longest name of a folder, in characters (a CHECK of the table).
pub const FOLDER_NAME_LIMIT_CHARS: usize = 128;
/// How deep folders lie in each other; one at the top has depth 1 (a CHECK of the table).
pub const FOLDER_DEPTH_LIMIT: u32 = 10;
/// The most folders of one tenant: all of them are read for a list.
pub const FOLDERS_LIMIT: u32 = 2_000;

/// What a folder is called: 1 to [`FOLDER_NAME_LIMIT_CHARS`] characters without `/`, `\` and characters that nobody sees.
/// Space around it does not count. Case does not tell two folders apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FolderName(Box<str>);

/// The text is no name of a folder.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a folder's name has 1–128 characters, is not \".\" or \"..\", and holds no \"/\", \"\\\", control or invisible characters")]
pub struct InvalidFolderName;

impl FolderName {
    /// The name as its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names of one folder have in common: the name in lower case.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl FromStr for FolderName {
    type Err = InvalidFolderName;

    fn from_str(text: &str) -> Result<Self, InvalidFolderName> {
        let name = text.trim();
        let length = name.chars().count();
        let wrong = |character: char| matches!(character, '/' | '\\') || is_invisible(character);
        if length == 0 || length > FOLDER_NAME_LIMIT_CHARS || matches!(name, "." | "..") || name.contains(wrong) {
            return Err(InvalidFolderName);
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The way from the top down to a folder, such as `/finance/invoices`; `/` is the top itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FolderPath(Vec<FolderName>);

/// The text is no path of a folder.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a folder's path begins with \"/\" and has at most 10 names, such as \"/finance/invoices\"")]
pub struct InvalidFolderPath;

impl FolderPath {
    /// Whether it is the top, where templates lie that are in no folder.
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }

    /// The path in lower case, as paths are compared.
    pub fn folded(&self) -> String {
        self.0.iter().flat_map(|name| ["/".to_owned(), name.folded()]).collect()
    }
}

impl FromStr for FolderPath {
    type Err = InvalidFolderPath;

    fn from_str(text: &str) -> Result<Self, InvalidFolderPath> {
        let names = text.strip_prefix('/').ok_or(InvalidFolderPath)?;
        if names.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let names: Vec<FolderName> = names.split('/').map(|name| name.parse().map_err(|_| InvalidFolderPath)).collect::<Result<_, _>>()?;
        if u32::try_from(names.len()).is_ok_and(|depth| depth <= FOLDER_DEPTH_LIMIT) { Ok(Self(names)) } else { Err(InvalidFolderPath) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_person_can_see_and_a_path_can_hold() {
        for (given, kept) in [("Invoices", "Invoices"), ("  Größe 2 ", "Größe 2"), ("a.b", "a.b"), ("請求書", "請求書"), ("...", "...")]
        {
            assert_eq!(given.parse::<FolderName>().unwrap().as_str(), kept);
        }
        assert!("x".repeat(128).parse::<FolderName>().is_ok());
        for bad in ["", " ", ".", "..", "a/b", "a\\b", "a\nb", "a\0", "a\u{202E}b", "\u{200B}", &"ä".repeat(129)] {
            assert!(bad.parse::<FolderName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_is_compared_without_case_and_reaches_ten_folders_deep() {
        assert_eq!("/Finance/Über".parse::<FolderPath>().unwrap().folded(), "/finance/über");
        assert!("/".parse::<FolderPath>().unwrap().is_top());
        assert!("/a".repeat(10).parse::<FolderPath>().is_ok());
        for bad in ["", "a", "a/b", "//", "/a/", "/a//b", "/../a", &"/a".repeat(11)] {
            assert!(bad.parse::<FolderPath>().is_err(), "{bad:?}");
        }
    }
}
