//! What a replica knows of one rate limit's running window: what it has leased, what is left elsewhere, and what it may do on its own.

use std::time::Duration;

use store::RateLease;
use tokio::time::Instant;

/// A limit as its window stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    /// Requests of a whole window.
    pub(crate) limit: u32,
    /// Those that are left, as far as is known here.
    pub(crate) remaining: u32,
    /// Until the next window.
    pub(crate) resets_in: Duration,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// It passes. Where little is left here, more is to be leased meanwhile.
    Passed(Standing, Supply),
    /// The window is used up.
    Refused(Standing, Supply),
    /// Nothing is known, or nothing left here: whoever wants to pass has to lease first.
    Unknown,
}

/// Whether more is to be leased while requests go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Supply {
    /// There is enough, or nothing to be had.
    Enough,
    /// Ask now.
    Short,
}

/// The window of one limit on this replica.
#[derive(Debug)]
pub(crate) struct Window {
    limit: u32,
    /// When it ends; none before anything is known of it.
    ends_at: Option<Instant>,
    /// Leased, and not used yet.
    tokens: u32,
    /// What the last lease brought.
    block: u32,
    /// What the database had left after it.
    left: u32,
    /// Requests that passed here in this window.
    passed: u32,
    /// What this replica may still let through on its own, while the database is away.
    share: Option<u32>,
    /// What it let through so and has not told yet.
    spent: u32,
}

impl Window {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, ends_at: None, tokens: 0, block: 0, left: limit, passed: 0, share: None, spent: 0 }
    }

    /// Takes one request of a limit of now `limit`.
    pub(crate) fn take(&mut self, limit: u32, length: Duration, now: Instant) -> Taken {
        if limit != self.limit {
            // What passed stays known to the database; what was leased under the old limit is not passed on.
            *self = Self { spent: self.spent, ..Self::new(limit) };
        }
        if limit == 0 {
            return Taken::Refused(Standing { limit, remaining: 0, resets_in: length }, Supply::Enough);
        }
        if self.ends_at.is_some_and(|ends_at| ends_at <= now) {
            *self = Self::new(limit);
        }
        if self.tokens > 0 {
            self.tokens -= 1;
            self.passed = self.passed.saturating_add(1);
            let short = self.tokens <= self.block / 2 && self.left > 0;
            return Taken::Passed(self.standing(now), if short { Supply::Short } else { Supply::Enough });
        }
        match &mut self.share {
            Some(0) => Taken::Refused(self.standing(now), Supply::Short),
            Some(share) => {
                *share -= 1;
                self.spent = self.spent.saturating_add(1);
                self.passed = self.passed.saturating_add(1);
                Taken::Passed(self.standing(now), Supply::Short)
            }
            None if self.ends_at.is_some() && self.left == 0 => Taken::Refused(self.standing(now), Supply::Enough),
            None => Taken::Unknown,
        }
    }

    /// Whether the next request is judged without asking the database.
    pub(crate) fn is_decided(&self, now: Instant) -> bool {
        let running = self.ends_at.is_some_and(|ends_at| now < ends_at);
        running && (self.tokens > 0 || self.left == 0 || self.share.is_some())
    }

    /// What was let through without asking, for the next lease to tell.
    pub(crate) fn spent(&self) -> u32 {
        self.spent
    }

    /// A lease came that told of `told` requests let through without asking.
    pub(crate) fn leased(&mut self, lease: RateLease, told: u32, now: Instant) {
        self.share = None;
        self.spent = self.spent.saturating_sub(told);
        self.tokens = self.tokens.saturating_add(lease.granted);
        self.block = lease.granted;
        self.left = lease.left;
        self.ends_at = Some(now + lease.ends_in);
    }

    /// The database did not answer: until it does, this is one of `replicas` that share the limit.
    pub(crate) fn alone(&mut self, replicas: u32, length: Duration, now: Instant) {
        if self.share.is_none() {
            self.share = Some(self.limit.div_ceil(replicas.max(1)).saturating_sub(self.passed));
            self.ends_at.get_or_insert(now + length);
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        let remaining = self.share.unwrap_or_else(|| self.tokens.saturating_add(self.left)).min(self.limit);
        let resets_in = self.ends_at.map_or(Duration::ZERO, |ends_at| ends_at.saturating_duration_since(now));
        Standing { limit: self.limit, remaining, resets_in }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn lease(granted: u32, left: u32) -> RateLease {
        RateLease { granted, left, ends_in: MINUTE }
    }

    fn passes(window: &mut Window, now: Instant) -> u32 {
        (0..1_000).take_while(|_| matches!(window.take(window.limit, MINUTE, now), Taken::Passed(..))).count().try_into().unwrap()
    }

    #[test]
    fn as_many_pass_as_were_leased_and_more_is_asked_for_before_they_are_used_up() {
        let now = Instant::now();
        let mut window = Window::new(100);
        assert_eq!(window.take(100, MINUTE, now), Taken::Unknown);
        window.leased(lease(4, 96), 0, now);
        let supplies = [(); 4].map(|()| match window.take(100, MINUTE, now) {
            Taken::Passed(standing, supply) => (standing.remaining, supply),
            other => panic!("{other:?}"),
        });
        assert_eq!(supplies, [(99, Supply::Enough), (98, Supply::Short), (97, Supply::Short), (96, Supply::Short)]);
        assert_eq!(window.take(100, MINUTE, now), Taken::Unknown, "what is left elsewhere has to be leased");
        window.leased(lease(0, 0), 0, now);
        let Taken::Refused(standing, Supply::Enough) = window.take(100, MINUTE, now) else { panic!("nothing is left") };
        assert_eq!((standing.remaining, standing.resets_in), (0, MINUTE));
        assert_eq!(window.take(100, MINUTE, now + MINUTE), Taken::Unknown, "another window");
    }

    #[test]
    fn alone_a_replica_lets_its_share_through_in_every_window_and_tells_of_it_afterwards() {
        let now = Instant::now();
        let mut window = Window::new(100);
        window.leased(lease(10, 90), 0, now);
        assert_eq!(passes(&mut window, now), 10);
        window.alone(3, MINUTE, now);
        assert_eq!(passes(&mut window, now), 24, "34 are a third; ten of them passed before");
        assert!(matches!(window.take(100, MINUTE, now), Taken::Refused(_, Supply::Short)));
        window.alone(3, MINUTE, now);
        assert_eq!(passes(&mut window, now), 0, "a second failure gives no second share");
        let next = now + MINUTE;
        assert_eq!(window.take(100, MINUTE, next), Taken::Unknown);
        window.alone(3, MINUTE, next);
        assert_eq!(passes(&mut window, next), 34);
        assert_eq!(window.spent(), 34, "those of a window that is over concern nobody any more");
        window.leased(lease(5, 20), 30, next);
        assert_eq!((window.spent(), passes(&mut window, next)), (4, 5));
    }

    #[test]
    fn another_limit_counts_at_once() {
        let now = Instant::now();
        let mut window = Window::new(100);
        window.leased(lease(50, 50), 0, now);
        assert!(matches!(window.take(100, MINUTE, now), Taken::Passed(..)));
        assert_eq!(window.take(10, MINUTE, now), Taken::Unknown);
        assert!(matches!(window.take(0, MINUTE, now), Taken::Refused(..)), "none at all");
    }
}
