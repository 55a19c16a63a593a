//! What each store does with each operation, and so what is done with a request for it.
//!
//! A store that does not know a sub-resource carries out the plain operation of the same path: `DELETE /b?inventory`
//! deletes the bucket on MinIO. So a request is sent only where the store is known to take it for the operation that
//! was judged. The tables follow the stores' sources and were measured; `tests/readers` holds them against a model of
//! each store's router, and `portcullis check` against the store itself.

use std::sync::LazyLock;

use super::profile::{OperationSupport, UpstreamKind};
use super::row::OperationAccess;
use super::unconfigured::{UnconfiguredAnswer, unconfigured};
use super::{OperationMark, S3Operation};

/// What a store does with a request for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreTreatment {
    /// It answers that it does not implement the operation, and does nothing.
    Declines,
    /// Some of its versions or configurations serve it, the others decline.
    MayDecline,
    /// It carries out this operation instead.
    Mistakes(S3Operation),
    Serves,
}

/// What is done with a request for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestHandling {
    /// Answered here, independent of the store.
    Answered(LocalAnswer),
    Forwarded,
    /// Sent to the store; where the store declines, answered here.
    ForwardedElse(LocalAnswer),
    Refused,
}

/// What is answered without the store's own answer; but for a preflight, the bucket is known to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalAnswer {
    /// The region whose signatures are taken here. The store may call its own otherwise.
    Location,
    /// No origin may ask.
    Preflight,
    /// What AWS answers where nothing is configured.
    Unconfigured(UnconfiguredAnswer),
}

/// Operations that are sent to no store: they hand out the store's own credentials, or what they do is not judged.
const SENT_NOWHERE: &[S3Operation] = &[
    S3Operation::CreateSession,
    S3Operation::GetObjectTorrent,
    S3Operation::ListDirectoryBuckets,
    S3Operation::PostObject,
    S3Operation::RenameObject,
    S3Operation::WriteGetObjectResponse,
];

/// Operations that no store is asked for.
const ANSWERED_EVERYWHERE: &[(S3Operation, LocalAnswer)] =
    &[(S3Operation::GetBucketLocation, LocalAnswer::Location), (S3Operation::PreflightRequest, LocalAnswer::Preflight)];

/// What a store does with the operations that it does not serve.
pub(super) type StoreExceptions = &'static [(StoreTreatment, &'static [S3Operation])];

/// Ceph RGW from 16.2 on; what only later versions serve is not in it.
pub(super) const CEPH: StoreExceptions = &[
    (
        StoreTreatment::Mistakes(S3Operation::CreateBucket),
        &[
            S3Operation::PutBucketAbac,
            S3Operation::PutBucketAccelerateConfiguration,
            S3Operation::PutBucketAnalyticsConfiguration,
            S3Operation::PutBucketEncryption,
            S3Operation::PutBucketIntelligentTieringConfiguration,
            S3Operation::PutBucketInventoryConfiguration,
            S3Operation::PutBucketMetricsConfiguration,
            S3Operation::PutBucketOwnershipControls,
            S3Operation::UpdateBucketMetadataInventoryTableConfiguration,
            S3Operation::UpdateBucketMetadataJournalTableConfiguration,
        ],
    ),
    (
        StoreTreatment::Mistakes(S3Operation::DeleteBucket),
        &[
            S3Operation::DeleteBucketAnalyticsConfiguration,
            S3Operation::DeleteBucketEncryption,
            S3Operation::DeleteBucketIntelligentTieringConfiguration,
            S3Operation::DeleteBucketInventoryConfiguration,
            S3Operation::DeleteBucketMetadataConfiguration,
            S3Operation::DeleteBucketMetadataTableConfiguration,
            S3Operation::DeleteBucketMetricsConfiguration,
            S3Operation::DeleteBucketOwnershipControls,
        ],
    ),
    (StoreTreatment::Mistakes(S3Operation::GetObject), &[S3Operation::GetObjectAttributes]),
    (
        StoreTreatment::Mistakes(S3Operation::ListObjects),
        &[
            S3Operation::GetBucketAbac,
            S3Operation::GetBucketAccelerateConfiguration,
            S3Operation::GetBucketAnalyticsConfiguration,
            S3Operation::GetBucketEncryption,
            S3Operation::GetBucketIntelligentTieringConfiguration,
            S3Operation::GetBucketInventoryConfiguration,
            S3Operation::GetBucketMetadataConfiguration,
            S3Operation::GetBucketMetadataTableConfiguration,
            S3Operation::GetBucketMetricsConfiguration,
            S3Operation::GetBucketOwnershipControls,
            S3Operation::ListBucketAnalyticsConfigurations,
            S3Operation::ListBucketIntelligentTieringConfigurations,
            S3Operation::ListBucketInventoryConfigurations,
            S3Operation::ListBucketMetricsConfigurations,
            S3Operation::CreateSession,
        ],
    ),
    (
        StoreTreatment::Mistakes(S3Operation::PostObject),
        &[
            S3Operation::CreateBucketMetadataConfiguration,
            S3Operation::CreateBucketMetadataTableConfiguration,
            S3Operation::RestoreObject,
            S3Operation::WriteGetObjectResponse,
        ],
    ),
    (
        StoreTreatment::Mistakes(S3Operation::PutObject),
        &[S3Operation::UpdateObjectEncryption, S3Operation::RenameObject],
    ),
    (
        // Websites are a setting (rgw_enable_static_website), replication is of a zone group, logging is Tentacle's.
        StoreTreatment::MayDecline,
        &[
            S3Operation::DeleteBucketWebsite,
            S3Operation::GetBucketReplication,
            S3Operation::GetBucketWebsite,
            S3Operation::PutBucketLogging,
            S3Operation::PutBucketReplication,
            S3Operation::PutBucketWebsite,
            S3Operation::GetObjectTorrent,
        ],
    ),
    (StoreTreatment::Mistakes(S3Operation::ListBuckets), &[S3Operation::ListDirectoryBuckets]),
];

/// The store of `portcullis dev`: the router of s3s, and the operations of `embedded/service.rs`.
pub(super) const EMBEDDED: StoreExceptions = &[
    (
        StoreTreatment::Declines,
        &[
            S3Operation::CreateBucketMetadataConfiguration,
            S3Operation::CreateBucketMetadataTableConfiguration,
            S3Operation::DeleteBucketAnalyticsConfiguration,
            S3Operation::DeleteBucketIntelligentTieringConfiguration,
            S3Operation::DeleteBucketInventoryConfiguration,
            S3Operation::DeleteBucketMetadataTableConfiguration,
            S3Operation::DeleteBucketMetricsConfiguration,
            S3Operation::DeleteBucketReplication,
            S3Operation::DeleteBucketWebsite,
            S3Operation::GetBucketAccelerateConfiguration,
            S3Operation::GetBucketAnalyticsConfiguration,
            S3Operation::GetBucketIntelligentTieringConfiguration,
            S3Operation::GetBucketInventoryConfiguration,
            S3Operation::GetBucketLogging,
            S3Operation::GetBucketMetadataTableConfiguration,
            S3Operation::GetBucketMetricsConfiguration,
            S3Operation::GetBucketReplication,
            S3Operation::GetBucketRequestPayment,
            S3Operation::GetBucketWebsite,
            S3Operation::GetObjectLegalHold,
            S3Operation::GetObjectRetention,
            S3Operation::ListBucketAnalyticsConfigurations,
            S3Operation::ListBucketIntelligentTieringConfigurations,
            S3Operation::ListBucketInventoryConfigurations,
            S3Operation::ListBucketMetricsConfigurations,
            S3Operation::PutBucketAccelerateConfiguration,
            S3Operation::PutBucketAcl,
            S3Operation::PutBucketAnalyticsConfiguration,
            S3Operation::PutBucketIntelligentTieringConfiguration,
            S3Operation::PutBucketInventoryConfiguration,
            S3Operation::PutBucketLogging,
            S3Operation::PutBucketMetricsConfiguration,
            S3Operation::PutBucketReplication,
            S3Operation::PutBucketRequestPayment,
            S3Operation::PutBucketWebsite,
            S3Operation::PutObjectAcl,
            S3Operation::PutObjectLegalHold,
            S3Operation::PutObjectLockConfiguration,
            S3Operation::PutObjectRetention,
            S3Operation::RestoreObject,
            S3Operation::SelectObjectContent,
            S3Operation::CreateSession,
            S3Operation::GetObjectTorrent,
            S3Operation::WriteGetObjectResponse,
        ],
    ),
    (
        StoreTreatment::Mistakes(S3Operation::CreateBucket),
        &[
            S3Operation::PutBucketAbac,
            S3Operation::UpdateBucketMetadataInventoryTableConfiguration,
            S3Operation::UpdateBucketMetadataJournalTableConfiguration,
        ],
    ),
    (StoreTreatment::Mistakes(S3Operation::DeleteBucket), &[S3Operation::DeleteBucketMetadataConfiguration]),
    (
        StoreTreatment::Mistakes(S3Operation::ListObjects),
        &[S3Operation::GetBucketAbac, S3Operation::GetBucketMetadataConfiguration],
    ),
    (
        StoreTreatment::Mistakes(S3Operation::PutObject),
        &[S3Operation::UpdateObjectEncryption, S3Operation::RenameObject],
    ),
    (StoreTreatment::Mistakes(S3Operation::ListBuckets), &[S3Operation::ListDirectoryBuckets]),
];

/// MinIO: its rejections of unknown sub-resources come after its routes for PUT and DELETE of a bucket.
pub(super) const MINIO: StoreExceptions = &[
    (
        StoreTreatment::Declines,
        &[
            S3Operation::CreateBucketMetadataConfiguration,
            S3Operation::CreateBucketMetadataTableConfiguration,
            // Answers 200 to every caller and for every bucket, and does nothing.
            S3Operation::DeleteBucketWebsite,
            S3Operation::GetBucketAnalyticsConfiguration,
            S3Operation::GetBucketIntelligentTieringConfiguration,
            S3Operation::GetBucketInventoryConfiguration,
            S3Operation::GetBucketMetricsConfiguration,
            S3Operation::GetBucketOwnershipControls,
            S3Operation::GetPublicAccessBlock,
            S3Operation::ListBucketAnalyticsConfigurations,
            S3Operation::ListBucketIntelligentTieringConfigurations,
            S3Operation::ListBucketInventoryConfigurations,
            S3Operation::ListBucketMetricsConfigurations,
            S3Operation::GetObjectTorrent,
            S3Operation::WriteGetObjectResponse,
        ],
    ),
    (
        // Encryption needs a KMS, CORS of a bucket another edition. Of tags and locks it says that there are none even
        // of a bucket that is not there.
        StoreTreatment::MayDecline,
        &[
            S3Operation::DeleteBucketCors,
            S3Operation::GetBucketTagging,
            S3Operation::GetObjectLockConfiguration,
            S3Operation::PutBucketCors,
            S3Operation::PutBucketEncryption,
        ],
    ),
    (
        StoreTreatment::Mistakes(S3Operation::CreateBucket),
        &[
            S3Operation::PutBucketAbac,
            S3Operation::PutBucketAccelerateConfiguration,
            S3Operation::PutBucketAnalyticsConfiguration,
            S3Operation::PutBucketIntelligentTieringConfiguration,
            S3Operation::PutBucketInventoryConfiguration,
            S3Operation::PutBucketLogging,
            S3Operation::PutBucketMetricsConfiguration,
            S3Operation::PutBucketOwnershipControls,
            S3Operation::PutBucketRequestPayment,
            S3Operation::PutBucketWebsite,
            S3Operation::PutPublicAccessBlock,
            S3Operation::UpdateBucketMetadataInventoryTableConfiguration,
            S3Operation::UpdateBucketMetadataJournalTableConfiguration,
        ],
    ),
    (
        StoreTreatment::Mistakes(S3Operation::DeleteBucket),
        &[
            S3Operation::DeleteBucketAnalyticsConfiguration,
            S3Operation::DeleteBucketIntelligentTieringConfiguration,
            S3Operation::DeleteBucketInventoryConfiguration,
            S3Operation::DeleteBucketMetadataConfiguration,
            S3Operation::DeleteBucketMetadataTableConfiguration,
            S3Operation::DeleteBucketMetricsConfiguration,
            S3Operation::DeleteBucketOwnershipControls,
            S3Operation::DeletePublicAccessBlock,
        ],
    ),
    (
        StoreTreatment::Mistakes(S3Operation::ListObjects),
        &[
            S3Operation::GetBucketAbac,
            S3Operation::GetBucketMetadataConfiguration,
            S3Operation::GetBucketMetadataTableConfiguration,
            S3Operation::CreateSession,
        ],
    ),
    (
        StoreTreatment::Mistakes(S3Operation::PutObject),
        &[S3Operation::UpdateObjectEncryption, S3Operation::RenameObject],
    ),
    (StoreTreatment::Mistakes(S3Operation::ListBuckets), &[S3Operation::ListDirectoryBuckets]),
];

impl UpstreamKind {
    /// What a store of this kind does with a request for this operation.
    pub fn treatment(self, action: S3Operation) -> StoreTreatment {
        match self.profile().operations {
            OperationSupport::Served => StoreTreatment::Serves,
            OperationSupport::ServedByAll(stores) => of_any_of(stores, action),
            OperationSupport::ServedExcept(exceptions) => {
                let listed = exceptions.iter().find(|(_, actions)| actions.contains(&action));
                listed.map_or(StoreTreatment::Serves, |(treatment, _)| *treatment)
            }
        }
    }

    /// What is done with a request for this operation in front of a store of this kind.
    pub fn handling(self, action: S3Operation) -> RequestHandling {
        type Table = Vec<(UpstreamKind, S3Operation, RequestHandling)>;
        static TABLE: LazyLock<Table> = LazyLock::new(|| {
            let of =
                |kind: UpstreamKind| S3Operation::ALL.iter().map(move |action| (kind, *action, found(kind, *action)));
            let mut table: Table = UpstreamKind::ALL.into_iter().flat_map(of).collect();
            table.sort_unstable_by_key(|(kind, action, _)| (*kind, *action));
            table
        });
        let row = TABLE.binary_search_by_key(&(self, action), |(kind, action, _)| (*kind, *action));
        row.ok().and_then(|row| TABLE.get(row)).map_or(RequestHandling::Refused, |(_, _, handling)| *handling)
    }
}

fn found(store: UpstreamKind, action: S3Operation) -> RequestHandling {
    if SENT_NOWHERE.contains(&action) {
        return RequestHandling::Refused;
    }
    if let Some((_, answer)) = ANSWERED_EVERYWHERE.iter().find(|(answered, _)| *answered == action) {
        return RequestHandling::Answered(*answer);
    }
    let answer = unconfigured(action).map(LocalAnswer::Unconfigured);
    match (store.treatment(action), answer) {
        (StoreTreatment::Serves, _) | (StoreTreatment::MayDecline, None) => RequestHandling::Forwarded,
        (StoreTreatment::MayDecline, Some(answer)) => RequestHandling::ForwardedElse(answer),
        (StoreTreatment::Declines | StoreTreatment::Mistakes(_), Some(answer)) => RequestHandling::Answered(answer),
        (StoreTreatment::Declines | StoreTreatment::Mistakes(_), None) => RequestHandling::Refused,
    }
}

/// What a store does that may be any of these. What one of them mistakes is not sent; nor are the other operations
/// on that configuration, since a configuration that can be read but not removed is worse than none.
fn of_any_of(stores: &[UpstreamKind], action: S3Operation) -> StoreTreatment {
    let mistaken = |action: S3Operation| {
        let mut of_each = stores.iter().map(|store| store.treatment(action));
        of_each.find(|treatment| matches!(treatment, StoreTreatment::Mistakes(_)))
    };
    let row = action.row();
    let key = row.marks.iter().find_map(OperationMark::query_key);
    let others = S3Operation::ALL.iter().map(|action| action.row()).filter(|other| {
        key.is_some() && other.level == row.level && other.marks.iter().find_map(OperationMark::query_key) == key
    });
    match mistaken(action) {
        Some(mistake) => mistake,
        None if others.map(|other| other.action).any(|other| mistaken(other).is_some()) => StoreTreatment::Declines,
        // A store that declines to tell a configuration does not act by it.
        None => match row.access {
            OperationAccess::Read => StoreTreatment::MayDecline,
            OperationAccess::Write => StoreTreatment::Serves,
        },
    }
}
