//! The keys that conditions and variables may name: those that AWS documents.
//!
//! A key that AWS documents and that no request here has is absent. Any other is refused when a policy is stored, since a
//! misspelt key would be absent as well, and a negated operator holds for what is absent.

use std::fmt;
use std::sync::Arc;

/// A key of a condition. Case does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionKey {
    text: Arc<str>,
    name: Arc<str>,
}

/// A text that is no key that a policy may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownConditionKey {
    pub(crate) text: String,
    pub(crate) fault: ConditionKeyFault,
}

/// Why a policy may not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConditionKeyFault {
    /// It is about the stored object, which is not looked at before a request is judged.
    StoredObject,
    Undocumented,
}

/// Keys of all services; one that ends with `/` is followed by a tag's key.
const GLOBAL: &[&str] = &[
    "aws:AssumedRoot",
    "aws:CalledVia",
    "aws:CalledViaAWSMCP",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:ChatbotSourceArn",
    "aws:CurrentTime",
    "aws:Ec2InstanceSourcePrivateIPv4",
    "aws:Ec2InstanceSourceVpc",
    "aws:EpochTime",
    "aws:FederatedProvider",
    "aws:IsMcpServiceAction",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalTag/",
    "aws:PrincipalType",
    "aws:Referer",
    "aws:RequestTag/",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:ResourceTag/",
    "aws:SecureTransport",
    "aws:SignInSessionArn",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceOwner",
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:TagKeys",
    "aws:TokenIssueTime",
    "aws:UserAgent",
    "aws:ViaAWSMCPService",
    "aws:ViaAWSService",
    "aws:VpcSourceIp",
    "aws:VpceAccount",
    "aws:VpceOrgID",
    "aws:VpceOrgPaths",
    "aws:userid",
    "aws:username",
];

const IDENTITY: &[&str] = &[
    "iam:AWSServiceName",
    "iam:AssociatedResourceArn",
    "iam:DelegationDuration",
    "iam:DelegationRequestOwner",
    "iam:FIDO-FIPS-140-2-certification",
    "iam:FIDO-FIPS-140-3-certification",
    "iam:FIDO-certification",
    "iam:NotificationChannel",
    "iam:OrganizationsPolicyId",
    "iam:PassedToService",
    "iam:PermissionsBoundary",
    "iam:PolicyARN",
    "iam:RegisterSecurityKey",
    "iam:ResourceTag/",
    "iam:ServiceSpecificCredentialAgeDays",
    "iam:ServiceSpecificCredentialServiceName",
    "iam:TemplateArn",
    "sts:AWSServiceName",
    "sts:DurationSeconds",
    "sts:ExternalId",
    "sts:IdentityTokenAudience",
    "sts:RequestContext/",
    "sts:RequestContextProviders",
    "sts:RoleSessionName",
    "sts:SigningAlgorithm",
    "sts:SourceIdentity",
    "sts:TaskPolicyArn",
    "sts:TransitiveTagKeys",
];

const STORAGE: &[&str] = &[
    "s3-object-lambda:TlsVersion",
    "s3-object-lambda:authType",
    "s3-object-lambda:signatureAge",
    "s3-object-lambda:versionid",
    "s3:AccessGrantsInstanceArn",
    "s3:AccessPointNetworkOrigin",
    "s3:AccessPointTag/",
    "s3:BucketTag/",
    "s3:DataAccessPointAccount",
    "s3:DataAccessPointArn",
    "s3:DestinationRegion",
    "s3:ExistingJobOperation",
    "s3:ExistingJobPriority",
    "s3:InventoryAccessibleOptionalFields",
    "s3:JobSuspendedCause",
    "s3:LocationConstraint",
    "s3:ObjectCreationOperation",
    "s3:RequestJobOperation",
    "s3:RequestJobPriority",
    "s3:RequestObjectTag/",
    "s3:RequestObjectTagKeys",
    "s3:ResourceAccount",
    "s3:TlsVersion",
    "s3:VersionId",
    "s3:accessGrantScope",
    "s3:accessGrantsLocationScope",
    "s3:authType",
    "s3:delimiter",
    "s3:if-match",
    "s3:if-none-match",
    "s3:isReplicationPauseRequest",
    "s3:max-keys",
    "s3:object-lock-legal-hold",
    "s3:object-lock-mode",
    "s3:object-lock-remaining-retention-days",
    "s3:object-lock-retain-until-date",
    "s3:prefix",
    "s3:signatureAge",
    "s3:signatureversion",
    "s3:x-amz-acl",
    "s3:x-amz-bucket-namespace",
    "s3:x-amz-content-sha256",
    "s3:x-amz-copy-source",
    "s3:x-amz-grant-full-control",
    "s3:x-amz-grant-read",
    "s3:x-amz-grant-read-acp",
    "s3:x-amz-grant-write",
    "s3:x-amz-grant-write-acp",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-object-ownership",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
    "s3:x-amz-storage-class",
    "s3:x-amz-website-redirect-location",
];

/// Keys about the object as it is stored.
const STORED: &str = "s3:ExistingObjectTag/";

/// What a token of an identity provider says, behind the provider's name: `login.example.com:sub`.
const CLAIMS: &[&str] = &["amr", "aud", "azp", "email", "groups", "oaud", "sub"];

impl ConditionKey {
    /// Reads a key that AWS documents.
    pub fn parse(text: &str) -> Result<Self, UnknownConditionKey> {
        let refused = |fault| Err(UnknownConditionKey { text: text.to_owned(), fault });
        if is_named(STORED, text) {
            return refused(ConditionKeyFault::StoredObject);
        }
        let is_known = [GLOBAL, IDENTITY, STORAGE].concat().iter().any(|known| is_named(known, text)) || is_claim(text);
        if !is_known {
            return refused(ConditionKeyFault::Undocumented);
        }
        Ok(Self { text: text.into(), name: text.to_lowercase().into() })
    }

    /// A key of the table above.
    pub(crate) fn global(name: &'static str) -> Self {
        Self { text: name.into(), name: name.to_lowercase().into() }
    }

    /// The key as it stands in the policy.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The key in lower case, by which it is looked up.
    pub fn folded(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

fn is_named(known: &str, text: &str) -> bool {
    if !known.ends_with('/') {
        return text.eq_ignore_ascii_case(known);
    }
    let tag = text.split_at_checked(known.len()).filter(|(start, _)| start.eq_ignore_ascii_case(known));
    tag.is_some_and(|(_, tag)| !tag.is_empty() && tag.chars().count() <= 128)
}

fn is_claim(text: &str) -> bool {
    let Some((provider, claim)) = text.rsplit_once(':') else { return false };
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '/' | ':');
    let is_provider =
        provider.split('/').next().is_some_and(|host| host.contains('.') || host.starts_with("localhost"));
    is_provider && provider.chars().all(legal) && CLAIMS.contains(&claim)
}

impl fmt::Display for UnknownConditionKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, fault } = self;
        match fault {
            ConditionKeyFault::StoredObject => {
                write!(out, "condition key `{text}` is about the stored object, which Portcullis does not look at")
            }
            ConditionKeyFault::Undocumented => write!(out, "condition key `{text}` is not one that AWS documents"),
        }
    }
}
