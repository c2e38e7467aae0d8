//! The manual page of the settings, as plain text and as Markdown, from the one list.

use std::fmt::Write as _;

use super::declaration::{Fallback, Secrecy, Setting};
use super::settings::ALL;
use super::unknown::NOT_YET;

const WIDTH_CHARS: usize = 100;
const INTRODUCTION: &str = "Pulp Engine is configured with environment variables. An empty variable counts as not set. \
    Every secret can also come from a file: NAME_FILE holds the path of a file with the value of NAME. \
    All problems of a configuration are reported at once, and the server then ends with exit code 2.";

const WITHOUT_EFFECT: &str = "These published settings are known and have no effect in this version; the server warns when one is set";

/// The page for a terminal.
pub fn plain() -> String {
    let mut page = format!("SETTINGS\n\n{}\n", wrapped(INTRODUCTION, ""));
    let mut chapter = "";
    for setting in ALL {
        if setting.chapter != chapter {
            chapter = setting.chapter;
            let _ = write!(page, "\n{}\n", chapter.to_uppercase());
        }
        let _ = write!(page, "\n  {}{}\n", setting.name, if setting.is_secret() { "  (secret)" } else { "" });
        let _ = writeln!(page, "{}", wrapped(&meaning(setting), "      "));
        let _ = writeln!(page, "{}", wrapped(&format!("accepted: {}", setting.form.accepted()), "      "));
        let _ = writeln!(page, "      default:  {}", default_of(setting));
    }
    let _ = write!(page, "\nNOT YET\n\n{}\n", wrapped(&format!("{WITHOUT_EFFECT}: {}.", NOT_YET.join(", ")), "  "));
    page
}

/// The page for `docs/configuration.md`.
pub fn markdown() -> String {
    let mut page = format!(
        "# Configuration\n\n<!-- Written by scripts/generate from crates/server/src/config/settings.rs. -->\n\n{}\n",
        wrapped(INTRODUCTION, "")
    );
    let mut chapter = "";
    for setting in ALL {
        if setting.chapter != chapter {
            chapter = setting.chapter;
            let _ = write!(page, "\n## {chapter}\n\n| setting | default | accepted | meaning |\n|---|---|---|---|\n");
        }
        let default = match setting.default {
            Fallback::Value(value) => format!("`{value}`"),
            Fallback::Derived(words) => words.to_owned(),
        };
        let secret = if setting.is_secret() { " (secret)" } else { "" };
        let _ = writeln!(page, "| `{}`{secret} | {default} | {} | {} |", setting.name, setting.form.accepted(), meaning(setting));
    }
    let later = NOT_YET.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let _ = write!(page, "\n## Not yet\n\n{}\n", wrapped(&format!("{WITHOUT_EFFECT}: {later}."), ""));
    page
}

fn default_of(setting: &Setting) -> &'static str {
    match setting.default {
        Fallback::Value(words) | Fallback::Derived(words) => words,
    }
}

/// What it does, with the variable for its file where that is not the usual one.
fn meaning(setting: &Setting) -> String {
    match setting.secrecy {
        Secrecy::SecretIn(variable) => format!("{} The file of its value is named by {variable}.", setting.meaning),
        Secrecy::Open | Secrecy::Secret => setting.meaning.to_owned(),
    }
}

/// `text` in lines of at most [`WIDTH_CHARS`], each beginning with `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![indent.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > indent.len() && line + 1 + word.chars().count() > WIDTH_CHARS {
            lines.push(indent.to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
