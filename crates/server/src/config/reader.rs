//! Takes the variables of the environment and checks each against its declaration.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;

use super::declaration::{Fallback, Setting};
use super::forms::{Form, is_word, switch};
use super::problems::Problem;
use super::settings::ALL;
use super::{Secret, Variables};

/// The largest file that a `_FILE` variable may name: thousands of keys or users fit in it.
const MAX_SECRET_FILE_BYTES: u64 = 1024 * 1024;

/// All values that are set or have a fixed default, checked, by the name of their setting.
pub struct Values {
    texts: BTreeMap<&'static str, String>,
    /// The settings whose value is not their default.
    given: Vec<&'static str>,
    /// The settings whose value was refused: rules between settings keep quiet about them.
    refused: Vec<&'static str>,
}

impl Values {
    /// Reads and checks every declared setting, and reports all that is wrong.
    pub fn read(variables: &Variables, problems: &mut Vec<Problem>) -> Self {
        let mut values = Self { texts: BTreeMap::new(), given: Vec::new(), refused: Vec::new() };
        for setting in ALL {
            match read_one(setting, variables) {
                Ok(Found::Given(text)) => {
                    values.given.push(setting.name);
                    values.texts.insert(setting.name, text);
                }
                Ok(Found::Default(text)) => {
                    values.texts.insert(setting.name, text.to_owned());
                }
                Ok(Found::Nothing) => {}
                Err(problem) => {
                    values.refused.push(setting.name);
                    problems.push(problem);
                }
            }
        }
        values
    }

    /// The text of a setting; absent when it is not set and has no fixed default, or was refused.
    pub fn text(&self, setting: &Setting) -> Option<&str> {
        self.texts.get(setting.name).map(String::as_str)
    }

    /// The value of a setting that has no fixed default, in the type that its form fits.
    pub fn parsed<T: FromStr>(&self, setting: &Setting) -> Option<T> {
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
        self.switch(setting) == Some(true)
    }

    /// Which way a `Switch` without a fixed default was set.
    pub fn switch(&self, setting: &Setting) -> Option<bool> {
        self.text(setting).and_then(switch)
    }

    /// The path of a `Path` setting without a fixed default.
    pub fn path(&self, setting: &Setting) -> Option<PathBuf> {
        self.text(setting).map(PathBuf::from)
    }

    /// The value of a secret.
    pub fn secret(&self, setting: &Setting) -> Option<Secret> {
        self.text(setting).map(Secret::new)
    }

    /// Whether somebody set it, be it to a value that was refused. A default was not given.
    pub fn was_given(&self, setting: &Setting) -> bool {
        self.given.contains(&setting.name) || self.refused.contains(&setting.name)
    }
}

/// The checked value of one setting.
enum Found {
    /// What somebody set.
    Given(String),
    /// What holds otherwise.
    Default(&'static str),
    /// There is none.
    Nothing,
}

fn read_one(setting: &Setting, variables: &Variables) -> Result<Found, Problem> {
    let given = match setting.file_variable() {
        None => given(setting.name, variables).map(str::to_owned),
        Some(file_variable) => given_or_in_file(setting, &file_variable, variables)?,
    };
    match (given, &setting.default) {
        (Some(text), _) if setting.form.accepts(&text) => Ok(Found::Given(text)),
        (Some(text), _) => Err(refusal(setting, &text)),
        (None, Fallback::Value(default)) if setting.form.accepts(default) => Ok(Found::Default(default)),
        (None, Fallback::Value(default)) => Err(refusal(setting, default)),
        (None, Fallback::Derived(_)) => Ok(Found::Nothing),
    }
}

/// What a variable holds. An empty one counts as not set, as compose files write `${NAME:-}`.
fn given<'a>(name: &str, variables: &'a Variables) -> Option<&'a str> {
    variables.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

/// What a secret's variable holds, or the file that the other variable names; both at once are refused.
fn given_or_in_file(setting: &Setting, file_variable: &str, variables: &Variables) -> Result<Option<String>, Problem> {
    let inline = given(setting.name, variables).map(str::to_owned);
    let Some(path) = given(file_variable, variables) else { return Ok(inline) };
    if inline.is_some() {
        return Err(Problem {
            name: setting.name.to_owned(),
            found: format!("set, and so is {file_variable}"),
            accepted: "one of the two".to_owned(),
        });
    }
    let refuse = |found: String| Problem {
        name: file_variable.to_owned(),
        found,
        accepted: format!("a readable file of at most {MAX_SECRET_FILE_BYTES} bytes with {}", setting.form.accepted()),
    };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_SECRET_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| refuse(format!("\"{path}\" cannot be read: {error}")))?;
    if text.len() as u64 > MAX_SECRET_FILE_BYTES {
        return Err(refuse(format!("\"{path}\" is larger")));
    }
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(refuse(format!("\"{path}\" is empty"))) } else { Ok(Some(text.to_owned())) }
}

/// What was found, with secrets reduced to what helps to find the mistake.
fn describe(setting: &Setting, text: &str) -> String {
    if !setting.is_secret() {
        return shown(text);
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

/// A value that is no secret, in one line whatever it holds.
pub fn shown(text: &str) -> String {
    format!("found {:?}", text.chars().take(80).collect::<String>())
}

fn refusal(setting: &Setting, text: &str) -> Problem {
    Problem { name: setting.name.to_owned(), found: describe(setting, text), accepted: setting.form.accepted() }
}
