//! A subset of AWS's IAM Query API (version 2010-05-08), as the admin socket and the port serve it.
//!
//! A form is read into an action; the action is decided on by facts of the state, and carried out by its permit. On the
//! admin socket the caller is root of the account: it admits no one else. Where a user name is left out, the caller is
//! meant, as with AWS. Only root has devices here.

mod account;
mod action;
mod answer;
mod clock;
mod decide;
mod devices;
mod event;
mod facts;
mod grants;
mod page;
mod perform;
mod policies;
mod principals;
mod refused;
mod report;
mod resource;
mod scope;
mod xml;

pub use action::{IamAction, IamRequest};
pub use answer::{CONTENT_TYPE, IamAnswer};
pub use decide::{ActionDenial, ActionPermit, ActionPlan, CodePurpose, PendingAction, decide};
pub use event::IamEvent;
pub use facts::ActionFacts;
pub use perform::perform;
pub use refused::IamError;
pub use scope::{IamChannel, IamScope};

#[cfg(test)]
mod tests;
