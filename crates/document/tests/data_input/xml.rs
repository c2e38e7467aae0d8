//! XML.

use serde_json::{Value, json};

use crate::{converted, envelope, wrong};

fn read(content: &str, options: Value) -> Value {
    let mut envelope = json!({"format": "xml", "content": content});
    envelope.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    converted(envelope).unwrap().data
}

const ORDER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<o:order xmlns:o="urn:order" id="7" currency="EUR">
  <!-- nothing -->
  <customer vip="true">Ada &amp; Co.</customer>
  <line qty="2">Bolt</line>
  <line qty="10"><![CDATA[Nut <M4>]]></line>
  <note/>
  <total> 12.50 </total>
</o:order>"#;

#[test]
fn elements_and_attributes_become_properties_and_equal_names_a_list() {
    let expected = json!({"order": {
        "@id": "7", "@currency": "EUR",
        "customer": {"@vip": "true", "#text": "Ada & Co."},
        "line": [{"@qty": "2", "#text": "Bolt"}, {"@qty": "10", "#text": "Nut <M4>"}],
        "note": "", "total": "12.50",
    }});
    assert_eq!(read(ORDER, json!({})).to_string(), expected.to_string());
    assert_eq!(converted(json!({"format": "xml", "content": ORDER})).unwrap().rows, 5);
}

#[test]
fn prefix_text_key_types_and_lists_are_as_they_are_wanted() {
    let data = read(ORDER, json!({"attributePrefix": "", "textKey": "value", "types": "infer", "arrays": ["note", "customer"]}));
    let expected = json!({"order": {
        "id": 7, "currency": "EUR", "customer": [{"vip": true, "value": "Ada & Co."}],
        "line": [{"qty": 2, "value": "Bolt"}, {"qty": 10, "value": "Nut <M4>"}], "note": [null], "total": 12.5,
    }});
    assert_eq!(data, expected);
    let warned = converted(json!({"format": "xml", "content": "<a>x<b/>y</a>", "arrays": ["c"]})).unwrap();
    assert_eq!(warned.data, json!({"a": {"b": "", "#text": "xy"}}));
    assert_eq!(
        warned.warnings,
        ["line 1, column 1: the text between the elements of <a> is put together as #text", "arrays: there is no element \"c\""]
    );
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let xml = |content: &str| wrong(converted(json!({"format": "xml", "content": content})));
    let said = xml("<a>\n  <b>\n</a>");
    assert!(said.starts_with("is no well-formed XML: ") && said.contains("3:"), "{said}");
    let twice = wrong(converted(json!({"format": "xml", "content": "<a>\n<b id=\"1\"><id>2</id></b></a>", "attributePrefix": ""})));
    assert!(twice.starts_with("line 2, column 11: more than one thing would be the property \"id\""), "{twice}");
    let latin = br#"<?xml version="1.0" encoding="ISO-8859-1"?><a>M"#.iter().chain("ü</a>".as_bytes()).copied().collect::<Vec<u8>>();
    assert_eq!(wrong(converted(envelope("xml", &latin, json!({})))), "says in its first line that it is ISO-8859-1; save it as UTF-8");
    // What stands in JSON is text already, whatever it says of itself.
    assert_eq!(read(std::str::from_utf8(&latin).unwrap(), json!({})), json!({"a": "Mü"}));
}

#[test]
fn a_dtd_is_refused_before_anything_of_it_is_read() {
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]><lolz>&lol2;</lolz>"#;
    let outside = r#"<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>"#;
    for content in [laughs, outside, "<!DOCTYPE a><a/>"] {
        assert_eq!(
            wrong(converted(json!({"format": "xml", "content": content}))),
            "has a DTD (<!DOCTYPE …>), which is not read; send it without"
        );
    }
    let unknown = wrong(converted(json!({"format": "xml", "content": "<a>&x;</a>"})));
    assert!(unknown.starts_with("is no well-formed XML"), "{unknown}");
}
