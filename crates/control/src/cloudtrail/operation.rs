//! The operations that are served. What changes a trail and what reads are two types, so that neither can stand where
//! the other is meant.

use super::refused::CloudTrailError;
use portcullis_s3::OperationAccess;

/// An operation of CloudTrail's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloudTrailOperation {
    Change(ChangeOperation),
    Read(ReadOperation),
}

/// An operation that changes a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeOperation {
    AddTags,
    CreateTrail,
    DeleteTrail,
    PutEventSelectors,
    PutInsightSelectors,
    RemoveTags,
    StartLogging,
    StopLogging,
    UpdateTrail,
}

/// An operation that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReadOperation {
    DescribeTrails,
    GetEventSelectors,
    GetInsightSelectors,
    GetTrail,
    GetTrailStatus,
    ListPublicKeys,
    ListTags,
    ListTrails,
    LookupEvents,
}

/// Whom an operation is open to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallAudience {
    /// Root, and users whose policies allow it.
    AllowedUsers,
    Anybody,
    Root,
}

/// The name of a call that names none of them.
pub const UNKNOWN: &str = "UnknownOperation";

impl CloudTrailOperation {
    /// All of them, by name.
    pub const ALL: [Self; 18] = [
        Self::Change(ChangeOperation::AddTags),
        Self::Change(ChangeOperation::CreateTrail),
        Self::Change(ChangeOperation::DeleteTrail),
        Self::Read(ReadOperation::DescribeTrails),
        Self::Read(ReadOperation::GetEventSelectors),
        Self::Read(ReadOperation::GetInsightSelectors),
        Self::Read(ReadOperation::GetTrail),
        Self::Read(ReadOperation::GetTrailStatus),
        Self::Read(ReadOperation::ListPublicKeys),
        Self::Read(ReadOperation::ListTags),
        Self::Read(ReadOperation::ListTrails),
        Self::Read(ReadOperation::LookupEvents),
        Self::Change(ChangeOperation::PutEventSelectors),
        Self::Change(ChangeOperation::PutInsightSelectors),
        Self::Change(ChangeOperation::RemoveTags),
        Self::Change(ChangeOperation::StartLogging),
        Self::Change(ChangeOperation::StopLogging),
        Self::Change(ChangeOperation::UpdateTrail),
    ];

    /// The operation that `X-Amz-Target` names after its last dot: SDKs differ in what they write before it.
    pub fn of_target(target: &str) -> Result<Self, CloudTrailError> {
        let name = target.rsplit('.').next().unwrap_or_default();
        Self::ALL.into_iter().find(|operation| operation.name() == name).ok_or_else(CloudTrailError::unknown_operation)
    }

    /// The operation's name, which is its event's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Change(ChangeOperation::AddTags) => "AddTags",
            Self::Change(ChangeOperation::CreateTrail) => "CreateTrail",
            Self::Change(ChangeOperation::DeleteTrail) => "DeleteTrail",
            Self::Read(ReadOperation::DescribeTrails) => "DescribeTrails",
            Self::Read(ReadOperation::GetEventSelectors) => "GetEventSelectors",
            Self::Read(ReadOperation::GetInsightSelectors) => "GetInsightSelectors",
            Self::Read(ReadOperation::GetTrail) => "GetTrail",
            Self::Read(ReadOperation::GetTrailStatus) => "GetTrailStatus",
            Self::Read(ReadOperation::ListPublicKeys) => "ListPublicKeys",
            Self::Read(ReadOperation::ListTags) => "ListTags",
            Self::Read(ReadOperation::ListTrails) => "ListTrails",
            Self::Read(ReadOperation::LookupEvents) => "LookupEvents",
            Self::Change(ChangeOperation::PutEventSelectors) => "PutEventSelectors",
            Self::Change(ChangeOperation::PutInsightSelectors) => "PutInsightSelectors",
            Self::Change(ChangeOperation::RemoveTags) => "RemoveTags",
            Self::Change(ChangeOperation::StartLogging) => "StartLogging",
            Self::Change(ChangeOperation::StopLogging) => "StopLogging",
            Self::Change(ChangeOperation::UpdateTrail) => "UpdateTrail",
        }
    }

    /// Whether it changes anything.
    pub fn access(self) -> OperationAccess {
        match self {
            Self::Change(_) => OperationAccess::Write,
            Self::Read(_) => OperationAccess::Read,
        }
    }

    /// The members that its body may have.
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Self::Change(ChangeOperation::AddTags | ChangeOperation::RemoveTags) => &["ResourceId", "TagsList"],
            Self::Change(ChangeOperation::CreateTrail) => &CREATE_TRAIL,
            Self::Change(
                ChangeOperation::DeleteTrail | ChangeOperation::StartLogging | ChangeOperation::StopLogging,
            )
            | Self::Read(ReadOperation::GetTrail) => &["Name"],
            Self::Read(ReadOperation::GetTrailStatus) => &["IncludeFiles", "Name"],
            Self::Read(ReadOperation::DescribeTrails) => &["includeShadowTrails", "trailNameList"],
            Self::Read(ReadOperation::GetEventSelectors) => &["TrailName"],
            Self::Read(ReadOperation::GetInsightSelectors) => &["EventDataStore", "TrailName"],
            Self::Read(ReadOperation::ListPublicKeys) => &["EndTime", "NextToken", "StartTime"],
            Self::Read(ReadOperation::ListTags) => &["NextToken", "ResourceIdList"],
            Self::Read(ReadOperation::ListTrails) => &["NextToken"],
            Self::Read(ReadOperation::LookupEvents) => {
                &["EndTime", "EventCategory", "LookupAttributes", "MaxResults", "NextToken", "StartTime"]
            }
            Self::Change(ChangeOperation::PutEventSelectors) => {
                &["AdvancedEventSelectors", "EventSelectors", "TrailName"]
            }
            Self::Change(ChangeOperation::PutInsightSelectors) => {
                &["EventDataStore", "InsightSelectors", "InsightsDestination", "TrailName"]
            }
            Self::Change(ChangeOperation::UpdateTrail) => {
                let [shared @ .., _tags] = &CREATE_TRAIL;
                shared
            }
        }
    }

    /// Whom it is open to; the events tell what everybody did, so they are for auditors.
    pub fn open_to(self) -> CallAudience {
        match self {
            Self::Change(_) => CallAudience::Root,
            Self::Read(ReadOperation::LookupEvents) => CallAudience::AllowedUsers,
            Self::Read(_) => CallAudience::Anybody,
        }
    }
}

/// The members of CreateTrail. UpdateTrail has all but the last: tags are changed by operations of their own.
const CREATE_TRAIL: [&str; 14] = [
    "CloudWatchLogsLogGroupArn",
    "CloudWatchLogsRoleArn",
    "DigestPeriodSeconds",
    "EnableLogFileValidation",
    "IncludeGlobalServiceEvents",
    "IsMultiRegionTrail",
    "IsOrganizationTrail",
    "KmsKeyId",
    "Name",
    "RecursiveLogging",
    "S3BucketName",
    "S3KeyPrefix",
    "SnsTopicName",
    "TagsList",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_what_stands_after_the_last_dot() {
        for operation in CloudTrailOperation::ALL {
            for before in ["com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.", "CloudTrail_20131101.", ""] {
                let target = format!("{before}{}", operation.name());
                assert_eq!(CloudTrailOperation::of_target(&target).ok(), Some(operation), "{target}");
            }
        }
        for unknown in ["", ".", "CreateTrail.", "CloudTrail_20131101.createTrail", "CloudTrail_20131101.StartQuery"] {
            assert!(CloudTrailOperation::of_target(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn what_changes_something_and_what_tells_of_others_is_roots() {
        let open: Vec<&str> = CloudTrailOperation::ALL
            .into_iter()
            .filter(|operation| operation.open_to() == CallAudience::Anybody)
            .map(CloudTrailOperation::name)
            .collect();
        let reads = [
            "DescribeTrails",
            "GetEventSelectors",
            "GetInsightSelectors",
            "GetTrail",
            "GetTrailStatus",
            "ListPublicKeys",
            "ListTags",
            "ListTrails",
        ];
        assert_eq!(open, reads);
        assert!(CloudTrailOperation::ALL.is_sorted_by_key(|operation| operation.name()));
    }
}
