//! The operation table: one row for each operation of AWS's S3 model, and nothing else.
//!
//! Routing, judging, rendering and naming all read this table. What is in no row is refused.

use super::documents::grammar;
use super::hazard::Hazard;
use super::headers::group::*;
use super::row::{
    HazardRule, OperationAccess, OperationBody, OperationCategory, OperationMark, OperationRow, TargetLevel,
};
use HazardRule::{Always, AsDocument, Deletes, DeletesMany, Replaces};
use OperationBody::{Document, Nothing, OptionalDocument, Payload, Policy};
use OperationMark::{Exactly, Flag, Header, Path, Value};
use portcullis_http::HttpMethod;

const HARMLESS: HazardRule = Always(Hazard::None);
const WEAKENS: HazardRule = Always(Hazard::WeakensProtection);

const BUCKET_LISTING: &[&str] = &["bucket-region", "max-buckets", "prefix"];
const CONTINUATION: &[&str] = &["continuation-token"];
const LISTING: &[&str] = &["delimiter", "encoding-type", "prefix"];
const LISTING_V1: &[&str] = &["marker", "max-keys"];
const LISTING_V2: &[&str] = &["fetch-owner", "max-keys", "start-after"];
const PART: &[&str] = &["partNumber"];
const PART_LISTING: &[&str] = &["max-parts", "part-number-marker"];
const RESPONSE: &[&str] = &[
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];
const UPLOAD_LISTING: &[&str] = &["key-marker", "max-uploads", "upload-id-marker"];
const VERSION: &[&str] = &["versionId"];
const VERSION_LISTING: &[&str] = &["key-marker", "max-keys", "version-id-marker"];

/// Writes the enum and its rows from one list, so that neither can lack what the other has.
macro_rules! operations {
    ($(
        $action:ident: $method:ident $level:ident [$($mark:expr),*],
        $(query [$($keys:expr),*],)?
        $(headers [$($names:expr),*],)?
        takes $body:expr, $harm:expr, $category:ident $access:ident
        $(as $event:literal)? $(also $alias:literal)?;
    )*) => {
        /// An operation of S3.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum S3Operation {
            $($action,)*
        }

        impl S3Operation {
            /// Every operation, in the alphabet's order.
            pub const ALL: &[Self] = &[$(Self::$action,)*];

            /// What the table says of this operation.
            pub fn row(self) -> &'static OperationRow {
                match self {
                    $(Self::$action => {
                        static ROW: OperationRow = OperationRow {
                            action: S3Operation::$action,
                            name: stringify!($action),
                            alias: first!($(Some($alias),)? None),
                            method: HttpMethod::$method,
                            level: TargetLevel::$level,
                            marks: &[$($mark),*],
                            query: &[$($($keys),*)?],
                            headers: &[$($($names),*)?],
                            body: $body,
                            harm: $harm,
                            event: first!($($event,)? stringify!($action)),
                            category: OperationCategory::$category,
                            access: OperationAccess::$access,
                        };
                        &ROW
                    })*
                }
            }
        }
    };
}

macro_rules! first {
    ($first:expr $(, $rest:expr)*) => {
        $first
    };
}

impl S3Operation {
    /// The operation's name in AWS's model.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The operation that changes something and whose events have this name, if one does.
    pub fn write_of_event(event_name: &str) -> Option<Self> {
        let writes = |action: &Self| action.row().access == OperationAccess::Write;
        Self::ALL.iter().copied().filter(writes).find(|action| action.row().event == event_name)
    }
}

operations! {
    AbortMultipartUpload: Delete Object [Value("uploadId")], headers [INITIATED],
        takes Nothing, HARMLESS, Data Write;
    CompleteMultipartUpload: Post Object [Value("uploadId")],
        headers [CHECKSUM, CHECKSUM_TYPE, WRITE_CONDITION, CUSTOMER_KEY],
        takes Document(&grammar::COMPLETE_MULTIPART_UPLOAD), Replaces, Data Write;
    CopyObject: Put Object [Header("x-amz-copy-source")],
        headers [ACL, CHECKSUM_ALGORITHM, CONTENT, COPY, COPY_CUSTOMER_KEY, CUSTOMER_KEY, DIRECTIVE, ENCRYPTION,
        LOCK, METADATA, PLACEMENT, WRITE_CONDITION],
        takes Nothing, Replaces, Data Write;
    CreateBucket: Put Bucket [], headers [BUCKET_ACL, BUCKET_CREATION],
        takes OptionalDocument(&grammar::CREATE_BUCKET), Always(Hazard::CreatesBucket), Management Write;
    CreateBucketMetadataConfiguration: Post Bucket [Flag("metadataConfiguration")],
        takes Document(&grammar::METADATA), HARMLESS, Management Write;
    CreateBucketMetadataTableConfiguration: Post Bucket [Flag("metadataTable")],
        takes Document(&grammar::METADATA_TABLE), HARMLESS, Management Write;
    CreateMultipartUpload: Post Object [Flag("uploads")],
        headers [ACL, CHECKSUM_ALGORITHM, CHECKSUM_TYPE, CONTENT, CUSTOMER_KEY, ENCRYPTION, LOCK, METADATA,
        PLACEMENT],
        takes Nothing, Always(Hazard::OpensUpload), Data Write;
    CreateSession: Get Bucket [Flag("session")],
        takes Nothing, HARMLESS, Management Read;
    DeleteBucket: Delete Bucket [],
        takes Nothing, Always(Hazard::DeletesBucket), Management Write;
    DeleteBucketAnalyticsConfiguration: Delete Bucket [Flag("analytics"), Value("id")],
        takes Nothing, HARMLESS, Management Write;
    DeleteBucketCors: Delete Bucket [Flag("cors")],
        takes Nothing, HARMLESS, Management Write;
    DeleteBucketEncryption: Delete Bucket [Flag("encryption")],
        takes Nothing, WEAKENS, Management Write;
    DeleteBucketIntelligentTieringConfiguration: Delete Bucket [Flag("intelligent-tiering"), Value("id")],
        takes Nothing, HARMLESS, Management Write;
    DeleteBucketInventoryConfiguration: Delete Bucket [Flag("inventory"), Value("id")],
        takes Nothing, HARMLESS, Management Write;
    DeleteBucketLifecycle: Delete Bucket [Flag("lifecycle")],
        takes Nothing, HARMLESS, Management Write;
    DeleteBucketMetadataConfiguration: Delete Bucket [Flag("metadataConfiguration")],
        takes Nothing, HARMLESS, Management Write;
    DeleteBucketMetadataTableConfiguration: Delete Bucket [Flag("metadataTable")],
        takes Nothing, HARMLESS, Management Write;
    DeleteBucketMetricsConfiguration: Delete Bucket [Flag("metrics"), Value("id")],
        takes Nothing, HARMLESS, Management Write;
    DeleteBucketOwnershipControls: Delete Bucket [Flag("ownershipControls")],
        takes Nothing, WEAKENS, Management Write;
    DeleteBucketPolicy: Delete Bucket [Flag("policy")],
        takes Nothing, WEAKENS, Management Write;
    DeleteBucketReplication: Delete Bucket [Flag("replication")],
        takes Nothing, WEAKENS, Management Write;
    DeleteBucketTagging: Delete Bucket [Flag("tagging")],
        takes Nothing, WEAKENS, Management Write;
    DeleteBucketWebsite: Delete Bucket [Flag("website")],
        takes Nothing, HARMLESS, Management Write;
    DeleteObject: Delete Object [], query [VERSION], headers [BYPASS, DELETE_CONDITION],
        takes Nothing, Deletes, Data Write;
    DeleteObjectTagging: Delete Object [Flag("tagging")], query [VERSION],
        takes Nothing, HARMLESS, Data Write;
    DeleteObjects: Post Bucket [Flag("delete")], headers [BYPASS],
        takes Document(&grammar::DELETE), DeletesMany, Data Write;
    DeletePublicAccessBlock: Delete Bucket [Flag("publicAccessBlock")],
        takes Nothing, WEAKENS, Management Write as "DeleteBucketPublicAccessBlock";
    GetBucketAbac: Get Bucket [Flag("abac")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketAccelerateConfiguration: Get Bucket [Flag("accelerate")],
        takes Nothing, HARMLESS, Management Read as "GetAccelerateConfiguration";
    GetBucketAcl: Get Bucket [Flag("acl")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketAnalyticsConfiguration: Get Bucket [Flag("analytics"), Value("id")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketCors: Get Bucket [Flag("cors")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketEncryption: Get Bucket [Flag("encryption")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketIntelligentTieringConfiguration: Get Bucket [Flag("intelligent-tiering"), Value("id")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketInventoryConfiguration: Get Bucket [Flag("inventory"), Value("id")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketLifecycleConfiguration: Get Bucket [Flag("lifecycle")],
        takes Nothing, HARMLESS, Management Read as "GetBucketLifecycle" also "GetBucketLifecycle";
    GetBucketLocation: Get Bucket [Flag("location")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketLogging: Get Bucket [Flag("logging")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketMetadataConfiguration: Get Bucket [Flag("metadataConfiguration")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketMetadataTableConfiguration: Get Bucket [Flag("metadataTable")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketMetricsConfiguration: Get Bucket [Flag("metrics"), Value("id")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketNotificationConfiguration: Get Bucket [Flag("notification")],
        takes Nothing, HARMLESS, Management Read as "GetBucketNotification" also "GetBucketNotification";
    GetBucketOwnershipControls: Get Bucket [Flag("ownershipControls")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketPolicy: Get Bucket [Flag("policy")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketPolicyStatus: Get Bucket [Flag("policyStatus")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketReplication: Get Bucket [Flag("replication")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketRequestPayment: Get Bucket [Flag("requestPayment")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketTagging: Get Bucket [Flag("tagging")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketVersioning: Get Bucket [Flag("versioning")],
        takes Nothing, HARMLESS, Management Read;
    GetBucketWebsite: Get Bucket [Flag("website")],
        takes Nothing, HARMLESS, Management Read;
    GetObject: Get Object [],
        query [PART, RESPONSE, VERSION], headers [CHECKSUM_MODE, CUSTOMER_KEY, RANGE, READ_CONDITION],
        takes Nothing, HARMLESS, Data Read;
    GetObjectAcl: Get Object [Flag("acl")], query [VERSION],
        takes Nothing, HARMLESS, Data Read;
    GetObjectAttributes: Get Object [Flag("attributes")], query [VERSION], headers [ATTRIBUTES, CUSTOMER_KEY],
        takes Nothing, HARMLESS, Data Read;
    GetObjectLegalHold: Get Object [Flag("legal-hold")], query [VERSION],
        takes Nothing, HARMLESS, Data Read;
    GetObjectLockConfiguration: Get Bucket [Flag("object-lock")],
        takes Nothing, HARMLESS, Management Read as "GetBucketObjectLockConfiguration";
    GetObjectRetention: Get Object [Flag("retention")], query [VERSION],
        takes Nothing, HARMLESS, Data Read;
    GetObjectTagging: Get Object [Flag("tagging")], query [VERSION],
        takes Nothing, HARMLESS, Data Read;
    GetObjectTorrent: Get Object [Flag("torrent")],
        takes Nothing, HARMLESS, Data Read;
    GetPublicAccessBlock: Get Bucket [Flag("publicAccessBlock")],
        takes Nothing, HARMLESS, Management Read as "GetBucketPublicAccessBlock";
    HeadBucket: Head Bucket [],
        takes Nothing, HARMLESS, Data Read;
    HeadObject: Head Object [],
        query [PART, RESPONSE, VERSION], headers [CHECKSUM_MODE, CUSTOMER_KEY, RANGE, READ_CONDITION],
        takes Nothing, HARMLESS, Data Read;
    ListBucketAnalyticsConfigurations: Get Bucket [Flag("analytics")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read;
    ListBucketIntelligentTieringConfigurations: Get Bucket [Flag("intelligent-tiering")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read;
    ListBucketInventoryConfigurations: Get Bucket [Flag("inventory")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read;
    ListBucketMetricsConfigurations: Get Bucket [Flag("metrics")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read;
    ListBuckets: Get Service [], query [BUCKET_LISTING, CONTINUATION],
        takes Nothing, HARMLESS, Management Read;
    ListDirectoryBuckets: Get Service [Value("max-directory-buckets")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read;
    ListMultipartUploads: Get Bucket [Flag("uploads")], query [LISTING, UPLOAD_LISTING],
        takes Nothing, HARMLESS, Data Read;
    ListObjectVersions: Get Bucket [Flag("versions")], query [LISTING, VERSION_LISTING], headers [OPTIONAL_ATTRIBUTES],
        takes Nothing, HARMLESS, Data Read;
    ListObjects: Get Bucket [], query [LISTING, LISTING_V1], headers [OPTIONAL_ATTRIBUTES],
        takes Nothing, HARMLESS, Data Read;
    ListObjectsV2: Get Bucket [Exactly("list-type", "2")],
        query [CONTINUATION, LISTING, LISTING_V2], headers [OPTIONAL_ATTRIBUTES],
        takes Nothing, HARMLESS, Data Read as "ListObjects";
    ListParts: Get Object [Value("uploadId")], query [PART_LISTING], headers [CUSTOMER_KEY],
        takes Nothing, HARMLESS, Data Read;
    PostObject: Post Bucket [],
        takes Nothing, HARMLESS, Data Write;
    PreflightRequest: Options Any [],
        takes Nothing, HARMLESS, Management Read;
    PutBucketAbac: Put Bucket [Flag("abac")],
        takes Document(&grammar::ABAC), WEAKENS, Management Write;
    PutBucketAccelerateConfiguration: Put Bucket [Flag("accelerate")],
        takes Document(&grammar::ACCELERATE), HARMLESS, Management Write as "PutAccelerateConfiguration";
    PutBucketAcl: Put Bucket [Flag("acl")], headers [BUCKET_ACL],
        takes OptionalDocument(&grammar::ACCESS_CONTROL_POLICY), WEAKENS, Management Write;
    PutBucketAnalyticsConfiguration: Put Bucket [Flag("analytics"), Value("id")],
        takes Document(&grammar::ANALYTICS), HARMLESS, Management Write;
    PutBucketCors: Put Bucket [Flag("cors")],
        takes Document(&grammar::CORS), HARMLESS, Management Write;
    PutBucketEncryption: Put Bucket [Flag("encryption")],
        takes Document(&grammar::ENCRYPTION), WEAKENS, Management Write;
    PutBucketIntelligentTieringConfiguration: Put Bucket [Flag("intelligent-tiering"), Value("id")],
        takes Document(&grammar::INTELLIGENT_TIERING), HARMLESS, Management Write;
    PutBucketInventoryConfiguration: Put Bucket [Flag("inventory"), Value("id")],
        takes Document(&grammar::INVENTORY), HARMLESS, Management Write;
    PutBucketLifecycleConfiguration: Put Bucket [Flag("lifecycle")], headers [TRANSITION],
        takes Document(&grammar::LIFECYCLE), Always(Hazard::ExpiresVersions), Management Write
        as "PutBucketLifecycle" also "PutBucketLifecycle";
    PutBucketLogging: Put Bucket [Flag("logging")],
        takes Document(&grammar::LOGGING), WEAKENS, Management Write;
    PutBucketMetricsConfiguration: Put Bucket [Flag("metrics"), Value("id")],
        takes Document(&grammar::METRICS), HARMLESS, Management Write;
    PutBucketNotificationConfiguration: Put Bucket [Flag("notification")], headers [SKIP_VALIDATION],
        takes Document(&grammar::NOTIFICATION), WEAKENS, Management Write
        as "PutBucketNotification" also "PutBucketNotification";
    PutBucketOwnershipControls: Put Bucket [Flag("ownershipControls")],
        takes Document(&grammar::OWNERSHIP_CONTROLS), WEAKENS, Management Write;
    PutBucketPolicy: Put Bucket [Flag("policy")], headers [CONFIRM],
        takes Policy, WEAKENS, Management Write;
    PutBucketReplication: Put Bucket [Flag("replication")], headers [LOCK_TOKEN],
        takes Document(&grammar::REPLICATION), Always(Hazard::Replicates), Management Write;
    PutBucketRequestPayment: Put Bucket [Flag("requestPayment")],
        takes Document(&grammar::REQUEST_PAYMENT), HARMLESS, Management Write;
    PutBucketTagging: Put Bucket [Flag("tagging")],
        takes Document(&grammar::TAGGING), WEAKENS, Management Write;
    PutBucketVersioning: Put Bucket [Flag("versioning")],
        takes Document(&grammar::VERSIONING), AsDocument, Management Write;
    PutBucketWebsite: Put Bucket [Flag("website")],
        takes Document(&grammar::WEBSITE), Always(Hazard::ExposesData), Management Write;
    PutObject: Put Object [],
        headers [ACL, CHECKSUM, CONTENT, CUSTOMER_KEY, ENCRYPTION, LOCK, METADATA, PLACEMENT, WRITE_CONDITION],
        takes Payload, Replaces, Data Write;
    PutObjectAcl: Put Object [Flag("acl")], query [VERSION], headers [BUCKET_ACL],
        takes OptionalDocument(&grammar::ACCESS_CONTROL_POLICY), Always(Hazard::ExposesData), Data Write;
    PutObjectLegalHold: Put Object [Flag("legal-hold")], query [VERSION],
        takes Document(&grammar::LEGAL_HOLD), AsDocument, Data Write;
    PutObjectLockConfiguration: Put Bucket [Flag("object-lock")], headers [LOCK_TOKEN],
        takes Document(&grammar::OBJECT_LOCK), WEAKENS, Management Write
        as "PutBucketObjectLockConfiguration";
    PutObjectRetention: Put Object [Flag("retention")], query [VERSION], headers [BYPASS],
        takes Document(&grammar::RETENTION), WEAKENS, Data Write;
    PutObjectTagging: Put Object [Flag("tagging")], query [VERSION],
        takes Document(&grammar::TAGGING), HARMLESS, Data Write;
    PutPublicAccessBlock: Put Bucket [Flag("publicAccessBlock")],
        takes Document(&grammar::PUBLIC_ACCESS_BLOCK), AsDocument, Management Write
        as "PutBucketPublicAccessBlock";
    RenameObject: Put Object [Flag("renameObject")],
        takes Nothing, HARMLESS, Data Write;
    RestoreObject: Post Object [Flag("restore")], query [VERSION],
        takes OptionalDocument(&grammar::RESTORE), HARMLESS, Data Write;
    SelectObjectContent: Post Object [Flag("select"), Exactly("select-type", "2")], headers [CUSTOMER_KEY],
        takes Document(&grammar::SELECT), HARMLESS, Data Read;
    UpdateBucketMetadataInventoryTableConfiguration: Put Bucket [Flag("metadataInventoryTable")],
        takes Document(&grammar::INVENTORY_TABLE), HARMLESS, Management Write;
    UpdateBucketMetadataJournalTableConfiguration: Put Bucket [Flag("metadataJournalTable")],
        takes Document(&grammar::JOURNAL_TABLE), HARMLESS, Management Write;
    UpdateObjectEncryption: Put Object [Flag("encryption")], query [VERSION],
        takes Document(&grammar::OBJECT_ENCRYPTION), WEAKENS, Data Write;
    UploadPart: Put Object [Value("partNumber"), Value("uploadId")], headers [CHECKSUM, CUSTOMER_KEY],
        takes Payload, HARMLESS, Data Write;
    UploadPartCopy: Put Object [Value("partNumber"), Value("uploadId"), Header("x-amz-copy-source")],
        headers [COPY, COPY_CUSTOMER_KEY, COPY_RANGE, CUSTOMER_KEY],
        takes Nothing, HARMLESS, Data Write;
    WriteGetObjectResponse: Post Bucket [Path("/WriteGetObjectResponse")],
        takes Nothing, HARMLESS, Data Write;
}
