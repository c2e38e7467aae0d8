//! Reads the manual page of the template format from standard input and writes it with its tables made anew.

use std::io::{Read as _, Write as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut page = String::new();
    std::io::stdin().read_to_string(&mut page)?;
    let page = document::format::with_tables(&page)?;
    std::io::stdout().write_all(page.as_bytes())?;
    Ok(())
}
