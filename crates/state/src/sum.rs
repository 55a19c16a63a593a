//! The sum of all records: by it a start notices that one is missing, altered or too many.
//!
//! Each write carries the sum of what it leaves, so that the journal knows it too. It grows and shrinks with each
//! record: no write has to look at all of them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::seal::{RecordSealer, SealError};

/// Where the sum of a rebuilt store is kept: a rebuild seals each record again, so the sum of its last write is another.
pub(crate) const REBUILT_SUM: &str = "meta/sum";

/// The keyed digests of records, in XOR.
///
/// Only the sum is ever written, and it is encrypted: who does not know the digests cannot find records that
/// make the same sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordSum([u8; BYTES]);

/// The digest of each record of the engine, and their sum.
#[derive(Debug, Default)]
pub(crate) struct SummedRecords {
    digests: HashMap<String, RecordSum>,
    sum: RecordSum,
}

/// What a write makes of the digests; `None` where a record goes.
pub(crate) struct SumChange {
    digests: HashMap<String, Option<RecordSum>>,
    /// The sum after the write.
    pub sum: RecordSum,
}

/// The sum of a store as a rebuild made it, sealed to its last write.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RebuiltSum {
    /// That of the last write; after a later write this says nothing.
    pub revision: u64,
    sum: String,
}

const BYTES: usize = 32;

impl RecordSum {
    fn xor(self, other: Self) -> Self {
        let mut sum = self;
        sum.0.iter_mut().zip(other.0).for_each(|(byte, other)| *byte ^= other);
        sum
    }

    /// Encrypts the sum, bound to what it is the sum of.
    pub(crate) fn seal(&self, binding: &str, sealer: &RecordSealer) -> Result<String, SealError> {
        sealer.seal(binding, &self.0)
    }

    /// Opens what `seal` made with this binding.
    pub(crate) fn open(binding: &str, sealed: &str, sealer: &RecordSealer) -> Result<Self, SealError> {
        let opened = sealer.open(binding, sealed)?;
        opened.expose().as_slice().try_into().map(Self).map_err(|_| SealError::NotOurs)
    }
}

impl SummedRecords {
    /// Adds the records that are put and takes away those that go, in the form in which the engine has them.
    pub(crate) fn after<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        sealer: &RecordSealer,
    ) -> SumChange {
        let digest = |key: &str, value| RecordSum(sealer.digest(&format!("portcullis record digest 1\n{key}"), value));
        let changes = changes.into_iter();
        let digests: HashMap<_, _> =
            changes.map(|(key, value)| (key.to_owned(), value.map(|value| digest(key, value)))).collect();
        let sum = digests.iter().fold(self.sum, |sum, (key, after)| {
            let before = self.digests.get(key).copied().unwrap_or_default();
            sum.xor(before).xor(after.unwrap_or_default())
        });
        SumChange { digests, sum }
    }

    /// Follows a write that was made.
    pub(crate) fn apply(&mut self, change: SumChange) {
        for (key, digest) in change.digests {
            match digest {
                Some(digest) => drop(self.digests.insert(key, digest)),
                None => drop(self.digests.remove(&key)),
            }
        }
        self.sum = change.sum;
    }

    /// The sum of all records.
    pub(crate) fn sum(&self) -> RecordSum {
        self.sum
    }
}

impl RebuiltSum {
    /// Seals the sum of a store that ends with this write.
    pub(crate) fn seal(sum: RecordSum, revision: u64, last: &[u8], sealer: &RecordSealer) -> Result<Self, SealError> {
        Ok(Self { revision, sum: sum.seal(&binding(revision, last), sealer)? })
    }

    /// The one written form.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, SealError> {
        serde_json::to_vec(self).map_err(|_| SealError::NotSealed)
    }

    /// Reads the written form.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The sum, if the master key sealed it for a store that ends with this write.
    pub(crate) fn open(&self, last: &[u8], sealer: &RecordSealer) -> Result<RecordSum, SealError> {
        RecordSum::open(&binding(self.revision, last), &self.sum, sealer)
    }
}

fn binding(revision: u64, last: &[u8]) -> String {
    format!("portcullis rebuilt sum 1\n{revision}\n{}", hex::encode(Sha256::digest(last)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn sum_of(records: &BTreeMap<String, Vec<u8>>, sealer: &RecordSealer) -> RecordSum {
        let records = records.iter().map(|(key, value)| (key.as_str(), Some(value.as_slice())));
        SummedRecords::default().after(records, sealer).sum
    }

    proptest! {
        #[test]
        fn the_sum_that_follows_writes_is_the_sum_of_what_they_leave(
            writes in prop::collection::vec(
                prop::collection::vec(("[a-d]", prop::option::of(prop::collection::vec(any::<u8>(), 0..3))), 0..4),
                0..12,
            ),
        ) {
            let dir = tempfile::tempdir().expect("a directory");
            let sealer = RecordSealer::create(&dir.path().join("master.key")).expect("a new key");
            let (mut followed, mut records) = (SummedRecords::default(), BTreeMap::new());
            for write in writes {
                let changes = write.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
                let change = followed.after(changes, &sealer);
                followed.apply(change);
                let before = records.clone();
                for (key, value) in write {
                    match value {
                        Some(value) => drop(records.insert(key, value)),
                        None => drop(records.remove(&key)),
                    }
                }
                prop_assert_eq!(followed.sum(), sum_of(&records, &sealer));
                prop_assert_eq!(before == records, sum_of(&before, &sealer) == followed.sum());
            }
        }
    }
}
