//! Parses paths: `a.b`, `../a`, `@root.a`, `a.[odd name]`, `items.0`.

use crate::characters::array_index;
use crate::error::ExpressionError;
use crate::lexer::{Kind, Token};
use crate::parse_value::Tokens;
use crate::tree::{Base, Path, Segment};

impl Tokens<'_> {
    /// Segments from `first` on; the written form joins them without brackets, as closers are compared.
    pub(crate) fn path(&mut self, first: Token) -> Result<(Path, String, bool), ExpressionError> {
        let start = first.start;
        let mut end = first.end;
        let mut written = String::new();
        let data = first.kind == Kind::At;
        let mut token = first;
        if data {
            written.push('@');
            token = self.next();
            if !matches!(token.kind, Kind::Id | Kind::Bracketed) {
                return Err(self.unexpected(token, "the name of a variable such as `@index` or `@root`"));
            }
        }
        let mut depth = 0;
        let mut segments: Vec<Segment> = Vec::new();
        loop {
            end = end.max(token.end);
            let (part, bracketed) = self.segment_text(token);
            written.push_str(&part);
            if !bracketed && matches!(part.as_str(), ".." | "." | "this") {
                if !segments.is_empty() {
                    return Err(self.syntax(format!("`{part}` can stand only at the start of a path"), token.start));
                }
                depth += usize::from(part == "..");
            } else if token.kind == Kind::Number {
                segments.extend(part.split('.').map(|piece| segment(piece.to_owned())));
            } else {
                segments.push(segment(part));
            }
            if self.peek().kind != Kind::Separator {
                break;
            }
            let separator = self.next();
            written.push_str(self.text(separator));
            token = self.next();
            if !is_segment(token.kind) {
                return Err(self.unexpected(token, "a name after the dot or slash"));
            }
        }
        let scoped = is_scoped(&written);
        // handlebars.js takes a path that begins with an empty name for the context itself.
        if segments.first().is_some_and(|first| first.name.is_empty()) {
            segments.clear();
        }
        let base = if data && !segments.is_empty() { Base::Data(depth) } else { Base::Context(depth) };
        let open = depth == 0 && !scoped && !segments.is_empty();
        Ok((Path { base, segments: segments.into(), open, span: start..end }, written, scoped))
    }

    /// The name a token spells, and whether brackets make it literal.
    pub(crate) fn segment_text(&self, token: Token) -> (String, bool) {
        let text = self.text(token);
        if token.kind != Kind::Bracketed {
            return (text.to_owned(), false);
        }
        let mut name = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('\\', Some(next @ ('\\' | ']'))) => {
                    name.push(*next);
                    chars.next();
                }
                _ => name.push(c),
            }
        }
        let one_line = !name.contains(['\n', '\r', '\u{2028}', '\u{2029}']);
        let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|_| one_line);
        match inner {
            Some(inner) => (inner.to_owned(), true),
            None => (name, false),
        }
    }
}

fn is_segment(kind: Kind) -> bool {
    matches!(kind, Kind::Id | Kind::Bracketed | Kind::Number | Kind::True | Kind::False | Kind::Null | Kind::Undefined)
}

pub(crate) fn segment(name: String) -> Segment {
    Segment { index: array_index(&name), name: name.into() }
}

/// handlebars.js never takes such a name for a helper or a block parameter: it begins with a dot or has a word that
/// ends in `this`.
pub(crate) fn is_scoped(written: &str) -> bool {
    written.starts_with('.')
        || written.match_indices("this").any(|(at, _)| !written[at + 4..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}
