//! The queue in which the codes of one device wait to be judged.
//!
//! Judging a code that may be right, or that counts as a failure, ends in a durable write. A thief of root's key can ask for
//! many of those, so they are judged one at a time, in an order that no number of requests from one network changes.

mod order;
mod tries;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use order::{QueueFull, TurnOrder, TurnTicket};
use portcullis_base::clock::Timestamp;
use portcullis_http::client_network;
use portcullis_mfa::MfaFault;
use tries::NetworkTries;

/// Where an offer of codes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeSource {
    AdminSocket,
    /// The first address of the client's network.
    Network(IpAddr),
}

/// Which part of a queue an offer waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum QueueLane {
    AdminSocket,
    Network(IpAddr),
    /// For three codes that were right when the offer came: only the owner of the device has those.
    RightThree,
}

/// The queue of one device; cheap to clone, and one and the same.
#[derive(Clone, Debug, Default)]
pub(super) struct CodeQueue(Arc<Mutex<DeviceQueue>>);

#[derive(Debug, Default)]
struct DeviceQueue {
    order: TurnOrder,
    tries: NetworkTries,
    waiting: HashMap<TurnTicket, oneshot::Sender<()>>,
}

/// A place in a queue, and then the turn; the next offer has its turn when this is dropped.
#[derive(Debug)]
pub(super) struct QueuePlace {
    queue: CodeQueue,
    lane: QueueLane,
    ticket: TurnTicket,
    called: oneshot::Receiver<()>,
}

/// How many codes make a proof so long that guessing it needs no limit.
const LONGEST_PROOF: usize = 3;

/// When a network that has its share of the queue may try again: a turn takes some milliseconds.
const A_MOMENT: u32 = 1;

impl CodeSource {
    /// The network of a client's address.
    pub fn of_address(address: IpAddr) -> Self {
        Self::Network(client_network(address))
    }
}

impl QueueLane {
    /// The lane of an offer of so many codes, by the fault that it would have if it were judged now.
    pub(crate) fn of(source: CodeSource, codes: usize, fault: Option<MfaFault>) -> Self {
        match (source, fault) {
            (CodeSource::AdminSocket, _) => Self::AdminSocket,
            (CodeSource::Network(_), None) if codes >= LONGEST_PROOF => Self::RightThree,
            (CodeSource::Network(network), None | Some(_)) => Self::Network(network),
        }
    }
}

impl CodeQueue {
    /// Takes a place, unless the network has used up its tries, or the lane or the queue is full.
    pub(crate) fn enter(&self, lane: QueueLane, now: Timestamp) -> Result<QueuePlace, MfaFault> {
        let mut queue = self.lock();
        queue.check_tries(lane, now)?;
        let ticket = queue.order.enter(lane).map_err(|full| match full {
            QueueFull::Network => MfaFault::NetworkThrottled { seconds: A_MOMENT },
            QueueFull::Queue => MfaFault::TooManyAtOnce,
        })?;
        let (call, called) = oneshot::channel();
        queue.waiting.insert(ticket, call);
        queue.call();
        Ok(QueuePlace { queue: self.clone(), lane, ticket, called })
    }

    fn lock(&self) -> MutexGuard<'_, DeviceQueue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceQueue {
    fn check_tries(&mut self, lane: QueueLane, now: Timestamp) -> Result<(), MfaFault> {
        match lane {
            QueueLane::AdminSocket | QueueLane::RightThree => Ok(()),
            QueueLane::Network(network) => match self.tries.wait(network, now) {
                None => Ok(()),
                Some(seconds) => Err(MfaFault::NetworkThrottled { seconds }),
            },
        }
    }

    /// Tells the one whose turn it is, if it was not told.
    fn call(&mut self) {
        // One that has left takes itself out of the order when its place is dropped.
        if let Some(call) = self.order.call().and_then(|ticket| self.waiting.remove(&ticket)) {
            call.send(()).ok();
        }
    }
}

impl QueuePlace {
    /// Waits for the turn. The network's tries are looked at once more: others of it may have had turns meanwhile.
    pub(crate) async fn turn(&mut self, now: Timestamp) -> Result<(), MfaFault> {
        (&mut self.called).await.map_err(|_| MfaFault::TooManyAtOnce)?;
        self.queue.lock().check_tries(self.lane, now)
    }

    /// Counts a try that failed and cost the device something.
    pub(crate) fn charge(&self, now: Timestamp) {
        if let QueueLane::Network(network) = self.lane {
            let mut queue = self.queue.lock();
            let DeviceQueue { order, tries, .. } = &mut *queue;
            tries.charge(network, now, |network| order.is_waiting(network));
        }
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let mut queue = self.queue.lock();
        queue.waiting.remove(&self.ticket);
        queue.order.leave(self.ticket);
        queue.call();
    }
}

#[cfg(test)]
mod tests;
