//! The admin socket: AWS's IAM Query API for the user that owns this process, over HTTP on a Unix socket.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::pipeline::{IamDoor, iam_outcome};
use crate::story::Requester;
use portcullis_audit::{Draft, Recorder, RequestOutcome};
use portcullis_authorization::{Caller, CallerRights, Rules};
use portcullis_base::clock::Clock;
use portcullis_base::names::RequestId;
use portcullis_base::secret::Secret;
use portcullis_control::iam::{self, IamAnswer, IamChannel, IamError, IamRequest, IamScope};
use portcullis_control::query;
use portcullis_http::{Peer, Transport};
use portcullis_journal::{Journal, JournalClosed};
use portcullis_mfa::{CodeDigits, MfaDemand, MfaToken};
use portcullis_s3::OperationAccess;
use portcullis_state::{CodeSource, StateStore};

/// What the admin socket serves.
#[derive(Debug)]
pub(super) struct AdminSocket {
    pub clock: Clock,
    pub state: StateStore,
    pub recorder: Arc<Recorder>,
    pub journal: Arc<Journal>,
    /// How long the codes of a new device are where the request does not say.
    pub digits: CodeDigits,
    pub rules: Rules,
}

/// A reply; its body is hidden, since a seed or a secret key may be in it.
struct AdminReply {
    status: u16,
    mfa: MfaDemand,
    body: Secret<String>,
}

/// The longest form; a request has a handful of short parameters.
const LONGEST_FORM: usize = 64 * 1024;

/// Where a state directory has its socket.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("admin.sock")
}

/// Listens on the socket; only this process's user may connect.
pub(super) fn serve(
    path: &Path,
    admin: AdminSocket,
    mut stop: watch::Receiver<bool>,
) -> io::Result<JoinHandle<io::Result<()>>> {
    // The state directory is locked, so an existing socket was left by a process that has ended.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    let admin = Arc::new(admin);
    Ok(tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stopped| *stopped) => return Ok(()),
            };
            match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream, admin.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "admin connection not accepted");
                    portcullis_http::rest_after(&error).await;
                }
            }
        }
    }))
}

async fn connection(stream: UnixStream, admin: Arc<AdminSocket>) {
    let ours = rustix::process::geteuid().as_raw();
    // The socket's mode says the same; a loosened mode must not be enough.
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == ours || peer.uid() == 0 => {}
        Ok(_) | Err(_) => return tracing::error!("a process of another user connected to the admin socket"),
    }
    let service = service_fn(move |request| {
        let admin = admin.clone();
        async move { Ok::<_, Infallible>(admin.handle(request).await) }
    });
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "admin connection ended");
    }
}

impl AdminSocket {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        // Its own task: a change is finished and recorded even if the client disconnects.
        let handling = tokio::spawn(async move { self.answer(request).await });
        handling.await.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"))
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::POST || request.uri().path() != "/" {
            return plain(StatusCode::NOT_FOUND, "the admin socket answers POST / alone\n");
        }
        let offer = MfaToken::parse(request.headers().get("x-amz-mfa").map(|value| value.to_str().unwrap_or("")));
        let request_id = self.recorder.call_id();
        let agent = request.headers().get(USER_AGENT).map(HeaderValue::as_bytes);
        let draft = self.draft(request_id, agent);
        let Ok(body) = Limited::new(request.into_body(), LONGEST_FORM).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the form is too long\n");
        };
        let Ok(form) = query::parse_form(&body.to_bytes()) else {
            return plain(StatusCode::BAD_REQUEST, "the form cannot be read\n");
        };
        self.act(draft, request_id, &form, offer).await.response()
    }

    /// Answers a form: a change starts only after its intent is on disk, and succeeds only after its outcome is.
    async fn act(
        &self,
        mut draft: Draft,
        request_id: RequestId,
        form: &[(String, String)],
        offer: MfaToken,
    ) -> AdminReply {
        let scope = IamScope { account: self.state.account(), channel: IamChannel::AdminSocket, digits: self.digits };
        let request = IamRequest::read(form, scope);
        let access = request.event().access();
        draft.asks_control(request.event().facts());
        let now = self.clock.now();
        let requester = Requester { caller: Caller::operator(), source: CodeSource::AdminSocket, now };
        let door = IamDoor {
            journal: &self.journal,
            state: &self.state,
            rules: self.rules,
            rights: CallerRights::root(),
            now,
        };
        let answer = door.carry_out(request, requester, offer, &mut draft).await;
        match (self.close(draft, &answer).await, access, answer) {
            (Err(_), OperationAccess::Write, Ok(_)) => AdminReply::failed(&IamError::done_unrecorded(), request_id),
            (Ok(()) | Err(_), _, Ok(answer)) => AdminReply::done(&answer, request_id),
            // A refusal is told whether or not it could be recorded.
            (Ok(()) | Err(_), _, Err(error)) => AdminReply::failed(&error, request_id),
        }
    }

    /// Closes the draft; its record is on disk before the reply.
    async fn close(&self, draft: Draft, answer: &Result<IamAnswer, IamError>) -> Result<(), JournalClosed> {
        let recorded = match draft.close(&iam_outcome(answer, RequestOutcome::default())) {
            Ok(sequence) => self.journal.durable(sequence).await,
            Err(closed) => Err(closed),
        };
        recorded.inspect_err(|_| tracing::error!("an administrative request could not be recorded"))
    }

    fn draft(&self, request_id: RequestId, agent: Option<&[u8]>) -> Draft {
        let peer = Peer { address: ([127, 0, 0, 1], 0).into(), transport: Transport::AdminSocket };
        let mut draft = self.recorder.open(request_id, peer);
        draft.by_operator(agent);
        draft
    }
}

impl AdminReply {
    fn done(answer: &IamAnswer, request_id: RequestId) -> Self {
        Self { status: 200, mfa: MfaDemand::None, body: answer.body(request_id) }
    }

    fn failed(error: &IamError, request_id: RequestId) -> Self {
        Self { status: error.status, mfa: error.mfa, body: error.body(request_id) }
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body.expose().clone())));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(iam::CONTENT_TYPE));
        if let Some(value) = self.mfa.header_value() {
            response.headers_mut().insert(MfaDemand::HEADER, HeaderValue::from_static(value));
        }
        response
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
