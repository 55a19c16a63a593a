//! What each store does with each operation, and so what is done with a request for it.
//!
//! A store that does not know a sub-resource carries out the plain operation of the same path: `DELETE /b?inventory`
//! deletes the bucket on MinIO. So a request is sent only where the store is known to take it for the operation that
//! was judged. The tables follow the stores' sources and were measured; `tests/readers` holds them against a model of
//! each store's router, and `portcullis check` against the store itself.

use std::sync::LazyLock;

use super::profile::{Operations, UpstreamKind};
use super::row::Access;
use super::unconfigured::{Unconfigured, unconfigured};
use super::{Action, Mark};

/// What a store does with a request for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It answers that it does not implement the operation, and does nothing.
    Declines,
    /// Some of its versions or configurations serve it, the others decline.
    MayDecline,
    /// It carries out this operation instead.
    Mistakes(Action),
    Serves,
}

/// What is done with a request for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
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
    Unconfigured(Unconfigured),
}

/// Operations that are sent to no store: they hand out the store's own credentials, or what they do is not judged.
const SENT_NOWHERE: &[Action] = &[
    Action::CreateSession,
    Action::GetObjectTorrent,
    Action::ListDirectoryBuckets,
    Action::PostObject,
    Action::RenameObject,
    Action::WriteGetObjectResponse,
];

/// Operations that no store is asked for.
const ANSWERED_EVERYWHERE: &[(Action, LocalAnswer)] =
    &[(Action::GetBucketLocation, LocalAnswer::Location), (Action::PreflightRequest, LocalAnswer::Preflight)];

/// What a store does with the operations that it does not serve.
pub(super) type Exceptions = &'static [(Treatment, &'static [Action])];

/// Ceph RGW from 16.2 on; what only later versions serve is not in it.
pub(super) const CEPH: Exceptions = &[
    (
        Treatment::Mistakes(Action::CreateBucket),
        &[
            Action::PutBucketAbac,
            Action::PutBucketAccelerateConfiguration,
            Action::PutBucketAnalyticsConfiguration,
            Action::PutBucketEncryption,
            Action::PutBucketIntelligentTieringConfiguration,
            Action::PutBucketInventoryConfiguration,
            Action::PutBucketMetricsConfiguration,
            Action::PutBucketOwnershipControls,
            Action::UpdateBucketMetadataInventoryTableConfiguration,
            Action::UpdateBucketMetadataJournalTableConfiguration,
        ],
    ),
    (
        Treatment::Mistakes(Action::DeleteBucket),
        &[
            Action::DeleteBucketAnalyticsConfiguration,
            Action::DeleteBucketEncryption,
            Action::DeleteBucketIntelligentTieringConfiguration,
            Action::DeleteBucketInventoryConfiguration,
            Action::DeleteBucketMetadataConfiguration,
            Action::DeleteBucketMetadataTableConfiguration,
            Action::DeleteBucketMetricsConfiguration,
            Action::DeleteBucketOwnershipControls,
        ],
    ),
    (Treatment::Mistakes(Action::GetObject), &[Action::GetObjectAttributes]),
    (
        Treatment::Mistakes(Action::ListObjects),
        &[
            Action::GetBucketAbac,
            Action::GetBucketAccelerateConfiguration,
            Action::GetBucketAnalyticsConfiguration,
            Action::GetBucketEncryption,
            Action::GetBucketIntelligentTieringConfiguration,
            Action::GetBucketInventoryConfiguration,
            Action::GetBucketMetadataConfiguration,
            Action::GetBucketMetadataTableConfiguration,
            Action::GetBucketMetricsConfiguration,
            Action::GetBucketOwnershipControls,
            Action::ListBucketAnalyticsConfigurations,
            Action::ListBucketIntelligentTieringConfigurations,
            Action::ListBucketInventoryConfigurations,
            Action::ListBucketMetricsConfigurations,
            Action::CreateSession,
        ],
    ),
    (
        Treatment::Mistakes(Action::PostObject),
        &[
            Action::CreateBucketMetadataConfiguration,
            Action::CreateBucketMetadataTableConfiguration,
            Action::RestoreObject,
            Action::WriteGetObjectResponse,
        ],
    ),
    (Treatment::Mistakes(Action::PutObject), &[Action::UpdateObjectEncryption, Action::RenameObject]),
    (
        // Websites are a setting (rgw_enable_static_website), replication is of a zone group, logging is Tentacle's.
        Treatment::MayDecline,
        &[
            Action::DeleteBucketWebsite,
            Action::GetBucketReplication,
            Action::GetBucketWebsite,
            Action::PutBucketLogging,
            Action::PutBucketReplication,
            Action::PutBucketWebsite,
            Action::GetObjectTorrent,
        ],
    ),
    (Treatment::Mistakes(Action::ListBuckets), &[Action::ListDirectoryBuckets]),
];

/// The store of `portcullis dev`: the router of s3s, and the operations of `embedded/service.rs`.
pub(super) const EMBEDDED: Exceptions = &[
    (
        Treatment::Declines,
        &[
            Action::CreateBucketMetadataConfiguration,
            Action::CreateBucketMetadataTableConfiguration,
            Action::DeleteBucketAnalyticsConfiguration,
            Action::DeleteBucketIntelligentTieringConfiguration,
            Action::DeleteBucketInventoryConfiguration,
            Action::DeleteBucketMetadataTableConfiguration,
            Action::DeleteBucketMetricsConfiguration,
            Action::DeleteBucketReplication,
            Action::DeleteBucketWebsite,
            Action::GetBucketAccelerateConfiguration,
            Action::GetBucketAnalyticsConfiguration,
            Action::GetBucketIntelligentTieringConfiguration,
            Action::GetBucketInventoryConfiguration,
            Action::GetBucketLogging,
            Action::GetBucketMetadataTableConfiguration,
            Action::GetBucketMetricsConfiguration,
            Action::GetBucketReplication,
            Action::GetBucketRequestPayment,
            Action::GetBucketWebsite,
            Action::GetObjectLegalHold,
            Action::GetObjectRetention,
            Action::ListBucketAnalyticsConfigurations,
            Action::ListBucketIntelligentTieringConfigurations,
            Action::ListBucketInventoryConfigurations,
            Action::ListBucketMetricsConfigurations,
            Action::PutBucketAccelerateConfiguration,
            Action::PutBucketAcl,
            Action::PutBucketAnalyticsConfiguration,
            Action::PutBucketIntelligentTieringConfiguration,
            Action::PutBucketInventoryConfiguration,
            Action::PutBucketLogging,
            Action::PutBucketMetricsConfiguration,
            Action::PutBucketReplication,
            Action::PutBucketRequestPayment,
            Action::PutBucketWebsite,
            Action::PutObjectAcl,
            Action::PutObjectLegalHold,
            Action::PutObjectLockConfiguration,
            Action::PutObjectRetention,
            Action::RestoreObject,
            Action::SelectObjectContent,
            Action::CreateSession,
            Action::GetObjectTorrent,
            Action::WriteGetObjectResponse,
        ],
    ),
    (
        Treatment::Mistakes(Action::CreateBucket),
        &[
            Action::PutBucketAbac,
            Action::UpdateBucketMetadataInventoryTableConfiguration,
            Action::UpdateBucketMetadataJournalTableConfiguration,
        ],
    ),
    (Treatment::Mistakes(Action::DeleteBucket), &[Action::DeleteBucketMetadataConfiguration]),
    (Treatment::Mistakes(Action::ListObjects), &[Action::GetBucketAbac, Action::GetBucketMetadataConfiguration]),
    (Treatment::Mistakes(Action::PutObject), &[Action::UpdateObjectEncryption, Action::RenameObject]),
    (Treatment::Mistakes(Action::ListBuckets), &[Action::ListDirectoryBuckets]),
];

/// MinIO: its rejections of unknown sub-resources come after its routes for PUT and DELETE of a bucket.
pub(super) const MINIO: Exceptions = &[
    (
        Treatment::Declines,
        &[
            Action::CreateBucketMetadataConfiguration,
            Action::CreateBucketMetadataTableConfiguration,
            // Answers 200 to every caller and for every bucket, and does nothing.
            Action::DeleteBucketWebsite,
            Action::GetBucketAnalyticsConfiguration,
            Action::GetBucketIntelligentTieringConfiguration,
            Action::GetBucketInventoryConfiguration,
            Action::GetBucketMetricsConfiguration,
            Action::GetBucketOwnershipControls,
            Action::GetPublicAccessBlock,
            Action::ListBucketAnalyticsConfigurations,
            Action::ListBucketIntelligentTieringConfigurations,
            Action::ListBucketInventoryConfigurations,
            Action::ListBucketMetricsConfigurations,
            Action::GetObjectTorrent,
            Action::WriteGetObjectResponse,
        ],
    ),
    (
        // Encryption needs a KMS, CORS of a bucket another edition. Of tags and locks it says that there are none even
        // of a bucket that is not there.
        Treatment::MayDecline,
        &[
            Action::DeleteBucketCors,
            Action::GetBucketTagging,
            Action::GetObjectLockConfiguration,
            Action::PutBucketCors,
            Action::PutBucketEncryption,
        ],
    ),
    (
        Treatment::Mistakes(Action::CreateBucket),
        &[
            Action::PutBucketAbac,
            Action::PutBucketAccelerateConfiguration,
            Action::PutBucketAnalyticsConfiguration,
            Action::PutBucketIntelligentTieringConfiguration,
            Action::PutBucketInventoryConfiguration,
            Action::PutBucketLogging,
            Action::PutBucketMetricsConfiguration,
            Action::PutBucketOwnershipControls,
            Action::PutBucketRequestPayment,
            Action::PutBucketWebsite,
            Action::PutPublicAccessBlock,
            Action::UpdateBucketMetadataInventoryTableConfiguration,
            Action::UpdateBucketMetadataJournalTableConfiguration,
        ],
    ),
    (
        Treatment::Mistakes(Action::DeleteBucket),
        &[
            Action::DeleteBucketAnalyticsConfiguration,
            Action::DeleteBucketIntelligentTieringConfiguration,
            Action::DeleteBucketInventoryConfiguration,
            Action::DeleteBucketMetadataConfiguration,
            Action::DeleteBucketMetadataTableConfiguration,
            Action::DeleteBucketMetricsConfiguration,
            Action::DeleteBucketOwnershipControls,
            Action::DeletePublicAccessBlock,
        ],
    ),
    (
        Treatment::Mistakes(Action::ListObjects),
        &[
            Action::GetBucketAbac,
            Action::GetBucketMetadataConfiguration,
            Action::GetBucketMetadataTableConfiguration,
            Action::CreateSession,
        ],
    ),
    (Treatment::Mistakes(Action::PutObject), &[Action::UpdateObjectEncryption, Action::RenameObject]),
    (Treatment::Mistakes(Action::ListBuckets), &[Action::ListDirectoryBuckets]),
];

impl UpstreamKind {
    /// What a store of this kind does with a request for this operation.
    pub fn treatment(self, action: Action) -> Treatment {
        match self.profile().operations {
            Operations::Served => Treatment::Serves,
            Operations::ServedByAll(stores) => of_any_of(stores, action),
            Operations::ServedExcept(exceptions) => {
                let listed = exceptions.iter().find(|(_, actions)| actions.contains(&action));
                listed.map_or(Treatment::Serves, |(treatment, _)| *treatment)
            }
        }
    }

    /// What is done with a request for this operation in front of a store of this kind.
    pub fn handling(self, action: Action) -> Handling {
        type Table = Vec<(UpstreamKind, Action, Handling)>;
        static TABLE: LazyLock<Table> = LazyLock::new(|| {
            let of = |kind: UpstreamKind| Action::ALL.iter().map(move |action| (kind, *action, found(kind, *action)));
            let mut table: Table = UpstreamKind::ALL.into_iter().flat_map(of).collect();
            table.sort_unstable_by_key(|(kind, action, _)| (*kind, *action));
            table
        });
        let row = TABLE.binary_search_by_key(&(self, action), |(kind, action, _)| (*kind, *action));
        row.ok().and_then(|row| TABLE.get(row)).map_or(Handling::Refused, |(_, _, handling)| *handling)
    }
}

fn found(store: UpstreamKind, action: Action) -> Handling {
    if SENT_NOWHERE.contains(&action) {
        return Handling::Refused;
    }
    if let Some((_, answer)) = ANSWERED_EVERYWHERE.iter().find(|(answered, _)| *answered == action) {
        return Handling::Answered(*answer);
    }
    let answer = unconfigured(action).map(LocalAnswer::Unconfigured);
    match (store.treatment(action), answer) {
        (Treatment::Serves, _) | (Treatment::MayDecline, None) => Handling::Forwarded,
        (Treatment::MayDecline, Some(answer)) => Handling::ForwardedElse(answer),
        (Treatment::Declines | Treatment::Mistakes(_), Some(answer)) => Handling::Answered(answer),
        (Treatment::Declines | Treatment::Mistakes(_), None) => Handling::Refused,
    }
}

/// What a store does that may be any of these. What one of them mistakes is not sent; nor are the other operations
/// on that configuration, since a configuration that can be read but not removed is worse than none.
fn of_any_of(stores: &[UpstreamKind], action: Action) -> Treatment {
    let mistaken = |action: Action| {
        let mut of_each = stores.iter().map(|store| store.treatment(action));
        of_each.find(|treatment| matches!(treatment, Treatment::Mistakes(_)))
    };
    let row = action.row();
    let key = row.marks.iter().find_map(Mark::query_key);
    let others = Action::ALL.iter().map(|action| action.row()).filter(|other| {
        key.is_some() && other.level == row.level && other.marks.iter().find_map(Mark::query_key) == key
    });
    match mistaken(action) {
        Some(mistake) => mistake,
        None if others.map(|other| other.action).any(|other| mistaken(other).is_some()) => Treatment::Declines,
        // A store that declines to tell a configuration does not act by it.
        None => match row.access {
            Access::Read => Treatment::MayDecline,
            Access::Write => Treatment::Serves,
        },
    }
}
