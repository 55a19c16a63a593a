//! What a reply waits for, and what happens to a request that cannot be recorded.

use crate::failure::Failure;
use portcullis_base::bucket_pattern::BucketPattern;
use portcullis_base::names::BucketName;
use portcullis_base::setting::WordSetting;
use portcullis_s3::OperationAccess;

/// How requests are recorded.
#[derive(Clone, Debug)]
pub struct RecordingRules {
    pub reads: ReadDurability,
    /// Buckets whose reads are strict, whatever `reads` says.
    pub strict: Vec<BucketPattern>,
    /// Buckets whose reads are relaxed, unless `strict` has them too.
    pub relaxed: Vec<BucketPattern>,
    pub on_failure: OnFailure,
}

/// `audit.reads`: what a read's reply waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadDurability {
    /// A read's record has reached the operating system before the reply ends.
    Relaxed,
    /// A read's record has reached the disk before the reply ends.
    Strict,
}

/// `audit.on_failure`: what happens to requests while the journal is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// They go on without a record.
    Allow,
    /// They are all refused.
    DenyAll,
    /// Relaxed reads go on without a record; all others are refused.
    DenyMutations,
}

impl WordSetting for ReadDurability {
    const WORDS: &'static [(&'static str, Self)] = &[("relaxed", Self::Relaxed), ("strict", Self::Strict)];
}

impl WordSetting for OnFailure {
    const WORDS: &'static [(&'static str, Self)] =
        &[("deny-mutations", Self::DenyMutations), ("deny-all", Self::DenyAll), ("allow", Self::Allow)];
}

/// What is owed to the journal for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordDuty {
    pub wait: RecordWait,
    pub loss: OnRecordLoss,
}

/// Where a record has to be before the reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordWait {
    Disk,
    System,
}

/// What happens to a request whose record is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnRecordLoss {
    /// It goes on, and the log says that it has no record.
    Logged,
    /// It is refused, or its reply is cut off.
    Refused,
}

impl RecordingRules {
    /// What is owed for a request to this bucket.
    pub(super) fn duty(&self, access: OperationAccess, bucket: Option<&BucketName>) -> RecordDuty {
        let (wait, loss) = match (access, self.reads(bucket)) {
            (OperationAccess::Write, _) | (OperationAccess::Read, ReadDurability::Strict) => {
                (RecordWait::Disk, OnRecordLoss::Refused)
            }
            (OperationAccess::Read, ReadDurability::Relaxed) => (RecordWait::System, OnRecordLoss::Logged),
        };
        match self.on_failure {
            OnFailure::Allow => RecordDuty { wait, loss: OnRecordLoss::Logged },
            OnFailure::DenyAll => RecordDuty { wait, loss: OnRecordLoss::Refused },
            OnFailure::DenyMutations => RecordDuty { wait, loss },
        }
    }

    fn reads(&self, bucket: Option<&BucketName>) -> ReadDurability {
        let among = |patterns: &[BucketPattern]| {
            bucket.is_some_and(|bucket| patterns.iter().any(|pattern| pattern.admits(bucket)))
        };
        if among(&self.strict) {
            ReadDurability::Strict
        } else if among(&self.relaxed) {
            ReadDurability::Relaxed
        } else {
            self.reads
        }
    }
}

impl RecordDuty {
    /// For unsigned requests: a flood of them must not wait for the disk.
    pub(super) const ANONYMOUS: Self = Self { wait: RecordWait::System, loss: OnRecordLoss::Logged };

    /// Logs that a record is lost, and lets the request go on only if that is allowed.
    pub(super) fn lost(self, failure: Failure) -> Result<(), Failure> {
        tracing::error!("a request is served without a record: the journal is closed");
        match self.loss {
            OnRecordLoss::Logged => Ok(()),
            OnRecordLoss::Refused => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn each_mode_has_its_duties() {
        let patterns = |texts: &[&str]| texts.iter().flat_map(|text| BucketPattern::parse(text)).collect::<Vec<_>>();
        let mut table = String::new();
        for on_failure in [OnFailure::DenyMutations, OnFailure::DenyAll, OnFailure::Allow] {
            for reads in [ReadDurability::Relaxed, ReadDurability::Strict] {
                let (strict, relaxed) = (patterns(&["vault", "finance-*"]), patterns(&["cache-*", "vault"]));
                let recording = RecordingRules { reads, strict, relaxed, on_failure };
                for (access, bucket) in [
                    (OperationAccess::Write, Some("photos")),
                    (OperationAccess::Read, None),
                    (OperationAccess::Read, Some("photos")),
                    (OperationAccess::Read, Some("vault")),
                    (OperationAccess::Read, Some("finance-2026")),
                    (OperationAccess::Read, Some("cache-1")),
                ] {
                    let name = bucket.map(|bucket| BucketName::parse(bucket).expect("a name"));
                    let RecordDuty { wait, loss } = recording.duty(access, name.as_ref());
                    let bucket = bucket.unwrap_or("no bucket");
                    writeln!(table, "{on_failure:?}, {reads:?}: {access:?} of {bucket}: {wait:?}, {loss:?}")
                        .expect("written");
                }
            }
        }
        insta::assert_snapshot!(table);
    }
}
