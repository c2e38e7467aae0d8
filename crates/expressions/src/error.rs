//! What can be wrong with an expression, and where.

use std::fmt;

/// A place in a template as people count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1; lines end at `\n`.
    pub line: usize,
    /// Column, from 1, in characters (Unicode scalar values), not bytes.
    pub column: usize,
}

impl Position {
    /// The place of a byte offset; an offset past the end or inside a character counts as the character before it.
    pub(crate) fn of(source: &str, offset: usize) -> Self {
        let mut cursor = PositionCursor::new(source);
        cursor.advance_to(offset)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Turns ascending byte offsets into places in one pass over the source.
pub(crate) struct PositionCursor<'s> {
    source: &'s str,
    offset: usize,
    at: Position,
}

impl<'s> PositionCursor<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self { source, offset: 0, at: Position { line: 1, column: 1 } }
    }

    /// The place of `offset`, which must not be smaller than the one asked for before.
    pub(crate) fn advance_to(&mut self, offset: usize) -> Position {
        let bytes = self.source.as_bytes();
        let end = offset.min(bytes.len());
        for byte in bytes.get(self.offset..end).unwrap_or_default() {
            if *byte == b'\n' {
                self.at.line += 1;
                self.at.column = 1;
            } else if byte & 0xC0 != 0x80 {
                self.at.column += 1;
            }
        }
        self.offset = self.offset.max(end);
        self.at
    }
}

/// The budget that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BudgetKind {
    /// Too much work: nodes, loop turns and path segments visited ([`crate::Budget::steps`]).
    Steps,
    /// Too much text written ([`crate::Budget::output_bytes`]).
    OutputBytes,
    /// The deadline passed ([`crate::Budget::deadline`]).
    Deadline,
    /// The caller gave up ([`crate::Run::cancelled_by`]).
    Cancelled,
}

impl BudgetKind {
    fn words(self, limit: u64) -> String {
        match self {
            Self::Steps => format!("the template did more than the {limit} steps it may do"),
            Self::OutputBytes => format!("the template wrote more than the {limit} bytes it may write"),
            Self::Deadline => "the template was still running at its deadline".to_owned(),
            Self::Cancelled => "the template was stopped because nobody waits for it any more".to_owned(),
        }
    }
}

/// Why a template or expression could not be parsed or evaluated. The text names what was found and what would be
/// accepted; [`Self::position`] says where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// The source is not Handlebars.
    #[error("{message} ({at})")]
    Syntax {
        /// What was found and what would be accepted.
        message: String,
        /// Where it was found.
        at: Position,
        /// The second place the message is about: the opener of a wrong closer, or the end of an unclosed tag.
        related: Option<Position>,
    },
    /// Arguments follow a name that is no helper.
    #[error("{} ({at})", unknown_helper(name, suggestions))]
    UnknownHelper {
        /// The name as written.
        name: String,
        /// Where it stands.
        at: Position,
        /// Near names among the helpers and the keys in scope, the nearest first, at most three.
        suggestions: Vec<String>,
    },
    /// A helper was given too few or too many arguments, or stands where it cannot.
    #[error("{message} ({at})")]
    Arguments {
        /// The helper.
        helper: String,
        /// What it was given and what it takes.
        message: String,
        /// Where it stands.
        at: Position,
    },
    /// A value is not in the data; only with [`crate::Missing::Strict`].
    #[error("{} ({at})", missing(path, suggestions))]
    Missing {
        /// The path as written.
        path: String,
        /// Where it stands.
        at: Position,
        /// Near paths that exist, the nearest first, at most three.
        suggestions: Vec<String>,
    },
    /// A budget of the run is used up.
    #[error("{} ({at})", which.words(*limit))]
    Budget {
        /// Which one.
        which: BudgetKind,
        /// Its size: steps or bytes; 0 for the deadline and for cancelling.
        limit: u64,
        /// What was being evaluated.
        at: Position,
    },
    /// A call of a partial that was not given.
    #[error("`{{{{> {name}}}}}` names no component that is declared here{} ({at})", did_you_mean(suggestions))]
    UnknownPartial {
        /// As written.
        name: String,
        /// Where it is called.
        at: Position,
        /// Near names that were given, the nearest first, at most three.
        suggestions: Vec<String>,
    },
    /// What is wrong stands in a partial.
    #[error("in `{partial}`, {}: {} ({at})", inner.position(), inner.message())]
    InPartial {
        /// What the partial is called.
        partial: Box<str>,
        /// Where it is called.
        at: Position,
        /// What is wrong in it.
        inner: Box<ExpressionError>,
    },
    /// Handlebars that this engine refuses on purpose: decorators, and partials where there can be none.
    #[error("{what} are not supported ({at})")]
    Unsupported {
        /// The feature, in the plural.
        what: String,
        /// Where it stands.
        at: Position,
    },
    /// A picture or other markup is printed where only text can stand.
    #[error("what is printed here is markup, which can only stand in HTML, and there outside of tags and style sheets ({at})")]
    MarkupInText {
        /// Where it is printed.
        at: Position,
    },
    /// Blocks, sub-expressions or scopes are nested too deep.
    #[error("nested deeper than the {limit} levels allowed ({at})")]
    Depth {
        /// The limit, in levels.
        limit: usize,
        /// Where the first level too many begins.
        at: Position,
    },
    /// The source is larger than [`crate::Limits`] allow.
    #[error("the template has more than the {limit} {unit} allowed ({at})")]
    TooLarge {
        /// What was counted: `bytes` or `tags`.
        unit: &'static str,
        /// The limit, in that unit.
        limit: usize,
        /// Where the limit was passed; the start for bytes.
        at: Position,
    },
}

fn unknown_helper(name: &str, suggestions: &[String]) -> String {
    format!("`{name}` is given arguments but is not a helper{}", did_you_mean(suggestions))
}

fn missing(path: &str, suggestions: &[String]) -> String {
    format!("`{path}` is not in the data{}", did_you_mean(suggestions))
}

fn did_you_mean(suggestions: &[String]) -> String {
    if suggestions.is_empty() {
        return String::new();
    }
    format!("; did you mean `{}`?", suggestions.join("` or `"))
}

impl ExpressionError {
    /// Where it is wrong.
    pub fn position(&self) -> Position {
        match self {
            Self::Syntax { at, .. }
            | Self::UnknownHelper { at, .. }
            | Self::Arguments { at, .. }
            | Self::Missing { at, .. }
            | Self::Budget { at, .. }
            | Self::Unsupported { at, .. }
            | Self::Depth { at, .. }
            | Self::UnknownPartial { at, .. }
            | Self::InPartial { at, .. }
            | Self::MarkupInText { at }
            | Self::TooLarge { at, .. } => *at,
        }
    }

    /// Line of [`Self::position`], from 1.
    pub fn line(&self) -> usize {
        self.position().line
    }

    /// Column of [`Self::position`], from 1, in characters.
    pub fn column(&self) -> usize {
        self.position().column
    }

    /// The text without the place, for an answer that carries the place in fields of its own.
    pub fn message(&self) -> String {
        let whole = self.to_string();
        whole.strip_suffix(&format!(" ({})", self.position())).map_or(whole.clone(), str::to_owned)
    }

    /// What is wrong, whichever partial it stands in.
    pub fn innermost(&self) -> &Self {
        let mut error = self;
        while let Self::InPartial { inner, .. } = error {
            error = inner;
        }
        error
    }

    /// The unknown name or path, where the error is about one.
    pub fn variable(&self) -> Option<&str> {
        match self.innermost() {
            Self::UnknownHelper { name, .. } | Self::UnknownPartial { name, .. } => Some(name),
            Self::Missing { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Near spellings of existing names; empty where the error is about no name.
    pub fn suggestions(&self) -> &[String] {
        match self.innermost() {
            Self::UnknownHelper { suggestions, .. } | Self::UnknownPartial { suggestions, .. } | Self::Missing { suggestions, .. } => {
                suggestions
            }
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters_and_a_line_begins_after_a_newline() {
        let source = "añb\n€x";
        assert_eq!(Position::of(source, 3), Position { line: 1, column: 3 });
        assert_eq!(Position::of(source, source.len() - 1), Position { line: 2, column: 2 });
    }

    #[test]
    fn a_message_comes_without_its_place() {
        let error = ExpressionError::Missing { path: "a".into(), at: Position { line: 2, column: 3 }, suggestions: vec!["b".into()] };
        assert_eq!(error.message(), "`a` is not in the data; did you mean `b`?");
        assert_eq!(error.to_string(), "`a` is not in the data; did you mean `b`? (line 2, column 3)");
    }
}
