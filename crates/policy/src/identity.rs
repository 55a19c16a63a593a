//! The policies of a user, ready to be asked about its requests.

use std::sync::Arc;

use crate::condition::ConditionKey;
use crate::decide::{ApplicablePolicies, NamedPolicy, PermissionLimit, PolicyDecision, ResourcePolicies, decide};
use crate::document::PolicyDocument;
use crate::principal::RequestPrincipal;
use crate::request::{AccessRequest, RequestValues};

/// What a principal of the account may do by its own policies, those of its groups, and its permissions boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityPolicies {
    principal: RequestPrincipal,
    /// What is the same for each request of the principal, of the keys that are looked at.
    values: RequestValues,
    policies: Vec<HeldPolicy>,
    boundary: Option<HeldPolicy>,
    keys: Vec<ConditionKey>,
}

/// A policy that a principal has, and how it is spoken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPolicy {
    pub name: Box<str>,
    pub document: Arc<PolicyDocument>,
}

impl IdentityPolicies {
    /// Takes all that limits the principal; `id` is IAM's unique id, which `aws:userid` has.
    pub fn new(principal: RequestPrincipal, id: &str, policies: Vec<HeldPolicy>, boundary: Option<HeldPolicy>) -> Self {
        let mut keys: Vec<ConditionKey> = Vec::new();
        for key in policies.iter().chain(&boundary).flat_map(|policy| policy.document.condition_keys()) {
            if !keys.iter().any(|known| known.is_same(key)) {
                keys.push(key.clone());
            }
        }
        let mut values = RequestValues::of_principal(&principal);
        values.set(ConditionKey::global("aws:userid"), [id.to_owned()]);
        let values = values.only(&keys);
        Self { principal, values, policies, boundary, keys }
    }

    /// Whose policies they are.
    pub fn principal(&self) -> &RequestPrincipal {
        &self.principal
    }

    /// What the principal says of the keys that are looked at, to which a request adds its own.
    pub fn values(&self) -> &RequestValues {
        &self.values
    }

    /// The keys whose values a decision looks at, each once: no other value needs to be known.
    pub fn condition_keys(&self) -> &[ConditionKey] {
        &self.keys
    }

    /// Decides on `s3:GetObject` on `arn:aws:s3:::vault/k`.
    pub fn decide(&self, action: &str, resource: &str, values: &RequestValues) -> PolicyDecision<'_> {
        let request = AccessRequest::new(&self.principal, action, resource, values);
        let boundary = match &self.boundary {
            None => PermissionLimit::None,
            Some(policy) => PermissionLimit::Within(vec![policy.named()]),
        };
        let policies = ApplicablePolicies {
            identity: self.policies.iter().map(HeldPolicy::named).collect(),
            boundary,
            session: PermissionLimit::None,
            resource: ResourcePolicies::None,
        };
        decide(&request, &policies)
    }
}

impl HeldPolicy {
    fn named(&self) -> NamedPolicy<'_> {
        NamedPolicy { name: &self.name, document: &self.document }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::PolicyKind;
    use portcullis_base::names::AccountId;

    fn held(name: &str, statements: &str) -> HeldPolicy {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
        let document = PolicyDocument::parse(&text, PolicyKind::Managed).expect("a policy of the test is one");
        HeldPolicy { name: name.into(), document: Arc::new(document) }
    }

    fn alice(policies: Vec<HeldPolicy>, boundary: Option<HeldPolicy>) -> IdentityPolicies {
        let account = AccountId::parse("123456789012").expect("twelve digits");
        IdentityPolicies::new(RequestPrincipal::user(account, "alice"), "AIDAALICE", policies, boundary)
    }

    #[test]
    fn every_key_that_a_decision_looks_at_is_told() {
        let own = held(
            "own",
            r#"[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::home/${aws:username}/*"},
                {"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::${aws:PrincipalTag/team, 'none'}",
                 "Condition":{"StringNotLike":{"S3:Prefix":["${aws:userid}/*","x"]},"Bool":{"aws:SecureTransport":"false"}}}]"#,
        );
        let boundary = held(
            "boundary",
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"*",
                "Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/${aws:username}-${aws:SourceIp}"}}}"#,
        );
        let user = alice(vec![own], Some(boundary));
        let mut keys: Vec<&str> = user.condition_keys().iter().map(ConditionKey::folded).collect();
        keys.sort_unstable();
        let expected = [
            "aws:principalarn",
            "aws:principaltag/team",
            "aws:securetransport",
            "aws:sourceip",
            "aws:userid",
            "aws:username",
            "s3:prefix",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_boundary_limits_and_grants_nothing() {
        let everything = || held("all", r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
        let reads = || held("reads", r#"{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}"#);
        let allows = |user: &IdentityPolicies, action| {
            matches!(user.decide(action, "arn:aws:s3:::b/k", &RequestValues::default()), PolicyDecision::Allow(_))
        };
        let limited = alice(vec![everything()], Some(reads()));
        assert!(allows(&limited, "s3:GetObject") && !allows(&limited, "s3:PutObject"));
        let nothing = alice(Vec::new(), Some(everything()));
        assert!(!allows(&nothing, "s3:GetObject"));
        assert!(allows(&alice(vec![reads()], None), "s3:GetObject"));
    }
}
