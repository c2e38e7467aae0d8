//! Who waits for a tab, and who of them is next.

use std::collections::VecDeque;

use crate::Priority;

/// So many interactive jobs in a row may pass a waiting batch job by; then it has its turn, so that it is slow and not stuck.
const PASSED_BY: u32 = 16;

/// What a job needs of its tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Want {
    /// Counts against the places for large documents.
    pub(crate) large: bool,
    /// A tab that has printed for this tenant is best; tenants that wait have turns.
    pub(crate) tenant: String,
    /// Who goes first.
    pub(crate) priority: Priority,
    /// A second attempt goes to the front and is never refused a place.
    pub(crate) again: bool,
}

/// A job that waits, with what its tab is handed over by.
#[derive(Debug)]
pub(crate) struct Waiter<T> {
    ticket: u64,
    /// Jobs of one tenant have one turn each; those of several with the same turn go in the order in which they came.
    turn: u64,
    first: bool,
    pub(crate) want: Want,
    pub(crate) hand_over: T,
}

impl<T> Waiter<T> {
    /// Who is to go first of all, then interactive jobs, then those of batches.
    fn rank(&self) -> (bool, Priority, u64, u64) {
        (!self.first, self.want.priority, self.turn, self.ticket)
    }
}

/// The waiting jobs in the order in which they are served.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiters: VecDeque<Waiter<T>>,
    next_ticket: u64,
    /// The turn that was served last, of interactive and of batch jobs.
    turns: [u64; 2],
    /// Interactive jobs served since a batch job began to wait.
    passed_by: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiters: VecDeque::new(), next_ticket: 0, turns: [0; 2], passed_by: 0 }
    }
}

impl<T> Queue<T> {
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Jobs of this priority.
    pub(crate) fn waiting(&self, priority: Priority) -> usize {
        self.waiters.iter().filter(|waiter| waiter.want.priority == priority).count()
    }

    /// Jobs that would be served before one that came now with this want, if nobody came after it.
    pub(crate) fn ahead_of(&self, want: &Want) -> usize {
        let rank = (!want.again, want.priority, self.next_turn(want), self.next_ticket);
        self.waiters.partition_point(|other| other.rank() < rank)
    }

    /// What the job at this place wants.
    pub(crate) fn want(&self, at: usize) -> Option<&Want> {
        self.waiters.get(at).map(|waiter| &waiter.want)
    }

    /// Adds a job; gives the ticket with which it can leave.
    pub(crate) fn push(&mut self, want: Want, hand_over: T) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let waiter = Waiter { ticket, turn: self.next_turn(&want), first: want.again, want, hand_over };
        self.insert(waiter);
        ticket
    }

    /// Takes the job at this place out, because it is served.
    pub(crate) fn take(&mut self, at: usize) -> Option<Waiter<T>> {
        let waiter = self.waiters.remove(at)?;
        let last = &mut self.turns[waiter.want.priority as usize];
        *last = waiter.turn.max(*last);
        let batch = self.waiters.iter().position(|waiter| waiter.want.priority == Priority::Batch);
        match batch {
            Some(next) if waiter.want.priority == Priority::Interactive => {
                self.passed_by += 1;
                if self.passed_by >= PASSED_BY {
                    self.passed_by = 0;
                    if let Some(mut next) = self.waiters.remove(next) {
                        next.first = true;
                        self.insert(next);
                    }
                }
            }
            _ => self.passed_by = 0,
        }
        Some(waiter)
    }

    /// A job leaves without having been served.
    pub(crate) fn leave(&mut self, ticket: u64) {
        if let Some(at) = self.waiters.iter().position(|waiter| waiter.ticket == ticket) {
            self.waiters.remove(at);
        }
    }

    /// Sends all away.
    pub(crate) fn clear(&mut self) {
        self.waiters.clear();
    }

    /// The turn after the tenant's last one that waits, or after the one that was served last: so the thousandth job of one
    /// tenant waits for the first of another, and nobody who waits is overtaken for ever by those who come later.
    fn next_turn(&self, want: &Want) -> u64 {
        let of_it = |waiter: &&Waiter<T>| waiter.want.priority == want.priority && waiter.want.tenant == want.tenant;
        let last = self.waiters.iter().filter(of_it).map(|waiter| waiter.turn).max();
        last.unwrap_or(0).max(self.turns[want.priority as usize]) + 1
    }

    fn insert(&mut self, waiter: Waiter<T>) {
        let rank = waiter.rank();
        let at = self.waiters.partition_point(|other| other.rank() < rank);
        self.waiters.insert(at, waiter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(tenant: &str, priority: Priority) -> Want {
        Want { large: false, tenant: tenant.to_owned(), priority, again: false }
    }

    fn push(queue: &mut Queue<String>, tenant: &str, priority: Priority, count: usize) {
        for number in 1..=count {
            queue.push(want(tenant, priority), format!("{tenant}{number}"));
        }
    }

    fn serve(queue: &mut Queue<String>, count: usize) -> Vec<String> {
        (0..count).map_while(|_| queue.take(0)).map(|waiter| waiter.hand_over).collect()
    }

    #[test]
    fn tenants_have_turns_however_many_jobs_one_of_them_has() {
        let mut queue = Queue::default();
        push(&mut queue, "a", Priority::Interactive, 6);
        assert_eq!(serve(&mut queue, 2), ["a1", "a2"]);
        let ahead = |tenant: &str, priority| queue.ahead_of(&want(tenant, priority));
        assert_eq!([ahead("a", Priority::Interactive), ahead("b", Priority::Interactive), ahead("b", Priority::Batch)], [4, 1, 4]);
        push(&mut queue, "b", Priority::Interactive, 2);
        push(&mut queue, "c", Priority::Interactive, 1);
        assert_eq!(serve(&mut queue, 9), ["a3", "b1", "c1", "a4", "b2", "a5", "a6"]);
    }

    #[test]
    fn somebody_who_waits_goes_before_every_batch_and_a_second_attempt_before_all() {
        let mut queue = Queue::default();
        push(&mut queue, "batch", Priority::Batch, 3);
        push(&mut queue, "person", Priority::Interactive, 2);
        queue.push(Want { again: true, ..want("batch", Priority::Batch) }, "again".to_owned());
        assert_eq!(queue.waiting(Priority::Batch), 4);
        assert_eq!(serve(&mut queue, 9), ["again", "person1", "person2", "batch1", "batch2", "batch3"]);
    }

    #[test]
    fn a_batch_is_slow_under_interactive_load_and_not_stuck() {
        let mut queue = Queue::default();
        push(&mut queue, "batch", Priority::Batch, 3);
        let mut served = Vec::new();
        for _ in 0..(PASSED_BY as usize + 1) * 2 {
            push(&mut queue, "person", Priority::Interactive, 1);
            served.extend(serve(&mut queue, 1));
        }
        let places: Vec<_> = served.iter().enumerate().filter(|(_, who)| who.starts_with("batch")).map(|(at, _)| at).collect();
        assert_eq!(places, [PASSED_BY as usize, PASSED_BY as usize * 2 + 1]);
    }

    #[test]
    fn who_leaves_takes_nobody_elses_place() {
        let mut queue = Queue::default();
        push(&mut queue, "a", Priority::Interactive, 3);
        queue.leave(1);
        queue.leave(99);
        assert_eq!((queue.len(), serve(&mut queue, 9)), (2, vec!["a1".to_owned(), "a3".to_owned()]));
    }
}
