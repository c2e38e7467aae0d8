//! Parses what stands inside a tag: names, paths, literals, sub-expressions, hash arguments, block parameters.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Number, Value};

use crate::error::{ExpressionError, Position};
use crate::lexer::{Kind, Lexer, Token};
use crate::limits::Limits;
use crate::parse_path::{is_scoped, segment};
use crate::registry;
use crate::tree::{Base, Call, Expr, NamedArguments, Path};

/// What the parser of tags and the parser of blocks share: the tokens, one ahead.
pub(crate) struct Tokens<'s> {
    pub(crate) source: &'s str,
    pub(crate) limits: Limits,
    lexer: Lexer<'s>,
    ahead: Option<Token>,
    /// Block parameters in force; a name declared twice counts twice.
    pub(crate) params: HashMap<Box<str>, usize>,
}

/// The name at the head of a tag, as blocks compare it with their closer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeadName {
    kind: HeadKind,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadKind {
    Word,
    Number,
    Keyword,
}

/// The inside of a tag, not yet known to be a call or a path.
pub(crate) struct Inside {
    pub(crate) name: HeadName,
    pub(crate) path: Path,
    /// The head was a literal such as `"x"` or `12`: a field name in a tag, a value in a bare expression.
    literal: Option<Expr>,
    args: Vec<Expr>,
    hash: Vec<(Box<str>, Expr)>,
    scoped: bool,
    span: Range<usize>,
}

/// Where an expression stands, which decides whether a lone name may be a helper.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Tag,
    Block,
    Nested,
}

pub(crate) enum Meaning {
    Call(Call),
    Path(Path),
}

impl<'s> Tokens<'s> {
    pub(crate) fn new(source: &'s str, lexer: Lexer<'s>, limits: Limits) -> Self {
        Self { source, limits, lexer, ahead: None, params: HashMap::new() }
    }

    pub(crate) fn next(&mut self) -> Token {
        self.ahead.take().unwrap_or_else(|| self.lexer.next())
    }

    pub(crate) fn peek(&mut self) -> Token {
        match self.ahead {
            Some(token) => token,
            None => *self.ahead.insert(self.lexer.next()),
        }
    }

    pub(crate) fn text(&self, token: Token) -> &'s str {
        &self.source[token.start..token.end]
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        Position::of(self.source, offset)
    }

    pub(crate) fn syntax(&self, message: impl Into<String>, offset: usize) -> ExpressionError {
        ExpressionError::Syntax { message: message.into(), at: self.position(offset), related: None }
    }

    /// `name param* hash?`
    pub(crate) fn inside(&mut self, depth: usize) -> Result<Inside, ExpressionError> {
        let start = self.peek().start;
        let (name, path, scoped, literal) = self.head()?;
        let mut args = Vec::new();
        let mut hash: Vec<(Box<str>, Expr)> = Vec::new();
        let mut end = path.span.end;
        loop {
            let token = self.peek();
            match token.kind {
                Kind::Id | Kind::Bracketed => {
                    self.next();
                    if self.peek().kind == Kind::Equals {
                        self.next();
                        let key = self.segment_text(token).0;
                        let (value, value_end) = self.param(depth)?;
                        hash.push((key.into(), value));
                        end = value_end;
                        continue;
                    }
                    self.require_no_hash(&hash, token)?;
                    let path = self.path(token)?.0;
                    end = path.span.end;
                    args.push(Expr::Path(Box::new(path)));
                }
                kind if begins_param(kind) => {
                    self.require_no_hash(&hash, token)?;
                    let (value, value_end) = self.param(depth)?;
                    end = value_end;
                    args.push(value);
                }
                _ => break,
            }
        }
        Ok(Inside { name, path, literal, args, hash, scoped, span: start..end })
    }

    fn require_no_hash(&self, hash: &[(Box<str>, Expr)], token: Token) -> Result<(), ExpressionError> {
        if hash.is_empty() {
            return Ok(());
        }
        Err(self.syntax("an argument without a name stands after a named one (`name=value`); move it before", token.start))
    }

    fn head(&mut self) -> Result<(HeadName, Path, bool, Option<Expr>), ExpressionError> {
        let token = self.next();
        let text = self.text(token);
        let (kind, word, literal) = match token.kind {
            Kind::Id | Kind::Bracketed | Kind::At => {
                let (path, written, scoped) = self.path(token)?;
                return Ok((HeadName { kind: HeadKind::Word, text: written }, path, scoped, None));
            }
            Kind::Str => {
                let value = unquote(text);
                (HeadKind::Word, value.clone(), Expr::Literal(Value::String(value)))
            }
            Kind::Number => {
                let value = number(text);
                let mut word = String::new();
                crate::value_text::push_number(&mut word, value.as_f64().unwrap_or(f64::INFINITY));
                (HeadKind::Number, word, Expr::Literal(value))
            }
            Kind::True | Kind::False | Kind::Null | Kind::Undefined => (HeadKind::Keyword, text.to_owned(), keyword(token.kind)),
            _ => return Err(self.unexpected(token, "a name, a path or a literal")),
        };
        let scoped = is_scoped(&word);
        let segments = if word.is_empty() { Box::default() } else { Box::from([segment(word.clone())]) };
        let path = Path { base: Base::Context(0), segments, open: !scoped, span: token.start..token.end };
        Ok((HeadName { kind, text: word }, path, scoped, Some(literal)))
    }

    fn param(&mut self, depth: usize) -> Result<(Expr, usize), ExpressionError> {
        let token = self.next();
        let text = self.text(token);
        let value = match token.kind {
            Kind::Id | Kind::Bracketed | Kind::At => {
                let path = self.path(token)?.0;
                let end = path.span.end;
                return Ok((Expr::Path(Box::new(path)), end));
            }
            Kind::Str => Expr::Literal(Value::String(unquote(text))),
            Kind::Number => Expr::Literal(number(text)),
            Kind::True | Kind::False | Kind::Null | Kind::Undefined => keyword(token.kind),
            Kind::OpenCall => return self.nested(token, depth + 1),
            _ => return Err(self.unexpected(token, "a value")),
        };
        Ok((value, token.end))
    }

    /// The rest of `(helper …)` after its opening parenthesis.
    pub(crate) fn nested(&mut self, open: Token, depth: usize) -> Result<(Expr, usize), ExpressionError> {
        let limit = self.limits.nesting();
        if depth > limit {
            return Err(ExpressionError::Depth { limit, at: self.position(open.start) });
        }
        let inside = self.inside(depth)?;
        let close = self.next();
        if close.kind != Kind::CloseCall {
            let mut error = self.unexpected(close, "`)` or another argument");
            if let ExpressionError::Syntax { related, .. } = &mut error {
                *related = Some(self.position(open.start));
            }
            return Err(error);
        }
        let value = match self.meaning(inside, Place::Nested)? {
            Meaning::Call(call) => Expr::Call(Box::new(Call { span: open.start..close.end, ..call })),
            Meaning::Path(path) => Expr::Path(Box::new(path)),
        };
        Ok((value, close.end))
    }

    /// `as |a b|` after the arguments of a block, if it is there.
    pub(crate) fn block_params(&mut self) -> Result<Box<[Box<str>]>, ExpressionError> {
        if self.peek().kind != Kind::OpenParams {
            return Ok(Box::default());
        }
        self.next();
        let mut names: Vec<Box<str>> = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                Kind::Id | Kind::Bracketed if names.len() < MAX_BLOCK_PARAMS => {
                    names.push(self.segment_text(token).0.into());
                }
                Kind::Id | Kind::Bracketed => {
                    let message = format!("a block takes at most {MAX_BLOCK_PARAMS} parameters");
                    return Err(self.syntax(message, token.start));
                }
                Kind::Bar if !names.is_empty() => return Ok(names.into()),
                _ => return Err(self.unexpected(token, "a parameter name or `|`")),
            }
        }
    }

    /// Decides between helper and data the way handlebars.js does.
    pub(crate) fn meaning(&self, inside: Inside, place: Place) -> Result<Meaning, ExpressionError> {
        let Inside { path, args, hash, scoped, span, name, .. } = inside;
        let simple = path.segments.len() == 1 && !scoped && matches!(path.base, Base::Context(0)) && !name.text.starts_with('@');
        let is_data = name.text.starts_with('@');
        let first = path.segments.first().map_or("", |first| &first.name);
        let one_name = path.segments.len() == 1 && !scoped && path.open;
        let is_param = one_name && self.params.contains_key(first);
        let has_arguments = !args.is_empty() || !hash.is_empty();
        if is_param || !(has_arguments || place == Place::Nested || simple) {
            return Ok(Meaning::Path(path));
        }
        // With arguments handlebars.js looks only at the first segment of the path.
        let helper = if is_data && !has_arguments { None } else { registry::find(first) };
        if !has_arguments && place != Place::Nested {
            let Some(helper) = helper else {
                return Ok(Meaning::Path(path));
            };
            // A field may carry the name of a helper that needs arguments.
            let is_field = match place {
                Place::Block => helper.is_inline(),
                _ => true,
            };
            if helper.min_args > 0 && is_field {
                return Ok(Meaning::Path(path));
            }
        }
        let at = span.start;
        let call = Call { helper, name: name.text.into(), args: args.into(), hash: hash.into(), span };
        if let Some(helper) = helper
            && let Some(message) = helper.refusal(call.args.len(), call.hash.iter().map(|(name, _)| &**name), place == Place::Block)
        {
            return Err(ExpressionError::Arguments { helper: helper.name.to_owned(), message, at: self.position(at) });
        }
        Ok(Meaning::Call(call))
    }

    /// One expression without braces: a literal, a path, `helper a b` or `(helper a b)`.
    pub(crate) fn expression(&mut self) -> Result<Expr, ExpressionError> {
        let value = if self.peek().kind == Kind::OpenCall {
            let open = self.next();
            self.nested(open, 1)?.0
        } else {
            let mut inside = self.inside(0)?;
            match inside.literal.take() {
                Some(literal) if inside.args.is_empty() && inside.hash.is_empty() => literal,
                _ => match self.meaning(inside, Place::Tag)? {
                    Meaning::Call(call) => Expr::Call(Box::new(call)),
                    Meaning::Path(path) => Expr::Path(Box::new(path)),
                },
            }
        };
        let rest = self.next();
        if rest.kind != Kind::End {
            return Err(self.unexpected(rest, "the end of the expression"));
        }
        Ok(value)
    }

    pub(crate) fn unexpected(&self, found: Token, wanted: &str) -> ExpressionError {
        let text = self.text(found);
        let shown: String = text.chars().take(20).collect();
        let message = match found.kind {
            Kind::End => format!("the source ends where {wanted} should stand"),
            Kind::CloseRaw | Kind::CloseUnescaped if wanted.contains("`}}`") => {
                format!("found `{shown}` where {wanted} should stand; put a space between the tag and a `}}` of the text")
            }
            Kind::Unclosed if text.starts_with("{{") => "the comment is never closed".to_owned(),
            Kind::Unclosed => format!("`{shown}` is opened and never closed"),
            Kind::Invalid => format!("`{shown}` cannot stand here; a name with such a character is written `[in brackets]`"),
            _ => format!("found `{shown}` where {wanted} should stand"),
        };
        self.syntax(message, found.start)
    }
}

/// More than any helper gives; bounds what a lookup compares.
const MAX_BLOCK_PARAMS: usize = 8;

fn begins_param(kind: Kind) -> bool {
    matches!(kind, Kind::At | Kind::Str | Kind::Number | Kind::True | Kind::False | Kind::Null | Kind::Undefined | Kind::OpenCall)
}

fn keyword(kind: Kind) -> Expr {
    match kind {
        Kind::True => Expr::Literal(Value::Bool(true)),
        Kind::False => Expr::Literal(Value::Bool(false)),
        Kind::Null => Expr::Literal(Value::Null),
        _ => Expr::Undefined,
    }
}

fn unquote(text: &str) -> String {
    let mark = &text[..1];
    text[1..text.len() - 1].replace(&format!("\\{mark}"), mark)
}

fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>()
        && text != "-0"
    {
        return Value::from(whole);
    }
    // Too many digits make an infinity, which JSON cannot hold.
    let value: f64 = text.parse().unwrap_or(f64::MAX);
    Value::Number(Number::from_f64(value.clamp(f64::MIN, f64::MAX)).unwrap_or_else(|| Number::from(0)))
}

impl HeadName {
    pub(crate) fn word(text: &str) -> Self {
        Self { kind: HeadKind::Word, text: text.to_owned() }
    }
}

impl Inside {
    /// The parts of a call of a partial: its name as written, what it is given, and what it is given by name.
    pub(crate) fn into_partial(self) -> (String, Vec<Expr>, NamedArguments) {
        (self.name.text, self.args, self.hash.into())
    }

    /// The name alone, if nothing follows it.
    pub(crate) fn into_closer(self) -> Option<HeadName> {
        (self.args.is_empty() && self.hash.is_empty()).then_some(self.name)
    }
}
