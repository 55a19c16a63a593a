//! The documents S3 takes: every element each of them may hold, as AWS's model has them.

use portcullis_xml::{ElementContent, StrictElement};

/// The grammar of one document.
#[derive(Clone, Copy, Debug)]
pub struct DocumentGrammar {
    pub root: &'static str,
    pub elements: &'static [ElementRule],
    /// The longest document that is read, in bytes.
    pub limit: usize,
    pub reading: DocumentKind,
}

/// What becomes of a document once its grammar holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// A configuration that does not concern versions: rewritten, shown in the audit record.
    Configuration,
    DeleteObjects,
    LegalHold,
    Parts,
    PublicAccessBlock,
    /// A query, rewritten; no configuration to show.
    Query,
    Retention,
    Versioning,
}

/// One element that may stand at a place.
#[derive(Clone, Copy, Debug)]
pub struct ElementRule {
    pub name: &'static str,
    pub times: ElementTimes,
    pub inner: ElementInner,
}

/// How often an element may stand at a place; none need be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementTimes {
    Many,
    Once,
}

/// What an element holds.
#[derive(Clone, Copy, Debug)]
pub enum ElementInner {
    Elements(&'static [ElementRule]),
    Text,
}

/// How a document breaks its grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrammarBreach {
    /// An element that some store or some other operation knows, and that we do not pass on.
    Extension(String),
    /// Another root, an unknown or repeated element, text where elements belong.
    Invalid,
}

/// Elements that mean something to MinIO, to S3 Express or to a part of S3 we leave out; the answer
/// names them, since "not well-formed" would not help its sender.
const EXTENSIONS: &[&str] = &[
    "AllVersionsExpiration",
    "Bucket",
    "DelMarkerExpiration",
    "DeleteMarkerReplicationStatus",
    "DeleteReplication",
    "ETag",
    "ExcludeFolders",
    "ExcludedPrefixes",
    "ExpiredObjectAllVersions",
    "ExpiredObjectDeleteAllVersions",
    "LastModifiedTime",
    "Location",
    "MaxNoncurrentVersions",
    "OutputLocation",
    "SelectParameters",
    "Size",
    "Type",
    "VersionPurgeStatus",
    "VersionPurgeStatuses",
];

impl DocumentGrammar {
    /// Holds a document against its grammar; elements without children become such with none.
    pub fn check(&self, mut root: StrictElement) -> Result<StrictElement, GrammarBreach> {
        if root.name != self.root {
            return Err(GrammarBreach::Invalid);
        }
        check_elements(&mut root, self.elements)?;
        Ok(root)
    }
}

fn check_elements(element: &mut StrictElement, rules: &[ElementRule]) -> Result<(), GrammarBreach> {
    let children = match &mut element.content {
        ElementContent::Children(children) => children,
        ElementContent::Text(text) if text.trim_ascii().is_empty() => {
            element.content = ElementContent::Children(Vec::new());
            return Ok(());
        }
        ElementContent::Text(_) => return Err(GrammarBreach::Invalid),
    };
    let mut seen: Vec<&str> = Vec::new();
    for child in children {
        let Some(rule) = rules.iter().find(|rule| rule.name == child.name) else {
            let extension = EXTENSIONS.contains(&child.name.as_str());
            return Err(if extension { GrammarBreach::Extension(child.name.clone()) } else { GrammarBreach::Invalid });
        };
        if rule.times == ElementTimes::Once {
            // Ceph takes the first of two, Go the last, others neither.
            if seen.contains(&rule.name) {
                return Err(GrammarBreach::Invalid);
            }
            seen.push(rule.name);
        }
        match (rule.inner, &child.content) {
            (ElementInner::Elements(rules), _) => check_elements(child, rules)?,
            (ElementInner::Text, ElementContent::Text(_)) => {}
            (ElementInner::Text, ElementContent::Children(_)) => return Err(GrammarBreach::Invalid),
        }
    }
    Ok(())
}

/// Writes rules as the documents look: `Name`, `Name*` where it may stand more than once, `Name { .. }`.
macro_rules! elements {
    (@ [$($done:expr,)*]) => { &[$($done,)*] };
    (@ [$($done:expr,)*] $name:literal * { $($inner:tt)* } $($rest:tt)*) => {
        elements!(@ [$($done,)* rule($name, ElementTimes::Many, ElementInner::Elements(elements!(@ [] $($inner)*))),] $($rest)*)
    };
    (@ [$($done:expr,)*] $name:literal { $($inner:tt)* } $($rest:tt)*) => {
        elements!(@ [$($done,)* rule($name, ElementTimes::Once, ElementInner::Elements(elements!(@ [] $($inner)*))),] $($rest)*)
    };
    (@ [$($done:expr,)*] $name:ident * { $($inner:tt)* } $($rest:tt)*) => {
        elements!(@ [$($done,)* rule(stringify!($name), ElementTimes::Many, ElementInner::Elements(elements!(@ [] $($inner)*))),] $($rest)*)
    };
    (@ [$($done:expr,)*] $name:ident { $($inner:tt)* } $($rest:tt)*) => {
        elements!(@ [$($done,)* rule(stringify!($name), ElementTimes::Once, ElementInner::Elements(elements!(@ [] $($inner)*))),] $($rest)*)
    };
    (@ [$($done:expr,)*] $name:ident * $($rest:tt)*) => {
        elements!(@ [$($done,)* rule(stringify!($name), ElementTimes::Many, ElementInner::Text),] $($rest)*)
    };
    (@ [$($done:expr,)*] $name:ident $($rest:tt)*) => {
        elements!(@ [$($done,)* rule(stringify!($name), ElementTimes::Once, ElementInner::Text),] $($rest)*)
    };
}

macro_rules! documents {
    ($($constant:ident = $root:ident { $($inner:tt)* } $reading:ident $limit:expr;)*) => {
        $(pub const $constant: DocumentGrammar = DocumentGrammar {
            root: stringify!($root),
            elements: elements!(@ [] $($inner)*),
            limit: $limit,
            reading: DocumentKind::$reading,
        };)*
    };
}

const fn rule(name: &'static str, times: ElementTimes, inner: ElementInner) -> ElementRule {
    ElementRule { name, times, inner }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

documents! {
    ABAC = AbacStatus { Status } Configuration 64 * KIB;
    ACCELERATE = AccelerateConfiguration { Status } Configuration 64 * KIB;
    ACCESS_CONTROL_POLICY = AccessControlPolicy {
        AccessControlList { Grant* { Grantee { DisplayName EmailAddress ID URI } Permission } }
        Owner { DisplayName ID }
    } Configuration 64 * KIB;
    ANALYTICS = AnalyticsConfiguration {
        Id Filter { Prefix Tag { Key Value } And { Prefix Tag* { Key Value } } }
        StorageClassAnalysis { DataExport {
            OutputSchemaVersion Destination { S3BucketDestination { Format BucketAccountId Bucket Prefix } }
        } }
    } Configuration 64 * KIB;
    COMPLETE_MULTIPART_UPLOAD = CompleteMultipartUpload {
        Part* {
            ETag ChecksumCRC32 ChecksumCRC32C ChecksumCRC64NVME ChecksumSHA1 ChecksumSHA256 ChecksumSHA512 ChecksumMD5
            ChecksumXXHASH64 ChecksumXXHASH3 ChecksumXXHASH128 PartNumber
        }
    } Parts 2 * MIB;
    CORS = CORSConfiguration {
        CORSRule* { ID AllowedHeader* AllowedMethod* AllowedOrigin* ExposeHeader* MaxAgeSeconds }
    } Configuration 64 * KIB;
    CREATE_BUCKET = CreateBucketConfiguration {
        LocationConstraint Tags { Tag* { Key Value } }
    } Configuration 64 * KIB;
    DELETE = Delete { Object* { Key VersionId } Quiet } DeleteObjects 2 * MIB;
    ENCRYPTION = ServerSideEncryptionConfiguration {
        Rule* {
            ApplyServerSideEncryptionByDefault { SSEAlgorithm KMSMasterKeyID }
            BucketKeyEnabled BlockedEncryptionTypes { EncryptionType* }
        }
    } Configuration 64 * KIB;
    INTELLIGENT_TIERING = IntelligentTieringConfiguration {
        Id Filter { Prefix Tag { Key Value } And { Prefix Tag* { Key Value } } } Status Tiering* { Days AccessTier }
    } Configuration 64 * KIB;
    INVENTORY = InventoryConfiguration {
        Destination { S3BucketDestination {
            AccountId Bucket Format Prefix Encryption { "SSE-S3" {} "SSE-KMS" { KeyId } }
        } }
        IsEnabled Filter { Prefix } Id IncludedObjectVersions OptionalFields { Field* } Schedule { Frequency }
    } Configuration 64 * KIB;
    INVENTORY_TABLE = InventoryTableConfiguration {
        ConfigurationState EncryptionConfiguration { SseAlgorithm KmsKeyArn }
    } Configuration 64 * KIB;
    JOURNAL_TABLE = JournalTableConfiguration { RecordExpiration { Expiration Days } } Configuration 64 * KIB;
    LEGAL_HOLD = LegalHold { Status } LegalHold 16 * KIB;
    LIFECYCLE = LifecycleConfiguration {
        Rule* {
            Expiration { Date Days ExpiredObjectDeleteMarker } ID Prefix
            Filter {
                Prefix Tag { Key Value } ObjectSizeGreaterThan ObjectSizeLessThan
                And { Prefix Tag* { Key Value } ObjectSizeGreaterThan ObjectSizeLessThan }
            }
            Status Transition* { Date Days StorageClass }
            NoncurrentVersionTransition* { NoncurrentDays StorageClass NewerNoncurrentVersions }
            NoncurrentVersionExpiration { NoncurrentDays NewerNoncurrentVersions }
            AbortIncompleteMultipartUpload { DaysAfterInitiation }
        }
    } Configuration 64 * KIB;
    LOGGING = BucketLoggingStatus {
        LoggingEnabled {
            TargetBucket TargetGrants { Grant* { Grantee { DisplayName EmailAddress ID URI } Permission } } TargetPrefix
            TargetObjectKeyFormat { SimplePrefix {} PartitionedPrefix { PartitionDateSource } }
        }
    } Configuration 64 * KIB;
    METADATA = MetadataConfiguration {
        JournalTableConfiguration {
            RecordExpiration { Expiration Days } EncryptionConfiguration { SseAlgorithm KmsKeyArn }
        }
        InventoryTableConfiguration { ConfigurationState EncryptionConfiguration { SseAlgorithm KmsKeyArn } }
    } Configuration 64 * KIB;
    METADATA_TABLE = MetadataTableConfiguration {
        S3TablesDestination { TableBucketArn TableName }
    } Configuration 64 * KIB;
    METRICS = MetricsConfiguration {
        Id Filter { Prefix Tag { Key Value } AccessPointArn And { Prefix Tag* { Key Value } AccessPointArn } }
    } Configuration 64 * KIB;
    NOTIFICATION = NotificationConfiguration {
        TopicConfiguration* { Id Topic Event* Filter { S3Key { FilterRule* { Name Value } } } }
        QueueConfiguration* { Id Queue Event* Filter { S3Key { FilterRule* { Name Value } } } }
        CloudFunctionConfiguration* {
            Id CloudFunction Event* Filter { S3Key { FilterRule* { Name Value } } } InvocationRole
        }
        EventBridgeConfiguration {}
    } Configuration 64 * KIB;
    OBJECT_ENCRYPTION = ObjectEncryption { "SSE-KMS" { KMSKeyArn BucketKeyEnabled } } Configuration 64 * KIB;
    OBJECT_LOCK = ObjectLockConfiguration {
        ObjectLockEnabled Rule { DefaultRetention { Mode Days Years } }
    } Configuration 64 * KIB;
    OWNERSHIP_CONTROLS = OwnershipControls { Rule* { ObjectOwnership } } Configuration 64 * KIB;
    PUBLIC_ACCESS_BLOCK = PublicAccessBlockConfiguration {
        BlockPublicAcls IgnorePublicAcls BlockPublicPolicy RestrictPublicBuckets
    } PublicAccessBlock 64 * KIB;
    REPLICATION = ReplicationConfiguration {
        Role
        Rule* {
            ID Priority Prefix Filter { Prefix Tag { Key Value } And { Prefix Tag* { Key Value } } } Status
            SourceSelectionCriteria { SseKmsEncryptedObjects { Status } ReplicaModifications { Status } }
            ExistingObjectReplication { Status }
            Destination {
                Bucket Account StorageClass AccessControlTranslation { Owner }
                EncryptionConfiguration { ReplicaKmsKeyID }
                ReplicationTime { Status Time { Minutes } } Metrics { Status EventThreshold { Minutes } }
            }
            DeleteMarkerReplication { Status }
        }
    } Configuration 64 * KIB;
    REQUEST_PAYMENT = RequestPaymentConfiguration { Payer } Configuration 64 * KIB;
    RESTORE = RestoreRequest { Days GlacierJobParameters { Tier } Tier Description } Configuration 64 * KIB;
    RETENTION = Retention { Mode RetainUntilDate } Retention 16 * KIB;
    SELECT = SelectObjectContentRequest {
        Expression ExpressionType RequestProgress { Enabled }
        InputSerialization {
            CSV {
                FileHeaderInfo Comments QuoteEscapeCharacter RecordDelimiter FieldDelimiter QuoteCharacter
                AllowQuotedRecordDelimiter
            }
            CompressionType JSON { Type } Parquet {}
        }
        OutputSerialization {
            CSV { QuoteFields QuoteEscapeCharacter RecordDelimiter FieldDelimiter QuoteCharacter }
            JSON { RecordDelimiter }
        }
        ScanRange { Start End }
    } Query 256 * KIB;
    TAGGING = Tagging { TagSet { Tag* { Key Value } } } Configuration 16 * KIB;
    VERSIONING = VersioningConfiguration { MfaDelete Status } Versioning 4 * KIB;
    WEBSITE = WebsiteConfiguration {
        ErrorDocument { Key } IndexDocument { Suffix } RedirectAllRequestsTo { HostName Protocol }
        RoutingRules { RoutingRule* {
            Condition { HttpErrorCodeReturnedEquals KeyPrefixEquals }
            Redirect { HostName HttpRedirectCode Protocol ReplaceKeyPrefixWith ReplaceKeyWith }
        } }
    } Configuration 64 * KIB;
}
