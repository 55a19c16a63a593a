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

use portcullis_audit::{
    ControlFacts, Draft, MfaFacts, OutcomeError, Recorder, RequestOutcome, ResponseElements, mfa_result,
};
use portcullis_authorization::MfaDelete;
use portcullis_base::clock::Clock;
use portcullis_base::names::RequestId;
use portcullis_cloudtrail::record::{EventSource, MfaResult};
use portcullis_control::{iam, query};
use portcullis_http::{Peer, Transport};
use portcullis_journal::{Journal, JournalClosed, Sequence};
use portcullis_mfa::{CodeDigits, MfaDemand, MfaToken};
use portcullis_state::StateStore;

/// What the admin socket serves.
#[derive(Debug)]
pub(super) struct AdminSocket {
    pub clock: Clock,
    pub store: StateStore,
    pub recorder: Arc<Recorder>,
    pub journal: Arc<Journal>,
    /// How long the codes of a new device are where the request does not say.
    pub digits: CodeDigits,
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
        let Ok(mut parameters) = query::parse_form(&body.to_bytes()) else {
            return plain(StatusCode::BAD_REQUEST, "the form cannot be read\n");
        };
        let named =
            |name: &str, value: &str| parameters.iter().any(|(n, v)| n == name && (value.is_empty() || v == value));
        if named("Action", "CreateVirtualMFADevice") && !named("Digits", "") {
            parameters.push(("Digits".to_owned(), self.digits.count().to_string()));
        }
        let reply = self.act(draft, request_id, &parameters, offer).await;
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Full::new(Bytes::from(reply.body.expose().clone())));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(iam::CONTENT_TYPE));
        if let Some(value) = reply.mfa.header_value() {
            response.headers_mut().insert(MfaDemand::HEADER, HeaderValue::from_static(value));
        }
        response
    }

    /// Carries out an action; a change starts only after its intent is on disk, and succeeds only after its outcome is.
    async fn act(
        &self,
        mut draft: Draft,
        request_id: RequestId,
        parameters: &[(String, String)],
        offer: MfaToken,
    ) -> iam::IamReply {
        let presented = !matches!(offer, MfaToken::Absent);
        let request = match iam::ActionRequest::read(parameters, offer, request_id) {
            Ok(request) => request,
            Err(refused) => return self.refuse(draft, *refused, presented).await,
        };
        let effect = request.effect();
        // Asked before a code is spent for nothing.
        if effect == iam::ActionEffect::Changes && !self.journal.is_open() {
            return self.refuse(draft, request.unrecorded(), presented).await;
        }
        let proved = match request.prove(&self.store, self.clock.now()).await {
            Ok(proved) => proved,
            Err(refused) => return self.refuse(draft, *refused, presented).await,
        };
        if effect == iam::ActionEffect::Changes {
            tell(&mut draft, proved.facts(), presented);
            if self.durable(draft.intend()).await.is_err() {
                return self.refuse(draft, proved.unrecorded(), presented).await;
            }
        }
        let reply = proved.perform().await;
        match (self.close(draft, &reply, presented).await, effect) {
            (Err(_), iam::ActionEffect::Changes) if reply.status < 400 => iam::done_unrecorded(reply.facts, request_id),
            (Ok(()) | Err(_), iam::ActionEffect::Changes | iam::ActionEffect::Reads) => reply,
        }
    }

    /// Records a refusal; it is told whether or not that succeeds.
    async fn refuse(&self, draft: Draft, reply: iam::IamReply, presented: bool) -> iam::IamReply {
        self.close(draft, &reply, presented).await.ok();
        reply
    }

    async fn close(&self, mut draft: Draft, reply: &iam::IamReply, presented: bool) -> Result<(), JournalClosed> {
        tell(&mut draft, &reply.facts, presented);
        let recorded = self.durable(draft.close(&outcome(reply))).await;
        recorded.inspect_err(|_| tracing::error!("an administrative request could not be recorded"))
    }

    async fn durable(&self, appended: Result<Sequence, JournalClosed>) -> Result<(), JournalClosed> {
        self.journal.durable(appended?).await
    }

    fn draft(&self, request_id: RequestId, agent: Option<&[u8]>) -> Draft {
        let peer = Peer { address: ([127, 0, 0, 1], 0).into(), transport: Transport::Loopback };
        let mut draft = self.recorder.open(request_id, peer);
        draft.by_operator(agent);
        draft
    }
}

fn asking(facts: &iam::IamFacts) -> ControlFacts<'_> {
    ControlFacts {
        source: EventSource::Iam,
        event_name: facts.event_name.unwrap_or("UnknownAction"),
        read_only: facts.effect == iam::ActionEffect::Reads,
        parameters: &facts.request_parameters,
    }
}

/// Tells the draft what is known of a request.
fn tell(draft: &mut Draft, facts: &iam::IamFacts, presented: bool) {
    draft.asks_control(asking(facts));
    if let Some(factor) = &facts.second_factor {
        draft.judged(MfaFacts {
            bucket: MfaDelete::NeverSet,
            required: true,
            presented,
            result: Some(match &factor.outcome {
                iam::FactorOutcome::Accepted { .. } => MfaResult::Accepted,
                iam::FactorOutcome::Rejected(fault) => mfa_result(*fault),
                iam::FactorOutcome::Unavailable => MfaResult::Unavailable,
            }),
            serial: Some(factor.serial.clone()),
        });
    }
}

fn outcome(reply: &iam::IamReply) -> RequestOutcome {
    let facts = &reply.facts;
    RequestOutcome {
        status: reply.status,
        error: facts
            .error
            .as_ref()
            .map(|error| OutcomeError { code: error.code.clone(), message: error.message.clone() }),
        elements: ResponseElements::of_control(&facts.response_elements),
        ..RequestOutcome::default()
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
