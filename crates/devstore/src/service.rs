//! Which function answers which operation; what is not named here answers 501.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use super::store::DevStore;
use super::{buckets, copies, deletions, listings, multipart, objects, settings, tags};

/// The S3 operations over a store.
pub(crate) struct DevService(pub Arc<DevStore>);

type OperationFuture<'a, Output> = Pin<Box<dyn Future<Output = S3Result<S3Response<Output>>> + Send + 'a>>;

/// Writes out the methods of s3s's trait as its own attribute macro would, so that they are one table.
macro_rules! operations {
    ($($method:ident: $input:ident => $output:ident = $function:path;)*) => {
        impl S3 for DevService {$(
            fn $method<'this, 'async_trait>(&'this self, request: S3Request<$input>) -> OperationFuture<'async_trait, $output>
            where
                'this: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(async move { $function(&self.0, request).await })
            }
        )*}
    };
}

operations! {
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput = multipart::abort;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput = multipart::complete;
    copy_object: CopyObjectInput => CopyObjectOutput = copies::copy;
    create_bucket: CreateBucketInput => CreateBucketOutput = buckets::create;
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput = multipart::create;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput = buckets::delete;
    delete_bucket_cors: DeleteBucketCorsInput => DeleteBucketCorsOutput = settings::delete_cors;
    delete_bucket_encryption: DeleteBucketEncryptionInput => DeleteBucketEncryptionOutput = settings::delete_encryption;
    delete_bucket_lifecycle: DeleteBucketLifecycleInput => DeleteBucketLifecycleOutput = settings::delete_lifecycle;
    delete_bucket_ownership_controls: DeleteBucketOwnershipControlsInput => DeleteBucketOwnershipControlsOutput
        = settings::delete_ownership_controls;
    delete_bucket_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput = settings::delete_policy;
    delete_bucket_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput = settings::delete_tagging;
    delete_object: DeleteObjectInput => DeleteObjectOutput = deletions::one;
    delete_object_tagging: DeleteObjectTaggingInput => DeleteObjectTaggingOutput = tags::delete;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput = deletions::many;
    delete_public_access_block: DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput
        = settings::delete_public_access_block;
    get_bucket_acl: GetBucketAclInput => GetBucketAclOutput = buckets::acl;
    get_bucket_cors: GetBucketCorsInput => GetBucketCorsOutput = settings::cors;
    get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput = settings::encryption;
    get_bucket_lifecycle_configuration: GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput
        = settings::lifecycle;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput = buckets::location;
    get_bucket_notification_configuration: GetBucketNotificationConfigurationInput
        => GetBucketNotificationConfigurationOutput = settings::notification;
    get_bucket_ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput
        = settings::ownership_controls;
    get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput = settings::policy;
    get_bucket_policy_status: GetBucketPolicyStatusInput => GetBucketPolicyStatusOutput = settings::policy_status;
    get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput = settings::tagging;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput = buckets::versioning;
    get_object: GetObjectInput => GetObjectOutput = objects::get;
    get_object_acl: GetObjectAclInput => GetObjectAclOutput = objects::acl;
    get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput = objects::attributes;
    get_object_lock_configuration: GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput
        = settings::object_lock;
    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput = tags::get;
    get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput = settings::public_access_block;
    head_bucket: HeadBucketInput => HeadBucketOutput = buckets::head;
    head_object: HeadObjectInput => HeadObjectOutput = objects::head;
    list_buckets: ListBucketsInput => ListBucketsOutput = buckets::list;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput = listings::uploads;
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput = listings::versions;
    list_objects: ListObjectsInput => ListObjectsOutput = listings::objects;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output = listings::objects_v2;
    list_parts: ListPartsInput => ListPartsOutput = listings::parts;
    post_object: PostObjectInput => PostObjectOutput = objects::post;
    put_bucket_cors: PutBucketCorsInput => PutBucketCorsOutput = settings::put_cors;
    put_bucket_encryption: PutBucketEncryptionInput => PutBucketEncryptionOutput = settings::put_encryption;
    put_bucket_lifecycle_configuration: PutBucketLifecycleConfigurationInput => PutBucketLifecycleConfigurationOutput
        = settings::put_lifecycle;
    put_bucket_notification_configuration: PutBucketNotificationConfigurationInput
        => PutBucketNotificationConfigurationOutput = settings::put_notification;
    put_bucket_ownership_controls: PutBucketOwnershipControlsInput => PutBucketOwnershipControlsOutput
        = settings::put_ownership_controls;
    put_bucket_policy: PutBucketPolicyInput => PutBucketPolicyOutput = settings::put_policy;
    put_bucket_tagging: PutBucketTaggingInput => PutBucketTaggingOutput = settings::put_tagging;
    put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput = buckets::put_versioning;
    put_object: PutObjectInput => PutObjectOutput = objects::put;
    put_object_tagging: PutObjectTaggingInput => PutObjectTaggingOutput = tags::put;
    put_public_access_block: PutPublicAccessBlockInput => PutPublicAccessBlockOutput
        = settings::put_public_access_block;
    upload_part: UploadPartInput => UploadPartOutput = multipart::upload_part;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput = copies::copy_part;
}
