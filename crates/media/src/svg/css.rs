//! CSS inside an SVG, token by token as browsers read it, without what loads from elsewhere.

use std::fmt::Write as _;

use super::references::References;
use crate::media_type::Kind;

/// At-rules that load nothing by themselves. The others are left out with what belongs to them.
const RULES: [&str; 11] = [
    "media",
    "font-face",
    "keyframes",
    "-webkit-keyframes",
    "supports",
    "layer",
    "container",
    "property",
    "page",
    "font-feature-values",
    "starting-style",
];
/// Functions that load what stands in them as plain text, or run something.
const LOADING: [&str; 9] =
    ["image-set", "-webkit-image-set", "image", "src", "cross-fade", "-webkit-cross-fade", "element", "paint", "expression"];
/// An address that names nothing, and that nobody asks the network for.
const NOTHING: &str = "url(\"data:,\")";

/// What is left of a style.
pub(crate) struct Cleaned {
    pub(crate) text: String,
    /// Whether an address was taken out.
    pub(crate) lost_reference: bool,
    /// Whether a rule or a function was taken out, or everything since it is broken.
    pub(crate) lost_style: bool,
}

/// A style sheet, a list of declarations or one value.
pub(crate) fn clean(css: &str, references: &mut References<'_>) -> Cleaned {
    let mut cleaner = Cleaner { rest: css, out: String::with_capacity(css.len()), references, lost_reference: false, lost_style: false };
    let whole = cleaner.run();
    if whole.is_none() {
        // Where a reader recovers from broken text is not for us to guess.
        cleaner.out.clear();
        cleaner.lost_style = true;
    }
    let Cleaner { out, lost_reference, lost_style, .. } = cleaner;
    Cleaned { text: out, lost_reference, lost_style }
}

/// Whether a value can have anything in it that [`clean`] would look at.
pub(crate) fn is_plain(value: &str) -> bool {
    !value.contains(['(', '\\', '@', '"', '\''])
}

struct Cleaner<'c, 'r, 'l> {
    rest: &'c str,
    out: String,
    references: &'r mut References<'l>,
    lost_reference: bool,
    lost_style: bool,
}

impl<'c> Cleaner<'c, '_, '_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'c str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Copies everything that may stay; `None` where the text is broken.
    fn run(&mut self) -> Option<()> {
        while let Some(next) = self.peek() {
            match next {
                '/' if self.rest.starts_with("/*") => self.comment(),
                '"' | '\'' => {
                    let text = self.string()?;
                    self.write_string(&text);
                }
                '@' => self.at_rule()?,
                '#' => {
                    self.bump();
                    self.out.push('#');
                    if self.starts_name_character() {
                        let name = self.name()?;
                        self.write_name(&name);
                    }
                }
                '0'..='9' => {
                    // A point belongs to the number only with a digit behind it: in "5.url(" it ends it.
                    while self.peek().is_some_and(|c| c.is_ascii_digit())
                        || self.rest.starts_with('.') && self.rest[1..].starts_with(|c: char| c.is_ascii_digit())
                    {
                        let digit = self.bump();
                        self.out.extend(digit);
                    }
                    // The unit is no function, whatever bracket follows it.
                    if self.starts_name() {
                        let unit = self.name()?;
                        self.write_name(&unit);
                    }
                }
                _ if self.starts_name() => self.word()?,
                '\\' => return None,
                _ => {
                    self.bump();
                    self.out.push(next);
                }
            }
        }
        Some(())
    }

    fn comment(&mut self) {
        // It stays as the border between two words that it is.
        self.out.push_str("/**/");
        self.rest = self.rest[2..].split_once("*/").map_or("", |(_, rest)| rest);
    }

    /// A name, and what stands in brackets behind it where it is a function that loads.
    fn word(&mut self) -> Option<()> {
        let name = self.name()?;
        if self.peek() != Some('(') {
            self.write_name(&name);
            return Some(());
        }
        self.bump();
        let lower = name.to_ascii_lowercase();
        if lower == "url" {
            return self.url();
        }
        if LOADING.contains(&lower.as_str()) {
            self.skip_to(')')?;
            self.out.push_str("none/**/");
            self.lost_style = true;
            return Some(());
        }
        self.write_name(&name);
        self.out.push('(');
        Some(())
    }

    fn url(&mut self) -> Option<()> {
        self.take_while(char::is_whitespace);
        let address = match self.peek() {
            Some('"' | '\'') => self.string()?,
            _ => self.bare_address()?,
        };
        self.take_while(char::is_whitespace);
        match self.bump() {
            Some(')') | None => {}
            Some(_) => return None,
        }
        if let Some(local) = References::local(&address) {
            // Without quotes: older readers of SVG know no others.
            let _ = write!(self.out, "url({local})");
        } else if let Some(carried) = self.references.carried(&address, &[Kind::Image, Kind::Font]) {
            let _ = write!(self.out, "url(\"{carried}\")");
        } else {
            self.out.push_str(NOTHING);
            self.lost_reference = true;
        }
        Some(())
    }

    fn bare_address(&mut self) -> Option<String> {
        let mut address = String::new();
        loop {
            match self.peek() {
                None | Some(')') => return Some(address),
                Some(c) if c.is_whitespace() => return Some(address),
                Some('"' | '\'' | '(') => return None,
                Some('\\') => address.push(self.escape()?),
                Some(c) if c.is_control() => return None,
                Some(c) => {
                    self.bump();
                    address.push(c);
                }
            }
        }
    }

    fn at_rule(&mut self) -> Option<()> {
        self.bump();
        if !self.starts_name() {
            self.out.push('@');
            return Some(());
        }
        let name = self.name()?.to_ascii_lowercase();
        if RULES.contains(&name.as_str()) {
            let _ = write!(self.out, "@{name}");
            return Some(());
        }
        // The encoding is the file's own; it does nothing here.
        self.lost_style |= name != "charset";
        // What stood on both sides of it must not become one word.
        self.out.push_str("/**/");
        self.skip_to(';')
    }

    /// Leaves out everything up to this sign; for a semicolon a block in braces is an end as well.
    fn skip_to(&mut self, end: char) -> Option<()> {
        let mut open: Vec<char> = Vec::new();
        while let Some(next) = self.peek() {
            match next {
                '/' if self.rest.starts_with("/*") => {
                    self.rest = self.rest[2..].split_once("*/").map_or("", |(_, rest)| rest);
                    continue;
                }
                '"' | '\'' => {
                    self.string()?;
                    continue;
                }
                '\\' => {
                    self.escape()?;
                    continue;
                }
                // The end of the block that the rule stands in is not the rule's.
                '}' if open.is_empty() && end == ';' => return Some(()),
                _ => {}
            }
            self.bump();
            match next {
                _ if next == end && open.is_empty() => return Some(()),
                '(' => open.push(')'),
                '[' => open.push(']'),
                '{' => open.push('}'),
                ')' | ']' | '}' if open.pop() != Some(next) => return None,
                '}' if open.is_empty() && end == ';' => return Some(()),
                _ => {}
            }
        }
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.bump()?;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Some(text),
                Some(c) if c == quote => {
                    self.bump();
                    return Some(text);
                }
                Some('\n' | '\r' | '\u{c}') => return None,
                Some('\\') if self.rest.starts_with("\\\r\n") => self.rest = &self.rest[3..],
                Some('\\') if self.rest[1..].starts_with(['\n', '\r', '\u{c}']) => self.rest = &self.rest[2..],
                Some('\\') => text.push(self.escape()?),
                Some(c) => {
                    self.bump();
                    text.push(c);
                }
            }
        }
    }

    /// The character that a backslash and what follows it stand for.
    fn escape(&mut self) -> Option<char> {
        self.bump();
        let digits = self.rest.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        if digits == 0 {
            return self.bump().filter(|c| !['\n', '\r', '\u{c}'].contains(c));
        }
        let (number, rest) = self.rest.split_at(digits);
        // One blank ends the number.
        self.rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix([' ', '\t', '\n', '\r', '\u{c}'])).unwrap_or(rest);
        let character = u32::from_str_radix(number, 16).ok().filter(|number| *number != 0).and_then(char::from_u32);
        Some(character.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn starts_name_character(&self) -> bool {
        let second = || self.rest[1..].chars().next();
        match self.peek() {
            Some('\\') => second().is_some_and(|c| !['\n', '\r', '\u{c}'].contains(&c)),
            Some(c) => is_name(c),
            None => false,
        }
    }

    fn starts_name(&self) -> bool {
        match self.peek() {
            Some('-') => {
                let mut rest = self.rest[1..].chars();
                match rest.next() {
                    Some('\\') => rest.next().is_some_and(|c| !['\n', '\r', '\u{c}'].contains(&c)),
                    Some(c) => c == '-' || is_name(c) && !c.is_ascii_digit(),
                    None => false,
                }
            }
            Some(c) => self.starts_name_character() && !c.is_ascii_digit(),
            None => false,
        }
    }

    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        while self.starts_name_character() {
            name.push(if self.peek() == Some('\\') { self.escape()? } else { self.bump()? });
        }
        Some(name)
    }

    fn write_name(&mut self, name: &str) {
        let before = self.out.chars().next_back();
        for (at, c) in name.chars().enumerate() {
            // A digit may not come first, except where the name goes on something.
            let first = at == 0 && before != Some('#') || at == 1 && name.starts_with('-');
            if is_name(c) && !(first && c.is_ascii_digit()) {
                self.out.push(c);
            } else {
                let _ = write!(self.out, "\\{:x} ", u32::from(c));
            }
        }
    }

    fn write_string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            if c.is_control() || c == '"' || c == '\\' {
                let _ = write!(self.out, "\\{:x} ", u32::from(c));
            } else {
                self.out.push(c);
            }
        }
        self.out.push('"');
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii()
}
