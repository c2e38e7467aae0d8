//! Render tokens: nothing but what was minted verifies, and what a token fixes nobody changes.

use domain::formats::Format;
use domain::ids::RenderTokenId;
use domain::origins::Origin;
use domain::render_tokens::{FormMetadata, RenderToken};
use domain::signed_tokens::MintRefusal;
use fuzz::arbitrary::{self, Unstructured};
use fuzz::{changed, search, text};
use jiff::SignedDuration;
use serde_json::{Map, Number, Value};

use crate::signing::{DICTIONARY, encode, in_its_time, moment, secret, sign, span, whole_ms};

const LONGEST_SECONDS: i64 = 30 * 24 * 3600;

fn value(random: &mut Unstructured<'_>, depth: usize) -> arbitrary::Result<Value> {
    Ok(match random.int_in_range(0..=if depth == 0 { 4 } else { 6 })? {
        0 => Value::Null,
        1 => Value::Bool(random.arbitrary()?),
        2 => random.arbitrary::<i64>()?.into(),
        3 => Number::from_f64(random.arbitrary()?).map_or(Value::Null, Value::Number),
        4 => Value::String(text(random, 8, "ab\"\\\u{0}ä")?),
        5 => Value::Array((0..random.int_in_range(0..=3)?).map(|_| value(random, depth - 1)).collect::<Result<_, _>>()?),
        _ => Value::Object(object(random, depth - 1)?),
    })
}

fn object(random: &mut Unstructured<'_>, depth: usize) -> arbitrary::Result<Map<String, Value>> {
    let names = ["a", "b", "__proto__", ""];
    (0..random.int_in_range(0..=3)?).map(|_| Ok(((*random.choose(&names)?).to_owned(), value(random, depth)?))).collect()
}

fn token(random: &mut Unstructured<'_>) -> arbitrary::Result<RenderToken> {
    let issued_at = moment(random)?;
    let origins = ["https://shop.example", "http://localhost:5173"];
    let version = random.arbitrary::<bool>()?;
    Ok(RenderToken {
        id: RenderTokenId::generate(),
        tenant: random.choose(&["default", "acme"])?.parse().unwrap(),
        templates: vec![random.choose(&["invoice", "letter"])?.parse().unwrap(); random.int_in_range(1..=3)?],
        formats: random.choose(&[&[Format::Pdf][..], &Format::ALL])?.to_vec(),
        label: if !version && random.arbitrary()? { Some("@latest".into()) } else { None },
        version: if version { Some("1.0.3".parse().unwrap()) } else { None },
        max_renders: random.int_in_range(1..=1_000_000)?.try_into().unwrap(),
        issued_at,
        expires_at: issued_at + SignedDuration::from_millis(random.int_in_range(1..=LONGEST_SECONDS * 1000)?),
        allowed_origins: origins[..random.int_in_range(0..=2)?].iter().map(|origin| origin.parse().unwrap()).collect(),
        fixed_data: if random.arbitrary()? { Some(object(random, 4)?) } else { None },
        form_metadata: *random.choose(&[FormMetadata::Refused, FormMetadata::Allowed])?,
        subject: if random.arbitrary()? { Some(text(random, 20, "order 66\"ä")?) } else { None },
        issued_by: text(random, 20, "env:admin\"ä")?,
    })
}

/// The token as text; none when a name in it has characters that no token carries.
fn minted(token: &RenderToken) -> Option<String> {
    match token.mint(&secret()) {
        Ok(minted) => Some(minted),
        Err(MintRefusal::Content { field: "subject" | "issuedBy", .. }) => None,
        Err(refusal) => panic!("{token:?}: {refusal}"),
    }
}

#[test]
fn a_minted_token_says_the_same_when_it_is_verified_and_minted_again() {
    search(|random| {
        let token = token(random)?;
        let Some(minted) = minted(&token) else { return Ok(()) };
        let verified = RenderToken::verify(&minted, &secret().into(), token.issued_at, None).unwrap().token;
        let (issued_at, expires_at) = (whole_ms(token.issued_at), whole_ms(token.expires_at));
        assert_eq!(verified, RenderToken { issued_at, expires_at, ..token });
        assert_eq!(verified.mint(&secret()).unwrap(), minted);
        Ok(())
    });
}

#[test]
fn no_changed_token_verifies() {
    let mut changes = 0;
    search(|random| {
        let token = token(random)?;
        let Some(minted) = minted(&token) else { return Ok(()) };
        let forged = changed(random, &minted, &DICTIONARY)?;
        if forged != minted {
            changes += 1;
            let verified = RenderToken::verify(&forged, &secret().into(), token.issued_at, None);
            assert!(verified.is_err(), "{forged} was made from {minted}");
        }
        Ok(())
    });
    assert!(changes > 100, "{changes} changed tokens are no search");
}

#[test]
fn whatever_is_truly_signed_has_one_spelling_or_is_refused() {
    let (mut accepted, mut refused) = (0, 0);
    search(|random| {
        let token = token(random)?;
        let mut claims = serde_json::to_string(&token).unwrap();
        if random.ratio(7, 8)? {
            claims = changed(random, &claims, &DICTIONARY)?;
        }
        let signed = format!("rt1.{}.{}", encode(&claims), sign(&format!("render:rt1:{claims}")));
        match RenderToken::verify(&signed, &secret().into(), token.issued_at, None) {
            Ok(verified) => {
                assert_eq!(verified.token.mint(&secret()).unwrap(), signed);
                accepted += 1;
            }
            Err(_) => refused += 1,
        }
        Ok(())
    });
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_token_is_valid_in_its_time_and_at_no_other() {
    let (mut accepted, mut refused) = (0, 0);
    search(|random| {
        let mut token = token(random)?;
        token.expires_at = token.issued_at + span(random, LONGEST_SECONDS)?;
        let Ok(minted) = token.mint(&secret()) else { return Ok(()) };
        let now = token.issued_at + span(random, LONGEST_SECONDS)?;
        let valid = RenderToken::verify(&minted, &secret().into(), now, None).is_ok();
        assert_eq!(valid, in_its_time(token.issued_at, token.expires_at, now, None, LONGEST_SECONDS.into()), "at {now}: {token:?}");
        if valid {
            accepted += 1;
        } else {
            refused += 1;
        }
        Ok(())
    });
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

#[test]
fn what_a_token_fixes_stays_fixed_and_what_it_leaves_stays_the_callers() {
    search(|random| {
        let token = RenderToken { fixed_data: Some(object(random, 4)?), ..token(random)? };
        let fixed = Value::Object(token.fixed_data.clone().unwrap());
        let theirs = Value::Object(object(random, 4)?);
        let merged = token.with_fixed_data(theirs.clone()).unwrap();
        assert!(holds(&merged, &fixed, &theirs), "{fixed} over {theirs} gave {merged}");
        assert_eq!(token.with_fixed_data(merged.clone()).unwrap(), merged, "a second time changes nothing");
        Ok(())
    });
}

/// Whether every place has the fixed value where there is one and else the caller's.
fn holds(merged: &Value, fixed: &Value, theirs: &Value) -> bool {
    let (Value::Object(merged), Value::Object(fixed), Value::Object(theirs)) = (merged, fixed, theirs) else { return merged == fixed };
    let known = merged.keys().all(|name| fixed.contains_key(name) || theirs.contains_key(name));
    let all = fixed.keys().chain(theirs.keys()).all(|name| match (merged.get(name), fixed.get(name), theirs.get(name)) {
        (Some(merged), Some(fixed), Some(theirs)) => holds(merged, fixed, theirs),
        (merged, Some(one), None) | (merged, None, Some(one)) => merged == Some(one),
        _ => false,
    });
    known && all
}

#[test]
fn an_origin_that_is_accepted_matches_itself_alone() {
    let seeds = ["https://shop.example", "http://localhost:5173", "https://[::1]:8443", "https://xn--mnchen-3ya.de"];
    let mut accepted = 0;
    search(|random| {
        let seed = *random.choose(&seeds)?;
        let one = changed(random, seed, &["https://", ":", ":443", "/", "*", "@", "#", "null", "."])?;
        if let Ok(origin) = one.parse::<Origin>() {
            accepted += 1;
            let parsed = url::Url::parse(&one).unwrap();
            assert_eq!(parsed.origin().ascii_serialization(), one);
            assert!(parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none() && parsed.username().is_empty());
            assert!(seeds.iter().all(|other| origin.is(other) == (*other == one)));
        }
        Ok(())
    });
    assert!(accepted > 100, "{accepted} accepted");
}
