use std::io::Cursor;

use media::{Content, DeclaredType, Limits, Refusal, Removed, Svg, inspect};

use crate::files::{look, png, svg};

/// As drawing programs write them.
pub const TYPICAL: [(&str, &str); 4] = [
    ("inkscape", include_str!("../svg/inkscape.svg")),
    ("illustrator", include_str!("../svg/illustrator.svg")),
    ("figma", include_str!("../svg/figma.svg")),
    ("text", include_str!("../svg/text.svg")),
];

const HEAD: &str =
    "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' xmlns:h='http://www.w3.org/1999/xhtml'>";

fn cleaned(text: &str) -> Svg {
    match look(text.as_bytes()).unwrap().content {
        Content::Svg(svg) => svg,
        other => panic!("{other:?}"),
    }
}

fn inside(body: &str) -> (String, Vec<Removed>) {
    let svg = cleaned(&format!("{HEAD}{body}</svg>"));
    (String::from_utf8(svg.bytes).unwrap(), svg.removed.into_iter().collect())
}

#[test]
fn what_drawing_programs_write_keeps_everything_that_is_seen() {
    for (name, text) in TYPICAL {
        let svg = cleaned(text);
        assert!(!svg.changed(), "{name}: {:?}", svg.removed);
        let out = String::from_utf8(svg.bytes).unwrap();
        let count = |text: &str, word: &str| text.matches(word).count();
        for word in ["<path", "<g", "<use", "<stop", "url(#", "<tspan", "<text", "<clipPath", "<image", " d=", "transform=", "<textPath"] {
            assert_eq!(count(&out, word), count(text, word), "{name}: {word}\n{out}");
        }
        let again = cleaned(&out);
        assert_eq!(String::from_utf8(again.bytes).unwrap(), out, "{name}");
    }
}

#[test]
fn hostile_svgs_lose_what_runs_or_loads() {
    for (body, removed) in [
        ("<script>alert(1)</script>", Removed::Script),
        ("<SCRIPT xmlns=''>alert(1)</SCRIPT>", Removed::Script),
        ("<h:script src='//evil'/>", Removed::Script),
        ("<script xlink:href='//evil/x.js'/>", Removed::Script),
        ("<rect onclick='alert(1)'/>", Removed::EventHandler),
        ("<rect ONload='alert(1)'/>", Removed::EventHandler),
        ("<foreignObject><h:iframe src='//evil'/></foreignObject>", Removed::ForeignContent),
        ("<h:img src='//evil' onerror='alert(1)'/>", Removed::ForeignContent),
        ("<a href='javascript:alert(1)'><text>x</text></a>", Removed::ExternalReference),
        ("<a xlink:href='java&#x0A;script:alert(1)'><text>x</text></a>", Removed::ExternalReference),
        ("<image href='//evil/a.png'/>", Removed::ExternalReference),
        ("<image xlink:href='file:///etc/passwd'/>", Removed::ExternalReference),
        ("<image href='/api/secret'/>", Removed::ExternalReference),
        ("<use href='//evil/a.svg#b'/>", Removed::ExternalReference),
        ("<use href='data:image/svg+xml,evil'/>", Removed::ExternalReference),
        ("<feImage href='//evil/a.png'/>", Removed::ExternalReference),
        ("<image href='data:text/html,evil'/>", Removed::ExternalReference),
        ("<rect fill='url(//evil)'/>", Removed::ExternalReference),
        ("<rect style='fill:u\\72l(//evil)'/>", Removed::ExternalReference),
        ("<rect style='fill:url(&quot;//evil&quot;)'/>", Removed::ExternalReference),
        ("<rect style='cursor:URL( //evil )'/>", Removed::ExternalReference),
        ("<rect style='background:image-set(&quot;//evil&quot; 1x)'/>", Removed::Style),
        ("<rect style='--a:1;background:-WebKit-image-set(&quot;//evil&quot;)'/>", Removed::Style),
        ("<rect filter='url(#a) url(//evil)'/>", Removed::ExternalReference),
        ("<style>@import '//evil';</style>", Removed::Style),
        ("<style>@\\69mport url(//evil);a{}</style>", Removed::Style),
        ("<style><![CDATA[@import/**/\"//evil\";]]></style>", Removed::Style),
        ("<style>@font-face{src:url(//evil/a.woff)}</style>", Removed::ExternalReference),
        ("<style>a{background:url(  '//evil'}</style>", Removed::Style),
        ("<style>a{b:url(//evil\"x)}</style>", Removed::Style),
        ("<style>a{b:image-set()url(//evil)}</style>", Removed::ExternalReference),
        ("<style>a{b:5.url(//evil)}</style>", Removed::ExternalReference),
        ("<style>a{b:5%url(//evil)+url(//evil)}</style>", Removed::ExternalReference),
        ("<style type='text/less'>@import '//evil'</style>", Removed::Style),
        ("<animate attributeName='href' values='//evil'/>", Removed::Animation),
        ("<set attributeName='xlink:href' to='javascript:alert(1)'/>", Removed::Animation),
        ("<set attributeName='onload' to='alert(1)'/>", Removed::Animation),
        ("<animate attributeName='fill' values='url(//evil);red'/>", Removed::ExternalReference),
        ("<handler type='application/ecmascript'>alert(1)</handler>", Removed::Element),
        ("<iframe src='//evil'/>", Removed::Element),
    ] {
        let (out, found) = inside(body);
        assert!(found.contains(&removed), "{body} gave {found:?}: {out}");
        for word in ["evil", "alert", "javascript", "passwd", "secret", "script", "@import", "image-set"] {
            assert!(!out.to_ascii_lowercase().contains(word), "{body} kept {word}: {out}");
        }
    }
    let (out, _) = inside("<rect xml:base='//evil/' h:onclick='alert(1)' formaction='//evil' width='3'/>");
    assert!(!out.contains("evil") && !out.contains("alert") && out.contains("width=\"3\""), "{out}");
    for joined in ["u@x;rl(//evil)", "u@x{}rl(//evil)", "@im@x;port url(//evil)"] {
        let (out, removed) = inside(&format!("<style>a{{b:{joined}}}</style>"));
        assert!(!out.contains("url(//") && !out.contains("@import") && removed.contains(&Removed::Style), "{out}");
    }
    let styled = cleaned(&format!("<?xml-stylesheet href='//evil/a.css'?>{HEAD}</svg>"));
    assert!(styled.changed() && !String::from_utf8(styled.bytes).unwrap().contains("evil"));
}

#[test]
fn local_references_and_carried_pictures_stay() {
    let picture = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, png());
    let inner = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{HEAD}<script>alert(1)</script><g/></svg>"));
    for (body, kept) in [
        ("<use href='#a'/>".to_owned(), "href=\"#a\"".to_owned()),
        ("<use xlink:href=' #ä-1 '/>".to_owned(), "xlink:href=\"#ä-1\"".to_owned()),
        ("<rect style='fill: url(\"#a\") red; mask:url( #b )'/>".replace('"', "&quot;"), "fill: url(#a) red; mask:url(#b)".to_owned()),
        (format!("<image href='data:image/jpg;base64,{picture}'/>"), format!("data:image/png;base64,{picture}")),
        ("<style>.\\31 a > b::after { content: \"x<y\"; width: calc(1px + 2em) }</style>".to_owned(), ".\\31 a".to_owned()),
        ("<style>@media print { .a { fill: #00f } }</style>".to_owned(), "@media print { .a { fill: #00f } }".to_owned()),
        ("<text xml:space='preserve'>a <tspan> b </tspan>\n c</text>".to_owned(), ">a <".to_owned()),
        ("<animate attributeName='opacity' values='0;1' dur='1s'/>".to_owned(), "values=\"0;1\"".to_owned()),
    ] {
        let (out, removed) = inside(&body.replace("x<y", "x&lt;y"));
        assert!(out.contains(&kept) && removed.is_empty(), "{body}: {removed:?} {out}");
    }
    let (out, _) = inside(&format!("<image href='data:image/svg+xml;base64,{inner}'/>"));
    assert!(out.contains("data:image/svg+xml;base64,") && !out.contains(&inner), "{out}");
    let bomb = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, crate::files::png_with(60_000, 60_000, &[]));
    assert_eq!(inside(&format!("<image href='data:image/png;base64,{bomb}'/>")).1, [Removed::ExternalReference]);
}

#[test]
fn entities_are_put_in_and_bombs_of_them_refused() {
    let with = |subset: &str, body: &str| format!("<?xml version='1.0'?><!DOCTYPE svg [{subset}]>{HEAD}{body}</svg>");
    let svg = cleaned(&with("<!ENTITY name 'Anna &#35;'><!-- ' ]> -->", "<text>x</text>").replace("&#35;", "#").replace("x<", "&name;<"));
    assert!(String::from_utf8(svg.bytes).unwrap().contains("<text>Anna #</text>"));
    let large = format!("<!ENTITY a '{}'>", "x".repeat(10_000));
    for text in [
        with("<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>", "<text>&b;</text>"),
        with("<!ENTITY x SYSTEM 'file:///etc/passwd'>", "<text>&x;</text>"),
        with("<!ENTITY % p SYSTEM '//evil'> %p;", ""),
        with("<!ENTITY s '<script>alert(1)</script>'>", "&s;"),
        with(&large, &format!("<text>{}</text>", "&a;".repeat(10_000))),
        with("", "<text>&unknown;</text>"),
    ] {
        assert!(look(text.as_bytes()).is_err(), "{}", &text[..150.min(text.len())]);
    }
}

#[test]
fn svg_bombs_are_refused() {
    let deep = format!("{HEAD}{}{}</svg>", "<g>".repeat(200_000), "</g>".repeat(200_000));
    let deeper = format!("{HEAD}{}{}</svg>", "<g>".repeat(1_000), "</g>".repeat(1_000));
    let mut uses = format!("{HEAD}<g id='u0'><path/></g>");
    for level in 1..10 {
        uses.extend([format!("<g id='u{level}'>"), format!("<use href='#u{}'/>", level - 1).repeat(10), "</g>".to_owned()]);
    }
    uses += "</svg>";
    let many = format!("{HEAD}{}</svg>", "<a/>".repeat(300_000));
    let large = format!("{HEAD}<text>{}</text></svg>", "x".repeat(6_000_000));
    let circle = format!("{HEAD}<g id='a'><use href='#a'/></g></svg>");
    let attributes: String = (0..100_000).flat_map(|number| [" a".to_owned(), number.to_string(), "='1'".to_owned()]).collect();
    let wide = format!("{HEAD}<g{attributes}/></svg>");
    let prefixes: String = (0..10_000).flat_map(|number| [" xmlns:p".to_owned(), number.to_string(), "='u'".to_owned()]).collect();
    let spaces = format!("{HEAD}<g{prefixes}/></svg>");
    for (name, text) in [
        ("deep", deep),
        ("deeper", deeper),
        ("uses", uses),
        ("many", many),
        ("large", large),
        ("circle", circle),
        ("wide", wide),
        ("spaces", spaces),
    ] {
        let start = std::time::Instant::now();
        assert!(look(text.as_bytes()).is_err(), "{name}");
        assert!(start.elapsed().as_secs() < 5, "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn other_encodings_are_read_and_what_is_no_svg_is_refused() {
    let text = format!("{HEAD}<text>ä</text></svg>");
    let utf_16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let latin: Vec<u8> =
        format!("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>{text}").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    for bytes in [utf_16, latin, [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat()] {
        let Content::Svg(svg) = look(&bytes).unwrap().content else { panic!() };
        assert!(String::from_utf8(svg.bytes).unwrap().contains("<text>ä</text>"));
    }
    for text in ["<svg/>", "<svg xmlns='http://www.w3.org/2000/svg'>", "<svg xmlns='http://www.w3.org/2000/svg'><g></svg>"] {
        assert!(matches!(look(text.as_bytes()), Err(Refusal::Broken { .. })), "{text}");
    }
    let limits = Limits { svg_bytes: 10, ..Limits::default() };
    let said = inspect(&DeclaredType::default(), Cursor::new(svg()), &limits).unwrap_err();
    assert!(matches!(said, Refusal::TooLarge { what: "bytes", limit: 10, .. }), "{said}");
}
