//! When a schedule is due: the pattern, the zone, holidays, business days, and what becomes of times that were missed.
//!
//! Previews and ticks ask the same functions, so that what is shown is what comes.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::cron::{CronPattern, Flow, HORIZON_DAYS, dates_from, first_moment};
use crate::words::words;

/// How far a holiday moves a run at most; without a business day in so many days it falls out.
pub const MOVED_DAYS: usize = 31;
/// How late a run may be without having been missed: restarts and a database that is away for a moment are no reason to leave
/// runs out, and each gets an execution of its own.
pub const LATE: SignedDuration = SignedDuration::from_secs(60);
/// Missed runs are counted up to this many.
pub const MISSED_COUNT_LIMIT: u32 = 1_000;
/// The most runs that `catch-up` makes up for.
pub const CATCH_UP_LIMIT: u32 = 100;
/// The most entries of a preview.
pub const PREVIEW_LIMIT: usize = 100;

/// The text is no such word.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such word of a schedule")]
pub struct UnknownTimeWord;

words! { UnknownTimeWord:
    /// What becomes of a run on a holiday.
    HolidayRule {
        /// It falls out.
        Skip = "skip",
        /// It comes on the next business day.
        NextBusinessDay = "next-business-day",
        /// It comes on the business day before.
        PreviousBusinessDay = "previous-business-day",
    }
}

words! { UnknownTimeWord:
    /// Why a time that the pattern names is none of the schedule's.
    PassedReason {
        /// A holiday, and the rule says so or no business day is near.
        Holiday = "holiday",
        /// One of the schedule's own dates to skip.
        SkipDate = "skip-date",
        /// A holiday; it comes on another day.
        Moved = "moved",
    }
}

/// What becomes of runs that passed while nobody looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Misfire {
    /// The last of them is made up for.
    #[default]
    FireOnce,
    /// None.
    Skip,
    /// The last so many, 1 to [`CATCH_UP_LIMIT`].
    CatchUp(u32),
}

impl Misfire {
    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FireOnce => "fire-once",
            Self::Skip => "skip",
            Self::CatchUp(_) => "catch-up",
        }
    }

    /// How many are made up for at most.
    pub fn limit(self) -> Option<u32> {
        if let Self::CatchUp(limit) = self { Some(limit) } else { None }
    }
}

/// Everything that says when.
#[derive(Clone, Debug)]
pub struct SchedulePlan {
    /// Dates and times of day.
    pub pattern: CronPattern,
    /// Whose dates and times.
    pub zone: TimeZone,
    /// Holidays, in that zone's dates.
    pub holidays: Arc<BTreeSet<Date>>,
    /// What becomes of runs on them.
    pub holiday_rule: HolidayRule,
    /// Only on that business day of each month, from 1; from −1 backwards from its end.
    pub business_day_of_month: Option<i32>,
    /// Dates on which nothing comes, and to which nothing is moved.
    pub skip_dates: BTreeSet<Date>,
    /// Nothing before.
    pub valid_from: Option<Timestamp>,
    /// Nothing after.
    pub valid_until: Option<Timestamp>,
}

/// A moment at which a schedule is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fire {
    /// When, in whole seconds.
    pub at: Timestamp,
    /// The moment that the pattern names, where a holiday moved it.
    pub nominal_at: Option<Timestamp>,
    /// Which business day of its month it is, where the schedule counts them.
    pub business_day: Option<i32>,
}

/// A time that the pattern names and that is none of the schedule's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passed {
    /// The moment that the pattern names.
    pub at: Timestamp,
    /// Why.
    pub reason: PassedReason,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preview {
    /// The runs, in order.
    pub fires: Vec<Fire>,
    /// What falls out or is moved before the last of them, in order, at most [`PREVIEW_LIMIT`].
    pub passed: Vec<Passed>,
}

/// What is to be done about a schedule that is due.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DueRuns {
    /// Runs to be made, in order.
    pub runs: Vec<Fire>,
    /// Missed runs that nobody makes up for, counted up to [`MISSED_COUNT_LIMIT`].
    pub missed: u32,
    /// The last of them.
    pub last_missed: Option<Fire>,
    /// When it is due again.
    pub next: Option<Timestamp>,
}

/// What becomes of a date that the pattern names.
enum Fate {
    Stays,
    Moves(Date),
    Falls(PassedReason),
}

impl SchedulePlan {
    /// The first run after that moment.
    pub fn next_after(&self, after: Timestamp) -> Option<Fire> {
        let after = match self.valid_from.and_then(|from| from.checked_sub(SignedDuration::from_nanos(1)).ok()) {
            Some(from) => after.max(from),
            None => after,
        };
        let fire = match self.pattern.flow() {
            Flow::FixedTimes => self.next_fixed(after),
            Flow::Elapsed => self.next_elapsed(after),
        }?;
        self.valid_until.is_none_or(|until| fire.at <= until).then_some(fire)
    }

    /// The runs after that moment, one after the other.
    pub fn fires_after(&self, after: Timestamp) -> impl Iterator<Item = Fire> {
        let mut last = after;
        std::iter::from_fn(move || {
            let fire = self.next_after(last)?;
            last = fire.at;
            Some(fire)
        })
    }

    /// What comes after that moment: up to `count` runs, at most [`PREVIEW_LIMIT`], and what falls out meanwhile.
    pub fn preview(&self, after: Timestamp, count: usize) -> Preview {
        let fires: Vec<Fire> = self.fires_after(after).take(count.min(PREVIEW_LIMIT)).collect();
        let until = fires.last().map(|fire| self.zone.to_datetime(fire.at).date());
        let begin = self.zone.to_datetime(self.valid_from.map_or(after, |from| from.max(after))).date();
        // Without any run, a year shows why.
        let until = until.unwrap_or_else(|| begin.checked_add(jiff::ToSpan::days(365)).unwrap_or(Date::MAX));
        let mut passed = Vec::new();
        for date in dates_from(begin).take_while(|date| *date <= until).take(HORIZON_DAYS as usize) {
            let reason = match self.fate(date) {
                Some(Fate::Falls(reason)) => reason,
                Some(Fate::Moves(_)) => PassedReason::Moved,
                _ => continue,
            };
            let mut from = Some(Time::midnight());
            while let Some(time) = from.and_then(|from| self.pattern.time_from(from)) {
                if passed.len() == PREVIEW_LIMIT {
                    return Preview { fires, passed };
                }
                let at = first_moment(date.to_datetime(time), &self.zone);
                let valid = |at: &Timestamp| *at > after && self.valid_until.is_none_or(|until| *at <= until);
                passed.extend(at.filter(valid).map(|at| Passed { at, reason }));
                from = crate::cron::second_after(time);
            }
        }
        Preview { fires, passed }
    }

    /// What is to be done at `now` about a schedule that was due at `first`. `runs_left` is how many it may still make.
    ///
    /// Runs that are at most [`LATE`] late are all made. Of the older ones `misfire` says which.
    pub fn due(&self, first: Timestamp, now: Timestamp, misfire: Misfire, runs_left: Option<u32>) -> DueRuns {
        let before = |moment: Timestamp| moment.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(moment);
        let late_before = now.checked_sub(LATE).unwrap_or(now);
        let keep = match misfire {
            Misfire::FireOnce => 1,
            Misfire::Skip => 0,
            Misfire::CatchUp(limit) => limit.clamp(1, CATCH_UP_LIMIT),
        };
        let (mut runs, mut last_missed, mut missed) = (Vec::new(), None, 0);
        if first < late_before {
            let mut old = self.last_before(before(first), late_before);
            let made_up = old.len().saturating_sub(keep as usize);
            runs = old.split_off(made_up);
            last_missed = old.last().copied();
            missed = u32::try_from(old.len()).unwrap_or(MISSED_COUNT_LIMIT);
        }
        let from = before(first.max(late_before));
        let allowed = runs_left.map_or(usize::MAX, |left| left as usize);
        runs.truncate(allowed);
        let mut last = from;
        for fire in self.fires_after(from).take_while(|fire| fire.at <= now).take(allowed - runs.len().min(allowed)) {
            last = fire.at;
            runs.push(fire);
        }
        let next = if runs.len() >= allowed { None } else { self.next_after(last.max(before(now))) };
        DueRuns { runs, missed, last_missed, next: next.map(|fire| fire.at) }
    }

    /// The runs after `after` and before `until`: the last [`MISSED_COUNT_LIMIT`] of them where there are more. They are looked for
    /// from the end, in steps that grow, so that a pattern of every second that was not looked after for a year costs no more than one
    /// of every day.
    fn last_before(&self, after: Timestamp, until: Timestamp) -> Vec<Fire> {
        let mut step = SignedDuration::from_secs(i64::from(MISSED_COUNT_LIMIT));
        loop {
            let begin = until.checked_sub(step).ok().filter(|begin| *begin > after).unwrap_or(after);
            let found: Vec<Fire> = self.fires_after(begin).take_while(|fire| fire.at < until).collect();
            if begin == after || found.len() >= MISSED_COUNT_LIMIT as usize {
                return found[found.len().saturating_sub(MISSED_COUNT_LIMIT as usize)..].to_vec();
            }
            step = step.saturating_mul(2);
        }
    }

    fn next_fixed(&self, after: Timestamp) -> Option<Fire> {
        let first = self.zone.to_datetime(after).date();
        for date in dates_from(first).take(HORIZON_DAYS as usize) {
            if let Some(source) = self.source(date)
                && let Some((at, time)) = self.pattern.next_on(date, &self.zone, after)
            {
                return Some(self.fire(at, date, source, time));
            }
        }
        None
    }

    fn next_elapsed(&self, after: Timestamp) -> Option<Fire> {
        let mut moment = Timestamp::from_second(after.as_second().checked_add(1)?).ok()?;
        let last = moment.checked_add(SignedDuration::from_hours(24 * i64::from(HORIZON_DAYS))).ok()?;
        while moment <= last {
            let local = self.zone.to_datetime(moment);
            let date = local.date();
            let source = self.source(date);
            let time = source.and_then(|_| self.pattern.time_from(local.time()));
            let target = match time {
                Some(time) => date.to_datetime(time),
                None => date.tomorrow().ok()?.to_datetime(Time::midnight()),
            };
            let wait = local.duration_until(target);
            let there = moment.checked_add(wait).ok()?;
            // The clocks show what they are expected to, unless they are changed on the way: then it goes on from there.
            if self.zone.to_offset(moment) != self.zone.to_offset(there) {
                moment = self.zone.following(moment).next()?.timestamp();
                continue;
            }
            match (source, time) {
                (Some(source), Some(time)) => return Some(self.fire(there, date, source, time)),
                _ => moment = there,
            }
        }
        None
    }

    fn fire(&self, at: Timestamp, date: Date, source: Date, time: Time) -> Fire {
        let nominal_at = if source == date { None } else { first_moment(source.to_datetime(time), &self.zone) };
        Fire { at, nominal_at, business_day: self.business_day_of_month.map(|_| self.business_days_until(date)) }
    }

    /// The date that the pattern names because of which there are runs on `date`: that one itself, or a holiday near it.
    fn source(&self, date: Date) -> Option<Date> {
        if matches!(self.fate(date), Some(Fate::Stays)) {
            return Some(date);
        }
        if self.holidays.is_empty() || !self.takes_moved(date) {
            return None;
        }
        let back = match self.holiday_rule {
            HolidayRule::Skip => return None,
            HolidayRule::NextBusinessDay => true,
            HolidayRule::PreviousBusinessDay => false,
        };
        let step = |day: &Date| if back { day.yesterday().ok() } else { day.tomorrow().ok() };
        std::iter::successors(step(&date), step)
            .take(MOVED_DAYS)
            .take_while(|day| !self.takes_moved(*day))
            .find(|day| matches!(self.fate(*day), Some(Fate::Moves(to)) if to == date))
    }

    /// What becomes of a date; none where the pattern does not name it.
    fn fate(&self, date: Date) -> Option<Fate> {
        if !self.pattern.matches(date) {
            return None;
        }
        if let Some(wanted) = self.business_day_of_month {
            let counts = self.is_business_day(date) && self.business_day_index(date, wanted > 0) == wanted;
            return counts.then(|| if self.skip_dates.contains(&date) { Fate::Falls(PassedReason::SkipDate) } else { Fate::Stays });
        }
        if self.skip_dates.contains(&date) {
            return Some(Fate::Falls(PassedReason::SkipDate));
        }
        if !self.holidays.contains(&date) {
            return Some(Fate::Stays);
        }
        let step = |day: &Date| match self.holiday_rule {
            HolidayRule::Skip => None,
            HolidayRule::NextBusinessDay => day.tomorrow().ok(),
            HolidayRule::PreviousBusinessDay => day.yesterday().ok(),
        };
        let to = std::iter::successors(step(&date), step).take(MOVED_DAYS).find(|day| self.takes_moved(*day));
        Some(to.map_or(Fate::Falls(PassedReason::Holiday), Fate::Moves))
    }

    /// From Monday to Friday, and no holiday.
    fn is_business_day(&self, date: Date) -> bool {
        date.weekday().to_monday_one_offset() <= 5 && !self.holidays.contains(&date)
    }

    fn takes_moved(&self, date: Date) -> bool {
        self.is_business_day(date) && !self.skip_dates.contains(&date)
    }

    fn business_days_until(&self, date: Date) -> i32 {
        self.business_day_index(date, true)
    }

    /// Which business day of its month it is, from the beginning or, below zero, from the end.
    fn business_day_index(&self, date: Date, from_the_beginning: bool) -> i32 {
        let (first, last) = if from_the_beginning { (date.first_of_month(), date) } else { (date, date.last_of_month()) };
        let count = dates_from(first).take_while(|day| *day <= last).filter(|day| self.is_business_day(*day)).count();
        let count = i32::try_from(count).unwrap_or(0);
        if from_the_beginning { count } else { -count }
    }
}
