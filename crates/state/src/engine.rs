//! The port to whatever keeps the state on a disk: get, compare-and-swap, scan, watch.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use thiserror::Error;
use tokio::sync::broadcast;

/// What an engine will have done; boxed, because a wait for a disk outweighs it by far.
pub type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where opaque, versioned values are kept.
pub trait StateEngine: Send + Sync {
    /// The value of a key.
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxedFuture<'a, Result<Option<VersionedValue>, EngineError>>;

    /// Makes all of the swaps or none; on `Done` they survive the loss of power.
    fn compare_and_swap(&self, swaps: Vec<KeySwap>) -> BoxedFuture<'_, Result<SwapOutcome, EngineError>>;

    /// Every key that begins so, with its value, in the order of the keys.
    fn scan<'a>(&'a self, prefix: &'a [u8]) -> BoxedFuture<'a, Result<EngineEntries, EngineError>>;

    /// The changes, from now on, of every key that begins so.
    fn watch(&self, prefix: &[u8]) -> KeyWatch;
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

/// One key's new value; `None` where it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    pub key: Vec<u8>,
    pub now: Option<VersionedValue>,
}

/// Changes as they come.
pub struct KeyWatch {
    prefix: Vec<u8>,
    changes: broadcast::Receiver<KeyChange>,
}

/// Why a watch has nothing more to tell.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WatchLost {
    #[error("the engine has closed")]
    Closed,
    /// The watcher was too slow; it has to scan.
    #[error("changes were missed")]
    Missed,
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

impl KeyWatch {
    pub(super) fn new(prefix: &[u8], changes: broadcast::Receiver<KeyChange>) -> Self {
        Self { prefix: prefix.to_vec(), changes }
    }

    /// Waits for the next change.
    pub async fn next(&mut self) -> Result<KeyChange, WatchLost> {
        loop {
            match self.changes.recv().await {
                Ok(change) if change.key.starts_with(&self.prefix) => return Ok(change),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Closed) => return Err(WatchLost::Closed),
                Err(broadcast::error::RecvError::Lagged(_)) => return Err(WatchLost::Missed),
            }
        }
    }
}

impl fmt::Debug for KeyWatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Watch({})", String::from_utf8_lossy(&self.prefix))
    }
}
