//! What a name means at one place: the context, the contexts around it, loop variables and block parameters.

use std::sync::LazyLock;

use serde_json::Value;

use crate::value::{Evaluated, loosely_equal};

/// One frame of the chain. Cheap to make (no allocation); lives on the stack of whoever opens it.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    /// What `this` is; None is undefined.
    pub(crate) context: Option<&'a Value>,
    /// What `..` of an inner scope is: the context, unless an equal one was entered without a level of its own.
    head: Option<&'a Value>,
    root: Option<&'a Value>,
    /// The scope that `..` leads to.
    up: Option<&'a Scope<'a>>,
    /// Loop variables opened here, or else the nearest scope around that opened some.
    turn: Option<Turn<'a>>,
    outer_turn: Option<&'a Scope<'a>>,
    params: Params<'a>,
    outer_params: Option<&'a Scope<'a>>,
    pub(crate) depth: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) index: usize,
    pub(crate) last: bool,
    /// The key in an object; in an array the key is the index.
    pub(crate) key: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Params<'a> {
    #[default]
    None,
    /// The first is the context, the second the key of the turn.
    Named(&'a [Box<str>]),
    One(&'a str),
    /// Declared on a block that gives none.
    Unbound(&'a [Box<str>]),
}

/// What stands in for a null context inside `{{#if}}` and its like.
static NOTHING: LazyLock<Value> = LazyLock::new(|| Value::Object(serde_json::Map::new()));

impl<'a> Scope<'a> {
    /// The outermost scope: `data` is both `this` and `@root`.
    pub fn root(data: &'a Value) -> Self {
        Self {
            context: Some(data),
            head: Some(data),
            root: Some(data),
            up: None,
            turn: None,
            outer_turn: None,
            params: Params::None,
            outer_params: None,
            depth: 0,
        }
    }

    /// Inside `value`, as `{{#with}}` enters it.
    #[must_use]
    pub fn child(&'a self, value: &'a Value) -> Self {
        self.enter(value, None, Params::None)
    }

    /// One turn of a loop over `length` items, as `{{#each}}` makes it: `index` counts from 0, `key` is the key when
    /// the collection is an object, `name` is the block parameter the item is also known by.
    #[must_use]
    pub fn item(&'a self, value: &'a Value, index: usize, length: usize, key: Option<&'a str>, name: Option<&'a str>) -> Self {
        let turn = Turn { index, last: index + 1 == length, key };
        self.enter(value, Some(turn), name.map_or(Params::None, Params::One))
    }

    /// What `this` is here; None is undefined.
    pub fn context(&self) -> Option<&'a Value> {
        self.context
    }

    pub(crate) fn enter(&'a self, value: &'a Value, turn: Option<Turn<'a>>, params: Params<'a>) -> Self {
        let stands_for_null = matches!(self.head, Some(Value::Null)) && std::ptr::eq(value, &raw const *NOTHING);
        let level = !stands_for_null && !loosely_equal(Some(value), self.head);
        Self {
            context: Some(value),
            head: if level { Some(value) } else { self.head },
            root: self.root,
            up: if level { Some(self) } else { self.up },
            turn,
            outer_turn: self.nearest_turn(),
            params,
            outer_params: self.nearest_params(),
            depth: self.depth + 1,
        }
    }

    /// The same place with an empty object for `this`, if `this` is null: helpers never see a null `this`.
    pub(crate) fn without_null(&'a self) -> Option<Self> {
        let is_null = matches!(self.context, None | Some(Value::Null));
        is_null.then(|| Self { context: Some(&NOTHING), ..self.here(Params::None) })
    }

    /// The same place, without a level for `..`, with other block parameters.
    pub(crate) fn here(&'a self, params: Params<'a>) -> Self {
        Self {
            turn: None,
            outer_turn: self.nearest_turn(),
            params,
            outer_params: self.nearest_params(),
            depth: self.depth + 1,
            ..self.clone()
        }
    }

    /// Inside a partial: the loops around and the root are known, the contexts around and their names are not.
    #[must_use]
    pub fn partial(&'a self, context: Option<&'a Value>) -> Self {
        Self {
            context,
            head: context,
            root: self.root,
            up: None,
            turn: None,
            outer_turn: self.nearest_turn(),
            params: Params::None,
            outer_params: None,
            depth: self.depth + 1,
        }
    }

    fn nearest_turn(&'a self) -> Option<&'a Self> {
        if self.turn.is_some() { Some(self) } else { self.outer_turn }
    }

    fn nearest_params(&'a self) -> Option<&'a Self> {
        if matches!(self.params, Params::None) { self.outer_params } else { Some(self) }
    }

    /// The context this many `../` up.
    pub(crate) fn context_up(&self, levels: usize) -> Option<&'a Value> {
        if levels == 0 {
            return self.context;
        }
        let mut scope = self.up?;
        for _ in 1..levels {
            scope = scope.up?;
        }
        scope.head
    }

    /// Values of `name` in the contexts around, for "did you mean `../name`".
    pub(crate) fn levels_up_to(&self, name: &str) -> Option<usize> {
        let mut scope = self.up;
        let mut levels = 1;
        while let Some(outer) = scope {
            if outer.head.and_then(Value::as_object).is_some_and(|object| object.contains_key(name)) {
                return Some(levels);
            }
            scope = outer.up;
            levels += 1;
        }
        None
    }

    /// An `@` variable this many loops up. `@root` is known everywhere.
    pub(crate) fn variable(&self, levels: usize, name: &str) -> Evaluated<'a> {
        let mut frame = if self.turn.is_some() { Some(self) } else { self.outer_turn };
        for _ in 0..levels {
            // The outermost frame holds only the root; further out there is nothing.
            let Some(current) = frame else { return Evaluated::Undefined };
            frame = current.outer_turn;
        }
        if name == "root" {
            return self.root.map_or(Evaluated::Undefined, Evaluated::Borrowed);
        }
        let Some(turn) = frame.and_then(|scope| scope.turn) else {
            return Evaluated::Undefined;
        };
        match name {
            "index" => Evaluated::Owned(Value::from(turn.index)),
            "key" => turn.key.map_or_else(|| Evaluated::Owned(Value::from(turn.index)), Evaluated::Text),
            "first" => Evaluated::Owned(Value::Bool(turn.index == 0)),
            "last" => Evaluated::Owned(Value::Bool(turn.last)),
            _ => Evaluated::Undefined,
        }
    }

    /// The block parameter of this name, and how many scopes were asked.
    pub(crate) fn param(&self, name: &str) -> (Option<Evaluated<'a>>, u64) {
        let mut asked = 0;
        let mut scope = Some(self);
        while let Some(current) = scope {
            asked += 1;
            let at = match current.params {
                Params::None => None,
                Params::Named(names) | Params::Unbound(names) => names.iter().position(|param| **param == *name),
                Params::One(param) => (param == name).then_some(0),
            };
            if let Some(at) = at {
                return (Some(current.param_value(at)), asked);
            }
            scope = current.outer_params;
        }
        (None, asked)
    }

    fn param_value(&self, at: usize) -> Evaluated<'a> {
        match (self.params, at, self.turn) {
            (Params::Unbound(_) | Params::None, ..) => Evaluated::Undefined,
            (_, 0, _) => self.context.map_or(Evaluated::Undefined, Evaluated::Borrowed),
            (_, 1, Some(turn)) => match turn.key {
                Some(key) => Evaluated::Text(key),
                None => Evaluated::Owned(Value::from(turn.index)),
            },
            _ => Evaluated::Undefined,
        }
    }
}
