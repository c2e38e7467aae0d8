//! The floor seen from the run: starts the floor client in its own cgroup and turns its lines into a block.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::args::RunOptions;
use crate::echo::Echo;
use crate::error::{BenchError, Result, While as _};
use crate::groups::{Group, Groups, Launch};
use crate::load::Outcome;

/// No single line of the floor client takes longer than one print and a cold start.
const LINE_WITHIN: Duration = Duration::from_mins(2);

/// The running floor client.
pub struct Floor {
    /// Its processes: the client and its browser.
    pub group: Arc<Group>,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    echo: Echo,
}

impl Floor {
    /// Starts the client with `tabs` warm tabs and waits until it can print.
    pub async fn start(groups: &Groups, options: &RunOptions, tabs: usize) -> Result<Self> {
        let profile = groups.scratch().join("floor-profile");
        std::fs::create_dir_all(&profile).while_doing(|| format!("making {}", profile.display()))?;
        let itself = std::env::current_exe().while_doing(|| "finding this program".to_owned())?;
        let folder = std::env::current_dir().while_doing(|| "finding the current folder".to_owned())?;
        let mut words = vec![itself.into_os_string(), "floor-client".into(), "--tabs".into(), tabs.to_string().into()];
        words.extend(["--chromium".into(), options.places.chromium.clone().into_os_string()]);
        words.extend(["--profile".into(), profile.into_os_string()]);
        words.extend(["--documents-dir".into(), options.places.documents_dir.clone().into_os_string()]);
        words.extend(["--documents".into(), options.documents.join(",").into()]);
        let (group, input, output) = groups.start_piped(Launch { name: "floor", words, folder, ..Launch::default() })?;
        let mut floor = Self { group, input, lines: BufReader::new(output).lines(), echo: Echo::start(2 * tabs).await? };
        floor.expect("ready").await?;
        Ok(floor)
    }

    async fn line(&mut self) -> Result<String> {
        let line = timeout(LINE_WITHIN, self.lines.next_line()).await;
        let line = line.map_err(|_| BenchError::TimedOut { what: "floor client".to_owned(), after: LINE_WITHIN })?;
        line.while_doing(|| "reading from the floor client".to_owned())?
            .ok_or_else(|| BenchError::Start { what: "the floor client".to_owned(), why: self.group.last_words() })
    }

    async fn expect(&mut self, word: &str) -> Result<()> {
        let line = self.line().await?;
        if line == word { Ok(()) } else { Err(BenchError::Answer { what: "floor client".to_owned(), answer: line }) }
    }

    async fn command(&mut self, line: String) -> Result<()> {
        self.input.write_all(line.as_bytes()).await.while_doing(|| "commanding the floor client".to_owned())
    }

    /// One PDF of `document`.
    pub async fn print(&mut self, document: &str, file: &Path) -> Result<Vec<u8>> {
        self.command(format!("print {document} {}\n", file.display())).await?;
        self.expect("printed").await?;
        std::fs::read(file).while_doing(|| format!("reading {}", file.display()))
    }

    /// Prints `document` in all tabs for `length`, with the generator's load beside it.
    pub async fn run(&mut self, document: &str, length: Duration) -> Result<Outcome> {
        self.command(format!("run {document} {}\n", length.as_millis())).await?;
        let mut outcome = Outcome::default();
        loop {
            let line = self.line().await?;
            let mut words = line.split(' ').map(str::parse::<u64>);
            match (words.next(), words.next()) {
                (Some(Ok(micros)), Some(Ok(size))) => {
                    outcome.latencies_us.push(micros);
                    self.echo.document(usize::try_from(size).unwrap_or(0)).await;
                }
                (Some(Err(_)), Some(Ok(micros))) if line.starts_with("end ") => {
                    outcome.elapsed = Duration::from_micros(micros);
                    return Ok(outcome);
                }
                _ => return Err(BenchError::Answer { what: "floor client".to_owned(), answer: line }),
            }
        }
    }
}
