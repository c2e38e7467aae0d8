//! The floor as a process of its own: warm script-free tabs that print what they are told, with no server around them.
//!
//! It reads lines on standard input and answers on standard output:
//! `print <document> <file>` → `printed`; `run <document> <ms>` → one `<µs> <bytes>` per document, then `end <µs>`.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::args::FloorClientOptions;
use crate::cdp::Browser;
use crate::error::{BenchError, Result, While as _};

const LOAD_WITHIN: Duration = Duration::from_mins(1);

/// What the product asks of a print as well, so that the bytes can be compared.
const PRINT: &str = r#"{"preferCSSPageSize":true,"printBackground":true,"generateTaggedPDF":false,"transferMode":"ReturnAsBase64"}"#;

struct Tab {
    session: String,
    frame: String,
}

/// Prints until standard input ends.
pub async fn serve(options: &FloorClientOptions) -> Result<()> {
    let mut html = HashMap::new();
    for name in &options.documents {
        let file = options.documents_dir.join(format!("{name}.html"));
        let text = fs::read_to_string(&file).while_doing(|| format!("reading {}", file.display()))?;
        html.insert(name.clone(), Arc::new(json!(text).to_string()));
    }
    let browser = Arc::new(Browser::start(&options.chromium, &options.profile)?);
    let mut tabs = Vec::new();
    for _ in 0..options.tabs {
        tabs.push(Arc::new(open_tab(&browser).await?));
    }
    say("ready")?;
    let mut lines = commands();
    while let Some(line) = lines.recv().await {
        let words: Vec<&str> = line.split(' ').collect();
        let document = words.get(1).and_then(|name| html.get(*name)).cloned();
        match (words.as_slice(), document) {
            (["print", _, file], Some(html)) => {
                let pdf = print(&browser, &tabs[0], &html).await?;
                fs::write(Path::new(file), pdf).while_doing(|| format!("writing {file}"))?;
                say("printed")?;
            }
            (["run", _, ms], Some(html)) => {
                let length = Duration::from_millis(ms.parse().unwrap_or(0));
                run(&browser, &tabs, &html, length).await?;
            }
            _ => return Err(BenchError::Usage(format!("floor client: `{line}` is not a command"))),
        }
    }
    Ok(())
}

/// Lines of standard input, read by a thread of their own; the channel closes when the parent is gone.
fn commands() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(std::result::Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

async fn open_tab(browser: &Browser) -> Result<Tab> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Target {
        target_id: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Attached {
        session_id: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Frames {
        frame_tree: FrameTree,
    }
    #[derive(Deserialize)]
    struct FrameTree {
        frame: Frame,
    }
    #[derive(Deserialize)]
    struct Frame {
        id: String,
    }
    let created = browser.call(None, "Target.createTarget", r#"{"url":"about:blank","enableBeginFrameControl":true}"#).await?;
    let target: Target = read(created.get())?;
    let params = json!({"targetId": target.target_id, "flatten": true}).to_string();
    let attached: Attached = read(browser.call(None, "Target.attachToTarget", &params).await?.get())?;
    let session = attached.session_id;
    browser.call(Some(&session), "Page.enable", "{}").await?;
    browser.call(Some(&session), "Emulation.setScriptExecutionDisabled", r#"{"value":true}"#).await?;
    let frames: Frames = read(browser.call(Some(&session), "Page.getFrameTree", "{}").await?.get())?;
    Ok(Tab { session, frame: frames.frame_tree.frame.id })
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| BenchError::Browser(format!("unexpected answer: {error}")))
}

/// The floor itself: content in, load event, print, base64 off.
async fn print(browser: &Browser, tab: &Tab, html: &str) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    struct Printed<'a> {
        #[serde(borrow)]
        data: &'a str,
    }
    let loaded = browser.next_load(&tab.session);
    let content = format!("{{\"frameId\":\"{}\",\"html\":{html}}}", tab.frame);
    browser.call(Some(&tab.session), "Page.setDocumentContent", &content).await?;
    let loaded = timeout(LOAD_WITHIN, loaded).await;
    loaded
        .map_err(|_| BenchError::TimedOut { what: "load event".to_owned(), after: LOAD_WITHIN })?
        .map_err(|_| BenchError::Browser("it went away while loading".to_owned()))?;
    let answer = browser.call(Some(&tab.session), "Page.printToPDF", PRINT).await?;
    let printed: Printed<'_> = read(answer.get())?;
    base64_simd::STANDARD.decode_to_vec(printed.data).map_err(|error| BenchError::Browser(format!("PDF is not base64: {error}")))
}

async fn run(browser: &Arc<Browser>, tabs: &[Arc<Tab>], html: &Arc<String>, length: Duration) -> Result<()> {
    let start = Instant::now();
    let mut loops = JoinSet::new();
    for tab in tabs {
        let (browser, tab, html) = (Arc::clone(browser), Arc::clone(tab), Arc::clone(html));
        loops.spawn(async move {
            while start.elapsed() < length {
                let before = Instant::now();
                let pdf = print(&browser, &tab, &html).await?;
                say(&format!("{} {}", before.elapsed().as_micros(), pdf.len()))?;
            }
            Ok(())
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended.map_err(|error| BenchError::Browser(format!("a tab's loop ended: {error}")))??;
    }
    say(&format!("end {}", start.elapsed().as_micros()))
}

fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).while_doing(|| "answering".to_owned())
}
