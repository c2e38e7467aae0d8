//! What authors, callers and readers see of this room, on whole definitions.
#![cfg(test)]

mod assets;
mod bindings;
mod compatibility;
mod data;
mod definitions;
mod diff;
mod documents;
mod dry_run;
mod hostile_data;
mod hostile_schemas;
mod html_templates;
mod inference;
mod limits;
mod manual;
mod nodes;
mod page_setup;
mod parts;
mod properties;
mod regional;
mod tables;
mod tables_and_charts;

use std::time::Duration;

use document::{Bindings, Compiled, DocumentError, Input, Limits, Written, write_html};
use domain::options::RenderOptions;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

const NOW: &str = "2026-11-21T22:30:00Z";

/// A definition that holds these nodes.
#[expect(clippy::needless_pass_by_value, reason = "every caller makes the value on the spot")]
fn tree(children: Value) -> Value {
    json!({"document": {"id": "root", "type": "document", "children": children}})
}

fn compile(definition: &Value) -> Compiled {
    Compiled::compile(definition, &Limits::default()).unwrap_or_else(|error| panic!("{:#?}", error.issues()))
}

/// Every problem of a definition, as `pointer: message`.
fn refusals(definition: &Value) -> Vec<String> {
    let error = Compiled::compile(definition, &Limits::default()).expect_err("the definition is refused");
    error.issues().iter().map(|issue| format!("{}: {}", issue.path, issue.message)).collect()
}

fn validate(compiled: &Compiled, data: &Value, limits: &Limits) -> Result<Vec<domain::Issue>, DocumentError> {
    document::validate(compiled, data, NOW.parse().unwrap(), limits, None)
}

fn write_with(definition: &Value, data: &Value, options: &Value) -> Result<Written, DocumentError> {
    write_compiled(&compile(definition), data, options)
}

fn write_compiled(compiled: &Compiled, data: &Value, options: &Value) -> Result<Written, DocumentError> {
    let options = RenderOptions::from_json(options, "/options").unwrap();
    write_html(compiled, &input(data, &options), &Limits::default())
}

/// Data and options, and nothing else that would be said.
fn input<'a>(data: &'a Value, options: &'a RenderOptions) -> Input<'a> {
    Input { data, fixed_data: None, options, now: NOW.parse().unwrap(), bindings: Bindings::Lenient, cancelled: None, assets: None }
}

fn written(definition: &Value, data: &Value) -> Written {
    write_with(definition, data, &json!({})).unwrap_or_else(|error| panic!("{error}"))
}

/// What stands between the body's tags.
fn body(definition: &Value, data: &Value) -> String {
    let html = written(definition, data).html;
    let from = html.find("<body").unwrap();
    let from = from + html[from..].find('>').unwrap() + 1;
    html[from..html.rfind("</body>").unwrap()].to_owned()
}

/// What of this thread's processor time `work` takes: a busy machine makes waiting longer, and not work.
pub fn processor_time(work: impl FnOnce()) -> Duration {
    let spent = || {
        let spent = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap())
    };
    let from = spent();
    work();
    spent().saturating_sub(from)
}
