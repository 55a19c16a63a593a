//! The whole decision table: every caller, hazard, bucket and offer.

#![expect(clippy::wildcard_enum_match_arm, reason = "a table prints what it has no better word for")]

use std::fmt::Write as _;
use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::assess::CodeObligation;
use super::verdict::PendingStage;
use super::*;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{DeviceSerial, UserName};
use portcullis_base::secret::Secret;
use portcullis_http::Transport;
use portcullis_mfa::{
    self, Challenge, CodeCheck, CodeDigits, CodeJudgement, LedgerFuture, MfaDevice, MfaFault, MfaToken, Proof, Seed,
    StepLedger, TokenCode, TokenCodes,
};
use portcullis_s3::{
    DeleteObjects, Hazard, HazardRule, MfaDeleteChange, ReplicationRule, RequestDocument, S3Operation, S3Request,
    VersioningDocument, VersioningStatus,
};
use portcullis_sigv4::{Principal, SignatureForm, UpstreamKey};

fn request(hazard: Hazard, document: RequestDocument) -> Box<S3Request> {
    Box::new(S3Request { document, hazard, ..S3Request::bare(S3Operation::PutObject, None, None) })
}

/// As root's policies allow it: what policies say is not looked at again.
fn allowed(request: Box<S3Request>) -> AllowedRequest {
    CallerRights::root().allow(request).expect("no policy is about root")
}

fn assess(
    request: Box<S3Request>,
    caller: &Caller,
    bucket: BucketState,
    offer: MfaToken,
    rules: Rules,
) -> Verdict<PermittedRequest> {
    super::assess(allowed(request), caller, bucket, offer, rules)
}

fn caller(principal: Principal, form: SignatureForm, transport: Transport) -> Caller {
    Caller { principal, form, transport, upstream: UpstreamIdentity::Own }
}

fn root() -> Caller {
    caller(Principal::Root, SignatureForm::AuthHeader, Transport::Loopback)
}

fn user() -> Caller {
    caller(Principal::User(UserName::parse("alice").expect("a name")), SignatureForm::AuthHeader, Transport::Loopback)
}

fn bucket(mfa_delete: MfaDelete, versioning: Versioning) -> BucketState {
    BucketState { mfa_delete, versioning, lifecycle: BucketLifecycle::Absent, ..BucketState::UNPROTECTED }
}

fn rules(profile: MfaProfile) -> Rules {
    Rules { profile, replication: ReplicationRule::ProtectedBucket, loopback_is_secure: LoopbackTrust::Trusted }
}

fn word(verdict: &Verdict<PermittedRequest>) -> String {
    match verdict {
        Verdict::Permit(permit) => match permit.change() {
            StateChange::None => "forward".to_owned(),
            change => format!("forward, then {change:?}"),
        },
        Verdict::Refuse(refusal) => refusal_word(refusal),
        Verdict::Mfa(challenge) => {
            let PendingStage::Judged { owed, change, .. } = challenge.subject().stage else {
                return "foreseen".to_owned();
            };
            let change = match change {
                StateChange::None => String::new(),
                change => format!(", then {change:?}"),
            };
            match owed {
                CodeObligation::Code => format!("verify{change}"),
                CodeObligation::CodeThen(refusal) => format!("verify, then refuse {}", refusal_word(&refusal.into())),
            }
        }
    }
}

fn refusal_word(refusal: &Refusal) -> String {
    match refusal {
        Refusal::MalformedOffer(_) => "MalformedOffer".to_owned(),
        Refusal::NotDeviceOwner { .. } => "NotDeviceOwner".to_owned(),
        other => format!("{other:?}"),
    }
}

fn hazards() -> Vec<(String, Hazard)> {
    let mut hazards: Vec<(String, Hazard)> = [
        Hazard::None,
        Hazard::CreatesBucket,
        Hazard::DeletesBucket,
        Hazard::DestroysVersion,
        Hazard::ExpiresVersions,
        Hazard::ExposesData,
        Hazard::OpensUpload,
        Hazard::ReplacesNullVersion,
        Hazard::ReplacesUnversioned,
        Hazard::Replicates,
        Hazard::WeakensProtection,
    ]
    .map(|hazard| (format!("{hazard:?}"), hazard))
    .into();
    for status in [VersioningStatus::Enabled, VersioningStatus::Suspended] {
        for mfa_delete in [MfaDeleteChange::Disable, MfaDeleteChange::Enable, MfaDeleteChange::Keep] {
            let name = format!("ChangesVersioning {status:?} {mfa_delete:?}");
            hazards.push((name, Hazard::ChangesVersioning(VersioningDocument { status, mfa_delete })));
        }
    }
    hazards
}

fn offers() -> [(&'static str, MfaToken); 3] {
    [
        ("absent", MfaToken::parse(None)),
        ("codes", MfaToken::parse(Some("20899872 123456"))),
        ("malformed", MfaToken::parse(Some("123456"))),
    ]
}

#[test]
fn every_combination_has_its_answer() {
    let mut table = String::new();
    for profile in [MfaProfile::Aws, MfaProfile::Strict] {
        for mfa_delete in [MfaDelete::NeverSet, MfaDelete::Disabled, MfaDelete::Enabled] {
            for (name, hazard) in hazards() {
                for versioning in [
                    Versioning::Enabled,
                    Versioning::EnabledWithExclusions,
                    Versioning::Never,
                    Versioning::NoBucket,
                    Versioning::Suspended,
                ] {
                    for (caller_name, caller) in [
                        ("root", root()),
                        ("user", user()),
                        ("root presigned", Caller { form: SignatureForm::QueryString, ..root() }),
                        ("root over plain", Caller { transport: Transport::Plain, ..root() }),
                    ] {
                        let answers = offers().map(|(offer_name, offer)| {
                            let verdict = assess(
                                request(hazard, RequestDocument::None),
                                &caller,
                                bucket(mfa_delete, versioning),
                                offer,
                                rules(profile),
                            );
                            format!("{offer_name}: {}", word(&verdict))
                        });
                        writeln!(
                            table,
                            "{profile:?} | MfaDelete {mfa_delete:?} | {versioning:?} | {name} | {caller_name} | {}",
                            answers.join(" | ")
                        )
                        .expect("a string takes it");
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// A user who is a user of the upstream too.
fn user_of_the_upstream() -> Caller {
    let key = UpstreamKey::new("ALICE".to_owned(), Secret::new("secret".to_owned()));
    Caller { upstream: UpstreamIdentity::User(Arc::new(key)), ..user() }
}

/// What an operation may do to versions, by how the table finds it.
fn hazards_of(operation: S3Operation) -> Vec<(String, Hazard)> {
    let wanted: Vec<Hazard> = match (operation.row().harm, operation) {
        (HazardRule::Always(hazard), _) => vec![hazard],
        (HazardRule::AsDocument, S3Operation::PutBucketVersioning) => {
            return hazards().into_iter().filter(|(_, it)| matches!(it, Hazard::ChangesVersioning(_))).collect();
        }
        (HazardRule::AsDocument, _) => vec![Hazard::None, Hazard::WeakensProtection],
        (HazardRule::Deletes | HazardRule::DeletesMany, _) => {
            vec![Hazard::DestroysVersion, Hazard::ReplacesNullVersion, Hazard::ReplacesUnversioned]
        }
        (HazardRule::Replaces, _) => vec![Hazard::ReplacesNullVersion, Hazard::ReplacesUnversioned],
    };
    hazards().into_iter().filter(|(_, hazard)| wanted.contains(hazard)).collect()
}

fn sent_as(verdict: &Verdict<PermittedRequest>) -> String {
    match verdict {
        Verdict::Permit(permit) => match permit.identity() {
            UpstreamIdentity::Own => "Portcullis".to_owned(),
            UpstreamIdentity::User(key) => key.id().to_owned(),
        },
        Verdict::Refuse(refusal) => refusal_word(refusal),
        Verdict::Mfa(_) => "verify".to_owned(),
    }
}

#[test]
fn each_operation_is_sent_with_the_key_of_its_caller_or_portcullis_own() {
    let mut table = String::new();
    for operation in S3Operation::ALL {
        for (hazard_name, hazard) in hazards_of(*operation) {
            for (caller_name, caller) in
                [("a user of the upstream", user_of_the_upstream()), ("a user", user()), ("root", root())]
            {
                let said = [MfaDelete::NeverSet, MfaDelete::Enabled].map(|mfa_delete| {
                    let bare = S3Request::bare(*operation, None, None);
                    let asked = Box::new(S3Request { hazard, ..bare });
                    let state = bucket(mfa_delete, Versioning::Enabled);
                    let verdict = assess(asked, &caller, state, MfaToken::Absent, rules(MfaProfile::Strict));
                    format!("MfaDelete {mfa_delete:?}: {}", sent_as(&verdict))
                });
                if caller_name != "a user of the upstream" {
                    let alone = said.iter().any(|said| said.ends_with("ALICE"));
                    assert!(!alone, "{operation:?} {caller_name} has no key there");
                    continue;
                }
                writeln!(table, "{operation:?} | {hazard_name} | {}", said.join(" | ")).expect("a string takes it");
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn what_mfa_delete_guards_is_sent_with_portcullis_own_key_whoever_may_ask_for_it() {
    let mut guarded = Vec::new();
    for (name, hazard) in hazards() {
        for mfa_delete in [MfaDelete::NeverSet, MfaDelete::Disabled, MfaDelete::Enabled] {
            for caller in [root(), user(), Caller { principal: Principal::Root, ..user_of_the_upstream() }] {
                assert!(matches!(UpstreamIdentity::of(hazard, &caller, mfa_delete), UpstreamIdentity::Own));
            }
            if let UpstreamIdentity::Own = UpstreamIdentity::of(hazard, &user_of_the_upstream(), mfa_delete) {
                guarded.push(format!("{name}, MfaDelete {mfa_delete:?}"));
            }
        }
    }
    assert_eq!(
        guarded,
        [
            "DestroysVersion, MfaDelete Enabled",
            "ChangesVersioning Enabled Disable, MfaDelete Enabled",
            "ChangesVersioning Enabled Enable, MfaDelete Enabled",
            "ChangesVersioning Enabled Keep, MfaDelete Enabled",
            "ChangesVersioning Suspended Disable, MfaDelete Enabled",
            "ChangesVersioning Suspended Enable, MfaDelete Enabled",
            "ChangesVersioning Suspended Keep, MfaDelete Enabled",
        ]
    );
}

#[test]
fn what_is_foreseen_without_the_upstream_holds_whatever_the_upstream_says() {
    let versionings = [
        Versioning::Enabled,
        Versioning::EnabledWithExclusions,
        Versioning::Never,
        Versioning::Suspended,
        Versioning::Unread,
    ];
    let callers = [
        root(),
        user(),
        Caller { form: SignatureForm::QueryString, ..root() },
        Caller { transport: Transport::Plain, ..root() },
        Caller { transport: Transport::Tls, ..user() },
    ];
    let (mut refused, mut codes) = (0, 0);
    for profile in [MfaProfile::Aws, MfaProfile::Strict] {
        for mfa_delete in [MfaDelete::NeverSet, MfaDelete::Disabled, MfaDelete::Enabled] {
            for (usage, name) in [
                (BucketUse::Data, NameStatus::Free),
                (BucketUse::Data, NameStatus::Tombstoned),
                (BucketUse::Trail, NameStatus::Free),
            ] {
                for (hazard_name, hazard) in hazards() {
                    for caller in &callers {
                        for (offer_name, offer) in offers() {
                            let known = BucketState { usage, name, ..bucket(mfa_delete, Versioning::Unread) };
                            let asked = request(hazard, RequestDocument::None);
                            let foresight = foresee(&asked, caller, known, &offer, rules(profile));
                            for versioning in versionings {
                                for lifecycle in
                                    [BucketLifecycle::Absent, BucketLifecycle::Present, BucketLifecycle::Unread]
                                {
                                    let state = BucketState { versioning, lifecycle, ..known };
                                    let asked = request(hazard, RequestDocument::None);
                                    let verdict = assess(asked, caller, state, offer.clone(), rules(profile));
                                    let holds = match foresight {
                                        EarlyVerdict::Open => true,
                                        EarlyVerdict::Refusal => matches!(verdict, Verdict::Refuse(_)),
                                        EarlyVerdict::Code => matches!(verdict, Verdict::Mfa(_)),
                                    };
                                    let said = word(&verdict);
                                    assert!(holds, "{hazard_name} {offer_name} {state:?}: {foresight:?}, then {said}");
                                }
                            }
                            refused += i32::from(foresight == EarlyVerdict::Refusal);
                            codes += i32::from(foresight == EarlyVerdict::Code);
                        }
                    }
                }
            }
        }
    }
    assert!(refused > 1000 && codes > 10, "{refused} {codes}");
}

/// A proof of this subject, by a ledger that keeps nothing.
fn proved<T: Unpin>(subject: T, device: &MfaDevice) -> Proof<T> {
    let now = Timestamp::from_seconds(1_900_000_000);
    let code = TokenCode::new(&portcullis_mfa::shown(&device.seed, device.digits, now));
    let codes = TokenCodes { serial: device.serial.clone(), codes: vec![code] };
    let ledger = Forgetful { device: device.clone(), now };
    let spending = std::pin::pin!(portcullis_mfa::spend(Challenge::new(codes, subject), &ledger));
    match spending.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(proof)) => proof,
        Poll::Ready(Err(_)) | Poll::Pending => panic!("the code is right"),
    }
}

/// A device that was just enabled.
fn device() -> MfaDevice {
    let (serial, seed) = (DeviceSerial::parse("20899872").expect("a serial"), Seed::new(*b"12345678901234567890"));
    let at = |second: i64| Timestamp::from_seconds(1_900_000_000 + second);
    let [first, second] =
        [-90, -60].map(|second| TokenCode::new(&portcullis_mfa::shown(&seed, CodeDigits::Six, at(second))));
    MfaDevice::new(serial, seed, CodeDigits::Six, at(-60)).enrol(&first, &second, at(-60)).expect("its codes")
}

struct Forgetful {
    device: MfaDevice,
    now: Timestamp,
}

impl StepLedger for Forgetful {
    type Error = MfaFault;

    fn settle(&self, check: CodeCheck) -> LedgerFuture<'_, Result<CodeJudgement, MfaFault>> {
        Box::pin(std::future::ready(Ok(check.judge(&self.device, self.now))))
    }
}

fn foreseen(request: Box<S3Request>) -> PendingRequest {
    PendingRequest { allowed: allowed(request), stage: PendingStage::Foreseen }
}

fn proved_word(judged: &JudgedAction<PermittedRequest>) -> String {
    let pass = |permit: &RequestPermit| format!("pass, then {:?}", permit.change());
    let refuse = |refusal: &Refusal| format!("refuse {}", refusal_word(refusal));
    match judged {
        JudgedAction::Permitted(permit) => pass(permit),
        JudgedAction::Proved(Ok(permit)) => format!("code, {}", pass(permit)),
        JudgedAction::Proved(Err(refusal)) => format!("code, {}", refuse(refusal)),
        JudgedAction::Refused(refusal) => refuse(refusal),
    }
}

/// What a challenge that is met at once comes to, in the words of `proved_word`.
fn met_word(verdict: Verdict<PermittedRequest>, device: &MfaDevice) -> String {
    match verdict {
        Verdict::Permit(permit) => proved_word(&JudgedAction::Permitted(permit)),
        Verdict::Refuse(refusal) => proved_word(&JudgedAction::Refused(refusal)),
        Verdict::Mfa(challenge) => {
            let PendingRequest { allowed: judged, stage } = challenge.subject();
            let subject = PendingRequest { allowed: allowed(Box::new(judged.request().clone())), stage: *stage };
            // Whatever else is said of the bucket, it was judged already.
            let state = BucketState { usage: BucketUse::Trail, ..BucketState::UNPROTECTED };
            proved_word(&assess_proved(proved(subject, device), &user(), state, rules(MfaProfile::Strict)))
        }
    }
}

#[test]
fn a_code_that_was_spent_before_the_lease_opens_what_it_would_have_opened_after() {
    let device = device();
    let callers = [root(), user(), Caller { form: SignatureForm::QueryString, ..root() }];
    let mut opened = 0;
    for profile in [MfaProfile::Aws, MfaProfile::Strict] {
        for mfa_delete in [MfaDelete::NeverSet, MfaDelete::Enabled] {
            for versioning in [Versioning::Enabled, Versioning::NoBucket, Versioning::Suspended, Versioning::Unread] {
                for (usage, lifecycle) in
                    [(BucketUse::Data, BucketLifecycle::Present), (BucketUse::Trail, BucketLifecycle::Absent)]
                {
                    for (hazard_name, hazard) in hazards() {
                        for caller in &callers {
                            let state = BucketState { usage, lifecycle, ..bucket(mfa_delete, versioning) };
                            let asked = || request(hazard, RequestDocument::None);
                            let offer = MfaToken::parse(Some("20899872 123456"));
                            let after = assess(asked(), caller, state, offer, rules(profile));
                            let before =
                                assess_proved(proved(foreseen(asked()), &device), caller, state, rules(profile));
                            opened += i32::from(matches!(before, JudgedAction::Proved(Ok(_))));
                            assert_eq!(proved_word(&before), met_word(after, &device), "{hazard_name} {state:?}");
                        }
                    }
                }
            }
        }
    }
    assert!(opened > 10, "{opened}");
}

#[test]
fn a_trails_bucket_is_read_by_root_and_written_by_nobody() {
    let mut table = String::new();
    let cases = [
        ("its bucket", BucketUse::Trail, BucketUse::Data, BucketUse::Data),
        ("a copy of it", BucketUse::Data, BucketUse::Trail, BucketUse::Data),
        ("logs into it", BucketUse::Data, BucketUse::Data, BucketUse::Trail),
    ];
    for (what, usage, source, destination) in cases {
        for mfa_delete in [MfaDelete::NeverSet, MfaDelete::Enabled] {
            for (access, action) in [("read", S3Operation::GetObject), ("write", S3Operation::PutObject)] {
                for (name, hazard) in hazards() {
                    let answers = [("root", root()), ("user", user())].map(|(caller_name, caller)| {
                        let request = S3Request {
                            hazard,
                            document: RequestDocument::None,
                            ..S3Request::bare(action, None, None)
                        };
                        let request = Box::new(request);
                        let state =
                            BucketState { usage, source, destination, ..bucket(mfa_delete, Versioning::Enabled) };
                        let verdict = assess(request, &caller, state, MfaToken::Absent, rules(MfaProfile::Strict));
                        format!("{caller_name}: {}", word(&verdict))
                    });
                    writeln!(table, "{what} | MfaDelete {mfa_delete:?} | {access} | {name} | {}", answers.join(" | "))
                        .expect("a string takes it");
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn an_upload_that_may_replace_the_null_version_needs_a_code_to_complete() {
    let mut table = String::new();
    for profile in [MfaProfile::Aws, MfaProfile::Strict] {
        for mfa_delete in [MfaDelete::NeverSet, MfaDelete::Disabled, MfaDelete::Enabled] {
            for completion in [UploadCompletion::AddsVersion, UploadCompletion::MayReplaceNull] {
                for (caller_name, caller) in [("root", root()), ("user", user())] {
                    let answers = offers().map(|(offer_name, offer)| {
                        let state = BucketState { completion, ..bucket(mfa_delete, Versioning::Enabled) };
                        let request = request(Hazard::ReplacesNullVersion, RequestDocument::None);
                        format!("{offer_name}: {}", word(&assess(request, &caller, state, offer, rules(profile))))
                    });
                    writeln!(
                        table,
                        "{profile:?} | MfaDelete {mfa_delete:?} | {completion:?} | {caller_name} | {}",
                        answers.join(" | ")
                    )
                    .expect("a string takes it");
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn what_the_upstream_may_do_late_keeps_back_the_changes_after_which_it_would_do_harm() {
    let until = Timestamp::from_seconds(1_800_000_000);
    let mut table = String::new();
    for profile in [MfaProfile::Aws, MfaProfile::Strict] {
        for mfa_delete in [MfaDelete::NeverSet, MfaDelete::Disabled, MfaDelete::Enabled] {
            for (name, hazard) in hazards() {
                let answers = LateEffect::ALL.map(|effect| {
                    let unsettled = UnsettledUntil::until(effect, until);
                    let state = BucketState { unsettled, ..bucket(mfa_delete, Versioning::Enabled) };
                    let offer = MfaToken::parse(Some("20899872 123456"));
                    let verdict = assess(request(hazard, RequestDocument::None), &root(), state, offer, rules(profile));
                    format!("{effect:?}: {}", word(&verdict))
                });
                writeln!(table, "{profile:?} | MfaDelete {mfa_delete:?} | {name} | {}", answers.join(" | "))
                    .expect("a string takes it");
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_batch_on_a_protected_bucket_is_judged_by_any_offer_it_carries() {
    let batch = || RequestDocument::DeleteObjects(DeleteObjects { objects: Vec::new(), quiet: false });
    let protected = bucket(MfaDelete::Enabled, Versioning::Enabled);
    let verdict = |offer| {
        let request = request(Hazard::ReplacesNullVersion, batch());
        word(&assess(request, &root(), protected, offer, rules(MfaProfile::Strict)))
    };
    assert_eq!(verdict(MfaToken::parse(Some("20899872 123456"))), "verify");
    assert_eq!(verdict(MfaToken::Absent), "forward");
}

#[test]
fn a_buried_name_needs_a_code_to_come_back_without_its_protection() {
    let buried = BucketState { name: NameStatus::Tombstoned, ..bucket(MfaDelete::Enabled, Versioning::Unread) };
    let verdict = |offer, profile| {
        word(&assess(request(Hazard::CreatesBucket, RequestDocument::None), &root(), buried, offer, rules(profile)))
    };
    assert_eq!(verdict(MfaToken::Absent, MfaProfile::Strict), "MfaRequired");
    assert_eq!(verdict(MfaToken::parse(Some("20899872 123456")), MfaProfile::Strict), "verify, then Forget");
}

#[test]
fn what_was_not_read_never_passes_for_harmless() {
    let unread = BucketState { lifecycle: BucketLifecycle::Unread, ..bucket(MfaDelete::Disabled, Versioning::Unread) };
    let enable = VersioningDocument { status: VersioningStatus::Enabled, mfa_delete: MfaDeleteChange::Enable };
    let verdict = assess(
        request(Hazard::ChangesVersioning(enable), RequestDocument::None),
        &root(),
        unread,
        MfaToken::parse(Some("20899872 123456")),
        rules(MfaProfile::Strict),
    );
    assert_eq!(word(&verdict), "verify, then refuse LifecyclePresent");

    let unread = bucket(MfaDelete::Enabled, Versioning::Unread);
    let put = request(Hazard::ReplacesNullVersion, RequestDocument::Payload);
    assert_eq!(word(&assess(put, &user(), unread, MfaToken::Absent, rules(MfaProfile::Strict))), "MfaRequired");
}

#[test]
fn replication_needs_a_code_on_every_bucket_of_a_store_that_replicates_deletes() {
    let rules = Rules { replication: ReplicationRule::AnyBucket, ..rules(MfaProfile::Strict) };
    let verdict = assess(
        request(Hazard::Replicates, RequestDocument::None),
        &root(),
        BucketState::UNPROTECTED,
        MfaToken::Absent,
        rules,
    );
    assert_eq!(word(&verdict), "MfaRequired");
}

#[test]
fn a_code_over_loopback_is_refused_where_tls_is_always_required() {
    let rules = Rules { loopback_is_secure: LoopbackTrust::TlsOnly, ..rules(MfaProfile::Strict) };
    let verdict = assess(
        request(Hazard::DestroysVersion, RequestDocument::None),
        &root(),
        bucket(MfaDelete::Enabled, Versioning::Enabled),
        MfaToken::parse(Some("20899872 123456")),
        rules,
    );
    assert_eq!(word(&verdict), "InsecureTransport");
}

#[test]
fn a_failed_offer_becomes_the_refusal_of_its_fault() {
    for (fault, refusal) in [
        (MfaFault::UnknownDevice, "NotDeviceOwner"),
        (MfaFault::WrongCode, "TokenCodeInvalid(WrongCode)"),
        (MfaFault::Replayed, "TokenCodeInvalid(Replayed)"),
        (MfaFault::TooManyAtOnce, "TooManyCodesAtOnce"),
        (MfaFault::NetworkThrottled { seconds: 120 }, "NetworkThrottled { seconds: 120 }"),
    ] {
        let verdict = assess(
            request(Hazard::DestroysVersion, RequestDocument::None),
            &root(),
            bucket(MfaDelete::Enabled, Versioning::Enabled),
            MfaToken::parse(Some("20899872 123456")),
            rules(MfaProfile::Strict),
        );
        let Verdict::Mfa(challenge) = verdict else { panic!("a challenge was due") };
        assert_eq!(refusal_word(&Refusal::of_fault(challenge.into_codes(), fault)), refusal);
    }
}

#[test]
fn a_malformed_offer_keeps_its_code_to_itself() {
    let refusal = Refusal::MalformedOffer(TokenCode::new("970589"));
    assert!(!format!("{refusal:?}").contains("970589"));
}
