//! What a store knows of its users, and the plan by which they become users of Portcullis with the same keys.
//!
//! A store's reply is read into [`StoreAccounts`], which says what is to be there, what stays behind and what is in the
//! way; [`ImportPlan`] compares that with what is there already. No step of it may give a user more than the store did.

mod accounts;
pub mod ceph;
pub mod minio;
mod plan;
mod zip;

pub use accounts::{
    AttachedPolicy, ImportFault, ImportNote, PlannedGroup, PlannedKey, PlannedKeyStatus, PlannedPolicy, PlannedUser,
    StoreAccounts,
};
pub use plan::{
    AccountContents, ExistingGroup, ExistingUser, ImportCall, ImportPlan, PlannedCall, PolicyArns, StepStanding,
    UnknownPolicyArn,
};
