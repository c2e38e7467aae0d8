use std::io::{self, Cursor, Read, Seek, SeekFrom};

use media::{Content, DeclaredType, Limits, Picture, Refusal, inspect};

use crate::files::{avif, chunk, gif, gif_with, jpeg, jpeg_with, look, pdf, png, png_with, segment, webp, webp_of, zip};

#[test]
fn every_type_of_picture_tells_its_size_and_frames() {
    for (bytes, frames) in [(png(), 1), (jpeg(), 1), (gif(), 2), (webp(), 1), (avif(), 1)] {
        let media = look(&bytes).unwrap();
        assert_eq!(media.content, Content::Picture(Picture { width: 3, height: 4, frames }), "{}", media.media_type);
        assert_eq!(media.size_bytes, u64::try_from(bytes.len()).unwrap());
    }
    let animated = png_with(3, 4, &chunk(*b"acTL", b"\0\0\0\x05\0\0\0\0"));
    assert_eq!(look(&animated).unwrap().content, Content::Picture(Picture { width: 3, height: 4, frames: 5 }));
}

#[test]
fn nothing_may_stand_behind_the_end() {
    let tails: [&[u8]; 5] = [&zip(), b"<script>alert(1)</script>", b"%PDF-1.7", b"*/=1;alert(1)", b"\x01"];
    for bytes in [png(), jpeg(), gif(), webp(), pdf()] {
        for tail in tails {
            let said = look(&[bytes.as_slice(), tail].concat()).unwrap_err();
            assert!(matches!(said, Refusal::Foreign { .. }), "{said}");
        }
    }
    assert!(look(&[avif(), zip()].concat()).is_err());
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    for bytes in [png(), jpeg(), gif(), webp(), avif(), pdf()] {
        let whole = bytes.len() - usize::from(bytes.ends_with(b"\n"));
        for end in 0..whole {
            assert!(look(&bytes[..end]).is_err(), "{end} of {}", bytes.len());
        }
    }
}

#[test]
fn metadata_that_something_else_would_run_is_refused() {
    let word = b"x <ScRiPt src=//x>";
    let php = b"<?php eval($_GET[1]);";
    for bytes in [
        png_with(3, 4, &chunk(*b"tEXt", word)),
        png_with(3, 4, &chunk(*b"iTXt", php)),
        jpeg_with(3, 4, &segment(0xfe, word)),
        jpeg_with(3, 4, &segment(0xe1, b"Exif\0\0 JAVASCRIPT:alert(1)")),
        gif_with(1, &[b"!\xfe\x12".as_slice(), word, b"\0"].concat()),
        webp_of(&[(*b"VP8L", b"\x2f\x02\xc0\0\0\0\0".to_vec()), (*b"XMP ", php.to_vec())]),
    ] {
        let said = look(&bytes).unwrap_err();
        assert!(matches!(said, Refusal::Foreign { .. }), "{said}");
    }
    // An archive in a comment, which unpackers would find from the end.
    let hidden = jpeg_with(3, 4, &segment(0xfe, &zip()));
    assert!(matches!(look(&hidden), Err(Refusal::Foreign { .. })));
    let xmp = png_with(3, 4, &chunk(*b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF/></x:xmpmeta>"));
    assert!(look(&xmp).is_ok());
}

#[test]
fn picture_bombs_are_refused_by_their_headers() {
    let large_webp = webp_of(&[(*b"VP8L", b"\x2f\xff\xff\xff\x0f\0\0".to_vec())]);
    let large_frame = [b"GIF89a\x01\0\x01\0\0\0\0".as_slice(), b",\0\0\0\0\xff\xff\xff\xff\0\x02\0", b";"].concat();
    for bytes in [png_with(50_000, 50_000, &[]), jpeg_with(65_535, 65_535, &[]), large_webp, large_frame] {
        let said = look(&bytes).unwrap_err();
        assert!(matches!(said, Refusal::TooLarge { what: "pixels", limit: 100_000_000, .. }), "{said}");
    }
    for bytes in [gif_with(2_001, &[]), png_with(3, 4, &chunk(*b"acTL", b"\xff\xff\xff\xff\0\0\0\0"))] {
        let said = look(&bytes).unwrap_err();
        assert!(matches!(said, Refusal::TooLarge { what: "frames", .. }), "{said}");
    }
    assert!(matches!(look(&png_with(0, 4, &[])), Err(Refusal::Broken { .. })));
}

#[test]
fn a_telephone_s_second_picture_is_taken_where_the_first_announces_it() {
    let announced = jpeg_with(3, 4, &segment(0xe2, b"MPF\0II*\0"));
    assert!(look(&[announced.as_slice(), &[0; 7], &jpeg()].concat()).is_ok());
    assert!(look(&[announced.as_slice(), &zip()].concat()).is_err());
    assert!(look(&[jpeg(), jpeg()].concat()).is_err());
}

/// A PNG of 200 MB that is nowhere whole, and counts what is read of it.
struct Endless {
    head: Vec<u8>,
    tail: Vec<u8>,
    size: u64,
    at: u64,
    read: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let tail_at = self.size - u64::try_from(self.tail.len()).unwrap();
        let mut count = 0;
        for byte in buffer.iter_mut() {
            if self.at >= self.size {
                break;
            }
            let from_tail = self.at.checked_sub(tail_at).map(|at| self.tail[usize::try_from(at).unwrap()]);
            *byte = from_tail.or_else(|| self.head.get(usize::try_from(self.at).unwrap()).copied()).unwrap_or(7);
            self.at += 1;
            count += 1;
        }
        self.read += u64::try_from(count).unwrap();
        Ok(count)
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(at) => self.size.checked_add_signed(at).unwrap(),
            SeekFrom::Current(at) => self.at.checked_add_signed(at).unwrap(),
        };
        Ok(self.at)
    }
}

#[test]
fn of_a_large_png_only_little_is_read() {
    let small = png();
    let data_at = small.windows(4).position(|name| name == b"IDAT").unwrap();
    let data: u32 = 200_000_000;
    let head = [&small[..data_at - 4], &data.to_be_bytes(), b"IDAT"].concat();
    let tail = [&[0; 4], chunk(*b"IEND", b"").as_slice()].concat();
    let size = u64::try_from(head.len() + tail.len()).unwrap() + u64::from(data);
    let mut file = Endless { head, tail, size, at: 0, read: 0 };
    inspect(&DeclaredType::default(), &mut file, &Limits::default()).unwrap();
    assert!(file.read < 200_000, "{} bytes were read", file.read);
}

#[test]
fn a_large_jpeg_is_walked_to_its_end() {
    let mut bytes = jpeg();
    bytes.splice(bytes.len() - 2..bytes.len() - 2, std::iter::repeat_n(7, 5_000_000));
    assert!(inspect(&DeclaredType::default(), Cursor::new(&bytes), &Limits::default()).is_ok());
    bytes.push(0x20);
    assert!(look(&bytes).is_err());
}
