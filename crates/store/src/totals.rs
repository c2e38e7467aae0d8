//! What is known of lists: how many rows match, and which row stands where. It holds for as long as nothing changes in the tenant:
//! the end of its audit chain tells, as no change commits without its event.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::TenantId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// Lists that are known; when there are more, all are forgotten. So are they with the last of the places.
const MOST: usize = 10_000;
/// Places that are known, of all lists together. About 200 bytes each, at most some 2 KB.
const MOST_PLACES: usize = 20_000;
/// Longer questions are not remembered, in bytes.
const LONGEST_QUESTION: usize = 500;
/// The tenants themselves have no chain: their notices tell, and one that was lost counts for this long.
const TENANTS_AGE: Duration = Duration::from_secs(10);

/// The values of a row that the order of its list goes by, as text.
pub(crate) type Place = Vec<String>;

/// Whose rows, and which of them in which order.
pub(crate) type Question = (Option<TenantId>, String);

/// The lists that were read lately.
pub(crate) struct Totals {
    known: Mutex<Known>,
    changes_of_tenants: AtomicI64,
    began: Instant,
}

#[derive(Default)]
struct Known {
    lists: HashMap<Question, List>,
    places: usize,
}

struct List {
    version: Version,
    total: u64,
    /// By how many rows come before them.
    places: BTreeMap<i64, Place>,
}

/// Rows that two readers with the same version see are the same.
#[derive(Clone, PartialEq, Eq)]
enum Version {
    /// The end of the tenant's audit chain: its number and its hash, as numbers begin anew in a tenant that was purged or restored.
    Chain(i64, Vec<u8>),
    /// How many changes of tenants were heard of, and how often [`TENANTS_AGE`] has passed.
    Tenants(i64, u64),
}

/// What is asked, and what is known.
pub(crate) struct Asked {
    question: Question,
    version: Option<Version>,
    /// How many there are, where that is known.
    pub(crate) total: Option<u64>,
    /// The known row that is nearest to the page's first, and how many come before it: the page's first itself, or one before.
    pub(crate) place: Option<(i64, Place)>,
}

impl Totals {
    pub(crate) fn new() -> Self {
        Self { known: Mutex::default(), changes_of_tenants: AtomicI64::new(0), began: Instant::now() }
    }

    /// A tenant came or went.
    pub(crate) fn tenants_changed(&self) {
        self.changes_of_tenants.fetch_add(1, Ordering::SeqCst);
    }

    /// What is known of the rows that `question` describes, its noun and order included, where a page begins after `offset` rows.
    /// `hears`: whether a change of the tenants would be heard of.
    pub(crate) async fn ask(
        &self,
        connection: &mut PgConnection,
        question: Question,
        offset: i64,
        hears: Hears,
    ) -> Result<Asked, StoreError> {
        let version = self.version(connection, question.0.as_ref(), hears).await?;
        let known = self.known();
        let list = known.lists.get(&question).filter(|list| Some(&list.version) == version.as_ref());
        let total = list.map(|list| list.total);
        let place = list.and_then(|list| list.places.range(..=offset).next_back()).map(|(&row, place)| (row, place.clone()));
        drop(known);
        Ok(Asked { question, version, total, place })
    }

    /// Remembers how many there are, and rows of a page with how many come before them, unless something changed since it was
    /// asked for.
    pub(crate) async fn keep(
        &self,
        connection: &mut PgConnection,
        asked: Asked,
        total: u64,
        places: Vec<(i64, Place)>,
        hears: Hears,
    ) -> Result<(), StoreError> {
        let Some(version) = asked.version.filter(|_| asked.question.1.len() <= LONGEST_QUESTION) else { return Ok(()) };
        if self.version(connection, asked.question.0.as_ref(), hears).await?.as_ref() != Some(&version) {
            return Ok(());
        }
        let mut known = self.known();
        if known.lists.len() >= MOST || known.places >= MOST_PLACES {
            *known = Known::default();
        }
        let known = &mut *known;
        let new = || List { version: version.clone(), total, places: BTreeMap::new() };
        let list = known.lists.entry(asked.question).or_insert_with(new);
        if list.version != version {
            known.places -= list.places.len();
            *list = new();
        }
        for (row, place) in places {
            known.places += usize::from(list.places.insert(row, place).is_none());
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn version(&self, connection: &mut PgConnection, tenant: Option<&TenantId>, hears: Hears) -> Result<Option<Version>, StoreError> {
        let Some(tenant) = tenant else {
            let age = self.began.elapsed().as_secs() / TENANTS_AGE.as_secs();
            return Ok((hears == Hears::Changes).then(|| Version::Tenants(self.changes_of_tenants.load(Ordering::SeqCst), age)));
        };
        let last = sqlx::query_as("SELECT last_seq, last_hash FROM audit_chains WHERE tenant_id = $1").bind(tenant.as_str());
        let (number, hash) = last.fetch_optional(connection).await?.unwrap_or_default();
        Ok(Some(Version::Chain(number, hash)))
    }
}

/// Whether this process hears of changes at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hears {
    Changes,
    Nothing,
}
