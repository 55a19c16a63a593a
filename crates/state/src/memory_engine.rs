//! An engine without a disk, which can be told to fail.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::{Engine, EngineError, Entries, Promise, Swap, Swapped, Version, Versioned};

/// Values in memory.
#[derive(Default)]
pub struct MemoryEngine {
    values: Mutex<(u64, BTreeMap<Vec<u8>, Versioned>)>,
    pub broken: AtomicBool,
}

impl Engine for MemoryEngine {
    fn compare_and_swap(&self, swaps: Vec<Swap>) -> Promise<'_, Result<Swapped, EngineError>> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(EngineError::Failed("told to".to_owned()));
            }
            let mut guard = self.values.lock().expect("sound");
            let (last, values) = &mut *guard;
            if swaps.iter().any(|swap| values.get(&swap.key).map(|value| value.version) != swap.expect) {
                return Ok(Swapped::Conflict);
            }
            *last += 1;
            for swap in swaps {
                match swap.value {
                    Some(value) => values.insert(swap.key, Versioned { version: Version(*last), value }),
                    None => values.remove(&swap.key),
                };
            }
            Ok(Swapped::Done(Version(*last)))
        })
    }

    fn scan(&self) -> Promise<'_, Result<Entries, EngineError>> {
        let found =
            self.values.lock().expect("sound").1.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Box::pin(async move { Ok(found) })
    }
}
