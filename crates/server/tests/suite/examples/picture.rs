//! A small picture of a page, its PNG file, and where two of them differ.

use std::io::Read as _;

use bytes::Bytes;
use pdf::RasterLimits;

/// Pixels to the inch: letters are a grey that says where text stands, and a page of A4 is a file of some 30 kB.
pub const DPI: u16 = 50;
/// Pages are compared in squares of so many pixels: 4 mm.
const BLOCK: usize = 8;
/// A square may stand so many pixels beside its place: half a millimetre, as far as another browser moves a line.
const REACH: isize = 1;
/// The mean of a channel in a square may differ by so much of 255. The invoice drawn by poppler stays below 15; text that is there or not
/// makes 20 to 60.
const TOLERANCE: u64 = 16;
/// So many squares may differ all the same: a thin line that falls between two pixels. The smallest change of the tests, a narrow column
/// aligned to its other side, makes 9 of them.
const STRAY: usize = 4;

/// Red, green and blue of each pixel, row by row from the top.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// A page, counted from 1, drawn by the rasteriser that label proofs look through.
    pub fn of_page(document: &[u8], page: u32) -> Self {
        let limits = RasterLimits { dpi: DPI, max_page_pixels: 1_000_000 };
        let drawn = pdf::rasterise(Bytes::copy_from_slice(document), page - 1, limits).expect("a page that can be drawn");
        let pixels = drawn.rgba.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self { width: drawn.width.into(), height: drawn.height.into(), pixels }
    }

    /// Reads a PNG of 8 bits a channel, with or without transparency, that is not interlaced.
    pub fn from_png(png: &[u8]) -> Self {
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "this is no PNG");
        let (mut head, mut packed, mut rest) = ([0; 13], Vec::new(), &png[8..]);
        while let Some((size, after)) = rest.split_first_chunk::<4>() {
            let size = usize::try_from(u32::from_be_bytes(*size)).unwrap();
            let (kind, body) = (&after[..4], &after[4..4 + size]);
            match kind {
                b"IHDR" => head.copy_from_slice(body),
                b"IDAT" => packed.extend_from_slice(body),
                _ => {}
            }
            rest = &after[size + 8..];
        }
        let number = |at: usize| usize::try_from(u32::from_be_bytes(head[at..at + 4].try_into().unwrap())).unwrap();
        let (width, height) = (number(0), number(4));
        let channels = match (head[8], head[9], head[12]) {
            (8, 2, 0) => 3,
            (8, 6, 0) => 4,
            other => panic!("a PNG of another kind: {other:?}"),
        };
        let mut lines = Vec::new();
        flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_end(&mut lines).expect("packed pixels");
        let bytes = unfiltered(&lines, width * channels, channels);
        let pixels: Vec<_> = bytes.chunks_exact(channels).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        assert_eq!(pixels.len(), width * height, "a PNG without all of its lines");
        Self { width, height, pixels }
    }

    /// As a PNG file.
    pub fn to_png(&self) -> Bytes {
        let rgba = self.pixels.iter().flat_map(|&[red, green, blue]| [red, green, blue, 255]).collect();
        let side = |pixels: usize| u16::try_from(pixels).expect("a small picture");
        pdf::Picture { width: side(self.width), height: side(self.height), rgba }.into_png().expect("a PNG")
    }

    /// Where the other picture looks different to somebody who does not look for single pixels; nowhere as a rule.
    pub fn changes(&self, other: &Self) -> Vec<(usize, usize)> {
        let found = self.differences(other);
        if found.len() > STRAY || self.has_another_size(other) { found } else { Vec::new() }
    }

    /// The left upper corners of the squares of this picture that the other one does not have at their place or close by.
    fn differences(&self, other: &Self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for top in (0..self.height).step_by(BLOCK) {
            for left in (0..self.width).step_by(BLOCK) {
                let own = self.mean(left.cast_signed(), top.cast_signed());
                let is_there = (-REACH..=REACH).any(|down| {
                    (-REACH..=REACH).any(|right| {
                        let its = other.mean(left.cast_signed() + right, top.cast_signed() + down);
                        own.iter().zip(its).all(|(own, its)| own.abs_diff(its) <= TOLERANCE)
                    })
                });
                if !is_there {
                    found.push((left, top));
                }
            }
        }
        if self.has_another_size(other) {
            found.push((self.width, self.height));
        }
        found
    }

    /// Apart from how a fraction of a pixel is rounded.
    fn has_another_size(&self, other: &Self) -> bool {
        self.width.abs_diff(other.width) > 1 || self.height.abs_diff(other.height) > 1
    }

    /// This picture with the squares in red, and the other one beside it.
    pub fn beside(&self, other: &Self, marked: &[(usize, usize)]) -> Self {
        let (width, height) = (self.width + BLOCK + other.width, self.height.max(other.height));
        let mut both = Self { width, height, pixels: vec![[128; 3]; width * height] };
        for (picture, from) in [(self, 0), (other, self.width + BLOCK)] {
            for (at, pixel) in picture.pixels.iter().enumerate() {
                let (x, y) = (at % picture.width, at / picture.width);
                let is_marked = marked.iter().any(|&(left, top)| x / BLOCK * BLOCK == left && y / BLOCK * BLOCK == top);
                let [red, green, blue] = *pixel;
                both.pixels[y * width + from + x] = if is_marked { [red / 2 + 127, green / 2, blue / 2] } else { *pixel };
            }
        }
        both
    }

    /// The mean of each channel in a square; outside of the picture is white paper.
    fn mean(&self, left: isize, top: isize) -> [i64; 3] {
        let mut sums = [0; 3];
        let block = BLOCK.cast_signed();
        for (y, x) in (top..top + block).flat_map(|y| (left..left + block).map(move |x| (y, x))) {
            let inside = usize::try_from(x).ok().zip(usize::try_from(y).ok()).filter(|(x, y)| *x < self.width && *y < self.height);
            let pixel = inside.map_or([255; 3], |(x, y)| self.pixels[y * self.width + x]);
            sums.iter_mut().zip(pixel).for_each(|(sum, channel)| *sum += i64::from(channel));
        }
        sums.map(|sum| sum / (i64::from(u32::try_from(BLOCK * BLOCK).unwrap())))
    }
}

/// Undoes what a PNG does to its lines so that they pack well; `step` is the bytes of a pixel.
fn unfiltered(lines: &[u8], line: usize, step: usize) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(lines.len());
    for (row, filtered) in lines.chunks_exact(line + 1).enumerate() {
        for (at, &byte) in filtered[1..].iter().enumerate() {
            let here = row * line + at;
            let left = if at >= step { out[here - step] } else { 0 };
            let above = if row > 0 { out[here - line] } else { 0 };
            let corner = if row > 0 && at >= step { out[here - line - step] } else { 0 };
            let add = match filtered[0] {
                0 => 0,
                1 => left,
                2 => above,
                3 => u8::try_from(u16::midpoint(left.into(), above.into())).unwrap(),
                4 => nearest(left, above, corner),
                kind => panic!("a PNG has no filter {kind}"),
            };
            out.push(byte.wrapping_add(add));
        }
    }
    out
}

/// Paeth's predictor.
fn nearest(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i16::from);
    let guess = a + b - c;
    let (to_a, to_b, to_c) = (guess.abs_diff(a), guess.abs_diff(b), guess.abs_diff(c));
    if to_a <= to_b && to_a <= to_c {
        left
    } else if to_b <= to_c {
        above
    } else {
        corner
    }
}
