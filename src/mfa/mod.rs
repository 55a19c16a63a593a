//! The second factor: what was offered, and whether it is right.

mod fault;
mod offer;
mod proof;

pub use fault::Fault;
pub use offer::{Code, Codes, Offer};
pub use proof::Proof;
