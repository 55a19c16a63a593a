//! An engine without a disk, which can be told to fail.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::{
    BoxedFuture, EngineEntries, EngineError, KeySwap, StateEngine, SwapOutcome, ValueVersion, VersionedValue,
};

/// Values in memory.
#[derive(Default)]
pub struct MemoryEngine {
    values: Mutex<(u64, BTreeMap<Vec<u8>, VersionedValue>)>,
    pub broken: AtomicBool,
}

impl StateEngine for MemoryEngine {
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

    fn scan(&self) -> BoxedFuture<'_, Result<EngineEntries, EngineError>> {
        let found =
            self.values.lock().expect("sound").1.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Box::pin(async move { Ok(found) })
    }
}
