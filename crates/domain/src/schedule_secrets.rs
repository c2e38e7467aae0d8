//! The secrets in what a schedule says: taken out before it is kept, put back where it runs, never shown again.

use serde_json::{Map, Value};

use crate::issues::{Issue, pointer};
use crate::webhooks::target;

/// What is shown where a header's secret value was. Sent back, it means the value that is kept.
pub const HIDDEN: &str = "********";

/// Takes the secrets out of a definition (`dataSource`, `deliveryTargets` and so on) and gives them by JSON Pointer. What is left may be
/// shown: a target says `hasSecret`, a header has [`HIDDEN`] as its value.
pub fn take(definition: &mut Map<String, Value>) -> Map<String, Value> {
    let mut secrets = Map::new();
    for (index, entry) in targets(definition) {
        let Some(entry) = entry.as_object_mut() else { continue };
        entry.shift_remove("hasSecret");
        if let Some(secret) = entry.shift_remove("secret").filter(|secret| !secret.is_null()) {
            entry.insert("hasSecret".to_owned(), true.into());
            secrets.insert(secret_of(index), secret);
        }
    }
    for (name, value) in headers(definition) {
        let value = std::mem::replace(value, HIDDEN.into());
        secrets.insert(header_of(name), value);
    }
    secrets
}

/// Puts them back.
pub fn put_back(definition: &mut Map<String, Value>, secrets: &Map<String, Value>) {
    for (index, entry) in targets(definition) {
        if let (Some(entry), Some(secret)) = (entry.as_object_mut(), secrets.get(&secret_of(index))) {
            entry.insert("secret".to_owned(), secret.clone());
        }
    }
    for (name, value) in headers(definition) {
        if let Some(secret) = secrets.get(&header_of(name)) {
            *value = secret.clone();
        }
    }
}

/// Fills in what somebody left out of a changed definition because it was never shown: secrets of webhooks that stood at the same URL,
/// values of headers that go to the same host and port. What was shown as hidden and goes elsewhere now has to be sent again: those
/// places are the issues, for the code `schedule_secret_required`.
pub fn keep(new: &mut Map<String, Value>, old: &Map<String, Value>, secrets: &Map<String, Value>) -> Result<(), Vec<Issue>> {
    let mut before = old.clone();
    put_back(&mut before, secrets);
    let known: Vec<(String, Value)> = targets(&mut before)
        .filter_map(|(_, entry)| {
            Some((entry.get("url")?.as_str()?.to_owned(), entry.get("secret").filter(|secret| !secret.is_null())?.clone()))
        })
        .collect();
    let mut issues = Vec::new();
    for (index, entry) in targets(new) {
        let Some(entry) = entry.as_object_mut() else { continue };
        let asks = entry.get("hasSecret").and_then(Value::as_bool);
        if entry.get("secret").is_some_and(|secret| !secret.is_null() && secret.as_str() != Some(HIDDEN)) || asks == Some(false) {
            continue;
        }
        let hidden = entry.shift_remove("secret").is_some_and(|secret| !secret.is_null());
        let same = known.iter().find(|(url, _)| entry.get("url").and_then(Value::as_str) == Some(url));
        match same {
            Some((_, secret)) => {
                entry.insert("secret".to_owned(), secret.clone());
            }
            None if hidden || asks == Some(true) => {
                issues.push(Issue::new(secret_of(index), "is not known for this URL; send it again"));
            }
            None => {}
        }
    }
    let place = |definition: &Map<String, Value>| {
        definition.get("dataSource").and_then(|source| source.get("url")).and_then(Value::as_str).map(target)
    };
    let same_place = place(new).is_some() && place(new) == place(old);
    for (name, value) in headers(new).filter(|(_, value)| value.as_str() == Some(HIDDEN)) {
        match secrets.get(&header_of(name)).filter(|_| same_place) {
            Some(secret) => *value = secret.clone(),
            None => issues.push(Issue::new(header_of(name), "is not known for this URL; send it again")),
        }
    }
    if issues.is_empty() { Ok(()) } else { Err(issues) }
}

fn targets(definition: &mut Map<String, Value>) -> impl Iterator<Item = (usize, &mut Value)> {
    definition.get_mut("deliveryTargets").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
}

fn headers(definition: &mut Map<String, Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    let source = definition.get_mut("dataSource").and_then(Value::as_object_mut);
    source.and_then(|source| source.get_mut("headers")).and_then(Value::as_object_mut).into_iter().flatten()
}

fn secret_of(index: usize) -> String {
    format!("/deliveryTargets/{index}/secret")
}

fn header_of(name: &str) -> String {
    pointer("/dataSource/headers", name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition() -> Map<String, Value> {
        let definition = json!({
            "dataSource": {"type": "url", "url": "https://data.example/a", "headers": {"Authorization": "Bearer s3cret", "X-A/b": "t0ken"}},
            "deliveryTargets": [{"type": "email", "to": ["a@b.c"]}, {"type": "webhook", "url": "https://h.example/1", "secret": "whsec-1"}],
        });
        definition.as_object().unwrap().clone()
    }

    #[test]
    fn secrets_are_out_of_what_is_kept_and_come_back_whole() {
        let (whole, mut kept) = (definition(), definition());
        let secrets = take(&mut kept);
        let shown = Value::Object(kept.clone()).to_string();
        assert!(!["s3cret", "t0ken", "whsec-1"].iter().any(|secret| shown.contains(secret)), "{shown}");
        assert_eq!(kept["deliveryTargets"][1]["hasSecret"], json!(true));
        put_back(&mut kept, &secrets);
        kept["deliveryTargets"][1].as_object_mut().unwrap().shift_remove("hasSecret");
        assert_eq!(kept, whole);
    }

    #[test]
    fn what_is_sent_back_as_it_was_shown_keeps_its_secrets_even_in_another_order() {
        let mut old = definition();
        let secrets = take(&mut old);
        let mut new = old.clone();
        new["deliveryTargets"].as_array_mut().unwrap().reverse();
        keep(&mut new, &old, &secrets).unwrap();
        assert_eq!(new["deliveryTargets"][0]["secret"], json!("whsec-1"));
        assert_eq!(new["dataSource"]["headers"]["Authorization"], json!("Bearer s3cret"));
    }

    #[test]
    fn no_secret_follows_to_another_address() {
        let mut old = definition();
        let secrets = take(&mut old);
        let mut new = old.clone();
        new["deliveryTargets"][1]["url"] = json!("https://evil.example/1");
        new["dataSource"]["url"] = json!("https://evil.example/a");
        let issues: Vec<String> = keep(&mut new, &old, &secrets).unwrap_err().into_iter().map(|issue| issue.path).collect();
        assert_eq!(issues, ["/deliveryTargets/1/secret", "/dataSource/headers/Authorization", "/dataSource/headers/X-A~1b"]);
        assert!(!Value::Object(new).to_string().contains("s3cret"));
    }
}
