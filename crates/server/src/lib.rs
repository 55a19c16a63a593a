//! The server: settings, the story of a request, the answers to failures, and how the parts are put together.

pub mod config;
pub mod failure;
pub mod pipeline;
pub mod serve;
mod story;
