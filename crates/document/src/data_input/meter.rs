//! What a conversion has used up, and what it has to say.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::data_input::issues::{invalid, too_large};
use crate::data_input::{DataInputLimits, Patience};
use crate::error::DocumentError;

/// Warnings that are told in words.
const WARNINGS: usize = 20;
/// The clock is looked at once for so many steps.
const STEPS_PER_LOOK: usize = 4096;

/// Counts while a file is read.
pub struct Meter<'a> {
    pub limits: &'a DataInputLimits,
    patience: Patience<'a>,
    at: String,
    steps: usize,
    values: usize,
    gathered: usize,
    text_bytes: usize,
    warnings: Vec<String>,
    untold: usize,
}

impl<'a> Meter<'a> {
    pub fn new(limits: &'a DataInputLimits, patience: Patience<'a>, at: String) -> Self {
        Self { limits, patience, at, steps: 0, values: 0, gathered: 0, text_bytes: 0, warnings: Vec::new(), untold: 0 }
    }

    /// One more piece of the file was looked at.
    pub fn step(&mut self) -> Result<(), DocumentError> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_LOOK) { self.look() } else { Ok(()) }
    }

    /// Whether somebody still waits.
    pub fn look(&self) -> Result<(), DocumentError> {
        if self.patience.cancelled.load(Ordering::Relaxed) {
            return Err(DocumentError::stopped("nobody waits for the data any more"));
        }
        if self.patience.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(DocumentError::stopped("the file could not be read within the deadline"));
        }
        Ok(())
    }

    /// One more value comes out, with so many bytes of name and text.
    pub fn value(&mut self, text_bytes: usize) -> Result<(), DocumentError> {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(self.too_large(format!("has more than {} values, which is as many as are read", self.limits.values)));
        }
        self.text(text_bytes)?;
        self.step()
    }

    /// One more value was gathered, which may come out later.
    pub fn value_gathered(&mut self) -> Result<(), DocumentError> {
        self.gathered += 1;
        if self.gathered <= self.limits.values {
            return Ok(());
        }
        Err(self.too_large(format!("has more than {} values, which is as many as are read", self.limits.values)))
    }

    /// So many bytes of names and text more come out.
    pub fn text(&mut self, bytes: usize) -> Result<(), DocumentError> {
        self.text_bytes = self.text_bytes.saturating_add(bytes);
        if self.text_bytes <= self.limits.text_bytes {
            return Ok(());
        }
        Err(self.too_large(format!("becomes more than {} bytes of names and texts", self.limits.text_bytes)))
    }

    /// Refuses more rows than are read.
    pub fn rows(&self, count: usize) -> Result<(), DocumentError> {
        if count <= self.limits.rows {
            return Ok(());
        }
        Err(self.too_large(format!("has more than {} rows, which is as many as are read", self.limits.rows)))
    }

    /// Refuses more columns than are read.
    pub fn columns(&self, count: usize) -> Result<(), DocumentError> {
        if count <= self.limits.columns {
            return Ok(());
        }
        Err(self.too_large(format!("has more than {} columns, which is as many as are read", self.limits.columns)))
    }

    /// The file is not what it should be.
    pub fn invalid(&self, message: impl Into<String>) -> DocumentError {
        invalid(self.at.clone(), message)
    }

    /// The file is more than is read.
    pub fn too_large(&self, message: impl Into<String>) -> DocumentError {
        too_large(self.at.clone(), message)
    }

    /// Something was read otherwise than it may have been meant.
    pub fn warn(&mut self, message: impl FnOnce() -> String) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(message());
        } else {
            self.untold += 1;
        }
    }

    /// All that was to be said.
    pub fn take_warnings(&mut self) -> Vec<String> {
        if self.untold > 0 {
            self.warnings.push(format!("and {} more", self.untold));
        }
        std::mem::take(&mut self.warnings)
    }
}
