//! Text strings: UTF-16 or UTF-8 where they say so, and otherwise the encoding of PDF's own.

/// What the bytes of a text string say (PDF 1.7, 7.9.2.2; UTF-8 since 2.0). What means nothing becomes U+FFFD.
pub(crate) fn text(bytes: &[u8]) -> String {
    if let Some(rest) = bytes.strip_prefix(b"\xFE\xFF") {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    } else if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        String::from_utf8_lossy(rest).into_owned()
    } else {
        bytes.iter().map(|byte| character(*byte)).collect()
    }
}

/// A character of PDFDocEncoding (PDF 1.7, D.3).
fn character(byte: u8) -> char {
    const ACCENTS: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
    const HIGH: [char; 33] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™', 'ﬁ', 'ﬂ', 'Ł', 'Œ', 'Š', 'Ÿ', 'Ž',
        'ı', 'ł', 'œ', 'š', 'ž', '\u{FFFD}', '€',
    ];
    match byte {
        0x18..=0x1F => ACCENTS[usize::from(byte - 0x18)],
        0x80..=0xA0 => HIGH[usize::from(byte - 0x80)],
        // Elsewhere it is Latin-1.
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn all_three_encodings_are_understood() {
        assert_eq!(text(b"\xFE\xFF\x00G\x20\xAC\xD8\x3D\xDE\x00"), "G€😀");
        assert_eq!(text(b"\xEF\xBB\xBFG\xE2\x82\xAC"), "G€");
        assert_eq!(text(b"Gr\xFC\xDFe \xA0 \x80\x1F"), "Grüße € •˜");
    }
}
