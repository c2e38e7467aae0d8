//! Refusals of a file, in one place so that they look alike.

use domain::Issue;

use crate::error::DocumentError;

/// The file or an option is not what it should be.
pub fn invalid(at: impl Into<String>, message: impl Into<String>) -> DocumentError {
    DocumentError::DataInput(vec![Issue::new(at.into(), message.into())])
}

/// The file, or what it unpacks to, is more than is read.
pub fn too_large(at: impl Into<String>, message: impl Into<String>) -> DocumentError {
    DocumentError::DataInputTooLarge(vec![Issue::new(at.into(), message.into())])
}

/// A name of the file's own in a message: short, and without line breaks.
pub fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if name.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}
