//! Who signed a request: SigV4, verified on what the wire stage read and on nothing else.

mod body;
mod canonical;
mod checksum;
mod chunked;
mod claim;
mod intake;
mod keyring;
mod payload;
mod rejected;
mod session;
mod upstream_key;
mod verify;

#[cfg(test)]
mod fixture;

pub use body::{DeclaredChecksums, PayloadFault};
pub use canonical::{
    ALGORITHM, CredentialScope, EMPTY_SHA256, Signature, SigningKey, UNSIGNED_PAYLOAD, canonical_path, canonical_query,
    canonical_request, string_to_sign,
};
pub use checksum::{Checksum, ChecksumAlgorithm, RunningChecksum, TrailingChecksum};
pub use intake::PayloadVerifier;
pub use keyring::{KeyStatus, Keyring, KeyringKey};
pub use payload::{ChunkChain, ChunkSigning, ChunkedPayload, PayloadMode};
pub use rejected::{ClaimFault, SignatureFault, SignatureRejection};
pub use session::{SessionClaims, SessionFacts, SessionMfa, SessionOpener, SigningCredentials};
pub use upstream_key::{DailyKey, UpstreamKey};
pub use verify::{UnverifiedCall, VerifiedRequest, claimed_service, verify};

use portcullis_base::names::UserName;
use portcullis_base::setting::WordSetting;
use portcullis_http::Transport;

/// Whose key signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// The account's root user with a long-term key: the only one whose MFA device counts.
    Root,
    /// A user of the account.
    User(UserName),
}

/// Where the signature travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureForm {
    /// In the `Authorization` header.
    AuthHeader,
    /// In the query of a presigned URL.
    QueryString,
}

/// What the credential's scope says the request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AwsService {
    CloudTrail,
    Ec2,
    Iam,
    Kms,
    Logs,
    Organizations,
    S3,
    Sns,
    Sts,
}

impl AwsService {
    /// Every service there is a name for.
    pub const ALL: [Self; 9] = [
        Self::CloudTrail,
        Self::Ec2,
        Self::Iam,
        Self::Kms,
        Self::Logs,
        Self::Organizations,
        Self::S3,
        Self::Sns,
        Self::Sts,
    ];

    /// The service as a credential's scope writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudTrail => "cloudtrail",
            Self::Ec2 => "ec2",
            Self::Iam => "iam",
            Self::Kms => "kms",
            Self::Logs => "logs",
            Self::Organizations => "organizations",
            Self::S3 => "s3",
            Self::Sns => "sns",
            Self::Sts => "sts",
        }
    }
}

/// The region, the services and the payloads whose signatures count at one door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedScope {
    pub region: String,
    pub services: &'static [AwsService],
    pub unsigned_payload: UnsignedPayload,
}

/// `listen.unsigned_payload`: over which transports a payload may come that its signature does not cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnsignedPayload {
    /// In plain HTTP from other machines too, where a hop can change it unseen.
    Anywhere,
    /// Over TLS, and from this machine.
    Tls,
}

impl WordSetting for UnsignedPayload {
    const WORDS: &'static [(&'static str, Self)] = &[("tls", Self::Tls), ("anywhere", Self::Anywhere)];
}

impl UnsignedPayload {
    /// Whether a payload that its signature does not cover is taken over a transport.
    pub fn is_taken_over(self, transport: Transport) -> bool {
        match (self, transport) {
            (Self::Anywhere, _) | (Self::Tls, Transport::AdminSocket | Transport::Loopback | Transport::Tls) => true,
            (Self::Tls, Transport::Plain) => false,
        }
    }
}
