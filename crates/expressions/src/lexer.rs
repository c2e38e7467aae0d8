//! Cuts a template into tokens, with the same modes and precedences as handlebars.js.

use crate::characters::{is_name, is_space, leading_space};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Comment,
    OpenRaw,
    CloseRaw,
    /// The whole `{{{{/name}}}}`; the token's range is the name.
    EndRaw,
    Open,
    OpenUnescaped,
    OpenAmpersand,
    OpenBlock,
    OpenInverse,
    OpenInverseChain,
    Inverse,
    OpenEnd,
    OpenPartial,
    OpenDecorator,
    Close,
    CloseUnescaped,
    OpenCall,
    CloseCall,
    Id,
    Bracketed,
    Equals,
    Separator,
    At,
    Str,
    Number,
    True,
    False,
    Undefined,
    Null,
    OpenParams,
    Bar,
    /// A character no token begins with.
    Invalid,
    /// The opening mark of a string, a bracketed name or a comment that is never closed.
    Unclosed,
    End,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Text,
    Tag,
    /// After `\{{`: the tag is text.
    Escaped,
    /// Inside `{{{{raw}}}}`, this many deep.
    Raw(usize),
}

/// One pass over the source; every token is found in time linear in what it consumes.
pub(crate) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    mode: Mode,
}

impl<'s> Lexer<'s> {
    pub(crate) fn template(source: &'s str) -> Self {
        Self { source, at: 0, mode: Mode::Text }
    }

    /// For one expression without braces.
    pub(crate) fn bare(source: &'s str) -> Self {
        Self { source, at: 0, mode: Mode::Tag }
    }

    pub(crate) fn next(&mut self) -> Token {
        loop {
            let token = match self.mode {
                Mode::Text => self.text(),
                Mode::Escaped => Some(self.escaped()),
                Mode::Raw(depth) => Some(self.raw(depth)),
                Mode::Tag => Some(self.tag()),
            };
            if let Some(token) = token {
                return token;
            }
        }
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn take(&mut self, kind: Kind, length: usize) -> Token {
        let start = self.at;
        self.at += length;
        Token { kind, start, end: self.at }
    }

    fn text(&mut self) -> Option<Token> {
        let rest = self.rest();
        if rest.is_empty() {
            return Some(self.take(Kind::End, 0));
        }
        let Some(length) = rest.find("{{") else {
            return Some(self.take(Kind::Text, rest.len()));
        };
        let before = &rest[..length];
        let backslashes = usize::from(before.ends_with('\\'));
        self.mode = if backslashes == 1 && !before.ends_with("\\\\") { Mode::Escaped } else { Mode::Tag };
        let mut token = self.take(Kind::Text, length);
        token.end -= backslashes;
        (token.start < token.end).then_some(token)
    }

    fn escaped(&mut self) -> Token {
        let rest = self.rest();
        self.mode = Mode::Text;
        // The text begins with the two braces that were escaped; it ends before the next tag and its backslashes.
        let opening = 2.min(rest.len());
        let length = rest[opening..].find("{{").map_or(rest.len(), |found| {
            let inner = &rest[opening..opening + found];
            let backslashes = if inner.ends_with("\\\\") { 2 } else { usize::from(inner.ends_with('\\')) };
            opening + found - backslashes
        });
        self.take(Kind::Text, length)
    }

    fn raw(&mut self, depth: usize) -> Token {
        let rest = self.rest();
        if rest.is_empty() {
            return self.take(Kind::End, 0);
        }
        if let Some(after) = rest.strip_prefix("{{{{") {
            if let Some(closer) = after.strip_prefix('/') {
                let name = closer.find(|c| !is_name(c)).unwrap_or(closer.len());
                if name > 0 && closer[name..].starts_with("}}}}") {
                    let whole = 5 + name + 4;
                    if depth > 1 {
                        self.mode = Mode::Raw(depth - 1);
                        return self.take(Kind::Text, whole);
                    }
                    self.mode = Mode::Text;
                    let token = self.take(Kind::EndRaw, whole);
                    return Token { start: token.start + 5, end: token.end - 4, ..token };
                }
            } else if !after.is_empty() {
                self.mode = Mode::Raw(depth + 1);
                return self.take(Kind::Text, 4);
            }
        }
        let first = rest.chars().next().map_or(1, char::len_utf8);
        if let Some(found) = rest[first..].find("{{{{") {
            return self.take(Kind::Text, first + found);
        }
        self.at = self.source.len();
        self.take(Kind::End, 0)
    }

    fn tag(&mut self) -> Token {
        self.at += leading_space(self.rest());
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return self.take(Kind::End, 0);
        };
        match first {
            '(' => self.take(Kind::OpenCall, 1),
            ')' => self.take(Kind::CloseCall, 1),
            '{' if rest.starts_with("{{") => self.opener(),
            '}' | '~' => self.closer(),
            '=' => self.take(Kind::Equals, 1),
            '.' if rest.starts_with("..") => self.take(Kind::Id, 2),
            '.' if self.ends_name(1) => self.take(Kind::Id, 1),
            '.' | '/' => self.take(Kind::Separator, 1),
            '"' => self.quoted(Kind::Str, b'"'),
            '\'' => self.quoted(Kind::Str, b'\''),
            '[' => self.quoted(Kind::Bracketed, b']'),
            '@' => self.take(Kind::At, 1),
            '|' => self.take(Kind::Bar, 1),
            c if is_name(c) => self.word(),
            c => self.take(Kind::Invalid, c.len_utf8()),
        }
    }

    /// Whether a name may end before the character at this distance.
    fn ends_name(&self, distance: usize) -> bool {
        match self.rest()[distance..].chars().next() {
            Some(c) => matches!(c, '=' | '~' | '}' | '/' | '.' | ')' | '|') || is_space(c),
            // A tag that is not finished is refused for that.
            None => true,
        }
    }

    fn ends_literal(&self, distance: usize) -> bool {
        match self.rest()[distance..].chars().next() {
            Some(c) => matches!(c, '~' | '}' | ')') || is_space(c),
            // A tag that is not finished is refused for that.
            None => true,
        }
    }

    fn opener(&mut self) -> Token {
        let rest = self.rest();
        if rest.starts_with("{{{{") {
            return self.take(Kind::OpenRaw, 4);
        }
        let tilde = usize::from(rest[2..].starts_with('~'));
        let open = 2 + tilde;
        let after = &rest[open..];
        match after.as_bytes().first() {
            Some(b'>') => return self.take(Kind::OpenPartial, open + 1),
            Some(b'#') if after.starts_with("#>") => return self.take(Kind::OpenPartial, open + 2),
            Some(b'#') if after.starts_with("#*") => return self.take(Kind::OpenDecorator, open + 2),
            Some(b'#') => return self.take(Kind::OpenBlock, open + 1),
            Some(b'/') => return self.take(Kind::OpenEnd, open + 1),
            Some(b'{') => return self.take(Kind::OpenUnescaped, open + 1),
            Some(b'&') => return self.take(Kind::OpenAmpersand, open + 1),
            Some(b'*') => return self.take(Kind::OpenDecorator, open + 1),
            Some(b'!') => return self.comment(open),
            Some(b'^') => {
                return match inverse_end(after, 1) {
                    Some(length) => self.inverse(open + length),
                    None => self.take(Kind::OpenInverse, open + 1),
                };
            }
            _ => {}
        }
        let space = leading_space(after);
        if let Some(tail) = after[space..].strip_prefix("else") {
            if let Some(length) = inverse_end(after, space + 4) {
                return self.inverse(open + length);
            }
            let ends_word = !tail.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            if ends_word {
                return self.take(Kind::OpenInverseChain, open + space + 4);
            }
        }
        self.take(Kind::Open, open)
    }

    fn inverse(&mut self, length: usize) -> Token {
        self.mode = Mode::Text;
        self.take(Kind::Inverse, length)
    }

    fn comment(&mut self, open: usize) -> Token {
        let rest = self.rest();
        let length = if rest[open..].starts_with("!--") {
            // The dashes that open the comment may also close it.
            find_long_comment_end(&rest[open + 1..]).map(|found| open + 1 + found)
        } else {
            rest[open..].find("}}").map(|found| open + found + 2)
        };
        self.mode = Mode::Text;
        match length {
            Some(length) => self.take(Kind::Comment, length),
            None => self.take(Kind::Unclosed, open + 1),
        }
    }

    fn closer(&mut self) -> Token {
        let rest = self.rest();
        if rest.starts_with("}}}}") {
            self.mode = Mode::Raw(1);
            return self.take(Kind::CloseRaw, 4);
        }
        let (kind, length) = if rest.starts_with("}}}") {
            (Kind::CloseUnescaped, 3)
        } else if rest.starts_with("}~}}") {
            (Kind::CloseUnescaped, 4)
        } else if rest.starts_with("}}") {
            (Kind::Close, 2)
        } else if rest.starts_with("~}}") {
            (Kind::Close, 3)
        } else {
            return self.take(Kind::Invalid, 1);
        };
        self.mode = Mode::Text;
        self.take(kind, length)
    }

    /// A string or a bracketed name. A backslash keeps the closing mark inside, unless no other one follows.
    fn quoted(&mut self, kind: Kind, mark: u8) -> Token {
        let bytes = self.rest().as_bytes();
        let mut kept = None;
        let mut at = 1;
        while let Some(byte) = bytes.get(at) {
            if *byte == mark {
                return self.take(kind, at + 1);
            }
            if *byte == b'\\' && bytes.get(at + 1) == Some(&mark) {
                kept = Some(at + 1);
                at += 1;
            }
            at += 1;
        }
        match kept {
            Some(end) => self.take(kind, end + 1),
            None => self.take(Kind::Unclosed, 1),
        }
    }

    fn word(&mut self) -> Token {
        let rest = self.rest();
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        if self.ends_literal(length) {
            let kind = match word {
                "true" => Some(Kind::True),
                "false" => Some(Kind::False),
                "undefined" => Some(Kind::Undefined),
                "null" => Some(Kind::Null),
                _ => None,
            };
            if let Some(kind) = kind {
                return self.take(kind, length);
            }
        }
        if let Some(length) = number_length(rest)
            && self.ends_literal(length)
        {
            return self.take(Kind::Number, length);
        }
        if let Some(after) = rest.strip_prefix("as") {
            let space = leading_space(after);
            if space > 0 && after[space..].starts_with('|') {
                return self.take(Kind::OpenParams, 2 + space + 1);
            }
        }
        if self.ends_name(length) {
            return self.take(Kind::Id, length);
        }
        // What follows the name is what is wrong.
        self.at += length;
        let next = self.rest().chars().next().map_or(0, char::len_utf8);
        self.take(Kind::Invalid, next)
    }
}

/// Length up to and with the `}}` of an `{{else}}` or `{{^}}` whose word ends at `word_end`.
fn inverse_end(after: &str, word_end: usize) -> Option<usize> {
    let space = leading_space(&after[word_end..]);
    let at = word_end + space;
    let at = at + usize::from(after[at..].starts_with('~'));
    after[at..].starts_with("}}").then_some(at + 2)
}

fn find_long_comment_end(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let dashes = from + text[from..].find("--")?;
        let after = &text[dashes + 2..];
        if after.starts_with("}}") {
            return Some(dashes + 4);
        }
        if after.starts_with("~}}") {
            return Some(dashes + 5);
        }
        from = dashes + 1;
    }
}

/// Length of an optionally signed decimal number at the start.
fn number_length(text: &str) -> Option<usize> {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(text.starts_with('-'));
    let whole = digits(sign);
    if whole == 0 {
        return None;
    }
    let end = sign + whole;
    if text[end..].starts_with('.') {
        let fraction = digits(end + 1);
        if fraction > 0 {
            return Some(end + 1 + fraction);
        }
    }
    Some(end)
}
