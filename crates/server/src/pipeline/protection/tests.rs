//! What a request is held by, and what its answer makes of the bucket.

use super::*;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use http::HeaderMap;

use portcullis_authorization::StateChange;
use portcullis_base::names::ObjectKey;
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::{Trail, TrailName};
use portcullis_http::Endpoint;
use portcullis_http::{Dialler, TrustedAuthorities};
use portcullis_s3::{CopySource, S3Operation, TrailerSupport, UploadVersions, VersioningDocument, VersioningStatus};
use portcullis_state::testing::in_memory;
use portcullis_upstream::{UpstreamAnswer, UpstreamRefusal, UpstreamSigner, UpstreamTimeouts};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// In front of a store that is not there, so that whoever asks it fails.
async fn protection() -> (BucketProtection, StateStore) {
    let (state, _, _) = in_memory(NOW).await;
    (over(&state), state)
}

fn over(state: &StateStore) -> BucketProtection {
    let endpoint = Endpoint::parse("http://127.0.0.1:1").expect("an endpoint");
    let dialler = Dialler::new(endpoint, &TrustedAuthorities::System).expect("plain");
    let signer = UpstreamSigner::new("KEY".to_owned(), Secret::new("secret".to_owned()), "us-east-1".to_owned());
    let second = Duration::from_secs(1);
    let timeouts = UpstreamTimeouts { connect: second, response: second, idle: second };
    let upstream = Arc::new(Upstream::new(dialler, signer, timeouts, TrailerSupport::NotTaken));
    BucketProtection::new(
        state.clone(),
        upstream,
        Clock::standing_at(NOW),
        MfaProfile::Strict,
        UploadVersions::SettledAtCreate,
    )
}

async fn hold(protection: &BucketProtection, request: &S3Request) -> Result<LeasedBucket, Failure> {
    protection.hold(request, protection.remembered(request, NOW), &Principal::Root, NOW).await
}

fn vault() -> BucketName {
    BucketName::parse("vault").expect("a name")
}

fn request(action: S3Operation, hazard: Hazard, document: RequestDocument) -> S3Request {
    let mut request = S3Request::bare(action, Some(vault()), ObjectKey::parse("key").ok());
    (request.hazard, request.document) = (hazard, document);
    request
}

fn enabling() -> S3Request {
    let document = VersioningDocument { status: VersioningStatus::Enabled, mfa_delete: MfaDeleteChange::Enable };
    request(
        S3Operation::PutBucketVersioning,
        Hazard::ChangesVersioning(document),
        RequestDocument::Versioning(document),
    )
}

fn uploading() -> S3Request {
    request(S3Operation::PutObject, Hazard::ReplacesNullVersion, RequestDocument::Payload)
}

#[test]
fn each_hazard_has_the_lease_that_keeps_its_judgement_true() {
    let document = VersioningDocument { status: VersioningStatus::Enabled, mfa_delete: MfaDeleteChange::Keep };
    let hazards = [
        Hazard::ChangesVersioning(document),
        Hazard::CreatesBucket,
        Hazard::DeletesBucket,
        Hazard::DestroysVersion,
        Hazard::ExpiresVersions,
        Hazard::ExposesData,
        Hazard::None,
        Hazard::OpensUpload,
        Hazard::ReplacesNullVersion,
        Hazard::ReplacesUnversioned,
        Hazard::Replicates,
        Hazard::WeakensProtection,
    ];
    let mut table = String::new();
    for hazard in hazards {
        for (body, document) in [("payload", RequestDocument::Payload), ("none", RequestDocument::None)] {
            for mfa_delete in [MfaDelete::NeverSet, MfaDelete::Enabled] {
                let state = BucketState { mfa_delete, ..BucketState::UNPROTECTED };
                let [write, read] = [S3Operation::PutObject, S3Operation::GetObject].map(|action| {
                    match needs(&request(action, hazard, document.clone()), state) {
                        LeaseNeed::AtTheEnd => "read, at the end",
                        LeaseNeed::Nothing => "nothing",
                        LeaseNeed::Read => "read",
                        LeaseNeed::Write => "write",
                    }
                });
                writeln!(table, "{hazard:?}, body {body}, MfaDelete {mfa_delete:?}: {write}; of a read: {read}")
                    .expect("written");
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn no_user_keeps_others_out_of_a_bucket_and_each_change_of_a_protected_one_does() {
    let (protection, state) = protection().await;
    let keep = VersioningDocument { status: VersioningStatus::Suspended, mfa_delete: MfaDeleteChange::Keep };
    let suspending =
        request(S3Operation::PutBucketVersioning, Hazard::ChangesVersioning(keep), RequestDocument::Versioning(keep));
    let _held = hold(&protection, &suspending).await.expect("held");
    let shared = hold(&protection, &suspending).await.expect("held beside the first");
    assert!(matches!(shared.lease, BucketLease::Read { .. }), "{shared:?}");
    drop((_held, shared));
    state.record_bucket(&vault(), state.bucket(&vault()), StateChange::EnableMfaDelete, NOW).await.expect("recorded");
    let alone = hold(&protection, &suspending).await.expect("held");
    assert!(matches!(alone.lease, BucketLease::Write { .. }), "{alone:?}");
}

#[tokio::test]
async fn a_bucket_that_is_protected_while_a_lease_is_waited_for_is_held_as_a_protected_one() {
    let (protection, state) = protection().await;
    let deleting = request(S3Operation::DeleteBucket, Hazard::DeletesBucket, RequestDocument::None);
    let enabling = protection.leases.write(&vault()).await;
    let (held, ()) = tokio::join!(hold(&protection, &deleting), async {
        tokio::task::yield_now().await;
        state
            .record_bucket(&vault(), state.bucket(&vault()), StateChange::EnableMfaDelete, NOW)
            .await
            .expect("recorded");
        drop(enabling);
    });
    let held = held.expect("held");
    assert_eq!(held.state.mfa_delete, MfaDelete::Enabled);
    assert!(matches!(held.lease, BucketLease::Write { .. }), "{held:?}");
}

#[tokio::test]
async fn only_what_changed_something_or_may_have_gives_a_new_generation() {
    let mut table = String::new();
    for (said, agreed) in
        [("yes", UpstreamOutcome::Yes), ("no", UpstreamOutcome::No), ("nothing", UpstreamOutcome::Unknown)]
    {
        for before in [Versioning::Enabled, Versioning::Suspended, Versioning::Unread] {
            for status in [VersioningStatus::Enabled, VersioningStatus::Suspended] {
                for mfa_delete in [MfaDeleteChange::Disable, MfaDeleteChange::Enable, MfaDeleteChange::Keep] {
                    let (protection, state) = protection().await;
                    state
                        .record_bucket(&vault(), state.bucket(&vault()), StateChange::EnableMfaDelete, NOW)
                        .await
                        .expect("recorded");
                    let change = VersioningDocument { status, mfa_delete };
                    let request = request(
                        S3Operation::PutBucketVersioning,
                        Hazard::ChangesVersioning(change),
                        RequestDocument::Versioning(change),
                    );
                    let mut held = hold(&protection, &request).await.expect("held");
                    held.state.versioning = before;
                    let generation = protection.leases.generation(&vault());
                    protection.before(&request, StateChange::None, &mut held, NOW).await.expect("nothing to record");
                    protection.after(&vault(), StateChange::None, &mut held, agreed, NOW).await.expect("recorded");
                    let observed = protection.leases.observe(&vault());
                    drop(held);
                    let word = if protection.leases.generation(&vault()) == generation { "the same" } else { "new" };
                    writeln!(table, "{status:?} {mfa_delete:?} of {before:?}, the store says {said}: {word}")
                        .expect("written");
                    drop(observed);
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn what_is_recorded_after_an_answer_never_loses_protection_on_a_doubt() {
    let mut table = String::new();
    for change in [
        StateChange::Bury,
        StateChange::DisableMfaDelete,
        StateChange::EnableMfaDelete,
        StateChange::Forget,
        StateChange::None,
    ] {
        for before in [MfaDelete::NeverSet, MfaDelete::Disabled, MfaDelete::Enabled] {
            for (said, agreed) in
                [("yes", UpstreamOutcome::Yes), ("no", UpstreamOutcome::No), ("nothing", UpstreamOutcome::Unknown)]
            {
                let (protection, state) = protection().await;
                if before != MfaDelete::NeverSet {
                    state
                        .record_bucket(&vault(), state.bucket(&vault()), StateChange::EnableMfaDelete, NOW)
                        .await
                        .expect("recorded");
                }
                if before == MfaDelete::Disabled {
                    state
                        .record_bucket(&vault(), state.bucket(&vault()), StateChange::DisableMfaDelete, NOW)
                        .await
                        .expect("recorded");
                }
                let mut held =
                    LeasedBucket::without_lease(BucketState { mfa_delete: before, ..BucketState::UNPROTECTED });
                protection.before(&enabling(), change, &mut held, NOW).await.expect("recorded");
                protection.after(&vault(), change, &mut held, agreed, NOW).await.expect("recorded");
                let after = state.bucket(&vault());
                let now = (after.mfa_delete, after.name);
                writeln!(table, "{change:?} of {before:?}, the store says {said}: {now:?}").expect("written");
                let doubtful = !matches!(agreed, UpstreamOutcome::Yes);
                assert!(!doubtful || before != MfaDelete::Enabled || after.mfa_delete == MfaDelete::Enabled);
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn a_change_that_failed_half_way_is_not_called_undone() {
    let (state, _, journal) = in_memory(NOW).await;
    journal.failing.store(true, Ordering::SeqCst);
    let mut held = LeasedBucket::without_lease(BucketState::UNPROTECTED);
    let enabled = over(&state).before(&enabling(), StateChange::EnableMfaDelete, &mut held, NOW).await;
    assert!(matches!(enabled, Err(Failure::StateInDoubt)), "{enabled:?}");
    assert_eq!(state.bucket(&vault()).mfa_delete, MfaDelete::Enabled);
}

#[tokio::test]
async fn the_store_is_asked_where_the_judgement_depends_on_it_and_nowhere_else() {
    let (protection, state) = protection().await;
    let asks = async |request: &S3Request| match hold(&protection, request).await {
        Ok(_) => false,
        Err(Failure::Upstream(UpstreamError::Unreachable)) => true,
        Err(other) => panic!("{other:?}"),
    };
    let deleting = request(S3Operation::DeleteObject, Hazard::DestroysVersion, RequestDocument::None);
    assert!(asks(&enabling()).await, "whether it can be protected");
    assert!(!asks(&uploading()).await, "nobody protected the bucket");
    assert!(!asks(&deleting).await);
    state.record_bucket(&vault(), state.bucket(&vault()), StateChange::EnableMfaDelete, NOW).await.expect("recorded");
    assert!(asks(&uploading()).await, "whether it replaces anything");
    assert!(!asks(&enabling()).await, "it is protected already");
    assert!(!asks(&deleting).await, "it needs a code whatever the store says");
}

#[tokio::test]
async fn a_bucket_that_is_protected_while_its_upload_comes_withdraws_the_leave() {
    let (protection, state) = protection().await;
    let held = hold(&protection, &uploading()).await.expect("held");
    let condition = protection.at_the_end(&held);
    state.record_bucket(&vault(), state.bucket(&vault()), StateChange::EnableMfaDelete, NOW).await.expect("recorded");
    protection.leases.write(&vault()).await.begin_change();
    match condition {
        Some(condition) => assert_eq!(condition.await.map(drop), Err(ConditionWithdrawn)),
        None => panic!("nothing is looked at"),
    }
}

#[tokio::test]
async fn a_bucket_that_becomes_a_trails_while_its_upload_comes_withdraws_the_leave() {
    let (protection, state) = protection().await;
    let held = hold(&protection, &uploading()).await.expect("held");
    assert_eq!((held.state.usage, held.state.source), (BucketUse::Data, BucketUse::Data));
    let condition = protection.at_the_end(&held);
    let trail = Trail::new(TrailName::parse("main").expect("a name"), vault(), NOW);
    state.put_trail(None, trail, NOW).await.expect("made");
    match condition {
        Some(condition) => assert_eq!(condition.await.map(drop), Err(ConditionWithdrawn)),
        None => panic!("nothing is looked at"),
    }
    let held = hold(&protection, &uploading()).await.expect("held");
    assert_eq!(held.state.usage, BucketUse::Trail);
    let elsewhere = BucketName::parse("elsewhere").ok();
    let mut copy = S3Request::bare(S3Operation::CopyObject, elsewhere, ObjectKey::parse("key").ok());
    let key = ObjectKey::parse("key").expect("a key");
    copy.copy_source = Some(CopySource { bucket: vault(), key, version: None });
    let held = hold(&protection, &copy).await.expect("held");
    assert_eq!((held.state.usage, held.state.source), (BucketUse::Data, BucketUse::Trail));
}

#[test]
fn only_certainty_counts_as_an_answer() {
    let of = |error| match UpstreamOutcome::of(&Err(Failure::Upstream(error))) {
        UpstreamOutcome::No => "no",
        UpstreamOutcome::Unknown => "unknown",
        UpstreamOutcome::Yes => "yes",
    };
    for error in [UpstreamError::BrokenOff, UpstreamError::Silent, UpstreamError::Unreadable] {
        assert_eq!(of(error), "unknown");
    }
    for error in [
        UpstreamError::DeniesUs,
        UpstreamError::RefusesUs,
        UpstreamError::RefusesUser,
        UpstreamError::Unreachable,
        UpstreamError::Untrusted,
        UpstreamError::Unwritable,
    ] {
        assert_eq!(of(error), "no");
    }
    assert!(matches!(UpstreamOutcome::of(&Err(Failure::Unrecorded)), UpstreamOutcome::Unknown));
    for (status, agreed) in
        [(301, "unknown"), (400, "no"), (409, "no"), (499, "no"), (500, "unknown"), (503, "unknown")]
    {
        let status = http::StatusCode::from_u16(status).expect("a status");
        let refusal = UpstreamRefusal {
            status,
            code: String::new(),
            message: String::new(),
            headers: HeaderMap::new(),
            details: Vec::new(),
        };
        let said = match UpstreamOutcome::of(&Ok(UpstreamAnswer::Refused(refusal))) {
            UpstreamOutcome::No => "no",
            UpstreamOutcome::Unknown => "unknown",
            UpstreamOutcome::Yes => "yes",
        };
        assert_eq!(said, agreed, "{status}");
    }
}
