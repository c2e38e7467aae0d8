//! Parses text, tags and blocks into the tree, without recursion.

use crate::error::ExpressionError;
use crate::lexer::{Kind, Lexer, Token};
use crate::limits::Limits;
use crate::parse_value::{HeadName, Inside, Meaning, Place, Tokens};
use crate::partials::Partials;
use crate::places::Surroundings;
use crate::tree::{Arm, Block, Expr, Head, Node, Output, PartialCall, Strip, Text};
use crate::whitespace;

/// What a source is parsed to.
pub(crate) struct Parsed {
    /// White space is stripped.
    pub(crate) nodes: Vec<Node>,
    /// Blocks inside each other, those of partials included.
    pub(crate) levels: usize,
}

/// A whole template; without `partials` it may call none.
pub(crate) fn parse_template(source: &str, limits: &Limits, partials: Option<&Partials>) -> Result<Parsed, ExpressionError> {
    check_size(source, limits)?;
    let tokens = Tokens::new(source, Lexer::template(source), *limits);
    let mut parser = Parser { tokens, partials, nodes: Vec::new(), pending: Vec::new(), tags: 0, levels: 0 };
    while parser.statement()? {}
    let mut nodes = parser.nodes;
    whitespace::strip(&mut nodes, source);
    Ok(Parsed { nodes, levels: parser.levels })
}

/// One expression without braces.
pub(crate) fn parse_expression(source: &str, limits: &Limits) -> Result<Expr, ExpressionError> {
    check_size(source, limits)?;
    Tokens::new(source, Lexer::bare(source), *limits).expression()
}

fn check_size(source: &str, limits: &Limits) -> Result<(), ExpressionError> {
    if source.len() > limits.source_bytes {
        let at = crate::Position { line: 1, column: 1 };
        return Err(ExpressionError::TooLarge { unit: "bytes", limit: limits.source_bytes, at });
    }
    Ok(())
}

struct Parser<'s> {
    tokens: Tokens<'s>,
    partials: Option<&'s Partials>,
    /// The body being read: of the innermost pending block, or the template's.
    nodes: Vec<Node>,
    pending: Vec<Pending>,
    tags: usize,
    levels: usize,
}

/// A block whose closer was not read yet.
struct Pending {
    name: HeadName,
    start: usize,
    block: Block,
    /// The nodes before the block, to go on with after it.
    outer: Vec<Node>,
    state: Reading,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Arm,
    Else,
    /// Between `{{^a}}` and its `{{else}}` or closer.
    Inverted,
    Raw,
}

impl Parser<'_> {
    /// Reads one statement; false at the end of the source.
    fn statement(&mut self) -> Result<bool, ExpressionError> {
        let token = self.tokens.next();
        if !matches!(token.kind, Kind::Text | Kind::End) {
            self.tags += 1;
            if self.tags > self.tokens.limits.tags {
                let at = self.tokens.position(token.start);
                return Err(ExpressionError::TooLarge { unit: "tags", limit: self.tokens.limits.tags, at });
            }
        }
        match token.kind {
            Kind::Text => {
                let range = token.start..token.end;
                let text = Text { original: range.clone(), value: range, left_stripped: false, right_stripped: false };
                self.nodes.push(Node::Text(text));
            }
            Kind::Comment => self.nodes.push(Node::Comment(self.strip(token, token))),
            Kind::Open | Kind::OpenAmpersand => self.output(token, Kind::Close)?,
            Kind::OpenUnescaped => self.output(token, Kind::CloseUnescaped)?,
            Kind::OpenBlock | Kind::OpenInverse => self.open(token)?,
            Kind::OpenRaw => self.open_raw(token)?,
            Kind::OpenInverseChain => self.chain(token)?,
            Kind::Inverse => self.otherwise(token)?,
            Kind::OpenEnd => self.close(token)?,
            Kind::EndRaw => self.close_raw(token)?,
            Kind::OpenPartial if self.tokens.text(token).ends_with("#>") => {
                return Err(self.unsupported("partial blocks (`{{#> …}}`)", token));
            }
            Kind::OpenPartial => self.partial(token)?,
            Kind::OpenDecorator => {
                return Err(self.unsupported("decorators and inline partials (`{{* …}}`, `{{#* …}}`)", token));
            }
            Kind::End => {
                return match self.pending.last() {
                    None => Ok(false),
                    Some(open) => Err(self.unclosed(open)),
                };
            }
            _ => return Err(self.tokens.unexpected(token, "text or a tag")),
        }
        Ok(true)
    }

    fn strip(&self, open: Token, close: Token) -> Strip {
        let (open, close) = (self.tokens.text(open), self.tokens.text(close));
        Strip { open: open.as_bytes().get(2) == Some(&b'~'), close: close.len() >= 3 && close.as_bytes()[close.len() - 3] == b'~' }
    }

    fn unsupported(&self, what: &str, token: Token) -> ExpressionError {
        ExpressionError::Unsupported { what: what.to_owned(), at: self.tokens.position(token.start) }
    }

    fn unclosed(&self, open: &Pending) -> ExpressionError {
        let (marks, closer) = match open.state {
            Reading::Raw => ("{{{{", format!("`{{{{{{{{/{}}}}}}}}}`", open.name.text)),
            Reading::Inverted => ("{{^", format!("`{{{{/{}}}}}`", open.name.text)),
            _ if open.block.inverted => ("{{^", format!("`{{{{/{}}}}}`", open.name.text)),
            _ => ("{{#", format!("`{{{{/{}}}}}`", open.name.text)),
        };
        let end = self.tokens.position(self.tokens.source.len());
        ExpressionError::Syntax {
            message: format!("the block `{marks}{}` is never closed: no {closer} up to the end at {end}", open.name.text),
            at: self.tokens.position(open.start),
            related: Some(end),
        }
    }

    fn end_of_tag(&mut self, open: Token, kind: Kind) -> Result<Token, ExpressionError> {
        let token = self.tokens.next();
        if token.kind == kind {
            return Ok(token);
        }
        let wanted = match kind {
            Kind::CloseUnescaped => "`}}}` or another argument",
            Kind::CloseRaw => "`}}}}` or another argument",
            _ => "`}}` or another argument",
        };
        let mut error = self.tokens.unexpected(token, wanted);
        if let ExpressionError::Syntax { related, message, .. } = &mut error {
            let opened = self.tokens.position(open.start);
            if token.kind == Kind::End {
                *message = format!("the tag opened at {opened} is never closed: {message}");
            }
            *related = Some(opened);
        }
        Err(error)
    }

    fn output(&mut self, open: Token, close: Kind) -> Result<(), ExpressionError> {
        let inside = self.tokens.inside(0)?;
        let end = self.end_of_tag(open, close)?;
        let value = match self.tokens.meaning(inside, Place::Tag)? {
            Meaning::Call(call) => Expr::Call(Box::new(call)),
            Meaning::Path(path) => Expr::Path(Box::new(path)),
        };
        let strip = self.strip(open, end);
        self.nodes.push(Node::Output(Output { value, escaped: open.kind == Kind::Open, place: Surroundings::default(), strip }));
        Ok(())
    }

    /// Reads the call of a partial.
    fn partial(&mut self, open: Token) -> Result<(), ExpressionError> {
        let Some(partials) = self.partials else {
            return Err(self.unsupported("partials (`{{> …}}`), where no component can be declared,", open));
        };
        if self.tokens.peek().kind == Kind::OpenCall {
            return Err(self.unsupported("partials whose name is computed (`{{> (…)}}`)", open));
        }
        let inside = self.tokens.inside(0)?;
        let end = self.end_of_tag(open, Kind::Close)?;
        let (name, mut args, hash) = inside.into_partial();
        let at = self.tokens.position(open.start);
        let Some(partial) = partials.get(&name) else {
            return Err(ExpressionError::UnknownPartial { suggestions: partials.near(&name), name, at });
        };
        if args.len() > 1 {
            let message =
                format!("the partial `{name}` is given {} values; it takes one at most, and named ones (`name=value`)", args.len());
            return Err(ExpressionError::Arguments { helper: name, message, at });
        }
        let limit = self.tokens.limits.nesting();
        let levels = self.pending.len() + 1 + partial.template.levels;
        if levels > limit {
            return Err(ExpressionError::Depth { limit, at });
        }
        self.levels = self.levels.max(levels);
        self.nodes.push(Node::Partial(Box::new(PartialCall {
            template: std::sync::Arc::clone(&partial.template),
            context: args.pop(),
            hash,
            span: open.start..end.end,
            strip: self.strip(open, end),
            layout: partial.layout,
            indent: 0..0,
            place: Surroundings::default(),
        })));
        Ok(())
    }

    /// Reads the head of a block or of an `else` with a condition.
    fn arm(&mut self, open: Token, inside: Inside) -> Result<Arm, ExpressionError> {
        let params = self.tokens.block_params()?;
        let end = self.end_of_tag(open, Kind::Close)?;
        let head = match self.tokens.meaning(inside, Place::Block)? {
            Meaning::Call(call) => Head::Call(call),
            Meaning::Path(path) => Head::Plain(path),
        };
        Ok(Arm { head, params, body: None, open_strip: self.strip(open, end) })
    }

    fn open(&mut self, open: Token) -> Result<(), ExpressionError> {
        let inside = self.tokens.inside(0)?;
        let name = inside.name.clone();
        let arm = self.arm(open, inside)?;
        let inverted = open.kind == Kind::OpenInverse;
        self.push(open, name, arm, if inverted { Reading::Inverted } else { Reading::Arm })
    }

    fn open_raw(&mut self, open: Token) -> Result<(), ExpressionError> {
        let inside = self.tokens.inside(0)?;
        let name = inside.name.clone();
        self.end_of_tag(open, Kind::CloseRaw)?;
        let head = match self.tokens.meaning(inside, Place::Block)? {
            Meaning::Call(call) => Head::Call(call),
            Meaning::Path(path) => Head::Plain(path),
        };
        let arm = Arm { head, params: Box::default(), body: None, open_strip: Strip::default() };
        self.push(open, name, arm, Reading::Raw)
    }

    fn push(&mut self, open: Token, name: HeadName, arm: Arm, state: Reading) -> Result<(), ExpressionError> {
        let limit = self.tokens.limits.nesting();
        if self.pending.len() >= limit {
            return Err(ExpressionError::Depth { limit, at: self.tokens.position(open.start) });
        }
        for param in &arm.params {
            *self.tokens.params.entry(param.clone()).or_default() += 1;
        }
        let block = Block {
            arms: vec![arm],
            otherwise: None,
            else_strip: Strip::default(),
            close_strip: Strip::default(),
            inverted: state == Reading::Inverted,
        };
        let outer = std::mem::take(&mut self.nodes);
        self.levels = self.levels.max(self.pending.len() + 1);
        self.pending.push(Pending { name, start: open.start, block, outer, state });
        Ok(())
    }

    /// Stores the body just read where the block wants it, and ends its parameters.
    fn end_body(&mut self) {
        let body = std::mem::take(&mut self.nodes);
        let Some(open) = self.pending.last_mut() else { return };
        let had_params = match open.state {
            Reading::Else => {
                if open.block.inverted {
                    if let Some(arm) = open.block.arms.last_mut() {
                        arm.body = Some(body);
                    }
                } else {
                    open.block.otherwise = Some(body);
                }
                false
            }
            Reading::Inverted => {
                open.block.otherwise = Some(body);
                true
            }
            Reading::Arm | Reading::Raw => {
                if let Some(arm) = open.block.arms.last_mut() {
                    arm.body = Some(body);
                }
                true
            }
        };
        if had_params && let Some(arm) = open.block.arms.last() {
            for param in &arm.params {
                if let Some(count) = self.tokens.params.get_mut(param) {
                    *count -= 1;
                    if *count == 0 {
                        self.tokens.params.remove(param);
                    }
                }
            }
        }
    }

    fn chain(&mut self, token: Token) -> Result<(), ExpressionError> {
        match self.pending.last().map(|open| open.state) {
            Some(Reading::Arm) => {}
            Some(Reading::Inverted) => {
                let message = "an `{{else …}}` with a condition cannot follow `{{^…}}`; use `{{#unless …}}` or a plain `{{else}}`";
                return Err(self.tokens.syntax(message, token.start));
            }
            _ => return Err(self.misplaced_else(token)),
        }
        self.end_body();
        let inside = self.tokens.inside(0)?;
        let arm = self.arm(token, inside)?;
        for param in &arm.params {
            *self.tokens.params.entry(param.clone()).or_default() += 1;
        }
        if let Some(open) = self.pending.last_mut() {
            open.block.arms.push(arm);
        }
        Ok(())
    }

    fn otherwise(&mut self, token: Token) -> Result<(), ExpressionError> {
        match self.pending.last().map(|open| open.state) {
            Some(Reading::Arm | Reading::Inverted) => {}
            _ => return Err(self.misplaced_else(token)),
        }
        self.end_body();
        let strip = self.strip(token, token);
        if let Some(open) = self.pending.last_mut() {
            open.state = Reading::Else;
            open.block.else_strip = strip;
        }
        Ok(())
    }

    fn misplaced_else(&self, token: Token) -> ExpressionError {
        let Some(open) = self.pending.last() else {
            return self.tokens.syntax("`{{else}}` stands outside of any block", token.start);
        };
        let opened = self.tokens.position(open.start);
        ExpressionError::Syntax {
            message: format!("the block `{}` opened at {opened} already has its last `{{{{else}}}}`", open.name.text),
            at: self.tokens.position(token.start),
            related: Some(opened),
        }
    }

    fn close(&mut self, token: Token) -> Result<(), ExpressionError> {
        let inside = self.tokens.inside(0)?;
        let end = self.end_of_tag(token, Kind::Close)?;
        let name = inside.into_closer().ok_or_else(|| self.tokens.syntax("a closing tag holds only the name of its block", token.start))?;
        let strip = self.strip(token, end);
        self.finish(&name, token, strip)
    }

    fn close_raw(&mut self, token: Token) -> Result<(), ExpressionError> {
        let name = HeadName::word(self.tokens.text(token));
        self.finish(&name, token, Strip::default())
    }

    fn finish(&mut self, name: &HeadName, token: Token, close_strip: Strip) -> Result<(), ExpressionError> {
        let Some(open) = self.pending.last() else {
            let message = format!("`{{{{/{}}}}}` closes a block that was never opened", name.text);
            return Err(self.tokens.syntax(message, token.start));
        };
        if open.name != *name {
            let opened = self.tokens.position(open.start);
            return Err(ExpressionError::Syntax {
                message: format!(
                    "`{{{{/{}}}}}` does not close `{}`, the innermost open block, opened at {opened}",
                    name.text, open.name.text
                ),
                at: self.tokens.position(token.start),
                related: Some(opened),
            });
        }
        self.end_body();
        if let Some(mut open) = self.pending.pop() {
            open.block.close_strip = close_strip;
            self.nodes = open.outer;
            self.nodes.push(Node::Block(Box::new(open.block)));
        }
        Ok(())
    }
}
