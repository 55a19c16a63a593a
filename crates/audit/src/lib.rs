//! Audit records: every request becomes a record in the journal, with every outcome.

mod budget;
mod draft;
mod mfa;
mod order;
mod outcome;
mod parameters;
mod recorder;
mod recovery;
#[cfg(test)]
mod tests;

pub use budget::Space;
pub use draft::{Asked, ControlAsked, Draft, changes_device};
pub use mfa::{MfaFacts, mfa_result};
pub use outcome::{Elements, Failed, ObjectOutcome, Outcome};
pub use parameters::Configuration;
pub use recorder::{ConnectionFailure, ConnectionFault, Recorder, Sink};
pub use recovery::{Finding, Question, Subject, Unresolved, events};
