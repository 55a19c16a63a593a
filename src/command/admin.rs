//! The admin socket of the running proxy, which speaks AWS's IAM Query API.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::Full;
use thiserror::Error;
use tokio::net::UnixStream;

use super::error::CommandError;
use super::exchange::{ExchangeError, exchange};
use super::state_directory::StateDirectory;
use super::table::harmless;
use portcullis_base::secret::Secret;
use portcullis_http::DialError;
use portcullis_mfa::MfaDemand;
use portcullis_xml::{InvalidXml, XmlElement};

/// The proxy that runs with a state directory.
#[derive(Clone, Debug)]
pub(super) struct AdminClient {
    place: StateDirectory,
}

/// One IAM action with its parameters.
#[derive(Clone, Debug)]
pub(super) struct AdminRequest {
    action: &'static str,
    form: Secret<String>,
}

/// Why a request has no answer.
#[derive(Debug, Error)]
pub(super) enum AdminError {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("the admin socket belongs to another user")]
    Forbidden,
    #[error("Portcullis is not running there")]
    NotRunning,
    #[error("{0}")]
    Refused(AdminRefusal),
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] InvalidXml),
    #[error("the answer lacks {0}")]
    Wanting(&'static str),
}

/// A refusal by the proxy.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message} ({code})")]
pub(super) struct AdminRefusal {
    pub code: String,
    pub message: String,
    pub mfa: MfaDemand,
}

const VERSION: &str = "2010-05-08";

impl AdminRequest {
    /// The action without parameters.
    pub(super) fn new(action: &'static str) -> Self {
        Self { action, form: Secret::new(format!("Action={action}&Version={VERSION}")) }
    }

    /// Adds a parameter.
    pub(super) fn with(self, name: &str, value: &str) -> Self {
        let form = format!("{}&{name}={}", self.form.expose(), encoded(value));
        Self { action: self.action, form: Secret::new(form) }
    }
}

impl AdminClient {
    /// The proxy that keeps its state there.
    pub(super) fn of(place: &StateDirectory) -> Self {
        Self { place: place.clone() }
    }

    /// Where it keeps its state.
    pub(super) fn place(&self) -> &StateDirectory {
        &self.place
    }

    /// Asks, and gives the action's result: the element `ACTIONResult`, empty where the action has none.
    pub(super) async fn ask(&self, question: &AdminRequest) -> Result<XmlElement, AdminError> {
        self.send(question, None).await
    }

    /// Asks with `serial code` of an active device.
    pub(super) async fn ask_with_code(
        &self,
        question: &AdminRequest,
        mfa: &Secret<String>,
    ) -> Result<XmlElement, AdminError> {
        self.send(question, Some(mfa)).await
    }

    /// Asks for a list to its last page, and gives its members.
    pub(super) async fn list(&self, question: AdminRequest, list: &'static str) -> Result<Vec<XmlElement>, AdminError> {
        let mut members = Vec::new();
        let mut page = question.clone();
        loop {
            let result = self.ask(&page).await?;
            members.extend(result.members(list).cloned());
            if result.filled_text_of("IsTruncated") != Some("true") {
                return Ok(members);
            }
            page =
                question.clone().with("Marker", result.filled_text_of("Marker").ok_or(AdminError::Wanting("Marker"))?);
        }
    }

    async fn send(&self, question: &AdminRequest, mfa: Option<&Secret<String>>) -> Result<XmlElement, AdminError> {
        let stream = UnixStream::connect(self.place.socket()).await.map_err(AdminError::of_connecting)?;
        let mut request = Request::post("/")
            .header("host", "localhost")
            .header("user-agent", concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        if let Some(mfa) = mfa {
            request = request.header("x-amz-mfa", mfa.expose().as_str());
        }
        let body = Full::new(Bytes::from(question.form.expose().clone()));
        let request = request.body(body).map_err(|error| ExchangeError::Broken(error.to_string()))?;
        let answer = exchange(stream, request).await?;
        let root = XmlElement::parse(&answer.body)?;
        if !answer.status.is_success() {
            return Err(AdminError::Refused(AdminRefusal::read(&answer.headers, &root)));
        }
        let result = format!("{}Result", question.action);
        Ok(root.child(&result).cloned().unwrap_or_default())
    }
}

impl AdminError {
    fn of_connecting(error: io::Error) -> Self {
        use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound, PermissionDenied};
        let kind = error.kind();
        if matches!(kind, NotFound | ConnectionRefused | NotADirectory) {
            return Self::NotRunning;
        }
        if kind == PermissionDenied {
            Self::Forbidden
        } else {
            Self::Exchange(ExchangeError::Connect(DialError::Unreachable(error)))
        }
    }

    /// Whether the refusal asks for an MFA code.
    pub(super) fn wants_code(&self) -> bool {
        match self {
            Self::Refused(refused) => refused.mfa == MfaDemand::Required,
            Self::Exchange(_) | Self::Forbidden | Self::NotRunning | Self::Unreadable(_) | Self::Wanting(_) => false,
        }
    }

    /// The error code of a refusal.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refused) => Some(&refused.code),
            Self::Exchange(_) | Self::Forbidden | Self::NotRunning | Self::Unreadable(_) | Self::Wanting(_) => None,
        }
    }

    /// The error as the command line reports it.
    pub(super) fn into_command_error(self, place: &StateDirectory) -> CommandError {
        let next = match self.code() {
            Some("NotDeviceOwnerError" | "TokenCodeInvalidError") => format!(
                "Wait for the next code: each code is accepted once. `portcullis mfa list{}` shows the serial numbers.",
                place.flag()
            ),
            Some(_) if self.wants_code() => "Add --mfa \"SERIAL CODE\".".to_owned(),
            Some("InvalidAuthenticationCode") => {
                "Enter two consecutive codes, and check that both clocks are right.".to_owned()
            }
            Some("NoSuchEntity") => {
                format!("`portcullis user list{0}`, `key list{0}` and `mfa list{0}` show what exists.", place.flag())
            }
            Some(_) | None => String::new(),
        };
        let error = match self {
            Self::NotRunning => return not_running(place),
            Self::Forbidden => {
                let next = format!(
                    "Run this as the user that Portcullis runs as; only that user can access {}.",
                    place.socket().display()
                );
                return CommandError::failed(&self).next(next);
            }
            Self::Refused(refused) => CommandError::failed(format!("refused: {refused}")),
            Self::Exchange(_) | Self::Unreadable(_) | Self::Wanting(_) => CommandError::failed(&self),
        };
        if next.is_empty() { error } else { error.next(next) }
    }
}

impl AdminRefusal {
    fn read(headers: &HeaderMap, root: &XmlElement) -> Self {
        let error = root.child("Error").unwrap_or(root);
        let text = |name: &str, instead: &str| harmless(error.filled_text_of(name).unwrap_or(instead));
        let mfa = MfaDemand::parse(headers.get(MfaDemand::HEADER).map(HeaderValue::as_bytes));
        Self { code: text("Code", "Unknown"), message: text("Message", "no reason was given"), mfa }
    }
}

/// Portcullis is not running with this state directory, and how to start it.
pub(super) fn not_running(place: &StateDirectory) -> CommandError {
    CommandError::not_running(format!("Portcullis is not running with state directory {place}")).next(format!(
        "Start it:                  portcullis dev{0}   (or: portcullis serve --config FILE)\n\
         Or name another directory: --data DIR, or {1}=DIR",
        place.flag(),
        super::state_directory::VARIABLE
    ))
}

/// The text as `application/x-www-form-urlencoded` has it.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake_proxy::{FakeProxy, iam_error};

    #[tokio::test]
    async fn a_question_travels_as_a_form_and_its_result_comes_back() {
        let proxy = FakeProxy::start(|_| {
            (
                200,
                "<CreateUserResponse><CreateUserResult><User><UserName>a+b@c</UserName></User></CreateUserResult>\
                   <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></CreateUserResponse>"
                    .to_owned(),
            )
        });
        let admin = AdminClient::of(proxy.place());
        let result = admin.ask(&AdminRequest::new("CreateUser").with("UserName", "a+b@c")).await.unwrap();
        assert_eq!(result.child("User").and_then(|user| user.filled_text_of("UserName")), Some("a+b@c"));
        let seen = proxy.seen();
        assert_eq!(seen[0].form, "Action=CreateUser&Version=2010-05-08&UserName=a%2Bb%40c");
        assert_eq!(seen[0].mfa, None);
    }

    #[tokio::test]
    async fn a_code_travels_in_its_header_alone() {
        let proxy = FakeProxy::start(|_| (200, "<DeactivateMFADeviceResponse/>".to_owned()));
        let question = AdminRequest::new("DeactivateMFADevice").with("SerialNumber", "s");
        AdminClient::of(proxy.place()).ask_with_code(&question, &Secret::new("s 123456".to_owned())).await.unwrap();
        let seen = proxy.seen();
        assert_eq!(seen[0].mfa.as_deref(), Some("s 123456"));
        assert!(!seen[0].form.contains("123456"));
    }

    #[tokio::test]
    async fn a_refusal_keeps_the_proxys_own_code_and_words() {
        let proxy = FakeProxy::start(|_| (409, iam_error("EntityAlreadyExists", "User alice already exists.")));
        let error = AdminClient::of(proxy.place()).ask(&AdminRequest::new("CreateUser")).await.unwrap_err();
        assert_eq!(error.code(), Some("EntityAlreadyExists"));
        let shown = error.into_command_error(proxy.place());
        assert_eq!(shown.message, "refused: User alice already exists. (EntityAlreadyExists)");
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_last_page() {
        let proxy = FakeProxy::start(|seen| {
            let (name, more) = if seen.form.contains("Marker=m1") {
                ("bob", "<IsTruncated>false</IsTruncated>")
            } else {
                ("alice", "<IsTruncated>true</IsTruncated><Marker>m1</Marker>")
            };
            let member = format!("<Users><member><UserName>{name}</UserName></member></Users>");
            (200, format!("<ListUsersResponse><ListUsersResult>{member}{more}</ListUsersResult></ListUsersResponse>"))
        });
        let users = AdminClient::of(proxy.place()).list(AdminRequest::new("ListUsers"), "Users").await.unwrap();
        assert_eq!(
            users.iter().filter_map(|user| user.filled_text_of("UserName")).collect::<Vec<_>>(),
            ["alice", "bob"]
        );
    }

    #[tokio::test]
    async fn where_no_proxy_runs_the_command_says_how_to_start_one() {
        let empty = tempfile::tempdir().unwrap();
        let place = StateDirectory::find(Some(empty.path().to_owned()), None);
        let error = AdminClient::of(&place).ask(&AdminRequest::new("ListUsers")).await.unwrap_err();
        let shown = error.into_command_error(&place);
        assert_eq!(shown.blame, crate::command::error::ExitCause::NotRunning);
        assert!(shown.next.unwrap().contains("portcullis dev --data"));
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_no_running_proxy() {
        let directory = tempfile::tempdir().unwrap();
        let place = StateDirectory::find(Some(directory.path().to_owned()), None);
        drop(std::os::unix::net::UnixListener::bind(place.socket()).unwrap());
        let error = AdminClient::of(&place).ask(&AdminRequest::new("ListUsers")).await.unwrap_err();
        assert!(matches!(error, AdminError::NotRunning));
    }
}
