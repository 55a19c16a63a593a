//! Whether completing a multipart upload may replace a version, by what the upload was opened as.
//!
//! MinIO decides the version id of an object when its upload is opened. An upload that was opened before versioning was
//! enabled replaces the null version of its key when it is completed. The list of open uploads does not tell which: MinIO
//! lists them from the memory of one process. So an upload in a protected bucket needs no code if the proxy saw it opened
//! while versioning was enabled, which the state remembers, or if its key has no null version; any other needs one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{BucketProtection, LeasedBucket, unknown};
use crate::failure::Failure;
use portcullis_authorization::{UnsettledUntil, UploadCompletion, Versioning};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{BucketName, ObjectKey, VersionId};
use portcullis_s3::{S3Operation, S3Request, UploadVersions};
use portcullis_sigv4::Principal;
use portcullis_state::UploadMark;
use portcullis_upstream::{LookTarget, StoredPresence, UpstreamAnswer};

/// An upload that is being opened while versioning is enabled.
#[derive(Debug)]
pub(super) struct UploadOpening {
    bucket: BucketName,
    key: ObjectKey,
    holder: Principal,
}

/// The keys to which uploads of unknown origin are being completed.
#[derive(Clone, Debug, Default)]
pub(super) struct CompletingKeys(Arc<Mutex<HashSet<(BucketName, ObjectKey)>>>);

/// The one completion of an upload of unknown origin that is under way for a key.
#[derive(Debug)]
pub(super) struct SoleCompletion {
    keys: CompletingKeys,
    place: (BucketName, ObjectKey),
}

impl BucketProtection {
    /// What a request does to the null version of its key by completing an upload.
    pub(super) async fn completion(
        &self,
        request: &S3Request,
        bucket: &BucketName,
        unsettled: UnsettledUntil,
        now: Timestamp,
    ) -> Result<(UploadCompletion, Option<SoleCompletion>), Failure> {
        let (S3Operation::CompleteMultipartUpload, UploadVersions::SettledAtCreate, Some(key)) =
            (request.action, self.uploads, &request.key)
        else {
            return Ok((UploadCompletion::AddsVersion, None));
        };
        let id = request.query.iter().find(|(name, _)| *name == "uploadId");
        if id.is_some_and(|(_, id)| self.state.knows_upload(UploadMark::of(bucket, key, id))) {
            return Ok((UploadCompletion::AddsVersion, None));
        }
        // The second of two at once would replace the null version that the first makes; so would a late one.
        let sole = self.completing.enter(bucket, key).ok_or(Failure::Busy)?;
        if unsettled.completions.is_some() {
            return Ok((UploadCompletion::MayReplaceNull, Some(sole)));
        }
        match self.null_version(bucket, key, now).await? {
            StoredPresence::Absent => Ok((UploadCompletion::AddsVersion, Some(sole))),
            StoredPresence::Marked | StoredPresence::There { .. } => Ok((UploadCompletion::MayReplaceNull, Some(sole))),
        }
    }

    /// The upload to remember if this request opens one that can be completed without a code.
    pub(super) async fn opening(
        &self,
        request: &S3Request,
        bucket: &BucketName,
        holder: &Principal,
        unsettled: UnsettledUntil,
        now: Timestamp,
    ) -> Result<Option<UploadOpening>, Failure> {
        let (UploadVersions::SettledAtCreate, Some(key)) = (self.uploads, &request.key) else { return Ok(None) };
        match Box::pin(self.versioning(bucket, unsettled, now)).await? {
            Versioning::Enabled => {
                Ok(Some(UploadOpening { bucket: bucket.clone(), key: key.clone(), holder: holder.clone() }))
            }
            Versioning::EnabledWithExclusions
            | Versioning::Never
            | Versioning::NoBucket
            | Versioning::Suspended
            | Versioning::Unread => Ok(None),
        }
    }

    /// Remembers an upload that was opened; the lease on its bucket is still held.
    pub async fn opened(&self, held: &LeasedBucket, answer: &Result<UpstreamAnswer, Failure>, now: Timestamp) {
        let (Some(UploadOpening { bucket, key, holder }), Ok(UpstreamAnswer::Done(done))) = (&held.opening, answer)
        else {
            return;
        };
        let Some(id) = done.upload_id() else { return };
        let remembered = self.state.remember_upload(UploadMark::of(bucket, key, &id), holder.clone(), now).await;
        if let Err(error) = remembered {
            tracing::warn!(%bucket, %error, "an upload cannot be stored in the state, so completing it may need an MFA code");
        }
    }

    async fn null_version(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        now: Timestamp,
    ) -> Result<StoredPresence, Failure> {
        let version = VersionId::parse("null").map_err(|_| Failure::Internal)?;
        let sight = LookTarget::Object { key, version: Some(&version) };
        Box::pin(self.upstream.look(bucket, sight, now)).await.map_err(unknown)
    }
}

impl CompletingKeys {
    fn enter(&self, bucket: &BucketName, key: &ObjectKey) -> Option<SoleCompletion> {
        let place = (bucket.clone(), key.clone());
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(place.clone()).then(|| SoleCompletion { keys: self.clone(), place })
    }
}

impl Drop for SoleCompletion {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.place);
    }
}
