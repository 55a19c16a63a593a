//! The managed policies that are there without being made: AWS's by their names there, and MinIO's three.

use crate::document::{PolicyDocument, PolicyKind};
use crate::fault::MalformedPolicy;

/// A managed policy that is part of Portcullis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagedPolicy {
    pub name: &'static str,
    /// The document, as it is told.
    pub text: &'static str,
    pub about: &'static str,
}

impl ManagedPolicy {
    /// Every one, in the alphabet's order.
    pub const ALL: &[Self] = &[
        Self {
            name: "AWSCloudTrail_ReadOnlyAccess",
            about: "read trails and their events",
            text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudtrail:Get*","cloudtrail:Describe*","cloudtrail:List*","cloudtrail:LookupEvents"],"Resource":"*"}]}"#,
        },
        Self {
            name: "AdministratorAccess",
            about: "everything",
            text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        },
        Self {
            name: "AmazonS3FullAccess",
            about: "everything in S3",
            text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]}"#,
        },
        Self {
            name: "AmazonS3ReadOnlyAccess",
            about: "read and list everything in S3",
            text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*","s3-object-lambda:Get*","s3-object-lambda:List*"],"Resource":"*"}]}"#,
        },
        Self {
            name: "IAMFullAccess",
            about: "everything in IAM",
            text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","organizations:DescribeAccount","organizations:DescribeOrganization","organizations:DescribeOrganizationalUnit","organizations:DescribePolicy","organizations:ListChildren","organizations:ListParents","organizations:ListPoliciesForTarget","organizations:ListRoots","organizations:ListPolicies","organizations:ListTargetsForPolicy"],"Resource":"*"}]}"#,
        },
        Self {
            name: "IAMReadOnlyAccess",
            about: "read everything in IAM",
            text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GenerateCredentialReport","iam:GenerateServiceLastAccessedDetails","iam:Get*","iam:List*","iam:SimulateCustomPolicy","iam:SimulatePrincipalPolicy"],"Resource":"*"}]}"#,
        },
        Self {
            name: "readonly",
            about: "read objects whose key is known; MinIO's policy of this name",
            text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject"],"Resource":"arn:aws:s3:::*"}]}"#,
        },
        Self {
            name: "readwrite",
            about: "everything in S3; MinIO's policy of this name",
            text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::*"}]}"#,
        },
        Self {
            name: "writeonly",
            about: "write objects; MinIO's policy of this name",
            text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::*"}]}"#,
        },
    ];

    /// The policy of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|policy| policy.name == name)
    }

    /// The document, understood.
    pub fn document(&self) -> Result<PolicyDocument, MalformedPolicy> {
        PolicyDocument::parse(self.text, PolicyKind::Managed)
    }
}
