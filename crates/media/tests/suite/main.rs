//! What is taken and what is refused, on files that the tests make themselves and on the fonts of the system.
#![cfg(test)]

mod declared;
mod files;
mod fonts;
mod mutations;
mod pictures;
mod svgs;
