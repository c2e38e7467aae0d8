//! Places for connections: so many in all, so many for one network; who is idle longest makes room when all are taken.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::forwarding::TrustProxy;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::rates::network_of;

/// Idle connections that make room at once, as a share of all: looking for them takes a look at every connection.
const EVICTED_SHARE: usize = 64;

/// Who has been idle for less makes no room: its answer may be on its way.
const LEAST_IDLE: Duration = Duration::from_millis(100);

/// How many connections may be open.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Of everybody together.
    pub most: usize,
    /// Of one address (IPv6: one /64) that is no trusted proxy.
    pub most_of_one: usize,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// All places are taken by connections with a request under way.
    Server,
    /// This network has as many as it may.
    Network,
}

/// All places of the server.
#[derive(Clone)]
pub(crate) struct Places(Arc<Inner>);

struct Inner {
    limits: ConnectionLimits,
    trusted: TrustProxy,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, (IpAddr, Arc<Activity>)>,
    of_network: HashMap<IpAddr, usize>,
    last: u64,
}

impl Open {
    fn remove(&mut self, id: u64) {
        let Some((network, _)) = self.connections.remove(&id) else { return };
        if let Some(count) = self.of_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.of_network.remove(&network);
            }
        }
    }

    /// Those that have been idle longest make room; gives whether there were any.
    fn evict(&mut self, most: usize) -> bool {
        let of = |(id, (_, activity)): (&u64, &(IpAddr, Arc<Activity>))| Some((Reverse(activity.idle_us()?), *id));
        let mut idle: Vec<(Reverse<u128>, u64)> = self.connections.iter().filter_map(of).collect();
        let most = most.min(idle.len());
        if most == 0 {
            return false;
        }
        idle.select_nth_unstable(most - 1);
        let mut evicted = 0;
        for (_, id) in &idle[..most] {
            if self.connections.get(id).is_some_and(|(_, activity)| activity.evict()) {
                self.remove(*id);
                evicted += 1;
            }
        }
        metrics::counter!("pulp_http_connections_evicted_total").increment(evicted);
        evicted > 0
    }
}

impl Places {
    pub(crate) fn new(limits: ConnectionLimits, trusted: TrustProxy) -> Self {
        let limits = ConnectionLimits { most: limits.most.max(1), most_of_one: limits.most_of_one.max(1) };
        Self(Arc::new(Inner { limits, trusted, open: Mutex::default() }))
    }

    /// A place for a connection from this address. Trusted proxies bring many clients and may have all places.
    pub(crate) fn take(&self, peer: IpAddr) -> Result<Place, Full> {
        let network = network_of(peer);
        let mut open = self.open();
        let has = open.of_network.get(&network).copied().unwrap_or(0);
        if has >= self.0.limits.most_of_one && !self.0.trusted.trusts_peer(peer) {
            return Err(Full::Network);
        }
        if open.connections.len() >= self.0.limits.most && !open.evict((self.0.limits.most / EVICTED_SHARE).max(1)) {
            return Err(Full::Server);
        }
        let activity = Arc::new(Activity::new());
        let id = open.last;
        open.last += 1;
        open.connections.insert(id, (network, Arc::clone(&activity)));
        *open.of_network.entry(network).or_default() += 1;
        metrics::gauge!("pulp_http_connections").set(count(open.connections.len()));
        drop(open);
        Ok(Place { places: self.clone(), id, activity })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Every change to it is complete before anything could panic.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection; dropping it gives it back.
pub(crate) struct Place {
    places: Places,
    id: u64,
    pub(crate) activity: Arc<Activity>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open();
        open.remove(self.id);
        metrics::gauge!("pulp_http_connections").set(count(open.connections.len()));
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Nothing of a request has come since the last one was answered.
    Idle,
    /// The head of a request has begun.
    Head,
    /// A request is being answered.
    Busy,
    /// It was told to end while it was idle.
    Evicted,
}

impl Phase {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Idle,
            1 => Self::Head,
            2 => Self::Busy,
            _ => Self::Evicted,
        }
    }
}

/// What a connection is doing, seen by its stream, by its requests and by whoever needs its place.
pub(crate) struct Activity {
    phase: AtomicU8,
    /// What the scan of the head found: bits of [`crate::head_scan`].
    head: AtomicU8,
    opened: Instant,
    /// Milliseconds after `opened`.
    idle_since_ms: AtomicU64,
    /// Its client has not taken all of the last answer yet.
    writing: AtomicBool,
    pub(crate) evicted: Notify,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Idle as u8),
            head: AtomicU8::new(0),
            opened: Instant::now(),
            idle_since_ms: AtomicU64::new(0),
            writing: AtomicBool::new(false),
            evicted: Notify::new(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    /// Bytes of a head have come; false where the connection was told to end a moment ago.
    pub(crate) fn head_begins(&self) -> bool {
        self.head.store(0, Ordering::Relaxed);
        self.phase.compare_exchange(Phase::Idle as u8, Phase::Head as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// What is known of the head so far.
    pub(crate) fn scanned(&self, found: u8) {
        self.head.store(found, Ordering::Relaxed);
    }

    /// The head is whole; gives what the scan found in it, nothing when it came together with the request before it.
    pub(crate) fn request_begins(&self) -> u8 {
        self.phase.store(Phase::Busy as u8, Ordering::Release);
        self.head.swap(0, Ordering::Relaxed)
    }

    /// The answer has been handed over, though perhaps not yet to its client.
    pub(crate) fn request_ends(&self) {
        self.idles_from_now();
        self.phase.store(Phase::Idle as u8, Ordering::Release);
    }

    /// The client takes nothing at this moment of what there is for it.
    pub(crate) fn writing_waits(&self) {
        self.writing.store(true, Ordering::Release);
    }

    /// The client has taken what there was for it.
    pub(crate) fn writing_ends(&self) {
        self.idles_from_now();
        self.writing.store(false, Ordering::Release);
    }

    fn idles_from_now(&self) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.idle_since_ms.store(since, Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        self.phase() == Phase::Idle && !self.writing.load(Ordering::Acquire)
    }

    fn idle_from(&self) -> Instant {
        self.opened + Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed))
    }

    /// Returns when it has been idle for so long; it is told to end by then.
    pub(crate) async fn idles_for(&self, limit: Duration) {
        loop {
            let since = if self.is_idle() { self.idle_from() } else { Instant::now() };
            tokio::time::sleep_until(since + limit).await;
            if self.is_idle() && self.idle_from().elapsed() >= limit && self.evict() {
                return;
            }
        }
    }

    /// For how many microseconds it has been idle; none while it is not, or not yet for long.
    fn idle_us(&self) -> Option<u128> {
        let idle = self.is_idle().then(|| self.idle_from().elapsed())?;
        (idle >= LEAST_IDLE).then_some(idle.as_micros())
    }

    fn evict(&self) -> bool {
        let idle = self.phase.compare_exchange(Phase::Idle as u8, Phase::Evicted as u8, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if idle {
            self.evicted.notify_one();
        }
        idle
    }
}

#[expect(clippy::cast_precision_loss, reason = "connections are far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(most: usize, most_of_one: usize, trusted: &str) -> Places {
        Places::new(ConnectionLimits { most, most_of_one }, trusted.parse().unwrap())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_has_its_share_and_a_trusted_proxy_has_all() {
        let places = places(10, 2, "10.0.0.0/8");
        let held: Vec<_> = (1..=2).map(|host| places.take(address(&format!("2001:db8::{host}"))).unwrap()).collect();
        assert_eq!(places.take(address("2001:db8::3")).err(), Some(Full::Network));
        let elsewhere = places.take(address("192.0.2.1")).unwrap();
        let proxied: Vec<_> = (0..7).map(|_| places.take(address("::ffff:10.0.0.1")).unwrap()).collect();
        drop(held);
        assert!(places.take(address("2001:db8::3")).is_ok());
        drop((elsewhere, proxied));
        assert!(places.open().of_network.is_empty() && places.open().connections.is_empty());
    }

    #[tokio::test]
    async fn who_is_idle_longest_makes_room_and_who_is_busy_does_not() {
        let places = places(3, 3, "false");
        let busy = places.take(address("192.0.2.1")).unwrap();
        busy.activity.request_begins();
        let old = places.take(address("192.0.2.1")).unwrap();
        while old.activity.idle_us().is_none() {
            tokio::task::yield_now().await;
        }
        let young = places.take(address("192.0.2.1")).unwrap();
        let third = places.take(address("192.0.2.2")).unwrap();
        assert_eq!((busy.activity.phase(), old.activity.phase(), young.activity.phase()), (Phase::Busy, Phase::Evicted, Phase::Idle));
        assert!(!old.activity.head_begins(), "what comes now comes too late");
        drop(old);
        young.activity.request_begins();
        assert!(third.activity.head_begins());
        assert_eq!(places.take(address("192.0.2.3")).err(), Some(Full::Server));
        drop(busy);
        assert!(places.take(address("192.0.2.3")).is_ok());
    }
}
