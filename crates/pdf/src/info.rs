//! The document information dictionary: its dates and what the document says about itself.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::PdfError;
use crate::objects::{Layout, Object};

/// What the PDF says about itself. `None` leaves what the browser wrote (its title is the page's `<title>`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `/Title`
    pub title: Option<String>,
    /// `/Subject`
    pub subject: Option<String>,
    /// `/Author`
    pub author: Option<String>,
    /// `/Keywords`
    pub keywords: Option<String>,
    /// `/Creator`, the program that made the original; the browser writes its own name.
    pub creator: Option<String>,
}

impl Metadata {
    fn entries(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("Title", &self.title),
            ("Subject", &self.subject),
            ("Author", &self.author),
            ("Keywords", &self.keywords),
            ("Creator", &self.creator),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }
}

/// `now` in the one form that Chromium writes, always in UTC: `D:20261121041608+00'00'`.
pub(crate) fn date_text(now: Timestamp) -> String {
    let at = now.to_zoned(TimeZone::UTC).datetime();
    // The format has four digits for the year.
    let year = at.year().clamp(0, 9999);
    format!("D:{year:04}{:02}{:02}{:02}{:02}{:02}+00'00'", at.month(), at.day(), at.hour(), at.minute(), at.second())
}

/// Overwrites both dates where they stand, so that no offset in the file changes.
pub(crate) fn patch_dates(pdf: &mut [u8], info: &Object, now: Timestamp) -> Result<(), PdfError> {
    let text = date_text(now);
    for key in [b"CreationDate".as_slice(), b"ModDate"] {
        let Some(place) = info.dictionary.value(pdf, key) else { continue };
        // The value without its parentheses.
        let inside = pdf.get_mut(place.start + 1..place.end - 1).filter(|inside| inside.len() == text.len());
        inside.ok_or(PdfError::Unreadable("a date is not in the form D:YYYYMMDDHHMMSS+00'00'"))?.copy_from_slice(text.as_bytes());
    }
    Ok(())
}

/// Replaces the information dictionary by one that also holds `metadata`.
///
/// The new object goes in front of the cross-reference table, which is the last thing in the file, and the old
/// place is blanked: the file stays one revision and nothing else moves.
pub(crate) fn replace(pdf: &mut Vec<u8>, layout: &Layout, info: &Object, metadata: &Metadata) -> Result<(), PdfError> {
    let stands_already = |name: &str, text: &str| {
        let mut members = info.dictionary.members.iter().filter(|(member, _)| &pdf[member.clone()] == name.as_bytes());
        members.any(|(_, value)| pdf[value.clone()] == *text_string(text).as_bytes())
    };
    let entries: Vec<_> = metadata.entries().filter(|(name, text)| !stands_already(name, text)).collect();
    if entries.is_empty() {
        return Ok(());
    }
    let mut object = format!("{} 0 obj\n<<", info.number).into_bytes();
    for (name, value) in &info.dictionary.members {
        let replaced = entries.iter().any(|(entry, _)| entry.as_bytes() == &pdf[name.clone()]);
        if !replaced {
            object.push(b'/');
            object.extend_from_slice(&pdf[name.clone()]);
            object.push(b' ');
            object.extend_from_slice(&pdf[value.clone()]);
            object.push(b'\n');
        }
    }
    for (name, text) in entries {
        object.extend_from_slice(format!("/{name} {}\n", text_string(text)).as_bytes());
    }
    object.extend_from_slice(b">>\nendobj\n");

    let broken = PdfError::Unreadable("the information dictionary is not where the table says");
    let endobj = memchr::memmem::find(&pdf[info.dictionary.end..], b"endobj").ok_or(broken)?;
    pdf[info.at..info.dictionary.end + endobj + 6].fill(b' ');
    let entry = layout.entry(info.number).ok_or(PdfError::Unreadable("the information dictionary is not in the table"))?;
    pdf[entry.start..entry.start + 10].copy_from_slice(format!("{:010}", layout.xref_at).as_bytes());
    let table = pdf.split_off(layout.xref_at);
    pdf.extend_from_slice(&object);
    let xref_at = pdf.len();
    let tail = memchr::memmem::rfind(&table, b"startxref").ok_or(PdfError::Unreadable("startxref is missing"))?;
    pdf.extend_from_slice(&table[..tail]);
    pdf.extend_from_slice(format!("startxref\n{xref_at}\n%%EOF\n").as_bytes());
    Ok(())
}

/// Printable ASCII as it is, everything else as UTF-16BE with its byte order mark (PDF 1.7, 7.9.2.2).
fn text_string(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let escaped = text.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
        return format!("({escaped})");
    }
    let mut hex = String::from("<FEFF");
    for unit in text.encode_utf16() {
        // Writing to a String does not fail.
        let _ = write!(hex, "{unit:04X}");
    }
    hex.push('>');
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_outside_four_digit_years_still_has_the_same_width() {
        let width = "D:20261121041608+00'00'".len();
        assert_eq!(date_text("2026-11-21T04:16:08Z".parse().unwrap()), "D:20261121041608+00'00'");
        assert_eq!(date_text(Timestamp::MIN).len(), width);
        assert_eq!(date_text(Timestamp::MAX).len(), width);
    }
}
