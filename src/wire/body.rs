//! A request's body: streamed through whoever inspects it, and never handed out whole before it was found right.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::time::{Instant, Sleep};

/// Looks at a body as it passes: decodes its framing, and holds its end back until it is found right.
// INVARIANT (held back): `next` gives the last byte of a body only after `finish` said it is right.
pub trait Inspect: Send + Unpin + 'static {
    /// Why a body is not what was promised.
    type Fault: Clone + std::fmt::Debug + Send + Sync + 'static;

    /// Takes what came from the wire.
    fn push(&mut self, received: Bytes) -> Result<(), Self::Fault>;
    /// Gives the next slice that may be passed on.
    fn next(&mut self) -> Option<Bytes>;
    /// Says that nothing more comes.
    fn finish(&mut self) -> Result<(), Self::Fault>;
}

/// Why a body did not arrive whole and right.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BodyFault<F> {
    #[error("the client left in the middle of the body")]
    Cut,
    #[error("the client stopped sending")]
    Idle,
    #[error("the body is longer than this operation takes")]
    TooLong,
    /// The bucket's protection changed while the body was under way.
    #[error("what was judged no longer holds")]
    Withdrawn,
    #[error("the body is not what was promised: {0:?}")]
    Wrong(F),
}

/// A condition that is looked at once the whole body is right and before its end is handed out; what
/// it gives is kept where [`Body::hold`] points, so that the condition holds while the end is under way.
pub type Condition = Pin<Box<dyn Future<Output = Result<Hold, Withdrawn>> + Send>>;

/// Whatever keeps a condition true until it is dropped.
pub type Hold = Box<dyn std::any::Any + Send + Sync>;

/// What was judged no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawn;

/// A body on its way in.
pub struct Body<I: Inspect> {
    incoming: Incoming,
    inspect: I,
    idle_timeout: Duration,
    idle: Pin<Box<Sleep>>,
    stage: Stage,
    condition: Option<Condition>,
    hold: Arc<OnceLock<Hold>>,
    fault: Arc<OnceLock<BodyFault<I::Fault>>>,
    received: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Receiving,
    /// Found right; its end waits for the condition.
    Checked,
    /// The end may be handed out.
    Released,
}

impl<I: Inspect> Body<I> {
    /// A body that ends when nothing comes for `idle_timeout`.
    pub fn new(incoming: Incoming, inspect: I, idle_timeout: Duration) -> Self {
        Self {
            incoming,
            inspect,
            idle_timeout,
            idle: Box::pin(tokio::time::sleep(idle_timeout)),
            stage: Stage::Receiving,
            condition: None,
            hold: Arc::default(),
            fault: Arc::default(),
            received: Arc::default(),
        }
    }

    /// Sets what has to hold before the end of the body is handed out.
    pub fn unless_withdrawn(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Who inspects the body.
    pub fn inspect(&self) -> &I {
        &self.inspect
    }

    /// Where the bytes that came are counted.
    pub fn received(&self) -> Arc<AtomicU64> {
        self.received.clone()
    }

    /// Where the condition's hold is kept, by whoever waits for what becomes of the body.
    pub fn hold(&self) -> Arc<OnceLock<Hold>> {
        self.hold.clone()
    }

    /// Where the reason is found after somebody else streamed the body and failed.
    pub fn fault(&self) -> Arc<OnceLock<BodyFault<I::Fault>>> {
        self.fault.clone()
    }

    /// Reads the whole body, at most `limit` bytes of it.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyFault<I::Fault>> {
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        while let Some(slice) = std::future::poll_fn(|cx| self.poll_slice(cx)).await {
            let slice = slice?;
            if first.as_ref().map_or(0, Bytes::len) + rest.len() + slice.len() > limit {
                return Err(BodyFault::TooLong);
            }
            match first {
                None => first = Some(slice),
                Some(_) => rest.extend_from_slice(&slice),
            }
        }
        Ok(match first {
            None => Bytes::new(),
            Some(first) if rest.is_empty() => first,
            Some(first) => [first.as_ref(), rest.as_ref()].concat().into(),
        })
    }

    fn poll_slice(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault<I::Fault>>>> {
        match std::task::ready!(self.poll_checked(cx)) {
            Some(Err(fault)) => {
                // The first reason is the true one; what follows from it is not.
                drop(self.fault.set(fault.clone()));
                Poll::Ready(Some(Err(fault)))
            }
            other => Poll::Ready(other),
        }
    }

    fn poll_checked(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault<I::Fault>>>> {
        loop {
            match self.stage {
                Stage::Receiving => {
                    if let Some(slice) = self.inspect.next() {
                        return Poll::Ready(Some(Ok(slice)));
                    }
                    match Pin::new(&mut self.incoming).poll_frame(cx) {
                        Poll::Ready(Some(Ok(frame))) => {
                            self.idle.as_mut().reset(Instant::now() + self.idle_timeout);
                            // HTTP trailers are none of S3's; its own travel inside aws-chunked.
                            if let Ok(received) = frame.into_data() {
                                self.received.fetch_add(u64::try_from(received.len()).unwrap_or(0), Ordering::Relaxed);
                                if let Err(fault) = self.inspect.push(received) {
                                    return Poll::Ready(Some(Err(BodyFault::Wrong(fault))));
                                }
                            }
                        }
                        Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(BodyFault::Cut))),
                        Poll::Ready(None) => match self.inspect.finish() {
                            Ok(()) => self.stage = Stage::Checked,
                            Err(fault) => return Poll::Ready(Some(Err(BodyFault::Wrong(fault)))),
                        },
                        Poll::Pending => {
                            std::task::ready!(self.idle.as_mut().poll(cx));
                            return Poll::Ready(Some(Err(BodyFault::Idle)));
                        }
                    }
                }
                Stage::Checked => {
                    if let Some(condition) = self.condition.as_mut() {
                        let held = std::task::ready!(condition.as_mut().poll(cx));
                        self.condition = None;
                        match held {
                            Ok(hold) => drop(self.hold.set(hold)),
                            Err(Withdrawn) => return Poll::Ready(Some(Err(BodyFault::Withdrawn))),
                        }
                    }
                    self.stage = Stage::Released;
                }
                Stage::Released => return Poll::Ready(self.inspect.next().map(Ok)),
            }
        }
    }
}

impl<I: Inspect> http_body::Body for Body<I> {
    type Data = Bytes;
    type Error = BodyFault<I::Fault>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault<I::Fault>>>> {
        self.poll_slice(cx).map(|slice| slice.map(|slice| slice.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
