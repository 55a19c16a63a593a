//! What happened: every request becomes a record in the journal, whatever became of the request.

mod budget;
mod draft;
mod event;
mod order;
mod outcome;
mod parameters;
mod recorder;
mod recovery;
#[cfg(test)]
mod tests;

pub use budget::Space;
pub use draft::{Asked, ControlAsked, Draft, changes_device};
pub use event::{Category, MfaFacts, MfaResult, ROOT_USER, Site, Source, TlsDetails, user_id};
pub use outcome::{Elements, Failed, ObjectOutcome, Outcome};
pub use parameters::Configuration;
pub use recorder::{ConnectionFailure, ConnectionFault, Recorder, Sink};
pub use recovery::{Finding, Question, Subject, Unresolved, events};
