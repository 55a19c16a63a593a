//! Names, moments and secrets: the values that every other crate passes on.

pub mod clock;
pub mod names;
pub mod percent;
pub mod secret;
