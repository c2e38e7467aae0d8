//! What is read of forms, on files that another program wrote, and on files that mean harm.
#![cfg(test)]

use std::time::{Duration, Instant};

use lopdf::{Dictionary, Document, Object, ObjectId, SaveOptions, Stream, dictionary};
use pdf::{FormField, FormFieldKind, FormFieldValue, FormFields, PdfError, Xfa, form_fields};

/// A document of two pages whose form has these roots.
fn form(build: impl FnOnce(&mut Document, [ObjectId; 2]) -> Vec<Object>) -> Document {
    let mut document = Document::with_version("1.7");
    let tree = document.new_object_id();
    let pages = [(); 2].map(|()| document.add_object(dictionary! { "Type" => "Page", "Parent" => tree }));
    let kids: Vec<Object> = pages.map(Object::Reference).to_vec();
    document.objects.insert(tree, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => 2 }.into());
    let fields = build(&mut document, pages);
    let catalog =
        document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree, "AcroForm" => dictionary! { "Fields" => fields } });
    document.trailer.set("Root", catalog);
    document
}

fn saved(mut document: Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

fn text(text: &str) -> Object {
    Object::string_literal(text)
}

fn looks(state: &str) -> Dictionary {
    dictionary! { "N" => dictionary! { state => Object::Null, "Off" => dictionary! {} }, "D" => dictionary! {} }
}

fn real_form() -> Document {
    form(|document, [first, second]| {
        let street = document.add_object(dictionary! {
            "T" => text("street"), "V" => Object::string_literal(b"\xFE\xFF\x00S\x00t\x20\xAC".to_vec()), "MaxLen" => 40, "Ff" => 1 << 12 | 2,
            "Subtype" => "Widget", "P" => first, "Rect" => vec![110.into(), 720.5.into(), 10.into(), 700.into()],
        });
        let country = document.add_object(dictionary! {
            "T" => text("country"), "FT" => "Ch", "Ff" => 1 << 17, "V" => text("de"), "Subtype" => "Widget",
            "Opt" => vec![vec![text("de"), text("Germany")].into(), text("fr")],
        });
        let address =
            document.add_object(dictionary! { "T" => text("address"), "FT" => "Tx", "Kids" => vec![street.into(), country.into()] });
        let agree = document.add_object(dictionary! {
            "T" => text("agree"), "FT" => "Btn", "V" => "Yes", "Ff" => 1, "AP" => looks("Yes"), "Subtype" => "Widget", "P" => second,
        });
        let buttons: Vec<Object> = ["monthly", "yearly"]
            .map(|state| document.add_object(dictionary! { "Subtype" => "Widget", "AP" => looks(state) }))
            .map(Object::Reference)
            .to_vec();
        document.get_dictionary_mut(second).unwrap().set("Annots", buttons.clone());
        let plan =
            document.add_object(dictionary! { "T" => text("plan"), "FT" => "Btn", "Ff" => 1 << 15, "V" => "yearly", "Kids" => buttons });
        let colors = document.add_object(dictionary! {
            "T" => text("colors"), "FT" => "Ch", "V" => vec![text("red"), text("blue")], "Opt" => vec![text("red"), text("blue"), text("green")],
        });
        let signature = document.add_object(dictionary! { "T" => text("signature"), "FT" => "Sig" });
        let button = document.add_object(dictionary! { "T" => text("send"), "FT" => "Btn", "Ff" => 1 << 16 });
        [address, agree, plan, colors, signature, button].map(Object::Reference).to_vec()
    })
}

fn named<'a>(fields: &'a FormFields, name: &str) -> &'a FormField {
    fields.items.iter().find(|field| field.name == name).unwrap_or_else(|| panic!("{name} in {fields:?}"))
}

fn check(pdf: &[u8]) {
    let fields = form_fields(pdf, 100, 0).unwrap();
    let names: Vec<&str> = fields.items.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["address.street", "address.country", "agree", "plan", "colors", "signature", "send"]);
    assert_eq!((fields.total, fields.xfa), (7, Xfa::None));
    let street = named(&fields, "address.street");
    assert_eq!((street.kind, &street.value), (FormFieldKind::Text, &FormFieldValue::Text("St€".into())));
    assert_eq!((street.required, street.read_only, street.multiline, street.max_length), (true, false, Some(true), Some(40)));
    assert_eq!((street.widgets[0].page, street.widgets[0].rect), (Some(1), Some([10.0, 700.0, 110.0, 720.5])));
    let country = named(&fields, "address.country");
    assert_eq!((country.kind, &country.value), (FormFieldKind::Dropdown, &FormFieldValue::Text("de".into())));
    assert_eq!((country.options.as_deref(), country.multiline), (Some(&["de".to_owned(), "fr".to_owned()][..]), None));
    let agree = named(&fields, "agree");
    assert_eq!((agree.kind, &agree.value, agree.read_only), (FormFieldKind::Checkbox, &FormFieldValue::Flag(true), true));
    assert_eq!(agree.widgets[0].page, Some(2));
    let plan = named(&fields, "plan");
    assert_eq!((plan.kind, &plan.value), (FormFieldKind::Radio, &FormFieldValue::Text("yearly".into())));
    assert_eq!(plan.options.as_deref(), Some(&["monthly".to_owned(), "yearly".to_owned()][..]));
    assert_eq!(plan.widgets.iter().map(|widget| widget.page).collect::<Vec<_>>(), [Some(2), Some(2)]);
    assert_eq!(named(&fields, "colors").value, FormFieldValue::Choices(vec!["red".into(), "blue".into()]));
    assert_eq!(named(&fields, "signature").value, FormFieldValue::Empty);
    assert_eq!(named(&fields, "send").kind, FormFieldKind::Button);

    let part = form_fields(pdf, 2, 3).unwrap();
    assert_eq!(part.items.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["plan", "colors"]);
    assert_eq!(part.total, 7);
}

#[test]
fn every_kind_of_field_is_read_with_what_it_inherits_and_where_it_is_seen() {
    check(&saved(real_form()));
}

#[test]
fn the_same_is_read_of_a_file_whose_objects_are_packed() {
    let mut bytes = Vec::new();
    real_form().save_with_options(&mut bytes, SaveOptions::builder().use_object_streams(true).use_xref_streams(true).build()).unwrap();
    assert!(bytes.windows(6).any(|part| part == b"ObjStm") && !bytes.windows(7).any(|part| part == b"/street"), "they are packed");
    check(&bytes);
    // In front of the file may stand what a mail program put there.
    check(&[b"\r\n", bytes.as_slice()].concat());
}

#[test]
fn a_later_revision_counts() {
    let mut bytes = saved(form(|document, _| vec![document.add_object(dictionary! { "T" => text("old"), "FT" => "Tx" }).into()]));
    let number = Document::load_mem(&bytes).unwrap().objects.iter().find(|(_, object)| format!("{object:?}").contains("old")).unwrap().0.0;
    let root = Document::load_mem(&bytes).unwrap().trailer.get(b"Root").unwrap().as_reference().unwrap().0;
    let table = bytes.windows(5).rposition(|part| part == b"xref\n" || part == b"xref ").map(|_| ()).and_then(|()| {
        let tail = String::from_utf8_lossy(&bytes[bytes.len() - 40..]).into_owned();
        tail.split("startxref").nth(1)?.split_whitespace().next()?.parse::<usize>().ok()
    });
    let (previous, at) = (table.unwrap(), bytes.len());
    bytes.extend_from_slice(format!("{number} 0 obj\n<</T (new) /FT /Tx>>\nendobj\n").as_bytes());
    let table = bytes.len();
    let trailer = format!(
        "xref\n{number} 1\n{at:010} 00000 n \ntrailer\n<</Size 99 /Root {root} 0 R /Prev {previous}>>\nstartxref\n{table}\n%%EOF\n"
    );
    bytes.extend_from_slice(trailer.as_bytes());
    assert_eq!(form_fields(&bytes, 10, 0).unwrap().items[0].name, "new");
}

#[test]
fn a_form_in_xml_is_told() {
    let with_xml = |mut document: Document| {
        let root = document.trailer.get(b"Root").unwrap().as_reference().unwrap();
        let xml = document.add_object(Stream::new(Dictionary::new(), b"<xdp/>".to_vec()));
        let form = document.get_dictionary_mut(root).unwrap().get_mut(b"AcroForm").unwrap().as_dict_mut().unwrap();
        form.set("XFA", xml);
        form_fields(&saved(document), 10, 0).unwrap().xfa
    };
    assert_eq!(with_xml(real_form()), Xfa::Hybrid);
    assert_eq!(with_xml(form(|_, _| Vec::new())), Xfa::Only);
}

#[test]
fn a_pdf_of_the_browser_has_no_form() {
    let found = form_fields(include_bytes!("files/two-pages.pdf"), 10, 0).unwrap();
    assert_eq!(found, FormFields { items: Vec::new(), total: 0, xfa: Xfa::None });
}

#[test]
fn kids_in_a_circle_and_trees_without_end_are_refused() {
    let circle = form(|document, _| {
        let (one, other) = (document.new_object_id(), document.new_object_id());
        document.objects.insert(one, dictionary! { "T" => text("a"), "Kids" => vec![other.into()] }.into());
        document.objects.insert(other, dictionary! { "T" => text("b"), "Kids" => vec![one.into()] }.into());
        vec![one.into()]
    });
    assert!(matches!(form_fields(&saved(circle), 10, 0), Err(PdfError::Invalid(why)) if why.contains("twice")));
    let itself = form(|document, _| {
        let one = document.new_object_id();
        document.objects.insert(one, dictionary! { "T" => text("a"), "FT" => "Tx", "Kids" => Object::Reference(one) }.into());
        let two = document.new_object_id();
        document.objects.insert(two, Object::Reference(two));
        vec![one.into(), two.into()]
    });
    assert!(matches!(form_fields(&saved(itself), 10, 0), Err(PdfError::Invalid(_))));
    let deep = form(|document, _| {
        let mut kid = document.add_object(dictionary! { "T" => text("leaf"), "FT" => "Tx" });
        for _ in 0..100 {
            kid = document.add_object(dictionary! { "T" => text("n"), "Kids" => vec![kid.into()] });
        }
        vec![kid.into()]
    });
    assert!(matches!(form_fields(&saved(deep), 10, 0), Err(PdfError::Invalid(why)) if why.contains("deep")));
}

#[test]
fn a_form_of_a_hundred_thousand_fields_is_refused_soon() {
    let many = |count: usize| {
        saved(form(|document, _| {
            (0..count).map(|number| document.add_object(dictionary! { "T" => text(&format!("f{number}")), "FT" => "Tx" }).into()).collect()
        }))
    };
    let (most, more) = (many(20_000), many(100_000));
    let started = Instant::now();
    let found = form_fields(&most, 5, 19_998).unwrap();
    assert_eq!((found.total, found.items.len(), found.items[1].name.as_str()), (20_000, 2, "f19999"));
    assert_eq!(form_fields(&more, 5, 0), Err(PdfError::TooMuch { what: "form fields" }));
    println!("20,000 fields, and the refusal of 100,000: {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn what_unpacks_or_multiplies_without_end_is_refused() {
    // A stream of objects that unpacks to 400 MB.
    let mut zeros = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), 400 << 20), &mut zeros).unwrap();
    let packed = zeros.finish().unwrap();
    let mut bytes = b"%PDF-1.7\n1 0 obj\n<</Type/ObjStm /N 1 /First 4 /Filter /FlateDecode /Length ".to_vec();
    bytes.extend_from_slice(format!("{}>>\nstream\n", packed.len()).as_bytes());
    bytes.extend_from_slice(&packed);
    bytes.extend_from_slice(b"\nendstream\nendobj\n");
    let table = bytes.len();
    // 2 is the catalog, in that stream.
    let rows = [[1, 9, 0], [2, 1, 0]].concat();
    bytes.extend_from_slice(
        format!("3 0 obj\n<</Type/XRef /Size 3 /Index [1 2] /W [1 1 1] /Root 2 0 R /Length {}>>\nstream\n", rows.len()).as_bytes(),
    );
    bytes.extend_from_slice(&rows);
    bytes.extend_from_slice(format!("\nendstream\nendobj\nstartxref\n{table}\n%%EOF\n").as_bytes());
    assert_eq!(form_fields(&bytes, 10, 0), Err(PdfError::TooMuch { what: "unpacked bytes" }));

    // A value of four megabytes that a thousand fields share.
    let shared = form(|document, _| {
        let value = document.add_object(text(&"x".repeat(4_000_000)));
        let kids: Vec<Object> =
            (0..1_000).map(|number| document.add_object(dictionary! { "T" => text(&number.to_string()) }).into()).collect();
        vec![document.add_object(dictionary! { "T" => text("all"), "FT" => "Tx", "V" => value, "Kids" => kids }).into()]
    });
    assert_eq!(form_fields(&saved(shared), 1_000, 0), Err(PdfError::TooMuch { what: "text in form fields" }));
}

/// A field with so many kids that inherit what else it says.
fn inheriting(count: usize, mut parent: Dictionary) -> Vec<u8> {
    saved(form(|document, _| {
        let kids: Vec<Object> =
            (0..count).map(|number| document.add_object(dictionary! { "T" => text(&number.to_string()) }).into()).collect();
        parent.set("T", text("all"));
        parent.set("Kids", kids);
        vec![document.add_object(parent).into()]
    }))
}

#[test]
fn what_stands_once_and_a_thousand_fields_inherit_costs_each_of_them() {
    let empty = || vec![text(""); 60_000];
    let missing = vec![Object::Reference((900_000, 0)); 100_000];
    let pairs: Vec<Object> = (0..60_000).map(|_| Object::Array(vec![Object::Null])).collect();
    let texts = PdfError::TooMuch { what: "text in form fields" };
    let looks = PdfError::TooMuch { what: "values to be looked at" };
    for (name, parent, refusal) in [
        ("empty options", dictionary! { "FT" => "Ch", "Opt" => empty() }, &texts),
        ("empty choices", dictionary! { "FT" => "Ch", "V" => empty() }, &texts),
        ("options that are none", dictionary! { "FT" => "Ch", "Opt" => pairs }, &looks),
        ("numbers", dictionary! { "FT" => "Tx", "V" => vec![Object::Integer(0); 100_000] }, &looks),
        ("references to nothing", dictionary! { "FT" => "Tx", "V" => missing }, &looks),
    ] {
        let pdf = inheriting(1_000, parent);
        let started = Instant::now();
        assert_eq!(form_fields(&pdf, 1_000, 0).as_ref(), Err(refusal), "{name}");
        println!("{name}: {:?}", started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
    }
    // A kind that no field has, of a megabyte, and what nobody asks for.
    for parent in
        [dictionary! { "FT" => "x".repeat(1_000_000).as_str() }, dictionary! { "FT" => "Tx", "V" => text(&"x".repeat(4_000_000)) }]
    {
        let pdf = inheriting(10_000, parent);
        let started = Instant::now();
        assert_eq!(form_fields(&pdf, 10, 20_000).unwrap().items, []);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

#[test]
fn many_states_that_name_one_long_option_cost_it_each() {
    let states: Vec<String> = (1..100).map(|zeros| "0".repeat(zeros)).collect();
    let parent = |length: usize| {
        let mut normal = Dictionary::new();
        for state in &states {
            normal.set(state.as_str(), Object::Integer(1));
        }
        dictionary! {
            "T" => text("one"), "FT" => "Btn", "Ff" => 1 << 15, "Opt" => vec![text(&"x".repeat(length))],
            "AP" => dictionary! { "N" => normal },
        }
    };
    let one = |length| saved(form(|document, _| vec![document.add_object(parent(length)).into()]));
    assert_eq!(form_fields(&one(100), 1, 0).unwrap().items[0].options, Some(vec!["x".repeat(100); 99]));
    assert_eq!(form_fields(&one(1_000_000), 1, 0), Err(PdfError::TooMuch { what: "text in form fields" }));
}

#[test]
fn streams_that_share_one_long_space_cost_it_each() {
    // Each ends before the space, and `endstream` stands behind it.
    const STREAMS: usize = 1_000;
    let space = 8 << 20;
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut starts = Vec::new();
    let line = |number: usize, length: usize| format!("{number} 0 obj\n<</N 1/First 4/Length {length:8}>>\nstream\n");
    let each = line(2_000, 0).len();
    for index in 0..STREAMS {
        starts.push(bytes.len());
        bytes.extend_from_slice(line(2_000 + index, each * (STREAMS - 1 - index)).as_bytes());
    }
    bytes.resize(bytes.len() + space, b' ');
    bytes.extend_from_slice(b"\nendstream\nendobj\n");
    let catalog = bytes.len();
    let fields = (1..=STREAMS).map(|number| format!("{number} 0 R ")).collect::<Vec<_>>().concat();
    bytes.extend_from_slice(format!("9000 0 obj\n<</AcroForm<</Fields[{fields}]>>>>\nendobj\n").as_bytes());
    let table = bytes.len();
    let row = |kind: u8, place: usize| [&[kind][..], &u32::try_from(place).unwrap().to_be_bytes(), &[0]].concat();
    let mut rows: Vec<u8> = (0..STREAMS).flat_map(|index| row(2, 2_000 + index)).collect();
    rows.extend(starts.iter().flat_map(|start| row(1, *start)));
    rows.extend(row(1, catalog));
    bytes.extend_from_slice(
        format!(
            "9001 0 obj\n<</Type/XRef /Size 9002 /Index [1 {STREAMS} 2000 {STREAMS} 9000 1] /W [1 4 1] /Root 9000 0 R /Length {}>>\nstream\n",
            rows.len()
        )
        .as_bytes(),
    );
    bytes.extend_from_slice(&rows);
    bytes.extend_from_slice(format!("\nendstream\nendobj\nstartxref\n{table}\n%%EOF\n").as_bytes());
    let started = Instant::now();
    assert_eq!(form_fields(&bytes, 10, 0), Err(PdfError::TooMuch { what: "bytes to be looked at" }));
    println!("one long space: {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn what_is_encrypted_broken_or_no_pdf_is_told_apart() {
    let mut encrypted = real_form();
    encrypted.trailer.set("Encrypt", dictionary! { "Filter" => "Standard", "V" => 2, "R" => 3 });
    assert_eq!(form_fields(&saved(encrypted), 10, 0), Err(PdfError::Encrypted));
    let whole = saved(real_form());
    for bytes in [&b""[..], b"no PDF", b"%PDF-1.7\n", b"%PDF-1.7\nstartxref\n9999999\n%%EOF", &whole[..whole.len() / 2]] {
        assert!(matches!(form_fields(bytes, 10, 0), Err(PdfError::Invalid(_))), "{:?}", String::from_utf8_lossy(bytes));
    }
}

proptest::proptest! {
    #[test]
    fn no_damage_to_a_form_is_a_panic(at in 0..3_000_usize, byte: u8, cut in 0..3_000_usize) {
        let mut bytes = saved(real_form());
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = form_fields(&bytes, 10, 0);
        bytes.truncate(length - cut % 64);
        let _ = form_fields(&bytes, 10, 0);
    }
}
