//! Requests that were in progress when the proxy ended: the store is asked what became of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use portcullis_audit::{RecoveryFinding, RecoveryQuestion, RecoverySubject, UnresolvedIntent};
use portcullis_authorization::{LateEffect, MfaDelete, StateChange, Versioning};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::names::{BucketName, ObjectKey};
use portcullis_journal::{Journal, JournalClosed, OpenIntent, Sequence};
use portcullis_s3::{HazardRule, S3Operation};
use portcullis_state::StateStore;
use portcullis_upstream::{LookTarget, StoredPresence, Upstream, UpstreamError};

/// How the requests that a crash left open ended, as far as the store tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveredRequests {
    pub done: usize,
    pub not_done: usize,
    pub unknown: usize,
}

/// How long a start waits for the store; an outcome that is not known by then stays unknown.
const LONGEST: Duration = Duration::from_secs(10);
/// A request that was not carried out may still be in progress in the store, so the store is asked again after this.
const SECOND_LOOK: Duration = Duration::from_millis(500);
const AT_ONCE: usize = 16;
/// SigV4 rejects requests with more clock skew than this.
const MOST_SKEW: Duration = Duration::from_secs(15 * 60);

/// Asks the store about each open intent and records its outcome, before any request is forwarded.
pub async fn recover(
    intents: &[OpenIntent],
    journal: &Journal,
    upstream: &Arc<Upstream>,
    state: &StateStore,
    clock: &Clock,
) -> Result<RecoveredRequests, JournalClosed> {
    let unresolved: Vec<_> = intents.iter().map(UnresolvedIntent::of).collect();
    let questions: Vec<RecoveryQuestion> = unresolved.iter().flat_map(UnresolvedIntent::questions).cloned().collect();
    let probe = RecoveryProbe { upstream: upstream.clone(), state: state.clone(), clock: clock.clone() };
    let mut findings = probe.findings(&questions).await.into_iter();
    let (mut recovered, mut last) = (RecoveredRequests::default(), Sequence::NONE);
    for request in &unresolved {
        let found: Vec<_> = findings.by_ref().take(request.questions().count()).collect();
        found.iter().for_each(|finding| recovered.count(*finding));
        for (subject, finding) in request.subjects().zip(&found) {
            note_late_effect(state, subject, *finding, clock.now()).await;
        }
        last = request.resolve(&found, journal)?;
    }
    journal.durable(last).await?;
    Ok(recovered)
}

/// Notes that the store may still carry out a request whose effect was not found.
async fn note_late_effect(
    state: &StateStore,
    subject: Option<RecoverySubject>,
    finding: RecoveryFinding,
    now: Timestamp,
) {
    let Some(subject) = subject else { return };
    match (finding, late_effect(&subject)) {
        (RecoveryFinding::NotDone | RecoveryFinding::Unknown, Some(effect)) => {
            state.note_unanswered(&subject.bucket, effect, now).await;
        }
        (RecoveryFinding::Done, _) | (RecoveryFinding::NotDone | RecoveryFinding::Unknown, None) => {}
    }
}

fn late_effect(subject: &RecoverySubject) -> Option<LateEffect> {
    match (subject.action.row().harm, subject.action, subject.status.as_deref()) {
        (HazardRule::Always(hazard), _, _) => LateEffect::of(hazard),
        // How the upload was opened is no longer known.
        (_, S3Operation::CompleteMultipartUpload, _) => Some(LateEffect::Completion),
        (HazardRule::Deletes | HazardRule::DeletesMany | HazardRule::Replaces, _, _) => Some(LateEffect::Versions),
        (HazardRule::AsDocument, S3Operation::PutBucketVersioning, Some("Enabled")) => None,
        (HazardRule::AsDocument, S3Operation::PutBucketVersioning, _) => Some(LateEffect::Suspension),
        (HazardRule::AsDocument, _, _) => Some(LateEffect::Configuration),
    }
}

impl RecoveredRequests {
    fn count(&mut self, finding: RecoveryFinding) {
        let place = match finding {
            RecoveryFinding::Done => &mut self.done,
            RecoveryFinding::NotDone => &mut self.not_done,
            RecoveryFinding::Unknown => &mut self.unknown,
        };
        *place += 1;
    }
}

/// What can be asked.
#[derive(Clone)]
struct RecoveryProbe {
    upstream: Arc<Upstream>,
    state: StateStore,
    clock: Clock,
}

impl RecoveryProbe {
    async fn findings(self, questions: &[RecoveryQuestion]) -> Vec<RecoveryFinding> {
        let until = Instant::now() + LONGEST;
        let mut findings = vec![RecoveryFinding::Unknown; questions.len()];
        let mut subjects: HashMap<_, u32> = HashMap::new();
        for subject in questions.iter().filter_map(subject) {
            *subjects.entry(subject).or_default() += 1;
        }
        // Another request in progress may have undone or repeated what this one did.
        let contended = |question| subject(question).is_some_and(|subject| subjects.get(&subject) > Some(&1));
        let clear = questions.iter().enumerate().filter(|(_, question)| !contended(question));
        let mut asked: Vec<(usize, RecoveryQuestion)> =
            clear.map(|(place, question)| (place, question.clone())).collect();
        for looks in 0..2 {
            if looks > 0 {
                asked.retain(|(place, _)| findings.get(*place) == Some(&RecoveryFinding::NotDone));
                if asked.is_empty() {
                    break;
                }
                tokio::time::sleep(SECOND_LOOK).await;
            }
            for (place, finding) in self.ask_all(&asked, until).await {
                if let Some(known) = findings.get_mut(place) {
                    *known = finding;
                }
            }
        }
        findings
    }

    async fn ask_all(&self, asked: &[(usize, RecoveryQuestion)], until: Instant) -> Vec<(usize, RecoveryFinding)> {
        let (room, mut asking) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for (place, question) in asked.iter().cloned() {
            let (probe, room) = (self.clone(), room.clone());
            asking.spawn(async move {
                let looking = async {
                    let _place = room.acquire().await;
                    probe.ask(&question).await
                };
                let finding = match tokio::time::timeout_at(until, looking).await {
                    Ok(Ok(finding)) => finding,
                    Ok(Err(_)) | Err(_) => RecoveryFinding::Unknown,
                };
                (place, finding)
            });
        }
        let mut found = Vec::with_capacity(asked.len());
        while let Some(joined) = asking.join_next().await {
            found.extend(joined.ok());
        }
        found
    }

    async fn ask(&self, question: &RecoveryQuestion) -> Result<RecoveryFinding, UpstreamError> {
        match question {
            RecoveryQuestion::Batch | RecoveryQuestion::None => Ok(RecoveryFinding::Unknown),
            RecoveryQuestion::Aborted { bucket, key, upload } => {
                Ok(gone(self.look(bucket, LookTarget::Upload { key, id: upload }).await?))
            }
            RecoveryQuestion::BucketMade(bucket) => Ok(match self.look(bucket, LookTarget::Bucket).await? {
                StoredPresence::There { .. } => RecoveryFinding::Done,
                StoredPresence::Absent => RecoveryFinding::NotDone,
                StoredPresence::Marked => RecoveryFinding::Unknown,
            }),
            RecoveryQuestion::BucketRemoved(bucket) => {
                let finding = gone(self.look(bucket, LookTarget::Bucket).await?);
                Ok(if finding == RecoveryFinding::Done { self.tombstone(bucket).await } else { finding })
            }
            RecoveryQuestion::Deleted { bucket, key, version, begun } => {
                let presence = self.look(bucket, LookTarget::Object { key, version: version.as_ref() }).await?;
                Ok(match (presence, version) {
                    (StoredPresence::Absent, _) | (StoredPresence::Marked, None) => RecoveryFinding::Done,
                    (StoredPresence::There { .. } | StoredPresence::Marked, Some(version))
                        if version.as_str() != "null" =>
                    {
                        RecoveryFinding::NotDone
                    }
                    (StoredPresence::There { .. } | StoredPresence::Marked, _) => unless_newer(presence, *begun),
                })
            }
            RecoveryQuestion::Versioning { bucket, status, mfa_delete } => {
                let now = self.upstream.versioning(bucket, self.clock.now()).await?;
                Ok(versioning(now, self.state.bucket(bucket).mfa_delete, status, mfa_delete.as_deref()))
            }
            RecoveryQuestion::Written { bucket, key, begun } => {
                let presence = self.look(bucket, LookTarget::Object { key, version: None }).await?;
                Ok(match presence {
                    StoredPresence::Absent => RecoveryFinding::NotDone,
                    StoredPresence::Marked => RecoveryFinding::Unknown,
                    StoredPresence::There { .. } => unless_newer(presence, *begun),
                })
            }
        }
    }

    async fn look(&self, bucket: &BucketName, sight: LookTarget<'_>) -> Result<StoredPresence, UpstreamError> {
        self.upstream.look(bucket, sight, self.clock.now()).await
    }

    /// Keeps the protection of a bucket that was deleted, for when its name is used again.
    async fn tombstone(&self, bucket: &BucketName) -> RecoveryFinding {
        let record = self.state.bucket(bucket);
        if record.mfa_delete != MfaDelete::Enabled {
            return RecoveryFinding::Done;
        }
        match self.state.record_bucket(bucket, record, StateChange::Bury, self.clock.now()).await {
            Ok(_) => RecoveryFinding::Done,
            Err(error) => {
                tracing::error!(%bucket, %error, "the deletion of a bucket cannot be recorded");
                RecoveryFinding::Unknown
            }
        }
    }
}

fn gone(presence: StoredPresence) -> RecoveryFinding {
    match presence {
        StoredPresence::Absent => RecoveryFinding::Done,
        StoredPresence::There { .. } => RecoveryFinding::NotDone,
        StoredPresence::Marked => RecoveryFinding::Unknown,
    }
}

/// A version that is older than the request was neither written nor removed by it.
fn unless_newer(presence: StoredPresence, begun: Timestamp) -> RecoveryFinding {
    match presence {
        StoredPresence::There { written: Some(written) } if written.plus(MOST_SKEW) < begun => RecoveryFinding::NotDone,
        StoredPresence::Absent | StoredPresence::Marked | StoredPresence::There { .. } => RecoveryFinding::Unknown,
    }
}

/// MFA Delete is what the state has on record, whatever the store says: enabling is recorded before it is forwarded,
/// disabling after.
fn versioning(now: Versioning, on_record: MfaDelete, status: &str, mfa_delete: Option<&str>) -> RecoveryFinding {
    let is_as_asked = match now {
        Versioning::Enabled | Versioning::EnabledWithExclusions => status == "Enabled",
        Versioning::Suspended => status == "Suspended",
        Versioning::Never | Versioning::NoBucket | Versioning::Unread => false,
    };
    match (mfa_delete, on_record, is_as_asked) {
        (Some("Enabled"), MfaDelete::Disabled | MfaDelete::NeverSet, _) => RecoveryFinding::NotDone,
        // Still protected, so only half of the change is known to be done.
        (Some("Enabled"), MfaDelete::Enabled, false) | (Some("Disabled"), MfaDelete::Enabled, true) => {
            RecoveryFinding::Unknown
        }
        (_, _, false) => RecoveryFinding::NotDone,
        (_, _, true) => RecoveryFinding::Done,
    }
}

/// What a request is about, if another request could affect the same.
fn subject(question: &RecoveryQuestion) -> Option<(&BucketName, Option<&ObjectKey>)> {
    match question {
        RecoveryQuestion::Aborted { bucket, key, .. } | RecoveryQuestion::Written { bucket, key, .. } => {
            Some((bucket, Some(key)))
        }
        RecoveryQuestion::BucketMade(bucket)
        | RecoveryQuestion::BucketRemoved(bucket)
        | RecoveryQuestion::Versioning { bucket, .. } => Some((bucket, None)),
        // A version id is never used again, except that of the null version.
        RecoveryQuestion::Deleted { version: Some(version), .. } if version.as_str() != "null" => None,
        RecoveryQuestion::Deleted { bucket, key, .. } => Some((bucket, Some(key))),
        RecoveryQuestion::Batch | RecoveryQuestion::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn a_change_of_versioning_is_judged_by_the_store_and_by_what_the_gate_has_on_record() {
        let mut table = String::new();
        for (status, mfa_delete) in [
            ("Enabled", Some("Enabled")),
            ("Enabled", Some("Disabled")),
            ("Suspended", Some("Disabled")),
            ("Enabled", None),
            ("Suspended", None),
        ] {
            for on_record in [MfaDelete::NeverSet, MfaDelete::Disabled, MfaDelete::Enabled] {
                for now in [Versioning::Enabled, Versioning::Suspended, Versioning::Never, Versioning::NoBucket] {
                    let finding = versioning(now, on_record, status, mfa_delete);
                    let asked = format!("{status}, MfaDelete {}", mfa_delete.unwrap_or("not named"));
                    writeln!(table, "{asked}; on record {on_record:?}; the store says {now:?}: {finding:?}")
                        .expect("written");
                }
            }
        }
        insta::assert_snapshot!(table);
    }
}
