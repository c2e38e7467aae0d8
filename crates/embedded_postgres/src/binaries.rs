//! Finds the PostgreSQL that the distribution installed; never downloads one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::EmbeddedPostgresError;

/// A folder with a usable `initdb` and `postgres`; distributions put `psql` and `pg_dump` beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder that holds the programs.
    pub dir: PathBuf,
    /// The version as `postgres --version` prints it, without the name: `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    /// The first number of the version, which decides whether a cluster can be opened.
    pub major: u32,
}

/// Finds the programs: `bin_dir` when given (and then nothing else), else what `PATH` leads to
/// (`pg_config --bindir`, `postgres`), else the newest of `/usr/lib/postgresql/*/bin` and the
/// places other distributions use.
pub fn find_binaries(bin_dir: Option<&Path>) -> Result<Binaries, EmbeddedPostgresError> {
    find_binaries_for(bin_dir, None)
}

/// As [`find_binaries`], but prefers the programs of the major version that made an existing cluster,
/// so that a distribution upgrade that keeps the old version installed does not stop anyone.
pub fn find_binaries_for(bin_dir: Option<&Path>, cluster_major: Option<u32>) -> Result<Binaries, EmbeddedPostgresError> {
    let (folders, looked_in) = match bin_dir {
        Some(dir) => (vec![dir.to_owned()], dir.display().to_string()),
        None => (
            candidate_folders(),
            "PATH, /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin, /usr/libexec/postgresql*, /usr/local/pgsql/bin".to_owned(),
        ),
    };
    let mut first_problem = None;
    let mut usable = Vec::new();
    for dir in folders.iter().filter(|dir| dir.join("initdb").exists() && dir.join("postgres").exists()) {
        match inspect(dir) {
            Ok(binaries) => usable.push(binaries),
            Err(problem) => {
                first_problem.get_or_insert(problem);
            }
        }
    }
    let wanted = usable.iter().position(|found| Some(found.major) == cluster_major).unwrap_or(0);
    if wanted < usable.len() {
        return Ok(usable.swap_remove(wanted));
    }
    Err(first_problem.unwrap_or(EmbeddedPostgresError::BinariesNotFound { looked_in }))
}

fn candidate_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    // The shell searches PATH for us. `postgres` may be a link into the real folder.
    if let Some(dir) = first_line("pg_config --bindir") {
        folders.push(PathBuf::from(dir));
    }
    if let Some(program) = first_line("command -v postgres")
        && let Some(dir) = Path::new(&program).canonicalize().ok().as_deref().and_then(Path::parent)
    {
        folders.push(dir.to_owned());
    }
    let mut installed = Vec::new();
    for (parent, prefix, rest) in [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin"), ("/usr/libexec", "postgresql", "")] {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Some(major) = name.to_str().and_then(|name| name.strip_prefix(prefix)).and_then(|major| major.parse::<u32>().ok()) {
                installed.push((major, entry.path().join(rest)));
            }
        }
    }
    installed.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    folders.extend(installed.into_iter().map(|(_, dir)| dir));
    folders.push(PathBuf::from("/usr/local/pgsql/bin"));
    folders
}

fn first_line(script: &str) -> Option<String> {
    let output = Command::new("sh").args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().filter(|line| line.starts_with('/')).map(str::to_owned)
}

fn inspect(dir: &Path) -> Result<Binaries, EmbeddedPostgresError> {
    let postgres = dir.join("postgres");
    for path in [&postgres, &dir.join("initdb")] {
        if let Err(error) = rustix::fs::access(path, rustix::fs::Access::EXEC_OK) {
            return Err(EmbeddedPostgresError::BinaryUnusable { path: path.clone(), found: error.to_string() });
        }
    }
    let unusable = |found: String| EmbeddedPostgresError::BinaryUnusable { path: postgres.clone(), found };
    let output = Command::new(&postgres).arg("--version").stdin(Stdio::null()).output().map_err(|error| unusable(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().trim_start_matches("postgres (PostgreSQL) ").to_owned();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse() {
        Ok(major) if output.status.success() => Ok(Binaries { dir: dir.to_owned(), version, major }),
        _ => Err(unusable(format!(
            "`--version` ended with {} and said {:?}",
            output.status,
            format!("{text}{}", String::from_utf8_lossy(&output.stderr)).trim()
        ))),
    }
}
