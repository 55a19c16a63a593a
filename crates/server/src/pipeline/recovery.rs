//! Requests that were under way when the gate ended: the store is asked what became of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use portcullis_audit::{Finding, Question, Subject, Unresolved};
use portcullis_authorization::{LateEffect, MfaDelete, StateChange, Versioning};
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::names::{BucketName, ObjectKey};
use portcullis_journal::{Journal, JournalClosed, OpenIntent, Sequence};
use portcullis_s3::{Action, Harm};
use portcullis_state::Store;
use portcullis_upstream::{Presence, Sight, Upstream, UpstreamError};

/// How the requests that a crash left open ended, as far as the store tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    pub done: usize,
    pub not_done: usize,
    pub unknown: usize,
}

/// A start does not wait longer for a store that does not answer; what was not learnt by then stays unknown.
const LONGEST: Duration = Duration::from_secs(10);
/// What was not done may be under way in the store still, so it is believed only if it is so a little later.
const SECOND_LOOK: Duration = Duration::from_millis(500);
const AT_ONCE: usize = 16;
/// Whoever's clocks are farther apart than this cannot sign requests for each other.
const MOST_SKEW: Duration = Duration::from_secs(15 * 60);

/// Asks the store about each open intent and records its outcome; nothing may be forwarded before.
pub async fn recover(
    intents: &[OpenIntent],
    journal: &Journal,
    upstream: &Arc<Upstream>,
    store: &Store,
    clock: &Clock,
) -> Result<Recovered, JournalClosed> {
    let unresolved: Vec<_> = intents.iter().map(Unresolved::of).collect();
    let questions: Vec<Question> = unresolved.iter().flat_map(Unresolved::questions).cloned().collect();
    let witness = Witness { upstream: upstream.clone(), store: store.clone(), clock: clock.clone() };
    let mut findings = witness.findings(&questions).await.into_iter();
    let (mut recovered, mut last) = (Recovered::default(), Sequence::NONE);
    for request in &unresolved {
        let found: Vec<_> = findings.by_ref().take(request.questions().count()).collect();
        found.iter().for_each(|finding| recovered.count(*finding));
        for (subject, finding) in request.subjects().zip(&found) {
            note_late_effect(store, subject, *finding, clock.now()).await;
        }
        last = request.resolve(&found, journal)?;
    }
    journal.durable(last).await?;
    Ok(recovered)
}

/// Notes what the store may still do of a request that it was not seen to have carried out.
async fn note_late_effect(store: &Store, subject: Option<Subject>, finding: Finding, now: Timestamp) {
    let Some(subject) = subject else { return };
    match (finding, late_effect(&subject)) {
        (Finding::NotDone | Finding::Unknown, Some(effect)) => {
            store.note_unanswered(&subject.bucket, effect, now).await;
        }
        (Finding::Done, _) | (Finding::NotDone | Finding::Unknown, None) => {}
    }
}

fn late_effect(subject: &Subject) -> Option<LateEffect> {
    match (subject.action.row().harm, subject.action, subject.status.as_deref()) {
        (Harm::Always(hazard), _, _) => LateEffect::of(hazard),
        // Nobody knows any more what the upload was opened as.
        (_, Action::CompleteMultipartUpload, _) => Some(LateEffect::Completion),
        (Harm::Deletes | Harm::DeletesMany | Harm::Replaces, _, _) => Some(LateEffect::Versions),
        (Harm::AsDocument, Action::PutBucketVersioning, Some("Enabled")) => None,
        (Harm::AsDocument, Action::PutBucketVersioning, _) => Some(LateEffect::Suspension),
        (Harm::AsDocument, _, _) => Some(LateEffect::Configuration),
    }
}

impl Recovered {
    fn count(&mut self, finding: Finding) {
        let place = match finding {
            Finding::Done => &mut self.done,
            Finding::NotDone => &mut self.not_done,
            Finding::Unknown => &mut self.unknown,
        };
        *place += 1;
    }
}

/// What can be asked.
#[derive(Clone)]
struct Witness {
    upstream: Arc<Upstream>,
    store: Store,
    clock: Clock,
}

impl Witness {
    async fn findings(self, questions: &[Question]) -> Vec<Finding> {
        let until = Instant::now() + LONGEST;
        let mut findings = vec![Finding::Unknown; questions.len()];
        let mut subjects: HashMap<_, u32> = HashMap::new();
        for subject in questions.iter().filter_map(subject) {
            *subjects.entry(subject).or_default() += 1;
        }
        // Another request that was under way may have undone or redone what this one did.
        let contended = |question| subject(question).is_some_and(|subject| subjects.get(&subject) > Some(&1));
        let clear = questions.iter().enumerate().filter(|(_, question)| !contended(question));
        let mut asked: Vec<(usize, Question)> = clear.map(|(place, question)| (place, question.clone())).collect();
        for looks in 0..2 {
            if looks > 0 {
                asked.retain(|(place, _)| findings.get(*place) == Some(&Finding::NotDone));
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

    async fn ask_all(&self, asked: &[(usize, Question)], until: Instant) -> Vec<(usize, Finding)> {
        let (room, mut asking) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for (place, question) in asked.iter().cloned() {
            let (witness, room) = (self.clone(), room.clone());
            asking.spawn(async move {
                let looking = async {
                    let _place = room.acquire().await;
                    witness.ask(&question).await
                };
                let finding = match tokio::time::timeout_at(until, looking).await {
                    Ok(Ok(finding)) => finding,
                    Ok(Err(_)) | Err(_) => Finding::Unknown,
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

    async fn ask(&self, question: &Question) -> Result<Finding, UpstreamError> {
        match question {
            Question::Batch | Question::None => Ok(Finding::Unknown),
            Question::Aborted { bucket, key, upload } => {
                Ok(gone(self.look(bucket, Sight::Upload { key, id: upload }).await?))
            }
            Question::BucketMade(bucket) => Ok(match self.look(bucket, Sight::Bucket).await? {
                Presence::There { .. } => Finding::Done,
                Presence::Absent => Finding::NotDone,
                Presence::Marked => Finding::Unknown,
            }),
            Question::BucketRemoved(bucket) => {
                let finding = gone(self.look(bucket, Sight::Bucket).await?);
                Ok(if finding == Finding::Done { self.bury(bucket).await } else { finding })
            }
            Question::Deleted { bucket, key, version, begun } => {
                let presence = self.look(bucket, Sight::Object { key, version: version.as_ref() }).await?;
                Ok(match (presence, version) {
                    (Presence::Absent, _) | (Presence::Marked, None) => Finding::Done,
                    (Presence::There { .. } | Presence::Marked, Some(version)) if version.as_str() != "null" => {
                        Finding::NotDone
                    }
                    (Presence::There { .. } | Presence::Marked, _) => unless_newer(presence, *begun),
                })
            }
            Question::Versioning { bucket, status, mfa_delete } => {
                let now = self.upstream.versioning(bucket, self.clock.now()).await?;
                Ok(versioning(now, self.store.bucket(bucket).mfa_delete, status, mfa_delete.as_deref()))
            }
            Question::Written { bucket, key, begun } => {
                let presence = self.look(bucket, Sight::Object { key, version: None }).await?;
                Ok(match presence {
                    Presence::Absent => Finding::NotDone,
                    Presence::Marked => Finding::Unknown,
                    Presence::There { .. } => unless_newer(presence, *begun),
                })
            }
        }
    }

    async fn look(&self, bucket: &BucketName, sight: Sight<'_>) -> Result<Presence, UpstreamError> {
        self.upstream.look(bucket, sight, self.clock.now()).await
    }

    /// A protected bucket that went keeps its protection when it comes again.
    async fn bury(&self, bucket: &BucketName) -> Finding {
        let record = self.store.bucket(bucket);
        if record.mfa_delete != MfaDelete::Enabled {
            return Finding::Done;
        }
        match self.store.record_bucket(bucket, record, StateChange::Bury, self.clock.now()).await {
            Ok(_) => Finding::Done,
            Err(error) => {
                tracing::error!(%bucket, %error, "the deletion of a bucket cannot be recorded");
                Finding::Unknown
            }
        }
    }
}

fn gone(presence: Presence) -> Finding {
    match presence {
        Presence::Absent => Finding::Done,
        Presence::There { .. } => Finding::NotDone,
        Presence::Marked => Finding::Unknown,
    }
}

/// What was written before the request began was neither written nor removed by it.
fn unless_newer(presence: Presence, begun: Timestamp) -> Finding {
    match presence {
        Presence::There { written: Some(written) } if written.plus(MOST_SKEW) < begun => Finding::NotDone,
        Presence::Absent | Presence::Marked | Presence::There { .. } => Finding::Unknown,
    }
}

/// MFA Delete is what the gate has on record, whatever the store says: enabling was recorded before it was forwarded,
/// disabling was to be recorded after.
fn versioning(now: Versioning, on_record: MfaDelete, status: &str, mfa_delete: Option<&str>) -> Finding {
    let is_as_asked = match now {
        Versioning::Enabled | Versioning::EnabledWithExclusions => status == "Enabled",
        Versioning::Suspended => status == "Suspended",
        Versioning::Never | Versioning::NoBucket | Versioning::Unread => false,
    };
    match (mfa_delete, on_record, is_as_asked) {
        (Some("Enabled"), MfaDelete::Disabled | MfaDelete::NeverSet, _) => Finding::NotDone,
        // Protected all the same, so one half was done and the other was not, or may not have been.
        (Some("Enabled"), MfaDelete::Enabled, false) | (Some("Disabled"), MfaDelete::Enabled, true) => Finding::Unknown,
        (_, _, false) => Finding::NotDone,
        (_, _, true) => Finding::Done,
    }
}

/// What a request is about, where another one could meddle with it.
fn subject(question: &Question) -> Option<(&BucketName, Option<&ObjectKey>)> {
    match question {
        Question::Aborted { bucket, key, .. } | Question::Written { bucket, key, .. } => Some((bucket, Some(key))),
        Question::BucketMade(bucket) | Question::BucketRemoved(bucket) | Question::Versioning { bucket, .. } => {
            Some((bucket, None))
        }
        // The id of a version is never given again, save to the one without.
        Question::Deleted { version: Some(version), .. } if version.as_str() != "null" => None,
        Question::Deleted { bucket, key, .. } => Some((bucket, Some(key))),
        Question::Batch | Question::None => None,
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
