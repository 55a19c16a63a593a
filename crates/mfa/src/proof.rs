//! That a code was right, and is spent.

/// A right code whose time step has been spent durably, with the subject that it was offered for.
// INVARIANT (proof): made by `spend` alone, after the ledger has kept the spent step.
#[derive(Debug)]
pub struct Proof<T> {
    pub(super) subject: T,
    pub(super) step: u64,
}

/// A part of what a code is asked for: the proof of the whole proves it.
// INVARIANT (proof): believed, so it is implemented only where the whole is made; `tests/architecture.rs` holds it to that.
pub trait ProvedPart<T>: Sized {
    /// Takes the part, or gives the whole back where it has no such part.
    fn part_of(whole: T) -> Result<Self, T>;
}

impl<T> Proof<T> {
    /// The proof of a part; the proof of the whole is used up.
    pub fn narrow<P: ProvedPart<T>>(self) -> Result<Proof<P>, Self> {
        let Self { subject, step } = self;
        match P::part_of(subject) {
            Ok(subject) => Ok(Proof { subject, step }),
            Err(subject) => Err(Self { subject, step }),
        }
    }

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
