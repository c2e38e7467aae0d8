//! Dates as people write them: `date`.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::numbers::{STEPS, written};
use super::options::shown;
use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::language::Language;
use crate::localized::dates::{self, BadPattern, DateStyle, TimeStyle};
use crate::localized::moments::{ACCEPTED, Moment, NoMoment};
use crate::localized::patterns::{self, Refused};
use crate::near_names::near_names;
use crate::value::{Evaluated, View};

pub(super) const HELPERS: &[Helper] =
    &[Helper { name: "date", min_args: 1, max_args: 2, options: Some(&["time", "zone", "locale"]), act: Act::Value(date) }];

/// How a day is written.
enum Look {
    Style(DateStyle),
    /// `2026-12-01`, whatever the language.
    Iso,
    Pattern(String),
}

const STYLES: [(&str, Look); 6] = [
    ("short", Look::Style(DateStyle::Short)),
    ("medium", Look::Style(DateStyle::Medium)),
    ("long", Look::Style(DateStyle::Long)),
    ("full", Look::Style(DateStyle::Full)),
    ("time", Look::Style(DateStyle::None)),
    ("iso", Look::Iso),
];

fn date<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let value = call.required(0)?;
    let look = look(call)?;
    let time = call.option_choice("time", &[("none", TimeStyle::None), ("short", TimeStyle::Short), ("medium", TimeStyle::Medium)])?;
    let language = call.language(|regional| &regional.dates)?;
    let zone = zone(call)?;
    let Some(value) = value else { return Ok(Evaluated::Undefined) };
    let now = call.evaluator.run.regional.now;
    let moment = Moment::read(value.view(), &zone, now).map_err(|why| match why {
        NoMoment::NowUnknown => call.wrong("`date` is not told here when \"now\" is; give the date as data".to_owned()),
        NoMoment::NotADate => call.wrong(format!("`date` needs {ACCEPTED} as its 1st argument, not {}", shown(value.view()))),
    })?;
    call.charge(2 * STEPS)?;
    let wants_time = time != TimeStyle::None || matches!(look, Look::Style(DateStyle::None));
    if wants_time && moment.time.is_none() {
        return Err(no_time(call));
    }
    match look {
        Look::Style(day) => {
            let text = dates::styled(&moment, day, time, &language, &mut call.evaluator.run.formatters);
            written(call, text)
        }
        Look::Iso => Ok(Evaluated::Owned(Value::String(iso(&moment, time)))),
        Look::Pattern(_) if time != TimeStyle::None => {
            Err(call.wrong("`date` takes time= with a named style; in a pattern write letters such as HH:mm".to_owned()))
        }
        Look::Pattern(pattern) => by_pattern(call, &pattern, &moment, &language),
    }
}

fn look(call: &mut Invocation<'_, '_, '_, '_>) -> Result<Look, ExpressionError> {
    if call.arg_count() < 2 {
        return Ok(Look::Style(DateStyle::default()));
    }
    let Some(text) = call.text(1)? else { return Ok(Look::Style(DateStyle::default())) };
    Ok(match STYLES.into_iter().find(|(name, _)| *name == text) {
        Some((_, style)) => style,
        None => Look::Pattern(text),
    })
}

/// The zone of `zone=`, else the document's.
fn zone(call: &mut Invocation<'_, '_, '_, '_>) -> Result<TimeZone, ExpressionError> {
    let Some(name) = call.option_text("zone")? else { return Ok(call.evaluator.run.regional.time_zone.clone()) };
    TimeZone::get(&name).map_err(|_| call.refused_option("zone", "an IANA name such as \"Europe/Zurich\"", View::Text(&name)))
}

fn iso(moment: &Moment, time: TimeStyle) -> String {
    let (date, clock) = (moment.date, moment.time.unwrap_or_default());
    match time {
        TimeStyle::None => date.to_string(),
        TimeStyle::Short => format!("{date}T{:02}:{:02}", clock.hour(), clock.minute()),
        TimeStyle::Medium => format!("{date}T{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second()),
    }
}

fn by_pattern<'s>(
    call: &mut Invocation<'_, '_, '_, 's>,
    pattern: &str,
    moment: &Moment,
    language: &Language,
) -> Result<Evaluated<'s>, ExpressionError> {
    let prepared = patterns::prepared(pattern, moment).map_err(|why| refused(call, pattern, why))?;
    let text = dates::by_pattern(moment, &prepared, language).map_err(|why| {
        let found = shown(View::Text(pattern));
        call.wrong(match why {
            BadPattern::Length => format!("`date` cannot read the pattern {found}: some letter stands there too often"),
            BadPattern::TwoForms => format!("`date` cannot write one name in two forms, as the pattern {found} asks; use two calls"),
            BadPattern::NoData => "`date` has no data for this language".to_owned(),
        })
    })?;
    Ok(Evaluated::Owned(Value::String(text)))
}

fn no_time(call: &Invocation<'_, '_, '_, '_>) -> ExpressionError {
    call.wrong("`date` is asked for a time of day, and the date has none".to_owned())
}

#[cold]
fn refused(call: &Invocation<'_, '_, '_, '_>, pattern: &str, why: Refused) -> ExpressionError {
    let styles = || STYLES.iter().map(|(name, _)| *name);
    call.wrong(match why {
        Refused::TooLong => "`date` takes a pattern of at most 100 characters".to_owned(),
        Refused::OpenQuote => "`date` is given a pattern with a quote that is not closed".to_owned(),
        Refused::NeedsTime => return no_time(call),
        Refused::NeedsZone => "`date` is asked for a time zone, and the date has none".to_owned(),
        Refused::Letters(run, meant) => {
            let near = near_names(pattern, styles()).into_iter().next();
            let hint = match (near, meant) {
                (Some(near), _) => format!("did you mean \"{near}\"? "),
                (None, Some(meant)) => format!("did you mean `{}`? ", meant.repeat(run.len())),
                (None, None) => String::new(),
            };
            let styles: Vec<&str> = styles().collect();
            let (styles, letters) = (styles.join(", "), patterns::LETTERS);
            format!("`date` knows no `{run}` in a pattern; {hint}accepted: {styles}, or a pattern of {letters} and other text in 'quotes'")
        }
    })
}
