//! What a signature promises of the body.

use super::canonical::{CredentialScope, Signature, SigningKey, UNSIGNED_PAYLOAD, read_hex};
use super::{ChecksumAlgorithm, SignatureFault, SignatureForm, UnsignedPayload};
use portcullis_http::{HttpMethod, RequestHead};

/// What a signature promises of the body.
#[derive(Clone, Debug)]
pub enum PayloadMode {
    /// The body comes as aws-chunked.
    Chunked(ChunkedPayload),
    /// The body has this SHA-256.
    Digest([u8; 32]),
    /// Nothing: the connection, or the presigned URL's purpose, has to do.
    Unsigned,
}

/// The promise of an aws-chunked body.
#[derive(Clone, Debug)]
pub struct ChunkedPayload {
    /// How many bytes are left when the framing is taken off.
    pub decoded_length: u64,
    pub signing: ChunkSigning,
    /// The checksum announced for the trailer.
    pub trailer: Option<ChecksumAlgorithm>,
}

/// Whether each chunk is signed.
#[derive(Clone, Debug)]
pub enum ChunkSigning {
    /// Each chunk, and the trailer, continues the request's own signature.
    Signed(Box<ChunkChain>),
    Unsigned,
}

/// What the signatures of a body's chunks are computed from.
#[derive(Clone, Debug)]
pub struct ChunkChain {
    pub(super) key: SigningKey,
    pub(super) moment: Box<str>,
    pub(super) date: Box<str>,
    pub(super) region: Box<str>,
    pub(super) service: Box<str>,
    /// The signature before the next: the request's own for the first chunk.
    pub(super) previous: Signature,
}

impl ChunkChain {
    /// A chain that begins with the signature of its request.
    pub fn new(key: SigningKey, moment: &str, scope: &CredentialScope<'_>, seed: Signature) -> Self {
        Self {
            key,
            moment: moment.into(),
            date: scope.date.into(),
            region: scope.region.into(),
            service: scope.service.into(),
            previous: seed,
        }
    }
}

/// What the head promises, before it is known whose key would sign the chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeclaredPayload {
    Digest([u8; 32]),
    SignedChunks { decoded_length: u64, trailer: Option<ChecksumAlgorithm> },
    Unsigned,
    UnsignedChunks { decoded_length: u64, trailer: Option<ChecksumAlgorithm> },
}

impl DeclaredPayload {
    /// Reads the promise, and the text that stands for it in the canonical request.
    pub(super) fn read(
        head: &RequestHead,
        form: SignatureForm,
        unsigned: UnsignedPayload,
    ) -> Result<(Self, &str), SignatureFault> {
        let text = match form {
            SignatureForm::AuthHeader => {
                head.headers.value("x-amz-content-sha256").ok_or(SignatureFault::PayloadHashMissing)?
            }
            SignatureForm::QueryString => presigned_text(head)?,
        };
        let promise = match text {
            UNSIGNED_PAYLOAD => Self::Unsigned,
            // A presigned URL has no signature to begin a chain with that its holder could continue.
            _ if form == SignatureForm::QueryString => read_digest(text)?,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if head.headers.has("x-amz-trailer") => {
                return Err(SignatureFault::TrailerMismatch);
            }
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => {
                Self::SignedChunks { decoded_length: decoded_length(head)?, trailer: None }
            }
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
                Self::SignedChunks { decoded_length: decoded_length(head)?, trailer: Some(trailer(head)?) }
            }
            // As S3 does, it may announce no trailer and then send none.
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => {
                let trailer = if head.headers.has("x-amz-trailer") { Some(trailer(head)?) } else { None };
                Self::UnsignedChunks { decoded_length: decoded_length(head)?, trailer }
            }
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
                return Err(SignatureFault::SigV4A);
            }
            _ => read_digest(text)?,
        };
        match (promise, form) {
            // No operation reads a body of these methods, so there is nothing to protect.
            (Self::Unsigned, _) if matches!(head.method, HttpMethod::Delete | HttpMethod::Get | HttpMethod::Head) => {
                Ok((promise, text))
            }
            (Self::Unsigned | Self::UnsignedChunks { .. }, SignatureForm::AuthHeader)
                if !unsigned.is_taken_over(head.peer.transport) =>
            {
                Err(SignatureFault::UnsignedPayloadInClear)
            }
            _ => Ok((promise, text)),
        }
    }

    /// The promise as later stages keep it.
    pub(super) fn kept(self, chain: impl FnOnce() -> ChunkChain) -> PayloadMode {
        match self {
            Self::Digest(digest) => PayloadMode::Digest(digest),
            Self::SignedChunks { decoded_length, trailer } => PayloadMode::Chunked(ChunkedPayload {
                decoded_length,
                signing: ChunkSigning::Signed(Box::new(chain())),
                trailer,
            }),
            Self::Unsigned => PayloadMode::Unsigned,
            Self::UnsignedChunks { decoded_length, trailer } => {
                PayloadMode::Chunked(ChunkedPayload { decoded_length, signing: ChunkSigning::Unsigned, trailer })
            }
        }
    }
}

/// The payload hash of a presigned URL: unsigned unless the header or the query, both signed, say more.
fn presigned_text(head: &RequestHead) -> Result<&str, SignatureFault> {
    let header = head.headers.value("x-amz-content-sha256");
    let query = head.query.value("X-Amz-Content-Sha256");
    match (header, query) {
        (None, None) => Ok(UNSIGNED_PAYLOAD),
        (Some(text), None) | (None, Some(text)) => Ok(text),
        (Some(header), Some(query)) if header == query => Ok(header),
        (Some(_), Some(_)) => Err(SignatureFault::PayloadHashMalformed),
    }
}

fn read_digest(text: &str) -> Result<DeclaredPayload, SignatureFault> {
    read_hex(text).map(DeclaredPayload::Digest).ok_or(SignatureFault::PayloadHashMalformed)
}

fn decoded_length(head: &RequestHead) -> Result<u64, SignatureFault> {
    let text = head.headers.value("x-amz-decoded-content-length").ok_or(SignatureFault::DecodedLengthMissing)?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SignatureFault::DecodedLengthMalformed);
    }
    text.parse().map_err(|_| SignatureFault::DecodedLengthMalformed)
}

fn trailer(head: &RequestHead) -> Result<ChecksumAlgorithm, SignatureFault> {
    let name = head.headers.value("x-amz-trailer").ok_or(SignatureFault::TrailerMismatch)?;
    ChecksumAlgorithm::of_header(name.trim_matches(' ')).ok_or(SignatureFault::TrailerUnsupported)
}
