//! Files with data, as people have them and as nobody should send them.
#![cfg(test)]
#![expect(clippy::needless_pass_by_value, reason = "json!({}) reads better than &json!({})")]

#[path = "data_input/bounds.rs"]
mod bounds;
#[path = "data_input/csv.rs"]
mod csv;
#[path = "data_input/xlsx.rs"]
mod xlsx;
#[path = "data_input/xml.rs"]
mod xml;

use std::sync::atomic::AtomicBool;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use document::DocumentError;
use document::data_input::{Converted, DataInput, DataInputLimits, Patience};
use domain::ErrorCode;
use serde_json::{Value, json};

static PATIENT: AtomicBool = AtomicBool::new(false);

/// What becomes of an envelope.
fn converted(envelope: Value) -> Result<Converted, DocumentError> {
    converted_within(envelope, &DataInputLimits::default())
}

fn converted_within(envelope: Value, limits: &DataInputLimits) -> Result<Converted, DocumentError> {
    DataInput::from_json(envelope, "/dataInput")?.convert(limits, Patience { cancelled: &PATIENT, deadline: None })
}

/// The envelope of bytes, with these options.
fn envelope(format: &str, bytes: &[u8], options: Value) -> Value {
    let mut envelope = json!({"format": format, "content": STANDARD.encode(bytes), "encoding": "base64"});
    envelope.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    envelope
}

/// The code of a refusal, where it points to, and what it says.
fn refused(outcome: Result<Converted, DocumentError>) -> (ErrorCode, String, String) {
    let error = outcome.expect_err("a refusal");
    let issue = error.issues().into_iter().next().unwrap();
    (error.code(), issue.path, issue.message)
}

/// The file is refused as wrong, and what is said of it.
fn wrong(outcome: Result<Converted, DocumentError>) -> String {
    let (code, path, message) = refused(outcome);
    assert_eq!((code, path.as_str()), (ErrorCode::DataInputInvalid, "/dataInput/content"), "{message}");
    message
}

#[test]
fn an_option_that_is_unknown_or_wrong_is_named_with_what_is_accepted() {
    let cases = [
        (json!([]), "/dataInput", "must be an object"),
        (json!({"content": "a"}), "/dataInput", "format is missing"),
        (json!({"format": "pdf", "content": "a"}), "/dataInput/format", r#"is "pdf"; accepted: "csv", "xlsx", "xml""#),
        (json!({"format": "csv"}), "/dataInput", "content is missing"),
        (json!({"format": "csv", "content": 7}), "/dataInput/content", "must be text"),
        (json!({"format": "csv", "content": "a", "encoding": "hex"}), "/dataInput/encoding", "accepted: \"base64\""),
        (json!({"format": "csv", "content": "a", "delimter": ";"}), "/dataInput/delimter", "did you mean \"delimiter\"?"),
        (json!({"format": "csv", "content": "a", "sheet": "A"}), "/dataInput/sheet", "is no option of csv data"),
        (json!({"format": "csv", "content": "a", "delimiter": ":"}), "/dataInput/delimiter", "accepted: \"auto\""),
        (json!({"format": "csv", "content": "a", "header": "yes"}), "/dataInput/header", "must be true or false"),
        (json!({"format": "csv", "content": "a", "arrayKey": ""}), "/dataInput/arrayKey", "1 to 200 characters"),
        (json!({"format": "xlsx", "content": "", "sheet": 0}), "/dataInput/sheet", "counted from 1"),
        (json!({"format": "xlsx", "content": "", "range": "A1"}), "/dataInput/range", "A1:F20"),
        (json!({"format": "xlsx", "content": "", "header": false, "headerRow": 1}), "/dataInput/headerRow", "send one of them"),
        (json!({"format": "xlsx", "content": "", "range": "A2:B3", "headerRow": 1}), "/dataInput/headerRow", "outside of the range"),
        (json!({"format": "xml", "content": "<a/>", "arrays": "item"}), "/dataInput/arrays", "must be a list"),
        (json!({"format": "csv", "content": "%%%", "encoding": "base64"}), "/dataInput/content", "is no base64"),
    ];
    for (envelope, path, said) in cases {
        let (code, at, message) = refused(converted(envelope.clone()));
        assert_eq!((code, at.as_str()), (ErrorCode::DataInputInvalid, path), "{envelope}: {message}");
        assert!(message.contains(said), "{envelope}: {message}");
    }
}
