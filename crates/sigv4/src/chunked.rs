//! aws-chunked, taken apart as it streams: no reading, no waiting, no copy of the bytes within.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::body::{PayloadChecks, PayloadOutlet};
use super::canonical::{CredentialScope, EMPTY_SHA256, Signature, extend_hex, extend_preamble};
use super::{
    Checksum, ChecksumAlgorithm, ChunkChain, ChunkSigning, ChunkedPayload, DeclaredChecksums, PayloadFault,
    RunningChecksum,
};

/// Takes the framing off an aws-chunked body and verifies what the framing says.
#[derive(Debug)]
pub(super) struct ChunkedDecoder {
    pub(super) outlet: PayloadOutlet,
    checks: PayloadChecks,
    seal: ChunkSeal,
    trailer: ChecksumTrailer,
    line: FramingLine,
    state: DecoderState,
}

/// What the decoder expects next.
#[derive(Clone, Copy, Debug)]
enum DecoderState {
    /// The bytes of a chunk.
    Bytes { left: u64 },
    /// The line end after a chunk's bytes.
    BytesEnd,
    /// Nothing.
    End,
    /// A size line.
    Size,
    /// The lines after the last chunk.
    Trailer,
}

/// Sixteen digits of size, and `;chunk-signature=` with its 64 digits and the line end.
const LONGEST_SIZE_LINE: usize = 16 + 85;

/// The longest name and value that a trailer of one checksum or one signature needs, twice over.
const LONGEST_TRAILER_LINE: usize = 256;

/// A signed chunk's bytes go on before its signature is seen, so this bounds what a forger gets upstream at once.
/// The SDKs' signed chunks have 64 KiB to 1 MiB; room is left for clients that make one of a part of 8 to 64 MiB.
/// An unsigned chunk is bounded by the decoded length alone: some SDKs send the whole body as one.
const LARGEST_SIGNED_CHUNK: u64 = 64 * 1024 * 1024;

const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

impl ChunkedDecoder {
    pub(super) fn new(chunks: ChunkedPayload, promises: DeclaredChecksums) -> Self {
        Self {
            outlet: PayloadOutlet::new(chunks.decoded_length),
            checks: PayloadChecks::new(None, promises),
            seal: match chunks.signing {
                ChunkSigning::Signed(chain) => ChunkSeal::Signed(Box::new(SignatureChain::new(chain))),
                ChunkSigning::Unsigned => ChunkSeal::Unsigned,
            },
            trailer: ChecksumTrailer::new(chunks.trailer),
            line: FramingLine::default(),
            state: DecoderState::Size,
        }
    }

    /// Takes what the client sent.
    pub(super) fn push(&mut self, mut input: Bytes) -> Result<(), PayloadFault> {
        while !input.is_empty() {
            match self.state {
                DecoderState::Bytes { left } => self.take_bytes(&mut input, left)?,
                DecoderState::BytesEnd => {
                    // Two bytes, so that nothing longer is waited for.
                    match self.line.take(&mut input, 2).ok_or(PayloadFault::ChunkMalformed)?.as_deref() {
                        Some(b"\r\n") => self.state = DecoderState::Size,
                        Some(_) => return Err(PayloadFault::ChunkMalformed),
                        None => {}
                    }
                }
                DecoderState::End => {
                    // Two bytes, so that nothing longer is waited for.
                    let line = match self.trailer.surplus {
                        TrailerSurplus::EmptyLine => self.line.take(&mut input, 2).ok_or(PayloadFault::AfterEnd)?,
                        TrailerSurplus::Nothing => return Err(PayloadFault::AfterEnd),
                    };
                    match line.as_deref() {
                        Some(b"\r\n") => self.trailer.surplus = TrailerSurplus::Nothing,
                        Some(_) => return Err(PayloadFault::AfterEnd),
                        None => {}
                    }
                }
                DecoderState::Size => {
                    let line = self.line.take(&mut input, LONGEST_SIZE_LINE).ok_or(PayloadFault::ChunkMalformed)?;
                    if let Some(line) = line {
                        self.begin_chunk(&line)?;
                    }
                }
                DecoderState::Trailer => {
                    let line =
                        self.line.take(&mut input, LONGEST_TRAILER_LINE).ok_or(PayloadFault::TrailerMalformed)?;
                    if let Some(line) = line
                        && self.trailer.read(&line, &mut self.seal)? == DecoderProgress::Complete
                    {
                        self.state = DecoderState::End;
                    }
                }
            }
        }
        Ok(())
    }

    /// Verifies that the body came to its end; everything else was verified on the way.
    pub(super) fn finish(&mut self) -> Result<Option<Checksum>, PayloadFault> {
        match self.state {
            DecoderState::Bytes { .. } | DecoderState::BytesEnd | DecoderState::Size | DecoderState::Trailer => {
                Err(PayloadFault::TooShort)
            }
            DecoderState::End if !self.line.is_empty() => Err(PayloadFault::AfterEnd),
            DecoderState::End => {
                let promised = self.checks.finish()?;
                Ok(promised.or(self.trailer.checksum.take()))
            }
        }
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), PayloadFault> {
        let line = line.strip_suffix(b"\r\n").ok_or(PayloadFault::ChunkMalformed)?;
        let line = std::str::from_utf8(line).map_err(|_| PayloadFault::ChunkMalformed)?;
        let size = match &mut self.seal {
            ChunkSeal::Signed(chain) => {
                let (size, signature) = line.split_once(";chunk-signature=").ok_or(PayloadFault::ChunkMalformed)?;
                chain.offered = Some(Signature::parse(signature).ok_or(PayloadFault::ChunkMalformed)?);
                size
            }
            ChunkSeal::Unsigned => line,
        };
        let size = read_size(size).ok_or(PayloadFault::ChunkMalformed)?;
        if size > LARGEST_SIGNED_CHUNK && matches!(self.seal, ChunkSeal::Signed(_)) {
            return Err(PayloadFault::ChunkTooLarge);
        }
        if size > self.outlet.owed() {
            return Err(PayloadFault::TooLong);
        }
        if size > 0 {
            self.state = DecoderState::Bytes { left: size };
            return Ok(());
        }
        if self.outlet.owed() > 0 {
            return Err(PayloadFault::TooShort);
        }
        self.seal.close_chunk()?;
        self.state = DecoderState::Trailer;
        Ok(())
    }

    fn take_bytes(&mut self, input: &mut Bytes, left: u64) -> Result<(), PayloadFault> {
        let count = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let slice = input.split_to(count);
        self.seal.update(&slice);
        self.trailer.update(&slice);
        self.checks.update(&slice);
        let left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
        self.state = DecoderState::Bytes { left };
        if left == 0 {
            self.seal.close_chunk()?;
            self.state = DecoderState::BytesEnd;
        }
        self.outlet.give(slice)
    }
}

/// One to sixteen digits of hex, and nothing else.
fn read_size(text: &str) -> Option<u64> {
    let legal = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if legal { u64::from_str_radix(text, 16).ok() } else { None }
}

/// How the chunks of a body are vouched for.
#[derive(Debug)]
enum ChunkSeal {
    Signed(Box<SignatureChain>),
    Unsigned,
}

/// The chain of signatures, with the chunk that is coming in.
#[derive(Debug)]
struct SignatureChain {
    known: Box<ChunkChain>,
    running: Sha256,
    offered: Option<Signature>,
}

impl ChunkSeal {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Signed(chain) => chain.running.update(bytes),
            Self::Unsigned => {}
        }
    }

    fn close_chunk(&mut self) -> Result<(), PayloadFault> {
        match self {
            Self::Signed(chain) => chain.close_chunk(),
            Self::Unsigned => Ok(()),
        }
    }
}

impl SignatureChain {
    fn new(known: Box<ChunkChain>) -> Self {
        Self { known, running: Sha256::new(), offered: None }
    }

    fn close_chunk(&mut self) -> Result<(), PayloadFault> {
        let digest = self.running.finalize_reset().into();
        let mut text = self.begin_text("AWS4-HMAC-SHA256-PAYLOAD");
        text.extend_from_slice(EMPTY_SHA256.as_bytes());
        text.push(b'\n');
        extend_hex(&mut text, &digest);
        self.advance(&text, PayloadFault::ChunkSignature)
    }

    fn close_trailer(&mut self, offered: Signature, line: &str) -> Result<(), PayloadFault> {
        self.offered = Some(offered);
        let mut text = self.begin_text("AWS4-HMAC-SHA256-TRAILER");
        extend_hex(&mut text, &Sha256::digest(line).into());
        self.advance(&text, PayloadFault::TrailerSignature)
    }

    fn begin_text(&self, algorithm: &str) -> Vec<u8> {
        let ChunkChain { moment, date, region, service, previous, .. } = self.known.as_ref();
        let mut text = Vec::with_capacity(320);
        extend_preamble(&mut text, algorithm, moment, &CredentialScope { date, region, service });
        previous.extend_into(&mut text);
        text.push(b'\n');
        text
    }

    fn advance(&mut self, text: &[u8], fault: PayloadFault) -> Result<(), PayloadFault> {
        let computed = self.known.key.sign(text);
        let offered = self.offered.take().ok_or(fault)?;
        if !computed.matches(&offered) {
            return Err(fault);
        }
        self.known.previous = computed;
        Ok(())
    }
}

/// The lines after the last chunk.
#[derive(Debug)]
struct ChecksumTrailer {
    /// The announced checksum over the bytes so far, until its line has come.
    running: Option<(ChecksumAlgorithm, RunningChecksum)>,
    checksum: Option<Checksum>,
    /// The checksum's line as its signature covers it.
    line: String,
    signed: TrailerSigning,
    gap: TrailerGap,
    surplus: TrailerSurplus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DecoderProgress {
    Complete,
    MoreToCome,
}

/// Whether the trailer's own signature has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrailerSigning {
    Pending,
    Verified,
}

/// What may follow the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrailerSurplus {
    /// minio-go ends the checksum's line of an unsigned trailer with the line feed alone, and then sends two empty lines.
    EmptyLine,
    Nothing,
}

/// Whether an empty line came before the signature's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrailerGap {
    None,
    Seen,
}

impl ChecksumTrailer {
    fn new(announced: Option<ChecksumAlgorithm>) -> Self {
        Self {
            running: announced.map(|algorithm| (algorithm, RunningChecksum::new(algorithm))),
            checksum: None,
            line: String::new(),
            signed: TrailerSigning::Pending,
            gap: TrailerGap::None,
            surplus: TrailerSurplus::Nothing,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        if let Some((_, running)) = &mut self.running {
            running.update(bytes);
        }
    }

    fn read(&mut self, line: &[u8], seal: &mut ChunkSeal) -> Result<DecoderProgress, PayloadFault> {
        let line = std::str::from_utf8(line).map_err(|_| PayloadFault::TrailerMalformed)?;
        // Some clients end a trailer's line as its signature covers it, with the line feed alone.
        let line = line.strip_suffix('\n').ok_or(PayloadFault::TrailerMalformed)?;
        let bare = !line.ends_with('\r');
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return self.read_empty(seal);
        }
        let (name, value) = line.split_once(':').ok_or(PayloadFault::TrailerMalformed)?;
        let value = value.trim_matches([' ', '\t']);
        if bare && matches!(seal, ChunkSeal::Unsigned) {
            self.surplus = TrailerSurplus::EmptyLine;
        }
        match (self.running.take(), seal) {
            (Some((algorithm, running)), _) if ChecksumAlgorithm::of_header(name) == Some(algorithm) => {
                let promised = Checksum::parse(algorithm, value).ok_or(PayloadFault::TrailerMalformed)?;
                if running.finish() != promised {
                    return Err(PayloadFault::Checksum(algorithm));
                }
                self.checksum = Some(promised);
                self.line = format!("{}:{value}\n", algorithm.header());
            }
            (None, ChunkSeal::Signed(chain))
                if self.owes_signature() && name.eq_ignore_ascii_case(TRAILER_SIGNATURE) =>
            {
                let offered = Signature::parse(value).ok_or(PayloadFault::TrailerMalformed)?;
                chain.close_trailer(offered, &self.line)?;
                self.signed = TrailerSigning::Verified;
            }
            _ => return Err(PayloadFault::TrailerMalformed),
        }
        Ok(DecoderProgress::MoreToCome)
    }

    fn read_empty(&mut self, seal: &ChunkSeal) -> Result<DecoderProgress, PayloadFault> {
        if self.running.is_some() {
            return Err(PayloadFault::TrailerMalformed);
        }
        match seal {
            ChunkSeal::Signed(_) if self.owes_signature() && self.gap == TrailerGap::None => {
                self.gap = TrailerGap::Seen;
                Ok(DecoderProgress::MoreToCome)
            }
            ChunkSeal::Signed(_) if self.owes_signature() => Err(PayloadFault::TrailerMalformed),
            ChunkSeal::Signed(_) | ChunkSeal::Unsigned => Ok(DecoderProgress::Complete),
        }
    }

    /// Whether a checksum's line has come whose signature has not; without a checksum there is nothing to sign.
    fn owes_signature(&self) -> bool {
        self.checksum.is_some() && self.signed == TrailerSigning::Pending
    }
}

/// A line that may come in pieces; the framing alone passes through here.
#[derive(Debug, Default)]
struct FramingLine(Vec<u8>);

impl FramingLine {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A whole line with its end; `Some(None)` if there is more to come, `None` if it exceeds the limit.
    fn take(&mut self, input: &mut Bytes, limit: usize) -> Option<Option<Vec<u8>>> {
        let room = limit.saturating_sub(self.0.len());
        let end = input.iter().take(room).position(|byte| *byte == b'\n');
        if end.is_none() && input.len() >= room {
            return None;
        }
        let count = end.map_or(input.len(), |end| end + 1);
        self.0.extend_from_slice(&input.split_to(count));
        Some(end.map(|_| std::mem::take(&mut self.0)))
    }
}

#[cfg(test)]
mod tests;
