//! `heading`: a title line of level 1 to 6.

use expressions::Scope;

use super::Content;
use super::tree::Tree;
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::style::Style;
use crate::writer::Writer;

/// `{content, level? = 2}`; `text` is another name of `content`.
#[derive(Debug)]
pub(crate) struct Heading {
    tag: &'static str,
    content: Text,
}

const TAGS: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let tag = match fields.value("level") {
        None => TAGS[1],
        Some(level) => {
            let found = level.as_u64().and_then(|level| TAGS.get(usize::try_from(level).ok()?.checked_sub(1)?));
            if found.is_none() {
                fields.refuse("level", &format!("\"level\" is {}; accepted: a whole number from 1 to 6", crate::issues::short(level)));
            }
            found.copied().unwrap_or(TAGS[1])
        }
    };
    Some(Content::Heading(Heading { tag, content: fields.required_text(&["content", "text"])? }))
}

impl Heading {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.text(&self.content);
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.open(self.tag, "", style);
        writer.text(&self.content, scope)?;
        writer.close(self.tag);
        Ok(())
    }
}
