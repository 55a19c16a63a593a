//! The budget of records of unsigned requests: beyond it they are counted, and recorded as a sum.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portcullis_base::clock::Timestamp;

/// The bytes of records that unsigned requests may still cause, by client network and in all, and the counts of those
/// that are over it.
///
/// Every client that reaches the port causes such records, so without a bound it could fill the disk.
#[derive(Debug, Default)]
pub(crate) struct UnsignedBudget(Mutex<BudgetState>);

#[derive(Debug, Default)]
struct BudgetState {
    all: Option<ByteAllowance>,
    networks: HashMap<IpAddr, ByteAllowance>,
    /// What networks share that came when `networks` was full.
    others: Option<ByteAllowance>,
    swept: Option<Instant>,
    space: DiskSpace,
    counts: HashMap<RequestGroup, RequestCount>,
    told: Option<Instant>,
}

/// Whether the disk has space for records of unsigned requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskSpace {
    #[default]
    Enough,
    Short,
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordAdmission {
    Counted,
    Recorded,
}

/// What requests have in common that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequestGroup {
    /// The first address of the client's network; none for the sum of many networks.
    pub network: Option<IpAddr>,
    /// The error code.
    pub code: String,
    /// The key that they named, where it exists.
    pub key_id: Option<Box<str>>,
}

/// How many requests were counted, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestCount {
    pub requests: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// Bytes that may be written now; more come with time.
#[derive(Clone, Copy, Debug)]
struct ByteAllowance {
    bytes: i64,
    filled: Instant,
}

/// What a purse holds at most, and how many bytes a second come.
#[derive(Clone, Copy, Debug)]
struct ByteRate {
    most: i64,
    a_second: i64,
}

/// Some thousand records at once, then one a second: a scanner is recorded whole, and so is a health check.
const OF_A_NETWORK: ByteRate = ByteRate { most: 4 << 20, a_second: 2 << 10 };
/// 1.4 GB a day at the most, from any number of networks.
const OF_ALL: ByteRate = ByteRate { most: 32 << 20, a_second: 16 << 10 };
/// Half a megabyte of memory.
const MOST_NETWORKS: usize = 4096;
/// What is counted apart between two aggregate events.
const MOST_CAUSES: usize = 256;
const SWEEP: Duration = Duration::from_secs(1);
/// How often an aggregate event is written for one cause.
const TELL: Duration = Duration::from_secs(60);
/// How many causes get an event of their own a minute; the others share one.
const MOST_TOLD: usize = 16;

impl UnsignedBudget {
    /// Whether the next record of this network is written; it is charged when it was.
    pub(crate) fn admit(&self, network: IpAddr, now: Instant) -> RecordAdmission {
        let mut inner = self.lock();
        let all = inner.all.get_or_insert_with(|| OF_ALL.purse(now)).fill(OF_ALL, now);
        if inner.space == DiskSpace::Short || all <= 0 {
            return RecordAdmission::Counted;
        }
        if inner.purse(network, now).fill(OF_A_NETWORK, now) > 0 {
            RecordAdmission::Recorded
        } else {
            RecordAdmission::Counted
        }
    }

    /// Takes the bytes of a record that was written.
    pub(crate) fn charge(&self, network: IpAddr, bytes: usize, now: Instant) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut inner = self.lock();
        let purse = inner.purse(network, now);
        purse.bytes = purse.bytes.saturating_sub(bytes);
        let all = inner.all.get_or_insert_with(|| OF_ALL.purse(now));
        all.bytes = all.bytes.saturating_sub(bytes);
    }

    /// Counts a request that is not recorded by itself.
    pub(crate) fn count(&self, cause: RequestGroup, count: RequestCount) {
        self.lock().count(cause, count);
    }

    /// Says whether the disk has space.
    pub(crate) fn set_space(&self, space: DiskSpace) {
        self.lock().space = space;
    }

    /// What is to be recorded now; if that fails it is given back with [`UnsignedBudget::count`].
    pub(crate) fn due(&self, now: Instant) -> Vec<(RequestGroup, RequestCount)> {
        let mut inner = self.lock();
        let early = inner.told.is_some_and(|told| now.saturating_duration_since(told) < TELL);
        if early || inner.space == DiskSpace::Short {
            return Vec::new();
        }
        if !inner.counts.is_empty() {
            inner.told = Some(now);
        }
        told(std::mem::take(&mut inner.counts))
    }

    /// Everything that was counted and not told.
    pub(crate) fn rest(&self) -> Vec<(RequestGroup, RequestCount)> {
        told(std::mem::take(&mut self.lock().counts))
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetState {
    fn purse(&mut self, network: IpAddr, now: Instant) -> &mut ByteAllowance {
        if !self.networks.contains_key(&network) && self.networks.len() >= MOST_NETWORKS {
            self.sweep(now);
            if self.networks.len() >= MOST_NETWORKS {
                return self.others.get_or_insert_with(|| OF_A_NETWORK.purse(now));
            }
        }
        self.networks.entry(network).or_insert_with(|| OF_A_NETWORK.purse(now))
    }

    /// Forgets the networks whose purses are full again.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        self.networks.retain(|_, purse| purse.fill(OF_A_NETWORK, now) < OF_A_NETWORK.most);
    }

    fn count(&mut self, mut cause: RequestGroup, count: RequestCount) {
        if !self.counts.contains_key(&cause) && self.counts.len() >= MOST_CAUSES {
            // Error codes are Portcullis's own, so there are few of these.
            cause = RequestGroup { network: None, key_id: None, ..cause };
        }
        self.counts.entry(cause).and_modify(|sum| sum.add(count)).or_insert(count);
    }
}

/// The largest counts, and the sum of the others by code.
fn told(counts: HashMap<RequestGroup, RequestCount>) -> Vec<(RequestGroup, RequestCount)> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(cause, count), (other, more)| more.requests.cmp(&count.requests).then_with(|| cause.cmp(other)));
    let mut sums = BudgetState::default();
    for (cause, count) in counts.split_off(counts.len().min(MOST_TOLD)) {
        sums.count(RequestGroup { network: None, key_id: None, ..cause }, count);
    }
    let mut sums: Vec<_> = sums.counts.into_iter().collect();
    sums.sort_by(|(cause, _), (other, _)| cause.cmp(other));
    counts.extend(sums);
    counts
}

impl RequestCount {
    /// One request.
    pub(crate) fn one(bytes_in: u64, bytes_out: u64, at: Timestamp) -> Self {
        Self { requests: 1, bytes_in, bytes_out, first: at, last: at }
    }

    fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl ByteRate {
    fn purse(self, now: Instant) -> ByteAllowance {
        ByteAllowance { bytes: self.most, filled: now }
    }
}

impl ByteAllowance {
    /// Adds what has come since, and says what is there.
    fn fill(&mut self, allowance: ByteRate, now: Instant) -> i64 {
        let millis = i64::try_from(now.saturating_duration_since(self.filled).as_millis()).unwrap_or(i64::MAX);
        let come = millis.saturating_mul(allowance.a_second) / 1000;
        // Kept until it is a whole byte, so that frequent looks lose nothing.
        if come > 0 {
            self.bytes = self.bytes.saturating_add(come).min(allowance.most);
            self.filled = now;
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECORD: usize = 2048;

    fn network(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn cause(number: u32, code: &str) -> RequestGroup {
        RequestGroup { network: Some(network(number)), code: code.to_owned(), key_id: None }
    }

    fn one() -> RequestCount {
        RequestCount::one(10, 20, Timestamp::from_seconds(5))
    }

    /// How many of so many requests are recorded, all at this moment.
    fn flood(budget: &UnsignedBudget, number: u32, requests: usize, now: Instant) -> usize {
        let recorded = |_: &usize| match budget.admit(network(number), now) {
            RecordAdmission::Recorded => {
                budget.charge(network(number), RECORD, now);
                true
            }
            RecordAdmission::Counted => {
                budget.count(cause(number, "AccessDenied"), one());
                false
            }
        };
        (0..requests).filter(recorded).count()
    }

    fn requests(told: &[(RequestGroup, RequestCount)]) -> u64 {
        told.iter().map(|(_, count)| count.requests).sum()
    }

    #[test]
    fn a_network_that_floods_is_recorded_a_while_and_then_counted() {
        let (budget, now) = (UnsignedBudget::default(), Instant::now());
        assert_eq!(flood(&budget, 1, 10_000, now), 2048);
        assert_eq!(flood(&budget, 2, 100, now), 100, "another network has its own");
        assert_eq!(flood(&budget, 1, 1000, now + Duration::from_secs(10)), 10, "one a second");
        assert_eq!(requests(&budget.due(now)), 10_000 - 2048 + 990);
    }

    #[test]
    fn many_networks_together_cause_no_more_than_the_whole() {
        let (budget, now) = (UnsignedBudget::default(), Instant::now());
        let recorded: usize = (0..20_000).map(|number| flood(&budget, number, 4, now)).sum();
        assert_eq!(recorded, (32 << 20) / RECORD);
        assert!(budget.lock().networks.len() <= MOST_NETWORKS);
        assert!(budget.lock().counts.len() <= MOST_CAUSES + 1);
        let told = budget.due(now);
        assert_eq!(requests(&told), u64::try_from(80_000 - recorded).unwrap());
        assert_eq!(told.len(), MOST_TOLD + 1);
    }

    #[test]
    fn a_network_that_was_quiet_is_forgotten_and_has_its_whole_budget_again() {
        let (budget, now) = (UnsignedBudget::default(), Instant::now());
        (0..5000).for_each(|number| _ = flood(&budget, number, 1, now));
        assert_eq!(budget.lock().networks.len(), MOST_NETWORKS);
        flood(&budget, 9999, 1, now + Duration::from_secs(2));
        assert_eq!(budget.lock().networks.len(), 1);
    }

    #[test]
    fn without_space_all_is_counted_and_told_once_there_is_some() {
        let (budget, now) = (UnsignedBudget::default(), Instant::now());
        budget.set_space(DiskSpace::Short);
        assert_eq!(flood(&budget, 1, 5, now), 0);
        assert_eq!(budget.due(now), []);
        budget.set_space(DiskSpace::Enough);
        assert_eq!(flood(&budget, 1, 5, now), 5);
        assert_eq!(requests(&budget.due(now)), 5);
    }

    #[test]
    fn a_cause_is_told_once_a_minute() {
        let (budget, now) = (UnsignedBudget::default(), Instant::now());
        budget.count(cause(1, "AccessDenied"), one());
        assert_eq!(requests(&budget.due(now)), 1);
        budget.count(cause(1, "AccessDenied"), one());
        assert_eq!(budget.due(now + Duration::from_secs(59)), []);
        assert_eq!(requests(&budget.due(now + Duration::from_secs(60))), 1);
        budget.count(cause(1, "AccessDenied"), one());
        assert_eq!(requests(&budget.rest()), 1, "the end of the proxy waits for no minute");
    }

    proptest! {
        #[test]
        fn each_request_is_recorded_or_counted_exactly_once(
            steps in proptest::collection::vec((0_u32..40, 0_usize..400, 0_u64..5000), 1..60),
        ) {
            let (budget, mut now) = (UnsignedBudget::default(), Instant::now());
            let (mut sent, mut recorded, mut told) = (0, 0, 0);
            for (number, count, pause) in steps {
                sent += count;
                recorded += flood(&budget, number, count, now);
                now += Duration::from_millis(pause);
                told += requests(&budget.due(now));
            }
            told += requests(&budget.rest());
            prop_assert_eq!(u64::try_from(sent).unwrap(), u64::try_from(recorded).unwrap() + told);
        }
    }
}
