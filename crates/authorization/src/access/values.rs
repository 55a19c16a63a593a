//! The values of condition keys, from the typed request and from what is known of how it came.
//!
//! No header of a client becomes a value by its name alone: each key is in the table below, with where its value is from.

use std::net::IpAddr;

use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccountId;
use portcullis_http::{RequestHead, Transport};
use portcullis_policy::{IdentityPolicies, RequestValues};
use portcullis_s3::S3Request;
use portcullis_sigv4::{ALGORITHM, SessionFacts, SessionMfa, SignatureForm, SigningCredentials};

/// How a request came, as far as conditions look at it.
#[derive(Clone, Copy, Debug)]
pub struct RequestCircumstances<'a> {
    pub head: &'a RequestHead,
    pub form: SignatureForm,
    pub credentials: SigningCredentials,
    pub signed_at: Timestamp,
    pub now: Timestamp,
    /// The proxy's region.
    pub region: &'a str,
    /// `1.3`, of a connection whose TLS ends here.
    pub tls_version: Option<&'a str>,
}

/// The values of the keys that these policies look at.
pub(super) fn of(
    policies: &IdentityPolicies,
    account: &AccountId,
    request: &S3Request,
    circumstances: &RequestCircumstances<'_>,
) -> RequestValues {
    gather(policies, |name| match name {
        "aws:resourceaccount" | "s3:resourceaccount" => vec![account.to_string()],
        _ => circumstances.value(name).map_or_else(|| of_request(name, request), |value| vec![value]),
    })
}

/// The values of the keys that these policies look at, of a call that is not to S3.
pub(super) fn of_call(
    policies: &IdentityPolicies,
    account: &AccountId,
    circumstances: &RequestCircumstances<'_>,
) -> RequestValues {
    gather(policies, |name| match name {
        "aws:resourceaccount" => vec![account.to_string()],
        _ if name.starts_with("aws:") => circumstances.value(name).into_iter().collect(),
        _ => Vec::new(),
    })
}

/// What is known of the user, and of the keys that these policies look at. `find` takes a key's name in lower case; a key
/// for which it finds nothing is absent.
fn gather(policies: &IdentityPolicies, find: impl Fn(&str) -> Vec<String>) -> RequestValues {
    let mut values = policies.values().clone();
    for key in policies.condition_keys() {
        let found = find(key.folded());
        if !found.is_empty() {
            values.set(key.clone(), found);
        }
    }
    values
}

impl RequestCircumstances<'_> {
    /// The session that signs; an access key has none of the keys that tell of one.
    fn session(&self) -> Option<SessionFacts> {
        match self.credentials {
            SigningCredentials::LongTerm => None,
            SigningCredentials::Session(facts) => Some(facts),
        }
    }

    /// The value of a key that does not depend on the operation.
    fn value(&self, key: &str) -> Option<String> {
        let header = |name: &str| self.head.headers.value(name).map(str::to_owned);
        let flag = |is_so: bool| Some(is_so.to_string());
        match key {
            "aws:currenttime" => Some(self.now.iso_extended()),
            "aws:epochtime" => Some(self.now.seconds().to_string()),
            "aws:multifactorauthage" => self.session().and_then(|session| match session.mfa {
                SessionMfa::Absent => None,
                SessionMfa::Present => Some(self.now.seconds().saturating_sub(session.issued.seconds()).to_string()),
            }),
            "aws:multifactorauthpresent" => self.session().and_then(|session| flag(session.mfa == SessionMfa::Present)),
            "aws:principalisawsservice" | "aws:viaawsservice" => flag(false),
            "aws:referer" => header("referer"),
            "aws:requestedregion" => Some(self.region.to_owned()),
            "aws:securetransport" => flag(self.head.peer.transport == Transport::Tls),
            "aws:sourceip" => Some(address(self.head.peer.address.ip()).to_string()),
            "aws:tokenissuetime" => self.session().map(|session| session.issued.iso_extended()),
            "aws:useragent" => header("user-agent"),
            "s3:authtype" => Some(match self.form {
                SignatureForm::AuthHeader => "REST-HEADER".to_owned(),
                SignatureForm::QueryString => "REST-QUERY-STRING".to_owned(),
            }),
            "s3:signatureage" => Some(self.now.millis().saturating_sub(self.signed_at.millis()).max(0).to_string()),
            "s3:signatureversion" => Some(ALGORITHM.to_owned()),
            "s3:tlsversion" => self.tls_version.map(str::to_owned),
            "s3:x-amz-content-sha256" => header("x-amz-content-sha256"),
            _ => None,
        }
    }
}

/// The values of a key that the operation's own parts have.
fn of_request(key: &str, request: &S3Request) -> Vec<String> {
    if let Some(wanted) = key.strip_prefix("s3:requestobjecttag/") {
        let tags = request.object_tags();
        return tags.into_iter().filter(|(tag, _)| tag.to_lowercase() == wanted).map(|(_, value)| value).collect();
    }
    let one = |value: Option<String>| value.into_iter().collect();
    match key {
        "s3:delimiter" | "s3:max-keys" | "s3:prefix" => {
            one(key.strip_prefix("s3:").and_then(|name| query(request, name)))
        }
        "s3:if-match"
        | "s3:if-none-match"
        | "s3:x-amz-acl"
        | "s3:x-amz-grant-full-control"
        | "s3:x-amz-grant-read"
        | "s3:x-amz-grant-read-acp"
        | "s3:x-amz-grant-write"
        | "s3:x-amz-grant-write-acp"
        | "s3:x-amz-metadata-directive"
        | "s3:x-amz-object-ownership"
        | "s3:x-amz-server-side-encryption"
        | "s3:x-amz-server-side-encryption-aws-kms-key-id"
        | "s3:x-amz-server-side-encryption-customer-algorithm"
        | "s3:x-amz-storage-class"
        | "s3:x-amz-website-redirect-location" => one(key.strip_prefix("s3:").and_then(|name| header(request, name))),
        "s3:locationconstraint" => one(request.element_text("LocationConstraint")),
        "s3:object-lock-legal-hold" => one(header(request, "x-amz-object-lock-legal-hold").or_else(|| hold(request))),
        "s3:object-lock-mode" => {
            one(header(request, "x-amz-object-lock-mode").or_else(|| request.element_text("Mode")))
        }
        "s3:object-lock-retain-until-date" => {
            one(header(request, "x-amz-object-lock-retain-until-date")
                .or_else(|| request.element_text("RetainUntilDate")))
        }
        "s3:requestobjecttagkeys" => request.object_tags().into_iter().map(|(tag, _)| tag).collect(),
        "s3:versionid" => one(request.version.as_ref().map(ToString::to_string)),
        "s3:x-amz-copy-source" => {
            one(request.copy_source.as_ref().map(|source| format!("{}/{}", source.bucket, source.key)))
        }
        _ => Vec::new(),
    }
}

fn query(request: &S3Request, name: &str) -> Option<String> {
    request.query.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
}

fn header(request: &S3Request, name: &str) -> Option<String> {
    let (_, value) = request.headers.iter().find(|(header, _)| header == name)?;
    value.to_str().ok().map(str::to_owned)
}

/// `Status` of a legal hold; other documents have a `Status` as well.
fn hold(request: &S3Request) -> Option<String> {
    let is_hold = request.action == portcullis_s3::S3Operation::PutObjectLegalHold;
    is_hold.then(|| request.element_text("Status")).flatten()
}

/// An IPv4 address that came over an IPv6 socket is one of IPv4.
fn address(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
