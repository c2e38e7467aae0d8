//! What a theme, a layout and a document say about the page, one over the other.

use serde_json::{Map, Value, json};

/// What is gathered instead of replaced: fonts of all are known, style sheets stand one behind the other.
const GATHERED: [&str; 2] = ["fonts", "customCss"];
/// Two names of one setting.
const MARGINS: [&str; 2] = ["margin", "margins"];

/// `over` on `under`, setting by setting.
pub(super) fn config_over(under: Option<&Value>, over: Option<&Value>) -> Option<Value> {
    let (Some(Value::Object(under)), Some(Value::Object(over))) = (under, over) else {
        // What is no object is for the compiler to refuse.
        return over.filter(|over| !over.is_null()).or(under).cloned();
    };
    let mut merged = under.clone();
    if MARGINS.iter().any(|name| over.get(*name).is_some_and(|value| !value.is_null())) {
        for name in MARGINS {
            merged.shift_remove(name);
        }
    }
    for (name, value) in over.iter().filter(|(_, value)| !value.is_null()) {
        let value = if GATHERED.contains(&name.as_str()) { gathered(merged.get(name), value) } else { value.clone() };
        merged.insert(name.clone(), value);
    }
    Some(Value::Object(merged))
}

fn gathered(under: Option<&Value>, over: &Value) -> Value {
    match (under, over) {
        (Some(Value::Array(under)), Value::Array(over)) => {
            let more = over.iter().filter(|entry| !under.contains(entry));
            under.iter().chain(more).cloned().collect()
        }
        (Some(Value::String(under)), Value::String(over)) => json!(sheets([under.as_str(), over.as_str()])),
        _ => over.clone(),
    }
}

/// Style sheets one behind the other.
pub(super) fn sheets<'s>(sheets: impl IntoIterator<Item = &'s str>) -> String {
    sheets.into_iter().filter(|sheet| !sheet.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A node's own style over that of what it stands for.
pub(super) fn style_over(under: Option<&Value>, over: Option<&Value>) -> Option<Value> {
    match (under, over) {
        (Some(Value::Object(under)), Some(Value::Object(over))) => {
            let mut merged: Map<String, Value> = under.clone();
            merged.extend(over.clone());
            Some(Value::Object(merged))
        }
        (under, over) => over.or(under).filter(|style| !style.is_null()).cloned(),
    }
}

/// Variables of a theme as a rule for the whole document. Values that could end the rule were refused when the theme was
/// checked; a theme that was never checked loses them here.
pub(super) fn variables_css(theme: Option<&Value>) -> String {
    let variables = theme.and_then(|theme| theme.get("variables")).and_then(Value::as_object);
    let rules: String = variables
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some(format!("--{name}:{};", crate::theme::variable(name, value).ok()?)))
        .collect();
    if rules.is_empty() { rules } else { format!(":root{{{rules}}}") }
}
