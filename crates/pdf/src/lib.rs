//! PDF bytes in, PDF bytes out: what happens to a printed file before a caller gets it.
//!
//! This room knows nothing of templates, browsers or storage; it does no I/O and takes the time as a value.
//! To add an operation, give it a file named after the verb, one public function from bytes to bytes with its
//! limits as parameters, and read a file of ours through `objects`, one that others made through `file`, which has a
//! budget, or, where objects must be rebuilt, through `lopdf`.

mod destinations;
mod error;
mod file;
mod finish;
mod form_fields;
mod form_widgets;
mod graft;
mod info;
mod merge;
mod objects;
mod pages;
mod pictures;
mod production;
mod raster;
mod ruler;
mod split;
mod structure_ids;
mod texts;
mod unpacking;
mod values;

pub use destinations::pages_of;
pub use error::PdfError;
pub use finish::{Finished, Limits, Stamp, finish, page_count};
pub use form_fields::{FormField, FormFieldKind, FormFieldValue, FormFields, Xfa, form_fields};
pub use form_widgets::Widget;
pub use info::Metadata;
pub use merge::{Part, merge};
pub use pages::{CompareLimits, Comparison, PageChange, PageDifference, compare};
pub use pictures::{PictureFormat, PictureOptions, Pictures, pictures};
pub use production::{Marks, Production, produce};
pub use raster::{Picture, RasterLimits, rasterise};
pub use ruler::Ruler;
pub use split::split;
