//! One call, and what came back.

use std::time::Duration;

/// What is done to the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Something is read.
    Get,
    /// Something is told.
    Post,
}

/// What becomes of an answer with more bytes than were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TooLong {
    /// What is over is not read; nor is it an error when the rest does not come. For those who want the status.
    Cut,
    /// The call fails.
    Fails,
}

/// A call to an address outside.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The word for it in the metrics.
    pub purpose: &'static str,
    /// What is done.
    pub method: Method,
    /// Where; it is judged again here.
    pub url: &'a str,
    /// Headers beside those of every call. Names and values that HTTP does not know are an error.
    pub headers: &'a [(&'a str, String)],
    /// What is sent.
    pub body: Option<&'a [u8]>,
    /// For everything together, from the name to the last byte that is read.
    pub timeout: Duration,
    /// Bytes of the answer that are read.
    pub answer_bytes: usize,
    /// What becomes of more.
    pub too_long: TooLong,
}

/// What came back. It may be any status but a redirect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long the other side wants to be left alone, in seconds or until a moment: a day at most.
    pub retry_after: Option<Duration>,
    /// What it says its bytes are.
    pub content_type: Option<String>,
    /// Its bytes, at most so many as were asked for.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the other side says that all is well.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
