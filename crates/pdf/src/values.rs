//! The values of the PDF language, read from bytes that nobody vouches for.

use crate::error::PdfError;

/// How deep arrays and dictionaries may lie in each other. Forms have two or three levels.
const MAX_DEPTH: u32 = 32;

/// One value. Names and strings are bytes: what they mean depends on where they stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Name(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Value>),
    Dictionary(Dictionary),
    /// The number of an object.
    Reference(u32),
}

/// The members of a dictionary in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Dictionary(Vec<(Vec<u8>, Value)>);

impl Dictionary {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value).filter(|value| **value != Value::Null)
    }

    /// What stands there, which then is gone from here.
    pub(crate) fn take(&mut self, key: &[u8]) -> Option<Value> {
        let value = self.0.iter_mut().find(|(name, _)| name == key).map(|(_, value)| std::mem::replace(value, Value::Null));
        value.filter(|value| *value != Value::Null)
    }

    /// A whole number that stands here itself.
    pub(crate) fn number(&self, key: &[u8]) -> Option<usize> {
        self.get(key).and_then(Value::whole)
    }

    pub(crate) fn is_type(&self, name: &[u8]) -> bool {
        matches!(self.get(b"Type"), Some(Value::Name(found)) if found == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(name, _)| name.as_slice())
    }
}

impl Value {
    /// A whole number from 0.
    pub(crate) fn whole(&self) -> Option<usize> {
        match self {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was just looked at")]
            Self::Number(number) if number.fract() == 0.0 && (0.0..=4_294_967_295.0).contains(number) => Some(*number as usize),
            _ => None,
        }
    }

    /// An object's number.
    pub(crate) fn reference(&self) -> Option<u32> {
        if let Self::Reference(number) = self { Some(*number) } else { None }
    }
}

/// Reads values from a place on, one after the other.
pub(crate) struct Parser<'a> {
    bytes: &'a [u8],
    /// The next byte.
    pub(crate) at: usize,
    /// Values that may still be read.
    pub(crate) values_left: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize, values_left: usize) -> Self {
        Self { bytes, at, values_left }
    }

    /// The next value.
    pub(crate) fn value(&mut self) -> Result<Value, PdfError> {
        self.value_in(0)
    }

    /// The next whole number.
    pub(crate) fn whole(&mut self) -> Option<usize> {
        self.skip_space();
        let digits = self.rest().iter().take(11).take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(&self.rest()[..digits]).ok().filter(|text| (1..=10).contains(&text.len()))?;
        self.at += digits;
        text.parse().ok()
    }

    /// Whether this word stands next; if so it is passed.
    pub(crate) fn word(&mut self, word: &[u8]) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(word) && self.rest().get(word.len()).is_none_or(|byte| !is_regular(*byte));
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn skip_space(&mut self) {
        loop {
            self.at += self.rest().iter().take_while(|byte| is_space(**byte)).count();
            if self.rest().first() != Some(&b'%') {
                return;
            }
            self.at += self.rest().iter().take_while(|byte| !matches!(byte, b'\r' | b'\n')).count();
        }
    }

    fn value_in(&mut self, depth: u32) -> Result<Value, PdfError> {
        self.values_left = self.values_left.checked_sub(1).ok_or(PdfError::TooMuch { what: "values" })?;
        if depth > MAX_DEPTH {
            return Err(PdfError::Invalid("its values lie too deep in each other"));
        }
        self.skip_space();
        match self.rest() {
            [b'<', b'<', ..] => self.dictionary(depth),
            [b'<', ..] => self.hexadecimal(),
            [b'(', ..] => self.literal(),
            [b'[', ..] => self.array(depth),
            [b'/', ..] => Ok(Value::Name(self.name())),
            [b'0'..=b'9', ..] => match self.reference() {
                Some(reference) => Ok(reference),
                None => self.number(),
            },
            [b'+' | b'-' | b'.', ..] => self.number(),
            _ if self.word(b"true") => Ok(Value::Bool(true)),
            _ if self.word(b"false") => Ok(Value::Bool(false)),
            _ if self.word(b"null") => Ok(Value::Null),
            _ => Err(PdfError::Invalid("a value is none")),
        }
    }

    fn array(&mut self, depth: u32) -> Result<Value, PdfError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if self.rest().first() == Some(&b']') {
                self.at += 1;
                return Ok(Value::Array(items));
            }
            items.push(self.value_in(depth + 1)?);
        }
    }

    fn dictionary(&mut self, depth: u32) -> Result<Value, PdfError> {
        self.at += 2;
        let mut members = Vec::new();
        loop {
            self.skip_space();
            match self.rest() {
                [b'>', b'>', ..] => {
                    self.at += 2;
                    return Ok(Value::Dictionary(Dictionary(members)));
                }
                [b'/', ..] => {
                    // A key takes as much room as a value.
                    self.values_left = self.values_left.checked_sub(1).ok_or(PdfError::TooMuch { what: "values" })?;
                    let name = self.name();
                    members.push((name, self.value_in(depth + 1)?));
                }
                _ => return Err(PdfError::Invalid("a dictionary does not end")),
            }
        }
    }

    fn name(&mut self) -> Vec<u8> {
        self.at += 1;
        let length = self.rest().iter().take_while(|byte| is_regular(**byte)).count();
        let raw = &self.rest()[..length];
        self.at += length;
        let mut name = Vec::with_capacity(length);
        let mut at = 0;
        while let Some(byte) = raw.get(at) {
            let escaped = raw.get(at + 1..at + 3).filter(|_| *byte == b'#').and_then(|pair| Some(hex(pair[0])? << 4 | hex(pair[1])?));
            name.push(escaped.unwrap_or(*byte));
            at += if escaped.is_some() { 3 } else { 1 };
        }
        name
    }

    /// `12 0 R`, if that is what stands here.
    fn reference(&mut self) -> Option<Value> {
        let before = self.at;
        let number = self.whole().and_then(|number| u32::try_from(number).ok());
        let is_one = number.is_some() && self.whole().is_some() && self.word(b"R");
        if !is_one {
            self.at = before;
        }
        number.filter(|_| is_one).map(Value::Reference)
    }

    fn number(&mut self) -> Result<Value, PdfError> {
        let length = self.rest().iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.')).count();
        let text = std::str::from_utf8(&self.rest()[..length]).ok().filter(|text| text.len() <= 64);
        self.at += length;
        text.and_then(|text| text.parse().ok()).map(Value::Number).ok_or(PdfError::Invalid("a number is none"))
    }

    fn hexadecimal(&mut self) -> Result<Value, PdfError> {
        let end = memchr::memchr(b'>', self.rest()).ok_or(PdfError::Invalid("a string does not end"))?;
        let digits: Vec<u8> = self.rest()[1..end].iter().filter_map(|byte| hex(*byte)).collect();
        self.at += end + 1;
        // A last digit that is missing is 0.
        Ok(Value::Text(digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect()))
    }

    fn literal(&mut self) -> Result<Value, PdfError> {
        let mut text = Vec::new();
        let (mut depth, mut at) = (0_usize, self.at);
        loop {
            let byte = *self.bytes.get(at).ok_or(PdfError::Invalid("a string does not end"))?;
            at += 1;
            match byte {
                b'(' => {
                    depth += 1;
                    if depth == 1 {
                        continue;
                    }
                    text.push(byte);
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at = at;
                        return Ok(Value::Text(text));
                    }
                    text.push(byte);
                }
                b'\\' => at = self.escaped(at, &mut text),
                b'\r' => {
                    // Any end of a line is a line feed.
                    at += usize::from(self.bytes.get(at) == Some(&b'\n'));
                    text.push(b'\n');
                }
                byte => text.push(byte),
            }
        }
    }

    /// What a backslash and the bytes behind it mean; the place behind them.
    fn escaped(&self, at: usize, text: &mut Vec<u8>) -> usize {
        let byte = match self.bytes.get(at) {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'\r') => return at + 1 + usize::from(self.bytes.get(at + 1) == Some(&b'\n')),
            Some(b'\n') => return at + 1,
            Some(b'0'..=b'7') => {
                let digits: Vec<u8> = self.bytes[at..].iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).copied().collect();
                text.push(digits.iter().fold(0, |code: u8, digit| code.wrapping_mul(8).wrapping_add(digit - b'0')));
                return at + digits.len();
            }
            Some(other) => *other,
            None => return at,
        };
        text.push(byte);
        at + 1
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\0' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

fn is_regular(byte: u8) -> bool {
    !is_space(byte) && !matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, PdfError> {
        Parser::new(text.as_bytes(), 0, 100).value()
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text = |text: &str| Value::Text(text.into());
        for (given, found) in [
            ("null", Value::Null),
            (" % a comment\r\n true", Value::Bool(true)),
            ("-.5", Value::Number(-0.5)),
            ("7", Value::Number(7.0)),
            ("7 0 R", Value::Reference(7)),
            ("/A#20B", Value::Name(b"A B".to_vec())),
            ("(a(b)\\)\\n\\101\\\r\nc)", text("a(b))\nAc")),
            ("<4 1 5>", text("AP")),
            ("[1 0 R 2]", Value::Array(vec![Value::Reference(1), Value::Number(2.0)])),
            ("<</A/B>>", Value::Dictionary(Dictionary(vec![(b"A".to_vec(), Value::Name(b"B".to_vec()))]))),
        ] {
            assert_eq!(read(given).as_ref(), Ok(&found), "{given}");
        }
    }

    #[test]
    fn what_is_no_value_or_too_much_of_one_is_refused() {
        for given in ["", "(", "<41", "[1", "<</A", "<<1 2>>", "1..2", "nul", "}", &"[".repeat(1_000), &"[1 ".repeat(20)] {
            assert!(matches!(read(given), Err(PdfError::Invalid(_))), "{given}: {:?}", read(given));
        }
        assert_eq!(read(&format!("[{}]", "1 ".repeat(200))), Err(PdfError::TooMuch { what: "values" }));
    }
}
