//! Compares the crate with handlebars.js 4.7.10: a table of written cases and generated ones, in one `node` process.

#[path = "differential/cases.rs"]
mod cases;
#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/partials.rs"]
mod partials;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use expressions::{Budget, ExpressionError, Limits, Partials, Run, Scope, Template};
use serde_json::{Value, json};

const PACKAGE: &str = "handlebars@4.7.10";
const GENERATED_CASES: u32 = 20_000;

/// The folder of the npm package. The tests here run at the same time: one of them installs it.
fn handlebars() -> &'static Path {
    static PACKAGE_AT: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE_AT.get_or_init(installed_handlebars)
}

/// Installs the package when it is not there yet.
fn installed_handlebars() -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/handlebars");
    let package = target.join("node_modules/handlebars");
    let installed = std::fs::read_to_string(package.join("package.json")).unwrap_or_default();
    if !installed.contains("\"4.7.10\"") || !package.join("dist/cjs/handlebars.js").exists() {
        std::fs::create_dir_all(&target).expect("the target folder is writable");
        let output = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--prefix"])
            .arg(&target)
            .arg(PACKAGE)
            .output()
            .unwrap_or_else(|error| panic!("npm is needed to fetch {PACKAGE} ({error}); install node and npm"));
        assert!(
            output.status.success(),
            "`npm install {PACKAGE}` failed; it needs the npm registry once:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    package
}

fn oracle(cases: &Value) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/oracle.js");
    let mut child = Command::new("node")
        .arg(script)
        .arg(handlebars())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("node is needed to run handlebars.js ({error}); install node and npm"));
    let input = cases.to_string();
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("node ends");
    writer.join().expect("the writer does not panic").expect("node reads its input");
    assert!(output.status.success(), "node failed:\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("node answers with JSON")
}

fn ours(template: &str, data: &str) -> Result<String, ExpressionError> {
    let data: Value = serde_json::from_str(data).expect("the data of a case is JSON");
    let template = Template::parse(template, &Limits::default())?;
    let mut out = String::new();
    template.render(&Scope::root(&data), &mut Run::new(Budget::default()), &mut out)?;
    Ok(out)
}

/// One line per case where the two disagree.
fn differences(cases: &[(String, String)]) -> Vec<String> {
    let theirs = oracle(&json!(cases));
    assert_eq!(theirs.len(), cases.len());
    cases
        .iter()
        .zip(&theirs)
        .filter_map(|((template, data), theirs)| {
            let ours = ours(template, data);
            let same = match (&ours, theirs.get("ok").and_then(Value::as_str)) {
                (Ok(ours), Some(theirs)) => ours == theirs,
                // A wrong number of arguments is refused when parsing, even in a block that is not rendered.
                (Err(_), None) | (Err(ExpressionError::Arguments { .. }), Some(_)) => true,
                _ => false,
            };
            (!same).then(|| format!("template {template:?}\n    data {data}\n    ours {ours:?}\n    js   {theirs}"))
        })
        .collect()
}

fn check(cases: &[(String, String)]) {
    let found = differences(cases);
    assert!(
        found.is_empty(),
        "{} of {} cases differ from handlebars.js:\n{}",
        found.len(),
        cases.len(),
        found.iter().take(25).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn partials_render_as_in_handlebars_js() {
    let theirs = oracle(&json!(partials::TABLE.iter().map(|(template, named, data)| json!([template, data, named])).collect::<Vec<_>>()));
    let mut found = Vec::new();
    for ((template, named, data), theirs) in partials::TABLE.iter().zip(theirs) {
        let ours = with_partials(template, named, data);
        if ours.as_deref().ok() != theirs.get("ok").and_then(Value::as_str) {
            found.push(format!("template {template:?}\n    partials {named:?}\n    data {data}\n    ours {ours:?}\n    js   {theirs}"));
        }
    }
    assert!(found.is_empty(), "{} cases differ:\n{}", found.len(), found.join("\n"));
}

fn with_partials(template: &str, named: &[(&str, &str)], data: &str) -> Result<String, ExpressionError> {
    let data: Value = serde_json::from_str(data).expect("the data of a case is JSON");
    let mut partials = Partials::default();
    for (name, source) in named {
        let inner = partials.clone();
        partials.add(name, name, source, &Limits::default(), &inner)?;
    }
    let template = Template::parse_with(template, &Limits::default(), &partials)?;
    let mut out = String::new();
    template.render(&Scope::root(&data), &mut Run::new(Budget::default()), &mut out)?;
    Ok(out)
}

#[test]
fn written_and_generated_templates_render_as_in_handlebars_js() {
    let mut all: Vec<(String, String)> = cases::TABLE.iter().map(|(template, data)| ((*template).to_owned(), (*data).to_owned())).collect();
    assert!(all.len() >= 150, "the table has {} cases", all.len());
    all.extend((0..GENERATED_CASES).map(|seed| generate::case(u64::from(seed))));
    check(&all);
}
