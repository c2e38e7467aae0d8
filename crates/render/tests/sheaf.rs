//! Whatever a style sheet can say in this browser: no document that is printed together with others reaches the page of another.
//!
//! The browser itself names its properties and says which of many values it takes, so that one that comes with a new version is
//! tried as well. What the writer of sheaves lets through is printed between documents that say nothing, whose pages must then be
//! those that they have alone.
#![cfg(test)]

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use chromium::{Pool, PoolOptions, PrintJob, Sandbox, find_executable};
use document::sheaf::{Leaf, RULER, bind, marks};
use pdf::{RasterLimits, rasterise};
use tokio::time::Instant;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a print may take: one that is given up is made for each document alone.
const SHORT: Duration = Duration::from_secs(5);
/// Documents that try something in one print; as many that try nothing stand between them.
const TRIED_AT_ONCE: usize = 24;
/// Coarse, and enough: what reaches another page in these documents is letters, lines and boxes.
const LOOK: RasterLimits = RasterLimits { dpi: 30, max_page_pixels: 1 << 20 };

/// What each property is tried with: far away along the page, tiny, huge, and every word that moves, stacks or cuts boxes.
const VALUES: &[&str] = &[
    "-297mm",
    "297mm",
    "600mm",
    "-20px",
    "0",
    "1px",
    "-1",
    "1",
    "0.01",
    "50",
    "150%",
    "-150%",
    "calc(0px - 297mm)",
    "calc(1px * -900)",
    "-297mm -297mm",
    "0 297mm",
    "-297mm 0 0 0",
    "0 -297mm 9px red",
    "0 297mm 9px 9px red",
    "inset 0 297mm 9px red",
    "297mm solid red",
    "5px solid red",
    "red",
    "red 5px 297mm",
    "fixed",
    "absolute",
    "sticky",
    "relative",
    "static",
    "none",
    "all",
    "auto",
    "normal",
    "left",
    "right",
    "both",
    "hidden",
    "visible",
    "scroll",
    "clip",
    "always",
    "page",
    "recto",
    "verso",
    "avoid",
    "column",
    "vertical-rl",
    "sideways-lr",
    "rtl",
    "top",
    "bottom",
    "middle",
    "super",
    "sub",
    "baseline",
    "text-top",
    "text-bottom",
    "start",
    "end",
    "center",
    "space-between",
    "block",
    "inline",
    "inline-block",
    "flex",
    "inline-flex",
    "grid",
    "table",
    "table-cell",
    "table-row",
    "table-header-group",
    "table-footer-group",
    "list-item",
    "contents",
    "flow-root",
    "math",
    "ruby",
    "run-in",
    "-webkit-box",
    "content-box",
    "border-box",
    "padding-box",
    "margin-box",
    "view-box",
    "fill-box",
    "inherit",
    "initial",
    "unset",
    "revert",
    "translateY(-297mm)",
    "scale(20)",
    "rotate(45deg)",
    "-297mm 45deg",
    "0 -297mm",
    "0 0 1000mm",
    "blur(300px)",
    "drop-shadow(0 -297mm 0 red)",
    "opacity(0.1)",
    "counter(page)",
    "counter(pages)",
    "url(#a)",
    "linear-gradient(red, blue)",
    "linear-gradient(red,blue) 30 / 300mm / 300mm",
    "30 / 300mm / 300mm",
    "span 5",
    "5",
    "2 / 9",
    "repeat(20, 20mm)",
    "20mm 200mm",
    "5 / 1",
    "1 / 9",
    "minmax(0, 5px)",
    "min-content",
    "max-content",
    "fit-content",
    "stretch",
    "bold 90mm/0.01 serif",
    "90mm/0 serif",
    "90mm serif",
    "0.01em serif",
    "size",
    "strict",
    "paint",
    "layout",
    "style",
    "inline-size",
    "x 5",
    "x",
    "open-quote",
    "\"x\"",
    "each-line",
    "hanging",
    "40em hanging",
    "-300mm hanging",
    "-300mm",
    "under 300mm",
    "multiply",
    "difference",
    "isolate",
    "embed",
    "plaintext",
    "balance",
    "pre",
    "nowrap",
    "preserve-3d",
    "flat",
    "100px",
    "300mm 300mm",
    "ellipse(9px 9px)",
    "inset(9px)",
    "running(x)",
    "element(x)",
    "leading",
    "trim-both",
    "cap alphabetic",
    "3",
    "0 0",
    "6 2",
    "3 drop",
    "9",
    "9 9",
    "discard",
    "clone",
    "slice",
    "allow-discrete",
    "alternate",
    "over",
    "under",
    "right under",
    "filled",
    "wavy 20mm red",
    "underline 20mm red",
    "underline overline",
    "mandatory",
    "--x",
    "x 1s infinite",
    "1s",
    "-1s",
    "paused",
    "anchor(top)",
    "anchor-size(width)",
    "--a",
    "top left",
    "0 100%",
    "0 100%, 0 -900px",
    "path(\"M0 0L999 -999\")",
    "ray(45deg)",
    "circle(999px)",
    "upright",
    "mixed",
    "digits 2",
    "reverse",
    "row-reverse",
    "column-reverse",
    "wrap-reverse",
    "column wrap",
    "dense",
    "masonry",
    "manual",
    "20",
    "999",
    "2147483647",
    "isolate-override",
    "bidi-override",
    "capitalize",
    "full-width",
    "80px",
    "20mm",
    "20%",
    "20mm 20mm 20mm 20mm",
    "5em",
    "above -297mm",
    "below 10mm",
    "below 297mm",
    "contain",
    "cover",
    "100% 500%",
    "round",
    "local",
];

/// A document: what it says, and what its body looks like.
fn document(body_style: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>T</title><style>@page{{size:90mm 60mm;margin:8mm}}\
         p,div{{margin:0 0 2mm}}td{{border:1px solid #888}}</style></head><body{body_style}>{body}</body></html>"
    )
}

/// Ways to put a declaration into a document.
fn documents(declaration: &str) -> Vec<String> {
    let style = format!(" style='{declaration};background:#fbb'");
    let of_a_body = format!(" style='{declaration}'");
    let picture = "<rect width=\"30\" height=\"20\" fill=\"#c00\"></rect>";
    vec![
        document("", &format!("<div{style}>Tried on a block <b>and</b> more <div>inner</div></div><p>after</p>")),
        document("", &format!("<p>Tried on <span{style}>a piece <i>of</i> text</span> here</p><ul><li{style}>item</li></ul>")),
        document(
            "",
            &format!(
                "<table{style}><thead><tr><th>h</th></tr></thead><tbody><tr{style}><td{style}>cell</td><td>b</td></tr></tbody></table>"
            ),
        ),
        document("", &format!("<svg viewBox=\"0 0 30 20\" width=\"60\" height=\"40\"{style}>{picture}</svg><hr{style}><p>after</p>")),
        document(&of_a_body, "<p style=\"background:#bbf\">Tried on a body</p><div>x</div>"),
    ]
}

/// Every `property:value` that this browser takes, of all properties that it has.
fn known_to_the_browser(executable: &std::path::Path) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let values = serde_json::to_string(VALUES).unwrap();
    let script = format!(
        "const values={values},names=new Set(getComputedStyle(document.body));\
         for(const k in document.body.style)names.add(k.replace(/[A-Z]/g,c=>'-'+c.toLowerCase()).replace(/^webkit-/,'-webkit-'));\
         const out=[];for(const n of names)for(const v of values)if(CSS.supports(n,v))out.push(n+':'+v);\
         document.body.textContent=out.join('\\n')"
    );
    std::fs::write(&page, format!("<!doctype html><meta charset=utf-8><body><script>{script}</script></body>")).unwrap();
    let output = Command::new(executable)
        .args(["--no-sandbox", "--headless", "--disable-gpu", "--dump-dom", "--timeout=20000"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = &dom[dom.find("<body>").unwrap() + 6..dom.find("</body>").unwrap()];
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").lines().map(str::to_owned).collect()
}

struct Press {
    pool: Pool,
    alone: Vec<Vec<u8>>,
}

/// What documents of a sheaf look like, page by page.
type Looks = Vec<Result<Vec<Vec<u8>>, String>>;

impl Press {
    async fn print(&self, html: String) -> Result<bytes::Bytes, String> {
        let deadline = Instant::now() + SHORT;
        let printed = self.pool.print(PrintJob::new(html, "default".to_owned()), deadline).await;
        printed.map(|printed| printed.pdf).map_err(|error| error.to_string())
    }

    async fn looks(&self, leaves: &[&Leaf], about: impl Fn(usize) -> bool) -> Result<Looks, String> {
        let printed = self.print(bind(leaves)).await?;
        let marks = marks(leaves.len());
        let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
        let pieces =
            pdf::split(&printed, &marks, Some(pdf::Ruler { mark: RULER.mark, width_pt: RULER.width_pt, height_pt: RULER.height_pt }))
                .map_err(|error| error.to_string())?;
        Ok(pieces
            .into_iter()
            .step_by(2)
            .enumerate()
            .map(|(at, piece)| if about(at) { Ok(looks_of(&piece)) } else { Err(String::new()) })
            .collect())
    }

    /// Those of `tried` after which a document that tries nothing does not look as it does alone.
    async fn reaching(&self, plain: &Leaf, tried: &[(String, Leaf)]) -> Vec<String> {
        let mut leaves = vec![plain];
        for (_, leaf) in tried {
            leaves.extend([leaf, plain]);
        }
        let is_spoilt = match self.looks(&leaves, |at| at % 2 == 0).await {
            Ok(looks) => looks.iter().step_by(2).any(|look| look.as_ref().is_ok_and(|look| !same(look, &self.alone))),
            // A print that cannot be cut is thrown away: nothing reaches anybody.
            Err(error) if tried.len() == 1 => {
                if !error.contains("scaled") {
                    println!("{} is printed alone: {error}", tried[0].0);
                }
                false
            }
            Err(_) => true,
        };
        match (is_spoilt, tried) {
            (false, _) => Vec::new(),
            (true, [(one, _)]) => vec![one.clone()],
            (true, many) => {
                let (first, second) = many.split_at(many.len() / 2);
                let mut found = Box::pin(self.reaching(plain, first)).await;
                found.extend(Box::pin(self.reaching(plain, second)).await);
                found
            }
        }
    }
}

fn looks_of(pdf: &[u8]) -> Vec<Vec<u8>> {
    let pages = pdf::page_count(pdf).unwrap();
    (0..pages.min(3)).map(|page| rasterise(bytes::Bytes::copy_from_slice(pdf), page, LOOK).unwrap().rgba).collect()
}

/// The last bit of a place makes a pixel a little lighter; what is painted over makes it another one.
fn same(one: &[Vec<u8>], other: &[Vec<u8>]) -> bool {
    let alike =
        |one: &Vec<u8>, other: &Vec<u8>| one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.abs_diff(*other) < 48);
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
}

/// Tries one in `share` of all values.
async fn nothing_reaches_another(share: usize) {
    let executable = find_executable(None).unwrap().path;
    let declarations = known_to_the_browser(&executable);
    let properties: HashSet<&str> = declarations.iter().filter_map(|one| one.split_once(':')).map(|(name, _)| name).collect();
    assert!(properties.len() > 350 && declarations.len() > 4_000, "{} properties, {} declarations", properties.len(), declarations.len());
    let runtime = tempfile::tempdir().unwrap();
    let mut options = PoolOptions::new(executable, runtime.path().join("run"));
    options.sandbox = Sandbox::Off;
    let pool = Pool::start(options).await.unwrap();
    let text = document("", "<p>One that says nothing</p><table><tr><td>1</td><td>2</td></tr></table>");
    let plain = Leaf::of(&text).unwrap();
    let mut press = Press { pool, alone: Vec::new() };
    press.alone = looks_of(&press.print(text).await.unwrap());
    assert_eq!(press.alone.len(), 1);
    let wide = Leaf::of(&document("", "<p style='width:130%'>wider than its page</p>")).unwrap();
    let scaled = press.looks(&[&plain, &wide], |_| true).await.unwrap_err();
    assert!(scaled.contains("scaled"), "a browser shrinks all pages when one is too narrow: {scaled}");
    let mut tried: Vec<(String, Leaf)> = Vec::new();
    for declaration in declarations.iter().filter(|declaration| !declaration.contains('"')).step_by(share) {
        let leaves = documents(declaration).into_iter().enumerate().filter_map(|(at, html)| Some((at, Leaf::of(&html)?)));
        tried.extend(leaves.map(|(at, leaf)| (format!("{declaration} in document {at}"), leaf)));
    }
    assert!(tried.len() * share > 20_000, "{} documents were let through", tried.len());
    let mut reaching = Vec::new();
    for some in tried.chunks(TRIED_AT_ONCE) {
        reaching.extend(press.reaching(&plain, some).await);
    }
    println!("{} properties, {} declarations, {} documents let through and tried", properties.len(), declarations.len(), tried.len());
    press.pool.close(Instant::now() + PATIENCE).await;
    assert_eq!(reaching, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_style_can_say_reaches_the_page_of_another_document() {
    // No divisor of the number of values: each property is tried with others.
    nothing_reaches_another(7).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; to be run when the browser or the lists of refused words change"]
async fn nothing_at_all_that_a_style_can_say_reaches_the_page_of_another_document() {
    nothing_reaches_another(1).await;
}
