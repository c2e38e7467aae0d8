//! The origins whose web pages may read answers.

use api::AllowedOrigins;
use domain::origins::{InvalidOrigin, Origin};

use super::problems::Problem;
use super::reader::{Values, shown};
use super::settings as known;

/// Reads the list of origins.
pub fn read(values: &Values, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> AllowedOrigins {
    let setting = &known::CORS_ALLOWED_ORIGINS;
    let Some(text) = values.text(setting) else { return AllowedOrigins::Nobody };
    if text.trim() == "*" {
        warnings.push(format!("{}=* lets the pages of every origin read answers", setting.name));
        return AllowedOrigins::Everybody;
    }
    let mut origins = Vec::new();
    for (index, part) in text.split(',').map(str::trim).enumerate() {
        match part.parse::<Origin>() {
            Ok(origin) => origins.push(origin),
            // What may be a URL with a password in it is not repeated.
            Err(_) if text.contains('@') => problems.push(Problem {
                name: setting.name.to_owned(),
                found: format!("found no origin in place {}", index + 1),
                accepted: setting.form.accepted(),
            }),
            Err(why) => problems.push(Problem {
                name: setting.name.to_owned(),
                found: shown(part),
                accepted: match why {
                    InvalidOrigin::Spelling { as_sent } => format!("{as_sent}, as browsers write it"),
                    InvalidOrigin::NotAnOrigin => setting.form.accepted(),
                },
            }),
        }
    }
    AllowedOrigins::Listed(origins.into())
}
