//! Sends what was permitted, and nothing else, to the upstream.

mod answer;
mod begun;
mod chunks;
mod download;
mod fetch;
mod idle;
mod local;
mod pool;
mod presence;
mod region;
mod render;
mod repair;
mod send;
mod sign;
mod trail_files;
mod upload;

use thiserror::Error;

pub use answer::{AnswerBody, CompletedRequest, DeletedObject, UpstreamAnswer, UpstreamRefusal, is_kept_alive};
pub use begun::AnswerBegun;
pub use download::Download;
#[cfg(fuzzing)]
pub use fetch::fuzz_answer;
pub use presence::{LookTarget, StoredPresence};
pub use render::{RenderedRequest, RequestContent, UnwritableRequest, render};
pub use send::{ObjectPayload, Upstream, UpstreamTimeouts};
pub use sign::UpstreamSigner;
pub use trail_files::{BucketHolding, StoredTrailFile, TrailFile, TrailFileError};
pub use upload::{PayloadStream, UploadBody};

/// Why the upstream gave no answer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UpstreamError {
    /// The connection broke after the request went out: whether it was carried out is unknown.
    #[error("the upstream closed the connection")]
    BrokenOff,
    /// It does not let Portcullis read what protection depends on.
    #[error("the upstream denies Portcullis's credentials a bucket's configuration")]
    DeniesUs,
    /// Its answer is not what S3 answers here.
    #[error("the upstream's answer cannot be read")]
    Unreadable,
    /// It does not take the credentials it was configured with.
    #[error("the upstream refuses Portcullis's credentials")]
    RefusesUs,
    /// It does not take the credentials with which the user acts there.
    #[error("the upstream refuses the user's credentials")]
    RefusesUser,
    /// Nothing was sent.
    #[error("the upstream cannot be reached")]
    Unreachable,
    /// The server's certificate is not trusted; nothing was sent.
    #[error("the upstream's certificate is not trusted")]
    Untrusted,
    /// A permitted request cannot be written: a mistake of ours, and nothing was sent.
    #[error("the request cannot be written")]
    Unwritable,
    /// No answer in time: whether the request was carried out is unknown.
    #[error("the upstream does not answer")]
    Silent,
}

impl UpstreamError {
    /// Whether it is certain that the upstream did not carry the request out.
    pub fn nothing_was_done(self) -> bool {
        match self {
            Self::DeniesUs
            | Self::RefusesUs
            | Self::RefusesUser
            | Self::Unreachable
            | Self::Untrusted
            | Self::Unwritable => true,
            Self::BrokenOff | Self::Silent | Self::Unreadable => false,
        }
    }

    fn of(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Unreadable } else { Self::BrokenOff }
    }
}
