//! What a trail is and what proves it: names, selectors, log files, digests, signatures and their verification.
//!
//! All input comes in arguments: the same code signs in the proxy and validates a copied folder.

mod definition;
pub mod digest;
mod end;
mod head;
pub mod keys;
pub mod layout;
pub mod logfile;
pub mod lookup;
pub mod merkle;
mod name;
pub mod record;
pub mod selectors;
#[cfg(any(test, feature = "test-support"))]
#[expect(clippy::unwrap_used, reason = "fixtures of tests")]
mod test_signer;
pub mod verify;

pub use definition::{DigestPeriod, InvalidTrail, LogFileValidation, Trail, TrailLogging};
pub use end::{DeliveredLog, TrailEnd};
pub use head::{DigestHead, InvalidHead};
pub use layout::{DigestSeries, TrailLayout};
pub use name::{InvalidKeyPrefix, InvalidTrailName, KeyPrefix, TrailName};
pub use selectors::{EventSelectors, SelectorError};
