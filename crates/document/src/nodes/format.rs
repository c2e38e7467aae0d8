//! How the value of a column is written: a helper of the expression language with its arguments.

use std::fmt::Write as _;

use crate::fields::Fields;
use crate::issues::clip;

/// A helper and what stands behind the value in its call.
#[derive(Debug)]
pub(crate) struct Format {
    helper: Box<str>,
    arguments: Box<str>,
}

/// Characters of a pattern of dates.
const PATTERN_CHARACTERS: usize = 60;

impl Format {
    pub(crate) fn read(column: &mut Fields<'_, '_>) -> Option<Self> {
        let helper = column.string("format");
        let mut arguments = String::new();
        if let Some(code) = column.string("currency") {
            let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
            let is_path = !code.is_empty()
                && code.len() <= 200
                && !code.contains(|character: char| character.is_whitespace() || "{}()\"'|=".contains(character));
            match (is_code, is_path) {
                // Writing to a String does not fail.
                (true, _) => drop(write!(arguments, " \"{code}\"")),
                (false, true) => drop(write!(arguments, " {code}")),
                _ => column.refuse(
                    "currency",
                    &format!("\"currency\" is \"{}\"; accepted: a code such as \"EUR\", or a path such as \"../currency\"", clip(code, 60)),
                ),
            }
        }
        if let Some(pattern) = column.string("pattern") {
            if pattern.is_empty() || pattern.chars().count() > PATTERN_CHARACTERS || pattern.contains(['"', '\\', '{', '}']) {
                column.refuse(
                    "pattern",
                    &format!(
                        "\"pattern\" is \"{}\"; accepted: 1 to {PATTERN_CHARACTERS} characters without quotes, braces and backslashes",
                        clip(pattern, 60)
                    ),
                );
            } else {
                let _ = write!(arguments, " \"{pattern}\"");
            }
        }
        if let Some(decimals) = column.whole("decimals") {
            let _ = write!(arguments, " decimals={decimals}");
        }
        let Some(helper) = helper else {
            if !arguments.is_empty() {
                column.refuse_missing("format", "the format that \"currency\", \"pattern\" or \"decimals\" belongs to, such as \"number\"");
            }
            return None;
        };
        if helper.is_empty() || helper.len() > 40 || !helper.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            column.refuse(
                "format",
                &format!(
                    "\"format\" is \"{}\"; accepted: \"number\", \"currency\", \"percent\", \"date\" or the name of another helper",
                    clip(helper, 60)
                ),
            );
            return None;
        }
        Some(Self { helper: helper.into(), arguments: arguments.into() })
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(&*self.helper, "number" | "currency" | "percent" | "round")
    }

    /// The template that writes the value at `path`, which may also be the call of a helper.
    pub(crate) fn of(&self, path: &str) -> String {
        let is_call = path.contains(' ') && !path.contains('[') && !path.starts_with('(');
        let value = if is_call { format!("({path})") } else { path.to_owned() };
        format!("{{{{{} {value}{}}}}}", self.helper, self.arguments)
    }
}
