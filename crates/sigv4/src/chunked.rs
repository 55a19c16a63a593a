//! aws-chunked, taken apart as it streams: no reading, no waiting, no copy of the bytes within.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::body::{Checks, Outlet};
use super::canonical::{EMPTY_SHA256, Scope, Signature, extend_hex, extend_preamble};
use super::{BodyFault, Checksum, ChecksumAlgorithm, ChunkChain, ChunkSigning, Chunks, Promises, RunningChecksum};

/// Takes the framing off an aws-chunked body and verifies what the framing says.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) outlet: Outlet,
    checks: Checks,
    seal: Seal,
    trailer: Trailer,
    line: Line,
    state: State,
}

/// What the decoder expects next.
#[derive(Clone, Copy, Debug)]
enum State {
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

impl Decoder {
    pub(super) fn new(chunks: Chunks, promises: Promises) -> Self {
        Self {
            outlet: Outlet::new(chunks.decoded_length),
            checks: Checks::new(None, promises),
            seal: match chunks.signing {
                ChunkSigning::Signed(chain) => Seal::Signed(Box::new(Chain::new(chain))),
                ChunkSigning::Unsigned => Seal::Unsigned,
            },
            trailer: Trailer::new(chunks.trailer),
            line: Line::default(),
            state: State::Size,
        }
    }

    /// Takes what the client sent.
    pub(super) fn push(&mut self, mut input: Bytes) -> Result<(), BodyFault> {
        while !input.is_empty() {
            match self.state {
                State::Bytes { left } => self.take_bytes(&mut input, left)?,
                State::BytesEnd => {
                    // Two bytes, so that nothing longer is waited for.
                    match self.line.take(&mut input, 2).ok_or(BodyFault::ChunkMalformed)?.as_deref() {
                        Some(b"\r\n") => self.state = State::Size,
                        Some(_) => return Err(BodyFault::ChunkMalformed),
                        None => {}
                    }
                }
                State::End => {
                    // Two bytes, so that nothing longer is waited for.
                    let line = match self.trailer.surplus {
                        Surplus::EmptyLine => self.line.take(&mut input, 2).ok_or(BodyFault::AfterEnd)?,
                        Surplus::Nothing => return Err(BodyFault::AfterEnd),
                    };
                    match line.as_deref() {
                        Some(b"\r\n") => self.trailer.surplus = Surplus::Nothing,
                        Some(_) => return Err(BodyFault::AfterEnd),
                        None => {}
                    }
                }
                State::Size => {
                    let line = self.line.take(&mut input, LONGEST_SIZE_LINE).ok_or(BodyFault::ChunkMalformed)?;
                    if let Some(line) = line {
                        self.begin_chunk(&line)?;
                    }
                }
                State::Trailer => {
                    let line = self.line.take(&mut input, LONGEST_TRAILER_LINE).ok_or(BodyFault::TrailerMalformed)?;
                    if let Some(line) = line
                        && self.trailer.read(&line, &mut self.seal)? == Progress::Complete
                    {
                        self.state = State::End;
                    }
                }
            }
        }
        Ok(())
    }

    /// Verifies that the body came to its end; everything else was verified on the way.
    pub(super) fn finish(&mut self) -> Result<Option<Checksum>, BodyFault> {
        match self.state {
            State::Bytes { .. } | State::BytesEnd | State::Size | State::Trailer => Err(BodyFault::TooShort),
            State::End if !self.line.is_empty() => Err(BodyFault::AfterEnd),
            State::End => {
                let promised = self.checks.finish()?;
                Ok(promised.or(self.trailer.checksum.take()))
            }
        }
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), BodyFault> {
        let line = line.strip_suffix(b"\r\n").ok_or(BodyFault::ChunkMalformed)?;
        let line = std::str::from_utf8(line).map_err(|_| BodyFault::ChunkMalformed)?;
        let size = match &mut self.seal {
            Seal::Signed(chain) => {
                let (size, signature) = line.split_once(";chunk-signature=").ok_or(BodyFault::ChunkMalformed)?;
                chain.offered = Some(Signature::parse(signature).ok_or(BodyFault::ChunkMalformed)?);
                size
            }
            Seal::Unsigned => line,
        };
        let size = read_size(size).ok_or(BodyFault::ChunkMalformed)?;
        if size > LARGEST_SIGNED_CHUNK && matches!(self.seal, Seal::Signed(_)) {
            return Err(BodyFault::ChunkTooLarge);
        }
        if size > self.outlet.owed() {
            return Err(BodyFault::TooLong);
        }
        if size > 0 {
            self.state = State::Bytes { left: size };
            return Ok(());
        }
        if self.outlet.owed() > 0 {
            return Err(BodyFault::TooShort);
        }
        self.seal.close_chunk()?;
        self.state = State::Trailer;
        Ok(())
    }

    fn take_bytes(&mut self, input: &mut Bytes, left: u64) -> Result<(), BodyFault> {
        let count = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let slice = input.split_to(count);
        self.seal.update(&slice);
        self.trailer.update(&slice);
        self.checks.update(&slice);
        let left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
        self.state = State::Bytes { left };
        if left == 0 {
            self.seal.close_chunk()?;
            self.state = State::BytesEnd;
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
enum Seal {
    Signed(Box<Chain>),
    Unsigned,
}

/// The chain of signatures, with the chunk that is coming in.
#[derive(Debug)]
struct Chain {
    known: Box<ChunkChain>,
    running: Sha256,
    offered: Option<Signature>,
}

impl Seal {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Signed(chain) => chain.running.update(bytes),
            Self::Unsigned => {}
        }
    }

    fn close_chunk(&mut self) -> Result<(), BodyFault> {
        match self {
            Self::Signed(chain) => chain.close_chunk(),
            Self::Unsigned => Ok(()),
        }
    }
}

impl Chain {
    fn new(known: Box<ChunkChain>) -> Self {
        Self { known, running: Sha256::new(), offered: None }
    }

    fn close_chunk(&mut self) -> Result<(), BodyFault> {
        let digest = self.running.finalize_reset().into();
        let mut text = self.begin_text("AWS4-HMAC-SHA256-PAYLOAD");
        text.extend_from_slice(EMPTY_SHA256.as_bytes());
        text.push(b'\n');
        extend_hex(&mut text, &digest);
        self.advance(&text, BodyFault::ChunkSignature)
    }

    fn close_trailer(&mut self, offered: Signature, line: &str) -> Result<(), BodyFault> {
        self.offered = Some(offered);
        let mut text = self.begin_text("AWS4-HMAC-SHA256-TRAILER");
        extend_hex(&mut text, &Sha256::digest(line).into());
        self.advance(&text, BodyFault::TrailerSignature)
    }

    fn begin_text(&self, algorithm: &str) -> Vec<u8> {
        let ChunkChain { moment, date, region, service, previous, .. } = self.known.as_ref();
        let mut text = Vec::with_capacity(320);
        extend_preamble(&mut text, algorithm, moment, &Scope { date, region, service });
        previous.extend_into(&mut text);
        text.push(b'\n');
        text
    }

    fn advance(&mut self, text: &[u8], fault: BodyFault) -> Result<(), BodyFault> {
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
struct Trailer {
    /// The announced checksum over the bytes so far, until its line has come.
    running: Option<(ChecksumAlgorithm, RunningChecksum)>,
    checksum: Option<Checksum>,
    /// The checksum's line as its signature covers it.
    line: String,
    signed: Signing,
    gap: Gap,
    surplus: Surplus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Complete,
    MoreToCome,
}

/// Whether the trailer's own signature has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signing {
    Pending,
    Verified,
}

/// What may follow the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surplus {
    /// minio-go ends the checksum's line of an unsigned trailer with the line feed alone, and then sends two empty lines.
    EmptyLine,
    Nothing,
}

/// Whether an empty line came before the signature's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    None,
    Seen,
}

impl Trailer {
    fn new(announced: Option<ChecksumAlgorithm>) -> Self {
        Self {
            running: announced.map(|algorithm| (algorithm, RunningChecksum::new(algorithm))),
            checksum: None,
            line: String::new(),
            signed: Signing::Pending,
            gap: Gap::None,
            surplus: Surplus::Nothing,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        if let Some((_, running)) = &mut self.running {
            running.update(bytes);
        }
    }

    fn read(&mut self, line: &[u8], seal: &mut Seal) -> Result<Progress, BodyFault> {
        let line = std::str::from_utf8(line).map_err(|_| BodyFault::TrailerMalformed)?;
        // Some clients end a trailer's line as its signature covers it, with the line feed alone.
        let line = line.strip_suffix('\n').ok_or(BodyFault::TrailerMalformed)?;
        let bare = !line.ends_with('\r');
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return self.read_empty(seal);
        }
        let (name, value) = line.split_once(':').ok_or(BodyFault::TrailerMalformed)?;
        let value = value.trim_matches([' ', '\t']);
        if bare && matches!(seal, Seal::Unsigned) {
            self.surplus = Surplus::EmptyLine;
        }
        match (self.running.take(), seal) {
            (Some((algorithm, running)), _) if ChecksumAlgorithm::of_header(name) == Some(algorithm) => {
                let promised = Checksum::parse(algorithm, value).ok_or(BodyFault::TrailerMalformed)?;
                if running.finish() != promised {
                    return Err(BodyFault::Checksum(algorithm));
                }
                self.checksum = Some(promised);
                self.line = format!("{}:{value}\n", algorithm.header());
            }
            (None, Seal::Signed(chain)) if self.owes_signature() && name.eq_ignore_ascii_case(TRAILER_SIGNATURE) => {
                let offered = Signature::parse(value).ok_or(BodyFault::TrailerMalformed)?;
                chain.close_trailer(offered, &self.line)?;
                self.signed = Signing::Verified;
            }
            _ => return Err(BodyFault::TrailerMalformed),
        }
        Ok(Progress::MoreToCome)
    }

    fn read_empty(&mut self, seal: &Seal) -> Result<Progress, BodyFault> {
        if self.running.is_some() {
            return Err(BodyFault::TrailerMalformed);
        }
        match seal {
            Seal::Signed(_) if self.owes_signature() && self.gap == Gap::None => {
                self.gap = Gap::Seen;
                Ok(Progress::MoreToCome)
            }
            Seal::Signed(_) if self.owes_signature() => Err(BodyFault::TrailerMalformed),
            Seal::Signed(_) | Seal::Unsigned => Ok(Progress::Complete),
        }
    }

    /// Whether a checksum's line has come whose signature has not; without a checksum there is nothing to sign.
    fn owes_signature(&self) -> bool {
        self.checksum.is_some() && self.signed == Signing::Pending
    }
}

/// A line that may come in pieces; the framing alone passes through here.
#[derive(Debug, Default)]
struct Line(Vec<u8>);

impl Line {
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
