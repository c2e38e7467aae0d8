//! PDF bytes in, PDF bytes out: what happens to a printed file before a caller gets it.
//!
//! This room knows nothing of templates, browsers or storage; it does no I/O and takes the time as a value.
//! To add an operation, give it a file named after the verb, one public function from bytes to bytes with its
//! limits as parameters, and read the file through `objects` or, where objects must be rebuilt, through `lopdf`.

mod error;
mod finish;
mod info;
mod objects;
mod structure_ids;

pub use error::PdfError;
pub use finish::{Finished, Limits, Stamp, finish, page_count};
pub use info::Metadata;
