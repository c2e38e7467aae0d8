//! Takes the variables of the environment and checks each against its declaration.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::problems::Problem;
use super::settings::{ALL, Fallback, Form, Secrecy, Setting};
use super::{Secret, Variables};

/// The largest file that `NAME_FILE` may name; a secret is far smaller.
const MAX_SECRET_FILE_BYTES: u64 = 64 * 1024;

/// All values that are set or have a fixed default, checked, by the name of their setting.
pub struct Values {
    texts: BTreeMap<&'static str, String>,
    /// The settings whose value was refused: rules between settings keep quiet about them.
    refused: Vec<&'static str>,
}

impl Values {
    /// Reads and checks every declared setting, and reports all that is wrong.
    pub fn read(variables: &Variables, problems: &mut Vec<Problem>) -> Self {
        let mut texts = BTreeMap::new();
        let mut refused = Vec::new();
        for setting in ALL {
            match read_one(setting, variables) {
                Ok(Some(text)) => {
                    texts.insert(setting.name, text);
                }
                Ok(None) => {}
                Err(problem) => {
                    refused.push(setting.name);
                    problems.push(problem);
                }
            }
        }
        Self { texts, refused }
    }

    /// The text of a setting; absent when it is not set and has no fixed default, or was refused.
    pub fn text(&self, setting: &Setting) -> Option<&str> {
        self.texts.get(setting.name).map(String::as_str)
    }

    /// The number of a `Whole` setting without a fixed default.
    pub fn whole(&self, setting: &Setting) -> Option<usize> {
        self.text(setting)?.parse().ok()
    }

    /// The value of a setting that has a fixed default.
    ///
    /// # Panics
    /// When a declaration has no default or a wider range than the type it is read into; a test reads all of them.
    pub fn required<T: FromStr>(&self, setting: &Setting) -> T {
        match self.text(setting).map(str::parse) {
            Some(Ok(value)) => value,
            _ => unreachable!("{} is declared otherwise than it is read", setting.name),
        }
    }

    /// Whether a `Switch` is on.
    pub fn is_on(&self, setting: &Setting) -> bool {
        self.text(setting).and_then(switch) == Some(true)
    }

    /// The path of a `Path` setting without a fixed default.
    pub fn path(&self, setting: &Setting) -> Option<PathBuf> {
        self.text(setting).map(PathBuf::from)
    }

    /// The value of a secret.
    pub fn secret(&self, setting: &Setting) -> Option<Secret> {
        self.text(setting).map(|text| Secret(text.to_owned()))
    }

    /// Whether there is a value, or one that was refused.
    pub fn was_given(&self, setting: &Setting) -> bool {
        self.texts.contains_key(setting.name) || self.refused.contains(&setting.name)
    }
}

/// The checked value of one setting: what was set, else its fixed default.
fn read_one(setting: &Setting, variables: &Variables) -> Result<Option<String>, Problem> {
    let given = match setting.secrecy {
        Secrecy::Open => given(setting.name, variables).map(str::to_owned),
        Secrecy::Secret => given_or_in_file(setting, variables)?,
    };
    let text = match (given, &setting.default) {
        (Some(text), _) => text,
        (None, Fallback::Value(default)) => (*default).to_owned(),
        (None, Fallback::Derived(_)) => return Ok(None),
    };
    if accepts(&setting.form, &text) { Ok(Some(text)) } else { Err(refusal(setting, &text)) }
}

/// What a variable holds. An empty one counts as not set, as compose files write `${NAME:-}`.
fn given<'a>(name: &str, variables: &'a Variables) -> Option<&'a str> {
    variables.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

/// What a secret's variable holds, or the file that `NAME_FILE` names; both at once are refused.
fn given_or_in_file(setting: &Setting, variables: &Variables) -> Result<Option<String>, Problem> {
    let file_name = format!("{}_FILE", setting.name);
    let inline = given(setting.name, variables).map(str::to_owned);
    let Some(path) = given(&file_name, variables) else { return Ok(inline) };
    if inline.is_some() {
        return Err(Problem {
            name: setting.name.to_owned(),
            found: format!("set, and so is {file_name}"),
            accepted: "one of the two".to_owned(),
        });
    }
    let refuse =
        |found: String| Problem { name: file_name.clone(), found, accepted: format!("a readable file with {}", setting.form.accepted()) };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_SECRET_FILE_BYTES).read_to_string(&mut text))
        .map_err(|error| refuse(format!("\"{path}\" cannot be read: {error}")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(refuse(format!("\"{path}\" is empty"))) } else { Ok(Some(text.to_owned())) }
}

fn accepts(form: &Form, text: &str) -> bool {
    match form {
        Form::Whole { from, to } => {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits && text.parse().is_ok_and(|number: u64| (*from..=*to).contains(&number))
        }
        Form::Switch => switch(text).is_some(),
        Form::Choice(words) => words.contains(&text),
        Form::Host => text.parse::<IpAddr>().is_ok() || is_host_name(text),
        Form::Path => !text.contains('\0'),
        Form::Url(schemes) => {
            let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)?.strip_prefix("://"));
            rest.is_some_and(|rest| !rest.is_empty()) && is_word(text)
        }
        Form::Word { min_chars } => is_word(text) && text.chars().count() >= *min_chars,
    }
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn is_word(text: &str) -> bool {
    text.chars().all(|character| !character.is_whitespace() && !character.is_control())
}

/// The letters of a host name (RFC 1123); an address that is wrong by one digit must not pass as a name.
fn is_host_name(text: &str) -> bool {
    let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    letters && text.len() <= 253 && text.bytes().any(|byte| byte.is_ascii_alphabetic()) && !text.starts_with(['-', '.'])
}

/// What was found, with secrets reduced to what helps to find the mistake.
fn describe(setting: &Setting, text: &str) -> String {
    if setting.secrecy == Secrecy::Open {
        // A value is shown in one line whatever it holds.
        return format!("found {:?}", text.chars().take(80).collect::<String>());
    }
    if !is_word(text) {
        return "found a value (hidden) with a space or an unprintable character in it".to_owned();
    }
    let chars = text.chars().count();
    match (&setting.form, text.split_once("://")) {
        (Form::Url(_), Some((scheme, _))) if scheme.len() < 16 => format!("found a value (hidden) beginning with {scheme}://"),
        (Form::Url(_), _) => format!("found a value (hidden) of {chars} characters without a scheme"),
        _ => format!("found a value (hidden) of {chars} characters"),
    }
}

fn refusal(setting: &Setting, text: &str) -> Problem {
    Problem { name: setting.name.to_owned(), found: describe(setting, text), accepted: setting.form.accepted() }
}
