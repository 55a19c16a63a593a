//! An answer that has begun and is not there yet: stores send 200 for a copy or a completion at once, then spaces while
//! they work.

use std::sync::OnceLock;

use http::header::HeaderMap;
use tokio::sync::Notify;

/// Notifies the waiting task that the answer's head has arrived.
#[derive(Debug, Default)]
pub struct AnswerBegun {
    headers: OnceLock<HeaderMap>,
    come: Notify,
}

impl AnswerBegun {
    /// The head has come, with these headers, of those that a client may see.
    pub(super) fn tell(&self, headers: &HeaderMap) {
        if self.headers.set(headers.clone()).is_ok() {
            self.come.notify_waiters();
        }
    }

    /// Waits until the head has come.
    pub async fn headers(&self) -> HeaderMap {
        loop {
            let mut come = std::pin::pin!(self.come.notified());
            // Before the look, so that nothing is told in between.
            come.as_mut().enable();
            if let Some(headers) = self.headers.get() {
                return headers.clone();
            }
            come.await;
        }
    }
}
