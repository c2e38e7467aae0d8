//! What each object of a definition may hold: its properties with what they take, their default and their meaning.
//!
//! One declaration serves three readers: [`crate::fields::Fields`] takes bounds and words from it and refuses to ask for
//! what is not declared, [`crate::format`] makes the JSON Schema of it, and the tables of `docs/template-format.md`.

/// One kind of object.
#[derive(Debug)]
pub(crate) struct Shape {
    /// As messages call it, such as `text` or `a column`.
    pub(crate) what: &'static str,
    /// What all objects of its family have, such as the `id` of nodes.
    pub(crate) base: &'static [Property],
    pub(crate) properties: &'static [Property],
}

/// One property of an object.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    /// Other names of the same property.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) takes: Takes,
    pub(crate) default: Preset,
    /// One phrase for authors.
    pub(crate) meaning: &'static str,
}

/// What holds where a property is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// The object is refused.
    Required,
    /// As the author would write it; empty where absence says it all.
    Is(&'static str),
    /// Stands there only after a definition was put together from its parts: no author writes it.
    Internal,
}

/// What a property takes.
#[derive(Debug)]
pub(crate) enum Takes {
    /// Text with `{{expressions}}`; numbers and booleans are taken as their text.
    Text,
    /// Text as it is.
    Plain,
    /// An expression, with or without braces.
    Expression,
    Flag,
    Length,
    Color,
    Number(f64, f64),
    Whole(u64, u64),
    Words(&'static [&'static str]),
    Nodes,
    /// A list of objects.
    List(&'static Shape),
    Object(&'static Shape),
    Either(&'static [Takes]),
    /// Words for people, and JSON Schema as text.
    Other(&'static str, &'static str),
}

/// The words of a table of choices, for [`Takes::Words`].
pub(crate) const fn words<T, const N: usize>(choices: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut at = 0;
    while at < N {
        words[at] = choices[at].0;
        at += 1;
    }
    words
}

impl Shape {
    pub(crate) fn find(&self, name: &str) -> Option<&'static Property> {
        self.all().find(|property| property.name == name || property.aliases.contains(&name))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &'static Property> + use<> {
        self.base.iter().chain(self.properties)
    }
}

impl Property {
    pub(crate) const fn required(name: &'static str, takes: Takes, meaning: &'static str) -> Self {
        Self { name, aliases: &[], takes, default: Preset::Required, meaning }
    }

    pub(crate) const fn optional(name: &'static str, takes: Takes, default: &'static str, meaning: &'static str) -> Self {
        Self { name, aliases: &[], takes, default: Preset::Is(default), meaning }
    }

    pub(crate) const fn internal(name: &'static str) -> Self {
        Self { name, aliases: &[], takes: Takes::Other("", "true"), default: Preset::Internal, meaning: "" }
    }

    /// The same with other names.
    pub(crate) const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// What it takes in one of its forms.
    pub(crate) fn form<T>(&'static self, pick: impl Fn(&'static Takes) -> Option<T>) -> Option<T> {
        match &self.takes {
            Takes::Either(forms) => forms.iter().find_map(pick),
            takes => pick(takes),
        }
    }
}
