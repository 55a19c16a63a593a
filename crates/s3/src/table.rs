//! The operation table: one row for each operation of AWS's S3 model, and nothing else.
//!
//! Routing, judging, rendering and naming all read this table. What is in no row is refused.

use super::documents::grammar;
use super::hazard::Hazard;
use super::headers::group::*;
use super::permission::PermissionRule;
use super::row::{
    HazardRule, OperationAccess, OperationBody, OperationCategory, OperationMark, OperationRow, TargetLevel,
};
use HazardRule::{Always, AsDocument, Deletes, DeletesMany, Replaces};
use OperationBody::{Document, Nothing, OptionalDocument, Payload, Policy};
use OperationMark::{Exactly, Flag, Header, Path, Value};
use PermissionRule::{
    CopiesTags, IfETag, IfElement, IfHeader, IfQuery, OnBucket, OnEachObject, OnEveryObject, OnEverything, OnObject,
    OnObjectOrVersion, OnSource,
};
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

const BYPASSES: PermissionRule = IfHeader(BYPASS, &OnObject(BYPASS_RETENTION));
const BYPASSES_EACH: PermissionRule = IfHeader(BYPASS, &OnEachObject(BYPASS_RETENTION, BYPASS_RETENTION));
const BYPASS_RETENTION: &str = "s3:BypassGovernanceRetention";
/// Comparing tells something of the object that is there.
const COMPARES: PermissionRule = IfETag(&OnObject("s3:GetObject"));
const COMPARES_SIZES: PermissionRule =
    IfHeader(&["x-amz-if-match-last-modified-time", "x-amz-if-match-size"], &OnObject("s3:GetObject"));
const ENABLES_LOCK: PermissionRule = IfHeader(LOCK_ENABLED, &OnBucket("s3:PutBucketObjectLockConfiguration"));
const ENABLES_LOCK_VERSIONING: PermissionRule = IfHeader(LOCK_ENABLED, &OnBucket("s3:PutBucketVersioning"));
/// MinIO's listing tells the metadata and tags of each object.
const LISTS_METADATA: PermissionRule = IfQuery("metadata", &OnEveryObject("s3:GetObject"));
const LISTS_TAGS: PermissionRule = IfQuery("metadata", &OnEveryObject("s3:GetObjectTagging"));
const LOCK_ENABLED: &[&str] = &["x-amz-bucket-object-lock-enabled"];
const READS: PermissionRule = OnObjectOrVersion("s3:GetObject", "s3:GetObjectVersion");
const READS_SOURCE: PermissionRule = OnSource("s3:GetObject", "s3:GetObjectVersion");
const SETS_ACL: PermissionRule = IfHeader(ACL, &OnObject("s3:PutObjectAcl"));
const SETS_BUCKET_ACL: PermissionRule = IfHeader(BUCKET_ACL, &OnBucket("s3:PutBucketAcl"));
const SETS_HOLD: PermissionRule = IfHeader(&["x-amz-object-lock-legal-hold"], &OnObject("s3:PutObjectLegalHold"));
const SETS_OWNERSHIP: PermissionRule =
    IfHeader(&["x-amz-object-ownership"], &OnBucket("s3:PutBucketOwnershipControls"));
const SETS_RETENTION: PermissionRule =
    IfHeader(&["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"], &OnObject("s3:PutObjectRetention"));
const SETS_TAGS: PermissionRule = IfHeader(&["x-amz-tagging"], &OnObject("s3:PutObjectTagging"));
const TAGS_BUCKET: PermissionRule = IfElement("Tags", &OnBucket("s3:TagResource"));

/// Writes the enum and its rows from one list, so that neither can lack what the other has.
macro_rules! operations {
    ($(
        $action:ident: $method:ident $level:ident [$($mark:expr),*],
        $(query [$($keys:expr),*],)?
        $(headers [$($names:expr),*],)?
        takes $body:expr, $harm:expr, $category:ident $access:ident
        $(as $event:literal)? $(also $alias:literal)?,
        needs [$($need:expr),*];
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
                            needs: &[$($need),*],
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
        takes Nothing, HARMLESS, Data Write,
        needs [OnObject("s3:AbortMultipartUpload")];
    CompleteMultipartUpload: Post Object [Value("uploadId")],
        headers [CHECKSUM, CHECKSUM_TYPE, WRITE_CONDITION, CUSTOMER_KEY],
        takes Document(&grammar::COMPLETE_MULTIPART_UPLOAD), Replaces, Data Write,
        needs [OnObject("s3:PutObject"), COMPARES];
    CopyObject: Put Object [Header("x-amz-copy-source")],
        headers [ACL, CHECKSUM_ALGORITHM, CONTENT, COPY, COPY_CUSTOMER_KEY, CUSTOMER_KEY, DIRECTIVE, ENCRYPTION,
        LOCK, METADATA, PLACEMENT, WRITE_CONDITION],
        takes Nothing, Replaces, Data Write,
        needs [OnObject("s3:PutObject"), READS_SOURCE, CopiesTags, SETS_ACL, SETS_HOLD, SETS_RETENTION, SETS_TAGS,
        COMPARES];
    CreateBucket: Put Bucket [], headers [BUCKET_ACL, BUCKET_CREATION],
        takes OptionalDocument(&grammar::CREATE_BUCKET), Always(Hazard::CreatesBucket), Management Write,
        needs [OnBucket("s3:CreateBucket"), SETS_BUCKET_ACL, ENABLES_LOCK, ENABLES_LOCK_VERSIONING, SETS_OWNERSHIP,
        TAGS_BUCKET];
    CreateBucketMetadataConfiguration: Post Bucket [Flag("metadataConfiguration")],
        takes Document(&grammar::METADATA), HARMLESS, Management Write,
        needs [OnBucket("s3:CreateBucketMetadataTableConfiguration")];
    CreateBucketMetadataTableConfiguration: Post Bucket [Flag("metadataTable")],
        takes Document(&grammar::METADATA_TABLE), HARMLESS, Management Write,
        needs [OnBucket("s3:CreateBucketMetadataTableConfiguration")];
    CreateMultipartUpload: Post Object [Flag("uploads")],
        headers [ACL, CHECKSUM_ALGORITHM, CHECKSUM_TYPE, CONTENT, CUSTOMER_KEY, ENCRYPTION, LOCK, METADATA,
        PLACEMENT],
        takes Nothing, Always(Hazard::OpensUpload), Data Write,
        needs [OnObject("s3:PutObject"), SETS_ACL, SETS_HOLD, SETS_RETENTION, SETS_TAGS];
    CreateSession: Get Bucket [Flag("session")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3express:CreateSession")];
    DeleteBucket: Delete Bucket [],
        takes Nothing, Always(Hazard::DeletesBucket), Management Write,
        needs [OnBucket("s3:DeleteBucket")];
    DeleteBucketAnalyticsConfiguration: Delete Bucket [Flag("analytics"), Value("id")],
        takes Nothing, HARMLESS, Management Write,
        needs [OnBucket("s3:PutAnalyticsConfiguration")];
    DeleteBucketCors: Delete Bucket [Flag("cors")],
        takes Nothing, HARMLESS, Management Write,
        needs [OnBucket("s3:PutBucketCORS")];
    DeleteBucketEncryption: Delete Bucket [Flag("encryption")],
        takes Nothing, WEAKENS, Management Write,
        needs [OnBucket("s3:PutEncryptionConfiguration")];
    DeleteBucketIntelligentTieringConfiguration: Delete Bucket [Flag("intelligent-tiering"), Value("id")],
        takes Nothing, HARMLESS, Management Write,
        needs [OnBucket("s3:PutIntelligentTieringConfiguration")];
    DeleteBucketInventoryConfiguration: Delete Bucket [Flag("inventory"), Value("id")],
        takes Nothing, HARMLESS, Management Write,
        needs [OnBucket("s3:PutInventoryConfiguration")];
    DeleteBucketLifecycle: Delete Bucket [Flag("lifecycle")],
        takes Nothing, HARMLESS, Management Write,
        needs [OnBucket("s3:PutLifecycleConfiguration")];
    DeleteBucketMetadataConfiguration: Delete Bucket [Flag("metadataConfiguration")],
        takes Nothing, HARMLESS, Management Write,
        needs [OnBucket("s3:DeleteBucketMetadataTableConfiguration")];
    DeleteBucketMetadataTableConfiguration: Delete Bucket [Flag("metadataTable")],
        takes Nothing, HARMLESS, Management Write,
        needs [OnBucket("s3:DeleteBucketMetadataTableConfiguration")];
    DeleteBucketMetricsConfiguration: Delete Bucket [Flag("metrics"), Value("id")],
        takes Nothing, HARMLESS, Management Write,
        needs [OnBucket("s3:PutMetricsConfiguration")];
    DeleteBucketOwnershipControls: Delete Bucket [Flag("ownershipControls")],
        takes Nothing, WEAKENS, Management Write,
        needs [OnBucket("s3:PutBucketOwnershipControls")];
    DeleteBucketPolicy: Delete Bucket [Flag("policy")],
        takes Nothing, WEAKENS, Management Write,
        needs [OnBucket("s3:DeleteBucketPolicy")];
    DeleteBucketReplication: Delete Bucket [Flag("replication")],
        takes Nothing, WEAKENS, Management Write,
        needs [OnBucket("s3:PutReplicationConfiguration")];
    DeleteBucketTagging: Delete Bucket [Flag("tagging")],
        takes Nothing, WEAKENS, Management Write,
        needs [OnBucket("s3:PutBucketTagging")];
    DeleteBucketWebsite: Delete Bucket [Flag("website")],
        takes Nothing, HARMLESS, Management Write,
        needs [OnBucket("s3:DeleteBucketWebsite")];
    DeleteObject: Delete Object [], query [VERSION], headers [BYPASS, DELETE_CONDITION],
        takes Nothing, Deletes, Data Write,
        needs [OnObjectOrVersion("s3:DeleteObject", "s3:DeleteObjectVersion"), BYPASSES, COMPARES, COMPARES_SIZES];
    DeleteObjectTagging: Delete Object [Flag("tagging")], query [VERSION],
        takes Nothing, HARMLESS, Data Write,
        needs [OnObjectOrVersion("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging")];
    DeleteObjects: Post Bucket [Flag("delete")], headers [BYPASS],
        takes Document(&grammar::DELETE), DeletesMany, Data Write,
        needs [OnEachObject("s3:DeleteObject", "s3:DeleteObjectVersion"), BYPASSES_EACH];
    DeletePublicAccessBlock: Delete Bucket [Flag("publicAccessBlock")],
        takes Nothing, WEAKENS, Management Write as "DeleteBucketPublicAccessBlock",
        needs [OnBucket("s3:PutBucketPublicAccessBlock")];
    GetBucketAbac: Get Bucket [Flag("abac")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketAbac")];
    GetBucketAccelerateConfiguration: Get Bucket [Flag("accelerate")],
        takes Nothing, HARMLESS, Management Read as "GetAccelerateConfiguration",
        needs [OnBucket("s3:GetAccelerateConfiguration")];
    GetBucketAcl: Get Bucket [Flag("acl")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketAcl")];
    GetBucketAnalyticsConfiguration: Get Bucket [Flag("analytics"), Value("id")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetAnalyticsConfiguration")];
    GetBucketCors: Get Bucket [Flag("cors")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketCORS")];
    GetBucketEncryption: Get Bucket [Flag("encryption")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetEncryptionConfiguration")];
    GetBucketIntelligentTieringConfiguration: Get Bucket [Flag("intelligent-tiering"), Value("id")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetIntelligentTieringConfiguration")];
    GetBucketInventoryConfiguration: Get Bucket [Flag("inventory"), Value("id")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetInventoryConfiguration")];
    GetBucketLifecycleConfiguration: Get Bucket [Flag("lifecycle")],
        takes Nothing, HARMLESS, Management Read as "GetBucketLifecycle" also "GetBucketLifecycle",
        needs [OnBucket("s3:GetLifecycleConfiguration")];
    GetBucketLocation: Get Bucket [Flag("location")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketLocation")];
    GetBucketLogging: Get Bucket [Flag("logging")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketLogging")];
    GetBucketMetadataConfiguration: Get Bucket [Flag("metadataConfiguration")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketMetadataTableConfiguration")];
    GetBucketMetadataTableConfiguration: Get Bucket [Flag("metadataTable")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketMetadataTableConfiguration")];
    GetBucketMetricsConfiguration: Get Bucket [Flag("metrics"), Value("id")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetMetricsConfiguration")];
    GetBucketNotificationConfiguration: Get Bucket [Flag("notification")],
        takes Nothing, HARMLESS, Management Read as "GetBucketNotification" also "GetBucketNotification",
        needs [OnBucket("s3:GetBucketNotification")];
    GetBucketOwnershipControls: Get Bucket [Flag("ownershipControls")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketOwnershipControls")];
    GetBucketPolicy: Get Bucket [Flag("policy")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketPolicy")];
    GetBucketPolicyStatus: Get Bucket [Flag("policyStatus")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketPolicyStatus")];
    GetBucketReplication: Get Bucket [Flag("replication")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetReplicationConfiguration")];
    GetBucketRequestPayment: Get Bucket [Flag("requestPayment")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketRequestPayment")];
    GetBucketTagging: Get Bucket [Flag("tagging")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketTagging")];
    GetBucketVersioning: Get Bucket [Flag("versioning")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketVersioning")];
    GetBucketWebsite: Get Bucket [Flag("website")],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetBucketWebsite")];
    GetObject: Get Object [],
        query [PART, RESPONSE, VERSION], headers [CHECKSUM_MODE, CUSTOMER_KEY, RANGE, READ_CONDITION],
        takes Nothing, HARMLESS, Data Read,
        needs [READS];
    GetObjectAcl: Get Object [Flag("acl")], query [VERSION],
        takes Nothing, HARMLESS, Data Read,
        needs [OnObjectOrVersion("s3:GetObjectAcl", "s3:GetObjectVersionAcl")];
    GetObjectAttributes: Get Object [Flag("attributes")], query [VERSION], headers [ATTRIBUTES, CUSTOMER_KEY],
        takes Nothing, HARMLESS, Data Read,
        needs [READS, OnObjectOrVersion("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes")];
    GetObjectLegalHold: Get Object [Flag("legal-hold")], query [VERSION],
        takes Nothing, HARMLESS, Data Read,
        needs [OnObject("s3:GetObjectLegalHold")];
    GetObjectLockConfiguration: Get Bucket [Flag("object-lock")],
        takes Nothing, HARMLESS, Management Read as "GetBucketObjectLockConfiguration",
        needs [OnBucket("s3:GetBucketObjectLockConfiguration")];
    GetObjectRetention: Get Object [Flag("retention")], query [VERSION],
        takes Nothing, HARMLESS, Data Read,
        needs [OnObject("s3:GetObjectRetention")];
    GetObjectTagging: Get Object [Flag("tagging")], query [VERSION],
        takes Nothing, HARMLESS, Data Read,
        needs [OnObjectOrVersion("s3:GetObjectTagging", "s3:GetObjectVersionTagging")];
    GetObjectTorrent: Get Object [Flag("torrent")],
        takes Nothing, HARMLESS, Data Read,
        needs [OnObject("s3:GetObjectTorrent")];
    GetPublicAccessBlock: Get Bucket [Flag("publicAccessBlock")],
        takes Nothing, HARMLESS, Management Read as "GetBucketPublicAccessBlock",
        needs [OnBucket("s3:GetBucketPublicAccessBlock")];
    HeadBucket: Head Bucket [],
        takes Nothing, HARMLESS, Data Read,
        needs [OnBucket("s3:ListBucket")];
    HeadObject: Head Object [],
        query [PART, RESPONSE, VERSION], headers [CHECKSUM_MODE, CUSTOMER_KEY, RANGE, READ_CONDITION],
        takes Nothing, HARMLESS, Data Read,
        needs [READS];
    ListBucketAnalyticsConfigurations: Get Bucket [Flag("analytics")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetAnalyticsConfiguration")];
    ListBucketIntelligentTieringConfigurations: Get Bucket [Flag("intelligent-tiering")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetIntelligentTieringConfiguration")];
    ListBucketInventoryConfigurations: Get Bucket [Flag("inventory")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetInventoryConfiguration")];
    ListBucketMetricsConfigurations: Get Bucket [Flag("metrics")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read,
        needs [OnBucket("s3:GetMetricsConfiguration")];
    ListBuckets: Get Service [], query [BUCKET_LISTING, CONTINUATION],
        takes Nothing, HARMLESS, Management Read,
        needs [OnEverything("s3:ListAllMyBuckets")];
    ListDirectoryBuckets: Get Service [Value("max-directory-buckets")], query [CONTINUATION],
        takes Nothing, HARMLESS, Management Read,
        needs [OnEverything("s3express:ListAllMyDirectoryBuckets")];
    ListMultipartUploads: Get Bucket [Flag("uploads")], query [LISTING, UPLOAD_LISTING],
        takes Nothing, HARMLESS, Data Read,
        needs [OnBucket("s3:ListBucketMultipartUploads")];
    ListObjectVersions: Get Bucket [Flag("versions")], query [LISTING, VERSION_LISTING], headers [OPTIONAL_ATTRIBUTES],
        takes Nothing, HARMLESS, Data Read,
        needs [OnBucket("s3:ListBucketVersions"), LISTS_METADATA, LISTS_TAGS];
    ListObjects: Get Bucket [], query [LISTING, LISTING_V1], headers [OPTIONAL_ATTRIBUTES],
        takes Nothing, HARMLESS, Data Read,
        needs [OnBucket("s3:ListBucket")];
    ListObjectsV2: Get Bucket [Exactly("list-type", "2")],
        query [CONTINUATION, LISTING, LISTING_V2], headers [OPTIONAL_ATTRIBUTES],
        takes Nothing, HARMLESS, Data Read as "ListObjects",
        needs [OnBucket("s3:ListBucket"), LISTS_METADATA, LISTS_TAGS];
    ListParts: Get Object [Value("uploadId")], query [PART_LISTING], headers [CUSTOMER_KEY],
        takes Nothing, HARMLESS, Data Read,
        needs [OnObject("s3:ListMultipartUploadParts")];
    PostObject: Post Bucket [],
        takes Nothing, HARMLESS, Data Write,
        needs [OnEveryObject("s3:PutObject")];
    PreflightRequest: Options Any [],
        takes Nothing, HARMLESS, Management Read,
        needs [];
    PutBucketAbac: Put Bucket [Flag("abac")],
        takes Document(&grammar::ABAC), WEAKENS, Management Write,
        needs [OnBucket("s3:PutBucketAbac")];
    PutBucketAccelerateConfiguration: Put Bucket [Flag("accelerate")],
        takes Document(&grammar::ACCELERATE), HARMLESS, Management Write as "PutAccelerateConfiguration",
        needs [OnBucket("s3:PutAccelerateConfiguration")];
    PutBucketAcl: Put Bucket [Flag("acl")], headers [BUCKET_ACL],
        takes OptionalDocument(&grammar::ACCESS_CONTROL_POLICY), WEAKENS, Management Write,
        needs [OnBucket("s3:PutBucketAcl")];
    PutBucketAnalyticsConfiguration: Put Bucket [Flag("analytics"), Value("id")],
        takes Document(&grammar::ANALYTICS), HARMLESS, Management Write,
        needs [OnBucket("s3:PutAnalyticsConfiguration")];
    PutBucketCors: Put Bucket [Flag("cors")],
        takes Document(&grammar::CORS), HARMLESS, Management Write,
        needs [OnBucket("s3:PutBucketCORS")];
    PutBucketEncryption: Put Bucket [Flag("encryption")],
        takes Document(&grammar::ENCRYPTION), WEAKENS, Management Write,
        needs [OnBucket("s3:PutEncryptionConfiguration")];
    PutBucketIntelligentTieringConfiguration: Put Bucket [Flag("intelligent-tiering"), Value("id")],
        takes Document(&grammar::INTELLIGENT_TIERING), HARMLESS, Management Write,
        needs [OnBucket("s3:PutIntelligentTieringConfiguration")];
    PutBucketInventoryConfiguration: Put Bucket [Flag("inventory"), Value("id")],
        takes Document(&grammar::INVENTORY), HARMLESS, Management Write,
        needs [OnBucket("s3:PutInventoryConfiguration")];
    PutBucketLifecycleConfiguration: Put Bucket [Flag("lifecycle")], headers [TRANSITION],
        takes Document(&grammar::LIFECYCLE), Always(Hazard::ExpiresVersions), Management Write
        as "PutBucketLifecycle" also "PutBucketLifecycle",
        needs [OnBucket("s3:PutLifecycleConfiguration")];
    PutBucketLogging: Put Bucket [Flag("logging")],
        takes Document(&grammar::LOGGING), WEAKENS, Management Write,
        needs [OnBucket("s3:PutBucketLogging")];
    PutBucketMetricsConfiguration: Put Bucket [Flag("metrics"), Value("id")],
        takes Document(&grammar::METRICS), HARMLESS, Management Write,
        needs [OnBucket("s3:PutMetricsConfiguration")];
    PutBucketNotificationConfiguration: Put Bucket [Flag("notification")], headers [SKIP_VALIDATION],
        takes Document(&grammar::NOTIFICATION), WEAKENS, Management Write
        as "PutBucketNotification" also "PutBucketNotification",
        needs [OnBucket("s3:PutBucketNotification")];
    PutBucketOwnershipControls: Put Bucket [Flag("ownershipControls")],
        takes Document(&grammar::OWNERSHIP_CONTROLS), WEAKENS, Management Write,
        needs [OnBucket("s3:PutBucketOwnershipControls")];
    PutBucketPolicy: Put Bucket [Flag("policy")], headers [CONFIRM],
        takes Policy, WEAKENS, Management Write,
        needs [OnBucket("s3:PutBucketPolicy")];
    PutBucketReplication: Put Bucket [Flag("replication")], headers [LOCK_TOKEN],
        takes Document(&grammar::REPLICATION), Always(Hazard::Replicates), Management Write,
        needs [OnBucket("s3:PutReplicationConfiguration")];
    PutBucketRequestPayment: Put Bucket [Flag("requestPayment")],
        takes Document(&grammar::REQUEST_PAYMENT), HARMLESS, Management Write,
        needs [OnBucket("s3:PutBucketRequestPayment")];
    PutBucketTagging: Put Bucket [Flag("tagging")],
        takes Document(&grammar::TAGGING), WEAKENS, Management Write,
        needs [OnBucket("s3:PutBucketTagging")];
    PutBucketVersioning: Put Bucket [Flag("versioning")],
        takes Document(&grammar::VERSIONING), AsDocument, Management Write,
        needs [OnBucket("s3:PutBucketVersioning")];
    PutBucketWebsite: Put Bucket [Flag("website")],
        takes Document(&grammar::WEBSITE), Always(Hazard::ExposesData), Management Write,
        needs [OnBucket("s3:PutBucketWebsite")];
    PutObject: Put Object [],
        headers [ACL, CHECKSUM, CONTENT, CUSTOMER_KEY, ENCRYPTION, LOCK, METADATA, PLACEMENT, WRITE_CONDITION],
        takes Payload, Replaces, Data Write,
        needs [OnObject("s3:PutObject"), SETS_ACL, SETS_HOLD, SETS_RETENTION, SETS_TAGS, COMPARES];
    PutObjectAcl: Put Object [Flag("acl")], query [VERSION], headers [BUCKET_ACL],
        takes OptionalDocument(&grammar::ACCESS_CONTROL_POLICY), Always(Hazard::ExposesData), Data Write,
        needs [OnObjectOrVersion("s3:PutObjectAcl", "s3:PutObjectVersionAcl")];
    PutObjectLegalHold: Put Object [Flag("legal-hold")], query [VERSION],
        takes Document(&grammar::LEGAL_HOLD), AsDocument, Data Write,
        needs [OnObject("s3:PutObjectLegalHold")];
    PutObjectLockConfiguration: Put Bucket [Flag("object-lock")], headers [LOCK_TOKEN],
        takes Document(&grammar::OBJECT_LOCK), WEAKENS, Management Write
        as "PutBucketObjectLockConfiguration",
        needs [OnBucket("s3:PutBucketObjectLockConfiguration")];
    PutObjectRetention: Put Object [Flag("retention")], query [VERSION], headers [BYPASS],
        takes Document(&grammar::RETENTION), WEAKENS, Data Write,
        needs [OnObject("s3:PutObjectRetention"), BYPASSES];
    PutObjectTagging: Put Object [Flag("tagging")], query [VERSION],
        takes Document(&grammar::TAGGING), HARMLESS, Data Write,
        needs [OnObjectOrVersion("s3:PutObjectTagging", "s3:PutObjectVersionTagging")];
    PutPublicAccessBlock: Put Bucket [Flag("publicAccessBlock")],
        takes Document(&grammar::PUBLIC_ACCESS_BLOCK), AsDocument, Management Write
        as "PutBucketPublicAccessBlock",
        needs [OnBucket("s3:PutBucketPublicAccessBlock")];
    RenameObject: Put Object [Flag("renameObject")],
        takes Nothing, HARMLESS, Data Write,
        needs [OnBucket("s3express:CreateSession")];
    RestoreObject: Post Object [Flag("restore")], query [VERSION],
        takes OptionalDocument(&grammar::RESTORE), HARMLESS, Data Write,
        needs [OnObject("s3:RestoreObject")];
    SelectObjectContent: Post Object [Flag("select"), Exactly("select-type", "2")], headers [CUSTOMER_KEY],
        takes Document(&grammar::SELECT), HARMLESS, Data Read,
        needs [READS];
    UpdateBucketMetadataInventoryTableConfiguration: Put Bucket [Flag("metadataInventoryTable")],
        takes Document(&grammar::INVENTORY_TABLE), HARMLESS, Management Write,
        needs [OnBucket("s3:UpdateBucketMetadataInventoryTableConfiguration")];
    UpdateBucketMetadataJournalTableConfiguration: Put Bucket [Flag("metadataJournalTable")],
        takes Document(&grammar::JOURNAL_TABLE), HARMLESS, Management Write,
        needs [OnBucket("s3:UpdateBucketMetadataJournalTableConfiguration")];
    UpdateObjectEncryption: Put Object [Flag("encryption")], query [VERSION],
        takes Document(&grammar::OBJECT_ENCRYPTION), WEAKENS, Data Write,
        needs [OnObject("s3:UpdateObjectEncryption")];
    UploadPart: Put Object [Value("partNumber"), Value("uploadId")], headers [CHECKSUM, CUSTOMER_KEY],
        takes Payload, HARMLESS, Data Write,
        needs [OnObject("s3:PutObject")];
    UploadPartCopy: Put Object [Value("partNumber"), Value("uploadId"), Header("x-amz-copy-source")],
        headers [COPY, COPY_CUSTOMER_KEY, COPY_RANGE, CUSTOMER_KEY],
        takes Nothing, HARMLESS, Data Write,
        needs [OnObject("s3:PutObject"), READS_SOURCE];
    WriteGetObjectResponse: Post Bucket [Path("/WriteGetObjectResponse")],
        takes Nothing, HARMLESS, Data Write,
        needs [OnEverything("s3-object-lambda:WriteGetObjectResponse")];
}
