//! Multipart uploads that are known to add a version: they were opened while their bucket kept every version.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::StateStore;
use super::change::ChangeDecision;
use super::error::StoreError;
use super::records::{RecordKey, StateRecord};
use super::state::StateTables;
use super::write::RecordEdit;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{BucketName, ObjectKey, UserName};
use portcullis_sigv4::Principal;

/// Which upload it is: a digest of bucket, key and the store's own id for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadMark([u8; 32]);

/// Who opened an upload, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedUpload {
    pub holder: Principal,
    pub opened: Timestamp,
}

/// The uploads by mark, and each principal's by age.
#[derive(Debug, Default)]
pub(crate) struct KnownUploads {
    opened: BTreeMap<UploadMark, OpenedUpload>,
    by_age: BTreeSet<(Option<UserName>, Timestamp, UploadMark)>,
}

/// The written form of an upload.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadJson {
    /// `None`: root.
    user: Option<String>,
    opened: i64,
}

/// How many uploads of a principal are known. Of more the oldest are forgotten, which then need a code to replace
/// anything: a client that opens many uploads uses up nothing of others.
const MOST_UPLOADS: usize = 4096;

impl StateStore {
    /// Whether an upload is known to add a version.
    pub fn knows_upload(&self, mark: UploadMark) -> bool {
        self.0.memory.read().uploads.opened.contains_key(&mark)
    }

    /// Remembers that an upload adds a version.
    pub async fn remember_upload(&self, mark: UploadMark, holder: Principal, now: Timestamp) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.0);
        self.finish(async move {
            let opened = OpenedUpload { holder, opened: now };
            let decide = |state: &StateTables| {
                let oldest = state.uploads.beyond(&opened.holder, MOST_UPLOADS - 1);
                let forgotten = oldest.into_iter().map(|mark| RecordEdit::Delete(RecordKey::Upload(mark)));
                let remembered = RecordEdit::Put(StateRecord::Upload(mark, opened.clone()));
                Ok(ChangeDecision::Write { edits: forgotten.chain([remembered]).collect(), answer: () })
            };
            inner.change(now, decide).await
        })
        .await
    }
}

impl UploadMark {
    /// The mark of an upload by the id that the store gave it.
    pub fn of(bucket: &BucketName, key: &ObjectKey, id: &str) -> Self {
        let mut digest = Sha256::new();
        for part in [bucket.as_str(), key.as_str(), id] {
            // Its length comes first, so that no two uploads are written alike.
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part.as_bytes());
        }
        Self(digest.finalize().into())
    }

    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mark = Self(hex::decode(text).ok()?.try_into().ok()?);
        (mark.to_string() == text).then_some(mark)
    }
}

impl fmt::Display for UploadMark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl KnownUploads {
    /// Adds an upload, or puts it in the place of the same one.
    pub(crate) fn put(&mut self, mark: UploadMark, upload: OpenedUpload) {
        self.remove(mark);
        self.by_age.insert((name_of(&upload.holder), upload.opened, mark));
        self.opened.insert(mark, upload);
    }

    /// Forgets an upload.
    pub(crate) fn remove(&mut self, mark: UploadMark) {
        if let Some(upload) = self.opened.remove(&mark) {
            self.by_age.remove(&(name_of(&upload.holder), upload.opened, mark));
        }
    }

    /// The oldest of a principal's uploads, as many as there are more than these.
    fn beyond(&self, holder: &Principal, most: usize) -> Vec<UploadMark> {
        if self.opened.len() <= most {
            return Vec::new();
        }
        let first = (name_of(holder), Timestamp::from_millis(i64::MIN), UploadMark([0; 32]));
        let own = || self.by_age.range(&first..).take_while(|(name, ..)| *name == first.0);
        own().take(own().count().saturating_sub(most)).map(|(_, _, mark)| *mark).collect()
    }
}

fn name_of(holder: &Principal) -> Option<UserName> {
    match holder {
        Principal::Root => None,
        Principal::User(name) => Some(name.clone()),
    }
}

impl UploadJson {
    /// The form that is written.
    pub(crate) fn of(upload: &OpenedUpload) -> Self {
        Self { user: name_of(&upload.holder).map(|name| name.to_string()), opened: upload.opened.millis() }
    }

    /// What was written.
    pub(crate) fn upload(self) -> Option<OpenedUpload> {
        let holder = match self.user {
            None => Principal::Root,
            Some(name) => Principal::User(UserName::parse(&name).ok()?),
        };
        Some(OpenedUpload { holder, opened: Timestamp::from_millis(self.opened) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::in_memory;

    const NOW: Timestamp = Timestamp::from_seconds(1_900_000_000);

    fn mark(bucket: &str, key: &str, id: &str) -> UploadMark {
        UploadMark::of(&BucketName::parse(bucket).expect("a name"), &ObjectKey::parse(key).expect("a key"), id)
    }

    fn user(name: &str) -> Principal {
        Principal::User(UserName::parse(name).expect("a name"))
    }

    #[test]
    fn an_upload_is_known_by_its_bucket_its_key_and_its_id() {
        let marks = [
            mark("vault", "key", "u1"),
            mark("other", "key", "u1"),
            mark("vault", "other", "u1"),
            mark("vault", "key", "u2"),
            mark("vault", "keyu", "1"),
            mark("vaultk", "ey", "u1"),
        ];
        let distinct: BTreeSet<_> = marks.into_iter().collect();
        assert_eq!(distinct.len(), marks.len());
        for mark in marks {
            assert_eq!(UploadMark::parse(&mark.to_string()), Some(mark));
        }
        assert_eq!(UploadMark::parse(&marks[0].to_string().to_uppercase()), None);
        assert_eq!(UploadMark::parse("00"), None);
    }

    #[test]
    fn the_oldest_of_a_principals_own_uploads_go_first() {
        let mut known = KnownUploads::default();
        for place in 0..4_i64 {
            for holder in [Principal::Root, user("alice"), user("bob")] {
                let id = format!("{holder:?} {place}");
                known.put(
                    mark("vault", "key", &id),
                    OpenedUpload { holder, opened: Timestamp::from_millis(NOW.millis() - place) },
                );
            }
        }
        let alices = |place: i64| mark("vault", "key", &format!("{:?} {place}", user("alice")));
        assert_eq!(known.beyond(&user("alice"), 4), []);
        assert_eq!(known.beyond(&user("alice"), 2), [alices(3), alices(2)]);
        assert_eq!(known.beyond(&Principal::Root, 3), [mark("vault", "key", "Root 3")]);
        assert_eq!(known.beyond(&user("nobody"), 0), []);
        known.remove(alices(3));
        assert_eq!(known.beyond(&user("alice"), 2), [alices(2)]);
        assert_eq!(known.opened.len(), 11);
    }

    #[tokio::test]
    async fn whoever_opens_uploads_without_end_takes_nothing_from_others() {
        let (store, _, _) = in_memory(NOW).await;
        let first = mark("vault", "key", "alice");
        store.remember_upload(first, user("alice"), NOW).await.expect("remembered");
        let flood = |place: usize| mark("vault", "key", &place.to_string());
        for place in 0..MOST_UPLOADS + 10 {
            store.remember_upload(flood(place), user("mallory"), NOW).await.expect("remembered");
        }
        assert!(store.knows_upload(first));
        assert_eq!(store.0.memory.read().uploads.opened.len(), MOST_UPLOADS + 1);
        // Those of one moment go by their marks.
        let known = (0..MOST_UPLOADS + 10).filter(|place| store.knows_upload(flood(*place))).count();
        assert_eq!(known, MOST_UPLOADS);
    }
}
