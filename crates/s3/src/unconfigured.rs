//! What AWS answers about a configuration that a bucket does not have.

use super::S3Operation;

/// An answer about a configuration that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnconfiguredAnswer {
    /// 200 and a document: its root, and what is in it.
    Document { root: &'static str, inner: &'static str },
    /// An error of this status, code and message.
    Error { status: u16, code: &'static str, message: &'static str },
    /// 204: there is nothing to remove.
    Removed,
}

/// What AWS answers to an operation where nothing is configured; none where the operation configures something.
pub(super) fn unconfigured(action: S3Operation) -> Option<UnconfiguredAnswer> {
    let document = |root, inner| Some(UnconfiguredAnswer::Document { root, inner });
    let missing = |code, message| Some(UnconfiguredAnswer::Error { status: 404, code, message });
    let no_configuration = || missing("NoSuchConfiguration", "The specified configuration does not exist.");
    let no_metadata = || missing("MetadataConfigurationNotFound", "The metadata configuration was not found");
    let no_lock = || {
        let message = "Bucket is missing Object Lock Configuration";
        Some(UnconfiguredAnswer::Error { status: 400, code: "InvalidRequest", message })
    };
    match action {
        S3Operation::DeleteBucketAnalyticsConfiguration
        | S3Operation::DeleteBucketCors
        | S3Operation::DeleteBucketEncryption
        | S3Operation::DeleteBucketIntelligentTieringConfiguration
        | S3Operation::DeleteBucketInventoryConfiguration
        | S3Operation::DeleteBucketLifecycle
        | S3Operation::DeleteBucketMetadataConfiguration
        | S3Operation::DeleteBucketMetadataTableConfiguration
        | S3Operation::DeleteBucketMetricsConfiguration
        | S3Operation::DeleteBucketOwnershipControls
        | S3Operation::DeleteBucketPolicy
        | S3Operation::DeleteBucketReplication
        | S3Operation::DeleteBucketTagging
        | S3Operation::DeleteBucketWebsite
        | S3Operation::DeletePublicAccessBlock => Some(UnconfiguredAnswer::Removed),
        S3Operation::GetBucketAbac => document("AbacStatus", "<Status>Disabled</Status>"),
        S3Operation::GetBucketAccelerateConfiguration => document("AccelerateConfiguration", ""),
        S3Operation::GetBucketAnalyticsConfiguration
        | S3Operation::GetBucketIntelligentTieringConfiguration
        | S3Operation::GetBucketInventoryConfiguration
        | S3Operation::GetBucketMetricsConfiguration => no_configuration(),
        S3Operation::GetBucketCors => missing("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
        S3Operation::GetBucketEncryption => missing(
            "ServerSideEncryptionConfigurationNotFoundError",
            "The server side encryption configuration was not found",
        ),
        S3Operation::GetBucketLifecycleConfiguration => {
            missing("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
        }
        S3Operation::GetBucketLogging => document("BucketLoggingStatus", ""),
        S3Operation::GetBucketMetadataConfiguration | S3Operation::GetBucketMetadataTableConfiguration => no_metadata(),
        S3Operation::GetBucketNotificationConfiguration => document("NotificationConfiguration", ""),
        S3Operation::GetBucketOwnershipControls => {
            missing("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
        }
        S3Operation::GetBucketPolicy | S3Operation::GetBucketPolicyStatus => {
            missing("NoSuchBucketPolicy", "The bucket policy does not exist")
        }
        S3Operation::GetBucketReplication => {
            missing("ReplicationConfigurationNotFoundError", "The replication configuration was not found")
        }
        S3Operation::GetBucketRequestPayment => document("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
        S3Operation::GetBucketTagging => missing("NoSuchTagSet", "The TagSet does not exist"),
        S3Operation::GetBucketWebsite => {
            missing("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")
        }
        S3Operation::GetObjectLegalHold | S3Operation::GetObjectRetention => no_lock(),
        S3Operation::GetObjectLockConfiguration => {
            missing("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
        }
        S3Operation::GetPublicAccessBlock => {
            missing("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
        }
        S3Operation::ListBucketAnalyticsConfigurations => document("ListBucketAnalyticsConfigurationResult", COMPLETE),
        S3Operation::ListBucketIntelligentTieringConfigurations => {
            document("ListBucketIntelligentTieringConfigurationsOutput", COMPLETE)
        }
        S3Operation::ListBucketInventoryConfigurations => document("ListInventoryConfigurationsResult", COMPLETE),
        S3Operation::ListBucketMetricsConfigurations => document("ListMetricsConfigurationsResult", COMPLETE),
        S3Operation::AbortMultipartUpload
        | S3Operation::CompleteMultipartUpload
        | S3Operation::CopyObject
        | S3Operation::CreateBucket
        | S3Operation::CreateBucketMetadataConfiguration
        | S3Operation::CreateBucketMetadataTableConfiguration
        | S3Operation::CreateMultipartUpload
        | S3Operation::CreateSession
        | S3Operation::DeleteBucket
        | S3Operation::DeleteObject
        | S3Operation::DeleteObjectTagging
        | S3Operation::DeleteObjects
        | S3Operation::GetBucketAcl
        | S3Operation::GetBucketLocation
        | S3Operation::GetBucketVersioning
        | S3Operation::GetObject
        | S3Operation::GetObjectAcl
        | S3Operation::GetObjectAttributes
        | S3Operation::GetObjectTagging
        | S3Operation::GetObjectTorrent
        | S3Operation::HeadBucket
        | S3Operation::HeadObject
        | S3Operation::ListBuckets
        | S3Operation::ListDirectoryBuckets
        | S3Operation::ListMultipartUploads
        | S3Operation::ListObjectVersions
        | S3Operation::ListObjects
        | S3Operation::ListObjectsV2
        | S3Operation::ListParts
        | S3Operation::PostObject
        | S3Operation::PreflightRequest
        | S3Operation::PutBucketAbac
        | S3Operation::PutBucketAccelerateConfiguration
        | S3Operation::PutBucketAcl
        | S3Operation::PutBucketAnalyticsConfiguration
        | S3Operation::PutBucketCors
        | S3Operation::PutBucketEncryption
        | S3Operation::PutBucketIntelligentTieringConfiguration
        | S3Operation::PutBucketInventoryConfiguration
        | S3Operation::PutBucketLifecycleConfiguration
        | S3Operation::PutBucketLogging
        | S3Operation::PutBucketMetricsConfiguration
        | S3Operation::PutBucketNotificationConfiguration
        | S3Operation::PutBucketOwnershipControls
        | S3Operation::PutBucketPolicy
        | S3Operation::PutBucketReplication
        | S3Operation::PutBucketRequestPayment
        | S3Operation::PutBucketTagging
        | S3Operation::PutBucketVersioning
        | S3Operation::PutBucketWebsite
        | S3Operation::PutObject
        | S3Operation::PutObjectAcl
        | S3Operation::PutObjectLegalHold
        | S3Operation::PutObjectLockConfiguration
        | S3Operation::PutObjectRetention
        | S3Operation::PutObjectTagging
        | S3Operation::PutPublicAccessBlock
        | S3Operation::RenameObject
        | S3Operation::RestoreObject
        | S3Operation::SelectObjectContent
        | S3Operation::UpdateBucketMetadataInventoryTableConfiguration
        | S3Operation::UpdateBucketMetadataJournalTableConfiguration
        | S3Operation::UpdateObjectEncryption
        | S3Operation::UploadPart
        | S3Operation::UploadPartCopy
        | S3Operation::WriteGetObjectResponse => None,
    }
}

const COMPLETE: &str = "<IsTruncated>false</IsTruncated>";
