//! The records of a place's journal, also while its gate writes it.

use std::collections::VecDeque;

use serde_json::Value;

use super::Records;
use crate::audit;
use crate::audit::journal::Reader;
use crate::command::error::CommandError;
use crate::command::place::Place;

/// The records of a journal, in order.
pub struct Recorded {
    reader: Reader,
    /// What is left of the journal's record that was read last: each may hold several of ours.
    rest: VecDeque<Value>,
}

impl Recorded {
    /// Reads from the first record on.
    pub fn open(place: &Place) -> Result<Self, CommandError> {
        let directory = place.journal();
        if !directory.exists() {
            return Err(CommandError::not_running(format!("nothing was ever recorded in {}", directory.display()))
                .next(format!("Start a gate: portcullis dev{}\nOr say where it is: --data DIR", place.flag())));
        }
        let reader = Reader::open(&directory).map_err(CommandError::failed)?;
        Ok(Self { reader, rest: VecDeque::new() })
    }
}

impl Records for Recorded {
    fn next(&mut self) -> Result<Option<Value>, CommandError> {
        loop {
            if let Some(record) = self.rest.pop_front() {
                return Ok(Some(record));
            }
            let Some(read) = self.reader.next() else { return Ok(None) };
            let read = read.map_err(CommandError::failed)?;
            for event in audit::events(read.kind, &read.payload) {
                let event = serde_json::from_slice(event).map_err(|error| {
                    CommandError::failed(format!(
                        "record {} of the journal is no JSON: {error}",
                        read.sequence.number()
                    ))
                })?;
                self.rest.push_back(event);
            }
        }
    }
}
