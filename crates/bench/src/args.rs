//! The command line: what to measure, for how long, and where things are.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{BenchError, Result};

/// What `--help` and every mistake on the command line print.
pub const USAGE: &str = "\
usage: bench run  [--quick] [--statement] [--documents letter,invoice,report] [--variants floor,server,puppeteer]
                  [--pairs 5] [--block-ms 5000] [PLACES]
       bench batches [--documents letter,invoice] [--items 100] [--rounds 5] [PLACES]
       bench goodput [--documents letter,invoice] [--factor 3] [--rounds 5] [--block-ms 5000] [PLACES]
       bench soak [--renders 5000] [--warm-up 1800] [--clients 3] [--documents letter,invoice,report] [PLACES]

PLACES: --documents-dir bench  --server target/release/pulp-engine  --chromium /usr/lib/chromium/chromium-headless-shell
        --chrome PATH (full browser, a further puppeteer variant)  --puppeteer-dir target/bench/puppeteer
        --report docs/benchmarks.md (or `none`, which is what --quick takes when not told)";

/// Where the run finds what it starts, and where it writes.
#[derive(Debug, Clone)]
pub struct Places {
    /// The folder of `<document>.html`.
    pub documents_dir: PathBuf,
    /// The release binary of the product.
    pub server: PathBuf,
    /// The headless shell that all variants print with.
    pub chromium: PathBuf,
    /// The full browser, when the puppeteer server shall be measured with it as well.
    pub chrome: Option<PathBuf>,
    /// `server.mjs` and its installed `node_modules`.
    pub puppeteer_dir: PathBuf,
    /// The Markdown file to update.
    pub report: Option<PathBuf>,
}

/// Which programs take part in a run.
#[derive(Debug, Clone, Copy)]
pub struct Variants {
    /// Raw CDP in warm tabs, no server.
    pub floor: bool,
    /// The product.
    pub server: bool,
    /// The puppeteer server.
    pub puppeteer: bool,
}

/// How one comparing run is made.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Names of documents, in the order of the report.
    pub documents: Vec<String>,
    /// Who takes part.
    pub variants: Variants,
    /// Rounds per document; a round visits every cell once, every other round in reverse order.
    pub pairs: usize,
    /// Length of one block.
    pub block: Duration,
    /// Whether the cells outside the ratios (1, 2 and 8 clients, the tuned puppeteer) are left out.
    pub only_ratios: bool,
    /// Where things are.
    pub places: Places,
}

/// How batches are compared with single renders.
#[derive(Debug, Clone)]
pub struct BatchOptions {
    /// Names of documents, in the order of the report.
    pub documents: Vec<String>,
    /// Documents of one batch.
    pub items: usize,
    /// Rounds per document, after one that does not count.
    pub rounds: usize,
    /// Where things are.
    pub places: Places,
}

/// How overload is compared with the peak.
#[derive(Debug, Clone)]
pub struct GoodputOptions {
    /// Names of documents, in the order of the report.
    pub documents: Vec<String>,
    /// How many times the peak is offered.
    pub factor: f64,
    /// Rounds per document, each of a peak, an overload and a burst.
    pub rounds: usize,
    /// Length of one block.
    pub block: Duration,
    /// Where things are.
    pub places: Places,
}

/// How one soak run is made.
#[derive(Debug, Clone)]
pub struct SoakOptions {
    /// Documents rendered in turn.
    pub documents: Vec<String>,
    /// Renders after the warm-up.
    pub renders: usize,
    /// Renders before the first memory figure that counts; `None` takes 600 for each tab.
    pub warm_up: Option<usize>,
    /// Connections; `None` takes one for each tab.
    pub clients: Option<usize>,
    /// Where things are.
    pub places: Places,
}

/// How the floor client, a child of `run`, is started.
#[derive(Debug, Clone)]
pub struct FloorClientOptions {
    /// The headless shell.
    pub chromium: PathBuf,
    /// Warm tabs.
    pub tabs: usize,
    /// An empty folder for the browser's profile.
    pub profile: PathBuf,
    /// The folder of `<document>.html`.
    pub documents_dir: PathBuf,
    /// Names of documents it may be asked for.
    pub documents: Vec<String>,
}

/// What this process shall do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Compare the variants and write the report.
    Run(RunOptions),
    /// Compare single renders, batches and mail merge.
    Batches(BatchOptions),
    /// Compare what comes out under overload with the peak.
    Goodput(GoodputOptions),
    /// Render many documents in a row and watch memory.
    Soak(SoakOptions),
    /// Be the floor: print on request of the parent process.
    FloorClient(FloorClientOptions),
    /// Print the usage.
    Help,
}

/// Every option given, before it is known which command wants it.
#[derive(Default)]
struct Given {
    pairs: Vec<(String, String)>,
    flags: Vec<String>,
}

impl Given {
    fn read(words: impl Iterator<Item = String>) -> Result<Self> {
        let mut given = Self::default();
        let mut words = words;
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                return Err(BenchError::Usage(format!("`{word}` is not an option")));
            };
            if matches!(name, "quick" | "statement" | "help") {
                given.flags.push(name.to_owned());
            } else {
                let value = words.next().ok_or_else(|| BenchError::Usage(format!("--{name} wants a value")))?;
                given.pairs.push((name.to_owned(), value));
            }
        }
        Ok(given)
    }

    fn flag(&mut self, name: &str) -> bool {
        let before = self.flags.len();
        self.flags.retain(|flag| flag != name);
        self.flags.len() < before
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let mut found = None;
        self.pairs.retain(|(given, value)| {
            if given == name {
                found = Some(value.clone());
            }
            given != name
        });
        found
    }

    fn path(&mut self, name: &str, default: &str) -> PathBuf {
        PathBuf::from(self.text(name).unwrap_or_else(|| default.to_owned()))
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        self.text(name)
            .map(|value| value.parse().map_err(|_| BenchError::Usage(format!("--{name} wants a whole number, not `{value}`"))))
            .transpose()
    }

    fn list(&mut self, name: &str, default: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_else(|| default.to_owned());
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn places(&mut self, report: &str) -> Places {
        Places {
            documents_dir: self.path("documents-dir", "bench"),
            server: self.path("server", "target/release/pulp-engine"),
            chromium: self.path("chromium", "/usr/lib/chromium/chromium-headless-shell"),
            chrome: self.text("chrome").map(PathBuf::from),
            puppeteer_dir: self.path("puppeteer-dir", "target/bench/puppeteer"),
            report: Some(self.path("report", report)).filter(|path| path.as_os_str() != "none"),
        }
    }

    fn nothing_left(self) -> Result<()> {
        match self.pairs.into_iter().map(|(name, _)| name).chain(self.flags).next() {
            Some(name) => Err(BenchError::Usage(format!("--{name} is not an option of this command"))),
            None => Ok(()),
        }
    }
}

/// Reads the words after the program's name.
pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Command> {
    let command = words.next().unwrap_or_else(|| "--help".to_owned());
    if matches!(command.as_str(), "--help" | "-h" | "help") {
        return Ok(Command::Help);
    }
    let mut given = Given::read(words)?;
    if given.flag("help") {
        return Ok(Command::Help);
    }
    let command = match command.as_str() {
        "run" => Command::Run(run(&mut given)?),
        "batches" => Command::Batches(BatchOptions {
            documents: given.list("documents", "letter,invoice"),
            items: given.number("items")?.unwrap_or(100).clamp(1, 100),
            rounds: given.number("rounds")?.unwrap_or(5).clamp(1, 1000),
            places: given.places("docs/benchmarks.md"),
        }),
        "goodput" => Command::Goodput(GoodputOptions {
            documents: given.list("documents", "letter,invoice"),
            factor: f64::from(given.number::<u16>("factor")?.unwrap_or(3).clamp(1, 20)),
            rounds: given.number("rounds")?.unwrap_or(5).clamp(1, 1000),
            block: Duration::from_millis(given.number("block-ms")?.unwrap_or(5000))
                .clamp(Duration::from_millis(500), Duration::from_mins(10)),
            places: given.places("docs/benchmarks.md"),
        }),
        "soak" => Command::Soak(SoakOptions {
            documents: given.list("documents", "letter,invoice,report"),
            renders: given.number("renders")?.unwrap_or(5000).clamp(1, 1_000_000),
            warm_up: given.number("warm-up")?,
            clients: given.number("clients")?,
            places: given.places("docs/benchmarks.md"),
        }),
        "floor-client" => Command::FloorClient(FloorClientOptions {
            chromium: given.path("chromium", ""),
            tabs: given.number("tabs")?.unwrap_or(1),
            profile: given.path("profile", ""),
            documents_dir: given.path("documents-dir", "bench"),
            documents: given.list("documents", ""),
        }),
        other => return Err(BenchError::Usage(format!("`{other}` is not a command"))),
    };
    given.nothing_left()?;
    Ok(command)
}

fn run(given: &mut Given) -> Result<RunOptions> {
    let quick = given.flag("quick");
    let mut documents = given.list("documents", "letter,invoice,report");
    if given.flag("statement") {
        documents.push("statement".to_owned());
    }
    let mut variants = Variants { floor: false, server: false, puppeteer: false };
    for name in given.list("variants", "floor,server,puppeteer") {
        match name.as_str() {
            "floor" => variants.floor = true,
            "server" => variants.server = true,
            "puppeteer" => variants.puppeteer = true,
            other => return Err(BenchError::Usage(format!("--variants: `{other}` is none of floor, server, puppeteer"))),
        }
    }
    let block_ms = given.number("block-ms")?.unwrap_or(if quick { 1500 } else { 5000 });
    Ok(RunOptions {
        documents,
        variants,
        pairs: given.number("pairs")?.unwrap_or(if quick { 2 } else { 5 }).clamp(1, 1000),
        block: Duration::from_millis(block_ms).clamp(Duration::from_millis(100), Duration::from_mins(10)),
        only_ratios: quick,
        places: given.places(if quick { "none" } else { "docs/benchmarks.md" }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> impl Iterator<Item = String> + '_ {
        line.split_whitespace().map(str::to_owned)
    }

    #[test]
    fn a_plain_run_measures_three_documents_in_five_pairs_of_five_seconds() {
        let Ok(Command::Run(options)) = parse(words("run")) else { panic!("not a run") };
        assert_eq!(options.documents, ["letter", "invoice", "report"]);
        assert_eq!((options.pairs, options.block), (5, Duration::from_secs(5)));
    }

    #[test]
    fn an_unknown_option_is_named_in_the_refusal() {
        let Err(said) = parse(words("soak --pairs 3")) else { panic!("accepted") };
        assert!(said.to_string().starts_with("--pairs is not an option of this command"), "{said}");
    }
}
