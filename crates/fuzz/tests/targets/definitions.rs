//! Definitions: the reader of trees and HTML, and the writer of what it lets through.

use document::{Bindings, Compiled, Input, Limits, write_html};
use domain::options::RenderOptions;
use fuzz::{changed, search, text};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../../docs/template-format.md");
const WORDS: [&str; 22] = [
    "null",
    "true",
    "-1",
    "1e400",
    "[]",
    "{}",
    "\"\"",
    "[[[[",
    "{\"id\":1}",
    "{{#each lines}}",
    "{{/each}}",
    "{{",
    "}}",
    "\"type\":",
    "\"text\"",
    "\"table\"",
    "\"children\"",
    "\"style\"",
    "\"columns\":[{}]",
    "<script>",
    ",",
    ":",
];
/// What no template here holds: seen as it is, it came from data.
const HOSTILE: &str = "<q9 onx=\"'`>&</style><!--{{x}}";

/// The examples of the manual, as the JSON text of definitions.
fn seeds() -> Vec<String> {
    let examples = PAGE.split("```json ").skip(1).filter_map(|rest| rest.split_once("```")?.0.split_once('\n'));
    let tree = |node: &str| format!("{{\"document\": {{\"id\": \"root\", \"type\": \"document\", \"children\": [{node}]}}}}");
    let seed = |(kind, source): (&str, &str)| match kind {
        "node" => Some(tree(source)),
        "definition" => Some(source.to_owned()),
        _ => None,
    };
    examples.filter_map(seed).collect()
}

/// Any value, most of them of the kinds that properties take.
fn value(random: &mut fuzz::arbitrary::Unstructured<'_>, depth: usize) -> fuzz::arbitrary::Result<Value> {
    Ok(match random.int_in_range(0..=if depth == 0 { 5 } else { 7 })? {
        0 => Value::Null,
        1 => json!(random.arbitrary::<bool>()?),
        2 => json!(random.arbitrary::<f64>()?),
        3 => json!(random.int_in_range(-2..=200)?),
        4 => json!(random.choose(&WORDS)?),
        5 => json!(text(random, 20, "{}#/ab.<\"'()|=@&;:%mpt0123")?),
        6 => (0..random.int_in_range(0..=3)?).map(|_| value(random, depth - 1)).collect::<fuzz::arbitrary::Result<Vec<_>>>()?.into(),
        _ => {
            let names = ["id", "type", "content", "children", "items", "style", "value", "columns", "title", "src"];
            let member =
                |random: &mut fuzz::arbitrary::Unstructured<'_>| Ok(((*random.choose(&names)?).to_owned(), value(random, depth - 1)?));
            let members = (0..random.int_in_range(0..=4)?).map(|_| member(random));
            Value::Object(members.collect::<fuzz::arbitrary::Result<_>>()?)
        }
    })
}

/// Every place of a value, the value itself among them.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| places(item, format!("{at}/{index}"), found)),
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| places(member, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found));
        }
        _ => {}
    }
    found.push(at);
}

/// A definition that differs from a seed in a few places, or whose text does.
fn definition(random: &mut fuzz::arbitrary::Unstructured<'_>, seeds: &[String]) -> fuzz::arbitrary::Result<Option<Value>> {
    let seed = random.choose(seeds)?;
    if random.ratio(1, 4)? {
        return Ok(serde_json::from_str(&changed(random, seed, &WORDS)?).ok());
    }
    let mut definition: Value = serde_json::from_str(seed).expect("the examples of the manual are JSON");
    for _ in 0..random.int_in_range(0..=2)? {
        let mut found = Vec::new();
        places(&definition, String::new(), &mut found);
        let place = definition.pointer_mut(random.choose(&found)?).expect("the place was found in it");
        *place = value(random, 2)?;
    }
    Ok(Some(definition))
}

#[test]
fn a_definition_is_refused_with_its_places_or_written_with_its_data_as_text() {
    let (mut written, mut failed, mut refused) = (0, 0, 0);
    let seeds = seeds();
    assert!(seeds.len() > 25, "{} examples were found", seeds.len());
    let mut limits = Limits::default();
    limits.budget.steps = 50_000;
    let data = json!({"number": HOSTILE, "customer": {"name": HOSTILE, HOSTILE: 1}, "currency": HOSTILE, "paid": true,
        "lines": [{"name": HOSTILE, "kind": HOSTILE, "price": 1, "amount": 2.5, "quantity": 3}, {"name": null, "amount": HOSTILE}]});
    search(|random| {
        let Some(definition) = definition(random, &seeds)? else { return Ok(()) };
        let compiled = match Compiled::compile(&definition, &limits) {
            Ok(compiled) => compiled,
            Err(error) => {
                refused += 1;
                let issues = error.issues();
                assert!(!issues.is_empty() && issues.len() <= limits.issues + 1, "{definition}");
                for issue in issues {
                    assert!(!issue.message.is_empty() && (issue.path.is_empty() || issue.path.starts_with('/')), "{definition}: {issue:?}");
                }
                return Ok(());
            }
        };
        let input = Input {
            data: &data,
            fixed_data: None,
            options: &RenderOptions::default(),
            now: "2026-11-22T08:00:00Z".parse().expect("a moment"),
            bindings: Bindings::Lenient,
            cancelled: None,
            assets: None,
        };
        match write_html(&compiled, &input, &limits) {
            Ok(document) => {
                written += 1;
                let is_raw = definition.to_string().contains("{{{") || definition.to_string().contains("{{&");
                assert!(is_raw || !document.html.contains("<q9"), "{definition} gave {}", document.html);
            }
            Err(error) => {
                failed += 1;
                assert!(!error.to_string().is_empty(), "{definition}");
            }
        }
        let _ = (compiled.bindings(), compiled.sample_data());
        Ok(())
    });
    assert!(written > 50 && refused > 50 && failed > 0, "{written} written, {failed} failed, {refused} refused");
}
