//! What templates are for.

/// What a template is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TemplateKind {
    /// Becomes a document.
    #[default]
    Document,
    /// Gives other templates their look.
    Theme,
    /// A part that other templates include.
    Component,
    /// A frame around other templates.
    Layout,
    /// An office file with placeholders.
    Office,
}

impl TemplateKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Document, Self::Theme, Self::Component, Self::Layout, Self::Office];

    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Theme => "theme",
            Self::Component => "component",
            Self::Layout => "layout",
            Self::Office => "office",
        }
    }

    /// The kind of that word, if there is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}
