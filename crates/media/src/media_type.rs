//! The types that are accepted, and their names.

use std::fmt;

/// What an asset is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Shown by an `<img>` or as a background.
    Image,
    /// Named by `@font-face`.
    Font,
    /// Kept as a file.
    Document,
}

/// A type that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// PNG and APNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF 87a and 89a.
    Gif,
    /// WebP, lossy, lossless and animated.
    Webp,
    /// AVIF.
    Avif,
    /// SVG.
    Svg,
    /// An OpenType font with TrueType outlines.
    Ttf,
    /// An OpenType font with PostScript outlines.
    Otf,
    /// A font packed with deflate.
    Woff,
    /// A font packed with Brotli.
    Woff2,
    /// PDF.
    Pdf,
}

impl MediaType {
    /// All of them.
    pub const ALL: [Self; 11] =
        [Self::Png, Self::Jpeg, Self::Gif, Self::Webp, Self::Avif, Self::Svg, Self::Ttf, Self::Otf, Self::Woff, Self::Woff2, Self::Pdf];

    /// The one name under which it is stored and served.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Svg => "image/svg+xml",
            Self::Ttf => "font/ttf",
            Self::Otf => "font/otf",
            Self::Woff => "font/woff",
            Self::Woff2 => "font/woff2",
            Self::Pdf => "application/pdf",
        }
    }

    /// The ending of a file name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Svg => "svg",
            Self::Ttf => "ttf",
            Self::Otf => "otf",
            Self::Woff => "woff",
            Self::Woff2 => "woff2",
            Self::Pdf => "pdf",
        }
    }

    /// What it is used for.
    pub fn kind(self) -> Kind {
        match self {
            Self::Png | Self::Jpeg | Self::Gif | Self::Webp | Self::Avif | Self::Svg => Kind::Image,
            Self::Ttf | Self::Otf | Self::Woff | Self::Woff2 => Kind::Font,
            Self::Pdf => Kind::Document,
        }
    }

    /// The word for it in `format()` of `@font-face`; none for what is no font.
    pub fn css_format(self) -> Option<&'static str> {
        match self {
            Self::Ttf => Some("truetype"),
            Self::Otf => Some("opentype"),
            Self::Woff => Some("woff"),
            Self::Woff2 => Some("woff2"),
            _ => None,
        }
    }

    /// Whether a file declared as `self` may turn out to be `found`. Both kinds of outlines are handed about under both names.
    pub(crate) fn covers(self, found: Self) -> bool {
        self == found || matches!((self, found), (Self::Ttf | Self::Otf, Self::Ttf | Self::Otf))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.mime())
    }
}
