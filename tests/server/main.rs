//! The proxy on real sockets: what it refuses, what it lets through, and what it writes down.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a rig that cannot do its part has failed the test"
)]

mod added;
mod answers;
mod batch;
mod bodies;
mod calls;
mod closed;
mod codes;
mod documents;
mod endings;
mod golden;
mod guessing;
mod iam;
mod late;
mod local;
mod multipart;
mod order;
mod policies;
mod recovery;
mod refused;
mod rig;
mod sent;
mod services;
mod sessions;
mod uploads;
mod upstream_keys;
