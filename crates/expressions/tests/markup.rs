//! Markup that helpers make: addresses and markdown, and that nothing of the data in them is more than text.

use std::time::Instant;

use expressions::{Budget, Escape, ExpressionError, Limits, Run, Scope, Template};
use proptest::prelude::*;
use serde_json::{Value, json};

fn render_as(escape: Escape, source: &str, data: &Value) -> Result<String, ExpressionError> {
    let template = Template::parse(source, &Limits::default())?;
    let mut out = String::new();
    template.render(&Scope::root(data), &mut Run::new(Budget::default()).with_escape(escape), &mut out)?;
    Ok(out)
}

fn html(source: &str, data: &Value) -> String {
    render_as(Escape::Html, source, data).expect(source)
}

fn text(source: &str, data: &Value) -> String {
    render_as(Escape::None, source, data).expect(source)
}

fn markdown(source: &str) -> String {
    html("{{markdown text}}", &json!({ "text": source }))
}

#[test]
fn addresses_stand_in_the_order_of_their_country() {
    let address = |street: &str, number: &str, zip: &str, city: &str, state: &str, country: &str| {
        json!({"a": {"name": "Ada Lovelace", "company": "Engines", "street": street, "houseNumber": number, "postalCode": zip, "city": city,
            "state": state, "country": country}})
    };
    for (data, lines) in [
        (
            address("Main Street", "12", "94105", "San Francisco", "CA", "US"),
            "Ada Lovelace/Engines/12 Main Street/San Francisco, CA 94105/United States",
        ),
        (
            address("King Street West", "200", "M5H 3T4", "Toronto", "ON", "CA"),
            "Ada Lovelace/Engines/200 King Street West/Toronto ON  M5H 3T4/Canada",
        ),
        (
            address("Baker Street", "221B", "NW1 6XE", "London", "", "UK"),
            "Ada Lovelace/Engines/221B Baker Street/London/NW1 6XE/United Kingdom",
        ),
        (
            address("Unter den Linden", "5", "10117", "Berlin", "Berlin", "DE"),
            "Engines/Ada Lovelace/Unter den Linden 5/10117 Berlin/Germany",
        ),
        (address("Bahnhofstrasse", "1", "8001", "Zürich", "ZH", "Schweiz"), "Engines/Ada Lovelace/Bahnhofstrasse 1/8001 Zürich/Schweiz"),
        (address("rue de Rivoli", "99", "75001", "Paris", "", "FR"), "Engines/Ada Lovelace/99 rue de Rivoli/75001 Paris/France"),
        (address("Via Roma", "3", "20121", "Milano", "MI", "IT"), "Ada Lovelace/Engines/Via Roma 3/20121 Milano (MI)/Italy"),
        (address("Calle Mayor", "7", "28013", "Madrid", "", "ES"), "Ada Lovelace/Engines/Calle Mayor 7/28013 Madrid/Spain"),
        (address("Damrak", "1", "1012 LG", "Amsterdam", "", "NL"), "Engines/Ada Lovelace/Damrak 1/1012 LG Amsterdam/Netherlands"),
        (address("Wetstraat", "16", "1000", "Brussel", "", "BE"), "Engines/Ada Lovelace/Wetstraat 16/1000 Brussel/Belgium"),
        (address("George St", "1", "2000", "Sydney", "NSW", "AU"), "Ada Lovelace/Engines/1 George St/Sydney NSW 2000/Australia"),
        (
            address("MG Road", "5", "560001", "Bengaluru", "Karnataka", "IN"),
            "Ada Lovelace/Engines/5 MG Road/Bengaluru 560001/Karnataka/India",
        ),
        (
            address("Avenida Paulista", "1578", "01310-200", "São Paulo", "SP", "BR"),
            "Ada Lovelace/Engines/Avenida Paulista 1578/São Paulo - SP/01310-200/Brazil",
        ),
        (
            address("Reforma", "222", "06600", "Ciudad de México", "CDMX", "MX"),
            "Ada Lovelace/Engines/Reforma 222/06600 Ciudad de México, CDMX/Mexico",
        ),
        (
            address("千代田1-1", "", "100-0001", "千代田区", "東京都", "JP"),
            "〒100-0001/東京都千代田区/千代田1-1/Engines/Ada Lovelace/Japan",
        ),
        (
            address("Chiyoda", "1-1", "100-0001", "Chiyoda-ku", "Tokyo", "JP"),
            "Ada Lovelace/Engines/1-1 Chiyoda/Chiyoda-ku, Tokyo 100-0001/Japan",
        ),
        (address("长安街", "1号", "100000", "北京市", "", "CN"), "100000/北京市/长安街 1号/Engines/Ada Lovelace/China"),
        // Nobody said how they do it there.
        (address("Street", "1", "123", "Town", "State", "XX"), "Ada Lovelace/Engines/Street 1/123 Town/State/XX"),
        (address("Street", "1", "123", "Town", "", ""), "Ada Lovelace/Engines/Street 1/123 Town"),
        (address("Street", "", "", "", "", "US"), "Ada Lovelace/Engines/Street/United States"),
    ] {
        assert_eq!(text("{{formatAddress a}}", &data).replace('\n', "/"), lines, "{data}");
    }
}

#[test]
fn an_address_is_lines_in_html_and_in_text_and_one_text_where_that_is_asked_for() {
    let data = json!({"a": {"firstName": "Ada", "lastName": "<b>Love", "line1": "1 Main St", "line2": "Floor \"2\"", "zip": 94105, "city": "SF", "state": "CA", "countryCode": "us"}});
    assert_eq!(
        html("<p>{{formatAddress a}}</p>", &data),
        "<p>Ada &lt;b&gt;Love<br>1 Main St<br>Floor &quot;2&quot;<br>SF, CA 94105<br>United States</p>"
    );
    assert_eq!(
        html("<p title=\"{{formatAddress a home=\"US\"}}\">", &data),
        "<p title=\"Ada &lt;b&gt;Love\n1 Main St\nFloor &quot;2&quot;\nSF, CA 94105\">"
    );
    assert_eq!(
        html("{{formatAddress a separator=\" · \" home=\"USA\"}}", &data),
        "Ada &lt;b&gt;Love · 1 Main St · Floor &quot;2&quot; · SF, CA 94105"
    );
    assert_eq!(
        text("{{formatAddress a locale=\"de\" separator=\"; \"}}", &data),
        "Ada <b>Love; 1 Main St; Floor \"2\"; SF, CA 94105; Vereinigte Staaten"
    );
    assert_eq!(html("{{formatAddress nobody}}", &data), "");
    let refused =
        |source: &str| render_as(Escape::Html, source, &json!({"a": "Main St", "b": {"strasse": 1}})).expect_err(source).message();
    let accepted =
        "name (or firstName and lastName), company, street, houseNumber, line2, line3, district, postalCode, city, state, country";
    assert_eq!(refused("{{formatAddress a}}"), format!("`formatAddress` needs an object with {accepted} as its 1st argument, not a text"));
    assert_eq!(
        refused("{{formatAddress b}}"),
        format!("`formatAddress` finds nothing of an address in the object; it looks for {accepted}")
    );
}

#[test]
fn markdown_becomes_paragraphs_lists_tables_and_emphasis() {
    for (source, written) in [
        ("One *two* **three** ~~four~~ `a<b`", "<p>One <em>two</em> <strong>three</strong> <s>four</s> <code>a&lt;b</code></p>"),
        ("# Terms\n\nPay.\\\nNow.", "<h1>Terms</h1><p>Pay.<br>Now.</p>"),
        ("* a\n* b", "<ul><li>a</li><li>b</li></ul>"),
        ("3. a\n4. b", "<ol start=\"3\"><li>a</li><li>b</li></ol>"),
        ("> so\n\n---", "<blockquote><p>so</p></blockquote><hr>"),
        (
            "a | b\n--|-:\n1 | 2",
            "<table><thead><tr><th>a</th><th style=\"text-align:right\">b</th></tr></thead><tbody><tr><td>1</td>\
             <td style=\"text-align:right\">2</td></tr></tbody></table>",
        ),
        ("```js\na && b\n```", "<pre><code>a &amp;&amp; b\n</code></pre>"),
        ("[us](https://example.com/?a=1&b=\"2\")", "<p><a href=\"https://example.com/?a&#x3D;1&amp;b&#x3D;&quot;2&quot;\">us</a></p>"),
        ("<mailto:a@example.com>", "<p><a href=\"mailto:a@example.com\">mailto:a@example.com</a></p>"),
    ] {
        assert_eq!(markdown(source), written, "{source}");
    }
    let data = json!({"text": "One\ntwo.\n\n* a\n* *b*\n\n1. c"});
    assert_eq!(html("{{markdown text inline=true}}", &data), "One\ntwo.<br>• a<br>• <em>b</em><br>1. c");
    assert_eq!(text("{{markdown text}}", &data), "One\ntwo.\n• a\n• b\n1. c");
    assert_eq!(html("<i title=\"{{markdown text}}\">", &data), "<i title=\"One\ntwo.\n• a\n• b\n1. c\">");
    assert_eq!(html("{{markdown nothing}}", &data), "");
}

#[test]
fn raw_html_pictures_and_other_addresses_are_left_out_of_markdown() {
    for (source, written) in [
        ("a <b onclick=\"x()\">c</b> d", "<p>a c d</p>"),
        ("<script>alert(1)</script>\n\nb", "<p>b</p>"),
        ("<!-- x --> a", ""),
        ("[a](javascript:alert%281%29)", "<p>a</p>"),
        ("[a](JaVaScRiPt:x) [b](data:text/html,x) [c](/etc/passwd) [d](//host)", "<p>a b c d</p>"),
        ("![a *b*](https://example.com/x.png)", "<p>a b</p>"),
        ("[![a](x.png)](https://example.com)", "<p><a href=\"https://example.com\">a</a></p>"),
        ("\"quotes\" & <tags", "<p>&quot;quotes&quot; &amp; &lt;tags</p>"),
        ("&lt;script&gt; &#60;b&#62;", "<p>&lt;script&gt; &lt;b&gt;</p>"),
    ] {
        assert_eq!(markdown(source), written, "{source}");
    }
}

#[test]
fn hostile_markdown_is_refused_or_written_soon() {
    let deep = "> ".repeat(60) + "a";
    let said = |text: String| {
        let began = Instant::now();
        let outcome = render_as(Escape::Html, "{{markdown text}}", &json!({ "text": text }));
        println!("{:?} for {} bytes", began.elapsed(), text.len());
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
        outcome.map_err(|error| error.message())
    };
    let too_deep = Err("`markdown` takes quotes, lists and emphasis up to 50 levels inside each other".to_owned());
    let too_long = Err("`markdown` takes texts of up to 100000 bytes, and of twenty times as many in HTML".to_owned());
    assert_eq!(said(deep), too_deep);
    assert_eq!(said("> ".repeat(49_000) + "a"), too_deep);
    assert_eq!(said("x".repeat(100_001)), too_long);
    for piece in [
        "*a ", "[", "![", "](", "`", "<a ", "* ", "> \n", "a | ", "|\n", "**", "_a*", "[a](b", "&", "\\", "- \n  ", "1. ", "~~a", "[^",
        "[a]: b\n", "\t", "a\n==\n",
    ] {
        let _ = said(piece.repeat(99_990 / piece.len()));
    }
    let _ = said(format!("[a]: https://{}\n\n{}", "x".repeat(40_000), "[a] ".repeat(14_000)));
    let _ = said(format!("{}\n{}\n", "|a".repeat(20_000), "|-".repeat(20_000)) + &"|\n".repeat(8_000));
}

fn words() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "*", "**", "_", "`", "```\n", "[", "](", ")", "![", "<", ">", "</", "<b>", "<script>", "<!--", "-->", "\"", "'", "&", "&lt;", "&#60;", "|", "\n|-|-|\n",
            "\n", "\n\n", "# ", "> ", "* ", "1. ", "    ", "~~", "http://", "javascript:", "JAVASCRIPT:", "data:", "mailto:a@b", "\\", "a", "b ", "---", "[a]: ", "=", "\u{0}", "é",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Tags are closed in their order, and nothing but these and their attributes stands between angle brackets.
fn is_safe(html: &str) -> Result<(), String> {
    const TAGS: [&str; 24] = [
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "pre",
        "code",
        "ol",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "em",
        "strong",
        "s",
        "a",
        "br",
    ];
    let mut open = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, text) = part.split_once('>').ok_or_else(|| format!("an open tag in {part:?}"))?;
        if text.contains(['>', '"']) {
            return Err(format!("unescaped text {text:?}"));
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if let Some(closed) = name.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Err(format!("{closed:?} is closed out of order"));
            }
            continue;
        }
        if !TAGS.contains(&name) && name != "hr" {
            return Err(format!("tag {name:?}"));
        }
        let quoted = attributes.strip_suffix('"').and_then(|rest| rest.split_once("=\""));
        let is_fine = match (name, quoted) {
            (_, None) => attributes.is_empty(),
            ("a", Some(("href", address))) => {
                let address = address.to_ascii_lowercase();
                !address.contains('"') && ["http://", "https://", "mailto:", "tel:", "#"].iter().any(|scheme| address.starts_with(scheme))
            }
            ("ol", Some(("start", number))) => number.bytes().all(|byte| byte.is_ascii_digit()),
            ("td" | "th", Some(("style", style))) => ["text-align:left", "text-align:center", "text-align:right"].contains(&style),
            _ => false,
        };
        if !is_fine {
            return Err(format!("attributes {attributes:?} of {name:?}"));
        }
        if !["br", "hr"].contains(&name) {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} stay open")) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_in_markdown_becomes_markup_but_what_is_on_the_list(source in words(), inline in any::<bool>()) {
        let template = format!("{{{{markdown text inline={inline}}}}}");
        let written = html(&template, &json!({ "text": source }));
        prop_assert!(is_safe(&written).is_ok(), "{:?} from {:?}: {:?}", is_safe(&written), source, written);
        let attribute = html("<i title=\"{{markdown text}}\">", &json!({ "text": source }));
        prop_assert!(!attribute[10..attribute.len() - 2].contains(['"', '<', '>']), "{}", attribute);
    }

    #[test]
    fn nothing_in_an_address_becomes_markup(parts in prop::collection::vec("[<>\"'&a-z \\n]{0,8}", 10), country in prop::sample::select(vec!["US", "DE", "JP", "IT", "XX", "<", "\"", "uk", "Österreich"])) {
        let keys = ["name", "company", "street", "line2", "houseNumber", "district", "postalCode", "city", "state", "name"];
        let mut address: serde_json::Map<String, Value> = keys.iter().zip(parts).map(|(key, part)| ((*key).to_owned(), part.into())).collect();
        address.insert("country".to_owned(), country.into());
        let written = html("{{formatAddress a}}", &json!({ "a": address }));
        prop_assert!(is_safe(&written).is_ok(), "{:?}", written);
    }
}
