//! What the headers of a request promise of its body, and how a document is read.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::failure::{BodyFailure, Failure};
use portcullis_http::{BodyFault, RequestBody, RequestHead, Transport};
use portcullis_s3::S3Operation;
use portcullis_sigv4::{
    Checksum, ChecksumAlgorithm, DeclaredChecksums, PayloadMode, PayloadVerifier, UnsignedPayload, VerifiedRequest,
};

/// The verifier of a body with these headers.
pub(super) fn of(
    head: &RequestHead,
    signed: &VerifiedRequest,
    action: S3Operation,
) -> Result<PayloadVerifier, Failure> {
    let length = match (&signed.payload, head.content_length()) {
        // The decoded length is exact, so the length with the framing may be missing.
        (PayloadMode::Chunked(_), length) => length.unwrap_or(0),
        (PayloadMode::Digest(_) | PayloadMode::Unsigned, Some(length)) => length,
        (PayloadMode::Digest(_) | PayloadMode::Unsigned, None) => {
            return Err(Failure::Body(BodyFailure::LengthMissing));
        }
    };
    Ok(PayloadVerifier::new(signed.payload.clone(), length, promises(head, action)?))
}

/// Reads a document whole. It decides what is done, so it must be signed, or come over a private connection: several
/// SDKs send an unsigned payload over TLS.
///
/// It occupies a place while it arrives, so it has to be complete in twice the idle timeout of a body.
pub(super) async fn document(
    body: RequestBody<PayloadVerifier>,
    signed: &VerifiedRequest,
    unsigned: UnsignedPayload,
    transport: Transport,
    limit: usize,
    idle: Duration,
) -> Result<Bytes, Failure> {
    match (&signed.payload, unsigned.is_taken_over(transport)) {
        (PayloadMode::Digest(_), _) | (PayloadMode::Unsigned, true) => {
            match tokio::time::timeout(2 * idle, body.collect(limit)).await {
                Ok(collected) => collected.map_err(of_fault),
                Err(_) => Err(Failure::Body(BodyFailure::TimedOut)),
            }
        }
        (PayloadMode::Unsigned, false) | (PayloadMode::Chunked(_), _) => {
            Err(Failure::Body(BodyFailure::UnsignedDocument))
        }
    }
}

pub(super) fn of_fault(fault: BodyFault<portcullis_sigv4::PayloadFault>) -> Failure {
    Failure::Body(match fault {
        BodyFault::Cut => BodyFailure::Incomplete,
        BodyFault::Idle => BodyFailure::TimedOut,
        BodyFault::TooLong => BodyFailure::TooLong,
        BodyFault::Withdrawn => BodyFailure::Withdrawn,
        BodyFault::Wrong(fault) => BodyFailure::Wrong(fault),
    })
}

fn promises(head: &RequestHead, action: S3Operation) -> Result<DeclaredChecksums, Failure> {
    let content_md5 = match head.headers.value("content-md5") {
        None => None,
        Some(text) => {
            let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            Some(bytes.ok_or(Failure::Body(BodyFailure::DigestMalformed))?)
        }
    };
    let mut checksum = None;
    if action == S3Operation::CompleteMultipartUpload {
        // There the checksum is that of the completed object, not of the list of its parts.
        return Ok(DeclaredChecksums { content_md5, checksum });
    }
    for algorithm in ChecksumAlgorithm::ALL {
        let Some(text) = head.headers.value(algorithm.header()) else { continue };
        let read = Checksum::parse(algorithm, text).ok_or(Failure::Body(BodyFailure::DigestMalformed))?;
        if checksum.replace(read).is_some() {
            return Err(Failure::Body(BodyFailure::SeveralChecksums));
        }
    }
    Ok(DeclaredChecksums { content_md5, checksum })
}
