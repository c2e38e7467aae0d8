//! How large a file with data may be.

/// Limits of one file. Every excess is an error that names the limit.
#[derive(Clone, Copy, Debug)]
pub struct DataInputLimits {
    /// Bytes of the file, decoded from base64. Default 32 MiB; the body of the request is bounded before, by default at 20 MiB.
    pub bytes: usize,
    /// Bytes of all parts of a workbook that are read, unpacked. Default 96 MiB: a packed megabyte of a real workbook has about ten.
    pub unpacked_bytes: usize,
    /// Rows of a table. Default 200,000.
    pub rows: usize,
    /// Columns of a table. Default 1,000.
    pub columns: usize,
    /// Values that come out: cells, elements and attributes. Default 1,000,000, which take about 150 MB of memory.
    pub values: usize,
    /// Bytes of all names and texts that come out. Default 64 MiB.
    pub text_bytes: usize,
    /// Elements inside each other. Default 64; expressions go no deeper.
    pub depth: usize,
}

impl Default for DataInputLimits {
    fn default() -> Self {
        Self {
            bytes: 32 * 1024 * 1024,
            unpacked_bytes: 96 * 1024 * 1024,
            rows: 200_000,
            columns: 1_000,
            values: 1_000_000,
            text_bytes: 64 * 1024 * 1024,
            depth: 64,
        }
    }
}
