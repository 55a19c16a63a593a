//! The command line of Portcullis, which stands in front of an S3 store and gives it MFA Delete and a CloudTrail.

#![forbid(unsafe_code)]

pub mod command;
