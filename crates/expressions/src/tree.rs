//! The parsed template: nodes, blocks and expressions with the byte ranges they came from.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::partials::Layout;
use crate::places::Surroundings;
use crate::registry::Helper;
use crate::template::Template;

/// What a call is given by name, in the order of the text.
pub(crate) type NamedArguments = Box<[(Box<str>, Expr)]>;

/// White-space control marks (`~`) of one tag.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Strip {
    pub(crate) open: bool,
    pub(crate) close: bool,
}

#[derive(Debug)]
pub(crate) enum Node {
    Text(Text),
    /// Kept only until white space is stripped around it.
    Comment(Strip),
    Output(Output),
    Block(Box<Block>),
    Partial(Box<PartialCall>),
}

/// `{{> name context name=value}}`
#[derive(Debug)]
pub(crate) struct PartialCall {
    pub(crate) template: Arc<Template>,
    pub(crate) context: Option<Expr>,
    pub(crate) hash: NamedArguments,
    pub(crate) span: Range<usize>,
    pub(crate) strip: Strip,
    pub(crate) layout: Layout,
    /// What stands before each of its lines: the spaces before a call that stands alone.
    pub(crate) indent: Range<usize>,
    /// What the text before it has opened and not closed.
    pub(crate) place: Surroundings,
}

/// A range of the source, narrowed by white-space control; the original decides what counts as a line of its own.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) original: Range<usize>,
    pub(crate) value: Range<usize>,
    pub(crate) left_stripped: bool,
    pub(crate) right_stripped: bool,
}

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) value: Expr,
    pub(crate) escaped: bool,
    /// What the text before it has opened and not closed.
    pub(crate) place: Surroundings,
    pub(crate) strip: Strip,
}

/// `{{#a}}…{{else b}}…{{else}}…{{/a}}`: the first arm whose helper does not ask for the inverse is rendered.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) arms: Vec<Arm>,
    pub(crate) otherwise: Option<Vec<Node>>,
    pub(crate) else_strip: Strip,
    pub(crate) close_strip: Strip,
    /// `{{^a}}`: `otherwise` was written first.
    pub(crate) inverted: bool,
}

#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) head: Head,
    pub(crate) params: Box<[Box<str>]>,
    pub(crate) body: Option<Vec<Node>>,
    pub(crate) open_strip: Strip,
}

#[derive(Debug)]
pub(crate) enum Head {
    Call(Call),
    /// `{{#path}}`: the value decides whether it is a loop, a scope or a condition.
    Plain(Path),
}

#[derive(Debug)]
pub(crate) enum Expr {
    Undefined,
    Literal(Value),
    Path(Box<Path>),
    Call(Box<Call>),
}

#[derive(Debug)]
pub(crate) struct Call {
    /// None: arguments follow a name that is no helper.
    pub(crate) helper: Option<&'static Helper>,
    pub(crate) name: Box<str>,
    pub(crate) args: Box<[Expr]>,
    pub(crate) hash: NamedArguments,
    pub(crate) span: Range<usize>,
}

#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) base: Base,
    pub(crate) segments: Box<[Segment]>,
    /// The first segment may name a block parameter: nothing like `this.` or `../` stands before it.
    pub(crate) open: bool,
    pub(crate) span: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// The context this many `../` up.
    Context(usize),
    /// The `@` variables this many loops up; the first segment is the variable.
    Data(usize),
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: Box<str>,
    pub(crate) index: Option<usize>,
}

impl Expr {
    pub(crate) fn span(&self) -> Range<usize> {
        match self {
            Self::Undefined | Self::Literal(_) => 0..0,
            Self::Path(path) => path.span.clone(),
            Self::Call(call) => call.span.clone(),
        }
    }
}
