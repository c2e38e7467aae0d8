//! Everything about stored bytes: one conformance suite on a folder, on a bucket of an S3 in this process and on one of a
//! real S3 server, and what is particular to each.
#![cfg(test)]

mod bucket;
mod cache;
mod conformance;
mod folder;
mod full_disk;
mod places;
mod samples;
