//! How often one address may try something.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

/// Addresses that are remembered at the same time; beyond it the least used are forgotten.
const ADDRESSES: u64 = 100_000;

/// So many tries in a fixed window, per address and per replica. Clones share the count.
#[derive(Clone, Debug)]
pub struct Rate {
    tries: Cache<IpAddr, Arc<(AtomicU32, Instant)>>,
    most: u32,
    window: Duration,
}

impl Rate {
    /// Allows `most` tries in each `window`.
    pub fn new(most: u32, window: Duration) -> Self {
        Self { tries: Cache::builder().max_capacity(ADDRESSES).time_to_live(window).build(), most, window }
    }

    /// Counts a try; refused with the time after which the next one is allowed. IPv6 addresses count by their /64,
    /// which is what one customer has.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        let counted = self.tries.get_with(network_of(address), || Arc::new((AtomicU32::new(0), Instant::now())));
        if counted.0.fetch_add(1, Ordering::Relaxed) < self.most { Ok(()) } else { Err(self.window.saturating_sub(counted.1.elapsed())) }
    }

    /// How long no try is allowed, without counting one; none while some are left.
    pub(crate) fn spent(&self, address: IpAddr) -> Option<Duration> {
        let counted = self.tries.get(&network_of(address))?;
        (counted.0.load(Ordering::Relaxed) >= self.most).then(|| self.window.saturating_sub(counted.1.elapsed()))
    }
}

/// What counts as one client: an IPv4 address, and for IPv6 the /64.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_try_of_an_address_is_refused_and_others_are_not() {
        let rate = Rate::new(10, Duration::from_mins(1));
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..10 {
            assert_eq!(rate.spent(address("2001:db8::1")), None);
            assert_eq!(rate.take(address("2001:db8::1")), Ok(()));
        }
        assert!(rate.spent(address("2001:db8::3")).is_some_and(|wait| wait <= Duration::from_mins(1)));
        assert!(rate.take(address("2001:db8::1")).is_err());
        assert!(rate.take(address("2001:db8::2")).is_err(), "the same network");
        assert_eq!(rate.take(address("2001:db8:0:1::1")), Ok(()));
        assert_eq!(rate.take(address("192.0.2.1")), Ok(()));
    }
}
