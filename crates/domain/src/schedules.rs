//! Schedules: what is made when, as somebody sends it and as it is shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::calendars::parse_date;
use crate::cron::{CronPattern, InvalidCron, first_moment};
use crate::ids::ScheduleCalendarId;
use crate::issues::{Issue, pointer};
use crate::labels::LabelName;
use crate::options::RenderOptions;
use crate::relative_dates::check_parameters;
use crate::schedule_fields::Fields;
use crate::schedule_sources::{Burst, DataSource, DeliveryCondition};
use crate::schedule_targets::ScheduleTarget;
use crate::schedule_times::{CATCH_UP_LIMIT, HolidayRule, Misfire, SchedulePlan};
use crate::templates::{TemplateKey, TemplateVersion};

/// Characters of a schedule's name.
pub const SCHEDULE_NAME_LIMIT_CHARS: usize = 200;
/// Dates that one schedule may leave out by itself.
pub const SKIP_DATES_LIMIT: usize = 1_000;
/// Bytes of everything that is made and where it goes, as JSON: it is written down again with every run.
pub const DEFINITION_LIMIT_BYTES: usize = 512 * 1024;
/// Formats that a schedule's documents can have.
const FORMATS: [&str; 4] = ["pdf", "html", "csv", "xlsx"];
/// Formats that the product has elsewhere.
const FORMATS_LATER: [&str; 2] = ["docx", "pptx"];
/// Furthest business day of a month.
const BUSINESS_DAYS: i64 = 23;

/// What makes and delivers the documents; the rest of a schedule's fields are columns.
const DEFINITION: [&str; 10] = [
    "format",
    "formats",
    "tableId",
    "packaging",
    "dataSource",
    "deliveryTargets",
    "renderOptions",
    "parameters",
    "deliveryCondition",
    "burst",
];
const TIMING: [&str; 11] = [
    "cronExpression",
    "timezone",
    "calendarId",
    "holidayRule",
    "businessDayOfMonth",
    "skipDates",
    "validFrom",
    "validUntil",
    "maxRuns",
    "misfire",
    "misfireLimit",
];
const NAMES: [&str; 5] = ["name", "enabled", "templateKey", "templateLabel", "templateVersion"];
/// What is shown and cannot be set: whoever sends back what was read sends it too.
const SHOWN: [&str; 9] = ["id", "revision", "createdAt", "createdBy", "updatedAt", "updatedBy", "nextFireAt", "lastFiredAt", "runCount"];

/// Everything that says when, as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScheduleTiming {
    /// The pattern.
    pub cron_expression: String,
    /// An IANA name.
    pub timezone: String,
    /// Whose holidays.
    pub calendar_id: Option<ScheduleCalendarId>,
    /// What becomes of runs on them.
    pub holiday_rule: HolidayRule,
    /// Only on that business day of a month.
    pub business_day_of_month: Option<i32>,
    /// Dates on which nothing comes.
    pub skip_dates: Vec<Date>,
    /// Nothing before.
    pub valid_from: Option<Timestamp>,
    /// Nothing after.
    pub valid_until: Option<Timestamp>,
    /// No more runs by the clock than so many.
    pub max_runs: Option<u32>,
    /// What becomes of runs that were missed.
    pub misfire: Misfire,
}

/// A timing that can no longer be reckoned with, though it was once accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidTiming {
    /// The pattern.
    #[error("cronExpression {0}")]
    Cron(#[from] InvalidCron),
    /// The zone.
    #[error("the time zone {0:?} is not known to this server")]
    Zone(Box<str>),
}

impl ScheduleTiming {
    /// What reckons with it and with these holidays.
    pub fn plan(&self, holidays: Arc<BTreeSet<Date>>) -> Result<SchedulePlan, InvalidTiming> {
        let zone = zone_of(&self.timezone).ok_or_else(|| InvalidTiming::Zone(self.timezone.as_str().into()))?;
        Ok(SchedulePlan {
            pattern: CronPattern::parse(&self.cron_expression)?,
            zone: zone.1,
            holidays,
            holiday_rule: self.holiday_rule,
            business_day_of_month: self.business_day_of_month,
            skip_dates: self.skip_dates.iter().copied().collect(),
            valid_from: self.valid_from,
            valid_until: self.valid_until,
        })
    }

    /// Reads the fields that say when, and nothing else. `path` is where they stand.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Vec<Issue>> {
        let mut fields = Fields::of(value, path, "{\"cronExpression\": \"0 8 * * 1-5\", \"timezone\": \"Europe/Berlin\"}")?;
        let timing = timing(&mut fields);
        fields.end_with(timing)
    }

    fn show(&self, shown: &mut Map<String, Value>) {
        let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
        put("cronExpression", self.cron_expression.as_str().into());
        put("timezone", self.timezone.as_str().into());
        put("calendarId", json!(self.calendar_id));
        put("holidayRule", self.holiday_rule.as_str().into());
        put("businessDayOfMonth", json!(self.business_day_of_month));
        put("skipDates", self.skip_dates.iter().map(ToString::to_string).collect());
        put("validFrom", json!(self.valid_from));
        put("validUntil", json!(self.valid_until));
        put("maxRuns", json!(self.max_runs));
        put("misfire", self.misfire.as_str().into());
        if let Some(limit) = self.misfire.limit() {
            put("misfireLimit", limit.into());
        }
    }
}

/// The zone of an IANA name, and the name as it is spelt.
fn zone_of(name: &str) -> Option<(String, TimeZone)> {
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
    let zone = TimeZone::get(name).ok().filter(|zone| fits && !zone.is_unknown())?;
    Some((zone.iana_name().unwrap_or(name).to_owned(), zone))
}

/// A schedule as it was sent, complete.
#[derive(Clone, PartialEq, Debug)]
pub struct ScheduleInput {
    /// For people.
    pub name: String,
    /// Whether the clock starts it.
    pub enabled: bool,
    /// When.
    pub timing: ScheduleTiming,
    /// The template.
    pub template_key: TemplateKey,
    /// Where its label leads.
    pub template_label: Option<LabelName>,
    /// Or one version of it.
    pub template_version: Option<TemplateVersion>,
    /// What is made of it and where that goes, as it was sent. With what nobody may read again, until
    /// [`crate::schedule_secrets::take`] took that out.
    pub definition: Map<String, Value>,
}

impl ScheduleInput {
    /// Reads a whole schedule; everything that is wrong with it is named.
    pub fn from_json(value: &Value) -> Result<Self, Vec<Issue>> {
        let example = "{\"name\": \"Daily report\", \"cronExpression\": \"0 8 * * 1-5\", \"templateKey\": \"report\", \"dataSource\": {\"type\": \"template\"}}";
        let mut fields = Fields::of(value, "", example)?;
        let known: Vec<&str> = [&NAMES[..], &TIMING, &DEFINITION, &SHOWN].concat();
        fields.refuse_unknown(&known);
        let name = fields.needed_text("name", SCHEDULE_NAME_LIMIT_CHARS, "Daily report");
        let enabled = fields.switch("enabled").unwrap_or(true);
        let timing = timing(&mut fields);
        let key = fields.needed_text("templateKey", 128, "report");
        let template_key = parsed(&mut fields, "templateKey", key);
        let label = fields.text("templateLabel", 128);
        let template_label = parsed(&mut fields, "templateLabel", label);
        let version = fields.text("templateVersion", 32);
        let template_version = parsed(&mut fields, "templateVersion", version);
        if template_label.is_some() && template_version.is_some() {
            fields.refuse("templateVersion", "and templateLabel exclude each other");
        }
        check_definition(&mut fields);
        let mut definition = Map::new();
        for name in DEFINITION {
            if let Some(value) = fields.get(name) {
                definition.insert(name.to_owned(), value.clone());
            }
        }
        definition.entry("deliveryTargets").or_insert_with(|| json!([]));
        if Value::Object(definition.clone()).to_string().len() > DEFINITION_LIMIT_BYTES {
            fields.refuse(
                "dataSource",
                format!("the schedule is larger than {DEFINITION_LIMIT_BYTES} bytes of JSON; have the data fetched from a url"),
            );
        }
        let read = match (name, timing, template_key) {
            (Some(name), Some(timing), Some(template_key)) => {
                Some(Self { name, enabled, timing, template_key, template_label, template_version, definition })
            }
            _ => None,
        };
        fields.end_with(read)
    }

    /// The fields of it that can be set, as they are shown and could be sent again.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("name".to_owned(), self.name.as_str().into());
        shown.insert("enabled".to_owned(), self.enabled.into());
        self.timing.show(&mut shown);
        shown.insert("templateKey".to_owned(), self.template_key.as_str().into());
        shown.insert("templateLabel".to_owned(), self.template_label.as_ref().map(LabelName::as_str).into());
        shown.insert("templateVersion".to_owned(), self.template_version.map(|version| version.to_string()).into());
        let first = self.formats().first().copied().unwrap_or("pdf");
        shown.insert("format".to_owned(), first.into());
        shown.extend(self.definition.iter().map(|(name, value)| (name.clone(), value.clone())));
        shown
    }

    /// What a change makes of it: fields that are there replace, null gives back what is meant without them.
    pub fn changed_by(&self, patch: &Map<String, Value>) -> Value {
        let mut whole = self.to_json();
        // Of two that exclude each other the new one stays.
        for (one, other) in
            [("templateLabel", "templateVersion"), ("templateVersion", "templateLabel"), ("format", "formats"), ("formats", "format")]
        {
            if patch.get(one).is_some_and(|value| !value.is_null()) && !patch.contains_key(other) {
                whole.shift_remove(other);
            }
        }
        if patch.get("misfire").is_some() && !patch.contains_key("misfireLimit") {
            whole.shift_remove("misfireLimit");
        }
        whole.extend(patch.iter().map(|(name, value)| (name.clone(), value.clone())));
        Value::Object(whole)
    }

    /// The formats of its documents, at least one.
    pub fn formats(&self) -> Vec<&str> {
        formats_of(&self.definition)
    }

    /// The templates that it makes documents or messages of.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        let targets = self.definition.get("deliveryTargets").and_then(Value::as_array).into_iter().flatten();
        let bodies = targets.filter_map(|target| {
            let body = target.get("bodyTemplate")?;
            body.get("template").or_else(|| body.get("key"))?.as_str()
        });
        std::iter::once(self.template_key.as_str()).chain(bodies)
    }
}

/// The formats that a definition names: `formats`, or else `format`, or else `pdf`.
pub fn formats_of(definition: &Map<String, Value>) -> Vec<&str> {
    let list = definition.get("formats").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let formats: Vec<&str> = list.collect();
    if formats.is_empty() { vec![definition.get("format").and_then(Value::as_str).unwrap_or("pdf")] } else { formats }
}

fn parsed<T: std::str::FromStr>(fields: &mut Fields<'_>, name: &str, text: Option<String>) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    match text?.parse() {
        Ok(read) => Some(read),
        Err(error) => {
            fields.refuse(name, error.to_string());
            None
        }
    }
}

fn timing(fields: &mut Fields<'_>) -> Option<ScheduleTiming> {
    let cron = fields.needed_text("cronExpression", crate::cron::CRON_LIMIT_CHARS, "0 8 * * 1-5");
    let pattern = match cron.as_deref().map(CronPattern::parse) {
        Some(Err(error)) => {
            fields.refuse("cronExpression", error.to_string());
            None
        }
        other => other.and_then(Result::ok),
    };
    let zone = match fields.get("timezone") {
        None => zone_of("UTC"),
        Some(given) => {
            let found = given.as_str().and_then(zone_of);
            if found.is_none() {
                fields.refuse("timezone", "is no time zone; send an IANA name such as \"Europe/Berlin\"");
            }
            found
        }
    };
    let calendar_id = fields.get("calendarId").and_then(|given| {
        let id = given.as_str().and_then(|text| Uuid::parse_str(text).ok()).map(ScheduleCalendarId::from);
        if id.is_none() {
            fields.refuse("calendarId", "is no id of a calendar; GET /schedules/calendars lists them");
        }
        id
    });
    let rules: Vec<(&str, HolidayRule)> = HolidayRule::ALL.iter().map(|rule| (rule.as_str(), *rule)).collect();
    let holiday_rule = fields.word("holidayRule", &rules).unwrap_or(HolidayRule::Skip);
    let business_day_of_month = business_day(fields, pattern.as_ref());
    let skip_dates = skip_dates(fields);
    let [valid_from, valid_until] = [("validFrom", DayEnd::Begin), ("validUntil", DayEnd::End)]
        .map(|(name, end)| zone.as_ref().and_then(|(_, zone)| moment(fields, name, zone, end)));
    if valid_from.zip(valid_until).is_some_and(|(from, until)| until < from) {
        fields.refuse("validUntil", "is before validFrom");
    }
    let max_runs = fields.whole("maxRuns", 1..=1_000_000_000).and_then(|runs| u32::try_from(runs).ok());
    let misfire = misfire(fields);
    let ((timezone, _), cron_expression) = (zone?, pattern?.as_str().to_owned());
    Some(ScheduleTiming {
        cron_expression,
        timezone,
        calendar_id,
        holiday_rule,
        business_day_of_month,
        skip_dates,
        valid_from,
        valid_until,
        max_runs,
        misfire,
    })
}

fn business_day(fields: &mut Fields<'_>, pattern: Option<&CronPattern>) -> Option<i32> {
    let given = fields.get("businessDayOfMonth")?;
    let Some(day) = given.as_i64().filter(|day| *day != 0 && (-BUSINESS_DAYS..=BUSINESS_DAYS).contains(day)) else {
        fields
            .refuse("businessDayOfMonth", "must be a whole number from 1, the first business day, to 23, or from -1, the last one, to -23");
        return None;
    };
    if pattern.is_some_and(|pattern| !pattern.names_no_days()) {
        fields.refuse("businessDayOfMonth", "says the day, so cronExpression must not: send * for the days, such as \"0 8 * * *\"");
    }
    i32::try_from(day).ok()
}

fn skip_dates(fields: &mut Fields<'_>) -> Vec<Date> {
    let Some(given) = fields.get("skipDates") else { return Vec::new() };
    let Some(list) = given.as_array().filter(|list| list.len() <= SKIP_DATES_LIMIT) else {
        fields.refuse("skipDates", format!("must be a list of up to {SKIP_DATES_LIMIT} dates such as [\"2026-12-31\"]"));
        return Vec::new();
    };
    let read: BTreeSet<Date> = list.iter().filter_map(Value::as_str).filter_map(parse_date).collect();
    if let Some(at) = list.iter().position(|entry| entry.as_str().and_then(parse_date).is_none()) {
        let path = pointer(&fields.path("skipDates"), at);
        let _: Option<()> = fields.take(Err(vec![Issue::new(path, "must be a date such as \"2026-12-31\"")]));
    }
    read.into_iter().collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DayEnd {
    Begin,
    End,
}

/// A moment, or the beginning or the end of a day in the schedule's zone.
fn moment(fields: &mut Fields<'_>, name: &str, zone: &TimeZone, end: DayEnd) -> Option<Timestamp> {
    let given = fields.get(name)?;
    let of_day = |day: Date| match end {
        DayEnd::Begin => first_moment(day.to_datetime(Time::midnight()), zone),
        DayEnd::End => {
            first_moment(day.tomorrow().ok()?.to_datetime(Time::midnight()), zone)?.checked_sub(SignedDuration::from_secs(1)).ok()
        }
    };
    let within = |moment: &Timestamp| {
        let year = moment.to_zoned(TimeZone::UTC).year();
        (1900..=2999).contains(&year)
    };
    let text = given.as_str().filter(|text| text.len() <= 40);
    let found = text.and_then(|text| text.parse::<Timestamp>().ok().or_else(|| of_day(parse_date(text)?))).filter(within);
    if found.is_none() {
        fields.refuse(name, "must be a time such as \"2026-12-31T08:00:00Z\", or a date such as \"2026-12-31\" in the schedule's zone");
    }
    found
}

fn misfire(fields: &mut Fields<'_>) -> Misfire {
    let limit = fields.whole("misfireLimit", 1..=CATCH_UP_LIMIT.into()).and_then(|limit| u32::try_from(limit).ok());
    let words = [("fire-once", Misfire::FireOnce), ("skip", Misfire::Skip), ("catch-up", Misfire::CatchUp(limit.unwrap_or(10)))];
    let misfire = fields.word("misfire", &words).unwrap_or_default();
    if limit.is_some() && misfire.limit().is_none() {
        fields.refuse("misfireLimit", "is for misfire catch-up alone");
    }
    misfire
}

fn check_definition(fields: &mut Fields<'_>) {
    check_formats(fields);
    let source = fields.get("dataSource").map(|value| DataSource::from_json(value, &fields.path("dataSource")));
    match source {
        None => {
            fields.refuse("dataSource", "is missing; send one such as {\"type\": \"static\", \"data\": {}} or {\"type\": \"template\"}");
        }
        Some(read) => drop(fields.take(read)),
    }
    let targets = fields.get("deliveryTargets").map(|value| ScheduleTarget::list_from_json(value, &fields.path("deliveryTargets")));
    let condition = fields.get("deliveryCondition").map(|value| DeliveryCondition::from_json(value, &fields.path("deliveryCondition")));
    let burst = fields.get("burst").map(|value| Burst::from_json(value, &fields.path("burst")));
    let parameters = fields.get("parameters").map(|value| check_parameters(value, &fields.path("parameters")));
    let options = fields
        .get("renderOptions")
        .map(|value| RenderOptions::from_json(value, &fields.path("renderOptions")).map_err(|refused| refused.issues));
    let _ = targets.and_then(|read| fields.take(read));
    let _ = condition.and_then(|read| fields.take(read));
    let _ = burst.and_then(|read| fields.take(read));
    let _ = parameters.and_then(|read| fields.take(read));
    let _ = options.and_then(|read| fields.take(read));
    fields.word("packaging", &[("attachments", ()), ("zip", ())]);
    fields.text("tableId", 255);
}

fn check_formats(fields: &mut Fields<'_>) {
    let accepted = FORMATS.join(", ");
    let said = |format: &str| {
        if FORMATS_LATER.contains(&format) {
            format!("{format} is not available for schedules in this version; available: {accepted}")
        } else {
            format!("accepted: {accepted}")
        }
    };
    if let Some(given) = fields.get("format")
        && !given.as_str().is_some_and(|format| FORMATS.contains(&format))
    {
        fields.refuse("format", said(given.as_str().unwrap_or_default()));
    }
    let Some(given) = fields.get("formats") else { return };
    let list = given.as_array().filter(|list| !list.is_empty() && list.len() <= FORMATS.len());
    let names: BTreeSet<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(wrong) = names.iter().find(|format| !FORMATS.contains(format)) {
        fields.refuse("formats", said(wrong));
    } else if list.is_none_or(|list| list.len() != names.len()) {
        fields.refuse("formats", format!("must be a list of different formats; accepted: {accepted}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Value {
        json!({
            "name": "Daily", "cronExpression": "0 8 * * *", "timezone": "europe/berlin", "templateKey": "report", "templateLabel": "prod",
            "format": "pdf", "dataSource": {"type": "static", "data": {"a": 1}}, "deliveryTargets": [{"type": "email", "to": ["ada@example.org"]}],
            "validFrom": "2027-01-01", "validUntil": "2027-12-31", "skipDates": ["2027-05-02", "2027-05-01", "2027-05-01"], "maxRuns": 5,
            "parameters": {"day": {"type": "date", "relative": {"preset": "yesterday"}}},
        })
    }

    fn paths(value: &Value) -> Vec<String> {
        ScheduleInput::from_json(value).unwrap_err().into_iter().map(|issue| issue.path).collect()
    }

    #[test]
    fn what_is_shown_can_be_sent_again_and_means_the_same() {
        let input = ScheduleInput::from_json(&whole()).unwrap();
        let shown = input.to_json();
        assert_eq!(shown["timezone"], json!("Europe/Berlin"));
        assert_eq!(shown["validFrom"], json!("2026-12-31T23:00:00Z"), "a day begins where the schedule is");
        assert_eq!(shown["validUntil"], json!("2027-12-31T22:59:59Z"));
        assert_eq!(shown["skipDates"], json!(["2027-05-01", "2027-05-02"]));
        assert_eq!(ScheduleInput::from_json(&Value::Object(shown)).unwrap(), input);
    }

    #[test]
    fn a_change_replaces_what_it_names_and_null_takes_away() {
        let input = ScheduleInput::from_json(&whole()).unwrap();
        let patch = json!({"templateVersion": "1.0.0", "maxRuns": null, "formats": ["html", "pdf"], "misfire": "catch-up"});
        let changed = ScheduleInput::from_json(&input.changed_by(patch.as_object().unwrap())).unwrap();
        assert_eq!((changed.template_label, changed.timing.max_runs), (None, None));
        assert_eq!(changed.timing.misfire, Misfire::CatchUp(10));
        assert_eq!(formats_of(&changed.definition), ["html", "pdf"]);
        assert_eq!(changed.name, "Daily");
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once_with_an_example() {
        let wrong = json!({
            "name": "", "cronExpression": "daily", "timezone": "Mars/Olympus", "templateKey": "A B", "format": "docx", "dataSource": {"type": "ftp"},
            "deliveryTargets": [{"type": "pigeon"}], "holidayRule": "maybe", "businessDayOfMonth": 0, "skipDates": ["soon"],
            "maxRuns": 0, "misfire": "twice", "calendarId": "x", "cron": "0 8 * * *", "packaging": "tar", "validFrom": "x",
        });
        let found = paths(&wrong);
        for path in [
            "/cron",
            "/name",
            "/cronExpression",
            "/timezone",
            "/templateKey",
            "/format",
            "/dataSource/type",
            "/deliveryTargets/0/type",
            "/holidayRule",
            "/businessDayOfMonth",
            "/skipDates/0",
            "/maxRuns",
            "/misfire",
            "/calendarId",
            "/packaging",
        ] {
            assert!(found.iter().any(|known| known == path), "{path}: {found:?}");
        }
        let mut excluding = whole();
        excluding["templateVersion"] = json!("1.0.0");
        excluding["businessDayOfMonth"] = json!(1);
        excluding["cronExpression"] = json!("0 8 * * 1");
        excluding["validUntil"] = json!("2026-01-01");
        assert_eq!(paths(&excluding), ["/businessDayOfMonth", "/validUntil", "/templateVersion"]);
        let issues = ScheduleInput::from_json(&json!({})).unwrap_err();
        assert!(issues.iter().all(|issue| issue.message.contains("such as")), "{issues:?}");
    }

    #[test]
    fn the_templates_of_messages_are_templates_of_the_schedule() {
        let mut value = whole();
        value["deliveryTargets"][0]["bodyTemplate"] = json!({"template": "cover-note"});
        let input = ScheduleInput::from_json(&value).unwrap();
        assert_eq!(input.templates().collect::<Vec<_>>(), ["report", "cover-note"]);
    }
}
