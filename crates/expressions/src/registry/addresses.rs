//! Postal addresses: `formatAddress`.

use serde_json::Value;

use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::escape::push_escaped;
use crate::localized::addresses::Address;
use crate::value::{Evaluated, Markup, View};
use crate::value_text::text_of;

pub(super) const HELPERS: &[Helper] = &[Helper {
    name: "formatAddress",
    min_args: 1,
    max_args: 1,
    options: Some(&["separator", "home", "locale"]),
    act: Act::Value(format_address),
}];

/// Steps for looking at all names under which the parts may stand, and at the country's.
const STEPS: u64 = 60;
/// Characters of one part.
const MAX_CHARACTERS: usize = 500;

const NAME: &[&str] = &["name", "fullName", "recipient"];
const FIRST_NAME: &[&str] = &["firstName", "givenName"];
const LAST_NAME: &[&str] = &["lastName", "familyName"];
const ORGANIZATION: &[&str] = &["company", "organization", "organisation", "companyName"];
const STREETS: [&[&str]; 3] = [
    &["street", "streetAddress", "line1", "address1", "addressLine1", "street1", "address"],
    &["line2", "address2", "addressLine2", "street2"],
    &["line3", "address3", "addressLine3", "street3"],
];
const HOUSE_NUMBER: &[&str] = &["houseNumber", "streetNumber"];
const DISTRICT: &[&str] = &["district", "suburb", "neighborhood"];
const POSTAL_CODE: &[&str] = &["postalCode", "zip", "zipCode", "postcode", "postCode"];
const CITY: &[&str] = &["city", "town", "locality"];
const STATE: &[&str] = &["state", "region", "province", "county"];
const COUNTRY: &[&str] = &["countryCode", "country"];

const ACCEPTED: &str =
    "name (or firstName and lastName), company, street, houseNumber, line2, line3, district, postalCode, city, state, country";

fn format_address<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let separator = call.option_text("separator")?;
    let home = call.option_text("home")?;
    let language = call.language(|regional| &regional.dates)?;
    let Some(value) = call.required(0)? else { return Ok(Evaluated::Undefined) };
    call.charge(STEPS)?;
    let address = {
        let View::Object(fields) = value.view() else {
            return Err(call.refused(0, &format!("an object with {ACCEPTED}"), value.view()));
        };
        read(fields)
    };
    if address == Address::default() {
        return Err(call.wrong(format!("`formatAddress` finds nothing of an address in the object; it looks for {ACCEPTED}")));
    }
    let lines = address.lines(home.as_deref(), &language);
    if let Some(separator) = separator {
        return Ok(Evaluated::Owned(Value::String(lines.join(&separator))));
    }
    let mut html = String::new();
    for line in &lines {
        if !html.is_empty() {
            html.push_str("<br>");
        }
        push_escaped(line, &mut html);
    }
    Ok(Evaluated::Markup(Box::new(Markup { html, text: Some(lines.join("\n")) })))
}

fn read(fields: &serde_json::Map<String, Value>) -> Address {
    let part = |names: &[&str]| -> String {
        let found = names.iter().filter_map(|name| fields.get(*name)).find(|value| matches!(value, Value::String(_) | Value::Number(_)));
        let text = found.map(text_of).unwrap_or_default();
        text.trim().chars().take(MAX_CHARACTERS).map(|character| if character.is_control() { ' ' } else { character }).collect()
    };
    let name = part(NAME);
    let name = if name.is_empty() { format!("{} {}", part(FIRST_NAME), part(LAST_NAME)).trim().to_owned() } else { name };
    Address {
        name,
        organization: part(ORGANIZATION),
        streets: STREETS.iter().map(|names| part(names)).filter(|line| !line.is_empty()).collect(),
        house_number: part(HOUSE_NUMBER),
        district: part(DISTRICT),
        postal_code: part(POSTAL_CODE),
        city: part(CITY),
        state: part(STATE),
        country: part(COUNTRY),
    }
}
