//! Reads from the upstream: a request without a body, written at once, and its answer over the same connection.
//!
//! hyper's client gives each connection a task of its own, to which a request crosses and from which its answer comes back;
//! for reads, which are most of a store's requests, that costs as much as all of the proxy's decisions. Answers are framed
//! as RFC 9112, section 6.3, has it, and what is doubtful ends the connection.

use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use httparse::{ParserConfig, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::idle::PooledConnection;
use super::pool::{UpstreamConnector, connect};
use super::sign::UpstreamSignature;
use super::{Download, RenderedRequest, UpstreamError, answer};
use portcullis_http::{Deadline, HttpMethod, TcpOrTlsStream};

/// Sends requests that only read.
#[derive(Clone, Debug)]
pub(super) struct Fetcher(Arc<UpstreamConnector<FetchConnection>>);

/// A connection over which one request at a time is under way.
#[derive(Debug)]
pub(super) struct FetchConnection {
    link: FetchStream,
    /// For the head of the answer under way.
    deadline: Deadline,
}

#[derive(Debug)]
struct FetchStream {
    stream: TcpOrTlsStream<TcpStream>,
    /// What was read and belongs to the answer under way.
    input: BytesMut,
}

/// What is left of an answer's body.
#[derive(Debug)]
enum BodyRest {
    Chunks(ChunkPosition),
    Length(u64),
    /// As much as comes until the upstream closes.
    UntilClose,
}

/// Where the reading of a chunked body stands.
#[derive(Debug)]
enum ChunkPosition {
    Data(u64),
    /// The line break after the data.
    End,
    Size,
    Trailer,
}

/// Whether another request may follow over the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionReuse {
    Close,
    Reuse,
}

/// The head of an answer.
struct AnswerHead {
    status: StatusCode,
    headers: HeaderMap,
    rest: BodyRest,
    after: ConnectionReuse,
}

/// Why a connection gave no answer.
enum FetchFailure {
    /// Not a byte of an answer came.
    Unanswered,
    Other(UpstreamError),
}

/// The longest head of an answer, and the longest trailer.
const LONGEST_HEAD: usize = 128 * 1024;
/// The most headers of an answer. More than S3 lets a client write, since a store may hold what came another way.
pub(super) const MOST_HEADERS: usize = 512;
/// What is read at once, in the middle of a long body.
const READ: usize = 128 * 1024;
/// Room for the head of an answer and a small object.
const FIRST_READ: usize = 8 * 1024;
/// Interim answers that are passed over.
const MOST_INTERIM: usize = 8;

impl Fetcher {
    pub(crate) fn new(door: UpstreamConnector<FetchConnection>) -> Self {
        Self(Arc::new(door))
    }

    /// Sends one request and waits for the head of the answer.
    ///
    /// Where an idle connection turns out to be closed before a byte of the answer came, the request goes out over
    /// another: it reads, so that twice is as good as once (RFC 9110, section 9.2.2).
    pub(crate) async fn fetch(
        &self,
        method: HttpMethod,
        message: &[u8],
        timeout: Duration,
    ) -> Result<Response<Download>, UpstreamError> {
        while let Some(mut lent) = self.0.idle.take() {
            if !lent.connection.link.is_quiet() {
                continue;
            }
            match lent.connection.ask(message, timeout).await {
                Ok(head) => return Ok(self.response(method, head, lent, timeout)),
                Err(FetchFailure::Unanswered) => {}
                Err(FetchFailure::Other(error)) => return Err(error),
            }
        }
        // Rare, and large.
        let mut lent = self.0.idle.lend(Box::pin(self.connect()).await?);
        match lent.connection.ask(message, timeout).await {
            Ok(head) => Ok(self.response(method, head, lent, timeout)),
            Err(FetchFailure::Unanswered) => Err(UpstreamError::BrokenOff),
            Err(FetchFailure::Other(error)) => Err(error),
        }
    }

    async fn connect(&self) -> Result<FetchConnection, UpstreamError> {
        let stream = connect(&self.0.dialler, self.0.connect_timeout).await?;
        let link = FetchStream { stream, input: BytesMut::new() };
        Ok(FetchConnection { link, deadline: Deadline::default() })
    }

    fn response(
        &self,
        method: HttpMethod,
        head: AnswerHead,
        lent: PooledConnection<FetchConnection>,
        timeout: Duration,
    ) -> Response<Download> {
        let AnswerHead { status, headers, rest, after } = head;
        let rest = match method {
            HttpMethod::Head => BodyRest::Length(0),
            HttpMethod::Delete | HttpMethod::Get | HttpMethod::Options | HttpMethod::Post | HttpMethod::Put => rest,
        };
        let home = self.0.clone();
        let mut fetched = FetchedBody { rest, after, lent: Some(lent), home };
        fetched.end_if_over();
        let mut response = Response::new(Download::fetched(fetched, timeout));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

impl FetchConnection {
    async fn ask(&mut self, message: &[u8], timeout: Duration) -> Result<AnswerHead, FetchFailure> {
        let asked = self.deadline.limit(timeout, self.link.ask(message)).await;
        asked.unwrap_or(Err(FetchFailure::Other(UpstreamError::Silent)))
    }
}

impl FetchStream {
    /// Whether nothing came while nothing was asked: bytes would be no answer to what is asked next.
    fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    async fn ask(&mut self, message: &[u8]) -> Result<AnswerHead, FetchFailure> {
        self.stream.write_all(message).await.map_err(|_| FetchFailure::Unanswered)?;
        self.input.reserve(FIRST_READ);
        for _ in 0..MOST_INTERIM {
            let bytes = self.head().await?;
            let head = AnswerHead::read(&bytes).map_err(FetchFailure::Other)?;
            match head.status {
                StatusCode::SWITCHING_PROTOCOLS => break,
                interim if interim.is_informational() => {}
                _ => return Ok(head),
            }
        }
        Err(FetchFailure::Other(UpstreamError::Unreadable))
    }

    /// The bytes of a head, its empty line included.
    async fn head(&mut self) -> Result<Bytes, FetchFailure> {
        let mut searched = 0;
        loop {
            let unsearched = self.input.get(searched..).unwrap_or(&[]);
            if let Some(length) = through_empty_line(unsearched) {
                return Ok(self.input.split_to(searched + length).freeze());
            }
            if self.input.len() > LONGEST_HEAD {
                return Err(FetchFailure::Other(UpstreamError::Unreadable));
            }
            searched = self.input.len().saturating_sub(EMPTY_LINE.len() - 1);
            match (self.stream.read_buf(&mut self.input).await, self.input.is_empty()) {
                (Ok(1..), _) => {}
                (Ok(0) | Err(_), true) => return Err(FetchFailure::Unanswered),
                (Ok(0) | Err(_), false) => return Err(FetchFailure::Other(UpstreamError::BrokenOff)),
            }
        }
    }
}

const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// How many bytes there are up to the end of the first empty line. Looks at every fourth byte, where none is of a line's end.
fn through_empty_line(bytes: &[u8]) -> Option<usize> {
    let mut last = EMPTY_LINE.len() - 1;
    loop {
        last += match bytes.get(last)? {
            b'\n' if bytes.get(..=last)?.ends_with(EMPTY_LINE) => return Some(last + 1),
            b'\n' => 2,
            b'\r' => 1,
            _ => EMPTY_LINE.len(),
        };
    }
}

/// A request without a body, as it goes over the wire.
pub(super) fn message(rendered: &RenderedRequest, signed: &UpstreamSignature<'_>) -> Result<Vec<u8>, UpstreamError> {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let mut out = Vec::with_capacity(1024);
    // Both are percent-encoded; anything else must not start a new line.
    if !visible(&rendered.path) || !visible(&rendered.query) {
        return Err(UpstreamError::Unwritable);
    }
    let separator = if rendered.query.is_empty() { "" } else { "?" };
    for part in [rendered.method.as_str(), " ", &rendered.path, separator, &rendered.query, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    let mut line = |name: &HeaderName, value: &[u8]| {
        for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    };
    for (name, text) in signed.headers() {
        if !text.split(' ').all(visible) {
            return Err(UpstreamError::Unwritable);
        }
        line(&name, text.as_bytes());
    }
    rendered.headers.iter().for_each(|(name, value)| line(name, value.as_bytes()));
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

impl AnswerHead {
    /// Reads a whole head; only the headers that a client may see are kept.
    fn read(bytes: &Bytes) -> Result<Self, UpstreamError> {
        let unreadable = UpstreamError::Unreadable;
        let mut lines = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        match ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, &mut lines) {
            Ok(Status::Complete(length)) if length == bytes.len() => {}
            Ok(_) | Err(_) => return Err(unreadable),
        }
        let status = StatusCode::from_u16(parsed.code.unwrap_or(0)).map_err(|_| unreadable)?;
        let mut head = Self {
            status,
            headers: HeaderMap::with_capacity(12),
            rest: BodyRest::UntilClose,
            after: ConnectionReuse::Close,
        };
        let (mut length, mut chunked, mut close) = (None, false, parsed.version != Some(1));
        for line in parsed.headers.iter() {
            let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| unreadable)?;
            if name == header::CONTENT_LENGTH {
                let said = read_length(line.value).ok_or(unreadable)?;
                if length.replace(said).is_some() {
                    return Err(unreadable);
                }
            } else if name == header::TRANSFER_ENCODING {
                if chunked || !line.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(unreadable);
                }
                chunked = true;
            } else if name == header::CONNECTION {
                let mut tokens = line.value.split(|byte| *byte == b',');
                close |= tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"));
            }
            if answer::is_allowed(&name) {
                let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value)).map_err(|_| unreadable)?;
                head.headers.append(name, value);
            }
        }
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational();
        head.rest = match (length, chunked) {
            _ if bodiless => BodyRest::Length(0),
            // With two lengths, different readers see different answers.
            (Some(_), true) => return Err(unreadable),
            (Some(length), false) => BodyRest::Length(length),
            (None, true) => BodyRest::Chunks(ChunkPosition::Size),
            (None, false) => BodyRest::UntilClose,
        };
        head.after = match (&head.rest, close) {
            (BodyRest::UntilClose, _) | (_, true) => ConnectionReuse::Close,
            (BodyRest::Chunks(_) | BodyRest::Length(_), false) => ConnectionReuse::Reuse,
        };
        Ok(head)
    }
}

/// Digits alone: `parse` would take a sign.
fn read_length(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The body of an answer; read to its end, it gives its connection back.
#[derive(Debug)]
pub(super) struct FetchedBody {
    rest: BodyRest,
    after: ConnectionReuse,
    /// Until the end was read.
    lent: Option<PooledConnection<FetchConnection>>,
    home: Arc<UpstreamConnector<FetchConnection>>,
}

impl FetchedBody {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        loop {
            let Some(PooledConnection { connection, .. }) = &mut self.lent else { return Poll::Ready(None) };
            match self.rest.take(&mut connection.link.input) {
                Ok(TakenBytes::Data(bytes)) => {
                    self.end_if_over();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Ok(TakenBytes::End) => {
                    self.go_home();
                    return Poll::Ready(None);
                }
                Ok(TakenBytes::Nothing) => {}
                Err(error) => return self.fail(error),
            }
            let FetchStream { stream, input } = &mut connection.link;
            input.reserve(self.rest.room());
            let read = pin!(stream.read_buf(input));
            match (ready!(read.poll(cx)), &self.rest) {
                (Ok(1..), _) => {}
                (Ok(0), BodyRest::UntilClose) => {
                    self.lent = None;
                    return Poll::Ready(None);
                }
                (Ok(0) | Err(_), _) => return self.fail(UpstreamError::BrokenOff),
            }
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lent.is_none()
    }

    /// The bytes still to come, where the upstream said how many.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.rest {
            BodyRest::Length(length) => Some(length),
            BodyRest::Chunks(_) | BodyRest::UntilClose => None,
        }
    }

    fn end_if_over(&mut self) {
        if let BodyRest::Length(0) = self.rest {
            self.go_home();
        }
    }

    fn go_home(&mut self) {
        let Some(lent) = self.lent.take() else { return };
        // Bytes after the answer belong to no request.
        if self.after == ConnectionReuse::Reuse && lent.connection.link.input.is_empty() {
            self.home.idle.keep(lent);
        }
    }

    fn fail(&mut self, error: UpstreamError) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        self.lent = None;
        Poll::Ready(Some(Err(error)))
    }
}

/// What was taken from the input.
#[derive(Debug, PartialEq, Eq)]
enum TakenBytes {
    Data(Bytes),
    End,
    /// More has to be read.
    Nothing,
}

impl BodyRest {
    fn take(&mut self, input: &mut BytesMut) -> Result<TakenBytes, UpstreamError> {
        match self {
            Self::Length(0) => Ok(TakenBytes::End),
            Self::Length(left) => Ok(cut(left, input)),
            Self::UntilClose if input.is_empty() => Ok(TakenBytes::Nothing),
            Self::UntilClose => Ok(TakenBytes::Data(input.split().freeze())),
            Self::Chunks(chunk) => chunk.take(input),
        }
    }

    fn room(&self) -> usize {
        match self {
            Self::Length(left) => usize::try_from(*left).unwrap_or(READ).min(READ),
            Self::Chunks(_) | Self::UntilClose => READ / 4,
        }
    }
}

/// As much of the input as is still to come.
fn cut(left: &mut u64, input: &mut BytesMut) -> TakenBytes {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    if length == 0 {
        return TakenBytes::Nothing;
    }
    *left -= u64::try_from(length).unwrap_or(0);
    TakenBytes::Data(input.split_to(length).freeze())
}

impl ChunkPosition {
    fn take(&mut self, input: &mut BytesMut) -> Result<TakenBytes, UpstreamError> {
        let unreadable = UpstreamError::Unreadable;
        loop {
            match self {
                Self::Size => match httparse::parse_chunk_size(input) {
                    Ok(Status::Complete((length, size))) => {
                        input.advance(length);
                        *self = if size == 0 { Self::Trailer } else { Self::Data(size) };
                    }
                    Ok(Status::Partial) if input.len() <= LONGEST_HEAD => return Ok(TakenBytes::Nothing),
                    Ok(Status::Partial) | Err(_) => return Err(unreadable),
                },
                Self::Data(left) => {
                    let taken = cut(left, input);
                    if *left == 0 {
                        *self = Self::End;
                    }
                    return Ok(taken);
                }
                Self::End => match input.first_chunk::<2>() {
                    Some(b"\r\n") => {
                        input.advance(2);
                        *self = Self::Size;
                    }
                    Some(_) => return Err(unreadable),
                    None => return Ok(TakenBytes::Nothing),
                },
                // No header of it is passed on.
                Self::Trailer => match input.windows(2).position(|window| window == b"\r\n") {
                    Some(0) => {
                        input.advance(2);
                        return Ok(TakenBytes::End);
                    }
                    Some(line) => input.advance(line + 2),
                    None if input.len() <= LONGEST_HEAD => return Ok(TakenBytes::Nothing),
                    None => return Err(unreadable),
                },
            }
        }
    }
}

/// Reads an answer, its body in pieces of several sizes: each gives the same bytes, no more than a length announces.
#[cfg(fuzzing)]
pub fn fuzz_answer(answer: &Bytes) {
    let read = |size: usize| {
        let end = through_empty_line(answer)?;
        let mut head = AnswerHead::read(&answer.slice(..end)).ok()?;
        let announced = match head.rest {
            BodyRest::Length(length) => Some(length),
            BodyRest::Chunks(_) | BodyRest::UntilClose => None,
        };
        let body = answer.slice(end..);
        let (mut input, mut out, mut pieces) = (BytesMut::new(), Vec::new(), body.chunks(size));
        loop {
            match head.rest.take(&mut input) {
                Ok(TakenBytes::Data(bytes)) => out.extend_from_slice(&bytes),
                Ok(TakenBytes::Nothing) => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => return Some((out, false)),
                },
                Ok(TakenBytes::End) => {
                    assert!(announced.is_none_or(|length| u64::try_from(out.len()) == Ok(length)));
                    return Some((out, true));
                }
                Err(_) => return None,
            }
        }
    };
    let whole = read(LONGEST_HEAD);
    for size in [1, 7] {
        // A line that is too long is found out later where it comes at once.
        if let (Some(whole), Some(pieces)) = (&whole, read(size)) {
            assert_eq!(whole, &pieces);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str) -> Result<AnswerHead, UpstreamError> {
        AnswerHead::read(&Bytes::copy_from_slice(text.as_bytes()))
    }

    fn framed(lines: &str) -> Option<(String, ConnectionReuse)> {
        let head = head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).ok()?;
        Some((format!("{:?}", head.rest), head.after))
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says_in_one_way() {
        let reuse = |rest: &str| Some((rest.to_owned(), ConnectionReuse::Reuse));
        let close = |rest: &str| Some((rest.to_owned(), ConnectionReuse::Close));
        assert_eq!(framed("Content-Length: 5\r\n"), reuse("Length(5)"));
        assert_eq!(framed("transfer-encoding: Chunked\r\n"), reuse("Chunks(Size)"));
        assert_eq!(framed("content-length: 5\r\nconnection: keep-alive, Close\r\n"), close("Length(5)"));
        assert_eq!(framed(""), close("UntilClose"));
        for doubtful in [
            "content-length: 5\r\ncontent-length: 5\r\n",
            "content-length: +5\r\n",
            "content-length: 5, 5\r\n",
            "content-length:\r\n",
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "content-length : 5\r\n",
            " folded\r\n",
        ] {
            assert_eq!(framed(doubtful), None, "{doubtful:?}");
        }
    }

    #[test]
    fn an_answer_without_a_body_by_its_status_has_none() {
        for status in [204, 304] {
            let head = head(&format!("HTTP/1.1 {status} x\r\ncontent-length: 5\r\n\r\n")).expect("a head");
            assert!(matches!(head.rest, BodyRest::Length(0)), "{status}");
        }
    }

    #[test]
    fn only_what_a_client_may_see_is_kept() {
        let head =
            head("HTTP/1.1 200 OK\r\nETag: \"a\"\r\nServer: s\r\nx-amz-request-id: r\r\ncontent-length: 0\r\n\r\n");
        let names: Vec<String> = head.expect("a head").headers.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["etag", "content-length"]);
    }

    /// A chunked body, given in pieces of this size.
    fn chunks(body: &[u8], size: usize) -> Result<(Vec<u8>, usize), UpstreamError> {
        let (mut rest, mut input, mut out) = (BodyRest::Chunks(ChunkPosition::Size), BytesMut::new(), Vec::new());
        let mut pieces = body.chunks(size);
        loop {
            match rest.take(&mut input)? {
                TakenBytes::Data(bytes) => out.extend_from_slice(&bytes),
                TakenBytes::End => return Ok((out, input.len() + pieces.map(<[u8]>::len).sum::<usize>())),
                TakenBytes::Nothing => input.extend_from_slice(pieces.next().ok_or(UpstreamError::BrokenOff)?),
            }
        }
    }

    #[test]
    fn a_chunked_body_is_read_however_it_comes() {
        let body = b"3;name=value\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX-Trailer: t\r\n\r\nrest";
        for size in 1..=body.len() {
            assert_eq!(chunks(body, size), Ok((b"abc0123456789abcdef".to_vec(), 4)), "pieces of {size}");
        }
    }

    #[test]
    fn a_chunked_body_that_is_cut_or_crooked_has_no_end() {
        for body in [&b"3\r\nabc"[..], b"3\r\nabc\r\n", b"3\r\nabc\r\n0\r\n"] {
            assert_eq!(chunks(body, 1).err(), Some(UpstreamError::BrokenOff), "{body:?}");
        }
        for body in [&b"x\r\n"[..], b"3\r\nabcd\r\n", b"-1\r\n", b"11111111111111111\r\n"] {
            assert_eq!(chunks(body, 1).err(), Some(UpstreamError::Unreadable), "{body:?}");
        }
    }

    #[test]
    fn a_request_is_written_line_by_line_and_nothing_in_it_makes_a_line_of_its_own() {
        let signer = super::super::UpstreamSigner::new(
            "key".into(),
            portcullis_base::secret::Secret::new("s".into()),
            "r".into(),
        );
        let mut rendered = RenderedRequest {
            method: HttpMethod::Get,
            path: "/vault/a%20b".into(),
            query: "versionId=v".into(),
            headers: vec![(header::RANGE, HeaderValue::from_static("bytes=0-9"))],
            content: super::super::RequestContent::Document(Bytes::new()),
        };
        let now = portcullis_base::clock::Timestamp::from_seconds(0);
        let signed = signer.sign(signer.own(), &rendered, "store:9000", "hash", now).expect("signed");
        let text = String::from_utf8(message(&rendered, &signed).expect("written")).expect("text");
        assert!(text.starts_with("GET /vault/a%20b?versionId=v HTTP/1.1\r\nhost: store:9000\r\n"), "{text}");
        assert!(text.contains(", Signature=") && text.ends_with("\r\nrange: bytes=0-9\r\n\r\n"), "{text}");
        let crooked = signer.sign(signer.own(), &rendered, "store\r\nx: y", "hash", now).expect("signed");
        assert_eq!(message(&rendered, &crooked), Err(UpstreamError::Unwritable));
        rendered.path = "/a\r\nx: y".into();
        assert_eq!(message(&rendered, &signed), Err(UpstreamError::Unwritable));
    }

    proptest! {
        #[test]
        fn an_empty_line_is_found_where_it_is(text in "[a\r\n]{0,40}") {
            let plainly = text.find("\r\n\r\n").map(|at| at + 4);
            prop_assert_eq!(through_empty_line(text.as_bytes()), plainly);
        }

        #[test]
        fn no_answer_makes_it_panic(bytes: Vec<u8>, lines in "[ -~\r\n]{0,200}") {
            drop(AnswerHead::read(&Bytes::from(bytes.clone())));
            drop(head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")));
            drop(chunks(&bytes, 3));
        }
    }
}
