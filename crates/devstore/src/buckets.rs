//! Making, finding and deleting buckets, and their versioning.

use std::sync::Arc;

use s3s::dto::{
    Bucket as AnsweredBucket, BucketLocationConstraint, BucketVersioningStatus, CreateBucketInput, CreateBucketOutput,
    DeleteBucketInput, DeleteBucketOutput, GetBucketAclInput, GetBucketAclOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetBucketVersioningInput, GetBucketVersioningOutput, Grant, Grantee, HeadBucketInput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput, Permission, PutBucketVersioningInput,
    PutBucketVersioningOutput, Type,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::describe::{moment, owner, refuse_acl};
use super::faults::not_implemented;
use super::record::BucketVersioning;
use super::store::{DevStore, on_disk};
use portcullis_base::clock::Timestamp;

/// CreateBucket.
pub(crate) async fn create(
    store: &Arc<DevStore>,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let input = request.input;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(not_implemented("x-amz-bucket-object-lock-enabled"));
    }
    let grants = [
        input.grant_full_control.is_some(),
        input.grant_read.is_some(),
        input.grant_read_acp.is_some(),
        input.grant_write.is_some(),
        input.grant_write_acp.is_some(),
    ];
    refuse_acl(input.acl.as_ref().map(|acl| acl.as_str()), &grants)?;
    let location = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
    let location = location.map(|location| location.as_str().to_owned());
    let (name, owned) = (input.bucket.clone(), store.clone());
    on_disk(move || owned.create_bucket(&name, location)).await?;
    Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
}

/// HeadBucket.
pub(crate) async fn head(
    store: &Arc<DevStore>,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    let bucket = store.bucket(&request.input.bucket)?;
    let region = bucket.read()?.record.location.clone().unwrap_or_else(|| store.region.clone());
    Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(region), ..HeadBucketOutput::default() }))
}

/// DeleteBucket.
pub(crate) async fn delete(
    store: &Arc<DevStore>,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let owned = store.clone();
    on_disk(move || owned.delete_bucket(&request.input.bucket)).await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}

/// ListBuckets.
pub(crate) async fn list(
    store: &Arc<DevStore>,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let input = request.input;
    let (prefix, after) = (input.prefix.clone().unwrap_or_default(), input.continuation_token);
    let limit = usize::try_from(input.max_buckets.unwrap_or(10_000)).unwrap_or(0);
    let mut buckets = Vec::new();
    let mut next = None;
    for bucket in store.buckets() {
        let before = after.as_ref().is_some_and(|after| bucket.name <= *after);
        let Ok(state) = bucket.read() else { continue };
        if before || !bucket.name.starts_with(&prefix) {
            continue;
        }
        if buckets.len() == limit {
            next = buckets.last().and_then(|bucket: &AnsweredBucket| bucket.name.clone());
            break;
        }
        let region = state.record.location.clone().unwrap_or_else(|| store.region.clone());
        buckets.push(AnsweredBucket {
            bucket_region: Some(region),
            creation_date: Some(moment(Timestamp::from_millis(state.record.created_millis))),
            name: Some(bucket.name.clone()),
        });
    }
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets),
        continuation_token: next,
        owner: Some(owner(store)),
        prefix: input.prefix,
    }))
}

/// GetBucketLocation, which is empty for S3's first region.
pub(crate) async fn location(
    store: &Arc<DevStore>,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    let bucket = store.bucket(&request.input.bucket)?;
    let region = bucket.read()?.record.location.clone().unwrap_or_else(|| store.region.clone());
    let constraint = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint: constraint }))
}

/// GetBucketVersioning.
pub(crate) async fn versioning(
    store: &Arc<DevStore>,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    let bucket = store.bucket(&request.input.bucket)?;
    let status = match bucket.read()?.record.versioning {
        BucketVersioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        BucketVersioning::Never => None,
        BucketVersioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    let status = status.map(BucketVersioningStatus::from_static);
    Ok(S3Response::new(GetBucketVersioningOutput { mfa_delete: None, status }))
}

/// PutBucketVersioning.
pub(crate) async fn put_versioning(
    store: &Arc<DevStore>,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<S3Response<PutBucketVersioningOutput>> {
    let bucket = store.bucket(&request.input.bucket)?;
    let status = request.input.versioning_configuration.status;
    let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => BucketVersioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => BucketVersioning::Suspended,
        Some(_) => {
            return Err(s3_error!(
                MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema"
            ));
        }
        None => {
            return Err(s3_error!(IllegalVersioningConfigurationException, "The Versioning element must be specified"));
        }
    };
    on_disk(move || bucket.amend(|record| record.versioning = versioning)).await?;
    Ok(S3Response::new(PutBucketVersioningOutput::default()))
}

/// GetBucketAcl: everything is the owner's alone.
pub(crate) async fn acl(
    store: &Arc<DevStore>,
    request: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    store.bucket(&request.input.bucket)?;
    Ok(S3Response::new(GetBucketAclOutput { grants: Some(full_control(store)), owner: Some(owner(store)) }))
}

/// The one grant there is.
pub(crate) fn full_control(store: &DevStore) -> Vec<Grant> {
    let owner = owner(store);
    let grantee = Grantee {
        display_name: owner.display_name,
        email_address: None,
        id: owner.id,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    vec![Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) }]
}
