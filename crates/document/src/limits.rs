//! How large a definition, its data and its document may be.

use crate::data_input::DataInputLimits;

/// Limits of one definition and of one document. Every excess is an error that names the limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a definition as JSON, without its parts. Default 8 MiB: some 50,000 blocks of text; pictures are assets.
    pub definition_bytes: usize,
    /// Nodes in a tree. Default 20,000: a hundred times the largest tree made by hand.
    pub nodes: usize,
    /// Nodes inside each other. Default 100; the writer recurses once per level and has to fit a 2 MiB stack.
    pub depth: usize,
    /// Bytes of the finished HTML. Default 64 MiB; Chromium needs about 20 times as much memory to print it.
    pub html_bytes: usize,
    /// Bytes of one image, decoded from its data URI. Default 10 MiB.
    pub image_bytes: usize,
    /// Pixels of one image. Default [`domain::pictures::PICTURE_PIXELS`]; a pixel costs Chromium four bytes whatever the file's size is.
    pub image_pixels: u64,
    /// Pixels of all different images of a document together. Default 400 megapixels.
    pub all_image_pixels: u64,
    /// Bytes of all different fonts of a document that are assets, together. Default 32 MiB: one large font of East Asian
    /// letters, or some hundred others.
    pub font_bytes: usize,
    /// Tables of one document that are taken down for formats of tables. Default 200, as many as a workbook has sheets that anybody
    /// finds again.
    pub tables: usize,
    /// Cells of all those tables together. Default 500,000: some 100 MB of memory, and two seconds for a workbook.
    pub table_cells: usize,
    /// Issues gathered before the rest is left out. Default 100.
    pub issues: usize,
    /// Bytes of `inputSchema` as JSON. Default 1 MiB.
    pub schema_bytes: usize,
    /// Steps of one check of data: a visit of a subschema, or a question it asks of a value, long texts and lists by
    /// their length. Default 40 million: data of a million values with some ten keywords each, and one to two seconds.
    pub schema_steps: u64,
    /// Limits of a file with data.
    pub data_input: DataInputLimits,
    /// Limits of parsing one template or expression.
    pub parsing: expressions::Limits,
    /// What evaluating all expressions of one document may cost together.
    pub budget: expressions::Budget,
}

/// Nesting no caller can go beyond, whatever [`Limits::depth`] says.
pub(crate) const MAX_DEPTH: usize = 100;

impl Default for Limits {
    fn default() -> Self {
        let html_bytes = 64 * 1024 * 1024;
        Self {
            definition_bytes: 8 * 1024 * 1024,
            nodes: 20_000,
            depth: MAX_DEPTH,
            html_bytes,
            image_bytes: 10 * 1024 * 1024,
            image_pixels: domain::pictures::PICTURE_PIXELS,
            all_image_pixels: 400_000_000,
            font_bytes: 32 * 1024 * 1024,
            tables: 200,
            table_cells: 500_000,
            issues: 100,
            schema_bytes: 1024 * 1024,
            schema_steps: 40_000_000,
            data_input: DataInputLimits::default(),
            parsing: expressions::Limits::default(),
            // 100,000 rows of ten cells need about 5 million steps and stay under a second in a release build.
            budget: expressions::Budget { steps: 10_000_000, output_bytes: html_bytes, ..expressions::Budget::default() },
        }
    }
}
