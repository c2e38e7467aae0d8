//! On which pages the named destinations of a print are.

use lopdf::ObjectId;

use crate::error::PdfError;
use crate::graft::{destination, load, member};

/// The page of each named destination, from 1; none for a name that the file does not have.
///
/// # Errors
/// [`PdfError::Unreadable`] for what is no PDF.
pub fn pages_of(pdf: &[u8], names: &[&str]) -> Result<Vec<Option<u32>>, PdfError> {
    let source = load(pdf)?;
    let catalog = source.catalog().map_err(|_| PdfError::Unreadable("it has no catalog"))?;
    let Some(places) = member(&source, catalog, b"Dests") else { return Ok(vec![None; names.len()]) };
    let numbers: std::collections::HashMap<ObjectId, u32> = source.page_iter().zip(1..).collect();
    let page_of = |name: &&str| numbers.get(&destination(&source, places, name)?).copied();
    Ok(names.iter().map(page_of).collect())
}
