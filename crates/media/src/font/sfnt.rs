//! The list of tables of a font that is not packed.

use std::borrow::Cow;

use super::{Tables, be16, be32, check_places, place, text_of};
use crate::bytes::cut_off;
use crate::media_type::MediaType;
use crate::refusal::{Refusal, broken};

pub(crate) fn tables(of: MediaType, bytes: &[u8]) -> Result<Tables<'_>, Refusal> {
    let count = usize::from(be16(bytes, 4).ok_or_else(|| cut_off(of))?);
    let mut found: Vec<([u8; 4], Cow<'_, [u8]>)> = Vec::new();
    let mut places = vec![("the list of tables".to_owned(), 0, 12 + 16 * count)];
    for entry in (0..count).map(|number| 12 + 16 * number) {
        let tag = bytes.get(entry..entry + 4).and_then(|tag| <[u8; 4]>::try_from(tag).ok()).ok_or_else(|| cut_off(of))?;
        let numbers = be32(bytes, entry + 8).zip(be32(bytes, entry + 12));
        let (start, size) = numbers.map(|(start, size)| (place(start), place(size))).ok_or_else(|| cut_off(of))?;
        let what = format!("its table {}", text_of(tag));
        let end = start.checked_add(size).filter(|end| *end <= bytes.len());
        let Some(table) = end.and_then(|end| bytes.get(start..end)) else {
            return Err(broken(of, format!("{what} does not lie inside the file")));
        };
        if found.iter().any(|(other, _)| *other == tag) {
            return Err(broken(of, format!("{what} is there twice")));
        }
        if found.len() == 256 {
            return Err(broken(of, "it has more than 256 tables"));
        }
        found.push((tag, Cow::Borrowed(table)));
        places.push((what, start, start + size));
    }
    check_places(of, bytes, &mut places)?;
    Ok(Tables { found })
}
