//! Pictures: how large one may become.

/// Pixels of one picture: 100 megapixels, an A3 page at 700 dpi. A browser needs four bytes for each, whatever the file's size is.
pub const PICTURE_PIXELS: u64 = 100_000_000;
