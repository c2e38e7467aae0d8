//! Numbers, amounts and dates by language, and what is said to values and options that are none.

use expressions::{Budget, Escape, ExpressionError, Language, Limits, Regional, Run, Scope, Template};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};

fn render_for(regional: Regional, source: &str, data: &Value) -> Result<String, ExpressionError> {
    let template = Template::parse(source, &Limits::default())?;
    let mut out = String::new();
    let mut run = Run::new(Budget::default()).with_escape(Escape::None).with_regional(regional);
    template.render(&Scope::root(data), &mut run, &mut out)?;
    // Spaces that do not break are all the same to a reader.
    Ok(out.replace(['\u{a0}', '\u{202f}'], " "))
}

fn render(source: &str) -> String {
    render_for(Regional::default(), source, &json!({})).expect(source)
}

fn refusal(source: &str, data: &Value) -> String {
    render_for(Regional::default(), source, data).expect_err(source).message()
}

fn in_language(tag: &str) -> Regional {
    let language = Language::parse(tag).expect(tag);
    Regional { numbers: language.clone(), dates: language, ..Regional::default() }
}

#[test]
fn numbers_are_written_as_each_language_writes_them() {
    for (tag, written) in [
        ("en-US", "1,234,567.5"),
        ("en-IN", "12,34,567.5"),
        ("de", "1.234.567,5"),
        ("de-CH", "1'234'567.5"),
        ("fr", "1 234 567,5"),
        ("es", "1.234.567,5"),
        ("pl", "1 234 567,5"),
        ("ar-EG", "١٬٢٣٤٬٥٦٧٫٥"),
        ("ar-EG-u-nu-latn", "1,234,567.5"),
        ("ja", "1,234,567.5"),
        // Nobody has data of it: the root's.
        ("qqq", "1,234,567.5"),
    ] {
        assert_eq!(render_for(in_language(tag), "{{number 1234567.5}}", &json!({})).as_deref(), Ok(written), "{tag}");
    }
}

#[test]
fn amounts_are_written_as_each_language_writes_them() {
    for (tag, code, written) in [
        ("en-US", "USD", "$1,234.50"),
        ("en-IE", "EUR", "€1,234.50"),
        ("de", "EUR", "1.234,50 €"),
        ("de-AT", "EUR", "€ 1.234,50"),
        ("de-CH", "CHF", "CHF 1'234.50"),
        ("fr", "EUR", "1 234,50 €"),
        ("fr-CH", "CHF", "1'234.50 CHF"),
        ("nl", "EUR", "€ 1.234,50"),
        ("en-GB", "GBP", "£1,234.50"),
        ("ja", "JPY", "￥1,235"),
        ("en-IN", "INR", "₹1,234.50"),
        ("sv", "SEK", "1 234,50 kr"),
        ("pt-BR", "BRL", "R$ 1.234,50"),
    ] {
        let source = format!("{{{{currency 1234.5 \"{code}\"}}}}");
        assert_eq!(render_for(in_language(tag), &source, &json!({})).as_deref(), Ok(written), "{tag}");
    }
}

#[test]
fn halves_are_rounded_away_from_zero_and_nothing_is_lost_before() {
    for (source, written) in [
        ("{{number 0.125 decimals=2}} {{number -0.125 decimals=2}} {{number 1.005 decimals=2}}", "0.13 -0.13 1.01"),
        ("{{number -0.004 decimals=2}} {{currency -0.004 \"EUR\"}} {{percent -0.00001}}", "0.00 €0.00 0%"),
        ("{{currency 1.005 \"EUR\"}} {{currency 2.5 \"JPY\"}} {{currency 1.0005 \"BHD\"}}", "€1.01 ¥3 BHD 1.001"),
        ("{{number \"1234567890123456789012345.678\" maxDecimals=3}}", "1,234,567,890,123,456,789,012,345.678"),
        ("{{percent \"1234567890123456789012345.678\"}}", "123,456,789,012,345,678,901,234,567.8%"),
        ("{{percent 0.08125}} {{percent 0.08125 decimals=3}} {{percent 0.2}} {{percent 2}}", "8.13% 8.125% 20% 200%"),
        ("{{number 0}} {{number 0 decimals=2}} {{number 100}} {{number 0.1 minDecimals=3}}", "0 0.00 100 0.100"),
        ("{{number 1 decimals=20}}", "1.00000000000000000000"),
    ] {
        assert_eq!(render(source), written, "{source}");
    }
}

#[test]
fn an_amount_has_the_digits_symbol_and_sign_that_are_asked_for() {
    for (source, written) in [
        (
            "{{currency 1.5 \"EUR\" decimals=0}} {{currency 1.5 \"JPY\" decimals=2}} {{currency 1.23456 \"EUR\" decimals=4}}",
            "€2 ¥1.50 €1.2346",
        ),
        (
            "{{currency 5 \"EUR\" minDecimals=0}} {{currency 5.25 \"EUR\" minDecimals=0}} {{currency 5.1 \"EUR\" minDecimals=0 maxDecimals=1}}",
            "€5 €5.25 €5.1",
        ),
        ("{{currency 12345 \"USD\" grouping=false}}", "$12345.00"),
        (
            "{{currency 5 \"USD\" sign=\"always\"}} {{currency -5 \"USD\" sign=\"never\"}} {{currency 0 \"USD\" sign=\"exceptZero\"}}",
            "+$5.00 $5.00 $0.00",
        ),
        ("{{currency -5 \"USD\" negative=\"accounting\"}} {{currency 5 \"USD\" negative=\"accounting\"}}", "($5.00) $5.00"),
        ("{{currency -5 \"EUR\" locale=\"de\"}} {{currency -5 \"CHF\" locale=\"de-CH\"}}", "-5,00 € CHF-5.00"),
        ("{{currency 1.5 \"eur\" display=\"code\"}} {{currency 1 \"EUR\" display=\"name\" locale=\"de\"}}", "EUR 1.50 1,00 Euro"),
        ("{{currency -0.02 \"CHF\" rounding=\"cash\"}} {{currency -0.025 \"CHF\" rounding=\"cash\"}}", "CHF 0.00 -CHF 0.05"),
        (
            "{{currency 0.02 \"CHF\" rounding=\"cash\"}} {{currency 0.03 \"CHF\" rounding=\"cash\"}} {{currency 0.03 \"EUR\" rounding=\"cash\"}}",
            "CHF 0.00 CHF 0.05 €0.03",
        ),
        ("{{currency 9 locale=\"de-CH\"}} {{currency 9 locale=\"fr-FR\"}} {{currency 9 locale=\"ja-JP\"}}", "CHF 9.00 9,00 € ￥9"),
        ("{{currency 9 \"XYZ\"}}", "XYZ 9.00"),
    ] {
        assert_eq!(render(source), written, "{source}");
    }
}

#[test]
fn dates_are_written_as_each_language_writes_them() {
    for (tag, written) in [
        ("en-US", "12/1/26 | Dec 1, 2026 | December 1, 2026 | Tuesday, December 1, 2026 | 2:05 PM"),
        ("en-GB", "01/12/2026 | 1 Dec 2026 | 1 December 2026 | Tuesday, 1 December 2026 | 14:05"),
        ("de", "01.12.26 | 01.12.2026 | 1. Dezember 2026 | Dienstag, 1. Dezember 2026 | 14:05"),
        ("fr", "01/12/2026 | 1 déc. 2026 | 1 décembre 2026 | mardi 1 décembre 2026 | 14:05"),
        ("ja", "2026/12/01 | 2026/12/01 | 2026年12月1日 | 2026年12月1日火曜日 | 14:05"),
        ("pl", "01.12.2026 | 1 gru 2026 | 1 grudnia 2026 | wtorek, 1 grudnia 2026 | 14:05"),
    ] {
        let source = "{{date at \"short\"}} | {{date at}} | {{date at \"long\"}} | {{date at \"full\"}} | {{date at \"time\"}}";
        let data = json!({"at": "2026-12-01T14:05:09Z"});
        assert_eq!(render_for(in_language(tag), source, &data).as_deref(), Ok(written), "{tag}");
    }
}

#[test]
fn a_moment_is_put_on_the_clocks_of_the_zone_and_a_date_is_never_moved() {
    let pattern = "\"yyyy-MM-dd HH:mm:ss.SSS\"";
    for (value, zone, written) in [
        (json!("2026-12-01T23:30:00Z"), "Asia/Tokyo", "2026-12-02 08:30:00.000"),
        (json!("2026-12-01T23:30:00.125-05:00"), "UTC", "2026-12-02 04:30:00.125"),
        (json!("2026-07-01T10:00:00Z"), "Europe/Zurich", "2026-07-01 12:00:00.000"),
        (json!("2026-12-01T10:00:00+01:00[Europe/Zurich]"), "America/New_York", "2026-12-01 04:00:00.000"),
        (json!(1_764_547_200_000_i64), "Europe/Zurich", "2025-12-01 01:00:00.000"),
        (json!(-1), "UTC", "1969-12-31 23:59:59.999"),
        // Nobody said where these clocks stand.
        (json!("2026-12-01T14:30"), "Asia/Tokyo", "2026-12-01 14:30:00.000"),
        (json!("2026-12-01 14:30:15"), "Asia/Tokyo", "2026-12-01 14:30:15.000"),
    ] {
        let source = format!("{{{{date at {pattern} zone=\"{zone}\"}}}}");
        assert_eq!(render_for(Regional::default(), &source, &json!({"at": value})).as_deref(), Ok(written), "{value}");
    }
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        let source = format!("{{{{date \"2026-12-01\" \"iso\" zone=\"{zone}\"}}}}");
        assert_eq!(render(&source), "2026-12-01");
    }
}

#[test]
fn zones_of_patterns_are_written_in_all_their_forms() {
    let source = |pattern: &str, zone: &str| format!("{{{{date \"2026-12-01T10:00:00Z\" \"{pattern}\" zone=\"{zone}\"}}}}");
    for (pattern, zone, written) in [
        ("X XX XXX x xx xxx", "UTC", "Z Z Z +00 +0000 +00:00"),
        ("X XX XXX Z ZZZZ ZZZZZ", "Asia/Kolkata", "+0530 +0530 +05:30 +0530 GMT+05:30 +05:30"),
        ("O OOOO z VV", "Europe/Zurich", "GMT+1 GMT+01:00 CET Europe/Zurich"),
        ("O OOOO", "UTC", "GMT GMT"),
        ("O x", "America/St_Johns", "GMT-3:30 -0330"),
        ("'o''clock' h a ''x''", "UTC", "o'clock 10 am '+00'"),
    ] {
        assert_eq!(render(&source(pattern, zone)), written, "{pattern}");
    }
}

#[test]
fn now_is_what_the_run_was_told_and_the_document_says_where() {
    let regional = Regional {
        now: Some("2026-11-22T08:00:00Z".parse().unwrap()),
        time_zone: TimeZone::get("Europe/Zurich").unwrap(),
        ..Regional::default()
    };
    let source = "{{date \"now\" \"iso\" time=\"short\"}} {{date at \"HH:mm\"}}";
    let data = json!({"at": "2026-11-22T08:30:00Z"});
    assert_eq!(render_for(regional, source, &data).as_deref(), Ok("2026-11-22T09:00 09:30"));
    assert_eq!(refusal("{{date \"now\"}}", &data), "`date` is not told here when \"now\" is; give the date as data");
}

#[test]
fn who_gives_a_helper_what_it_cannot_write_is_told_what_it_can() {
    let accepted_dates = "an ISO 8601 date such as \"2026-12-01\" or \"2026-12-01T14:30:00+01:00\", milliseconds since 1970, or \"now\"";
    let data = json!({"word": "abc", "day": "2026-12-01", "list": [1], "nothing": null});
    let not_a_date = |found: &str| format!("`date` needs {accepted_dates} as its 1st argument, not {found}");
    for (source, said) in [
        ("{{date word}}", not_a_date("\"abc\"")),
        ("{{date \"2026-02-30\"}}", not_a_date("\"2026-02-30\"")),
        ("{{date \"20261201\"}}", not_a_date("\"20261201\"")),
        ("{{date \"01.12.2026\"}}", not_a_date("\"01.12.2026\"")),
        ("{{date 1.5}}", not_a_date("1.5")),
        ("{{date list}}", not_a_date("a list")),
        ("{{date \"\"}}", not_a_date("an empty text")),
        ("{{date \"2026-12-01T25:00\"}}", not_a_date("\"2026-12-01T25:00\"")),
        ("{{date day \"HH:mm\"}}", "`date` is asked for a time of day, and the date has none".into()),
        ("{{date day \"short\" time=\"short\"}}", "`date` is asked for a time of day, and the date has none".into()),
        ("{{date day \"xxx\"}}", "`date` is asked for a time zone, and the date has none".into()),
        (
            "{{date day \"DD.MM.YYYY\"}}",
            "`date` knows no `DD` in a pattern; did you mean `dd`? accepted: short, medium, long, full, time, iso, or a pattern of \
             G y M L d E e c a b h H K m s S z Z x X O V and other text in 'quotes'"
                .into(),
        ),
        (
            "{{date day \"fulll\"}}",
            "`date` knows no `f` in a pattern; did you mean \"full\"? accepted: short, medium, long, full, time, iso, or a pattern of \
             G y M L d E e c a b h H K m s S z Z x X O V and other text in 'quotes'"
                .into(),
        ),
        ("{{date day \"dddd\"}}", "`date` cannot read the pattern \"dddd\": some letter stands there too often".into()),
        ("{{date day \"MMM MMMM\"}}", "`date` cannot write one name in two forms, as the pattern \"MMM MMMM\" asks; use two calls".into()),
        ("{{date day \"d 'of\"}}", "`date` is given a pattern with a quote that is not closed".into()),
        ("{{date day zone=\"Mars\"}}", "`date` takes zone= as an IANA name such as \"Europe/Zurich\", not \"Mars\"".into()),
        ("{{date day locale=\"x\"}}", "`date` takes locale= as a BCP 47 tag such as \"de-CH\", not \"x\"".into()),
        ("{{date day time=\"shrt\"}}", "`date` takes time= as \"none\", \"short\", \"medium\", not \"shrt\"".into()),
        ("{{date day zne=\"UTC\"}}", "`date` takes no `zne=`; did you mean `zone=`?".into()),
        ("{{number word}}", "`number` needs a number of up to 28 digits as its 1st argument, not a text".into()),
        ("{{number 1 decimals=21}}", "`number` takes decimals= as a whole number from 0 to 20, not 21".into()),
        ("{{number 1 decimals=2 maxDecimals=3}}", "`number` takes decimals= or minDecimals= and maxDecimals=, not both".into()),
        ("{{number 1 minDecimals=3 maxDecimals=2}}", "`number` is given a minDecimals= above its maxDecimals=".into()),
        ("{{number 1 grouping=\"no\"}}", "`number` takes grouping= as true or false, not \"no\"".into()),
        (
            "{{number 1 currency=\"EUR\"}}",
            "`number` takes no `currency=`; accepted: decimals, minDecimals, maxDecimals, grouping, sign, locale".into(),
        ),
        ("{{currency 1 \"euro\"}}", "`currency` needs an ISO 4217 code such as \"EUR\" as its 2nd argument, not \"euro\"".into()),
        ("{{currency 1 5}}", "`currency` needs an ISO 4217 code such as \"EUR\" as its 2nd argument, not 5".into()),
        ("{{currency 1 locale=\"de\"}}", "`currency` needs the ISO 4217 code of the currency as its 2nd argument, such as \"EUR\"".into()),
        ("{{upper word loud=true}}", "`upper` takes no named argument such as `loud=`".into()),
    ] {
        assert_eq!(refusal(source, &data), said, "{source}");
    }
}

#[test]
fn what_is_missing_is_written_as_nothing() {
    for source in ["{{number no}}", "{{percent no}}", "{{currency no \"EUR\"}}", "{{currency 1 no}}", "{{date no}}", "{{date no \"long\"}}"]
    {
        assert_eq!(render(source), "", "{source}");
    }
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => any::<i64>().prop_map(Value::from),
        2 => (-30_i32..30, any::<i32>()).prop_map(|(power, digits)| Value::from(f64::from(digits) * 10_f64.powi(power))),
        2 => "-?[0-9]{1,29}(\\.[0-9]{0,12})?".prop_map(Value::from),
        2 => "[0-9]{4}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-6][0-9](:[0-9]{2}(\\.[0-9]{1,9})?)?(Z|[+-][0-2][0-9]:[0-6][0-9])?(\\[[A-Za-z/]{0,12}\\])?)?"
            .prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => "\\PC{0,12}".prop_map(Value::from),
        1 => prop::sample::select(vec![json!(null), json!(true), json!([]), json!({"name": "a"}), json!("now"), json!("")]),
    ]
}

fn option() -> impl Strategy<Value = String> {
    let named = [
        ("decimals", "0|2|20|21|x"),
        ("minDecimals", "0|3|20"),
        ("maxDecimals", "0|3|20"),
        ("grouping", "false|true|x"),
        ("sign", "\"always\"|\"never\"|\"exceptZero\"|x"),
        ("locale", "\"de-CH\"|\"ar-EG\"|\"fr\"|\"hi-u-nu-deva\"|\"de-AT\"|\"zz\"|x"),
        ("display", "\"code\"|\"name\"|\"none\"|\"narrow\"|x"),
        ("negative", "\"accounting\"|x"),
        ("rounding", "\"cash\"|x"),
        ("time", "\"short\"|\"medium\"|x"),
        ("zone", "\"Asia/Tokyo\"|\"America/St_Johns\"|x"),
    ];
    prop::sample::select(named.to_vec()).prop_flat_map(|(name, values)| {
        let values: Vec<String> = values.split('|').map(|value| format!(" {name}={value}")).collect();
        prop::sample::select(values)
    })
}

fn pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select("y yy yyyy M MM MMM MMMM L LLLL d dd E EEEE EEEEE c e a b h HH K m ss S SSS G z X XXX xxx Z ZZZZ O OOOO VV . - / : ' ''".split(' ').map(str::to_owned).collect::<Vec<_>>()),
        1 => "[A-Za-z]{1,3}",
        1 => "[^\"{}\\\\]{0,3}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_and_no_option_makes_a_number_or_a_date_panic_or_print_unescaped(
        x in anything(), y in anything(), helper in 0..5_usize, options in prop::collection::vec(option(), 0..3), pattern in pattern()
    ) {
        let call = match helper {
            0 => "number x".to_owned(),
            1 => "percent x".to_owned(),
            2 => "currency x \"EUR\"".to_owned(),
            3 => "currency x y".to_owned(),
            _ => format!("date x \"{pattern}\""),
        };
        let source = format!("{{{{{call}{}}}}}", options.concat());
        let data = json!({"x": x, "y": y});
        // An option of another helper is refused when the template is parsed.
        let Ok(template) = Template::parse(&source, &Limits::default()) else { return Ok(()) };
        let mut out = String::new();
        let now = "2026-11-22T08:00:00Z".parse().ok();
        let mut run = Run::new(Budget::default()).with_regional(Regional { now, ..Regional::default() });
        match template.render(&Scope::root(&data), &mut run, &mut out) {
            Ok(()) => {
                prop_assert!(!out.contains(['<', '>', '"', '\'']), "{}: {}", source, out);
                prop_assert!(out.len() < 600, "{}: {}", source, out);
            }
            Err(ExpressionError::Arguments { .. }) => {}
            Err(other) => prop_assert!(false, "{}: {}", source, other),
        }
    }
}

#[test]
fn what_a_document_wrote_before_changes_nothing_of_what_it_writes_next() {
    let calls = [
        "number 1234.5",
        "number 1234.5 grouping=false",
        "percent 0.125",
        "percent 0.125 sign=\"always\"",
        "percent 12.5 grouping=false",
        "currency 1234.5 \"EUR\"",
        "currency 1234.5 \"USD\"",
        "currency 1234.5 \"JPY\"",
        "currency -1234.5 \"CAD\" display=\"narrow\"",
        "currency -1234.5 \"CAD\" display=\"code\"",
        "currency -1234.5 \"CAD\" display=\"name\"",
        "currency -1234.5 \"CAD\" display=\"none\"",
        "currency -1234.5 \"CAD\" negative=\"accounting\"",
        "currency 1234.56 \"CHF\" rounding=\"cash\"",
        "currency 1234.56 \"CHF\" decimals=1",
        "currency 1 \"EUR\" display=\"name\" decimals=0",
        "currency 1234.5 \"EUR\" grouping=false",
        "date \"2026-12-01T14:30:15\"",
        "date \"2026-12-01T14:30:15\" \"short\"",
        "date \"2026-12-01T14:30:15\" \"full\" time=\"short\"",
        "date \"2026-12-01T14:30:15\" \"full\" time=\"medium\"",
        "date \"2026-12-01T14:30:15\" \"time\"",
    ];
    let calls = ["en-US", "de-CH", "ar-EG", "fr"].map(|tag| calls.map(|call| format!("{{{{{call} locale=\"{tag}\"}}}}")));
    // Each comes after every other one, and there are more than are kept.
    let calls: Vec<String> = calls.iter().flatten().chain(calls.iter().rev().flatten()).cloned().collect();
    let alone: Vec<String> = calls.iter().map(|call| render(call)).collect();
    assert_eq!(render(&calls.join("|")), alone.join("|"));
}
