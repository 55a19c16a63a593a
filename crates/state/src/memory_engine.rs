//! An engine without a disk, which can be told to fail.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast;

use super::engine::{
    BoxedFuture, EngineEntries, EngineError, KeyChange, KeySwap, KeyWatch, StateEngine, SwapOutcome, ValueVersion,
    VersionedValue,
};

/// Values in memory.
pub struct MemoryEngine {
    values: Mutex<(u64, BTreeMap<Vec<u8>, VersionedValue>)>,
    changes: broadcast::Sender<KeyChange>,
    pub broken: AtomicBool,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self { values: Mutex::default(), changes: broadcast::channel(16).0, broken: AtomicBool::new(false) }
    }
}

impl StateEngine for MemoryEngine {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxedFuture<'a, Result<Option<VersionedValue>, EngineError>> {
        let found = self.values.lock().expect("sound").1.get(key).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn compare_and_swap(&self, swaps: Vec<KeySwap>) -> BoxedFuture<'_, Result<SwapOutcome, EngineError>> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(EngineError::Failed("told to".to_owned()));
            }
            let mut guard = self.values.lock().expect("sound");
            let (last, values) = &mut *guard;
            if swaps.iter().any(|swap| values.get(&swap.key).map(|value| value.version) != swap.expect) {
                return Ok(SwapOutcome::Conflict);
            }
            *last += 1;
            for swap in swaps {
                match swap.value {
                    Some(value) => values.insert(swap.key, VersionedValue { version: ValueVersion(*last), value }),
                    None => values.remove(&swap.key),
                };
            }
            Ok(SwapOutcome::Done(ValueVersion(*last)))
        })
    }

    fn scan<'a>(&'a self, prefix: &'a [u8]) -> BoxedFuture<'a, Result<EngineEntries, EngineError>> {
        let guard = self.values.lock().expect("sound");
        let found = guard.1.iter().filter(|(key, _)| key.starts_with(prefix));
        let found = found.map(|(key, value)| (key.clone(), value.clone())).collect();
        Box::pin(async move { Ok(found) })
    }

    fn watch(&self, prefix: &[u8]) -> KeyWatch {
        KeyWatch::new(prefix, self.changes.subscribe())
    }
}
