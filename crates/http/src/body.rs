//! A request's body: streamed through its inspection, and never passed on completely before it was found correct.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::time::{Instant, Sleep};

/// Looks at a body as it passes: decodes its framing, and holds its end back until it is found right.
// INVARIANT (held back): `next` gives the last byte of a body only after `finish` said it is right.
pub trait BodyInspector: Send + Unpin + 'static {
    /// Why a body is not what was promised.
    type Fault: Clone + std::fmt::Debug + Send + Sync + 'static;

    /// Takes what came from the wire.
    fn push(&mut self, received: Bytes) -> Result<(), Self::Fault>;
    /// Gives the next slice that may be passed on.
    fn next(&mut self) -> Option<Bytes>;
    /// How many bytes of the body have come, of so many on the wire.
    fn counted(&self, on_the_wire: u64) -> u64 {
        on_the_wire
    }
    /// Says that nothing more comes.
    fn finish(&mut self) -> Result<(), Self::Fault>;
}

/// Why a body did not arrive whole and right.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BodyFault<F> {
    #[error("the client disconnected in the middle of the body")]
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

/// A body that is streamed on did not arrive whole and right. Its receiver learns nothing else; the reason is where
/// [`RequestBody::fault`] points.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the body was interrupted")]
pub struct BodyInterrupted;

/// A condition that is looked at once the whole body is right and before its end is handed out; what
/// it gives is kept where [`RequestBody::hold`] points, so that the condition holds while the end is under way.
pub type ReleaseCondition = Pin<Box<dyn Future<Output = Result<ConditionHold, ConditionWithdrawn>> + Send>>;

/// A guard that keeps a condition true until it is dropped.
pub type ConditionHold = Box<dyn std::any::Any + Send + Sync>;

/// What was judged no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConditionWithdrawn;

/// A body on its way in.
pub struct RequestBody<I: BodyInspector, S = Incoming> {
    incoming: S,
    inspect: I,
    idle_timeout: Duration,
    idle: Pin<Box<Sleep>>,
    stage: BodyStage,
    condition: Option<ReleaseCondition>,
    hold: Arc<OnceLock<ConditionHold>>,
    fault: Arc<OnceLock<BodyFault<I::Fault>>>,
    on_the_wire: u64,
    received: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyStage {
    Receiving,
    /// Found right; its end waits for the condition.
    Checked,
    /// The end may be handed out.
    Released,
}

impl<I: BodyInspector, S: http_body::Body<Data = Bytes> + Unpin> RequestBody<I, S> {
    /// A body that ends when nothing comes for `idle_timeout`.
    pub fn new(incoming: S, inspect: I, idle_timeout: Duration) -> Self {
        Self {
            incoming,
            inspect,
            idle_timeout,
            idle: Box::pin(tokio::time::sleep(idle_timeout)),
            stage: BodyStage::Receiving,
            condition: None,
            hold: Arc::default(),
            fault: Arc::default(),
            on_the_wire: 0,
            received: Arc::default(),
        }
    }

    /// Sets what has to hold before the end of the body is handed out.
    pub fn set_condition(&mut self, condition: ReleaseCondition) {
        self.condition = Some(condition);
    }

    /// Who inspects the body.
    pub fn inspect(&self) -> &I {
        &self.inspect
    }

    /// Where the bytes of the body that came are counted, without its framing.
    pub fn received(&self) -> Arc<AtomicU64> {
        self.received.clone()
    }

    /// Where the guard is kept, by the task that waits for the body's outcome.
    pub fn hold(&self) -> Arc<OnceLock<ConditionHold>> {
        self.hold.clone()
    }

    /// Where the reason is found after another task streamed the body and failed.
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
                BodyStage::Receiving => {
                    if let Some(slice) = self.inspect.next() {
                        return Poll::Ready(Some(Ok(slice)));
                    }
                    match Pin::new(&mut self.incoming).poll_frame(cx) {
                        Poll::Ready(Some(Ok(frame))) => {
                            self.idle.as_mut().reset(Instant::now() + self.idle_timeout);
                            // HTTP trailers are none of S3's; its own travel inside aws-chunked.
                            if let Ok(received) = frame.into_data() {
                                self.on_the_wire += u64::try_from(received.len()).unwrap_or(0);
                                let pushed = self.inspect.push(received);
                                self.received.store(self.inspect.counted(self.on_the_wire), Ordering::Relaxed);
                                if let Err(fault) = pushed {
                                    return Poll::Ready(Some(Err(BodyFault::Wrong(fault))));
                                }
                            }
                        }
                        Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(BodyFault::Cut))),
                        Poll::Ready(None) => match self.inspect.finish() {
                            Ok(()) => self.stage = BodyStage::Checked,
                            Err(fault) => return Poll::Ready(Some(Err(BodyFault::Wrong(fault)))),
                        },
                        Poll::Pending => {
                            std::task::ready!(self.idle.as_mut().poll(cx));
                            return Poll::Ready(Some(Err(BodyFault::Idle)));
                        }
                    }
                }
                BodyStage::Checked => {
                    if let Some(condition) = self.condition.as_mut() {
                        let held = std::task::ready!(condition.as_mut().poll(cx));
                        self.condition = None;
                        match held {
                            Ok(hold) => drop(self.hold.set(hold)),
                            Err(ConditionWithdrawn) => return Poll::Ready(Some(Err(BodyFault::Withdrawn))),
                        }
                    }
                    self.stage = BodyStage::Released;
                }
                BodyStage::Released => return Poll::Ready(self.inspect.next().map(Ok)),
            }
        }
    }
}

impl<I: BodyInspector, S: http_body::Body<Data = Bytes> + Unpin> http_body::Body for RequestBody<I, S> {
    type Data = Bytes;
    type Error = BodyInterrupted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyInterrupted>>> {
        self.poll_slice(cx).map(|slice| slice.map(|slice| slice.map(Frame::data).map_err(|_| BodyInterrupted)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::atomic::AtomicBool;
    use std::task::Waker;

    /// What comes from a client: slices, and then an end, a break, or silence.
    struct Client {
        slices: VecDeque<&'static str>,
        then: Then,
    }

    #[derive(Clone, Copy)]
    enum Then {
        Break,
        End,
        Silence,
    }

    #[derive(Debug)]
    struct Broken;

    impl http_body::Body for Client {
        type Data = Bytes;
        type Error = Broken;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
            match (self.slices.pop_front(), self.then) {
                (Some(slice), _) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(slice.as_bytes()))))),
                (None, Then::Break) => Poll::Ready(Some(Err(Broken))),
                (None, Then::End) => Poll::Ready(None),
                (None, Then::Silence) => Poll::Pending,
            }
        }
    }

    /// Lets each slice go but the last, and that once the body was finished; dislikes `x`.
    #[derive(Default)]
    struct Last {
        ready: VecDeque<Bytes>,
        last: Option<Bytes>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Dislike {
        AtTheEnd,
        OnTheWay,
    }

    impl BodyInspector for Last {
        type Fault = Dislike;

        fn push(&mut self, received: Bytes) -> Result<(), Dislike> {
            if received.as_ref() == b"x" {
                return Err(Dislike::OnTheWay);
            }
            self.ready.extend(self.last.replace(received));
            Ok(())
        }

        fn next(&mut self) -> Option<Bytes> {
            self.ready.pop_front()
        }

        fn finish(&mut self) -> Result<(), Dislike> {
            if self.last.as_deref() == Some(b"y") {
                return Err(Dislike::AtTheEnd);
            }
            self.ready.extend(self.last.take());
            Ok(())
        }
    }

    fn body(slices: &[&'static str], then: Then, idle: Duration) -> RequestBody<Last, Client> {
        RequestBody::new(Client { slices: slices.iter().copied().collect(), then }, Last::default(), idle)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    /// Bytes passed on while no task waits, and how that ends.
    fn out(body: &mut RequestBody<Last, Client>) -> (Vec<String>, Poll<Result<(), BodyFault<Dislike>>>) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut slices = Vec::new();
        loop {
            match body.poll_slice(&mut cx) {
                Poll::Ready(Some(Ok(slice))) => slices.push(String::from_utf8_lossy(&slice).into_owned()),
                Poll::Ready(Some(Err(fault))) => return (slices, Poll::Ready(Err(fault))),
                Poll::Ready(None) => return (slices, Poll::Ready(Ok(()))),
                Poll::Pending => return (slices, Poll::Pending),
            }
        }
    }

    #[tokio::test]
    async fn the_end_is_held_back_until_the_body_is_found_right() {
        let cases = [
            (["a", "b"], Then::End, vec!["a", "b"], Poll::Ready(Ok(()))),
            (["a", "b"], Then::Silence, vec!["a"], Poll::Pending),
            (["a", "b"], Then::Break, vec!["a"], Poll::Ready(Err(BodyFault::Cut))),
            (["a", "y"], Then::End, vec!["a"], Poll::Ready(Err(BodyFault::Wrong(Dislike::AtTheEnd)))),
            (["a", "x"], Then::End, vec![], Poll::Ready(Err(BodyFault::Wrong(Dislike::OnTheWay)))),
        ];
        for (slices, then, handed_out, end) in cases {
            let mut body = body(&slices, then, HOUR);
            let fault = body.fault();
            assert_eq!(out(&mut body), (handed_out.into_iter().map(str::to_owned).collect(), end.clone()));
            // The task that streams the body gets an interruption; the task that answers finds the reason here.
            assert_eq!(fault.get().cloned(), if let Poll::Ready(Err(fault)) = end { Some(fault) } else { None });
        }
    }

    #[tokio::test]
    async fn the_condition_is_looked_at_when_the_body_is_right_and_not_before() {
        let asked = Arc::new(AtomicBool::new(false));
        let condition = |outcome: Result<(), ConditionWithdrawn>| -> ReleaseCondition {
            let asked = asked.clone();
            Box::pin(async move {
                asked.store(true, Ordering::SeqCst);
                outcome.map(|()| Box::new("held") as ConditionHold)
            })
        };
        let mut waiting = body(&["a", "b"], Then::Silence, HOUR);
        waiting.set_condition(condition(Ok(())));
        assert_eq!(out(&mut waiting), (vec!["a".to_owned()], Poll::Pending));
        assert!(!asked.load(Ordering::SeqCst) && waiting.hold().get().is_none());

        let mut right = body(&["a", "b"], Then::End, HOUR);
        right.set_condition(condition(Ok(())));
        let hold = right.hold();
        assert_eq!(out(&mut right), (vec!["a".to_owned(), "b".to_owned()], Poll::Ready(Ok(()))));
        drop(right);
        assert!(hold.get().is_some(), "it outlives the body, for as long as the answer is waited for");

        let mut withdrawn = body(&["a", "b"], Then::End, HOUR);
        withdrawn.set_condition(condition(Err(ConditionWithdrawn)));
        assert_eq!(out(&mut withdrawn), (vec!["a".to_owned()], Poll::Ready(Err(BodyFault::Withdrawn))));
        assert_eq!(withdrawn.fault().get(), Some(&BodyFault::Withdrawn));
    }

    #[tokio::test]
    async fn the_end_waits_for_a_condition_that_is_not_yet_known() {
        let never: ReleaseCondition = Box::pin(std::future::pending());
        let mut body = body(&["a", "b"], Then::End, Duration::ZERO);
        body.set_condition(never);
        // Not the client's silence: it has sent everything.
        assert_eq!(out(&mut body), (vec!["a".to_owned()], Poll::Pending));
    }

    #[tokio::test]
    async fn a_client_that_stops_sending_is_not_waited_for() {
        let silent = body(&["a", "b"], Then::Silence, Duration::ZERO);
        let received = silent.received();
        assert_eq!(silent.collect(10).await, Err(BodyFault::Idle));
        assert_eq!(received.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_body_is_collected_whole_up_to_its_limit() {
        for (slices, limit, expected) in [
            (&["a", "b", "c"][..], 3, Ok("abc")),
            (&["a", "b", "c"], 2, Err(BodyFault::TooLong)),
            (&["abc"], 3, Ok("abc")),
            (&["abc"], 2, Err(BodyFault::TooLong)),
            (&[], 0, Ok("")),
        ] {
            let collected = body(slices, Then::End, HOUR).collect(limit).await;
            assert_eq!(collected, expected.map(|text| Bytes::from_static(text.as_bytes())), "{slices:?} {limit}");
        }
    }
}
