//! The helpers: what `docs/expressions.md` says of them, and what they say to wrong arguments.

use std::time::Instant;

use expressions::{Budget, BudgetKind, ExpressionError, Limits, Missing, Run, Scope, Template};
use proptest::prelude::*;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/expressions.md");

fn render(source: &str, data: &Value) -> Result<String, ExpressionError> {
    let template = Template::parse(source, &Limits::default())?;
    let mut out = String::new();
    template.render(&Scope::root(data), &mut Run::new(Budget::default()), &mut out)?;
    Ok(out)
}

fn refusal(source: &str, data: &Value) -> String {
    render(source, data).expect_err(source).to_string()
}

/// The cells of a line of a table, as they are meant.
fn cells(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("| `").filter(|line| line.contains("{{"))?.strip_suffix("` |")?;
    let (template, gives) = line.split_once("` | `")?;
    Some((template.replace("\\|", "|"), gives.to_owned()))
}

#[test]
fn every_line_of_the_manual_page_gives_what_it_says() {
    let json = PAGE.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the data");
    let data: Value = serde_json::from_str(json).expect("JSON");
    let lines: Vec<_> = PAGE.lines().filter_map(cells).collect();
    let wrong = lines.iter().filter_map(|(template, gives)| match render(template, &data) {
        Ok(text) if text == *gives => None,
        other => Some(format!("{template}\n  is said to give {gives:?}\n  and gives       {other:?}")),
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines.len() >= 74, "{} lines were found", lines.len());
    let (page, _) = PAGE.split_once("## Differences").expect("the last table is of another form");
    let unread: Vec<&str> = page.lines().filter(|line| line.starts_with("| `{{") && cells(line).is_none()).collect();
    assert!(unread.is_empty(), "not of the form | `template` | `text` |: {unread:#?}");
}

#[test]
fn every_block_of_the_manual_page_is_rendered() {
    let fences: Vec<&str> = PAGE.split("\n```").skip(1).step_by(2).collect();
    assert!(fences.len() > 1 && fences[0].starts_with("json\n"), "{fences:?}");
    for fence in &fences[1..] {
        let source = fence.strip_prefix("handlebars\n").unwrap_or_else(|| panic!("a block that is not run: {fence}"));
        let data = json!({"shipment": {"sscc": "00340123450000000018"}, "payment": {"text": "BCD\n002"}});
        assert_eq!(render(source, &data).unwrap().matches("<svg").count(), source.lines().count(), "{source}");
    }
}

#[test]
fn what_the_manual_page_says_is_refused_when_parsing_is_and_the_rest_of_its_differences_is_not() {
    let (_, rows) = PAGE.split_once("## Differences").expect("the section");
    let mut refused = 0;
    for row in rows.lines().filter(|line| line.starts_with("| `")) {
        let row = row.replace("\\|", "\u{1f}");
        let columns: Vec<String> = row.split('|').map(|column| column.replace('\u{1f}', "|")).collect();
        let [_, templates, _, here, ..] = &columns[..] else { panic!("{row}") };
        for source in templates.split('`').skip(1).step_by(2).filter(|source| source.contains("{{")) {
            let is_refused = Template::parse(source, &Limits::default()).is_err();
            let said = here.contains("refused when parsing") || here.contains("found when parsing");
            assert!(is_refused == said, "{source} is said to be{here}");
            refused += usize::from(is_refused);
        }
    }
    assert!(refused > 5, "{refused} of the table are refused");
}

#[test]
fn who_gives_something_else_is_told_what_and_where() {
    let data = json!({"word": "abc", "lines": [{"price": 1}, {"price": "free"}], "who": {"name": "Ada"}});
    for (source, said) in [
        ("{{add word 1}}", "`add` needs a number of up to 28 digits as its 1st argument, not a text (line 1, column 3)"),
        ("a\n{{round 1 word}}", "`round` needs a number of up to 28 digits as its 2nd argument, not a text (line 2, column 3)"),
        ("{{round 1 2.5}}", "`round` takes a whole number of digits from 0 to 20 as its 2nd argument (line 1, column 3)"),
        ("{{divide 1 0}}", "`divide` cannot divide by 0 (line 1, column 3)"),
        ("{{multiply 10000000000000000000 10000000000000000000}}", "`multiply` gives a number of more than 28 digits (line 1, column 3)"),
        ("{{sum lines \"price\"}}", "`sum` adds numbers of up to 28 digits, and [1].price of the list is a text (line 1, column 3)"),
        ("{{sum who}}", "`sum` needs a list as its 1st argument, not an object (line 1, column 3)"),
        (
            "{{sum lines price}}",
            "`sum` needs the name of a field in quotes as its 2nd argument, not something that is not there (line 1, column 3)",
        ),
        (
            "{{#if (gt word 1)}}{{/if}}",
            "`gt` compares numbers with numbers and texts with texts, not a text with a number (line 1, column 7)",
        ),
        ("{{in 1 2}}", "`in` looks in a list, or for a text in a text, not at a number and a number (line 1, column 3)"),
        ("{{upper who}}", "`upper` needs a text as its 1st argument, not an object (line 1, column 3)"),
        ("{{truncate word -1}}", "`truncate` needs a whole number of characters as its 2nd argument (line 1, column 3)"),
        ("{{sort lines order=\"up\"}}", "`sort` takes order=\"asc\" or order=\"desc\" (line 1, column 3)"),
        (
            "{{filter lines \"price\" \"over\" 1}}",
            "`filter` knows no comparison of that name; accepted: eq, ne, lt, lte, gt, gte, in, contains (line 1, column 3)",
        ),
        ("{{eq 1}}", "`eq` takes exactly 2 arguments, not 1 (line 1, column 3)"),
        ("{{uper word}}", "`uper` is given arguments but is not a helper; did you mean `upper`? (line 1, column 3)"),
    ] {
        assert_eq!(refusal(source, &data), said, "{source}");
    }
}

#[test]
fn fields_that_are_called_like_helpers_are_printed_as_ever() {
    let data = json!({"count": 7, "sum": "S", "filter": [{"min": 1}, {"min": 2}], "items": [{"default": "d"}]});
    for (source, gives) in [
        ("{{count}} {{sum}} {{this.count}}", "7 S 7"),
        ("{{#filter}}{{min}}{{/filter}}", "12"),
        ("{{#each items}}{{default}}{{/each}}", "d"),
        ("{{#if count}}{{count filter}}{{/if}}", "2"),
    ] {
        assert_eq!(render(source, &data).as_deref(), Ok(gives), "{source}");
    }
}

#[test]
fn what_is_missing_in_a_reckoning_is_reported_or_refused() {
    let (template, data) = (Template::parse("{{add a b}}", &Limits::default()).unwrap(), json!({"a": 1}));
    let mut run = Run::new(Budget::default());
    let mut out = String::new();
    template.render(&Scope::root(&data), &mut run, &mut out).unwrap();
    assert_eq!((out.as_str(), run.findings()[0].path.as_str()), ("", "b"));
    let refused = template.render(&Scope::root(&data), &mut Run::new(Budget::default()).with_missing(Missing::Strict), &mut out);
    assert_eq!(refused.unwrap_err().to_string(), "`b` is not in the data (line 1, column 9)");
}

#[test]
fn lists_in_lists_in_loops_end_by_their_budget_and_soon() {
    let items: Vec<Value> = (0..3_000).map(|n| json!({"a": n % 7, "b": "x".repeat(50), "c": [n, n, n]})).collect();
    let data = json!({"items": items});
    for source in [
        "{{#each items}}{{#each (sort @root.items \"a\")}}{{a}}{{/each}}{{/each}}",
        "{{#each items}}{{count (filter (filter @root.items \"b\") \"a\" 3)}}{{/each}}",
        "{{#each items}}{{#each (groupBy @root.items \"b\")}}{{key}}{{/each}}{{/each}}",
        "{{#each items}}{{join @root.items \",\" \"b\"}}{{/each}}",
        "{{#each items}}{{sum @root.items \"a\"}}{{/each}}",
        "{{#each items}}{{#if (eq @root.items ../items)}}{{/if}}{{/each}}",
    ] {
        let began = Instant::now();
        let refused = render(source, &data).expect_err(source);
        assert!(
            matches!(refused, ExpressionError::Budget { which: BudgetKind::Steps | BudgetKind::OutputBytes, .. }),
            "{source}: {refused}"
        );
        assert!(began.elapsed().as_secs() < 10, "{source}: {:?}", began.elapsed());
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[-+0-9.e]{0,40}".prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::vec(("[abc]", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

const HELPERS: &[&str] = &[
    "eq",
    "ne",
    "lt",
    "lte",
    "gt",
    "gte",
    "in",
    "contains",
    "and",
    "or",
    "not",
    "default",
    "add",
    "subtract",
    "multiply",
    "divide",
    "modulo",
    "round",
    "floor",
    "ceil",
    "abs",
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "sort",
    "filter",
    "groupBy",
    "join",
    "upper",
    "lower",
    "capitalize",
    "trim",
    "truncate",
    "number",
    "percent",
    "currency",
    "date",
    "formatAddress",
    "markdown",
    "qr",
    "barcode",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn no_helper_panics_whatever_it_is_given(x in anything(), y in anything(), helper in 0..HELPERS.len(), count in 1..4_usize, quoted in any::<bool>()) {
        let arguments = ["x", if quoted { "\"a\"" } else { "y" }, "y", "x"][..count].join(" ");
        let name = HELPERS[helper];
        let data = json!({"x": x, "y": y});
        for source in [format!("{{{{{name} {arguments}}}}}"), format!("{{{{#each ({name} {arguments})}}}}{{{{.}}}}{{{{/each}}}}")] {
            match render(&source, &data) {
                Ok(_) | Err(ExpressionError::MarkupInText { .. } | ExpressionError::Arguments { .. } | ExpressionError::Depth { .. }) => {}
                Err(other) => prop_assert!(false, "{source}: {other}"),
            }
        }
    }
}
