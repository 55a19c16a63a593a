//! The port to the engine that keeps the state on disk: compare-and-swap of several keys, and a scan of all.
//!
//! etcd has both (one transaction, one range), and so has PostgreSQL (one transaction, one SELECT).

use std::future::Future;
use std::pin::Pin;

use thiserror::Error;

/// What an engine will have done; boxed, because a wait for a disk outweighs it by far.
pub type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where opaque, versioned values are kept.
pub trait StateEngine: Send + Sync {
    /// Makes all of the swaps or none; on `Done` they survive the loss of power.
    fn compare_and_swap(&self, swaps: Vec<KeySwap>) -> BoxedFuture<'_, Result<SwapOutcome, EngineError>>;

    /// Every key with its value, all as of one moment and in the order of the keys.
    fn scan(&self) -> BoxedFuture<'_, Result<EngineEntries, EngineError>>;
}

/// Which of its values a key has; never the same for two values of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueVersion(pub(super) u64);

/// A value with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedValue {
    pub version: ValueVersion,
    pub value: Vec<u8>,
}

/// Keys with their values.
pub type EngineEntries = Vec<(Vec<u8>, VersionedValue)>;

/// One change that is made only if the key still is what it was.
#[derive(Clone, Debug)]
pub struct KeySwap {
    pub key: Vec<u8>,
    /// `None`: the key is absent.
    pub expect: Option<ValueVersion>,
    /// `None`: the key goes.
    pub value: Option<Vec<u8>>,
}

/// What came of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapOutcome {
    /// Some key was not as expected; nothing was changed.
    Conflict,
    /// All is changed, and has this version.
    Done(ValueVersion),
}

/// Why an engine did not do what it was asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EngineError {
    /// It has stopped, or failed before; what is on the disk is known again only after a restart.
    #[error("the state store has stopped")]
    Closed,
    #[error("the state store failed: {0}")]
    Failed(String),
    /// Another process has it open.
    #[error("the state store is in use")]
    InUse,
}
