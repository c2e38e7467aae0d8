//! When schedules are due, against a second reckoning that only looks at what clocks on the wall show, minute by minute.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::cron::{CronPattern, Flow};
use domain::schedule_times::{Fire, HolidayRule, LATE, Misfire, PassedReason, SchedulePlan};
use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use proptest::prelude::*;

fn plan(cron: &str, zone: &str) -> SchedulePlan {
    SchedulePlan {
        pattern: CronPattern::parse(cron).unwrap(),
        zone: TimeZone::get(zone).unwrap(),
        holidays: Arc::default(),
        holiday_rule: HolidayRule::Skip,
        business_day_of_month: None,
        skip_dates: BTreeSet::new(),
        valid_from: None,
        valid_until: None,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn moments(fires: impl IntoIterator<Item = Fire>) -> Vec<String> {
    fires.into_iter().map(|fire| fire.at.to_string()).collect()
}

/// A pattern in words of its own: whether a minute of a clock on the wall is named.
type Names = fn(DateTime) -> bool;

const PATTERNS: [(&str, Names); 7] = [
    ("30 2 * * *", |local| (local.hour(), local.minute()) == (2, 30)),
    ("0 0 * * *", |local| (local.hour(), local.minute()) == (0, 0)),
    ("*/20 1-3 * * *", |local| (1..=3).contains(&local.hour()) && local.minute() % 20 == 0),
    ("0 */2 * * SUN", |local| local.hour() % 2 == 0 && local.minute() == 0 && local.weekday().to_sunday_zero_offset() == 0),
    ("59 23 L * *", |local| (local.hour(), local.minute()) == (23, 59) && local.date() == local.date().last_of_month()),
    ("30 * * * *", |local| local.minute() == 30),
    ("*/15 * * 3,4,9-11 *", |local| local.minute() % 15 == 0 && [3, 4, 9, 10, 11].contains(&local.month())),
];

/// From that one on the patterns name every hour.
const FIRST_INTERVAL: usize = 5;

/// Ten zones with every kind of change, each over ten years: an hour and half an hour, at night and at midnight, a date that is left
/// out, a month of another time, a country that gave the changes up, and none.
const ZONES: [(&str, i16); 10] = [
    ("Europe/Berlin", 2024),
    ("America/New_York", 2024),
    ("America/St_Johns", 2005),
    ("Australia/Lord_Howe", 2024),
    ("America/Santiago", 2024),
    ("America/Havana", 2024),
    ("Africa/Casablanca", 2016),
    ("Pacific/Apia", 2009),
    ("Europe/Moscow", 2008),
    ("Asia/Kathmandu", 2024),
];

#[test]
fn ten_zones_over_ten_years_agree_with_a_reckoning_by_the_minute() {
    let fired: usize = std::thread::scope(|scope| {
        let zones = ZONES.map(|(zone, year)| scope.spawn(move || fires_that_agree(zone, year)));
        zones.into_iter().map(|zone| zone.join().unwrap()).sum()
    });
    assert!(fired > 2_000_000, "{fired}");
}

/// How many there are of all patterns in ten years.
fn fires_that_agree(zone_name: &str, year: i16) -> usize {
    let zone = TimeZone::get(zone_name).unwrap();
    let [begin, end] = [year, year + 10].map(|year| date(year, 1, 1).at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp());
    let mut expected = vec![Vec::new(); PATTERNS.len()];
    let minute = SignedDuration::from_mins(1);
    let mut last = zone.to_datetime(begin - minute);
    let mut latest = last;
    let mut now = begin;
    while now < end {
        let local = zone.to_datetime(now);
        let is_first = local > latest;
        // The minutes that no clock showed.
        let mut skipped = Vec::new();
        let mut unseen = last + minute;
        while unseen < local {
            skipped.push(unseen);
            unseen += minute;
        }
        for (place, (_, names)) in PATTERNS.into_iter().enumerate() {
            let elapsed = place >= FIRST_INTERVAL;
            if names(local) && (elapsed || is_first) || !elapsed && skipped.iter().any(|local| names(*local)) {
                expected[place].push(now);
            }
        }
        latest = latest.max(local);
        last = local;
        now += minute;
    }
    let mut fired = 0;
    for (place, (cron, _)) in PATTERNS.into_iter().enumerate() {
        let plan = plan(cron, zone_name);
        assert_eq!(plan.pattern.flow() == Flow::Elapsed, place >= FIRST_INTERVAL, "{cron}");
        let found: Vec<Timestamp> = plan.fires_after(begin - minute).map(|fire| fire.at).take_while(|moment| *moment < end).collect();
        let differ = found.iter().zip(&expected[place]).find(|(found, expected)| found != expected);
        assert!(differ.is_none() && found.len() == expected[place].len(), "{cron} in {zone_name}: {differ:?}");
        fired += found.len();
    }
    fired
}

#[test]
fn a_time_that_is_skipped_comes_once_after_the_gap_and_one_that_is_repeated_once() {
    let spring = plan("30 2 * * *", "Europe/Berlin");
    let fires = moments(spring.fires_after(at("2027-03-27T00:00:00Z")).take(3));
    assert_eq!(fires, ["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"], "03:00 local on the day of the gap");
    let fires = moments(spring.fires_after(at("2026-10-24T12:00:00Z")).take(2));
    assert_eq!(fires, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"], "the first of the two");
    // Several skipped times and one right after the gap are one.
    let fires = moments(plan("*/20 2-3 * * *", "Europe/Berlin").fires_after(at("2027-03-28T00:00:00Z")).take(3));
    assert_eq!(fires, ["2027-03-28T01:00:00Z", "2027-03-28T01:20:00Z", "2027-03-28T01:40:00Z"]);
    // An interval follows the time that passes.
    let every = plan("30 * * * *", "Europe/Berlin");
    let fires = moments(every.fires_after(at("2026-10-24T23:00:00Z")).take(4));
    assert_eq!(fires, ["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]);
    // A date that a country left out.
    let fires = moments(plan("0 8 30 * *", "Pacific/Apia").fires_after(at("2011-12-01T00:00:00Z")).take(2));
    assert_eq!(fires, ["2011-12-30T10:00:00Z", "2012-01-29T18:00:00Z"], "00:00 local of the 31st");
}

#[test]
fn seconds_are_counted_and_rare_dates_are_found() {
    let fires = moments(plan("*/20 59 23 31 12 *", "UTC").fires_after(at("2026-01-01T00:00:00Z")).take(4));
    assert_eq!(fires, ["2026-12-31T23:59:00Z", "2026-12-31T23:59:20Z", "2026-12-31T23:59:40Z", "2027-12-31T23:59:00Z"]);
    // Both days have to fit with +; 29 February 2032 is a Sunday.
    let fires = moments(plan("0 0 29 2 +SUN", "UTC").fires_after(at("2026-01-01T00:00:00Z")).take(2));
    assert_eq!(fires, ["2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"]);
}

fn holidays(days: &[&str]) -> Arc<BTreeSet<Date>> {
    Arc::new(days.iter().map(|day| day.parse().unwrap()).collect())
}

#[test]
fn holidays_fall_out_or_move_and_two_on_one_moment_are_one() {
    let mut plan = plan("0 8 * * *", "Europe/Berlin");
    // Friday to Monday around Easter 2027.
    plan.holidays = holidays(&["2027-03-26", "2027-03-29"]);
    let days = |plan: &SchedulePlan| -> Vec<String> {
        plan.fires_after(at("2027-03-25T12:00:00Z")).take(4).map(|fire| plan.zone.to_datetime(fire.at).date().to_string()).collect()
    };
    assert_eq!(days(&plan), ["2027-03-27", "2027-03-28", "2027-03-30", "2027-03-31"]);
    plan.holiday_rule = HolidayRule::NextBusinessDay;
    assert_eq!(days(&plan), ["2027-03-27", "2027-03-28", "2027-03-30", "2027-03-31"], "the 30th has its own");
    plan.pattern = CronPattern::parse("0 8 26 * *").unwrap();
    let fire = plan.next_after(at("2027-03-01T00:00:00Z")).unwrap();
    assert_eq!((fire.at, fire.nominal_at), (at("2027-03-30T06:00:00Z"), Some(at("2027-03-26T07:00:00Z"))));
    plan.holiday_rule = HolidayRule::PreviousBusinessDay;
    let fire = plan.next_after(at("2027-03-01T00:00:00Z")).unwrap();
    assert_eq!((fire.at, fire.nominal_at), (at("2027-03-25T07:00:00Z"), Some(at("2027-03-26T07:00:00Z"))));
    // Nothing is moved to a date that is to be skipped.
    plan.skip_dates = BTreeSet::from([date(2027, 3, 25)]);
    assert_eq!(plan.next_after(at("2027-03-01T00:00:00Z")).unwrap().at, at("2027-03-24T07:00:00Z"));
    plan.skip_dates = BTreeSet::from([date(2027, 3, 26)]);
    let preview = plan.preview(at("2027-03-01T00:00:00Z"), 1);
    assert_eq!(moments(preview.fires), ["2027-04-26T06:00:00Z"]);
    assert_eq!(
        preview.passed.iter().map(|passed| (passed.at, passed.reason)).collect::<Vec<_>>(),
        [(at("2027-03-26T07:00:00Z"), PassedReason::SkipDate)]
    );
}

#[test]
fn business_days_are_counted_from_either_end_of_the_month() {
    let mut plan = plan("0 9 * * *", "America/New_York");
    plan.holidays = holidays(&["2027-01-01"]);
    plan.business_day_of_month = Some(1);
    let fires: Vec<_> = plan.fires_after(at("2026-12-15T00:00:00Z")).take(3).map(|fire| (fire.at.to_string(), fire.business_day)).collect();
    assert_eq!(
        fires,
        [
            ("2027-01-04T14:00:00Z".to_owned(), Some(1)),
            ("2027-02-01T14:00:00Z".to_owned(), Some(1)),
            ("2027-03-01T14:00:00Z".to_owned(), Some(1))
        ]
    );
    plan.business_day_of_month = Some(-1);
    assert_eq!(moments(plan.fires_after(at("2026-12-15T00:00:00Z")).take(2)), ["2026-12-31T14:00:00Z", "2027-01-29T14:00:00Z"]);
    plan.business_day_of_month = Some(23);
    let with_23 = plan.next_after(at("2027-01-01T00:00:00Z")).unwrap();
    assert_eq!((with_23.at, with_23.business_day), (at("2027-03-31T13:00:00Z"), Some(23)), "months without so many have none");
}

#[test]
fn nothing_comes_outside_the_time_that_a_schedule_is_valid_for() {
    let mut plan = plan("0 8 * * *", "UTC");
    plan.valid_from = Some(at("2027-01-10T08:00:00Z"));
    plan.valid_until = Some(at("2027-01-11T08:00:00Z"));
    assert_eq!(moments(plan.fires_after(at("2026-01-01T00:00:00Z"))), ["2027-01-10T08:00:00Z", "2027-01-11T08:00:00Z"]);
}

#[test]
fn what_was_missed_is_made_up_for_as_the_policy_says() {
    let plan = plan("0 * * * *", "UTC");
    let (first, now) = (at("2027-01-10T08:00:00Z"), at("2027-01-10T12:30:00Z"));
    let due = |misfire| {
        let due = plan.due(first, now, misfire, None);
        assert_eq!(due.next, Some(at("2027-01-10T13:00:00Z")));
        (moments(due.runs), due.missed, due.last_missed.map(|fire| fire.at))
    };
    assert_eq!(due(Misfire::FireOnce), (vec!["2027-01-10T12:00:00Z".to_owned()], 4, Some(at("2027-01-10T11:00:00Z"))));
    assert_eq!(due(Misfire::Skip), (vec![], 5, Some(at("2027-01-10T12:00:00Z"))));
    let caught_up = due(Misfire::CatchUp(3));
    assert_eq!((caught_up.0.len(), caught_up.1), (3, 2));
    assert_eq!(due(Misfire::CatchUp(100)).0.len(), 5);
    // What is only late is made, whatever the policy says.
    let due = plan.due(first, first + LATE, Misfire::Skip, None);
    assert_eq!((moments(due.runs), due.missed), (vec!["2027-01-10T08:00:00Z".to_owned()], 0));
    // No more than are left.
    let due = plan.due(first, now, Misfire::CatchUp(100), Some(2));
    assert_eq!((due.runs.len(), due.next), (2, None));
}

#[test]
fn a_pattern_of_every_second_that_nobody_looked_after_for_years_is_soon_dealt_with() {
    let plan = plan("* * * * * *", "Europe/Berlin");
    let now = at("2027-01-10T12:00:00.5Z");
    let due = plan.due(at("2017-01-10T12:00:00Z"), now, Misfire::FireOnce, None);
    assert_eq!((due.runs.len(), due.missed, due.next), (61, 999, Some(at("2027-01-10T12:00:01Z"))), "one made up for, and a minute's");
    assert!(due.runs.is_sorted());
}

proptest! {
    /// The second reckoning: every date by itself, moved day by day, in a set.
    #[test]
    fn moved_holidays_agree_with_a_reckoning_by_the_day(
        cron in prop::sample::select(vec!["0 8 * * *", "0 8 * * 1", "0 8 13 * *", "0 8 * * 6,0", "0 8 L * *", "0 8 1,15 * FRI"]),
        rule in prop::sample::select(HolidayRule::ALL.to_vec()),
        off in prop::collection::btree_set(0_i32..400, 0..90),
        skip in prop::collection::btree_set(0_i32..400, 0..8),
    ) {
        let begin = date(2027, 1, 1);
        let days = |offsets: &BTreeSet<i32>| -> BTreeSet<Date> { offsets.iter().map(|offset| begin + offset.days()).collect() };
        let mut plan = plan(cron, "UTC");
        (plan.holidays, plan.skip_dates, plan.holiday_rule) = (Arc::new(days(&off)), days(&skip), rule);
        let mut expected = BTreeMap::new();
        for offset in -40..440 {
            let mut day = begin + offset.days();
            if !plan.pattern.matches(day) || plan.skip_dates.contains(&day) {
                continue;
            }
            let mut moved = 0;
            if plan.holidays.contains(&day) {
                let step = match rule { HolidayRule::Skip => continue, HolidayRule::NextBusinessDay => 1, HolidayRule::PreviousBusinessDay => -1 };
                loop {
                    day += step.days();
                    moved += 1;
                    let free = day.weekday().to_monday_one_offset() < 6 && !plan.holidays.contains(&day) && !plan.skip_dates.contains(&day);
                    if free || moved == 31 {
                        if !free { moved = 99 }
                        break;
                    }
                }
            }
            if moved < 99 {
                let own = expected.entry(day).or_insert(false);
                *own |= moved == 0;
            }
        }
        let (from, until) = (begin, begin + 399.days());
        let expected: Vec<(Date, bool)> = expected.into_iter().filter(|(day, _)| *day >= from && *day <= until).collect();
        let found: Vec<(Date, bool)> = plan
            .fires_after(at("2026-12-31T23:00:00Z"))
            .map(|fire| (plan.zone.to_datetime(fire.at).date(), fire.nominal_at.is_none()))
            .take_while(|(day, _)| *day <= until)
            .collect();
        prop_assert_eq!(found, expected);
    }

    /// However a stretch of time is cut into ticks, the runs are those that the preview shows.
    #[test]
    fn what_is_shown_is_what_comes(
        cron in prop::sample::select(vec!["*/7 * * * * *", "*/5 * * * *", "30 1,2 * * *", "0 8 * * 1-5"]),
        start in 0_i64..700_000_000,
        steps in prop::collection::vec(1_i64..55, 1..200),
    ) {
        let plan = plan(cron, "America/St_Johns");
        let start = Timestamp::from_second(1_600_000_000 + start).unwrap();
        let mut next = plan.next_after(start).map(|fire| fire.at);
        let (mut now, mut made) = (start, Vec::new());
        for step in steps {
            now += SignedDuration::from_secs(step);
            if let Some(first) = next.filter(|first| *first <= now) {
                let due = plan.due(first, now, Misfire::Skip, None);
                prop_assert_eq!(due.missed, 0);
                made.extend(due.runs);
                next = due.next;
            }
        }
        let shown: Vec<Fire> = plan.fires_after(start).take_while(|fire| fire.at <= now).collect();
        prop_assert_eq!(made, shown);
    }
}
