//! Settings that are one of a few words.

/// A setting that is one of a few words.
pub(super) trait WordSetting: Copy + 'static {
    /// Each value with the word that stands for it.
    const WORDS: &'static [(&'static str, Self)];
}

/// `upstream.profile`: which store it is, and so what it does beyond AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamProfile {
    Aws,
    Ceph,
    /// The store that `portcullis dev` starts.
    Embedded,
    /// Anything else: whatever some S3 does beyond AWS is taken to be there.
    Generic,
    Minio,
}

/// `mfa_delete.profile`: how much needs a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GateProfile {
    /// AWS's own gate: versions by id, and versioning itself.
    Aws,
    /// Whatever destroys a version or weakens what protects it.
    Strict,
}

/// `mfa.require_tls`: over which transports a code is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequireTls {
    /// TLS alone.
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
    /// They go on without a record.
    Allow,
    /// None is carried out.
    DenyAll,
    /// Those that only read, and do so relaxedly, go on without a record.
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
