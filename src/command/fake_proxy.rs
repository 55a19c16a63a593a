//! An admin socket for tests: gives prepared answers and keeps the requests.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

use super::state_directory::StateDirectory;
use portcullis_mfa::MfaDemand;

/// A request that was received.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub form: String,
    pub mfa: Option<String>,
}

/// An admin socket with prepared answers.
pub(super) struct FakeProxy {
    place: StateDirectory,
    seen: Arc<Mutex<Vec<Seen>>>,
    _directory: tempfile::TempDir,
}

impl FakeProxy {
    /// Starts with these answers: a status and a document.
    pub(super) fn start(answer: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::demanding(move |seen| {
            let (status, document) = answer(seen);
            (status, MfaDemand::None, document)
        })
    }

    /// Starts with these answers: a status, whether an MFA token is asked for, and a document.
    pub(super) fn demanding(answer: impl Fn(&Seen) -> (u16, MfaDemand, String) + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = StateDirectory::find(Some(directory.path().to_owned()), None);
        let listener = UnixListener::bind(place.socket()).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (kept.clone(), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (kept, answer) = (kept.clone(), answer.clone());
                    async move {
                        let asked = Seen::read(request).await;
                        let (status, mfa, document) = answer(&asked);
                        kept.lock().unwrap().push(asked);
                        let mut answer = Response::builder().status(status);
                        if let Some(value) = mfa.header_value() {
                            answer = answer.header(MfaDemand::HEADER, value);
                        }
                        Ok::<_, Infallible>(answer.body(Full::new(Bytes::from(document))).unwrap())
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { place, seen, _directory: directory }
    }

    pub(super) fn place(&self) -> &StateDirectory {
        &self.place
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The actions that were asked for, in order, with `*` behind those that brought a code.
    pub(super) fn actions(&self) -> Vec<String> {
        let action = |seen: &Seen| {
            let action =
                seen.form.strip_prefix("Action=").and_then(|form| form.split('&').next()).unwrap_or("").to_owned();
            if seen.mfa.is_some() { format!("{action}*") } else { action }
        };
        self.seen().iter().map(action).collect()
    }
}

impl Seen {
    async fn read(request: Request<Incoming>) -> Self {
        let mfa = request.headers().get("x-amz-mfa").map(|value| value.to_str().unwrap().to_owned());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Self { form: String::from_utf8(body.to_vec()).unwrap(), mfa }
    }

    pub(super) fn asks(&self, action: &str) -> bool {
        self.form.starts_with(&format!("Action={action}&"))
    }
}

/// IAM's document for a refusal.
pub(super) fn iam_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
}
