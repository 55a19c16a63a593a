//! Settings that are one of a few words.

/// A setting that is one of a few words.
pub(super) trait WordSetting: Copy + 'static {
    /// Each value with the word that stands for it.
    const WORDS: &'static [(&'static str, Self)];
}

/// `upstream.profile`: the kind of store, which tells what it does beyond AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamProfile {
    Aws,
    Ceph,
    /// The store that `portcullis dev` starts.
    Embedded,
    /// Any other store: assumed to have every extension that some S3 store has.
    Generic,
    Minio,
}

/// `mfa_delete.profile`: which operations need a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GateProfile {
    /// As AWS: deletion of versions by id, and changes of versioning.
    Aws,
    /// Every operation that destroys a version or weakens its protection.
    Strict,
}

/// `mfa.require_tls`: the transports over which a code is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequireTls {
    /// Only TLS.
    Always,
    /// TLS, or this machine's loopback.
    Network,
}

/// `mfa.digits`: how long a new device's codes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceDigits {
    Eight,
    Six,
}

/// `audit.reads`: what a read's reply waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadRecords {
    /// The operating system has the record.
    Relaxed,
    /// The disk has the record.
    Strict,
}

/// `audit.on_failure`: what happens to requests while the journal is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// They are served without a record.
    Allow,
    /// None is carried out.
    DenyAll,
    /// Relaxed reads are served without a record; all else is refused.
    DenyMutations,
}

impl DeviceDigits {
    /// How many digits that is.
    pub const fn count(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Six => 6,
        }
    }
}

impl WordSetting for UpstreamProfile {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("embedded", Self::Embedded),
        ("minio", Self::Minio),
        ("ceph", Self::Ceph),
        ("aws", Self::Aws),
        ("generic", Self::Generic),
    ];
}

impl WordSetting for GateProfile {
    const WORDS: &'static [(&'static str, Self)] = &[("strict", Self::Strict), ("aws", Self::Aws)];
}

impl WordSetting for RequireTls {
    const WORDS: &'static [(&'static str, Self)] = &[("network", Self::Network), ("always", Self::Always)];
}

impl WordSetting for OnFailure {
    const WORDS: &'static [(&'static str, Self)] =
        &[("deny-mutations", Self::DenyMutations), ("deny-all", Self::DenyAll), ("allow", Self::Allow)];
}

impl WordSetting for ReadRecords {
    const WORDS: &'static [(&'static str, Self)] = &[("relaxed", Self::Relaxed), ("strict", Self::Strict)];
}
