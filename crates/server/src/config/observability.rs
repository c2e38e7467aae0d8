//! What metrics and traces tell, and to whom.

use std::collections::HashSet;
use std::time::Duration;

use domain::templates::TemplateKey;
use render::{MetricLabels, TemplateLabels};

use super::declaration::Setting;
use super::forms::is_word;
use super::problems::Problem;
use super::reader::Values;
use super::secrets::Secret;
use super::settings as known;

/// Which names `/metrics` shows.
pub fn labels(values: &Values, problems: &mut Vec<Problem>) -> MetricLabels {
    // Names are nobody's business who brings no token.
    let by_default = if values.text(&known::METRICS_TOKEN).is_some() { "bounded" } else { "off" };
    let tenants = match values.text(&known::METRICS_TENANT_LABEL_MODE).unwrap_or(by_default) {
        "off" => None,
        _ => values.parsed(&known::METRICS_TENANT_LABEL_MAX),
    };
    let most = values.parsed(&known::METRICS_TEMPLATE_LABEL_MAX).unwrap_or_default();
    let templates = match values.text(&known::METRICS_TEMPLATE_LABEL_MODE).unwrap_or(by_default) {
        "off" => None,
        "allowlist" => Some(TemplateLabels::Listed(listed(values, problems), most)),
        _ => Some(TemplateLabels::First(most)),
    };
    MetricLabels { tenants, templates }
}

fn listed(values: &Values, problems: &mut Vec<Problem>) -> HashSet<TemplateKey> {
    let setting = &known::METRICS_TEMPLATE_LABEL_ALLOWLIST;
    let Some(text) = values.text(setting) else {
        let found = "it is not set, and METRICS_TEMPLATE_LABEL_MODE is allowlist".to_owned();
        problems.push(Problem { name: setting.name.to_owned(), found, accepted: setting.form.accepted() });
        return HashSet::new();
    };
    let mut keys = HashSet::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse() {
            Ok(key) => drop(keys.insert(key)),
            Err(_) => {
                problems.push(Problem {
                    name: setting.name.to_owned(),
                    found: format!("found {part:?}"),
                    accepted: setting.form.accepted(),
                });
            }
        }
    }
    keys
}

/// Which traces begin here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What becomes of requests whose caller has decided.
    pub caller: CallersWord,
    /// The share of the others that are traced, 0 to 1.
    pub share: f64,
}

/// Whether the sampling that a caller has decided on holds here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallersWord {
    /// It does.
    Holds,
    /// Everybody is judged by the share.
    IsIgnored,
}

/// Where traces are sent.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The address that spans are posted to.
    pub endpoint: String,
    /// Headers of each call.
    pub headers: Vec<(String, Secret)>,
    /// How long a call may take.
    pub timeout: Duration,
    /// What the server is called there.
    pub service_name: String,
    /// More about the server.
    pub attributes: Vec<(String, String)>,
    /// What is traced.
    pub sampling: Sampling,
}

/// Where traces are sent; none where that was not asked for.
pub fn traces(values: &Values, problems: &mut Vec<Problem>) -> Option<Traces> {
    let headers = pairs(values, &known::OTEL_EXPORTER_OTLP_HEADERS, problems);
    let attributes = pairs(values, &known::OTEL_RESOURCE_ATTRIBUTES, problems);
    let sampling = sampling(values, problems);
    let setting = &known::OTEL_EXPORTER_OTLP_ENDPOINT;
    let endpoint = values.text(setting)?;
    if endpoint.split_once("://").is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|host| host.contains('@'))) {
        let found = "found a user or password in it; OTEL_EXPORTER_OTLP_HEADERS is where credentials belong".to_owned();
        problems.push(Problem { name: setting.name.to_owned(), found, accepted: setting.form.accepted() });
    }
    Some(Traces {
        endpoint: format!("{}/v1/traces", endpoint.trim_end_matches('/')),
        headers: headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        timeout: Duration::from_millis(values.parsed(&known::OTEL_EXPORTER_OTLP_TIMEOUT).unwrap_or_default()),
        service_name: values.parsed(&known::OTEL_SERVICE_NAME).unwrap_or_default(),
        attributes,
        sampling,
    })
}

fn sampling(values: &Values, problems: &mut Vec<Problem>) -> Sampling {
    let setting = &known::OTEL_TRACES_SAMPLER_ARG;
    let argument = match values.text(setting).map(str::parse::<f64>) {
        None => 1.0,
        Some(Ok(share)) if (0.0..=1.0).contains(&share) => share,
        Some(_) => {
            let found = "found something else".to_owned();
            problems.push(Problem { name: setting.name.to_owned(), found, accepted: setting.form.accepted() });
            1.0
        }
    };
    let word = values.text(&known::OTEL_TRACES_SAMPLER).unwrap_or_default();
    let caller = if word.starts_with("parentbased_") { CallersWord::Holds } else { CallersWord::IsIgnored };
    let share = if word.ends_with("always_on") {
        1.0
    } else if word.ends_with("always_off") {
        0.0
    } else {
        argument
    };
    Sampling { caller, share }
}

/// Pairs as OpenTelemetry writes them: `name=value,name=value`, with `%20` and the like in values.
fn pairs(values: &Values, setting: &Setting, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let Some(text) = values.text(setting) else { return Vec::new() };
    let mut pairs = Vec::new();
    for (index, part) in text.split(',').map(str::trim).filter(|part| !part.is_empty()).enumerate() {
        let pair = part.split_once('=').map(|(name, value)| (name.trim(), percent_decoded(value.trim())));
        match pair {
            Some((name, Some(value))) if !name.is_empty() && is_word(name) => pairs.push((name.to_owned(), value)),
            // A header may be a secret: its text is not shown.
            _ => {
                let found = format!("pair {} is none", index + 1);
                problems.push(Problem { name: setting.name.to_owned(), found, accepted: setting.form.accepted() });
            }
        }
    }
    pairs
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}
