//! A theme: variables that become CSS custom properties, and a style sheet before those of the templates that use it.

use domain::issues::pointer;
use serde_json::Value;

use crate::fields::Fields;
use crate::issues::{clip, short};
use crate::shapes::{Property, Shape, Takes};

/// Variables of one theme.
const MOST_VARIABLES: usize = 500;
/// Characters of a variable's name and of its value.
const NAME_CHARACTERS: usize = 64;
const VALUE_CHARACTERS: usize = 500;

pub(crate) static SHAPE: Shape = Shape {
    what: "a theme",
    base: &[],
    properties: &[
        Property::optional("css", Takes::Plain, "", "A style sheet before those of the templates that use it."),
        Property::optional(
            "variables",
            Takes::Other("object of names and CSS values", r#"{"type": "object", "additionalProperties": {"type": ["string", "number"]}}"#),
            "none",
            "Each becomes a custom property: `brand` is `var(--brand)` in every style sheet.",
        ),
    ],
};

/// Checks the `theme` of a theme.
pub(crate) fn read(outer: &mut Fields<'_, '_>) {
    if outer.value("theme").is_none() {
        outer.refuse_missing("theme", "an object with \"variables\" and \"css\"");
        return;
    }
    let Some(object) = outer.object("theme") else { return };
    let at = outer.at("theme");
    let mut fields = Fields::new(outer.reading, &SHAPE, object, at, "theme.".into());
    fields.string("css");
    if let Some(variables) = fields.object("variables") {
        if variables.len() > MOST_VARIABLES {
            fields.refuse("variables", &format!("there are {} variables; accepted: {MOST_VARIABLES}", variables.len()));
        }
        for (name, value) in variables.iter().take(MOST_VARIABLES) {
            if let Err(why) = variable(name, value) {
                let path = pointer(&fields.at("variables"), name);
                fields.reading.refuse(path, &format!("the variable \"{}\" {why}", clip(name, 60)));
            }
        }
    }
    fields.finish();
}

/// The value of a variable as CSS.
///
/// # Errors
/// What is wrong with its name or value.
pub(crate) fn variable(name: &str, value: &Value) -> Result<String, String> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > NAME_CHARACTERS || !name.bytes().all(named) {
        return Err(format!("is no name; accepted: 1 to {NAME_CHARACTERS} letters, digits, \"-\" and \"_\""));
    }
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        other => return Err(format!("is {}; accepted: text or a number", short(other))),
    };
    if text.is_empty() || text.chars().count() > VALUE_CHARACTERS {
        return Err(format!("has {} characters; accepted: 1 to {VALUE_CHARACTERS}", text.chars().count()));
    }
    if !is_value(&text) {
        return Err(
            "could end its declaration; accepted: a CSS value without \";\", braces, \"<\", comments and backslashes, with its quotes and brackets closed"
                .to_owned(),
        );
    }
    Ok(text)
}

/// A CSS value that stays a part of its declaration.
fn is_value(text: &str) -> bool {
    if text.contains("/*") || text.contains(|character: char| character.is_control() || matches!(character, ';' | '{' | '}' | '<' | '\\')) {
        return false;
    }
    let mut quote = None;
    let mut brackets = Vec::new();
    for character in text.chars() {
        match (quote, character) {
            (Some(mark), _) if mark == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '(') => brackets.push(')'),
            (None, '[') => brackets.push(']'),
            (None, ')' | ']') if brackets.pop() != Some(character) => return false,
            _ => {}
        }
    }
    quote.is_none() && brackets.is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_variable_is_a_value_that_cannot_end_its_declaration() {
        for good in
            [json!("#123456"), json!("\"Inter\", 'Noto Sans', serif"), json!("calc(1px + (2 * 3pt))"), json!(4), json!("rgb(1,2,3)")]
        {
            assert!(variable("brand", &good).is_ok(), "{good}");
        }
        for bad in ["red;}*{display:none", "red}", "\"open", "calc(1px", "a)", "</style>", "a/*", "a\\3b", "", "a\nb"] {
            assert!(variable("brand", &json!(bad)).is_err(), "{bad}");
        }
        assert!(
            variable("brand", &json!(null)).is_err() && variable("a b", &json!("red")).is_err() && variable("", &json!("red")).is_err()
        );
    }
}
