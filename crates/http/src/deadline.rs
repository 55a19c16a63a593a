//! A deadline that is moved with every request, and rarely reached.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A moment until which something may take.
///
/// A timer costs a lock and a place in a queue each time it is set or given up. So the alarm stays where it is while the
/// deadline moves, and is reset only when it fires too early.
#[derive(Debug, Default)]
pub struct Deadline {
    moment: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

/// It took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlinePassed;

impl Deadline {
    /// Sets it this far from now.
    pub fn set(&mut self, span: Duration) {
        self.moment = Some(Instant::now() + span);
    }

    /// Gives it up.
    pub fn clear(&mut self) {
        self.moment = None;
    }

    /// When it is.
    pub fn moment(&self) -> Option<Instant> {
        self.moment
    }

    /// Waits until it has passed; without an end where none is set.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<DeadlinePassed> {
        let Some(moment) = self.moment else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(moment)));
        if alarm.deadline() > moment {
            alarm.as_mut().reset(moment);
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= moment {
                return Poll::Ready(DeadlinePassed);
            }
            alarm.as_mut().reset(moment);
        }
    }

    /// Does some work that may take so long.
    pub async fn limit<T>(&mut self, span: Duration, work: impl Future<Output = T>) -> Result<T, DeadlinePassed> {
        self.set(span);
        let mut work = pin!(work);
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll(cx).map(Err),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::task::Waker;

    const SECOND: Duration = Duration::from_secs(1);

    fn poll(deadline: &mut Deadline) -> Poll<DeadlinePassed> {
        deadline.poll(&mut Context::from_waker(Waker::noop()))
    }

    async fn reached(deadline: &mut Deadline) -> DeadlinePassed {
        std::future::poll_fn(|cx| deadline.poll(cx)).await
    }

    #[tokio::test]
    async fn it_passes_when_it_was_set_last_whatever_the_alarm_was_set_to() {
        let mut deadline = Deadline::default();
        assert!(poll(&mut deadline).is_pending(), "none is set");
        for milliseconds in [1, 20, 2] {
            let span = Duration::from_millis(milliseconds);
            let before = Instant::now();
            deadline.set(60 * SECOND);
            assert!(poll(&mut deadline).is_pending());
            deadline.set(span);
            assert_eq!(reached(&mut deadline).await, DeadlinePassed);
            assert!(before.elapsed() >= span);
        }
    }

    #[tokio::test]
    async fn an_alarm_that_goes_off_early_is_set_anew() {
        let mut deadline = Deadline::default();
        deadline.set(Duration::ZERO);
        assert_eq!(reached(&mut deadline).await, DeadlinePassed);
        let span = Duration::from_millis(5);
        let before = Instant::now();
        deadline.set(span);
        assert_eq!(reached(&mut deadline).await, DeadlinePassed);
        assert!(before.elapsed() >= span);
        deadline.clear();
        assert!(poll(&mut deadline).is_pending());
    }

    #[tokio::test]
    async fn work_is_cut_off_once_it_takes_too_long() {
        let mut deadline = Deadline::default();
        assert_eq!(deadline.limit(60 * SECOND, async { 7 }).await, Ok(7));
        assert_eq!(deadline.limit(Duration::from_millis(1), std::future::pending::<u8>()).await, Err(DeadlinePassed));
    }
}
