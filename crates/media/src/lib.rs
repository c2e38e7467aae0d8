//! What uploaded bytes really are: type, size and harmlessness, found by walking their structure; pure.
//!
//! This room knows nothing of requests, tenants or storage. It reads from what it is given and nowhere else, waits for nothing, and
//! keeps no file in memory but an SVG or a font, which have small limits of their own. It never repairs: a file is taken as it is,
//! or refused with the reason; SVG alone is written anew, with what could run or load left out.
//!
//! To add a type, give it a variant in [`MediaType`], its first bytes in `sniff.rs`, and a file named after it with one function that
//! walks from the first byte to the last. What stands behind the last must be refused: it is what a second reader would see.

mod avif;
mod bytes;
mod declared;
mod font;
mod foreign;
mod gif;
mod inspect;
mod jpeg;
mod limits;
mod media_type;
mod pdf;
mod png;
mod refusal;
mod sniff;
mod svg;
mod webp;

pub use declared::DeclaredType;
pub use font::{FontInfo, FontStyle};
pub use inspect::{Content, Media, Picture, inspect};
pub use limits::Limits;
pub use media_type::{Kind, MediaType};
pub use refusal::Refusal;
pub use svg::{Removed, Svg};
