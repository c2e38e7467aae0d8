//! What the database was asked about a credential a moment ago, so that requests need not ask again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::TenantId;
use domain::caches::{CacheBound, CacheCounts, CacheRead, CacheReport, CacheSize};
use moka::future::Cache;
use store::StoreError;
use tokio::time::{Instant, timeout};

/// Entries kept; whoever invents names must not fill the memory with what does not exist.
const ENTRIES: u64 = 100_000;
/// How long an answer serves on while the database is away. Later a withdrawn credential must not pass any more.
const STALE: Duration = Duration::from_mins(15);
/// How long a request waits for the database where an answer that grew old would do.
const PATIENCE: Duration = Duration::from_millis(500);
/// After the database did not answer, how long the old answer serves before it is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Tenants are told apart by this many places. Two that share one forget together, which costs a question and no more.
const PLACES: usize = 1_024;

/// Whose an answer is, as the name that was asked for and the answer tell; nobody's where neither does.
type Owner<K, V> = for<'a> fn(&'a K, Option<&'a V>) -> Option<&'a TenantId>;

#[derive(Clone)]
struct Entry<V> {
    value: Option<V>,
    /// How many changes were heard of before it was asked for.
    as_of: u64,
    answered_at: Instant,
    /// Until then nobody asks again.
    fresh_until: Instant,
}

/// Answers by name, absence included. Clones share them.
pub(crate) struct Cached<K, V> {
    entries: Cache<K, Entry<V>>,
    changes: Arc<Changes>,
    counts: Arc<CacheCounts>,
    name: &'static str,
    owner: Owner<K, V>,
    ttl: Duration,
    stale: Duration,
}

impl<K, V> Clone for Cached<K, V> {
    fn clone(&self) -> Self {
        let Self { name, owner, ttl, stale, .. } = *self;
        Self {
            entries: self.entries.clone(),
            changes: Arc::clone(&self.changes),
            counts: Arc::clone(&self.counts),
            name,
            owner,
            ttl,
            stale,
        }
    }
}

impl<K, V> Cached<K, V>
where
    K: Hash + Eq + Send + Sync + Clone + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Called `name` in metrics. An answer is asked for again when it is older than `ttl`, should the notice of a change have been
    /// lost. Where `owner` names no tenant, the change of any one makes it be asked for again.
    pub(crate) fn new(name: &'static str, ttl: Duration, owner: Owner<K, V>) -> Self {
        Self::serving_on_for(STALE, name, ttl, owner)
    }

    fn serving_on_for(stale: Duration, name: &'static str, ttl: Duration, owner: Owner<K, V>) -> Self {
        let entries = Cache::builder().max_capacity(ENTRIES).time_to_live(stale).build();
        Self { entries, changes: Arc::default(), counts: Arc::default(), name, owner, ttl, stale }
    }

    /// How it does.
    pub(crate) fn report(&self) -> CacheReport {
        let size = CacheSize { entries: self.entries.entry_count(), bytes: None };
        self.counts.report(self.name, CacheBound::Entries(ENTRIES), Some(self.ttl), size)
    }

    /// Changes may have been missed, or were: every answer is asked for again.
    pub(crate) fn missed(&self, missed: Missed) {
        match missed {
            Missed::Perhaps => self.changes.perhaps_missed(),
            Missed::Surely => self.changes.of_everybody(),
        }
    }

    /// Whether something of that name was found lately.
    pub(crate) async fn knows(&self, key: &K) -> bool {
        self.entries.get(key).await.is_some_and(|entry| entry.value.is_some())
    }

    /// Something of the tenant's changed: its answers and those that are nobody's are asked for again, and none from before serves
    /// any more.
    pub(crate) fn changed_of(&self, tenant: &TenantId) {
        self.changes.of(tenant);
    }

    /// The answer for `key`, from memory or from `ask`.
    pub(crate) async fn get(&self, key: K, ask: impl Future<Output = Result<Option<V>, StoreError>>) -> Result<Option<V>, StoreError> {
        let known = self.entries.get(&key).await;
        let as_of = self.changes.heard();
        let known = known.filter(|entry| self.holds(&key, entry) && entry.answered_at.elapsed() < self.stale);
        let Some(old) = known else {
            self.counts.count(CacheRead::Miss);
            return self.keep(key, as_of, ask.await?).await;
        };
        if Instant::now() < old.fresh_until && self.changes.last_missed() <= old.as_of {
            self.counts.count(CacheRead::Hit);
            return Ok(old.value);
        }
        // Nobody waits long for a database that may be away, while there is an answer that was right a moment ago. One from before
        // a change never comes here: something may have been withdrawn.
        match timeout(PATIENCE, ask).await {
            Ok(Ok(value)) => {
                self.counts.count(CacheRead::Miss);
                self.keep(key, as_of, value).await
            }
            Err(_) => self.serve_on(key, as_of, old, too_slow()).await,
            Ok(Err(error @ StoreError::Unavailable { .. })) => self.serve_on(key, as_of, old, error).await,
            Ok(Err(error)) => Err(error),
        }
    }

    /// The old answer, for a moment, after the question was in vain; unless a change was heard of, or somebody got an answer, meanwhile.
    async fn serve_on(&self, key: K, as_of: u64, old: Entry<V>, error: StoreError) -> Result<Option<V>, StoreError> {
        if !self.holds(&key, &old) {
            return Err(error);
        }
        self.counts.count(CacheRead::Stale);
        match self.entries.get(&key).await {
            Some(newer) if newer.answered_at > old.answered_at && self.holds(&key, &newer) => Ok(newer.value),
            _ => {
                let again = Entry { as_of, fresh_until: Instant::now() + RETRY_AFTER.min(self.ttl), ..old };
                self.entries.insert(key, again.clone()).await;
                Ok(again.value)
            }
        }
    }

    /// Whether no change that was heard of speaks against it.
    fn holds(&self, key: &K, entry: &Entry<V>) -> bool {
        self.changes.last((self.owner)(key, entry.value.as_ref())) <= entry.as_of
    }

    /// The answer of now, or one that was asked for after `since`: for whoever was refused by an answer that may have changed
    /// elsewhere in this moment, before the notice of that is here. Nobody waits long for it.
    pub(crate) async fn newer_than(
        &self,
        since: Instant,
        key: K,
        ask: impl Future<Output = Result<Option<V>, StoreError>>,
    ) -> Result<Option<V>, StoreError> {
        let as_of = self.changes.heard();
        match self.entries.get(&key).await {
            Some(entry) if entry.answered_at >= since => Ok(entry.value),
            _ => self.keep(key, as_of, timeout(PATIENCE, ask).await.unwrap_or(Err(too_slow()))?).await,
        }
    }

    async fn keep(&self, key: K, as_of: u64, value: Option<V>) -> Result<Option<V>, StoreError> {
        let now = Instant::now();
        self.entries.insert(key, Entry { value: value.clone(), as_of, answered_at: now, fresh_until: now + self.ttl }).await;
        Ok(value)
    }
}

fn too_slow() -> StoreError {
    StoreError::Unavailable { why: store::Outage::TooSlow, source: None }
}

/// Changes that were not heard of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missed {
    /// There may have been some. While the database is away, answers from before serve on, as they would have if there were none.
    Perhaps,
    /// There were some, of whatever tenant: no answer from before serves any more.
    Surely,
}

/// Changes in the order in which they were heard of.
struct Changes {
    heard: AtomicU64,
    /// The last time that some may not have been heard of.
    missed: AtomicU64,
    /// The last one that may be of everybody.
    everybody: AtomicU64,
    /// The last one of any tenant.
    anywhere: AtomicU64,
    /// The last one of the tenants of each place.
    places: Box<[AtomicU64]>,
}

impl Default for Changes {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| AtomicU64::default()).collect();
        let [heard, missed, everybody, anywhere] = std::array::from_fn(|_| AtomicU64::default());
        Self { heard, missed, everybody, anywhere, places }
    }
}

impl Changes {
    fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    fn next(&self) -> u64 {
        self.heard.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn perhaps_missed(&self) {
        self.missed.fetch_max(self.next(), Ordering::SeqCst);
    }

    fn of_everybody(&self) {
        self.everybody.fetch_max(self.next(), Ordering::SeqCst);
    }

    fn last_missed(&self) -> u64 {
        self.missed.load(Ordering::SeqCst)
    }

    fn of(&self, tenant: &TenantId) {
        let change = self.next();
        self.anywhere.fetch_max(change, Ordering::SeqCst);
        if let Some(place) = self.places.get(place(tenant)) {
            place.fetch_max(change, Ordering::SeqCst);
        }
    }

    /// The last change that an answer of that tenant, or nobody's, does not outlive.
    fn last(&self, owner: Option<&TenantId>) -> u64 {
        let own = owner.map_or(Some(&self.anywhere), |tenant| self.places.get(place(tenant)));
        own.map_or(u64::MAX, |own| own.load(Ordering::SeqCst).max(self.everybody.load(Ordering::SeqCst)))
    }
}

fn place(tenant: &TenantId) -> usize {
    let mut hasher = DefaultHasher::new();
    tenant.hash(&mut hasher);
    usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobodys<'a, K>(_: &'a K, _: Option<&'a i32>) -> Option<&'a TenantId> {
        None
    }

    #[tokio::test]
    async fn a_change_in_one_tenant_leaves_what_is_known_of_another() {
        let [a, b] = ["acme", "beta"].map(|tenant| tenant.parse::<TenantId>().unwrap());
        // By a name that tells no tenant, as keys do; the answer does.
        let cached: Cached<&str, (TenantId, i32)> =
            Cached::new("tests", Duration::from_mins(1), |_, found| found.map(|(tenant, _)| tenant));
        let ask = async |key, found: Option<(&TenantId, i32)>| {
            let found = found.map(|(tenant, value)| (tenant.clone(), value));
            cached.get(key, async { Ok(found) }).await.unwrap().map(|(_, value)| value)
        };
        assert_eq!((ask("a", Some((&a, 1))).await, ask("b", Some((&b, 1))).await, ask("none", None).await), (Some(1), Some(1), None));
        cached.changed_of(&a);
        assert_eq!(ask("a", Some((&a, 2))).await, Some(2));
        assert_eq!(ask("b", Some((&b, 2))).await, Some(1), "a change in acme says nothing of beta");
        assert_eq!(ask("none", Some((&a, 3))).await, Some(3), "what did not exist may have been made by anybody");
        cached.changed_of(&b);
        assert_eq!((ask("a", Some((&a, 4))).await, ask("b", Some((&b, 4))).await), (Some(2), Some(4)));
        cached.missed(Missed::Perhaps);
        assert_eq!((ask("a", Some((&a, 5))).await, ask("b", Some((&b, 5))).await), (Some(5), Some(5)));
    }

    #[tokio::test]
    async fn an_answer_that_was_asked_for_before_its_tenant_changed_is_not_taken_for_fresh() {
        let [a, b] = ["acme", "beta"].map(|tenant| tenant.parse::<TenantId>().unwrap());
        let cached: Cached<TenantId, i32> = Cached::new("tests", Duration::from_mins(1), |tenant, _| Some(tenant));
        let slow = cached.clone();
        let reading = async {
            slow.changed_of(&a);
            slow.changed_of(&b);
            Ok(Some(1))
        };
        assert_eq!(cached.get(a.clone(), reading).await.unwrap(), Some(1));
        cached.changed_of(&b);
        assert_eq!(cached.get(a, async { Ok(Some(2)) }).await.unwrap(), Some(2));
    }

    fn away() -> StoreError {
        StoreError::Unavailable { why: store::Outage::NoConnection, source: None }
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_once_until_something_changes() {
        let cached = Cached::new("tests", Duration::from_mins(1), nobodys);
        assert_eq!(cached.get("a", async { Ok(Some(1)) }).await.unwrap(), Some(1));
        assert_eq!(cached.get("a", async { Ok(Some(2)) }).await.unwrap(), Some(1));
        cached.changed_of(&"acme".parse().unwrap());
        assert!(cached.get("a", async { Err(away()) }).await.is_err(), "it may have been withdrawn");
        assert_eq!(cached.get("a", async { Ok(None) }).await.unwrap(), None);
        assert_eq!(cached.get("a", async { Ok(Some(3)) }).await.unwrap(), None, "absence is remembered too");
        assert!(cached.get("b", async { Err(away()) }).await.is_err());
    }

    #[tokio::test]
    async fn what_may_have_changed_unheard_is_asked_for_and_serves_on_while_nobody_answers() {
        let cached = Cached::new("tests", Duration::from_mins(1), nobodys);
        assert_eq!(cached.get("a", async { Ok(Some(1)) }).await.unwrap(), Some(1));
        cached.missed(Missed::Perhaps);
        assert_eq!(cached.get("a", async { Err(away()) }).await.unwrap(), Some(1), "the database went away before it was asked");
        assert_eq!(cached.get("a", async { Ok(Some(2)) }).await.unwrap(), Some(1), "not every request asks a database that is away");
        tokio::time::sleep(RETRY_AFTER).await;
        assert_eq!(cached.get("a", async { Ok(Some(2)) }).await.unwrap(), Some(2));
        cached.missed(Missed::Perhaps);
        assert_eq!(cached.get("a", async { Ok(None) }).await.unwrap(), None);
        cached.missed(Missed::Perhaps);
        cached.changed_of(&"acme".parse().unwrap());
        assert!(cached.get("a", async { Err(away()) }).await.is_err(), "a change that was heard of may have withdrawn it");
        assert_eq!(cached.get("a", async { Ok(Some(3)) }).await.unwrap(), Some(3));
        cached.missed(Missed::Surely);
        assert!(cached.get("a", async { Err(away()) }).await.is_err(), "what was missed may have withdrawn it");
    }

    #[tokio::test]
    async fn a_change_that_is_heard_of_during_a_vain_question_is_not_overlooked() {
        let cached = Cached::new("tests", Duration::ZERO, nobodys);
        assert_eq!(cached.get("a", async { Ok(Some(1)) }).await.unwrap(), Some(1));
        let other = cached.clone();
        let withdrawn = async {
            other.changed_of(&"acme".parse().unwrap());
            Err(away())
        };
        assert!(cached.get("a", withdrawn).await.is_err());
        assert_eq!(cached.get("a", async { Ok(Some(2)) }).await.unwrap(), Some(2));
        let other = cached.clone();
        let overtaken = async {
            assert_eq!(other.get("a", async { Ok(None) }).await.unwrap(), None);
            Err(away())
        };
        assert_eq!(cached.get("a", overtaken).await.unwrap(), None, "somebody else got the answer of now");
        assert_eq!(cached.get("a", async { Err(away()) }).await.unwrap(), None);
    }

    #[tokio::test]
    async fn whoever_was_refused_by_an_old_answer_gets_the_one_of_now_and_asks_once() {
        let cached = Cached::new("tests", Duration::from_mins(1), nobodys);
        assert_eq!(cached.get("a", async { Ok(Some(1)) }).await.unwrap(), Some(1));
        let refused = Instant::now();
        assert!(cached.newer_than(refused, "a", async { Err(away()) }).await.is_err());
        assert_eq!(cached.newer_than(refused, "a", async { Ok(Some(2)) }).await.unwrap(), Some(2));
        assert_eq!(cached.newer_than(refused, "a", async { Ok(Some(3)) }).await.unwrap(), Some(2), "somebody else has asked since");
        assert_eq!(cached.get("a", async { Ok(Some(3)) }).await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn an_answer_that_grew_old_serves_on_while_nobody_answers() {
        let cached = Cached::new("tests", Duration::ZERO, nobodys);
        assert_eq!(cached.get("a", async { Ok(Some(1)) }).await.unwrap(), Some(1));
        assert_eq!(cached.get("a", async { Err(away()) }).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn who_has_an_old_answer_waits_half_a_second_once_and_not_for_ever() {
        let (ttl, stale) = (Duration::from_millis(300), Duration::from_secs(3));
        let cached: Cached<&str, i32> = Cached::serving_on_for(stale, "tests", ttl, nobodys);
        let silent = || async { std::future::pending::<Result<Option<i32>, StoreError>>().await };
        assert_eq!(cached.get("a", async { Ok(Some(1)) }).await.unwrap(), Some(1));
        let answered = Instant::now();
        tokio::time::sleep(ttl).await;
        let asked = Instant::now();
        assert_eq!(cached.get("a", silent()).await.unwrap(), Some(1));
        assert!(asked.elapsed() >= PATIENCE);
        let asked = Instant::now();
        assert_eq!(cached.get("a", silent()).await.unwrap(), Some(1));
        assert!(asked.elapsed() < PATIENCE, "the next request does not wait as well");
        // Serving on does not make an answer younger.
        while let Ok(answer) = cached.get("a", async { Err(away()) }).await {
            assert!(answer == Some(1) && answered.elapsed() < stale * 4, "{answer:?} after {:?}", answered.elapsed());
            tokio::time::sleep(ttl / 3).await;
        }
        assert!(answered.elapsed() >= stale);
        assert_eq!(cached.get("a", async { Ok(Some(2)) }).await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_taken_for_fresh() {
        let cached: Cached<&str, &str> = Cached::new("tests", Duration::from_mins(1), |_, _| None);
        let slow = cached.clone();
        let reading = async {
            slow.missed(Missed::Perhaps);
            Ok(Some("old"))
        };
        assert_eq!(cached.get("a", reading).await.unwrap(), Some("old"));
        assert_eq!(cached.get("a", async { Ok(Some("new")) }).await.unwrap(), Some("new"));
    }
}
