//! Templates: the lexer, the parser, the evaluator and every helper, with data that tries to become markup.

use expressions::{Budget, Escape, ExpressionError, Language, Limits, Regional, Run, Scope, Template};
use fuzz::{changed, search, text};
use serde_json::{Value, json};

const SEEDS: [&str; 14] = [
    "{{#each lines}}{{@index}} {{name}}{{#unless @last}}, {{/unless}}{{else}}none{{/each}}",
    "{{#with a as |b|}}{{b.c}} {{../x}} {{@root.x}}{{/with}}{{{{raw}}}} {{x}} {{{{/raw}}}}",
    "{{#if (and (gt (count lines) 1) (not paid))}}{{~x~}}{{else if x}}{{x}}{{^}}y{{/if}}",
    "{{number x decimals=2 locale=\"de-CH\"}} {{percent x sign=\"always\"}} {{currency x \"EUR\" display=\"name\"}}",
    "{{date day \"EEEE d. MMMM yyyy 'at' HH:mm xxx\" zone=\"Asia/Tokyo\"}} {{date day \"full\" time=\"short\"}} {{date \"now\"}}",
    "{{formatAddress a separator=\", \" home=\"DE\"}} {{join (sort lines \"name\") \" \" \"name\"}}",
    "{{sum lines \"price\"}} {{round (divide (avg lines \"price\") 3) 2}} {{max lines \"price\"}}",
    "{{#each (groupBy (filter lines \"price\" \"gt\" 1) \"name\")}}{{key}}{{#each items}}{{name}}{{/each}}{{/each}}",
    "{{truncate (upper x) 5 \".\"}} {{default nothing x}} {{lookup a \"c\"}} {{lines.[0].[name]}} {{trim x}}",
    "{{markdown x inline=true}} {{qr x size=20}} {{barcode x \"code128\" text=false}}",
    "a style=\"{{x}}\" {{!-- no }} --}} {{! no }} \\{{x}} \\\\{{x}}",
    "{{> none}} {{#> none}}{{/none}} {{* x}} {{helper x y=z}}",
    "{{capitalize x}}{{in \"a\" lines}}{{contains x \"<\"}}{{modulo 7 x}}{{abs x}}{{eq x 1}}",
    "{{#eq x \"1\"}}{{x}}{{/eq}}{{#lines}}{{.}}{{/lines}}{{^lines}}-{{/lines}}",
];
const WORDS: [&str; 24] = [
    "{{",
    "}}",
    "{{#each lines}}",
    "{{/each}}",
    "{{else}}",
    "{{~",
    "~}}",
    "(",
    ")",
    "as |x|",
    "\"",
    "'",
    "=",
    "../",
    "@root.",
    "this",
    "[",
    "]",
    "9e999",
    "-1",
    "locale=",
    "{{x}}",
    "decimals=20",
    "lines",
];

fn value(random: &mut fuzz::arbitrary::Unstructured<'_>) -> fuzz::arbitrary::Result<Value> {
    Ok(match random.int_in_range(0..=6)? {
        0 => json!(random.arbitrary::<i64>()?),
        1 => json!(random.arbitrary::<f64>()?),
        2 => json!(text(random, 12, "0123456789.-+eE")?),
        3 => json!(["2026-12-01", "2026-12-01T23:59:60Z", "0001-01-01", "9999-12-31T23:59:59-12:00", "now"][random.choose_index(5)?]),
        4 => json!(null),
        _ => json!(text(random, 20, "<>\"'&`=*[]()!|#\n\\ aé😀\u{200f}")?),
    })
}

#[test]
fn a_template_ends_within_its_budget_with_text_or_a_place_and_its_data_stays_text() {
    let (mut rendered, mut unparsed, mut refused) = (0, 0, 0);
    search(|random| {
        let seed = *random.choose(&SEEDS)?;
        let source = if random.ratio(1, 4)? { seed.to_owned() } else { changed(random, seed, &WORDS)? };
        let lines: Vec<Value> = (0..random.int_in_range(0..=3)?)
            .map(|_| Ok(json!({"name": value(random)?, "price": value(random)?})))
            .collect::<fuzz::arbitrary::Result<_>>()?;
        let data = json!({"x": value(random)?, "day": value(random)?, "lines": lines, "a": {"c": value(random)?, "name": value(random)?, "city": value(random)?}});
        let template = match Template::parse(&source, &Limits::default()) {
            Ok(template) => template,
            Err(error) => {
                unparsed += 1;
                assert!(error.line() >= 1 && error.column() >= 1, "{error}");
                return Ok(());
            }
        };
        let now = "2026-11-22T08:00:00Z".parse().ok();
        let tag = *random.choose(&["en-US", "de-CH", "ar-EG", "ja", "he"])?;
        let regional = Regional { now, numbers: Language::nearest(tag), dates: Language::nearest(tag), ..Regional::default() };
        let budget = Budget { steps: 20_000, output_bytes: 60_000, ..Budget::default() };
        let mut run = Run::new(budget).with_escape(Escape::Html).with_regional(regional);
        let mut out = String::new();
        match template.render(&Scope::root(&data), &mut run, &mut out) {
            Ok(()) => {
                rendered += 1;
                assert!(out.len() <= 60_000 && run.steps_used() <= 20_000);
                // The text of a template is the author's, and so is what is printed as it is, between three braces or by a block.
                let is_plain = !source.contains('<') && !["{{{", "{{&", "{{~&", "{{~{"].iter().any(|raw| source.contains(raw));
                let makes_markup = ["qr", "barcode", "markdown", "formatAddress"].iter().any(|helper| source.contains(helper));
                let has_blocks_of_values = source.contains("{{#") && !SEEDS.contains(&source.as_str());
                if is_plain && !makes_markup && !has_blocks_of_values {
                    assert!(!out.contains('<'), "{source} with {data} gave {out}");
                }
                assert!(!out.contains("<script"), "{source} with {data} gave {out}");
            }
            Err(error) => {
                refused += 1;
                assert!(out.is_empty() && !matches!(error, ExpressionError::Syntax { .. }), "{error}");
            }
        }
        Ok(())
    });
    assert!(rendered > 50 && unparsed > 50 && refused > 20, "{rendered} rendered, {unparsed} not parsed, {refused} refused");
}
