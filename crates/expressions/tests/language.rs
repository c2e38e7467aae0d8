//! What the crate offers beyond rendering like handlebars.js: expressions, scopes of the caller, used paths.

use expressions::{Budget, Escape, Expression, Limits, Run, Scope, Template};
use serde_json::{Value, json};

fn evaluate(source: &str, data: &Value) -> Option<Value> {
    let value = Expression::parse(source, &Limits::default()).expect("the expression parses");
    let scope = Scope::root(data);
    let result = value.evaluate(&scope, &mut Run::new(Budget::default())).expect("the expression evaluates");
    result.into_value().map(std::borrow::Cow::into_owned)
}

fn render_in(source: &str, scope: &Scope<'_>) -> String {
    let template = Template::parse(source, &Limits::default()).expect("the template parses");
    let mut out = String::new();
    template.render(scope, &mut Run::new(Budget::default()), &mut out).expect("the template renders");
    out
}

#[test]
fn a_lone_expression_is_a_literal_a_path_or_a_call() {
    let data = json!({"order": {"items": [1, 2]}, "a": {"b": "c"}, "if": 7, "x": {"true": 1}});
    let cases = [
        ("order.items", Some(json!([1, 2]))),
        (" order.items.1 ", Some(json!(2))),
        ("order.items.length", Some(json!(2))),
        ("(lookup a 'b')", Some(json!("c"))),
        ("lookup a \"b\"", Some(json!("c"))),
        ("lookup (lookup this 'order') 'items'", Some(json!([1, 2]))),
        ("'text'", Some(json!("text"))),
        ("-1.5", Some(json!(-1.5))),
        ("true", Some(json!(true))),
        ("null", Some(Value::Null)),
        ("undefined", None),
        ("missing.deep", None),
        ("if", Some(json!(7))),
        ("x.true", Some(json!(1))),
        ("this", Some(data.clone())),
        ("@root.a.b", Some(json!("c"))),
    ];
    for (source, expected) in cases {
        assert_eq!(evaluate(source, &data), expected, "{source}");
    }
}

#[test]
fn scopes_made_by_the_caller_act_like_blocks() {
    let data = json!({"title": "T", "items": [{"n": "a"}, {"n": "b"}], "map": {"k": 5}});
    let root = Scope::root(&data);
    let section = root.child(&data["items"]);
    let item = section.item(&data["items"][1], 1, 2, None, Some("line"));
    let source = "{{n}} {{line.n}} {{@index}} {{@key}} {{@first}} {{@last}} {{../length}} {{../../title}} {{@root.title}}";
    assert_eq!(render_in(source, &item), "b b 1 1 false true 2 T T");
    assert_eq!(render_in("{{#with @root.map}}{{line.n}}{{k}}{{/with}}", &item), "b5");
    let entry = root.item(&data["map"]["k"], 0, 1, Some("k"), None);
    assert_eq!(render_in("{{@key}}={{.}}{{#each ../items}}{{@../key}}{{n}}{{/each}}", &entry), "k=5kakb");
}

#[test]
fn plain_text_is_not_escaped() {
    let data = json!({"a": "<&>"});
    let template = Template::parse("{{a}}", &Limits::default()).unwrap();
    let mut out = String::new();
    template.render(&Scope::root(&data), &mut Run::new(Budget::default()).with_escape(Escape::None), &mut out).unwrap();
    assert_eq!(out, "<&>");
}

#[test]
fn a_template_without_expressions_is_literal() {
    for (source, literal) in
        [("", true), ("plain", true), ("\\{{a}}", true), ("a{{! c }}", true), ("{{a}}", false), ("{{#if a}}{{/if}}", false)]
    {
        assert_eq!(Template::parse(source, &Limits::default()).unwrap().is_literal(), literal, "{source}");
    }
}

#[test]
fn used_paths_are_made_absolute_where_the_blocks_tell() {
    let source = "{{title}}{{#each order.items as |item|}}{{name}}{{item.price}}{{../title}}{{@root.vat}}{{@index}}\n\
        {{#if done}}{{this.date}}{{/if}}{{#each parts}}{{.}}{{../name}}{{item.id}}{{/each}}{{else}}{{empty}}{{/each}}\
        {{#with customer}}{{name}}{{lookup @root.names id}}{{/with}}{{#block}}{{inner}}{{/block}}{{items.[0].x}}{{../up}}";
    let paths = Template::parse(source, &Limits::default()).unwrap().used_paths();
    let listed: Vec<(&str, bool)> = paths.iter().map(|used| (used.path.as_str(), used.absolute)).collect();
    let expected = [
        ("title", true),
        ("order.items", true),
        ("order.items[].name", true),
        ("order.items[].price", true),
        ("title", true),
        ("vat", true),
        ("order.items[].done", true),
        ("order.items[].date", true),
        ("order.items[].parts", true),
        ("order.items[].parts[]", true),
        ("order.items[].name", true),
        ("order.items[].id", true),
        ("empty", true),
        ("customer", true),
        ("customer.name", true),
        ("names", true),
        ("customer.id", true),
        ("block", true),
        ("inner", false),
        ("items[0].x", true),
        ("../up", false),
    ];
    assert_eq!(listed, expected);
    let date = &paths[7];
    assert_eq!((date.written.as_str(), date.at.line, date.at.column, date.length_bytes), ("this.date", 2, 15, 9));
    let lone = Expression::parse("lookup a.b 'c'", &Limits::default()).unwrap().used_paths();
    assert_eq!(lone.iter().map(|used| used.path.as_str()).collect::<Vec<_>>(), ["a.b"]);
}

#[test]
fn a_template_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Template>();
    shared::<Expression>();
    shared::<Scope<'_>>();
}
