//! Whether the caller's policies allow a request. What they allow is still judged by the bucket's protection.

mod denial;
mod values;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_base::names::{AccountId, BucketName, VersionId};
use portcullis_policy::{ConditionKey, IdentityPolicies, PolicyDecision, PolicyRole, RequestPrincipal, RequestValues};
use portcullis_s3::{CopySource, ObjectIdentifier, PermissionScope, RequestDocument, RequiredPermission, S3Request};
use portcullis_sigv4::Principal;

pub use denial::{DenialCause, DenyingStatement, PolicyDenial};
pub use values::RequestCircumstances;

/// What a caller may do, as far as policies say.
#[derive(Clone, Debug)]
pub struct CallerRights(RightsOf);

#[derive(Clone, Debug)]
enum RightsOf {
    /// No policy is about root.
    Root,
    /// A user that is not known any more may do nothing.
    UnknownUser {
        arn: String,
    },
    User {
        policies: Arc<IdentityPolicies>,
        values: Box<RequestValues>,
    },
}

/// A request that its caller's policies allow.
// INVARIANT (allowed): made by `CallerRights::allow` alone, and nothing else becomes a permit.
#[derive(Debug)]
pub struct AllowedRequest {
    request: Box<S3Request>,
    withheld: Vec<WithheldEntry>,
    copied_tags: Option<Box<PolicyDenial>>,
}

/// An entry of `POST ?delete` that is not sent, since policies deny it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithheldEntry {
    /// Its place in the document, from 0.
    pub place: usize,
    pub entry: ObjectIdentifier,
    pub denial: PolicyDenial,
}

impl CallerRights {
    /// Puts together what is asked about this request. `policies` are those of the user, where the caller is one.
    pub fn of(
        principal: &Principal,
        policies: Option<Arc<IdentityPolicies>>,
        account: &AccountId,
        request: &S3Request,
        circumstances: &RequestCircumstances<'_>,
    ) -> Self {
        Self::with_values(principal, policies, account, |policies| {
            values::of(policies, account, request, circumstances)
        })
    }

    /// Puts together what is asked about a call of another service than S3.
    pub fn of_call(
        principal: &Principal,
        policies: Option<Arc<IdentityPolicies>>,
        account: &AccountId,
        circumstances: &RequestCircumstances<'_>,
    ) -> Self {
        Self::with_values(principal, policies, account, |policies| values::of_call(policies, account, circumstances))
    }

    fn with_values(
        principal: &Principal,
        policies: Option<Arc<IdentityPolicies>>,
        account: &AccountId,
        values: impl FnOnce(&IdentityPolicies) -> RequestValues,
    ) -> Self {
        Self(match (principal, policies) {
            (Principal::Root, _) => RightsOf::Root,
            (Principal::User(_), Some(policies)) => {
                let values = Box::new(values(&policies));
                RightsOf::User { policies, values }
            }
            (Principal::User(name), None) => {
                RightsOf::UnknownUser { arn: RequestPrincipal::user(account.clone(), name.as_str()).arn().to_owned() }
            }
        })
    }

    /// Those of root.
    pub fn root() -> Self {
        Self(RightsOf::Root)
    }

    /// Decides by the policies whether the request may be made.
    ///
    /// An entry of `POST ?delete` that is denied is left out and told apart. A copy whose caller may not copy tags becomes
    /// one without tags, so that none are copied whatever the source has by then.
    pub fn allow(&self, mut request: Box<S3Request>) -> Result<AllowedRequest, Box<PolicyDenial>> {
        if self.is_root() {
            return Ok(AllowedRequest { request, withheld: Vec::new(), copied_tags: None });
        }
        let required = request.required_permissions();
        if required.is_empty() {
            // No row but that of a request that is answered before it is authenticated needs nothing.
            return Err(self.not_allowed(Cow::Borrowed("s3:*"), "arn:aws:s3:::*"));
        }
        let (mut denied, mut copied_tags) = (BTreeMap::new(), None);
        for permission in &required {
            let Some(denial) = self.denial(&request, permission) else { continue };
            match permission.scope {
                PermissionScope::Request => return Err(denial),
                PermissionScope::Entry(place) => {
                    denied.entry(place).or_insert(*denial);
                }
                PermissionScope::TaggedSource => copied_tags = copied_tags.or(Some(denial)),
            }
        }
        let withheld = withhold(&mut request, denied);
        if copied_tags.is_some() {
            request.copy_without_tags();
        }
        Ok(AllowedRequest { request, withheld, copied_tags })
    }

    /// Why the caller may not be told that a key of this bucket is not there; none if it may list the bucket.
    pub fn hides_absence(&self, bucket: &BucketName) -> Option<Box<PolicyDenial>> {
        if self.is_root() {
            return None;
        }
        let resource = format!("arn:aws:s3:::{bucket}");
        self.decide(Cow::Borrowed("s3:ListBucket"), &resource, None)
    }

    /// Why the caller may not do this; none if it may: `iam:ListUsers`, `arn:aws:iam::123456789012:user/`.
    pub fn denies(&self, action: &str, resource: &str) -> Option<Box<PolicyDenial>> {
        self.decide(Cow::Owned(action.to_owned()), resource, None)
    }

    /// Whether policies are about the caller.
    pub fn is_root(&self) -> bool {
        match self.0 {
            RightsOf::Root => true,
            RightsOf::UnknownUser { .. } | RightsOf::User { .. } => false,
        }
    }

    fn denial(&self, request: &S3Request, permission: &RequiredPermission) -> Option<Box<PolicyDenial>> {
        self.decide(Cow::Borrowed(permission.action), &permission.resource, version_of(request, permission))
    }

    fn decide(
        &self,
        action: Cow<'static, str>,
        resource: &str,
        version: Option<&VersionId>,
    ) -> Option<Box<PolicyDenial>> {
        let (policies, values) = match &self.0 {
            RightsOf::Root => return None,
            RightsOf::UnknownUser { .. } => return Some(self.not_allowed(action, resource)),
            RightsOf::User { policies, values } => (policies, values),
        };
        // The base values have the version that the query names.
        let wants_version = |key: &&ConditionKey| key.folded() == "s3:versionid";
        let own = match (version, policies.condition_keys().iter().find(wants_version)) {
            (Some(version), Some(key)) => {
                let mut own = RequestValues::clone(values);
                own.set(key.clone(), [version.to_string()]);
                Some(own)
            }
            (_, _) => None,
        };
        let values = own.as_ref().unwrap_or(values);
        let decision = policies.decide(&action, resource, values);
        let cause = match decision {
            PolicyDecision::Allow(_) => return None,
            PolicyDecision::ExplicitDeny(statement) => DenialCause::Explicit(DenyingStatement::of(statement)),
            PolicyDecision::ImplicitDeny(role) => DenialCause::Implicit(role),
        };
        Some(Box::new(PolicyDenial {
            principal: policies.principal().arn().to_owned(),
            action,
            resource: resource.to_owned(),
            cause,
        }))
    }

    fn not_allowed(&self, action: Cow<'static, str>, resource: &str) -> Box<PolicyDenial> {
        let principal = match &self.0 {
            RightsOf::Root => String::new(),
            RightsOf::UnknownUser { arn } => arn.clone(),
            RightsOf::User { policies, .. } => policies.principal().arn().to_owned(),
        };
        let cause = DenialCause::Implicit(PolicyRole::Identity);
        Box::new(PolicyDenial { principal, action, resource: resource.to_owned(), cause })
    }
}

impl AllowedRequest {
    /// The request, without what policies withhold.
    pub fn request(&self) -> &S3Request {
        &self.request
    }

    /// The entries of `POST ?delete` that policies deny, in the order of the document.
    pub fn withheld(&self) -> &[WithheldEntry] {
        &self.withheld
    }

    /// The source whose tags the caller may not copy: if it has some, the copy is refused.
    pub fn source_without_tags(&self) -> Option<&CopySource> {
        self.copied_tags.as_ref().and(self.request.copy_source.as_ref())
    }

    /// Why a copy of a source that has tags is refused.
    pub fn refuse_tags(self) -> Result<Self, Box<PolicyDenial>> {
        match self.copied_tags {
            Some(denial) => Err(denial),
            None => Ok(self),
        }
    }

    pub(crate) fn into_parts(self) -> (Box<S3Request>, Vec<WithheldEntry>) {
        (self.request, self.withheld)
    }
}

/// The version that a permission is about, where the query does not name it.
fn version_of<'r>(request: &'r S3Request, permission: &RequiredPermission) -> Option<&'r VersionId> {
    match (permission.scope, &request.document) {
        (PermissionScope::Entry(place), RequestDocument::DeleteObjects(document)) => {
            document.objects.get(place).and_then(|entry| entry.version.as_ref())
        }
        (PermissionScope::Entry(_), _) => None,
        (PermissionScope::Request | PermissionScope::TaggedSource, _) => {
            let of_source = permission.action.starts_with("s3:GetObjectVersion");
            request.copy_source.as_ref().filter(|_| of_source).and_then(|source| source.version.as_ref())
        }
    }
}

/// Takes the denied entries out of the document, by their places in it.
fn withhold(request: &mut S3Request, mut denied: BTreeMap<usize, PolicyDenial>) -> Vec<WithheldEntry> {
    let RequestDocument::DeleteObjects(document) = &mut request.document else { return Vec::new() };
    if denied.is_empty() {
        return Vec::new();
    }
    let (mut left, mut withheld) = (Vec::new(), Vec::new());
    for (place, entry) in std::mem::take(&mut document.objects).into_iter().enumerate() {
        match denied.remove(&place) {
            Some(denial) => withheld.push(WithheldEntry { place, entry, denial }),
            None => left.push(entry),
        }
    }
    document.objects = left;
    withheld
}

#[cfg(test)]
mod tests;
