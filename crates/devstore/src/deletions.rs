//! Deleting objects and versions.

use std::sync::Arc;

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETagCondition,
    Error as Undeleted, ObjectIdentifier,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::bucket::DevBucket;
use super::conditions::WriteConditions;
use super::faults::{check_version_id, not_implemented};
use super::store::{DevStore, on_disk};

/// DeleteObject.
pub(crate) async fn one(
    store: &Arc<DevStore>,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    // A condition that is not understood must not let the delete through.
    if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
        return Err(not_implemented("x-amz-if-match-last-modified-time, x-amz-if-match-size"));
    }
    let bucket = store.bucket(&input.bucket)?;
    let deleted = on_disk(move || delete(&bucket, &input.key, input.version_id.as_deref(), input.if_match)).await?;
    let (delete_marker, version_id) = match deleted {
        DeletionOutcome::Key => (None, None),
        DeletionOutcome::MarkerAdded(id) | DeletionOutcome::MarkerDestroyed(id) => (Some(true), Some(id)),
        DeletionOutcome::VersionDestroyed(id) => (None, Some(id)),
    };
    Ok(S3Response::new(DeleteObjectOutput { delete_marker, version_id, ..DeleteObjectOutput::default() }))
}

/// DeleteObjects: each entry succeeds or fails alone.
pub(crate) async fn many(
    store: &Arc<DevStore>,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let delete = request.input.delete;
    if delete.objects.is_empty() || delete.objects.len() > 1000 {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    let bucket = store.bucket(&request.input.bucket)?;
    let quiet = delete.quiet == Some(true);
    let results = on_disk(move || {
        let results = delete.objects.into_iter().map(|entry| {
            let result = delete_entry(&bucket, &entry);
            (entry, result)
        });
        Ok(results.collect::<Vec<_>>())
    });
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (entry, result) in results.await? {
        match result {
            Ok(done) if !quiet => deleted.push(answered(entry, done)),
            Ok(_) => {}
            Err(error) => errors.push(refused(entry, &error)),
        }
    }
    let (deleted, errors) = (Some(deleted), Some(errors));
    Ok(S3Response::new(DeleteObjectsOutput { deleted, errors, ..DeleteObjectsOutput::default() }))
}

enum DeletionOutcome {
    /// An object that had no versions, or nothing at all.
    Key,
    MarkerAdded(String),
    MarkerDestroyed(String),
    VersionDestroyed(String),
}

fn delete_entry(bucket: &DevBucket, entry: &ObjectIdentifier) -> S3Result<DeletionOutcome> {
    if entry.last_modified_time.is_some() || entry.size.is_some() {
        return Err(not_implemented("LastModifiedTime, Size"));
    }
    let condition = entry.e_tag.clone().map(ETagCondition::ETag);
    delete(bucket, &entry.key, entry.version_id.as_deref(), condition)
}

fn delete(
    bucket: &DevBucket,
    key: &str,
    id: Option<&str>,
    if_match: Option<ETagCondition>,
) -> S3Result<DeletionOutcome> {
    let conditions = WriteConditions { if_match, if_none_match: None };
    let Some(id) = id else {
        let marker = bucket.delete_key(key, |state| conditions.allows(state.current(key)))?;
        return Ok(marker.map_or(DeletionOutcome::Key, |marker| DeletionOutcome::MarkerAdded(marker.id.clone())));
    };
    check_version_id(id)?;
    let removed = bucket
        .delete_version(key, id, |state| conditions.allows(state.versions.find(key, id).map(|version| &**version)))?;
    let was_marker = removed.is_some_and(|removed| removed.object().is_none());
    let id = id.to_owned();
    Ok(if was_marker { DeletionOutcome::MarkerDestroyed(id) } else { DeletionOutcome::VersionDestroyed(id) })
}

fn answered(entry: ObjectIdentifier, deleted: DeletionOutcome) -> DeletedObject {
    let (delete_marker, delete_marker_version_id) = match deleted {
        DeletionOutcome::Key | DeletionOutcome::VersionDestroyed(_) => (None, None),
        DeletionOutcome::MarkerAdded(id) | DeletionOutcome::MarkerDestroyed(id) => (Some(true), Some(id)),
    };
    DeletedObject { delete_marker, delete_marker_version_id, key: Some(entry.key), version_id: entry.version_id }
}

fn refused(entry: ObjectIdentifier, error: &S3Error) -> Undeleted {
    Undeleted {
        code: Some(error.code().as_str().to_owned()),
        key: Some(entry.key),
        message: error.message().map(str::to_owned),
        version_id: entry.version_id,
    }
}
