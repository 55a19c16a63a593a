//! AWS's control APIs beside S3: the same words that stock tools speak, over the same domain functions.

pub mod cloudtrail;
#[cfg(test)]
mod fixture;
pub mod iam;
pub mod query;
pub mod services;
