//! Editor tokens: nothing but what was minted verifies, and what verifies says what was minted.

use domain::editor_tokens::{EditorToken, Holder};
use domain::secrets::{Secret, Secrets};
use domain::{Action, Scope};
use fuzz::arbitrary::{self, Unstructured};
use fuzz::{changed, search, text};
use jiff::SignedDuration;

use crate::signing::{DICTIONARY, encode, in_its_time, moment, secret, sign, span, whole_ms};

const LONGEST_SECONDS: i64 = 1440 * 60;

fn token(random: &mut Unstructured<'_>) -> arbitrary::Result<EditorToken> {
    let issued_at = moment(random)?;
    let selectors = ["invoice", "invoice-*", "a.b_c-*", "9"];
    let template = |random: &mut Unstructured<'_>| Ok(random.choose(&selectors)?.parse().unwrap());
    let action = |random: &mut Unstructured<'_>| random.choose(Action::ALL).copied();
    let tenant = ["default", "acme", "0", "a-b_c"];
    Ok(EditorToken {
        issued_at,
        expires_at: issued_at + SignedDuration::from_millis(random.int_in_range(1..=LONGEST_SECONDS * 1000)?),
        tenant: random.choose(&tenant)?.parse().unwrap(),
        name: text(random, 40, "anna\"\\/:.{}\u{0}\n\u{2028}ä")?,
        scope: *random.choose(&Scope::ALL)?,
        holder: *random.choose(&[Holder::RegisteredUser, Holder::Label])?,
        templates: if random.arbitrary()? {
            Some((0..random.int_in_range(0..=4)?).map(|_| template(random)).collect::<Result<_, _>>()?)
        } else {
            None
        },
        actions: if random.arbitrary()? {
            Some((0..random.int_in_range(0..=4)?).map(|_| action(random)).collect::<Result<_, _>>()?)
        } else {
            None
        },
        api_key: if random.arbitrary()? { Some("0123456789abcdefABCDEF".parse().unwrap()) } else { None },
    })
}

#[test]
fn a_minted_token_says_the_same_when_it_is_verified_and_minted_again() {
    let secrets = Secrets { current: Secret::new("newer").unwrap(), previous: vec![secret()] };
    search(|random| {
        let token = token(random)?;
        let minted = token.mint(&secret()).unwrap();
        let verified = EditorToken::verify(&minted, &secrets, token.issued_at, None).unwrap().token;
        let (issued_at, expires_at) = (whole_ms(token.issued_at), whole_ms(token.expires_at));
        assert_eq!(verified, EditorToken { issued_at, expires_at, ..token });
        assert_eq!(verified.mint(&secret()).unwrap(), minted);
        Ok(())
    });
}

#[test]
fn no_changed_token_verifies() {
    let mut changes = 0;
    search(|random| {
        let token = token(random)?;
        let minted = token.mint(&secret()).unwrap();
        let forged = changed(random, &minted, &DICTIONARY)?;
        if forged != minted {
            changes += 1;
            let verified = EditorToken::verify(&forged, &secret().into(), token.issued_at, None);
            assert!(verified.is_err(), "{forged} was made from {minted}");
        }
        let noise = text(random, 200, "0123456789.-_AZaz=")?;
        assert!(EditorToken::verify(&noise, &secret().into(), token.issued_at, None).is_err(), "{noise}");
        Ok(())
    });
    assert!(changes > 100, "{changes} changed tokens are no search");
}

#[test]
fn whatever_is_truly_signed_has_one_spelling_or_is_refused() {
    let (mut accepted, mut refused) = (0, 0);
    search(|random| {
        let token = token(random)?;
        let minted = token.mint(&secret()).unwrap();
        let mut times = minted.split('.');
        let (issued, expires) = (times.next().unwrap(), times.next().unwrap());
        let parts = [issued, expires, token.tenant.as_str(), &actor(&minted)];
        let mut parts = parts.map(str::to_owned);
        if random.ratio(7, 8)? {
            let which = random.choose_index(4)?;
            parts[which] = changed(random, &parts[which], &DICTIONARY)?;
        }
        let [issued, expires, tenant, actor] = parts;
        let signature = sign(&format!("editor:{issued}:{expires}:{tenant}:{actor}"));
        let signed = format!("{issued}.{expires}.{}.{}.{signature}", encode(tenant), encode(actor));
        match EditorToken::verify(&signed, &secret().into(), token.issued_at, None) {
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
        let Ok(minted) = token.mint(&secret()) else {
            assert!(!in_its_time(token.issued_at, token.expires_at, token.issued_at, None, LONGEST_SECONDS.into()), "{token:?}");
            return Ok(());
        };
        let now = token.issued_at + span(random, LONGEST_SECONDS)?;
        let cut_over = if random.arbitrary()? { Some(token.issued_at + span(random, 120)?) } else { None };
        let valid = EditorToken::verify(&minted, &secret().into(), now, cut_over).is_ok();
        let expected = in_its_time(token.issued_at, token.expires_at, now, cut_over, LONGEST_SECONDS.into());
        assert_eq!(valid, expected, "at {now}, cut over {cut_over:?}: {token:?}");
        if valid {
            accepted += 1;
        } else {
            refused += 1;
        }
        Ok(())
    });
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

/// The actor part of a minted token, decoded.
fn actor(minted: &str) -> String {
    use base64::Engine;
    let part = minted.split('.').nth(3).unwrap();
    String::from_utf8(base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
