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
    AttachedPolicy, ImportFault, ImportNote, ImportedGroup, ImportedKey, ImportedKeyStatus, ImportedPolicy,
    ImportedUser, StoreAccounts,
};
pub use plan::{
    ExistingAccount, ExistingGroup, ExistingUser, ImportCall, ImportPlan, PlannedCall, PolicyArns, StepStanding,
    UnknownPolicyArn,
};
