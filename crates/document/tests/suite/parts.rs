//! Themes, layouts and components: what a definition becomes with its parts, and which parts are refused.

use std::sync::Arc;

use document::parts::{Effective, Nowhere, Part, Parts};
use document::{DocumentError, Limits, effective};
use domain::template_references::template_references;
use serde_json::{Value, json};

use crate::written;

/// What each reference leads to: the stored definition of that key, in version 1.0.0.
fn parts(stored: &[Value]) -> Parts {
    let mut parts = Parts::default();
    let find = |key: &str| stored.iter().find(|definition| definition["key"] == key);
    for reference in stored.iter().flat_map(template_references) {
        let lead = match find(reference.key.as_str()) {
            Some(definition) => {
                Ok(Part { key: reference.key.clone(), version: "1.0.0".parse().unwrap(), definition: Arc::new(definition.clone()) })
            }
            None => Err(Nowhere { message: format!("there is no template \"{}\"", reference.key), suggestions: vec!["near".to_owned()] }),
        };
        parts.insert(reference.key, reference.pin, lead);
    }
    parts
}

/// The first of the definitions with the others as its parts.
fn together(stored: &[Value]) -> Result<Effective, DocumentError> {
    effective(&stored[0], &parts(stored), &Limits::default())
}

fn html_of(stored: &[Value], data: &Value) -> String {
    let effective = together(stored).unwrap_or_else(|error| panic!("{:#?}", error.issues()));
    effective.compile(&Limits::default()).unwrap_or_else(|error| panic!("{:#?}\n{:#}", error.issues(), effective.definition));
    written(&effective.definition, data).html
}

/// Every problem, as `pointer [code]: message`.
fn refusals(stored: &[Value]) -> Vec<String> {
    let error = match together(stored) {
        Err(error) => error,
        Ok(effective) => effective.compile(&Limits::default()).expect_err("refused"),
    };
    let told = |issue: &domain::Issue| format!("{} [{}]: {}", issue.path, issue.code.unwrap_or_default(), issue.message);
    error.issues().iter().map(told).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "so that a definition reads as one")]
fn root(children: Value) -> Value {
    json!({"id": "root", "type": "document", "children": children})
}

fn text(id: &str, content: &str) -> Value {
    json!({"id": id, "type": "text", "content": content})
}

#[test]
fn a_tree_takes_its_look_from_a_theme_its_frame_from_a_layout_and_blocks_from_components() {
    let stored = [
        json!({
            "key": "invoice", "name": "Invoice", "theme": "brand", "layout": "letterhead",
            "renderConfig": {"customCss": ".own{}", "orientation": "landscape"},
            "document": root(json!([
                text("one", "Body of {{name}}"),
                {"id": "to", "type": "component", "component": "address", "data": "customer"},
                {"id": "from", "type": "component", "component": "address", "data": {"name": "{{seller}}", "city": "in {{town}}", "lines": 2}},
            ])),
            "slots": {"aside": [text("one-aside", "Aside of {{name}}")]},
        }),
        json!({"key": "brand", "kind": "theme", "name": "Brand", "theme": {"variables": {"brand": "#123456", "gap": 4}, "css": "h1{color:var(--brand)}"},
            "renderConfig": {"paperSize": "A5", "customCss": ".theme{}", "orientation": "portrait"}}),
        json!({"key": "letterhead", "kind": "layout", "name": "Letterhead", "renderConfig": {"customCss": ".layout{}", "locale": "de"},
        "document": root(json!([
            text("one", "Head"),
            {"id": "main", "type": "slot"},
            {"id": "aside", "type": "slot", "name": "aside", "children": [text("x", "nothing aside")]},
            {"id": "foot", "type": "slot", "name": "foot", "children": [text("y", "Foot for {{name}}")]},
        ]))}),
        json!({"key": "address", "kind": "component", "name": "Address", "renderConfig": {"customCss": ".address{}"},
            "document": root(json!([text("one", "<{{name}}|{{city}}|{{lines}}|{{../name}}|{{@root.name}}>")]))}),
    ];
    let html = html_of(&stored, &json!({"name": "N", "seller": "S", "town": "T", "customer": {"name": "C", "city": "X"}}));
    let body = &html[html.find("<body").unwrap()..];
    let shown = ["Head", "Body of N", "&lt;C|X|||N&gt;", "&lt;S|in T|2||N&gt;", "Aside of N", "Foot for N"];
    let places: Vec<_> = shown.iter().map(|text| body.find(text).unwrap_or_else(|| panic!("{text} is not in {body}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(!body.contains("nothing aside"));
    let css = [":root{--brand:#123456;--gap:4;}", "h1{color:var(--brand)}", ".theme{}", ".layout{}", ".address{}", ".own{}"];
    let places: Vec<_> = css.iter().map(|css| html.find(css).unwrap_or_else(|| panic!("{css} is not in {html}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(html.contains("lang=\"de\"") && html.contains("210mm 148mm"), "{}", &html[..600]);
    let used: Vec<_> = together(&stored).unwrap().parts.iter().map(ToString::to_string).collect();
    assert_eq!(used, ["layout \"letterhead\" 1.0.0", "theme \"brand\" 1.0.0", "component \"address\" 1.0.0"]);
}

#[test]
fn html_takes_partials_and_fills_the_slots_of_an_html_layout() {
    let stored = [
        json!({
            "key": "letter", "name": "Letter", "theme": "brand", "layout": "frame", "css": "p{color:{{colour}} }",
            "components": {"who": "person"},
            "html": "<p>Dear {{> who customer title=\"Ms\"}}</p>",
            "slots": {"aside": "<i>{{> who seller}}</i>"},
        }),
        json!({"key": "brand", "kind": "theme", "name": "B", "theme": {"variables": {"brand": "red"}, "css": ".a{{"}}),
        json!({"key": "frame", "kind": "layout", "name": "F", "css": ".frame{}", "components": {"who": "stamp"},
            "html": "<header>{{> who}}</header>\n    <slot></slot>\n<aside><slot name=\"aside\">none</slot></aside><slot name='end'>End of {{n}}</slot>"}),
        json!({"key": "person", "kind": "component", "name": "P", "css": ".person{}", "components": {"bold": "strong"}, "html": "{{title}} {{> bold}}"}),
        json!({"key": "strong", "kind": "component", "name": "S", "html": "<b>{{name}}{{@root.n}}</b>"}),
        json!({"key": "stamp", "kind": "component", "name": "S", "html": "Stamp"}),
    ];
    let html = html_of(&stored, &json!({"n": 7, "colour": "blue", "customer": {"name": "C"}, "seller": {"name": "<S>"}}));
    let body = "<header>Stamp</header>\n    <p>Dear Ms <b>C7</b></p>\n<aside><i> <b>&lt;S&gt;7</b></i></aside>End of 7";
    assert!(html.contains(body), "{html}");
    let css = [":root{--brand:red;}", ".a{ {", ".frame{}", ".person{}", "p{color:blue }"];
    let places: Vec<_> = css.iter().map(|css| html.find(css).unwrap_or_else(|| panic!("{css} is not in {html}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn what_was_put_together_is_a_definition_of_its_own() {
    let stored = [
        json!({"key": "a", "name": "A", "theme": "t", "layout": "l", "components": {"c": "c"}, "html": "{{> c}}"}),
        json!({"key": "t", "kind": "theme", "name": "T", "theme": {"css": "b{}"}}),
        json!({"key": "l", "kind": "layout", "name": "L", "html": "[<slot></slot>]"}),
        json!({"key": "c", "kind": "component", "name": "C", "html": "{{x}}"}),
    ];
    let once = together(&stored).unwrap().definition;
    assert_eq!(template_references(&once), []);
    let twice = effective(&once, &Parts::default(), &Limits::default()).unwrap().definition;
    assert!(written(&twice, &json!({"x": 1})).html.contains("[1]"), "{twice:#}");
    let paths: Vec<_> = crate::compile(&once).bindings().bindings.into_iter().map(|one| (one.path, one.breadcrumb)).collect();
    assert_eq!(paths, [("x".to_owned(), "HTML > c".to_owned())]);
}

#[test]
fn a_reference_that_leads_nowhere_or_to_another_kind_is_refused_where_it_stands() {
    let body = root(json!([{"id": "c", "type": "component", "component": "doc"}]));
    let stored = [
        json!({"key": "a", "name": "A", "theme": "naer", "layout": {"key": "doc", "version": "1.0.0"}, "document": body}),
        json!({"key": "doc", "name": "D", "document": root(json!([]))}),
    ];
    assert_eq!(
        refusals(&stored),
        [
            "/layout [template_kind_mismatch]: \"doc\" is a document, and a layout is wanted here",
            "/theme [theme_not_found]: there is no template \"naer\"; did you mean \"near\"?",
            "/document/children/0/component [template_kind_mismatch]: \"doc\" is a document, and a component is wanted here",
        ]
    );
    for (definition, wanted) in [
        (json!({"html": "x", "layout": 7}), "/layout []: \"layout\" is 7; accepted: the key of a template as text"),
        (
            json!({"html": "x", "theme": {"key": "t", "label": "a", "version": "1.0.0"}}),
            "/theme []: \"theme\" is an object; \"version\" and \"label\" exclude",
        ),
        (json!({"html": "x", "components": {"a b": "near"}}), "/components/a b []"),
        (json!({"html": "{{> near}}"}), "/html [template_expression_error]: \"html\", line 1, column 1: `{{> near}}` names no component"),
        (json!({"html": "x", "slots": {}}), "/slots []: \"slots\" fill a layout"),
        (json!({"kind": "component", "html": "x", "theme": "near"}), "/theme []: a component takes no theme"),
        (json!({"kind": "layout", "html": "x", "layout": "near"}), "/layout []: a layout takes no layout"),
        (json!({"kind": "layout", "html": "x"}), "/html []: a layout has a slot for the content"),
        (json!({"kind": "layout", "document": root(json!([]))}), "/document/children []: a layout has a slot for the content"),
        (json!({"document": root(json!([{"id": "s", "type": "slot"}]))}), "/document/children/0/type []: Slot 1: a document has no slots"),
        (json!({"document": root(json!([])), "components": {}}), "/components []: \"components\" are for \"html\""),
        (
            json!({"document": root(json!([{"id": "c", "type": "component"}]))}),
            "/document/children/0 []: Component 1: \"component\" is missing",
        ),
        (json!({"kind": "theme", "theme": {"variables": {"a": "x;y"}}}), "/theme/variables/a []: the variable \"a\" could end"),
        (json!({"kind": "theme", "theme": {}, "html": "x"}), "/html []: \"html\" does not go with the other properties given"),
    ] {
        let near = json!({"key": "near", "kind": "component", "name": "N", "html": "n"});
        let said = refusals(&[definition.clone(), near]);
        assert!(said.iter().any(|line| line.starts_with(wanted)), "{definition}\nwanted {wanted}\nfound {said:#?}");
    }
}

#[test]
fn html_and_trees_do_not_go_into_each_other() {
    let tree = |kind: &str| json!({"key": "t", "kind": kind, "name": "T", "document": root(json!([{"id": "m", "type": "slot"}]))});
    let html = |kind: &str| json!({"key": "h", "kind": kind, "name": "H", "html": "<slot></slot>"});
    let component = |key: &str| root(json!([{"id": "c", "type": "component", "component": key}]));
    for (definition, part, wanted) in [
        (json!({"html": "x", "layout": "t"}), tree("layout"), "the layout \"t\" 1.0.0 is a tree of blocks, and this template is HTML"),
        (
            json!({"document": root(json!([])), "layout": "h"}),
            html("layout"),
            "the layout \"h\" 1.0.0 is HTML, and this template is a tree of blocks",
        ),
        (
            json!({"html": "x", "components": {"c": "t"}}),
            tree("component"),
            "the component \"t\" is a tree of blocks, and this template is HTML",
        ),
        (json!({"document": component("h")}), html("component"), "the component \"h\" is HTML, and this template is a tree of blocks"),
    ] {
        let said = refusals(&[definition, part]);
        assert!(said[0].contains("[template_kind_mismatch]") && said[0].ends_with(wanted), "{said:#?}");
    }
}

#[test]
fn what_fills_slots_that_a_layout_lacks_is_refused_with_those_it_has() {
    let layout = json!({"key": "l", "kind": "layout", "name": "L", "html": "<slot></slot><slot name=\"aside\"></slot>"});
    let said = refusals(&[json!({"html": "x", "layout": "l", "slots": {"asid": "y", "main": "z"}}), layout]);
    assert!(
        said[0].starts_with("/slots/asid [layout_slot_mismatch]: the layout has no slot \"asid\"; did you mean \"aside\"?"),
        "{said:#?}"
    );
    assert!(said[1].starts_with("/slots/main [layout_slot_mismatch]: the slot \"main\" is filled by"), "{said:#?}");
}

#[test]
fn a_component_in_itself_is_refused_with_the_circle_spelled_out() {
    let uses = |key: &str, other: &str| json!({"key": key, "kind": "component", "name": "C", "document": root(json!([{"id": "c", "type": "component", "component": other}]))});
    let circle = [uses("b", "c"), uses("c", "a"), uses("a", "b")];
    let document = json!({"key": "d", "name": "D", "document": root(json!([{"id": "c", "type": "component", "component": "a"}]))});
    let said = refusals(&[&[document], &circle[..]].concat());
    assert_eq!(
        said,
        [
            "/document/children/0/component [component_cycle]: in component \"c\" 1.0.0, /document/children/0/component: a component cannot be part of itself: a → b → c → a"
        ]
    );
    // Saved itself, it is the beginning of the circle.
    let said = refusals(&circle);
    assert!(said[0].ends_with("a component cannot be part of itself: b → c → a → b"), "{said:#?}");
    let html =
        |key: &str, other: &str| json!({"key": key, "kind": "component", "name": "C", "components": {"o": other}, "html": "{{> o}}"});
    let said = refusals(&[html("a", "b"), html("b", "a")]);
    assert!(said[0].starts_with("/components/o [component_cycle]: in component \"b\" 1.0.0, /components/o:"), "{said:#?}");
}

#[test]
fn components_that_double_each_other_end_at_the_limit_and_not_in_memory() {
    let level = |number: usize, width: usize| {
        let nodes: Vec<_> =
            (0..width).map(|at| json!({"id": at.to_string(), "type": "component", "component": format!("c{}", number + 1)})).collect();
        json!({"key": format!("c{number}"), "kind": "component", "name": "C", "document": root(json!(nodes))})
    };
    let leaf = |number: usize| json!({"key": format!("c{number}"), "kind": "component", "name": "C", "document": root(json!([text("t", &"x".repeat(100_000))]))});
    let started = std::time::Instant::now();
    let mut wide: Vec<_> = (0..6).map(|number| level(number, 100)).collect();
    wide.push(leaf(6));
    let said = refusals(&wide);
    assert!(said.len() == 1 && said[0].contains("the parts together are larger than"), "{said:#?}");
    let mut many: Vec<_> = (0..6).map(|number| level(number, 100)).collect();
    many.push(json!({"key": "c6", "kind": "component", "name": "C", "document": root(json!([]))}));
    let said = refusals(&many);
    assert!(said.len() == 1 && said[0].contains("more than the 20000 nodes accepted"), "{said:#?}");
    let mut deep: Vec<_> = (0..20).map(|number| level(number, 1)).collect();
    deep.push(leaf(20));
    let said = refusals(&deep);
    assert!(said.len() == 1 && said[0].contains("nested deeper than the 8 levels accepted: c0 → c1"), "{said:#?}");
    let names: serde_json::Map<String, Value> = (0..100).map(|at| (format!("n{at}"), json!("d1"))).collect();
    let html = |number: usize| {
        let names: serde_json::Map<String, Value> = names.keys().map(|name| (name.clone(), json!(format!("d{}", number + 1)))).collect();
        json!({"key": format!("d{number}"), "kind": "component", "name": "C", "components": names, "html": "x".repeat(10_000)})
    };
    let mut wide: Vec<_> = (0..6).map(html).collect();
    wide.push(json!({"key": "d6", "kind": "component", "name": "C", "html": "x"}));
    let said = refusals(&wide);
    assert!(said.len() == 1 && said[0].contains("more than the 20000 nodes accepted"), "{said:#?}");
    let many: Vec<_> =
        (0..101).map(|at| json!({"key": format!("p{at}"), "kind": "component", "name": "C", "document": root(json!([]))})).collect();
    let nodes: Vec<_> = (0..101).map(|at| json!({"id": at.to_string(), "type": "component", "component": format!("p{at}")})).collect();
    let said = refusals(&[vec![json!({"key": "all", "name": "A", "document": root(json!(nodes))})], many].concat());
    assert!(said.len() == 1 && said[0].contains("at most 100 parts"), "{said:#?}");
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_mistake_in_a_part_is_told_at_the_reference_with_its_place_in_the_part() {
    let broken = root(json!([text("a", "ok"), {"id": "b", "type": "text", "contnet": "x"}]));
    let tree = [
        json!({"key": "d", "name": "D", "layout": "l", "document": root(json!([text("t", "{{#if}}"), {"id": "c", "type": "component", "component": "c"}]))}),
        json!({"key": "l", "kind": "layout", "name": "L", "renderConfig": {"orientation": "round"}, "document": root(json!([{"id": "m", "type": "slot"}, {"id": "n", "type": "nix"}]))}),
        json!({"key": "c", "kind": "component", "name": "C", "document": broken}),
    ];
    let said = refusals(&tree).join("\n");
    for wanted in [
        "/document/children/0/content [template_expression_error]: ",
        "/document/children/1/component []: in component \"c\" 1.0.0, /document/children/1/contnet: ",
        "/layout []: in layout \"l\" 1.0.0, /document/children/1/type: ",
        "/layout []: in layout \"l\" 1.0.0, /renderConfig/orientation: ",
    ] {
        assert!(said.lines().any(|line| line.starts_with(wanted)), "wanted {wanted}\nfound {said}");
    }
    let html = [
        json!({"key": "d", "name": "D", "layout": "l", "components": {"x": "c"}, "html": "{{/if}}"}),
        json!({"key": "l", "kind": "layout", "name": "L", "html": "<slot></slot>{{nope x}}{{/each}}"}),
        json!({"key": "c", "kind": "component", "name": "C", "css": "{{#if}}", "html": "{{#each}}"}),
    ];
    let said = refusals(&html).join("\n");
    for wanted in [
        "/html [template_expression_error]: ",
        "/layout [template_expression_error]: in layout \"l\" 1.0.0, /html: ",
        "/components/x [template_expression_error]: in component \"c\" 1.0.0, /html: ",
        "/components/x [template_expression_error]: in component \"c\" 1.0.0, /css: ",
    ] {
        assert!(said.lines().any(|line| line.starts_with(wanted)), "wanted {wanted}\nfound {said}");
    }
}
