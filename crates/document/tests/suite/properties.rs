//! Whatever authors and callers send: no panic, and no data that becomes markup.

use document::{Bindings, Compiled, Input, Limits, check, write_html};
use domain::options::RenderOptions;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A mark that no template of these tests holds: seen raw, it came from data.
const HOSTILE: &str = "<q9 onx=\"'`>&</style></title><!--{{x}}\\\u{10fff0}";

fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(Value::from(HOSTILE)),
        "[<>&\"'a-z{}/ ]{0,12}".prop_map(|text| Value::from(text + HOSTILE)),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[abc]", inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::vec(("[abc]", value), 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// Templates over the same names as the data. Text with `<` is the author's own, and known.
fn template() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("{{a}}"),
        Just("{{b.c}}"),
        Just("{{#each a}}{{this}}{{@key}}{{/each}}"),
        Just("{{#if b}}{{c}}{{else}}{{a.b}}{{/if}}"),
        Just("{{lookup a 'b'}}"),
        Just("plain & <i>text</i> "),
        Just("{{#with c}}{{../a}}{{/with}}"),
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat())
}

/// Parts of markup as somebody writes it who means no good.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "<b>",
        "</b>",
        "<script>",
        "</script>",
        "<svg onload=x>",
        "<style>",
        "</style>",
        "<a href=\"javascript:x\">",
        "<a href=x onclick='y'>",
        "</a>",
        "<img src=x onerror=y>",
        "<math><mtext>",
        "<table><td>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<p",
        ">",
        "\"",
        "'",
        "=",
        "text",
        "&lt;q9&gt;",
        "<q9 onx=1>",
        "<noscript>",
        "<template>",
        "<iframe src=//x>",
        "</div></body></html>",
        "<base href=//x>",
        "<form action=//x>",
        "&#60;script&#62;",
    ])
}

/// Places of a page that data is printed in, each with the characters that would end it.
const PLACES: [(&str, &[char]); 9] = [
    ("<p>{{x}}</p>", &['<', '>']),
    ("<p title=\"{{x}}\">a</p>", &['"', '<', '>']),
    ("<p title='{{x}}'>a</p>", &['\'', '<', '>']),
    ("<p title={{x}} id=a>a</p>", &['=', '"', '\'', '`', '<', '>']),
    ("<a href=\"{{x}}\">a</a>", &['"', '<', '>']),
    ("<p style=\"color:{{x}}\">a</p>", &['"', '<', '>']),
    ("<style>p{color:{{x}}}</style>", &[';', '{', '}', '<', '"', '\'', '/', '*', '(', '\n']),
    ("<style>p{content:\"{{x}}\"}</style>", &['"', '<', '\n']),
    ("<textarea>{{x}}</textarea>", &['<', '>']),
];

/// Text that ends places, or leads somewhere from them.
fn hostile_piece() -> impl Strategy<Value = String> {
    let words = [
        "javascript:alert(1)",
        "JavaScript&colon;",
        "data:text/html,",
        "expression(",
        "url(http://x)",
        "</textarea>",
        "</title>",
        "{{x}}",
        "&#x22;",
        "&quot;",
        "\\22 ",
        "\\",
        ";",
        "}",
        "{",
        "\"",
        "'",
        "`",
        "=",
        " ",
        "\n",
        "\r",
        "\u{2028}",
        "<",
        ">",
        "*/",
        "![a](javascript:x)",
        "[a](javascript:x)",
        "[a](https://x \"onx=1\")",
        "<b onx=1>",
        "```\n",
        "# ",
        "* ",
        "| a |\n|---|\n",
        "<https://x>",
        "&lt;q9&gt;",
        "text",
        "\u{0}",
        "😀",
    ];
    prop_oneof![3 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => piece().prop_map(str::to_owned), 1 => "[^⟦⟧]{0,4}"]
}

fn whole(definition: &Value, data: &Value) -> String {
    let limits = Limits::default();
    let compiled = Compiled::compile(definition, &limits).unwrap();
    with_input(data, |input| write_html(&compiled, input, &limits)).unwrap().html
}

fn path() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b.c"), Just("c"), Just("@root.a"), Just("this")]
}

fn node() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        template().prop_map(|text| json!({"type": "text", "content": text})),
        template().prop_map(|text| json!({"type": "heading", "level": 2, "content": text, "style": {"color": "red", "bold": true}})),
        template().prop_map(|text| json!({"type": "html", "content": text})),
        (path(), template()).prop_map(|(path, text)| json!({"type": "table", "items": path, "emptyText": text, "columns": [{"header": text, "value": text}, {"field": "a"}]})),
        Just(json!({"type": "pageBreak"})),
        (path(), template()).prop_map(|(path, text)| json!({"type": "list", "items": path, "content": text, "nested": "a", "emptyText": text})),
        (path(), template()).prop_map(|(path, text)| json!({"type": "table", "items": path, "groupBy": "b", "groupHeader": text,
            "columns": [{"field": "c", "total": "count"}, {"value": text, "footer": text}]})),
        (path(), template(), prop_oneof![Just("bar"), Just("horizontalBar"), Just("line"), Just("area"), Just("pie")]).prop_map(|(path, text, kind)| json!({
            "type": "chart", "kind": kind, "items": path, "label": text, "title": text, "description": text, "stacked": true, "values": true,
            "series": [{"value": "a", "name": text}, {"value": "this"}]})),
        (path(), template()).prop_map(|(path, text)| json!({"type": "pivotTable", "items": path, "rowBy": "a", "columnBy": "b", "value": "c",
            "total": "count", "rowLabel": text, "columnLabel": text, "corner": text, "order": "sorted"})),
        template().prop_map(|text| json!({"type": "tableOfContents", "title": text, "to": 6})),
        template().prop_map(|text| json!({"type": "barcode", "value": text, "symbology": "qr", "errorCorrection": "L"})),
        template().prop_map(|text| json!({"type": "signatureField", "name": text, "label": text, "date": text, "dateLabel": text})),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let children = prop::collection::vec(inner, 0..3);
        prop_oneof![
            (template(), children.clone()).prop_map(|(title, children)| json!({"type": "section", "title": title, "children": children})),
            (path(), children.clone(), children.clone())
                .prop_map(|(path, children, other)| json!({"type": "conditional", "condition": path, "children": children, "else": other})),
            (path(), children.clone())
                .prop_map(|(path, children)| json!({"type": "repeater", "items": path, "as": "it", "children": children})),
            children.clone().prop_map(|children| json!({"type": "container", "children": children})),
            (template(), children.clone())
                .prop_map(|(text, children)| json!({"type": "list", "entries": [{"content": text, "children": children}]})),
            children.prop_map(|children| json!({"type": "columns", "columns": [{"children": children}]})),
        ]
    })
}

/// Gives every node an id of its own.
fn number(value: &mut Value, next: &mut usize) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| number(item, next)),
        Value::Object(members) => {
            if members.contains_key("type") {
                *next += 1;
                members.insert("id".into(), json!(next.to_string()));
            }
            members.values_mut().for_each(|member| number(member, next));
        }
        _ => {}
    }
}

fn definition() -> impl Strategy<Value = Value> {
    let tree = prop::collection::vec(node(), 0..4).prop_map(|mut nodes| {
        let mut next = 0;
        for node in &mut nodes {
            number(node, &mut next);
        }
        json!({"document": {"id": "root", "type": "document", "children": nodes}})
    });
    let html = (template(), template()).prop_map(|(html, css)| json!({"html": html, "css": css}));
    let whole = template().prop_map(|html| json!({"html": format!("<!doctype html><html><head></head><body>{html}")}));
    (prop_oneof![3 => tree, 1 => html, 1 => whole], template()).prop_map(|(mut definition, text)| {
        definition["renderConfig"] =
            json!({"pageHeader": text, "pageFooter": {"left": text}, "metadata": {"title": text}, "filename": text});
        definition
    })
}

/// A definition with one place changed to something that does not belong there.
fn damaged() -> impl Strategy<Value = Value> {
    let junk = prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!(-1.5e300)),
        Just(json!("{{")),
        Just(json!("{{#each a}}")),
        Just(json!([{"type": "text"}, 1, null])),
        Just(json!({"path": 1, "left": [], "type": "image"})),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    (definition(), any::<prop::sample::Index>(), junk, "[a-zA-Z]{1,8}").prop_map(|(mut definition, index, junk, name)| {
        let mut places = Vec::new();
        pointers(&definition, String::new(), &mut places);
        let place = index.get(&places).clone();
        if let Some(value) = definition.pointer_mut(&place) {
            match value {
                Value::Object(members) if name.len() % 2 == 0 => {
                    members.insert(name, junk);
                }
                value => *value = junk,
            }
        }
        definition
    })
}

fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| pointers(item, format!("{at}/{index}"), found)),
        Value::Object(members) => members.iter().for_each(|(name, member)| pointers(member, format!("{at}/{name}"), found)),
        _ => {}
    }
    found.push(at);
}

fn with_input<T>(data: &Value, act: impl FnOnce(&Input<'_>) -> T) -> T {
    let options = RenderOptions::default();
    act(&Input {
        data,
        fixed_data: None,
        options: &options,
        now: crate::NOW.parse().unwrap(),
        bindings: Bindings::Lenient,
        cancelled: None,
        assets: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_data_becomes_markup(definition in definition(), data in data()) {
        let limits = Limits::default();
        let compiled = Compiled::compile(&definition, &limits).unwrap();
        let written = with_input(&data, |input| write_html(&compiled, input, &limits)).unwrap();
        prop_assert!(!written.html.contains("<q9"), "{}", written.html);
        prop_assert!(!written.html.contains("onx=\""), "{}", written.html);
        prop_assert_eq!(written.html.matches("</style").count(), 1);
        prop_assert!(written.html.matches("</title").count() <= 1 + written.html.matches("<svg ").count());
        let again = with_input(&data, |input| write_html(&compiled, input, &limits)).unwrap();
        prop_assert_eq!(&written.html, &again.html);
        let checked = with_input(&data, |input| check(&compiled, input, &limits)).unwrap();
        prop_assert!(checked.expressions.valid);
    }

    #[test]
    fn no_data_in_rich_text_becomes_anything_but_the_elements_that_are_listed(pieces in prop::collection::vec(piece(), 0..12)) {
        let definition = json!({"document": {"id": "root", "type": "document", "children": [
            {"id": "r", "type": "richText", "content": "<p>{{{a}}}</p>"}]}});
        let limits = Limits::default();
        let compiled = Compiled::compile(&definition, &limits).unwrap();
        let written = with_input(&json!({"a": pieces.concat()}), |input| write_html(&compiled, input, &limits)).unwrap();
        let (_, rich) = written.html.split_once("<div class=\"rich\">").unwrap();
        for tag in rich.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()) {
            let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
            prop_assert!(["p", "b", "a", "table", "tbody", "tr", "td", "div", "body", "html"].contains(&name.as_str()), "{}", rich);
            prop_assert!(!tag.contains("javascript:") && !tag.contains(" on") && !tag.contains("//x"), "{}", rich);
        }
    }

    #[test]
    fn no_data_leaves_the_place_it_is_printed_in(pieces in prop::collection::vec(hostile_piece(), 0..8)) {
        let data = json!({"x": pieces.concat()});
        let mut html = "<a href=\"{{x}}\">a</a>".to_owned();
        for place in PLACES {
            html.push_str(&place.0.replace("{{x}}", "⟦{{x}}⟧"));
        }
        let furniture = "<b title=\"⟦{{x}}⟧\">⟦{{x}}⟧</b>";
        let page = json!({"html": html, "css": "p{content:\"⟦{{x}}⟧\"}q{color:⟦{{x}}⟧}", "renderConfig": {"pageHeader": furniture,
            "pageFooter": {"left": "⟦{{x}}⟧"}, "metadata": {"title": "⟦{{x}}⟧"}}});
        let written = whole(&page, &data);
        let mut found: Vec<&str> = written.split('⟦').skip(1).map(|rest| rest.split_once('⟧').map_or(rest, |(inside, _)| inside)).collect();
        for (place, ends) in PLACES.iter().rev() {
            let inside = found.pop().unwrap();
            prop_assert!(!inside.contains(*ends), "{place} became {inside}");
        }
        // The head: the title, the furniture as strings of a style sheet, and the sheet itself.
        prop_assert!(found.len() >= 4);
        prop_assert!(!found[0].contains('<'), "{}", found[0]);
        for inside in &found[1..] {
            prop_assert!(!inside.contains(['<', '"', '\n', '\r']), "{inside}");
        }
        let active = [" href=\"javascript:", " href=\"data:text"].into_iter().find(|link| written.to_ascii_lowercase().contains(link));
        prop_assert_eq!(active, None, "{}", written);
        let tree = json!({"document": {"id": "root", "type": "document", "children": [
            {"id": "r", "type": "richText", "content": "<p>⟦{{x}}⟧</p>"},
            {"id": "h", "type": "html", "content": "<p>{{markdown x}}</p>"},
            {"id": "t", "type": "text", "content": "⟦{{{x}}}⟧"}]}});
        let written = whole(&tree, &data);
        let tags = ["p", "strong", "em", "del", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "br", "a", "table", "thead", "tbody", "tr",
            "th", "td", "h1", "h2", "h3", "h4", "h5", "h6", "div", "body", "html", "s"];
        let (_, body) = written.split_once("<body").unwrap();
        for tag in body.split('<').skip(1) {
            let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
            prop_assert!(tags.contains(&name.as_str()), "<{name} in {body}");
            prop_assert!(!tag.split('>').next().unwrap().contains(" on"), "<{tag} in {body}");
        }
    }

    #[test]
    fn no_definition_makes_this_room_panic(definition in damaged(), data in data()) {
        let limits = Limits::default();
        match Compiled::compile(&definition, &limits) {
            Ok(compiled) => {
                let _ = with_input(&data, |input| write_html(&compiled, input, &limits));
                let _ = with_input(&data, |input| check(&compiled, input, &limits));
                let _ = compiled.sample_data();
            }
            Err(error) => {
                let issues = error.issues();
                prop_assert!(!issues.is_empty());
                prop_assert!(issues.iter().all(|issue| !issue.message.is_empty() && issue.message.len() < 4000));
            }
        }
    }

    #[test]
    fn no_schema_makes_the_sampler_or_the_check_panic(schema in data(), data in data()) {
        let keywords = ["type", "properties", "items", "$ref", "enum", "minimum", "minItems", "allOf", "format", "maxLength", "multipleOf"];
        let mut object = Map::new();
        for (keyword, value) in keywords.iter().zip(schema.as_object().into_iter().flatten().map(|(_, value)| value.clone())) {
            object.insert((*keyword).to_owned(), value);
        }
        if let Ok(compiled) = Compiled::compile(&json!({"html": "x", "inputSchema": object}), &Limits::default()) {
            let _ = compiled.sample_data();
            let _ = crate::validate(&compiled, &data, &Limits::default());
        }
    }
}
