//! Whether completing a multipart upload may replace a version, by what the upload was opened as.
//!
//! MinIO settles the version id of an object when its upload is opened. One that was opened before the bucket kept every
//! version replaces the null version of its key whenever it is completed. No list of open uploads tells: MinIO lists a
//! bucket's from the memory of one process. So an upload of a protected bucket is free to complete if the gate saw it opened
//! while versioning was enabled, or if its key has no null version; any other needs a code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Held, Protection, unknown};
use crate::authenticate::Principal;
use crate::clock::Timestamp;
use crate::failure::Failure;
use crate::forward::{Answer, Presence, Sight};
use crate::gate::{Completion, Unsettled, Versioning};
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::operation::{Action, Request};
use crate::store::UploadMark;

/// When a store settles whether an upload becomes the null version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadVersions {
    /// As CompleteMultipartUpload finds the bucket.
    SettledAtComplete,
    /// As CreateMultipartUpload finds the bucket, or nothing is known of it.
    SettledAtCreate,
}

/// An upload that is being opened and is to be remembered, since its key has a null version.
#[derive(Debug)]
pub(super) struct Opening {
    bucket: BucketName,
    key: ObjectKey,
    holder: Principal,
}

/// The keys to which uploads of unknown origin are being completed, or may still be.
#[derive(Clone, Debug, Default)]
pub(super) struct CompletingKeys(Arc<Mutex<HashMap<(BucketName, ObjectKey), Completing>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Completing {
    /// The upstream did not answer, and may do it until then.
    Until(Timestamp),
    UnderWay,
}

/// The one completion of an upload of unknown origin that is under way for a key.
#[derive(Debug)]
pub(super) struct SoleCompletion {
    keys: CompletingKeys,
    place: Option<(BucketName, ObjectKey)>,
}

impl Protection {
    /// What completing an upload does to the null version of its key; for whatever completes none, nothing.
    pub(super) async fn completion(
        &self,
        request: &Request,
        bucket: &BucketName,
        now: Timestamp,
    ) -> Result<(Completion, Option<SoleCompletion>), Failure> {
        let (Action::CompleteMultipartUpload, UploadVersions::SettledAtCreate, Some(key)) =
            (request.action, self.uploads, &request.key)
        else {
            return Ok((Completion::AddsVersion, None));
        };
        let id = request.query.iter().find(|(name, _)| *name == "uploadId");
        if id.is_some_and(|(_, id)| self.store.knows_upload(UploadMark::of(bucket, key, id))) {
            return Ok((Completion::AddsVersion, None));
        }
        // Of two at once the first would make the null version that the second replaces.
        let sole = match self.completing.enter(bucket, key, now) {
            Ok(sole) => sole,
            Err(Completing::UnderWay) => return Err(Failure::Busy),
            Err(Completing::Until(_)) => return Ok((Completion::MayReplaceNull, None)),
        };
        match self.null_version(bucket, key, now).await? {
            Presence::Absent => Ok((Completion::AddsVersion, Some(sole))),
            Presence::Marked | Presence::There { .. } => Ok((Completion::MayReplaceNull, Some(sole))),
        }
    }

    /// Whether an upload that is being opened has to be remembered, so that it can be completed without a code.
    pub(super) async fn opening(
        &self,
        request: &Request,
        bucket: &BucketName,
        holder: &Principal,
        unsettled: Unsettled,
        now: Timestamp,
    ) -> Result<Option<Opening>, Failure> {
        let (UploadVersions::SettledAtCreate, Some(key)) = (self.uploads, &request.key) else { return Ok(None) };
        match Box::pin(self.versioning(bucket, unsettled, now)).await? {
            Versioning::Enabled => {}
            Versioning::EnabledWithExclusions
            | Versioning::Never
            | Versioning::NoBucket
            | Versioning::Suspended
            | Versioning::Unread => return Ok(None),
        }
        match self.null_version(bucket, key, now).await? {
            Presence::Absent => Ok(None),
            Presence::Marked | Presence::There { .. } => {
                Ok(Some(Opening { bucket: bucket.clone(), key: key.clone(), holder: holder.clone() }))
            }
        }
    }

    /// Remembers an upload that was opened; the lease on its bucket is still held.
    pub async fn opened(&self, held: &Held, answer: &Result<Answer, Failure>, now: Timestamp) {
        let (Some(Opening { bucket, key, holder }), Ok(Answer::Done(done))) = (&held.opening, answer) else { return };
        let Some(id) = done.upload_id() else { return };
        let remembered = self.store.remember_upload(UploadMark::of(bucket, key, &id), holder.clone(), now).await;
        if let Err(error) = remembered {
            tracing::warn!(%bucket, %error, "an upload cannot be remembered, so completing it will need a code");
        }
    }

    async fn null_version(&self, bucket: &BucketName, key: &ObjectKey, now: Timestamp) -> Result<Presence, Failure> {
        let version = VersionId::parse("null").map_err(|_| Failure::Internal)?;
        let sight = Sight::Object { key, version: Some(&version) };
        Box::pin(self.upstream.look(bucket, sight, now)).await.map_err(unknown)
    }
}

impl CompletingKeys {
    fn enter(&self, bucket: &BucketName, key: &ObjectKey, now: Timestamp) -> Result<SoleCompletion, Completing> {
        let place = (bucket.clone(), key.clone());
        let mut keys = self.lock();
        match keys.get(&place) {
            Some(Completing::Until(until)) if *until <= now => {}
            Some(completing) => return Err(*completing),
            None => {}
        }
        keys.insert(place.clone(), Completing::UnderWay);
        Ok(SoleCompletion { keys: self.clone(), place: Some(place) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(BucketName, ObjectKey), Completing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SoleCompletion {
    /// Keeps others from the key until then, since the upstream may still complete this one.
    pub fn stays_until(mut self, now: Timestamp, until: Timestamp) {
        let Some(place) = self.place.take() else { return };
        let mut keys = self.keys.lock();
        keys.retain(|_, completing| match completing {
            Completing::Until(until) => *until > now,
            Completing::UnderWay => true,
        });
        keys.insert(place, Completing::Until(until));
    }
}

impl Drop for SoleCompletion {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.keys.lock().remove(&place);
        }
    }
}
