//! Whether the server's PDF is the floor's PDF, but for the two dates that every print carries.

use std::fmt;

/// How two PDFs compare once their dates are set to the same moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Byte for byte the same, this many bytes.
    Equal {
        /// Size of both.
        size_bytes: usize,
    },
    /// They differ.
    Different {
        /// Size of the floor's.
        floor_bytes: usize,
        /// Size of the server's.
        server_bytes: usize,
        /// Where the first difference is.
        at: usize,
        /// The floor's bytes around it, as text.
        floor_says: String,
        /// The server's bytes around it, as text.
        server_says: String,
    },
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal { size_bytes } => write!(formatter, "bytes equal to the floor's after date normalisation ({size_bytes} bytes)"),
            Self::Different { floor_bytes, server_bytes, at, floor_says, server_says } => write!(
                formatter,
                "bytes DIFFER from the floor's: {server_bytes} against {floor_bytes} bytes, first at byte {at}: \
                 server `{server_says}`, floor `{floor_says}`"
            ),
        }
    }
}

/// Compares the floor's PDF with the server's.
pub fn compare(floor: &[u8], server: &[u8]) -> Comparison {
    let (floor, server) = (without_dates(floor), without_dates(server));
    if floor == server {
        return Comparison::Equal { size_bytes: floor.len() };
    }
    let at = floor.iter().zip(&server).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| {
        let window = &bytes[at.saturating_sub(24).min(bytes.len())..(at + 40).min(bytes.len())];
        let shown = |byte: &u8| if byte.is_ascii_graphic() && *byte != b'`' && *byte != b'|' { char::from(*byte) } else { ' ' };
        window.iter().map(shown).collect::<String>().trim().to_owned()
    };
    Comparison::Different {
        floor_bytes: floor.len(),
        server_bytes: server.len(),
        at,
        floor_says: around(&floor),
        server_says: around(&server),
    }
}

/// The dates have a fixed width, so that zeros in place of their digits keep every offset.
fn without_dates(pdf: &[u8]) -> Vec<u8> {
    let mut bytes = pdf.to_vec();
    for name in [&b"/CreationDate (D:"[..], &b"/ModDate (D:"[..]] {
        let places: Vec<usize> = memchr::memmem::find_iter(pdf, name).map(|at| at + name.len()).collect();
        for place in places {
            bytes
                .iter_mut()
                .skip(place)
                .take_while(|byte| **byte != b')')
                .filter(|byte| byte.is_ascii_digit())
                .for_each(|byte| *byte = b'0');
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_prints_of_different_moments_are_equal_and_two_of_different_content_are_not() {
        let print =
            |date: &str, text: &str| format!("%PDF-1.4 <</CreationDate (D:{date}+00'00') /ModDate (D:{date}+00'00')>> {text}").into_bytes();
        let first = print("20260101000000", "one");
        assert_eq!(compare(&first, &print("20261231235959", "one")), Comparison::Equal { size_bytes: first.len() });
        let Comparison::Different { at, .. } = compare(&first, &print("20260101000000", "two")) else { panic!("equal") };
        assert_eq!(at, first.len() - 3);
    }
}
