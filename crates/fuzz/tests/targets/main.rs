//! What is searched for input that breaks it. Each target is a file of its own; all run in parallel.
#![cfg(test)]

mod definitions;
mod editor_tokens;
mod expressions;
mod media;
mod networks;
mod outbound;
mod render_tokens;
mod signing;
mod templates;
// Here the list of settings (`server`) and the error envelope (`api`) enter, each with its file.
