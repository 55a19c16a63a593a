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

pub use budget::DiskSpace;
pub use draft::{ControlFacts, ControlSubject, Draft, OperationFacts};
pub use mfa::{MfaFacts, mfa_result};
pub use outcome::{ObjectOutcome, OutcomeError, RequestOutcome, ResponseElements};
pub use parameters::ConfigurationDocument;
pub use recorder::{ConnectionFailure, ConnectionFault, RecordSink, Recorder};
pub use recovery::{RecoveryFinding, RecoveryQuestion, RecoverySubject, UnresolvedIntent, events};
