//! Looks at the bytes of a request's head for what its reader resolves silently: two statements of how long the body is.

/// The head has been seen to its end.
pub(crate) const WHOLE: u8 = 1;
/// It has a line `Content-Length`.
pub(crate) const LENGTH: u8 = 2;
/// It has a line `Transfer-Encoding`.
pub(crate) const ENCODING: u8 = 4;

const NAMES: [(&[u8], u8); 2] = [(b"content-length:", LENGTH), (b"transfer-encoding:", ENCODING)];

/// A head that is being read, in whatever pieces it comes.
#[derive(Default, Clone, Copy)]
pub(crate) struct HeadScan {
    /// Bytes of the line so far, without a CR.
    column: usize,
    /// Which of the names it may still begin with.
    possible: [bool; NAMES.len()],
    /// Whether a line has come: empty ones before the first are skipped.
    begun: bool,
    found: u8,
}

impl HeadScan {
    /// Goes on with these bytes; gives what was found so far.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> u8 {
        for byte in bytes {
            if self.found & WHOLE != 0 {
                break;
            }
            match byte {
                b'\n' if self.column == 0 => {
                    if self.begun {
                        self.found |= WHOLE;
                    }
                }
                b'\n' => (self.column, self.begun) = (0, true),
                b'\r' => {}
                _ => self.go_on(*byte),
            }
        }
        self.found
    }

    fn go_on(&mut self, byte: u8) {
        if self.column == 0 {
            self.possible = [true; NAMES.len()];
        }
        for ((name, bit), possible) in NAMES.iter().zip(&mut self.possible) {
            if *possible {
                *possible = name.get(self.column) == Some(&byte.to_ascii_lowercase());
                if *possible && self.column + 1 == name.len() {
                    self.found |= bit;
                }
            }
        }
        self.column += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(head: &str, pieces: usize) -> u8 {
        let mut scan = HeadScan::default();
        let mut found = 0;
        for piece in head.as_bytes().chunks(pieces) {
            found = scan.read(piece);
        }
        found
    }

    #[test]
    fn both_statements_are_seen_in_whatever_pieces_and_nothing_after_the_head() {
        for pieces in [1, 2, 3, 7, 1000] {
            let both = "\r\nPOST / HTTP/1.1\r\nTRANSFER-encoding: chunked\r\nHost: x\r\ncontent-LENGTH: 3\r\n\r\n";
            assert_eq!(found(both, pieces), WHOLE | LENGTH | ENCODING, "{pieces}");
            let bare = "POST / HTTP/1.1\nContent-Length: 3\nTransfer-Encoding: chunked\n\n";
            assert_eq!(found(bare, pieces), WHOLE | LENGTH | ENCODING, "{pieces}");
            let one = "POST / HTTP/1.1\r\nX-Content-Length: 3\r\nTransfer-Encodings: x\r\nContent-Length: 17\r\n\r\nTransfer-Encoding: ";
            assert_eq!(found(one, pieces), WHOLE | LENGTH, "{pieces}");
            assert_eq!(found("POST / HTTP/1.1\r\nContent-Length", pieces), 0, "{pieces}");
        }
    }
}
