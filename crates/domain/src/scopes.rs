//! What a credential may do.

use std::fmt;

/// The power of one credential. Higher scopes do not silently include lower ones: each operation
/// lists the scopes it accepts, and an operation without a list accepts `Admin` only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// Everything in its tenant.
    Admin,
    /// Reads and writes templates, previews; no production render.
    Editor,
    /// Renders documents.
    Render,
    /// Renders previews only.
    Preview,
}

impl Scope {
    /// Every scope, strongest first.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Editor, Self::Render, Self::Preview];

    /// The published spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Render => "render",
            Self::Preview => "preview",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
