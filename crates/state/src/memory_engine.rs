//! An engine without a disk, which can be told to fail, or that another proxy always comes first.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::engine::{
    BoxedFuture, EngineEntries, EngineError, KeySwap, StateEngine, SwapOutcome, ValueVersion, VersionedValue,
};

/// Values in memory.
#[derive(Default)]
pub struct MemoryEngine {
    values: Mutex<(u64, BTreeMap<Vec<u8>, VersionedValue>)>,
    pub broken: AtomicBool,
    contended: Mutex<Option<String>>,
    conflicts: AtomicU32,
}

impl MemoryEngine {
    /// From now on each change of a key that begins so meets a conflict; none does if there is no such text.
    pub fn contend(&self, prefix: Option<&str>) {
        *self.contended.lock().expect("sound") = prefix.map(str::to_owned);
    }

    /// How many conflicts there were.
    pub fn conflicts(&self) -> u32 {
        self.conflicts.load(Ordering::SeqCst)
    }

    fn is_contended(&self, swaps: &[KeySwap]) -> bool {
        let contended = self.contended.lock().expect("sound");
        contended.as_ref().is_some_and(|prefix| swaps.iter().any(|swap| swap.key.starts_with(prefix.as_bytes())))
    }
}

impl StateEngine for MemoryEngine {
    fn compare_and_swap(&self, swaps: Vec<KeySwap>) -> BoxedFuture<'_, Result<SwapOutcome, EngineError>> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(EngineError::Failed("told to".to_owned()));
            }
            if self.is_contended(&swaps) {
                self.conflicts.fetch_add(1, Ordering::SeqCst);
                return Ok(SwapOutcome::Conflict);
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
