//! Portcullis stands in front of an S3 store and gives it MFA Delete and a CloudTrail.
//!
//! The modules are the stages a request meets, in this order; each names only those above it.

#![forbid(unsafe_code)]

pub mod config;

pub mod authenticate;
pub mod mfa;
pub mod operation;

pub mod gate;

pub mod forward;
pub mod store;

pub mod audit;

pub mod delivery;
pub mod history;

pub mod failure;

pub mod api;
pub mod pipeline;

#[cfg(feature = "embedded")]
pub mod embedded;
pub mod serve;

pub mod command;
