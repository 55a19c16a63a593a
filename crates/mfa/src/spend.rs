//! The only way to a proof: the code's time step is spent durably first.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{Challenge, CodeCheck, CodeJudgement, MfaFault, Proof};

/// Where devices are kept, with the time steps that were spent.
// INVARIANT (proof): the state alone implements it outside tests; `tests/architecture.rs` holds it to that.
pub trait StepLedger: Sync {
    /// Why no proof was made: the client's fault, or the ledger's.
    type Error: From<MfaFault>;

    /// Judges codes by [`CodeCheck::judge`] when it is their turn. The counters of the judgement are on the disk and in
    /// the journal before it is returned.
    fn settle(&self, check: CodeCheck) -> LedgerFuture<'_, Result<CodeJudgement, Self::Error>>;
}

/// What a ledger does; boxed, since a wait for a disk outweighs it by far.
pub type LedgerFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A challenge that was not met, and why.
#[derive(Debug)]
pub struct UnmetChallenge<T, E> {
    pub challenge: Challenge<T>,
    pub error: E,
}

/// A challenge whose codes are at the ledger.
#[must_use = "nothing is spent before this is awaited"]
pub struct PendingSpend<'a, T, E> {
    /// Taken out when the ledger has answered.
    challenge: Option<Challenge<T>>,
    settling: LedgerFuture<'a, Result<CodeJudgement, E>>,
}

/// Spends the codes of a challenge; a proof exists only once the ledger has kept the spent step.
pub fn spend<T, L: StepLedger + ?Sized>(challenge: Challenge<T>, ledger: &L) -> PendingSpend<'_, T, L::Error> {
    let settling = ledger.settle(challenge.check.clone());
    PendingSpend { challenge: Some(challenge), settling }
}

// Written by hand, so that this module stays free of `async`: what waits is the ledger alone.
impl<T: Unpin, E: From<MfaFault>> Future for PendingSpend<'_, T, E> {
    type Output = Result<Proof<T>, UnmetChallenge<T, E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let settled = ready!(self.settling.as_mut().poll(context));
        match self.challenge.take() {
            Some(challenge) => Poll::Ready(prove(challenge, settled)),
            // Polled after its end, which no `await` does.
            None => Poll::Pending,
        }
    }
}

fn prove<T, E: From<MfaFault>>(
    challenge: Challenge<T>,
    settled: Result<CodeJudgement, E>,
) -> Result<Proof<T>, UnmetChallenge<T, E>> {
    let step = settled.and_then(|judgement| judgement.step_of(challenge.check.serial()).map_err(E::from));
    match step {
        Ok(step) => Ok(Proof { subject: challenge.subject, step }),
        Err(error) => Err(UnmetChallenge { challenge, error }),
    }
}

impl<T: fmt::Debug, E> fmt::Debug for PendingSpend<'_, T, E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PendingSpend").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
