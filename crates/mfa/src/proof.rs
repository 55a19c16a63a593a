//! That a code was right, and is spent.

/// A right code whose time step has been spent durably, with the subject that it was offered for.
// INVARIANT (proof): made by `spend` alone, after the ledger has kept the spent step.
#[derive(Debug)]
pub struct Proof<T> {
    pub(super) subject: T,
    pub(super) step: u64,
}

impl<T> Proof<T> {
    /// What was proved.
    pub fn subject(&self) -> &T {
        &self.subject
    }

    /// Takes what was proved; the proof is used up.
    pub fn into_subject(self) -> T {
        self.subject
    }

    /// The time step that was spent.
    pub fn step(&self) -> u64 {
        self.step
    }
}
