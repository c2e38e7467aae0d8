//! What an execution of a schedule makes and where that goes, reckoned from the schedule and its data: purely, so that it can be asked
//! for before anything is made.

use document::burst::{self, BurstItem, Bursted};
use document::words::{self, When, WordsError};
use domain::ErrorCode;
use domain::schedule_plans::{DeliveryPlan, Packaging, PlannedCall, PlannedEmail, PlannedFile, PlannedObject, PlannedTarget, Way};
use domain::schedule_sources::{Burst, DataSource, DeliveryCondition};
use domain::schedule_targets::{BodyTemplate, EmailTarget, RECIPIENTS_LIMIT, ScheduleTarget, WebhookFiles};
use domain::templates::TemplateKey;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::request::Format;
use crate::run::Renderer;
use crate::schedule_data::ScheduleError;

/// Bytes of all requests for documents of one execution: what one transaction writes at once.
const WORK_BYTES: usize = burst::BYTES_LIMIT;

/// An execution of a schedule.
#[derive(Clone, Debug)]
pub struct ScheduleRun {
    /// The id of the schedule, for those who look for its documents.
    pub schedule: String,
    /// The id of the execution.
    pub execution: String,
    /// What the schedule is called.
    pub name: String,
    /// Its template.
    pub template: TemplateKey,
    /// Which version of it.
    pub version: Option<String>,
    /// Or where which label leads.
    pub label: Option<String>,
    /// When it was due.
    pub fire_time: Timestamp,
    /// The moment that its documents believe it is.
    pub moment: Timestamp,
    /// The zone of the schedule's clock.
    pub time_zone: TimeZone,
    /// The day that it then is where the schedule's clock hangs, such as 2026-11-21.
    pub day: String,
    /// Its parameters, with dates in the place of what dates are reckoned from.
    pub parameters: Map<String, Value>,
    /// What it makes and where that goes, with its secrets.
    pub definition: Map<String, Value>,
    /// Whether it delivers whatever its condition says.
    pub ignores_condition: bool,
    /// It goes to these addresses and nowhere else; empty where it is no test.
    pub test_recipients: Vec<String>,
}

impl ScheduleRun {
    /// When its texts are filled in.
    fn when(&self) -> When {
        When { now: self.moment, time_zone: self.time_zone.clone() }
    }
}

/// What an execution comes to.
#[derive(Clone, Debug)]
pub enum ScheduleOutcome {
    /// Documents are to be made and delivered.
    Work(ScheduleWork),
    /// There is nothing to deliver: why.
    Nothing(String),
}

/// Documents that are to be made, and where they go.
#[derive(Clone, Debug)]
pub struct ScheduleWork {
    /// The bodies of the requests for them, each with its `format`: of each item as many as of the others, one item after the other.
    pub requests: Vec<Value>,
    /// The template of each.
    pub templates: Vec<String>,
    /// The items.
    pub items: Vec<ScheduleItem>,
    /// Elements of the list, those that a condition left out, and those that were too many.
    pub counts: [usize; 3],
}

/// One item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScheduleItem {
    /// Where its documents go. Its recipients are those that are addresses.
    pub plan: DeliveryPlan,
}

impl Renderer {
    /// Reckons what an execution makes and where that goes.
    pub async fn schedule_work(&self, store: &store::TenantStore, run: ScheduleRun) -> Result<ScheduleOutcome, ScheduleError> {
        let source = run.definition.get("dataSource").cloned().unwrap_or_default();
        let source = DataSource::from_json(&source, "/dataSource").map_err(unreadable)?;
        let data = self.schedule_data(store, &run.template, &source, &run.parameters, &run.when()).await?;
        // Lists may have ten thousand elements with words for each.
        let reckoned = tokio::task::spawn_blocking(move || work(&run, data)).await;
        reckoned.unwrap_or_else(|_| Err(ScheduleError::refused(ErrorCode::InternalError, "reckoning what is to be made failed")))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn unreadable(issues: Vec<domain::Issue>) -> ScheduleError {
    let said = issues.first().map_or_else(String::new, |issue| format!("{}: {}", issue.path, issue.message));
    ScheduleError::refused(ErrorCode::ValidationFailed, format!("the schedule cannot be read: {said}"))
}

fn of_words(field: &str) -> impl Fn(WordsError) -> ScheduleError + '_ {
    move |error| ScheduleError::refused(ErrorCode::TemplateExpressionError, format!("{field}: {error}"))
}

/// What is to be made of that data.
fn work(run: &ScheduleRun, data: Value) -> Result<ScheduleOutcome, ScheduleError> {
    let given = |name: &str| run.definition.get(name).filter(|value| !value.is_null());
    let is_test = !run.test_recipients.is_empty();
    if let (Some(condition), false) = (given("deliveryCondition"), run.ignores_condition || is_test) {
        let condition = DeliveryCondition::from_json(condition, "/deliveryCondition").map_err(unreadable)?;
        if let Some(reason) = nothing(&condition, &with_facts(run, &data, None), &run.when())? {
            return Ok(ScheduleOutcome::Nothing(reason));
        }
    }
    let bursted = match given("burst") {
        None => Bursted { total: 1, items: vec![BurstItem { key: None, data }], ..Bursted::default() },
        Some(value) => {
            let wanted = Burst::from_json(value, "/burst").map_err(unreadable)?;
            burst::burst(&wanted, &data, &run.when()).map_err(|error| ScheduleError::refused(error.code(), error.to_string()))?
        }
    };
    if bursted.items.is_empty() {
        return Ok(ScheduleOutcome::Nothing(format!("none of {} elements is to have a document", bursted.total)));
    }
    let counts = [bursted.total, bursted.filtered, bursted.truncated];
    let mut items = bursted.items;
    if is_test {
        items.truncate(1);
    }
    let targets = targets(run)?;
    let mut work = ScheduleWork { requests: Vec::new(), templates: Vec::new(), items: Vec::new(), counts };
    let mut bytes = 0;
    for item in items {
        bytes += add(run, &targets, item, &mut work)?;
        if bytes > WORK_BYTES {
            let said = format!("the data of all documents has more than {WORK_BYTES} bytes; leave mergeParent out, or make less of it");
            return Err(ScheduleError::refused(ErrorCode::PayloadTooLarge, said));
        }
    }
    Ok(ScheduleOutcome::Work(work))
}

/// Why there is nothing to deliver, if there is nothing.
fn nothing(condition: &DeliveryCondition, data: &Value, when: &When) -> Result<Option<String>, ScheduleError> {
    if let Some(path) = &condition.skip_if_empty {
        let found = words::value_at(path, data, when).map_err(of_words("deliveryCondition.skipIfEmpty"))?;
        let is_empty = match &found {
            None | Some(Value::Null) => true,
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(fields)) => fields.is_empty(),
            Some(Value::String(text)) => text.trim().is_empty(),
            Some(_) => false,
        };
        if is_empty {
            return Ok(Some(format!("skipIfEmpty: {path} is empty")));
        }
    }
    if let Some(expression) = &condition.deliver_if
        && !words::holds(expression, data, when).map_err(of_words("deliveryCondition.deliverIf"))?
    {
        return Ok(Some(format!("deliverIf: {expression} is not true")));
    }
    Ok(None)
}

/// Where everything goes; a test goes to somebody else.
fn targets(run: &ScheduleRun) -> Result<Vec<ScheduleTarget>, ScheduleError> {
    let none = Value::Array(Vec::new());
    let given = run.definition.get("deliveryTargets").unwrap_or(&none);
    let targets = ScheduleTarget::list_from_json(given, "/deliveryTargets").map_err(unreadable)?;
    if run.test_recipients.is_empty() {
        return Ok(targets);
    }
    let first = targets.into_iter().find_map(|target| match target {
        ScheduleTarget::Email(email) => Some(email),
        _ => None,
    });
    let email = first.unwrap_or_else(|| EmailTarget {
        link_threshold_bytes: domain::schedule_targets::DEFAULT_LINK_THRESHOLD_BYTES,
        ..EmailTarget::default()
    });
    let (cc, bcc, to_path, cc_path) = (Vec::new(), Vec::new(), None, None);
    Ok(vec![ScheduleTarget::Email(EmailTarget { to: run.test_recipients.clone(), cc, bcc, to_path, cc_path, ..email })])
}

/// The data with what is known of the run beside it, as words and conditions see it.
fn with_facts(run: &ScheduleRun, data: &Value, item: Option<(usize, Option<&str>)>) -> Value {
    let mut all = data.as_object().cloned().unwrap_or_default();
    let mut add = |name: &str, value: Value| {
        all.entry(name).or_insert(value);
    };
    add("parameters", Value::Object(run.parameters.clone()));
    add("schedule", json!({ "id": run.schedule, "name": run.name }));
    let (index, key) = item.unzip();
    add(
        "execution",
        json!({ "id": run.execution, "fireTime": run.fire_time, "asOf": run.moment, "date": run.day, "index": index, "key": key.flatten() }),
    );
    Value::Object(all)
}

fn formats(run: &ScheduleRun) -> Result<Vec<Format>, ScheduleError> {
    let word = |value: &Value| {
        let word = value.as_str().unwrap_or_default();
        Format::of_word(word).ok_or_else(|| {
            let said = format!("the format {word} is not available in this version; available: {}", Format::words());
            ScheduleError::refused(ErrorCode::NotImplemented, said)
        })
    };
    let many = run.definition.get("formats").and_then(Value::as_array).filter(|formats| !formats.is_empty());
    match (many, run.definition.get("format").filter(|format| !format.is_null())) {
        (Some(formats), _) => formats.iter().map(word).collect(),
        (None, Some(format)) => Ok(vec![word(format)?]),
        (None, None) => Ok(vec![Format::Pdf]),
    }
}

/// Adds an item with its documents, and says how many bytes those requests have.
fn add(run: &ScheduleRun, targets: &[ScheduleTarget], item: BurstItem, work: &mut ScheduleWork) -> Result<usize, ScheduleError> {
    let index = work.items.len();
    let facts = with_facts(run, &item.data, Some((index, item.key.as_deref())));
    let mut data = item.data;
    if let (Value::Object(data), false) = (&mut data, run.parameters.is_empty()) {
        data.entry("parameters").or_insert_with(|| Value::Object(run.parameters.clone()));
    }
    let mut bytes = 0;
    let mut request = |work: &mut ScheduleWork, template: &str, version: Option<&str>, label: Option<&str>, format: Format, with: Value| {
        let mut body = json!({
            "format": format.as_str(), "template": template, "data": data, "now": run.moment,
            "metadata": { "scheduleId": run.schedule, "executionId": run.execution },
        });
        if targets.is_empty() {
            // What goes nowhere is kept, or nobody would ever see it.
            body["output"] = json!({ "store": true });
        }
        if let Value::Object(body) = &mut body {
            let table_id = run.definition.get("tableId").filter(|_| matches!(format, Format::Csv | Format::Xlsx)).cloned();
            let named =
                [("version", version.map(Value::from)), ("label", label.map(Value::from)), ("options", Some(with)), ("tableId", table_id)];
            body.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.filter(|value| !value.is_null())?))));
        }
        bytes += body.to_string().len();
        work.requests.push(body);
        work.templates.push(template.to_owned());
        u32::try_from(work.requests.len() - 1).unwrap_or(u32::MAX)
    };
    let options = run.definition.get("renderOptions").cloned().unwrap_or_default();
    let mut files = Vec::new();
    for format in formats(run)? {
        files.push(request(work, run.template.as_str(), run.version.as_deref(), run.label.as_deref(), format, options.clone()));
    }
    let mut planned = Vec::new();
    for (place, target) in targets.iter().enumerate() {
        let body_file = match target {
            ScheduleTarget::Email(EmailTarget { body_template: Some(BodyTemplate { template, version, label }), .. }) => {
                Some(request(work, template, version.as_deref(), label.as_deref(), Format::Html, Value::Null))
            }
            _ => None,
        };
        let way = planned_way(run, target, &facts, body_file)
            .map_err(|(field, error)| of_words(&format!("deliveryTargets.{place}.{field}"))(error))?;
        planned.push(PlannedTarget { place: target.place(), way });
    }
    let zip = run.definition.get("packaging").and_then(Value::as_str) == Some("zip");
    let name = item.key.as_ref().map_or_else(|| run.name.clone(), |key| format!("{} {key}", run.name));
    work.items.push(ScheduleItem {
        plan: DeliveryPlan {
            files,
            packaging: if zip { Packaging::Zip } else { Packaging::Attachments },
            name,
            key: item.key,
            schedule_name: run.name.clone(),
            fire_time: run.fire_time.to_string(),
            targets: planned,
        },
    });
    Ok(bytes)
}

fn planned_way(
    run: &ScheduleRun,
    target: &ScheduleTarget,
    facts: &Value,
    body_file: Option<u32>,
) -> Result<Way, (&'static str, WordsError)> {
    let when = &run.when();
    let line = |field: &'static str, text: &Option<String>| {
        text.as_deref().map(|text| words::line(text, facts, when)).transpose().map_err(|error| (field, error))
    };
    Ok(match target {
        ScheduleTarget::Email(email) => {
            let more = |field: &'static str, given: &[String], path: &Option<String>| {
                let mut all = given.to_vec();
                if let Some(path) = path {
                    all.extend(addresses(words::value_at(path, facts, when).map_err(|error| (field, error))?));
                }
                all.truncate(RECIPIENTS_LIMIT + 1);
                Ok::<_, (&'static str, WordsError)>(all)
            };
            Way::Email(PlannedEmail {
                to: more("toPath", &email.to, &email.to_path)?,
                cc: more("ccPath", &email.cc, &email.cc_path)?,
                bcc: email.bcc.clone(),
                reply_to: email.reply_to.clone(),
                from_name: line("fromName", &email.from_name)?,
                subject: line("subject", &email.subject)?.filter(|subject| !subject.is_empty()).unwrap_or_else(|| run.name.clone()),
                body: email.body.as_deref().map(|text| words::plain(text, facts, when)).transpose().map_err(|error| ("body", error))?,
                body_html: email
                    .body_html
                    .as_deref()
                    .map(|text| words::html(text, facts, when))
                    .transpose()
                    .map_err(|error| ("bodyHtml", error))?,
                body_file,
                attachment_name: line("attachmentName", &email.attachment_name)?,
                mode: email.mode,
                link_threshold_bytes: email.link_threshold_bytes,
            })
        }
        ScheduleTarget::S3(bucket) => Way::S3(PlannedObject {
            bucket: bucket.bucket.clone(),
            key: line("key", &bucket.key)?,
            content_disposition: bucket.content_disposition.map(str::to_owned),
            metadata: bucket.metadata.clone(),
        }),
        ScheduleTarget::Webhook(call) => {
            Way::Webhook(PlannedCall { url: call.url.clone(), includes_files: call.files == WebhookFiles::Inside })
        }
        ScheduleTarget::Folder(folder) => {
            Way::Folder(PlannedFile { folder: line("folderPath", &folder.folder)?, filename: line("filename", &folder.filename)? })
        }
    })
}

/// Addresses in data: a text, or a list of them. What is none is kept, so that the history names it.
fn addresses(found: Option<Value>) -> Vec<String> {
    let text = |value: Value| match value {
        Value::String(text) => text.trim().chars().take(254).collect(),
        other => other.to_string().chars().take(100).collect(),
    };
    match found {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.into_iter().map(text).collect(),
        Some(Value::String(list)) => list.split([',', ';']).map(|one| text(one.into())).filter(|one: &String| !one.is_empty()).collect(),
        Some(other) => vec![text(other)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(definition: Value) -> ScheduleRun {
        let Value::Object(definition) = definition else { panic!("an object") };
        ScheduleRun {
            schedule: "s".to_owned(),
            execution: "e".to_owned(),
            name: "Monthly".to_owned(),
            template: "report".parse().unwrap(),
            version: None,
            label: Some("prod".to_owned()),
            fire_time: "2026-11-01T08:00:00Z".parse().unwrap(),
            day: "2026-11-01".to_owned(),
            moment: "2026-11-01T08:00:00Z".parse().unwrap(),
            time_zone: TimeZone::UTC,
            parameters: json!({"month": "October"}).as_object().unwrap().clone(),
            definition,
            ignores_condition: false,
            test_recipients: Vec::new(),
        }
    }

    fn made(run: &ScheduleRun, data: Value) -> ScheduleWork {
        match work(run, data).unwrap() {
            ScheduleOutcome::Work(work) => work,
            ScheduleOutcome::Nothing(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn each_element_has_its_documents_and_its_words() {
        let run = run(json!({
            "formats": ["pdf", "csv"], "tableId": "lines", "burst": {"itemsPath": "customers", "keyPath": "name"},
            "deliveryTargets": [
                {"type": "email", "to": ["a@b.c"], "toPath": "mail", "subject": "{{parameters.month}} for {{name}}, {{date \"now\" \"MMMM yyyy\"}}", "bodyTemplate": {"template": "cover"}},
                {"type": "s3", "bucket": "reports", "key": "{{execution.date}}/{{execution.key}}.pdf"}
            ],
        }));
        let work = made(&run, json!({"customers": [{"name": "Ada", "mail": "ada@b.c"}, {"name": "Bob", "mail": ["bob@b.c", 7]}]}));
        assert_eq!((work.requests.len(), work.items.len(), work.counts), (6, 2, [2, 0, 0]));
        let formats: Vec<&str> = work.requests.iter().map(|body| body["format"].as_str().unwrap()).collect();
        assert_eq!(formats, ["pdf", "csv", "html", "pdf", "csv", "html"]);
        let tables: Vec<_> = work.requests.iter().map(|body| body.get("tableId").is_some()).collect();
        assert_eq!(tables, [false, true, false, false, true, false], "only formats of tables take one");
        let plan = &work.items[1].plan;
        assert_eq!((plan.files.as_slice(), plan.key.as_deref()), (&[3, 4][..], Some("Bob")));
        let Way::Email(email) = &plan.targets[0].way else { panic!("{plan:?}") };
        assert_eq!((email.subject.as_str(), email.body_file), ("October for Bob, November 2026", Some(5)));
        assert_eq!(email.to, ["a@b.c", "bob@b.c", "7"]);
        let Way::S3(object) = &plan.targets[1].way else { panic!("{plan:?}") };
        assert_eq!(object.key.as_deref(), Some("2026-11-01/Bob.pdf"));
        assert_eq!(work.requests[3]["label"], json!("prod"));
        assert_eq!(work.requests[5]["template"], json!("cover"));
        assert!(work.requests[5].get("label").is_none());
    }

    #[test]
    fn a_condition_that_does_not_hold_is_said() {
        let definition = json!({"deliveryCondition": {"skipIfEmpty": "orders"}});
        let said = |run: &ScheduleRun, data: Value| match work(run, data).unwrap() {
            ScheduleOutcome::Nothing(reason) => reason,
            ScheduleOutcome::Work(_) => String::new(),
        };
        assert_eq!(said(&run(definition.clone()), json!({"orders": []})), "skipIfEmpty: orders is empty");
        assert_eq!(said(&run(definition.clone()), json!({"orders": [1]})), "");
        assert_eq!(said(&ScheduleRun { ignores_condition: true, ..run(definition) }, json!({})), "");
        assert_eq!(said(&run(json!({"deliveryCondition": {"deliverIf": "total"}})), json!({"total": 0})), "deliverIf: total is not true");
        assert_eq!(said(&run(json!({"burst": {"itemsPath": "xs"}})), json!({"xs": []})), "none of 0 elements is to have a document");
    }

    #[test]
    fn a_test_goes_to_whom_it_names_alone() {
        let mut run = run(
            json!({"burst": {"itemsPath": "xs"}, "deliveryTargets": [{"type": "webhook", "url": "https://x.example/"}, {"type": "email", "to": ["real@b.c"], "cc": ["boss@b.c"], "subject": "S"}]}),
        );
        run.test_recipients = vec!["me@b.c".to_owned()];
        let work = made(&run, json!({"xs": [1, 2, 3]}));
        assert_eq!((work.items.len(), work.items[0].plan.targets.len()), (1, 1));
        let Way::Email(email) = &work.items[0].plan.targets[0].way else { panic!("an e-mail") };
        assert_eq!((email.to.as_slice(), email.cc.len(), email.subject.as_str()), (&["me@b.c".to_owned()][..], 0, "S"));
    }
}
