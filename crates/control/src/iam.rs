//! A subset of AWS's IAM Query API (version 2010-05-08), as the admin socket serves it.
//!
//! A form is read into an action; the action is decided on by facts of the state, and carried out by its permit. The
//! caller is root of the account: the socket admits no one else. So where a user name is left out, root itself is meant,
//! as with AWS when root's key signs. Only root has devices here.

mod action;
mod answer;
mod clock;
mod decide;
mod devices;
mod event;
mod facts;
mod page;
mod perform;
mod principals;
mod refused;
mod xml;

pub use action::{IamAction, IamRequest};
pub use answer::{CONTENT_TYPE, IamAnswer};
pub use decide::{ActionDenial, ActionPermit, ActionPlan, CodePurpose, PendingAction, decide};
pub use event::IamEvent;
pub use facts::ActionFacts;
pub use perform::perform;
pub use refused::IamError;

#[cfg(test)]
mod tests;
