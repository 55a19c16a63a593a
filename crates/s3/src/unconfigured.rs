//! What AWS answers about a configuration that a bucket does not have.

use super::Action;

/// An answer about a configuration that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unconfigured {
    /// 200 and a document: its root, and what is in it.
    Document { root: &'static str, inner: &'static str },
    /// An error of this status, code and message.
    Error { status: u16, code: &'static str, message: &'static str },
    /// 204: there is nothing to remove.
    Removed,
}

/// What AWS answers to an operation where nothing is configured; none where the operation configures something.
pub(super) fn unconfigured(action: Action) -> Option<Unconfigured> {
    let document = |root, inner| Some(Unconfigured::Document { root, inner });
    let missing = |code, message| Some(Unconfigured::Error { status: 404, code, message });
    let no_configuration = || missing("NoSuchConfiguration", "The specified configuration does not exist.");
    let no_metadata = || missing("MetadataConfigurationNotFound", "The metadata configuration was not found");
    let no_lock = || {
        let message = "Bucket is missing Object Lock Configuration";
        Some(Unconfigured::Error { status: 400, code: "InvalidRequest", message })
    };
    match action {
        Action::DeleteBucketAnalyticsConfiguration
        | Action::DeleteBucketCors
        | Action::DeleteBucketEncryption
        | Action::DeleteBucketIntelligentTieringConfiguration
        | Action::DeleteBucketInventoryConfiguration
        | Action::DeleteBucketLifecycle
        | Action::DeleteBucketMetadataConfiguration
        | Action::DeleteBucketMetadataTableConfiguration
        | Action::DeleteBucketMetricsConfiguration
        | Action::DeleteBucketOwnershipControls
        | Action::DeleteBucketPolicy
        | Action::DeleteBucketReplication
        | Action::DeleteBucketTagging
        | Action::DeleteBucketWebsite
        | Action::DeletePublicAccessBlock => Some(Unconfigured::Removed),
        Action::GetBucketAbac => document("AbacStatus", "<Status>Disabled</Status>"),
        Action::GetBucketAccelerateConfiguration => document("AccelerateConfiguration", ""),
        Action::GetBucketAnalyticsConfiguration
        | Action::GetBucketIntelligentTieringConfiguration
        | Action::GetBucketInventoryConfiguration
        | Action::GetBucketMetricsConfiguration => no_configuration(),
        Action::GetBucketCors => missing("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
        Action::GetBucketEncryption => missing(
            "ServerSideEncryptionConfigurationNotFoundError",
            "The server side encryption configuration was not found",
        ),
        Action::GetBucketLifecycleConfiguration => {
            missing("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
        }
        Action::GetBucketLogging => document("BucketLoggingStatus", ""),
        Action::GetBucketMetadataConfiguration | Action::GetBucketMetadataTableConfiguration => no_metadata(),
        Action::GetBucketNotificationConfiguration => document("NotificationConfiguration", ""),
        Action::GetBucketOwnershipControls => {
            missing("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
        }
        Action::GetBucketPolicy | Action::GetBucketPolicyStatus => {
            missing("NoSuchBucketPolicy", "The bucket policy does not exist")
        }
        Action::GetBucketReplication => {
            missing("ReplicationConfigurationNotFoundError", "The replication configuration was not found")
        }
        Action::GetBucketRequestPayment => document("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
        Action::GetBucketTagging => missing("NoSuchTagSet", "The TagSet does not exist"),
        Action::GetBucketWebsite => {
            missing("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")
        }
        Action::GetObjectLegalHold | Action::GetObjectRetention => no_lock(),
        Action::GetObjectLockConfiguration => {
            missing("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
        }
        Action::GetPublicAccessBlock => {
            missing("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
        }
        Action::ListBucketAnalyticsConfigurations => document("ListBucketAnalyticsConfigurationResult", COMPLETE),
        Action::ListBucketIntelligentTieringConfigurations => {
            document("ListBucketIntelligentTieringConfigurationsOutput", COMPLETE)
        }
        Action::ListBucketInventoryConfigurations => document("ListInventoryConfigurationsResult", COMPLETE),
        Action::ListBucketMetricsConfigurations => document("ListMetricsConfigurationsResult", COMPLETE),
        Action::AbortMultipartUpload
        | Action::CompleteMultipartUpload
        | Action::CopyObject
        | Action::CreateBucket
        | Action::CreateBucketMetadataConfiguration
        | Action::CreateBucketMetadataTableConfiguration
        | Action::CreateMultipartUpload
        | Action::CreateSession
        | Action::DeleteBucket
        | Action::DeleteObject
        | Action::DeleteObjectTagging
        | Action::DeleteObjects
        | Action::GetBucketAcl
        | Action::GetBucketLocation
        | Action::GetBucketVersioning
        | Action::GetObject
        | Action::GetObjectAcl
        | Action::GetObjectAttributes
        | Action::GetObjectTagging
        | Action::GetObjectTorrent
        | Action::HeadBucket
        | Action::HeadObject
        | Action::ListBuckets
        | Action::ListDirectoryBuckets
        | Action::ListMultipartUploads
        | Action::ListObjectVersions
        | Action::ListObjects
        | Action::ListObjectsV2
        | Action::ListParts
        | Action::PostObject
        | Action::PreflightRequest
        | Action::PutBucketAbac
        | Action::PutBucketAccelerateConfiguration
        | Action::PutBucketAcl
        | Action::PutBucketAnalyticsConfiguration
        | Action::PutBucketCors
        | Action::PutBucketEncryption
        | Action::PutBucketIntelligentTieringConfiguration
        | Action::PutBucketInventoryConfiguration
        | Action::PutBucketLifecycleConfiguration
        | Action::PutBucketLogging
        | Action::PutBucketMetricsConfiguration
        | Action::PutBucketNotificationConfiguration
        | Action::PutBucketOwnershipControls
        | Action::PutBucketPolicy
        | Action::PutBucketReplication
        | Action::PutBucketRequestPayment
        | Action::PutBucketTagging
        | Action::PutBucketVersioning
        | Action::PutBucketWebsite
        | Action::PutObject
        | Action::PutObjectAcl
        | Action::PutObjectLegalHold
        | Action::PutObjectLockConfiguration
        | Action::PutObjectRetention
        | Action::PutObjectTagging
        | Action::PutPublicAccessBlock
        | Action::RenameObject
        | Action::RestoreObject
        | Action::SelectObjectContent
        | Action::UpdateBucketMetadataInventoryTableConfiguration
        | Action::UpdateBucketMetadataJournalTableConfiguration
        | Action::UpdateObjectEncryption
        | Action::UploadPart
        | Action::UploadPartCopy
        | Action::WriteGetObjectResponse => None,
    }
}

const COMPLETE: &str = "<IsTruncated>false</IsTruncated>";
