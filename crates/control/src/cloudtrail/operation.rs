//! The operations that are served.

use super::refused::CloudTrailError;
use portcullis_s3::OperationAccess;

/// An operation of CloudTrail's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CloudTrailOperation {
    AddTags,
    CreateTrail,
    DeleteTrail,
    DescribeTrails,
    GetEventSelectors,
    GetInsightSelectors,
    GetTrail,
    GetTrailStatus,
    ListPublicKeys,
    ListTags,
    ListTrails,
    LookupEvents,
    PutEventSelectors,
    PutInsightSelectors,
    RemoveTags,
    StartLogging,
    StopLogging,
    UpdateTrail,
}

/// Whom an operation is open to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenTo {
    Anybody,
    Root,
}

/// The name of a call that names none of them.
pub const UNKNOWN: &str = "UnknownOperation";

impl CloudTrailOperation {
    /// All of them, by name.
    pub const ALL: [Self; 18] = [
        Self::AddTags,
        Self::CreateTrail,
        Self::DeleteTrail,
        Self::DescribeTrails,
        Self::GetEventSelectors,
        Self::GetInsightSelectors,
        Self::GetTrail,
        Self::GetTrailStatus,
        Self::ListPublicKeys,
        Self::ListTags,
        Self::ListTrails,
        Self::LookupEvents,
        Self::PutEventSelectors,
        Self::PutInsightSelectors,
        Self::RemoveTags,
        Self::StartLogging,
        Self::StopLogging,
        Self::UpdateTrail,
    ];

    /// The operation that `X-Amz-Target` names after its last dot: SDKs differ in what they write before it.
    pub fn of_target(target: &str) -> Result<Self, CloudTrailError> {
        let name = target.rsplit('.').next().unwrap_or_default();
        Self::ALL.into_iter().find(|operation| operation.name() == name).ok_or_else(CloudTrailError::unknown_operation)
    }

    /// The operation's name, which is its event's.
    pub fn name(self) -> &'static str {
        match self {
            Self::AddTags => "AddTags",
            Self::CreateTrail => "CreateTrail",
            Self::DeleteTrail => "DeleteTrail",
            Self::DescribeTrails => "DescribeTrails",
            Self::GetEventSelectors => "GetEventSelectors",
            Self::GetInsightSelectors => "GetInsightSelectors",
            Self::GetTrail => "GetTrail",
            Self::GetTrailStatus => "GetTrailStatus",
            Self::ListPublicKeys => "ListPublicKeys",
            Self::ListTags => "ListTags",
            Self::ListTrails => "ListTrails",
            Self::LookupEvents => "LookupEvents",
            Self::PutEventSelectors => "PutEventSelectors",
            Self::PutInsightSelectors => "PutInsightSelectors",
            Self::RemoveTags => "RemoveTags",
            Self::StartLogging => "StartLogging",
            Self::StopLogging => "StopLogging",
            Self::UpdateTrail => "UpdateTrail",
        }
    }

    /// Whether it changes anything.
    pub fn access(self) -> OperationAccess {
        match self {
            Self::DescribeTrails
            | Self::GetEventSelectors
            | Self::GetInsightSelectors
            | Self::GetTrail
            | Self::GetTrailStatus
            | Self::ListPublicKeys
            | Self::ListTags
            | Self::ListTrails
            | Self::LookupEvents => OperationAccess::Read,
            Self::AddTags
            | Self::CreateTrail
            | Self::DeleteTrail
            | Self::PutEventSelectors
            | Self::PutInsightSelectors
            | Self::RemoveTags
            | Self::StartLogging
            | Self::StopLogging
            | Self::UpdateTrail => OperationAccess::Write,
        }
    }

    /// The members that its body may have.
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Self::AddTags | Self::RemoveTags => &["ResourceId", "TagsList"],
            Self::CreateTrail => &[
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
            ],
            Self::DeleteTrail | Self::GetTrail | Self::StartLogging | Self::StopLogging => &["Name"],
            Self::GetTrailStatus => &["IncludeFiles", "Name"],
            Self::DescribeTrails => &["includeShadowTrails", "trailNameList"],
            Self::GetEventSelectors => &["TrailName"],
            Self::GetInsightSelectors => &["EventDataStore", "TrailName"],
            Self::ListPublicKeys => &["EndTime", "NextToken", "StartTime"],
            Self::ListTags => &["NextToken", "ResourceIdList"],
            Self::ListTrails => &["NextToken"],
            Self::LookupEvents => {
                &["EndTime", "EventCategory", "LookupAttributes", "MaxResults", "NextToken", "StartTime"]
            }
            Self::PutEventSelectors => &["AdvancedEventSelectors", "EventSelectors", "TrailName"],
            Self::PutInsightSelectors => &["EventDataStore", "InsightSelectors", "InsightsDestination", "TrailName"],
            Self::UpdateTrail => &[
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
            ],
        }
    }

    /// Whom it is open to; the events tell what everybody did, so they are root's.
    pub fn open_to(self) -> OpenTo {
        match (self, self.access()) {
            (Self::LookupEvents, _) | (_, OperationAccess::Write) => OpenTo::Root,
            (_, OperationAccess::Read) => OpenTo::Anybody,
        }
    }
}

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
            .filter(|operation| operation.open_to() == OpenTo::Anybody)
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
