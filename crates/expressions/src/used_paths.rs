//! The data paths a template names, for schema checks and completion.

use crate::error::{Position, PositionCursor};
use crate::tree::{Base, Block, Call, Expr, Head, Node, PartialCall, Path};

/// Paths listed of one template.
const MAX_PATHS: usize = 10_000;
/// Calls of partials whose paths are gathered.
const MAX_CALLS: usize = 1_000;
/// Length of an absolute path in bytes, past which it stays as written.
const MAX_PATH_BYTES: usize = 1_024;

/// A data path named by a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedPath {
    /// The path from the root of the data, `items[].name` for a field of the items of a loop, where the blocks around
    /// it tell; otherwise as written. Empty for the root itself.
    pub path: String,
    /// The path as written.
    pub written: String,
    /// Whether [`Self::path`] starts at the root of the data.
    pub absolute: bool,
    /// Where it stands.
    pub at: Position,
    /// How long the written form is, in bytes.
    pub length_bytes: usize,
    /// The partial that [`Self::at`] is a place in; none where it is in the template itself.
    pub partial: Option<Box<str>>,
}

/// The paths of a template, in the order written, at most 10,000.
pub(crate) fn of_nodes(nodes: &[Node], source: &str) -> Vec<UsedPath> {
    let mut walk = Walk::new(source);
    walk.nodes(nodes);
    walk.finish()
}

/// The paths of one expression.
pub(crate) fn of_expression(value: &Expr, source: &str) -> Vec<UsedPath> {
    let mut walk = Walk::new(source);
    walk.expr(value);
    walk.finish()
}

enum Resolved {
    /// Not data, such as `@index`.
    Variable,
    /// Data, but the blocks around do not tell where.
    Unknown,
    FromRoot(String),
}

struct Walk<'t> {
    source: &'t str,
    /// What `this` is known to be, innermost last; None where only the data can tell.
    contexts: Vec<Option<String>>,
    params: Vec<(&'t str, Option<String>)>,
    found: Vec<(usize, UsedPath)>,
    /// What partials name, with their own places.
    of_partials: Vec<UsedPath>,
    /// Calls of partials that are still followed.
    calls_left: usize,
}

impl<'t> Walk<'t> {
    fn new(source: &'t str) -> Self {
        Self {
            source,
            contexts: vec![Some(String::new())],
            params: Vec::new(),
            found: Vec::new(),
            of_partials: Vec::new(),
            calls_left: MAX_CALLS,
        }
    }

    fn finish(mut self) -> Vec<UsedPath> {
        self.found.sort_by_key(|(offset, _)| *offset);
        let mut cursor = PositionCursor::new(self.source);
        let own = self.found.into_iter().map(|(offset, used)| UsedPath { at: cursor.advance_to(offset), ..used });
        own.chain(self.of_partials).take(MAX_PATHS).collect()
    }

    fn nodes(&mut self, nodes: &'t [Node]) {
        for node in nodes {
            match node {
                Node::Output(output) => self.expr(&output.value),
                Node::Block(block) => self.block(block),
                Node::Partial(call) => self.partial(call),
                Node::Text(_) | Node::Comment(_) => {}
            }
        }
    }

    fn partial(&mut self, call: &'t PartialCall) {
        call.context.iter().for_each(|expr| self.expr(expr));
        call.hash.iter().for_each(|(_, expr)| self.expr(expr));
        if self.calls_left == 0 || self.of_partials.len() >= MAX_PATHS {
            return;
        }
        let mut inner = Walk::new(&call.template.source.text);
        inner.calls_left = self.calls_left - 1;
        let context = match &call.context {
            Some(expr) => self.absolute(expr),
            None => self.contexts.last().cloned().flatten(),
        };
        inner.contexts = vec![context];
        // What is given by name stands before the fields of the context.
        inner.params = call.hash.iter().map(|(name, expr)| (&**name, self.absolute(expr))).collect();
        inner.nodes(&call.template.nodes);
        self.calls_left = inner.calls_left;
        let shown = call.template.source.partial.clone();
        let named = |used: UsedPath| UsedPath { partial: used.partial.clone().or_else(|| shown.clone()), ..used };
        self.of_partials.extend(inner.finish().into_iter().map(named));
    }

    fn expr(&mut self, expr: &'t Expr) {
        match expr {
            Expr::Path(path) => {
                self.path(path);
            }
            Expr::Call(call) => self.call(call),
            Expr::Literal(_) | Expr::Undefined => {}
        }
    }

    fn call(&mut self, call: &'t Call) {
        for arg in &call.args {
            self.expr(arg);
        }
        for (_, value) in &call.hash {
            self.expr(value);
        }
    }

    fn block(&mut self, block: &'t Block) {
        for arm in &block.arms {
            let body = arm.body.as_deref().unwrap_or_default();
            let entered = match &arm.head {
                Head::Plain(path) => {
                    self.path(path);
                    // A list, an object or a condition: only the data knows.
                    Some(None)
                }
                Head::Call(call) => {
                    self.call(call);
                    let subject = || call.args.first().and_then(|arg| self.absolute(arg));
                    match &*call.name {
                        "each" => Some(subject().map(|path| path + "[]")),
                        "with" => Some(subject()),
                        _ => None,
                    }
                }
            };
            let params_before = self.params.len();
            for (at, param) in arm.params.iter().enumerate() {
                self.params.push((param, entered.clone().flatten().filter(|_| at == 0)));
            }
            match entered {
                Some(context) => {
                    self.contexts.push(context);
                    self.nodes(body);
                    self.contexts.pop();
                }
                None => self.nodes(body),
            }
            self.params.truncate(params_before);
        }
        self.nodes(block.otherwise.as_deref().unwrap_or_default());
    }

    /// What an argument is, from the root of the data.
    fn absolute(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Path(path) => match self.resolve(path) {
                Resolved::FromRoot(path) => Some(path),
                Resolved::Unknown | Resolved::Variable => None,
            },
            Expr::Literal(_) | Expr::Undefined | Expr::Call(_) => None,
        }
    }

    fn path(&mut self, path: &Path) {
        let resolved = match self.resolve(path) {
            Resolved::Variable => return,
            Resolved::Unknown => None,
            Resolved::FromRoot(path) => Some(path),
        };
        if self.found.len() >= MAX_PATHS {
            return;
        }
        let written = self.source[path.span.clone()].to_owned();
        let absolute = resolved.is_some();
        let used = UsedPath {
            path: resolved.unwrap_or_else(|| written.clone()),
            length_bytes: written.len(),
            written,
            absolute,
            at: Position { line: 1, column: 1 },
            partial: None,
        };
        self.found.push((path.span.start, used));
    }

    fn resolve(&self, path: &Path) -> Resolved {
        let first = path.segments.first().map_or("", |first| &first.name);
        let param = self.params.iter().rev().find(|(name, _)| path.open && *name == first);
        let (start, skip) = match (param, path.base) {
            (Some((_, value)), _) => (value.clone(), 1),
            (None, Base::Data(_)) if first == "root" => (Some(String::new()), 1),
            (None, Base::Data(_)) => return Resolved::Variable,
            (None, Base::Context(levels)) => {
                let at = self.contexts.len().checked_sub(levels + 1);
                (at.and_then(|at| self.contexts[at].clone()), 0)
            }
        };
        let Some(mut whole) = start else { return Resolved::Unknown };
        for segment in path.segments.iter().skip(skip) {
            if whole.len() + segment.name.len() > MAX_PATH_BYTES {
                return Resolved::Unknown;
            }
            if segment.index.is_some() {
                whole.push('[');
                whole.push_str(&segment.name);
                whole.push(']');
                continue;
            }
            if !whole.is_empty() {
                whole.push('.');
            }
            whole.push_str(&segment.name);
        }
        Resolved::FromRoot(whole)
    }
}
