//! Names, moments and secrets: the values that every other crate passes on.

pub mod bucket_pattern;
pub mod clock;
pub mod names;
pub mod network;
pub mod percent;
pub mod secret;
pub mod setting;
