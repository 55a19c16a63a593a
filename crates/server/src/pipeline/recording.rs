//! What a reply waits for, and what becomes of a request that cannot be recorded.

use crate::failure::Failure;
use portcullis_base::bucket_pattern::BucketPattern;
use portcullis_base::names::BucketName;
use portcullis_base::setting::WordSetting;
use portcullis_s3::Access;

/// How requests are recorded.
#[derive(Clone, Debug)]
pub struct Recording {
    pub reads: Reads,
    /// Buckets whose reads are strict, whatever `reads` says.
    pub strict: Vec<BucketPattern>,
    /// Buckets whose reads are relaxed, unless they are among the strict ones too.
    pub relaxed: Vec<BucketPattern>,
    pub on_failure: OnFailure,
}

/// `audit.reads`: what a read's reply waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reads {
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
    /// None is carried out.
    DenyAll,
    /// Those that only read, and do so relaxedly, go on without a record.
    DenyMutations,
}

impl WordSetting for Reads {
    const WORDS: &'static [(&'static str, Self)] = &[("relaxed", Self::Relaxed), ("strict", Self::Strict)];
}

impl WordSetting for OnFailure {
    const WORDS: &'static [(&'static str, Self)] =
        &[("deny-mutations", Self::DenyMutations), ("deny-all", Self::DenyAll), ("allow", Self::Allow)];
}

/// What is owed to the journal for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duty {
    pub wait: Wait,
    pub loss: Loss,
}

/// Where a record has to be before the reply is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Disk,
    System,
}

/// What becomes of a request whose record is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It goes on, and the log says that there is no record of it.
    Logged,
    /// It is refused, or its reply broken off.
    Refused,
}

impl Recording {
    /// What is owed for a request to this bucket.
    pub(super) fn duty(&self, access: Access, bucket: Option<&BucketName>) -> Duty {
        let (wait, loss) = match (access, self.reads(bucket)) {
            (Access::Write, _) | (Access::Read, Reads::Strict) => (Wait::Disk, Loss::Refused),
            (Access::Read, Reads::Relaxed) => (Wait::System, Loss::Logged),
        };
        match self.on_failure {
            OnFailure::Allow => Duty { wait, loss: Loss::Logged },
            OnFailure::DenyAll => Duty { wait, loss: Loss::Refused },
            OnFailure::DenyMutations => Duty { wait, loss },
        }
    }

    fn reads(&self, bucket: Option<&BucketName>) -> Reads {
        let among = |patterns: &[BucketPattern]| {
            bucket.is_some_and(|bucket| patterns.iter().any(|pattern| pattern.admits(bucket)))
        };
        if among(&self.strict) {
            Reads::Strict
        } else if among(&self.relaxed) {
            Reads::Relaxed
        } else {
            self.reads
        }
    }
}

impl Duty {
    /// Nobody is promised a record of what nobody signed: a flood of it must not wait for the disk.
    pub const ANONYMOUS: Self = Self { wait: Wait::System, loss: Loss::Logged };

    /// Says that a record is lost, and lets the request go on only where that is allowed.
    pub fn lost(self, failure: Failure) -> Result<(), Failure> {
        tracing::error!("a request is served without a record: the journal is closed");
        match self.loss {
            Loss::Logged => Ok(()),
            Loss::Refused => Err(failure),
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
            for reads in [Reads::Relaxed, Reads::Strict] {
                let (strict, relaxed) = (patterns(&["vault", "finance-*"]), patterns(&["cache-*", "vault"]));
                let recording = Recording { reads, strict, relaxed, on_failure };
                for (access, bucket) in [
                    (Access::Write, Some("photos")),
                    (Access::Read, None),
                    (Access::Read, Some("photos")),
                    (Access::Read, Some("vault")),
                    (Access::Read, Some("finance-2026")),
                    (Access::Read, Some("cache-1")),
                ] {
                    let name = bucket.map(|bucket| BucketName::parse(bucket).expect("a name"));
                    let Duty { wait, loss } = recording.duty(access, name.as_ref());
                    let bucket = bucket.unwrap_or("no bucket");
                    writeln!(table, "{on_failure:?}, {reads:?}: {access:?} of {bucket}: {wait:?}, {loss:?}")
                        .expect("written");
                }
            }
        }
        insta::assert_snapshot!(table);
    }
}
