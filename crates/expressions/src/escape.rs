//! HTML escaping, character for character as handlebars.js does it.

/// What stands for a byte, for the seven that need it.
fn reference(byte: u8) -> &'static str {
    match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'"' => "&quot;",
        b'\'' => "&#x27;",
        b'`' => "&#x60;",
        _ => "&#x3D;",
    }
}

static NEEDS_REFERENCE: [bool; 256] = {
    let mut table = [false; 256];
    let special = b"&<>\"'`=";
    let mut at = 0;
    while at < special.len() {
        table[special[at] as usize] = true;
        at += 1;
    }
    table
};

/// Hands `text` to `emit` in pieces, escaped.
pub(crate) fn each_escaped<E>(text: &str, mut emit: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| NEEDS_REFERENCE[usize::from(byte)]) {
        emit(&rest[..at])?;
        emit(reference(rest.as_bytes()[at]))?;
        rest = &rest[at + 1..];
    }
    emit(rest)
}
