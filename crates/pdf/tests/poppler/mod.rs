//! What programs of other people say of a file.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The output of a poppler program that reads the file from its standard input and has nothing to complain about.
pub fn poppler(program: &str, arguments: &[&str], pdf: &[u8]) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} (package poppler-utils): {error}"));
    child.stdin.take().unwrap().write_all(pdf).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{program} complains");
    String::from_utf8(output.stdout).unwrap()
}
