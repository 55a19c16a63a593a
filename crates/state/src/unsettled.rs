//! Requests that the upstream did not answer: it may carry them out later, and what relies on their not having been carried
//! out waits until it cannot.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::change::ChangeDecision;
use super::error::StoreError;
use super::records::{RecordKey, StateRecord};
use super::state::StateTables;
use super::write::RecordEdit;
use super::{StateShared, StateStore};
use portcullis_authorization::{LateEffect, UnsettledUntil};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::BucketName;

/// A store refuses what was signed more than fifteen minutes ago, so that what it has not begun by then it never begins;
/// what it has begun gets five more.
const LATEST: Duration = Duration::from_secs(20 * 60);

/// How much longer it is recorded, so that a store that fails for a while is recorded once a minute, not with each request.
const SLACK: Duration = Duration::from_secs(60);

/// How many buckets are told apart. Of more, each of them is unsettled.
const MOST_BUCKETS: usize = 10_000;

/// The requests that are under way, and those that were not answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnansweredRequests(Arc<Mutex<UnansweredTable>>);

#[derive(Debug, Default)]
struct UnansweredTable {
    late: HashMap<BucketName, UnsettledUntil>,
    everywhere: Option<Timestamp>,
    under_way: HashMap<(BucketName, LateEffect), usize>,
    /// Those whose task ended before the answer; the time is unknown, so it starts when it is asked for.
    abandoned: Vec<(BucketName, LateEffect)>,
}

/// A request that is at the upstream. Dropped without [`RequestUnderWay::end`], it counts as not answered.
#[derive(Debug)]
pub struct RequestUnderWay {
    unanswered: UnansweredRequests,
    request: (BucketName, LateEffect),
    answered: bool,
}

/// The written form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnsettledJson {
    completions: Option<i64>,
    configuration: Option<i64>,
    suspension: Option<i64>,
    versions: Option<i64>,
}

impl StateStore {
    /// What the upstream may still do in a bucket.
    pub fn unsettled(&self, bucket: &BucketName, now: Timestamp) -> UnsettledUntil {
        self.0.unsettled(&self.0.memory.read(), bucket, now)
    }

    /// Notes that a request goes to the upstream.
    pub fn send(&self, bucket: &BucketName, effect: LateEffect) -> RequestUnderWay {
        let request = (bucket.clone(), effect);
        *self.0.unanswered.table().under_way.entry(request.clone()).or_default() += 1;
        RequestUnderWay { unanswered: self.0.unanswered.clone(), request, answered: false }
    }

    /// Notes that a request was not answered. It counts at once, and also after a restart if it can be recorded.
    pub async fn note_unanswered(&self, bucket: &BucketName, effect: LateEffect, now: Timestamp) {
        let now = self.0.clock.expected(now);
        self.0.unanswered.table().add(bucket, effect, now);
        self.record_unanswered(vec![(bucket.clone(), effect)], now).await;
    }

    /// Records requests that are in progress when the proxy stops without waiting for them.
    pub async fn note_under_way(&self, now: Timestamp) {
        let requests: Vec<_> = {
            let mut table = self.0.unanswered.table();
            let abandoned = std::mem::take(&mut table.abandoned);
            table.under_way.keys().cloned().chain(abandoned).collect()
        };
        if !requests.is_empty() {
            self.record_unanswered(requests, self.0.clock.expected(now)).await;
        }
    }

    async fn record_unanswered(&self, requests: Vec<(BucketName, LateEffect)>, now: Timestamp) {
        let inner = Arc::clone(&self.0);
        let recorded = self.finish(async move {
            let decide = |state: &StateTables| {
                let edits = edits(&state.unsettled, &requests, now);
                let unchanged = edits.is_empty();
                Ok(if unchanged { ChangeDecision::Unchanged(()) } else { ChangeDecision::Write { edits, answer: () } })
            };
            inner.change(now, decide).await
        });
        let recorded: Result<(), StoreError> = recorded.await;
        if let Err(error) = recorded {
            tracing::error!(%error, "a request without an answer cannot be recorded; do not restart the proxy for 20 minutes");
        }
    }
}

impl StateShared {
    /// What the upstream may still do in a bucket, by this state.
    pub(super) fn unsettled(&self, state: &StateTables, bucket: &BucketName, now: Timestamp) -> UnsettledUntil {
        // A clock that is set makes no wait shorter.
        let now = self.clock.expected(now);
        let recorded = state.unsettled.get(bucket).copied().unwrap_or(UnsettledUntil::NOTHING);
        self.unanswered.table().unsettled(bucket, now).joined(recorded).after(now)
    }
}

/// The edits that record these requests, and forget those whose time has passed.
fn edits(
    recorded: &BTreeMap<BucketName, UnsettledUntil>,
    requests: &[(BucketName, LateEffect)],
    now: Timestamp,
) -> Vec<RecordEdit> {
    let mut added: BTreeMap<BucketName, UnsettledUntil> = BTreeMap::new();
    for (bucket, effect) in requests {
        let known = added.get(bucket).or_else(|| recorded.get(bucket)).copied().unwrap_or(UnsettledUntil::NOTHING);
        if known.of(*effect) < Some(now.plus(LATEST)) {
            let longer = UnsettledUntil::until(*effect, now.plus(LATEST + SLACK));
            added.insert(bucket.clone(), known.after(now).joined(longer));
        }
    }
    if added.is_empty() {
        return Vec::new();
    }
    let passed = |bucket: &BucketName| {
        let known = recorded.get(bucket);
        known.is_some_and(|known| known.after(now) == UnsettledUntil::NOTHING) && !added.contains_key(bucket)
    };
    let forgotten: Vec<_> = recorded.keys().filter(|bucket| passed(bucket)).cloned().collect();
    let forgotten = forgotten.into_iter().map(|bucket| RecordEdit::Delete(RecordKey::Unsettled(bucket)));
    let is_full = recorded.len() >= MOST_BUCKETS;
    let put = added.into_iter().filter(|(bucket, _)| !is_full || recorded.contains_key(bucket));
    forgotten.chain(put.map(|(bucket, unsettled)| RecordEdit::Put(StateRecord::Unsettled(bucket, unsettled)))).collect()
}

impl UnansweredRequests {
    fn table(&self) -> MutexGuard<'_, UnansweredTable> {
        // Nothing under this lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnansweredTable {
    fn unsettled(&mut self, bucket: &BucketName, now: Timestamp) -> UnsettledUntil {
        for (bucket, effect) in std::mem::take(&mut self.abandoned) {
            self.add(&bucket, effect, now);
        }
        let everywhere = UnsettledUntil { configuration: self.everywhere, ..UnsettledUntil::NOTHING };
        self.late.get(bucket).copied().unwrap_or(UnsettledUntil::NOTHING).joined(everywhere)
    }

    fn add(&mut self, bucket: &BucketName, effect: LateEffect, now: Timestamp) {
        let until = now.plus(LATEST);
        if self.late.len() >= MOST_BUCKETS {
            self.late.retain(|_, unsettled| unsettled.after(now) != UnsettledUntil::NOTHING);
        }
        if self.late.len() >= MOST_BUCKETS && !self.late.contains_key(bucket) {
            self.everywhere = self.everywhere.max(Some(until));
            return;
        }
        let known = self.late.entry(bucket.clone()).or_insert(UnsettledUntil::NOTHING);
        *known = known.joined(UnsettledUntil::until(effect, until));
    }
}

impl RequestUnderWay {
    /// What the request does.
    pub fn effect(&self) -> LateEffect {
        self.request.1
    }

    /// The upstream answered, or what it may do was noted.
    pub fn end(mut self) {
        self.answered = true;
    }
}

impl Drop for RequestUnderWay {
    fn drop(&mut self) {
        let mut table = self.unanswered.table();
        if let Some(count) = table.under_way.get_mut(&self.request) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                table.under_way.remove(&self.request);
            }
        }
        // One of each says it all.
        if !self.answered && !table.abandoned.contains(&self.request) {
            table.abandoned.push(self.request.clone());
        }
    }
}

impl UnsettledJson {
    /// The form that is written.
    pub(crate) fn of(unsettled: UnsettledUntil) -> Self {
        let millis = |until: Option<Timestamp>| until.map(Timestamp::millis);
        Self {
            completions: millis(unsettled.completions),
            configuration: millis(unsettled.configuration),
            suspension: millis(unsettled.suspension),
            versions: millis(unsettled.versions),
        }
    }

    /// What was written.
    pub(crate) fn unsettled(self) -> UnsettledUntil {
        let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        UnsettledUntil {
            completions: time(self.completions),
            configuration: time(self.configuration),
            suspension: time(self.suspension),
            versions: time(self.versions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::in_memory;
    use std::sync::atomic::Ordering;

    const NOW: Timestamp = Timestamp::from_seconds(1_900_000_000);

    fn bucket(name: &str) -> BucketName {
        BucketName::parse(name).expect("a name")
    }

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn what_was_not_answered_is_pending_until_its_latest_time_and_in_its_bucket_alone() {
        let (store, _, _) = in_memory(NOW).await;
        store.note_unanswered(&bucket("vault"), LateEffect::Versions, NOW).await;
        assert_eq!(store.unsettled(&bucket("other"), NOW), UnsettledUntil::NOTHING);
        let unsettled = store.unsettled(&bucket("vault"), later(1199));
        assert!(unsettled.versions.is_some() && unsettled.suspension.is_none(), "{unsettled:?}");
        assert_eq!(store.unsettled(&bucket("vault"), later(1260)), UnsettledUntil::NOTHING);
    }

    #[tokio::test]
    async fn a_store_that_fails_for_long_is_recorded_once_a_minute() {
        let (store, _, journal) = in_memory(NOW).await;
        let before = journal.records().len();
        for second in 0..300 {
            for _ in 0..10 {
                store.note_unanswered(&bucket("vault"), LateEffect::Versions, later(second)).await;
            }
        }
        assert!((4..=6).contains(&(journal.records().len() - before)), "{}", journal.records().len() - before);
        assert!(store.0.memory.read().unsettled[&bucket("vault")].versions >= Some(later(299 + 1200)));
        // The next of any bucket forgets it.
        store.note_unanswered(&bucket("other"), LateEffect::Configuration, later(4000)).await;
        assert!(!store.0.memory.read().unsettled.contains_key(&bucket("vault")));
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_counts_all_the_same() {
        let (store, _, journal) = in_memory(NOW).await;
        journal.failing.store(true, Ordering::SeqCst);
        store.note_unanswered(&bucket("vault"), LateEffect::Suspension, NOW).await;
        assert!(store.unsettled(&bucket("vault"), NOW).suspension.is_some());
    }

    #[tokio::test]
    async fn a_request_whose_task_ended_before_the_answer_is_pending_and_one_that_was_answered_is_not() {
        let (store, _, _) = in_memory(NOW).await;
        store.send(&bucket("vault"), LateEffect::Versions).end();
        assert_eq!(store.unsettled(&bucket("vault"), NOW), UnsettledUntil::NOTHING);
        drop(store.send(&bucket("vault"), LateEffect::Versions));
        assert!(store.unsettled(&bucket("vault"), NOW).versions.is_some());
        assert!(store.0.unanswered.table().under_way.is_empty());
    }

    #[tokio::test]
    async fn what_is_under_way_at_a_stop_is_recorded() {
        let (store, _, _) = in_memory(NOW).await;
        let under_way = store.send(&bucket("vault"), LateEffect::Configuration);
        drop(store.send(&bucket("other"), LateEffect::Versions));
        store.note_under_way(NOW).await;
        let recorded = store.0.memory.read().unsettled.clone();
        assert!(recorded[&bucket("vault")].configuration.is_some() && recorded[&bucket("other")].versions.is_some());
        under_way.end();
    }

    #[tokio::test]
    async fn more_buckets_than_are_told_apart_make_all_of_them_unsettled() {
        let (store, _, _) = in_memory(NOW).await;
        let mut table = store.0.unanswered.table();
        for place in 0..=MOST_BUCKETS {
            table.add(&bucket(&format!("bucket-{place}")), LateEffect::Versions, NOW);
        }
        assert_eq!(table.late.len(), MOST_BUCKETS);
        drop(table);
        assert!(store.unsettled(&bucket("never-named"), NOW).latest().is_some());
        assert_eq!(store.unsettled(&bucket("never-named"), later(1200)), UnsettledUntil::NOTHING);
        store.0.unanswered.table().add(&bucket("later"), LateEffect::Versions, later(1200));
        assert_eq!(store.0.unanswered.table().late.len(), 1);
    }
}
