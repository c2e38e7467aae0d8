//! The helpers by name, and what one is called with.

mod addresses;
mod aggregates;
mod arguments;
mod arithmetic;
mod blocks;
mod codes;
mod comparisons;
mod dates;
mod lists;
mod logic;
mod markdown;
mod numbers;
mod options;
mod texts;
mod values;

use crate::error::ExpressionError;
use crate::evaluate::Evaluator;
use crate::near_names::near_names;
use crate::run::MissingReason;
use crate::scope::{Params, Scope};
use crate::tree::{Call, Node};
use crate::value::{Evaluated, View};

/// All groups of helpers; a name stands in one of them only.
static GROUPS: [&[Helper]; 13] = [
    blocks::HELPERS,
    values::HELPERS,
    comparisons::HELPERS,
    logic::HELPERS,
    arithmetic::HELPERS,
    aggregates::HELPERS,
    lists::HELPERS,
    texts::HELPERS,
    numbers::HELPERS,
    dates::HELPERS,
    codes::HELPERS,
    addresses::HELPERS,
    markdown::HELPERS,
];

/// Characters of an unknown name, or of a refused text, that an error repeats.
const MAX_SHOWN_CHARACTERS: usize = 40;

/// One entry of the table.
#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) name: &'static str,
    /// Positional arguments it needs.
    pub(crate) min_args: usize,
    /// Positional arguments it takes at most; `usize::MAX` for any number.
    pub(crate) max_args: usize,
    /// Named arguments it takes; None where others are ignored, as Handlebars does.
    pub(crate) options: Option<&'static [&'static str]>,
    pub(crate) act: Act,
}

#[derive(Debug)]
pub(crate) enum Act {
    /// `{{name …}}` and `(name …)`: gives a value.
    Value(ValueFn),
    /// The same, and `{{#name …}}` renders its body where the value counts as true.
    Test(ValueFn),
    /// `{{#name …}}`: renders its body, or asks for the inverse.
    Block(BlockFn),
}

pub(crate) type ValueFn = for<'s> fn(&mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError>;
pub(crate) type BlockFn = fn(&mut Invocation<'_, '_, '_, '_>) -> Result<Outcome, ExpressionError>;

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// The `{{else}}` is to be rendered.
    Inverse,
}

/// The helper of this name.
pub(crate) fn find(name: &str) -> Option<&'static Helper> {
    GROUPS.iter().flat_map(|group| group.iter()).find(|helper| helper.name == name)
}

/// All names, for "did you mean".
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|group| group.iter()).map(|helper| helper.name)
}

impl Helper {
    pub(crate) fn is_inline(&self) -> bool {
        matches!(self.act, Act::Value(_) | Act::Test(_))
    }

    /// Why a call with this many arguments and these named ones is wrong, if it is.
    pub(crate) fn refusal<'n>(&self, given: usize, mut named: impl Iterator<Item = &'n str>, in_block: bool) -> Option<String> {
        let name = self.name;
        if !in_block && !self.is_inline() {
            return Some(format!("`{name}` is a block: write `{{{{#{name} …}}}}…{{{{/{name}}}}}`"));
        }
        if (self.min_args..=self.max_args).contains(&given) {
            let options = self.options?;
            return named.find(|found| !options.contains(found)).map(|found| self.unknown_option(found, options));
        }
        let wanted = match (self.min_args, self.max_args) {
            (min, max) if min == max => format!("exactly {min}"),
            (min, usize::MAX) => format!("at least {min}"),
            (min, max) => format!("{min} to {max}"),
        };
        Some(format!(
            "`{name}` takes {wanted} argument{}, not {given}",
            if wanted.ends_with(" 1") || wanted == "exactly 1" { "" } else { "s" }
        ))
    }

    fn unknown_option(&self, found: &str, options: &[&str]) -> String {
        let name = self.name;
        let shown: String = found.chars().take(MAX_SHOWN_CHARACTERS).collect();
        let near = near_names(found, options.iter().copied());
        match (options, near.first()) {
            ([], _) => format!("`{name}` takes no named argument such as `{shown}=`"),
            (_, Some(near)) => format!("`{name}` takes no `{shown}=`; did you mean `{near}=`?"),
            (_, None) => format!("`{name}` takes no `{shown}=`; accepted: {}", options.join(", ")),
        }
    }
}

/// A helper being called: its arguments, evaluated when asked for, and its body.
pub(crate) struct Invocation<'e, 'r, 'b, 's> {
    pub(crate) evaluator: &'e mut Evaluator<'r, 'b>,
    pub(crate) call: &'s Call,
    /// Where its arguments are evaluated.
    pub(crate) scope: &'s Scope<'s>,
    /// Where its body is rendered when it changes nothing: the scope, but with an object for a null `this`.
    pub(crate) place: &'s Scope<'s>,
    pub(crate) body: &'s [Node],
    pub(crate) params: &'s [Box<str>],
}

impl<'s> Invocation<'_, '_, '_, 's> {
    pub(crate) fn arg_count(&self) -> usize {
        self.call.args.len()
    }

    /// A positional argument; undefined when there are fewer.
    pub(crate) fn arg(&mut self, at: usize) -> Result<Evaluated<'s>, ExpressionError> {
        match self.call.args.get(at) {
            Some(expr) => self.evaluator.value(expr, self.scope),
            None => Ok(Evaluated::Undefined),
        }
    }

    /// A named argument; undefined when it is not given. Of two with one name the first counts.
    pub(crate) fn hash(&mut self, name: &str) -> Result<Evaluated<'s>, ExpressionError> {
        match self.call.hash.iter().find(|(key, _)| **key == *name) {
            Some((_, expr)) => self.evaluator.value(expr, self.scope),
            None => Ok(Evaluated::Undefined),
        }
    }

    /// Renders the body with the context it stands in.
    pub(crate) fn render_here(&mut self) -> Result<Outcome, ExpressionError> {
        if self.params.is_empty() {
            self.evaluator.nodes(self.body, self.place)?;
        } else {
            let scope = self.place.here(Params::Unbound(self.params));
            self.evaluator.inside(self.body, &scope, self.call.span.start)?;
        }
        Ok(Outcome::Done)
    }

    /// Renders the body with `value` as its context and first block parameter.
    pub(crate) fn render_with(&mut self, value: &Evaluated<'s>) -> Result<Outcome, ExpressionError> {
        if let Some(value) = value.as_value() {
            let params = if self.params.is_empty() { Params::None } else { Params::Named(self.params) };
            let scope = self.scope.enter(&value, None, params);
            self.evaluator.inside(self.body, &scope, self.call.span.start)?;
        }
        Ok(Outcome::Done)
    }

    /// Renders the body once per item.
    pub(crate) fn render_each(&mut self, collection: &Evaluated<'s>) -> Result<Outcome, ExpressionError> {
        if !matches!(collection.view(), View::Array(_) | View::Object(_))
            && let Some(subject) = self.call.args.first()
        {
            self.evaluator.note_missing(subject, self.scope, MissingReason::MissingCollection)?;
        }
        self.evaluator.each(collection, self.body, self.params, self.scope, self.call.span.start)
    }
}
