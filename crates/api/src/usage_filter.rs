//! Which renders a question is about, read from its query.

use domain::ErrorCode;
use domain::templates::TemplateKey;
use domain::usage::{InvalidUsageWindow, RenderMode, UsageMetadata, UsageWindow};
use jiff::{SignedDuration, Timestamp};
use store::{UsageFilter, UsageStatus};

use crate::auth::Caller;
use crate::error::ApiError;
use crate::query::{Pairs, refused};

/// What is looked at when nobody says since when.
const USUAL_WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The filter of a query: `from`, `to`, `template`, `actor`, `source`, `status`, `format`, `label` and any number of `meta`.
pub(crate) fn read(pairs: &Pairs, now: Timestamp) -> Result<UsageFilter, ApiError> {
    let mode = match pairs.text("source") {
        None => None,
        Some(word) => {
            let known = || RenderMode::ALL.map(RenderMode::as_str).join(", ");
            Some(word.parse().map_err(|_| refused("source", word, &known()))?)
        }
    };
    Ok(UsageFilter {
        window: window(pairs, now)?,
        template: pairs.filter("template"),
        actor: pairs.filter("actor"),
        mode,
        status: pairs.text("status").map(status).transpose()?,
        format: pairs.filter("format"),
        label: pairs.filter("label"),
        metadata: metadata(pairs)?,
    })
}

/// `from` and `to`, the 30 days up to now when they are absent.
pub(crate) fn window(pairs: &Pairs, now: Timestamp) -> Result<UsageWindow, ApiError> {
    let moment = |name| pairs.time(name).map_err(|refused| refused.coded(ErrorCode::UsageInvalidDate));
    let to = moment("to")?.unwrap_or(now);
    let from = moment("from")?.unwrap_or_else(|| to.checked_sub(USUAL_WINDOW).unwrap_or(Timestamp::MIN));
    UsageWindow::new(from, to).map_err(|error| {
        let code = match error {
            InvalidUsageWindow::Inverted => ErrorCode::UsageInvalidWindow,
            InvalidUsageWindow::TooWide => ErrorCode::UsageWindowTooWide,
        };
        ApiError::new(code, format!("{error}; asked for: from {from} to {to}"))
    })
}

fn status(word: &str) -> Result<UsageStatus, ApiError> {
    match word {
        "succeeded" => Ok(UsageStatus::Succeeded),
        "failed" => Ok(UsageStatus::Failed),
        word if word == "cancelled" || ErrorCode::ALL.iter().any(|code| code.as_str() == word) => Ok(UsageStatus::Exactly(word.to_owned())),
        other => Err(refused("status", other, "succeeded, failed, cancelled, or an error code such as template_expression_error")),
    }
}

/// Each `meta` is `name:value`; what follows the first colon is the value.
fn metadata(pairs: &Pairs) -> Result<UsageMetadata, ApiError> {
    let mut words: Vec<(String, String)> = Vec::new();
    for (_, text) in pairs.all().iter().filter(|(name, _)| name == "meta") {
        let said = text.replace('\0', "\u{FFFD}");
        let Some((name, value)) = said.split_once(':').filter(|(name, _)| !name.is_empty()) else {
            return Err(refused("meta", text, "name:value"));
        };
        if words.iter().any(|(known, word)| known == name && word != value) {
            return Err(refused("meta", text, "one value for each name"));
        }
        words.push((name.to_owned(), value.to_owned()));
    }
    Ok(UsageMetadata::of(words))
}

/// A credential for a few templates learns of the renders of one that it names.
pub(crate) fn reach(caller: &Caller, filter: &UsageFilter) -> Result<(), ApiError> {
    reach_template(caller, filter.template.as_deref())
}

/// As [`reach`] for a single render; `template` is none for one of an inline definition.
pub(crate) fn reach_template(caller: &Caller, template: Option<&str>) -> Result<(), ApiError> {
    match template.and_then(|template| template.parse::<TemplateKey>().ok()) {
        Some(key) => caller.reaches(&key),
        None => caller.is_for_all_templates(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(query: &str) -> String {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        match read(&Pairs::read(Some(query)).unwrap(), now) {
            Ok(filter) => panic!("{query} was read as {filter:?}"),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn words_that_mean_nothing_are_refused_with_their_code() {
        for (query, code) in [
            ("from=yesterday", "UsageInvalidDate"),
            ("from=-009999-01-01", "UsageInvalidDate"),
            ("from=2026-11-22", "UsageInvalidWindow"),
            ("from=2025-11-19&to=2026-11-21", "UsageWindowTooWide"),
            ("status=fine", "BadRequest"),
            ("source=sync", "BadRequest"),
            ("meta=order", "BadRequest"),
            ("meta=:1", "BadRequest"),
            ("meta=order:1&meta=order:2", "BadRequest"),
        ] {
            assert!(refusal(query).contains(&format!("code: {code},")), "{query}: {}", refusal(query));
        }
    }

    #[test]
    fn a_value_may_hold_colons_and_the_usual_window_is_30_days() {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let read = read(&Pairs::read(Some("meta=at%3A10:30&meta=order:%00")).unwrap(), now).unwrap();
        assert_eq!(read.metadata.to_string(), r#"{"at":"10:30","order":"�"}"#);
        assert_eq!(read.window.from().to_string(), "2026-10-22T10:00:00Z");
    }
}
