//! What a schedule says with expressions, looked at when it is saved: what cannot be read would fail every run.

use document::words::{self, WordsError};
use domain::Issue;
use serde_json::{Map, Value};

/// One expression or path, or a text around some.
#[derive(Clone, Copy)]
enum Kind {
    Expression,
    Text,
}

/// Where expressions stand: the way there, where `*` is every element of a list, and what stands there.
const PLACES: [(&[&str], Kind); 19] = [
    (&["deliveryCondition", "skipIfEmpty"], Kind::Expression),
    (&["deliveryCondition", "deliverIf"], Kind::Expression),
    (&["burst", "itemsPath"], Kind::Expression),
    (&["burst", "keyPath"], Kind::Expression),
    (&["burst", "itemCondition"], Kind::Expression),
    (&["dataSource", "url"], Kind::Text),
    (&["dataSource", "query", "*"], Kind::Text),
    (&["dataSource", "body"], Kind::Text),
    (&["deliveryTargets", "*", "toPath"], Kind::Expression),
    (&["deliveryTargets", "*", "ccPath"], Kind::Expression),
    (&["deliveryTargets", "*", "fromName"], Kind::Text),
    (&["deliveryTargets", "*", "subject"], Kind::Text),
    (&["deliveryTargets", "*", "body"], Kind::Text),
    (&["deliveryTargets", "*", "bodyHtml"], Kind::Text),
    (&["deliveryTargets", "*", "attachmentName"], Kind::Text),
    (&["deliveryTargets", "*", "key"], Kind::Text),
    (&["deliveryTargets", "*", "metadata", "*"], Kind::Text),
    (&["deliveryTargets", "*", "folderPath"], Kind::Text),
    (&["deliveryTargets", "*", "filename"], Kind::Text),
];

/// What of a schedule's expressions cannot be read, each with a JSON Pointer to it.
pub fn check_schedule_words(definition: &Map<String, Value>) -> Vec<Issue> {
    let mut issues = Vec::new();
    for (way, kind) in PLACES {
        let Some((first, rest)) = way.split_first() else { continue };
        if let Some(value) = definition.get(*first) {
            look(value, &format!("/{first}"), rest, kind, &mut issues);
        }
    }
    issues
}

fn look(value: &Value, path: &str, way: &[&str], kind: Kind, issues: &mut Vec<Issue>) {
    match (way.split_first(), value) {
        (None, Value::String(text)) => {
            if let Err(error) = read(text, kind) {
                issues.push(Issue::new(path, format!("cannot be read: {error}")));
            }
        }
        (Some((&"*", rest)), Value::Array(list)) => {
            for (index, value) in list.iter().enumerate() {
                look(value, &format!("{path}/{index}"), rest, kind, issues);
            }
        }
        (Some((&"*", rest)), Value::Object(fields)) => {
            for (name, value) in fields {
                look(value, &domain::issues::pointer(path, name), rest, kind, issues);
            }
        }
        (Some((name, rest)), Value::Object(fields)) => {
            if let Some(value) = fields.get(*name) {
                look(value, &format!("{path}/{name}"), rest, kind, issues);
            }
        }
        _ => {}
    }
}

fn read(text: &str, kind: Kind) -> Result<(), WordsError> {
    match kind {
        Kind::Expression => words::check_expression(text),
        Kind::Text => words::check(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_expression_that_cannot_be_read_is_named_where_it_stands() {
        let check = |definition: Value| check_schedule_words(definition.as_object().unwrap());
        let good = json!({
            "deliveryCondition": {"skipIfEmpty": "rows", "deliverIf": "{{total}}"},
            "burst": {"itemsPath": "$.customers", "keyPath": "id"},
            "dataSource": {"url": "https://example.org/{{parameters.day}}", "query": {"d": "{{parameters.day}}"}},
            "deliveryTargets": [{"type": "email", "subject": "For {{execution.date}}", "toPath": "customer.mail"}, {"type": "s3", "key": "a/{{execution.key}}.pdf"}],
        });
        assert_eq!(check(good), Vec::new());
        let bad = json!({
            "deliveryCondition": {"deliverIf": "{{"},
            "burst": {"itemsPath": "a["},
            "dataSource": {"query": {"a/b": "{{#if"}},
            "deliveryTargets": [{"type": "email"}, {"type": "email", "subject": "{{"}],
        });
        let issues = check(bad);
        let paths: Vec<&str> = issues.iter().map(|issue| &*issue.path).collect();
        assert_eq!(paths, ["/deliveryCondition/deliverIf", "/burst/itemsPath", "/dataSource/query/a~1b", "/deliveryTargets/1/subject"]);
        assert!(issues[0].message.contains("line 1, column"), "{}", issues[0].message);
    }
}
