//! The decision.

use portcullis_base::clock::Timestamp;
use portcullis_base::setting::WordSetting;
use portcullis_http::Transport;
use portcullis_mfa::{Challenge, MfaToken, Proof, TokenCodes};
use portcullis_s3::{
    Hazard, MfaDeleteChange, OperationAccess, ReplicationRule, S3Request, VersioningChange, VersioningStatus,
};
use portcullis_sigv4::{Principal, SignatureForm};

use super::access::AllowedRequest;
use super::permit::{JudgedAction, Verdict};
use super::verdict::{PendingRequest, PendingStage, PermittedRequest, Refusal, RequestPermit, StateChange};
use super::{
    BucketLifecycle, BucketState, BucketUse, MfaDelete, NameStatus, UploadCompletion, UpstreamIdentity, Versioning,
};

/// Who asks, and how the asking travelled.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    pub form: SignatureForm,
    pub transport: Transport,
    /// As whom the principal acts at the upstream.
    pub upstream: UpstreamIdentity,
}

impl Caller {
    /// Root on the admin socket. Access to the socket stands for a signature, and no URL can be passed on that opens it.
    pub fn operator() -> Self {
        Self {
            principal: Principal::Root,
            form: SignatureForm::AuthHeader,
            transport: Transport::AdminSocket,
            upstream: UpstreamIdentity::Own,
        }
    }

    /// Whether codes and other secrets may travel as this request did.
    pub fn is_confidential(&self, rules: Rules) -> bool {
        match (self.transport, rules.loopback_is_secure) {
            (Transport::AdminSocket | Transport::Tls, _) | (Transport::Loopback, LoopbackTrust::Trusted) => true,
            (Transport::Plain, _) | (Transport::Loopback, LoopbackTrust::TlsOnly) => false,
        }
    }
}

/// What the operator chose where AWS's behaviour and safety differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub profile: MfaProfile,
    pub replication: ReplicationRule,
    /// The transports over which a code is taken.
    pub loopback_is_secure: LoopbackTrust,
}

/// `mfa_delete.profile`: how much needs a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MfaProfile {
    /// As AWS: versions by id, versioning, lifecycle.
    Aws,
    /// Every operation that destroys a version or weakens its protection.
    Strict,
}

/// `mfa.require_tls`: over which transports a code is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoopbackTrust {
    /// A code is taken over TLS alone.
    TlsOnly,
    /// A code may also come from this machine in the clear.
    Trusted,
}

impl WordSetting for MfaProfile {
    const WORDS: &'static [(&'static str, Self)] = &[("strict", Self::Strict), ("aws", Self::Aws)];
}

impl WordSetting for LoopbackTrust {
    const WORDS: &'static [(&'static str, Self)] = &[("network", Self::Trusted), ("always", Self::TlsOnly)];
}

/// What a hazard needs in a bucket of this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HazardNeed {
    Nothing,
    /// Root, without a code.
    Owner,
    /// Root and a code.
    Code(CodeObligation),
    Never(StateRefusal),
}

/// What stands between a right code and the permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeObligation {
    Code,
    /// AWS looks at the bucket's state after the code.
    CodeThen(StateRefusal),
}

/// Refusals because of the bucket, for every principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateRefusal {
    ExclusionsPresent,
    LifecycleOnProtectedBucket,
    LifecyclePresent,
    NoSuchBucket,
    NotVersioned,
    Unsettled(Timestamp),
}

/// Judges one request. Every combination has an answer; `tests.rs` holds the whole table.
pub fn assess(
    allowed: AllowedRequest,
    caller: &Caller,
    bucket: BucketState,
    offer: MfaToken,
    rules: Rules,
) -> Verdict<PermittedRequest> {
    let offer = match offer {
        MfaToken::Malformed(header) => return Verdict::Refuse(Refusal::MalformedOffer(header)),
        MfaToken::Absent => None,
        MfaToken::Codes(codes) => Some(codes),
    };
    let request = allowed.request();
    if is_reserved(request, &caller.principal, bucket) {
        return Verdict::Refuse(Refusal::TrailBucket);
    }
    let change = change(&request.hazard, bucket, rules.profile);
    match need(request, bucket, offer.is_some(), rules) {
        HazardNeed::Nothing => Verdict::Permit(RequestPermit::of(allowed, change, bucket.mfa_delete, caller)),
        HazardNeed::Never(refusal) => Verdict::Refuse(refusal.into()),
        HazardNeed::Owner => match caller.principal {
            Principal::Root => Verdict::Permit(RequestPermit::of(allowed, change, bucket.mfa_delete, caller)),
            Principal::User(_) => Verdict::Refuse(Refusal::NotBucketOwner),
        },
        HazardNeed::Code(owed) => match takes_code(caller, offer, rules) {
            Ok(offer) => {
                let mfa_delete = bucket.mfa_delete;
                Verdict::Mfa(Challenge::new(
                    offer,
                    PendingRequest { allowed, stage: PendingStage::Judged { owed, change, mfa_delete } },
                ))
            }
            // The general text would not tell the client that there is a way without a code.
            Err(Refusal::MfaRequired) if bucket.completion == UploadCompletion::MayReplaceNull => {
                Verdict::Refuse(Refusal::UploadMayReplaceVersion)
            }
            Err(refusal) => Verdict::Refuse(refusal),
        },
    }
}

/// The challenge of a request whose code is looked at whatever the upstream says, as `foresee` told.
pub fn challenge_early(codes: TokenCodes, allowed: AllowedRequest) -> Challenge<PendingRequest> {
    Challenge::new(codes, PendingRequest { allowed, stage: PendingStage::Foreseen })
}

/// Judges a request whose code is spent. Where that was foreseen, `bucket` is the state under the lease; else the request
/// was judged by it already.
pub fn assess_proved(
    proof: Proof<PendingRequest>,
    caller: &Caller,
    bucket: BucketState,
    rules: Rules,
) -> JudgedAction<PermittedRequest> {
    let PendingRequest { allowed, stage } = proof.into_subject();
    match stage {
        PendingStage::Foreseen => {}
        PendingStage::Judged { owed: CodeObligation::Code, change, mfa_delete } => {
            return JudgedAction::Proved(Ok(RequestPermit::of(allowed, change, mfa_delete, caller)));
        }
        PendingStage::Judged { owed: CodeObligation::CodeThen(refusal), .. } => {
            return JudgedAction::Proved(Err(refusal.into()));
        }
    }
    let request = allowed.request();
    if is_reserved(request, &caller.principal, bucket) {
        return JudgedAction::Refused(Refusal::TrailBucket);
    }
    let needed = need(request, bucket, true, rules);
    let change = change(&request.hazard, bucket, rules.profile);
    let permit = RequestPermit::of(allowed, change, bucket.mfa_delete, caller);
    match needed {
        HazardNeed::Nothing => JudgedAction::Permitted(permit),
        HazardNeed::Never(refusal) => JudgedAction::Refused(refusal.into()),
        HazardNeed::Owner => match caller.principal {
            Principal::Root => JudgedAction::Permitted(permit),
            Principal::User(_) => JudgedAction::Refused(Refusal::NotBucketOwner),
        },
        HazardNeed::Code(owed) => match (looks_at_codes(caller, true, rules), owed) {
            (Err(refusal), _) => JudgedAction::Refused(refusal),
            (Ok(()), CodeObligation::Code) => JudgedAction::Proved(Ok(permit)),
            (Ok(()), CodeObligation::CodeThen(refusal)) => JudgedAction::Proved(Err(refusal.into())),
        },
    }
}

/// What is certain of a verdict before the upstream is asked and before a lease is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyVerdict {
    /// The offered code is checked, independent of the bucket's state at the upstream.
    Code,
    /// Nothing stands in the way, or it depends on what the upstream says.
    Open,
    /// It is refused, independent of the bucket's state at the upstream.
    Refusal,
}

/// Judges one request by what is remembered of the bucket alone.
pub fn foresee(
    request: &S3Request,
    caller: &Caller,
    bucket: BucketState,
    offer: &MfaToken,
    rules: Rules,
) -> EarlyVerdict {
    let offered = match offer {
        MfaToken::Malformed(_) => return EarlyVerdict::Refusal,
        MfaToken::Absent => false,
        MfaToken::Codes(_) => true,
    };
    if is_reserved(request, &caller.principal, bucket) {
        return EarlyVerdict::Refusal;
    }
    // The most harmless that the upstream could say, so that what is refused here is refused in any case.
    let harmless = BucketState { versioning: Versioning::Enabled, lifecycle: BucketLifecycle::Absent, ..bucket };
    match (need(request, harmless, offered, rules), &caller.principal) {
        (HazardNeed::Nothing, _) | (HazardNeed::Owner, Principal::Root) => EarlyVerdict::Open,
        (HazardNeed::Never(_), _) | (HazardNeed::Owner, Principal::User(_)) => EarlyVerdict::Refusal,
        (HazardNeed::Code(_), _) => match looks_at_codes(caller, offered, rules) {
            Ok(()) => EarlyVerdict::Code,
            Err(_) => EarlyVerdict::Refusal,
        },
    }
}

/// Whether a trail's bucket is asked for what it is not there for: root reads it and sets its versioning, by
/// the rules of every bucket, and all else is refused. A copy reads its source, and a configuration that has the
/// store write logs, replicas or reports somewhere writes there.
fn is_reserved(request: &S3Request, principal: &Principal, bucket: BucketState) -> bool {
    let is_root = match principal {
        Principal::Root => true,
        Principal::User(_) => false,
    };
    let serves_root = match (request.action.row().access, request.hazard) {
        (OperationAccess::Read, _) | (OperationAccess::Write, Hazard::ChangesVersioning(_)) => true,
        (
            OperationAccess::Write,
            Hazard::CreatesBucket
            | Hazard::DeletesBucket
            | Hazard::DestroysVersion
            | Hazard::ExpiresVersions
            | Hazard::ExposesData
            | Hazard::None
            | Hazard::OpensUpload
            | Hazard::ReplacesNullVersion
            | Hazard::ReplacesUnversioned
            | Hazard::Replicates
            | Hazard::WeakensProtection,
        ) => false,
    };
    match (bucket.usage, bucket.source, bucket.destination) {
        // The upstream would write into the trail bucket on the caller's behalf.
        (_, _, BucketUse::Trail) => true,
        (BucketUse::Trail, _, BucketUse::Data) if !serves_root => true,
        (BucketUse::Trail, _, BucketUse::Data) | (_, BucketUse::Trail, BucketUse::Data) => !is_root,
        (BucketUse::Data, BucketUse::Data, BucketUse::Data) => false,
    }
}

/// Whether this caller's token is checked. Root comes before the code, so that no other principal can
/// spend or probe root's codes; a presigned URL never carries a second factor.
pub(crate) fn takes_code(caller: &Caller, offer: Option<TokenCodes>, rules: Rules) -> Result<TokenCodes, Refusal> {
    looks_at_codes(caller, offer.is_some(), rules)?;
    offer.ok_or(Refusal::MfaRequired)
}

fn looks_at_codes(caller: &Caller, offered: bool, rules: Rules) -> Result<(), Refusal> {
    match (caller.form, offered) {
        (SignatureForm::QueryString, _) | (SignatureForm::AuthHeader, false) => return Err(Refusal::MfaRequired),
        (SignatureForm::AuthHeader, true) => {}
    }
    match caller.principal {
        Principal::Root => {}
        Principal::User(_) => return Err(Refusal::NotBucketOwner),
    }
    if caller.is_confidential(rules) { Ok(()) } else { Err(Refusal::InsecureTransport) }
}

fn need(request: &S3Request, bucket: BucketState, offered: bool, rules: Rules) -> HazardNeed {
    let protected = bucket.mfa_delete == MfaDelete::Enabled;
    let strict = rules.profile == MfaProfile::Strict;
    let code_if =
        |condition: bool| if condition { HazardNeed::Code(CodeObligation::Code) } else { HazardNeed::Nothing };
    // AWS fails a whole DeleteObjects whose offer is invalid, "whether there are versioned object keys or not".
    let evaluates_any_offer = request.is_delete_objects() && offered;
    match request.hazard {
        Hazard::None | Hazard::OpensUpload => code_if(protected && evaluates_any_offer),
        Hazard::DestroysVersion => code_if(protected),
        Hazard::ReplacesNullVersion => {
            code_if(protected && (evaluates_any_offer || strict && may_replace_null(bucket)))
        }
        Hazard::ReplacesUnversioned => code_if(protected && (evaluates_any_offer || strict)),
        Hazard::ChangesVersioning(document) => versioning_need(document, bucket),
        Hazard::ExpiresVersions if protected => HazardNeed::Never(StateRefusal::LifecycleOnProtectedBucket),
        Hazard::ExpiresVersions => HazardNeed::Nothing,
        Hazard::CreatesBucket => code_if(strict && (protected || bucket.name == NameStatus::Tombstoned)),
        Hazard::DeletesBucket | Hazard::WeakensProtection => code_if(strict && protected),
        Hazard::ExposesData if strict && protected => HazardNeed::Owner,
        Hazard::ExposesData => HazardNeed::Nothing,
        Hazard::Replicates => match rules.replication {
            ReplicationRule::AnyBucket => code_if(strict),
            ReplicationRule::ProtectedBucket => code_if(strict && protected),
        },
    }
}

fn versioning_need(document: VersioningChange, bucket: BucketState) -> HazardNeed {
    let enabling = document.mfa_delete == MfaDeleteChange::Enable;
    if bucket.mfa_delete != MfaDelete::Enabled && !enabling {
        return HazardNeed::Nothing;
    }
    if enabling && document.status == VersioningStatus::Suspended {
        return HazardNeed::Code(CodeObligation::CodeThen(StateRefusal::NotVersioned));
    }
    if enabling && bucket.mfa_delete != MfaDelete::Enabled {
        match bucket.lifecycle {
            BucketLifecycle::Absent => {}
            // Unread cannot be met here; if it were, it must not pass for absent.
            BucketLifecycle::Present | BucketLifecycle::Unread => {
                return HazardNeed::Code(CodeObligation::CodeThen(StateRefusal::LifecyclePresent));
            }
        }
        match bucket.versioning {
            Versioning::EnabledWithExclusions => {
                return HazardNeed::Code(CodeObligation::CodeThen(StateRefusal::ExclusionsPresent));
            }
            // MinIO would take the document all the same, and a bucket made later would be protected by surprise.
            Versioning::NoBucket => return HazardNeed::Code(CodeObligation::CodeThen(StateRefusal::NoSuchBucket)),
            Versioning::Enabled | Versioning::Never | Versioning::Suspended | Versioning::Unread => {}
        }
    }
    match unsettled_before(document, bucket) {
        Some(until) => HazardNeed::Code(CodeObligation::CodeThen(StateRefusal::Unsettled(until))),
        None => HazardNeed::Code(CodeObligation::Code),
    }
}

/// Until when the upstream may carry out what was permitted before this change, and would not be after it.
fn unsettled_before(document: VersioningChange, bucket: BucketState) -> Option<Timestamp> {
    match (bucket.mfa_delete, document.mfa_delete, document.status) {
        (MfaDelete::Disabled | MfaDelete::NeverSet, MfaDeleteChange::Enable, _) => bucket.unsettled.latest(),
        // What would have added a version replaces one where versioning is suspended.
        (MfaDelete::Enabled, MfaDeleteChange::Enable | MfaDeleteChange::Keep, VersioningStatus::Suspended) => {
            bucket.unsettled.written()
        }
        // A request that disables MFA Delete does not ask for protection.
        (_, MfaDeleteChange::Disable, _)
        | (MfaDelete::Enabled, MfaDeleteChange::Enable | MfaDeleteChange::Keep, VersioningStatus::Enabled)
        | (MfaDelete::Disabled | MfaDelete::NeverSet, MfaDeleteChange::Keep, _) => None,
    }
}

fn may_replace_null(bucket: BucketState) -> bool {
    match (bucket.versioning, bucket.completion) {
        (Versioning::Enabled, UploadCompletion::AddsVersion) => false,
        (Versioning::Enabled, UploadCompletion::MayReplaceNull) => true,
        (
            Versioning::EnabledWithExclusions
            | Versioning::Never
            | Versioning::NoBucket
            | Versioning::Suspended
            | Versioning::Unread,
            UploadCompletion::AddsVersion | UploadCompletion::MayReplaceNull,
        ) => true,
    }
}

fn change(hazard: &Hazard, bucket: BucketState, profile: MfaProfile) -> StateChange {
    let buried = profile == MfaProfile::Strict && bucket.mfa_delete == MfaDelete::Enabled;
    match hazard {
        Hazard::ChangesVersioning(document) => match document.mfa_delete {
            MfaDeleteChange::Disable => StateChange::DisableMfaDelete,
            MfaDeleteChange::Enable => StateChange::EnableMfaDelete,
            MfaDeleteChange::Keep => StateChange::None,
        },
        Hazard::DeletesBucket if buried => StateChange::Bury,
        Hazard::DeletesBucket => StateChange::Forget,
        Hazard::CreatesBucket if bucket.name == NameStatus::Tombstoned => StateChange::Forget,
        Hazard::CreatesBucket
        | Hazard::DestroysVersion
        | Hazard::ExposesData
        | Hazard::ExpiresVersions
        | Hazard::None
        | Hazard::OpensUpload
        | Hazard::ReplacesNullVersion
        | Hazard::ReplacesUnversioned
        | Hazard::Replicates
        | Hazard::WeakensProtection => StateChange::None,
    }
}

impl From<StateRefusal> for Refusal {
    fn from(refusal: StateRefusal) -> Self {
        match refusal {
            StateRefusal::ExclusionsPresent => Self::ExclusionsPresent,
            StateRefusal::LifecycleOnProtectedBucket => Self::LifecycleOnProtectedBucket,
            StateRefusal::LifecyclePresent => Self::LifecyclePresent,
            StateRefusal::NoSuchBucket => Self::NoSuchBucket,
            StateRefusal::NotVersioned => Self::NotVersioned,
            StateRefusal::Unsettled(until) => Self::Unsettled(until),
        }
    }
}
