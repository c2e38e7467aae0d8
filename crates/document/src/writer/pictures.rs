//! Pictures and fonts of a document: whether they may be shown, and what stands for those that are assets.

use domain::ErrorCode;
use domain::asset_references::addresses_in;
use domain::assets::AssetName;

use super::{OnProblem, Rehearsing, Writer, steps_of};
use crate::assets::{InliningError, Refused};
use crate::error::DocumentError;
use crate::report::ExpressionProblem;

impl<'w> Writer<'w> {
    /// The image may be shown.
    pub(crate) fn check_image(&mut self, uri: &str) -> Result<(), DocumentError> {
        self.charge(steps_of(uri.len()))?;
        let checked = self.images.check(uri);
        self.accept_images(checked)
    }

    /// Every image inside finished markup may be shown.
    pub(crate) fn check_images_in(&mut self, html: &str) -> Result<(), DocumentError> {
        self.charge(steps_of(html.len()))?;
        let checked = self.images.check_all(html);
        self.accept_images(checked)
    }

    /// The same for what was written from `from` on.
    pub(crate) fn check_images_from(&mut self, from: usize) -> Result<(), DocumentError> {
        self.charge(steps_of(self.out.len() - from))?;
        let checked = self.images.check_all(&self.out[from..]);
        self.accept_images(checked)
    }

    fn accept_images(&mut self, checked: Result<(), String>) -> Result<(), DocumentError> {
        match checked {
            Err(reason) if self.on_problem == OnProblem::Stop => Err(DocumentError::AssetBlocked { at: self.breadcrumb(), reason }),
            Err(reason) => {
                let message = format!("{}: {reason}", self.breadcrumb());
                match self.rehearsing {
                    // What the data does not reach stops no render.
                    Rehearsing::Yes => self.warn(ErrorCode::AssetBlocked.as_str(), message),
                    Rehearsing::No => self.note_problem(ExpressionProblem { message, location: None, suggestion: None }),
                }
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// What stands in the document for the address of an asset, which is nothing where it is refused or not found out yet;
    /// `None` for every other address.
    pub(crate) fn asset_address(&mut self, address: &str) -> Result<Option<&'w str>, DocumentError> {
        let images = &mut self.images;
        match self.assets.address(address, |width, height| images.admit(width, height)) {
            Ok(found) => Ok(found),
            Err(refused) => self.refuse_asset(refused).map(|()| Some("")),
        }
    }

    /// A part of the document with its assets in place.
    pub(crate) fn inlined(&mut self, text: String) -> Result<String, DocumentError> {
        self.charge(steps_of(text.len()))?;
        let images = &mut self.images;
        match self.assets.text(&text, |width, height| images.admit(width, height)) {
            Ok(replaced) => Ok(replaced.unwrap_or(text)),
            Err(InliningError::TooLarge) => {
                Err(DocumentError::TooLarge { what: "HTML with its assets (bytes)", limit: self.limits.html_bytes as u64 })
            }
            Err(InliningError::Refused(refused)) => self.refuse_asset(refused).map(|()| text),
        }
    }

    /// The same for what was written from `from` on.
    pub(crate) fn inline_from(&mut self, from: usize) -> Result<(), DocumentError> {
        if addresses_in(&self.out[from..]).is_empty() {
            return self.charge(steps_of(self.out.len() - from));
        }
        let tail = self.out.split_off(from);
        let tail = self.inlined(tail)?;
        self.out.push_str(&tail);
        Ok(())
    }

    /// The rules that make the template's fonts known.
    pub(crate) fn font_faces(&mut self, fonts: &[AssetName]) -> Result<String, DocumentError> {
        let mut css = String::new();
        for name in fonts {
            match self.assets.font_face(name) {
                Ok(rule) => css.push_str(&rule),
                Err(refused) => self.refuse_asset(refused)?,
            }
        }
        Ok(css)
    }

    /// Fails where the meaning of some names has to be found out first.
    pub(crate) fn check_needed(&mut self) -> Result<(), DocumentError> {
        let needed = self.assets.needed();
        if needed.is_empty() { Ok(()) } else { Err(DocumentError::AssetsNeeded(needed)) }
    }

    fn refuse_asset(&mut self, refused: Refused) -> Result<(), DocumentError> {
        let at = self.breadcrumb();
        if self.on_problem == OnProblem::Stop {
            return Err(refused.at(at));
        }
        let message = format!("{at}: {}", refused.reason);
        match self.rehearsing {
            // What the data does not reach stops no render.
            Rehearsing::Yes => self.warn(refused.code.as_str(), message),
            Rehearsing::No => self.note_problem(ExpressionProblem { message, location: None, suggestion: None }),
        }
        Ok(())
    }
}
