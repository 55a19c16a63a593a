//! Replies that begin before the outcome of their request is known.
//!
//! A store takes minutes to complete a large upload. S3 answers 200 at once and sends spaces until it is done, so that no
//! client and no load balancer times out; a later error is a document under that 200. This does the same once the store
//! has begun to answer. As with every write, the record is on disk before the document is sent.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::ending::RequestEnding;
use super::reply::{ReplyBody, UpstreamCutOff};
use crate::failure::Failure;
use portcullis_upstream::AnswerBegun;
use portcullis_xml::DECLARATION;

/// How long a reply waits for the outcome after the store has begun to answer: by then it can have its own status.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time between two spaces; shorter than the timeouts of clients and load balancers.
const BETWEEN_SPACES: Duration = Duration::from_secs(2);

/// The body of a reply to a request that is still being carried out.
pub(super) struct KeepAliveBody {
    finishing: JoinHandle<Response<ReplyBody>>,
    next: NextFrame,
    spaces: Interval,
}

enum NextFrame {
    Declaration,
    Nothing,
    Space,
}

/// The reply of a request: its own, or one that is kept alive if that takes long.
pub(super) async fn reply(
    mut finishing: JoinHandle<Response<ReplyBody>>,
    begun: &AnswerBegun,
    ending: RequestEnding,
) -> Response<ReplyBody> {
    let begun_for_long = async {
        let headers = begun.headers().await;
        tokio::time::sleep(PATIENCE).await;
        headers
    };
    let mut headers: HeaderMap = tokio::select! {
        biased;
        finished = &mut finishing => return finished.unwrap_or_else(|_| ending.internal()),
        headers = begun_for_long => headers,
    };
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    let mut spaces = tokio::time::interval_at(Instant::now() + BETWEEN_SPACES, BETWEEN_SPACES);
    spaces.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let body = KeepAliveBody { finishing, next: NextFrame::Declaration, spaces };
    let progress = ending.progress.clone();
    ending.reply(StatusCode::OK, headers, ReplyBody::kept_alive(body, progress))
}

impl KeepAliveBody {
    pub(super) fn is_over(&self) -> bool {
        matches!(self.next, NextFrame::Nothing)
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamCutOff>>> {
        let data = |bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        match self.next {
            NextFrame::Nothing => Poll::Ready(None),
            // An XML declaration must be the first thing in the document, so it goes before the spaces.
            NextFrame::Declaration => {
                self.next = NextFrame::Space;
                data(Bytes::from_static(DECLARATION.as_bytes()))
            }
            NextFrame::Space => {
                if let Poll::Ready(finished) = Pin::new(&mut self.finishing).poll(cx) {
                    self.next = NextFrame::Nothing;
                    return data(document(finished.ok()));
                }
                ready!(self.spaces.poll_tick(cx));
                data(Bytes::from_static(b" "))
            }
        }
    }
}

/// The document of a reply, without the declaration, which was sent already.
fn document(finished: Option<Response<ReplyBody>>) -> Bytes {
    let whole = finished.and_then(|response| response.into_body().into_whole()).unwrap_or_else(|| {
        let error = Failure::Internal.s3_error();
        format!("<Error><Code>{}</Code><Message>{}</Message></Error>", error.code, error.message).into()
    });
    let text = whole.trim_ascii_start();
    let declaration = text.starts_with(b"<?xml").then(|| text.windows(2).position(|pair| pair == b"?>")).flatten();
    match declaration {
        Some(end) => whole.slice(whole.len() - text.len() + end + 2..),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_http::ConnectionProgress;
    use std::sync::Arc;

    fn reply_of(document: &str) -> Response<ReplyBody> {
        Response::new(ReplyBody::whole(
            Bytes::copy_from_slice(document.as_bytes()),
            Arc::new(ConnectionProgress::default()),
        ))
    }

    #[test]
    fn a_document_has_its_declaration_once() {
        for (whole, rest) in [
            ("<?xml version=\"1.0\"?>\n<R/>", "\n<R/>"),
            ("  <?xml version=\"1.0\"?><R/>", "<R/>"),
            ("<R/>", "<R/>"),
            ("", ""),
        ] {
            assert_eq!(document(Some(reply_of(whole))), rest);
        }
        assert!(document(None).starts_with(b"<Error><Code>InternalError</Code>"));
    }
}
