//! Templates that others call by name: given before parsing, so that none can call itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::ExpressionError;
use crate::limits::Limits;
use crate::near_names::near_names;
use crate::template::Template;

/// The partials that one template may call. Each was parsed with those that it may call itself, so that calls always end.
#[derive(Debug, Clone, Default)]
pub struct Partials {
    named: BTreeMap<Box<str>, Partial>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Partial {
    pub(crate) template: Arc<Template>,
    pub(crate) layout: Layout,
}

/// What a call that stands alone on its line does to the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The line is its own: its end is dropped, and what stood before the call stands before each line.
    Lines,
    /// Nothing.
    AsItStands,
}

impl Partials {
    /// Adds what `{{> name}}` stands for. `inner` are the partials it may call itself; `shown` is what errors call it.
    ///
    /// # Errors
    /// As [`Template::parse`]; places are those in `source`.
    pub fn add(&mut self, name: &str, shown: &str, source: &str, limits: &Limits, inner: &Self) -> Result<(), ExpressionError> {
        self.insert(name, shown, source, limits, inner, Layout::Lines)
    }

    /// The same for text that is put in as it stands, whatever stands around the call.
    ///
    /// # Errors
    /// As [`Template::parse`]; places are those in `source`.
    pub fn add_verbatim(&mut self, name: &str, shown: &str, source: &str, limits: &Limits, inner: &Self) -> Result<(), ExpressionError> {
        self.insert(name, shown, source, limits, inner, Layout::AsItStands)
    }

    fn insert(
        &mut self,
        name: &str,
        shown: &str,
        source: &str,
        limits: &Limits,
        inner: &Self,
        layout: Layout,
    ) -> Result<(), ExpressionError> {
        let template = Arc::new(Template::parse_named(source, limits, inner, Some(shown))?);
        self.named.insert(name.into(), Partial { template, layout });
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Partial> {
        self.named.get(name)
    }

    pub(crate) fn near(&self, name: &str) -> Vec<String> {
        near_names(name, self.named.keys().map(|name| &**name))
    }
}
