//! How large the things inside a file may be.

use domain::pictures::PICTURE_PIXELS;

/// Limits of one inspection. How long a file of the other types may be is for the caller to say.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pixels of one frame of a picture, and of all pictures inside one SVG together. Default [`PICTURE_PIXELS`].
    pub picture_pixels: u64,
    /// Frames of an animated picture. Default 2,000: over a minute at 30 per second. Only the first is printed.
    pub picture_frames: u64,
    /// Bytes of metadata (EXIF, XMP, colour profiles, comments) in one picture. Default 16 MiB.
    pub metadata_bytes: u64,
    /// Chunks, segments and blocks of one picture. Default 2 million, a GIF of 200 MB with its blocks of 255 bytes included.
    pub picture_blocks: u64,
    /// Bytes of an SVG, before and after its entities are put in. Default 5 MiB.
    pub svg_bytes: u64,
    /// Elements, texts and comments of an SVG, counted again for each `use` that repeats them. Default 250,000.
    pub svg_nodes: u32,
    /// Elements of an SVG inside each other. Default 128; browsers ignore what is deeper than a few hundred.
    pub svg_depth: usize,
    /// Bytes of a font as it is uploaded. Default 32 MiB: the largest of single Chinese, Japanese and Korean fonts have 25.
    pub font_bytes: u64,
    /// Bytes of a compressed font (WOFF, WOFF2) after unpacking. Default 64 MiB.
    pub font_unpacked_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            picture_pixels: PICTURE_PIXELS,
            picture_frames: 2_000,
            metadata_bytes: 16 * 1024 * 1024,
            picture_blocks: 2_000_000,
            svg_bytes: 5 * 1024 * 1024,
            svg_nodes: 250_000,
            svg_depth: 128,
            font_bytes: 32 * 1024 * 1024,
            font_unpacked_bytes: 64 * 1024 * 1024,
        }
    }
}
